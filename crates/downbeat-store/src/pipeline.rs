//! Pipelines of an application, and their versions. The built-in one is not a row.

use std::collections::BTreeMap;

use jiff::Timestamp;
use sqlx::{AnyConnection, any::AnyRow, query};

use crate::{
    AppScope, OrgScope, Result, Tx,
    row::{Columns as _, written},
};

/// A version of a pipeline, without the text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Version {
    /// Its id.
    pub id: String,
    /// 1, 2, ... within the pipeline.
    pub number: i64,
    /// Name of the pipeline.
    pub name: String,
    /// What the document says about the pipeline besides; none when it says nothing.
    pub metadata: Option<BTreeMap<String, String>>,
    /// What starts it.
    pub trigger_types: Vec<String>,
    /// When it was made.
    pub created_at: Timestamp,
    /// Id of the user who made it.
    pub created_by: String,
}

/// A pipeline as one of its versions is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pipeline {
    /// Application.
    pub app_id: String,
    /// Id within the application.
    pub id: String,
    /// When it was created.
    pub created_at: Timestamp,
    /// The version: the newest, or the one that was asked for.
    pub version: Version,
}

/// A statement for what [`read`] reads. The texts stay in the database.
macro_rules! select {
    ($rest:literal) => {
        concat!(
            "SELECT p.app_id, p.id, p.created_at, v.id AS version_id, v.number, v.name, v.metadata,
                    v.trigger_types, v.created_at AS version_created_at,
                    v.created_by AS version_created_by
               FROM pipeline p
               JOIN pipeline_version v
                 ON v.org_id = p.org_id AND v.app_id = p.app_id AND v.pipeline_id = p.id
              WHERE p.org_id = $1 AND ",
            $rest
        )
    };
}

fn read(row: &AnyRow) -> Result<Pipeline> {
    Ok(Pipeline {
        app_id: row.text("app_id")?,
        id: row.text("id")?,
        created_at: row.time("created_at")?,
        version: Version {
            id: row.text("version_id")?,
            number: row.number("number")?,
            name: row.text("name")?,
            metadata: row.document_or_null("pipeline_version", "metadata")?,
            trigger_types: row.document("pipeline_version", "trigger_types")?,
            created_at: row.time("version_created_at")?,
            created_by: row.text("version_created_by")?,
        },
    })
}

/// Adds a pipeline with its first version.
///
/// # Errors
/// [`crate::Error::Conflict`] when the id is taken.
pub async fn create(tx: &mut Tx, scope: &AppScope, new: &Pipeline, content: &str) -> Result<()> {
    // A new pipeline.
    query(
        "INSERT INTO pipeline (org_id, app_id, id, version_id, created_at, created_by)
             VALUES ($1, $2, $3, $4, $5, $6)",
    )
    .bind(scope.org())
    .bind(scope.app())
    .bind(&new.id)
    .bind(&new.version.id)
    .bind(new.created_at.as_microsecond())
    .bind(&new.version.created_by)
    .execute(&mut **tx)
    .await?;
    add_version(tx, scope, new, content).await
}

/// Makes a version the newest one.
///
/// # Errors
/// [`crate::Error::Conflict`] when the number of the version is taken.
pub async fn update(tx: &mut Tx, scope: &AppScope, new: &Pipeline, content: &str) -> Result<()> {
    add_version(tx, scope, new, content).await?;
    // From now on the pipeline is as this version.
    query("UPDATE pipeline SET version_id = $4 WHERE org_id = $1 AND app_id = $2 AND id = $3")
        .bind(scope.org())
        .bind(scope.app())
        .bind(&new.id)
        .bind(&new.version.id)
        .execute(&mut **tx)
        .await?;
    Ok(())
}

