//! JSON patch operations as the v1 API allows them (spec 03 section 2).
//!
//! A subset of RFC 6902 (`add`, `remove`, `replace`) with one extension: `add` creates missing
//! intermediate *objects*, so that `/spec/containers/main/variables/X` works on a container without
//! variables. Arrays never grow by being named.

use serde::{Deserialize, Serialize};

use crate::{Json, JsonMap, json};

/// What an operation does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Op {
    /// Adds or replaces a member, or inserts an array element.
    Add,
    /// Removes an existing target.
    Remove,
    /// Replaces an existing target.
    Replace,
}

impl Op {
    /// The word on the wire.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Add => "add",
            Self::Remove => "remove",
            Self::Replace => "replace",
        }
    }
}

/// One operation (v1 `UpdateAction`).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Action {
    /// What to do.
    pub op: Op,
    /// Where: a JSON pointer (RFC 6901).
    pub path: String,
    /// The new value; for `remove` it may hold `{"scope": "delta"}`.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    pub value: Option<Json>,
}

/// Keeps an explicit `null` apart from an absent member.
fn present<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<Json>, D::Error> {
    Json::deserialize(deserializer).map(Some)
}

impl Action {
    /// `add path value`.
    #[must_use]
    pub fn add(path: impl Into<String>, value: Json) -> Self {
        Self { op: Op::Add, path: path.into(), value: Some(value) }
    }

    /// `replace path value`.
    #[must_use]
    pub fn replace(path: impl Into<String>, value: Json) -> Self {
        Self { op: Op::Replace, path: path.into(), value: Some(value) }
    }

    /// `remove path`.
    #[must_use]
    pub fn remove(path: impl Into<String>) -> Self {
        Self { op: Op::Remove, path: path.into(), value: None }
    }

    /// Finds what is wrong with the operation by itself, whatever it is applied to.
    ///
    /// # Errors
    /// When the path is not a JSON pointer, or `add` or `replace` has no value.
    pub fn check(&self) -> Result<(), Error> {
        let escapes = self.path.split('~').skip(1).all(|rest| rest.starts_with(['0', '1']));
        if !escapes || tokens(&self.path).is_none() {
            return Err(Error::Pointer(self.path.clone()));
        }
        if self.op != Op::Remove && self.value.is_none() {
            return Err(Error::NoValue { op: self.op.as_str(), path: self.path.clone() });
        }
        Ok(())
    }

    /// Whether this is a `remove` that only takes back what the delta itself did.
    #[must_use]
    pub fn is_delta_scoped(&self) -> bool {
        let scope = self.value.as_ref().and_then(|value| value.get("scope"));
        self.op == Op::Remove && scope.and_then(Json::as_str) == Some("delta")
    }
}

/// Why an operation could not be applied. `Display` is a whole sentence that names the path.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The path is not a JSON pointer.
    #[error(
        "the path {0:?} is not a JSON pointer: it must be empty or start with '/', and '~' is written \
         ~0, '/' in a name ~1"
    )]
    Pointer(String),
    /// Nothing is there to be replaced or removed.
    #[error("cannot {op} {path}: {missing} does not exist")]
    Missing {
        /// The operation.
        op: &'static str,
        /// Its path.
        path: String,
        /// The first part of the path that does not exist.
        missing: String,
    },
    /// The path leads through something that has no members.
    #[error("cannot {op} {path}: {at} is {kind}, not an object or array")]
    NotContainer {
        /// The operation.
        op: &'static str,
        /// Its path.
        path: String,
        /// The place that is neither object nor array.
        at: String,
        /// What it is instead.
        kind: &'static str,
    },
    /// The path names an array element that cannot be.
    #[error(
        "cannot {op} {path}: {token:?} is not a valid index of an array with {length} elements"
    )]
    Index {
        /// The operation.
        op: &'static str,
        /// Its path.
        path: String,
        /// The token that should be an index.
        token: String,
        /// Length of the array.
        length: usize,
    },
    /// `add` and `replace` need a value.
    #[error("cannot {op} {path}: the operation has no value")]
    NoValue {
        /// The operation.
        op: &'static str,
        /// Its path.
        path: String,
    },
}

/// Splits a JSON pointer into its unescaped tokens; `None` when it is not one.
#[must_use]
pub fn tokens(pointer: &str) -> Option<Vec<String>> {
    if pointer.is_empty() {
        return Some(Vec::new());
    }
    let rest = pointer.strip_prefix('/')?;
    Some(rest.split('/').map(unescape).collect())
}

