//! Active resources: what exists for an environment because a deployment provisioned it.
//!
//! The engine writes them; here is what the API reads, pins and forgets.

use std::{collections::BTreeMap, sync::Arc};

use downbeat_core::{Definition, JsonMap, ResourceKey};
use jiff::Timestamp;
use sqlx::{AnyConnection, any::AnyRow, query};

use crate::{EnvScope, OrgScope, Result, Tx, definition, row::Columns as _};

/// An active resource.
#[derive(Clone, Debug)]
pub struct ActiveResource {
    /// Application.
    pub app_id: String,
    /// Environment.
    pub env_id: String,
    /// Type of the environment.
    pub env_type: String,
    /// Resource type.
    pub resource_type: String,
    /// Resource class.
    pub class: String,
    /// Resource id.
    pub res_id: String,
    /// Permanent id of this identity.
    pub guresid: String,
    /// Definition it was provisioned from.
    pub def_id: String,
    /// Version of that definition.
    pub def_version_id: String,
    /// Version it is pinned to.
    pub target_def_version_id: Option<String>,
    /// Criteria that chose the definition; empty for a built-in default.
    pub criteria_id: String,
    /// Driver that made it.
    pub driver_type: String,
    /// Account of the driver; may be empty.
    pub driver_account: String,
    /// Deployment that provisioned it last with success.
    pub deploy_id: String,
    /// Plain outputs.
    pub resource: JsonMap,
    /// References of the secret outputs.
    pub secret_refs: JsonMap,
    /// `pending`, `active` or `deleting`.
    pub status: String,
    /// Whether the engine is to deprovision it.
    pub scheduled_deletion: bool,
    /// When it was provisioned last.
    pub updated_at: Timestamp,
}

impl ActiveResource {
    /// Its identity within the environment.
    #[must_use]
    pub fn key(&self) -> ResourceKey {
        ResourceKey::new(&self.resource_type, &self.class, &self.res_id)
    }
}

/// The resources of an environment, by type, class and id.
///
/// # Errors
/// When the database fails.
pub async fn list(conn: &mut AnyConnection, scope: &EnvScope) -> Result<Vec<ActiveResource>> {
    // What exists in this environment?
    query(
        "SELECT * FROM active_resource WHERE org_id = $1 AND app_id = $2 AND env_id = $3 \
         ORDER BY type, class, res_id",
    )
    .bind(scope.org())
    .bind(scope.app())
    .bind(scope.env())
    .fetch_all(conn)
    .await?
    .iter()
    .map(from_row)
    .collect()
}

/// The resources of an organization that were made from one definition.
///
/// # Errors
/// When the database fails.
pub async fn list_by_definition(
    conn: &mut AnyConnection,
    scope: &OrgScope,
    def_id: &str,
) -> Result<Vec<ActiveResource>> {
    // What was made from this definition?
    query(
        "SELECT * FROM active_resource WHERE org_id = $1 AND def_id = $2 \
         ORDER BY app_id, env_id, type, class, res_id",
    )
    .bind(scope.org())
    .bind(def_id)
    .fetch_all(conn)
    .await?
    .iter()
    .map(from_row)
    .collect()
}

/// Whether any resource of the organization was made by this driver.
///
/// # Errors
/// When the database fails.
pub async fn any_of_driver(
    conn: &mut AnyConnection,
    scope: &OrgScope,
    driver_type: &str,
) -> Result<bool> {
    // Was anything made by this driver that is still there?
    let row = query(
        "SELECT 1 FROM active_resource WHERE org_id = $1 AND driver_type = $2
         UNION ALL
         SELECT 1 FROM removal WHERE org_id = $1 AND driver_type = $2
            AND state IN ('held', 'pending', 'given up') LIMIT 1",
    )
    .bind(scope.org())
    .bind(driver_type)
    .fetch_optional(conn)
    .await?;
    Ok(row.is_some())
}

/// Whether a resource is known under this permanent id.
///
/// # Errors
/// When the database fails.
pub async fn is_known(
    conn: &mut AnyConnection,
    scope: &EnvScope,
    key: &ResourceKey,
    guresid: &str,
) -> Result<bool> {
    // Is it there, and the same?
    let row = query(
        "SELECT 1 FROM active_resource
          WHERE org_id = $1 AND app_id = $2 AND env_id = $3
            AND type = $4 AND class = $5 AND res_id = $6 AND guresid = $7",
    )
    .bind(scope.org())
    .bind(scope.app())
    .bind(scope.env())
    .bind(&*key.resource_type)
    .bind(&*key.class)
    .bind(&*key.id)
    .bind(guresid)
    .fetch_optional(conn)
    .await?;
    Ok(row.is_some())
}

/// The resources of an organization that were made with an account.
///
/// # Errors
/// When the database fails.
pub async fn list_by_account(
    conn: &mut AnyConnection,
    scope: &OrgScope,
    account: &str,
) -> Result<Vec<ActiveResource>> {
    // What was made with this account?
    query(
        "SELECT * FROM active_resource WHERE org_id = $1 AND driver_account = $2
          ORDER BY app_id, env_id, type, class, res_id",
    )
    .bind(scope.org())
    .bind(account)
    .fetch_all(conn)
    .await?
    .iter()
    .map(from_row)
    .collect()
}

