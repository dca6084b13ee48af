//! Shared values, and the versions of sets of them.
//!
//! Values live at two levels: the application, and an environment that overrides it. Each change
//! makes an immutable version of the whole level as it is seen there, so for an environment of the
//! merged view. An environment that never had an override has no versions of its own: it shows
//! those of the application; from its first override on, it has its own.

use downbeat_core::Json;
use jiff::Timestamp;
use sqlx::{AnyConnection, any::AnyRow};

use crate::{
    AppScope, EnvScope, Result, Tx,
    row::{Columns as _, written},
};

/// An application's own values, or the overrides of one of its environments.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Level {
    app: AppScope,
    env: String,
}

impl Level {
    /// The level of the application.
    #[must_use]
    pub fn app(scope: &AppScope) -> Self {
        Self { app: scope.clone(), env: String::new() }
    }

    /// The level of the environment.
    #[must_use]
    pub fn env(scope: &EnvScope) -> Self {
        Self { app: scope.in_app().clone(), env: scope.env().to_owned() }
    }

    /// The application.
    #[must_use]
    pub fn in_app(&self) -> &AppScope {
        &self.app
    }

    /// The environment, when this is the level of one.
    #[must_use]
    pub fn environment(&self) -> Option<EnvScope> {
        (!self.env.is_empty()).then(|| self.app.env(&self.env))
    }
}

/// A row of `shared_value`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Value {
    /// Key, unique at its level.
    pub key: String,
    /// Text for people.
    pub description: String,
    /// Whether the value is in a secret store.
    pub is_secret: bool,
    /// The value; empty for secrets.
    pub value: String,
    /// Secret store of a secret.
    pub secret_store_id: Option<String>,
    /// Key of a secret in its store.
    pub secret_key: Option<String>,
    /// Version of a secret in its store.
    pub secret_version: Option<String>,
    /// When the key was created at this level.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
}

/// A row of `value_set_version`.
#[derive(Clone, Debug, PartialEq)]
pub struct Version {
    /// Id.
    pub id: String,
    /// When it was made.
    pub created_at: Timestamp,
    /// Id of the user who made it.
    pub created_by: String,
    /// Why.
    pub comment: String,
    /// The version that was restored or purged.
    pub source_version_id: Option<String>,
    /// The operation that made it, as on the wire.
    pub result_of: String,
    /// JSON patch against the version before.
    pub change: Json,
    /// Value objects by key, as on the wire.
    pub content: Json,
}

fn read(row: &AnyRow) -> Result<Value> {
    Ok(Value {
        key: row.text("key")?,
        description: row.text("description")?,
        is_secret: row.flag("is_secret")?,
        value: row.text("value")?,
        secret_store_id: row.text_or_null("secret_store_id")?,
        secret_key: row.text_or_null("secret_key")?,
        secret_version: row.text_or_null("secret_version")?,
        created_at: row.time("created_at")?,
        updated_at: row.time("updated_at")?,
    })
}

fn read_version(row: &AnyRow) -> Result<Version> {
    Ok(Version {
        id: row.text("id")?,
        created_at: row.time("created_at")?,
        created_by: row.text("created_by")?,
        comment: row.text("comment")?,
        source_version_id: row.text_or_null("source_version_id")?,
        result_of: row.text("result_of")?,
        change: row.document("value_set_version", "change")?,
        content: row.document("value_set_version", "content")?,
    })
}

/// The values of a level itself, by key; for an environment only the overrides.
///
/// # Errors
/// When the database fails.
pub async fn list(conn: &mut AnyConnection, level: &Level) -> Result<Vec<Value>> {
    // Which values does the level have?
    let rows = sqlx::query(
        "SELECT key, description, is_secret, value, secret_store_id, secret_key, secret_version,
                created_at, updated_at
           FROM shared_value WHERE org_id = $1 AND app_id = $2 AND env_id = $3 ORDER BY key",
    )
    .bind(level.app.org())
    .bind(level.app.app())
    .bind(&level.env)
    .fetch_all(conn)
    .await?;
    rows.iter().map(read).collect()
}

