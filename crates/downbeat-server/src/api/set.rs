//! `/orgs/{orgId}/apps/{appId}/sets`: deployment sets.
//!
//! Sets are never edited: applying a delta makes another set. In v1 a 404 here is a bare JSON
//! string, not the common body: the descriptions of the operations say so, and [`crate::router`]
//! acts on it.

use axum::{Json, extract::State, http::StatusCode};
use downbeat_api::{
    delta::{DeltaRequest, PlainDelta},
    set::{ResourceInputs, Set, SetOrDelta},
};
use downbeat_core::{Delta, DeploymentSet, Module, Resource, delta as core, graph};
use downbeat_store::{
    AnyConnection, AppScope,
    set::{self as store, StoredSet},
};
use serde::Deserialize;
use utoipa::IntoParams;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{application, delta};
use crate::{
    AppState, Problem, Result,
    access::Caller,
    change::Effect,
    extract::{Body, Path, Query},
};

/// Operations of this noun.
pub fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new()
        .routes(routes!(list))
        .routes(routes!(get, apply))
        .routes(routes!(resources))
        .routes(routes!(diff))
}

/// Lists the sets of an application, newest first.
#[utoipa::path(
    get, path = "/orgs/{orgId}/apps/{appId}/sets", operation_id = "listSets", tag = "Set",
    responses(
        (status = 200, body = Vec<Set>, description = "The sets."),
        (
            status = 404, body = String, content_type = "application/json",
            description = "There is no such application.",
        ),
    ),
)]
async fn list(
    State(state): State<AppState>,
    caller: Caller,
    Path((org, app)): Path<(String, String)>,
) -> Result<Json<Vec<Set>>> {
    let scope = caller.scope(&org)?.app(&app);
    let mut conn = state.db.read().await?;
    application::require(&mut conn, &scope).await?;
    let rows = store::list(&mut conn, &scope).await?;
    Ok(Json(rows.into_iter().map(|row| Set::new(row.id, &row.content)).collect()))
}

/// What to show of a set.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct Compare {
    /// Shows the delta from this set instead of the set itself.
    diff: Option<String>,
}

/// Shows a set, or how to come to it from another one. `0` is the empty set.
#[utoipa::path(
    get, path = "/orgs/{orgId}/apps/{appId}/sets/{setId}", params(Compare),
    operation_id = "getSet", tag = "Set",
    responses(
        (status = 200, body = SetOrDelta, description = "The set, or the delta to it."),
        (
            status = 404, body = String, content_type = "application/json",
            description = "There is no such set.",
        ),
    ),
)]
async fn get(
    State(state): State<AppState>,
    caller: Caller,
    Path((org, app, id)): Path<(String, String, String)>,
    Query(compare): Query<Compare>,
) -> Result<Json<SetOrDelta>> {
    let scope = caller.scope(&org)?.app(&app);
    let mut conn = state.db.read().await?;
    let set = find(&mut conn, &scope, &id).await?;
    let Some(other) = compare.diff.filter(|other| !other.is_empty()) else {
        return Ok(Json(SetOrDelta::Set(Set::new(set.id, &set.content))));
    };
    let other = find(&mut conn, &scope, &other).await?;
    let delta = core::diff(&other.content, &set.content);
    Ok(Json(SetOrDelta::Delta(PlainDelta::from(&delta))))
}

/// Shows the delta that turns one set into another.
#[utoipa::path(
    get, path = "/orgs/{orgId}/apps/{appId}/sets/{setId}/diff/{sourceSetId}",
    operation_id = "getDiff", tag = "Set",
    responses(
        (status = 200, body = PlainDelta, description = "The delta from the source set."),
        (
            status = 404, body = String, content_type = "application/json",
            description = "There is no such set.",
        ),
    ),
)]
async fn diff(
    State(state): State<AppState>,
    caller: Caller,
    Path((org, app, id, source)): Path<(String, String, String, String)>,
) -> Result<Json<PlainDelta>> {
    let scope = caller.scope(&org)?.app(&app);
    let mut conn = state.db.read().await?;
    let set = find(&mut conn, &scope, &id).await?;
    let source = find(&mut conn, &scope, &source).await?;
    Ok(Json(PlainDelta::from(&core::diff(&source.content, &set.content))))
}

