//! Environments.

use jiff::Timestamp;
use sqlx::{AnyConnection, any::AnyRow};

use crate::{AppScope, EnvScope, OrgScope, Result, Tx, row::Columns as _};

/// A row of `environment`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Environment {
    /// Id of the application.
    pub app_id: String,
    /// Id within the application.
    pub id: String,
    /// Name for people.
    pub name: String,
    /// Id of the environment type.
    pub kind: String,
    /// When it was created.
    pub created_at: Timestamp,
    /// Id of the user who created it.
    pub created_by: String,
    /// Deployment that the next one starts from.
    pub from_deploy_id: Option<String>,
    /// Newest deployment executed here.
    pub last_deploy_id: Option<String>,
    /// Whether the workloads are scaled to nothing.
    pub paused: bool,
    /// `active` or `deleting`.
    pub status: String,
    /// When the status last changed.
    pub status_changed_at: Timestamp,
}

fn read(row: &AnyRow) -> Result<Environment> {
    Ok(Environment {
        app_id: row.text("app_id")?,
        id: row.text("id")?,
        name: row.text("name")?,
        kind: row.text("type")?,
        created_at: row.time("created_at")?,
        created_by: row.text("created_by")?,
        from_deploy_id: row.text_or_null("from_deploy_id")?,
        last_deploy_id: row.text_or_null("last_deploy_id")?,
        paused: row.flag("paused")?,
        status: row.text("status")?,
        status_changed_at: row.time("status_changed_at")?,
    })
}

/// Adds an environment.
///
/// # Errors
/// [`crate::Error::Conflict`] when the id is taken, or the type does not exist.
pub async fn create(tx: &mut Tx, scope: &AppScope, new: &Environment) -> Result<()> {
    // Makes the environment's row.
    sqlx::query(
        "INSERT INTO environment
             (org_id, app_id, id, name, type, created_at, created_by, from_deploy_id,
              last_deploy_id, paused, status, status_changed_at)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)",
    )
    .bind(scope.org())
    .bind(scope.app())
    .bind(&new.id)
    .bind(&new.name)
    .bind(&new.kind)
    .bind(new.created_at.as_microsecond())
    .bind(&new.created_by)
    .bind(new.from_deploy_id.as_deref())
    .bind(new.last_deploy_id.as_deref())
    .bind(i64::from(new.paused))
    .bind(&new.status)
    .bind(new.status_changed_at.as_microsecond())
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// The environments of an application, by id.
///
/// # Errors
/// When the database fails.
pub async fn list(conn: &mut AnyConnection, scope: &AppScope) -> Result<Vec<Environment>> {
    // Which environments does the application have?
    let rows = sqlx::query(
        "SELECT app_id, id, name, type, created_at, created_by, from_deploy_id, last_deploy_id,
                paused, status, status_changed_at
           FROM environment WHERE org_id = $1 AND app_id = $2 ORDER BY id",
    )
    .bind(scope.org())
    .bind(scope.app())
    .fetch_all(conn)
    .await?;
    rows.iter().map(read).collect()
}

/// The environments of all applications, by application and id.
///
/// # Errors
/// When the database fails.
pub async fn list_in_org(conn: &mut AnyConnection, scope: &OrgScope) -> Result<Vec<Environment>> {
    // Which environments does the organization have?
    let rows = sqlx::query(
        "SELECT app_id, id, name, type, created_at, created_by, from_deploy_id, last_deploy_id,
                paused, status, status_changed_at
           FROM environment WHERE org_id = $1 ORDER BY app_id, id",
    )
    .bind(scope.org())
    .fetch_all(conn)
    .await?;
    rows.iter().map(read).collect()
}

/// The environment.
///
/// # Errors
/// When the database fails.
pub async fn find(conn: &mut AnyConnection, scope: &EnvScope) -> Result<Option<Environment>> {
    // Which environment is this?
    let row = sqlx::query(
        "SELECT app_id, id, name, type, created_at, created_by, from_deploy_id, last_deploy_id,
                paused, status, status_changed_at
           FROM environment WHERE org_id = $1 AND app_id = $2 AND id = $3",
    )
    .bind(scope.org())
    .bind(scope.app())
    .bind(scope.env())
    .fetch_optional(conn)
    .await?;
    row.as_ref().map(read).transpose()
}

/// Gives the environment another name.
///
/// # Errors
/// When the database fails.
pub async fn rename(tx: &mut Tx, scope: &EnvScope, name: &str) -> Result<()> {
    // The environment has this name from now on.
    sqlx::query("UPDATE environment SET name = $1 WHERE org_id = $2 AND app_id = $3 AND id = $4")
        .bind(name)
        .bind(scope.org())
        .bind(scope.app())
        .bind(scope.env())
        .execute(&mut **tx)
        .await?;
    Ok(())
}

