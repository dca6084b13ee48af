//! The nodes and edges that the set itself names, and those that are always there.

use std::sync::Arc;

use super::{
    Builder, Error, Inputs, NodeIndex, Why, at, base_env_key, check_use, cluster_key, logging_key,
    namespace_key, workload_key,
};
use crate::{
    Code, DeploymentSet, Json, JsonMap, Module, Resource, ResourceKey, builtin,
    placeholder::{self, Placeholder, Segment},
    resolve::is_left_alone,
    suggest::nearest,
};

pub(super) fn seed(builder: &mut Builder<'_>) {
    let set = builder.input.set;
    builder.ensure(cluster_key());
    builder.ensure(namespace_key());
    let base = builder.ensure(base_env_key());
    // Where logging is configured. Nothing depends on it.
    let logging = logging_key();
    let found = builder.input.definitions.find(&logging, &builder.input.context);
    // A driver of v1 that does not run here would make nothing that anybody needs.
    let runs = |driver: &str| builtin::driver(driver).is_none() || builtin::runs_here(driver);
    if found.is_some_and(|entry| {
        !entry.definition.is_default && runs(&entry.definition.body.driver_type)
    }) {
        builder.ensure(logging);
    }
    let mut params = JsonMap::new();
    params.insert("id".to_owned(), Json::String(builder.input.context.env.to_owned()));
    if let Some(draft) = builder.draft(base) {
        draft.inputs = Inputs::Set { module: None, params: Arc::new(params) };
    }
    for (key, resource) in &set.shared {
        resource_node(builder, &shared_key(key, resource), resource, None, &at(&["shared", key]));
    }
    for (id, module) in &set.modules {
        let workload = builder.ensure(workload_key(id));
        if let Some(draft) = builder.draft(workload) {
            draft.inputs = Inputs::Module(id.clone());
        }
        builder.edge(workload, base, Why::Implicit);
        for (name, resource) in &module.externals {
            let place = at(&["modules", id, "externals", name]);
            let key = external_key(id, name, resource);
            let index = resource_node(builder, &key, resource, Some(id), &place);
            builder.edge(workload, index, Why::Set);
        }
    }
    // Placeholders can name any resource of the set, so all of them have to be there first.
    for (key, resource) in &set.shared {
        let from = builder.ensure(shared_key(key, resource));
        params_edges(builder, from, resource, None, &at(&["shared", key, "params"]));
    }
    for (id, module) in &set.modules {
        module_edges(builder, id, module);
    }
}

/// The key of a shared resource: its own id, or `shared.<key>`.
pub(crate) fn shared_key(key: &str, resource: &Resource) -> ResourceKey {
    let id = resource.id.as_deref().filter(|id| !id.is_empty());
    let id = id.map_or_else(|| format!("shared.{key}"), str::to_owned);
    ResourceKey::new(&resource.resource_type, resource.class(), &id)
}

/// The key of a private resource.
pub(crate) fn external_key(module: &str, name: &str, resource: &Resource) -> ResourceKey {
    let id = format!("modules.{module}.externals.{name}");
    ResourceKey::new(&resource.resource_type, resource.class(), &id)
}

fn resource_node(
    builder: &mut Builder<'_>,
    key: &ResourceKey,
    resource: &Resource,
    module: Option<&str>,
    place: &str,
) -> NodeIndex {
    if let Some(mut error) = check_use(builder.input.types, key) {
        error.module = module.map(str::to_owned);
        place.clone_into(&mut error.at);
        builder.error(error);
    }
    let mut params = resource.params.clone().unwrap_or_default();
    if &*key.resource_type == "service-port" {
        match service_port(builder.input.set, &params) {
            Ok(Some(found)) => params.extend(found),
            Ok(None) => {}
            Err((message, hint)) => builder.error(Error {
                code: Code::BadReference,
                resource: Some(key.clone()),
                module: module.map(str::to_owned),
                at: place.to_owned(),
                message: format!("resource {key}: {message}"),
                hint,
            }),
        }
    }
    let index = builder.ensure(key.clone());
    let Some(draft) = builder.draft(index) else { return index };
    match draft.inputs.params() {
        Some(known) if !known.is_empty() && !params.is_empty() && **known != params => {
            builder.error(Error {
                code: Code::BadReference,
                resource: Some(key.clone()),
                module: module.map(str::to_owned),
                at: place.to_owned(),
                message: format!("resource {key} is asked for twice, with different params"),
                hint: Some("Give it the same params in both places, or another id".to_owned()),
            });
        }
        Some(known) if !known.is_empty() => {}
        _ => {
            let module = module.map(str::to_owned);
            draft.inputs = Inputs::Set { module, params: Arc::new(params) };
        }
    }
    index
}

