//! The folder of one run, and the proof that no other run works on the same resource.
//!
//! ```text
//! <dir>/runs/<guresid>.lock    locked while a run, or a program that it started, is alive
//! <dir>/work/<guresid>/        0700: code, variables, plan; removed at the end
//! <dir>/lost/<guresid>.tfstate a state that the program could not save
//! <dir>/plugins/               providers, shared
//! ```
//!
//! The lock is that of the open file, which the program inherits as its stdin: it lasts until the
//! last of them is gone, also when our process was killed. Who then finds it locked knows that the
//! process group in the file is alive and is an earlier run, and stops it.
//!
//! Invariant: what is in the folder may be secret, and is gone when the run is. What a killed
//! process left is removed at the next start.

use std::{
    fs::{self, DirBuilder, File, OpenOptions, TryLockError},
    io::{self, Read as _, Seek as _, Write as _},
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use tokio::sync::OwnedMutexGuard;

use super::process;

/// A pause between two looks at a lock.
const POLL: Duration = Duration::from_millis(20);
/// How long a killed program may take to be gone.
const GONE: Duration = Duration::from_secs(10);
/// Where the program puts a state that it cannot save.
const ERRORED: &str = "errored.tfstate";

/// The folder of one run.
pub(super) struct Workspace {
    dir: PathBuf,
    lost: PathBuf,
    lock: File,
    _turn: OwnedMutexGuard<()>,
}

impl Workspace {
    /// Makes the folder, once every earlier run on the resource is over. `turn` says that none of
    /// this process is.
    pub(super) async fn open(
        base: &Path,
        guresid: &str,
        grace: Duration,
        turn: OwnedMutexGuard<()>,
    ) -> io::Result<Self> {
        let lock = lock_file(base, guresid)?;
        let group = match lock.try_lock() {
            Ok(()) => None,
            Err(TryLockError::WouldBlock) => Some(holder(&lock)?),
            // Without locks in the file system, the turn and the engine's lease have to do.
            Err(TryLockError::Error(error)) if error.kind() == io::ErrorKind::Unsupported => None,
            Err(TryLockError::Error(error)) => return Err(error),
        };
        if let Some(group) = group {
            tracing::warn!(guresid, group, "stopping an earlier run of a process that is gone");
            process::signal(group, false);
            if !wait(&lock, grace).await? {
                process::signal(group, true);
                if !wait(&lock, GONE).await? {
                    let message = "an earlier run on this resource does not end";
                    return Err(io::Error::new(io::ErrorKind::ResourceBusy, message));
                }
            }
        }
        let dir = base.join("work").join(guresid);
        let lost = base.join("lost").join(format!("{guresid}.tfstate"));
        clear(&dir, &lost)?;
        private_dir(&dir)?;
        Ok(Self { dir, lost, lock, _turn: turn })
    }

    /// The folder.
    pub(super) fn dir(&self) -> &Path {
        &self.dir
    }

    /// The lock, for the program to hold.
    pub(super) fn held(&self) -> io::Result<File> {
        self.lock.try_clone()
    }

    /// Notes the process group of the program.
    pub(super) fn note(&self, group: i32) -> io::Result<()> {
        let mut file = &self.lock;
        file.set_len(0)?;
        file.rewind()?;
        file.write_all(group.to_string().as_bytes())
    }

    /// Says in which folder the program works.
    pub(super) fn set_root(&self, root: &Path) -> io::Result<()> {
        std::os::unix::fs::symlink(root, self.dir.join("root"))
    }

    /// A state that this or an earlier run could not save.
    pub(super) fn lost_state(&self) -> io::Result<Option<String>> {
        keep_lost(&self.dir, &self.lost)?;
        match fs::read_to_string(&self.lost) {
            Ok(text) => Ok(Some(text)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Forgets the lost state; it is saved.
    pub(super) fn found(&self) -> io::Result<()> {
        fs::remove_file(&self.lost)
    }

    /// Where a lost state is kept, for people.
    pub(super) fn lost_place(&self) -> &Path {
        &self.lost
    }

    /// Removes what stays of a resource beyond its runs.
    pub(super) fn forget(&self, base: &Path, guresid: &str) {
        let _ = fs::remove_file(base.join("runs").join(format!("{guresid}.lock")));
    }
}

impl Drop for Workspace {
    fn drop(&mut self) {
        // What cannot be removed now is removed by the next run, or at the next start.
        let _ = clear(&self.dir, &self.lost);
    }
}

/// Removes what killed processes left, except where a program still runs.
pub(super) fn sweep(base: &Path) {
    let Ok(entries) = fs::read_dir(base.join("work")) else { return };
    for entry in entries.flatten() {
        let name = entry.file_name();
        let name = name.to_string_lossy();
        let Ok(lock) = lock_file(base, &name) else { continue };
        if lock.try_lock().is_ok() {
            let _ = clear(&entry.path(), &base.join("lost").join(format!("{name}.tfstate")));
        }
    }
}

fn lock_file(base: &Path, guresid: &str) -> io::Result<File> {
    let runs = base.join("runs");
    private_dir(&runs)?;
    let mut options = OpenOptions::new();
    options.create(true).truncate(false).read(true).write(true).mode(0o600);
    options.open(runs.join(format!("{guresid}.lock")))
}

/// The process group in a lock file; 0 when there is none.
fn holder(mut lock: &File) -> io::Result<i32> {
    let mut text = String::new();
    lock.rewind()?;
    lock.take(32).read_to_string(&mut text)?;
    Ok(text.trim().parse().unwrap_or_default())
}

/// Whether the lock could be had in time.
async fn wait(lock: &File, limit: Duration) -> io::Result<bool> {
    let start = Instant::now();
    loop {
        match lock.try_lock() {
            Ok(()) => return Ok(true),
            Err(TryLockError::Error(error)) => return Err(error),
            Err(TryLockError::WouldBlock) if start.elapsed() >= limit => return Ok(false),
            Err(TryLockError::WouldBlock) => tokio::time::sleep(POLL).await,
        }
    }
}

/// Removes the folder of a run; a state in it that was not saved is kept.
fn clear(dir: &Path, lost: &Path) -> io::Result<()> {
    keep_lost(dir, lost)?;
    match fs::remove_dir_all(dir) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

fn keep_lost(dir: &Path, lost: &Path) -> io::Result<()> {
    let errored = dir.join("root").join(ERRORED);
    // A link could name any file of the server.
    if !fs::symlink_metadata(&errored).is_ok_and(|found| found.is_file()) {
        return Ok(());
    }
    if let Some(folder) = lost.parent() {
        private_dir(folder)?;
    }
    fs::rename(errored, lost)
}

/// Makes a folder that only this user can enter, and what is missing above it.
pub(super) fn private_dir(path: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(path)
}

/// Writes a file below `root`, readable by this user only. What the name leads through must be
/// real folders: a repository can hold links to anywhere.
pub(super) fn write_inside(root: &Path, name: &str, content: &[u8]) -> io::Result<()> {
    let mut place = root.to_owned();
    let mut parts = name.split('/').peekable();
    while let Some(part) = parts.next() {
        place.push(part);
        let found = fs::symlink_metadata(&place);
        let is_link = found.as_ref().is_ok_and(fs::Metadata::is_symlink);
        if parts.peek().is_some() {
            if is_link {
                let message = format!("{name:?} leads through a link");
                return Err(io::Error::new(io::ErrorKind::InvalidInput, message));
            }
            if found.is_err() {
                private_dir(&place)?;
            }
        } else if found.as_ref().is_ok_and(|found| !found.is_dir()) {
            fs::remove_file(&place)?;
        }
    }
    let mut options = OpenOptions::new();
    options.write(true).create_new(true).mode(0o600);
    options.open(&place)?.write_all(content)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    use super::*;

    #[test]
    fn nothing_is_written_through_links() {
        let folder = tempfile::tempdir().unwrap();
        let (root, outside) = (folder.path().join("root"), folder.path().join("outside"));
        fs::create_dir(&root).unwrap();
        fs::create_dir(&outside).unwrap();
        fs::write(outside.join("kept"), "kept").unwrap();
        symlink(&outside, root.join("link")).unwrap();
        symlink(outside.join("kept"), root.join("main.tf")).unwrap();
        assert!(write_inside(&root, "link/new", b"x").is_err());
        write_inside(&root, "main.tf", b"new").unwrap();
        write_inside(&root, "a/b/c", b"new").unwrap();
        assert_eq!(fs::read(outside.join("kept")).unwrap(), b"kept");
        assert_eq!(fs::read(root.join("main.tf")).unwrap(), b"new");
        let mode = fs::metadata(root.join("a/b/c")).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }
}
