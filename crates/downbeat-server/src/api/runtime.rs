//! `…/envs/{envId}/runtime`: what runs.

use axum::{extract::State, http::StatusCode};
use downbeat_store::{commit, environment as store};
use utoipa_axum::{router::OpenApiRouter, routes};

use super::environment;
use crate::{
    AppState, Result,
    access::Caller,
    extract::{Body, Path},
};

/// Operations of this noun.
pub fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().routes(routes!(pause))
}

/// Pauses the workloads of an environment, or resumes them.
#[utoipa::path(
    put, path = "/orgs/{orgId}/apps/{appId}/envs/{envId}/runtime/paused",
    operation_id = "updatePaused", tag = "EnvironmentPausedInfo",
    request_body = bool,
    responses((status = 204, description = "The environment is paused, or runs.")),
)]
async fn pause(
    State(state): State<AppState>,
    caller: Caller,
    Path((org, app, env)): Path<(String, String, String)>,
    Body(paused): Body<bool>,
) -> Result<StatusCode> {
    let scope = caller.may_change(&org)?.app(&app).env(&env);
    let mut tx = state.db.write().await?;
    environment::require_active(&mut tx, &scope).await?;
    store::pause(&mut tx, &scope, paused).await?;
    commit(tx).await?;
    Ok(StatusCode::NO_CONTENT)
}
