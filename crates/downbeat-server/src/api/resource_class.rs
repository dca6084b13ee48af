//! `/orgs/{orgId}/resources/types/{typeId}/classes`: documented variants of a resource type.
//!
//! Registering a class is documentation only: sets and criteria may name any class.

use axum::{Json, extract::State, http::StatusCode};
use downbeat_api::resource_class::{CreateResourceClass, PatchResourceClass, ResourceClass};
use downbeat_core::id::Grammar;
use downbeat_store::resource_class::{self as store, StoredClass as Row};
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{common::check_grammar, resource_type};
use crate::{
    AppState, Problem, Result,
    access::Caller,
    change::Effect,
    extract::{Body, Path},
};

/// Operations of this noun.
pub fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new()
        .routes(routes!(list))
        .routes(routes!(create))
        .routes(routes!(get, patch, delete))
}

/// Lists the classes of all resource types.
#[utoipa::path(
    get, path = "/orgs/{orgId}/resources/classes",
    operation_id = "listResourceClasses", tag = "ResourceClass",
    responses((status = 200, body = Vec<ResourceClass>, description = "The classes.")),
)]
async fn list(
    State(state): State<AppState>,
    caller: Caller,
    Path(org): Path<String>,
) -> Result<Json<Vec<ResourceClass>>> {
    let scope = caller.scope(&org)?;
    let rows = store::list(&mut *state.db.read().await?, &scope).await?;
    Ok(Json(rows.into_iter().map(wire).collect()))
}

/// Registers a class.
#[utoipa::path(
    post, path = "/orgs/{orgId}/resources/types/{typeId}/classes",
    operation_id = "createResourceClass", tag = "ResourceClass",
    request_body = CreateResourceClass,
    responses(
        (status = 200, body = ResourceClass, description = "The new class."),
        (status = 409, body = downbeat_api::ErrorBody, description = "The id is taken."),
    ),
)]
async fn create(
    State(state): State<AppState>,
    caller: Caller,
    Path((org, resource_type)): Path<(String, String)>,
    Body(new): Body<CreateResourceClass>,
) -> Result<Json<ResourceClass>> {
    let scope = caller.scope(&org)?;
    check_grammar(Grammar::Class, "id of a resource class", "/id", &new.id)?;
    let now = state.now();
    let mut change = caller.change(&state, &scope).await?;
    resource_type::check_reference(&mut change, &scope, &resource_type, "/typeId").await?;
    if store::find(&mut change, &scope, &resource_type, &new.id).await?.is_some() {
        let id = &new.id;
        return Err(Problem::conflict(format!(
            "The resource type `{resource_type}` has a class `{id}` already."
        )));
    }
    let row = Row {
        resource_type,
        id: new.id,
        description: new.description,
        created_at: now,
        created_by: caller.id().to_owned(),
        updated_at: now,
        updated_by: caller.id().to_owned(),
    };
    store::create(&mut change, &scope, &row).await?;
    let class = wire(row);
    change.commit(StatusCode::OK, Effect::created(&class)).await?;
    Ok(Json(class))
}

/// Shows a class.
#[utoipa::path(
    get, path = "/orgs/{orgId}/resources/types/{typeId}/classes/{classId}",
    operation_id = "getResourceClass", tag = "ResourceClass",
    responses((status = 200, body = ResourceClass, description = "The class.")),
)]
async fn get(
    State(state): State<AppState>,
    caller: Caller,
    Path((org, resource_type, id)): Path<(String, String, String)>,
) -> Result<Json<ResourceClass>> {
    let scope = caller.scope(&org)?;
    let row = store::find(&mut *state.db.read().await?, &scope, &resource_type, &id).await?;
    row.map(wire).map(Json).ok_or_else(|| missing(&id))
}

/// Changes the description of a class.
#[utoipa::path(
    patch, path = "/orgs/{orgId}/resources/types/{typeId}/classes/{classId}",
    operation_id = "updateResourceClass", tag = "ResourceClass",
    request_body = PatchResourceClass,
    responses((status = 200, body = ResourceClass, description = "The class as it is now.")),
)]
async fn patch(
    State(state): State<AppState>,
    caller: Caller,
    Path((org, resource_type, id)): Path<(String, String, String)>,
    Body(patch): Body<PatchResourceClass>,
) -> Result<Json<ResourceClass>> {
    let scope = caller.scope(&org)?;
    let mut change = caller.change(&state, &scope).await?;
    let row = store::find(&mut change, &scope, &resource_type, &id).await?;
    let before = row.ok_or_else(|| missing(&id))?;
    let mut row = before.clone();
    row.description = patch.description;
    row.updated_at = state.now();
    row.updated_by = caller.id().to_owned();
    store::update(&mut change, &scope, &row).await?;
    let (before, after) = (wire(before), wire(row));
    change.commit(StatusCode::OK, Effect::changed(&before, &after)).await?;
    Ok(Json(after))
}

/// Removes a class.
#[utoipa::path(
    delete, path = "/orgs/{orgId}/resources/types/{typeId}/classes/{classId}",
    operation_id = "deleteResourceClass", tag = "ResourceClass",
    responses((status = 204, description = "The class is gone.")),
)]
async fn delete(
    State(state): State<AppState>,
    caller: Caller,
    Path((org, resource_type, id)): Path<(String, String, String)>,
) -> Result<StatusCode> {
    let scope = caller.scope(&org)?;
    let mut change = caller.change(&state, &scope).await?;
    let row = store::find(&mut change, &scope, &resource_type, &id).await?;
    let row = row.ok_or_else(|| missing(&id))?;
    store::delete(&mut change, &scope, &resource_type, &id).await?;
    change.commit(StatusCode::NO_CONTENT, Effect::deleted(&wire(row))).await?;
    Ok(StatusCode::NO_CONTENT)
}

fn missing(id: &str) -> Problem {
    Problem::not_found("resource class", id)
}

fn wire(row: Row) -> ResourceClass {
    ResourceClass {
        id: row.id,
        resource_type: row.resource_type,
        description: row.description,
        created_by: row.created_by,
        created_at: row.created_at.into(),
    }
}
