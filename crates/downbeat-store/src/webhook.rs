//! Webhooks of applications.

use downbeat_core::{JsonMap, SecretRef};
use jiff::Timestamp;
use sqlx::{AnyConnection, any::AnyRow, query};

use crate::{
    AppScope, Result, Tx,
    row::{Columns as _, written},
};

/// A row of `webhook`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Webhook {
    /// Its id.
    pub id: String,
    /// The webhook in its wire form, without id, headers and times.
    pub webhook: JsonMap,
    /// Where its secrets are kept.
    pub headers: SecretRef,
    /// When it was entered.
    pub created_at: Timestamp,
    /// Id of the user who entered it.
    pub created_by: String,
}

fn read(row: &AnyRow) -> Result<Webhook> {
    Ok(Webhook {
        id: row.text("id")?,
        webhook: row.document("webhook", "webhook")?,
        headers: row.document("webhook", "headers")?,
        created_at: row.time("created_at")?,
        created_by: row.text("created_by")?,
    })
}

/// Enters a webhook.
///
/// # Errors
/// [`crate::Error::Conflict`] when the id is taken.
pub async fn create(tx: &mut Tx, scope: &AppScope, new: &Webhook) -> Result<()> {
    // A new webhook.
    query(
        "INSERT INTO webhook (org_id, app_id, id, webhook, headers, created_at, created_by)
         VALUES ($1, $2, $3, $4, $5, $6, $7)",
    )
    .bind(scope.org())
    .bind(scope.app())
    .bind(&new.id)
    .bind(written(&new.webhook, "webhook", "webhook")?)
    .bind(written(&new.headers, "webhook", "headers")?)
    .bind(new.created_at.as_microsecond())
    .bind(&new.created_by)
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// The webhooks of an application, oldest first.
///
/// # Errors
/// When the database fails.
pub async fn list(conn: &mut AnyConnection, scope: &AppScope) -> Result<Vec<Webhook>> {
    // Which webhooks does the application have?
    query("SELECT * FROM webhook WHERE org_id = $1 AND app_id = $2 ORDER BY created_at, id")
        .bind(scope.org())
        .bind(scope.app())
        .fetch_all(conn)
        .await?
        .iter()
        .map(read)
        .collect()
}

/// One webhook.
///
/// # Errors
/// When the database fails.
pub async fn find(conn: &mut AnyConnection, scope: &AppScope, id: &str) -> Result<Option<Webhook>> {
    // Which webhook has this id?
    query("SELECT * FROM webhook WHERE org_id = $1 AND app_id = $2 AND id = $3")
        .bind(scope.org())
        .bind(scope.app())
        .bind(id)
        .fetch_optional(conn)
        .await?
        .as_ref()
        .map(read)
        .transpose()
}

/// Writes a webhook anew; id and time of its creation stay.
///
/// # Errors
/// When the database fails.
pub async fn update(tx: &mut Tx, scope: &AppScope, new: &Webhook) -> Result<()> {
    // The webhook says this from now on.
    query(
        "UPDATE webhook SET webhook = $4, headers = $5
          WHERE org_id = $1 AND app_id = $2 AND id = $3",
    )
    .bind(scope.org())
    .bind(scope.app())
    .bind(&new.id)
    .bind(written(&new.webhook, "webhook", "webhook")?)
    .bind(written(&new.headers, "webhook", "headers")?)
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// Removes a webhook.
///
/// # Errors
/// When the database fails.
pub async fn delete(tx: &mut Tx, scope: &AppScope, id: &str) -> Result<()> {
    // The webhook is gone.
    query("DELETE FROM webhook WHERE org_id = $1 AND app_id = $2 AND id = $3")
        .bind(scope.org())
        .bind(scope.app())
        .bind(id)
        .execute(&mut **tx)
        .await?;
    Ok(())
}
