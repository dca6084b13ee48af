//! Resource classes: documented variants of a resource type.

use jiff::Timestamp;
use sqlx::{AnyConnection, any::AnyRow, query};

use crate::{OrgScope, Result, Tx, row::Columns as _};

/// A registered class.
#[derive(Clone, Debug)]
pub struct StoredClass {
    /// Type that the class belongs to.
    pub resource_type: String,
    /// Id, unique within the type.
    pub id: String,
    /// When to ask for this class.
    pub description: String,
    /// When it was registered.
    pub created_at: Timestamp,
    /// Who registered it.
    pub created_by: String,
    /// When its description changed last.
    pub updated_at: Timestamp,
    /// Who changed it last.
    pub updated_by: String,
}

/// Stores a new class.
///
/// # Errors
/// [`crate::Error::Conflict`] when the type has a class of this id.
pub async fn create(tx: &mut Tx, scope: &OrgScope, class: &StoredClass) -> Result<()> {
    // A new class.
    query(
        "INSERT INTO resource_class (org_id, type, id, description, created_at, created_by, \
                                     updated_at, updated_by) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
    )
    .bind(scope.org())
    .bind(&class.resource_type)
    .bind(&class.id)
    .bind(&class.description)
    .bind(class.created_at.as_microsecond())
    .bind(&class.created_by)
    .bind(class.updated_at.as_microsecond())
    .bind(&class.updated_by)
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// The class of this id.
///
/// # Errors
/// When the database fails.
pub async fn find(
    conn: &mut AnyConnection,
    scope: &OrgScope,
    resource_type: &str,
    id: &str,
) -> Result<Option<StoredClass>> {
    // Which class of this type has this id?
    query("SELECT * FROM resource_class WHERE org_id = $1 AND type = $2 AND id = $3")
        .bind(scope.org())
        .bind(resource_type)
        .bind(id)
        .fetch_optional(conn)
        .await?
        .as_ref()
        .map(from_row)
        .transpose()
}

/// All classes of an organization, by type and id.
///
/// # Errors
/// When the database fails.
pub async fn list(conn: &mut AnyConnection, scope: &OrgScope) -> Result<Vec<StoredClass>> {
    // Which classes are registered?
    query("SELECT * FROM resource_class WHERE org_id = $1 ORDER BY type, id")
        .bind(scope.org())
        .fetch_all(conn)
        .await?
        .iter()
        .map(from_row)
        .collect()
}

/// Writes the description of an existing class.
///
/// # Errors
/// When the database fails.
pub async fn update(tx: &mut Tx, scope: &OrgScope, class: &StoredClass) -> Result<()> {
    // The new description of one class.
    query(
        "UPDATE resource_class SET description = $4, updated_at = $5, updated_by = $6 \
         WHERE org_id = $1 AND type = $2 AND id = $3",
    )
    .bind(scope.org())
    .bind(&class.resource_type)
    .bind(&class.id)
    .bind(&class.description)
    .bind(class.updated_at.as_microsecond())
    .bind(&class.updated_by)
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// Removes a class; says whether there was one.
///
/// # Errors
/// When the database fails.
pub async fn delete(tx: &mut Tx, scope: &OrgScope, resource_type: &str, id: &str) -> Result<bool> {
    // One class less.
    let done = query("DELETE FROM resource_class WHERE org_id = $1 AND type = $2 AND id = $3")
        .bind(scope.org())
        .bind(resource_type)
        .bind(id)
        .execute(&mut **tx)
        .await?;
    Ok(done.rows_affected() > 0)
}

fn from_row(row: &AnyRow) -> Result<StoredClass> {
    Ok(StoredClass {
        resource_type: row.text("type")?,
        id: row.text("id")?,
        description: row.text("description")?,
        created_at: row.time("created_at")?,
        created_by: row.text("created_by")?,
        updated_at: row.time("updated_at")?,
        updated_by: row.text("updated_by")?,
    })
}
