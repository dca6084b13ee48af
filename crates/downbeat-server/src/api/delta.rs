//! `/orgs/{orgId}/apps/{appId}/deltas`: changes that wait to be deployed.
//!
//! In v1 a 404 of an operation on one delta is a bare JSON string, not the common body: the
//! descriptions of the operations say so, and [`crate::router`] acts on it.

use axum::{Json, extract::State, http::StatusCode};
use downbeat_api::delta::{Delta, DeltaMetadata, DeltaRequest, PlainDelta};
use downbeat_core::{Delta as Content, delta as core};
use downbeat_store::{
    AppScope, Tx,
    delta::{self as store, StoredDelta as Row},
};
use jiff::Timestamp;
use serde::Deserialize;
use utoipa::IntoParams;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    application,
    common::{flag, new_hex},
};
use crate::{
    AppState, Problem, Result,
    access::Caller,
    change::Effect,
    extract::{Body, Path, Query},
};

/// Operations of this noun.
pub fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new()
        .routes(routes!(list, create))
        .routes(routes!(get, put, patch))
        .routes(routes!(put_archived))
        .routes(routes!(put_env_id))
        .routes(routes!(put_name))
}

/// Which deltas to list.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct Filter {
    /// Lists the archived deltas instead of the others.
    #[serde(default, deserialize_with = "flag")]
    archived: bool,
    /// Lists only deltas for this environment.
    env: Option<String>,
}

/// Lists the deltas of an application, newest first.
#[utoipa::path(
    get, path = "/orgs/{orgId}/apps/{appId}/deltas", params(Filter),
    operation_id = "listDeltas", tag = "Delta",
    responses((status = 200, body = Vec<Delta>, description = "The deltas.")),
)]
async fn list(
    State(state): State<AppState>,
    caller: Caller,
    Path((org, app)): Path<(String, String)>,
    Query(filter): Query<Filter>,
) -> Result<Json<Vec<Delta>>> {
    let scope = caller.scope(&org)?.app(&app);
    let mut conn = state.db.read().await?;
    application::require(&mut conn, &scope).await?;
    let rows = store::list(&mut conn, &scope, filter.archived).await?;
    let env = filter.env.filter(|env| !env.is_empty());
    let wanted = rows.into_iter().filter(|row| env.as_ref().is_none_or(|env| row.env_id == *env));
    Ok(Json(wanted.map(wire).collect()))
}

/// Creates a delta.
#[utoipa::path(
    post, path = "/orgs/{orgId}/apps/{appId}/deltas",
    operation_id = "createDelta", tag = "Delta",
    request_body = DeltaRequest,
    responses((status = 200, body = Delta, description = "The new delta.")),
)]
async fn create(
    State(state): State<AppState>,
    caller: Caller,
    Path((org, app)): Path<(String, String)>,
    Body(request): Body<DeltaRequest>,
) -> Result<Json<Delta>> {
    let scope = caller.scope(&org)?.app(&app);
    let now = state.now();
    let mut row = Row {
        id: new_hex(40),
        name: String::new(),
        env_id: String::new(),
        archived: false,
        shared: false,
        contributers: Vec::new(),
        created_by: caller.id().to_owned(),
        created_at: now,
        last_modified_at: now,
        content: content(&request)?,
    };
    modify(&mut row, &request, &caller, now);
    let mut change = caller.change(&state, scope.in_org()).await?;
    application::require_active(&mut change, &scope).await?;
    store::create(&mut change, &scope, &row).await?;
    let delta = wire(row);
    change.commit(StatusCode::OK, Effect::created(&delta)).await?;
    Ok(Json(delta))
}

/// Shows a delta.
#[utoipa::path(
    get, path = "/orgs/{orgId}/apps/{appId}/deltas/{deltaId}",
    operation_id = "getDelta", tag = "Delta",
    responses(
        (status = 200, body = Delta, description = "The delta."),
        (
            status = 404, body = String, content_type = "application/json",
            description = "There is no such delta.",
        ),
    ),
)]
async fn get(
    State(state): State<AppState>,
    caller: Caller,
    Path((org, app, id)): Path<(String, String, String)>,
) -> Result<Json<Delta>> {
    let scope = caller.scope(&org)?.app(&app);
    let row = store::find(&mut *state.db.read().await?, &scope, &id).await?;
    row.map(wire).map(Json).ok_or_else(|| missing(&id))
}

