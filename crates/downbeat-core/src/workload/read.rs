//! Reading members of a spec that anybody may have written.

use std::borrow::Cow;

use super::mistakes::{At, Mistakes};
use crate::{Code, Json, JsonMap};

/// The kind of a value, as messages say it.
pub(super) fn kind(value: &Json) -> &'static str {
    match value {
        Json::Null => "null",
        Json::Bool(_) => "a boolean",
        Json::Number(_) => "a number",
        Json::String(_) => "a string",
        Json::Array(_) => "a list",
        Json::Object(_) => "an object",
    }
}

/// Whether the value says nothing.
pub(super) fn is_empty(value: &Json) -> bool {
    match value {
        Json::Null => true,
        Json::String(text) => text.is_empty(),
        Json::Array(items) => items.is_empty(),
        Json::Object(members) => members.is_empty(),
        Json::Bool(_) | Json::Number(_) => false,
    }
}

/// Whether neither the value nor any of its members says something.
pub(super) fn is_hollow(value: &Json) -> bool {
    match value {
        Json::Object(members) => members.values().all(is_empty),
        other => is_empty(other),
    }
}

fn wrong(mistakes: &mut Mistakes, at: &At<'_>, expected: &str, found: &Json) {
    let pointer = at.pointer();
    let message = format!("`{pointer}` must be {expected}, not {}", kind(found));
    mistakes.add_at(Code::Workload, pointer, message);
}

/// An object; null counts as absent.
pub(super) fn object<'a>(
    value: Option<&'a Json>,
    at: &At<'_>,
    mistakes: &mut Mistakes,
) -> Option<&'a JsonMap> {
    match value {
        None | Some(Json::Null) => None,
        Some(Json::Object(members)) => Some(members),
        Some(other) => {
            wrong(mistakes, at, "an object", other);
            None
        }
    }
}

/// A list; null counts as absent.
pub(super) fn list<'a>(
    value: Option<&'a Json>,
    at: &At<'_>,
    mistakes: &mut Mistakes,
) -> Option<&'a [Json]> {
    match value {
        None | Some(Json::Null) => None,
        Some(Json::Array(items)) => Some(items),
        Some(other) => {
            wrong(mistakes, at, "a list", other);
            None
        }
    }
}

/// A string; null and the empty string count as absent.
pub(super) fn string<'a>(
    value: Option<&'a Json>,
    at: &At<'_>,
    mistakes: &mut Mistakes,
) -> Option<&'a str> {
    match value {
        None | Some(Json::Null) => None,
        Some(Json::String(text)) => (!text.is_empty()).then_some(text.as_str()),
        Some(other) => {
            wrong(mistakes, at, "a string", other);
            None
        }
    }
}

/// A list of strings; an empty one counts as absent.
pub(super) fn strings<'a>(
    value: Option<&'a Json>,
    at: &At<'_>,
    mistakes: &mut Mistakes,
) -> Option<&'a [Json]> {
    let items = list(value, at, mistakes)?;
    for (index, item) in items.iter().enumerate() {
        if !item.is_string() {
            let found = kind(item);
            let message = format!("`{}/{index}` must be a string, not {found}", at.pointer());
            mistakes.add_in_list(at, index, message);
        }
    }
    (!items.is_empty()).then_some(items)
}

/// A boolean; null counts as absent.
pub(super) fn boolean(value: Option<&Json>, at: &At<'_>, mistakes: &mut Mistakes) -> Option<bool> {
    match value {
        None | Some(Json::Null) => None,
        Some(Json::Bool(value)) => Some(*value),
        Some(other) => {
            wrong(mistakes, at, "true or false", other);
            None
        }
    }
}

/// A whole number within bounds, also when written as a string; null counts as absent.
pub(super) fn number(
    value: Option<&Json>,
    bounds: std::ops::RangeInclusive<u64>,
    at: &At<'_>,
    mistakes: &mut Mistakes,
) -> Option<u64> {
    let value = value.filter(|value| !value.is_null())?;
    let number = match value {
        Json::String(text) => text.parse().ok(),
        other => other.as_u64(),
    };
    let number = number.filter(|number| bounds.contains(number));
    if number.is_none() {
        let found = match value {
            Json::Number(number) => number.to_string(),
            Json::String(text) => format!("`{text}`"),
            other => kind(other).to_owned(),
        };
        let (low, high) = (bounds.start(), bounds.end());
        let pointer = at.pointer();
        let message =
            format!("`{pointer}` must be a whole number from {low} to {high}, not {found}");
        mistakes.add_at(Code::Workload, pointer, message);
    }
    number
}

/// A port number, or the name of a container port.
pub(super) fn port(value: &Json, at: &At<'_>, mistakes: &mut Mistakes) -> Option<Json> {
    match value {
        Json::String(name) if name.contains(|c: char| c.is_ascii_lowercase()) => {
            Some(value.clone())
        }
        _ => number(Some(value), 1..=65535, at, mistakes).map(Json::from),
    }
}

/// Labels or annotations: an object of strings. Numbers and booleans become their text, because
/// YAML authors forget the quotes; members that are null are dropped.
pub(super) fn texts(
    value: Option<&Json>,
    at: &At<'_>,
    into: &mut JsonMap,
    mistakes: &mut Mistakes,
) {
    for (key, value) in object(value, at, mistakes).into_iter().flatten() {
        match value {
            Json::Null => {}
            Json::Array(_) | Json::Object(_) => wrong(mistakes, &at.member(key), "a string", value),
            _ => {
                into.insert(key.clone(), Json::String(text(value).into_owned()));
            }
        }
    }
}

/// A value as the text that a process reads: strings as they are, everything else as JSON.
pub(super) fn text(value: &Json) -> Cow<'_, str> {
    match value {
        Json::String(text) => Cow::Borrowed(text),
        other => Cow::Owned(other.to_string()),
    }
}

/// `over` laid over `base`: objects member by member, everything else replaced.
pub(super) fn merge(base: &mut Json, over: &Json) {
    match (base, over) {
        (Json::Object(base), Json::Object(over)) => {
            for (key, value) in over {
                match base.get_mut(key) {
                    Some(Json::Object(_)) if value.is_object() => {
                        if let Some(below) = base.get_mut(key) {
                            merge(below, value);
                        }
                    }
                    _ => {
                        base.insert(key.clone(), value.clone());
                    }
                }
            }
        }
        (base, over) => *base = over.clone(),
    }
}
