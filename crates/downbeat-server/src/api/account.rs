//! `/orgs/{orgId}/resources/accounts`: what drivers work with at clouds and other services.
//!
//! Credentials go in and never come out. They are sealed as one secret; beside it is kept what of
//! them may be shown. Nobody here speaks to a cloud: a check looks at what was entered.

use std::collections::BTreeSet;

use axum::{
    Json,
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use downbeat_api::account::{
    AccountCheck, AccountType, CreateResourceAccount, IdentityField, PatchResourceAccount,
    ResourceAccount,
};
use downbeat_core::{JsonMap, Secret, SecretRef, account, id::Grammar};
use downbeat_store::{
    AnyConnection, OrgScope, Tx,
    account::{self as store, StoredAccount as Row},
    active_resource as resources, definition as definitions,
};
use serde::{Deserialize, Serialize};
use utoipa::IntoParams;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    active_resource, check_name,
    common::{check_grammar, flag},
    definition,
};
use crate::{
    AppState, Problem, Result,
    access::Caller,
    change::Effect,
    extract::{Body, Path, Query},
    problem::short,
    state::Version,
};

/// Longest credentials, in bytes.
const LONGEST: usize = 64 * 1024;

/// Operations of this noun.
pub fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new()
        .routes(routes!(list_types))
        .routes(routes!(list, create))
        .routes(routes!(get, patch, delete))
        .routes(routes!(check))
}

/// What else is wanted of a request that enters credentials.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct Wanted {
    /// Only says whether the request is valid; nothing is stored.
    #[serde(default, deserialize_with = "flag")]
    dry_run: bool,
    /// Refuses credentials that lack something.
    #[serde(default, deserialize_with = "flag")]
    check_credential: bool,
}

/// What the column `identity` keeps.
#[derive(Default, Serialize, Deserialize)]
struct Identity {
    fields: Vec<IdentityField>,
    missing: Vec<String>,
}

/// An account in the audit log: where the credentials are says whether they are others than before.
#[derive(Serialize)]
struct Shown<'a> {
    #[serde(flatten)]
    account: &'a ResourceAccount,
    credentials: &'a SecretRef,
}

/// Lists the types of accounts.
#[utoipa::path(
    get, path = "/orgs/{orgId}/resources/account-types",
    operation_id = "listResourceAccountTypes", tag = "AccountType",
    responses((status = 200, body = Vec<AccountType>, description = "The types, by id.")),
)]
async fn list_types(caller: Caller, Path(org): Path<String>) -> Result<Json<Vec<AccountType>>> {
    caller.scope(&org)?;
    let shown = |known: &account::AccountType| AccountType {
        name: known.name.to_owned(),
        r#type: known.id.to_owned(),
        inputs_schema: Some(known.schema()),
    };
    Ok(Json(account::types().iter().map(shown).collect()))
}

/// Lists the accounts of an organization.
#[utoipa::path(
    get, path = "/orgs/{orgId}/resources/accounts",
    operation_id = "listResourceAccounts", tag = "ResourceAccount",
    responses((status = 200, body = Vec<ResourceAccount>, description = "The accounts, by id.")),
)]
async fn list(
    State(state): State<AppState>,
    caller: Caller,
    Path(org): Path<String>,
) -> Result<Json<Vec<ResourceAccount>>> {
    let scope = caller.scope(&org)?;
    let mut conn = state.db.read().await?;
    let rows = store::list(&mut conn, &scope).await?;
    let used = used(&mut conn, &scope).await?;
    Ok(Json(rows.into_iter().map(|row| wire(row, &used)).collect()))
}

