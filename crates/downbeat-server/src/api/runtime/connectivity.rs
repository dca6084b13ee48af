//! `POST /orgs/{orgId}/runtime/actions/check-connectivity`: can a cluster be reached?
//!
//! What is asked for need not exist yet: the graph of an empty environment is built, and the
//! cluster in it looked at. Nothing is made, and no cluster is called.

use std::collections::BTreeSet;

use axum::{Json, extract::State};
use downbeat_api::runtime::{
    CheckConnectivity, Connectivity, ConnectivityCondition, ConnectivityResource,
    ExpectedDefinition,
};
use downbeat_core::{
    DeploymentSet,
    graph::{self, Node, NodeIndex, ResourceGraph},
    id::Grammar,
    matching::Context,
};
use downbeat_store::{AnyConnection, EnvScope, active_resource, definition, installation};
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    AppState, Problem, Result,
    access::Caller,
    api::{active_resource::can_run, common::check_grammar, resource_type},
    extract::{Body, Path},
    problem::short,
};

/// Most definitions that a request may expect.
const MOST: usize = 100;

/// Operations of this noun.
pub(super) fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().routes(routes!(check))
}

/// Checks the way to a cluster, as far as that can be done without making anything.
#[utoipa::path(
    post, path = "/orgs/{orgId}/runtime/actions/check-connectivity",
    operation_id = "checkClusterConnectivity", tag = "RuntimeInfo",
    request_body = CheckConnectivity,
    responses((status = 200, body = Connectivity, description = "What came of it.")),
)]
async fn check(
    State(state): State<AppState>,
    caller: Caller,
    Path(org): Path<String>,
    Body(asked): Body<CheckConnectivity>,
) -> Result<Json<Connectivity>> {
    // A `POST` that changes nothing.
    let scope = caller.scope(&org)?;
    check_grammar(Grammar::Application, "id of an application", "/app_id", &asked.app_id)?;
    check_grammar(Grammar::Application, "id of an environment", "/env_id", &asked.env_id)?;
    check_grammar(Grammar::Plain, "id of an environment type", "/env_type", &asked.env_type)?;
    let expected = asked.expected_definitions.unwrap_or_default();
    if expected.len() > MOST {
        let rule = format!("at most {MOST} definitions");
        return Err(Problem::invalid(format!("Too much is expected: {rule}."))
            .at("/expected_definitions", &rule));
    }
    let scope = scope.app(&asked.app_id).env(&asked.env_id);
    let mut conn = state.db.read().await?;
    let mut conditions = Vec::new();
    let mut resources = Vec::new();
    match build(&mut conn, &scope, &asked.env_type).await? {
        Err(why) => conditions.push(condition("GraphCanProvision", "False", why)),
        Ok(graph) => {
            let nodes = needed(&graph);
            conditions.push(drivers(&mut conn, &scope, &nodes).await?);
            if !expected.is_empty() {
                conditions.push(definitions(&nodes, &expected));
            }
            resources.extend(nodes.into_iter().map(|node| summary(&graph, node)));
        }
    }
    let message = "Downbeat delivers to Git repositories and opens no connection to clusters.";
    conditions.push(condition("ClusterCanConnect", "Unknown", message.to_owned()));
    let success = conditions.iter().all(|condition| condition.status == "True");
    Ok(Json(Connectivity { success, conditions, resource_summaries: resources }))
}

fn condition(kind: &str, status: &str, message: String) -> ConnectivityCondition {
    ConnectivityCondition { r#type: kind.to_owned(), status: status.to_owned(), message }
}

/// The graph of an environment without workloads, or why there is none.
async fn build(
    conn: &mut AnyConnection,
    scope: &EnvScope,
    env_type: &str,
) -> Result<Result<ResourceGraph, String>> {
    let in_org = scope.in_app().in_org();
    let graph = graph::build(&graph::Input {
        set: &DeploymentSet::default(),
        context: Context { org: scope.org(), app: scope.app(), env: scope.env(), env_type },
        definitions: &definition::load_index(&mut *conn, in_org).await?,
        types: &resource_type::catalogue(&mut *conn, in_org).await?,
        installation: &installation::read_id(&mut *conn).await?,
        incarnations: &active_resource::incarnations(&mut *conn, scope).await?,
        pins: &active_resource::pins(&mut *conn, scope).await?,
    });
    Ok(graph.map_err(|errors| {
        let texts: Vec<_> =
            errors.iter().map(|error| format!("{}: {}", error.code, error.message)).collect();
        texts.join("; ")
    }))
}

/// The cluster and what it depends on, in the order of the graph.
fn needed(graph: &ResourceGraph) -> Vec<&Node> {
    let key = graph::cluster_key();
    let cluster = (0..).zip(&graph.nodes).find(|(_, node)| node.key == key).map(|(at, _)| at);
    let mut found: BTreeSet<NodeIndex> = BTreeSet::new();
    let mut todo: Vec<NodeIndex> = cluster.into_iter().collect();
    while let Some(at) = todo.pop() {
        if found.insert(at) {
            let node = graph.node(at).into_iter();
            todo.extend(node.flat_map(|node| &node.depends_on).map(|(at, _)| *at));
        }
    }
    found.into_iter().filter_map(|at| graph.node(at)).collect()
}

/// Whether something can make each of the resources.
async fn drivers(
    conn: &mut AnyConnection,
    scope: &EnvScope,
    nodes: &[&Node],
) -> Result<ConnectivityCondition> {
    let mut wrong = Vec::new();
    for node in nodes {
        let driver = node.definition.driver_type();
        if !can_run(conn, scope, driver).await? {
            let (key, definition) = (&node.key, &node.definition.id);
            wrong.push(format!(
                "the driver `{driver}` of the definition `{definition}` for `{key}` cannot run here"
            ));
        }
    }
    Ok(if wrong.is_empty() {
        let message = "The graph can be built, and its drivers can run; nothing was made.";
        condition("GraphCanProvision", "True", message.to_owned())
    } else {
        condition("GraphCanProvision", "False", wrong.join("; "))
    })
}

/// Whether the resources are made by the definitions that are expected.
fn definitions(nodes: &[&Node], expected: &[ExpectedDefinition]) -> ConnectivityCondition {
    let is_used = |wanted: &&ExpectedDefinition| {
        nodes.iter().any(|node| {
            *node.definition.id == *wanted.id && *node.key.resource_type == *wanted.r#type
        })
    };
    let missing: Vec<_> = expected
        .iter()
        .filter(|wanted| !is_used(wanted))
        .map(|wanted| format!("`{}` for `{}`", short(&wanted.id), short(&wanted.r#type)))
        .collect();
    let kind = "ExpectedDefinitionsMatch";
    if missing.is_empty() {
        return condition(kind, "True", "All expected definitions are used.".to_owned());
    }
    condition(kind, "False", format!("Not used: {}.", missing.join(", ")))
}

fn summary(graph: &ResourceGraph, node: &Node) -> ConnectivityResource {
    let before = node.depends_on.iter().filter_map(|(at, _)| graph.node(*at));
    ConnectivityResource {
        r#type: node.key.resource_type.to_string(),
        class: node.key.class.to_string(),
        res_id: node.key.id.to_string(),
        gu_res_id: node.guresid.to_string(),
        depends_on: before.map(|node| node.guresid.to_string()).collect(),
        def_id: node.definition.id.to_string(),
        def_version_id: node.definition.version_id.to_string(),
        driver_type: node.definition.driver_type().to_owned(),
    }
}
