//! `GET /health`: is the server there?

use axum::Json;
use downbeat_api::health::Health;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::AppState;

/// Operations of this noun.
pub fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().routes(routes!(health))
}

/// Says that the server answers.
#[utoipa::path(
    get, path = "/health", operation_id = "getHealth", security(()),
    responses((status = 200, body = Health, description = "The server answers.")),
    extensions(("x-downbeat-extension" = json!(true))),
)]
async fn health() -> Json<Health> {
    Json(Health { status: "ok".to_owned(), version: env!("CARGO_PKG_VERSION").to_owned() })
}
