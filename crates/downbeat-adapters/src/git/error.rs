//! What can go wrong with a Git target, sorted by what the caller can do about it.
//!
//! Invariant: no text in here holds a credential. Everything `git` or the remote said passes
//! through the mask of the session (see `session.rs`) before it becomes a field.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use super::Version;

/// Why a Git target did not do what it was asked.
///
/// `detail` holds the last lines that `git` or the remote wrote, credentials masked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The remote did not answer, or is not a repository.
    #[error(
        "cannot reach the repository {url}: {detail}\n\
         Check the address, the network and that the repository exists; then deploy again."
    )]
    Unreachable {
        /// Address of the repository.
        url: String,
        /// Last words of `git`.
        detail: String,
    },
    /// The remote does not accept who we are, or what we may do.
    #[error(
        "the repository {url} does not accept the credentials: {detail}\n\
         Check that they are present, not expired, and allowed to write to this repository."
    )]
    Authentication {
        /// Address of the repository.
        url: String,
        /// Last words of `git`.
        detail: String,
    },
    /// The remote understood the push and said no: a protected branch, a hook, a policy.
    #[error(
        "the repository {url} refused the commit on {branch}: {reason}\n\
         Nothing was changed there. Allow this identity to push to the branch, satisfy the rule, \
         or choose another branch."
    )]
    Rejected {
        /// Address of the repository.
        url: String,
        /// Name of the branch.
        branch: String,
        /// What the remote said, as far as it said anything.
        reason: String,
    },
    /// The root folder has to do with files that are not the owner's.
    #[error("{}", occupied(root, other_root, owner.as_deref()))]
    Occupied {
        /// The folder that was asked for; empty for the whole tree.
        root: String,
        /// The folder in the way: the root, one above it, or one below it.
        other_root: String,
        /// Whose it is, as its marker says; none if it has files in it and no marker.
        owner: Option<String>,
    },
    /// Other writers were faster, every time.
    #[error(
        "{attempts} pushes to {branch} of {url} lost against other writers: {detail}\n\
         Nothing of theirs was changed. Deploy again when the branch is quieter."
    )]
    Conflict {
        /// Address of the repository.
        url: String,
        /// Name of the branch.
        branch: String,
        /// How many pushes were tried.
        attempts: u32,
        /// Last words of `git`.
        detail: String,
    },
    /// The request cannot be carried out as it is; repeating it will not help.
    #[error("the {what} cannot be used: {reason}")]
    BadInput {
        /// Which part of the request.
        what: &'static str,
        /// What is wrong with it and what is expected.
        reason: String,
    },
    /// The `git` program could not be started.
    #[error("cannot start `{}`. Install git and put it on the PATH of the server.", program.display())]
    GitMissing {
        /// The program that was tried.
        program: PathBuf,
        /// What the operating system said.
        #[source]
        source: io::Error,
    },
    /// The `git` program is older than what we rely on.
    #[error("git {found} is too old. Install {minimum} or newer.")]
    TooOld {
        /// What is installed.
        found: Version,
        /// What is needed.
        minimum: Version,
    },
    /// One step took longer than its limit and was stopped. It may still have had its effect; a
    /// repeat finds out.
    #[error(
        "{step} took longer than {} s and was stopped.\n\
         Check the network and the load of the remote; then deploy again.", limit.as_secs_f32()
    )]
    Timeout {
        /// Which step.
        step: &'static str,
        /// Its limit.
        limit: Duration,
    },
    /// The cache directory on this machine cannot be used.
    #[error(
        "cannot use {}: {detail}\n\
         Check free space and permissions. The cache may be deleted at any time, it is made anew.",
        path.display()
    )]
    Cache {
        /// The file or folder.
        path: PathBuf,
        /// What happened.
        detail: String,
    },
}

/// The message of [`Error::Occupied`].
fn occupied(root: &str, other_root: &str, owner: Option<&str>) -> String {
    let name = |folder: &str| match folder {
        "" => "the whole branch".to_owned(),
        _ => format!("the folder {folder:?}"),
    };
    let (root_name, other) = (name(root), name(other_root));
    let why = match owner {
        None => "it holds files that no deployment of this environment wrote".to_owned(),
        Some(owner) if root == other_root => format!("it belongs to {owner}"),
        Some(owner) if root.len() < other_root.len() => {
            format!("{other} in it belongs to {owner}")
        }
        Some(owner) => format!("it lies in {other}, which belongs to {owner}"),
    };
    format!("{root_name} of the repository cannot be used: {why}.\nNothing was changed there.")
}

impl Error {
    /// Whether the same request may succeed later without anybody changing anything.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Unreachable { .. } | Self::Conflict { .. } | Self::Timeout { .. })
    }

    pub(super) fn bad(what: &'static str, reason: impl Into<String>) -> Self {
        Self::BadInput { what, reason: reason.into() }
    }

    pub(super) fn cache(path: impl Into<PathBuf>, detail: &dyn std::fmt::Display) -> Self {
        Self::Cache { path: path.into(), detail: detail.to_string() }
    }
}