/// One value of a level.
///
/// # Errors
/// When the database fails.
pub async fn find(conn: &mut AnyConnection, level: &Level, key: &str) -> Result<Option<Value>> {
    // Does the level have this key?
    let row = sqlx::query(
        "SELECT key, description, is_secret, value, secret_store_id, secret_key, secret_version,
                created_at, updated_at
           FROM shared_value WHERE org_id = $1 AND app_id = $2 AND env_id = $3 AND key = $4",
    )
    .bind(level.app.org())
    .bind(level.app.app())
    .bind(&level.env)
    .bind(key)
    .fetch_optional(conn)
    .await?;
    row.as_ref().map(read).transpose()
}

/// Writes a value, whether or not the level has the key.
///
/// # Errors
/// [`crate::Error::Conflict`] when the application does not exist.
pub async fn put(tx: &mut Tx, level: &Level, value: &Value) -> Result<()> {
    // From now on the key has this value.
    sqlx::query(
        "INSERT INTO shared_value
             (org_id, app_id, env_id, key, description, is_secret, value, secret_store_id,
              secret_key, secret_version, created_at, updated_at)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)
             ON CONFLICT (org_id, app_id, env_id, key) DO UPDATE SET
                 description = excluded.description, is_secret = excluded.is_secret,
                 value = excluded.value, secret_store_id = excluded.secret_store_id,
                 secret_key = excluded.secret_key, secret_version = excluded.secret_version,
                 updated_at = excluded.updated_at",
    )
    .bind(level.app.org())
    .bind(level.app.app())
    .bind(&level.env)
    .bind(&value.key)
    .bind(&value.description)
    .bind(i64::from(value.is_secret))
    .bind(&value.value)
    .bind(value.secret_store_id.as_deref())
    .bind(value.secret_key.as_deref())
    .bind(value.secret_version.as_deref())
    .bind(value.created_at.as_microsecond())
    .bind(value.updated_at.as_microsecond())
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// Removes a value from a level. Says whether there was one.
///
/// # Errors
/// When the database fails.
pub async fn delete(tx: &mut Tx, level: &Level, key: &str) -> Result<bool> {
    // The level has no such key any more.
    let done = sqlx::query(
        "DELETE FROM shared_value
          WHERE org_id = $1 AND app_id = $2 AND env_id = $3 AND key = $4",
    )
    .bind(level.app.org())
    .bind(level.app.app())
    .bind(&level.env)
    .bind(key)
    .execute(&mut **tx)
    .await?;
    Ok(done.rows_affected() > 0)
}

