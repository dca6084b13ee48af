//! Checksums; and the makers of keys and certificates, which are known but refuse to run.

use aws_lc_rs::digest;

use crate::function::{Args, Context, Fail, Function, Type, function};
use crate::value::Value;

use Type::{Any, Int, Str, Uint32};

pub(crate) const FUNCTIONS: &[Function] = &[
    function("sha1sum", &[Str], |_, args| {
        Ok(hex(digest::digest(&digest::SHA1_FOR_LEGACY_USE_ONLY, args.bytes(0)).as_ref()))
    }),
    function("sha256sum", &[Str], |_, args| {
        Ok(hex(digest::digest(&digest::SHA256, args.bytes(0)).as_ref()))
    }),
    function("sha512sum", &[Str], |_, args| {
        Ok(hex(digest::digest(&digest::SHA512, args.bytes(0)).as_ref()))
    }),
    function("adler32sum", &[Str], |_, args| Ok(adler32(args.bytes(0)).to_string().into())),
    function("bcrypt", &[Str], refuse),
    function("htpasswd", &[Str, Str], refuse),
    function("derivePassword", &[Uint32, Str, Str, Str, Str], refuse),
    function("genPrivateKey", &[Str], refuse),
    function("genCA", &[Str, Int], refuse),
    function("genCAWithKey", &[Str, Int, Str], refuse),
    function("genSelfSignedCert", &[Str, Any, Any, Int], refuse),
    function("genSelfSignedCertWithKey", &[Str, Any, Any, Int, Str], refuse),
    function("genSignedCert", &[Str, Any, Any, Int, Any], refuse),
    function("genSignedCertWithKey", &[Str, Any, Any, Int, Any, Str], refuse),
    function("buildCustomCert", &[Str, Str], refuse),
    function("encryptAES", &[Str, Str], refuse),
    function("decryptAES", &[Str, Str], refuse),
];

/// Keys must not come from a template: they would be made again on every rendering.
fn refuse(_: &mut Context, _: &mut Args<'_>) -> Result<Value, Fail> {
    Err("not available: keys, certificates and password hashes cannot be made in templates".into())
}

fn hex(bytes: &[u8]) -> Value {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>().into()
}

fn adler32(bytes: &[u8]) -> u32 {
    const MODULUS: u32 = 65_521;
    let (mut a, mut b) = (1, 0);
    for byte in bytes {
        a = (a + u32::from(*byte)) % MODULUS;
        b = (b + a) % MODULUS;
    }
    b << 16 | a
}
