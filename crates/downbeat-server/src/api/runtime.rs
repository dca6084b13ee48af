//! `…/envs/{envId}/runtime`: what runs.

use axum::{extract::State, http::StatusCode};
use downbeat_store::environment as store;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::environment;
use crate::{
    AppState, Result,
    access::Caller,
    change::Effect,
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
    let scope = caller.scope(&org)?.app(&app).env(&env);
    let mut change = caller.change(&state, scope.in_app().in_org()).await?;
    let before = environment::require_active(&mut change, &scope).await?;
    store::pause(&mut change, &scope, paused).await?;
    let effect = Effect::changed(&before.paused, &paused);
    change.commit(StatusCode::NO_CONTENT, effect).await?;
    Ok(StatusCode::NO_CONTENT)
}
