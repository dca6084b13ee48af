//! The OpenAPI document, made from the code.
//!
//! Each handler says what is its own: operation id, body, success answers. `complete` adds what is
//! the same everywhere: parameters of the path, error answers, the security scheme.

use std::{collections::BTreeSet, sync::Arc};

use axum::{Router, http::header, routing::get};
use downbeat_core::{Json, JsonMap};
use serde_json::json;
use utoipa::{
    OpenApi as _,
    openapi::{InfoBuilder, OpenApi, OpenApiBuilder},
};

use crate::AppState;

/// Marks an operation that v1 does not have.
pub const EXTENSION: &str = "x-downbeat-extension";

/// Schemas that no handler names by itself.
#[derive(utoipa::OpenApi)]
#[openapi(components(schemas(downbeat_api::ErrorBody)))]
struct Common;

/// The document without operations.
pub(crate) fn base() -> OpenApi {
    OpenApiBuilder::from(Common::openapi())
        .info(
            InfoBuilder::new()
                .title("Downbeat")
                .version(env!("CARGO_PKG_VERSION"))
                .description(Some(
                    "The v1 API of the Platform Orchestrator. Operations beyond v1 are marked \
                     `x-downbeat-extension`.",
                ))
                .license(None)
                .build(),
        )
        .build()
}

/// `GET /openapi.json`: the document itself, for everybody.
pub(crate) fn route(document: &Arc<Json>) -> Router<AppState> {
    let text: Arc<str> = document.to_string().into();
    let answer = move || {
        let text = Arc::clone(&text);
        async move { ([(header::CONTENT_TYPE, "application/json")], text.to_string()) }
    };
    Router::new().route("/openapi.json", get(answer))
}

/// The document with everything that is the same for all operations.
pub(crate) fn complete(document: OpenApi) -> Json {
    let mut document = serde_json::to_value(document).unwrap_or_default();
    insert(&mut document, "/openapi.json", "get", describe_itself());
    each_operation(&mut document, complete_operation);
    answers_hold_no_null(&mut document);
    if let Some(components) = object_at(&mut document, "/components") {
        components.insert(
            "securitySchemes".to_owned(),
            json!({ "token": { "type": "http", "scheme": "bearer" } }),
        );
    }
    if let Some(root) = document.as_object_mut() {
        root.insert("security".to_owned(), json!([{ "token": [] }]));
    }
    document
}

fn describe_itself() -> Json {
    json!({
        "operationId": "getOpenApi",
        "summary": "This document.",
        "security": [],
        EXTENSION: true,
        "responses": {
            "200": {
                "description": "This document.",
                "content": { "application/json": { "schema": { "type": "object" } } },
            },
        },
    })
}

/// Adds an operation to the document.
pub(crate) fn insert(document: &mut Json, path: &str, verb: &str, operation: Json) {
    if let Some(paths) = object_at(document, "/paths") {
        let item = paths.entry(path).or_insert_with(|| json!({}));
        if let Some(item) = item.as_object_mut() {
            item.insert(verb.to_owned(), operation);
        }
    }
}

/// The operations that answer 404 with a bare JSON string, as `GET /path`. That is v1's way for
/// deltas and sets, and its clients cannot read anything else there.
pub(crate) fn bare_not_found(document: &Json) -> BTreeSet<String> {
    let paths = document.get("paths").and_then(Json::as_object).into_iter().flatten();
    let operations = paths.flat_map(|(path, item)| {
        item.as_object().into_iter().flatten().map(move |(verb, operation)| (path, verb, operation))
    });
    let bare = operations.filter(|(_, _, operation)| {
        let kind = operation.pointer("/responses/404/content/application~1json/schema/type");
        kind.is_some_and(|kind| kind == "string")
    });
    bare.map(|(path, verb, _)| format!("{} {path}", verb.to_ascii_uppercase())).collect()
}

/// The parameters that the path itself names.
pub(crate) fn path_parameters(path: &str) -> Vec<Json> {
    let names = path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'));
    let parameters = names.map(|name| {
        json!({ "name": name, "in": "path", "required": true, "schema": { "type": "string" } })
    });
    parameters.collect()
}

/// An error answer with the common body.
pub(crate) fn error_response(description: &str) -> Json {
    json!({
        "description": description,
        "content": {
            "application/json": { "schema": { "$ref": "#/components/schemas/ErrorBody" } },
        },
    })
}