type Hinted = (String, Option<String>);

/// For a `service-port`: the Service and the port number that `workload` and `port` mean. A
/// definition cannot see another workload, so the graph looks them up.
fn service_port(set: &DeploymentSet, params: &JsonMap) -> Result<Option<JsonMap>, Hinted> {
    let (Some(workload), Some(port)) =
        (params.get("workload").and_then(Json::as_str), params.get("port"))
    else {
        return Ok(None); // the schema of the type complains
    };
    if !placeholder::is_literal(workload) {
        return Ok(None);
    }
    let module = set.modules.get(workload).ok_or_else(|| {
        let near = nearest(workload, set.modules.keys().map(String::as_str));
        (
            format!("there is no workload {workload:?} in the deployment set"),
            near.map(|near| format!("Did you mean {near:?}?")),
        )
    })?;
    let ports = module
        .spec
        .as_ref()
        .and_then(|spec| spec.get("service")?.get("ports")?.as_object())
        .ok_or_else(|| (format!("workload {workload:?} has no service ports"), None))?;
    let found = match port {
        Json::String(name) => ports.get(name),
        number => ports.values().find(|port| port.get("service_port") == Some(number)),
    };
    let number = found.and_then(|port| port.get("service_port")).ok_or_else(|| {
        let known: Vec<&str> = ports.keys().map(String::as_str).collect();
        (
            format!("workload {workload:?} has no service port {port}"),
            Some(format!("It has: {}", known.join(", "))),
        )
    })?;
    let mut inputs = JsonMap::new();
    inputs.insert("service".to_owned(), Json::String(workload.to_owned()));
    inputs.insert("service_port".to_owned(), number.clone());
    Ok(Some(inputs))
}

fn module_edges(builder: &mut Builder<'_>, id: &str, module: &Module) {
    let workload = builder.ensure(workload_key(id));
    if let Some(spec) = &module.spec {
        let place = at(&["modules", id, "spec"]);
        for (member, value) in spec {
            let below = at(&[member]);
            let in_module = Some((id, module));
            string_edges(builder, workload, value, in_module, &place, &below, Part::Spec);
        }
        for (place, target) in volume_ids(spec) {
            let place = format!("{}{place}", at(&["modules", id, "spec"]));
            let tokens: Vec<&str> = target.splitn(2, '.').collect();
            let named = Placeholder { text: target, tokens };
            mention(builder, workload, &named, Some((id, module)), &place);
        }
    }
    for (name, resource) in &module.externals {
        let from = builder.ensure(external_key(id, name, resource));
        let place = at(&["modules", id, "externals", name, "params"]);
        params_edges(builder, from, resource, Some((id, module)), &place);
        // What the params of a private resource mention, the workload depends on too.
        params_edges(builder, workload, resource, Some((id, module)), &place);
    }
}

/// Place and resource of each volume mount.
fn volume_ids(spec: &JsonMap) -> impl Iterator<Item = (String, &str)> {
    // A plain name is that of a claim in the namespace.
    volume_mounts(spec).filter(|(_, id)| id.contains('.'))
}

/// The volume mounts of all containers of a spec, also of those of schedules: the place of each
/// below the spec, and what it mounts.
pub fn volume_mounts(spec: &JsonMap) -> impl Iterator<Item = (String, &str)> {
    let schedules = spec.get("schedules").and_then(Json::as_object).into_iter().flatten();
    let schedules = schedules.map(|(name, schedule)| (at(&["schedules", name]), schedule));
    let holders = schedules.filter_map(|(place, schedule)| Some((place, schedule.as_object()?)));
    std::iter::once((String::new(), spec)).chain(holders).flat_map(|(holder, members)| {
        let containers = members.get("containers").and_then(Json::as_object);
        containers.into_iter().flatten().flat_map(move |(container, body)| {
            let holder = holder.clone();
            let mounts = body.get("volume_mounts").and_then(Json::as_object);
            mounts.into_iter().flatten().filter_map(move |(mount, body)| {
                let place = at(&["containers", container, "volume_mounts", mount]);
                Some((format!("{holder}{place}"), body.get("id").and_then(Json::as_str)?))
            })
        })
    })
}

