//! Facts about the installation as a whole.

use sqlx::{AnyConnection, query};
use uuid::Uuid;

use crate::{Result, Tx, row::Columns as _};

/// The id of the installation, part of every GUResID. Made on the first call, then the same for
/// ever.
///
/// # Errors
/// When the database fails.
pub async fn id(tx: &mut Tx) -> Result<String> {
    // The id is what was stored first.
    let row = query(
        "INSERT INTO installation (key, value) VALUES ('id', $1)
             ON CONFLICT (key) DO UPDATE SET value = installation.value RETURNING value",
    )
    .bind(Uuid::new_v4().to_string())
    .fetch_one(&mut **tx)
    .await?;
    row.text("value")
}

/// The id of the installation, which was made when it was set up.
///
/// # Errors
/// When the database fails, or [`id`] was never called.
pub async fn read_id(conn: &mut AnyConnection) -> Result<String> {
    // Which id was made?
    query("SELECT value FROM installation WHERE key = 'id'").fetch_one(conn).await?.text("value")
}

/// Whether no organization was set up yet.
///
/// # Errors
/// When the database fails.
pub async fn is_empty(conn: &mut AnyConnection) -> Result<bool> {
    // Is there any organization?
    Ok(query("SELECT 1 FROM organization LIMIT 1").fetch_optional(conn).await?.is_none())
}

/// A fact by its key.
///
/// # Errors
/// When the database fails.
pub async fn find(conn: &mut AnyConnection, key: &str) -> Result<Option<String>> {
    // What is known under this key?
    let row = query("SELECT value FROM installation WHERE key = $1")
        .bind(key)
        .fetch_optional(conn)
        .await?;
    row.map(|row| row.text("value")).transpose()
}

/// Writes a fact.
///
/// # Errors
/// When the database fails.
pub async fn put(tx: &mut Tx, key: &str, value: &str) -> Result<()> {
    // What is known under this key from now on.
    query(
        "INSERT INTO installation (key, value) VALUES ($1, $2)
             ON CONFLICT (key) DO UPDATE SET value = excluded.value",
    )
    .bind(key)
    .bind(value)
    .execute(&mut **tx)
    .await?;
    Ok(())
}