/// Whether the newest deployment of the environment has the resource in its graph, or the newest
/// that succeeded: what runs is what that one delivered.
///
/// # Errors
/// When the database fails.
pub async fn is_needed(conn: &mut AnyConnection, scope: &EnvScope, guresid: &str) -> Result<bool> {
    // Is the resource a node of the environment's newest deployment?
    let row = query(
        "SELECT 1 FROM environment e JOIN node n ON n.guresid = $4 \
           AND (n.deployment_id = e.last_deploy_id OR n.deployment_id = \
                (SELECT d.id FROM deployment d WHERE d.org_id = $1 AND d.app_id = $2 \
                    AND d.env_id = $3 AND d.status = 'succeeded' ORDER BY d.number DESC LIMIT 1)) \
         WHERE e.org_id = $1 AND e.app_id = $2 AND e.id = $3 LIMIT 1",
    )
    .bind(scope.org())
    .bind(scope.app())
    .bind(scope.env())
    .bind(guresid)
    .fetch_optional(conn)
    .await?;
    Ok(row.is_some())
}

/// Pins a resource to a version of its definition, or removes the pin.
///
/// # Errors
/// When the database fails.
pub async fn pin(
    tx: &mut Tx,
    scope: &EnvScope,
    key: &ResourceKey,
    version: Option<&str>,
) -> Result<()> {
    // The version that the next deployment shall use.
    query(
        "UPDATE active_resource SET target_def_version_id = $7 \
         WHERE org_id = $1 AND app_id = $2 AND env_id = $3 \
           AND type = $4 AND class = $5 AND res_id = $6",
    )
    .bind(scope.org())
    .bind(scope.app())
    .bind(scope.env())
    .bind(&*key.resource_type)
    .bind(&*key.class)
    .bind(&*key.id)
    .bind(version)
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// Forgets a resource and closes its identity: a new resource of the same key gets another
/// GUResID. The real thing is not touched.
///
/// # Errors
/// When the database fails.
pub async fn forget(tx: &mut Tx, scope: &EnvScope, key: &ResourceKey) -> Result<()> {
    // The record itself, then one more incarnation of its key.
    for statement in [
        "DELETE FROM active_resource \
         WHERE org_id = $1 AND app_id = $2 AND env_id = $3 \
           AND type = $4 AND class = $5 AND res_id = $6",
        "INSERT INTO resource_incarnation (org_id, app_id, env_id, type, class, res_id, count) \
         VALUES ($1, $2, $3, $4, $5, $6, 1) \
         ON CONFLICT (org_id, app_id, env_id, type, class, res_id) \
         DO UPDATE SET count = resource_incarnation.count + 1",
    ] {
        query(statement)
            .bind(scope.org())
            .bind(scope.app())
            .bind(scope.env())
            .bind(&*key.resource_type)
            .bind(&*key.class)
            .bind(&*key.id)
            .execute(&mut **tx)
            .await?;
    }
    Ok(())
}

/// How often each resource of an environment was deleted, for those that were.
///
/// # Errors
/// When the database fails.
pub async fn incarnations(
    conn: &mut AnyConnection,
    scope: &EnvScope,
) -> Result<BTreeMap<ResourceKey, u64>> {
    // Which identities of this environment are not in their first life?
    query(
        "SELECT type, class, res_id, count FROM resource_incarnation
          WHERE org_id = $1 AND app_id = $2 AND env_id = $3",
    )
    .bind(scope.org())
    .bind(scope.app())
    .bind(scope.env())
    .fetch_all(conn)
    .await?
    .iter()
    .map(|row| {
        let key = ResourceKey::new(&row.text("type")?, &row.text("class")?, &row.text("res_id")?);
        Ok((key, u64::try_from(row.number("count")?).unwrap_or(0)))
    })
    .collect()
}

/// The definition versions that resources of an environment are pinned to.
///
/// # Errors
/// When the database fails.
pub async fn pins(
    conn: &mut AnyConnection,
    scope: &EnvScope,
) -> Result<BTreeMap<ResourceKey, Arc<Definition>>> {
    let mut pins = BTreeMap::new();
    for resource in list(&mut *conn, scope).await? {
        let Some(version) = &resource.target_def_version_id else { continue };
        let org = scope.in_app().in_org();
        let pinned = definition::load_version(&mut *conn, org, &resource.def_id, version).await?;
        pins.extend(pinned.map(|pinned| (resource.key(), Arc::new(pinned))));
    }
    Ok(pins)
}

fn from_row(row: &AnyRow) -> Result<ActiveResource> {
    Ok(ActiveResource {
        app_id: row.text("app_id")?,
        env_id: row.text("env_id")?,
        env_type: row.text("env_type")?,
        resource_type: row.text("type")?,
        class: row.text("class")?,
        res_id: row.text("res_id")?,
        guresid: row.text("guresid")?,
        def_id: row.text("def_id")?,
        def_version_id: row.text("def_version_id")?,
        target_def_version_id: row.text_or_null("target_def_version_id")?,
        criteria_id: row.text("criteria_id")?,
        driver_type: row.text("driver_type")?,
        driver_account: row.text("driver_account")?,
        deploy_id: row.text("deploy_id")?,
        resource: row.document("active_resource", "resource")?,
        secret_refs: row.document("active_resource", "secret_refs")?,
        status: row.text("status")?,
        scheduled_deletion: row.flag("scheduled_deletion")?,
        updated_at: row.time("updated_at")?,
    })
}
