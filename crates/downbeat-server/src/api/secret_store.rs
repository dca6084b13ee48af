//! `/orgs/{orgId}/secretstores`: secret stores that references may name.
//!
//! New secrets are kept in the store that is built in, which is listed and cannot be changed. The
//! others are kept with what opens them, sealed; nothing is read from them yet.

use axum::{Json, extract::State, http::StatusCode};
use downbeat_api::secret_store::{BuiltIn, SecretStore, SecretStoreRequest};
use downbeat_core::{Code, Json as Value, JsonMap, Secret, SecretRef, id::Grammar};
use downbeat_store::{
    AnyConnection, OrgScope, Tx, organization,
    secret::{self, LOCAL_STORE},
    secret_store::{self as store, SecretStore as Row},
};
use serde::{Serialize, de::DeserializeOwned};
use utoipa_axum::{router::OpenApiRouter, routes};

use super::common::check_grammar;
use crate::{
    AppState, Problem, Result,
    access::Caller,
    change::Effect,
    extract::{Body, Path},
    state::Version,
};

/// Most stores of an organization.
const MOST: usize = 100;
/// Longest member, in bytes.
const LONGEST: usize = 64 * 1024;
/// Id of the built-in store in v1.
const V1_STORE: &str = "humanitec";
/// What opens a store.
const AUTH: &str = "auth";
/// Members of each kind, and of its `auth`.
const KINDS: [(&str, &[&str], &[&str]); 4] = [
    ("awssm", &["region", "endpoint"], &["access_key_id", "secret_access_key"]),
    ("azurekv", &["tenant_id", "url"], &["client_id", "client_secret"]),
    ("gcpsm", &["project_id"], &["secret_access_key"]),
    ("vault", &["url", "path", "agent_id"], &["role", "token"]),
];

/// Operations of this noun.
pub fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().routes(routes!(list, create)).routes(routes!(get, patch, delete))
}

/// A store in the audit log: where the credentials are says whether they are others than before.
#[derive(Serialize)]
struct Shown<'a> {
    #[serde(flatten)]
    store: &'a SecretStore,
    credentials: &'a Option<SecretRef>,
}

/// Lists the secret stores of an organization, the built-in one first.
#[utoipa::path(
    get, path = "/orgs/{orgId}/secretstores", operation_id = "listSecretStores",
    tag = "SecretStore",
    responses((status = 200, body = Vec<SecretStore>, description = "The stores.")),
)]
async fn list(
    State(state): State<AppState>,
    caller: Caller,
    Path(org): Path<String>,
) -> Result<Json<Vec<SecretStore>>> {
    let scope = caller.scope(&org)?;
    let mut conn = state.db.read().await?;
    let mut stores = vec![built_in(&mut conn, &scope).await?];
    for row in store::list(&mut conn, &scope).await? {
        stores.push(wire(&row)?);
    }
    Ok(Json(stores))
}

/// Enters a secret store.
#[utoipa::path(
    post, path = "/orgs/{orgId}/secretstores", operation_id = "createSecretStore",
    tag = "SecretStore", request_body = SecretStoreRequest,
    responses(
        (status = 201, body = SecretStore, description = "The store."),
        (status = 409, body = downbeat_api::ErrorBody, description = "The id is taken."),
        (status = 501, body = downbeat_api::ErrorBody, description = "It cannot be primary."),
    ),
)]
async fn create(
    State(state): State<AppState>,
    caller: Caller,
    Path(org): Path<String>,
    Body(new): Body<SecretStoreRequest>,
) -> Result<(StatusCode, Json<SecretStore>)> {
    let scope = caller.scope(&org)?;
    let Some(id) = new.id.clone() else {
        return Err(Problem::invalid("`id` is missing.").at("/id", "is missing"));
    };
    check_grammar(Grammar::Plain, "id of a secret store", "/id", &id)?;
    let (kept, auth) = read(new)?;
    if kept.is_empty() {
        return Err(one_of());
    }
    let mut change = caller.change(&state, &scope).await?;
    let rows = store::list(&mut change, &scope).await?;
    if is_built_in(&id) || rows.iter().any(|row| row.id == id) {
        return Err(Problem::conflict(format!("The secret store `{id}` exists already.")));
    }
    if rows.len() >= MOST {
        let message = format!("An organization has at most {MOST} secret stores.");
        return Err(Problem::invalid(message).with_hint("Delete those that are not used any more."));
    }
    let (now, user) = (state.now(), caller.id().to_owned());
    let row = Row {
        credentials: seal(&state, &mut change, &scope, &id, auth).await?,
        id,
        store: kept,
        created_at: now,
        created_by: user.clone(),
        updated_at: now,
        updated_by: user,
    };
    store::create(&mut change, &scope, &row).await?;
    let store = wire(&row)?;
    let effect = Effect::created(&Shown { store: &store, credentials: &row.credentials });
    change.commit(StatusCode::CREATED, effect).await?;
    Ok((StatusCode::CREATED, Json(store)))
}