async fn add_version(tx: &mut Tx, scope: &AppScope, new: &Pipeline, content: &str) -> Result<()> {
    let version = &new.version;
    let metadata = version.metadata.as_ref();
    // A new version of the pipeline.
    query(
        "INSERT INTO pipeline_version
             (id, org_id, app_id, pipeline_id, number, name, metadata, trigger_types, content,
              created_at, created_by)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)",
    )
    .bind(&version.id)
    .bind(scope.org())
    .bind(scope.app())
    .bind(&new.id)
    .bind(version.number)
    .bind(&version.name)
    .bind(metadata.map(|map| written(map, "pipeline_version", "metadata")).transpose()?)
    .bind(written(&version.trigger_types, "pipeline_version", "trigger_types")?)
    .bind(content)
    .bind(version.created_at.as_microsecond())
    .bind(&version.created_by)
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// The pipelines of an organization as they are now, by application and id.
///
/// # Errors
/// When the database fails.
pub async fn list_in_org(conn: &mut AnyConnection, scope: &OrgScope) -> Result<Vec<Pipeline>> {
    // Which pipelines does the organization have?
    query(select!("p.version_id = v.id ORDER BY p.app_id, p.id"))
        .bind(scope.org())
        .fetch_all(conn)
        .await?
        .iter()
        .map(read)
        .collect()
}

/// The pipelines of an application as they are now, by id.
///
/// # Errors
/// When the database fails.
pub async fn list(conn: &mut AnyConnection, scope: &AppScope) -> Result<Vec<Pipeline>> {
    // Which pipelines does the application have?
    query(select!("p.app_id = $2 AND p.version_id = v.id ORDER BY p.id"))
        .bind(scope.org())
        .bind(scope.app())
        .fetch_all(conn)
        .await?
        .iter()
        .map(read)
        .collect()
}

/// A pipeline as this version is, or as it is now.
///
/// # Errors
/// When the database fails.
pub async fn find(
    conn: &mut AnyConnection,
    scope: &AppScope,
    id: &str,
    version: Option<&str>,
) -> Result<Option<Pipeline>> {
    // How is the pipeline, in this version or the newest one?
    query(select!(
        "p.app_id = $2 AND p.id = $3
            AND v.id = CASE $4 WHEN '' THEN p.version_id ELSE $4 END"
    ))
    .bind(scope.org())
    .bind(scope.app())
    .bind(id)
    .bind(version.unwrap_or_default())
    .fetch_optional(conn)
    .await?
    .as_ref()
    .map(read)
    .transpose()
}

/// All versions of a pipeline, newest first.
///
/// # Errors
/// When the database fails.
pub async fn versions(
    conn: &mut AnyConnection,
    scope: &AppScope,
    id: &str,
) -> Result<Vec<Pipeline>> {
    // Which versions does the pipeline have?
    query(select!("p.app_id = $2 AND p.id = $3 ORDER BY v.number DESC"))
        .bind(scope.org())
        .bind(scope.app())
        .bind(id)
        .fetch_all(conn)
        .await?
        .iter()
        .map(read)
        .collect()
}

/// The text of a version of the application's pipelines.
///
/// # Errors
/// When the database fails.
pub async fn content(
    conn: &mut AnyConnection,
    scope: &AppScope,
    version: &str,
) -> Result<Option<String>> {
    // What was sent for this version?
    query("SELECT content FROM pipeline_version WHERE org_id = $1 AND app_id = $2 AND id = $3")
        .bind(scope.org())
        .bind(scope.app())
        .bind(version)
        .fetch_optional(conn)
        .await?
        .map(|row| row.text("content"))
        .transpose()
}

/// How many pipelines the application has.
///
/// # Errors
/// When the database fails.
pub async fn count(conn: &mut AnyConnection, scope: &AppScope) -> Result<i64> {
    // How many pipelines are there?
    query("SELECT COUNT(*) AS count FROM pipeline WHERE org_id = $1 AND app_id = $2")
        .bind(scope.org())
        .bind(scope.app())
        .fetch_one(conn)
        .await?
        .number("count")
}

/// Removes a pipeline with its versions and criteria.
///
/// # Errors
/// When the database fails.
pub async fn delete(tx: &mut Tx, scope: &AppScope, id: &str) -> Result<()> {
    // The pipeline goes; versions and criteria go along.
    query("DELETE FROM pipeline WHERE org_id = $1 AND app_id = $2 AND id = $3")
        .bind(scope.org())
        .bind(scope.app())
        .bind(id)
        .execute(&mut **tx)
        .await?;
    Ok(())
}
