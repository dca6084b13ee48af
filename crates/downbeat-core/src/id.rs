//! The grammars of ids (spec 01 section 2) and the ids that Downbeat derives.
//!
//! The grammars are checked by hand: they run on every request, and the published regular
//! expressions backtrack badly in other engines.

use std::fmt;

use aws_lc_rs::digest::{self, SHA256};
use serde::{Deserialize, Serialize};

/// A rule that an id has to follow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Grammar {
    /// Applications, environments: `^[a-z0-9](?:-?[a-z0-9]+)+$`, at most 50.
    Application,
    /// Environment types, secret stores, agents: the same without the upper limit.
    Plain,
    /// Organizations, definitions, drivers, registries, accounts: `^[a-z0-9][a-z0-9-]+[a-z0-9]$`.
    Definition,
    /// Resource classes: `^[a-z0-9][a-z0-9-]*[a-z0-9]$`, 2 to 63.
    Class,
    /// Workloads: `^[a-z0-9][a-z0-9-]{0,61}[a-z0-9]$`.
    Workload,
    /// Shared values: `^[A-Za-z0-9._-]+$`.
    ValueKey,
}

impl Grammar {
    /// Whether `text` follows the rule.
    #[must_use]
    pub fn accepts(self, text: &str) -> bool {
        let length = text.len();
        match self {
            Self::Application => length <= 50 && single_hyphens(text),
            Self::Plain => length <= 255 && single_hyphens(text),
            Self::Definition => (3..=255).contains(&length) && hyphens_inside(text),
            Self::Class | Self::Workload => (2..=63).contains(&length) && hyphens_inside(text),
            Self::ValueKey => {
                (1..=255).contains(&length)
                    && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b))
            }
        }
    }

    /// What the rule says, for a message.
    #[must_use]
    pub fn expected(self) -> &'static str {
        match self {
            Self::Application => {
                "2 to 50 lower-case letters and digits, with single hyphens between them"
            }
            Self::Plain => {
                "at least 2 lower-case letters and digits, with single hyphens between them"
            }
            Self::Definition => {
                "at least 3 lower-case letters, digits and hyphens, not starting or ending with a hyphen"
            }
            Self::Class | Self::Workload => {
                "2 to 63 lower-case letters, digits and hyphens, not starting or ending with a hyphen"
            }
            Self::ValueKey => "letters, digits, '.', '_' and '-'",
        }
    }
}

fn lower_or_digit(byte: u8) -> bool {
    byte.is_ascii_lowercase() || byte.is_ascii_digit()
}

fn hyphens_inside(text: &str) -> bool {
    let bytes = text.as_bytes();
    bytes.iter().all(|&b| lower_or_digit(b) || b == b'-')
        && bytes.first().is_some_and(|&b| b != b'-')
        && bytes.last().is_some_and(|&b| b != b'-')
}

fn single_hyphens(text: &str) -> bool {
    text.len() >= 2 && hyphens_inside(text) && !text.contains("--")
}

/// The permanent id of one resource in one environment: 40 lower-case hex characters.
///
/// Derived, not allocated, so that building a graph stays a pure function: the first 160 bits of
/// SHA-256 over the installation, the identity (organization, application, environment, type,
/// class, resource id) and the incarnation, which counts how often the resource was deleted.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct GuResId([u8; 20]);

impl GuResId {
    /// Derives the id of an identity. `parts` are joined with a separator that no id can hold.
    #[must_use]
    pub fn derive(installation: &str, parts: [&str; 6], incarnation: u64) -> Self {
        let mut context = digest::Context::new(&SHA256);
        context.update(installation.as_bytes());
        for part in parts {
            context.update(&[0]);
            context.update(part.as_bytes());
        }
        if incarnation > 0 {
            context.update(&[0]);
            context.update(&incarnation.to_be_bytes());
        }
        let mut id = [0; 20];
        for (to, from) in id.iter_mut().zip(context.finish().as_ref()) {
            *to = *from;
        }
        Self(id)
    }

    /// Reads the text form. One id has one text: upper-case hex is not read.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let digit = |byte: u8| match byte {
            b'0'..=b'9' => Some(byte - b'0'),
            b'a'..=b'f' => Some(byte - b'a' + 10),
            _ => None,
        };
        let mut id = [0; 20];
        if text.len() != 40 {
            return None;
        }
        for (to, pair) in id.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
            let [high, low] = pair else { return None };
            *to = digit(*high)? << 4 | digit(*low)?;
        }
        Some(Self(id))
    }
}

impl fmt::Display for GuResId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex(&self.0))
    }
}

impl fmt::Debug for GuResId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for GuResId {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for GuResId {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).ok_or_else(|| serde::de::Error::custom("not a GUResID"))
    }
}

/// Lower-case hex.
#[must_use]
pub fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digit = |value: u8| char::from(DIGITS.get(usize::from(value)).copied().unwrap_or(b'0'));
    let mut text = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        text.push(digit(byte >> 4));
        text.push(digit(byte & 15));
    }
    text
}

/// SHA-256 in lower-case hex.
#[must_use]
pub fn sha256_hex(bytes: &[u8]) -> String {
    hex(digest::digest(&SHA256, bytes).as_ref())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grammars() {
        let check = |grammar: Grammar, good: &[&str], bad: &[&str]| {
            for text in good {
                assert!(grammar.accepts(text), "{grammar:?} refuses {text:?}");
            }
            for text in bad {
                assert!(!grammar.accepts(text), "{grammar:?} accepts {text:?}");
            }
        };
        let bad = ["", "a", "-a", "a-", "A1", "a_b", "ä1", "a b"];
        check(Grammar::Application, &["a1", "a-b-c", "0x"], &bad);
        check(Grammar::Application, &[], &["a--b", &"a".repeat(51)]);
        check(Grammar::Definition, &["a--b", "abc"], &bad);
        check(Grammar::Definition, &[], &["ab"]);
        check(Grammar::Class, &["ab", "a--b"], &bad);
        check(Grammar::Workload, &["ab", &"a".repeat(63)], &[&"a".repeat(64)]);
        check(Grammar::ValueKey, &["A.b_c-1", "x"], &["", "a b", "ä", "a/b"]);
    }

    #[test]
    fn guresid_is_stable_and_tells_identities_apart() {
        let identity = ["o", "a", "e", "postgres", "default", "modules.w.externals.db"];
        let id = GuResId::derive("i", identity, 0);
        assert_eq!(id, GuResId::derive("i", identity, 0));
        assert_ne!(id, GuResId::derive("i", identity, 1));
        assert_ne!(id, GuResId::derive("j", identity, 0));
        assert_ne!(id, GuResId::derive("i", ["oa", "", "e", "p", "d", "m"], 0));
        assert_eq!(GuResId::parse(&id.to_string()), Some(id));
        assert_eq!(GuResId::parse("xyz"), None);
        assert_eq!(GuResId::parse(&"é".repeat(20)), None);
        // Found by fuzzing: other texts of the same number.
        assert_eq!(GuResId::parse(&id.to_string().to_uppercase()), None);
        assert_eq!(GuResId::parse(&"+f".repeat(20)), None);
    }
}
