//! What a caller may ask for: addresses, branch names, file names, messages.
//!
//! Pure. Invariant: what passes here can neither become an option of a child process, nor leave the
//! folder it was meant for, nor write into what `git` on any platform takes for its own directory.

use std::collections::BTreeMap;

use super::marker;
use super::{Change, Credentials, Error, Identity, Protocol, Repository};

/// Longest address in bytes.
const URL_LIMIT: usize = 2_048;
/// Longest branch name in bytes: what common hosts accept.
const BRANCH_LIMIT: usize = 244;
/// Longest path in bytes, root included.
const PATH_LIMIT: usize = 1_024;
/// Longest path component in bytes: what common file systems accept.
const COMPONENT_LIMIT: usize = 255;
/// Longest commit message in bytes; a longer one is cut.
const MESSAGE_LIMIT: usize = 4 * 1_024;
/// Longest name of an owner in bytes.
pub(super) const OWNER_LIMIT: usize = 400;
/// Longest deployment id in bytes.
const KEY_LIMIT: usize = 200;

/// An address that was taken apart and found harmless.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Location {
    /// The address as `git` gets it; trailing slashes of local paths are gone.
    pub(super) url: String,
    pub(super) protocol: Protocol,
    /// Host and port as written; empty for local paths.
    pub(super) host: String,
}

/// Checks the address, and that the credentials are of the kind it can use.
pub(super) fn location(repository: &Repository, allowed: &[Protocol]) -> Result<Location, Error> {
    let bad = |reason: &str| Error::bad("repository URL", reason);
    let url = repository.url.as_str();
    if url.is_empty() {
        return Err(bad("it is empty"));
    }
    if url.len() > URL_LIMIT {
        return Err(bad("it is longer than 2,048 bytes"));
    }
    if url.chars().any(char::is_control) {
        return Err(bad("it has a control character in it"));
    }
    if url.starts_with('-') {
        return Err(bad("it begins with a dash"));
    }
    let before_slash = url.split('/').next().unwrap_or_default();
    if before_slash.contains("::") {
        return Err(bad("remote helpers (`name::address`) are not accepted"));
    }
    let location = if let Some(rest) = url.strip_prefix("https://") {
        http(url, rest, Protocol::Https)?
    } else if let Some(rest) = url.strip_prefix("http://") {
        http(url, rest, Protocol::Http)?
    } else if let Some(rest) = url.strip_prefix("ssh://") {
        let authority = rest.split('/').next().unwrap_or_default();
        ssh(url, authority, rest.get(authority.len() + 1..).unwrap_or_default())?
    } else if let Some(rest) = url.strip_prefix("file://") {
        if !rest.starts_with('/') {
            return Err(bad("a file:// address needs an absolute path"));
        }
        local(url)
    } else if url.starts_with('/') {
        local(url)
    } else if url.contains("://") {
        return Err(bad("only https, http, ssh, file and absolute paths are accepted"));
    } else if let Some((authority, path)) =
        before_slash.contains(':').then(|| url.split_once(':')).flatten()
    {
        ssh(url, authority, path)?
    } else {
        return Err(bad("a local path has to be absolute"));
    };
    if !allowed.contains(&location.protocol) {
        return Err(bad(&format!(
            "{} is not among the protocols this server allows",
            location.protocol.name()
        )));
    }
    credentials(repository.credentials.as_ref(), location.protocol)?;
    Ok(location)
}

fn local(url: &str) -> Location {
    let trimmed = url.trim_end_matches('/');
    let url = if trimmed.is_empty() || trimmed == "file:" { url } else { trimmed };
    Location { url: url.to_owned(), protocol: Protocol::File, host: String::new() }
}

fn http(url: &str, rest: &str, protocol: Protocol) -> Result<Location, Error> {
    let bad = |reason: &str| Error::bad("repository URL", reason);
    if url.contains([' ', '?', '#', '\\']) {
        return Err(bad("it has a space, `?`, `#` or backslash in it"));
    }
    let authority = rest.split('/').next().unwrap_or_default();
    if authority.contains('@') {
        return Err(bad(
            "user name and password belong into the credentials, not into the address",
        ));
    }
    host(authority)?;
    Ok(Location { url: url.to_owned(), protocol, host: authority.to_owned() })
}

