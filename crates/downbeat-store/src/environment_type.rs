//! Environment types.

use sqlx::{AnyConnection, any::AnyRow};

use crate::{OrgScope, Result, Tx, row::Columns as _};

/// A row of `environment_type`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EnvironmentType {
    /// Id within the organization.
    pub id: String,
    /// Text for people.
    pub description: String,
}

fn read(row: &AnyRow) -> Result<EnvironmentType> {
    Ok(EnvironmentType { id: row.text("id")?, description: row.text("description")? })
}

/// Adds an environment type.
///
/// # Errors
/// [`crate::Error::Conflict`] when the id is taken.
pub async fn create(tx: &mut Tx, scope: &OrgScope, new: &EnvironmentType) -> Result<()> {
    // Makes the type's row.
    sqlx::query("INSERT INTO environment_type (org_id, id, description) VALUES ($1, $2, $3)")
        .bind(scope.org())
        .bind(&new.id)
        .bind(&new.description)
        .execute(&mut **tx)
        .await?;
    Ok(())
}

/// All environment types, by id.
///
/// # Errors
/// When the database fails.
pub async fn list(conn: &mut AnyConnection, scope: &OrgScope) -> Result<Vec<EnvironmentType>> {
    // Which environment types does the organization have?
    let rows =
        sqlx::query("SELECT id, description FROM environment_type WHERE org_id = $1 ORDER BY id")
            .bind(scope.org())
            .fetch_all(conn)
            .await?;
    rows.iter().map(read).collect()
}

/// One environment type.
///
/// # Errors
/// When the database fails.
pub async fn find(
    conn: &mut AnyConnection,
    scope: &OrgScope,
    id: &str,
) -> Result<Option<EnvironmentType>> {
    // Does the organization have this environment type?
    let row =
        sqlx::query("SELECT id, description FROM environment_type WHERE org_id = $1 AND id = $2")
            .bind(scope.org())
            .bind(id)
            .fetch_optional(conn)
            .await?;
    row.as_ref().map(read).transpose()
}

/// Writes a new description. Says whether the type exists.
///
/// # Errors
/// When the database fails.
pub async fn describe(tx: &mut Tx, scope: &OrgScope, id: &str, description: &str) -> Result<bool> {
    // The type is described by this text from now on.
    let done =
        sqlx::query("UPDATE environment_type SET description = $1 WHERE org_id = $2 AND id = $3")
            .bind(description)
            .bind(scope.org())
            .bind(id)
            .execute(&mut **tx)
            .await?;
    Ok(done.rows_affected() > 0)
}

/// The environments of this type, as application and environment id.
///
/// # Errors
/// When the database fails.
pub async fn in_use(
    conn: &mut AnyConnection,
    scope: &OrgScope,
    id: &str,
) -> Result<Vec<(String, String)>> {
    // Which environments are of this type?
    let rows = sqlx::query(
        "SELECT app_id, id FROM environment WHERE org_id = $1 AND type = $2 ORDER BY app_id, id",
    )
    .bind(scope.org())
    .bind(id)
    .fetch_all(conn)
    .await?;
    rows.iter().map(|row| Ok((row.text("app_id")?, row.text("id")?))).collect()
}

/// Removes an environment type. Says whether there was one.
///
/// # Errors
/// [`crate::Error::Conflict`] when an environment still has the type.
pub async fn delete(tx: &mut Tx, scope: &OrgScope, id: &str) -> Result<bool> {
    // Removes the type.
    let done = sqlx::query("DELETE FROM environment_type WHERE org_id = $1 AND id = $2")
        .bind(scope.org())
        .bind(id)
        .execute(&mut **tx)
        .await?;
    Ok(done.rows_affected() > 0)
}
