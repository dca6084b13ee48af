//! `…/value-set-versions`: what the shared values were, and going back.
//!
//! A version is what a level shows: the application's values, or an environment's merged view.
//! Restoring changes the values of that level only; what an environment inherits stays what the
//! application says today. Purging takes a value out of history for good: out of the named version
//! and of every other one that shows the same value.

use std::collections::BTreeMap;

use axum::{Json, extract::State, http::StatusCode};
use downbeat_api::value::{Change, SharedValue, Source, ValueSetAction, ValueSetVersion};
use downbeat_core::{Json as Document, json::sorted};
use downbeat_store::{
    AnyConnection, Error, Tx, commit,
    value::{self as store, Level, Version as Row},
};
use jiff::Timestamp;
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::json;
use utoipa::IntoParams;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{application, environment, value};
use crate::{
    AppState, Problem, Result,
    access::Caller,
    extract::{OptionalBody, Path, Query},
    problem::short,
    state::new_id,
};

/// Names the newest version.
const NEWEST: &str = "00000000-0000-0000-0000-000000000000";

/// Operations of this noun.
pub fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new()
        .routes(routes!(list_app))
        .routes(routes!(get_app))
        .routes(routes!(restore_app))
        .routes(routes!(restore_key_app))
        .routes(routes!(purge_app))
        .routes(routes!(list_env))
        .routes(routes!(get_env))
        .routes(routes!(restore_env))
        .routes(routes!(restore_key_env))
        .routes(routes!(purge_env))
}

/// Which versions to list.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct Filter {
    /// Only versions in which this key changed.
    #[param(nullable = false)]
    key_changed: Option<String>,
}

/// Lists the versions of the application's values.
#[utoipa::path(
    get, path = "/orgs/{orgId}/apps/{appId}/value-set-versions",
    operation_id = "listApplicationValueSetVersions", tag = "ValueSetVersion",
    params(Filter),
    responses((status = 200, body = Vec<ValueSetVersion>, description = "Newest first.")),
)]
async fn list_app(
    State(state): State<AppState>,
    caller: Caller,
    Path((org, app)): Path<(String, String)>,
    Query(filter): Query<Filter>,
) -> Result<Json<Vec<ValueSetVersion>>> {
    list(&state, &Level::app(&caller.may_read(&org)?.app(&app)), filter).await
}

/// Lists the versions of an environment's values.
#[utoipa::path(
    get, path = "/orgs/{orgId}/apps/{appId}/envs/{envId}/value-set-versions",
    operation_id = "listEnvironmentValueSetVersions", tag = "ValueSetVersion",
    params(Filter),
    responses((status = 200, body = Vec<ValueSetVersion>, description = "Newest first.")),
)]
async fn list_env(
    State(state): State<AppState>,
    caller: Caller,
    Path((org, app, env)): Path<(String, String, String)>,
    Query(filter): Query<Filter>,
) -> Result<Json<Vec<ValueSetVersion>>> {
    list(&state, &Level::env(&caller.may_read(&org)?.app(&app).env(&env)), filter).await
}

/// Shows a version of the application's values.
#[utoipa::path(
    get, path = "/orgs/{orgId}/apps/{appId}/value-set-versions/{valueSetVersionId}",
    operation_id = "getApplicationValueSetVersion", tag = "ValueSetVersion",
    responses((status = 200, body = ValueSetVersion, description = "The version.")),
)]
async fn get_app(
    State(state): State<AppState>,
    caller: Caller,
    Path((org, app, id)): Path<(String, String, String)>,
) -> Result<Json<ValueSetVersion>> {
    get(&state, &Level::app(&caller.may_read(&org)?.app(&app)), &id).await
}

/// Shows a version of an environment's values.
#[utoipa::path(
    get, path = "/orgs/{orgId}/apps/{appId}/envs/{envId}/value-set-versions/{valueSetVersionId}",
    operation_id = "getEnvironmentValueSetVersion", tag = "ValueSetVersion",
    responses((status = 200, body = ValueSetVersion, description = "The version.")),
)]
async fn get_env(
    State(state): State<AppState>,
    caller: Caller,
    Path((org, app, env, id)): Path<(String, String, String, String)>,
) -> Result<Json<ValueSetVersion>> {
    get(&state, &Level::env(&caller.may_read(&org)?.app(&app).env(&env)), &id).await
}

