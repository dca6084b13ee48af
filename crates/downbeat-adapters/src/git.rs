//! The Git deploy target: the generated files of one environment, as one commit on one branch.
//!
//! Sits at the end of the path of data, beside the cluster: what would be applied is committed
//! below a root folder of a repository, for people to read and for a GitOps tool to apply.
//!
//! ```text
//! Change { files, root, owner, key, time } ──▶ commit ──▶ Committed { commit, changed, .. }
//! ```
//!
//! Invariants:
//! * One deployment, at most one commit; none if the tree would be the same. A deployment that is
//!   on the branch already, known by its `Downbeat-Deployment` trailer, is not made again.
//! * The new commit's only parent is the head of the branch, and nothing outside the root folder
//!   differs between the two. Nothing of others is ever rewritten or dropped: who loses a race
//!   fetches and builds again on top of the winner.
//! * A root belongs to one owner, whose name is in its marker file [`MARKER`]. A root that holds
//!   files of others, or lies above or below a root of others, is [`Error::Occupied`].
//! * The commit id depends on the base and the [`Change`] alone, so a repeat after a crash makes the
//!   same commit.
//! * No credential is in an argument, an address, a message or the environment of a process.
//!
//! All is done by the `git` program ([`MINIMUM`] or newer) with plumbing on a bare mirror; there is
//! no work tree. Unix only. The reasons are in `docs/design/git-target.md`.

mod checkout;
mod error;
mod input;
mod marker;
mod mirror;
mod process;
mod session;

use std::collections::BTreeMap;
use std::fmt;
use std::hash::{BuildHasher as _, Hasher as _};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use aws_lc_rs::digest::SHA256;
use downbeat_core::secret::Secret;
use tokio::sync::OnceCell;

pub use self::checkout::Source;
pub use self::error::Error;
use self::mirror::{Delivered, Failure, Lane, Mirror, Pushed, Synced};

/// The oldest `git` that works: the first that knows `GIT_CONFIG_GLOBAL`, without which the
/// configuration of whoever runs the server would leak into every call.
pub const MINIMUM: Version = Version { major: 2, minor: 32, patch: 0 };

/// The trailer that names the deployment in a commit message.
pub const TRAILER: &str = "Downbeat-Deployment";

/// The file that marks a root as its owner's.
pub const MARKER: &str = marker::NAME;

/// What an environment's repository is configured with when we make it ourselves.
const LOCAL_CONFIG: &str = "\
[receive]
\tdenyCurrentBranch = updateInstead
[core]
\tfsync = committed
[gc]
\tautoDetach = false
";

/// How the target works; the same for all repositories.
#[derive(Clone, Debug)]
pub struct Options {
    /// Folder of the bare mirrors, the locks and the hosts known to `ssh`. Several processes may
    /// share it. It may be deleted at any time, except that `ssh` then trusts each host anew.
    pub cache_dir: PathBuf,
    /// The `git` program.
    pub program: PathBuf,
    /// Author of the commits.
    pub author: Identity,
    /// Committer of the commits.
    pub committer: Identity,
    /// Limit of one call that works in the cache only.
    pub local_limit: Duration,
    /// Limit of one call that talks to the remote.
    pub network_limit: Duration,
    /// How long to wait for another process that uses the same mirror.
    pub lock_limit: Duration,
    /// How many pushes may lose against other writers before [`Error::Conflict`].
    pub attempts: u32,
    /// How many of the newest commits of a branch are searched for a deployment.
    pub history: u32,
    /// Which kinds of address are accepted. Without [`Protocol::File`], nobody can name a folder
    /// of the server.
    pub protocols: Vec<Protocol>,
    /// Additions to the environment of `git`, such as `GIT_SSL_CAINFO`. What this module sets
    /// itself wins.
    pub environment: BTreeMap<String, String>,
}

