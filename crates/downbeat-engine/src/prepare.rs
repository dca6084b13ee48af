//! The pure half of a node step: from the graph and the outputs so far to a driver request.

use std::collections::BTreeMap;

use downbeat_core::{
    Code, Document, Json, JsonMap, ResourceKey, SecretRef, builtin,
    graph::{Inputs, Node, NodeIndex},
    id::sha256_hex,
    resolve::{self, Facts, InDefinition, InSet, OutputsOf, Secrets},
    resource_type::Catalogue,
    suggest,
};

use crate::{
    port::{Account, NodeError, RegisteredDriver},
    schema::Schemas,
};

/// A node whose inputs are known.
#[derive(Debug)]
pub struct Prepared {
    /// Inputs of the resource.
    pub resource: Json,
    /// Plain driver inputs.
    pub values: Json,
    /// Secret driver inputs.
    pub secrets: Document,
    /// The driver account; none when it has none.
    pub account: Option<Account>,
    /// Hash of everything that the result depends on.
    pub hash: String,
}

/// What every node of a deployment is prepared with.
#[derive(Clone, Copy)]
pub struct Context<'a> {
    /// The deployment.
    pub facts: &'a Facts<'a>,
    /// Positions of the nodes.
    pub positions: &'a BTreeMap<ResourceKey, NodeIndex>,
    /// Outputs so far.
    pub outputs: &'a (dyn OutputsOf + Sync),
    /// Types of the organization.
    pub types: &'a Catalogue,
    /// Compiled schemas.
    pub schemas: &'a Schemas,
    /// Accounts of the organization; none when they are not known.
    pub accounts: Option<&'a BTreeMap<String, Account>>,
    /// Drivers that the organization registered.
    pub registered: &'a BTreeMap<String, RegisteredDriver>,
}

/// Resolves the inputs of a node and checks them.
///
/// # Errors
/// The first thing that is wrong, with its place.
pub fn prepare(context: &Context<'_>, node: &Node) -> Result<Prepared, NodeError> {
    let definition = &node.definition;
    let lookup = InDefinition { facts: context.facts, node, outputs: context.outputs };
    let resource = inputs(context, node)?;
    if !matches!(node.inputs, Inputs::Module(_))
        && let Some(resource_type) = context.types.find(&node.key.resource_type)
    {
        let problems = context.schemas.check_inputs(resource_type, &resource);
        if !problems.is_empty() {
            let message = format!(
                "the inputs of resource {} do not satisfy the schema of type {:?}: {}",
                node.key,
                node.key.resource_type,
                problems.join("; ")
            );
            return Err(NodeError { code: Code::Schema.to_string(), message, hint: None });
        }
    }
    let in_definition = |errors: Vec<resolve::Error>, below: &str| {
        first(
            errors,
            &format!("definition {:?} for {}, driver_inputs/{below}", definition.id, node.key),
        )
    };
    let empty = JsonMap::new();
    let values = definition.values().unwrap_or(&empty);
    let values = resolve::map(values, &lookup, Secrets::Refused)
        .map_err(|errors| in_definition(errors, "values"))?
        .value;
    let refs = definition.secret_refs().unwrap_or(&empty);
    let secrets = resolve::secret_refs(refs, &lookup)
        .map_err(|errors| in_definition(errors, "secret_refs"))?;
    let account = account(context, node)?;
    let hash =
        hash(node, &resource, &values, &secrets, account.as_ref().map(|one| &one.credentials));
    Ok(Prepared { resource, values, secrets, account, hash })
}

