//! Applications.

use jiff::Timestamp;
use sqlx::{AnyConnection, any::AnyRow};

use crate::{AppScope, OrgScope, Result, Tx, row::Columns as _};

/// A row of `application`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Application {
    /// Id within the organization.
    pub id: String,
    /// Name for people.
    pub name: String,
    /// When it was created.
    pub created_at: Timestamp,
    /// Id of the user who created it.
    pub created_by: String,
    /// `active` or `deleting`.
    pub status: String,
    /// When the status last changed.
    pub status_changed_at: Timestamp,
}

fn read(row: &AnyRow) -> Result<Application> {
    Ok(Application {
        id: row.text("id")?,
        name: row.text("name")?,
        created_at: row.time("created_at")?,
        created_by: row.text("created_by")?,
        status: row.text("status")?,
        status_changed_at: row.time("status_changed_at")?,
    })
}

/// Adds an application.
///
/// # Errors
/// [`crate::Error::Conflict`] when the id is taken.
pub async fn create(tx: &mut Tx, scope: &OrgScope, new: &Application) -> Result<()> {
    // Makes the application's row.
    sqlx::query(
        "INSERT INTO application
             (org_id, id, name, created_at, created_by, status, status_changed_at)
             VALUES ($1, $2, $3, $4, $5, $6, $7)",
    )
    .bind(scope.org())
    .bind(&new.id)
    .bind(&new.name)
    .bind(new.created_at.as_microsecond())
    .bind(&new.created_by)
    .bind(&new.status)
    .bind(new.status_changed_at.as_microsecond())
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// All applications, by id.
///
/// # Errors
/// When the database fails.
pub async fn list(conn: &mut AnyConnection, scope: &OrgScope) -> Result<Vec<Application>> {
    // Which applications does the organization have?
    let rows = sqlx::query(
        "SELECT id, name, created_at, created_by, status, status_changed_at
           FROM application WHERE org_id = $1 ORDER BY id",
    )
    .bind(scope.org())
    .fetch_all(conn)
    .await?;
    rows.iter().map(read).collect()
}

/// The application.
///
/// # Errors
/// When the database fails.
pub async fn find(conn: &mut AnyConnection, scope: &AppScope) -> Result<Option<Application>> {
    // Which application is this?
    let row = sqlx::query(
        "SELECT id, name, created_at, created_by, status, status_changed_at
           FROM application WHERE org_id = $1 AND id = $2",
    )
    .bind(scope.org())
    .bind(scope.app())
    .fetch_optional(conn)
    .await?;
    row.as_ref().map(read).transpose()
}

/// Gives the application another name.
///
/// # Errors
/// When the database fails.
pub async fn rename(tx: &mut Tx, scope: &AppScope, name: &str) -> Result<()> {
    // The application has this name from now on.
    sqlx::query("UPDATE application SET name = $1 WHERE org_id = $2 AND id = $3")
        .bind(name)
        .bind(scope.org())
        .bind(scope.app())
        .execute(&mut **tx)
        .await?;
    Ok(())
}

/// Marks the application as being deleted: from now on it only goes.
///
/// # Errors
/// When the database fails.
pub async fn begin_delete(tx: &mut Tx, scope: &AppScope, now: Timestamp) -> Result<()> {
    // The application is about to go.
    sqlx::query(
        "UPDATE application SET status = 'deleting', status_changed_at = $3
          WHERE org_id = $1 AND id = $2 AND status <> 'deleting'",
    )
    .bind(scope.org())
    .bind(scope.app())
    .bind(now.as_microsecond())
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// Removes the application; environments, values, deltas and names of sets go with it. What the
/// environments' deployments left behind is removed before, environment by environment.
///
/// # Errors
/// When the database fails.
pub async fn delete(tx: &mut Tx, scope: &AppScope) -> Result<()> {
    // Removes the history that earlier environments kept for later ones.
    sqlx::query("DELETE FROM deployment WHERE org_id = $1 AND app_id = $2")
        .bind(scope.org())
        .bind(scope.app())
        .execute(&mut **tx)
        .await?;
    // Removes the headers of its webhooks, which go with it.
    sqlx::query("DELETE FROM secret WHERE key LIKE $1")
        .bind(format!("orgs/{}/apps/{}/webhooks/%", scope.org(), scope.app()))
        .execute(&mut **tx)
        .await?;
    // Removes the application.
    sqlx::query("DELETE FROM application WHERE org_id = $1 AND id = $2")
        .bind(scope.org())
        .bind(scope.app())
        .execute(&mut **tx)
        .await?;
    Ok(())
}
