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

/// Whether no organization was set up yet.
///
/// # Errors
/// When the database fails.
pub async fn is_empty(conn: &mut AnyConnection) -> Result<bool> {
    // Is there any organization?
    Ok(query("SELECT 1 FROM organization LIMIT 1").fetch_optional(conn).await?.is_none())
}
