//! Strings as Go has them: bytes that are usually, but not necessarily, UTF-8.
//!
//! Decoding base64 or cutting a string in the middle of a character makes bytes that are no
//! text. They must survive until they are encoded again (`b64dec | b64enc`), so they are kept;
//! only when they reach the output is every invalid byte replaced by U+FFFD.

use std::borrow::Cow;
use std::sync::Arc;

/// A Go string.
#[derive(Clone)]
pub(crate) enum Text {
    Utf8(Arc<str>),
    /// Not valid UTF-8.
    Raw(Arc<[u8]>),
}

impl Text {
    pub(crate) fn from_bytes(bytes: Vec<u8>) -> Self {
        match String::from_utf8(bytes) {
            Ok(text) => Self::Utf8(text.into()),
            Err(error) => Self::Raw(error.into_bytes().into()),
        }
    }

    pub(crate) fn from_slice(bytes: &[u8]) -> Self {
        match std::str::from_utf8(bytes) {
            Ok(text) => Self::Utf8(text.into()),
            Err(_) => Self::Raw(bytes.into()),
        }
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        match self {
            Self::Utf8(text) => text.as_bytes(),
            Self::Raw(bytes) => bytes,
        }
    }

    /// Returns the text with every invalid byte replaced by U+FFFD.
    pub(crate) fn to_str(&self) -> Cow<'_, str> {
        match self {
            Self::Utf8(text) => Cow::Borrowed(text),
            Self::Raw(bytes) => Cow::Owned(lossy(bytes)),
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.as_bytes().len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.as_bytes().is_empty()
    }
}

impl PartialEq for Text {
    fn eq(&self, other: &Self) -> bool {
        self.as_bytes() == other.as_bytes()
    }
}

/// Replaces each invalid byte by one U+FFFD, as Go does when it walks a string rune by rune.
/// (Rust's own lossy conversion makes one U+FFFD of several bytes.)
pub(crate) fn lossy(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len() + 8);
    for chunk in bytes.utf8_chunks() {
        text.push_str(chunk.valid());
        for _ in chunk.invalid() {
            text.push(char::REPLACEMENT_CHARACTER);
        }
    }
    text
}