fn ssh(url: &str, authority: &str, path: &str) -> Result<Location, Error> {
    let bad = |reason: &str| Error::bad("repository URL", reason);
    if url.contains(' ') {
        return Err(bad("it has a space in it"));
    }
    if path.is_empty() || path.starts_with('-') {
        return Err(bad("its path is empty or begins with a dash"));
    }
    if matches!(authority, "file" | "http" | "https" | "ssh") {
        return Err(bad("two slashes are missing after its scheme"));
    }
    // `user:secret@host:path` is, to ssh, the path `secret@host:path` on the host `user`.
    if !url.contains("://") && path.contains('@') && !authority.contains('@') {
        return Err(bad("it seems to hold a password"));
    }
    let name = match authority.rsplit_once('@') {
        None => authority,
        Some((user, name)) => {
            let harmless = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
            if user.is_empty() || user.starts_with('-') || !user.chars().all(harmless) {
                return Err(bad("its user name may hold letters, digits, `.`, `_` and `-` only"));
            }
            name
        }
    };
    host(name)?;
    Ok(Location { url: url.to_owned(), protocol: Protocol::Ssh, host: name.to_owned() })
}

/// A host name or address, with or without a port. Harmless in a shell pattern, too.
fn host(text: &str) -> Result<(), Error> {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
    let (name, port) = match text.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((inner, port)) => {
            let v6 = |c: char| c.is_ascii_hexdigit() || matches!(c, ':' | '.');
            if inner.is_empty() || !inner.chars().all(v6) {
                return Err(Error::bad("repository URL", "its host is not an IPv6 address"));
            }
            (None, port)
        }
        None => match text.split_once(':') {
            Some((name, _)) => (Some(name), text.get(name.len()..).unwrap_or_default()),
            None => (Some(text), ""),
        },
    };
    if let Some(name) = name
        && (name.is_empty() || name.starts_with('-') || !name.chars().all(plain))
    {
        return Err(Error::bad("repository URL", "its host is missing or not a host name"));
    }
    let port = port.strip_prefix(':').unwrap_or(port);
    if port.len() > 5 || !port.chars().all(|c| c.is_ascii_digit()) {
        return Err(Error::bad("repository URL", "its port is not a number"));
    }
    Ok(())
}

fn credentials(credentials: Option<&Credentials>, protocol: Protocol) -> Result<(), Error> {
    let bad = |reason: &str| Err(Error::bad("credentials", reason));
    let one_line = |text: &str| !text.chars().any(char::is_control);
    match (credentials, protocol) {
        (None, _) | (Some(Credentials::SshKey(_)), Protocol::Ssh) => Ok(()),
        (Some(Credentials::Password { username, password }), Protocol::Https | Protocol::Http) => {
            if username.is_empty() || !one_line(username) || username.len() > 1_024 {
                return bad("the user name is empty, too long or has a control character in it");
            }
            if password.expose().is_empty() || !one_line(password.expose()) {
                return bad("the password is empty or has a control character in it");
            }
            Ok(())
        }
        (Some(_), Protocol::File) => bad("a local repository takes none"),
        (Some(_), Protocol::Ssh) => bad("an SSH address takes a private key, not a password"),
        (Some(_), _) => bad("an HTTP address takes user name and password, not a key"),
    }
}

/// Checks a branch name by the rules of `git check-ref-format`.
pub(super) fn branch(name: &str) -> Result<(), Error> {
    let forbidden =
        |c: char| c.is_control() || matches!(c, ' ' | '~' | '^' | ':' | '?' | '*' | '[' | '\\');
    let component = |part: &str| {
        !part.is_empty()
            && !part.starts_with('.')
            && !part.ends_with('.')
            && !part.ends_with(".lock")
    };
    let reason = if name.is_empty() || name.len() > BRANCH_LIMIT {
        "it is empty or longer than 244 bytes"
    } else if name.starts_with('-') || name == "HEAD" || name == "@" {
        "it begins with a dash or is a name of git itself"
    } else if name.starts_with("refs/") {
        "write the short name, without `refs/heads/`"
    } else if name.contains("..")
        || name.contains("@{")
        || name.contains(forbidden)
        || !name.split('/').all(component)
    {
        "it is not a valid branch name"
    } else {
        return Ok(());
    };
    Err(Error::bad("branch", reason))
}

/// Checks the root folder; gives it without a trailing slash.
pub(super) fn root(root: &str) -> Result<&str, Error> {
    let root = root.strip_suffix('/').unwrap_or(root);
    if !root.is_empty() {
        path("root folder", root)?;
    }
    Ok(root)
}

/// Checks everything of a change but its repository.
pub(super) fn change(change: &Change) -> Result<(), Error> {
    let root = root(&change.root)?;
    for name in change.files.keys() {
        path("file name", name)?;
        if root.len() + 1 + name.len() > PATH_LIMIT {
            return Err(too_long("file name", name));
        }
    }
    not_file_and_folder(&change.files)?;
    owner(&change.owner)?;
    key(&change.key)?;
    if message(&change.message).lines().next().is_none_or(|subject| subject.trim().is_empty()) {
        return Err(Error::bad("commit message", "its first line is empty"));
    }
    if change.time.as_second() < 0 {
        return Err(Error::bad("commit time", "it is before 1970"));
    }
    Ok(())
}

