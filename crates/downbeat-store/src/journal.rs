//! The journal of the engine: claims, leases, and what came of every node.
//!
//! Every writing call begins by renewing the lease with its epoch; when that hits no row, another
//! worker has claimed the deployment and nothing is written. The lease's time is an optimisation
//! (nobody else looks at the deployment before it is over), the epoch is correctness.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use downbeat_core::{
    DeploymentSet, Json, Manifest, Module, ResourceKey, SecretRef,
    manifest::Location,
    resolve::{SharedValue, Values},
    resource_type::{Catalogue, ResourceType},
};
use downbeat_engine::{
    Clock, Lease, NodeRecord,
    port::{
        Account, Cookie, Ended, GraphRow, Journal, JournalError, Journalled, KeptResource, Loaded,
        NodeResult, NodeRow, Phase, RegisteredDriver,
    },
};
use sqlx::{AnyConnection, any::AnyRow, query};
use uuid::Uuid;

use crate::{
    Db, EnvScope, Error, OrgScope, Result, Tx, account, active_resource, commit,
    definition::Indexes,
    driver,
    graph::{self, StoredGraph},
    removal, resource_type,
    row::{Columns as _, written},
    secret::refs_to_wire,
    workload_profile,
};

/// The journal in a database, for one worker process.
pub struct SqlJournal {
    pub(crate) db: Db,
    pub(crate) clock: Arc<dyn Clock>,
    indexes: Arc<Indexes>,
    installation: String,
    pub(crate) owner: String,
    lease: Duration,
}

impl SqlJournal {
    /// A journal for a worker that owns its leases for `lease` at a time.
    #[must_use]
    pub fn new(
        db: Db,
        clock: Arc<dyn Clock>,
        indexes: Arc<Indexes>,
        installation: String,
        lease: Duration,
    ) -> Self {
        let owner = Uuid::new_v4().to_string();
        Self { db, clock, indexes, installation, owner, lease }
    }