impl Options {
    /// The usual options, with this cache directory.
    #[must_use]
    pub fn new(cache_dir: impl Into<PathBuf>) -> Self {
        let identity =
            Identity { name: "Downbeat".to_owned(), email: "downbeat@localhost".to_owned() };
        Self {
            cache_dir: cache_dir.into(),
            program: "git".into(),
            author: identity.clone(),
            committer: identity,
            local_limit: Duration::from_secs(60),
            network_limit: Duration::from_secs(180),
            lock_limit: Duration::from_secs(600),
            attempts: 12,
            history: 1_000,
            protocols: vec![Protocol::Https, Protocol::Http, Protocol::Ssh, Protocol::File],
            environment: BTreeMap::new(),
        }
    }
}

/// A person or program in a commit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// Name, not empty.
    pub name: String,
    /// Email address, not empty.
    pub email: String,
}

/// A kind of repository address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Protocol {
    /// `https://host/path`.
    Https,
    /// `http://host/path`; credentials travel in the clear.
    Http,
    /// `ssh://user@host/path` or `user@host:path`.
    Ssh,
    /// `/path` or `file:///path`.
    File,
}

impl Protocol {
    /// The name `git` knows it by.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Https => "https",
            Self::Http => "http",
            Self::Ssh => "ssh",
            Self::File => "file",
        }
    }
}

/// One branch of one repository, and what opens it.
#[derive(Clone, Debug)]
pub struct Repository {
    /// An `https`, `http`, `ssh` or `file` address, the short `user@host:path`, or an absolute
    /// path. Holds no password.
    pub url: String,
    /// Short name of the branch. A missing branch begins at the commit the remote's `HEAD` names;
    /// in an empty repository, with a first commit.
    pub branch: String,
    /// What opens it, if something has to.
    pub credentials: Option<Credentials>,
}

impl Repository {
    /// The branch `main` of a repository that needs no credentials.
    #[must_use]
    pub fn new(url: impl Into<String>) -> Self {
        Self { url: url.into(), branch: "main".to_owned(), credentials: None }
    }
}

/// What opens a repository.
#[derive(Clone, Debug)]
pub enum Credentials {
    /// For `https` and `http`. The password is usually a token.
    Password {
        /// User name; hosts that look at the token only still want one.
        username: String,
        /// Password or token.
        password: Secret,
    },
    /// For `ssh`: a private key without a passphrase, in PEM or OpenSSH format.
    SshKey(Secret),
}

/// The complete files of one environment, and the deployment that made them.
#[derive(Clone, Debug)]
pub struct Change {
    /// Where to.
    pub repository: Repository,
    /// The environment's folder, such as `envs/dev`. Empty means the whole tree.
    pub root: String,
    /// Whose the root is, on one line, such as `acme/shop/dev`. A new root gets the owner's
    /// marker; a root with files in it has to have it already.
    pub owner: String,
    /// Content by path below the root. Any other file below the root, save the marker, is removed.
    pub files: BTreeMap<String, Vec<u8>>,
    /// Whether the owner gives the root up: the marker goes, too.
    pub leaves: bool,
    /// Subject line and, after an empty line, body. Control characters are replaced, marks that
    /// change the direction of writing are dropped, and what is beyond 4 KiB is cut off.
    pub message: String,
    /// Id of the deployment, written as a trailer.
    pub key: String,
    /// Date of author and committer, to the second; given from outside so that a repeat makes the
    /// same commit.
    pub time: jiff::Timestamp,
}

/// What is on the branch now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Committed {
    /// The commit of the deployment; where there is none, the head of the branch.
    pub commit: String,
    /// Whether the deployment has a commit. If not, the files were there already.
    pub changed: bool,
    /// How many pushes were made; 0 when there was nothing to push.
    pub attempts: u32,
    /// How many files there are below the root; here and below, the marker is not counted.
    pub files: usize,
    /// Files that were not there before.
    pub added: usize,
    /// Files with other content or mode than before.
    pub modified: usize,
    /// Files that are no longer there.
    pub removed: usize,
}

