//! `/orgs/{orgId}/artefacts`: what pipelines have built, by name.

use axum::{Json, extract::State, http::StatusCode};
use downbeat_api::artefact::{Artefact, ArtefactVersion, PatchArtefactVersion};
use downbeat_store::{
    AnyConnection, OrgScope,
    artefact::{self as store, Artefact as Row, Wanted},
};
use serde::Deserialize;
use utoipa::IntoParams;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{artefact_version, common::flag};
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
        .routes(routes!(delete))
        .routes(routes!(list_versions))
        .routes(routes!(patch_version))
}

/// Which artefacts to list.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct Filter {
    /// Only those of this type: `container` or `workload`.
    r#type: Option<String>,
    /// Only those of this name.
    name: Option<String>,
}

/// Lists the artefacts, by name.
#[utoipa::path(
    get, path = "/orgs/{orgId}/artefacts", params(Filter),
    operation_id = "listArtefacts", tag = "Artefact",
    responses((status = 200, body = Vec<Artefact>, description = "The artefacts.")),
)]
async fn list(
    State(state): State<AppState>,
    caller: Caller,
    Path(org): Path<String>,
    Query(filter): Query<Filter>,
) -> Result<Json<Vec<Artefact>>> {
    let scope = caller.scope(&org)?;
    let wanted = Wanted {
        kind: filter.r#type.as_deref().map(artefact_version::singular),
        name: filter.name.as_deref(),
        archived: true,
    };
    let rows = store::list(&mut *state.db.read().await?, &scope, wanted).await?;
    Ok(Json(rows.into_iter().map(wire).collect()))
}

/// Deletes an artefact with all its versions. What was deployed from them goes on running.
#[utoipa::path(
    delete, path = "/orgs/{orgId}/artefacts/{artefactId}",
    operation_id = "deleteArtefact", tag = "Artefact",
    responses((status = 204, description = "The artefact is gone.")),
)]
async fn delete(
    State(state): State<AppState>,
    caller: Caller,
    Path((org, id)): Path<(String, String)>,
) -> Result<StatusCode> {
    let scope = caller.scope(&org)?;
    let mut change = caller.change(&state, &scope).await?;
    let row = find(&mut change, &scope, &id).await?;
    store::delete(&mut change, &scope, &id).await?;
    change.commit(StatusCode::NO_CONTENT, Effect::deleted(&wire(row))).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Which versions to list.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct VersionFilter {
    /// Lists archived ones as well.
    #[serde(default, deserialize_with = "flag")]
    archived: bool,
    /// Only the versions that this reference names: `name:version@digest`, where version and
    /// digest may be left out.
    reference: Option<String>,
    /// Largest number of versions to answer.
    #[param(value_type = Option<u32>, nullable = false, minimum = 1)]
    limit: Option<String>,
}

/// Lists the versions of an artefact, newest first.
#[utoipa::path(
    get, path = "/orgs/{orgId}/artefacts/{artefactId}/versions", params(VersionFilter),
    operation_id = "listArtefactVersions", tag = "ArtefactVersion",
    responses((status = 200, body = Vec<ArtefactVersion>, description = "The versions.")),
)]
async fn list_versions(
    State(state): State<AppState>,
    caller: Caller,
    Path((org, id)): Path<(String, String)>,
    Query(filter): Query<VersionFilter>,
) -> Result<Json<Vec<ArtefactVersion>>> {
    let scope = caller.scope(&org)?;
    let limit = match filter.limit.as_deref().filter(|text| !text.is_empty()) {
        None => usize::MAX,
        Some(text) => text.parse().ok().filter(|limit| *limit > 0).ok_or_else(|| {
            let rule = "use a number from 1 on";
            let text = crate::problem::short(text);
            Problem::invalid(format!("`{text}` is not valid as `limit`: {rule}.")).at("limit", rule)
        })?,
    };
    let reference = filter.reference.as_deref().filter(|text| !text.is_empty());
    let reference = reference.map(artefact_version::Reference::parse);
    let mut conn = state.db.read().await?;
    find(&mut conn, &scope, &id).await?;
    let rows = store::versions_of(&mut conn, &scope, &id, filter.archived).await?.into_iter();
    let rows = rows.filter(|row| reference.as_ref().is_none_or(|wanted| wanted.names(row)));
    Ok(Json(rows.take(limit).map(artefact_version::wire).collect()))
}

/// Archives a version of an artefact, or brings it back.
#[utoipa::path(
    patch, path = "/orgs/{orgId}/artefacts/{artefactId}/versions/{versionId}",
    operation_id = "patchArtefactVersion", tag = "ArtefactVersion",
    request_body = PatchArtefactVersion,
    responses((status = 200, body = ArtefactVersion, description = "The version as it is now.")),
)]
async fn patch_version(
    State(state): State<AppState>,
    caller: Caller,
    Path((org, id, version_id)): Path<(String, String, String)>,
    Body(patch): Body<PatchArtefactVersion>,
) -> Result<Json<ArtefactVersion>> {
    let scope = caller.scope(&org)?;
    let mut change = caller.change(&state, &scope).await?;
    find(&mut change, &scope, &id).await?;
    let found = store::find_version(&mut change, &scope, &version_id).await?;
    let found = found.filter(|(artefact, _)| artefact.id == id);
    let before = found.ok_or_else(|| Problem::not_found("artefact version", &version_id))?;
    let mut after = before.clone();
    if let Some(archived) = patch.archived {
        after.1.archived = archived;
        after.1.updated_at = state.now();
        caller.id().clone_into(&mut after.1.updated_by);
        store::archive(&mut change, &scope, &after.1).await?;
    }
    let (before, after) = (artefact_version::wire(before), artefact_version::wire(after));
    change.commit(StatusCode::OK, Effect::changed(&before, &after)).await?;
    Ok(Json(after))
}

async fn find(conn: &mut AnyConnection, scope: &OrgScope, id: &str) -> Result<Row> {
    store::find(conn, scope, id).await?.ok_or_else(|| Problem::not_found("artefact", id))
}

fn wire(row: Row) -> Artefact {
    Artefact {
        id: row.id,
        r#type: row.kind,
        name: row.name,
        created_at: row.created_at.into(),
        created_by: row.created_by,
        updated_at: row.updated_at.into(),
        updated_by: row.updated_by,
    }
}
