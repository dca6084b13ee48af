//! The resource graph: what a deployment set needs in one environment, and in which order.
//!
//! [`build`] is a pure function of the set, the context, the definitions and the types; the same
//! input gives the same graph, byte by byte. The steps are those of spec 04 section 2:
//!
//! ```text
//! seed from the set ─▶ implicit nodes ─▶ match, follow references, co-provision (to a fixed point)
//!                   ─▶ dependents of co-provisioned resources, selectors (to a fixed point)
//!                   ─▶ cycle check, order
//! ```

mod order;
mod seed;

pub use seed::{seed_key, volume_mounts};

use std::{
    collections::{BTreeMap, HashMap, HashSet, hash_map},
    fmt,
    sync::Arc,
};

use crate::{
    Code, Criteria, Definition, DeploymentSet, Json, JsonMap, ResourceKey,
    definition::Reference,
    descriptor::{Direction, Selector, Target},
    id::GuResId,
    matching::{Context, Index},
    patch,
    placeholder::{self, Segment},
    resource_type::{Catalogue, Use},
};

/// Position of a node in a graph.
pub type NodeIndex = u32;

/// What a graph is built from.
#[derive(Clone, Copy)]
pub struct Input<'a> {
    /// The set to deploy.
    pub set: &'a DeploymentSet,
    /// The environment.
    pub context: Context<'a>,
    /// The definitions of the organization.
    pub definitions: &'a Index,
    /// The resource types that the organization knows.
    pub types: &'a Catalogue,
    /// The installation, part of every GUResID.
    pub installation: &'a str,
    /// How often a resource was deleted, for those that were.
    pub incarnations: &'a BTreeMap<ResourceKey, u64>,
    /// Definition versions that resources are pinned to.
    pub pins: &'a BTreeMap<ResourceKey, Arc<Definition>>,
}

/// All resources of one deployment, in provisioning order: what a node depends on stands before it.
#[derive(Clone, Debug)]
pub struct ResourceGraph {
    /// The nodes.
    pub nodes: Vec<Node>,
}

/// One resource.
#[derive(Clone, Debug)]
pub struct Node {
    /// What it is.
    pub key: ResourceKey,
    /// Its permanent id.
    pub guresid: GuResId,
    /// What makes it.
    pub definition: Arc<Definition>,
    /// Why this definition: the criteria that won. Absent for a pinned version.
    pub criteria: Arc<Criteria>,
    /// Its inputs; placeholders are not resolved yet.
    pub inputs: Inputs,
    /// Nodes that have to be there first, ascending, with the reason.
    pub depends_on: Vec<(NodeIndex, Why)>,
    /// What each selector of its definition found, in the order of its references.
    pub selected: Vec<(Selector, Vec<NodeIndex>)>,
}

/// Where the inputs of a node come from.
#[derive(Clone, Debug, PartialEq)]
pub enum Inputs {
    /// Nowhere: it has none.
    None,
    /// The module of this id, for a workload.
    Module(String),
    /// `params` of a resource in the set; placeholders belong to this module, when there is one.
    Set {
        /// The module that the resource is private to.
        module: Option<String>,
        /// The inputs.
        params: Arc<JsonMap>,
    },
    /// `params` of a `provision` rule; placeholders are those of definitions.
    Provision(Arc<JsonMap>),
}

impl Inputs {
    fn params(&self) -> Option<&Arc<JsonMap>> {
        match self {
            Self::None | Self::Module(_) => None,
            Self::Set { params, .. } | Self::Provision(params) => Some(params),
        }
    }
}

/// Why one node depends on another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Why {
    /// The set says so: a dependency or placeholder of a workload or resource.
    Set,
    /// A reference in the node's definition, by position.
    Reference(u16),
    /// The other node co-provisions this one with `is_dependent`.
    Dependent,
    /// The other node is co-provisioned, with `match_dependents`, by one that this one depends on.
    MatchDependents,
    /// Every workload depends on the base environment.
    Implicit,
}

