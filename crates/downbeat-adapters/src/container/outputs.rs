//! What the image left, as the driver's answer.
//!
//! Pure. The files are written by a program of somebody else: they are limited in size and depth,
//! read for their shape, and never quoted. The error text is meant for people, and goes through a
//! mask of the secrets that the run was given.

use std::fmt;

use downbeat_core::{Code, Json, JsonMap, Secret, patch, patch::push_token};
use downbeat_engine::{DriverError, Response};

use crate::code::{Part, leaves, manifests, mask};

/// Most bytes of one file.
const BYTES: usize = 1024 * 1024;
/// Most objects and lists within each other.
const DEPTH: usize = 32;
/// Longest error text that is repeated, in characters.
const SHOWN: usize = 2_000;

/// The files that the image wrote; what it did not write is empty.
#[derive(Clone, Default)]
pub struct Written {
    /// `OUTPUTS_FILE`.
    pub outputs: Vec<u8>,
    /// `SECRET_OUTPUTS_FILE`.
    pub secret_outputs: Vec<u8>,
    /// `MANIFESTS_FILE`.
    pub manifests: Vec<u8>,
}

impl fmt::Debug for Written {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Written(***)")
    }
}

/// The answer after a run that ended well.
///
/// # Errors
/// When a file is not what the contract says.
pub fn response(written: &Written) -> Result<Response, DriverError> {
    let mut response =
        Response { values: object("OUTPUTS_FILE", &written.outputs)?, ..Response::default() };
    for (name, value) in object("SECRET_OUTPUTS_FILE", &written.secret_outputs)? {
        if response.values.contains_key(&name) {
            let message = format!(
                "the image wrote the output {name:?} to OUTPUTS_FILE and to SECRET_OUTPUTS_FILE"
            );
            return Err(bad(message));
        }
        let mut at = String::new();
        push_token(&mut at, &name);
        leaves(value, &mut at, &mut response.secrets);
    }
    if let Some(value) = read("MANIFESTS_FILE", &written.manifests)? {
        response.manifests = manifests("MANIFESTS_FILE", "manifests", Part::Values, value)?;
    }
    Ok(response)
}

/// What a run that ended badly said, if anything.
#[must_use]
pub fn failure(error: &[u8], masked: &[Secret]) -> DriverError {
    let text = mask(&String::from_utf8_lossy(error), masked);
    let text: String = text.chars().filter(|c| !c.is_control() || *c == '\n').collect();
    let text = text.trim();
    // The end says most.
    let skipped = text.chars().count().saturating_sub(SHOWN);
    let text: String = text.chars().skip(skipped).collect();
    let message = match text.as_str() {
        "" => "the image failed and did not say why".to_owned(),
        text => format!("the image failed: {text}"),
    };
    DriverError::new(Code::Driver, message)
}

fn object(name: &str, content: &[u8]) -> Result<JsonMap, DriverError> {
    match read(name, content)? {
        None => Ok(JsonMap::new()),
        Some(Json::Object(members)) => Ok(members),
        Some(other) => {
            let kind = patch::kind(&other);
            Err(bad(format!("the image wrote {kind} to {name}, and it must be an object")))
        }
    }
}

fn read(name: &str, content: &[u8]) -> Result<Option<Json>, DriverError> {
    if content.len() > BYTES {
        return Err(bad(format!("the image wrote more than {BYTES} bytes to {name}")));
    }
    if content.iter().all(u8::is_ascii_whitespace) {
        return Ok(None);
    }
    // The parser's own limit of depth keeps its stack; ours keeps that of others.
    let value: Json = serde_json::from_slice(content).map_err(|error| {
        let place = format!("line {}, column {}", error.line(), error.column());
        bad(format!("what the image wrote to {name} is not JSON ({place})"))
    })?;
    if is_deeper(&value, DEPTH) {
        return Err(bad(format!("what the image wrote to {name} is nested too deeply")));
    }
    Ok(Some(value))
}

fn is_deeper(value: &Json, left: usize) -> bool {
    match value {
        Json::Array(items) => left == 0 || items.iter().any(|item| is_deeper(item, left - 1)),
        Json::Object(members) => {
            left == 0 || members.values().any(|member| is_deeper(member, left - 1))
        }
        _ => false,
    }
}

fn bad(message: String) -> DriverError {
    DriverError::new(Code::DriverAnswer, message)
        .hint("docs/concepts/containers.md says what an image writes")
}
