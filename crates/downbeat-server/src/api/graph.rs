//! `/orgs/{orgId}/apps/{appId}/envs/{envId}/resources/graphs`: what a deployment would provision.

use std::collections::BTreeSet;

use axum::{Json, extract::State, http::StatusCode};
use downbeat_api::graph::{DependencyGraph, GraphNode, RequestedResource};
use downbeat_core::{
    DeploymentSet, Json as Value, Resource, graph as core,
    matching::Context,
    module,
    placeholder::{self, Segment},
};
use downbeat_store::{
    AnyConnection, EnvScope, active_resource, definition,
    graph::{self as store, StoredGraph as Row},
    installation,
};
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::json;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{environment, resource_type};
use crate::{
    AppState, Problem, Result,
    access::Caller,
    change::Effect,
    extract::{Body, Path},
    state::new_id,
};

/// Operations of this noun.
#[expect(deprecated, reason = "v1 clients still call the old operation")]
pub fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().routes(routes!(create)).routes(routes!(get)).routes(routes!(query))
}

/// Builds the graph of the requested resources and all that they need. The same graph is stored
/// once.
#[utoipa::path(
    post, path = "/orgs/{orgId}/apps/{appId}/envs/{envId}/resources/graphs",
    operation_id = "createDependencyGraph", tag = "ResourceProvision",
    request_body = Vec<RequestedResource>,
    responses((status = 200, body = DependencyGraph, description = "The graph.")),
)]
async fn create(
    State(state): State<AppState>,
    caller: Caller,
    Path((org, app, env)): Path<(String, String, String)>,
    Body(requested): Body<Vec<RequestedResource>>,
) -> Result<Json<DependencyGraph>> {
    let scope = caller.scope(&org)?.app(&app).env(&env);
    let mut change = caller.change(&state, scope.in_app().in_org()).await?;
    let graph = build(&mut change, &scope, requested, state.now()).await?;
    let row = store::put(&mut change, &scope, &graph).await?;
    let graph = wire(row)?;
    change.commit(StatusCode::OK, Effect::created(&graph)).await?;
    Ok(Json(graph))
}

/// Shows a graph.
#[utoipa::path(
    get, path = "/orgs/{orgId}/apps/{appId}/envs/{envId}/resources/graphs/{graphId}",
    operation_id = "getDependencyGraph", tag = "ResourceProvision",
    responses((status = 200, body = DependencyGraph, description = "The graph.")),
)]
async fn get(
    State(state): State<AppState>,
    caller: Caller,
    Path((org, app, env, id)): Path<(String, String, String, String)>,
) -> Result<Json<DependencyGraph>> {
    let scope = caller.scope(&org)?.app(&app).env(&env);
    let mut conn = state.db.read().await?;
    environment::require(&mut conn, &scope).await?;
    let row = store::find(&mut conn, &scope, &id).await?;
    wire(row.ok_or_else(|| Problem::not_found("graph", &id))?).map(Json)
}

/// Builds the graph of the requested resources and answers its nodes, without storing it.
#[utoipa::path(
    post, path = "/orgs/{orgId}/apps/{appId}/envs/{envId}/resources/graph",
    operation_id = "queryResourceGraph", tag = "ResourceProvision",
    request_body = Vec<RequestedResource>,
    responses((status = 200, body = Vec<GraphNode>, description = "The nodes.")),
)]
#[deprecated = "v1 replaced it by `createDependencyGraph`"]
async fn query(
    State(state): State<AppState>,
    caller: Caller,
    Path((org, app, env)): Path<(String, String, String)>,
    Body(requested): Body<Vec<RequestedResource>>,
) -> Result<Json<Vec<GraphNode>>> {
    let scope = caller.scope(&org)?.app(&app).env(&env);
    let mut conn = state.db.read().await?;
    let graph = build(&mut conn, &scope, requested, state.now()).await?;
    Ok(Json(wire(graph)?.nodes))
}

