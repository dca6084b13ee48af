//! Reading requests: path, query and body, with v1's answers when they are wrong.
//!
//! Routing happens on the path as it was sent; decoding happens afterwards, so `%2F` stays inside
//! its segment and `{org}%2Fmy-type` is one id. Unknown query parameters and unknown fields of a
//! body are ignored: clients of every version send some.
//!
//! | body | answer |
//! | --- | --- |
//! | empty, not JSON, nested too deep, or another kind of JSON | 422 |
//! | a field missing, or of the wrong type | 400 |
//! | too large | 413, before it is read when its length is known |
//! | declared to be something else than JSON | 415 |
//! | does not arrive in time | 408 |

use std::time::Duration;

use axum::{
    body::{self, Bytes},
    extract::{FromRequest, FromRequestParts, Request},
    http::{HeaderMap, StatusCode, header, request::Parts},
};
use downbeat_core::Code;
use http_body_util::LengthLimitError;
use serde::{
    Deserializer,
    de::{self, DeserializeOwned, Visitor},
    forward_to_deserialize_any,
};

use crate::{AppState, Problem, Result};

/// Deepest nesting of a JSON body. The reader itself stops a little later.
const DEEPEST: usize = 100;

/// The ids in the path, decoded: one for a `String`, several for a tuple.
#[derive(Clone, Copy, Debug)]
pub struct Path<T>(pub T);

impl<T: DeserializeOwned + Send> FromRequestParts<AppState> for Path<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self> {
        match axum::extract::Path::from_request_parts(parts, state).await {
            Ok(axum::extract::Path(ids)) => Ok(Self(ids)),
            Err(rejection) if rejection.status().is_server_error() => {
                Err(Problem::internal(&rejection))
            }
            Err(_) => Err(Problem::invalid("The path is not valid: an id in it is not UTF-8.")),
        }
    }
}

/// The query parameters that the handler knows.
#[derive(Clone, Copy, Debug)]
pub struct Query<T>(pub T);

impl<T: DeserializeOwned + Send> FromRequestParts<AppState> for Query<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self> {
        match axum::extract::Query::from_request_parts(parts, state).await {
            Ok(axum::extract::Query(query)) => Ok(Self(query)),
            Err(rejection) => Err(Problem::invalid(format!(
                "The query parameters are not valid: {}.",
                innermost(&rejection)
            ))),
        }
    }
}

/// A JSON body.
#[derive(Clone, Copy, Debug)]
pub struct Body<T>(pub T);

impl<T: DeserializeOwned> FromRequest<AppState> for Body<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &AppState) -> Result<Self> {
        expect_json(request.headers())?;
        parse(&bytes(request, state).await?).map(Self)
    }
}

/// A JSON body that may be left out.
#[derive(Clone, Copy, Debug)]
pub struct OptionalBody<T>(pub Option<T>);

impl<T: DeserializeOwned> FromRequest<AppState> for OptionalBody<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &AppState) -> Result<Self> {
        expect_json(request.headers())?;
        let bytes = bytes(request, state).await?;
        if bytes.trim_ascii().is_empty() { Ok(Self(None)) } else { parse(&bytes).map(Self) }
    }
}

/// The bytes of a body, within the limits.
///
/// # Errors
/// 413 when there are too many, 408 when they take too long, 400 when the connection breaks.
pub async fn bytes(request: Request, state: &AppState) -> Result<Bytes> {
    bytes_within(request, state.limits.body_bytes, state.limits.body_time).await
}

