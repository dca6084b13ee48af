//! Words for values in messages.

use downbeat_core::yaml::{Kind, Node};

/// What kind of value this is: "a number". Never the value itself, which may be a secret.
pub(crate) fn kind(node: &Node) -> &'static str {
    match &node.value {
        Kind::Null => "nothing",
        Kind::Bool(_) => "a boolean",
        Kind::Int(_) | Kind::Uint(_) | Kind::Float(_) => "a number",
        Kind::String(_) => "a string",
        Kind::Sequence(_) => "a list",
        Kind::Mapping(_) => "a map",
    }
}

/// A text in backticks, shortened when it is long.
pub(crate) fn text(text: &str) -> String {
    const MOST: usize = 60;
    match text.char_indices().nth(MOST) {
        None => format!("`{}`", text.escape_debug()),
        Some((at, _)) => format!("`{}…`", text.get(..at).unwrap_or_default().escape_debug()),
    }
}

/// `a`, `b` or `c`.
pub(crate) fn choice(names: &[&str]) -> String {
    let quoted = |name: &&str| format!("`{name}`");
    match names {
        [] => String::new(),
        [only] => quoted(only),
        [first @ .., last] => {
            let first: Vec<_> = first.iter().map(quoted).collect();
            format!("{} or {}", first.join(", "), quoted(last))
        }
    }
}
