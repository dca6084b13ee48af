//! `/orgs`: organizations.

use axum::{Json, extract::State};
use downbeat_access::Action;
use downbeat_api::organization::{Logo, Organization};
use downbeat_store::organization::{self as store, Organization as Row};
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{AppState, Problem, Result, access::Caller, extract::Path};

/// Operations of this noun.
pub fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().routes(routes!(list)).routes(routes!(get))
}

/// Lists the organizations that the caller has a role in.
#[utoipa::path(
    get, path = "/orgs", operation_id = "listOrganizations", tag = "Organization",
    responses((status = 200, body = Vec<Organization>, description = "The organizations.")),
)]
async fn list(State(state): State<AppState>, caller: Caller) -> Result<Json<Vec<Organization>>> {
    let mut conn = state.db.read().await?;
    let mut organizations = Vec::new();
    for scope in caller.orgs(Action::ReadOrganization) {
        organizations.extend(store::find(&mut conn, &scope).await?.map(wire));
    }
    Ok(Json(organizations))
}

/// Shows an organization.
#[utoipa::path(
    get, path = "/orgs/{orgId}", operation_id = "getOrganization", tag = "Organization",
    responses((status = 200, body = Organization, description = "The organization.")),
)]
async fn get(
    State(state): State<AppState>,
    caller: Caller,
    Path(org): Path<String>,
) -> Result<Json<Organization>> {
    let scope = caller.may_read(&org)?;
    let mut conn = state.db.read().await?;
    let row = store::find(&mut conn, &scope).await?;
    row.map(wire).map(Json).ok_or_else(|| Problem::not_found("organization", &org))
}

fn wire(row: Row) -> Organization {
    Organization {
        id: row.id,
        name: row.name,
        created_at: row.created_at.into(),
        created_by: row.created_by,
        logo: Logo::default(),
        trial_expires_at: None,
    }
}
