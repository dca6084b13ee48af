//! Removals: what is to be freed, by whom it was asked for, and what became of it.
//!
//! A removal is *held* until the deployment that made it unnecessary has succeeded, *pending* until
//! a worker has freed the thing, and *given up* after too many attempts. A row that is over stays as
//! a record: *freed* by its driver, *forgotten* because its driver had made nothing, or *detached*
//! because somebody wanted the real thing left alone.

use std::collections::BTreeSet;

use downbeat_core::{Json, ResourceKey, builtin, graph::cluster_key, resolve::Outputs};
use downbeat_engine::port::{
    Again, Journalled, NodeError, NodeResult, NodeRow, RemovalJob, Removals, TARGET,
};
use jiff::Timestamp;
use sqlx::{AnyConnection, any::AnyRow, query};
use uuid::Uuid;

use crate::{
    AppScope, EnvScope, Error, Result, Tx, account,
    active_resource::{self, ActiveResource},
    application, commit, driver, environment,
    journal::{SqlJournal, env_of, journalled},
    row::{Columns as _, written},
    user,
};

/// A removal, under way or over.
#[derive(Clone, Debug)]
pub struct StoredRemoval {
    /// Id.
    pub id: String,
    /// What is or was freed.
    pub key: ResourceKey,
    /// Its permanent id.
    pub guresid: String,
    /// The driver that made it.
    pub driver_type: String,
    /// Whether the last deployment needed it.
    pub is_forced: bool,
    /// Why, in the words of who asked.
    pub reason: String,
    /// Who asked.
    pub requested_by: String,
    /// When.
    pub requested_at: Timestamp,
    /// `held`, `pending`, `given up`, `freed`, `forgotten` or `detached`.
    pub state: String,
    /// How often it was tried.
    pub attempt: i64,
    /// Why the last attempt failed: code, message, hint.
    pub error: Option<Json>,
    /// When the state changed last.
    pub changed_at: Timestamp,
}

impl StoredRemoval {
    /// Why the last attempt failed, in one sentence.
    #[must_use]
    pub fn why(&self) -> &str {
        let message = self.error.as_ref().and_then(|error| error.get("message")?.as_str());
        message.unwrap_or("its driver failed")
    }
}

/// Who asks for a removal, and why.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    /// The user.
    pub by: &'a str,
    /// In the user's words; may be empty.
    pub reason: &'a str,
    /// Although the last deployment needs it.
    pub forced: bool,
    /// Now.
    pub at: Timestamp,
}

/// What a resource that goes at once leaves behind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Left {
    /// Nothing: its driver makes nothing.
    Forgotten,
    /// The real thing.
    Detached,
}

