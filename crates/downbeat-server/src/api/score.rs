//! `POST /orgs/{orgId}/artefact-versions/convert-score`: from a Score file to modules.

use std::collections::BTreeMap;

use axum::Json;
use downbeat_api::score::{ConvertScore, ConvertedScore};
use downbeat_core::{Code, Json as Value, JsonMap};
use downbeat_score::{Diagnostic, NoFiles, Options, Overlay, Property, Severity, Source};
use serde::Serialize;
use serde_json::json;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    AppState, Problem, Result,
    access::Caller,
    extract::{Body, Path},
};

/// Operations of this noun.
pub fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().routes(routes!(convert))
}

/// Converts a Score file; nothing is stored.
#[utoipa::path(
    post, path = "/orgs/{orgId}/artefact-versions/convert-score",
    operation_id = "convertScoreToSet", tag = "ArtefactVersion",
    request_body = ConvertScore,
    responses((status = 200, body = ConvertedScore, description = "What the file asks for.")),
)]
async fn convert(
    caller: Caller,
    Path(org): Path<String>,
    Body(request): Body<ConvertScore>,
) -> Result<Json<ConvertedScore>> {
    // A `POST` that changes nothing.
    caller.scope(&org)?;
    converted(request).map(Json)
}

/// What a Score file asks for, or 400 with all that is wrong with it.
pub(super) fn converted(request: ConvertScore) -> Result<ConvertedScore> {
    let properties = request.property_overrides.unwrap_or_default();
    let options = Options {
        overrides: request
            .overrides
            .filter(Value::is_object)
            .map(Overlay::Json)
            .into_iter()
            .collect(),
        properties: properties
            .into_iter()
            .map(|(path, value)| Property { path, value: Some(value).filter(|v| !v.is_null()) })
            .collect(),
        image: request.image.filter(|image| !image.is_empty()),
        fill_missing_image: true,
        resource_type_aliases: request.resource_type_aliases.unwrap_or_default(),
        extension: request.extensions.filter(Value::is_object).map(Overlay::Json),
        ..Options::default()
    };
    // JSON is YAML.
    let text = request.spec.to_string();
    let source = Source { name: "spec", text: &text };
    let converted =
        downbeat_score::convert(&source, &options, &NoFiles).map_err(|found| refused(&found))?;
    let module = BTreeMap::from([(converted.name, converted.module)]);
    Ok(ConvertedScore { modules: object(&module)?, shared: object(&converted.shared)? })
}

fn object(value: &impl Serialize) -> Result<JsonMap> {
    let value = serde_json::to_value(value).map_err(|error| Problem::internal(&error))?;
    Ok(value.as_object().cloned().unwrap_or_default())
}

/// 400: the file has mistakes. The first one is the message, all of them are details.
fn refused(found: &[Diagnostic]) -> Problem {
    let errors: Vec<&Diagnostic> =
        found.iter().filter(|diagnostic| diagnostic.severity == Severity::Error).collect();
    let first = errors.first().map_or_else(String::new, |first| match first.pointer.as_str() {
        "" => first.message.clone(),
        pointer => format!("`{pointer}`: {}", first.message),
    });
    let more = match errors.len() {
        0 | 1 => String::new(),
        count => format!(" ({} more)", count - 1),
    };
    let list: Vec<Value> = errors
        .iter()
        .map(|error| {
            json!({
                "path": error.pointer,
                "code": error.code.as_str(),
                "message": error.message,
                "hint": error.hint,
            })
        })
        .collect();
    Problem::invalid(format!("The Score file is not valid: {first}{more}."))
        .with_code(errors.first().map_or(Code::Invalid, |first| first.code))
        .with_detail("errors", list)
}