/// Enters an account.
#[utoipa::path(
    post, path = "/orgs/{orgId}/resources/accounts",
    operation_id = "createResourceAccount", tag = "ResourceAccount",
    params(Wanted), request_body = CreateResourceAccount,
    responses(
        (status = 200, body = ResourceAccount, description = "The new account."),
        (status = 204, description = "The request is valid; nothing was stored."),
        (status = 409, body = downbeat_api::ErrorBody, description = "The id is taken."),
    ),
)]
async fn create(
    State(state): State<AppState>,
    caller: Caller,
    Path(org): Path<String>,
    Query(wanted): Query<Wanted>,
    Body(new): Body<CreateResourceAccount>,
) -> Result<Response> {
    let scope = caller.scope(&org)?;
    check_grammar(Grammar::Definition, "id of an account", "/id", &new.id)?;
    check_name(&new.name)?;
    let kind = kind(&new.r#type)?;
    let (credentials, identity) = read(kind, &new.credentials, &wanted)?;
    let now = state.now();
    let mut change = caller.change(&state, &scope).await?;
    if store::find(&mut change, &scope, &new.id).await?.is_some() {
        return Err(Problem::conflict(format!("The account `{}` exists already.", new.id)));
    }
    if wanted.dry_run {
        return Ok(StatusCode::NO_CONTENT.into_response());
    }
    let row = Row {
        credentials: seal(&state, &mut change, &scope, &new.id, &credentials).await?,
        id: new.id,
        name: new.name,
        r#type: new.r#type,
        identity,
        created_by: caller.id().to_owned(),
        created_at: now,
    };
    store::create(&mut change, &scope, &row).await?;
    let used = used(&mut change, &scope).await?;
    let (reference, account) = (row.credentials.clone(), wire(row, &used));
    let effect = Effect::created(&Shown { account: &account, credentials: &reference });
    change.commit(StatusCode::OK, effect).await?;
    Ok(Json(account).into_response())
}

/// Shows an account.
#[utoipa::path(
    get, path = "/orgs/{orgId}/resources/accounts/{accId}",
    operation_id = "getResourceAccount", tag = "ResourceAccount",
    responses((status = 200, body = ResourceAccount, description = "The account.")),
)]
async fn get(
    State(state): State<AppState>,
    caller: Caller,
    Path((org, id)): Path<(String, String)>,
) -> Result<Json<ResourceAccount>> {
    let scope = caller.scope(&org)?;
    let mut conn = state.db.read().await?;
    let row = require(&mut conn, &scope, &id).await?;
    let used = used(&mut conn, &scope).await?;
    Ok(Json(wire(row, &used)))
}