fn unescape(token: &str) -> String {
    if token.contains('~') { token.replace("~1", "/").replace("~0", "~") } else { token.to_owned() }
}

/// Appends a token to a JSON pointer, escaped.
pub fn push_token(pointer: &mut String, token: &str) {
    pointer.push('/');
    for c in token.chars() {
        match c {
            '~' => pointer.push_str("~0"),
            '/' => pointer.push_str("~1"),
            c => pointer.push(c),
        }
    }
}

/// The JSON pointer made of these tokens.
pub fn pointer<'a>(tokens: impl IntoIterator<Item = &'a str>) -> String {
    let mut text = String::new();
    for token in tokens {
        push_token(&mut text, token);
    }
    text
}

/// The word for the kind of a JSON value, with its article.
#[must_use]
pub fn kind(value: &Json) -> &'static str {
    match value {
        Json::Null => "null",
        Json::Bool(_) => "a boolean",
        Json::Number(_) => "a number",
        Json::String(_) => "a string",
        Json::Array(_) => "an array",
        Json::Object(_) => "an object",
    }
}

/// Applies one operation in place. On an error `target` is unchanged, except that objects created
/// on the way to a failed `add` may remain; callers work on a copy.
///
/// # Errors
/// See [`Error`].
pub fn apply(target: &mut Json, action: &Action) -> Result<(), Error> {
    let path = tokens(&action.path).ok_or_else(|| Error::Pointer(action.path.clone()))?;
    let op = action.op;
    let value = match (op, &action.value) {
        (Op::Remove, _) => Json::Null,
        (_, Some(value)) => value.clone(),
        (_, None) => {
            return Err(Error::NoValue { op: op.as_str(), path: action.path.clone() });
        }
    };
    let Some((last, parents)) = path.split_last() else {
        *target = value;
        return Ok(());
    };
    let mut place = Place { op: op.as_str(), path: &action.path, at: String::new() };
    let mut node = target;
    for token in parents {
        node = step(node, token, op, &mut place)?;
    }
    match node {
        Json::Object(map) => match op {
            Op::Add => {
                map.insert(last.clone(), value);
            }
            Op::Replace => {
                *map.get_mut(last).ok_or_else(|| place.missing(last))? = value;
            }
            Op::Remove => {
                map.remove(last).ok_or_else(|| place.missing(last))?;
            }
        },
        Json::Array(list) => {
            let length = list.len();
            let limit = if op == Op::Add { length + 1 } else { length };
            let index = match (op, last.as_str()) {
                (Op::Add, "-") => Some(length),
                (_, token) => array_index(token).filter(|index| *index < limit),
            };
            let index = index.ok_or_else(|| place.index(last, length))?;
            match op {
                Op::Add => list.insert(index, value),
                Op::Replace => {
                    *list.get_mut(index).ok_or_else(|| place.index(last, length))? = value;
                }
                Op::Remove => {
                    list.remove(index);
                }
            }
        }
        other => return Err(place.not_container(other)),
    }
    Ok(())
}

/// Applies operations in order to a copy and returns it.
///
/// # Errors
/// The first operation that fails; nothing is applied then.
pub fn apply_all<'a>(
    target: &Json,
    actions: impl IntoIterator<Item = &'a Action>,
) -> Result<Json, Error> {
    let mut copy = target.clone();
    for action in actions {
        apply(&mut copy, action)?;
    }
    Ok(copy)
}

struct Place<'a> {
    op: &'static str,
    path: &'a str,
    at: String,
}

impl Place<'_> {
    fn missing(&self, token: &str) -> Error {
        let mut missing = self.at.clone();
        push_token(&mut missing, token);
        Error::Missing { op: self.op, path: self.path.to_owned(), missing }
    }

    fn index(&self, token: &str, length: usize) -> Error {
        Error::Index { op: self.op, path: self.path.to_owned(), token: token.to_owned(), length }
    }

    fn not_container(&self, value: &Json) -> Error {
        let at = if self.at.is_empty() { "the root".to_owned() } else { self.at.clone() };
        Error::NotContainer { op: self.op, path: self.path.to_owned(), at, kind: kind(value) }
    }
}

fn step<'a>(
    node: &'a mut Json,
    token: &str,
    op: Op,
    place: &mut Place<'_>,
) -> Result<&'a mut Json, Error> {
    let next = match node {
        Json::Object(map) => match op {
            Op::Add => map.entry(token).or_insert_with(|| Json::Object(JsonMap::new())),
            Op::Remove | Op::Replace => map.get_mut(token).ok_or_else(|| place.missing(token))?,
        },
        Json::Array(list) => {
            let length = list.len();
            let index = array_index(token).ok_or_else(|| place.index(token, length))?;
            list.get_mut(index).ok_or_else(|| place.index(token, length))?
        }
        other => return Err(place.not_container(other)),
    };
    push_token(&mut place.at, token);
    Ok(next)
}

