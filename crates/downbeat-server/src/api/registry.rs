//! `/orgs/{orgId}/registries`: registries of container images, and what opens them.
//!
//! Credentials are sealed. They come out of one operation only, for systems that push images.

use axum::{Json, extract::State, http::StatusCode};
use downbeat_api::registry::{Credentials, Registry, RegistryCreds, RegistryRequest};
use downbeat_core::{Json as Value, JsonMap, Secret, SecretRef, id::Grammar};
use downbeat_store::{
    AnyConnection, OrgScope, Tx,
    registry::{self as store, Registry as Row},
    secret,
};
use serde::Serialize;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::common::check_grammar;
use crate::{
    AppState, Problem, Result,
    access::Caller,
    change::Effect,
    extract::{Body, Path},
    problem::short,
    state::Version,
};

/// Most registries of an organization.
const MOST: usize = 500;
/// Most clusters with a Secret.
const MOST_SECRETS: usize = 500;
/// Longest name, in bytes.
const LONGEST: usize = 1024;
/// Longest credentials, in bytes.
const LONGEST_CREDENTIALS: usize = 64 * 1024;
/// How one logs in.
const TYPES: [&str; 5] = ["public", "basic", "google_gcr", "amazon_ecr", "secret_ref"];

/// Operations of this noun.
pub fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new()
        .routes(routes!(list, create))
        .routes(routes!(get, patch, delete))
        .routes(routes!(creds))
}

/// A registry in the audit log: where the credentials are says whether they are others than before.
#[derive(Serialize)]
struct Shown<'a> {
    #[serde(flatten)]
    registry: &'a Registry,
    credentials: &'a Option<SecretRef>,
}

/// Lists the registries of an organization, oldest first.
#[utoipa::path(
    get, path = "/orgs/{orgId}/registries", operation_id = "listRegistries", tag = "Registry",
    responses((status = 200, body = Vec<Registry>, description = "The registries.")),
)]
async fn list(
    State(state): State<AppState>,
    caller: Caller,
    Path(org): Path<String>,
) -> Result<Json<Vec<Registry>>> {
    let scope = caller.scope(&org)?;
    let rows = store::list(&mut *state.db.read().await?, &scope).await?;
    Ok(Json(rows.iter().map(wire).collect::<Result<_>>()?))
}

/// Enters a registry.
#[utoipa::path(
    post, path = "/orgs/{orgId}/registries", operation_id = "createRegistry", tag = "Registry",
    request_body = RegistryRequest,
    responses(
        (status = 201, body = Registry, description = "The registry."),
        (status = 409, body = downbeat_api::ErrorBody, description = "The id is taken."),
    ),
)]
async fn create(
    State(state): State<AppState>,
    caller: Caller,
    Path(org): Path<String>,
    Body(new): Body<RegistryRequest>,
) -> Result<(StatusCode, Json<Registry>)> {
    let scope = caller.scope(&org)?;
    let id = needed(new.id.as_ref(), "id")?.clone();
    check_grammar(Grammar::Definition, "id of a registry", "/id", &id)?;
    needed(new.registry.as_ref(), "registry")?;
    needed(new.r#type.as_ref(), "type")?;
    check(&new)?;
    let mut change = caller.change(&state, &scope).await?;
    let rows = store::list(&mut change, &scope).await?;
    if rows.iter().any(|row| row.id == id) {
        return Err(Problem::conflict(format!("The registry `{id}` exists already.")));
    }
    if rows.len() >= MOST {
        return Err(Problem::invalid(format!("An organization has at most {MOST} registries."))
            .with_hint("Delete those that are not used any more."));
    }
    let mut row = Row {
        id,
        registry: JsonMap::new(),
        credentials: None,
        created_at: state.now(),
        created_by: caller.id().to_owned(),
    };
    row.registry.insert("enable_ci".to_owned(), Value::Bool(false));
    apply(&state, &mut change, &scope, &mut row, new).await?;
    store::create(&mut change, &scope, &row).await?;
    let registry = wire(&row)?;
    let effect = Effect::created(&Shown { registry: &registry, credentials: &row.credentials });
    change.commit(StatusCode::CREATED, effect).await?;
    Ok((StatusCode::CREATED, Json(registry)))
}

/// Shows a registry.
#[utoipa::path(
    get, path = "/orgs/{orgId}/registries/{regId}", operation_id = "getRegistry", tag = "Registry",
    responses((status = 200, body = Registry, description = "The registry.")),
)]
async fn get(
    State(state): State<AppState>,
    caller: Caller,
    Path((org, id)): Path<(String, String)>,
) -> Result<Json<Registry>> {
    let scope = caller.scope(&org)?;
    wire(&require(&mut *state.db.read().await?, &scope, &id).await?).map(Json)
}

