//! What drivers answer, read for its shape.
//!
//! Invariant: what is said about an answer never quotes it, because it may hold secrets; the two
//! texts of a refusal go through a [`Mask`] first.

use std::{collections::BTreeMap, time::Duration};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use downbeat_core::{Json, JsonMap, Secret, manifest::Location, patch};
use downbeat_engine::{DriverManifest, SecretOutput};
use jiff::Timestamp;

use crate::template;

/// Longest text of a driver that is shown.
const SHOWN: usize = 2_000;
/// Shorter texts occur by chance.
const RECOGNISABLE: usize = 6;

/// What a driver made.
#[derive(Debug, Default)]
pub(super) struct Made {
    pub(super) values: JsonMap,
    pub(super) secrets: BTreeMap<String, SecretOutput>,
    pub(super) manifests: Vec<DriverManifest>,
}

/// Reads the body of a 200.
///
/// # Errors
/// Everything that is wrong with it.
pub(super) fn read(body: &[u8], guresid: &str, resource_type: &str) -> Result<Made, Vec<String>> {
    let mut answer = object(body).map_err(|problem| vec![problem])?;
    let mut problems = Vec::new();
    for (name, expected) in [("id", guresid), ("type", resource_type)] {
        match answer.get(name) {
            None => problems.push(format!("`{name}` is missing, expected {expected:?}")),
            Some(Json::String(text)) if text == expected => {}
            Some(Json::String(_)) => {
                problems.push(format!("`{name}` is another one, expected {expected:?}"));
            }
            Some(other) => problems.push(format!(
                "`{name}` is {}, expected the text {expected:?}",
                patch::kind(other)
            )),
        }
    }
    let mut made = Made::default();
    match answer.remove("resource") {
        Some(Json::Object(mut resource)) => {
            made.values = members(&mut resource, "resource", "values", &mut problems);
            let secrets = members(&mut resource, "resource", "secrets", &mut problems);
            template::flatten(secrets, &mut String::new(), &mut made.secrets);
        }
        None => problems
            .push("`resource` is missing, expected an object with values and secrets".to_owned()),
        Some(other) => problems.push(format!(
            "`resource` is {}, expected an object with values and secrets",
            patch::kind(&other)
        )),
    }
    match answer.remove("manifests") {
        // An empty list of Go is written as null.
        None | Some(Json::Null) => {}
        Some(Json::Array(items)) => {
            for (number, item) in items.into_iter().enumerate() {
                match manifest(number, item) {
                    Ok(manifest) => made.manifests.push(manifest),
                    Err(problem) => problems.push(problem),
                }
            }
        }
        Some(other) => problems
            .push(format!("`manifests` is {}, expected a list of objects", patch::kind(&other))),
    }
    if problems.is_empty() { Ok(made) } else { Err(problems) }
}

fn object(body: &[u8]) -> Result<JsonMap, String> {
    match serde_json::from_slice(body) {
        Ok(Json::Object(members)) => Ok(members),
        Ok(other) => Err(format!("the body is {}, expected a JSON object", patch::kind(&other))),
        Err(_) if body.is_empty() => Err("the body is empty, expected a JSON object".to_owned()),
        Err(error) => Err(format!(
            "the body is not JSON (line {}, column {}), expected a JSON object",
            error.line(),
            error.column()
        )),
    }
}

/// An object that may be missing or, as an empty map of Go, null.
fn members(parent: &mut JsonMap, above: &str, name: &str, problems: &mut Vec<String>) -> JsonMap {
    match parent.remove(name) {
        None | Some(Json::Null) => JsonMap::new(),
        Some(Json::Object(members)) => members,
        Some(other) => {
            let kind = patch::kind(&other);
            problems.push(format!("`{above}.{name}` is {kind}, expected an object"));
            JsonMap::new()
        }
    }
}

