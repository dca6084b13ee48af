//! Versions of a definition: every change makes one, and none is ever edited.

use axum::{Json, extract::State, http::StatusCode};
use downbeat_api::definition::{ArchiveDefinitionVersion, ResourceDefinitionVersion};
use downbeat_store::{
    AnyConnection, OrgScope,
    definition::{self as store, StoredDefinition, Version as Row},
};
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{Deleted, find, inputs, provision};
use crate::{
    AppState, Problem, Result,
    access::Caller,
    change::Effect,
    extract::{OptionalBody, Path, Query},
};

pub(super) fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new()
        .routes(routes!(list))
        .routes(routes!(get))
        .routes(routes!(promote))
        .routes(routes!(archive))
}

/// Lists the versions of a definition, newest first, all on one page.
#[utoipa::path(
    get, path = "/orgs/{orgId}/resources/defs/{defId}/versions", params(Deleted),
    operation_id = "listResourceDefinitionVersions", tag = "ResourceDefinitionVersion",
    responses((status = 200, body = Vec<ResourceDefinitionVersion>, description = "The versions.")),
)]
async fn list(
    State(state): State<AppState>,
    caller: Caller,
    Path((org, def)): Path<(String, String)>,
    Query(Deleted { deleted }): Query<Deleted>,
) -> Result<Json<Vec<ResourceDefinitionVersion>>> {
    let scope = caller.scope(&org)?;
    let mut conn = state.db.read().await?;
    let definition = find(&mut conn, &scope, &def, deleted).await?.definition;
    let rows = store::versions(&mut conn, &scope, &def).await?;
    Ok(Json(rows.into_iter().map(|row| wire(&org, &definition, row)).collect()))
}

/// Shows a version.
#[utoipa::path(
    get, path = "/orgs/{orgId}/resources/defs/{defId}/versions/{defVersionId}",
    operation_id = "getResourceDefinitionVersion", tag = "ResourceDefinitionVersion",
    responses((status = 200, body = ResourceDefinitionVersion, description = "The version.")),
)]
async fn get(
    State(state): State<AppState>,
    caller: Caller,
    Path((org, def, id)): Path<(String, String, String)>,
) -> Result<Json<ResourceDefinitionVersion>> {
    let scope = caller.scope(&org)?;
    let mut conn = state.db.read().await?;
    let (definition, row) = find_version(&mut conn, &scope, &def, &id).await?;
    Ok(Json(wire(&org, &definition, row)))
}

/// Puts a version into use.
#[utoipa::path(
    post, path = "/orgs/{orgId}/resources/defs/{defId}/versions/{defVersionId}/actions/promote",
    operation_id = "promoteResourceDefinitionVersion", tag = "ResourceDefinitionVersion",
    responses((status = 204, description = "The version is in use.")),
)]
async fn promote(
    State(state): State<AppState>,
    caller: Caller,
    Path((org, def, id)): Path<(String, String, String)>,
) -> Result<StatusCode> {
    let scope = caller.scope(&org)?;
    let mut change = caller.change(&state, &scope).await?;
    let (definition, row) = find_version(&mut change, &scope, &def, &id).await?;
    if row.archived {
        return Err(Problem::invalid(format!("The version `{id}` is archived."))
            .with_hint("Bring it back with `…/actions/archive` `{\"archived\": false}` first."));
    }
    store::activate(&mut change, &scope, &def, &id, state.now(), caller.id()).await?;
    let before = wire(&org, &definition, row);
    let (definition, row) = find_version(&mut change, &scope, &def, &id).await?;
    let after = wire(&org, &definition, row);
    change.commit(StatusCode::NO_CONTENT, Effect::changed(&before, &after)).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Archives a version, so that no new resource is made from it, or brings it back.
#[utoipa::path(
    post, path = "/orgs/{orgId}/resources/defs/{defId}/versions/{defVersionId}/actions/archive",
    operation_id = "archiveResourceDefinitionVersion", tag = "ResourceDefinitionVersion",
    request_body = ArchiveDefinitionVersion,
    responses((status = 204, description = "Done.")),
)]
async fn archive(
    State(state): State<AppState>,
    caller: Caller,
    Path((org, def, id)): Path<(String, String, String)>,
    OptionalBody(body): OptionalBody<ArchiveDefinitionVersion>,
) -> Result<StatusCode> {
    let scope = caller.scope(&org)?;
    let archived = body.unwrap_or_default().archived.unwrap_or(true);
    let mut change = caller.change(&state, &scope).await?;
    let (definition, row) = find_version(&mut change, &scope, &def, &id).await?;
    if archived && definition.active_version_id == id {
        return Err(Problem::invalid(format!("The version `{id}` is in use."))
            .with_hint("Promote another version, then archive this one."));
    }
    store::archive(&mut change, &scope, &def, &id, archived).await?;
    let before = wire(&org, &definition, row);
    let mut after = before.clone();
    after.archived = archived;
    change.commit(StatusCode::NO_CONTENT, Effect::changed(&before, &after)).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn find_version(
    conn: &mut AnyConnection,
    scope: &OrgScope,
    def: &str,
    id: &str,
) -> Result<(StoredDefinition, Row)> {
    let definition = find(&mut *conn, scope, def, true).await?.definition;
    let row = store::find_version(conn, scope, def, id).await?;
    let row = row.ok_or_else(|| Problem::not_found("version", id))?;
    Ok((definition, row))
}

/// A version as it is shown.
pub(super) fn wire(
    org: &str,
    definition: &StoredDefinition,
    row: Row,
) -> ResourceDefinitionVersion {
    ResourceDefinitionVersion {
        org_id: org.to_owned(),
        r#type: definition.resource_type.clone(),
        active: definition.active_version_id == row.id,
        driver_inputs: inputs::show(&row.content).unwrap_or_default(),
        provision: provision::show(&row.content).unwrap_or_default(),
        name: row.content.body.name,
        driver_type: row.content.body.driver_type,
        driver_account: row.content.body.driver_account.unwrap_or_default(),
        in_place_driver_change: row.content.body.in_place_driver_change,
        id: row.id,
        def_id: row.def_id,
        action: row.action,
        proposed: row.proposed,
        archived: row.archived,
        created_at: row.created_at.into(),
        created_by: row.created_by,
    }
}