/// Changes a registry; what is absent stays.
#[utoipa::path(
    patch, path = "/orgs/{orgId}/registries/{regId}", operation_id = "patchRegistry",
    tag = "Registry", request_body = RegistryRequest,
    responses((status = 200, body = Registry, description = "The registry as it is now.")),
)]
async fn patch(
    State(state): State<AppState>,
    caller: Caller,
    Path((org, id)): Path<(String, String)>,
    Body(new): Body<RegistryRequest>,
) -> Result<Json<Registry>> {
    let scope = caller.scope(&org)?;
    if new.id.as_ref().is_some_and(|other| *other != id) {
        return Err(Problem::invalid("The id of a registry cannot change.")
            .at("/id", "not the id in the path"));
    }
    check(&new)?;
    let mut change = caller.change(&state, &scope).await?;
    let old = require(&mut change, &scope, &id).await?;
    let mut row = old.clone();
    apply(&state, &mut change, &scope, &mut row, new).await?;
    store::update(&mut change, &scope, &row).await?;
    let (before, after) = (wire(&old)?, wire(&row)?);
    let effect = Effect::changed(
        &Shown { registry: &before, credentials: &old.credentials },
        &Shown { registry: &after, credentials: &row.credentials },
    );
    change.commit(StatusCode::OK, effect).await?;
    Ok(Json(after))
}

/// Removes a registry with its credentials.
#[utoipa::path(
    delete, path = "/orgs/{orgId}/registries/{regId}", operation_id = "deleteRegistry",
    tag = "Registry",
    responses((status = 204, description = "The registry is gone.")),
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
    let registry = wire(&row)?;
    let effect = Effect::deleted(&Shown { registry: &registry, credentials: &row.credentials });
    change.commit(StatusCode::NO_CONTENT, effect).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Gives the credentials of a registry to a system that builds images.
#[utoipa::path(
    get, path = "/orgs/{orgId}/registries/{regId}/creds", operation_id = "getRegistryCreds",
    tag = "Registry",
    responses((status = 200, body = RegistryCreds, description = "What opens the registry.")),
)]
async fn creds(
    State(state): State<AppState>,
    caller: Caller,
    Path((org, id)): Path<(String, String)>,
) -> Result<Json<RegistryCreds>> {
    let scope = caller.scope(&org)?;
    let row = require(&mut *state.db.read().await?, &scope, &id).await?;
    let registry = wire(&row)?;
    if !registry.enable_ci {
        return Err(Problem::forbidden(format!(
            "The credentials of the registry `{id}` are not for CI systems."
        ))
        .with_hint("An administrator can set `enable_ci` of the registry."));
    }
    let credentials: Option<Credentials> = match &row.credentials {
        None => None,
        Some(reference) => {
            let secret = state.vault.open(scope.org(), reference).await?;
            let read = serde_json::from_str(secret.expose());
            // The error of a reader could quote what it read.
            Some(read.map_err(|_| Problem::failed())?)
        }
    };
    let (username, password, expires) = match credentials {
        Some(one) => (Some(one.username), Some(one.password), one.expires),
        None => (None, None, None),
    };
    let Registry { registry, secrets, .. } = registry;
    Ok(Json(RegistryCreds { registry, username, password, expires, secrets }))
}

