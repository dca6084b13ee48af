//! Accounts of an organization at clouds and other services. Their credentials are sealed in the
//! secret store; a row has the reference.

use std::collections::BTreeSet;

use downbeat_core::{Json, SecretRef};
use downbeat_engine::port::Account;
use jiff::Timestamp;
use sqlx::{AnyConnection, any::AnyRow, query};

use crate::{
    OrgScope, Result, Tx,
    row::{Columns as _, written},
};

/// An account.
#[derive(Clone, Debug)]
pub struct StoredAccount {
    /// Id within the organization.
    pub id: String,
    /// Name for people.
    pub name: String,
    /// Type, for example `aws`.
    pub r#type: String,
    /// Where the credentials are kept: one secret, a JSON object.
    pub credentials: SecretRef,
    /// What of the credentials may be shown.
    pub identity: Json,
    /// Id of the user who entered it.
    pub created_by: String,
    /// When.
    pub created_at: Timestamp,
}

/// What the engine needs to know of an account.
#[must_use]
pub fn usable(account: StoredAccount) -> Account {
    Account { account_type: account.r#type, credentials: account.credentials }
}

/// Stores a new account.
///
/// # Errors
/// [`crate::Error::Conflict`] when the id is taken.
pub async fn create(tx: &mut Tx, scope: &OrgScope, account: &StoredAccount) -> Result<()> {
    // A new account.
    query(
        "INSERT INTO resource_account (org_id, id, name, type, credentials, identity, created_by,
                 created_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
    )
    .bind(scope.org())
    .bind(&account.id)
    .bind(&account.name)
    .bind(&account.r#type)
    .bind(written(&account.credentials, "resource_account", "credentials")?)
    .bind(written(&account.identity, "resource_account", "identity")?)
    .bind(&account.created_by)
    .bind(account.created_at.as_microsecond())
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// The account of this id.
///
/// # Errors
/// When the database fails.
pub async fn find(
    conn: &mut AnyConnection,
    scope: &OrgScope,
    id: &str,
) -> Result<Option<StoredAccount>> {
    // Which account has this id?
    query("SELECT * FROM resource_account WHERE org_id = $1 AND id = $2")
        .bind(scope.org())
        .bind(id)
        .fetch_optional(conn)
        .await?
        .as_ref()
        .map(from_row)
        .transpose()
}

/// The accounts of an organization, by id.
///
/// # Errors
/// When the database fails.
pub async fn list(conn: &mut AnyConnection, scope: &OrgScope) -> Result<Vec<StoredAccount>> {
    // Which accounts does the organization have?
    query("SELECT * FROM resource_account WHERE org_id = $1 ORDER BY id")
        .bind(scope.org())
        .fetch_all(conn)
        .await?
        .iter()
        .map(from_row)
        .collect()
}

/// Replaces name and credentials of an account.
///
/// # Errors
/// When the database fails.
pub async fn update(tx: &mut Tx, scope: &OrgScope, account: &StoredAccount) -> Result<()> {
    // What may change of an account.
    query(
        "UPDATE resource_account SET name = $3, credentials = $4, identity = $5
          WHERE org_id = $1 AND id = $2",
    )
    .bind(scope.org())
    .bind(&account.id)
    .bind(&account.name)
    .bind(written(&account.credentials, "resource_account", "credentials")?)
    .bind(written(&account.identity, "resource_account", "identity")?)
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// Removes an account and every version of its credentials.
///
/// # Errors
/// When the database fails.
pub async fn delete(tx: &mut Tx, scope: &OrgScope, account: &StoredAccount) -> Result<()> {
    // One account less.
    query("DELETE FROM resource_account WHERE org_id = $1 AND id = $2")
        .bind(scope.org())
        .bind(&account.id)
        .execute(&mut **tx)
        .await?;
    // Nobody can refer to its credentials any more.
    query("DELETE FROM secret WHERE key = $1")
        .bind(&account.credentials.key)
        .execute(&mut **tx)
        .await?;
    Ok(())
}

/// Accounts that resources of the organization were made with, or still have to be freed with.
///
/// # Errors
/// When the database fails.
pub async fn used_by_resources(
    conn: &mut AnyConnection,
    scope: &OrgScope,
) -> Result<BTreeSet<String>> {
    // With which accounts was something made that is still there?
    query(
        "SELECT driver_account FROM active_resource WHERE org_id = $1 AND driver_account <> ''
         UNION
         SELECT driver_account FROM removal WHERE org_id = $1 AND driver_account <> ''
            AND state IN ('held', 'pending', 'given up')",
    )
    .bind(scope.org())
    .fetch_all(conn)
    .await?
    .iter()
    .map(|row| row.text("driver_account"))
    .collect()
}

fn from_row(row: &AnyRow) -> Result<StoredAccount> {
    Ok(StoredAccount {
        id: row.text("id")?,
        name: row.text("name")?,
        r#type: row.text("type")?,
        credentials: row.document("resource_account", "credentials")?,
        identity: row.document("resource_account", "identity")?,
        created_by: row.text("created_by")?,
        created_at: row.time("created_at")?,
    })
}
