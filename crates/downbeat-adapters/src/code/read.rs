//! Reading one member of driver inputs: its type, its name, and what is said when it is wrong.
//!
//! Pure. No message shows a value that may be secret.

use std::{sync::LazyLock, time::Duration};

use downbeat_core::{Code, Json, JsonMap, Secret, patch, suggest};
use downbeat_engine::DriverError;

/// Longest time limit, in seconds: a day.
const LONGEST: u64 = 24 * 60 * 60;

/// Stands for members that are not there.
pub(crate) static EMPTY: LazyLock<JsonMap> = LazyLock::new(JsonMap::new);

pub(crate) fn limit(plain: &JsonMap) -> Result<Option<Duration>, DriverError> {
    let Some(given) = plain.get("timeout").filter(|given| !given.is_null()) else {
        return Ok(None);
    };
    let parsed = given.as_str().and_then(|text| text.parse::<u64>().ok());
    match given.as_u64().or(parsed) {
        Some(seconds @ 1..=LONGEST) => Ok(Some(Duration::from_secs(seconds))),
        _ => Err(invalid(format!(
            "the driver input `values.timeout` is {given}; expected a number of seconds, at most \
             {LONGEST}"
        ))),
    }
}

pub(crate) fn flag(plain: &JsonMap, name: &str) -> Result<bool, DriverError> {
    match plain.get(name) {
        None | Some(Json::Null) => Ok(false),
        Some(Json::Bool(flag)) => Ok(*flag),
        // What was a placeholder is a text.
        Some(Json::String(text)) if text == "true" || text == "false" => Ok(text == "true"),
        Some(other) => Err(wrong_type(&format!("values.{name}"), "true or false", other)),
    }
}

pub(crate) fn text<'a>(
    from: &'a JsonMap,
    at: &str,
    name: &str,
) -> Result<Option<&'a str>, DriverError> {
    match from.get(name) {
        None | Some(Json::Null) => Ok(None),
        Some(Json::String(text)) => Ok(Some(text)),
        // Not shown: it may be secret.
        Some(other) => Err(wrong_type(&format!("{at}.{name}"), "a text", other)),
    }
}

pub(crate) fn secret_text(
    from: &JsonMap,
    at: &str,
    name: &str,
) -> Result<Option<Secret>, DriverError> {
    Ok(text(from, at, name)?.map(|text| Secret::new(text.to_owned())))
}

pub(crate) fn member<'a>(
    from: &'a JsonMap,
    at: &str,
    name: &str,
) -> Result<Option<&'a JsonMap>, DriverError> {
    match from.get(name) {
        None => Ok(None),
        Some(value) => object(value, "the driver input", &format!("{at}.{name}")),
    }
}

pub(crate) fn object<'a>(
    value: &'a Json,
    what: &str,
    at: &str,
) -> Result<Option<&'a JsonMap>, DriverError> {
    match value {
        Json::Null => Ok(None),
        Json::Object(members) => Ok(Some(members)),
        _ if at.is_empty() => Err(invalid(format!("{what} are not an object"))),
        other => Err(wrong_type(at, "an object", other)),
    }
}

pub(crate) fn known(members: &JsonMap, at: &str, names: &[&str]) -> Result<(), DriverError> {
    let Some(unknown) = members.keys().find(|name| !names.contains(&name.as_str())) else {
        return Ok(());
    };
    let error = invalid(format!("the driver input `{at}.{unknown}` is not known"));
    Err(hinted(error, unknown, names.iter().copied()))
}

pub(crate) fn hinted<'a>(
    error: DriverError,
    name: &str,
    names: impl Iterator<Item = &'a str> + Clone,
) -> DriverError {
    match suggest::nearest(name, names.clone()) {
        Some(near) => error.hint(format!("Did you mean {near:?}?")),
        None => {
            let names: Vec<&str> = names.collect();
            error.hint(format!("Expected one of: {}", names.join(", ")))
        }
    }
}

pub(crate) fn wrong_type(at: &str, expected: &str, found: &Json) -> DriverError {
    invalid(format!("the driver input `{at}` is {}; expected {expected}", patch::kind(found)))
}

pub(crate) fn invalid(message: impl Into<String>) -> DriverError {
    DriverError::new(Code::DriverInputs, message)
}