fn array_index(token: &str) -> Option<usize> {
    let canonical = token == "0" || !token.starts_with('0');
    (canonical && token.bytes().all(|b| b.is_ascii_digit())).then(|| token.parse().ok())?
}

/// The operations that turn `from` into `to`: members are compared one by one, arrays are replaced
/// as a whole. Applying them to `from` gives `to`; they
/// come in the order of names.
#[must_use]
pub fn diff(from: &Json, to: &Json) -> Vec<Action> {
    let mut actions = Vec::new();
    diff_at(&json::sorted(from), &json::sorted(to), &mut String::new(), &mut actions);
    actions
}

fn diff_at(from: &Json, to: &Json, at: &mut String, actions: &mut Vec<Action>) {
    let (Json::Object(old), Json::Object(new)) = (from, to) else {
        if from != to {
            actions.push(Action::replace(at.clone(), to.clone()));
        }
        return;
    };
    let length = at.len();
    for key in old.keys().filter(|key| !new.contains_key(*key)) {
        push_token(at, key);
        actions.push(Action::remove(at.clone()));
        at.truncate(length);
    }
    for (key, value) in new {
        push_token(at, key);
        match old.get(key) {
            Some(before) => diff_at(before, value, at, actions),
            None => actions.push(Action::add(at.clone(), value.clone())),
        }
        at.truncate(length);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn check(before: &Json, action: &Json, expected: Result<Json, &str>) {
        let action: Action = serde_json::from_value(action.clone()).unwrap();
        let result = apply_all(before, [&action]).map_err(|error| error.to_string());
        assert_eq!(result, expected.map_err(str::to_owned));
    }

    #[test]
    fn add() {
        check(
            &json!({}),
            &json!({"op": "add", "path": "/a/b", "value": 1}),
            Ok(json!({"a": {"b": 1}})),
        );
        check(
            &json!({"a": 1}),
            &json!({"op": "add", "path": "/a", "value": null}),
            Ok(json!({"a": null})),
        );
        check(&json!([1]), &json!({"op": "add", "path": "/-", "value": 2}), Ok(json!([1, 2])));
        check(&json!([1]), &json!({"op": "add", "path": "/0", "value": 2}), Ok(json!([2, 1])));
        check(&json!({}), &json!({"op": "add", "path": "", "value": 2}), Ok(json!(2)));
        check(
            &json!({}),
            &json!({"op": "add", "path": "/x~1y/~0", "value": 2}),
            Ok(json!({"x/y": {"~": 2}})),
        );
        check(
            &json!([]),
            &json!({"op": "add", "path": "/1", "value": 2}),
            Err("cannot add /1: \"1\" is not a valid index of an array with 0 elements"),
        );
        check(
            &json!({"a": 1}),
            &json!({"op": "add", "path": "/a/b", "value": 2}),
            Err("cannot add /a/b: /a is a number, not an object or array"),
        );
        check(
            &json!({}),
            &json!({"op": "add", "path": "/a"}),
            Err("cannot add /a: the operation has no value"),
        );
        check(
            &json!({}),
            &json!({"op": "add", "path": "a", "value": 1}),
            Err(
                "the path \"a\" is not a JSON pointer: it must be empty or start with '/', and '~' is \
                 written ~0, '/' in a name ~1",
            ),
        );
    }

    #[test]
    fn replace_and_remove() {
        check(
            &json!({"a": {"b": 1}}),
            &json!({"op": "replace", "path": "/a/b", "value": 2}),
            Ok(json!({"a": {"b": 2}})),
        );
        check(
            &json!({"a": {"b": 1}}),
            &json!({"op": "remove", "path": "/a/b"}),
            Ok(json!({"a": {}})),
        );
        check(&json!([1, 2]), &json!({"op": "remove", "path": "/0"}), Ok(json!([2])));
        check(
            &json!({"a": {}}),
            &json!({"op": "replace", "path": "/a/b", "value": 2}),
            Err("cannot replace /a/b: /a/b does not exist"),
        );
        check(
            &json!({}),
            &json!({"op": "remove", "path": "/a/b"}),
            Err("cannot remove /a/b: /a does not exist"),
        );
        check(
            &json!([1]),
            &json!({"op": "remove", "path": "/01"}),
            Err("cannot remove /01: \"01\" is not a valid index of an array with 1 elements"),
        );
    }
}
