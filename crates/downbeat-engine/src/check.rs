//! What can be found out before anything is made. Pure.
//!
//! A driver may cost money and time. What no driver's answer can mend is found here, for all nodes
//! at once: placeholders that name nothing, secrets where they cannot stand, drivers, accounts and
//! profiles that are not there.

use std::{collections::HashSet, sync::Arc};

use downbeat_core::{
    Code, Json, JsonMap, Module, ResourceKey,
    graph::{self, Inputs, Node, NodeIndex},
    placeholder::{self, Placeholder, Segment},
    profile,
    resolve::{self, InDefinition, InSet, Lookup as _, NothingYet, Resolved, is_left_alone},
    workload::Profile,
};

use crate::{
    create::Creation,
    parallel,
    port::NodeError,
    prepare::{Context, account, first},
    schema::{Written, is_secret},
};

/// What is wrong with the nodes of a graph; at most one error for each.
pub(crate) fn check(at: &Creation<'_>, context: &Context<'_>) -> Vec<(NodeIndex, NodeError)> {
    // What is wrong with the inputs of a definition is wrong for all that it makes: it is looked at,
    // and reported, once.
    let mut known = HashSet::new();
    let mut is_new = |node: &Node| known.insert(Arc::as_ptr(&node.definition));
    let nodes = (0u32..).zip(&at.facts.graph.nodes);
    let nodes: Vec<(NodeIndex, &Node, bool)> =
        nodes.map(|(position, node)| (position, node, is_new(node))).collect();
    let found = parallel::map(&nodes, |(position, node, is_new)| {
        one(at, context, node, *is_new).err().map(|error| (*position, error))
    });
    found.into_iter().flatten().collect()
}

fn one(
    at: &Creation<'_>,
    context: &Context<'_>,
    node: &Node,
    with_definition: bool,
) -> Result<(), NodeError> {
    at.driver(node)?;
    account(context, node)?;
    let here = Here { context, node };
    here.inputs()?;
    if !with_definition {
        return Ok(());
    }
    let empty = JsonMap::new();
    let definition = &node.definition;
    for (name, tree, may_be_secret) in
        [("values", definition.values(), false), ("secret_refs", definition.secret_refs(), true)]
    {
        let place =
            format!("definition {:?} for {}, driver_inputs/{name}", definition.id, node.key);
        here.definition(tree.unwrap_or(&empty), may_be_secret, &place)?;
    }
    Ok(())
}

struct Here<'a> {
    context: &'a Context<'a>,
    node: &'a Node,
}

type Checked = Result<(), resolve::Error>;

impl Here<'_> {
    fn inputs(&self) -> Result<(), NodeError> {
        let key = &self.node.key;
        let set = self.context.facts.set;
        match &self.node.inputs {
            Inputs::None => Ok(()),
            Inputs::Module(id) => {
                let Some(module) = set.modules.get(id) else { return Ok(()) };
                profile(self.context, id, module)?;
                let empty = JsonMap::new();
                let spec = module.spec.as_ref().unwrap_or(&empty);
                let place = format!("workload {id:?}, spec");
                let check = |placeholder: &Placeholder<'_>, _: &str| {
                    self.in_set(Some((id, module)), placeholder, true)
                };
                visit(spec, true, &place, &check)
            }
            Inputs::Set { module, params } => {
                let module = module.as_deref().and_then(|id| Some((id, set.modules.get(id)?)));
                let check = |placeholder: &Placeholder<'_>, _: &str| {
                    self.in_set(module, placeholder, false)
                };
                visit(params, false, &format!("params of {key}"), &check)
            }
            Inputs::Provision(params) => {
                self.definition(params, false, &format!("co-provision params of {key}"))
            }
        }
    }

    /// The strings of a definition.
    fn definition(
        &self,
        tree: &JsonMap,
        may_be_secret: bool,
        place: &str,
    ) -> Result<(), NodeError> {
        let facts = self.context.facts;
        let lookup = InDefinition { facts, node: self.node, outputs: &NothingYet };
        let check = |placeholder: &Placeholder<'_>, at: &str| match placeholder.root() {
            "context" => lookup.lookup(placeholder).map(drop),
            "resources" if !may_be_secret => {
                use downbeat_core::descriptor::Target;
                let Ok(Target::One(descriptor)) = placeholder.target() else { return Ok(()) };
                let ["outputs" | "values", output, ..] = placeholder.rest(2) else { return Ok(()) };
                self.plain(&descriptor.relative_to(&self.node.key), output, placeholder, at)
            }
            _ => Ok(()),
        };
        visit(tree, false, place, &check)
    }

    /// A placeholder of the set.
    fn in_set(
        &self,
        module: Option<(&str, &Module)>,
        placeholder: &Placeholder<'_>,
        may_be_secret: bool,
    ) -> Checked {
        let facts = self.context.facts;
        let positions = self.context.positions;
        match placeholder.root() {
            "context" | "values" => {
                let lookup = InSet { facts, module, outputs: &NothingYet, positions };
                match lookup.lookup(placeholder)? {
                    Resolved::Plain(_) => Ok(()),
                    _ if may_be_secret => Ok(()),
                    _ => Err(resolve::misused(placeholder.text, "")),
                }
            }
            _ if may_be_secret => Ok(()),
            _ => match graph::seed_key(facts.set, module, placeholder) {
                Some((key, [output, ..])) => self.plain(&key, output, placeholder, ""),
                _ => Ok(()),
            },
        }
    }

    /// An output that has to be plain.
    fn plain(
        &self,
        key: &ResourceKey,
        output: &str,
        placeholder: &Placeholder<'_>,
        at: &str,
    ) -> Checked {
        match self.context.types.find(&key.resource_type) {
            Some(kind) if is_secret(kind, output) => Err(resolve::misused(placeholder.text, at)),
            _ => Ok(()),
        }
    }
}

