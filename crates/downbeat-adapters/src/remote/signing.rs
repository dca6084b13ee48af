//! Signatures of requests, so that a driver can tell who calls.
//!
//! The driver has the same key and computes the same HMAC-SHA256 over time, method, path and body;
//! docs/concepts/drivers.md has the code for it.

use std::{fs, io, path::Path};

use aws_lc_rs::{hmac, rand};
use downbeat_core::{Secret, id::hex};

use crate::sealed::write_new;

/// Header of a signature: `t=<Unix seconds>,v1=<hex>`.
pub(super) const HEADER: &str = "downbeat-signature";

/// What requests are signed with: the text of a file, as it stands there.
#[derive(Clone, Debug)]
pub struct SigningKey(Secret);

/// Why there is no key.
#[derive(Debug, thiserror::Error)]
#[error("the key file {path} for signing calls of drivers cannot be used: {source}")]
pub struct SigningKeyError {
    path: String,
    source: io::Error,
}

impl SigningKey {
    /// Takes a text, without the blanks around it.
    #[must_use]
    pub fn new(text: &str) -> Self {
        Self(Secret::new(text.trim().to_owned()))
    }

    /// Reads a file.
    ///
    /// # Errors
    /// When it cannot be read, or has less than 16 characters.
    pub fn open(path: &Path) -> Result<Self, SigningKeyError> {
        let failed = |source| SigningKeyError { path: path.display().to_string(), source };
        let key = Self::new(&fs::read_to_string(path).map_err(failed)?);
        if key.0.expose().len() < 16 {
            return Err(failed(io::Error::other("it has less than 16 characters")));
        }
        Ok(key)
    }

    /// Reads a file, or makes it with a new key, readable by its owner only.
    ///
    /// # Errors
    /// When it cannot be read or written.
    pub fn open_or_create(path: &Path) -> Result<Self, SigningKeyError> {
        if !path.exists() {
            let failed = |source| SigningKeyError { path: path.display().to_string(), source };
            let mut key = [0; 32];
            rand::fill(&mut key).map_err(|_| failed(io::Error::other("no random bytes")))?;
            write_new(path, &format!("{}\n", hex(&key))).map_err(failed)?;
        }
        Self::open(path)
    }

    /// The header for a request; `path` includes the query.
    pub(super) fn sign(&self, seconds: i64, method: &str, path: &str, body: &[u8]) -> String {
        let key = hmac::Key::new(hmac::HMAC_SHA256, self.0.expose().as_bytes());
        let mut context = hmac::Context::with_key(&key);
        context.update(format!("{seconds}\n{method}\n{path}\n").as_bytes());
        context.update(body);
        format!("t={seconds},v1={}", hex(context.sign().as_ref()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_is_that_of_openssl() {
        // printf '1700000000\nPUT\n/d/1\n{}' | openssl dgst -sha256 -hmac 0123456789abcdef
        let key = SigningKey::new("0123456789abcdef\n");
        assert_eq!(
            key.sign(1_700_000_000, "PUT", "/d/1", b"{}"),
            "t=1700000000,v1=f43b126c72c286ab6024e451d76a1e87d2b34824c94e89641883924f772af45d"
        );
    }

    #[test]
    fn the_key_stays() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("driver-signing-key");
        let first = SigningKey::open_or_create(&path).unwrap();
        assert_eq!(first.0, SigningKey::open_or_create(&path).unwrap().0);
        assert_eq!(first.0.expose().len(), 64);
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        fs::write(&path, "short").unwrap();
        assert!(SigningKey::open(&path).is_err());
    }
}
