//! Organizations.

use jiff::Timestamp;
use sqlx::{AnyConnection, any::AnyRow};

use crate::{OrgScope, Result, Tx, row::Columns as _};

/// A row of `organization`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Organization {
    /// Id, chosen at set-up.
    pub id: String,
    /// Name for people.
    pub name: String,
    /// When it was set up.
    pub created_at: Timestamp,
    /// Id of the user who set it up.
    pub created_by: String,
}

fn read(row: &AnyRow) -> Result<Organization> {
    Ok(Organization {
        id: row.text("id")?,
        name: row.text("name")?,
        created_at: row.time("created_at")?,
        created_by: row.text("created_by")?,
    })
}

/// Adds an organization. It needs no scope: nobody can have rights on it before.
///
/// # Errors
/// [`crate::Error::Conflict`] when the id is taken.
pub async fn create(tx: &mut Tx, organization: &Organization) -> Result<()> {
    // Makes the organization's row.
    sqlx::query(
        "INSERT INTO organization (id, name, created_at, created_by) VALUES ($1, $2, $3, $4)",
    )
    .bind(&organization.id)
    .bind(&organization.name)
    .bind(organization.created_at.as_microsecond())
    .bind(&organization.created_by)
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// The organization.
///
/// # Errors
/// When the database fails.
pub async fn find(conn: &mut AnyConnection, scope: &OrgScope) -> Result<Option<Organization>> {
    // Which organization has this id?
    let row =
        sqlx::query("SELECT id, name, created_at, created_by FROM organization WHERE id = $1")
            .bind(scope.org())
            .fetch_optional(conn)
            .await?;
    row.as_ref().map(read).transpose()
}

/// Whether there is any organization: an installation without one was not set up yet.
///
/// # Errors
/// When the database fails.
pub async fn any(conn: &mut AnyConnection) -> Result<bool> {
    // Is there an organization?
    let row = sqlx::query("SELECT id FROM organization LIMIT 1").fetch_optional(conn).await?;
    Ok(row.is_some())
}