/// Shows a secret store.
#[utoipa::path(
    get, path = "/orgs/{orgId}/secretstores/{storeId}", operation_id = "getSecretStore",
    tag = "SecretStore",
    responses((status = 200, body = SecretStore, description = "The store.")),
)]
async fn get(
    State(state): State<AppState>,
    caller: Caller,
    Path((org, id)): Path<(String, String)>,
) -> Result<Json<SecretStore>> {
    let scope = caller.scope(&org)?;
    let mut conn = state.db.read().await?;
    if id == LOCAL_STORE {
        return built_in(&mut conn, &scope).await.map(Json);
    }
    wire(&require(&mut conn, &scope, &id).await?).map(Json)
}

/// Changes a secret store. One that is sent without `auth` loses what opened it.
#[utoipa::path(
    patch, path = "/orgs/{orgId}/secretstores/{storeId}", operation_id = "patchSecretStore",
    tag = "SecretStore", request_body = SecretStoreRequest,
    responses(
        (status = 200, body = SecretStore, description = "The store as it is now."),
        (status = 501, body = downbeat_api::ErrorBody, description = "It cannot be primary."),
    ),
)]
async fn patch(
    State(state): State<AppState>,
    caller: Caller,
    Path((org, id)): Path<(String, String)>,
    Body(new): Body<SecretStoreRequest>,
) -> Result<Json<SecretStore>> {
    let scope = caller.scope(&org)?;
    let (kept, auth) = read(new)?;
    let mut change = caller.change(&state, &scope).await?;
    let old = require(&mut change, &scope, &id).await?;
    let mut row = old.clone();
    if !kept.is_empty() {
        row.store = kept;
        row.credentials = seal(&state, &mut change, &scope, &id, auth).await?;
    }
    row.updated_at = state.now();
    caller.id().clone_into(&mut row.updated_by);
    store::update(&mut change, &scope, &row).await?;
    let (before, after) = (wire(&old)?, wire(&row)?);
    let effect = Effect::changed(
        &Shown { store: &before, credentials: &old.credentials },
        &Shown { store: &after, credentials: &row.credentials },
    );
    change.commit(StatusCode::OK, effect).await?;
    Ok(Json(after))
}

/// Removes a secret store. References that name it stay as they are.
#[utoipa::path(
    delete, path = "/orgs/{orgId}/secretstores/{storeId}", operation_id = "deleteSecretStore",
    tag = "SecretStore",
    responses((status = 204, description = "The store is gone.")),
)]
async fn delete(
    State(state): State<AppState>,
    caller: Caller,
    Path((org, id)): Path<(String, String)>,
) -> Result<StatusCode> {
    let scope = caller.scope(&org)?;
    let mut change = caller.change(&state, &scope).await?;
    let row = require(&mut change, &scope, &id).await?;
    store::delete(&mut change, &scope, &id).await?;
    secret::forget(&mut change, &key(&scope, &id)).await?;
    let shown = wire(&row)?;
    let effect = Effect::deleted(&Shown { store: &shown, credentials: &row.credentials });
    change.commit(StatusCode::NO_CONTENT, effect).await?;
    Ok(StatusCode::NO_CONTENT)
}

fn is_built_in(id: &str) -> bool {
    id == LOCAL_STORE || id == V1_STORE
}

async fn require(conn: &mut AnyConnection, scope: &OrgScope, id: &str) -> Result<Row> {
    if is_built_in(id) {
        return Err(Problem::forbidden(format!("The secret store `{id}` is built in."))
            .with_hint("It keeps the secrets of the installation, and cannot be changed here."));
    }
    let found = store::find(conn, scope, id).await?;
    found.ok_or_else(|| Problem::not_found("secret store", id))
}