    /// Ends all leases, so that what an earlier process left can be claimed at once.
    ///
    /// Only for the one process that has the database for itself.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn take_over(&self) -> Result<u64> {
        let mut tx = self.db.write().await?;
        // Nobody else is alive: what is in progress belongs to nobody.
        let done = query(
            "UPDATE deployment SET lease_until = 0 WHERE status = 'in progress' AND lease_until > 0",
        )
        .execute(&mut *tx)
        .await?;
        // Nor does what is being freed. Who waits for another attempt has no owner.
        query("UPDATE removal SET lease_owner = '', lease_until = 0 WHERE lease_owner <> ''")
            .execute(&mut *tx)
            .await?;
        commit(tx).await?;
        Ok(done.rows_affected())
    }

    pub(crate) fn now(&self) -> i64 {
        self.clock.now().as_microsecond()
    }

    pub(crate) fn until(&self) -> i64 {
        self.now().saturating_add(i64::try_from(self.lease.as_micros()).unwrap_or(i64::MAX))
    }

    /// A transaction in which the lease is held.
    async fn fenced(&self, lease: &Lease) -> Result<Tx> {
        let mut tx = self.db.write().await?;
        // The deployment is still ours, and stays so for a while.
        let done = query(
            "UPDATE deployment SET lease_until = $3
              WHERE id = $1 AND lease_epoch = $2 AND status = 'in progress'",
        )
        .bind(&lease.deployment)
        .bind(lease.epoch)
        .bind(self.until())
        .execute(&mut *tx)
        .await?;
        if done.rows_affected() == 1 { Ok(tx) } else { Err(Error::Fenced) }
    }

    async fn claim_one(&self) -> Result<Option<Lease>> {
        let now = self.now();
        {
            let mut conn = self.db.read().await?;
            // Is there anything to claim? Asked first, so that an idle server never writes.
            let any = query(
                "SELECT 1 FROM deployment
                  WHERE status IN ('pending', 'in progress') AND lease_until < $1 LIMIT 1",
            )
            .bind(now)
            .fetch_optional(&mut *conn)
            .await?;
            if any.is_none() {
                return Ok(None);
            }
        }
        let mut tx = self.db.write().await?;
        // The oldest deployment that nobody works on is ours.
        let row = query(
            "UPDATE deployment
                SET status = 'in progress',
                    status_changed_at = CASE status WHEN 'pending' THEN $1 ELSE status_changed_at END,
                    lease_owner = $2, lease_epoch = lease_epoch + 1, lease_until = $3
              WHERE id = (SELECT id FROM deployment
                           WHERE status IN ('pending', 'in progress') AND lease_until < $1
                           ORDER BY created_at, id LIMIT 1)
             RETURNING id, lease_epoch",
        )
        .bind(now)
        .bind(&self.owner)
        .bind(self.until())
        .fetch_optional(&mut *tx)
        .await?;
        commit(tx).await?;
        row.map(|row| Ok(Lease { deployment: row.text("id")?, epoch: row.number("lease_epoch")? }))
            .transpose()
    }

    async fn read(&self, lease: &Lease) -> Result<Loaded> {
        let mut conn = self.db.read().await?;
        // What is to be deployed, and do we still hold the lease?
        let row = query(
            "SELECT d.*, s.content AS set_content FROM deployment d
               JOIN deployment_set s ON s.id = d.set_id
              WHERE d.id = $1 AND d.lease_epoch = $2",
        )
        .bind(&lease.deployment)
        .bind(lease.epoch)
        .fetch_optional(&mut *conn)
        .await?
        .ok_or(Error::Fenced)?;
        let org = OrgScope::granted(&row.text("org_id")?);
        let env = org.app(&row.text("app_id")?).env(&row.text("env_id")?);
        let set: Json = row.document("deployment_set", "set_content")?;
        let set = DeploymentSet::from_json(set).map_err(|source| Error::Corrupt {
            table: "deployment_set",
            column: "content",
            source,
        })?;
        let values = match row.text_or_null("value_set_version_id")? {
            Some(version) => values(&mut conn, &version).await?,
            None => Values::new(),
        };
        let mut types = Catalogue::default();
        for stored in resource_type::list(&mut conn, &org).await? {
            let known = serde_json::from_value::<ResourceType>(stored.content);
            types.insert(known.map_err(|source| Error::Corrupt {
                table: "resource_type",
                column: "content",
                source,
            })?);
        }
        let named = set.modules.values().map(Module::profile);
        let profiles = workload_profile::named(&mut conn, &org, named).await?;
        Ok(Loaded {
            installation: self.installation.clone(),
            org: env.org().to_owned(),
            app: env.app().to_owned(),
            env: env.env().to_owned(),
            env_type: row.text("env_type")?,
            deployment: row.text("id")?,
            comment: row.text("comment")?,
            created_at: row.time("created_at")?,
            set_id: row.text("set_id")?,
            set,
            values,
            definitions: self.indexes.load(&mut conn, &org).await?,
            types: Arc::new(types),
            incarnations: active_resource::incarnations(&mut conn, &env).await?,
            pins: active_resource::pins(&mut conn, &env).await?,
            cookies: cookies(&mut conn, &env).await?,
            registered: registered(&mut conn, &org).await?,
            accounts: Some(accounts(&mut conn, &org).await?),
            profiles,
            // What this deployment does not need is freed when it succeeds.
            kept: match row.flag("prune")? {
                true => Vec::new(),
                false => kept(&mut conn, &env).await?,
            },
            results: results(&mut conn, &lease.deployment).await?,
        })
    }

    async fn write_phase(&self, lease: &Lease, phase: Phase) -> Result<()> {
        let mut tx = self.fenced(lease).await?;
        // Where it stands.
        query("UPDATE deployment SET phase = $2 WHERE id = $1")
            .bind(&lease.deployment)
            .bind(phase.as_str())
            .execute(&mut *tx)
            .await?;
        commit(tx).await
    }

    async fn write_graph(&self, lease: &Lease, row: &GraphRow) -> Result<()> {
        let mut tx = self.fenced(lease).await?;
        let env = scope(&mut tx, lease).await?.0;
        let now = self.clock.now();
        let stored = StoredGraph {
            id: Uuid::new_v4().to_string(),
            hash: row.hash.clone(),
            nodes: row.nodes.clone(),
            created_at: now,
            used_at: now,
        };
        let stored = graph::put(&mut tx, &env, &stored).await?;
        // The graph of this deployment.
        query("UPDATE deployment SET graph_id = $2 WHERE id = $1")
            .bind(&lease.deployment)
            .bind(&stored.id)
            .execute(&mut *tx)
            .await?;
        // What an earlier attempt got done is kept for nodes that are still part of the graph.
        let earlier: BTreeMap<String, AnyRow> =
            query("SELECT * FROM node WHERE deployment_id = $1")
                .bind(&lease.deployment)
                .fetch_all(&mut *tx)
                .await?
                .into_iter()
                .map(|row| Ok((row.text("guresid")?, row)))
                .collect::<Result<_>>()?;
        // The rows are written anew.
        query("DELETE FROM node WHERE deployment_id = $1")
            .bind(&lease.deployment)
            .execute(&mut *tx)
            .await?;
        for (position, node) in (0i64..).zip(&row.rows) {
            add_node(&mut tx, lease, position, node, earlier.get(&node.guresid)).await?;
        }
        commit(tx).await
    }

    async fn write_start(
        &self,
        lease: &Lease,
        graph: &GraphRow,
        nodes: &[(u32, String)],
    ) -> Result<()> {
        let mut tx = self.fenced(lease).await?;
        let (env, env_type) = scope(&mut tx, lease).await?;
        for (position, key) in nodes {
            // Whatever the driver says or does not say: it may have made something.
            if let Some(node) = graph.rows.get(*position as usize)
                && !active_resource::is_known(&mut tx, &env, &node.key, &node.guresid).await?
            {
                let pending = NodeResult::default();
                let row =
                    Activation { env: &env, env_type: &env_type, lease, node, result: &pending };
                activate(&mut tx, &row, "pending", self.now()).await?;
            }
            // Its effect may happen from now on.
            query(
                "UPDATE node SET state = 'running', attempt = attempt + 1, key = $3, started_at = $4
                  WHERE deployment_id = $1 AND position = $2",
            )
            .bind(&lease.deployment)
            .bind(i64::from(*position))
            .bind(key)
            .bind(self.now())
            .execute(&mut *tx)
            .await?;
        }
        commit(tx).await
    }

    async fn write_cookie(&self, lease: &Lease, node: &NodeRow, cookie: &SecretRef) -> Result<()> {
        let mut tx = self.fenced(lease).await?;
        let (env, env_type) = scope(&mut tx, lease).await?;
        let known = written(cookie, "active_resource", "cookie")?;
        removal::Earlier::load(&mut tx, &env)
            .await?
            .give_way(&mut tx, &env, node, self.now())
            .await?;
        // A resource that exists keeps everything but its cookie, and who can read that.
        let done = query(
            "UPDATE active_resource SET cookie = $7, driver_type = $8, driver_account = $9
              WHERE org_id = $1 AND app_id = $2 AND env_id = $3
                AND type = $4 AND class = $5 AND res_id = $6",
        )
        .bind(env.org())
        .bind(env.app())
        .bind(env.env())
        .bind(&*node.key.resource_type)
        .bind(&*node.key.class)
        .bind(&*node.key.id)
        .bind(known)
        .bind(node.definition.driver_type())
        .bind(&node.driver_account)
        .execute(&mut *tx)
        .await?;
        if done.rows_affected() == 0 {
            let pending = NodeResult { cookie: Some(cookie.clone()), ..NodeResult::default() };
            let row = Activation { env: &env, env_type: &env_type, lease, node, result: &pending };
            activate(&mut tx, &row, "pending", self.now()).await?;
        }
        commit(tx).await
    }

    async fn write_records(
        &self,
        lease: &Lease,
        graph: &GraphRow,
        records: &[NodeRecord],
    ) -> Result<()> {
        if records.is_empty() {
            return Ok(());
        }
        let mut tx = self.fenced(lease).await?;
        let (env, env_type) = scope(&mut tx, lease).await?;
        let now = self.now();
        let mut earlier = removal::Earlier::load(&mut tx, &env).await?;
        for record in records {
            let (state, result, error) = match &record.outcome {
                Ok(result) => ("ready", Some(written(result, "node", "result")?), None),
                Err(error) => ("failed", None, Some(written(error, "node", "error")?)),
            };
            // What came of the node.
            query(
                "UPDATE node
                    SET state = $3, result = $4, error = $5, finished_at = $6,
                        started_at = COALESCE(started_at, $6),
                        attempt = CASE attempt WHEN 0 THEN 1 ELSE attempt END
                  WHERE deployment_id = $1 AND position = $2",
            )
            .bind(&lease.deployment)
            .bind(i64::from(record.position))
            .bind(state)
            .bind(result)
            .bind(error)
            .bind(now)
            .execute(&mut *tx)
            .await?;
            let node = graph.rows.get(record.position as usize);
            if let (Ok(result), Some(node)) = (&record.outcome, node) {
                earlier.give_way(&mut tx, &env, node, now).await?;
                let row = Activation { env: &env, env_type: &env_type, lease, node, result };
                activate(&mut tx, &row, "active", now).await?;
            }
        }
        commit(tx).await
    }

    async fn write_end(&self, lease: &Lease, ended: &Ended) -> Result<()> {
        let mut tx = self.fenced(lease).await?;
        let (status, delivery) = match ended {
            Ended::Succeeded(delivered) => {
                let (env, _) = scope(&mut tx, lease).await?;
                removal::release(&mut tx, &env, &lease.deployment, self.now()).await?;
                removal::prune(&mut tx, &env, &lease.deployment, self.clock.now()).await?;
                ("succeeded", Some(written(delivered, "deployment", "delivery")?))
            }
            Ended::Failed(errors) => {
                // An earlier attempt that ended has left nothing: this is the only end.
                for (number, error) in (1i64..).zip(errors) {
                    query(
                        "INSERT INTO deployment_error (deployment_id, number, scope, object_id,
                                 code, error_type, summary, message)
                         VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
                    )
                    .bind(&lease.deployment)
                    .bind(number)
                    .bind(error.scope)
                    .bind(&error.object_id)
                    .bind(error.code.as_str())
                    .bind(error_type(error.code.as_str()))
                    .bind(error.code.summary())
                    .bind(&error.message)
                    .execute(&mut *tx)
                    .await?;
                }
                ("failed", None)
            }
        };
        // It is over.
        query(
            "UPDATE deployment
                SET status = $2, status_changed_at = $3, phase = 'done', delivery = $4,
                    lease_owner = '', lease_until = 0
              WHERE id = $1",
        )
        .bind(&lease.deployment)
        .bind(status)
        .bind(self.now())
        .bind(delivery)
        .execute(&mut *tx)
        .await?;
        commit(tx).await
    }
}

