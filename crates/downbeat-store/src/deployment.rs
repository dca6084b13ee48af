//! Deployments: rows, their errors and their progress.
//!
//! ```text
//! pending ──engine claims──▶ in progress ──▶ succeeded
//!                                      └───▶ failed
//! ```
//!
//! The API creates a row in `pending`; every later change is the engine's (`journal.rs`). A partial
//! unique index allows one row per environment in the first two states.

use downbeat_core::Json;
use jiff::Timestamp;
use sqlx::{AnyConnection, any::AnyRow, query};

use crate::{
    AppScope, EnvScope, Result, Tx,
    row::{Columns as _, written},
};

/// A deployment that waits for the engine.
pub const PENDING: &str = "pending";
/// A deployment of which everything is in the target.
pub const SUCCEEDED: &str = "succeeded";

/// A deployment.
#[derive(Clone, Debug)]
pub struct Deployment {
    /// Id, 16 lower-case hex characters.
    pub id: String,
    /// 1, 2, ... within the environment.
    pub number: i64,
    /// Environment.
    pub env_id: String,
    /// Type of the environment at that time.
    pub env_type: String,
    /// Deployment that was the base; empty for the first.
    pub from_id: String,
    /// Delta that was applied to the base.
    pub delta_id: Option<String>,
    /// Set that is deployed.
    pub set_id: String,
    /// Version of the shared values, frozen at creation.
    pub value_set_version_id: Option<String>,
    /// Comment of the caller; may be empty.
    pub comment: String,
    /// `full` or `incremental`.
    pub mode: String,
    /// Pipeline that asked for it, as on the wire.
    pub pipeline: Option<Json>,
    /// `pending`, `in progress`, `succeeded` or `failed`.
    pub status: String,
    /// When the status changed last.
    pub status_changed_at: Timestamp,
    /// `read`, `match`, `create`, `deploy` or `done`.
    pub phase: String,
    /// When it was asked for.
    pub created_at: Timestamp,
    /// Who asked for it.
    pub created_by: String,
    /// Graph that was built for it.
    pub graph_id: Option<String>,
    /// What the target answered.
    pub delivery: Option<Json>,
}

/// Something that went wrong in a deployment.
#[derive(Clone, Debug)]
pub struct DeploymentError {
    /// `workload`, `resource`, `deployment` or `environment`.
    pub scope: String,
    /// Workload id, or the resource as `type.class#id`.
    pub object_id: String,
    /// Code of `docs/errors`.
    pub code: String,
    /// Class of the error.
    pub error_type: String,
    /// One line.
    pub summary: String,
    /// The whole message.
    pub message: String,
}

/// One node of a deployment's graph, as far as it got.
#[derive(Clone, Debug)]
pub struct NodeProgress {
    /// Permanent id of the resource.
    pub guresid: String,
    /// Resource type.
    pub resource_type: String,
    /// Resource class.
    pub class: String,
    /// Resource id.
    pub res_id: String,
    /// Definition that matched.
    pub def_id: String,
    /// Driver that makes it.
    pub driver_type: String,
    /// `pending`, `running`, `ready` or `failed`.
    pub state: String,
    /// Attempts so far.
    pub attempt: i64,
    /// When the last attempt started.
    pub started_at: Option<Timestamp>,
    /// When it ended.
    pub finished_at: Option<Timestamp>,
    /// Code and message of a failure.
    pub error: Option<Json>,
}