/// A version of the `git` program.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version {
    /// First number.
    pub major: u32,
    /// Second number.
    pub minor: u32,
    /// Third number; 0 if there is none.
    pub patch: u32,
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.major, self.minor, self.patch)
    }
}

impl Version {
    /// From `git version 2.39.5 (Apple Git-154)` and the like.
    fn parse(text: &str) -> Option<Self> {
        let word = text.trim().strip_prefix("git version ")?.split_whitespace().next()?;
        let mut numbers = word.split('.');
        let mut next = || numbers.next().map(str::parse::<u32>);
        let (major, minor) = (next()?.ok()?, next()?.ok()?);
        let patch = next().and_then(Result::ok).unwrap_or(0);
        Some(Self { major, minor, patch })
    }
}

/// Commits the files of environments into Git repositories.
///
/// Calls for one remote queue up, calls for different remotes run side by side. Dropping the future
/// of a call stops its child processes; whatever it had done by then is found by a repeat.
pub struct GitTarget {
    options: Options,
    version: OnceCell<Version>,
    lanes: Mutex<BTreeMap<String, Arc<Lane>>>,
}

impl fmt::Debug for GitTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GitTarget").field("options", &self.options).finish_non_exhaustive()
    }
}

impl GitTarget {
    /// A target with these options. Touches nothing yet.
    #[must_use]
    pub fn new(mut options: Options) -> Self {
        // The children start elsewhere.
        let absolute = |path: &Path| std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
        options.cache_dir = absolute(&options.cache_dir);
        if options.program.components().count() > 1 {
            options.program = absolute(&options.program);
        }
        Self { options, version: OnceCell::new(), lanes: Mutex::default() }
    }

    /// The version of `git`, if it is new enough. Asked once; every other call asks, too.
    pub async fn check_version(&self) -> Result<Version, Error> {
        self.version.get_or_try_init(|| self.ask_version()).await.copied()
    }

    async fn ask_version(&self) -> Result<Version, Error> {
        let program = &self.options.program;
        let output = self.alone("asking git for its version", &["--version"]).await?;
        let text = String::from_utf8_lossy(&output.stdout);
        let found = output.success.then(|| Version::parse(&text)).flatten().ok_or_else(|| {
            let source = std::io::Error::other("it does not say that it is git");
            Error::GitMissing { program: program.clone(), source }
        })?;
        if found < MINIMUM {
            return Err(Error::TooOld { found, minimum: MINIMUM });
        }
        Ok(found)
    }

    /// Makes the branch hold exactly these files below the root, by one commit, or by none if it
    /// holds them already.
    ///
    /// A repeat with the same `key` and `root` gives the commit that the first call made, even if
    /// the first call was cut off after its push, and even if the branch has moved on since.
    pub async fn commit(&self, change: &Change) -> Result<Committed, Error> {
        input::change(change)?;
        input::identity(&self.options.author)?;
        input::identity(&self.options.committer)?;
        let root = input::root(&change.root)?;
        let mirror = self.mirror(&change.repository).await?;
        match self.deliver(&mirror, change, root).await {
            Ok(committed) => Ok(committed),
            Err(Failure::Final(error)) => Err(error),
            Err(Failure::Damaged(error)) => {
                tracing::warn!(url = mirror.url(), %error, "making the cache of a git repository anew");
                mirror.reset().await?;
                self.deliver(&mirror, change, root).await.map_err(last)
            }
        }
    }

