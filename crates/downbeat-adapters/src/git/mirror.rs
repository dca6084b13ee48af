//! The bare mirror of one remote, and the six `git` calls that make a commit in it and push it.
//!
//! ```text
//! ls-remote ──▶ log ──(differs)──▶ fetch ──▶ log ──▶ grep ──▶ fast-import ──▶ diff-tree ──▶ push
//!    where is      is the deployment         │   whose     blobs, trees      what          with lease
//!    the branch?   there already? ◀──────────┘   is it?    and commit        changed
//! ```
//!
//! Invariants:
//! * A mirror is a cache. It is used by one operation at a time: within a process by a queue, between
//!   processes by a file lock. When it looks damaged it is thrown away and made anew.
//! * The parent of a pushed commit is the value the lease expects, so a push can only add.
//! * For each branch the mirror has one ref, `refs/downbeat/<hash>/head`: the head last seen on the
//!   remote, or the candidate last built. The remote is asked each time which of the two it is.

use std::borrow::Cow;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use tokio::sync::OwnedMutexGuard;

use super::input::Location;
use super::marker::{self, Found};
use super::process::{Call, Output, run};
use super::session::{Session, private_dir};
use super::{Change, Credentials, Error, Options, TRAILER, digest, input, random};

/// A pause between two tries to get a lock that another process holds.
const LOCK_POLL: Duration = Duration::from_millis(20);
/// Housekeeping is looked at once in so many deliveries per remote.
const HOUSEKEEPING: u32 = 32;

/// The queue of one remote within this process.
#[derive(Default)]
pub(super) struct Lane {
    pub(super) turn: Arc<tokio::sync::Mutex<()>>,
    used: AtomicU32,
}

/// A mirror nobody else uses for as long as this value lives.
pub(super) struct Mirror<'a> {
    options: &'a Options,
    location: Location,
    branch: String,
    path: PathBuf,
    lane: Arc<Lane>,
    // Dropped in this order: credentials gone first, then other processes, then our own queue.
    session: Session,
    _lock: File,
    _turn: OwnedMutexGuard<()>,
}

/// Why an operation on a mirror stopped.
pub(super) enum Failure {
    /// The caller's to know.
    Final(Error),
    /// Looks like damage of the mirror: worth one try with a new one, after which it is final.
    Damaged(Error),
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Final(error)
    }
}

/// Where the branch stands, and what is in the mirror of it.
pub(super) struct Head {
    /// Head of the branch; none when the remote does not have the branch.
    pub(super) branch: Option<String>,
    /// What a new commit is built on: the branch, or what the remote's `HEAD` names, or nothing.
    pub(super) base: Option<String>,
    /// The newest commits of the branch that carry a deployment id, newest first.
    pub(super) delivered: Vec<Delivered>,
}

/// A commit and the deployment ids it carries.
pub(super) struct Delivered {
    pub(super) commit: String,
    pub(super) keys: Vec<String>,
}

/// A commit that exists in the mirror only.
pub(super) struct Built {
    pub(super) commit: String,
    /// Whether its tree differs from that of the base.
    pub(super) differs: bool,
}

/// What a commit did to the files below a root.
#[derive(Default)]
pub(super) struct Counts {
    /// Whether it did anything at all, to the marker for example.
    pub(super) touched: bool,
    pub(super) added: usize,
    pub(super) modified: usize,
    pub(super) removed: usize,
}

/// How a push ended, if it ended well or may be repeated.
pub(super) enum Pushed {
    Done,
    /// The branch is no longer where it was fetched.
    Stale(String),
}

/// How far the mirror got towards the remote.
pub(super) enum Synced {
    Head(Head),
    /// The branch moved or went while it was looked at.
    Stale(String),
}