/// Stores a new deployment under the next number of its environment and makes it the last one and
/// the base of the next one. `number` of the argument is not read; the answer is the number given.
///
/// With `prune`, what its graph does not need is freed once it has succeeded.
///
/// # Errors
/// [`crate::Error::Conflict`] when a deployment of the environment is under way.
pub async fn create(
    tx: &mut Tx,
    scope: &EnvScope,
    deployment: &Deployment,
    prune: bool,
) -> Result<i64> {
    // The next number of this environment.
    let number = query(
        "SELECT COALESCE(MAX(number), 0) + 1 AS number FROM deployment \
         WHERE org_id = $1 AND app_id = $2 AND env_id = $3",
    )
    .bind(scope.org())
    .bind(scope.app())
    .bind(scope.env())
    .fetch_one(&mut **tx)
    .await?
    .number("number")?;
    let pipeline = deployment.pipeline.as_ref();
    // A deployment that the engine may claim from now on.
    query(
        "INSERT INTO deployment (id, number, org_id, app_id, env_id, env_type, from_id, delta_id, \
                                 set_id, value_set_version_id, comment, mode, pipeline, status, \
                                 status_changed_at, phase, created_at, created_by, prune) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, \
                 $19)",
    )
    .bind(&deployment.id)
    .bind(number)
    .bind(scope.org())
    .bind(scope.app())
    .bind(scope.env())
    .bind(&deployment.env_type)
    .bind(&deployment.from_id)
    .bind(deployment.delta_id.as_deref())
    .bind(&deployment.set_id)
    .bind(deployment.value_set_version_id.as_deref())
    .bind(&deployment.comment)
    .bind(&deployment.mode)
    .bind(pipeline.map(|pipeline| written(pipeline, "deployment", "pipeline")).transpose()?)
    .bind(&deployment.status)
    .bind(deployment.status_changed_at.as_microsecond())
    .bind(&deployment.phase)
    .bind(deployment.created_at.as_microsecond())
    .bind(&deployment.created_by)
    .bind(i64::from(prune))
    .execute(&mut **tx)
    .await?;
    // The environment moves on to it.
    query(
        "UPDATE environment SET from_deploy_id = $4, last_deploy_id = $4 \
         WHERE org_id = $1 AND app_id = $2 AND id = $3",
    )
    .bind(scope.org())
    .bind(scope.app())
    .bind(scope.env())
    .bind(&deployment.id)
    .execute(&mut **tx)
    .await?;
    Ok(number)
}

/// The version of the shared values that a deployment freezes: the given one if it belongs to the
/// environment or its application, otherwise the newest one. An environment that never had an
/// override has no versions of its own; then those of the application count.
///
/// # Errors
/// When the database fails.
pub async fn value_set_version(
    conn: &mut AnyConnection,
    scope: &EnvScope,
    id: Option<&str>,
) -> Result<Option<String>> {
    // Which version of the values has this id, or is the newest?
    query(
        "SELECT id FROM value_set_version
          WHERE org_id = $1 AND app_id = $2 AND env_id IN ($3, '') AND ($4 = '' OR id = $4)
          ORDER BY CASE env_id WHEN '' THEN 1 ELSE 0 END, number DESC LIMIT 1",
    )
    .bind(scope.org())
    .bind(scope.app())
    .bind(scope.env())
    .bind(id.unwrap_or_default())
    .fetch_optional(conn)
    .await?
    .map(|row| row.text("id"))
    .transpose()
}

/// The environment's deployment of this id.
///
/// # Errors
/// When the database fails.
pub async fn find(
    conn: &mut AnyConnection,
    scope: &EnvScope,
    id: &str,
) -> Result<Option<Deployment>> {
    // Which deployment of this environment has this id?
    query(
        "SELECT * FROM deployment \
         WHERE org_id = $1 AND app_id = $2 AND env_id = $3 AND id = $4",
    )
    .bind(scope.org())
    .bind(scope.app())
    .bind(scope.env())
    .bind(id)
    .fetch_optional(conn)
    .await?
    .as_ref()
    .map(from_row)
    .transpose()
}

/// The deployment of this id in any environment of the application: what a rebase may name.
///
/// # Errors
/// When the database fails.
pub async fn find_in_app(
    conn: &mut AnyConnection,
    scope: &AppScope,
    id: &str,
) -> Result<Option<Deployment>> {
    // Which deployment of this application has this id?
    query("SELECT * FROM deployment WHERE org_id = $1 AND app_id = $2 AND id = $3")
        .bind(scope.org())
        .bind(scope.app())
        .bind(id)
        .fetch_optional(conn)
        .await?
        .as_ref()
        .map(from_row)
        .transpose()
}