/// Adds a version under the next number of its level.
///
/// # Errors
/// When the database fails.
pub async fn add_version(tx: &mut Tx, level: &Level, version: &Version) -> Result<()> {
    // Makes the version's row.
    sqlx::query(
        "INSERT INTO value_set_version
             (id, org_id, app_id, env_id, number, created_at, created_by, comment,
              source_version_id, result_of, change, content)
             SELECT $1, $2, $3, $4, COALESCE(MAX(number), 0) + 1, $5, $6, $7, $8, $9, $10, $11
               FROM value_set_version WHERE org_id = $2 AND app_id = $3 AND env_id = $4",
    )
    .bind(&version.id)
    .bind(level.app.org())
    .bind(level.app.app())
    .bind(&level.env)
    .bind(version.created_at.as_microsecond())
    .bind(&version.created_by)
    .bind(&version.comment)
    .bind(version.source_version_id.as_deref())
    .bind(&version.result_of)
    .bind(written(&version.change, "value_set_version", "change")?)
    .bind(written(&version.content, "value_set_version", "content")?)
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// The versions that a level shows, newest first.
///
/// # Errors
/// When the database fails.
pub async fn versions(conn: &mut AnyConnection, level: &Level) -> Result<Vec<Version>> {
    // Which versions does the level have, and which did it inherit before it had its own?
    let rows = sqlx::query(
        "SELECT id, created_at, created_by, comment, source_version_id, result_of, change, content
           FROM value_set_version v
          WHERE org_id = $1 AND app_id = $2
            AND (env_id = $3
                 OR (env_id = '' AND NOT EXISTS (
                        SELECT 1 FROM value_set_version own
                         WHERE own.org_id = $1 AND own.app_id = $2 AND own.env_id = $3
                           AND own.created_at < v.created_at)))
          ORDER BY created_at DESC, env_id DESC, number DESC",
    )
    .bind(level.app.org())
    .bind(level.app.app())
    .bind(&level.env)
    .fetch_all(conn)
    .await?;
    rows.iter().map(read_version).collect()
}

/// One of the versions that a level shows.
///
/// # Errors
/// When the database fails.
pub async fn version(conn: &mut AnyConnection, level: &Level, id: &str) -> Result<Option<Version>> {
    // Does the level have this version, or did it inherit it before it had its own?
    let row = sqlx::query(
        "SELECT id, created_at, created_by, comment, source_version_id, result_of, change, content
           FROM value_set_version v
          WHERE org_id = $1 AND app_id = $2 AND id = $4
            AND (env_id = $3
                 OR (env_id = '' AND NOT EXISTS (
                        SELECT 1 FROM value_set_version own
                         WHERE own.org_id = $1 AND own.app_id = $2 AND own.env_id = $3
                           AND own.created_at < v.created_at)))",
    )
    .bind(level.app.org())
    .bind(level.app.app())
    .bind(&level.env)
    .bind(id)
    .fetch_optional(conn)
    .await?;
    row.as_ref().map(read_version).transpose()
}

/// The version that is the present state of a level. A level without one never had a value.
///
/// # Errors
/// When the database fails.
pub async fn newest_version(conn: &mut AnyConnection, level: &Level) -> Result<Option<Version>> {
    // Which version is the newest: the level's own, or else the application's?
    let row = sqlx::query(
        "SELECT id, created_at, created_by, comment, source_version_id, result_of, change, content
           FROM value_set_version
          WHERE org_id = $1 AND app_id = $2 AND env_id IN ($3, '')
          ORDER BY env_id DESC, number DESC LIMIT 1",
    )
    .bind(level.app.org())
    .bind(level.app.app())
    .bind(&level.env)
    .fetch_optional(conn)
    .await?;
    row.as_ref().map(read_version).transpose()
}

/// The environments that have versions of their own, by id.
///
/// # Errors
/// When the database fails.
pub async fn environments(conn: &mut AnyConnection, scope: &AppScope) -> Result<Vec<String>> {
    // Which environments must follow a change of the application's values?
    let rows = sqlx::query(
        "SELECT DISTINCT env_id FROM value_set_version
          WHERE org_id = $1 AND app_id = $2 AND env_id <> '' ORDER BY env_id",
    )
    .bind(scope.org())
    .bind(scope.app())
    .fetch_all(conn)
    .await?;
    rows.iter().map(|row| row.text("env_id")).collect()
}

/// Rewrites a version of an application or of any of its environments; only purging does that.
///
/// # Errors
/// When the database fails.
pub async fn rewrite_version(tx: &mut Tx, scope: &AppScope, version: &Version) -> Result<()> {
    // What is left of the version without the purged value?
    sqlx::query(
        "UPDATE value_set_version SET change = $1, content = $2
          WHERE org_id = $3 AND app_id = $4 AND id = $5",
    )
    .bind(written(&version.change, "value_set_version", "change")?)
    .bind(written(&version.content, "value_set_version", "content")?)
    .bind(scope.org())
    .bind(scope.app())
    .bind(&version.id)
    .execute(&mut **tx)
    .await?;
    Ok(())
}