/// The class of an error, from the first letters of its code.
fn error_type(code: &str) -> &'static str {
    match code.split_once('-').map(|(class, _)| class) {
        Some("RES") => "resource",
        Some("DEP") => "deploy",
        Some("VAL") => "value",
        _ => "internal",
    }
}

/// The environment of a deployment that we hold the lease on, and its type.
async fn scope(tx: &mut Tx, lease: &Lease) -> Result<(EnvScope, String)> {
    // Whose deployment is it?
    let row = query("SELECT org_id, app_id, env_id, env_type FROM deployment WHERE id = $1")
        .bind(&lease.deployment)
        .fetch_one(&mut **tx)
        .await?;
    Ok((env_of(&row)?, row.text("env_type")?))
}

/// The environment that a row of claimed work belongs to.
pub(crate) fn env_of(row: &AnyRow) -> Result<EnvScope> {
    let org = OrgScope::granted(&row.text("org_id")?);
    Ok(org.app(&row.text("app_id")?).env(&row.text("env_id")?))
}

async fn values(conn: &mut AnyConnection, version: &str) -> Result<Values> {
    // Which values were frozen?
    let row = query("SELECT content FROM value_set_version WHERE id = $1")
        .bind(version)
        .fetch_one(conn)
        .await?;
    let content: BTreeMap<String, Json> = row.document("value_set_version", "content")?;
    let text = |value: &Json, member: &str| value.get(member)?.as_str().map(str::to_owned);
    Ok(content
        .into_iter()
        .filter_map(|(key, value)| {
            let is_secret = value.get("is_secret").and_then(Json::as_bool).unwrap_or(false);
            let shared = if is_secret {
                SharedValue::Secret(SecretRef {
                    store: text(&value, "secret_store_id")?,
                    key: text(&value, "secret_key")?,
                    version: text(&value, "secret_version"),
                })
            } else {
                SharedValue::Plain(text(&value, "value")?)
            };
            Some((key, shared))
        })
        .collect())
}

