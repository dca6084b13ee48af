//! What several nouns need: ids and flags in requests, fresh ids.

use downbeat_core::id::{Grammar, sha256_hex};
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
