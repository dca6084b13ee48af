//! JSON whose members stand in the order of their names.
//!
//! A map of `serde_json` keeps its members sorted, or in the order in which they came as soon as
//! any crate of a build turns on its feature `preserve_order`. What we hash, compare, write or
//! list has to be the same in both builds.

use std::borrow::Cow;

use serde::Serialize;

use crate::Json;

/// The value with the members of all its objects in the order of their names; borrowed when they
/// stand so already.
#[must_use]
pub fn sorted(value: &Json) -> Cow<'_, Json> {
    if is_sorted(value) {
        return Cow::Borrowed(value);
    }
    let mut value = value.clone();
    value.sort_all_objects();
    Cow::Owned(value)
}

fn is_sorted(value: &Json) -> bool {
    match value {
        Json::Object(members) => members.keys().is_sorted() && members.values().all(is_sorted),
        Json::Array(items) => items.iter().all(is_sorted),
        _ => true,
    }
}

/// The JSON text with sorted members and no white space (RFC 8785 up to the form of numbers, which
/// are kept as they came): what a digest is made of.
///
/// A value that is not JSON (a map whose keys are not text) has the text `null`.
#[must_use]
pub fn canonical(value: &impl Serialize) -> String {
    let mut value = serde_json::to_value(value).unwrap_or_default();
    value.sort_all_objects();
    value.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_are_sorted_at_every_depth() {
        let value = serde_json::json!({"b": [{"d": 1, "c": 2}], "a": {"f": null, "e": true}});
        let text = r#"{"a":{"e":true,"f":null},"b":[{"c":2,"d":1}]}"#;
        assert_eq!(canonical(&value), text);
        assert_eq!(sorted(&value).to_string(), text);
        assert!(matches!(sorted(&sorted(&value)), Cow::Borrowed(_)));
    }
}
