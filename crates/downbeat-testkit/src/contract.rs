//! Does an answer say what the OpenAPI document says it does?

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, OnceLock, PoisonError},
};

use downbeat_api::client::Exchange;
use downbeat_core::Json;
use jsonschema::Validator;
use serde_json::json;

/// An OpenAPI document, ready to check answers.
pub struct Contract {
    document: Json,
    validators: Mutex<BTreeMap<String, Arc<Validator>>>,
}

impl Contract {
    /// The contract of the server as it was compiled.
    #[must_use]
    pub fn of_this_build() -> Arc<Self> {
        static CONTRACT: OnceLock<Arc<Contract>> = OnceLock::new();
        Arc::clone(CONTRACT.get_or_init(|| {
            let document = downbeat_server::router::document();
            Arc::new(Self { document, validators: Mutex::default() })
        }))
    }

    /// Checks an answer, and says which operation gave it; nothing when there is no such operation.
    ///
    /// # Panics
    /// When the operation has no such answer.
    pub fn check(&self, exchange: &Exchange) -> Option<String> {
        let Exchange { method, path, status, body, .. } = exchange;
        let context = format!("{method} {path} -> {status} {}", String::from_utf8_lossy(body));
        assert!(exchange.header("x-request-id").is_some(), "{context}: no request id");
        let kind = exchange.header("content-type").unwrap_or_default();
        let kind = kind.split(';').next().unwrap_or_default().trim();

        let verb = if method == "HEAD" { "get" } else { &method.as_str().to_ascii_lowercase() };
        let Some((template, operation)) = self.operation(verb, path) else {
            assert!(matches!(status, 404 | 405), "{context}: answer of an unknown operation");
            let schema = json!({ "$ref": "#/components/schemas/ErrorBody" });
            self.fits("an error", &schema, &exchange.json(), &context);
            return None;
        };
        let id = operation.get("operationId").and_then(Json::as_str).map(str::to_owned);
        let responses = operation.get("responses").and_then(Json::as_object);
        let Some(response) = responses.and_then(|all| all.get(&status.to_string())) else {
            panic!("{context}: the operation does not name this status");
        };
        let content = response.get("content").and_then(Json::as_object);
        let described = |kind: &str| content.and_then(|content| content.get(kind)?.get("schema"));
        let is_other = !kind.contains("json") && described(kind).is_some();
        assert!(
            is_other || kind.contains("json") || body.is_empty(),
            "{context}: the body is declared to be {kind:?}"
        );
        if method == "HEAD" || is_other {
            return id;
        }
        let schema = described(kind).or_else(|| described("application/json"));
        let Some(schema) = schema else {
            assert!(body.is_empty(), "{context}: the operation names no body for this status");
            return id;
        };
        let name = format!("{verb} {template} {status} {kind}");
        self.fits(&name, schema, &exchange.json(), &context);
        id
    }

    /// Id of the operation that answers this.
    #[must_use]
    pub fn operation_id(&self, method: &str, path: &str) -> Option<&str> {
        self.operation(&method.to_ascii_lowercase(), path)?.1.get("operationId")?.as_str()
    }

    /// The operation of a path, and the path as the document writes it. Fixed segments win.
    fn operation(&self, verb: &str, path: &str) -> Option<(&str, &Json)> {
        let path = path.split('?').next().unwrap_or(path);
        let paths = self.document.get("paths")?.as_object()?;
        let matching = paths.iter().filter(|(template, _)| matches(template, path));
        let (template, item) =
            matching.min_by_key(|(template, _)| template.matches('{').count())?;
        Some((template, item.get(verb)?))
    }

    /// `name` is that of the schema, for finding the validator again.
    fn fits(&self, name: &str, schema: &Json, body: &Json, context: &str) {
        let validator = {
            let mut known = self.validators.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(known.entry(name.to_owned()).or_insert_with(|| {
                let schema = json!({
                    "$schema": "https://json-schema.org/draft/2020-12/schema",
                    "allOf": [schema],
                    "components": self.document.get("components"),
                });
                let options = jsonschema::options().should_validate_formats(true);
                let built = options.build(&schema);
                Arc::new(built.unwrap_or_else(|error| panic!("{name}: {error}")))
            }))
        };
        let errors: Vec<String> = validator
            .iter_errors(body)
            .map(|error| format!("{}: {error}", error.instance_path()))
            .collect();
        assert!(errors.is_empty(), "{context} breaks the contract:\n{}", errors.join("\n"));
    }
}

fn matches(template: &str, path: &str) -> bool {
    let mut segments = path.split('/');
    let fit = template.split('/').all(|part| {
        segments.next().is_some_and(|segment| part.starts_with('{') || part == segment)
    });
    fit && segments.next().is_none()
}