/// Why a graph cannot be built.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error {
    /// What kind of mistake.
    pub code: Code,
    /// The resource it is about, when there is one.
    pub resource: Option<ResourceKey>,
    /// The workload it is about, when there is one.
    pub module: Option<String>,
    /// Where it stands: a JSON pointer into the module, shared map or definition.
    pub at: String,
    /// A whole sentence.
    pub message: String,
    /// What to do about it.
    pub hint: Option<String>,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.code, self.message)?;
        self.hint.iter().try_for_each(|hint| write!(f, ". {hint}"))
    }
}

impl std::error::Error for Error {}

/// Builds the graph of a set in a context.
///
/// # Errors
/// All mistakes that were found, in a stable order; there is at least one.
pub fn build(input: &Input<'_>) -> Result<ResourceGraph, Vec<Error>> {
    let mut builder = Builder::new(input);
    seed::seed(&mut builder);
    builder.match_and_follow();
    builder.close();
    builder.finish()
}

impl ResourceGraph {
    /// The node with this key.
    #[must_use]
    pub fn find(&self, key: &ResourceKey) -> Option<(NodeIndex, &Node)> {
        let at = self.nodes.iter().position(|node| node.key == *key)?;
        Some((u32::try_from(at).ok()?, self.nodes.get(at)?))
    }

    /// The node at a position.
    #[must_use]
    pub fn node(&self, index: NodeIndex) -> Option<&Node> {
        self.nodes.get(index as usize)
    }
}

/// The key of the cluster that an environment runs in.
#[must_use]
pub fn cluster_key() -> ResourceKey {
    ResourceKey::new("k8s-cluster", "", "k8s-cluster")
}

/// The key of the namespace of an environment.
#[must_use]
pub fn namespace_key() -> ResourceKey {
    ResourceKey::new("k8s-namespace", "", "k8s-namespace")
}

/// The key of the base environment.
#[must_use]
pub fn base_env_key() -> ResourceKey {
    ResourceKey::new("base-env", "", "base-env")
}

/// The key of where logs go.
#[must_use]
pub fn logging_key() -> ResourceKey {
    ResourceKey::new("logging", "", "logging")
}

/// The key of a workload.
#[must_use]
pub fn workload_key(module: &str) -> ResourceKey {
    ResourceKey::new("workload", "", &format!("modules.{module}"))
}

/// A node while the graph grows.
struct Draft {
    key: ResourceKey,
    entry: Option<(Arc<Definition>, Arc<Criteria>)>,
    inputs: Inputs,
    edges: Vec<(NodeIndex, Why)>,
    selectors: Vec<(Selector, Why, Vec<NodeIndex>)>,
}

/// A `match_dependents` rule: whatever depends on `parent` depends on `child` too.
struct MatchRule {
    parent: NodeIndex,
    child: NodeIndex,
}

struct Builder<'a> {
    input: &'a Input<'a>,
    drafts: Vec<Draft>,
    by_key: HashMap<ResourceKey, NodeIndex>,
    edges: HashSet<u64>,
    rules: Vec<MatchRule>,
    errors: Vec<Error>,
}

impl<'a> Builder<'a> {
    fn new(input: &'a Input<'a>) -> Self {
        Self {
            input,
            drafts: Vec::new(),
            by_key: HashMap::new(),
            edges: HashSet::new(),
            rules: Vec::new(),
            errors: Vec::new(),
        }
    }

    /// The node with this key, made when it is not there yet.
    fn ensure(&mut self, key: ResourceKey) -> NodeIndex {
        let next = u32::try_from(self.drafts.len()).unwrap_or(u32::MAX);
        match self.by_key.entry(key) {
            hash_map::Entry::Occupied(known) => *known.get(),
            hash_map::Entry::Vacant(new) => {
                let key = new.key().clone();
                new.insert(next);
                self.drafts.push(Draft {
                    key,
                    entry: None,
                    inputs: Inputs::None,
                    edges: Vec::new(),
                    selectors: Vec::new(),
                });
                next
            }
        }
    }

    fn draft(&mut self, index: NodeIndex) -> Option<&mut Draft> {
        self.drafts.get_mut(index as usize)
    }

    fn key(&self, index: NodeIndex) -> Option<&ResourceKey> {
        self.drafts.get(index as usize).map(|draft| &draft.key)
    }