async fn build(
    conn: &mut AnyConnection,
    scope: &EnvScope,
    requested: Vec<RequestedResource>,
    now: Timestamp,
) -> Result<Row> {
    let environment = environment::require(&mut *conn, scope).await?;
    let in_org = scope.in_app().in_org();
    let set = set_of(requested)?;
    let types = resource_type::catalogue(&mut *conn, in_org).await?;
    let graph = core::build(&core::Input {
        set: &set,
        context: Context {
            org: scope.org(),
            app: scope.app(),
            env: scope.env(),
            env_type: &environment.kind,
        },
        definitions: &definition::load_index(&mut *conn, in_org).await?,
        types: &types,
        installation: &installation::read_id(&mut *conn).await?,
        incarnations: &active_resource::incarnations(&mut *conn, scope).await?,
        pins: &active_resource::pins(&mut *conn, scope).await?,
    });
    let graph = graph.map_err(|errors| refused(&errors))?;
    let nodes = core::to_wire(&graph, &set, &types);
    Ok(Row { id: new_id(now), hash: core::hash(&nodes), nodes, created_at: now, used_at: now })
}

/// A set that asks for exactly these resources. What a requested workload asks for itself is left
/// to the workload.
fn set_of(requested: Vec<RequestedResource>) -> Result<DeploymentSet> {
    let mut set = DeploymentSet::default();
    let mut asked = BTreeSet::new();
    let (workloads, resources): (Vec<_>, Vec<_>) =
        requested.into_iter().partition(|one| one.r#type == "workload");
    for RequestedResource { id, resource, .. } in workloads {
        let Some(name) = id.strip_prefix("modules.") else {
            let rule = "a workload is requested as `modules.<id>`";
            let id = crate::problem::short(&id);
            return Err(Problem::invalid(format!("`{id}` is not the id of a workload: {rule}.")));
        };
        let module = module::from_json(Value::Object(resource.unwrap_or_default()));
        let module = module.map_err(|error| {
            Problem::invalid(format!("The workload `{name}` is not valid: {error}."))
        })?;
        asked.extend(module.externals.keys().map(|key| format!("{id}.externals.{key}")));
        set.modules.insert(name.to_owned(), module);
    }
    for (at, one) in resources.into_iter().enumerate() {
        if asked.contains(&one.id) {
            continue;
        }
        let key = one.id.strip_prefix("shared.").map(str::to_owned);
        let key = key.filter(|key| !set.shared.contains_key(key));
        set.shared.insert(
            key.unwrap_or_else(|| format!("requested-{at}")),
            Resource {
                resource_type: one.r#type,
                class: one.class,
                id: Some(one.id),
                params: one.resource,
                ..Resource::default()
            },
        );
    }
    Ok(set)
}

/// 400: the graph cannot be built. The first mistake is the message, all of them are details.
fn refused(errors: &[core::Error]) -> Problem {
    let first = errors.first();
    let message = first.map_or("The graph cannot be built.", |first| first.message.as_str());
    let list: Vec<Value> = errors
        .iter()
        .map(|error| {
            json!({
                "path": error.at,
                "code": error.code.as_str(),
                "message": error.message,
                "resource": error.resource.as_ref().map(ToString::to_string),
                "hint": error.hint,
            })
        })
        .collect();
    let mut problem = Problem::invalid(message).with_detail("errors", list);
    if let Some(first) = first {
        problem = problem.with_code(first.code);
        if let Some(hint) = &first.hint {
            problem = problem.with_hint(hint);
        }
    }
    problem
}

fn wire(row: Row) -> Result<DependencyGraph> {
    let node = |mut node: Value| {
        if let Some(secrets) = node.pointer_mut("/driver/secrets") {
            mask(secrets);
        }
        GraphNode::deserialize(node).map_err(|error| Problem::internal(&error))
    };
    Ok(DependencyGraph {
        id: row.id,
        hash: row.hash,
        nodes: row.nodes.into_iter().map(node).collect::<Result<_>>()?,
        created_at: row.created_at.into(),
        used_at: row.used_at.into(),
    })
}

/// Hides what a secret input says besides its placeholders.
fn mask(secrets: &mut Value) {
    let Value::Object(map) = secrets else { return };
    for (name, value) in map {
        match value {
            Value::String(text) if name == "value" => {
                let placeholders_only = placeholder::segments(text).is_ok_and(|segments| {
                    segments.iter().all(|segment| matches!(segment, Segment::Placeholder(_)))
                });
                if !placeholders_only {
                    "***".clone_into(text);
                }
            }
            below => mask(below),
        }
    }
}