/// The message as it is committed. People type comments, so none is refused for what is in it.
pub(super) fn message(message: &str) -> String {
    let mut clean = String::with_capacity(message.len().min(MESSAGE_LIMIT));
    for c in message.replace("\r\n", "\n").chars().filter(|c| !is_bidi(*c)) {
        let line_break = matches!(c, '\u{2028}' | '\u{2029}');
        let c = if c != '\n' && (c.is_control() || line_break) { ' ' } else { c };
        if clean.len() + c.len_utf8() > MESSAGE_LIMIT {
            break;
        }
        clean.push(c);
    }
    clean.truncate(clean.trim_end().len());
    clean
}

/// Whether a character only says in which direction others are written: with such, a text reads
/// otherwise than it is.
pub(super) fn is_bidi(c: char) -> bool {
    matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Checks the name of an owner: it has to survive as the first line of a marker.
fn owner(owner: &str) -> Result<(), Error> {
    let odd = |c: char| c.is_control() || is_bidi(c);
    if owner.is_empty() || owner.len() > OWNER_LIMIT || owner.trim() != owner {
        return Err(Error::bad("owner", "it is empty, too long or has a space around it"));
    }
    if owner.starts_with('#') || owner.chars().any(odd) {
        return Err(Error::bad("owner", "it begins with `#` or has a control character in it"));
    }
    Ok(())
}

/// Checks a deployment id: it has to survive as one word of a trailer.
pub(super) fn key(key: &str) -> Result<(), Error> {
    if key.is_empty() || key.len() > KEY_LIMIT || !key.chars().all(|c| c.is_ascii_graphic()) {
        return Err(Error::bad(
            "deployment id",
            "it has to be 1 to 200 printable ASCII characters without a space",
        ));
    }
    Ok(())
}

/// Checks what goes into the author and committer line.
pub(super) fn identity(identity: &Identity) -> Result<(), Error> {
    let bad = |text: &str| {
        text.trim().is_empty() || text.chars().any(|c| c.is_control() || matches!(c, '<' | '>'))
    };
    if bad(&identity.name) || bad(&identity.email) {
        return Err(Error::bad(
            "commit identity",
            "name and email must not be empty nor hold `<`, `>` or a line break",
        ));
    }
    Ok(())
}

fn path(what: &'static str, path: &str) -> Result<(), Error> {
    if path.is_empty() {
        return Err(Error::bad(what, "it is empty"));
    }
    if path.len() > PATH_LIMIT {
        return Err(too_long(what, path));
    }
    let bad = |reason: &str| Error::bad(what, format!("{path:?}: {reason}"));
    if path.starts_with('/') {
        return Err(bad("an absolute path is not accepted"));
    }
    if path.chars().any(char::is_control) {
        return Err(bad("it has a control character in it"));
    }
    if path.contains('\\') {
        return Err(bad("it has a backslash in it, which other systems take for a slash"));
    }
    for component in path.split('/') {
        if component.is_empty() {
            return Err(bad("it has an empty component"));
        }
        if component == "." || component == ".." {
            return Err(bad("`.` and `..` are not accepted"));
        }
        if component.len() > COMPONENT_LIMIT {
            return Err(too_long(what, path));
        }
        if is_dot_git(component) {
            return Err(bad("`.git` belongs to git"));
        }
        if component.eq_ignore_ascii_case(marker::NAME) {
            return Err(bad("`.downbeat` marks whose a folder is"));
        }
    }
    Ok(())
}

fn too_long(what: &'static str, path: &str) -> Error {
    let start: String = path.chars().take(40).collect();
    Error::bad(what, format!("{start:?}…: longer than 1,024 bytes, or a component than 255"))
}

/// Whether some file system that people check out on takes the name for `.git`: any case, the
/// NTFS short name, trailing dots and spaces, alternate streams, code points that HFS+ ignores.
fn is_dot_git(component: &str) -> bool {
    let ignored = |c: char| matches!(c, '\u{200c}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{206a}'..='\u{206f}' | '\u{feff}');
    let seen: String = component.chars().filter(|c| !ignored(*c)).collect();
    let name = seen.split(':').next().unwrap_or_default().trim_end_matches([' ', '.']);
    name.eq_ignore_ascii_case(".git") || name.eq_ignore_ascii_case("git~1")
}

/// `a` and `a/b` cannot both be files; git would silently keep one.
fn not_file_and_folder(files: &BTreeMap<String, Vec<u8>>) -> Result<(), Error> {
    for name in files.keys() {
        for (at, _) in name.match_indices('/') {
            if let Some(folder) = name.get(..at)
                && files.contains_key(folder)
            {
                return Err(Error::bad(
                    "file name",
                    format!("{folder:?} is a file and, for {name:?}, also a folder"),
                ));
            }
        }
    }
    Ok(())
}
