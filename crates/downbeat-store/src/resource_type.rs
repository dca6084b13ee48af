//! Resource types of an organization. The built-in ones are in `downbeat-core`, not here.

use downbeat_core::Json;
use sqlx::{AnyConnection, any::AnyRow, query};

use crate::{
    OrgScope, Result, Tx,
    row::{Columns as _, written},
};

/// A custom type: its id, `<org>/<name>`, and the v1 object.
#[derive(Clone, Debug)]
pub struct StoredType {
    /// The id.
    pub resource_type: String,
    /// The v1 object.
    pub content: Json,
}

/// Stores a new type.
///
/// # Errors
/// [`crate::Error::Conflict`] when the type exists.
pub async fn create(tx: &mut Tx, scope: &OrgScope, stored: &StoredType) -> Result<()> {
    // A new type.
    query("INSERT INTO resource_type (org_id, type, content) VALUES ($1, $2, $3)")
        .bind(scope.org())
        .bind(&stored.resource_type)
        .bind(written(&stored.content, "resource_type", "content")?)
        .execute(&mut **tx)
        .await?;
    Ok(())
}

/// The custom type of this id.
///
/// # Errors
/// When the database fails.
pub async fn find(
    conn: &mut AnyConnection,
    scope: &OrgScope,
    resource_type: &str,
) -> Result<Option<StoredType>> {
    // What does the organization say about this type?
    query("SELECT * FROM resource_type WHERE org_id = $1 AND type = $2")
        .bind(scope.org())
        .bind(resource_type)
        .fetch_optional(conn)
        .await?
        .as_ref()
        .map(from_row)
        .transpose()
}

/// The custom types of an organization, by id.
///
/// # Errors
/// When the database fails.
pub async fn list(conn: &mut AnyConnection, scope: &OrgScope) -> Result<Vec<StoredType>> {
    // Which types does the organization have of its own?
    query("SELECT * FROM resource_type WHERE org_id = $1 ORDER BY type")
        .bind(scope.org())
        .fetch_all(conn)
        .await?
        .iter()
        .map(from_row)
        .collect()
}

/// Replaces the content of an existing type.
///
/// # Errors
/// When the database fails.
pub async fn update(tx: &mut Tx, scope: &OrgScope, stored: &StoredType) -> Result<()> {
    // The new content of one type.
    query("UPDATE resource_type SET content = $3 WHERE org_id = $1 AND type = $2")
        .bind(scope.org())
        .bind(&stored.resource_type)
        .bind(written(&stored.content, "resource_type", "content")?)
        .execute(&mut **tx)
        .await?;
    Ok(())
}

/// Removes a type and its classes.
///
/// # Errors
/// When the database fails.
pub async fn delete(tx: &mut Tx, scope: &OrgScope, resource_type: &str) -> Result<()> {
    // The classes first, then the type they belong to.
    for statement in [
        "DELETE FROM resource_class WHERE org_id = $1 AND type = $2",
        "DELETE FROM resource_type WHERE org_id = $1 AND type = $2",
    ] {
        query(statement).bind(scope.org()).bind(resource_type).execute(&mut **tx).await?;
    }
    Ok(())
}

/// Ids of the definitions of this type that are not deleted.
///
/// # Errors
/// When the database fails.
pub async fn definitions(
    conn: &mut AnyConnection,
    scope: &OrgScope,
    resource_type: &str,
) -> Result<Vec<String>> {
    // Which definitions keep this type in use?
    query(
        "SELECT id FROM definition WHERE org_id = $1 AND type = $2 AND is_deleted = 0 ORDER BY id",
    )
    .bind(scope.org())
    .bind(resource_type)
    .fetch_all(conn)
    .await?
    .iter()
    .map(|row| row.text("id"))
    .collect()
}

fn from_row(row: &AnyRow) -> Result<StoredType> {
    Ok(StoredType {
        resource_type: row.text("type")?,
        content: row.document("resource_type", "content")?,
    })
}
