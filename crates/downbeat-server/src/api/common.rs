//! What several nouns need: ids, flags and secret stores in requests, fresh ids.

use downbeat_core::{
    Json, JsonMap,
    id::{Grammar, sha256_hex},
};
use downbeat_engine::schema::excess;
use downbeat_store::secret::LOCAL_STORE;
use serde::{Deserialize, Deserializer};
use uuid::Uuid;

use crate::{Problem, Result, problem::short};

/// Checks an id that the client chose.
pub(super) fn check_grammar(grammar: Grammar, what: &str, at: &str, id: &str) -> Result<()> {
    if grammar.accepts(id) {
        return Ok(());
    }
    let rule = grammar.expected();
    Err(Problem::invalid(format!("`{}` is not valid as {what}: use {rule}.", short(id)))
        .at(at, rule))
}

/// The built-in store of v1.
const V1_STORE: &str = "humanitec";

/// Checks the store that a secret reference names. The built-in one keeps the secrets of all
/// organizations: only what the server itself sealed is in it, so no request may point there.
pub(super) fn check_store(store: &str, at: &str) -> Result<()> {
    if store != LOCAL_STORE && store != V1_STORE {
        return Ok(());
    }
    Err(Problem::invalid(format!(
        "The secret reference at `{at}` is not valid: the store `{store}` is internal."
    ))
    .with_hint(
        "Send the secret itself as `value`. To keep one that is there, leave it out of a `PATCH`.",
    )
    .at(at, "the store is internal"))
}

/// Checks that a JSON Schema costs no more than it may. One that is none is stored as it is: v1
/// clients carry any object.
pub(super) fn check_schema(at: &str, schema: &JsonMap) -> Result<()> {
    match excess(&Json::Object(schema.clone())) {
        None => Ok(()),
        Some(why) => {
            Err(Problem::invalid(format!("The JSON Schema at `{at}` is too much: {why}."))
                .at(at, "too much to check with"))
        }
    }
}

/// A flag in a query. Clients write `true`, `True` and `1`; anything else is false.
pub(super) fn flag<'de, D: Deserializer<'de>>(deserializer: D) -> Result<bool, D::Error> {
    let text = Option::<String>::deserialize(deserializer)?.unwrap_or_default();
    Ok(text.eq_ignore_ascii_case("true") || text == "1")
}

/// A random id of lower-case hex digits, at most 64.
pub(super) fn new_hex(digits: usize) -> String {
    let mut id = sha256_hex(Uuid::new_v4().as_bytes());
    id.truncate(digits);
    id
}
