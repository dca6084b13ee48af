//! One deployment from read to delivered.

use std::{collections::BTreeMap, sync::Arc};

use downbeat_core::{
    Code, Secret, SecretExpr,
    graph::{self, ResourceGraph, cluster_key},
    resolve::{self, Facts, Outputs},
};

use crate::{
    create::{self, Creation},
    deploy, expand,
    port::{
        Delivered, Delivery, DeploymentError, Drivers, Ended, GraphRow, Journal, JournalError,
        Lease, Loaded, NodeRow, Phase, Removals, Secrets, Targets,
    },
    schema::Schemas,
};

/// The world of a run.
pub struct Ports {
    /// The durable memory.
    pub journal: Arc<dyn Journal>,
    /// What is to be freed.
    pub removals: Arc<dyn Removals>,
    /// The drivers.
    pub drivers: Drivers,
    /// The targets.
    pub targets: Targets,
    /// The secret stores.
    pub secrets: Arc<dyn Secrets>,
    /// Compiled schemas.
    pub schemas: Schemas,
    /// Key for everything random that drivers ask for; the same in every replica, for ever.
    pub seed: Vec<u8>,
}

/// Works a claimed deployment through to its end.
///
/// May be called again for a deployment that was interrupted anywhere: what is journalled is used,
/// the rest is done.
///
/// # Errors
/// When the journal fails or the lease is lost; the deployment can then be claimed again. What is
/// wrong with the deployment itself ends it as failed instead.
pub async fn run(ports: &Ports, lease: &Lease) -> Result<(), JournalError> {
    let journal = &*ports.journal;
    let mut loaded = journal.load(lease).await?;
    expand::expand(&ports.drivers, &ports.schemas, &mut loaded);
    journal.phase(lease, Phase::Match).await?;
    let ended = match build(&loaded) {
        Ok(graph) => with_graph(ports, lease, &loaded, &graph).await?,
        Err(errors) => Ended::Failed(errors),
    };
    journal.finish(lease, &ended).await
}

/// Builds the graph of what was loaded.
///
/// # Errors
/// Everything that is wrong with it.
pub fn build(loaded: &Loaded) -> Result<ResourceGraph, Vec<DeploymentError>> {
    let input = graph::Input {
        set: &loaded.set,
        context: downbeat_core::matching::Context {
            org: &loaded.org,
            app: &loaded.app,
            env: &loaded.env,
            env_type: &loaded.env_type,
        },
        definitions: &loaded.definitions,
        types: &loaded.types,
        installation: &loaded.installation,
        incarnations: &loaded.incarnations,
        pins: &loaded.pins,
    };
    graph::build(&input).map_err(|errors| errors.into_iter().map(graph_error).collect())
}

fn graph_error(error: graph::Error) -> DeploymentError {
    let (scope, object_id) = match (&error.resource, &error.module) {
        (Some(resource), _) if &*resource.resource_type == "workload" => {
            ("workload", resource.id.trim_start_matches("modules.").to_owned())
        }
        (Some(resource), _) => ("resource", resource.to_string()),
        (None, Some(module)) => ("workload", module.clone()),
        (None, None) => ("deployment", String::new()),
    };
    let message = deploy::with_hint(error.message, error.hint);
    DeploymentError { scope, object_id, code: error.code, message }
}

/// What every placeholder of this deployment can see.
#[must_use]
pub fn facts<'a>(loaded: &'a Loaded, graph: &'a ResourceGraph) -> Facts<'a> {
    Facts {
        org: &loaded.org,
        app: &loaded.app,
        env: &loaded.env,
        env_type: &loaded.env_type,
        deployment: &loaded.deployment,
        set_id: &loaded.set_id,
        set: &loaded.set,
        values: &loaded.values,
        graph,
        profiles: &loaded.profiles,
    }
}

async fn with_graph(
    ports: &Ports,
    lease: &Lease,
    loaded: &Loaded,
    graph: &ResourceGraph,
) -> Result<Ended, JournalError> {
    let journal = &*ports.journal;
    let facts = facts(loaded, graph);
    let row = graph_row(loaded, &facts);
    journal.graph(lease, &row).await?;
    journal.phase(lease, Phase::Create).await?;
    let creation = Creation {
        drivers: &ports.drivers,
        secrets: &*ports.secrets,
        journal,
        lease,
        schemas: &ports.schemas,
        types: &loaded.types,
        facts: &facts,
        row: &row,
        seed: &ports.seed,
        cookies: &loaded.cookies,
        registered: &loaded.registered,
        accounts: loaded.accounts.as_ref(),
    };
    let mut created = create::create(&creation, &loaded.results).await?;
    if !created.errors.is_empty() {
        return Ok(Ended::Failed(node_errors(graph, created.errors)));
    }
    journal.phase(lease, Phase::Deploy).await?;
    let positions = create::positions(graph);
    let objects = match deploy::objects(&facts, &positions, &mut created.results, &loaded.kept) {
        Ok(objects) => objects,
        Err(errors) => return Ok(Ended::Failed(errors)),
    };
    // The lease may have been lost in the meantime: ask before anything leaves the house.
    journal.renew(lease).await?;
    let cluster = positions.get(&cluster_key()).and_then(|at| created.results.of(*at));
    let cluster = cluster.map(|result| result.outputs.clone()).unwrap_or_default();
    Ok(match deliver(ports, loaded, &cluster, &objects).await {
        Ok(delivered) => Ended::Succeeded(delivered),
        Err(error) => Ended::Failed(vec![error]),
    })
}

