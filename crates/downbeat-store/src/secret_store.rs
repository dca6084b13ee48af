//! Secret stores of organizations.

use downbeat_core::{JsonMap, SecretRef};
use jiff::Timestamp;
use sqlx::{AnyConnection, any::AnyRow, query};

use crate::{
    OrgScope, Result, Tx,
    row::{Columns as _, written},
};

/// A row of `secret_store`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SecretStore {
    /// Its id.
    pub id: String,
    /// The store in its wire form, without id, credentials and times.
    pub store: JsonMap,
    /// Where its secrets are kept.
    pub credentials: Option<SecretRef>,
    /// When it was entered.
    pub created_at: Timestamp,
    /// Id of the user who entered it.
    pub created_by: String,
    /// When it was last changed.
    pub updated_at: Timestamp,
    /// Id of the user who changed it.
    pub updated_by: String,
}

fn read(row: &AnyRow) -> Result<SecretStore> {
    Ok(SecretStore {
        id: row.text("id")?,
        store: row.document("secret_store", "store")?,
        credentials: row.document_or_null("secret_store", "credentials")?,
        created_at: row.time("created_at")?,
        created_by: row.text("created_by")?,
        updated_at: row.time("updated_at")?,
        updated_by: row.text("updated_by")?,
    })
}

/// Enters a secret store.
///
/// # Errors
/// [`crate::Error::Conflict`] when the id is taken.
pub async fn create(tx: &mut Tx, scope: &OrgScope, new: &SecretStore) -> Result<()> {
    // A new secret store.
    query(
        "INSERT INTO secret_store (org_id, id, store, credentials, created_at, created_by, updated_at, updated_by)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
    )
    .bind(scope.org())
    .bind(&new.id)
    .bind(written(&new.store, "secret_store", "store")?)
    .bind(new.credentials.as_ref().map(|one| written(one, "secret_store", "credentials")).transpose()?)
    .bind(new.created_at.as_microsecond())
    .bind(&new.created_by)
    .bind(new.updated_at.as_microsecond())
    .bind(&new.updated_by)
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// The secret stores of an organization, oldest first.
///
/// # Errors
/// When the database fails.
pub async fn list(conn: &mut AnyConnection, scope: &OrgScope) -> Result<Vec<SecretStore>> {
    // Which secret stores does the organization have?
    query("SELECT * FROM secret_store WHERE org_id = $1 ORDER BY created_at, id")
        .bind(scope.org())
        .fetch_all(conn)
        .await?
        .iter()
        .map(read)
        .collect()
}

/// One secret store.
///
/// # Errors
/// When the database fails.
pub async fn find(
    conn: &mut AnyConnection,
    scope: &OrgScope,
    id: &str,
) -> Result<Option<SecretStore>> {
    // Which secret store has this id?
    query("SELECT * FROM secret_store WHERE org_id = $1 AND id = $2")
        .bind(scope.org())
        .bind(id)
        .fetch_optional(conn)
        .await?
        .as_ref()
        .map(read)
        .transpose()
}

/// Writes a secret store anew; id and time of its creation stay.
///
/// # Errors
/// When the database fails.
pub async fn update(tx: &mut Tx, scope: &OrgScope, new: &SecretStore) -> Result<()> {
    // The secret store says this from now on.
    query(
        "UPDATE secret_store SET store = $3, credentials = $4, updated_at = $5, updated_by = $6
          WHERE org_id = $1 AND id = $2",
    )
    .bind(scope.org())
    .bind(&new.id)
    .bind(written(&new.store, "secret_store", "store")?)
    .bind(
        new.credentials
            .as_ref()
            .map(|one| written(one, "secret_store", "credentials"))
            .transpose()?,
    )
    .bind(new.updated_at.as_microsecond())
    .bind(&new.updated_by)
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// Removes a secret store.
///
/// # Errors
/// When the database fails.
pub async fn delete(tx: &mut Tx, scope: &OrgScope, id: &str) -> Result<()> {
    // The secret store is gone.
    query("DELETE FROM secret_store WHERE org_id = $1 AND id = $2")
        .bind(scope.org())
        .bind(id)
        .execute(&mut **tx)
        .await?;
    Ok(())
}