/// Applies a delta to a set and answers the id of the set that it gives.
#[utoipa::path(
    post, path = "/orgs/{orgId}/apps/{appId}/sets/{setId}",
    operation_id = "updateSet", tag = "Set",
    request_body = DeltaRequest,
    responses(
        (
            status = 200, body = String, content_type = "application/json",
            description = "Id of the new set.",
        ),
        (
            status = 404, body = String, content_type = "application/json",
            description = "There is no such set.",
        ),
    ),
)]
async fn apply(
    State(state): State<AppState>,
    caller: Caller,
    Path((org, app, id)): Path<(String, String, String)>,
    Body(request): Body<DeltaRequest>,
) -> Result<Json<String>> {
    let scope = caller.scope(&org)?.app(&app);
    let delta = delta::content(&request)?;
    let mut change = caller.change(&state, scope.in_org()).await?;
    let base = find(&mut change, &scope, &id).await?;
    let content = apply_to(&base, &delta)?;
    let id = store::put(&mut change, &scope, &content, state.now()).await?;
    let effect = Effect::created(&Set::new(id.clone(), &content));
    change.commit(StatusCode::OK, effect).await?;
    Ok(Json(id))
}

/// Lists the resources that a set asks for: what `POST …/resources/graphs` takes.
#[utoipa::path(
    get, path = "/orgs/{orgId}/apps/{appId}/sets/{setId}/resources",
    operation_id = "getSetResourceInputs", tag = "Set",
    responses(
        (status = 200, body = Vec<ResourceInputs>, description = "The resources."),
        (
            status = 404, body = String, content_type = "application/json",
            description = "There is no such set.",
        ),
    ),
)]
async fn resources(
    State(state): State<AppState>,
    caller: Caller,
    Path((org, app, id)): Path<(String, String, String)>,
) -> Result<Json<Vec<ResourceInputs>>> {
    let scope = caller.scope(&org)?.app(&app);
    let set = find(&mut *state.db.read().await?, &scope, &id).await?.content;
    let workloads = set.modules.iter().map(|(id, module)| workload_inputs(id, module));
    let private = set.modules.iter().flat_map(|(module, body)| {
        body.externals.iter().map(move |(name, resource)| {
            resource_inputs(format!("modules.{module}.externals.{name}"), resource)
        })
    });
    let shared = set.shared.iter().map(|(key, resource)| {
        let id = resource.id.clone().unwrap_or_else(|| format!("shared.{key}"));
        resource_inputs(id, resource)
    });
    Ok(Json(workloads.chain(private).chain(shared).collect()))
}

fn workload_inputs(id: &str, module: &Module) -> ResourceInputs {
    let key = graph::workload_key(id);
    let body = serde_json::to_value(module).unwrap_or_default();
    ResourceInputs {
        id: key.id.to_string(),
        r#type: key.resource_type.to_string(),
        class: key.class.to_string(),
        resource: body.as_object().cloned().unwrap_or_default(),
    }
}

fn resource_inputs(id: String, resource: &Resource) -> ResourceInputs {
    ResourceInputs {
        id,
        r#type: resource.resource_type.clone(),
        class: resource.class().to_owned(),
        resource: resource.params.clone().unwrap_or_default(),
    }
}

/// The set of this id; `0` is the empty one, which every application has.
async fn find(conn: &mut AnyConnection, scope: &AppScope, id: &str) -> Result<StoredSet> {
    application::require(&mut *conn, scope).await?;
    let set = store::find(conn, scope, id).await?;
    set.ok_or_else(|| Problem::not_found("set", id))
}

/// The set that a delta makes of another.
pub(super) fn apply_to(base: &StoredSet, change: &Delta) -> Result<DeploymentSet> {
    core::apply(&base.content, change).map_err(|error| {
        Problem::invalid(format!("The delta does not fit the set `{}`: {error}.", base.id))
            .with_hint(format!("`GET …/sets/{}` shows what the set holds.", base.id))
    })
}