    async fn deliver(
        &self,
        mirror: &Mirror<'_>,
        change: &Change,
        root: &str,
    ) -> Result<Committed, Failure> {
        let mut pushes = 0;
        let mut detail = String::new();
        for attempt in 1..=self.options.attempts.max(1) {
            if attempt > 1 {
                mirror::backoff(attempt).await;
            }
            let head = match mirror.sync().await? {
                Synced::Head(head) => head,
                Synced::Stale(said) => {
                    detail = said;
                    continue;
                }
            };
            if let Some(found) = delivered(mirror, &head.delivered, root, &change.key).await? {
                return Ok(Committed { attempts: pushes, ..found });
            }
            let built = mirror.build(change, root, head.base.as_deref()).await?;
            let unchanged = head.base.filter(|_| !built.differs);
            let mut committed = Committed {
                commit: unchanged.clone().unwrap_or(built.commit),
                changed: unchanged.is_none(),
                attempts: pushes,
                files: change.files.len(),
                added: 0,
                modified: 0,
                removed: 0,
            };
            if let Some(base) = &unchanged {
                // The candidate is not wanted; the next operation shall find the true head.
                mirror.note(base).await?;
                if head.branch.is_some() {
                    mirror.tidy().await;
                    return Ok(committed);
                }
            } else {
                let counts = mirror.counts(&committed.commit, root).await?;
                committed.added = counts.added;
                committed.modified = counts.modified;
                committed.removed = counts.removed;
            }
            pushes += 1;
            match mirror.push(&committed.commit, head.branch.as_deref()).await? {
                Pushed::Done => {
                    mirror.tidy().await;
                    return Ok(Committed { attempts: pushes, ..committed });
                }
                Pushed::Stale(said) => {
                    tracing::debug!(url = mirror.url(), attempt, said, "another writer was faster");
                    detail = said;
                }
            }
        }
        let (url, branch) = (mirror.url().to_owned(), change.repository.branch.clone());
        Err(Error::Conflict { url, branch, attempts: self.options.attempts.max(1), detail }.into())
    }

    /// The commit of a deployment below a root folder, if it is among the newest
    /// [`Options::history`] commits of the branch on the remote.
    ///
    /// A deployment that changed nothing has no commit and is not found; repeating it is harmless.
    pub async fn find(
        &self,
        repository: &Repository,
        root: &str,
        key: &str,
    ) -> Result<Option<Committed>, Error> {
        let root = input::root(root)?;
        input::key(key)?;
        let mirror = self.mirror(repository).await?;
        match look(&mirror, root, key).await {
            Ok(found) => Ok(found),
            Err(Failure::Final(error)) => Err(error),
            Err(Failure::Damaged(_)) => {
                mirror.reset().await?;
                look(&mirror, root, key).await.map_err(last)
            }
        }
    }

    /// Makes a repository at this absolute path, unless there is one, and names its branch `main`.
    ///
    /// A new repository has a work tree that follows every push, so that its owner sees the files
    /// on disk; a push is refused while the owner has changes there that are not committed. A
    /// repository that exists, bare or not, stays as it is. Any other file or folder with content
    /// in its place is [`Error::BadInput`].
    pub async fn prepare_local(&self, path: &Path) -> Result<Repository, Error> {
        let bad =
            |reason: &str| Error::bad("repository path", format!("{}: {reason}", path.display()));
        let url = path.to_str().ok_or_else(|| bad("it is not UTF-8"))?;
        let repository = Repository::new(url);
        input::location(&repository, &[Protocol::File])?;
        if !url.starts_with('/') {
            return Err(bad("it is not absolute"));
        }
        if path.join(".git").exists()
            || (path.join("HEAD").exists() && path.join("objects").exists())
        {
            return Ok(repository);
        }
        let io = |source: std::io::Error| Error::cache(path, &source);
        let vacant = match std::fs::read_dir(path) {
            Ok(mut entries) => entries.next().is_none(),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => true,
            Err(error) if error.kind() == std::io::ErrorKind::NotADirectory => false,
            Err(error) => return Err(io(error)),
        };
        let (true, Some(parent), Some(name)) = (vacant, path.parent(), path.file_name()) else {
            return Err(bad("something is there that is not a git repository"));
        };
        self.check_version().await?;
        // Made under another name, so that nobody ever sees half of it.
        let new = parent.join(format!(".{}.{:016x}", name.to_string_lossy(), random()));
        std::fs::create_dir_all(&new).map_err(io)?;
        let made = self.init(&new).await.and_then(|()| std::fs::rename(&new, path).map_err(io));
        if let Err(error) = made {
            // Whoever made the repository in the meantime made the same.
            let _ = std::fs::remove_dir_all(&new);
            if !path.join(".git").exists() {
                return Err(error);
            }
        }
        Ok(repository)
    }

