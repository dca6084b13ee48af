//! Resource graphs as they were built, named by their hash within an environment.

use downbeat_core::Json;
use jiff::Timestamp;
use sqlx::{AnyConnection, any::AnyRow, query};

use crate::{
    EnvScope, Result, Tx,
    row::{Columns as _, written},
};

/// A stored graph.
#[derive(Clone, Debug)]
pub struct StoredGraph {
    /// Id, a UUID.
    pub id: String,
    /// SHA-256 of the ordered list of nodes, lower-case hex.
    pub hash: String,
    /// The nodes in provisioning order, as the v1 API shows them.
    pub nodes: Vec<Json>,
    /// When it was built for the first time.
    pub created_at: Timestamp,
    /// When it was built or deployed last.
    pub used_at: Timestamp,
}

/// Stores a graph. When the environment has one of this hash already, that one is kept and only
/// its `used_at` moves; the answer is the row as it is then.
///
/// # Errors
/// When the database fails.
pub async fn put(tx: &mut Tx, scope: &EnvScope, graph: &StoredGraph) -> Result<StoredGraph> {
    // A new graph, or a new use of the one with this hash.
    let row = query(
        "INSERT INTO graph (id, org_id, app_id, env_id, hash, nodes, created_at, used_at) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8) \
         ON CONFLICT (org_id, app_id, env_id, hash) DO UPDATE SET used_at = excluded.used_at \
         RETURNING *",
    )
    .bind(&graph.id)
    .bind(scope.org())
    .bind(scope.app())
    .bind(scope.env())
    .bind(&graph.hash)
    .bind(written(&graph.nodes, "graph", "nodes")?)
    .bind(graph.created_at.as_microsecond())
    .bind(graph.used_at.as_microsecond())
    .fetch_one(&mut **tx)
    .await?;
    from_row(&row)
}

/// The environment's graph of this id.
///
/// # Errors
/// When the database fails.
pub async fn find(
    conn: &mut AnyConnection,
    scope: &EnvScope,
    id: &str,
) -> Result<Option<StoredGraph>> {
    // Which graph has this id?
    query("SELECT * FROM graph WHERE org_id = $1 AND app_id = $2 AND env_id = $3 AND id = $4")
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

fn from_row(row: &AnyRow) -> Result<StoredGraph> {
    Ok(StoredGraph {
        id: row.text("id")?,
        hash: row.text("hash")?,
        nodes: row.document("graph", "nodes")?,
        created_at: row.time("created_at")?,
        used_at: row.time("used_at")?,
    })
}
