//! The key of one resource's infrastructure code: what lets a run of Terraform reach the state of
//! its resource in our server, and nothing else.
//!
//! A key is derived from the installation's seed and the GUResID, so that the driver can make it
//! and the server can check it without either storing it.

use std::fmt;

use aws_lc_rs::hmac;
use downbeat_core::{Secret, id::hex};

/// Keeps these keys apart from everything else that is derived from the seed.
const PURPOSE: &[u8] = b"downbeat terraform state\0";

/// Makes and checks run keys.
#[derive(Clone)]
pub struct RunKeys(hmac::Key);

impl fmt::Debug for RunKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RunKeys(***)")
    }
}

impl RunKeys {
    /// The run keys of the installation with this seed.
    #[must_use]
    pub fn new(seed: &[u8]) -> Self {
        Self(hmac::Key::new(hmac::HMAC_SHA256, seed))
    }

    /// The key of a resource.
    #[must_use]
    pub fn make(&self, guresid: &str) -> Secret {
        Secret::new(hex(hmac::sign(&self.0, &message(guresid)).as_ref()))
    }

    /// Whether this is the key of the resource. The time it takes does not depend on what is
    /// given.
    #[must_use]
    pub fn is_valid(&self, guresid: &str, given: &str) -> bool {
        let pairs = given.as_bytes().chunks(2).map(|pair| {
            let pair = std::str::from_utf8(pair).ok().filter(|pair| pair.len() == 2)?;
            u8::from_str_radix(pair, 16).ok()
        });
        let bytes: Option<Vec<u8>> = pairs.collect();
        bytes.is_some_and(|bytes| hmac::verify(&self.0, &message(guresid), &bytes).is_ok())
    }
}

fn message(guresid: &str) -> Vec<u8> {
    [PURPOSE, guresid.as_bytes()].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_opens_one_resource_of_one_installation() {
        let keys = RunKeys::new(b"seed");
        let key = keys.make("a1");
        assert_eq!(key.expose().len(), 64);
        assert!(keys.is_valid("a1", key.expose()));
        assert!(!keys.is_valid("a2", key.expose()));
        assert!(!RunKeys::new(b"other").is_valid("a1", key.expose()));
        for wrong in ["", "a", "zz", "äää", &key.expose()[..62], &format!("{}00", key.expose())]
        {
            assert!(!keys.is_valid("a1", wrong), "{wrong}");
        }
    }
}
