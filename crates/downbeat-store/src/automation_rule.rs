//! Automation rules: what an environment does with new versions of artefacts.

use downbeat_core::JsonMap;
use jiff::Timestamp;
use sqlx::{AnyConnection, any::AnyRow, query};

use crate::{
    EnvScope, Result, Tx,
    row::{Columns as _, written},
};

/// A row of `automation_rule`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AutomationRule {
    /// Its id.
    pub id: String,
    /// The rule in its wire form, without id and times.
    pub rule: JsonMap,
    /// When it was created.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
}

fn read(row: &AnyRow) -> Result<AutomationRule> {
    Ok(AutomationRule {
        id: row.text("id")?,
        rule: row.document("automation_rule", "rule")?,
        created_at: row.time("created_at")?,
        updated_at: row.time("updated_at")?,
    })
}

/// Adds a rule.
///
/// # Errors
/// When the database fails.
pub async fn create(tx: &mut Tx, scope: &EnvScope, new: &AutomationRule) -> Result<()> {
    // A new rule.
    query(
        "INSERT INTO automation_rule (org_id, app_id, env_id, id, rule, created_at, updated_at)
             VALUES ($1, $2, $3, $4, $5, $6, $7)",
    )
    .bind(scope.org())
    .bind(scope.app())
    .bind(scope.env())
    .bind(&new.id)
    .bind(written(&new.rule, "automation_rule", "rule")?)
    .bind(new.created_at.as_microsecond())
    .bind(new.updated_at.as_microsecond())
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// The rules of an environment, oldest first.
///
/// # Errors
/// When the database fails.
pub async fn list(conn: &mut AnyConnection, scope: &EnvScope) -> Result<Vec<AutomationRule>> {
    // Which rules does the environment have?
    query(
        "SELECT id, rule, created_at, updated_at FROM automation_rule
          WHERE org_id = $1 AND app_id = $2 AND env_id = $3
          ORDER BY created_at, id",
    )
    .bind(scope.org())
    .bind(scope.app())
    .bind(scope.env())
    .fetch_all(conn)
    .await?
    .iter()
    .map(read)
    .collect()
}

/// One rule of an environment.
///
/// # Errors
/// When the database fails.
pub async fn find(
    conn: &mut AnyConnection,
    scope: &EnvScope,
    id: &str,
) -> Result<Option<AutomationRule>> {
    // Does the environment have this rule?
    query(
        "SELECT id, rule, created_at, updated_at FROM automation_rule
          WHERE org_id = $1 AND app_id = $2 AND env_id = $3 AND id = $4",
    )
    .bind(scope.org())
    .bind(scope.app())
    .bind(scope.env())
    .bind(id)
    .fetch_optional(conn)
    .await?
    .as_ref()
    .map(read)
    .transpose()
}

/// Writes a rule anew; its id and the time of its creation stay.
///
/// # Errors
/// When the database fails.
pub async fn update(tx: &mut Tx, scope: &EnvScope, new: &AutomationRule) -> Result<()> {
    // The rule says this from now on.
    query(
        "UPDATE automation_rule SET rule = $1, updated_at = $2
          WHERE org_id = $3 AND app_id = $4 AND env_id = $5 AND id = $6",
    )
    .bind(written(&new.rule, "automation_rule", "rule")?)
    .bind(new.updated_at.as_microsecond())
    .bind(scope.org())
    .bind(scope.app())
    .bind(scope.env())
    .bind(&new.id)
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// Removes a rule.
///
/// # Errors
/// When the database fails.
pub async fn delete(tx: &mut Tx, scope: &EnvScope, id: &str) -> Result<()> {
    // The rule is gone.
    query(
        "DELETE FROM automation_rule
          WHERE org_id = $1 AND app_id = $2 AND env_id = $3 AND id = $4",
    )
    .bind(scope.org())
    .bind(scope.app())
    .bind(scope.env())
    .bind(id)
    .execute(&mut **tx)
    .await?;
    Ok(())
}
