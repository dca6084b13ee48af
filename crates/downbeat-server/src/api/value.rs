//! `…/values`: shared values of an application, and of an environment that overrides it.
//!
//! Both levels have the same operations; a level is a [`Level`] here, and each pair of handlers is
//! two doors to one function. Every change ends in `record`, which makes the version of the set.

use std::collections::BTreeMap;

use axum::{Json, extract::State, http::StatusCode};
use downbeat_api::{
    ErrorBody,
    value::{CreateValue, PatchValue, PutValue, SecretReference, SharedValue, Source},
};
use downbeat_core::{Code, Secret, id::Grammar};
use downbeat_store::{
    AnyConnection, Tx,
    value::{self as store, Level, Value as Row},
};
use jiff::Timestamp;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    application,
    common::{check_grammar, check_store},
    environment,
    value_set_version::{Action, Record, record},
};
use crate::{
    AppState, Problem, Result,
    access::Caller,
    change::Effect,
    extract::{Body, Path},
    problem::short,
    state::Version,
};

/// Longest value, in bytes.
const LONGEST_VALUE: usize = 1024 * 1024;

/// Operations of this noun.
pub fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new()
        .routes(routes!(list_app, create_app, clear_app))
        .routes(routes!(put_app, patch_app, delete_app))
        .routes(routes!(list_env, create_env, clear_env))
        .routes(routes!(put_env, patch_env, delete_env))
}

/// Lists the application's own values.
#[utoipa::path(
    get, path = "/orgs/{orgId}/apps/{appId}/values",
    operation_id = "listApplicationValues", tag = "Value",
    responses((status = 200, body = Vec<SharedValue>, description = "All values, by key.")),
)]
async fn list_app(
    State(state): State<AppState>,
    caller: Caller,
    Path((org, app)): Path<(String, String)>,
) -> Result<Json<Vec<SharedValue>>> {
    list(&state, &Level::app(&caller.scope(&org)?.app(&app))).await
}

/// Lists the values of an environment: those of the application, and what overrides them.
#[utoipa::path(
    get, path = "/orgs/{orgId}/apps/{appId}/envs/{envId}/values",
    operation_id = "listEnvironmentValues", tag = "Value",
    responses((status = 200, body = Vec<SharedValue>, description = "All values, by key.")),
)]
async fn list_env(
    State(state): State<AppState>,
    caller: Caller,
    Path((org, app, env)): Path<(String, String, String)>,
) -> Result<Json<Vec<SharedValue>>> {
    list(&state, &Level::env(&caller.scope(&org)?.app(&app).env(&env))).await
}

/// Creates a value of the application.
#[utoipa::path(
    post, path = "/orgs/{orgId}/apps/{appId}/values",
    operation_id = "createApplicationValue", tag = "Value",
    request_body = CreateValue,
    responses(
        (status = 201, body = SharedValue, description = "The new value."),
        (status = 409, body = ErrorBody, description = "The key is taken at this level."),
    ),
)]
async fn create_app(
    State(state): State<AppState>,
    caller: Caller,
    Path((org, app)): Path<(String, String)>,
    Body(new): Body<CreateValue>,
) -> Result<(StatusCode, Json<SharedValue>)> {
    let level = Level::app(&caller.scope(&org)?.app(&app));
    create(&state, &caller, &level, new).await
}

/// Creates a value of an environment.
#[utoipa::path(
    post, path = "/orgs/{orgId}/apps/{appId}/envs/{envId}/values",
    operation_id = "createEnvironmentValue", tag = "Value",
    request_body = CreateValue,
    responses(
        (status = 201, body = SharedValue, description = "The new value."),
        (status = 409, body = ErrorBody, description = "The key is taken at this level."),
    ),
)]
async fn create_env(
    State(state): State<AppState>,
    caller: Caller,
    Path((org, app, env)): Path<(String, String, String)>,
    Body(new): Body<CreateValue>,
) -> Result<(StatusCode, Json<SharedValue>)> {
    let level = Level::env(&caller.scope(&org)?.app(&app).env(&env));
    create(&state, &caller, &level, new).await
}

