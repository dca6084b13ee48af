//! `/orgs/{orgId}/env-types`: environment types.

use axum::{Json, extract::State, http::StatusCode};
use downbeat_api::environment_type::{
    CreateEnvironmentType, EnvironmentInUse, EnvironmentType, PatchEnvironmentType,
};
use downbeat_core::id::Grammar;
use downbeat_store::{
    environment_type::{self as store, EnvironmentType as Row},
    user,
};
use serde_json::json;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::common::check_grammar;
use crate::{
    AppState, Problem, Result,
    access::Caller,
    change::Effect,
    extract::{Body, Path},
};

/// Operations of this noun.
pub fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().routes(routes!(list, create)).routes(routes!(get, patch, delete))
}

/// Lists the environment types.
#[utoipa::path(
    get, path = "/orgs/{orgId}/env-types",
    operation_id = "listEnvironmentTypes", tag = "EnvironmentType",
    responses((status = 200, body = Vec<EnvironmentType>, description = "All types, by id.")),
)]
async fn list(
    State(state): State<AppState>,
    caller: Caller,
    Path(org): Path<String>,
) -> Result<Json<Vec<EnvironmentType>>> {
    let scope = caller.scope(&org)?;
    let rows = store::list(&mut *state.db.read().await?, &scope).await?;
    Ok(Json(rows.into_iter().map(wire).collect()))
}

/// Creates an environment type.
#[utoipa::path(
    post, path = "/orgs/{orgId}/env-types",
    operation_id = "createEnvironmentType", tag = "EnvironmentType",
    request_body = CreateEnvironmentType,
    responses(
        (status = 201, body = EnvironmentType, description = "The new type."),
        (status = 409, body = downbeat_api::ErrorBody, description = "The id is taken."),
    ),
)]
async fn create(
    State(state): State<AppState>,
    caller: Caller,
    Path(org): Path<String>,
    Body(new): Body<CreateEnvironmentType>,
) -> Result<(StatusCode, Json<EnvironmentType>)> {
    let scope = caller.scope(&org)?;
    check_grammar(Grammar::Plain, "id of an environment type", "/id", &new.id)?;
    let row = Row { id: new.id, description: new.description.unwrap_or_default() };
    let mut change = caller.change(&state, &scope).await?;
    if store::find(&mut change, &scope, &row.id).await?.is_some() {
        return Err(Problem::conflict(format!(
            "The environment type `{}` exists already.",
            row.id
        )));
    }
    store::create(&mut change, &scope, &row).await?;
    let answer = wire(row);
    change.commit(StatusCode::CREATED, Effect::created(&answer)).await?;
    Ok((StatusCode::CREATED, Json(answer)))
}

/// Shows an environment type.
#[utoipa::path(
    get, path = "/orgs/{orgId}/env-types/{envTypeId}",
    operation_id = "getEnvironmentType", tag = "EnvironmentType",
    responses((status = 200, body = EnvironmentType, description = "The type.")),
)]
async fn get(
    State(state): State<AppState>,
    caller: Caller,
    Path((org, id)): Path<(String, String)>,
) -> Result<Json<EnvironmentType>> {
    let scope = caller.scope(&org)?;
    let row = store::find(&mut *state.db.read().await?, &scope, &id).await?;
    row.map(wire).map(Json).ok_or_else(|| missing(&id))
}

/// Changes the description of an environment type.
#[utoipa::path(
    patch, path = "/orgs/{orgId}/env-types/{envTypeId}",
    operation_id = "updateEnvironmentType", tag = "EnvironmentType",
    request_body = PatchEnvironmentType,
    responses((status = 200, body = EnvironmentType, description = "The type as it is now.")),
)]
async fn patch(
    State(state): State<AppState>,
    caller: Caller,
    Path((org, id)): Path<(String, String)>,
    Body(patch): Body<PatchEnvironmentType>,
) -> Result<Json<EnvironmentType>> {
    let scope = caller.scope(&org)?;
    let mut change = caller.change(&state, &scope).await?;
    let before = store::find(&mut change, &scope, &id).await?.ok_or_else(|| missing(&id))?;
    let mut after = before.clone();
    if let Some(description) = patch.description {
        store::describe(&mut change, &scope, &id, &description).await?;
        after.description = description;
    }
    let (before, after) = (wire(before), wire(after));
    change.commit(StatusCode::OK, Effect::changed(&before, &after)).await?;
    Ok(Json(after))
}

/// Removes an environment type that no environment has.
#[utoipa::path(
    delete, path = "/orgs/{orgId}/env-types/{envTypeId}",
    operation_id = "deleteEnvironmentType", tag = "EnvironmentType",
    responses(
        (status = 204, description = "The type is gone."),
        (status = 409, body = Vec<EnvironmentInUse>, description = "These environments have it."),
    ),
)]
async fn delete(
    State(state): State<AppState>,
    caller: Caller,
    Path((org, id)): Path<(String, String)>,
) -> Result<StatusCode> {
    let scope = caller.scope(&org)?;
    let mut change = caller.change(&state, &scope).await?;
    let row = store::find(&mut change, &scope, &id).await?.ok_or_else(|| missing(&id))?;
    let in_use = store::in_use(&mut change, &scope, &id).await?;
    if !in_use.is_empty() {
        let list = in_use.into_iter().map(|(app_id, env_id)| EnvironmentInUse { app_id, env_id });
        let list: Vec<_> = list.collect();
        return Err(Problem::conflict("The type is in use.").with_body(json!(list)));
    }
    store::delete(&mut change, &scope, &id).await?;
    user::remove_roles_on(&mut change, &scope, &format!("/env-types/{id}")).await?;
    change.commit(StatusCode::NO_CONTENT, Effect::deleted(&wire(row))).await?;
    Ok(StatusCode::NO_CONTENT)
}

fn missing(id: &str) -> Problem {
    Problem::not_found("environment type", id)
}

fn wire(row: Row) -> EnvironmentType {
    EnvironmentType { id: row.id, description: row.description }
}
