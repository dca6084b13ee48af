//! Bodies of the type `multipart/form-data`.
//!
//! A form is read into memory whole, within the limits of every body; its parts are slices of that.
//! v1 clients send files without a name (`filename`), so a part is what its `name` says.

use std::convert::Infallible;

use axum::{
    body::Bytes,
    extract::Request,
    http::{HeaderMap, StatusCode, header},
};
use downbeat_core::{Code, Json, JsonMap, yaml};
use futures_util::stream;
use multer::Multipart;
use serde::de::DeserializeOwned;

use crate::{AppState, Problem, Result, extract, problem::short};

/// Most parts of a form.
const MOST_PARTS: usize = 50;

/// The parts of a form, in their order.
#[derive(Clone, Debug)]
pub struct Form {
    parts: Vec<(String, Bytes)>,
}

/// Whether the body is declared to be a form.
#[must_use]
pub fn is_form(headers: &HeaderMap) -> bool {
    essence(headers).eq_ignore_ascii_case("multipart/form-data")
}

fn declared(headers: &HeaderMap) -> &str {
    headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or("")
}

fn essence(headers: &HeaderMap) -> &str {
    declared(headers).split(';').next().unwrap_or("").trim()
}

impl Form {
    /// Reads the body of a request.
    ///
    /// # Errors
    /// 415 when it is not declared to be a form, 400 when it is not one or has too many parts; and
    /// those of every body.
    pub async fn read(request: Request, state: &AppState) -> Result<Self> {
        if !is_form(request.headers()) {
            let message = "The request body is declared to be something else than a form.";
            return Err(Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, Code::Invalid, message)
                .with_hint("Send the header `Content-Type: multipart/form-data; boundary=…`."));
        }
        let boundary = multer::parse_boundary(declared(request.headers()))
            .map_err(|_| broken("the header `Content-Type` names no boundary"))?;
        let bytes = extract::bytes(request, state).await?;
        Self::parse(bytes, boundary).await
    }

    async fn parse(bytes: Bytes, boundary: String) -> Result<Self> {
        let body = stream::iter([Ok::<_, Infallible>(bytes)]);
        let mut form = Multipart::new(body, boundary);
        let mut parts = Vec::new();
        while let Some(part) = form.next_field().await.map_err(|error| broken(&text(&error)))? {
            if parts.len() == MOST_PARTS {
                return Err(broken(&format!("it has more than {MOST_PARTS} parts")));
            }
            let name = part.name().unwrap_or_default().to_owned();
            parts.push((name, part.bytes().await.map_err(|error| broken(&text(&error)))?));
        }
        Ok(Self { parts })
    }

    /// The part of this name.
    ///
    /// # Errors
    /// 400 when there is none, or more than one.
    pub fn part(&self, name: &str) -> Result<&Bytes> {
        let mut found = self.parts.iter().filter(|(known, _)| known == name).map(|(_, part)| part);
        match (found.next(), found.next()) {
            (Some(part), None) => Ok(part),
            (None, _) => {
                let known: Vec<String> =
                    self.parts.iter().map(|(name, _)| format!("`{}`", short(name))).collect();
                let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
                let message = format!("The form has no part with the name `{name}`.");
                Err(Problem::invalid(message)
                    .with_hint(format!("Its parts are: {known}."))
                    .at(name, "missing"))
            }
            (Some(_), Some(_)) => Err(twice(name)),
        }
    }

    /// The form as an object: a member for each part. The parts named in `texts` are texts as they
    /// are, all others are YAML or JSON. Empty ones are left out.
    ///
    /// # Errors
    /// 400 when a part cannot be read, or does not fit.
    pub fn object<T: DeserializeOwned>(&self, texts: &[&str]) -> Result<T> {
        let mut object = JsonMap::new();
        for (name, part) in &self.parts {
            let wrong = |what: &str| {
                let shown = short(name);
                Problem::invalid(format!("The part `{shown}` of the form is not valid: {what}."))
                    .at(name, what)
            };
            let text = std::str::from_utf8(part).map_err(|_| wrong("it is not UTF-8"))?;
            if text.trim().is_empty() {
                continue;
            }
            let value = if texts.contains(&name.as_str()) {
                Json::from(text)
            } else {
                let node = yaml::parse(text, &yaml::Limits::default());
                node.map_err(|error| wrong(&error.to_string()))?.to_json()
            };
            if object.insert(name.clone(), value).is_some() {
                return Err(twice(name));
            }
        }
        serde_path_to_error::deserialize(Json::Object(object)).map_err(|error| {
            let place = error.path().to_string();
            let what = error.into_inner().to_string();
            broken(&if place == "." { what } else { format!("`{place}`: {what}") })
        })
    }
}

