//! A folder with remotes, a cache, and stand-ins for programs.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use downbeat_adapters::git::{GitTarget, Options};
use tokio::io::{AsyncBufReadExt as _, BufReader};

pub(super) struct World {
    dir: tempfile::TempDir,
}

impl World {
    pub(super) fn new() -> Self {
        Self { dir: tempfile::tempdir().unwrap() }
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        if name.is_empty() { self.dir.path().to_owned() } else { self.dir.path().join(name) }
    }

    pub(super) fn options(&self) -> Options {
        Options::new(self.path("cache"))
    }

    pub(super) fn target(&self) -> GitTarget {
        GitTarget::new(self.options())
    }

    pub(super) fn target_with(&self, program: &Path) -> GitTarget {
        let mut options = self.options();
        options.program = program.to_owned();
        GitTarget::new(options)
    }

    /// An empty bare repository.
    pub(super) fn bare(&self, name: &str) -> PathBuf {
        let path = self.path(name);
        let at = path.to_str().unwrap();
        git(&self.path(""), &["init", "--quiet", "--bare", "--initial-branch=main", at]);
        git(&path, &["config", "gc.autoDetach", "false"]);
        git(&path, &["config", "http.receivepack", "true"]);
        path
    }

    pub(super) fn clone_of(&self, remote: &Path) -> PathBuf {
        let work = self.path("work");
        git(
            &self.path(""),
            &["clone", "--quiet", remote.to_str().unwrap(), work.to_str().unwrap()],
        );
        work
    }

    pub(super) fn push_all(&self, work: &Path, message: &str) {
        git(work, &["add", "."]);
        git(work, &["commit", "--quiet", "--message", message]);
        git(work, &["push", "--quiet", "origin", "HEAD:main"]);
    }

    /// Every path on a branch, sorted.
    pub(super) fn list(&self, remote: &Path, branch: &str) -> Vec<String> {
        let out = git(remote, &["ls-tree", "-r", "-z", "--name-only", branch]);
        let mut names: Vec<_> =
            out.split('\0').filter(|name| !name.is_empty()).map(str::to_owned).collect();
        names.sort();
        names
    }

    /// An executable shell script. Written by another process: one that was open for writing in
    /// ours cannot be executed while another test thread is forking.
    pub(super) fn script(&self, name: &str, body: &str) -> PathBuf {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        let text = format!("#!/bin/sh\n{body}\n");
        let out =
            pipe(command("sh").args(["-c", "cat > \"$0\" && chmod 755 \"$0\""]).arg(&path), &text);
        assert_eq!(out, "");
        path
    }

    pub(super) fn hook(&self, remote: &Path, name: &str, body: &str) {
        let name = remote.join("hooks").join(name);
        self.script(name.strip_prefix(self.dir.path()).unwrap().to_str().unwrap(), body);
    }

    /// A `git` that notes arguments and environment of each call, runs `body`, then the real one.
    pub(super) fn recording(&self, body: &str) -> PathBuf {
        let note = format!(
            "printf '%s ' \"$@\" | tr '\\n' ' ' >> {0}/calls.log; echo >> {0}/calls.log\n\
             env >> {0}/env.log\n{body}\nexec git \"$@\"",
            self.path("").display()
        );
        self.script("recording-git", &note)
    }

    pub(super) fn calls(&self) -> Vec<String> {
        let log = fs::read_to_string(self.path("calls.log")).unwrap_or_default();
        log.lines().map(str::to_owned).collect()
    }

    /// No file in the world holds it, in plain or as an argument; nor does a file name.
    pub(super) fn assert_absent(&self, secret: &str) {
        assert!(!self.calls().is_empty());
        each_file(&self.path(""), |file| {
            let hook = file.parent().is_some_and(|parent| parent.ends_with("hooks"));
            let content = fs::read(file).unwrap_or_default();
            let found = content.windows(secret.len()).any(|part| part == secret.as_bytes());
            assert!(hook || !found, "{}", file.display());
        });
    }

    pub(super) fn fifo(&self, name: &str) -> PathBuf {
        let path = self.path(name);
        assert_eq!(pipe(command("mkfifo").arg(&path), ""), "");
        path
    }

    /// The one mirror in the cache.
    pub(super) fn mirror(&self) -> PathBuf {
        let entries = fs::read_dir(self.path("cache")).unwrap().map(|entry| entry.unwrap().path());
        let mut mirrors: Vec<_> =
            entries.filter(|path| path.extension().is_some_and(|e| e == "git")).collect();
        assert_eq!(mirrors.len(), 1);
        mirrors.remove(0)
    }

    /// The commit that was built in the one mirror.
    pub(super) fn candidate(&self) -> String {
        git(&self.mirror(), &["for-each-ref", "--format=%(objectname)"])
    }
}

/// Lines of a pipe, as they come; the end when the last writer is gone.
pub(super) struct Lines(tokio::io::Lines<BufReader<tokio::fs::File>>);

impl Lines {
    pub(super) async fn open(fifo: &Path) -> Self {
        Self(BufReader::new(tokio::fs::File::open(fifo).await.unwrap()).lines())
    }

    pub(super) async fn next(&mut self) -> Option<String> {
        self.0.next_line().await.unwrap()
    }
}

pub(super) fn files(content: &[(&str, &str)]) -> BTreeMap<String, Vec<u8>> {
    content.iter().map(|(name, text)| ((*name).to_owned(), text.as_bytes().to_vec())).collect()
}

pub(super) fn write(path: &Path, content: &str) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    // Git makes its objects read-only.
    let _ = fs::remove_file(path);
    fs::write(path, content).unwrap();
}

pub(super) fn each_file(dir: &Path, mut act: impl FnMut(&Path)) {
    let mut open = vec![dir.to_owned()];
    while let Some(dir) = open.pop() {
        for entry in fs::read_dir(dir).unwrap() {
            let entry = entry.unwrap();
            let kind = entry.file_type().unwrap();
            if kind.is_dir() {
                open.push(entry.path());
            } else if kind.is_file() {
                act(&entry.path());
            }
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "a test's own look at the world")]
pub(super) fn command(program: &str) -> Command {
    let mut command = Command::new(program);
    command
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env("GIT_AUTHOR_NAME", "Them")
        .env("GIT_AUTHOR_EMAIL", "them@example.com")
        .env("GIT_COMMITTER_NAME", "Them")
        .env("GIT_COMMITTER_EMAIL", "them@example.com");
    command
}

fn pipe(command: &mut Command, input: &str) -> String {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

pub(super) fn sha256sum(text: &str) -> String {
    pipe(&mut command("sha256sum"), text)
}

/// What the real `git` says, without the last line ends.
pub(super) fn git(dir: &Path, args: &[&str]) -> String {
    pipe(command("git").arg("-C").arg(dir).args(args), "").trim_end().to_owned()
}

/// The bytes of one file in a repository.
pub(super) fn blob(dir: &Path, name: &str) -> Vec<u8> {
    command("git").arg("-C").arg(dir).args(["cat-file", "blob", name]).output().unwrap().stdout
}