/// Makes the application's values what they were.
#[utoipa::path(
    post, path = "/orgs/{orgId}/apps/{appId}/value-set-versions/{valueSetVersionId}/restore",
    operation_id = "restoreApplicationValueSetVersion", tag = "ValueSetVersion",
    request_body = ValueSetAction,
    responses((status = 200, body = ValueSetVersion, description = "The new version.")),
)]
async fn restore_app(
    State(state): State<AppState>,
    caller: Caller,
    Path((org, app, id)): Path<(String, String, String)>,
    OptionalBody(action): OptionalBody<ValueSetAction>,
) -> Result<Json<ValueSetVersion>> {
    let level = Level::app(&caller.may_change(&org)?.app(&app));
    restore(&state, &caller, &level, &id, None, action).await
}

/// Makes the overrides of an environment what they were.
#[utoipa::path(
    post,
    path = "/orgs/{orgId}/apps/{appId}/envs/{envId}/value-set-versions/{valueSetVersionId}/restore",
    operation_id = "restoreEnvironmentValueSetVersion", tag = "ValueSetVersion",
    request_body = ValueSetAction,
    responses((status = 200, body = ValueSetVersion, description = "The new version.")),
)]
async fn restore_env(
    State(state): State<AppState>,
    caller: Caller,
    Path((org, app, env, id)): Path<(String, String, String, String)>,
    OptionalBody(action): OptionalBody<ValueSetAction>,
) -> Result<Json<ValueSetVersion>> {
    let level = Level::env(&caller.may_change(&org)?.app(&app).env(&env));
    restore(&state, &caller, &level, &id, None, action).await
}

/// Makes one value of the application what it was.
#[utoipa::path(
    post, path = "/orgs/{orgId}/apps/{appId}/value-set-versions/{valueSetVersionId}/restore/{key}",
    operation_id = "restoreApplicationValueSetVersionKey", tag = "ValueSetVersion",
    request_body = ValueSetAction,
    responses((status = 200, body = ValueSetVersion, description = "The new version.")),
)]
async fn restore_key_app(
    State(state): State<AppState>,
    caller: Caller,
    Path((org, app, id, key)): Path<(String, String, String, String)>,
    OptionalBody(action): OptionalBody<ValueSetAction>,
) -> Result<Json<ValueSetVersion>> {
    let level = Level::app(&caller.may_change(&org)?.app(&app));
    restore(&state, &caller, &level, &id, Some(&key), action).await
}

/// Makes one override of an environment what it was.
#[utoipa::path(
    post,
    path = "/orgs/{orgId}/apps/{appId}/envs/{envId}/value-set-versions/{valueSetVersionId}\
            /restore/{key}",
    operation_id = "restoreEnvironmentValueSetVersionKey", tag = "ValueSetVersion",
    request_body = ValueSetAction,
    responses((status = 200, body = ValueSetVersion, description = "The new version.")),
)]
async fn restore_key_env(
    State(state): State<AppState>,
    caller: Caller,
    Path((org, app, env, id, key)): Path<(String, String, String, String, String)>,
    OptionalBody(action): OptionalBody<ValueSetAction>,
) -> Result<Json<ValueSetVersion>> {
    let level = Level::env(&caller.may_change(&org)?.app(&app).env(&env));
    restore(&state, &caller, &level, &id, Some(&key), action).await
}

/// Takes a value out of the history of the application.
#[utoipa::path(
    post, path = "/orgs/{orgId}/apps/{appId}/value-set-versions/{valueSetVersionId}/purge/{key}",
    operation_id = "purgeApplicationValueSetVersionKey", tag = "ValueSetVersion",
    request_body = ValueSetAction,
    responses((status = 204, description = "The value is gone from history.")),
)]
async fn purge_app(
    State(state): State<AppState>,
    caller: Caller,
    Path((org, app, id, key)): Path<(String, String, String, String)>,
    OptionalBody(action): OptionalBody<ValueSetAction>,
) -> Result<StatusCode> {
    let level = Level::app(&caller.may_change(&org)?.app(&app));
    purge(&state, &caller, &level, &id, &key, action).await
}

/// Takes a value out of the history of an environment.
#[utoipa::path(
    post,
    path = "/orgs/{orgId}/apps/{appId}/envs/{envId}/value-set-versions/{valueSetVersionId}\
            /purge/{key}",
    operation_id = "purgeEnvironmentValueSetVersionKey", tag = "ValueSetVersion",
    request_body = ValueSetAction,
    responses((status = 204, description = "The value is gone from history.")),
)]
async fn purge_env(
    State(state): State<AppState>,
    caller: Caller,
    Path((org, app, env, id, key)): Path<(String, String, String, String, String)>,
    OptionalBody(action): OptionalBody<ValueSetAction>,
) -> Result<StatusCode> {
    let level = Level::env(&caller.may_change(&org)?.app(&app).env(&env));
    purge(&state, &caller, &level, &id, &key, action).await
}