    /// Adds an edge; whether it is new.
    fn edge(&mut self, from: NodeIndex, to: NodeIndex, why: Why) -> bool {
        let new = self.edges.insert(u64::from(from) << 32 | u64::from(to));
        if new && let Some(draft) = self.draft(from) {
            draft.edges.push((to, why));
        }
        new
    }

    fn error(&mut self, error: Error) {
        self.errors.push(error);
    }

    /// Matches every node and follows what its definition says, until no node is new.
    fn match_and_follow(&mut self) {
        let mut at = 0;
        while let Some(draft) = self.drafts.get(at) {
            let index = u32::try_from(at).unwrap_or(u32::MAX);
            let key = draft.key.clone();
            at += 1;
            let Some((definition, criteria)) = self.matched(&key) else { continue };
            for problem in definition.problems() {
                self.errors.push(Error {
                    code: problem.code,
                    resource: Some(key.clone()),
                    module: None,
                    at: problem.at.clone(),
                    message: format!(
                        "definition {:?} cannot be used for {key}: at {}, {}",
                        definition.id, problem.at, problem.message
                    ),
                    hint: None,
                });
            }
            if let Some(draft) = self.draft(index) {
                draft.entry = Some((Arc::clone(&definition), criteria));
            }
            self.follow(index, &key, definition.references());
            for (descriptor, rule) in definition.provision() {
                let child = self.ensure(descriptor.relative_to(&key));
                if let Some(params) = rule.params.as_ref().filter(|params| !params.is_empty()) {
                    self.provision_params(child, &key, &definition.id, params);
                }
                if rule.is_dependent {
                    self.edge(child, index, Why::Dependent);
                }
                if rule.match_dependents {
                    self.rules.push(MatchRule { parent: index, child });
                }
            }
        }
    }

    fn matched(&mut self, key: &ResourceKey) -> Option<(Arc<Definition>, Arc<Criteria>)> {
        let input = self.input;
        if input.types.find(&key.resource_type).is_none() {
            let hint = match input.types.nearest(&key.resource_type) {
                Some(near) => format!("Did you mean {near:?}?"),
                None => "List the known types with GET /orgs/{orgId}/resources/types".to_owned(),
            };
            self.error(Error {
                code: Code::UnknownType,
                resource: Some(key.clone()),
                module: None,
                at: String::new(),
                message: format!(
                    "the type {:?} of resource {key} is not known in organization {:?}",
                    key.resource_type, input.context.org
                ),
                hint: Some(hint),
            });
            return None;
        }
        let Some(entry) = input.definitions.find(key, &input.context) else {
            let context = &input.context;
            self.error(Error {
                code: Code::NoDefinition,
                resource: Some(key.clone()),
                module: None,
                at: String::new(),
                message: format!(
                    "no resource definition matches resource {key} (type {:?}, class {:?}, id {:?}) \
                     in application {:?}, environment {:?} of type {:?}",
                    key.resource_type, key.class, key.id, context.app, context.env, context.env_type
                ),
                hint: Some(match &*key.resource_type {
                    "tls-cert" => "Add a definition of type \"tls-cert\"; or let the definition of \
                         the ingress say `no_tls: true`, or name a Secret as `tls_secret_name`"
                        .to_owned(),
                    _ => format!(
                        "Add a definition of type {:?} with a matching criteria for class {:?}",
                        key.resource_type, key.class
                    ),
                }),
            });
            return None;
        };
        let definition = match input.pins.get(key) {
            Some(pinned) if pinned.id == entry.definition.id => pinned,
            _ => &entry.definition,
        };
        Some((Arc::clone(definition), Arc::clone(&entry.criteria)))
    }

    /// Ensures the targets of references and adds the edges; selectors wait for [`Self::close`].
    fn follow(&mut self, index: NodeIndex, key: &ResourceKey, references: &[Reference]) {
        for (number, reference) in references.iter().enumerate() {
            let number = u16::try_from(number).unwrap_or(u16::MAX);
            match &reference.target {
                Target::One(descriptor) => {
                    let to = self.ensure(descriptor.relative_to(key));
                    self.edge(index, to, Why::Reference(number));
                }
                Target::Many(selector) => {
                    if let Some(draft) = self.draft(index) {
                        draft.selectors.push((
                            selector.clone(),
                            Why::Reference(number),
                            Vec::new(),
                        ));
                    }
                    self.known_types(key, &reference.at, selector);
                }
            }
        }
    }