/// Makes a deployment the base of the next one.
///
/// # Errors
/// When the database fails.
pub async fn rebase(tx: &mut Tx, scope: &EnvScope, deployment: &str) -> Result<()> {
    // The next deployment starts from this one.
    sqlx::query(
        "UPDATE environment SET from_deploy_id = $1
          WHERE org_id = $2 AND app_id = $3 AND id = $4",
    )
    .bind(deployment)
    .bind(scope.org())
    .bind(scope.app())
    .bind(scope.env())
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// Pauses or resumes the environment.
///
/// # Errors
/// When the database fails.
pub async fn pause(tx: &mut Tx, scope: &EnvScope, paused: bool) -> Result<()> {
    // Is the environment paused from now on?
    sqlx::query("UPDATE environment SET paused = $1 WHERE org_id = $2 AND app_id = $3 AND id = $4")
        .bind(i64::from(paused))
        .bind(scope.org())
        .bind(scope.app())
        .bind(scope.env())
        .execute(&mut **tx)
        .await?;
    Ok(())
}

/// Marks the environment as being deleted: from now on it only goes.
///
/// # Errors
/// When the database fails.
pub async fn begin_delete(tx: &mut Tx, scope: &EnvScope, now: Timestamp) -> Result<()> {
    // The environment is about to go.
    sqlx::query(
        "UPDATE environment SET status = 'deleting', status_changed_at = $4
          WHERE org_id = $1 AND app_id = $2 AND id = $3 AND status <> 'deleting'",
    )
    .bind(scope.org())
    .bind(scope.app())
    .bind(scope.env())
    .bind(now.as_microsecond())
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// Whether a deployment of the environment is waiting or running.
///
/// # Errors
/// When the database fails.
pub async fn is_deploying(conn: &mut AnyConnection, scope: &EnvScope) -> Result<bool> {
    // Is a deployment of the environment under way?
    let row = sqlx::query(
        "SELECT id FROM deployment
          WHERE org_id = $1 AND app_id = $2 AND env_id = $3
            AND status IN ('pending', 'in progress')",
    )
    .bind(scope.org())
    .bind(scope.app())
    .bind(scope.env())
    .fetch_optional(conn)
    .await?;
    Ok(row.is_some())
}

/// The driver types of the active resources, without repeats, by name.
///
/// # Errors
/// When the database fails.
pub async fn driver_types(conn: &mut AnyConnection, scope: &EnvScope) -> Result<Vec<String>> {
    // Which drivers made something here that is still there?
    let rows = sqlx::query(
        "SELECT DISTINCT driver_type FROM active_resource
          WHERE org_id = $1 AND app_id = $2 AND env_id = $3 ORDER BY driver_type",
    )
    .bind(scope.org())
    .bind(scope.app())
    .bind(scope.env())
    .fetch_all(conn)
    .await?;
    rows.iter().map(|row| row.text("driver_type")).collect()
}

/// Removes the environment with its values, resources, graphs and deployments. A deployment that
/// another environment starts from stays until the application goes.
///
/// # Errors
/// When the database fails.
pub async fn delete(tx: &mut Tx, scope: &EnvScope) -> Result<()> {
    let statements = [
        // A resource of the same identity that comes later is another resource.
        "INSERT INTO resource_incarnation (org_id, app_id, env_id, type, class, res_id, count)
             SELECT org_id, app_id, env_id, type, class, res_id, 1 FROM active_resource
              WHERE org_id = $1 AND app_id = $2 AND env_id = $3
             ON CONFLICT (org_id, app_id, env_id, type, class, res_id)
             DO UPDATE SET count = resource_incarnation.count + 1",
        // Forgets the resources.
        "DELETE FROM active_resource WHERE org_id = $1 AND app_id = $2 AND env_id = $3",
        // Forgets the graphs.
        "DELETE FROM graph WHERE org_id = $1 AND app_id = $2 AND env_id = $3",
        // Forgets the overrides of values.
        "DELETE FROM shared_value WHERE org_id = $1 AND app_id = $2 AND env_id = $3",
        // Forgets the versions of the values.
        "DELETE FROM value_set_version WHERE org_id = $1 AND app_id = $2 AND env_id = $3",
        // Removes the environment.
        "DELETE FROM environment WHERE org_id = $1 AND app_id = $2 AND id = $3",
        // Forgets the deployments that no other environment starts from.
        "DELETE FROM deployment
          WHERE org_id = $1 AND app_id = $2 AND env_id = $3
            AND NOT EXISTS (SELECT 1 FROM environment e
                             WHERE e.org_id = $1 AND e.app_id = $2
                               AND e.from_deploy_id = deployment.id)",
    ];
    for statement in statements {
        sqlx::query(statement)
            .bind(scope.org())
            .bind(scope.app())
            .bind(scope.env())
            .execute(&mut **tx)
            .await?;
    }
    Ok(())
}