/// The deployments of an environment, newest first.
///
/// # Errors
/// When the database fails.
pub async fn list(conn: &mut AnyConnection, scope: &EnvScope) -> Result<Vec<Deployment>> {
    // What was deployed here?
    query(
        "SELECT * FROM deployment WHERE org_id = $1 AND app_id = $2 AND env_id = $3 \
         ORDER BY number DESC",
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

/// Id of the environment's deployment that is under way, if any.
///
/// # Errors
/// When the database fails.
pub async fn under_way(conn: &mut AnyConnection, scope: &EnvScope) -> Result<Option<String>> {
    // Is a deployment of this environment waiting or running?
    query(
        "SELECT id FROM deployment WHERE org_id = $1 AND app_id = $2 AND env_id = $3 \
         AND status IN ('pending', 'in progress')",
    )
    .bind(scope.org())
    .bind(scope.app())
    .bind(scope.env())
    .fetch_optional(conn)
    .await?
    .map(|row| row.text("id"))
    .transpose()
}

/// The errors of a deployment that [`find`] returned, in the order they happened.
///
/// # Errors
/// When the database fails.
pub async fn errors(
    conn: &mut AnyConnection,
    deployment: &Deployment,
) -> Result<Vec<DeploymentError>> {
    // What went wrong in this deployment?
    query("SELECT * FROM deployment_error WHERE deployment_id = $1 ORDER BY number")
        .bind(&deployment.id)
        .fetch_all(conn)
        .await?
        .iter()
        .map(|row| {
            Ok(DeploymentError {
                scope: row.text("scope")?,
                object_id: row.text("object_id")?,
                code: row.text("code")?,
                error_type: row.text("error_type")?,
                summary: row.text("summary")?,
                message: row.text("message")?,
            })
        })
        .collect()
}

/// The nodes of a deployment that [`find`] returned, in provisioning order. Their outputs are not
/// read.
///
/// # Errors
/// When the database fails.
pub async fn progress(
    conn: &mut AnyConnection,
    deployment: &Deployment,
) -> Result<Vec<NodeProgress>> {
    // How far is each node of this deployment?
    query(
        "SELECT guresid, type, class, res_id, def_id, driver_type, state, attempt, started_at, \
                finished_at, error \
         FROM node WHERE deployment_id = $1 ORDER BY position",
    )
    .bind(&deployment.id)
    .fetch_all(conn)
    .await?
    .iter()
    .map(|row| {
        Ok(NodeProgress {
            guresid: row.text("guresid")?,
            resource_type: row.text("type")?,
            class: row.text("class")?,
            res_id: row.text("res_id")?,
            def_id: row.text("def_id")?,
            driver_type: row.text("driver_type")?,
            state: row.text("state")?,
            attempt: row.number("attempt")?,
            started_at: row.time_or_null("started_at")?,
            finished_at: row.time_or_null("finished_at")?,
            error: row.document_or_null("node", "error")?,
        })
    })
    .collect()
}

pub(crate) fn from_row(row: &AnyRow) -> Result<Deployment> {
    Ok(Deployment {
        id: row.text("id")?,
        number: row.number("number")?,
        env_id: row.text("env_id")?,
        env_type: row.text("env_type")?,
        from_id: row.text("from_id")?,
        delta_id: row.text_or_null("delta_id")?,
        set_id: row.text("set_id")?,
        value_set_version_id: row.text_or_null("value_set_version_id")?,
        comment: row.text("comment")?,
        mode: row.text("mode")?,
        pipeline: row.document_or_null("deployment", "pipeline")?,
        status: row.text("status")?,
        status_changed_at: row.time("status_changed_at")?,
        phase: row.text("phase")?,
        created_at: row.time("created_at")?,
        created_by: row.text("created_by")?,
        graph_id: row.text_or_null("graph_id")?,
        delivery: row.document_or_null("deployment", "delivery")?,
    })
}