async fn cookies(
    conn: &mut AnyConnection,
    env: &EnvScope,
) -> Result<BTreeMap<String, Vec<Cookie>>> {
    // Which drivers have left a cookie? Those that made the resources come first; then those whose
    // work is still to be freed.
    let rows = query(
        "SELECT guresid, driver_type, cookie, 0 AS later FROM active_resource
          WHERE org_id = $1 AND app_id = $2 AND env_id = $3 AND cookie <> ''
         UNION ALL
         SELECT guresid, driver_type, cookie, 1 AS later FROM removal
          WHERE org_id = $1 AND app_id = $2 AND env_id = $3 AND cookie <> ''
            AND state IN ('held', 'given up') AND is_current = 0
          ORDER BY later",
    )
    .bind(env.org())
    .bind(env.app())
    .bind(env.env())
    .fetch_all(conn)
    .await?;
    let mut cookies: BTreeMap<String, Vec<Cookie>> = BTreeMap::new();
    for row in rows {
        let driver_type = row.text("driver_type")?;
        let reference = row.document("active_resource", "cookie")?;
        let known = cookies.entry(row.text("guresid")?).or_default();
        known.push(Cookie { driver_type, reference });
    }
    Ok(cookies)
}

async fn registered(
    conn: &mut AnyConnection,
    org: &OrgScope,
) -> Result<BTreeMap<String, RegisteredDriver>> {
    let rows = driver::list(conn, org).await?.into_iter();
    Ok(rows.map(|row| (format!("{}/{}", org.org(), row.id), driver::registered(&row))).collect())
}

