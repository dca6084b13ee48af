//! A work tree of one revision, for those who read a repository: no mirror, no history.
//!
//! The folder belongs to the caller alone. Everything about addresses, credentials and the
//! environment of `git` is as for the target.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::process::{Call, Output, run};
use super::session::{Session, private_dir};
use super::{Credentials, Error, GitTarget, Repository, input};

/// Longest revision in bytes.
const REVISION_LIMIT: usize = 250;

/// What is to be read.
#[derive(Clone, Debug)]
pub struct Source {
    /// An address as in [`Repository::url`].
    pub url: String,
    /// A branch, a tag, a full reference or a commit; empty for what the remote's `HEAD` names.
    pub revision: String,
    /// What opens it, if something has to.
    pub credentials: Option<Credentials>,
}

/// The calls for one checkout.
struct Checkout<'a> {
    target: &'a GitTarget,
    session: Session,
    url: String,
    git_dir: PathBuf,
}

impl GitTarget {
    /// Fetches one revision and writes its files below `into`, which must not exist. Answers the
    /// commit.
    ///
    /// The files lie in `into/tree`; the rest of `into` is ours. Submodules are not fetched.
    ///
    /// # Errors
    /// When the address or the revision is not acceptable or not there, or the remote cannot be
    /// reached.
    pub async fn checkout(&self, source: &Source, into: &Path) -> Result<String, Error> {
        let repository =
            Repository { credentials: source.credentials.clone(), ..Repository::new(&source.url) };
        let location = input::location(&repository, &self.options.protocols)?;
        let revision = revision(&source.revision)?;
        self.check_version().await?;
        let io = |source: std::io::Error| Error::cache(into, &source);
        private_dir(into).map_err(io)?;
        private_dir(&into.join("tree")).map_err(io)?;
        private_dir(&self.options.cache_dir).map_err(io)?;
        let session = Session::open(
            &self.options.cache_dir,
            &into.join("session"),
            &location,
            source.credentials.as_ref(),
        )?;
        let (url, git_dir) = (location.url, into.join("git"));
        let checkout = Checkout { target: self, session, url, git_dir };
        checkout.run(revision, &into.join("tree")).await
    }
}

impl Checkout<'_> {
    async fn run(&self, revision: &str, tree: &Path) -> Result<String, Error> {
        let git_dir = self.git_dir.to_string_lossy().into_owned();
        let init = ["init", "--bare", "--quiet", "--template=", "--initial-branch=main", &git_dir];
        self.here("preparing a checkout", None, &init).await?;
        let wanted = if revision.is_empty() { "HEAD" } else { revision };
        let shallow =
            ["fetch", "--quiet", "--no-tags", "--depth=1", "--end-of-options", &self.url, wanted];
        let mut output = self.fetch(&shallow).await?;
        let mut found = "FETCH_HEAD";
        if !output.success && is_commit(revision) {
            // The remote gives no single commits away, or the id is abbreviated.
            let refs = ["+refs/heads/*:refs/heads/*", "+refs/tags/*:refs/tags/*"];
            let mut all = vec!["fetch", "--quiet", "--end-of-options", &self.url];
            all.extend(refs);
            output = self.fetch(&all).await?;
            found = revision;
        }
        if !output.success {
            return Err(self.refused(revision, &output));
        }
        let commit = format!("{found}^{{commit}}");
        let parse = ["rev-parse", "--verify", "--quiet", "--end-of-options", &commit];
        let output = self.call("reading the commit", Some(&self.git_dir), &parse).await?;
        let id = String::from_utf8_lossy(&output.stdout).trim().to_owned();
        if !output.success || id.is_empty() {
            return Err(no_revision(revision));
        }
        let work_tree = format!("--work-tree={}", tree.to_string_lossy());
        let checkout = [&work_tree, "checkout", "--quiet", "--force", "--detach", &id];
        self.here("writing the files", Some(&self.git_dir), &checkout).await?;
        Ok(id)
    }

    async fn fetch(&self, args: &[&str]) -> Result<Output, Error> {
        let limit = self.target.options.network_limit;
        self.limited("fetching from the repository", limit, Some(&self.git_dir), args).await
    }

    async fn here(
        &self,
        step: &'static str,
        git_dir: Option<&Path>,
        args: &[&str],
    ) -> Result<(), Error> {
        let output = self.call(step, git_dir, args).await?;
        if output.success {
            return Ok(());
        }
        Err(Error::cache(&self.git_dir, &self.session.words(&output.stderr)))
    }

    async fn call(
        &self,
        step: &'static str,
        git_dir: Option<&Path>,
        args: &[&str],
    ) -> Result<Output, Error> {
        self.limited(step, self.target.options.local_limit, git_dir, args).await
    }

    async fn limited(
        &self,
        step: &'static str,
        limit: Duration,
        git_dir: Option<&Path>,
        args: &[&str],
    ) -> Result<Output, Error> {
        let (home, environment): (_, &BTreeMap<_, _>) =
            (&*self.session.home, &self.session.environment);
        let input: &[Cow<'_, [u8]>] = &[];
        run(&self.target.options, &Call { step, limit, git_dir, home, environment, input }, args)
            .await
    }

    fn refused(&self, revision: &str, output: &Output) -> Error {
        let (url, detail) = (self.url.clone(), self.session.words(&output.stderr));
        if super::mirror::is_authentication(&detail) {
            return Error::Authentication { url, detail };
        }
        const SIGNS: &[&str] = &["couldn't find remote ref", "not our ref", "no such remote ref"];
        if SIGNS.iter().any(|sign| detail.contains(sign)) {
            return no_revision(revision);
        }
        Error::Unreachable { url, detail }
    }
}

fn no_revision(revision: &str) -> Error {
    let reason = match revision {
        "" => "the repository has no commit".to_owned(),
        _ => format!("the repository has no branch, tag or commit {revision:?}"),
    };
    Error::bad("revision", reason)
}

fn is_commit(revision: &str) -> bool {
    (7..=64).contains(&revision.len()) && revision.chars().all(|c| c.is_ascii_hexdigit())
}

/// Checks that a revision is one name, and neither an option nor an expression.
fn revision(text: &str) -> Result<&str, Error> {
    let forbidden = |c: char| {
        c.is_control() || c.is_whitespace() || matches!(c, '~' | '^' | ':' | '?' | '*' | '[' | '\\')
    };
    let odd = text.starts_with(['-', '+'])
        || text.len() > REVISION_LIMIT
        || text.contains("..")
        || text.contains("@{")
        || text.contains(forbidden);
    if odd {
        let expected = "expected a branch, a tag, a reference such as refs/tags/v1, or a commit";
        return Err(Error::bad("revision", expected));
    }
    Ok(text)
}
