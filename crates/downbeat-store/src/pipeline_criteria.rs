//! Criteria of pipelines: which requests for a deployment go to which pipeline.

use downbeat_core::JsonMap;
use jiff::Timestamp;
use sqlx::{AnyConnection, any::AnyRow, query};

use crate::{
    AppScope, Result, Tx,
    row::{Columns as _, written},
};

/// A criteria. What is empty matches anything.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PipelineCriteria {
    /// Its id.
    pub id: String,
    /// The pipeline.
    pub pipeline_id: String,
    /// Name of the pipeline now. Not read when a criteria is created.
    pub pipeline_name: String,
    /// The trigger.
    pub trigger: String,
    /// Type of the environment.
    pub env_type: String,
    /// Id of the environment.
    pub env_id: String,
    /// `deploy` or `redeploy`.
    pub deployment_type: String,
    /// The members as they were sent.
    pub said: JsonMap,
    /// When it was created.
    pub created_at: Timestamp,
    /// Id of the user who created it.
    pub created_by: String,
}

/// A statement for what [`read`] reads.
macro_rules! select {
    ($rest:literal) => {
        concat!(
            "SELECT c.id, c.pipeline_id, v.name AS pipeline_name, c.trigger_type, c.env_type,
                    c.env_id, c.deployment_type, c.said, c.created_at, c.created_by
               FROM pipeline_criteria c
               JOIN pipeline p
                 ON p.org_id = c.org_id AND p.app_id = c.app_id AND p.id = c.pipeline_id
               JOIN pipeline_version v ON v.id = p.version_id
              WHERE c.org_id = $1 AND c.app_id = $2",
            $rest
        )
    };
}

fn read(row: &AnyRow) -> Result<PipelineCriteria> {
    Ok(PipelineCriteria {
        id: row.text("id")?,
        pipeline_id: row.text("pipeline_id")?,
        pipeline_name: row.text("pipeline_name")?,
        trigger: row.text("trigger_type")?,
        env_type: row.text("env_type")?,
        env_id: row.text("env_id")?,
        deployment_type: row.text("deployment_type")?,
        said: row.document("pipeline_criteria", "said")?,
        created_at: row.time("created_at")?,
        created_by: row.text("created_by")?,
    })
}

/// Adds a criteria.
///
/// # Errors
/// [`crate::Error::Conflict`] when the application has one that matches the same.
pub async fn create(tx: &mut Tx, scope: &AppScope, new: &PipelineCriteria) -> Result<()> {
    // A new criteria.
    query(
        "INSERT INTO pipeline_criteria
             (id, org_id, app_id, pipeline_id, trigger_type, env_type, env_id, deployment_type,
              said, created_at, created_by)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)",
    )
    .bind(&new.id)
    .bind(scope.org())
    .bind(scope.app())
    .bind(&new.pipeline_id)
    .bind(&new.trigger)
    .bind(&new.env_type)
    .bind(&new.env_id)
    .bind(&new.deployment_type)
    .bind(written(&new.said, "pipeline_criteria", "said")?)
    .bind(new.created_at.as_microsecond())
    .bind(&new.created_by)
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// The criteria of all pipelines of an application, oldest first.
///
/// # Errors
/// When the database fails.
pub async fn list(conn: &mut AnyConnection, scope: &AppScope) -> Result<Vec<PipelineCriteria>> {
    // Which criteria does the application have?
    query(select!(" ORDER BY c.created_at, c.id"))
        .bind(scope.org())
        .bind(scope.app())
        .fetch_all(conn)
        .await?
        .iter()
        .map(read)
        .collect()
}

/// One criteria of a pipeline.
///
/// # Errors
/// When the database fails.
pub async fn find(
    conn: &mut AnyConnection,
    scope: &AppScope,
    pipeline: &str,
    id: &str,
) -> Result<Option<PipelineCriteria>> {
    // Does the pipeline have this criteria?
    query(select!(" AND c.pipeline_id = $3 AND c.id = $4"))
        .bind(scope.org())
        .bind(scope.app())
        .bind(pipeline)
        .bind(id)
        .fetch_optional(conn)
        .await?
        .as_ref()
        .map(read)
        .transpose()
}

/// Removes a criteria.
///
/// # Errors
/// When the database fails.
pub async fn delete(tx: &mut Tx, scope: &AppScope, id: &str) -> Result<()> {
    // The criteria goes.
    query("DELETE FROM pipeline_criteria WHERE org_id = $1 AND app_id = $2 AND id = $3")
        .bind(scope.org())
        .bind(scope.app())
        .bind(id)
        .execute(&mut **tx)
        .await?;
    Ok(())
}