async fn accounts(conn: &mut AnyConnection, org: &OrgScope) -> Result<BTreeMap<String, Account>> {
    let rows = account::list(conn, org).await?.into_iter();
    Ok(rows.map(|row| (row.id.clone(), account::usable(row))).collect())
}

async fn kept(conn: &mut AnyConnection, env: &EnvScope) -> Result<Vec<KeptResource>> {
    // Which resources have something in the target?
    query(
        "SELECT guresid, type, class, res_id, manifests FROM active_resource
          WHERE org_id = $1 AND app_id = $2 AND env_id = $3 AND manifests <> '[]'
          ORDER BY type, class, res_id",
    )
    .bind(env.org())
    .bind(env.app())
    .bind(env.env())
    .fetch_all(conn)
    .await?
    .iter()
    .map(|row| {
        Ok(KeptResource {
            guresid: row.text("guresid")?,
            key: ResourceKey::new(&row.text("type")?, &row.text("class")?, &row.text("res_id")?),
            manifests: row.document("active_resource", "manifests")?,
        })
    })
    .collect()
}

async fn results(
    conn: &mut AnyConnection,
    deployment: &str,
) -> Result<BTreeMap<String, NodeResult>> {
    // What did an interrupted attempt get done?
    query("SELECT guresid, result FROM node WHERE deployment_id = $1 AND result IS NOT NULL")
        .bind(deployment)
        .fetch_all(conn)
        .await?
        .iter()
        .map(|row| Ok((row.text("guresid")?, row.document("node", "result")?)))
        .collect()
}

async fn add_node(
    tx: &mut Tx,
    lease: &Lease,
    position: i64,
    node: &NodeRow,
    earlier: Option<&AnyRow>,
) -> Result<()> {
    let result = earlier.map(|row| row.text_or_null("result")).transpose()?.flatten();
    let attempt = earlier.map_or(Ok(0), |row| row.number("attempt"))?;
    let key = earlier.map_or_else(|| Ok(String::new()), |row| row.text("key"))?;
    // One row of the journal. It becomes ready again when the result is found to be still true.
    query(
        "INSERT INTO node (deployment_id, position, guresid, type, class, res_id, def_id,
                           driver_type, state, attempt, key, result)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, 'pending', $9, $10, $11)",
    )
    .bind(&lease.deployment)
    .bind(position)
    .bind(&node.guresid)
    .bind(&*node.key.resource_type)
    .bind(&*node.key.class)
    .bind(&*node.key.id)
    .bind(&*node.definition.id)
    .bind(node.definition.driver_type())
    .bind(attempt)
    .bind(key)
    .bind(result)
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// A node that is, or is about to become, an active resource.
struct Activation<'a> {
    env: &'a EnvScope,
    env_type: &'a str,
    lease: &'a Lease,
    node: &'a NodeRow,
    result: &'a NodeResult,
}