/// Deletes all values of the application.
#[utoipa::path(
    delete, path = "/orgs/{orgId}/apps/{appId}/values",
    operation_id = "deleteApplicationValues", tag = "Value",
    responses((status = 204, description = "The application has no values of its own.")),
)]
async fn clear_app(
    State(state): State<AppState>,
    caller: Caller,
    Path((org, app)): Path<(String, String)>,
) -> Result<StatusCode> {
    let level = Level::app(&caller.scope(&org)?.app(&app));
    clear(&state, &caller, &level).await
}

/// Deletes all overrides of an environment.
#[utoipa::path(
    delete, path = "/orgs/{orgId}/apps/{appId}/envs/{envId}/values",
    operation_id = "deleteEnvironmentValues", tag = "Value",
    responses((status = 204, description = "The environment overrides nothing.")),
)]
async fn clear_env(
    State(state): State<AppState>,
    caller: Caller,
    Path((org, app, env)): Path<(String, String, String)>,
) -> Result<StatusCode> {
    let level = Level::env(&caller.scope(&org)?.app(&app).env(&env));
    clear(&state, &caller, &level).await
}

/// Replaces a value of the application. Without a value it keeps the one it has.
#[utoipa::path(
    put, path = "/orgs/{orgId}/apps/{appId}/values/{key}",
    operation_id = "replaceApplicationValue", tag = "Value",
    request_body = PutValue,
    responses((status = 200, body = SharedValue, description = "The value as it is now.")),
)]
async fn put_app(
    State(state): State<AppState>,
    caller: Caller,
    Path((org, app, key)): Path<(String, String, String)>,
    Body(new): Body<PutValue>,
) -> Result<Json<SharedValue>> {
    let level = Level::app(&caller.scope(&org)?.app(&app));
    update(&state, &caller, &level, &key, replacing(new)).await
}

/// Replaces an override of an environment. Without a value it keeps the one it has.
#[utoipa::path(
    put, path = "/orgs/{orgId}/apps/{appId}/envs/{envId}/values/{key}",
    operation_id = "replaceEnvironmentValue", tag = "Value",
    request_body = PutValue,
    responses((status = 200, body = SharedValue, description = "The value as it is now.")),
)]
async fn put_env(
    State(state): State<AppState>,
    caller: Caller,
    Path((org, app, env, key)): Path<(String, String, String, String)>,
    Body(new): Body<PutValue>,
) -> Result<Json<SharedValue>> {
    let level = Level::env(&caller.scope(&org)?.app(&app).env(&env));
    update(&state, &caller, &level, &key, replacing(new)).await
}

/// Changes what is given of a value of the application.
#[utoipa::path(
    patch, path = "/orgs/{orgId}/apps/{appId}/values/{key}",
    operation_id = "patchApplicationValue", tag = "Value",
    request_body = PatchValue,
    responses((status = 200, body = SharedValue, description = "The value as it is now.")),
)]
async fn patch_app(
    State(state): State<AppState>,
    caller: Caller,
    Path((org, app, key)): Path<(String, String, String)>,
    Body(change): Body<PatchValue>,
) -> Result<Json<SharedValue>> {
    let level = Level::app(&caller.scope(&org)?.app(&app));
    update(&state, &caller, &level, &key, patching(change)).await
}

/// Changes what is given of an override of an environment.
#[utoipa::path(
    patch, path = "/orgs/{orgId}/apps/{appId}/envs/{envId}/values/{key}",
    operation_id = "patchEnvironmentValue", tag = "Value",
    request_body = PatchValue,
    responses((status = 200, body = SharedValue, description = "The value as it is now.")),
)]
async fn patch_env(
    State(state): State<AppState>,
    caller: Caller,
    Path((org, app, env, key)): Path<(String, String, String, String)>,
    Body(change): Body<PatchValue>,
) -> Result<Json<SharedValue>> {
    let level = Level::env(&caller.scope(&org)?.app(&app).env(&env));
    update(&state, &caller, &level, &key, patching(change)).await
}