fn manifest(number: usize, mut item: Json) -> Result<DriverManifest, String> {
    let at = format!("`manifests[{number}]`");
    let location = item.get("location").cloned();
    let location = location.and_then(|text| serde_json::from_value::<Location>(text).ok());
    let location = location.ok_or_else(|| {
        format!("{at} has no location, expected namespace, cluster, containers or volumes")
    })?;
    match item.get_mut("data").map(Json::take) {
        Some(data @ Json::Object(_)) => {
            let secrets = BTreeMap::new();
            Ok(DriverManifest { name: number.to_string(), location, data, secrets })
        }
        None => Err(format!("{at} has no data, expected an object")),
        Some(other) => Err(format!("{at} has {} as data, expected an object", patch::kind(&other))),
    }
}

/// What the body of a 202 or 409 says about time. It may say nothing.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Hint {
    completion: Option<Timestamp>,
    deadline: Option<Timestamp>,
    current: Option<Timestamp>,
}

impl Hint {
    pub(super) fn read(body: &[u8]) -> Self {
        let body: Json = serde_json::from_slice(body).unwrap_or_default();
        let time = |name: &str| body.get(name)?.as_str()?.parse().ok();
        Self {
            completion: time("estimated_completion_time"),
            deadline: time("timeout_deadline"),
            current: time("current_time"),
        }
    }

    /// How long the driver believes that it takes.
    pub(super) fn until_done(&self, now: Timestamp) -> Option<Duration> {
        self.until(self.completion?, now)
    }

    /// How long the driver has, by its own word.
    pub(super) fn time_left(&self, now: Timestamp) -> Option<Duration> {
        self.until(self.deadline?, now)
    }

    /// The driver's clock counts, when it tells its time: it may go wrong. Nothing for a time that
    /// no clock means (year 1 of Go).
    fn until(&self, end: Timestamp, now: Timestamp) -> Option<Duration> {
        if end <= Timestamp::UNIX_EPOCH {
            return None;
        }
        let left = end.duration_since(self.current.unwrap_or(now));
        Some(Duration::try_from(left).unwrap_or_default())
    }
}

/// What a driver says about a failure.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Refusal {
    pub(super) code: Option<String>,
    pub(super) message: Option<String>,
}

impl Refusal {
    pub(super) fn read(body: &[u8]) -> Self {
        let body: Json = serde_json::from_slice(body).unwrap_or_default();
        let text = |name: &str| {
            let text = body.get(name)?.as_str()?.trim();
            (!text.is_empty()).then(|| text.to_owned())
        };
        Self { code: text("error"), message: text("message") }
    }
}

/// Texts that must not be shown.
pub(super) struct Mask(Vec<Secret>);