/// Asks for a resource to be freed by its driver; again for one that was given up. One that is
/// pending keeps its pace.
///
/// # Errors
/// When the database fails.
pub async fn ask(tx: &mut Tx, scope: &EnvScope, key: &ResourceKey, asked: Asked<'_>) -> Result<()> {
    // The request. Whoever asks again asks for another attempt.
    query(
        "INSERT INTO removal (id, org_id, app_id, env_id, type, class, res_id, guresid, driver_type,
                 driver_account, cookie, depends_on, is_current, is_forced, reason, requested_by,
                 requested_at, state, attempt, changed_at)
         SELECT $7, org_id, app_id, env_id, type, class, res_id, guresid, driver_type,
                driver_account, cookie, depends_on, 1, $8, $9, $10, $11, 'pending', 0, $11
           FROM active_resource
          WHERE org_id = $1 AND app_id = $2 AND env_id = $3
            AND type = $4 AND class = $5 AND res_id = $6
         ON CONFLICT (guresid, driver_type) WHERE state IN ('held', 'pending', 'given up')
         DO UPDATE SET state = 'pending', is_current = 1,
                attempt = CASE removal.state WHEN 'pending' THEN removal.attempt ELSE 0 END",
    )
    .bind(scope.org())
    .bind(scope.app())
    .bind(scope.env())
    .bind(&*key.resource_type)
    .bind(&*key.class)
    .bind(&*key.id)
    .bind(Uuid::new_v4().to_string())
    .bind(i64::from(asked.forced))
    .bind(asked.reason)
    .bind(asked.by)
    .bind(asked.at.as_microsecond())
    .execute(&mut **tx)
    .await?;
    // The resource shows that it is about to go.
    query(
        "UPDATE active_resource SET status = 'deleting', scheduled_deletion = 1
          WHERE org_id = $1 AND app_id = $2 AND env_id = $3
            AND type = $4 AND class = $5 AND res_id = $6",
    )
    .bind(scope.org())
    .bind(scope.app())
    .bind(scope.env())
    .bind(&*key.resource_type)
    .bind(&*key.class)
    .bind(&*key.id)
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// Forgets a resource at once, and keeps a record of that. Attempts to free it end.
///
/// # Errors
/// When the database fails.
pub async fn forget(
    tx: &mut Tx,
    scope: &EnvScope,
    resource: &ActiveResource,
    left: Left,
    asked: Asked<'_>,
) -> Result<()> {
    // What was tried before is over.
    drop_open(tx, &resource.guresid, &resource.driver_type).await?;
    let state = match left {
        Left::Forgotten => "forgotten",
        Left::Detached => "detached",
    };
    // The record.
    query(
        "INSERT INTO removal (id, org_id, app_id, env_id, type, class, res_id, guresid, driver_type,
                 cookie, depends_on, is_current, is_forced, reason, requested_by, requested_at,
                 state, attempt, changed_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, '', '[]', 1, $10, $11, $12, $13, $14, 0, $13)",
    )
    .bind(Uuid::new_v4().to_string())
    .bind(scope.org())
    .bind(scope.app())
    .bind(scope.env())
    .bind(&resource.resource_type)
    .bind(&resource.class)
    .bind(&resource.res_id)
    .bind(&resource.guresid)
    .bind(&resource.driver_type)
    .bind(i64::from(asked.forced))
    .bind(asked.reason)
    .bind(asked.by)
    .bind(asked.at.as_microsecond())
    .bind(state)
    .execute(&mut **tx)
    .await?;
    active_resource::forget(tx, scope, &resource.key()).await
}