impl<'a> Mirror<'a> {
    /// Waits for its turn and makes the mirror if it is missing.
    pub(super) async fn open(
        options: &'a Options,
        lane: Arc<Lane>,
        location: Location,
        branch: &str,
        credentials: Option<&Credentials>,
    ) -> Result<Self, Error> {
        let cache = &options.cache_dir;
        let name = name(&location.url);
        let turn = Arc::clone(&lane.turn).lock_owned().await;
        private_dir(cache).map_err(|source| Error::cache(cache, &source))?;
        let lock = lock(cache.join(format!("{name}.lock")), options.lock_limit).await?;
        let dir = cache.join(format!("{name}.session"));
        let session = Session::open(cache, &dir, &location, credentials)?;
        let mirror = Self {
            options,
            location,
            branch: branch.to_owned(),
            path: cache.join(format!("{name}.git")),
            lane,
            session,
            _lock: lock,
            _turn: turn,
        };
        if !mirror.path.exists() {
            mirror.create().await?;
        }
        Ok(mirror)
    }

    pub(super) fn url(&self) -> &str {
        &self.location.url
    }

    /// Throws the mirror away and makes an empty one. Nothing is lost but time.
    pub(super) async fn reset(&self) -> Result<(), Error> {
        remove(&self.path).await?;
        self.create().await
    }

    async fn create(&self) -> Result<(), Error> {
        // Under another name first, so that a killed `init` leaves no half mirror.
        let new = self.path.with_extension("new");
        remove(&new).await?;
        private_dir(&new).map_err(|source| Error::cache(&new, &source))?;
        let args = ["init", "--bare", "--quiet", "--template=", "--initial-branch=main"];
        let output = self.local("preparing the cache", Some(&new), &args, &[]).await?;
        if !output.success {
            return Err(Error::cache(&new, &self.session.words(&output.stderr)));
        }
        tokio::fs::rename(&new, &self.path)
            .await
            .map_err(|source| Error::cache(&self.path, &source))
    }

    /// Looks where the branch stands and brings the mirror there.
    pub(super) async fn sync(&self) -> Result<Synced, Failure> {
        let branch_ref = format!("refs/heads/{}", self.branch);
        let args = ["ls-remote", "--quiet", self.url(), "HEAD", &branch_ref];
        let output = self.remote("asking the repository", None, &args).await?;
        if !output.success {
            return Err(self.refused(&output).into());
        }
        let mut branch = None;
        let mut remote_head = None;
        for line in String::from_utf8_lossy(&output.stdout).lines() {
            // The patterns match the ends of names, too.
            match line.split_once('\t') {
                Some((id, name)) if name == branch_ref => branch = Some(id.to_owned()),
                Some((id, "HEAD")) => remote_head = Some(id.to_owned()),
                _ => {}
            }
        }
        let has_branch = branch.is_some();
        let (Some(wanted), source) =
            (if has_branch { (branch, branch_ref.as_str()) } else { (remote_head, "HEAD") })
        else {
            return Ok(Synced::Head(Head { branch: None, base: None, delivered: Vec::new() }));
        };
        let mut log = self.log().await?;
        if log.first().is_none_or(|newest| newest.commit != wanted) {
            let refspec = format!("+{source}:{}/head", self.refs());
            let url = self.url();
            let args = ["fetch", "--quiet", "--no-tags", "--no-write-fetch-head", url, &refspec];
            let output =
                self.remote("fetching from the repository", Some(&self.path), &args).await?;
            if !output.success {
                let said = self.session.words(&output.stderr);
                if said.contains("couldn't find remote ref") {
                    return Ok(Synced::Stale(said));
                }
                return Err(self.maybe_damaged(&output));
            }
            log = self.log().await?;
        }
        // Not `wanted`: the branch may have moved between the two calls. What was fetched counts.
        let Some(base) = log.first().map(|newest| newest.commit.clone()) else {
            return Err(self.damaged("the fetched branch is empty"));
        };
        log.retain(|commit| !commit.keys.is_empty());
        Ok(Synced::Head(Head {
            branch: has_branch.then(|| base.clone()),
            base: Some(base),
            delivered: if has_branch { log } else { Vec::new() },
        }))
    }