fn twice(name: &str) -> Problem {
    let message = format!("The form has more than one part with the name `{}`.", short(name));
    Problem::invalid(message).at(name, "given twice")
}

fn broken(why: &str) -> Problem {
    Problem::invalid(format!("The form cannot be read: {why}."))
}

fn text(error: &multer::Error) -> String {
    let text = error.to_string();
    let mut letters = text.chars();
    let first = letters.next().into_iter().flat_map(char::to_lowercase);
    first.chain(letters).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    async fn parse(body: impl Into<Bytes>) -> Result<Form> {
        Form::parse(body.into(), "x".to_owned()).await
    }

    fn part(name: &str, text: &str) -> String {
        format!("--x\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{text}\r\n")
    }

    #[tokio::test]
    async fn reads_parts_with_and_without_a_file_name() {
        let file = "--x\r\nContent-Disposition: form-data; name=\"b\"; filename=\"b.tgz\"\r\n\
                    Content-Type: application/x-gzip\r\n\r\n\0\r\n\x01\r\n";
        let form = parse(format!("{}{file}--x--\r\n", part("a", "one"))).await.unwrap();
        assert_eq!(form.part("a").unwrap().as_ref(), b"one");
        assert_eq!(form.part("b").unwrap().as_ref(), b"\0\r\n\x01");
        let problem = form.part("c").unwrap_err();
        assert_eq!(problem.to_string(), "The form has no part with the name `c`.");
    }

    #[tokio::test]
    async fn what_is_broken_is_refused() {
        let body = |parts: &[String]| format!("{}--x--\r\n", parts.concat());
        let many: Vec<String> = (0..=MOST_PARTS).map(|_| part("a", "")).collect();
        let texts: [&str; 1] = ["t"];
        for (bytes, says) in [
            ("nothing".to_owned(), "incomplete"),
            (part("a", "cut"), "incomplete"),
            (body(&many), "more than 50 parts"),
        ] {
            let problem = parse(bytes.clone()).await.unwrap_err().to_string();
            assert!(problem.contains(says), "{bytes:?}: {problem}");
        }
        for (parts, says) in [
            (vec![part("a", "1"), part("a", "1")], "more than one part"),
            (vec![part("a", "{")], "part `a`"),
            (vec![part("a", "1")], "missing field `t`"),
            (vec![part("t", "1"), part("a", "b")], "`a`: invalid type"),
        ] {
            #[derive(Debug, serde::Deserialize)]
            struct Wanted {
                #[serde(default)]
                #[expect(dead_code, reason = "only read")]
                a: Option<u32>,
                #[expect(dead_code, reason = "only read")]
                t: String,
            }
            let form = parse(body(&parts)).await.unwrap();
            let problem = form.object::<Wanted>(&texts).unwrap_err().to_string();
            assert!(problem.contains(says), "{parts:?}: {problem}");
        }
        let mut bytes = part("a", "").into_bytes();
        bytes.truncate(bytes.len() - 2);
        bytes.extend(b"\xFF\r\n--x--\r\n");
        let problem = parse(bytes).await.unwrap().object::<Json>(&[]).unwrap_err();
        assert!(problem.to_string().contains("not UTF-8"), "{problem}");
    }

    #[tokio::test]
    async fn becomes_an_object() {
        let parts = [
            part("version", "1.0"),
            part("spec", "a:\n  - 1\n  - {b: x}\n"),
            part("json", "{\"a\": null}"),
            part("ref", " "),
        ];
        let form = parse(format!("{}--x--\r\n", parts.concat())).await.unwrap();
        let object: Json = form.object(&["version", "ref"]).unwrap();
        let expected =
            json!({ "version": "1.0", "spec": { "a": [1, { "b": "x" }] }, "json": { "a": null } });
        assert_eq!(object, expected);
    }
}