impl Mask {
    pub(super) fn new<'a>(secrets: impl Iterator<Item = &'a Secret>) -> Self {
        let mut texts = Vec::new();
        for secret in secrets.filter(|secret| secret.expose().len() >= RECOGNISABLE) {
            let text = secret.expose();
            texts.push(Secret::new(STANDARD.encode(text)));
            // As a program prints it: quoted, or line by line.
            let quoted = Json::String(text.to_owned()).to_string();
            let lines = text.lines().map(str::trim);
            let forms = lines.chain([quoted.trim_matches('"')]).filter(|form| *form != text);
            let forms = forms.filter(|form| form.len() >= RECOGNISABLE);
            texts.extend(forms.map(|form| Secret::new(form.to_owned())));
            texts.push(secret.clone());
        }
        // A secret may be part of another one: the longer one goes first.
        texts.sort_by_key(|text| std::cmp::Reverse(text.expose().len()));
        Self(texts)
    }

    /// Whether there is nothing to mask.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether a text holds one of them.
    pub(super) fn finds(&self, text: &str) -> bool {
        self.0.iter().any(|secret| text.contains(secret.expose()))
    }

    /// The text without them, on one line and not too long.
    pub(super) fn of(&self, text: &str) -> String {
        let mut text = text.to_owned();
        for secret in &self.0 {
            text = text.replace(secret.expose(), "***");
        }
        // Control characters could hide or move what a terminal shows.
        let words: Vec<&str> =
            text.split(|c: char| c.is_control() || c == ' ').filter(|w| !w.is_empty()).collect();
        let mut text = words.join(" ");
        if let Some((end, _)) = text.char_indices().nth(SHOWN) {
            text.truncate(end);
            text.push('…');
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn problems(body: &str) -> String {
        read(body.as_bytes(), "a1", "s3").map(|_| ()).unwrap_err().join("; ")
    }

    #[test]
    fn what_a_driver_made() {
        let body = json!({"id": "a1", "type": "s3", "more": 1,
            "resource": {"values": {"bucket": "b", "n": [1]},
                "secrets": {"key": "k", "deep": {"n": 7, "none": null}}},
            "manifests": [{"location": "namespace", "data": {"kind": "ConfigMap"}}]});
        let made = read(&serde_json::to_vec(&body).unwrap(), "a1", "s3").unwrap();
        assert_eq!(Json::Object(made.values), json!({"bucket": "b", "n": [1]}));
        let secrets: Vec<_> = made
            .secrets
            .iter()
            .map(|(at, output)| match output {
                SecretOutput::Text(text) => (at.as_str(), text.expose()),
                SecretOutput::Expr(_) => panic!("no text"),
            })
            .collect();
        assert_eq!(secrets, [("/deep/n", "7"), ("/key", "k")]);
        assert_eq!(made.manifests.len(), 1);
        // What a Go program writes when there is nothing.
        let body = r#"{"id":"a1","type":"s3","resource":{"values":null},"manifests":null}"#;
        assert!(read(body.as_bytes(), "a1", "s3").unwrap().values.is_empty());
    }

    #[test]
    fn what_is_wrong_is_told_without_quoting_it() {
        assert_eq!(problems(""), "the body is empty, expected a JSON object");
        assert_eq!(
            problems("pass-w0rd"),
            "the body is not JSON (line 1, column 1), expected a JSON object"
        );
        assert_eq!(problems("[]"), "the body is an array, expected a JSON object");
        assert_eq!(
            problems("{}"),
            "`id` is missing, expected \"a1\"; `type` is missing, expected \"s3\"; `resource` is \
             missing, expected an object with values and secrets"
        );
        let body = json!({"id": "pass-w0rd", "type": 1, "resource": {"values": "pass-w0rd",
            "secrets": []}, "manifests": [{"location": "pass-w0rd"}, {"location": "cluster"},
            {"location": "volumes", "data": "pass-w0rd"}, 1]});
        let said = problems(&body.to_string());
        assert!(!said.contains("pass-w0rd"), "{said}");
        assert_eq!(said.matches("; ").count(), 7, "{said}");
        assert!(problems(&"[".repeat(1000)).contains("not JSON"));
    }

    #[test]
    fn hints() {
        let now: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
        let hint = |body: Json| Hint::read(body.to_string().as_bytes());
        let seconds = |left: Option<Duration>| left.map(|left| left.as_secs());
        let none = hint(json!({}));
        assert_eq!((none.until_done(now), none.time_left(now)), (None, None));
        let both = hint(json!({"estimated_completion_time": "2026-01-01T00:00:10Z",
            "timeout_deadline": "2026-01-01T00:01:00+00:00"}));
        assert_eq!(
            (seconds(both.until_done(now)), seconds(both.time_left(now))),
            (Some(10), Some(60))
        );
        let own = hint(json!({"estimated_completion_time": "2030-01-01T00:00:10Z",
            "current_time": "2030-01-01T00:00:08Z", "timeout_deadline": "2029-01-01T00:00:00Z"}));
        assert_eq!((seconds(own.until_done(now)), seconds(own.time_left(now))), (Some(2), Some(0)));
        let odd = hint(json!({"estimated_completion_time": "0001-01-01T00:00:00Z",
            "timeout_deadline": "soon"}));
        assert_eq!((odd.until_done(now), odd.time_left(now)), (None, None));
        assert_eq!(Hint::read(b"garbage"), Hint::default());
    }

    #[test]
    fn masks() {
        let secrets = ["hunter2-long", "hunter2", "ab"].map(|text| Secret::new(text.to_owned()));
        let mask = Mask::new(secrets.iter());
        assert_eq!(mask.of("a hunter2-long b\n\u{1b}[1m hunter2 ab"), "a *** b [1m *** ab");
        assert_eq!(mask.of("aHVudGVyMg=="), "***");
        assert_eq!(mask.of(&"x".repeat(5000)).chars().count(), SHOWN + 1);
        assert!(mask.finds("-hunter2-") && !mask.finds("ab"));
    }
}