async fn require(conn: &mut AnyConnection, scope: &OrgScope, id: &str) -> Result<Row> {
    let found = store::find(conn, scope, id).await?;
    found.ok_or_else(|| Problem::not_found("registry", id))
}

fn needed<'a>(value: Option<&'a String>, name: &str) -> Result<&'a String> {
    value.ok_or_else(|| {
        Problem::invalid(format!("`{name}` is missing.")).at(&format!("/{name}"), "is missing")
    })
}

fn check(new: &RegistryRequest) -> Result<()> {
    if let Some(name) = &new.registry
        && (name.is_empty() || name.len() > LONGEST || name.contains(char::is_whitespace))
    {
        let rule = format!("1 to {LONGEST} bytes without spaces");
        return Err(Problem::invalid(format!("The registry is not valid: use {rule}."))
            .at("/registry", &rule));
    }
    if let Some(kind) = &new.r#type
        && !TYPES.contains(&kind.as_str())
    {
        let rule = format!("one of {}", TYPES.join(", "));
        let message = format!("`{}` is not a type of registries: use {rule}.", short(kind));
        return Err(Problem::invalid(message).at("/type", &rule));
    }
    let secrets = new.secrets.iter().flatten();
    let is_long = |text: &str| text.is_empty() || text.len() > LONGEST;
    if new.secrets.as_ref().is_some_and(|all| all.len() > MOST_SECRETS)
        || secrets.clone().any(|(cluster, one)| {
            [cluster, &one.namespace, &one.secret].into_iter().any(|text| is_long(text))
        })
    {
        let rule = format!("at most {MOST_SECRETS}, with names of 1 to {LONGEST} bytes");
        return Err(
            Problem::invalid(format!("`secrets` is too large: {rule}.")).at("/secrets", &rule)
        );
    }
    Ok(())
}

fn key(scope: &OrgScope, id: &str) -> String {
    format!("orgs/{}/registries/{id}", scope.org())
}

/// Writes what was said into a row.
async fn apply(
    state: &AppState,
    tx: &mut Tx,
    scope: &OrgScope,
    row: &mut Row,
    new: RegistryRequest,
) -> Result<()> {
    if let Some(credentials) = &new.creds {
        let text = serde_json::to_string(credentials).map_err(|error| Problem::internal(&error))?;
        if text.len() > LONGEST_CREDENTIALS {
            let rule = format!("at most {LONGEST_CREDENTIALS} bytes");
            return Err(Problem::invalid(format!("The credentials are too long: use {rule}."))
                .at("/creds", &rule));
        }
        let key = key(scope, &row.id);
        let sealed = state.vault.seal(tx, &key, &Secret::new(text), Version::Reuse).await?;
        row.credentials = Some(sealed);
    }
    let said = RegistryRequest { id: None, creds: None, ..new };
    match serde_json::to_value(said) {
        Ok(Value::Object(members)) => row.registry.extend(members),
        Ok(_) => return Err(Problem::failed()),
        Err(error) => return Err(Problem::internal(&error)),
    }
    // No secrets is the same as none said.
    if row.registry.get("secrets").and_then(Value::as_object).is_some_and(JsonMap::is_empty) {
        row.registry.remove("secrets");
    }
    Ok(())
}

fn wire(row: &Row) -> Result<Registry> {
    let kept: RegistryRequest = serde_json::from_value(Value::Object(row.registry.clone()))
        .map_err(|error| Problem::internal(&error))?;
    Ok(Registry {
        id: row.id.clone(),
        registry: kept.registry.unwrap_or_default(),
        r#type: kept.r#type.unwrap_or_default(),
        enable_ci: kept.enable_ci.unwrap_or_default(),
        secrets: kept.secrets,
        created_at: row.created_at.into(),
        created_by: row.created_by.clone(),
    })
}