/// The bytes of a body, at most `limit` of them, that arrive in this time.
///
/// # Errors
/// 413 when there are too many, 408 when they take too long, 400 when the connection breaks.
pub async fn bytes_within(request: Request, limit: usize, time: Duration) -> Result<Bytes> {
    let too_large = || {
        let message = format!("The request body is larger than {limit} bytes.");
        Problem::new(StatusCode::PAYLOAD_TOO_LARGE, Code::TooLarge, message)
    };
    let length = request.headers().get(header::CONTENT_LENGTH);
    let length = length.and_then(|length| length.to_str().ok()?.parse::<usize>().ok());
    if length.is_some_and(|length| length > limit) {
        return Err(too_large());
    }
    let body = body::to_bytes(request.into_body(), limit);
    match tokio::time::timeout(time, body).await {
        Ok(Ok(bytes)) => Ok(bytes),
        Ok(Err(error)) if is_over_limit(&error) => Err(too_large()),
        Ok(Err(_)) => Err(Problem::invalid("The request body ended early.")),
        Err(_) => Err(Problem::new(
            StatusCode::REQUEST_TIMEOUT,
            Code::RequestTimeout,
            "The request body took too long to arrive.",
        )),
    }
}

/// Whether the header `Accept` names this media type.
#[must_use]
pub fn accepts(headers: &HeaderMap, media_type: &str) -> bool {
    let accepted = headers.get_all(header::ACCEPT).iter().filter_map(|text| text.to_str().ok());
    let mut essences = accepted.flat_map(|text| text.split(',')).map(|one| {
        let essence = one.split(';').next().unwrap_or("");
        essence.trim()
    });
    essences.any(|essence| essence.eq_ignore_ascii_case(media_type))
}

fn is_over_limit(error: &axum::Error) -> bool {
    std::error::Error::source(error).is_some_and(<dyn std::error::Error>::is::<LengthLimitError>)
}

fn expect_json(headers: &HeaderMap) -> Result<()> {
    let Some(declared) = headers.get(header::CONTENT_TYPE) else { return Ok(()) };
    let media_type = declared.to_str().unwrap_or("");
    let essence = media_type.split(';').next().unwrap_or("").trim().to_ascii_lowercase();
    if essence.is_empty() || essence == "application/json" || essence.ends_with("+json") {
        return Ok(());
    }
    Err(Problem::new(
        StatusCode::UNSUPPORTED_MEDIA_TYPE,
        Code::Invalid,
        "The request body is declared to be something else than JSON.",
    )
    .with_hint("Send the header `Content-Type: application/json`."))
}

fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T> {
    if bytes.trim_ascii().is_empty() {
        return Err(Problem::unprocessable("The request body is empty; JSON is expected."));
    }
    if nests_too_deep(bytes) {
        let message = format!("The request body is nested deeper than {DEEPEST} levels.");
        return Err(Problem::unprocessable(message));
    }
    if bytes.trim_ascii_start().starts_with(b"[") && Shape::of::<T>() == Shape::Struct {
        let message = "The request body is a list; an object is expected.";
        return Err(Problem::unprocessable(message));
    }
    let mut reader = serde_json::Deserializer::from_slice(bytes);
    let value = serde_path_to_error::deserialize(&mut reader).map_err(|error| {
        let pointer = pointer(error.path());
        let error = error.into_inner();
        if error.is_data() { wrong_data(&pointer, &error) } else { not_json(&error) }
    })?;
    reader.end().map_err(|error| not_json(&error))?;
    Ok(value)
}

/// What a type asks a reader for. Derived readers of structs take a list of the fields as well,
/// which nobody means to send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shape {
    Struct,
    Other,
}

impl Shape {
    fn of<T: DeserializeOwned>() -> Self {
        let mut shape = Self::Other;
        // Fails always: only what was asked for counts.
        let _ = T::deserialize(Probe(&mut shape));
        shape
    }
}

/// A reader that has nothing to read.
struct Probe<'a>(&'a mut Shape);

