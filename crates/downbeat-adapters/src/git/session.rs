//! The private folder of one operation: an empty home, and the credentials while they are needed.
//!
//! `git` asks for a user name and password through `GIT_ASKPASS`. The helper is a constant script
//! without a secret in it; it prints a file of the session, and only for the host the credentials
//! are for, so that a redirect cannot carry them elsewhere. An SSH key is a file as `ssh` wants it.
//! Files (0600, in a folder of 0700) rather than variables, because every grandchild inherits the
//! environment.
//!
//! Invariant: the folder is used under the lock of its mirror and removed at the end. What a killed
//! process left behind is removed by the next operation on the same remote.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs::{self, DirBuilder, OpenOptions, Permissions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use base64::Engine as _;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use super::input::Location;
use super::{Credentials, Error, Protocol, digest};

/// Prints the user name or the password, if the question is about the right host.
const ASKPASS: &str = r#"#!/bin/sh
case "$1" in
"Username for '$DOWNBEAT_SCHEME://$DOWNBEAT_HOST': ") exec cat "$DOWNBEAT_SESSION/username" ;;
"Password for '$DOWNBEAT_SCHEME://"*"@$DOWNBEAT_HOST': ") exec cat "$DOWNBEAT_SESSION/password" ;;
esac
exit 1
"#;

/// Lines of `git` that are worth repeating in a message, at most.
const LINES: usize = 12;
/// Characters of one such line, at most.
const LINE_LIMIT: usize = 400;

pub(super) struct Session {
    dir: PathBuf,
    /// Home of the children.
    pub(super) home: PathBuf,
    /// What the children get on top of the common environment.
    pub(super) environment: BTreeMap<&'static str, OsString>,
    /// Everything that must not appear in a message, longest first.
    masked: Vec<String>,
}

impl Session {
    /// Makes the folder `dir`, which is this operation's alone, and writes the credentials.
    pub(super) fn open(
        cache: &Path,
        dir: &Path,
        location: &Location,
        credentials: Option<&Credentials>,
    ) -> Result<Self, Error> {
        let failed = |source: io::Error| Error::cache(dir, &source);
        match fs::remove_dir_all(dir) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(failed(error)),
            _ => {}
        }
        let home = dir.join("home");
        private_dir(dir).and_then(|()| private_dir(&home)).map_err(failed)?;
        // From here on, dropping it removes what was written.
        let mut session =
            Self { dir: dir.to_owned(), home, environment: BTreeMap::new(), masked: Vec::new() };
        match credentials {
            Some(Credentials::Password { username, password }) => {
                let password = password.expose();
                let basic = format!("{username}:{password}");
                session.masked.extend([
                    password.to_owned(),
                    utf8_percent_encode(password, NON_ALPHANUMERIC).to_string(),
                    base64::engine::general_purpose::STANDARD.encode(basic),
                ]);
                private_file(&dir.join("username"), username.as_bytes()).map_err(failed)?;
                private_file(&dir.join("password"), password.as_bytes()).map_err(failed)?;
                let askpass = askpass(cache)?;
                let scheme = location.protocol.name();
                session.environment.extend([
                    ("GIT_ASKPASS", askpass.into_os_string()),
                    ("DOWNBEAT_SESSION", dir.into()),
                    ("DOWNBEAT_SCHEME", scheme.into()),
                    ("DOWNBEAT_HOST", location.host.clone().into()),
                ]);
            }
            Some(Credentials::SshKey(key)) => {
                let key = key.expose();
                session.masked.extend(
                    key.lines().map(str::trim).filter(|line| line.len() > 15).map(str::to_owned),
                );
                // OpenSSH wants Unix line ends and the last one present.
                let mut lines = key.trim().replace("\r\n", "\n");
                lines.push('\n');
                private_file(&dir.join("key"), lines.as_bytes()).map_err(failed)?;
            }
            None => {}
        }
        if location.protocol == Protocol::Ssh {
            let key = matches!(credentials, Some(Credentials::SshKey(_))).then(|| dir.join("key"));
            session.environment.insert("GIT_SSH_VARIANT", "ssh".into());
            session.environment.insert("GIT_SSH_COMMAND", ssh_command(key.as_deref(), cache));
        }
        session.masked.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
        Ok(session)
    }

    /// What a child said, fit for a message: masked, no control characters, the last lines only.
    pub(super) fn words(&self, said: &[u8]) -> String {
        let mut text = String::from_utf8_lossy(said).into_owned();
        for secret in &self.masked {
            text = text.replace(secret.as_str(), "***");
        }
        let lines: Vec<String> = text
            .split(['\n', '\r'])
            .map(|line| line.chars().filter(|c| !c.is_control()).take(LINE_LIMIT).collect())
            .map(|line: String| line.trim_end().to_owned())
            .filter(|line| !line.is_empty() && !line.starts_with("hint:"))
            .collect();
        let skip = lines.len().saturating_sub(LINES);
        lines.get(skip..).unwrap_or_default().join("\n")
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        // A folder that cannot be removed now is removed by the next operation.
        let _ = fs::remove_dir_all(&self.dir);
    }
}

/// Makes a folder only this user can enter, and what is missing above it; one that is there stays
/// as it is.
pub(super) fn private_dir(path: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(path)
}

fn private_file(path: &Path, content: &[u8]) -> io::Result<()> {
    OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?.write_all(content)
}

/// The askpass script, written once per cache directory and named by its content.
///
/// Not per session: a file that was open for writing a moment ago cannot be executed while another
/// thread is between `fork` and `exec` (`ETXTBSY`).
fn askpass(cache: &Path) -> Result<PathBuf, Error> {
    let name = format!("askpass-{}", digest(ASKPASS).get(..16).unwrap_or_default());
    let path = cache.join(&name);
    let make = || -> io::Result<()> {
        if path.exists() {
            return Ok(());
        }
        let new = cache.join(format!("{name}.{}-{:016x}", std::process::id(), super::random()));
        private_file(&new, ASKPASS.as_bytes())?;
        fs::set_permissions(&new, Permissions::from_mode(0o700))?;
        fs::rename(&new, &path)
    };
    make().map_err(|source| Error::cache(&path, &source))?;
    Ok(path)
}

/// The `ssh` call. Hosts seen for the first time are remembered in the cache directory; a host
/// whose key changed is refused.
fn ssh_command(key: Option<&Path>, cache: &Path) -> OsString {
    // Inside the double quotes of an ssh option `%` begins a token; around it all, the shell.
    let option = |path: &Path| format!("\"{}\"", path.to_string_lossy().replace('%', "%%"));
    let mut words: Vec<Cow<'_, str>> = vec!["-F".into(), "/dev/null".into()];
    let mut options = vec![
        "BatchMode=yes".to_owned(),
        "IdentitiesOnly=yes".to_owned(),
        "IdentityAgent=none".to_owned(),
        "ConnectTimeout=30".to_owned(),
        "StrictHostKeyChecking=accept-new".to_owned(),
        "GlobalKnownHostsFile=/dev/null".to_owned(),
        format!("UserKnownHostsFile={}", option(&cache.join("known_hosts"))),
    ];
    // Without a key of the caller none at all: the server's own are not for everybody.
    options.push(format!("IdentityFile={}", key.map_or("none".to_owned(), option)));
    for option in options {
        words.extend(["-o".into(), option.into()]);
    }
    let mut command = String::from("ssh");
    for word in words {
        command.push_str(" '");
        command.push_str(&word.replace('\'', r"'\''"));
        command.push('\'');
    }
    command.into()
}