/// Checks every placeholder below a tree, until one is wrong. In a spec the names of members count
/// as well, and what is left alone does not.
fn visit(
    tree: &JsonMap,
    is_spec: bool,
    place: &str,
    check: &dyn Fn(&Placeholder<'_>, &str) -> Checked,
) -> Result<(), NodeError> {
    let mut wrong: Option<resolve::Error> = None;
    for (name, value) in tree {
        let root = downbeat_core::patch::pointer([name.as_str()]);
        let mut one = |below: &str, text: &str| {
            if wrong.is_some() {
                return;
            }
            let at = format!("{root}{below}");
            if is_spec && is_left_alone(&at) {
                return;
            }
            // One that cannot be read is reported by the graph.
            for segment in placeholder::segments(text).unwrap_or_default() {
                let Segment::Placeholder(found) = segment else { continue };
                if let Err(error) = check(&found, &at) {
                    wrong = Some(resolve::Error { at, ..error });
                    return;
                }
            }
        };
        match is_spec {
            true => placeholder::visit_strings_and_names(value, &mut one),
            false => placeholder::visit_strings(value, &mut one),
        }
    }
    wrong.map_or(Ok(()), |error| Err(first(vec![error], place)))
}

/// Whether the module can be rendered, and its spec fits what the profile says.
fn profile(context: &Context<'_>, id: &str, module: &Module) -> Result<(), NodeError> {
    let name = module.profile();
    if Profile::parse(name).is_some() {
        return Ok(());
    }
    let failed = |code: Code, message, hint| {
        Err(NodeError { code: code.to_string(), message, hint: Some(hint) })
    };
    let Some(own) = context.facts.profiles.get(name) else {
        let message = format!("workload {id:?} has the unknown profile {name:?}");
        let org = context.facts.org;
        let is_own = name.strip_prefix(org).is_some_and(|rest| rest.starts_with('/'));
        let hint = match is_own {
            true => format!("`GET …/workload-profiles` lists the profiles of {org:?}"),
            false => Profile::suggestion(name),
        };
        return failed(Code::UnknownProfile, message, hint);
    };
    if own.renders.is_none() {
        let message = format!(
            "workload {id:?} has the profile {name:?}, whose chart {:?} cannot be rendered here",
            own.chart
        );
        let known: Vec<String> = profile::BUILT_IN.iter().map(|one| one.qualified()).collect();
        let hint = format!("Charts that can: {}", known.join(", "));
        return failed(Code::ProfileChart, message, hint);
    }
    let spec = Json::Object(module.spec.clone().unwrap_or_default());
    let key = format!("profile {name}");
    let problems = context.schemas.check_written(&key, &own.schema, &spec, Written::All);
    if problems.is_empty() {
        return Ok(());
    }
    let message = format!(
        "the spec of workload {id:?} does not fit its profile {name:?}: {}",
        problems.join("; ")
    );
    let hint = format!("`GET …/workload-profiles` shows the `spec_schema` of {name:?}");
    failed(Code::Workload, message, hint)
}