impl<'de> Deserializer<'de> for Probe<'_> {
    type Error = de::value::Error;

    fn deserialize_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Self::Error> {
        Err(de::Error::custom("there is nothing to read"))
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Self::Error> {
        *self.0 = Shape::Struct;
        self.deserialize_any(visitor)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Self::Error> {
        visitor.visit_newtype_struct(self)
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option
        unit unit_struct seq tuple tuple_struct map enum identifier ignored_any
    }
}

/// Whether a JSON text has more levels than anybody needs. Looks at every level, also at those of
/// fields that are ignored later.
fn nests_too_deep(json: &[u8]) -> bool {
    let (mut depth, mut in_string, mut escaped) = (0_usize, false, false);
    for byte in json {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_string => escaped = true,
            b'"' => in_string = !in_string,
            b'{' | b'[' if !in_string => depth += 1,
            b'}' | b']' if !in_string => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth > DEEPEST {
            return true;
        }
    }
    false
}

fn not_json(error: &serde_json::Error) -> Problem {
    Problem::unprocessable(format!("The request body is not valid JSON: {error}."))
}

fn wrong_data(pointer: &str, error: &serde_json::Error) -> Problem {
    let text = error.to_string();
    // What is wrong without the place in the text, which a pointer says better.
    let what = text.rsplit_once(" at line ").map_or(text.as_str(), |(what, _)| what);
    let what = &unquoted(what);
    if pointer.is_empty() && what.starts_with("invalid type") {
        return Problem::unprocessable(format!("The request body has the wrong shape: {what}."));
    }
    let place = if pointer.is_empty() { String::new() } else { format!(" at `{pointer}`") };
    Problem::invalid(format!("The request body is not valid{place}: {what}.")).at(pointer, what)
}

/// What is wrong, without the value itself: it may be a secret.
fn unquoted(what: &str) -> String {
    for kind in ["string \"", "integer `", "floating point `"] {
        for mistake in ["invalid type: ", "invalid value: "] {
            if let Some(rest) = what.strip_prefix(mistake).and_then(|rest| rest.strip_prefix(kind))
                && let Some((_, expected)) = rest.rsplit_once(", expected ")
            {
                let kind = kind.trim_end_matches([' ', '"', '`']);
                return format!("{mistake}{kind}, expected {expected}");
            }
        }
    }
    what.to_owned()
}

/// A place in a document as JSON pointer.
fn pointer(path: &serde_path_to_error::Path) -> String {
    use serde_path_to_error::Segment;
    let segments = path.iter().map(|segment| match segment {
        Segment::Seq { index } => format!("/{index}"),
        Segment::Map { key } => format!("/{}", key.replace('~', "~0").replace('/', "~1")),
        Segment::Enum { variant } => format!("/{variant}"),
        Segment::Unknown => String::new(),
    });
    segments.collect()
}

fn innermost(error: &dyn std::error::Error) -> String {
    std::iter::successors(Some(error), |error| error.source())
        .last()
        .map(ToString::to_string)
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::{DEEPEST, HeaderMap, Shape, accepts, nests_too_deep};

    #[test]
    fn accept_names_media_types() {
        let mut headers = HeaderMap::new();
        assert!(!accepts(&headers, "application/x-yaml"));
        headers.append("accept", "text/html, Application/X-YAML;q=0.5".parse().unwrap());
        headers.append("accept", "application/v2+json".parse().unwrap());
        assert!(accepts(&headers, "application/x-yaml"));
        assert!(accepts(&headers, "application/v2+json"));
        assert!(!accepts(&headers, "application/json"));
    }

    #[test]
    fn knows_what_a_body_has_to_be() {
        use downbeat_api::{delta::DeltaRequest, environment::CreateEnvironment};
        assert_eq!(Shape::of::<CreateEnvironment>(), Shape::Struct);
        assert_eq!(Shape::of::<DeltaRequest>(), Shape::Struct);
        assert_eq!(Shape::of::<Vec<DeltaRequest>>(), Shape::Other);
        assert_eq!(Shape::of::<String>(), Shape::Other);
    }

    #[test]
    fn counts_levels_and_not_what_is_in_strings() {
        let deep = |levels: usize| format!("{}{}", "[".repeat(levels), "]".repeat(levels));
        assert!(!nests_too_deep(deep(DEEPEST).as_bytes()));
        assert!(nests_too_deep(deep(DEEPEST + 1).as_bytes()));
        let string = format!("[\"\\\"{}\"]", deep(1000));
        assert!(!nests_too_deep(string.as_bytes()), "{string}");
        assert!(!nests_too_deep("{}[]".repeat(1000).as_bytes()));
    }
}