fn complete_operation(path: &str, operation: &mut JsonMap) {
    let anonymous = operation.contains_key("security");
    if anonymous {
        operation.insert("security".to_owned(), json!([]));
    }
    let takes_body = operation.contains_key("requestBody");
    let has_ids = path.contains('{');

    if let Some(body) = operation.get_mut("requestBody") {
        only_json(body);
    }
    if let Some(answers) = operation.get_mut("responses").and_then(Json::as_object_mut) {
        answers.values_mut().for_each(only_json);
    }

    let parameters = operation.entry("parameters").or_insert_with(|| json!([]));
    if let Some(parameters) = parameters.as_array_mut() {
        for parameter in path_parameters(path) {
            let same = |known: &Json| {
                ["in", "name"].iter().all(|part| known.get(part) == parameter.get(part))
            };
            if !parameters.iter().any(same) {
                parameters.push(parameter);
            }
        }
    }

    let errors: [(&str, bool, &str); 10] = [
        ("400", !anonymous, "The request is not valid."),
        ("401", !anonymous, "The request carries no valid token."),
        ("403", !anonymous, "The token does not allow this."),
        ("404", has_ids, "There is no such object, or the caller may not know of it."),
        ("408", takes_body, "The request took too long to arrive."),
        ("413", takes_body, "The request body is too large."),
        ("415", takes_body, "The request body is not declared to be JSON."),
        ("422", takes_body, "The request body is not of the expected shape."),
        ("500", true, "Something went wrong inside the server."),
        ("503", true, "The server took too long to answer; a change may have been made."),
    ];
    let responses = operation.entry("responses").or_insert_with(|| json!({}));
    if let Some(responses) = responses.as_object_mut() {
        for (status, applies, description) in errors {
            if applies && !responses.contains_key(status) {
                responses.insert(status.to_owned(), error_response(description));
            }
        }
    }
}

/// A bare text is a JSON string here, not `text/plain`.
fn only_json(body: &mut Json) {
    if let Some(content) = object_at(body, "/content")
        && let Some(text) = content.remove("text/plain")
    {
        content.insert("application/json".to_owned(), text);
    }
}

/// Absent stays absent: a field that an answer may leave out is never null instead. Bodies of
/// requests may say null for absent.
fn answers_hold_no_null(document: &mut Json) {
    let mut answers = Vec::new();
    each_operation(document, |_, operation| {
        if let Some(responses) = operation.get("responses") {
            references(responses, &mut answers);
        }
    });
    let mut seen = BTreeSet::new();
    while let Some(name) = answers.pop() {
        let pointer = format!("/components/schemas/{name}");
        if !seen.insert(name) {
            continue;
        }
        if let Some(schema) = document.pointer_mut(&pointer) {
            drop_null(schema);
            references(schema, &mut answers);
        }
    }
}

fn references(json: &Json, names: &mut Vec<String>) {
    match json {
        Json::Object(object) => {
            let name = object.get("$ref").and_then(Json::as_str);
            names.extend(name.and_then(|name| Some(name.rsplit_once('/')?.1.to_owned())));
            object.values().for_each(|value| references(value, names));
        }
        Json::Array(items) => items.iter().for_each(|item| references(item, names)),
        _ => {}
    }
}

fn drop_null(schema: &mut Json) {
    let required = schema.get("required").cloned().unwrap_or_default();
    let is_required = |name: &str| {
        required.as_array().is_some_and(|names| names.iter().any(|known| known == name))
    };
    let Some(properties) = object_at(schema, "/properties") else { return };
    for (_, property) in properties.iter_mut().filter(|(name, _)| !is_required(name)) {
        let types = property.get("type").and_then(Json::as_array);
        if let Some([kind, Json::String(null)] | [Json::String(null), kind]) =
            types.map(Vec::as_slice)
            && null == "null"
        {
            let kind = kind.clone();
            property.as_object_mut().map(|property| property.insert("type".to_owned(), kind));
        }
        let choices = property.get("oneOf").and_then(Json::as_array);
        let real = choices.map(|choices| {
            let is_real = |choice: &&Json| choice.get("type").is_none_or(|kind| kind != "null");
            choices.iter().filter(is_real).cloned().collect::<Vec<_>>()
        });
        if let (Some([only]), Some(property)) = (real.as_deref(), property.as_object_mut()) {
            property.remove("oneOf");
            property.extend(only.as_object().cloned().unwrap_or_default());
        }
    }
}

fn each_operation(document: &mut Json, mut visit: impl FnMut(&str, &mut JsonMap)) {
    let Some(paths) = object_at(document, "/paths") else { return };
    for (path, item) in paths {
        for (_verb, operation) in item.as_object_mut().into_iter().flatten() {
            if let Some(operation) = operation.as_object_mut() {
                visit(path, operation);
            }
        }
    }
}

fn object_at<'a>(json: &'a mut Json, pointer: &str) -> Option<&'a mut JsonMap> {
    json.pointer_mut(pointer)?.as_object_mut()
}
