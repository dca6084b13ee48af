//! Deployment sets: immutable, named by their content.
//!
//! One row of `deployment_set` serves every application whose set has this content;
//! `application_set` says which applications that are.

use downbeat_core::DeploymentSet;
use jiff::Timestamp;
use sqlx::{AnyConnection, any::AnyRow, query};

use crate::{
    AppScope, Result, Tx,
    row::{Columns as _, written},
};

/// A set under its id.
#[derive(Clone, Debug)]
pub struct StoredSet {
    /// Hash of the content.
    pub id: String,
    /// The content.
    pub content: DeploymentSet,
}

/// Stores a set for an application and returns its id. Storing the same content again changes
/// nothing.
///
/// # Errors
/// [`crate::Error::Conflict`] when the application does not exist.
pub async fn put(
    tx: &mut Tx,
    scope: &AppScope,
    content: &DeploymentSet,
    now: Timestamp,
) -> Result<String> {
    let id = content.id().to_string();
    // The content, once for everybody.
    query("INSERT INTO deployment_set (id, content) VALUES ($1, $2) ON CONFLICT (id) DO NOTHING")
        .bind(&id)
        .bind(written(content, "deployment_set", "content")?)
        .execute(&mut **tx)
        .await?;
    // That this application has it.
    query(
        "INSERT INTO application_set (org_id, app_id, set_id, created_at) \
         VALUES ($1, $2, $3, $4) ON CONFLICT (org_id, app_id, set_id) DO NOTHING",
    )
    .bind(scope.org())
    .bind(scope.app())
    .bind(&id)
    .bind(now.as_microsecond())
    .execute(&mut **tx)
    .await?;
    Ok(id)
}

/// The application's set of this id. The empty set exists always; `0` is its other name.
///
/// # Errors
/// When the database fails.
pub async fn find(
    conn: &mut AnyConnection,
    scope: &AppScope,
    id: &str,
) -> Result<Option<StoredSet>> {
    let empty = DeploymentSet::default();
    let empty_id = empty.id().to_string();
    if id == "0" || id == empty_id {
        return Ok(Some(StoredSet { id: empty_id, content: empty }));
    }
    // Does the application have a set of this id, and what is in it?
    query(
        "SELECT s.id, s.content FROM deployment_set s \
         JOIN application_set a ON a.set_id = s.id \
         WHERE a.org_id = $1 AND a.app_id = $2 AND a.set_id = $3",
    )
    .bind(scope.org())
    .bind(scope.app())
    .bind(id)
    .fetch_optional(conn)
    .await?
    .as_ref()
    .map(from_row)
    .transpose()
}

/// The sets of an application, newest first.
///
/// # Errors
/// When the database fails.
pub async fn list(conn: &mut AnyConnection, scope: &AppScope) -> Result<Vec<StoredSet>> {
    // Which sets does the application have?
    query(
        "SELECT s.id, s.content FROM deployment_set s \
         JOIN application_set a ON a.set_id = s.id \
         WHERE a.org_id = $1 AND a.app_id = $2 ORDER BY a.created_at DESC, s.id",
    )
    .bind(scope.org())
    .bind(scope.app())
    .fetch_all(conn)
    .await?
    .iter()
    .map(from_row)
    .collect()
}

fn from_row(row: &AnyRow) -> Result<StoredSet> {
    Ok(StoredSet { id: row.text("id")?, content: row.document("deployment_set", "content")? })
}