async fn list(
    state: &AppState,
    level: &Level,
    filter: Filter,
) -> Result<Json<Vec<ValueSetVersion>>> {
    let mut conn = state.db.read().await?;
    require_level(&mut conn, level).await?;
    let mut versions = Vec::new();
    for row in store::versions(&mut conn, level).await? {
        let version = wire(row)?;
        let key = filter.key_changed.as_deref();
        if key.is_none_or(|key| version.change.iter().any(|change| concerns(change, key))) {
            versions.push(version);
        }
    }
    Ok(Json(versions))
}

async fn get(state: &AppState, level: &Level, id: &str) -> Result<Json<ValueSetVersion>> {
    let mut conn = state.db.read().await?;
    require_level(&mut conn, level).await?;
    Ok(Json(wire(require(&mut conn, level, id).await?)?))
}

async fn restore(
    state: &AppState,
    caller: &Caller,
    level: &Level,
    id: &str,
    key: Option<&str>,
    action: Option<ValueSetAction>,
) -> Result<Json<ValueSetVersion>> {
    let mut tx = state.db.write().await?;
    require_level(&mut tx, level).await?;
    let source = require(&mut tx, level, id).await?;
    let then = content(&source)?;
    if let Some(key) = key
        && !then.contains_key(key)
    {
        let key = short(key);
        return Err(Problem::invalid(format!("The version has no value with key `{key}`.")));
    }
    let now = state.now();
    let present = store::list(&mut tx, level).await?;
    let chosen = |other: &str| key.is_none_or(|key| key == other);
    let own = if level.environment().is_some() { Source::Env } else { Source::App };
    for row in present.iter().filter(|row| chosen(&row.key)) {
        if then.get(&row.key).is_none_or(|old| old.source != own) {
            store::delete(&mut tx, level, &row.key).await?;
        }
    }
    for (key, old) in then.into_iter().filter(|(key, old)| chosen(key) && old.source == own) {
        let present = present.iter().find(|row| row.key == key);
        if present.is_none_or(|row| value::wire(row.clone(), level) != old) {
            store::put(&mut tx, level, &value::row(old, now)).await?;
        }
    }
    let record_of = Record::new(Action::Restore, caller, now).on(&source.id, action);
    let version = record(&mut tx, level, record_of).await?;
    commit(tx).await?;
    Ok(Json(version))
}

async fn purge(
    state: &AppState,
    caller: &Caller,
    level: &Level,
    id: &str,
    key: &str,
    action: Option<ValueSetAction>,
) -> Result<StatusCode> {
    let mut tx = state.db.write().await?;
    require_level(&mut tx, level).await?;
    let source = require(&mut tx, level, id).await?;
    let Some(purged) = content(&source)?.remove(key) else {
        let key = short(key);
        return Err(Problem::invalid(format!("The version has no value with key `{key}`.")));
    };
    let own = if level.environment().is_some() { Source::Env } else { Source::App };
    if purged.source != own {
        return Err(Problem::invalid(format!("The value of `{key}` comes from the application."))
            .with_hint("Purge it there."));
    }
    if value::view(&mut tx, level).await?.get(key) == Some(&purged) {
        return Err(Problem::invalid(format!("The value of `{key}` is the present one."))
            .with_hint("Change or delete the value first."));
    }

    let mut levels = vec![level.clone()];
    if level.environment().is_none() {
        for env in store::environments(&mut tx, level.in_app()).await? {
            levels.push(Level::env(&level.in_app().env(&env)));
        }
    }
    for level in levels {
        for row in store::versions(&mut tx, &level).await? {
            if let Some(row) = without(row, key, &purged)? {
                store::rewrite_version(&mut tx, level.in_app(), &row).await?;
            }
        }
    }
    let record_of = Record::new(Action::Purge, caller, state.now()).on(&source.id, action);
    record(&mut tx, level, record_of).await?;
    commit(tx).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// The version without the purged value; nothing when it does not show it.
fn without(mut row: Row, key: &str, purged: &SharedValue) -> Result<Option<Row>> {
    let mut values = content(&row)?;
    if values.get(key) != Some(purged) {
        return Ok(None);
    }
    values.remove(key);
    let mut change: Vec<Change> = parse(row.change, "change")?;
    change.retain(|change| !concerns(change, key));
    row.content = json!(values);
    row.change = json!(change);
    Ok(Some(row))
}

/// The operation that a version is the result of.
#[derive(Clone, Copy, Debug)]
pub(super) enum Action {
    Create,
    Update,
    Delete,
    DeleteAll,
    Restore,
    Purge,
}

/// What is known about a change before the new version exists.
pub(super) struct Record<'a> {
    action: Action,
    by: &'a str,
    at: Timestamp,
    comment: String,
    source: Option<&'a str>,
}