/// The account that the definition of a node names.
pub(crate) fn account(context: &Context<'_>, node: &Node) -> Result<Option<Account>, NodeError> {
    let definition = &node.definition;
    let id = resolve::account(context.facts, node).map_err(|error| {
        let place = format!("definition {:?} for {}, driver_account", definition.id, node.key);
        first(vec![error], &place)
    })?;
    let (Some(id), Some(accounts)) = (id, context.accounts) else { return Ok(None) };
    let failed = |message: String, hint: String| NodeError {
        code: Code::Account.to_string(),
        message: format!("{message} (in definition {:?} for {})", definition.id, node.key),
        hint: Some(hint),
    };
    let Some(account) = accounts.get(&id) else {
        let hint = match suggest::nearest(&id, accounts.keys().map(String::as_str)) {
            Some(near) => format!("Did you mean {near:?}?"),
            None => "Enter it: `POST …/resources/accounts`".to_owned(),
        };
        return Err(failed(format!("there is no resource account {id:?}"), hint));
    };
    // A virtual driver says itself what it takes, not the one behind it.
    let driver_type = &definition.body.driver_type;
    let kind = &account.account_type;
    let (takes, known) = match (builtin::driver(driver_type), context.registered.get(driver_type)) {
        (Some(driver), _) => {
            (driver.account_types.contains(&kind.as_str()), driver.account_types.join(", "))
        }
        (None, Some(driver)) => {
            (driver.account_types.contains(kind), driver.account_types.join(", "))
        }
        (None, None) => (true, String::new()),
    };
    if takes {
        return Ok(Some(account.clone()));
    }
    let hint = match known.is_empty() {
        true => "Take `driver_account` out of the definition".to_owned(),
        false => format!("It takes accounts of type {known}"),
    };
    let message = format!("the driver {driver_type:?} takes no account of type {kind:?}");
    Err(failed(message, hint))
}

fn inputs(context: &Context<'_>, node: &Node) -> Result<Json, NodeError> {
    let set = context.facts.set;
    match &node.inputs {
        Inputs::None => Ok(Json::Object(JsonMap::new())),
        Inputs::Module(id) => Ok(workload_inputs(context.facts, id)),
        Inputs::Set { module, params } => {
            let module = module.as_deref().and_then(|id| Some((id, set.modules.get(id)?)));
            let lookup = InSet {
                facts: context.facts,
                module,
                outputs: context.outputs,
                positions: context.positions,
            };
            resolve::map(params, &lookup, Secrets::Refused)
                .map(|document| document.value)
                .map_err(|errors| first(errors, &format!("params of {}", node.key)))
        }
        Inputs::Provision(params) => {
            let lookup = InDefinition { facts: context.facts, node, outputs: context.outputs };
            resolve::map(params, &lookup, Secrets::Refused)
                .map(|document| document.value)
                .map_err(|errors| first(errors, &format!("co-provision params of {}", node.key)))
        }
    }
}

/// The module as a `workload` definition sees it: placeholders unresolved, `deployment` and `pod`
/// always there, so that templates can range over them.
fn workload_inputs(facts: &Facts<'_>, id: &str) -> Json {
    let Some(module) = facts.set.modules.get(id) else { return Json::Object(JsonMap::new()) };
    let mut inputs = JsonMap::new();
    inputs.insert("id".to_owned(), Json::String(id.to_owned()));
    inputs.insert("profile".to_owned(), Json::String(module.profile().to_owned()));
    inputs.insert("spec".to_owned(), Json::Object(spec(module)));
    if !module.externals.is_empty() {
        let externals = serde_json::to_value(&module.externals).unwrap_or_default();
        inputs.insert("externals".to_owned(), externals);
    }
    Json::Object(inputs)
}

/// The spec of a module with the maps that are always there.
#[must_use]
pub fn spec(module: &downbeat_core::Module) -> JsonMap {
    let mut spec = module.spec.clone().unwrap_or_default();
    spec.retain(|_, value| !value.is_null());
    for always in ["deployment", "pod"] {
        spec.entry(always).or_insert_with(|| Json::Object(JsonMap::new()));
    }
    spec
}

fn hash(
    node: &Node,
    resource: &Json,
    values: &Json,
    secrets: &Document,
    account: Option<&SecretRef>,
) -> String {
    let parts = (
        &node.definition.id,
        &node.definition.version_id,
        node.definition.driver_type(),
        resource,
        values,
        &secrets.value,
        &secrets.secrets,
        account,
    );
    sha256_hex(downbeat_core::json::canonical(&parts).as_bytes())
}

/// The first of several resolve errors as a node error; the others are counted.
pub(crate) fn first(errors: Vec<resolve::Error>, place: &str) -> NodeError {
    let more = errors.len().saturating_sub(1);
    let Some(error) = errors.into_iter().next() else {
        return NodeError {
            code: Code::Internal.to_string(),
            message: place.to_owned(),
            hint: None,
        };
    };
    let more = if more == 0 { String::new() } else { format!(" (and {more} more)") };
    let at = if error.at.is_empty() { String::new() } else { format!(" at {}", error.at) };
    NodeError {
        code: error.code.to_string(),
        message: format!("{} (in {place}{at}){more}", error.message),
        hint: error.hint,
    }
}