/// Replaces what a delta changes.
#[utoipa::path(
    put, path = "/orgs/{orgId}/apps/{appId}/deltas/{deltaId}",
    operation_id = "putDelta", tag = "Delta",
    request_body = DeltaRequest,
    responses(
        (status = 204, description = "The delta is replaced."),
        (
            status = 404, body = String, content_type = "application/json",
            description = "There is no such delta.",
        ),
    ),
)]
async fn put(
    State(state): State<AppState>,
    caller: Caller,
    Path((org, app, id)): Path<(String, String, String)>,
    Body(request): Body<DeltaRequest>,
) -> Result<StatusCode> {
    let scope = changing(&caller, &org, &app)?;
    let mut change = caller.change(&state, scope.in_org()).await?;
    let before = writable(&mut change, &scope, &id).await?;
    let mut row = before.clone();
    row.content = content(&request)?;
    modify(&mut row, &request, &caller, state.now());
    store::update(&mut change, &scope, &row).await?;
    let effect = Effect::changed(&wire(before), &wire(row));
    change.commit(StatusCode::NO_CONTENT, effect).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Merges deltas, from left to right, on top of a delta.
#[utoipa::path(
    patch, path = "/orgs/{orgId}/apps/{appId}/deltas/{deltaId}",
    operation_id = "patchDelta", tag = "Delta",
    request_body = Vec<DeltaRequest>,
    responses(
        (status = 200, body = Delta, description = "The merged delta."),
        (
            status = 404, body = String, content_type = "application/json",
            description = "There is no such delta.",
        ),
    ),
)]
async fn patch(
    State(state): State<AppState>,
    caller: Caller,
    Path((org, app, id)): Path<(String, String, String)>,
    Body(requests): Body<Vec<DeltaRequest>>,
) -> Result<Json<Delta>> {
    let scope = changing(&caller, &org, &app)?;
    let now = state.now();
    let mut change = caller.change(&state, scope.in_org()).await?;
    let before = writable(&mut change, &scope, &id).await?;
    let mut row = before.clone();
    for request in &requests {
        row.content = core::merge(&row.content, &content(request)?).map_err(|error| {
            Problem::invalid(format!("The delta `{id}` cannot take the change: {error}."))
                .with_hint("Read the delta again and send a change that fits it.")
        })?;
        modify(&mut row, request, &caller, now);
    }
    store::update(&mut change, &scope, &row).await?;
    let (before, after) = (wire(before), wire(row));
    change.commit(StatusCode::OK, Effect::changed(&before, &after)).await?;
    Ok(Json(after))
}

