//! `/orgs/{orgId}/agents`: agents that are registered, and their keys.
//!
//! Both are kept and answered. No cluster is reached through an agent here
//! (`docs/design/drivers.md`).

use axum::{Json, extract::State, http::StatusCode};
use downbeat_api::agent::{Agent, CreateAgent, CreateKey, Key, PatchAgent};
use downbeat_core::id::Grammar;
use downbeat_store::{
    AnyConnection, OrgScope,
    agent::{self as store, Agent as Row, AgentKey},
};
use serde::Serialize;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    common::check_grammar,
    public_key::{self, Filter},
};
use crate::{
    AppState, Problem, Result,
    access::Caller,
    change::Effect,
    extract::{Body, Path, Query},
};

/// Most agents of an organization.
const MOST: usize = 1000;
/// Longest description, in bytes.
const LONGEST: usize = 1024;

/// Operations of this noun.
pub fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new()
        .routes(routes!(list, create))
        .routes(routes!(patch, delete))
        .routes(routes!(list_keys, create_key))
        .routes(routes!(delete_key))
}

/// An agent in the audit log.
#[derive(Serialize)]
struct Shown<'a> {
    #[serde(flatten)]
    agent: &'a Agent,
    keys: Vec<Key>,
}

/// Lists the agents of an organization, by id.
#[utoipa::path(
    get, path = "/orgs/{orgId}/agents", operation_id = "listAgents", tag = "Agents",
    params(Filter),
    responses((status = 200, body = Vec<Agent>, description = "The agents.")),
)]
async fn list(
    State(state): State<AppState>,
    caller: Caller,
    Path(org): Path<String>,
    Query(filter): Query<Filter>,
) -> Result<Json<Vec<Agent>>> {
    let scope = caller.scope(&org)?;
    let mut conn = state.db.read().await?;
    let mut rows = store::list(&mut conn, &scope).await?;
    if let Some(fingerprint) = filter.fingerprint {
        let keys = store::keys(&mut conn, &scope).await?;
        let owner = keys.into_iter().find(|key| key.fingerprint == fingerprint);
        rows.retain(|row| owner.as_ref().is_some_and(|key| key.agent_id == row.id));
    }
    Ok(Json(rows.into_iter().map(wire).collect()))
}

/// Registers an agent with its first key.
#[utoipa::path(
    post, path = "/orgs/{orgId}/agents", operation_id = "createAgent", tag = "Agents",
    request_body = CreateAgent,
    responses(
        (status = 200, body = Agent, description = "The agent."),
        (status = 409, body = downbeat_api::ErrorBody, description = "Id or key are taken."),
    ),
)]
async fn create(
    State(state): State<AppState>,
    caller: Caller,
    Path(org): Path<String>,
    Body(new): Body<CreateAgent>,
) -> Result<Json<Agent>> {
    let scope = caller.scope(&org)?;
    check_grammar(Grammar::Plain, "id of an agent", "/id", &new.id)?;
    check_description(new.description.as_deref().unwrap_or_default())?;
    let fingerprint = public_key::fingerprint(&new.public_key, "/public_key")?;
    let mut change = caller.change(&state, &scope).await?;
    let rows = store::list(&mut change, &scope).await?;
    if rows.iter().any(|row| row.id == new.id) {
        return Err(Problem::conflict(format!("The agent `{}` exists already.", new.id)));
    }
    if rows.len() >= MOST {
        return Err(Problem::invalid(format!("An organization has at most {MOST} agents."))
            .with_hint("Delete those that are not used any more."));
    }
    check_new(&store::keys(&mut change, &scope).await?, &fingerprint)?;
    let (created_at, created_by) = (state.now(), caller.id().to_owned());
    let key = AgentKey {
        agent_id: new.id.clone(),
        key: new.public_key,
        fingerprint,
        created_at,
        created_by: created_by.clone(),
    };
    let row = Row { id: new.id, description: new.description, created_at, created_by };
    store::create(&mut change, &scope, &row).await?;
    store::add_key(&mut change, &scope, &key).await?;
    let agent = wire(row);
    let effect = Effect::created(&Shown { agent: &agent, keys: vec![wire_key(key)] });
    change.commit(StatusCode::OK, effect).await?;
    Ok(Json(agent))
}

/// Changes the description of an agent.
#[utoipa::path(
    patch, path = "/orgs/{orgId}/agents/{agentId}", operation_id = "patchAgent", tag = "Agents",
    request_body = PatchAgent,
    responses((status = 200, body = Agent, description = "The agent as it is now.")),
)]
async fn patch(
    State(state): State<AppState>,
    caller: Caller,
    Path((org, id)): Path<(String, String)>,
    Body(patch): Body<PatchAgent>,
) -> Result<Json<Agent>> {
    let scope = caller.scope(&org)?;
    check_description(&patch.description)?;
    let mut change = caller.change(&state, &scope).await?;
    let before = require(&mut change, &scope, &id).await?;
    let row = Row { description: Some(patch.description), ..before.clone() };
    store::describe(&mut change, &scope, &row).await?;
    let (before, after) = (wire(before), wire(row));
    change.commit(StatusCode::OK, Effect::changed(&before, &after)).await?;
    Ok(Json(after))
}

