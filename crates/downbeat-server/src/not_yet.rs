//! Operations of v1 that are not there yet: `not_yet.tsv` lists them.
//!
//! They are routed and in the document, so a client learns from the answer (501) what is missing
//! and not whether it has mistyped a path. An operation leaves the table when its handler comes.

use axum::{
    Router,
    http::StatusCode,
    routing::{MethodFilter, on},
};
use downbeat_core::{Code, Json};
use serde_json::json;

use crate::{AppState, Problem, Result, access::Caller, openapi};

/// Method, path and operation id, with tabs between.
const TABLE: &str = include_str!("not_yet.tsv");

/// Marks such an operation in the document.
pub const MARK: &str = "x-downbeat-not-yet";

/// The rows of the table.
pub fn rows() -> impl Iterator<Item = (&'static str, &'static str, &'static str)> {
    TABLE.lines().filter(|line| !line.starts_with('#')).filter_map(|line| {
        let mut columns = line.split('\t');
        Some((columns.next()?, columns.next()?, columns.next()?))
    })
}

/// Adds routes and documentation for the rows of the table that nothing else answers.
pub(crate) fn add(mut router: Router<AppState>, mut document: Json) -> (Router<AppState>, Json) {
    for (method, path, operation) in rows() {
        let verb = method.to_ascii_lowercase();
        let pointer = format!("/paths/{}/{verb}", path.replace('/', "~1"));
        if document.pointer(&pointer).is_some() {
            continue;
        }
        let Some(filter) = filter(method) else { continue };
        router = router.route(path, on(filter, move |caller| refuse(caller, operation)));
        openapi::insert(&mut document, path, &verb, describe(path, operation));
    }
    (router, document)
}

async fn refuse(_known: Caller, operation: &'static str) -> Result<()> {
    let message = format!("The operation `{operation}` is not there yet.");
    Err(Problem::new(StatusCode::NOT_IMPLEMENTED, Code::NotImplemented, message)
        .with_detail("operation", operation))
}

fn describe(path: &str, operation: &str) -> Json {
    json!({
        "operationId": operation,
        "summary": "Not there yet.",
        MARK: true,
        "parameters": openapi::path_parameters(path),
        "responses": {
            "401": openapi::error_response("The request carries no valid token."),
            "403": openapi::error_response("The caller may see this and not do it."),
            "404": openapi::error_response("There is no such object, or the caller may not know."),
            "501": openapi::error_response("The operation is not there yet."),
        },
    })
}

fn filter(method: &str) -> Option<MethodFilter> {
    Some(match method {
        "DELETE" => MethodFilter::DELETE,
        "GET" => MethodFilter::GET,
        "PATCH" => MethodFilter::PATCH,
        "POST" => MethodFilter::POST,
        "PUT" => MethodFilter::PUT,
        _ => return None,
    })
}
