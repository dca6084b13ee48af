//! One call of the `git` program: arguments without a shell, an environment built from nothing, a
//! time limit, and an end for the whole process group when the limit passes or the caller goes.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::io;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt, BufWriter};
use tokio::process::{ChildStdin, Command};
use tokio::time::timeout;

use super::{Error, Options};

/// How long a stopped `git` may take to remove its lock files before it is killed.
const GRACE: Duration = Duration::from_secs(2);
/// How much of what `git` says on stderr is kept: the end of it.
const STDERR_LIMIT: usize = 16 * 1_024;

/// What the child inherits from the server. All else starts empty.
const INHERITED: &[&str] = &[
    "PATH",
    "TMPDIR",
    "http_proxy",
    "https_proxy",
    "HTTPS_PROXY",
    "all_proxy",
    "ALL_PROXY",
    "no_proxy",
    "NO_PROXY",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "GIT_SSL_CAINFO",
];

/// Configuration of every call; nothing is read from files but the mirror's own `config`.
const CONFIG: &[&str] = &[
    // Housekeeping is ours (see `mirror.rs`): a background process would outlive the lock.
    "gc.auto=0",
    "maintenance.auto=false",
    "core.hooksPath=/dev/null",
    "credential.helper=",
    "submodule.recurse=false",
    "push.followTags=false",
    // A server that accepts and never answers is left long before the limit of the call.
    "http.lowSpeedLimit=1",
    "http.lowSpeedTime=60",
    // Fetched objects arrive as one checked pack or not at all, also when the child is killed.
    "fetch.unpackLimit=1",
    "log.showSignature=false",
];

/// What is to be run.
pub(super) struct Call<'a> {
    /// For messages: "fetching from the repository".
    pub(super) step: &'static str,
    pub(super) limit: Duration,
    /// The bare repository, for commands that need one.
    pub(super) git_dir: Option<&'a Path>,
    /// Where the child starts and has its home.
    pub(super) home: &'a Path,
    /// Additions to the environment; they win over everything.
    pub(super) environment: &'a BTreeMap<&'static str, OsString>,
    pub(super) input: &'a [Cow<'a, [u8]>],
}

/// How it ended.
pub(super) struct Output {
    pub(super) success: bool,
    pub(super) stdout: Vec<u8>,
    /// The last part of it. **Not masked**: see `Session::words`.
    pub(super) stderr: Vec<u8>,
}

/// Stops the process group unless disarmed. Asks, so that `git` removes its lock files: one that
/// stayed behind in a local remote would block every later push.
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
        self.signal(Signal::TERM);
    }
}

/// Runs `git` to its end. A non-zero exit is not an error here; the caller knows what it means.
pub(super) async fn run<A: AsRef<OsStr>>(
    options: &Options,
    call: &Call<'_>,
    args: &[A],
) -> Result<Output, Error> {
    let mut command = Command::new(&options.program);
    for entry in CONFIG {
        command.arg("-c").arg(entry);
    }
    if let Some(git_dir) = call.git_dir {
        let mut arg = OsString::from("--git-dir=");
        arg.push(git_dir);
        command.arg(arg);
    }
    command.args(args).current_dir(call.home).env_clear();
    environment(&mut command, options, call);
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .kill_on_drop(true)
        .spawn()
        .map_err(|source| Error::GitMissing { program: options.program.clone(), source })?;
    // Dropped before `child`, so the group is asked before its leader is killed.
    let mut group = Group(child.id().and_then(|id| Pid::from_raw(id.cast_signed())));

    let (stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
    let work = async {
        let ((), stdout, stderr) = tokio::join!(
            feed(stdin, call.input),
            read(stdout, None),
            read(stderr, Some(STDERR_LIMIT))
        );
        let status = child.wait().await?;
        Ok::<_, io::Error>(Output { success: status.success(), stdout: stdout?, stderr: stderr? })
    };
    match timeout(call.limit, work).await {
        Ok(result) => {
            group.0 = None;
            result.map_err(|source| Error::cache(call.home, &source))
        }
        Err(_) => {
            group.signal(Signal::TERM);
            // Whether it went by itself or not: none of the group may stay.
            let _ = timeout(GRACE, child.wait()).await;
            group.signal(Signal::KILL);
            group.0 = None;
            Err(Error::Timeout { step: call.step, limit: call.limit })
        }
    }
}

fn environment(command: &mut Command, options: &Options, call: &Call<'_>) {
    for name in INHERITED {
        if let Some(value) = std::env::var_os(name) {
            command.env(name, value);
        }
    }
    command.envs(&options.environment);
    let protocols: Vec<_> = options.protocols.iter().map(|p| p.name()).collect();
    command
        .env("HOME", call.home)
        .env("XDG_CONFIG_HOME", call.home)
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env("GIT_CONFIG_SYSTEM", "/dev/null")
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_ATTR_NOSYSTEM", "1")
        .env("GIT_TERMINAL_PROMPT", "0")
        .env("GIT_ALLOW_PROTOCOL", protocols.join(":"))
        .env("GIT_PROTOCOL_FROM_USER", "0")
        .env("GIT_NO_REPLACE_OBJECTS", "1")
        .env("LC_ALL", "C")
        .env("TZ", "UTC")
        .envs(call.environment);
}

/// A child that stops reading early says why on stderr; the write error adds nothing.
async fn feed(stdin: Option<ChildStdin>, input: &[Cow<'_, [u8]>]) {
    let Some(stdin) = stdin else { return };
    let mut stdin = BufWriter::with_capacity(64 * 1_024, stdin);
    for chunk in input {
        if stdin.write_all(chunk).await.is_err() {
            return;
        }
    }
    let _ = stdin.flush().await;
}

/// Reads to the end; with a limit, keeps the last bytes only.
async fn read<R: AsyncRead + Unpin>(pipe: Option<R>, keep: Option<usize>) -> io::Result<Vec<u8>> {
    let Some(mut pipe) = pipe else { return Ok(Vec::new()) };
    let mut all = Vec::new();
    let Some(keep) = keep else {
        pipe.read_to_end(&mut all).await?;
        return Ok(all);
    };
    while (&mut pipe).take(keep as u64).read_to_end(&mut all).await? > 0 {
        all.drain(..all.len().saturating_sub(keep));
    }
    Ok(all)
}