/// Archives a delta or brings it back. An archived one refuses every other change.
#[utoipa::path(
    put, path = "/orgs/{orgId}/apps/{appId}/deltas/{deltaId}/metadata/archived",
    operation_id = "archiveDelta", tag = "Delta",
    request_body = bool,
    responses(
        (status = 204, description = "Done."),
        (
            status = 404, body = String, content_type = "application/json",
            description = "There is no such delta.",
        ),
    ),
)]
async fn put_archived(
    State(state): State<AppState>,
    caller: Caller,
    Path((org, app, id)): Path<(String, String, String)>,
    Body(archived): Body<bool>,
) -> Result<StatusCode> {
    let scope = changing(&caller, &org, &app)?;
    let mut change = caller.change(&state, scope.in_org()).await?;
    let before = store::find(&mut change, &scope, &id).await?.ok_or_else(|| missing(&id))?;
    let mut row = before.clone();
    row.archived = archived;
    touch(&mut row, &caller, state.now());
    store::update(&mut change, &scope, &row).await?;
    let effect = Effect::changed(&wire(before), &wire(row));
    change.commit(StatusCode::NO_CONTENT, effect).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Says which environment a delta is meant for.
#[utoipa::path(
    put, path = "/orgs/{orgId}/apps/{appId}/deltas/{deltaId}/metadata/env_id",
    operation_id = "changeEnvOfDelta", tag = "Delta",
    request_body = String,
    responses(
        (status = 204, description = "Done."),
        (
            status = 404, body = String, content_type = "application/json",
            description = "There is no such delta.",
        ),
    ),
)]
async fn put_env_id(
    State(state): State<AppState>,
    caller: Caller,
    Path((org, app, id)): Path<(String, String, String)>,
    Body(env_id): Body<String>,
) -> Result<StatusCode> {
    let scope = changing(&caller, &org, &app)?;
    let mut change = caller.change(&state, scope.in_org()).await?;
    let before = writable(&mut change, &scope, &id).await?;
    let mut row = before.clone();
    row.env_id = env_id;
    touch(&mut row, &caller, state.now());
    store::update(&mut change, &scope, &row).await?;
    let effect = Effect::changed(&wire(before), &wire(row));
    change.commit(StatusCode::NO_CONTENT, effect).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Names a delta.
#[utoipa::path(
    put, path = "/orgs/{orgId}/apps/{appId}/deltas/{deltaId}/metadata/name",
    operation_id = "changeNameOfDelta", tag = "Delta",
    request_body = String,
    responses(
        (status = 204, description = "Done."),
        (
            status = 404, body = String, content_type = "application/json",
            description = "There is no such delta.",
        ),
    ),
)]
async fn put_name(
    State(state): State<AppState>,
    caller: Caller,
    Path((org, app, id)): Path<(String, String, String)>,
    Body(name): Body<String>,
) -> Result<StatusCode> {
    let scope = changing(&caller, &org, &app)?;
    let mut change = caller.change(&state, scope.in_org()).await?;
    let before = writable(&mut change, &scope, &id).await?;
    let mut row = before.clone();
    row.name = name;
    touch(&mut row, &caller, state.now());
    store::update(&mut change, &scope, &row).await?;
    let effect = Effect::changed(&wire(before), &wire(row));
    change.commit(StatusCode::NO_CONTENT, effect).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// The change that a request asks for.
pub(super) fn content(request: &DeltaRequest) -> Result<Content> {
    let change = request.change().map_err(|unknown| {
        Problem::invalid(format!("The delta is not valid: {unknown}."))
            .at(&unknown.at, "use `add`, `remove` or `replace`")
    })?;
    change
        .check()
        .map_err(|error| Problem::invalid(format!("The delta is not valid: {error}.")))?;
    Ok(change)
}

/// Leave to change the deltas of an application.
fn changing(caller: &Caller, org: &str, app: &str) -> Result<AppScope> {
    Ok(caller.scope(org)?.app(app))
}

async fn writable(tx: &mut Tx, scope: &AppScope, id: &str) -> Result<Row> {
    let row = store::find(&mut *tx, scope, id).await?.ok_or_else(|| missing(id))?;
    if row.archived {
        return Err(Problem::invalid(format!("The delta `{id}` is archived and cannot change."))
            .with_hint(format!(
                "Bring it back with `PUT …/deltas/{id}/metadata/archived` `false`."
            )));
    }
    Ok(row)
}

/// Takes over the metadata that a caller may set.
fn modify(row: &mut Row, request: &DeltaRequest, caller: &Caller, now: Timestamp) {
    if let Some(metadata) = &request.metadata {
        row.env_id = metadata.env_id.clone().unwrap_or_else(|| row.env_id.clone());
        row.name = metadata.name.clone().unwrap_or_else(|| row.name.clone());
    }
    touch(row, caller, now);
}

fn touch(row: &mut Row, caller: &Caller, now: Timestamp) {
    row.last_modified_at = now;
    if !row.contributers.iter().any(|user| user == caller.id()) {
        row.contributers.push(caller.id().to_owned());
    }
}

/// The v1 answer for a delta that is not there.
fn missing(id: &str) -> Problem {
    Problem::not_found("delta", id)
}

fn wire(row: Row) -> Delta {
    let plain = PlainDelta::from(&row.content);
    let set = |text: String| Some(text).filter(|text| !text.is_empty());
    Delta {
        id: row.id,
        metadata: DeltaMetadata {
            env_id: set(row.env_id),
            name: set(row.name),
            archived: row.archived,
            shared: row.shared,
            contributers: row.contributers,
            created_by: row.created_by,
            created_at: row.created_at.into(),
            last_modified_at: row.last_modified_at.into(),
        },
        modules: plain.modules,
        shared: plain.shared,
    }
}
