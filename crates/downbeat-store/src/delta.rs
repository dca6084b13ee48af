//! Deltas: changes that wait to be deployed.

use downbeat_core::Delta;
use jiff::Timestamp;
use sqlx::{AnyConnection, any::AnyRow, query};

use crate::{
    AppScope, Result, Tx,
    row::{Columns as _, written},
};

/// A stored delta with its metadata.
#[derive(Clone, Debug)]
pub struct StoredDelta {
    /// Id, 40 lower-case hex characters.
    pub id: String,
    /// Name for people; may be empty.
    pub name: String,
    /// Environment the delta is meant for; may be empty.
    pub env_id: String,
    /// Whether updates are refused and lists leave it out.
    pub archived: bool,
    /// Whether it is visible to others; kept for the wire only.
    pub shared: bool,
    /// Users who changed it, the first one first.
    pub contributers: Vec<String>,
    /// Who created it.
    pub created_by: String,
    /// When it was created.
    pub created_at: Timestamp,
    /// When content or metadata changed last.
    pub last_modified_at: Timestamp,
    /// The change itself.
    pub content: Delta,
}

/// Stores a new delta.
///
/// # Errors
/// [`crate::Error::Conflict`] when the application does not exist or the id is taken.
pub async fn create(tx: &mut Tx, scope: &AppScope, delta: &StoredDelta) -> Result<()> {
    // A new delta.
    query(
        "INSERT INTO delta (org_id, app_id, id, name, env_id, archived, shared, contributers, \
                            created_by, created_at, last_modified_at, content) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)",
    )
    .bind(scope.org())
    .bind(scope.app())
    .bind(&delta.id)
    .bind(&delta.name)
    .bind(&delta.env_id)
    .bind(i64::from(delta.archived))
    .bind(i64::from(delta.shared))
    .bind(written(&delta.contributers, "delta", "contributers")?)
    .bind(&delta.created_by)
    .bind(delta.created_at.as_microsecond())
    .bind(delta.last_modified_at.as_microsecond())
    .bind(written(&delta.content, "delta", "content")?)
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// The delta of this id.
///
/// # Errors
/// When the database fails.
pub async fn find(
    conn: &mut AnyConnection,
    scope: &AppScope,
    id: &str,
) -> Result<Option<StoredDelta>> {
    // Which delta has this id?
    query("SELECT * FROM delta WHERE org_id = $1 AND app_id = $2 AND id = $3")
        .bind(scope.org())
        .bind(scope.app())
        .bind(id)
        .fetch_optional(conn)
        .await?
        .as_ref()
        .map(from_row)
        .transpose()
}

/// The deltas of an application, newest first: either the archived ones or the others.
///
/// # Errors
/// When the database fails.
pub async fn list(
    conn: &mut AnyConnection,
    scope: &AppScope,
    archived: bool,
) -> Result<Vec<StoredDelta>> {
    // Which deltas does the application have?
    query(
        "SELECT * FROM delta WHERE org_id = $1 AND app_id = $2 AND archived = $3 \
         ORDER BY created_at DESC, id",
    )
    .bind(scope.org())
    .bind(scope.app())
    .bind(i64::from(archived))
    .fetch_all(conn)
    .await?
    .iter()
    .map(from_row)
    .collect()
}

/// Writes content and metadata of an existing delta; id and creation stay as they are.
///
/// # Errors
/// When the database fails.
pub async fn update(tx: &mut Tx, scope: &AppScope, delta: &StoredDelta) -> Result<()> {
    // The changed parts of one delta.
    query(
        "UPDATE delta SET name = $4, env_id = $5, archived = $6, shared = $7, contributers = $8, \
                          last_modified_at = $9, content = $10 \
         WHERE org_id = $1 AND app_id = $2 AND id = $3",
    )
    .bind(scope.org())
    .bind(scope.app())
    .bind(&delta.id)
    .bind(&delta.name)
    .bind(&delta.env_id)
    .bind(i64::from(delta.archived))
    .bind(i64::from(delta.shared))
    .bind(written(&delta.contributers, "delta", "contributers")?)
    .bind(delta.last_modified_at.as_microsecond())
    .bind(written(&delta.content, "delta", "content")?)
    .execute(&mut **tx)
    .await?;
    Ok(())
}

fn from_row(row: &AnyRow) -> Result<StoredDelta> {
    Ok(StoredDelta {
        id: row.text("id")?,
        name: row.text("name")?,
        env_id: row.text("env_id")?,
        archived: row.flag("archived")?,
        shared: row.flag("shared")?,
        contributers: row.document("delta", "contributers")?,
        created_by: row.text("created_by")?,
        created_at: row.time("created_at")?,
        last_modified_at: row.time("last_modified_at")?,
        content: row.document("delta", "content")?,
    })
}