    /// A selector with a type that nobody knows would find nothing, for ever.
    fn known_types(&mut self, key: &ResourceKey, at: &str, selector: &Selector) {
        let steps = selector.steps.iter().map(|(_, filter)| filter);
        for part in std::iter::once(&selector.anchor).chain(steps) {
            let resource_type = part.relative_to(key).resource_type;
            if self.input.types.find(&resource_type).is_none() {
                let near = self.input.types.nearest(&resource_type);
                self.error(Error {
                    code: Code::UnknownType,
                    resource: Some(key.clone()),
                    module: None,
                    at: at.to_owned(),
                    message: format!(
                        "the selector at {at} of {key} names the type {resource_type:?}, which is \
                         not known"
                    ),
                    hint: near.map(|near| format!("Did you mean {near:?}?")),
                });
            }
        }
    }

    /// Gives a co-provisioned node its inputs: params of the set win, then the first rule.
    fn provision_params(
        &mut self,
        child: NodeIndex,
        parent: &ResourceKey,
        definition: &str,
        params: &JsonMap,
    ) {
        let Some(draft) = self.drafts.get_mut(child as usize) else { return };
        let key = draft.key.clone();
        match &draft.inputs {
            Inputs::Set { params, .. } if !params.is_empty() => return,
            Inputs::Module(_) => return,
            Inputs::Provision(known) if **known == *params => return,
            Inputs::Provision(_) => {
                let message = format!(
                    "{key} is co-provisioned with different params by two definitions; one of them \
                     is {definition:?} for {parent}"
                );
                return self.error(Error {
                    code: Code::BadReference,
                    resource: Some(key),
                    module: None,
                    at: "/provision".to_owned(),
                    message,
                    hint: Some("Give both definitions the same params, or another id".to_owned()),
                });
            }
            Inputs::Set { .. } | Inputs::None => {}
        }
        draft.inputs = Inputs::Provision(Arc::new(params.clone()));
        let mut targets = Vec::new();
        for value in params.values() {
            placeholder::visit_strings(value, &mut |_, text| {
                // What is wrong with them is a problem of the definition.
                for segment in placeholder::segments(text).unwrap_or_default() {
                    if let Segment::Placeholder(placeholder) = segment
                        && placeholder.root() == "resources"
                        && let Ok(target) = placeholder.target()
                    {
                        targets.push(target);
                    }
                }
            });
        }
        for target in targets {
            match target {
                Target::One(descriptor) => {
                    let to = self.ensure(descriptor.relative_to(&key));
                    self.edge(child, to, Why::Set);
                }
                Target::Many(selector) => {
                    self.known_types(&key, "/provision", &selector);
                    if let Some(draft) = self.draft(child) {
                        draft.selectors.push((selector, Why::Set, Vec::new()));
                    }
                }
            }
        }
    }

