//! `/orgs/{orgId}/keys`: public keys that an organization registers.

use axum::{Json, extract::State, http::StatusCode};
use downbeat_api::{
    Time,
    public_key::{HumanitecPublicKey, PublicKey},
};
use downbeat_core::public_key;
use downbeat_store::{
    AnyConnection, OrgScope,
    public_key::{self as store, PublicKey as Row},
};
use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;
use utoipa::IntoParams;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    AppState, Problem, Result,
    access::Caller,
    change::Effect,
    extract::{Body, Path, Query},
    state::new_id,
};

/// Most keys of an organization, and of an agent.
pub(super) const MOST: usize = 100;
/// How long a key may be used before it should be replaced: two years.
const LIFETIME: SignedDuration = SignedDuration::from_hours(2 * 365 * 24);

/// Operations of this noun.
pub fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new()
        .routes(routes!(list, create))
        .routes(routes!(get, delete))
        .routes(routes!(list_own))
}

/// Which keys to list, and whose agents.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct Filter {
    /// Only what has the key with this fingerprint.
    #[param(nullable = false)]
    pub(super) fingerprint: Option<String>,
}

/// Lists the public keys of an organization, oldest first.
#[utoipa::path(
    get, path = "/orgs/{orgId}/keys",
    operation_id = "listPublicKeys", tag = "PublicKey", params(Filter),
    responses((status = 200, body = Vec<PublicKey>, description = "The keys.")),
)]
async fn list(
    State(state): State<AppState>,
    caller: Caller,
    Path(org): Path<String>,
    Query(filter): Query<Filter>,
) -> Result<Json<Vec<PublicKey>>> {
    let scope = caller.scope(&org)?;
    let mut rows = store::list(&mut *state.db.read().await?, &scope).await?;
    rows.retain(|row| filter.fingerprint.as_ref().is_none_or(|one| *one == row.fingerprint));
    Ok(Json(rows.into_iter().map(wire).collect()))
}

/// Registers a public key: the body is a JSON string.
#[utoipa::path(
    post, path = "/orgs/{orgId}/keys",
    operation_id = "createPublicKey", tag = "PublicKey", request_body = String,
    responses(
        (status = 200, body = PublicKey, description = "The key."),
        (status = 409, body = downbeat_api::ErrorBody, description = "It is registered already."),
    ),
)]
async fn create(
    State(state): State<AppState>,
    caller: Caller,
    Path(org): Path<String>,
    Body(key): Body<String>,
) -> Result<Json<PublicKey>> {
    let scope = caller.scope(&org)?;
    let fingerprint = fingerprint(&key, "")?;
    let mut change = caller.change(&state, &scope).await?;
    let rows = store::list(&mut change, &scope).await?;
    if rows.iter().any(|row| row.fingerprint == fingerprint) {
        let message = format!("The organization has the key `{fingerprint}` already.");
        return Err(Problem::conflict(message));
    }
    if rows.len() >= MOST {
        return Err(too_many("An organization"));
    }
    let now = state.now();
    let created_by = caller.id().to_owned();
    let row = Row { id: new_id(now), key, fingerprint, created_at: now, created_by };
    store::create(&mut change, &scope, &row).await?;
    let key = wire(row);
    change.commit(StatusCode::OK, Effect::created(&key)).await?;
    Ok(Json(key))
}

/// Shows a public key.
#[utoipa::path(
    get, path = "/orgs/{orgId}/keys/{keyId}",
    operation_id = "getPublicKey", tag = "PublicKey",
    responses((status = 200, body = PublicKey, description = "The key.")),
)]
async fn get(
    State(state): State<AppState>,
    caller: Caller,
    Path((org, id)): Path<(String, String)>,
) -> Result<Json<PublicKey>> {
    let scope = caller.scope(&org)?;
    Ok(Json(wire(require(&mut *state.db.read().await?, &scope, &id).await?)))
}

/// Removes a public key.
#[utoipa::path(
    delete, path = "/orgs/{orgId}/keys/{keyId}",
    operation_id = "deletePublicKey", tag = "PublicKey",
    responses((status = 204, description = "The key is gone.")),
)]
async fn delete(
    State(state): State<AppState>,
    caller: Caller,
    Path((org, id)): Path<(String, String)>,
) -> Result<StatusCode> {
    let scope = caller.scope(&org)?;
    let mut change = caller.change(&state, &scope).await?;
    let before = wire(require(&mut change, &scope, &id).await?);
    store::delete(&mut change, &scope, &id).await?;
    change.commit(StatusCode::NO_CONTENT, Effect::deleted(&before)).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Lists the public keys of this server: it has none, because it encrypts nothing for others.
#[utoipa::path(
    get, path = "/orgs/{orgId}/humanitec-keys",
    operation_id = "listHumanitecPublicKeys", tag = "PublicKey",
    params(("active" = Option<bool>, Query, description = "Only keys that are in use.")),
    responses((status = 200, body = Vec<HumanitecPublicKey>, description = "An empty list.")),
)]
async fn list_own(
    caller: Caller,
    Path(org): Path<String>,
) -> Result<Json<Vec<HumanitecPublicKey>>> {
    caller.scope(&org)?;
    Ok(Json(Vec::new()))
}

async fn require(conn: &mut AnyConnection, scope: &OrgScope, id: &str) -> Result<Row> {
    let found = store::list(conn, scope).await?.into_iter().find(|row| row.id == id);
    found.ok_or_else(|| Problem::not_found("public key", id))
}

/// The fingerprint of a key in PEM that stands at a place of a request.
pub(super) fn fingerprint(key: &str, at: &str) -> Result<String> {
    public_key::fingerprint(key).map_err(|error| {
        Problem::invalid(format!("The public key is not valid: {error}."))
            .with_hint(
                "Make one with `openssl genrsa -out key.pem 4096` and `openssl rsa -in key.pem \
                 -pubout`.",
            )
            .at(at, &error.to_string())
    })
}

/// What to answer when there are [`MOST`] keys.
pub(super) fn too_many(owner: &str) -> Problem {
    Problem::invalid(format!("{owner} has at most {MOST} keys."))
        .with_hint("Delete those that are not used any more.")
}

/// When a key should be replaced.
pub(super) fn expires(created_at: Timestamp) -> Time {
    created_at.checked_add(LIFETIME).unwrap_or(Timestamp::MAX).into()
}

fn wire(row: Row) -> PublicKey {
    PublicKey {
        id: row.id,
        key: row.key,
        fingerprint: row.fingerprint,
        created_at: row.created_at.into(),
        created_by: row.created_by,
        expired_at: expires(row.created_at),
    }
}