/// Makes a node an active resource, or brings its record up to date.
async fn activate(tx: &mut Tx, row: &Activation<'_>, status: &str, now: i64) -> Result<()> {
    let Activation { env, env_type, lease, node, result } = *row;
    let cookie = match &result.cookie {
        Some(cookie) => written(cookie, "active_resource", "cookie")?,
        None => String::new(),
    };
    let of_the_target =
        |manifest: &&Manifest| matches!(manifest.location, Location::Namespace | Location::Cluster);
    let manifests: Vec<&Manifest> = result.manifests.iter().filter(of_the_target).collect();
    let manifests = written(&manifests, "active_resource", "manifests")?;
    // What exists now; a pin and a scheduled deletion stay as they are.
    query(
        "INSERT INTO active_resource (org_id, app_id, env_id, env_type, type, class, res_id, guresid,
                 def_id, def_version_id, criteria_id, driver_type, driver_account, deploy_id,
                 resource, secret_refs, cookie, manifests, status, scheduled_deletion, updated_at,
                 depends_on)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18,
                 $20, 0, $19, $21)
         ON CONFLICT (org_id, app_id, env_id, type, class, res_id) DO UPDATE
            SET guresid = excluded.guresid, def_id = excluded.def_id,
                def_version_id = excluded.def_version_id, criteria_id = excluded.criteria_id,
                driver_type = excluded.driver_type, driver_account = excluded.driver_account,
                deploy_id = excluded.deploy_id, resource = excluded.resource,
                secret_refs = excluded.secret_refs, cookie = excluded.cookie,
                manifests = excluded.manifests, status = excluded.status,
                scheduled_deletion = 0, updated_at = excluded.updated_at,
                depends_on = excluded.depends_on",
    )
    .bind(env.org())
    .bind(env.app())
    .bind(env.env())
    .bind(env_type)
    .bind(&*node.key.resource_type)
    .bind(&*node.key.class)
    .bind(&*node.key.id)
    .bind(&node.guresid)
    .bind(&*node.definition.id)
    .bind(&*node.definition.version_id)
    .bind(&node.criteria_id)
    .bind(node.definition.driver_type())
    .bind(&node.driver_account)
    .bind(&lease.deployment)
    .bind(written(&result.outputs.values, "active_resource", "resource")?)
    .bind(refs_to_wire(&result.outputs.secrets).to_string())
    .bind(cookie)
    .bind(manifests)
    .bind(now)
    .bind(status)
    .bind(written(&node.depends_on, "active_resource", "depends_on")?)
    .execute(&mut **tx)
    .await?;
    Ok(())
}

pub(crate) fn journalled<'a, T: 'a>(
    work: impl Future<Output = Result<T>> + Send + 'a,
) -> Journalled<'a, T> {
    Box::pin(async move {
        work.await.map_err(|error| match error {
            Error::Fenced => JournalError::Fenced,
            other => JournalError::Failed(Box::new(other)),
        })
    })
}

impl Journal for SqlJournal {
    fn claim(&self) -> Journalled<'_, Option<Lease>> {
        journalled(self.claim_one())
    }

    fn renew<'a>(&'a self, lease: &'a Lease) -> Journalled<'a, ()> {
        journalled(async move { commit(self.fenced(lease).await?).await })
    }

    fn load<'a>(&'a self, lease: &'a Lease) -> Journalled<'a, Loaded> {
        journalled(self.read(lease))
    }

    fn phase<'a>(&'a self, lease: &'a Lease, phase: Phase) -> Journalled<'a, ()> {
        journalled(self.write_phase(lease, phase))
    }

    fn graph<'a>(&'a self, lease: &'a Lease, graph: &'a GraphRow) -> Journalled<'a, ()> {
        journalled(self.write_graph(lease, graph))
    }

    fn start<'a>(
        &'a self,
        lease: &'a Lease,
        graph: &'a GraphRow,
        nodes: &'a [(u32, String)],
    ) -> Journalled<'a, ()> {
        journalled(self.write_start(lease, graph, nodes))
    }

    fn keep<'a>(
        &'a self,
        lease: &'a Lease,
        node: &'a NodeRow,
        cookie: &'a SecretRef,
    ) -> Journalled<'a, ()> {
        journalled(self.write_cookie(lease, node, cookie))
    }

    fn record<'a>(
        &'a self,
        lease: &'a Lease,
        graph: &'a GraphRow,
        records: &'a [NodeRecord],
    ) -> Journalled<'a, ()> {
        journalled(self.write_records(lease, graph, records))
    }

    fn finish<'a>(&'a self, lease: &'a Lease, ended: &'a Ended) -> Journalled<'a, ()> {
        journalled(self.write_end(lease, ended))
    }
}