/// Deletes a value of the application.
#[utoipa::path(
    delete, path = "/orgs/{orgId}/apps/{appId}/values/{key}",
    operation_id = "deleteApplicationValue", tag = "Value",
    responses((status = 204, description = "The value is gone.")),
)]
async fn delete_app(
    State(state): State<AppState>,
    caller: Caller,
    Path((org, app, key)): Path<(String, String, String)>,
) -> Result<StatusCode> {
    let level = Level::app(&caller.scope(&org)?.app(&app));
    delete(&state, &caller, &level, &key).await
}

/// Deletes an override of an environment; the application's value shows again.
#[utoipa::path(
    delete, path = "/orgs/{orgId}/apps/{appId}/envs/{envId}/values/{key}",
    operation_id = "deleteEnvironmentValue", tag = "Value",
    responses((status = 204, description = "The override is gone.")),
)]
async fn delete_env(
    State(state): State<AppState>,
    caller: Caller,
    Path((org, app, env, key)): Path<(String, String, String, String)>,
) -> Result<StatusCode> {
    let level = Level::env(&caller.scope(&org)?.app(&app).env(&env));
    delete(&state, &caller, &level, &key).await
}

async fn list(state: &AppState, level: &Level) -> Result<Json<Vec<SharedValue>>> {
    let mut conn = state.db.read().await?;
    require_level(&mut conn, level).await?;
    Ok(Json(view(&mut conn, level).await?.into_values().collect()))
}

async fn create(
    state: &AppState,
    caller: &Caller,
    level: &Level,
    new: CreateValue,
) -> Result<(StatusCode, Json<SharedValue>)> {
    check_grammar(Grammar::ValueKey, "key of a value", "/key", &new.key)?;
    let mut change = caller.change(state, level.in_app().in_org()).await?;
    require_active_level(&mut change, level).await?;
    if store::find(&mut change, level, &new.key).await?.is_some() {
        return Err(Problem::conflict(format!("The key `{}` exists already.", new.key)));
    }
    let is_secret = new.is_secret.unwrap_or(false);
    same_secrecy_as_app(&mut change, level, &new.key, is_secret).await?;
    let content = Content::of(new.value, new.secret_ref, is_secret)?.ok_or_else(|| {
        Problem::invalid(format!("The value `{}` needs `value` or `secret_ref`.", new.key))
    })?;
    let now = state.now();
    let mut row = Row {
        key: new.key,
        description: new.description.unwrap_or_default(),
        is_secret,
        value: String::new(),
        secret_store_id: None,
        secret_key: None,
        secret_version: None,
        created_at: now,
        updated_at: now,
    };
    content.put_into(state, &mut change, level, &mut row).await?;
    store::put(&mut change, level, &row).await?;
    record(&mut change, level, Record::new(Action::Create, caller, now)).await?;
    let value = wire(row, level);
    change.commit(StatusCode::CREATED, Effect::created(&value)).await?;
    Ok((StatusCode::CREATED, Json(value)))
}

/// What PUT and PATCH have in common. What is absent stays.
struct Update {
    key: Option<String>,
    is_secret: Option<bool>,
    description: Option<String>,
    value: Option<String>,
    secret_ref: Option<SecretReference>,
}

fn replacing(new: PutValue) -> Update {
    Update {
        key: new.key,
        is_secret: new.is_secret,
        description: Some(new.description.unwrap_or_default()),
        value: new.value,
        secret_ref: new.secret_ref,
    }
}

fn patching(change: PatchValue) -> Update {
    Update {
        key: None,
        is_secret: None,
        description: change.description,
        value: change.value,
        secret_ref: change.secret_ref,
    }
}

