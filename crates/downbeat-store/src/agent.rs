//! Agents of organizations, and their keys.

use jiff::Timestamp;
use sqlx::{AnyConnection, any::AnyRow, query};

use crate::{OrgScope, Result, Tx, row::Columns as _};

/// A row of `agent`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Agent {
    /// Its id.
    pub id: String,
    /// What it is for; none when nobody said.
    pub description: Option<String>,
    /// When it was registered.
    pub created_at: Timestamp,
    /// Id of the user who registered it.
    pub created_by: String,
}

/// A row of `agent_key`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AgentKey {
    /// Id of its agent.
    pub agent_id: String,
    /// The key in PEM, as it was sent.
    pub key: String,
    /// SHA-256 of its DER bytes, in lower-case hex.
    pub fingerprint: String,
    /// When it was registered.
    pub created_at: Timestamp,
    /// Id of the user who registered it.
    pub created_by: String,
}

fn read(row: &AnyRow) -> Result<Agent> {
    Ok(Agent {
        id: row.text("id")?,
        description: row.text_or_null("description")?,
        created_at: row.time("created_at")?,
        created_by: row.text("created_by")?,
    })
}

fn read_key(row: &AnyRow) -> Result<AgentKey> {
    Ok(AgentKey {
        agent_id: row.text("agent_id")?,
        key: row.text("key")?,
        fingerprint: row.text("fingerprint")?,
        created_at: row.time("created_at")?,
        created_by: row.text("created_by")?,
    })
}

/// Registers an agent.
///
/// # Errors
/// [`crate::Error::Conflict`] when the id is taken.
pub async fn create(tx: &mut Tx, scope: &OrgScope, new: &Agent) -> Result<()> {
    // A new agent.
    query(
        "INSERT INTO agent (org_id, id, description, created_at, created_by)
         VALUES ($1, $2, $3, $4, $5)",
    )
    .bind(scope.org())
    .bind(&new.id)
    .bind(&new.description)
    .bind(new.created_at.as_microsecond())
    .bind(&new.created_by)
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// The agents of an organization, by id.
///
/// # Errors
/// When the database fails.
pub async fn list(conn: &mut AnyConnection, scope: &OrgScope) -> Result<Vec<Agent>> {
    // Which agents does the organization have?
    query("SELECT * FROM agent WHERE org_id = $1 ORDER BY id")
        .bind(scope.org())
        .fetch_all(conn)
        .await?
        .iter()
        .map(read)
        .collect()
}

/// One agent.
///
/// # Errors
/// When the database fails.
pub async fn find(conn: &mut AnyConnection, scope: &OrgScope, id: &str) -> Result<Option<Agent>> {
    // Which agent has this id?
    query("SELECT * FROM agent WHERE org_id = $1 AND id = $2")
        .bind(scope.org())
        .bind(id)
        .fetch_optional(conn)
        .await?
        .as_ref()
        .map(read)
        .transpose()
}

/// Writes the description of an agent anew.
///
/// # Errors
/// When the database fails.
pub async fn describe(tx: &mut Tx, scope: &OrgScope, agent: &Agent) -> Result<()> {
    // What is the agent for from now on?
    query("UPDATE agent SET description = $3 WHERE org_id = $1 AND id = $2")
        .bind(scope.org())
        .bind(&agent.id)
        .bind(&agent.description)
        .execute(&mut **tx)
        .await?;
    Ok(())
}

/// Removes an agent with its keys.
///
/// # Errors
/// When the database fails.
pub async fn delete(tx: &mut Tx, scope: &OrgScope, id: &str) -> Result<()> {
    // The agent is gone, and its keys with it.
    query("DELETE FROM agent WHERE org_id = $1 AND id = $2")
        .bind(scope.org())
        .bind(id)
        .execute(&mut **tx)
        .await?;
    Ok(())
}

/// Adds a key to an agent.
///
/// # Errors
/// [`crate::Error::Conflict`] when an agent of the organization has it already.
pub async fn add_key(tx: &mut Tx, scope: &OrgScope, new: &AgentKey) -> Result<()> {
    // One more key.
    query(
        "INSERT INTO agent_key (org_id, agent_id, key, fingerprint, created_at, created_by)
         VALUES ($1, $2, $3, $4, $5, $6)",
    )
    .bind(scope.org())
    .bind(&new.agent_id)
    .bind(&new.key)
    .bind(&new.fingerprint)
    .bind(new.created_at.as_microsecond())
    .bind(&new.created_by)
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// The keys of all agents of an organization, oldest first.
///
/// # Errors
/// When the database fails.
pub async fn keys(conn: &mut AnyConnection, scope: &OrgScope) -> Result<Vec<AgentKey>> {
    // Which keys do the agents have?
    query("SELECT * FROM agent_key WHERE org_id = $1 ORDER BY created_at, fingerprint")
        .bind(scope.org())
        .fetch_all(conn)
        .await?
        .iter()
        .map(read_key)
        .collect()
}

/// Takes a key from an agent.
///
/// # Errors
/// When the database fails.
pub async fn remove_key(tx: &mut Tx, scope: &OrgScope, fingerprint: &str) -> Result<()> {
    // The key is gone.
    query("DELETE FROM agent_key WHERE org_id = $1 AND fingerprint = $2")
        .bind(scope.org())
        .bind(fingerprint)
        .execute(&mut **tx)
        .await?;
    Ok(())
}