impl<'a> Record<'a> {
    pub(super) fn new(action: Action, caller: &'a Caller, at: Timestamp) -> Self {
        Self { action, by: caller.id(), at, comment: String::new(), source: None }
    }

    fn on(mut self, version: &'a str, action: Option<ValueSetAction>) -> Self {
        self.source = Some(version);
        self.comment = action.and_then(|action| action.comment).unwrap_or_default();
        self
    }
}

/// Makes the new version of a level after its values changed, and of every environment that a
/// change of the application's values shows in. The state before is the newest version.
pub(super) async fn record(
    tx: &mut Tx,
    level: &Level,
    record: Record<'_>,
) -> Result<ValueSetVersion> {
    let row = next_version(tx, level, &record, level).await?;
    store::add_version(tx, level, &row).await?;
    if level.environment().is_none() {
        for env in store::environments(&mut *tx, level.in_app()).await? {
            let env = Level::env(&level.in_app().env(&env));
            let row = next_version(tx, &env, &record, level).await?;
            if row.change != json!([]) {
                store::add_version(tx, &env, &row).await?;
            }
        }
    }
    wire(row)
}

async fn next_version(
    tx: &mut Tx,
    level: &Level,
    record: &Record<'_>,
    changed: &Level,
) -> Result<Row> {
    let before = match store::newest_version(&mut *tx, level).await? {
        Some(row) => content(&row)?,
        None => BTreeMap::new(),
    };
    let now = value::view(tx, level).await?;
    Ok(Row {
        id: new_id(record.at),
        created_at: record.at,
        created_by: record.by.to_owned(),
        comment: record.comment.clone(),
        source_version_id: record.source.map(ToOwned::to_owned),
        result_of: result_of(record.action, changed),
        change: json!(diff(&before, &now)),
        content: json!(now),
    })
}

fn result_of(action: Action, level: &Level) -> String {
    let prefix = if level.environment().is_some() { "env" } else { "app" };
    let what = match action {
        Action::Create => "value_create",
        Action::Update => "value_update",
        Action::Delete => "value_delete",
        Action::DeleteAll => "values_delete",
        Action::Restore => "value_set_version_restore",
        Action::Purge => "value_set_version_purge",
    };
    format!("{prefix}_{what}")
}

/// The JSON patch that turns one set of values into the other, in the order of the keys. Keys need
/// no escape in a pointer.
fn diff(
    before: &BTreeMap<String, SharedValue>,
    now: &BTreeMap<String, SharedValue>,
) -> Vec<Change> {
    let mut changes = Vec::new();
    let mut change = |op: &str, path: String, value: Option<Document>| {
        changes.push(Change { op: op.to_owned(), path, value });
    };
    for key in before.keys().filter(|key| !now.contains_key(*key)) {
        change("remove", format!("/{key}"), None);
    }
    for (key, new) in now {
        match before.get(key) {
            None => change("add", format!("/{key}"), Some(json!(new))),
            Some(old) => {
                let (old, new) = (json!(old), json!(new));
                for (field, value) in sorted(&new).as_object().into_iter().flatten() {
                    if old.get(field) != Some(value) {
                        change("replace", format!("/{key}/{field}"), Some(value.clone()));
                    }
                }
            }
        }
    }
    changes
}

fn concerns(change: &Change, key: &str) -> bool {
    change.path.split('/').nth(1) == Some(key)
}

async fn require(conn: &mut AnyConnection, level: &Level, id: &str) -> Result<Row> {
    let row = if id == NEWEST {
        store::newest_version(conn, level).await?
    } else {
        store::version(conn, level, id).await?
    };
    row.ok_or_else(|| Problem::not_found("value set version", id))
}

async fn require_level(conn: &mut AnyConnection, level: &Level) -> Result<()> {
    match level.environment() {
        Some(env) => environment::require(conn, &env).await.map(drop),
        None => application::require(conn, level.in_app()).await.map(drop),
    }
}

fn content(row: &Row) -> Result<BTreeMap<String, SharedValue>> {
    parse(row.content.clone(), "content")
}

fn parse<T: DeserializeOwned>(document: Document, column: &'static str) -> Result<T> {
    serde_json::from_value(document).map_err(|source| {
        Problem::from(Error::Corrupt { table: "value_set_version", column, source })
    })
}

fn wire(row: Row) -> Result<ValueSetVersion> {
    Ok(ValueSetVersion {
        values: content(&row)?,
        change: parse(row.change, "change")?,
        id: row.id,
        created_at: row.created_at.into(),
        created_by: row.created_by,
        updated_at: row.created_at.into(),
        comment: row.comment,
        source_value_set_version_id: row.source_version_id,
        result_of: row.result_of,
    })
}