    /// Adds the edges of `match_dependents` and of selectors until none is new.
    fn close(&mut self) {
        let has_selectors = self.drafts.iter().any(|draft| !draft.selectors.is_empty());
        if self.rules.is_empty() && !has_selectors {
            return;
        }
        let mut dependents: Vec<Vec<NodeIndex>> = vec![Vec::new(); self.drafts.len()];
        for (from, draft) in self.drafts.iter().enumerate() {
            for (to, _) in &draft.edges {
                if let Some(list) = dependents.get_mut(*to as usize) {
                    list.push(u32::try_from(from).unwrap_or(u32::MAX));
                }
            }
        }
        let policies: HashSet<(NodeIndex, NodeIndex)> =
            self.rules.iter().map(|rule| (rule.parent, rule.child)).collect();
        loop {
            let mut new = Vec::new();
            for rule in &self.rules {
                for &from in dependents.get(rule.parent as usize).map_or(&[][..], Vec::as_slice) {
                    // Two policies of one parent would otherwise depend on each other.
                    if from != rule.child && !policies.contains(&(rule.parent, from)) {
                        new.push((from, rule.child, Why::MatchDependents));
                    }
                }
            }
            let mut selections = Vec::new();
            for (from, draft) in self.drafts.iter().enumerate() {
                for (slot, (selector, why, _)) in draft.selectors.iter().enumerate() {
                    let from = u32::try_from(from).unwrap_or(u32::MAX);
                    let found = self.select(from, &draft.key, selector, &dependents);
                    new.extend(found.iter().map(|&to| (from, to, *why)));
                    selections.push((from, slot, found));
                }
            }
            for (from, slot, found) in selections {
                let selectors = self.draft(from).map(|draft| &mut draft.selectors);
                if let Some((_, _, kept)) = selectors.and_then(|list| list.get_mut(slot)) {
                    *kept = found;
                }
            }
            let mut grown = false;
            for (from, to, why) in new {
                if self.edge(from, to, why) {
                    grown = true;
                    if let Some(list) = dependents.get_mut(to as usize) {
                        list.push(from);
                    }
                }
            }
            if !grown {
                return;
            }
        }
    }

    /// The nodes that a selector finds, without `current` itself, ordered by id, class and type so
    /// that parallel selectors line up.
    fn select(
        &self,
        current: NodeIndex,
        key: &ResourceKey,
        selector: &Selector,
        dependents: &[Vec<NodeIndex>],
    ) -> Vec<NodeIndex> {
        let anchor = selector.anchor.relative_to(key);
        let Some(&anchor) = self.by_key.get(&anchor) else { return Vec::new() };
        let mut found = vec![anchor];
        for (direction, filter) in &selector.steps {
            let mut next: Vec<NodeIndex> = Vec::new();
            for &at in &found {
                match direction {
                    Direction::DependsOn => {
                        let edges = self.drafts.get(at as usize).map(|draft| &draft.edges);
                        next.extend(edges.into_iter().flatten().map(|(to, _)| *to));
                    }
                    Direction::DependedOnBy => {
                        next.extend(dependents.get(at as usize).into_iter().flatten());
                    }
                }
            }
            next.sort_unstable();
            next.dedup();
            next.retain(|&at| self.key(at).is_some_and(|key| filter.accepts(key)));
            found = next;
        }
        found.retain(|&at| at != current);
        found.sort_by_cached_key(|&at| {
            self.key(at).map(|key| {
                (Arc::clone(&key.id), Arc::clone(&key.class), Arc::clone(&key.resource_type))
            })
        });
        found
    }

    /// Orders the nodes, or reports what is wrong.
    fn finish(mut self) -> Result<ResourceGraph, Vec<Error>> {
        if self.errors.is_empty()
            && let Err(cycle) = order::check_self_references(&self)
        {
            self.errors.push(*cycle);
        }
        if !self.errors.is_empty() {
            self.errors.sort_by(|a, b| {
                let place = |e: &Error| (e.module.clone(), e.resource.clone(), e.at.clone());
                place(a).cmp(&place(b)).then_with(|| a.message.cmp(&b.message))
            });
            self.errors.dedup();
            return Err(self.errors);
        }
        let order = order::order(&self).map_err(|cycle| vec![*cycle])?;
        Ok(self.in_order(&order))
    }

    fn in_order(self, order: &[NodeIndex]) -> ResourceGraph {
        let mut position = vec![0; order.len()];
        for (at, &index) in order.iter().enumerate() {
            if let Some(slot) = position.get_mut(index as usize) {
                *slot = u32::try_from(at).unwrap_or(u32::MAX);
            }
        }
        let moved = |index: NodeIndex| position.get(index as usize).copied().unwrap_or(index);
        let context = &self.input.context;
        let mut drafts: Vec<Option<Draft>> = self.drafts.into_iter().map(Some).collect();
        let mut nodes = Vec::with_capacity(order.len());
        for &index in order {
            let Some(draft) = drafts.get_mut(index as usize).and_then(Option::take) else {
                continue;
            };
            let Some((definition, criteria)) = draft.entry else { continue };
            let key = draft.key;
            let identity =
                [context.org, context.app, context.env, &key.resource_type, &key.class, &key.id];
            let incarnation = self.input.incarnations.get(&key).copied().unwrap_or(0);
            let guresid = GuResId::derive(self.input.installation, identity, incarnation);
            let mut depends_on: Vec<_> =
                draft.edges.into_iter().map(|(to, why)| (moved(to), why)).collect();
            depends_on.sort_unstable();
            let selected = draft
                .selectors
                .into_iter()
                .map(|(selector, _, found)| (selector, found.into_iter().map(moved).collect()))
                .collect();
            let inputs = draft.inputs;
            nodes.push(Node { key, guresid, definition, criteria, inputs, depends_on, selected });
        }
        ResourceGraph { nodes }
    }
}