    async fn init(&self, new: &Path) -> Result<(), Error> {
        let at = new.to_str().ok_or_else(|| Error::cache(new, &"not UTF-8"))?;
        let args = ["init", "--quiet", "--template=", "--initial-branch=main", at];
        let output = self.alone("making a repository", &args).await?;
        if !output.success {
            return Err(Error::cache(new, &String::from_utf8_lossy(&output.stderr).trim()));
        }
        let config = new.join(".git/config");
        let append = |mut file: std::fs::File| file.write_all(LOCAL_CONFIG.as_bytes());
        std::fs::File::options()
            .append(true)
            .open(&config)
            .and_then(append)
            .map_err(|source| Error::cache(&config, &source))
    }

    /// A call that belongs to no mirror.
    async fn alone(&self, step: &'static str, args: &[&str]) -> Result<process::Output, Error> {
        let environment = BTreeMap::new();
        let call = process::Call {
            step,
            limit: self.options.local_limit,
            git_dir: None,
            home: Path::new("/"),
            environment: &environment,
            input: &[],
        };
        process::run(&self.options, &call, args).await
    }

    async fn mirror(&self, repository: &Repository) -> Result<Mirror<'_>, Error> {
        let location = input::location(repository, &self.options.protocols)?;
        input::branch(&repository.branch)?;
        self.check_version().await?;
        let lane = {
            let mut lanes = self.lanes.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(lanes.entry(location.url.clone()).or_default())
        };
        let credentials = repository.credentials.as_ref();
        Mirror::open(&self.options, lane, location, &repository.branch, credentials).await
    }
}

async fn look(mirror: &Mirror<'_>, root: &str, key: &str) -> Result<Option<Committed>, Failure> {
    for attempt in 1..=3 {
        match mirror.sync().await? {
            Synced::Head(head) => return delivered(mirror, &head.delivered, root, key).await,
            Synced::Stale(_) => mirror::backoff(attempt).await,
        }
    }
    Ok(None)
}

/// The newest commit that carries the key and touched the root: one deployment may go to several
/// roots of one branch.
async fn delivered(
    mirror: &Mirror<'_>,
    commits: &[Delivered],
    root: &str,
    key: &str,
) -> Result<Option<Committed>, Failure> {
    for Delivered { commit, keys } in commits {
        if !keys.iter().any(|known| known == key) {
            continue;
        }
        let counts = mirror.counts(commit, root).await?;
        let (added, modified, removed) = (counts.added, counts.modified, counts.removed);
        if counts.touched {
            let files = mirror.files(commit, root).await?;
            let commit = commit.clone();
            return Ok(Some(Committed {
                commit,
                changed: true,
                attempts: 0,
                files,
                added,
                modified,
                removed,
            }));
        }
    }
    Ok(None)
}

/// A new mirror did not help.
fn last(failure: Failure) -> Error {
    match failure {
        Failure::Final(error) | Failure::Damaged(error) => error,
    }
}

/// SHA-256 in hexadecimal digits.
fn digest(text: &str) -> String {
    let digest = aws_lc_rs::digest::digest(&SHA256, text.as_bytes());
    digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A number for names and pauses; not for secrets.
pub(crate) fn random() -> u64 {
    std::hash::RandomState::new().build_hasher().finish()
}