/// The graph as it is stored.
#[must_use]
pub fn graph_row(loaded: &Loaded, facts: &Facts<'_>) -> GraphRow {
    let graph = facts.graph;
    let nodes = graph::to_wire(graph, &loaded.set, &loaded.types);
    let rows = graph.nodes.iter().map(|node| NodeRow {
        guresid: node.guresid.to_string(),
        key: node.key.clone(),
        definition: Arc::clone(&node.definition),
        criteria_id: node.criteria.id.clone(),
        // What is wrong with it is said when the node is prepared; it makes nothing.
        driver_account: resolve::account(facts, node).ok().flatten().unwrap_or_default(),
        depends_on: node
            .depends_on
            .iter()
            .filter_map(|(at, _)| Some(graph.node(*at)?.guresid.to_string()))
            .collect(),
    });
    GraphRow { hash: graph::hash(&nodes), rows: rows.collect(), nodes }
}

async fn deliver(
    ports: &Ports,
    loaded: &Loaded,
    cluster: &Outputs,
    objects: &[downbeat_core::assemble::Object],
) -> Result<Delivered, DeploymentError> {
    let failed = |code, message: String, hint: Option<String>| DeploymentError {
        scope: "environment",
        object_id: loaded.env.clone(),
        code,
        message: deploy::with_hint(message, hint),
    };
    let kind = cluster.values.get("cluster_type").and_then(|kind| kind.as_str()).unwrap_or("");
    let Some(target) = ports.targets.by_type.get(kind) else {
        let known: Vec<&str> = ports.targets.by_type.keys().map(String::as_str).collect();
        return Err(failed(
            Code::Target,
            format!(
                "the cluster of the environment is of type {kind:?}, which nothing can be deployed to from here"
            ),
            Some(format!("Targets that work here: {}", known.join(", "))),
        ));
    };
    let credentials = open(ports, &loaded.org, cluster).await.map_err(|message| {
        failed(
            Code::SecretStore,
            format!("the credentials of the cluster cannot be read: {message}"),
            None,
        )
    })?;
    let subject = format!("Deploy {}/{}", loaded.app, loaded.env);
    let comment = loaded.comment.trim();
    let message = if comment.is_empty() { subject } else { format!("{subject}: {comment}") };
    let delivery = Delivery {
        deployment: &loaded.deployment,
        org: &loaded.org,
        app: &loaded.app,
        env: &loaded.env,
        cluster: &cluster.values,
        credentials: &credentials,
        objects,
        is_last: false,
        message: &message,
        time: loaded.created_at,
    };
    let delivered = target.deliver(&delivery).await;
    delivered.map_err(|error| failed(error.code, error.message, error.hint))
}

/// The plaintexts of the secret outputs of a cluster.
pub(crate) async fn open(
    ports: &Ports,
    org: &str,
    cluster: &Outputs,
) -> Result<BTreeMap<String, Secret>, String> {
    let references: Vec<_> =
        cluster.secrets.values().flat_map(SecretExpr::references).cloned().collect();
    if references.is_empty() {
        return Ok(BTreeMap::new());
    }
    let opened = ports.secrets.open(org, &references).await.map_err(|error| error.to_string())?;
    Ok(create::texts(&cluster.secrets, &mut opened.into_iter()))
}

/// A set without state, carried through to objects: what `downbeat render` prints. Nothing is
/// stored, nothing is delivered.
///
/// # Errors
/// Everything that is wrong.
pub async fn render(
    ports: &Ports,
    loaded: &Loaded,
) -> Result<Vec<downbeat_core::assemble::Object>, Vec<DeploymentError>> {
    let graph = build(loaded)?;
    let row = GraphRow { hash: String::new(), nodes: Vec::new(), rows: Vec::new() };
    let facts = facts(loaded, &graph);
    let lease = Lease { deployment: loaded.deployment.clone(), epoch: 0 };
    let creation = Creation {
        drivers: &ports.drivers,
        secrets: &*ports.secrets,
        journal: &*ports.journal,
        lease: &lease,
        schemas: &ports.schemas,
        types: &loaded.types,
        facts: &facts,
        row: &row,
        seed: &ports.seed,
        cookies: &loaded.cookies,
        registered: &loaded.registered,
        accounts: loaded.accounts.as_ref(),
    };
    let failed = |error: JournalError| {
        vec![DeploymentError {
            scope: "deployment",
            object_id: String::new(),
            code: Code::Internal,
            message: error.to_string(),
        }]
    };
    let mut created = create::create(&creation, &loaded.results).await.map_err(failed)?;
    if !created.errors.is_empty() {
        return Err(node_errors(&graph, created.errors));
    }
    deploy::objects(&facts, &create::positions(&graph), &mut created.results, &loaded.kept)
}

fn node_errors(
    graph: &ResourceGraph,
    errors: Vec<(graph::NodeIndex, crate::port::NodeError)>,
) -> Vec<DeploymentError> {
    errors
        .into_iter()
        .map(|(at, error)| {
            let key = graph.node(at).map(|node| &node.key);
            let (scope, object_id) = match key {
                Some(key) if &*key.resource_type == "workload" => {
                    ("workload", key.id.trim_start_matches("modules.").to_owned())
                }
                Some(key) => ("resource", key.to_string()),
                None => ("deployment", String::new()),
            };
            let code = Code::parse(&error.code).unwrap_or(Code::Internal);
            let message = deploy::with_hint(error.message, error.hint);
            DeploymentError { scope, object_id, code, message }
        })
        .collect()
}