    /// The newest commits of the branch as the mirror has it; empty when it has none.
    async fn log(&self) -> Result<Vec<Delivered>, Failure> {
        let count = format!("--max-count={}", self.options.history.max(1));
        let format = format!("--format=%H%x09%(trailers:key={TRAILER},valueonly,separator=%x20)");
        // `--glob` gives nothing for a ref that does not exist, where its name would be an error.
        let glob = format!("--glob={}", self.refs());
        let output =
            self.here("reading the history", &["log", "-z", &count, &format, &glob], &[]).await?;
        let text = String::from_utf8_lossy(&output.stdout);
        let commits = text.split('\0').filter_map(|record| record.split_once('\t'));
        Ok(commits
            .map(|(commit, keys)| Delivered {
                commit: commit.trim().to_owned(),
                keys: keys.split_whitespace().map(str::to_owned).collect(),
            })
            .collect())
    }

    /// Whether the root is the owner's, as the markers of a commit say.
    async fn find(&self, commit: &str, root: &str, owner: &str) -> Result<Found, Failure> {
        let pathspecs = marker::pathspecs(root);
        let mut args = vec!["grep", "-z", "-a", "--no-color", "--threads=1", "-e"];
        args.extend([marker::PATTERN, commit, "--"]);
        args.extend(pathspecs.iter().map(String::as_str));
        let output = self.local("reading the markers", Some(&self.path), &args, &[]).await?;
        // It also fails when it finds nothing, and it goes on when it cannot read a file.
        let said = self.session.words(&output.stderr);
        if said.lines().any(|line| line.starts_with("error:") || line.starts_with("fatal:")) {
            return Err(self.damaged(&said));
        }
        Ok(marker::find(&marker::parse(commit, root, &output.stdout), root, owner)?)
    }

    /// Writes blobs, trees and commit, unless the root is somebody else's. The commit is the same
    /// whenever the base and the change are.
    pub(super) async fn build(
        &self,
        change: &Change,
        root: &str,
        base: Option<&str>,
    ) -> Result<Built, Failure> {
        let found = match base {
            Some(base) => self.find(base, root, &change.owner).await?,
            None => Found::Unmarked,
        };
        let stream = self.stream(change, root, base);
        let args = ["fast-import", "--quiet", "--force", "--done", "--date-format=raw"];
        let output = self.here("writing the files", &args, &stream).await?;
        let stdout = String::from_utf8_lossy(&output.stdout);
        let mut answers = stdout.lines();
        let mut base_tree = None;
        if base.is_some() {
            base_tree = answers.next();
            let mut entry = base_tree.unwrap_or_default();
            for folder in ancestors(root) {
                let answer = answers.next().unwrap_or_default();
                if !answer.starts_with("040000 ") && !answer.starts_with("missing ") {
                    let reason = format!("{folder:?} is not a folder on this branch");
                    return Err(Error::bad("root folder", reason).into());
                }
                entry = answer;
            }
            marker::vacant(found, root, entry)?;
        }
        let (Some(commit), Some(tree)) = (answers.next(), answers.next()) else {
            return Err(self.damaged("git fast-import gave no commit"));
        };
        Ok(Built { commit: commit.to_owned(), differs: base_tree != Some(tree) })
    }