async fn update(
    state: &AppState,
    caller: &Caller,
    level: &Level,
    key: &str,
    update: Update,
) -> Result<Json<SharedValue>> {
    let mut change = caller.change(state, level.in_app().in_org()).await?;
    require_active_level(&mut change, level).await?;
    let before = require(&mut change, level, key).await?;
    let mut row = before.clone();
    if update.key.is_some_and(|other| other != key) {
        return Err(Problem::invalid("The key of a value never changes.").at("/key", "changed"));
    }
    if update.is_secret.is_some_and(|other| other != row.is_secret) {
        return Err(Problem::invalid(format!(
            "Whether `{key}` is a secret was decided when it was created."
        ))
        .with_hint("Delete the value and create it again.")
        .at("/is_secret", "changed"));
    }
    let now = state.now();
    row.updated_at = now;
    if let Some(description) = update.description {
        row.description = description;
    }
    if let Some(content) = Content::of(update.value, update.secret_ref, row.is_secret)? {
        content.put_into(state, &mut change, level, &mut row).await?;
    }
    store::put(&mut change, level, &row).await?;
    record(&mut change, level, Record::new(Action::Update, caller, now)).await?;
    let (before, after) = (wire(before, level), wire(row, level));
    change.commit(StatusCode::OK, Effect::changed(&before, &after)).await?;
    Ok(Json(after))
}

