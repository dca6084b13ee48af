//! Sealing for the local secret store: envelope encryption with a key ring in a file.
//!
//! Each plaintext is encrypted with a data key of its own (AES-256-GCM), the data key with the
//! newest key of the ring. Key id, wrapped data key and ciphertext are stored together, so that a
//! new key can be added without touching what is stored. The place of the secret is bound to both
//! ciphertexts: rows cannot be swapped.
//!
//! ```text
//! version 1 | key id (8) | nonce (12) | wrapped data key (32 + 16) | nonce (12) | ciphertext + 16
//! ```

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Read, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

use aws_lc_rs::{
    aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey},
    digest, hmac, rand,
};
use downbeat_core::Secret;
use downbeat_engine::{Sealer, SecretsError};

const VERSION: u8 = 1;
const KEY_LEN: usize = 32;
const TAG_LEN: usize = 16;
const ID_LEN: usize = 8;

/// A key ring from a file. One key for each line, 64 hex characters; the last one seals.
pub struct KeyRing {
    keys: Vec<Key>,
}

struct Key {
    id: [u8; ID_LEN],
    sealing: LessSafeKey,
    digest: hmac::Key,
    seed: Vec<u8>,
}

/// Why a key ring cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file cannot be read or written.
    #[error("the key file {} cannot be used: {source}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A line is not a key.
    #[error("line {line} of the key file {} is not a key: it must have 64 hex characters", path.display())]
    Key {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
    },
    /// The file has no key.
    #[error("the key file {} has no key", path.display())]
    Empty {
        /// The file.
        path: PathBuf,
    },
    /// No random bytes could be had.
    #[error("the system gives no random bytes")]
    Random,
}

impl KeyRing {
    /// Reads the ring, or makes one with a new key (mode 0600) when the file does not exist.
    ///
    /// # Errors
    /// When the file cannot be used or holds something else.
    pub fn open_or_create(path: &Path) -> Result<Self, Error> {
        let file_error = |source| Error::File { path: path.to_owned(), source };
        match File::open(path) {
            Ok(mut file) => {
                let mut text = String::new();
                file.read_to_string(&mut text).map_err(file_error)?;
                Self::parse(path, &text)
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let mut key = [0; KEY_LEN];
                rand::fill(&mut key).map_err(|_| Error::Random)?;
                let text = format!("{}\n", downbeat_core::id::hex(&key));
                write_new(path, &text).map_err(file_error)?;
                Self::parse(path, &text)
            }
            Err(error) => Err(file_error(error)),
        }
    }

    fn parse(path: &Path, text: &str) -> Result<Self, Error> {
        let mut keys = Vec::new();
        for (number, line) in text.lines().enumerate() {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let bad = || Error::Key { path: path.to_owned(), line: number + 1 };
            let bytes = unhex(line).filter(|bytes| bytes.len() == KEY_LEN).ok_or_else(bad)?;
            keys.push(Key::new(&bytes).ok_or_else(bad)?);
        }
        if keys.is_empty() {
            return Err(Error::Empty { path: path.to_owned() });
        }
        Ok(Self { keys })
    }

    /// A key for everything random that drivers ask for. It comes from the first key of the ring,
    /// so that it stays when keys are added.
    #[must_use]
    pub fn seed(&self) -> Vec<u8> {
        self.keys.first().map(|key| key.seed.clone()).unwrap_or_default()
    }
}

/// Writes a file that did not exist, readable by its owner only; it appears complete or not at all.
pub(crate) fn write_new(path: &Path, text: &str) -> io::Result<()> {
    let mut temporary = path.as_os_str().to_owned();
    temporary.push(".new");
    let temporary = PathBuf::from(temporary);
    // What an interrupted start left may have another owner or mode.
    match fs::remove_file(&temporary) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&temporary)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    fs::rename(&temporary, path)?;
    if let Some(folder) = path.parent() {
        File::open(folder)?.sync_all()?;
    }
    Ok(())
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    if !text.is_ascii() || !text.len().is_multiple_of(2) {
        return None;
    }
    let pairs = text.as_bytes().chunks_exact(2);
    pairs.map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()).collect()
}

impl Key {
    fn new(bytes: &[u8]) -> Option<Self> {
        // One secret, several uses: each is derived under its own name.
        let root = hmac::Key::new(hmac::HMAC_SHA256, bytes);
        let derive = |name: &str| hmac::sign(&root, name.as_bytes()).as_ref().to_vec();
        let id = digest::digest(&digest::SHA256, &derive("id"));
        let sealing = UnboundKey::new(&AES_256_GCM, &derive("seal")).ok()?;
        Some(Self {
            id: id.as_ref().get(..ID_LEN)?.try_into().ok()?,
            sealing: LessSafeKey::new(sealing),
            digest: hmac::Key::new(hmac::HMAC_SHA256, &derive("digest")),
            seed: derive("seed"),
        })
    }
}

fn failed(message: &str, context: &str) -> SecretsError {
    SecretsError { message: format!("the secret {context:?} {message}") }
}

fn nonce() -> Option<[u8; NONCE_LEN]> {
    let mut nonce = [0; NONCE_LEN];
    rand::fill(&mut nonce).ok()?;
    Some(nonce)
}