    /// The input of `git fast-import`. Questions (`ls`) are answered on stdout, in order.
    fn stream<'c>(&self, change: &'c Change, root: &str, base: Option<&str>) -> Vec<Cow<'c, [u8]>> {
        let mut head = String::new();
        let mut line = |text: String| {
            head.push_str(&text);
            head.push('\n');
        };
        if let Some(base) = base {
            line(format!("ls {base} \"\""));
            for folder in ancestors(root) {
                line(format!("ls {base} {}", quoted(folder)));
            }
        }
        let message = message(change);
        let date = format!("{} +0000", change.time.as_second());
        let (author, committer) = (&self.options.author, &self.options.committer);
        line(format!("commit {}/head\nmark :1", self.refs()));
        line(format!("author {} <{}> {date}", author.name.trim(), author.email.trim()));
        line(format!("committer {} <{}> {date}", committer.name.trim(), committer.email.trim()));
        line(format!("data {}\n{message}", message.len()));
        if let Some(base) = base {
            line(format!("from {base}"));
            line(if root.is_empty() { "deleteall".into() } else { format!("D {}", quoted(root)) });
        }
        let mut stream: Vec<Cow<'c, [u8]>> = vec![Cow::Owned(head.into_bytes())];
        let mut file = |path: &str, content: Cow<'c, [u8]>| {
            let head = format!("M 100644 inline {}\ndata {}\n", quoted(path), content.len());
            stream.extend([Cow::Owned(head.into_bytes()), content, Cow::Borrowed(b"\n")]);
        };
        if !change.leaves {
            file(&marker::path(root), Cow::Owned(marker::content(&change.owner).into_bytes()));
        }
        for (name, content) in &change.files {
            let path = if root.is_empty() { name.clone() } else { format!("{root}/{name}") };
            file(&path, Cow::Borrowed(content));
        }
        // Without `done` a stream that was cut off would make a commit with some of the files.
        stream.push(Cow::Borrowed(b"\nget-mark :1\nls :1 \"\"\ndone\n"));
        stream
    }

    /// What a commit did to the files below `root`; nothing if it did not touch them.
    pub(super) async fn counts(&self, commit: &str, root: &str) -> Result<Counts, Failure> {
        let pathspec =
            if root.is_empty() { String::new() } else { format!(":(top,literal){root}") };
        let mut args = vec![
            "diff-tree",
            "-r",
            "-z",
            "--root",
            "--no-commit-id",
            "--no-renames",
            "--name-status",
        ];
        args.extend([commit, "--"]);
        if !pathspec.is_empty() {
            args.push(&pathspec);
        }
        let output = self.here("comparing the files", &args, &[]).await?;
        let mut counts = Counts::default();
        let mut fields = output.stdout.split(|byte| *byte == 0);
        let marker = marker::path(root);
        while let (Some(status), Some(path)) = (fields.next(), fields.next()) {
            counts.touched = true;
            match status {
                _ if path == marker.as_bytes() => {}
                b"A" => counts.added += 1,
                b"D" => counts.removed += 1,
                _ => counts.modified += 1,
            }
        }
        Ok(counts)
    }

    /// How many files there are below `root`, without its marker.
    pub(super) async fn files(&self, commit: &str, root: &str) -> Result<usize, Failure> {
        let mut args = vec!["ls-tree", "-r", "-z", "--name-only", "--full-tree", commit];
        let folder = format!("{root}/");
        if !root.is_empty() {
            args.extend(["--", &folder]);
        }
        let output = self.here("counting the files", &args, &[]).await?;
        let marker = marker::path(root);
        let names = output.stdout.split(|byte| *byte == 0);
        Ok(names.filter(|name| !name.is_empty() && *name != marker.as_bytes()).count())
    }

    /// Moves the branch on the remote from `expected` (none: it must not exist) to `commit`.
    pub(super) async fn push(
        &self,
        commit: &str,
        expected: Option<&str>,
    ) -> Result<Pushed, Failure> {
        let target = format!("refs/heads/{}", self.branch);
        let lease = format!("--force-with-lease={target}:{}", expected.unwrap_or_default());
        let refspec = format!("{commit}:{target}");
        let args = ["push", "--porcelain", "--no-verify", &lease, self.url(), &refspec];
        let output = self.remote("pushing to the repository", Some(&self.path), &args).await?;
        if output.success {
            return Ok(Pushed::Done);
        }
        let report = self.session.words(&output.stdout);
        // `!<tab>from:to<tab>[remote rejected] (reason)`
        let summary = report
            .lines()
            .filter_map(|line| line.strip_prefix('!'))
            .find_map(|line| line.trim_start().split_once(['\t', '[']))
            .map(|(_, summary)| format!("[{}", summary.trim_start_matches('[')));
        let Some(summary) = summary else {
            return Err(self.maybe_damaged(&output));
        };
        let said = self.session.words(&output.stderr);
        if is_race(&summary, &said) {
            return Ok(Pushed::Stale(format!("{said}\n{summary}")));
        }
        // The outcome is unknown; a repeat finds out.
        if summary.starts_with("[remote failure]") {
            return Err(self.refused(&output).into());
        }
        let remote: Vec<&str> = said
            .lines()
            .filter_map(|line| line.strip_prefix("remote:"))
            .map(str::trim)
            .filter(|line| !line.is_empty())
            .collect();
        let reason =
            if remote.is_empty() { summary } else { format!("{}\n{summary}", remote.join("\n")) };
        Err(Error::Rejected { url: self.url().to_owned(), branch: self.branch.clone(), reason }
            .into())
    }

    /// Notes that the branch is at `commit`, so that the next operation need not fetch.
    pub(super) async fn note(&self, commit: &str) -> Result<(), Failure> {
        let name = format!("{}/head", self.refs());
        self.here("noting the branch", &["update-ref", &name, commit], &[]).await?;
        Ok(())
    }

    /// Packs the mirror now and then. Never a reason to fail: it is a cache.
    pub(super) async fn tidy(&self) {
        if !self.lane.used.fetch_add(1, Ordering::Relaxed).is_multiple_of(HOUSEKEEPING) {
            return;
        }
        let args = [
            "-c",
            "gc.auto=6700",
            "-c",
            "gc.autoDetach=false",
            "-c",
            "gc.pruneExpire=1.hour.ago",
            "gc",
            "--auto",
            "--quiet",
        ];
        if let Err(error) = self.local("tidying the cache", Some(&self.path), &args, &[]).await {
            tracing::warn!(url = self.url(), %error, "cannot tidy the cache of a git repository");
        }
    }

    /// A command on the mirror that can fail only if the mirror, or the machine, is broken.
    async fn here(
        &self,
        step: &'static str,
        args: &[&str],
        input: &[Cow<'_, [u8]>],
    ) -> Result<Output, Failure> {
        let output = self.local(step, Some(&self.path), args, input).await?;
        if output.success {
            Ok(output)
        } else {
            Err(self.damaged(&self.session.words(&output.stderr)))
        }
    }

    async fn local(
        &self,
        step: &'static str,
        git_dir: Option<&Path>,
        args: &[&str],
        input: &[Cow<'_, [u8]>],
    ) -> Result<Output, Error> {
        self.call(step, self.options.local_limit, git_dir, args, input).await
    }

    async fn remote(
        &self,
        step: &'static str,
        git_dir: Option<&Path>,
        args: &[&str],
    ) -> Result<Output, Error> {
        self.call(step, self.options.network_limit, git_dir, args, &[]).await
    }

    async fn call(
        &self,
        step: &'static str,
        limit: Duration,
        git_dir: Option<&Path>,
        args: &[&str],
        input: &[Cow<'_, [u8]>],
    ) -> Result<Output, Error> {
        let (home, environment) = (&*self.session.home, &self.session.environment);
        run(self.options, &Call { step, limit, git_dir, home, environment, input }, args).await
    }

    /// The refs of this branch in the mirror. By hash: a branch `a` that is replaced by one `a/b`
    /// must not be in its way.
    fn refs(&self) -> String {
        format!("refs/downbeat/{}", name(&self.branch))
    }

    fn damaged(&self, detail: &str) -> Failure {
        Failure::Damaged(Error::cache(&self.path, &detail))
    }

    /// For failed calls that use both the mirror and the remote.
    fn maybe_damaged(&self, output: &Output) -> Failure {
        const SIGNS: &[&str] = &[
            " is corrupt",
            "bad object",
            "missing blob",
            "missing tree",
            "missing commit",
            "unable to read",
            "object file ",
            "cannot lock ref 'refs/downbeat",
            "bad tree object",
        ];
        let said = String::from_utf8_lossy(&output.stderr);
        let error = self.refused(output);
        let local = said.contains(&*self.path.to_string_lossy());
        if local || SIGNS.iter().any(|sign| said.contains(sign)) {
            Failure::Damaged(error)
        } else {
            Failure::Final(error)
        }
    }

    /// A call that the remote, or the way to it, made fail.
    fn refused(&self, output: &Output) -> Error {
        let (url, detail) = (self.url().to_owned(), self.session.words(&output.stderr));
        if detail.contains("mismatched algorithms") {
            return Error::bad("repository", "repositories with SHA-256 ids are not supported yet");
        }
        if is_authentication(&detail) {
            Error::Authentication { url, detail }
        } else {
            Error::Unreachable { url, detail }
        }
    }
}

/// The name of something in the cache directory.
fn name(of: &str) -> String {
    digest(of).get(..32).unwrap_or_default().to_owned()
}

/// Every folder on the way to the root folder, itself included: `a`, `a/b`.
fn ancestors(root: &str) -> impl Iterator<Item = &str> {
    let slashes = root.match_indices('/').filter_map(|(at, _)| root.get(..at));
    slashes.chain((!root.is_empty()).then_some(root))
}

/// A path as `git fast-import` reads it. Checked paths hold no control character and no backslash.
fn quoted(path: &str) -> String {
    format!("\"{}\"", path.replace('"', "\\\""))
}

/// Subject, body, and the trailer in a paragraph of its own: only the last paragraph counts as
/// trailers, so nothing in a body can pass for one.
fn message(change: &Change) -> String {
    format!("{}\n\n{TRAILER}: {}\n", input::message(&change.message), change.key)
}

/// Whether a refused ref update means that somebody else was faster. Hosts word it differently; the
/// words in brackets are git's own.
fn is_race(summary: &str, said: &str) -> bool {
    const SIGNS: &[&str] = &[
        "(stale info)",
        "(fetch first)",
        "(non-fast-forward)",
        "(failed to update ref)",
        "(failed to lock)",
        "(incorrect old value provided)",
        "(reference already exists)",
        "(needs force)",
        "cannot lock ref",
    ];
    SIGNS.iter().any(|sign| summary.contains(sign))
        || said.contains("remote: error: cannot lock ref")
}

pub(super) fn is_authentication(said: &str) -> bool {
    const SIGNS: &[&str] = &[
        "Authentication failed",
        "could not read Username",
        "could not read Password",
        "Permission denied",
        "Permission to ",
        "returned error: 401",
        "returned error: 403",
        "terminal prompts disabled",
        "Access denied",
        "Host key verification failed",
        "unable to read askpass",
        "not allowed to push",
    ];
    SIGNS.iter().any(|sign| said.contains(sign))
}

/// A pause before the next try: longer each time, and never the same for two writers.
pub(super) async fn backoff(attempt: u32) {
    let longest = 25_u64 << attempt.min(6);
    tokio::time::sleep(Duration::from_millis(random() % longest)).await;
}

/// Takes the file lock. The lock goes with the file handle, also when the process is killed.
async fn lock(path: PathBuf, limit: Duration) -> Result<File, Error> {
    let open = || File::options().create(true).truncate(false).write(true).open(&path);
    let file = open().map_err(|source| Error::cache(&path, &source))?;
    let start = Instant::now();
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(std::fs::TryLockError::Error(source)) => return Err(Error::cache(&path, &source)),
            Err(std::fs::TryLockError::WouldBlock) if start.elapsed() >= limit => {
                return Err(Error::Timeout { step: "waiting for another process", limit });
            }
            Err(std::fs::TryLockError::WouldBlock) => tokio::time::sleep(LOCK_POLL).await,
        }
    }
}

async fn remove(path: &Path) -> Result<(), Error> {
    match tokio::fs::remove_dir_all(path).await {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(Error::cache(path, &error)),
        _ => Ok(()),
    }
}
