//! Registries of container images.

use downbeat_core::{JsonMap, SecretRef};
use jiff::Timestamp;
use sqlx::{AnyConnection, any::AnyRow, query};

use crate::{
    OrgScope, Result, Tx,
    row::{Columns as _, written},
};

/// A row of `registry`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Registry {
    /// Its id.
    pub id: String,
    /// The registry in its wire form, without id, credentials and times.
    pub registry: JsonMap,
    /// Where its secrets are kept.
    pub credentials: Option<SecretRef>,
    /// When it was entered.
    pub created_at: Timestamp,
    /// Id of the user who entered it.
    pub created_by: String,
}

fn read(row: &AnyRow) -> Result<Registry> {
    Ok(Registry {
        id: row.text("id")?,
        registry: row.document("registry", "registry")?,
        credentials: row.document_or_null("registry", "credentials")?,
        created_at: row.time("created_at")?,
        created_by: row.text("created_by")?,
    })
}

/// Enters a registry.
///
/// # Errors
/// [`crate::Error::Conflict`] when the id is taken.
pub async fn create(tx: &mut Tx, scope: &OrgScope, new: &Registry) -> Result<()> {
    // A new registry.
    query(
        "INSERT INTO registry (org_id, id, registry, credentials, created_at, created_by)
         VALUES ($1, $2, $3, $4, $5, $6)",
    )
    .bind(scope.org())
    .bind(&new.id)
    .bind(written(&new.registry, "registry", "registry")?)
    .bind(new.credentials.as_ref().map(|one| written(one, "registry", "credentials")).transpose()?)
    .bind(new.created_at.as_microsecond())
    .bind(&new.created_by)
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// The registries of an organization, oldest first.
///
/// # Errors
/// When the database fails.
pub async fn list(conn: &mut AnyConnection, scope: &OrgScope) -> Result<Vec<Registry>> {
    // Which registries does the organization have?
    query("SELECT * FROM registry WHERE org_id = $1 ORDER BY created_at, id")
        .bind(scope.org())
        .fetch_all(conn)
        .await?
        .iter()
        .map(read)
        .collect()
}

/// One registry.
///
/// # Errors
/// When the database fails.
pub async fn find(
    conn: &mut AnyConnection,
    scope: &OrgScope,
    id: &str,
) -> Result<Option<Registry>> {
    // Which registry has this id?
    query("SELECT * FROM registry WHERE org_id = $1 AND id = $2")
        .bind(scope.org())
        .bind(id)
        .fetch_optional(conn)
        .await?
        .as_ref()
        .map(read)
        .transpose()
}

/// Writes a registry anew; id and time of its creation stay.
///
/// # Errors
/// When the database fails.
pub async fn update(tx: &mut Tx, scope: &OrgScope, new: &Registry) -> Result<()> {
    // The registry says this from now on.
    query(
        "UPDATE registry SET registry = $3, credentials = $4
          WHERE org_id = $1 AND id = $2",
    )
    .bind(scope.org())
    .bind(&new.id)
    .bind(written(&new.registry, "registry", "registry")?)
    .bind(new.credentials.as_ref().map(|one| written(one, "registry", "credentials")).transpose()?)
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// Removes a registry.
///
/// # Errors
/// When the database fails.
pub async fn delete(tx: &mut Tx, scope: &OrgScope, id: &str) -> Result<()> {
    // The registry is gone.
    query("DELETE FROM registry WHERE org_id = $1 AND id = $2")
        .bind(scope.org())
        .bind(id)
        .execute(&mut **tx)
        .await?;
    Ok(())
}