/// Changes the name or the credentials of an account.
#[utoipa::path(
    patch, path = "/orgs/{orgId}/resources/accounts/{accId}",
    operation_id = "patchResourceAccount", tag = "ResourceAccount",
    params(Wanted), request_body = PatchResourceAccount,
    responses(
        (status = 200, body = ResourceAccount, description = "The account as it is now."),
        (status = 204, description = "The request is valid; nothing was stored."),
    ),
)]
async fn patch(
    State(state): State<AppState>,
    caller: Caller,
    Path((org, id)): Path<(String, String)>,
    Query(wanted): Query<Wanted>,
    Body(patch): Body<PatchResourceAccount>,
) -> Result<Response> {
    let scope = caller.scope(&org)?;
    let mut change = caller.change(&state, &scope).await?;
    let before = require(&mut change, &scope, &id).await?;
    let mut row = before.clone();
    if let Some(name) = patch.name {
        check_name(&name)?;
        row.name = name;
    }
    if let Some(credentials) = &patch.credentials {
        let (credentials, identity) = read(kind(&row.r#type)?, credentials, &wanted)?;
        row.identity = identity;
        if !wanted.dry_run {
            row.credentials = seal(&state, &mut change, &scope, &id, &credentials).await?;
        }
    }
    if wanted.dry_run {
        return Ok(StatusCode::NO_CONTENT.into_response());
    }
    store::update(&mut change, &scope, &row).await?;
    let used = used(&mut change, &scope).await?;
    let references = (before.credentials.clone(), row.credentials.clone());
    let (before, after) = (wire(before, &used), wire(row, &used));
    let effect = Effect::changed(
        &Shown { account: &before, credentials: &references.0 },
        &Shown { account: &after, credentials: &references.1 },
    );
    change.commit(StatusCode::OK, effect).await?;
    Ok(Json(after).into_response())
}

/// Removes an account that nothing needs.
#[utoipa::path(
    delete, path = "/orgs/{orgId}/resources/accounts/{accId}",
    operation_id = "deleteResourceAccount", tag = "ResourceAccount",
    responses(
        (status = 204, description = "The account and its credentials are gone."),
        (status = 400, body = downbeat_api::ErrorBody, description = "The account is in use."),
    ),
)]
async fn delete(
    State(state): State<AppState>,
    caller: Caller,
    Path((org, id)): Path<(String, String)>,
) -> Result<StatusCode> {
    let scope = caller.scope(&org)?;
    let mut change = caller.change(&state, &scope).await?;
    let row = require(&mut change, &scope, &id).await?;
    if used(&mut change, &scope).await?.contains(&id) {
        let definitions: Vec<_> = named(&mut change, &scope, &id)
            .await?
            .into_iter()
            .map(|whole| definition::wire(&org, whole))
            .collect();
        let resources: Vec<_> = resources::list_by_account(&mut change, &scope, &id)
            .await?
            .into_iter()
            .map(|row| active_resource::wire(&org, row))
            .collect();
        return Err(Problem::invalid(format!("The account `{id}` is in use."))
            .with_hint(
                "Give the definitions another account or delete them, and delete the resources \
                 that were made with it: freeing them needs it.",
            )
            .with_detail(
                "referencing_resources",
                serde_json::json!({
                    "resource_definitions": definitions, "active_resources": resources}),
            ));
    }
    store::delete(&mut change, &scope, &row).await?;
    let (reference, account) = (row.credentials.clone(), wire(row, &BTreeSet::new()));
    let effect = Effect::deleted(&Shown { account: &account, credentials: &reference });
    change.commit(StatusCode::NO_CONTENT, effect).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Looks at the credentials of an account.
#[utoipa::path(
    post, path = "/orgs/{orgId}/resources/accounts/{accId}/actions/check",
    operation_id = "checkResourceAccount", tag = "ResourceAccount",
    responses(
        (status = 200, body = AccountCheck, description = "What was found out."),
        (status = 400, body = downbeat_api::ErrorBody, description = "Something is missing."),
    ),
)]
async fn check(
    State(state): State<AppState>,
    caller: Caller,
    Path((org, id)): Path<(String, String)>,
) -> Result<Json<AccountCheck>> {
    let scope = caller.scope(&org)?;
    let row = require(&mut *state.db.read().await?, &scope, &id).await?;
    let identity = Identity::deserialize(&row.identity).map_err(|e| Problem::internal(&e))?;
    if !identity.missing.is_empty() {
        return Err(lacks(&row.r#type, &identity.missing.join("`, `")));
    }
    let warning = "The credentials are complete. Whether the cloud accepts them is not known: it \
        was not asked.";
    Ok(Json(AccountCheck { identity_fields: identity.fields, warnings: vec![warning.to_owned()] }))
}

fn kind(id: &str) -> Result<&'static account::AccountType> {
    account::find(id).ok_or_else(|| {
        let known: Vec<&str> = account::types().iter().map(|known| known.id).collect();
        Problem::invalid(format!("There is no account type `{}`.", short(id)))
            .with_hint(format!("Use one of: {}.", known.join(", ")))
            .at("/type", "not a known type")
    })
}

/// The credentials as they are sealed, and what of them may be shown.
fn read(
    kind: &account::AccountType,
    credentials: &JsonMap,
    wanted: &Wanted,
) -> Result<(Secret, serde_json::Value)> {
    let missing: Vec<String> = kind.missing(credentials).into_iter().map(str::to_owned).collect();
    if wanted.check_credential && !missing.is_empty() {
        return Err(lacks(kind.id, &missing.join("`, `")));
    }
    let field = |(member, value): (&account::Member, String)| IdentityField {
        id: member.name.to_owned(),
        description: member.description.to_owned(),
        value,
    };
    let fields = kind.identity(credentials).into_iter().map(field).collect();
    let identity = serde_json::to_value(Identity { fields, missing });
    let identity = identity.map_err(|error| Problem::internal(&error))?;
    let text = serde_json::to_string(credentials).map_err(|error| Problem::internal(&error))?;
    if text.len() > LONGEST {
        let rule = format!("at most {LONGEST} bytes");
        return Err(Problem::invalid(format!("The credentials are too long: use {rule}."))
            .at("/credentials", &rule));
    }
    Ok((Secret::new(text), identity))
}

fn lacks(kind: &str, missing: &str) -> Problem {
    Problem::invalid(format!("The credentials lack `{missing}`, which type `{kind}` needs."))
        .with_hint("`GET …/resources/account-types` says what the credentials of a type have.")
        .at("/credentials", "something is missing")
}

async fn seal(
    state: &AppState,
    tx: &mut Tx,
    scope: &OrgScope,
    id: &str,
    credentials: &Secret,
) -> Result<SecretRef> {
    let key = format!("orgs/{}/accounts/{id}", scope.org());
    Ok(state.vault.seal(tx, &key, credentials, Version::Reuse).await?)
}

async fn require(conn: &mut AnyConnection, scope: &OrgScope, id: &str) -> Result<Row> {
    let found = store::find(conn, scope, id).await?;
    found.ok_or_else(|| Problem::not_found("account", id))
}

/// The definitions that name an account.
async fn named(
    conn: &mut AnyConnection,
    scope: &OrgScope,
    id: &str,
) -> Result<Vec<definitions::Whole>> {
    let mut found = definitions::list(conn, scope).await?;
    found.retain(|whole| {
        !whole.definition.is_deleted && whole.content.body.driver_account.as_deref() == Some(id)
    });
    Ok(found)
}

/// The accounts that a definition names, or a resource was made with.
async fn used(conn: &mut AnyConnection, scope: &OrgScope) -> Result<BTreeSet<String>> {
    let mut used = store::used_by_resources(&mut *conn, scope).await?;
    for whole in definitions::list(conn, scope).await? {
        if !whole.definition.is_deleted {
            used.extend(whole.content.body.driver_account);
        }
    }
    Ok(used)
}

fn wire(row: Row, used: &BTreeSet<String>) -> ResourceAccount {
    ResourceAccount {
        is_used: used.contains(&row.id),
        id: row.id,
        name: row.name,
        r#type: row.r#type,
        created_by: row.created_by,
        created_at: row.created_at.into(),
    }
}
