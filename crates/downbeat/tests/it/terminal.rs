//! A user's terminal: a home of its own, files, and commands that are run to their end.

use std::{
    fs,
    io::{BufRead as _, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
};

use tempfile::TempDir;

/// A terminal in a fresh folder.
pub(crate) struct Terminal {
    folder: TempDir,
}

/// What a command said.
pub(crate) struct Said {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Terminal {
    pub(crate) fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        path
    }

    /// A command in this terminal, with no environment but its own.
    #[expect(clippy::disallowed_methods, reason = "tests start the program as a user does")]
    pub(crate) fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", self.folder.path())
            .current_dir(self.folder.path());
        command
    }

    /// `downbeat` in this terminal.
    pub(crate) fn program(&self) -> Command {
        self.command(env!("CARGO_BIN_EXE_downbeat"))
    }

    /// Runs `downbeat` with arguments separated by blanks.
    pub(crate) fn downbeat(&self, arguments: &str) -> Said {
        said(self.program().args(arguments.split_whitespace()).output().unwrap())
    }

    /// Runs `downbeat`, which has to succeed.
    pub(crate) fn ok(&self, arguments: &str) -> Said {
        let said = self.downbeat(arguments);
        assert_eq!(said.code, 0, "downbeat {arguments}\n{}\n{}", said.err, said.out);
        said
    }

    /// Starts a server on a free port, and waits until it has said all that it says at the start.
    pub(crate) fn serve(&self, arguments: &str) -> Serving {
        let mut command = self.program();
        command.args(["serve", "--listen", "0"]).args(arguments.split_whitespace());
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
        let mut out = Vec::new();
        for line in lines {
            let is_last =
                line.contains("DOWNBEAT_TOKEN=") || line.contains("downbeat token --data");
            out.push(line);
            if is_last {
                break;
            }
        }
        Serving { child, out: out.join("\n") }
    }

    /// Runs `git` in the repository of manifests.
    pub(crate) fn git(&self, arguments: &str) -> String {
        let folder = self.manifests();
        let mut command = self.command("git");
        command.arg("-C").arg(folder).args(arguments.split_whitespace());
        let said = said(command.output().unwrap());
        assert_eq!(said.code, 0, "git {arguments}\n{}", said.err);
        said.out
    }

    pub(crate) fn manifests(&self) -> PathBuf {
        self.path(".local/share/downbeat/manifests")
    }

    /// Subjects of the commits, newest first.
    pub(crate) fn commits(&self) -> Vec<String> {
        self.git("log --format=%s").lines().map(str::to_owned).collect()
    }

    /// Files that the newest commit touched: status and path below the environment's folder.
    pub(crate) fn touched(&self) -> Vec<String> {
        let text = self.git("show --format= --name-status HEAD");
        text.lines()
            .map(|line| {
                let (status, path) = line.split_once('\t').unwrap();
                let below = path.splitn(4, '/').nth(3).unwrap_or(path);
                format!("{status} {below}")
            })
            .collect()
    }
}

/// A server that runs until this is dropped.
pub(crate) struct Serving {
    child: Child,
    pub(crate) out: String,
}

impl Serving {
    /// What stands behind a word of the output, up to the next blank.
    pub(crate) fn word(&self, before: &str) -> Option<&str> {
        self.out.split_once(before)?.1.split_whitespace().next()
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

pub(crate) fn said(output: Output) -> Said {
    Said {
        code: output.status.code().unwrap_or(-1),
        out: String::from_utf8(output.stdout).unwrap(),
        err: String::from_utf8(output.stderr).unwrap(),
    }
}

/// A folder of the repository.
pub(crate) fn repository(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(name)
}