type InModule<'a> = Option<(&'a str, &'a Module)>;

fn params_edges(
    builder: &mut Builder<'_>,
    from: NodeIndex,
    resource: &Resource,
    module: InModule<'_>,
    place: &str,
) {
    for (key, value) in resource.params.iter().flatten() {
        string_edges(builder, from, value, module, place, &at(&[key]), Part::Params);
    }
}

/// Which strings of a part of the set are resolved later.
#[derive(Clone, Copy)]
enum Part {
    /// Params of a resource: all values.
    Params,
    /// The spec of a module: values and names, but not those that are left alone.
    Spec,
}

/// Adds the edges for the strings of `value`, which stands at `root` below `place`.
fn string_edges(
    builder: &mut Builder<'_>,
    from: NodeIndex,
    value: &Json,
    module: InModule<'_>,
    place: &str,
    root: &str,
    part: Part,
) {
    let mut visit = |below: &str, text: &str| {
        let below = format!("{root}{below}");
        if matches!(part, Part::Spec) && is_left_alone(&below) {
            return;
        }
        let place = format!("{place}{below}");
        match placeholder::segments(text) {
            Ok(segments) => {
                for segment in &segments {
                    if let Segment::Placeholder(placeholder) = segment {
                        mention(builder, from, placeholder, module, &place);
                    }
                }
            }
            Err(error) => {
                let hint = error.text.clone();
                builder.error(Error {
                    code: Code::Unresolvable,
                    resource: builder.key(from).cloned(),
                    module: module.map(|(id, _)| id.to_owned()),
                    at: place.clone(),
                    message: format!("{error} (at {place})"),
                    hint: Some(format!("To write it literally, write $\\{{{hint}}}")),
                });
            }
        }
    };
    match part {
        Part::Params => placeholder::visit_strings(value, &mut visit),
        Part::Spec => placeholder::visit_strings_and_names(value, &mut visit),
    }
}

/// Adds the edge for one placeholder of the set, or the error when it names nothing.
fn mention(
    builder: &mut Builder<'_>,
    from: NodeIndex,
    placeholder: &Placeholder<'_>,
    module: InModule<'_>,
    place: &str,
) {
    let set = builder.input.set;
    let to = match (placeholder.root(), module) {
        ("context" | "values", _) => return,
        ("externals", Some((id, module))) => external(id, module, placeholder.rest(1)),
        ("externals", None) => {
            Err(("a shared resource cannot use private resources of a workload".to_owned(), None))
        }
        ("shared", _) => shared(set, placeholder.rest(1)),
        ("modules", _) => match other_module(set, placeholder.rest(1)) {
            Ok(None) => return,
            Ok(Some(key)) => Ok(key),
            Err(error) => Err(error),
        },
        ("resources", module) => {
            // What the conversion of a Score file could not find, it leaves as it is.
            let name = placeholder.rest(1).first().copied().unwrap_or_default();
            let known = module.into_iter().flat_map(|(_, module)| module.externals.keys());
            let near = nearest(name, known.chain(set.shared.keys()).map(String::as_str));
            Err((
                format!("the Score file has no resource {name:?}"),
                near.map(|near| format!("Did you mean {near:?}?")),
            ))
        }
        (root, _) => {
            let near = nearest(root, placeholder::ROOTS);
            let near = near.filter(|near| *near != "resources").map_or_else(
                || format!("To write it literally, write $\\{{{}}}", placeholder.text),
                |near| format!("Did you mean {near:?}?"),
            );
            Err((format!("{root:?} is not known here"), Some(near)))
        }
    };
    match to {
        Ok(key) => {
            let to = builder.ensure(key);
            builder.edge(from, to, Why::Set);
        }
        Err((reason, hint)) => builder.error(Error {
            code: Code::Unresolvable,
            resource: builder.key(from).cloned(),
            module: module.map(|(id, _)| id.to_owned()),
            at: place.to_owned(),
            message: format!("${{{}}} cannot be resolved at {place}: {reason}", placeholder.text),
            hint,
        }),
    }
}