async fn delete(state: &AppState, caller: &Caller, level: &Level, key: &str) -> Result<StatusCode> {
    let mut change = caller.change(state, level.in_app().in_org()).await?;
    require_active_level(&mut change, level).await?;
    let row = require(&mut change, level, key).await?;
    store::delete(&mut change, level, key).await?;
    record(&mut change, level, Record::new(Action::Delete, caller, state.now())).await?;
    change.commit(StatusCode::NO_CONTENT, Effect::deleted(&wire(row, level))).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn clear(state: &AppState, caller: &Caller, level: &Level) -> Result<StatusCode> {
    let mut change = caller.change(state, level.in_app().in_org()).await?;
    require_active_level(&mut change, level).await?;
    let rows = store::list(&mut change, level).await?;
    for row in &rows {
        store::delete(&mut change, level, &row.key).await?;
    }
    if !rows.is_empty() {
        record(&mut change, level, Record::new(Action::DeleteAll, caller, state.now())).await?;
    }
    let values: Vec<_> = rows.into_iter().map(|row| wire(row, level)).collect();
    change.commit(StatusCode::NO_CONTENT, Effect::deleted(&values)).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// What a request says the value is.
enum Content {
    Plain(String),
    Sealed(Secret),
    Reference { store: String, key: String, version: Option<String> },
}

impl Content {
    /// Nothing, when the request says nothing about the value.
    fn of(
        value: Option<String>,
        reference: Option<SecretReference>,
        is_secret: bool,
    ) -> Result<Option<Self>> {
        let content = match (value, reference) {
            (None, None) => return Ok(None),
            (Some(_), Some(_)) => {
                return Err(Problem::invalid("`value` and `secret_ref` exclude each other."));
            }
            (None, Some(_)) if !is_secret => {
                return Err(Problem::invalid("`secret_ref` is for secrets: set `is_secret` too."));
            }
            (None, Some(reference)) => Self::of_reference(reference)?,
            (Some(value), None) if value.len() > LONGEST_VALUE => {
                return Err(Problem::invalid(format!(
                    "A value has at most {LONGEST_VALUE} bytes."
                )));
            }
            (Some(value), None) if is_secret => Self::Sealed(Secret::new(value)),
            (Some(value), None) => Self::Plain(value),
        };
        Ok(Some(content))
    }

    fn of_reference(reference: SecretReference) -> Result<Self> {
        let SecretReference { store, r#ref, version, value } = reference;
        let wrong = |what: &str| {
            Err(Problem::invalid(format!("The secret reference is not valid: {what}."))
                .with_code(Code::Invalid)
                .at("/secret_ref", what))
        };
        match (value, store, r#ref, version) {
            (Some(value), None, None, None) => Ok(Self::Sealed(Secret::new(value))),
            (Some(_), ..) => wrong("`value` excludes `store`, `ref` and `version`"),
            (None, Some(store), Some(key), version) => {
                check_store(&store, "/secret_ref")?;
                Ok(Self::Reference { store, key, version })
            }
            (None, ..) => wrong("it needs `store` and `ref`, or `value`"),
        }
    }

    async fn put_into(
        self,
        state: &AppState,
        tx: &mut Tx,
        level: &Level,
        row: &mut Row,
    ) -> Result<()> {
        let (store, key, version) = match self {
            Self::Plain(value) => {
                row.value = value;
                return Ok(());
            }
            Self::Reference { store, key, version } => (store, key, version),
            Self::Sealed(secret) => {
                let key = secret_key(level, &row.key);
                let sealed = state.vault.seal(tx, &key, &secret, Version::Next).await?;
                (sealed.store, sealed.key, sealed.version)
            }
        };
        row.secret_store_id = Some(store);
        row.secret_key = Some(key);
        row.secret_version = version;
        Ok(())
    }
}

/// Where the primary store keeps a value; v1 clients compare it.
fn secret_key(level: &Level, key: &str) -> String {
    let app = level.in_app();
    let env = level.environment().map(|env| format!("--envs--{}", env.env())).unwrap_or_default();
    format!("orgs--{}--apps--{}{env}--secret_values--{key}", app.org(), app.app())
}

async fn same_secrecy_as_app(
    conn: &mut AnyConnection,
    level: &Level,
    key: &str,
    is_secret: bool,
) -> Result<()> {
    if level.environment().is_none() {
        return Ok(());
    }
    let base = store::find(conn, &Level::app(level.in_app()), key).await?;
    if base.is_none_or(|base| base.is_secret == is_secret) {
        return Ok(());
    }
    let message = format!("`{key}` is a secret either in all environments or in none.");
    Err(Problem::invalid(message).at("/is_secret", "differs from the application's value"))
}

/// The values that a level shows, by key.
pub(super) async fn view(
    conn: &mut AnyConnection,
    level: &Level,
) -> Result<BTreeMap<String, SharedValue>> {
    let mut values = BTreeMap::new();
    let app = Level::app(level.in_app());
    for row in store::list(&mut *conn, &app).await? {
        values.insert(row.key.clone(), wire(row, &app));
    }
    if level.environment().is_some() {
        for row in store::list(conn, level).await? {
            values.insert(row.key.clone(), wire(row, level));
        }
    }
    Ok(values)
}

async fn require(conn: &mut AnyConnection, level: &Level, key: &str) -> Result<Row> {
    let row = store::find(conn, level, key).await?;
    row.ok_or_else(|| {
        let message = format!("There is no value with key `{}` at this level.", short(key));
        Problem::new(StatusCode::NOT_FOUND, Code::MissingValue, message)
    })
}

/// As in v1, values of an environment that does not exist are answered 400.
async fn require_level(conn: &mut AnyConnection, level: &Level) -> Result<()> {
    match level.environment() {
        Some(env) => {
            application::require(&mut *conn, level.in_app()).await?;
            environment::require(conn, &env).await.map_err(as_in_v1)?;
        }
        None => {
            application::require(conn, level.in_app()).await?;
        }
    }
    Ok(())
}

async fn require_active_level(conn: &mut AnyConnection, level: &Level) -> Result<()> {
    match level.environment() {
        Some(env) => {
            application::require(&mut *conn, level.in_app()).await?;
            environment::require_active(conn, &env).await.map_err(as_in_v1)?;
        }
        None => {
            application::require_active(conn, level.in_app()).await?;
        }
    }
    Ok(())
}

fn as_in_v1(problem: Problem) -> Problem {
    if problem.status() == StatusCode::NOT_FOUND {
        return Problem::invalid("There is no environment with this id.");
    }
    problem
}

pub(super) fn wire(row: Row, level: &Level) -> SharedValue {
    SharedValue {
        key: row.key,
        value: row.value,
        description: row.description,
        is_secret: row.is_secret,
        source: if level.environment().is_some() { Source::Env } else { Source::App },
        secret_store_id: row.secret_store_id,
        secret_key: row.secret_key,
        secret_version: row.secret_version,
        created_at: row.created_at.into(),
        updated_at: row.updated_at.into(),
    }
}

/// The row that makes a level have a value as an older version shows it.
pub(super) fn row(value: SharedValue, now: Timestamp) -> Row {
    Row {
        key: value.key,
        description: value.description,
        is_secret: value.is_secret,
        value: value.value,
        secret_store_id: value.secret_store_id,
        secret_key: value.secret_key,
        secret_version: value.secret_version,
        created_at: value.created_at.0,
        updated_at: now,
    }
}
