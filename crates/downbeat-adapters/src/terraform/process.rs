//! One call of the program, watched to its end: time limit, a way out that lets it save its state,
//! and no process left behind.
//!
//! The watch is a task of its own and goes on when the caller goes: dropping the caller's future is
//! the same as an interrupt. Only the end of this process ends it early; what then becomes of the
//! program is up to the next run (see `workspace.rs`).

use std::{
    collections::VecDeque,
    io,
    process::{ExitStatus, Stdio},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::{
    io::{AsyncRead, AsyncReadExt},
    process::{Child, Command},
    sync::oneshot,
    task::JoinHandle,
    time::{sleep, timeout},
};

use super::workspace::Workspace;

/// How much of what the program says is kept: the end of it.
const LOG_LIMIT: usize = 64 * 1024;
/// Largest answer that is read as a whole.
const ANSWER_LIMIT: usize = 64 * 1024 * 1024;
/// How long to read on when the program is gone and something else holds its pipes.
const DRAIN: Duration = Duration::from_secs(2);

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
    let child = call
        .command
        .stdin(Stdio::from(workspace.held()?))
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .kill_on_drop(true)
        .spawn()?;
    let group = child.id().map(u32::cast_signed);
    // Made before anything can fail: from here on the processes have an end.
    let guard = Group(group.and_then(Pid::from_raw));
    workspace.note(group.unwrap_or_default())?;
    // Held until this future ends; dropped with it, if it does not.
    let (held, gone) = oneshot::channel::<()>();
    let watch = tokio::spawn(watch(child, guard, call, gone, workspace));
    let ended = watch.await.map_err(io::Error::other)?;
    drop(held);
    ended
}

async fn watch(
    mut child: Child,
    mut group: Group,
    call: Call,
    gone: oneshot::Receiver<()>,
    workspace: Arc<Workspace>,
) -> io::Result<Ended> {
    let log = Arc::new(Mutex::new(VecDeque::new()));
    let answer = Arc::new(Mutex::new(Vec::new()));
    let kept = call.wants_answer.then(|| Arc::clone(&answer));
    let readers = [
        child.stdout.take().map(|pipe| read(pipe, Arc::clone(&log), kept)),
        child.stderr.take().map(|pipe| read(pipe, Arc::clone(&log), None)),
    ];
    let mut is_late = false;
    let by_itself = tokio::select! {
        status = child.wait() => Some(status),
        () = sleep(call.limit) => {
            is_late = true;
            None
        }
        _ = gone => None,
    };
    let status = match by_itself {
        Some(status) => status,
        None => stop(&mut child, &group, call.grace).await,
    };
    // What it started has no business any more.
    group.signal(Signal::KILL);
    group.0 = None;
    for mut reader in readers.into_iter().flatten() {
        if timeout(DRAIN, &mut reader).await.is_err() {
            reader.abort();
        }
    }
    drop(workspace);
    let how = match (is_late, status?.success()) {
        (true, _) => How::Late,
        (false, true) => How::Well,
        (false, false) => How::Badly,
    };
    let log = std::mem::take(&mut *log.lock().unwrap_or_else(PoisonError::into_inner));
    let log = String::from_utf8_lossy(&Vec::from(log)).into_owned();
    let answer = std::mem::take(&mut *answer.lock().unwrap_or_else(PoisonError::into_inner));
    Ok(Ended { how, log, answer })
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

fn read<R: AsyncRead + Unpin + Send + 'static>(
    mut pipe: R,
    log: Arc<Mutex<VecDeque<u8>>>,
    answer: Option<Arc<Mutex<Vec<u8>>>>,
) -> JoinHandle<()> {
    tokio::spawn(async move {
        let mut chunk = vec![0; 16 * 1024];
        while let Ok(length @ 1..) = pipe.read(&mut chunk).await {
            let new = chunk.get(..length).unwrap_or_default();
            if let Some(answer) = &answer {
                // An answer is no log: it may be full of secrets.
                let mut answer = answer.lock().unwrap_or_else(PoisonError::into_inner);
                if answer.len() + length <= ANSWER_LIMIT {
                    answer.extend_from_slice(new);
                }
                continue;
            }
            let mut log = log.lock().unwrap_or_else(PoisonError::into_inner);
            log.extend(new);
            let over = log.len().saturating_sub(LOG_LIMIT);
            log.drain(..over);
        }
    })
}
