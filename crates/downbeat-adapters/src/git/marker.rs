//! Whose a folder of a branch is: each root holds a file [`NAME`] that names its owner.
//!
//! ```text
//! acme/shop/dev
//! # This folder belongs to that environment, and each deployment replaces what is in it.
//! ```
//!
//! Pure. Invariant: a root is written only if no folder above, at or below it is marked by somebody
//! else, and if what it holds is marked as the owner's. So no deployment removes a file that its
//! environment did not write.

use super::Error;
use super::input::{OWNER_LIMIT, is_bidi};

/// The file that marks a folder.
pub(super) const NAME: &str = ".downbeat";

/// A line that is not a comment, as `git grep` finds it.
pub(super) const PATTERN: &str = "^[^#]";

/// The tree without entries, as `git` names it everywhere.
const EMPTY_TREE: &str = "4b825dc642cb6eb9a060e54bf8d69288fbee4904";

/// A folder that somebody marked.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Marker {
    /// Empty for the whole tree.
    folder: String,
    owner: String,
}

/// What the file says.
pub(super) fn content(owner: &str) -> String {
    format!(
        "{owner}\n\
         # This folder belongs to that environment, and each deployment replaces what is in it.\n"
    )
}

/// Where the file is.
pub(super) fn path(root: &str) -> String {
    if root.is_empty() { NAME.to_owned() } else { format!("{root}/{NAME}") }
}

/// The markers that concern a root: above it, in it and below it. Folders beside it are not read.
pub(super) fn pathspecs(root: &str) -> Vec<String> {
    let mut escaped = String::with_capacity(root.len());
    for c in root.chars() {
        if matches!(c, '*' | '?' | '[' | '\\') {
            escaped.push('\\');
        }
        escaped.push(c);
    }
    let below = if root.is_empty() { "**".to_owned() } else { format!("{escaped}/**") };
    let above = above(root).map(|folder| format!(":(top,literal){}", path(folder)));
    above.chain([format!(":(top,glob){below}/{NAME}")]).collect()
}

/// Every folder that holds the root, the whole tree first.
fn above(root: &str) -> impl Iterator<Item = &str> {
    let slashes = root.match_indices('/').filter_map(|(at, _)| root.get(..at));
    (!root.is_empty()).then_some("").into_iter().chain(slashes)
}

/// What `git grep -z` answers for [`PATTERN`] at a commit: `commit:path NUL line LF`, again and
/// again. Only the first line of a marker that says something counts.
pub(super) fn parse(commit: &str, root: &str, mut answer: &[u8]) -> Vec<Marker> {
    let mut markers: Vec<Marker> = Vec::new();
    let mut until = |end: u8| {
        let at = answer.iter().position(|byte| *byte == end)?;
        let (part, rest) = answer.split_at_checked(at)?;
        answer = rest.get(1..)?;
        Some(String::from_utf8_lossy(part).into_owned())
    };
    while let (Some(place), Some(line)) = (until(0), until(b'\n')) {
        let path = place.strip_prefix(commit).and_then(|rest| rest.strip_prefix(':'));
        let folder = path.and_then(|path| match path.strip_suffix(NAME)? {
            "" => Some(""),
            folder => folder.strip_suffix('/'),
        });
        // A folder of that name holds no marker of ours, whatever else it holds.
        let Some(folder) = folder.filter(|at| holds(at, root) || holds(root, at)) else { continue };
        let owner = printable(&line);
        let says = !owner.is_empty() && !owner.starts_with('#');
        if says && markers.iter().all(|known| known.folder != folder) {
            markers.push(Marker { folder: folder.to_owned(), owner });
        }
    }
    markers
}

/// Whether the one is the other or above it.
fn holds(folder: &str, other: &str) -> bool {
    let rest = other.strip_prefix(folder);
    folder.is_empty() || rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// What others wrote, fit for a message.
fn printable(line: &str) -> String {
    let harmless = |c: &char| !c.is_control() && !is_bidi(*c);
    line.trim().chars().filter(harmless).take(OWNER_LIMIT).collect()
}

/// What a new deployment finds in the place of its root.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// Marked as the owner's, or below what is.
    Own,
    /// No marker; it has to be empty.
    Unmarked,
}

/// Refuses a root that has to do with somebody else's folder.
pub(super) fn find(markers: &[Marker], root: &str, owner: &str) -> Result<Found, Error> {
    if let Some(other) = markers.iter().find(|marker| marker.owner != owner) {
        return Err(occupied(root, &other.folder, Some(&other.owner)));
    }
    let own = markers.iter().any(|marker| holds(&marker.folder, root));
    Ok(if own { Found::Own } else { Found::Unmarked })
}

/// Refuses a root that holds files without being marked. `entry` is what `git fast-import` answers
/// for it: mode, type and id.
pub(super) fn vacant(found: Found, root: &str, entry: &str) -> Result<(), Error> {
    let filled = entry.starts_with("040000 ") && !entry.contains(EMPTY_TREE);
    match found {
        Found::Unmarked if filled => Err(occupied(root, root, None)),
        _ => Ok(()),
    }
}

fn occupied(root: &str, other_root: &str, owner: Option<&str>) -> Error {
    let (root, other_root) = (root.to_owned(), other_root.to_owned());
    Error::Occupied { root, other_root, owner: owner.map(str::to_owned) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_above_at_or_below_is_looked_at() {
        assert_eq!(pathspecs(""), [":(top,glob)**/.downbeat"]);
        assert_eq!(
            pathspecs("a*/b[1]/c"),
            [
                ":(top,literal).downbeat",
                ":(top,literal)a*/.downbeat",
                ":(top,literal)a*/b[1]/.downbeat",
                ":(top,glob)a\\*/b\\[1]/c/**/.downbeat",
            ]
        );
        assert!(holds("", "a") && holds("a", "a") && holds("a", "a/b") && holds("", ""));
        assert!(!holds("a", "ab") && !holds("a/b", "a") && !holds("a", ""));
    }

    #[test]
    fn an_answer_is_read_whatever_is_in_it() {
        let answer =
            b"c:e/.downbeat\0o/a/e\r\nc:e/.downbeat\0second\nc:e/x\ny/.downbeat\0\xff\x1b[m\n\
                       c:e/.downbeat/.downbeat\0o\nc:f/.downbeat\0beside\nc:e/d.downbeat\0no\ncut";
        let found = parse("c", "e", answer);
        let found: Vec<_> = found.iter().map(|m| (m.folder.as_str(), m.owner.as_str())).collect();
        let odd = "\u{fffd}[m";
        assert_eq!(found, [("e", "o/a/e"), ("e/x\ny", odd), ("e/.downbeat", "o")]);
    }
}
