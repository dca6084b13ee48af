//! Secrets as a type, not a convention.
//!
//! Invariant: a plaintext lives only inside [`Secret`], which cannot be printed or serialized. What
//! travels along the path of data is a [`SecretRef`] (where the plaintext is kept) or a
//! [`SecretExpr`] (a text with references in it).

use std::fmt;

use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

/// A plaintext. Wiped from memory when dropped; `Debug` prints a fixed mask.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Zeroizing<String>);

impl Secret {
    /// Takes ownership of a plaintext.
    #[must_use]
    pub fn new(plaintext: String) -> Self {
        Self(Zeroizing::new(plaintext))
    }

    /// The plaintext. Only sealing, injection into a driver request and delivery into a cluster
    /// have a reason to call this.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(***)")
    }
}

/// Where a plaintext is kept: a secret store, the key in the format of that store, and optionally a
/// version. On the wire the key is called `ref` (v1 API, `SecretReference`).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct SecretRef {
    /// Id of the secret store.
    pub store: String,
    /// Key in the store.
    #[serde(rename = "ref")]
    pub key: String,
    /// Version in the store; absent means the newest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
}

/// One piece of a [`SecretExpr`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SecretPart {
    /// Text that is not secret by itself.
    Text(String),
    /// A reference that stands for its plaintext.
    Secret(SecretRef),
}

/// A string of which at least one piece is secret; the string as a whole counts as secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SecretExpr(Vec<SecretPart>);

impl SecretExpr {
    /// The expression that is exactly one reference.
    #[must_use]
    pub fn reference(secret: SecretRef) -> Self {
        Self(vec![SecretPart::Secret(secret)])
    }

    /// An expression of several parts. Neighbouring texts are joined and empty ones dropped.
    #[must_use]
    pub fn from_parts(parts: impl IntoIterator<Item = SecretPart>) -> Self {
        let mut joined: Vec<SecretPart> = Vec::new();
        for part in parts {
            match (joined.last_mut(), part) {
                (_, SecretPart::Text(text)) if text.is_empty() => {}
                (Some(SecretPart::Text(before)), SecretPart::Text(text)) => before.push_str(&text),
                (_, part) => joined.push(part),
            }
        }
        Self(joined)
    }

    /// The parts, in order.
    #[must_use]
    pub fn parts(&self) -> &[SecretPart] {
        &self.0
    }

    /// The reference, when the expression is exactly one.
    #[must_use]
    pub fn as_reference(&self) -> Option<&SecretRef> {
        match self.0.as_slice() {
            [SecretPart::Secret(secret)] => Some(secret),
            _ => None,
        }
    }

    /// The plaintext, given the plaintexts of [`Self::references`] in order; `None` when there are
    /// too few.
    #[must_use]
    pub fn fill(&self, opened: &mut impl Iterator<Item = Secret>) -> Option<Secret> {
        let mut text = String::new();
        for part in &self.0 {
            match part {
                SecretPart::Text(literal) => text.push_str(literal),
                SecretPart::Secret(_) => text.push_str(opened.next()?.expose()),
            }
        }
        Some(Secret::new(text))
    }

    /// The references in the expression, in order, with repeats.
    pub fn references(&self) -> impl Iterator<Item = &SecretRef> {
        self.0.iter().filter_map(|part| match part {
            SecretPart::Secret(secret) => Some(secret),
            SecretPart::Text(_) => None,
        })
    }
}