/// Removes an agent with its keys.
#[utoipa::path(
    delete, path = "/orgs/{orgId}/agents/{agentId}", operation_id = "deleteAgent", tag = "Agents",
    responses((status = 204, description = "The agent is gone.")),
)]
async fn delete(
    State(state): State<AppState>,
    caller: Caller,
    Path((org, id)): Path<(String, String)>,
) -> Result<StatusCode> {
    let scope = caller.scope(&org)?;
    let mut change = caller.change(&state, &scope).await?;
    let agent = wire(require(&mut change, &scope, &id).await?);
    let keys = keys_of(&mut change, &scope, &id).await?.into_iter().map(wire_key).collect();
    store::delete(&mut change, &scope, &id).await?;
    let effect = Effect::deleted(&Shown { agent: &agent, keys });
    change.commit(StatusCode::NO_CONTENT, effect).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Lists the keys of an agent, oldest first.
#[utoipa::path(
    get, path = "/orgs/{orgId}/agents/{agentId}/keys",
    operation_id = "listKeysInAgent", tag = "Agents",
    responses((status = 200, body = Vec<Key>, description = "The keys.")),
)]
async fn list_keys(
    State(state): State<AppState>,
    caller: Caller,
    Path((org, id)): Path<(String, String)>,
) -> Result<Json<Vec<Key>>> {
    let scope = caller.scope(&org)?;
    let mut conn = state.db.read().await?;
    require(&mut conn, &scope, &id).await?;
    Ok(Json(keys_of(&mut conn, &scope, &id).await?.into_iter().map(wire_key).collect()))
}

/// Adds a key to an agent.
#[utoipa::path(
    post, path = "/orgs/{orgId}/agents/{agentId}/keys",
    operation_id = "createKey", tag = "Agents", request_body = CreateKey,
    responses(
        (status = 200, body = Key, description = "The key."),
        (status = 409, body = downbeat_api::ErrorBody, description = "An agent has it already."),
    ),
)]
async fn create_key(
    State(state): State<AppState>,
    caller: Caller,
    Path((org, id)): Path<(String, String)>,
    Body(new): Body<CreateKey>,
) -> Result<Json<Key>> {
    let scope = caller.scope(&org)?;
    let fingerprint = public_key::fingerprint(&new.public_key, "/public_key")?;
    let mut change = caller.change(&state, &scope).await?;
    require(&mut change, &scope, &id).await?;
    let keys = store::keys(&mut change, &scope).await?;
    check_new(&keys, &fingerprint)?;
    if keys.iter().filter(|key| key.agent_id == id).count() >= public_key::MOST {
        return Err(public_key::too_many("An agent"));
    }
    let row = AgentKey {
        agent_id: id,
        key: new.public_key,
        fingerprint,
        created_at: state.now(),
        created_by: caller.id().to_owned(),
    };
    store::add_key(&mut change, &scope, &row).await?;
    let key = wire_key(row);
    change.commit(StatusCode::OK, Effect::created(&key)).await?;
    Ok(Json(key))
}

/// Takes a key from an agent.
#[utoipa::path(
    delete, path = "/orgs/{orgId}/agents/{agentId}/keys/{fingerprint}",
    operation_id = "deleteKeyInAgent", tag = "Agents",
    responses((status = 204, description = "The key is gone.")),
)]
async fn delete_key(
    State(state): State<AppState>,
    caller: Caller,
    Path((org, id, fingerprint)): Path<(String, String, String)>,
) -> Result<StatusCode> {
    let scope = caller.scope(&org)?;
    let mut change = caller.change(&state, &scope).await?;
    require(&mut change, &scope, &id).await?;
    let keys = keys_of(&mut change, &scope, &id).await?;
    let key = keys.into_iter().find(|key| key.fingerprint == fingerprint);
    let key = wire_key(key.ok_or_else(|| Problem::not_found("key", &fingerprint))?);
    store::remove_key(&mut change, &scope, &fingerprint).await?;
    change.commit(StatusCode::NO_CONTENT, Effect::deleted(&key)).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn require(conn: &mut AnyConnection, scope: &OrgScope, id: &str) -> Result<Row> {
    let found = store::find(conn, scope, id).await?;
    found.ok_or_else(|| Problem::not_found("agent", id))
}

async fn keys_of(conn: &mut AnyConnection, scope: &OrgScope, id: &str) -> Result<Vec<AgentKey>> {
    let mut keys = store::keys(conn, scope).await?;
    keys.retain(|key| key.agent_id == id);
    Ok(keys)
}

/// A key says who an agent is: no two have the same one.
fn check_new(keys: &[AgentKey], fingerprint: &str) -> Result<()> {
    match keys.iter().find(|key| key.fingerprint == fingerprint) {
        None => Ok(()),
        Some(key) => Err(Problem::conflict(format!(
            "The agent `{}` has the key `{fingerprint}` already.",
            key.agent_id
        ))
        .with_hint("Make a key for each agent.")),
    }
}

fn check_description(text: &str) -> Result<()> {
    if text.len() <= LONGEST {
        return Ok(());
    }
    let rule = format!("at most {LONGEST} bytes");
    Err(Problem::invalid(format!("The description is too long: use {rule}."))
        .at("/description", &rule))
}

fn wire(row: Row) -> Agent {
    Agent {
        id: row.id,
        description: row.description,
        created_at: row.created_at.into(),
        created_by: row.created_by,
    }
}

fn wire_key(row: AgentKey) -> Key {
    Key {
        fingerprint: row.fingerprint,
        public_key: row.key,
        created_at: row.created_at.into(),
        created_by: row.created_by,
        expired_at: public_key::expires(row.created_at),
        is_authorized: true,
    }
}