fn one_of() -> Problem {
    let kinds: Vec<_> = KINDS.iter().map(|(kind, ..)| *kind).collect();
    let rule = format!("exactly one of {}", kinds.join(", "));
    Problem::invalid(format!("A secret store has {rule}.")).at("", &rule)
}

/// The store as it is kept, and what opens it. Nothing when no kind is named.
fn read(new: SecretStoreRequest) -> Result<(JsonMap, Option<JsonMap>)> {
    if new.primary == Some(true) {
        return Err(Problem::new(
            StatusCode::NOT_IMPLEMENTED,
            Code::NotImplemented,
            "New secrets are kept in the store that is built in.",
        )
        .with_hint("Leave `primary` out, and name the store in secret references.")
        .at("/primary", "not there yet"));
    }
    let given = [new.awssm, new.azurekv, new.gcpsm, new.vault];
    let mut found = KINDS.iter().zip(given).filter_map(|(kind, one)| one.map(|one| (kind, one)));
    let Some(((kind, members, auth_members), mut kept)) = found.next() else {
        return Ok((JsonMap::new(), None));
    };
    if found.next().is_some() {
        return Err(one_of());
    }
    let auth = match kept.remove(AUTH) {
        Some(Value::Object(auth)) => Some(check(auth, &format!("/{kind}/{AUTH}"), auth_members)?),
        None | Some(Value::Null) => None,
        Some(_) => return Err(texts(&format!("/{kind}/{AUTH}"))),
    };
    let kept = check(kept, &format!("/{kind}"), members)?;
    let store = [((*kind).to_owned(), Value::Object(kept))].into_iter().collect();
    Ok((store, auth))
}

/// Known members that are texts; what v1 does not know is left out, as it leaves it out.
fn check(mut members: JsonMap, at: &str, known: &[&str]) -> Result<JsonMap> {
    members.retain(|name, value| known.contains(&name.as_str()) && !value.is_null());
    for (name, value) in &members {
        if value.as_str().is_none_or(|text| text.len() > LONGEST) {
            return Err(texts(&format!("{at}/{name}")));
        }
    }
    Ok(members)
}

fn texts(at: &str) -> Problem {
    let rule = format!("a text of at most {LONGEST} bytes");
    Problem::invalid(format!("`{at}` is not valid: use {rule}.")).at(at, &rule)
}

fn key(scope: &OrgScope, id: &str) -> String {
    format!("orgs/{}/secretstores/{id}", scope.org())
}

async fn seal(
    state: &AppState,
    tx: &mut Tx,
    scope: &OrgScope,
    id: &str,
    auth: Option<JsonMap>,
) -> Result<Option<SecretRef>> {
    let Some(auth) = auth.filter(|auth| !auth.is_empty()) else {
        secret::forget(tx, &key(scope, id)).await?;
        return Ok(None);
    };
    let secret = Secret::new(Value::Object(auth).to_string());
    Ok(Some(state.vault.seal(tx, &key(scope, id), &secret, Version::Reuse).await?))
}

async fn built_in(conn: &mut AnyConnection, scope: &OrgScope) -> Result<SecretStore> {
    let org = organization::find(conn, scope).await?;
    let org = org.ok_or_else(|| Problem::not_found("organization", scope.org()))?;
    Ok(SecretStore {
        id: LOCAL_STORE.to_owned(),
        primary: true,
        awssm: None,
        azurekv: None,
        gcpsm: None,
        vault: None,
        humanitec: Some(BuiltIn {}),
        created_at: org.created_at.into(),
        created_by: org.created_by.clone(),
        updated_at: org.created_at.into(),
        updated_by: org.created_by,
    })
}

fn wire(row: &Row) -> Result<SecretStore> {
    Ok(SecretStore {
        id: row.id.clone(),
        primary: false,
        awssm: part(row, "awssm")?,
        azurekv: part(row, "azurekv")?,
        gcpsm: part(row, "gcpsm")?,
        vault: part(row, "vault")?,
        humanitec: None,
        created_at: row.created_at.into(),
        created_by: row.created_by.clone(),
        updated_at: row.updated_at.into(),
        updated_by: row.updated_by.clone(),
    })
}

fn part<T: DeserializeOwned>(row: &Row, kind: &str) -> Result<Option<T>> {
    let read = row.store.get(kind).cloned().map(serde_json::from_value).transpose();
    read.map_err(|error| Problem::internal(&error))
}