/// `nonce | ciphertext | tag`
fn encrypt(key: &LessSafeKey, context: &str, plain: &[u8]) -> Option<Vec<u8>> {
    let nonce = nonce()?;
    let mut body = plain.to_vec();
    let aad = Aad::from(context.as_bytes());
    key.seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), aad, &mut body).ok()?;
    let mut out = nonce.to_vec();
    out.append(&mut body);
    Some(out)
}

fn decrypt(key: &LessSafeKey, context: &str, sealed: &[u8]) -> Option<Vec<u8>> {
    let (nonce, body) = sealed.split_at_checked(NONCE_LEN)?;
    let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
    let mut body = body.to_vec();
    let plain = key.open_in_place(nonce, Aad::from(context.as_bytes()), &mut body).ok()?;
    Some(plain.to_vec())
}

impl Sealer for KeyRing {
    fn seal(&self, context: &str, secret: &Secret) -> Result<Vec<u8>, SecretsError> {
        let sealed = || {
            let key = self.keys.last()?;
            let mut data_key = [0; KEY_LEN];
            rand::fill(&mut data_key).ok()?;
            let wrapped = encrypt(&key.sealing, context, &data_key)?;
            let data = LessSafeKey::new(UnboundKey::new(&AES_256_GCM, &data_key).ok()?);
            let body = encrypt(&data, context, secret.expose().as_bytes())?;
            let mut out = vec![VERSION];
            out.extend_from_slice(&key.id);
            out.extend(wrapped);
            out.extend(body);
            Some(out)
        };
        sealed().ok_or_else(|| failed("cannot be sealed", context))
    }

    fn open(&self, context: &str, sealed: &[u8]) -> Result<Secret, SecretsError> {
        let parts = || {
            let (version, rest) = sealed.split_first()?;
            let (id, rest) = rest.split_at_checked(ID_LEN)?;
            let (wrapped, body) = rest.split_at_checked(NONCE_LEN + KEY_LEN + TAG_LEN)?;
            (*version == VERSION).then_some((id, wrapped, body))
        };
        let (id, wrapped, body) =
            parts().ok_or_else(|| failed("is stored in a form that is not known", context))?;
        let key = self.keys.iter().find(|key| key.id == *id).ok_or_else(|| {
            failed("was sealed with a key that the key file does not have", context)
        })?;
        let opened = || {
            let data_key = decrypt(&key.sealing, context, wrapped)?;
            let data = LessSafeKey::new(UnboundKey::new(&AES_256_GCM, &data_key).ok()?);
            String::from_utf8(decrypt(&data, context, body)?).ok()
        };
        opened().map(Secret::new).ok_or_else(|| failed("was changed where it is stored", context))
    }

    fn digest(&self, context: &str, secret: &Secret) -> Vec<u8> {
        let Some(key) = self.keys.first() else { return Vec::new() };
        let mut signer = hmac::Context::with_key(&key.digest);
        signer.update(context.as_bytes());
        signer.update(&[0]);
        signer.update(secret.expose().as_bytes());
        signer.sign().as_ref().to_vec()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seals_and_opens_and_refuses_what_was_changed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("keys");
        let ring = KeyRing::open_or_create(&path).unwrap();
        let secret = Secret::new("s3cr3t".to_owned());
        let sealed = ring.seal("a@1", &secret).unwrap();
        assert!(!sealed.windows(6).any(|window| window == b"s3cr3t"));
        let again = KeyRing::open_or_create(&path).unwrap();
        assert_eq!(again.open("a@1", &sealed).unwrap(), secret);
        assert!(again.open("b@1", &sealed).is_err());
        for at in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[at] ^= 1;
            assert!(again.open("a@1", &changed).is_err(), "byte {at}");
            assert!(again.open("a@1", &sealed[..at]).is_err(), "cut at {at}");
        }
        assert_eq!(ring.digest("a", &secret), again.digest("a", &secret));
        assert_ne!(ring.digest("a", &secret), ring.digest("b", &secret));
        assert_eq!(ring.seed(), again.seed());
    }

    #[test]
    fn a_second_key_seals_and_the_first_still_opens() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("keys");
        let first = KeyRing::open_or_create(&path).unwrap();
        let sealed = first.seal("a", &Secret::new("x".to_owned())).unwrap();
        let mut file = OpenOptions::new().append(true).open(&path).unwrap();
        writeln!(file, "# a newer one\n{}", "ab".repeat(32)).unwrap();
        let both = KeyRing::open_or_create(&path).unwrap();
        assert_eq!(both.open("a", &sealed).unwrap().expose(), "x");
        let newer = both.seal("a", &Secret::new("y".to_owned())).unwrap();
        assert!(first.open("a", &newer).is_err());
        assert_eq!(both.seed(), first.seed());
        std::fs::write(&path, "zz").unwrap();
        assert!(matches!(KeyRing::open_or_create(&path), Err(Error::Key { line: 1, .. })));
        std::fs::write(&path, "\n").unwrap();
        assert!(matches!(KeyRing::open_or_create(&path), Err(Error::Empty { .. })));
    }
}
