//! One call of the program, watched to its end: time limit, a way out that lets it save its state,
//! and no process left behind.
//!
//! The watch is a task of its own and goes on when the caller goes: dropping the caller's future is
//! the same as an interrupt. Only the end of this process ends it early; what then becomes of the
//! program is up to the next run (see `workspace.rs`). For its sake, what the program says goes into
//! files: a pipe that nobody reads any more would end it before its state is saved.

use std::{
    fs::{File, OpenOptions},
    io::{self, Read as _, Seek as _, SeekFrom},
    os::unix::fs::OpenOptionsExt as _,
    path::Path,
    process::{ExitStatus, Stdio},
    sync::Arc,
    time::Duration,
};

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::{
    process::{Child, Command},
    sync::oneshot,
    time::{Instant, MissedTickBehavior, interval, sleep_until, timeout},
};

use super::workspace::Workspace;

/// How much of what the program says is kept: the end of it.
const LOG_LIMIT: u64 = 64 * 1024;
/// How large the file of it may get before it is cut, and how often that is looked at.
const FILE_LIMIT: u64 = 4 * 1024 * 1024;
const LOOK: Duration = Duration::from_secs(1);
/// Largest answer that is read as a whole.
const ANSWER_LIMIT: u64 = 64 * 1024 * 1024;

/// How a call is made.
pub(super) struct Call {
    pub(super) command: Command,
    pub(super) limit: Duration,
    /// How long it may take to end by itself after an interrupt.
    pub(super) grace: Duration,
    /// Whether stdout is an answer, to be had as a whole.
    pub(super) wants_answer: bool,
}

/// How it ended. **Not masked.**
pub(super) struct Ended {
    pub(super) how: How,
    /// The end of what it said.
    pub(super) log: String,
    pub(super) answer: Vec<u8>,
}

/// In which way it ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum How {
    Well,
    /// It said so itself.
    Badly,
    /// It was stopped at its time limit.
    Late,
}

/// The processes of a call. None of them outlives this value.
struct Group(Option<Pid>);

impl Group {
    fn signal(&self, signal: Signal) {
        if let Some(group) = self.0 {
            // The group may be gone already; then there is nothing to stop.
            let _ = kill_process_group(group, signal);
        }
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.signal(Signal::KILL);
    }
}

/// Stops what an earlier process of ours started.
pub(super) fn signal(group: i32, forcibly: bool) {
    if let Some(group) = Pid::from_raw(group).filter(|_| group > 1) {
        let signal = if forcibly { Signal::KILL } else { Signal::INT };
        let _ = kill_process_group(group, signal);
    }
}

/// Starts the program and waits for its end. An error means that it could not be started or
/// watched.
pub(super) async fn run(mut call: Call, workspace: Arc<Workspace>) -> io::Result<Ended> {
    let log = new_file(&workspace.dir().join("log"))?;
    let answer = match call.wants_answer {
        // An answer is no log: it may be full of secrets.
        true => Some(new_file(&workspace.dir().join("answer"))?),
        false => None,
    };
    let child = call
        .command
        .stdin(Stdio::from(workspace.held()?))
        .stdout(Stdio::from(answer.as_ref().unwrap_or(&log).try_clone()?))
        .stderr(Stdio::from(log.try_clone()?))
        .process_group(0)
        .kill_on_drop(true)
        .spawn()?;
    let group = child.id().map(u32::cast_signed);
    // Made before anything can fail: from here on the processes have an end.
    let guard = Group(group.and_then(Pid::from_raw));
    workspace.note(group.unwrap_or_default())?;
    // Held until this future ends; dropped with it, if it does not.
    let (held, gone) = oneshot::channel::<()>();
    let files = Files { log, before: String::new(), answer };
    let watch = tokio::spawn(watch(child, guard, call, gone, files, workspace));
    let ended = watch.await.map_err(io::Error::other)?;
    drop(held);
    ended
}

async fn watch(
    mut child: Child,
    mut group: Group,
    call: Call,
    mut gone: oneshot::Receiver<()>,
    mut files: Files,
    workspace: Arc<Workspace>,
) -> io::Result<Ended> {
    let end = Instant::now() + call.limit;
    let mut look = interval(LOOK);
    look.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut is_late = false;
    let status = loop {
        tokio::select! {
            status = child.wait() => break status,
            () = sleep_until(end) => {
                is_late = true;
                break stop(&mut child, &group, call.grace).await;
            }
            _ = &mut gone => break stop(&mut child, &group, call.grace).await,
            _ = look.tick() => files.cut()?,
        }
    };
    // What it started has no business any more.
    group.signal(Signal::KILL);
    group.0 = None;
    let how = match (is_late, status?.success()) {
        (true, _) => How::Late,
        (false, true) => How::Well,
        (false, false) => How::Badly,
    };
    let ended = Ended { how, log: files.log()?, answer: files.answer()? };
    drop(workspace);
    Ok(ended)
}

/// Asks, waits, and does not ask a second time.
async fn stop(child: &mut Child, group: &Group, grace: Duration) -> io::Result<ExitStatus> {
    group.signal(Signal::INT);
    match timeout(grace, child.wait()).await {
        Ok(status) => status,
        Err(_) => {
            group.signal(Signal::KILL);
            child.wait().await
        }
    }
}

/// Where the program says something.
struct Files {
    log: File,
    /// The end of what was cut off the log.
    before: String,
    answer: Option<File>,
}

impl Files {
    /// Keeps the log from filling the disk. What the program says at this moment may be lost.
    fn cut(&mut self) -> io::Result<()> {
        if self.log.metadata()?.len() > FILE_LIMIT {
            self.before = end_of(&self.log)?;
            // The program appends, so it goes on at the new end.
            self.log.set_len(0)?;
        }
        Ok(())
    }

    fn log(&self) -> io::Result<String> {
        let mut log = self.before.clone();
        log.push_str(&end_of(&self.log)?);
        let over = log.len().saturating_sub(usize::try_from(LOG_LIMIT).unwrap_or(usize::MAX));
        let from = (over..=log.len()).find(|at| log.is_char_boundary(*at)).unwrap_or_default();
        Ok(log.split_off(from))
    }

    fn answer(&self) -> io::Result<Vec<u8>> {
        let mut text = Vec::new();
        if let Some(mut answer) = self.answer.as_ref() {
            answer.rewind()?;
            answer.take(ANSWER_LIMIT).read_to_end(&mut text)?;
        }
        Ok(text)
    }
}

fn end_of(mut file: &File) -> io::Result<String> {
    let length = file.metadata()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(LOG_LIMIT)))?;
    let mut text = Vec::new();
    file.take(LOG_LIMIT).read_to_end(&mut text)?;
    Ok(String::from_utf8_lossy(&text).into_owned())
}

/// An empty file that only this user can read, and that is appended to.
fn new_file(path: &Path) -> io::Result<File> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    OpenOptions::new().read(true).append(true).create_new(true).mode(0o600).open(path)
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    #[test]
    fn only_the_end_of_a_log_is_kept() {
        let folder = tempfile::tempdir().unwrap();
        let log = new_file(&folder.path().join("log")).unwrap();
        let mut writer = log.try_clone().unwrap();
        let mut files = Files { log, before: String::new(), answer: None };
        writer.write_all("äx".repeat(2 * 1024 * 1024).as_bytes()).unwrap();
        files.cut().unwrap();
        assert_eq!(files.log.metadata().unwrap().len(), 0);
        writer.write_all(b"the end").unwrap();
        let log = files.log().unwrap();
        assert!(log.ends_with("äxthe end") && log.len() <= 64 * 1024, "{}", log.len());
    }
}