/// The node list as the v1 API shows it (`NodeBodyResponse`), placeholders unresolved, without the
/// cluster and the namespace.
#[must_use]
pub fn to_wire(graph: &ResourceGraph, set: &DeploymentSet, types: &Catalogue) -> Vec<Json> {
    let hidden = [cluster_key(), namespace_key()];
    let shown = |node: &&Node| !hidden.contains(&node.key);
    graph.nodes.iter().filter(shown).map(|node| node_to_wire(graph, node, set, types)).collect()
}

fn node_to_wire(
    graph: &ResourceGraph,
    node: &Node,
    set: &DeploymentSet,
    types: &Catalogue,
) -> Json {
    let definition = &node.definition;
    let depends_on: Vec<String> = node
        .depends_on
        .iter()
        .filter_map(|(at, _)| graph.node(*at))
        .map(|node| node.guresid.to_string())
        .collect();
    let resource = match &node.inputs {
        Inputs::None => Json::Object(JsonMap::new()),
        Inputs::Module(module) => {
            let module = set.modules.get(module);
            module.and_then(|module| serde_json::to_value(module).ok()).unwrap_or_default()
        }
        Inputs::Set { params, .. } | Inputs::Provision(params) => Json::Object((**params).clone()),
    };
    let mut body = serde_json::json!({
        "id": node.key.id, "type": node.key.resource_type, "class": node.key.class,
        "guresid": node.guresid.to_string(),
        "def_id": definition.id, "def_version_id": definition.version_id,
        "criteria_id": node.criteria.id,
        "driver_type": definition.driver_type(),
        "driver": {
            "values": definition.values().cloned().unwrap_or_default(),
            "secrets": definition.secret_refs().cloned().unwrap_or_default(),
        },
        "resource": resource,
        "resource_schema": types.find(&node.key.resource_type).map(|t| t.outputs_schema.clone())
            .unwrap_or_default(),
        "depends_on": depends_on,
        "in_place_driver_change": definition.body.in_place_driver_change,
    });
    if let (Some(account), Some(body)) = (&definition.body.driver_account, body.as_object_mut()) {
        body.insert("driver_account".to_owned(), Json::String(account.clone()));
    }
    body
}

/// The hash of a node list: SHA-256 over its canonical JSON.
#[must_use]
pub fn hash(nodes: &[Json]) -> String {
    crate::id::sha256_hex(crate::json::canonical(&nodes).as_bytes())
}

/// Checks that a resource of the set may be asked for by a set.
fn check_use(types: &Catalogue, key: &ResourceKey) -> Option<Error> {
    let usage = types.find(&key.resource_type)?.usage;
    let (word, hint) = match usage {
        Use::Direct => return None,
        Use::Indirect => (
            "can only be made through a reference or co-provisioning in a definition",
            "Ask for a resource whose definition needs it",
        ),
        Use::Implicit => (
            "is part of every deployment and cannot be asked for",
            "Remove the resource; its outputs reach workloads through definitions",
        ),
    };
    Some(Error {
        code: Code::WrongUse,
        resource: Some(key.clone()),
        module: None,
        at: String::new(),
        message: format!("resource {key} is of type {:?}, which {word}", key.resource_type),
        hint: Some(hint.to_owned()),
    })
}

/// Appends tokens to a JSON pointer.
fn at(tokens: &[&str]) -> String {
    patch::pointer(tokens.iter().copied())
}
