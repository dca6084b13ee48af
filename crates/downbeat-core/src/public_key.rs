//! RSA public keys, as people register them: `SubjectPublicKeyInfo` in PEM.
//!
//! A key is known by its fingerprint: SHA-256 of its DER bytes. The text itself is kept and shown as
//! it was given.

use aws_lc_rs::{
    encoding::{AsDer, PublicKeyX509Der},
    rsa::PublicEncryptingKey,
};
use base64::{Engine as _, engine::general_purpose::STANDARD};

use crate::id::sha256_hex;

/// Shortest modulus, in bits.
pub const SHORTEST: usize = 4096;
/// Longest text, in bytes. A key of 8192 bits, the longest that can be read, has a sixth of it.
pub const LONGEST: usize = 8192;

const LABEL: &str = "PUBLIC KEY";
const BEGIN: &str = "-----BEGIN ";
const END: &str = "-----END ";
const DASHES: &str = "-----";

/// Why a text is not a public key that can be registered. No message repeats the text.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The text is longer than [`LONGEST`].
    #[error("it is longer than {LONGEST} bytes")]
    TooLong,
    /// There is no PEM block, or more than one.
    #[error("it is not one block from `-----BEGIN PUBLIC KEY-----` to `-----END PUBLIC KEY-----`")]
    NotPem,
    /// Somebody sent what nobody else may know.
    #[error("it is a private key, which must not leave its owner")]
    Private,
    /// The block holds something else.
    #[error("its block is not labelled `PUBLIC KEY`")]
    OtherLabel,
    /// What is between the lines is not base64.
    #[error("the lines of its block are not base64")]
    NotBase64,
    /// The bytes are no RSA key.
    #[error("its block does not hold an RSA public key of 2048 to 8192 bits in PKIX form")]
    NotRsa,
    /// The modulus is too short.
    #[error("its modulus has {0} bits, fewer than {SHORTEST}")]
    TooShort(usize),
}

/// The fingerprint of a public key in PEM: SHA-256 of its DER bytes, in lower-case hex.
///
/// # Errors
/// When the text is not a public key that is good enough.
pub fn fingerprint(pem: &str) -> Result<String, Error> {
    if pem.len() > LONGEST {
        return Err(Error::TooLong);
    }
    let der = der(pem)?;
    let key = PublicEncryptingKey::from_der(&der).map_err(|_| Error::NotRsa)?;
    // One key has one fingerprint: bytes after it, or another encoding of it, are refused.
    let canonical: PublicKeyX509Der<'_> = key.as_der().map_err(|_| Error::NotRsa)?;
    if canonical.as_ref() != der {
        return Err(Error::NotRsa);
    }
    match key.key_size_bits() {
        bits if bits < SHORTEST => Err(Error::TooShort(bits)),
        _ => Ok(sha256_hex(&der)),
    }
}

/// Writes DER bytes as PEM, with the usual 64 characters in a line.
#[must_use]
pub fn to_pem(label: &str, der: &[u8]) -> String {
    let mut pem = format!("{BEGIN}{label}{DASHES}\n");
    for (number, character) in STANDARD.encode(der).chars().enumerate() {
        if number > 0 && number % 64 == 0 {
            pem.push('\n');
        }
        pem.push(character);
    }
    pem.push_str(&format!("\n{END}{label}{DASHES}\n"));
    pem
}

fn der(pem: &str) -> Result<Vec<u8>, Error> {
    let block = pem.trim().strip_prefix(BEGIN).ok_or(Error::NotPem)?;
    let (label, block) = block.split_once(DASHES).ok_or(Error::NotPem)?;
    if label.contains("PRIVATE KEY") {
        return Err(Error::Private);
    }
    if label != LABEL {
        return Err(Error::OtherLabel);
    }
    let end = format!("{END}{LABEL}{DASHES}");
    let lines = block.strip_suffix(&end).ok_or(Error::NotPem)?;
    if lines.contains('-') {
        return Err(Error::NotPem);
    }
    let base64: String = lines.chars().filter(|character| !character.is_whitespace()).collect();
    STANDARD.decode(base64).map_err(|_| Error::NotBase64)
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = include_str!("../tests/data/public_key/rsa4096.pem");
    /// What `openssl rsa -pubin -outform DER | sha256sum` says of it.
    const FINGERPRINT: &str = include_str!("../tests/data/public_key/rsa4096.sha256");

    #[test]
    fn knows_a_key_whatever_is_around_its_lines() {
        let expected = Ok(FINGERPRINT.trim().to_owned());
        assert_eq!(fingerprint(KEY), expected);
        assert_eq!(fingerprint(KEY.trim_end()), expected);
        assert_eq!(fingerprint(&format!("\n{KEY}\n\n")), expected);
        assert_eq!(fingerprint(&KEY.replace('\n', "\r\n")), expected);
        assert_eq!(to_pem(LABEL, &der(KEY).unwrap()), KEY);
    }

    #[test]
    fn refuses_what_is_not_such_a_key() {
        let check = |text: &str, expected: Error| {
            let error = fingerprint(text).unwrap_err();
            assert_eq!(error, expected, "{text}");
            assert!(!error.to_string().contains("MII"), "{error}");
        };
        let relabelled = |label: &str| KEY.replace(LABEL, label);
        let broken = |der: &[u8]| to_pem(LABEL, der);
        let whole = der(KEY).unwrap();
        check("", Error::NotPem);
        check("-----BEGIN PUBLIC KEY", Error::NotPem);
        check("-----BEGIN PUBLIC KEY-----", Error::NotPem);
        check(&format!("{KEY}{KEY}"), Error::NotPem);
        check(&KEY.replace("END PUBLIC", "END OTHER"), Error::NotPem);
        check(&relabelled("RSA PRIVATE KEY"), Error::Private);
        check(&relabelled("RSA PUBLIC KEY"), Error::OtherLabel);
        check(&relabelled("CERTIFICATE"), Error::OtherLabel);
        check(&KEY.replacen('M', "*", 1), Error::NotBase64);
        check(&broken(&[]), Error::NotRsa);
        check(&broken(&whole[..whole.len() - 1]), Error::NotRsa);
        check(&broken(&[whole.as_slice(), &[0]].concat()), Error::NotRsa);
        check(include_str!("../tests/data/public_key/ec.pem"), Error::NotRsa);
        check(include_str!("../tests/data/public_key/rsa2048.pem"), Error::TooShort(2048));
        check(&" ".repeat(LONGEST + 1), Error::TooLong);
    }
}