fn external(id: &str, module: &Module, rest: &[&str]) -> Result<ResourceKey, Hinted> {
    let found = longest(rest, |name| module.externals.get(name).map(|r| (name.to_owned(), r)));
    found.map(|(name, resource)| external_key(id, &name, resource)).ok_or_else(|| {
        let name = rest.first().copied().unwrap_or_default();
        let near = nearest(name, module.externals.keys().map(String::as_str));
        (
            format!("workload {id:?} has no private resource {name:?}"),
            near.map(|near| format!("Did you mean {near:?}?")),
        )
    })
}

fn shared(set: &DeploymentSet, rest: &[&str]) -> Result<ResourceKey, Hinted> {
    let found = longest(rest, |key| set.shared.get(key).map(|r| (key.to_owned(), r)));
    found.map(|(key, resource)| shared_key(&key, resource)).ok_or_else(|| {
        let name = rest.first().copied().unwrap_or_default();
        let near = nearest(name, set.shared.keys().map(String::as_str));
        (
            format!("the deployment set has no shared resource {name:?}"),
            near.map(|near| format!("Did you mean {near:?}?")),
        )
    })
}

fn other_module(set: &DeploymentSet, rest: &[&str]) -> Result<Option<ResourceKey>, Hinted> {
    let name = rest.first().copied().unwrap_or_default();
    let Some(module) = set.modules.get(name) else {
        let near = nearest(name, set.modules.keys().map(String::as_str));
        return Err((
            format!("the deployment set has no workload {name:?}"),
            near.map(|near| format!("Did you mean {near:?}?")),
        ));
    };
    match rest.get(1) {
        Some(&"externals") => external(name, module, rest.get(2..).unwrap_or_default()).map(Some),
        Some(&("service" | "name")) => Ok(None),
        _ => Err((
            "of a workload only `service.name`, `service.port` and `externals` can be used"
                .to_owned(),
            None,
        )),
    }
}

/// Names may hold dots (`externals.a.b`), and outputs follow them: the longest name that exists is
/// meant.
fn longest<T>(tokens: &[&str], find: impl Fn(&str) -> Option<T>) -> Option<T> {
    (1..=tokens.len()).rev().find_map(|count| {
        let name = tokens.get(..count)?;
        if let [one] = name { find(one) } else { find(&name.join(".")) }
    })
}

/// The resource of the set that a placeholder names, and the path of the output behind its name.
/// `module` is the workload that the placeholder is part of.
pub fn seed_key<'a>(
    set: &DeploymentSet,
    module: InModule<'_>,
    placeholder: &'a Placeholder<'a>,
) -> Option<(ResourceKey, &'a [&'a str])> {
    let in_module = |id: &str, module: &Module, rest: &'a [&'a str]| {
        let find = |name: &str| module.externals.get(name).map(|r| external_key(id, name, r));
        longest_with_rest(rest, find)
    };
    match (placeholder.root(), module) {
        ("externals", Some((id, module))) => in_module(id, module, placeholder.rest(1)),
        ("shared", _) => {
            let find = |key: &str| set.shared.get(key).map(|r| shared_key(key, r));
            longest_with_rest(placeholder.rest(1), find)
        }
        ("modules", _) => {
            let id = placeholder.rest(1).first()?;
            if placeholder.rest(2).first() != Some(&"externals") {
                return None;
            }
            in_module(id, set.modules.get(*id)?, placeholder.rest(3))
        }
        _ => None,
    }
}

fn longest_with_rest<'a>(
    tokens: &'a [&'a str],
    find: impl Fn(&str) -> Option<ResourceKey>,
) -> Option<(ResourceKey, &'a [&'a str])> {
    (1..=tokens.len()).rev().find_map(|count| {
        let (name, rest) = tokens.split_at_checked(count)?;
        let key = if let [one] = name { find(one) } else { find(&name.join(".")) };
        key.map(|key| (key, rest))
    })
}
