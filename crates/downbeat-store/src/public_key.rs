//! Public keys of organizations.

use jiff::Timestamp;
use sqlx::{AnyConnection, any::AnyRow, query};

use crate::{OrgScope, Result, Tx, row::Columns as _};

/// A row of `public_key`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublicKey {
    /// Its id.
    pub id: String,
    /// The key in PEM, as it was sent.
    pub key: String,
    /// SHA-256 of its DER bytes, in lower-case hex.
    pub fingerprint: String,
    /// When it was registered.
    pub created_at: Timestamp,
    /// Id of the user who registered it.
    pub created_by: String,
}

fn read(row: &AnyRow) -> Result<PublicKey> {
    Ok(PublicKey {
        id: row.text("id")?,
        key: row.text("key")?,
        fingerprint: row.text("fingerprint")?,
        created_at: row.time("created_at")?,
        created_by: row.text("created_by")?,
    })
}

/// Registers a key.
///
/// # Errors
/// [`crate::Error::Conflict`] when the organization has it already.
pub async fn create(tx: &mut Tx, scope: &OrgScope, new: &PublicKey) -> Result<()> {
    // A new key.
    query(
        "INSERT INTO public_key (org_id, id, key, fingerprint, created_at, created_by)
         VALUES ($1, $2, $3, $4, $5, $6)",
    )
    .bind(scope.org())
    .bind(&new.id)
    .bind(&new.key)
    .bind(&new.fingerprint)
    .bind(new.created_at.as_microsecond())
    .bind(&new.created_by)
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// The keys of an organization, oldest first.
///
/// # Errors
/// When the database fails.
pub async fn list(conn: &mut AnyConnection, scope: &OrgScope) -> Result<Vec<PublicKey>> {
    // Which keys does the organization have?
    query("SELECT * FROM public_key WHERE org_id = $1 ORDER BY created_at, id")
        .bind(scope.org())
        .fetch_all(conn)
        .await?
        .iter()
        .map(read)
        .collect()
}

/// Removes a key.
///
/// # Errors
/// When the database fails.
pub async fn delete(tx: &mut Tx, scope: &OrgScope, id: &str) -> Result<()> {
    // The key is gone.
    query("DELETE FROM public_key WHERE org_id = $1 AND id = $2")
        .bind(scope.org())
        .bind(id)
        .execute(&mut **tx)
        .await?;
    Ok(())
}