/// Drops the open removal of what a driver made of a resource.
async fn drop_open(tx: &mut Tx, guresid: &str, driver_type: &str) -> Result<()> {
    // It is not to be freed any more, and nothing is recorded.
    query(
        "DELETE FROM removal WHERE guresid = $1 AND driver_type = $2
            AND state IN ('held', 'pending', 'given up')",
    )
    .bind(guresid)
    .bind(driver_type)
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// Asks for an environment to be taken out of its target, before anything in it is freed. Nothing
/// happens when it was never deployed to one.
///
/// # Errors
/// When the database fails.
pub async fn ask_to_clear(
    tx: &mut Tx,
    scope: &EnvScope,
    resources: &[ActiveResource],
    asked: Asked<'_>,
) -> Result<()> {
    if cluster(&mut *tx, scope).await?.is_none() {
        return Ok(());
    }
    let all: Vec<&str> = resources.iter().map(|resource| resource.guresid.as_str()).collect();
    // What runs in the target depends on everything.
    query(
        "INSERT INTO removal (id, org_id, app_id, env_id, type, class, res_id, guresid, driver_type,
                 cookie, depends_on, is_current, is_forced, reason, requested_by, requested_at,
                 state, attempt, changed_at)
         VALUES ($1, $2, $3, $4, 'environment', 'default', $4, $5, $6, '', $7, 1, 0, $8, $9, $10,
                 'pending', 0, $10)
         ON CONFLICT (guresid, driver_type) WHERE state IN ('held', 'pending', 'given up')
         DO UPDATE SET state = 'pending', attempt = 0",
    )
    .bind(Uuid::new_v4().to_string())
    .bind(scope.org())
    .bind(scope.app())
    .bind(scope.env())
    .bind(format!("{}/{}/{}", scope.org(), scope.app(), scope.env()))
    .bind(TARGET)
    .bind(written(&all, "removal", "depends_on")?)
    .bind(asked.reason)
    .bind(asked.by)
    .bind(asked.at.as_microsecond())
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// The removals of an environment, the newest first.
///
/// # Errors
/// When the database fails.
pub async fn list(conn: &mut AnyConnection, scope: &EnvScope) -> Result<Vec<StoredRemoval>> {
    // What was or is to be freed here?
    query(
        "SELECT * FROM removal WHERE org_id = $1 AND app_id = $2 AND env_id = $3
          ORDER BY requested_at DESC, id",
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

/// The removals of an environment that are not over.
///
/// # Errors
/// When the database fails.
pub async fn open(conn: &mut AnyConnection, scope: &EnvScope) -> Result<Vec<StoredRemoval>> {
    // What is still to be freed here?
    query(
        "SELECT * FROM removal WHERE org_id = $1 AND app_id = $2 AND env_id = $3
            AND state IN ('held', 'pending', 'given up') ORDER BY requested_at, id",
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

/// Tries again at once what waits for another attempt or was given up.
///
/// # Errors
/// When the database fails.
pub async fn try_again(tx: &mut Tx, scope: &EnvScope, now: Timestamp) -> Result<()> {
    // What nobody works on can be claimed from now on.
    query(
        "UPDATE removal
            SET attempt = CASE state WHEN 'pending' THEN attempt ELSE 0 END,
                state = 'pending', lease_until = 0, changed_at = $4
          WHERE org_id = $1 AND app_id = $2 AND env_id = $3
            AND state IN ('pending', 'given up') AND lease_owner = ''",
    )
    .bind(scope.org())
    .bind(scope.app())
    .bind(scope.env())
    .bind(now.as_microsecond())
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// Frees all that is held: the environment goes, so no deployment will come.
///
/// # Errors
/// When the database fails.
pub async fn release_all(tx: &mut Tx, scope: &EnvScope, now: Timestamp) -> Result<()> {
    // What was held is to be freed.
    query(
        "UPDATE removal SET state = 'pending', changed_at = $4
          WHERE org_id = $1 AND app_id = $2 AND env_id = $3 AND state = 'held'",
    )
    .bind(scope.org())
    .bind(scope.app())
    .bind(scope.env())
    .bind(now.as_microsecond())
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// Ends an open removal and leaves the real thing alone; false when there is no such removal, or it
/// is being worked on. The resource, if it still shows it, is forgotten.
///
/// # Errors
/// When the database fails.
pub async fn detach(tx: &mut Tx, scope: &EnvScope, id: &str, asked: Asked<'_>) -> Result<bool> {
    // Which one is it?
    let row = query(
        "UPDATE removal SET state = 'detached', changed_at = $5, requested_by = $6
          WHERE org_id = $1 AND app_id = $2 AND env_id = $3 AND id = $4
            AND state IN ('held', 'pending', 'given up') AND lease_owner = ''
         RETURNING *",
    )
    .bind(scope.org())
    .bind(scope.app())
    .bind(scope.env())
    .bind(id)
    .bind(asked.at.as_microsecond())
    .bind(asked.by)
    .fetch_optional(&mut **tx)
    .await?;
    let Some(row) = row else { return Ok(false) };
    forget_if_same(tx, scope, &row).await?;
    Ok(true)
}

/// Forgets the active resource that a removal was about, unless another driver has it by now.
async fn forget_if_same(tx: &mut Tx, scope: &EnvScope, removal: &AnyRow) -> Result<()> {
    let key = key_of(removal)?;
    // Is it still what this driver made?
    let same = query(
        "SELECT 1 FROM active_resource
          WHERE org_id = $1 AND app_id = $2 AND env_id = $3
            AND type = $4 AND class = $5 AND res_id = $6 AND guresid = $7 AND driver_type = $8",
    )
    .bind(scope.org())
    .bind(scope.app())
    .bind(scope.env())
    .bind(&*key.resource_type)
    .bind(&*key.class)
    .bind(&*key.id)
    .bind(removal.text("guresid")?)
    .bind(removal.text("driver_type")?)
    .fetch_optional(&mut **tx)
    .await?;
    if same.is_some() && removal.flag("is_current")? {
        active_resource::forget(tx, scope, &key).await?;
    }
    Ok(())
}

/// Frees what earlier drivers made of resources, now that a deployment has succeeded in which other
/// drivers made them.
pub(crate) async fn release(
    tx: &mut Tx,
    scope: &EnvScope,
    deployment: &str,
    now: i64,
) -> Result<()> {
    // What was held is to be freed. A resource that the deployment does not have is none of its
    // business: what runs of it stays.
    query(
        "UPDATE removal SET state = 'pending', changed_at = $4
          WHERE org_id = $1 AND app_id = $2 AND env_id = $3 AND state = 'held'
            AND guresid IN (SELECT guresid FROM node WHERE deployment_id = $5)",
    )
    .bind(scope.org())
    .bind(scope.app())
    .bind(scope.env())
    .bind(now)
    .bind(deployment)
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// Frees what a deployment that has succeeded does not need, if that was asked for.
pub(crate) async fn prune(
    tx: &mut Tx,
    scope: &EnvScope,
    deployment: &str,
    now: Timestamp,
) -> Result<()> {
    // Was it asked for, and by whom?
    let row = query("SELECT created_by FROM deployment WHERE id = $1 AND prune = 1")
        .bind(deployment)
        .fetch_optional(&mut **tx)
        .await?;
    let Some(row) = row else { return Ok(()) };
    let by = row.text("created_by")?;
    // Which resources does its graph have?
    let needed: BTreeSet<String> = query("SELECT guresid FROM node WHERE deployment_id = $1")
        .bind(deployment)
        .fetch_all(&mut **tx)
        .await?
        .iter()
        .map(|row| row.text("guresid"))
        .collect::<Result<_>>()?;
    let reason = format!("the deployment {deployment} does not need it");
    let asked = Asked { by: &by, reason: &reason, forced: false, at: now };
    for resource in active_resource::list(&mut *tx, scope).await? {
        if needed.contains(&resource.guresid) {
            continue;
        }
        if builtin::changes_nothing(&resource.driver_type) {
            forget(tx, scope, &resource, Left::Forgotten, asked).await?;
        } else {
            ask(tx, scope, &resource.key(), asked).await?;
        }
    }
    Ok(())
}

/// What drivers made in an environment before a deployment: who takes a resource over from whom.
pub(crate) struct Earlier {
    /// Whether any resource was made by a driver that changes the world.
    external: bool,
    /// What is still to be freed: GUResID and driver.
    open: BTreeSet<(String, String)>,
}

impl Earlier {
    pub(crate) async fn load(conn: &mut AnyConnection, scope: &EnvScope) -> Result<Self> {
        let drivers = environment::driver_types(conn, scope).await?;
        let external = drivers.iter().any(|driver| !builtin::changes_nothing(driver));
        let open = open(conn, scope).await?.into_iter();
        Ok(Self { external, open: open.map(|row| (row.guresid, row.driver_type)).collect() })
    }

    /// Before a resource is recorded as made by its driver: what another driver made of it is to be
    /// freed once the deployment has succeeded, and what this one made is not to be freed any more.
    pub(crate) async fn give_way(
        &mut self,
        tx: &mut Tx,
        scope: &EnvScope,
        node: &NodeRow,
        now: i64,
    ) -> Result<()> {
        let driver_type = node.definition.driver_type();
        let known = (node.guresid.clone(), driver_type.to_owned());
        if self.open.remove(&known) {
            // It is needed again.
            drop_open(tx, &known.0, &known.1).await?;
        }
        if node.definition.effective().in_place_driver_change {
            if self.open.iter().any(|(guresid, _)| *guresid == node.guresid) {
                // It is taken over as it is, whatever an earlier deployment meant to do with it.
                query(
                    "UPDATE removal SET state = 'detached', changed_at = $2
                      WHERE guresid = $1 AND state IN ('held', 'pending', 'given up')",
                )
                .bind(&node.guresid)
                .bind(now)
                .execute(&mut **tx)
                .await?;
            }
            return Ok(());
        }
        if !self.external {
            return Ok(());
        }
        // Which driver made the resource last?
        let row = query(
            "SELECT driver_type FROM active_resource
              WHERE org_id = $1 AND app_id = $2 AND env_id = $3
                AND type = $4 AND class = $5 AND res_id = $6",
        )
        .bind(scope.org())
        .bind(scope.app())
        .bind(scope.env())
        .bind(&*node.key.resource_type)
        .bind(&*node.key.class)
        .bind(&*node.key.id)
        .fetch_optional(&mut **tx)
        .await?;
        let Some(row) = row else { return Ok(()) };
        let made_by = row.text("driver_type")?;
        if builtin::changes_nothing(&made_by) || same(tx, scope, &made_by, driver_type).await? {
            return Ok(());
        }
        // What it made is not used any more when this deployment succeeds.
        query(
            "INSERT INTO removal (id, org_id, app_id, env_id, type, class, res_id, guresid,
                     driver_type, driver_account, cookie, depends_on, is_current, is_forced, reason,
                     requested_by, requested_at, state, attempt, changed_at)
             SELECT $7, org_id, app_id, env_id, type, class, res_id, guresid, driver_type,
                    driver_account, cookie, '[]', 0, 0, $8, '', $9, 'held', 0, $9
               FROM active_resource
              WHERE org_id = $1 AND app_id = $2 AND env_id = $3
                AND type = $4 AND class = $5 AND res_id = $6
             ON CONFLICT (guresid, driver_type) WHERE state IN ('held', 'pending', 'given up')
             DO UPDATE SET cookie = excluded.cookie, driver_account = excluded.driver_account,
                    is_current = 0, depends_on = '[]', attempt = 0,
                    state = CASE removal.state WHEN 'given up' THEN 'held' ELSE removal.state END",
        )
        .bind(scope.org())
        .bind(scope.app())
        .bind(scope.env())
        .bind(&*node.key.resource_type)
        .bind(&*node.key.class)
        .bind(&*node.key.id)
        .bind(Uuid::new_v4().to_string())
        .bind(format!("the driver {driver_type} took over"))
        .bind(now)
        .execute(&mut **tx)
        .await?;
        Ok(())
    }
}

/// Whether two drivers are the same under two names: an alias, or two registered drivers at one
/// target. What the one made is what the other knows.
async fn same(tx: &mut Tx, scope: &EnvScope, one: &str, other: &str) -> Result<bool> {
    if builtin::canonical(one) == builtin::canonical(other) {
        return Ok(true);
    }
    let org = scope.in_app().in_org();
    let own = format!("{}/", org.org());
    let mut targets = Vec::new();
    for name in [one, other] {
        let Some(id) = name.strip_prefix(&own) else { return Ok(false) };
        let found = driver::find(&mut *tx, org, id).await?;
        targets.push(found.map(|row| driver::registered(&row).target));
    }
    let mut targets =
        targets.iter().map(|target| target.as_deref().map(|t| t.trim_end_matches('/')));
    Ok(matches!((targets.next(), targets.next()), (Some(Some(a)), Some(Some(b))) if a == b))
}

fn from_row(row: &AnyRow) -> Result<StoredRemoval> {
    Ok(StoredRemoval {
        id: row.text("id")?,
        key: key_of(row)?,
        guresid: row.text("guresid")?,
        driver_type: row.text("driver_type")?,
        is_forced: row.flag("is_forced")?,
        reason: row.text("reason")?,
        requested_by: row.text("requested_by")?,
        requested_at: row.time("requested_at")?,
        state: row.text("state")?,
        attempt: row.number("attempt")?,
        error: row.document_or_null("removal", "error")?,
        changed_at: row.time("changed_at")?,
    })
}

fn key_of(row: &AnyRow) -> Result<ResourceKey> {
    Ok(ResourceKey::new(&row.text("type")?, &row.text("class")?, &row.text("res_id")?))
}

impl SqlJournal {
    async fn claim_removal(&self) -> Result<Option<RemovalJob>> {
        let now = self.now();
        {
            let mut conn = self.db.read().await?;
            // Is anything to be freed? Asked first, so that an idle server never writes.
            let any =
                query("SELECT 1 FROM removal WHERE state = 'pending' AND lease_until < $1 LIMIT 1")
                    .bind(now)
                    .fetch_optional(&mut *conn)
                    .await?;
            if any.is_none() {
                return Ok(None);
            }
        }
        let mut tx = self.db.write().await?;
        // The oldest that nobody works on is ours, unless something that depends on it is still
        // there, or its environment is being deployed.
        let row = query(
            "UPDATE removal
                SET lease_owner = $2, lease_epoch = lease_epoch + 1, lease_until = $3,
                    attempt = attempt + 1
              WHERE id = (SELECT r.id FROM removal r
                           WHERE r.state = 'pending' AND r.lease_until < $1
                             AND NOT EXISTS (SELECT 1 FROM removal b
                                   WHERE b.org_id = r.org_id AND b.app_id = r.app_id
                                     AND b.env_id = r.env_id AND b.id <> r.id
                                     AND b.state IN ('pending', 'given up')
                                     AND b.depends_on LIKE '%\"' || r.guresid || '\"%')
                             AND NOT EXISTS (SELECT 1 FROM deployment d
                                   WHERE d.org_id = r.org_id AND d.app_id = r.app_id
                                     AND d.env_id = r.env_id
                                     AND d.status IN ('pending', 'in progress'))
                           ORDER BY r.requested_at, r.id LIMIT 1)
             RETURNING *",
        )
        .bind(now)
        .bind(&self.owner)
        .bind(self.until())
        .fetch_optional(&mut *tx)
        .await?;
        let job = match row {
            Some(row) => Some(job(&mut tx, &row).await?),
            None => None,
        };
        commit(tx).await?;
        Ok(job)
    }

    /// A transaction in which the lease on the removal is held.
    async fn fenced_removal(&self, job: &RemovalJob) -> Result<Tx> {
        let mut tx = self.db.write().await?;
        // It is still ours, and stays so for a while.
        let done = query(
            "UPDATE removal SET lease_until = $3
              WHERE id = $1 AND lease_epoch = $2 AND state = 'pending'",
        )
        .bind(&job.id)
        .bind(job.epoch)
        .bind(self.until())
        .execute(&mut *tx)
        .await?;
        if done.rows_affected() == 1 { Ok(tx) } else { Err(Error::Fenced) }
    }

    async fn write_freed(&self, job: &RemovalJob) -> Result<()> {
        let mut tx = self.fenced_removal(job).await?;
        // Whose is it, and does the resource go with it?
        let row =
            query("SELECT * FROM removal WHERE id = $1").bind(&job.id).fetch_one(&mut *tx).await?;
        let env = env_of(&row)?;
        // It is over; the row stays as a record.
        query(
            "UPDATE removal SET state = 'freed', changed_at = $2, error = NULL, cookie = '',
                    lease_owner = '', lease_until = 0
              WHERE id = $1",
        )
        .bind(&job.id)
        .bind(self.now())
        .execute(&mut *tx)
        .await?;
        forget_if_same(&mut tx, &env, &row).await?;
        end_environment(&mut tx, &env).await?;
        commit(tx).await
    }

    async fn write_failed(&self, job: &RemovalJob, error: &NodeError, again: Again) -> Result<()> {
        let mut tx = self.fenced_removal(job).await?;
        let now = self.now();
        let (state, until) = match again {
            Again::WhenAsked => ("given up", 0),
            Again::After(wait) => {
                let wait = i64::try_from(wait.as_micros()).unwrap_or(i64::MAX);
                ("pending", now.saturating_add(wait))
            }
        };
        // Why it failed, and when it is tried again.
        query(
            "UPDATE removal SET state = $2, error = $3, lease_until = $4, lease_owner = '',
                    changed_at = $5
              WHERE id = $1",
        )
        .bind(&job.id)
        .bind(state)
        .bind(written(error, "removal", "error")?)
        .bind(until)
        .bind(now)
        .execute(&mut *tx)
        .await?;
        commit(tx).await
    }

    async fn write_removal_cookie(
        &self,
        job: &RemovalJob,
        cookie: &downbeat_core::SecretRef,
    ) -> Result<()> {
        let mut tx = self.fenced_removal(job).await?;
        // What the driver wants to know next time.
        query("UPDATE removal SET cookie = $2 WHERE id = $1")
            .bind(&job.id)
            .bind(written(cookie, "removal", "cookie")?)
            .execute(&mut *tx)
            .await?;
        // Also for a deployment that may need the resource again.
        query("UPDATE active_resource SET cookie = $3 WHERE guresid = $1 AND driver_type = $2")
            .bind(&job.guresid)
            .bind(&job.driver_type)
            .bind(written(cookie, "removal", "cookie")?)
            .execute(&mut *tx)
            .await?;
        commit(tx).await
    }
}

/// Removes an environment that is being deleted and of which nothing is left to free, and its
/// application if that is being deleted too.
///
/// # Errors
/// When the database fails.
pub async fn end_environment(tx: &mut Tx, scope: &EnvScope) -> Result<()> {
    let env = environment::find(&mut *tx, scope).await?;
    if env.is_some_and(|env| env.status == "deleting") && open(&mut *tx, scope).await?.is_empty() {
        environment::delete(tx, scope).await?;
        end_application(tx, scope.in_app()).await?;
    }
    Ok(())
}

/// Removes an application that is being deleted and has no environments left.
///
/// # Errors
/// When the database fails.
pub async fn end_application(tx: &mut Tx, scope: &AppScope) -> Result<()> {
    let app = application::find(&mut *tx, scope).await?;
    if app.is_some_and(|app| app.status == "deleting")
        && environment::list(&mut *tx, scope).await?.is_empty()
    {
        application::delete(tx, scope).await?;
        user::remove_roles_on(tx, scope.in_org(), &format!("/apps/{}", scope.app())).await?;
    }
    Ok(())
}

async fn job(tx: &mut Tx, row: &AnyRow) -> Result<RemovalJob> {
    let env = env_of(row)?;
    let driver_type = row.text("driver_type")?;
    let org = env.in_app().in_org();
    let own = driver_type.strip_prefix(&format!("{}/", org.org())).map(str::to_owned);
    let registered = match own {
        Some(id) => driver::find(&mut *tx, org, &id).await?,
        None => None,
    };
    let account = match row.text("driver_account")? {
        id if id.is_empty() => None,
        id => account::find(&mut *tx, org, &id).await?,
    };
    let cluster = if driver_type == TARGET { cluster(&mut *tx, &env).await? } else { None };
    Ok(RemovalJob {
        id: row.text("id")?,
        epoch: row.number("lease_epoch")?,
        attempt: row.number("attempt")?,
        requested_at: row.time("requested_at")?,
        reason: row.text("reason")?,
        org: env.org().to_owned(),
        app: env.app().to_owned(),
        env: env.env().to_owned(),
        key: key_of(row)?,
        guresid: row.text("guresid")?,
        driver_type,
        target: registered.map(|row| driver::registered(&row).target).unwrap_or_default(),
        cookie: match row.text("cookie")?.is_empty() {
            true => None,
            false => Some(row.document("removal", "cookie")?),
        },
        account: account.map(|account| account.credentials),
        cluster: cluster.unwrap_or_default(),
    })
}

/// What the cluster of an environment put out in the deployment that was delivered last; nothing
/// when none was.
async fn cluster(conn: &mut AnyConnection, env: &EnvScope) -> Result<Option<Outputs>> {
    let key = cluster_key();
    // What came of the cluster's node?
    let row = query(
        "SELECT n.result FROM environment e
           JOIN deployment d ON d.org_id = e.org_id AND d.app_id = e.app_id AND d.env_id = e.id
                AND d.created_at >= e.created_at AND d.status = 'succeeded'
           JOIN node n ON n.deployment_id = d.id
          WHERE e.org_id = $1 AND e.app_id = $2 AND e.id = $3
            AND n.type = $4 AND n.class = $5 AND n.res_id = $6 AND n.result IS NOT NULL
          ORDER BY d.number DESC LIMIT 1",
    )
    .bind(env.org())
    .bind(env.app())
    .bind(env.env())
    .bind(&*key.resource_type)
    .bind(&*key.class)
    .bind(&*key.id)
    .fetch_optional(conn)
    .await?;
    let result = row.map(|row| row.document::<NodeResult>("node", "result")).transpose()?;
    Ok(result.map(|result| result.outputs))
}

impl Removals for SqlJournal {
    fn claim(&self) -> Journalled<'_, Option<RemovalJob>> {
        journalled(self.claim_removal())
    }

    fn renew<'a>(&'a self, job: &'a RemovalJob) -> Journalled<'a, ()> {
        journalled(async move { commit(self.fenced_removal(job).await?).await })
    }

    fn keep<'a>(
        &'a self,
        job: &'a RemovalJob,
        cookie: &'a downbeat_core::SecretRef,
    ) -> Journalled<'a, ()> {
        journalled(self.write_removal_cookie(job, cookie))
    }

    fn freed<'a>(&'a self, job: &'a RemovalJob) -> Journalled<'a, ()> {
        journalled(self.write_freed(job))
    }

    fn failed<'a>(
        &'a self,
        job: &'a RemovalJob,
        error: &'a NodeError,
        again: Again,
    ) -> Journalled<'a, ()> {
        journalled(self.write_failed(job, error, again))
    }
}
