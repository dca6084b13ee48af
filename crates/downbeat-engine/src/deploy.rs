//! Deploy: from the outputs of all nodes to the objects of a target. Pure.

use std::collections::{BTreeMap, BTreeSet};

use downbeat_core::{
    Code, Document, Json, JsonMap, Manifest, Module, ResourceKey,
    assemble::{self, Object},
    graph::{self, NodeIndex, namespace_key, workload_key},
    manifest::Location,
    patch::{self, Action},
    profile,
    resolve::{self, Facts, InSet, InWorkload, Secrets},
    workload::{self, Scope, Workload},
};

use crate::{
    create::Results,
    parallel,
    port::{DeploymentError, KeptResource},
    prepare,
};

/// The objects of a deployment, in the order in which they can be applied. Those of `kept`
/// resources that the graph has no more come after those of the graph. Takes the manifests out of
/// the results: they are large, and nobody needs them afterwards.
///
/// # Errors
/// Everything that is wrong with any workload or manifest.
pub fn objects(
    facts: &Facts<'_>,
    positions: &BTreeMap<ResourceKey, NodeIndex>,
    results: &mut Results,
    kept: &[KeptResource],
) -> Result<Vec<Object>, Vec<DeploymentError>> {
    let scope = Scope { org: facts.org, app: facts.app, env: facts.env, env_type: facts.env_type };
    let mut errors = Vec::new();
    let autoscaled = autoscaled(results);
    let whole: &Results = results;
    let mut workloads = Vec::with_capacity(facts.set.modules.len());
    let modules: Vec<(&String, &Module)> = facts.set.modules.iter().collect();
    let made = parallel::map(&modules, |(id, module)| {
        let parts = Parts { facts, positions, results: whole, id, module };
        parts.objects(&scope, autoscaled.contains(id.as_str()))
    });
    for ((id, module), made) in modules.into_iter().zip(made) {
        match made {
            Ok(objects) => {
                let stage = module.deploy.as_ref().and_then(|deploy| deploy.when);
                workloads.push((id.as_str(), stage.unwrap_or_default(), objects));
            }
            Err(found) => errors.extend(found),
        }
    }
    let namespace = namespace(positions, results);
    let made = facts.graph.nodes.iter().zip(&mut results.0).filter_map(|(node, result)| {
        let manifests = std::mem::take(&mut result.as_mut()?.manifests);
        (!manifests.is_empty()).then(|| (node.key.to_string(), manifests))
    });
    let mut resources: Vec<(String, Vec<Manifest>)> = made.collect();
    let dropped = kept.iter().filter(|resource| !positions.contains_key(&resource.key));
    resources.extend(dropped.map(|one| (one.key.to_string(), one.manifests.clone())));
    let input = assemble::Input { scope, namespace: &namespace, resources, workloads };
    match assemble::assemble(input) {
        Ok(objects) if errors.is_empty() => Ok(objects),
        Ok(_) => Err(errors),
        Err(found) => {
            errors.extend(found.into_iter().map(assembly_error));
            Err(errors)
        }
    }
}

/// The error of an assembly step, for people.
#[must_use]
pub fn assembly_error(error: assemble::Error) -> DeploymentError {
    let (scope, object_id) = match &error.origin {
        assemble::Origin::Workload(workload) => ("workload", workload.to_string()),
        assemble::Origin::Resource { resource, .. } => ("resource", resource.to_string()),
    };
    let message = with_hint(error.message, error.hint);
    DeploymentError { scope, object_id, code: error.code, message }
}

pub(crate) fn with_hint(message: String, hint: Option<String>) -> String {
    let Some(hint) = hint else { return message };
    let mut letters = hint.chars();
    let first = letters.next().into_iter().flat_map(char::to_uppercase);
    format!("{message}. {}", first.chain(letters).collect::<String>())
}

/// The name of the environment's namespace.
#[must_use]
pub fn namespace(positions: &BTreeMap<ResourceKey, NodeIndex>, results: &Results) -> String {
    let node = positions.get(&namespace_key()).and_then(|at| results.of(*at));
    let name = node.and_then(|result| result.outputs.values.get("namespace")?.as_str());
    name.unwrap_or_default().to_owned()
}

/// Workloads that an autoscaler among the manifests names as its target.
fn autoscaled(results: &Results) -> BTreeSet<String> {
    let manifests = results.0.iter().flatten().flat_map(|result| &result.manifests);
    let scalers = manifests.map(|manifest| &manifest.data.value).filter(|object| {
        object.get("kind").and_then(Json::as_str) == Some("HorizontalPodAutoscaler")
    });
    let target =
        |object: &Json| Some(object.pointer("/spec/scaleTargetRef/name")?.as_str()?.to_owned());
    scalers.filter_map(target).collect()
}

/// Whether the id of a volume mount is the name of a claim: one DNS label.
fn is_claim(id: &str) -> bool {
    downbeat_core::id::Grammar::Workload.accepts(id)
}

struct Parts<'a> {
    facts: &'a Facts<'a>,
    positions: &'a BTreeMap<ResourceKey, NodeIndex>,
    results: &'a Results,
    id: &'a str,
    module: &'a Module,
}

impl Parts<'_> {
    fn objects(
        &self,
        scope: &Scope<'_>,
        autoscaled: bool,
    ) -> Result<Vec<Document>, Vec<DeploymentError>> {
        let spec = self.updated().map_err(|error| vec![error])?;
        let in_set = InSet {
            facts: self.facts,
            module: Some((self.id, self.module)),
            outputs: self.results,
            positions: self.positions,
        };
        let spec =
            resolve::map(&spec, &InWorkload(in_set), Secrets::Allowed).map_err(|errors| {
                errors
                    .into_iter()
                    .map(|error| {
                        let message =
                            format!("workload {:?}, spec{}: {}", self.id, error.at, error.message);
                        self.error(error.code, with_hint(message, error.hint))
                    })
                    .collect::<Vec<_>>()
            })?;
        let (containers, mut volumes) = self.injected();
        let mounts = self.mounts(&spec.value, &mut volumes)?;
        let named = self.module.profile();
        let rendered = profile::renders(named, self.facts.profiles);
        let workload = Workload {
            id: self.id,
            profile: rendered.map_or(named, |profile| profile.name()),
            spec: &spec,
            containers: &containers,
            volumes: &volumes,
            mounts: &mounts,
            autoscaled,
            scale: None,
        };
        workload::objects(&workload, scope).map_err(|errors| {
            errors
                .into_iter()
                .map(|error| {
                    let place = match error.pointer.as_str() {
                        "" => String::new(),
                        pointer => format!(", spec{pointer}"),
                    };
                    let message = format!("workload {:?}{place}: {}", self.id, error.message);
                    self.error(error.code, with_hint(message, error.hint))
                })
                .collect()
        })
    }

    fn error(&self, code: Code, message: String) -> DeploymentError {
        DeploymentError { scope: "workload", object_id: self.id.to_owned(), code, message }
    }

    fn position(&self) -> Option<NodeIndex> {
        self.positions.get(&workload_key(self.id)).copied()
    }

    /// The spec after the `update` output of the workload's definition.
    fn updated(&self) -> Result<JsonMap, DeploymentError> {
        let spec = prepare::spec(self.module);
        let result = self.position().and_then(|at| self.results.of(at));
        let update = result.and_then(|result| result.outputs.values.get("update"));
        let Some(update) = update.filter(|update| !update.is_null()) else { return Ok(spec) };
        let definition = self.position().and_then(|at| self.facts.graph.node(at));
        let definition = definition.map(|node| node.definition.id.to_string()).unwrap_or_default();
        let failed = |reason: String| {
            let message = format!(
                "the update of workload {:?} by definition {definition:?} failed: {reason}",
                self.id
            );
            self.error(Code::WorkloadPatch, message)
        };
        let actions: Vec<Action> = serde_json::from_value(update.clone()).map_err(|error| {
            failed(format!("it is not a list of add, remove and replace: {error}"))
        })?;
        if let Some(outside) = actions.iter().find(|action| !action.path.starts_with("/spec/")) {
            let path = &outside.path;
            return Err(failed(format!("{path:?} is not below /spec/, and only that can change")));
        }
        let before = serde_json::json!({ "spec": spec });
        let after =
            patch::apply_all(&before, &actions).map_err(|error| failed(error.to_string()))?;
        match after.get("spec") {
            Some(Json::Object(spec)) => Ok(spec.clone()),
            _ => Err(failed("after it, /spec is not an object".to_owned())),
        }
    }

    /// Containers and volumes of the resources that the workload depends on, and of itself.
    fn injected(&self) -> (Vec<Manifest>, Vec<Manifest>) {
        let mut containers = Vec::new();
        let mut volumes = Vec::new();
        let Some(at) = self.position() else { return (containers, volumes) };
        let node = self.facts.graph.node(at);
        let around = node.into_iter().flat_map(|node| &node.depends_on).map(|(at, _)| *at);
        for at in around.chain([at]) {
            let key = self.facts.graph.node(at).map(|node| &node.key);
            for manifest in self.results.of(at).into_iter().flat_map(|result| &result.manifests) {
                let list = match manifest.location {
                    Location::Containers => &mut containers,
                    Location::Volumes => &mut volumes,
                    Location::Namespace | Location::Cluster => continue,
                };
                // The label says in messages which resource it came from.
                let name = key.map(|key| format!("{key}, {}", manifest.name));
                list.push(Manifest {
                    name: name.unwrap_or_else(|| manifest.name.clone()),
                    ..manifest.clone()
                });
            }
        }
        (containers, volumes)
    }

    /// The Kubernetes volume that each mounted resource returned. A plain name that is no resource
    /// is the name of a claim that exists in the namespace; its volume is added to `volumes`.
    fn mounts(
        &self,
        spec: &Json,
        volumes: &mut Vec<Manifest>,
    ) -> Result<BTreeMap<String, String>, Vec<DeploymentError>> {
        let mut mounts = BTreeMap::new();
        let mut errors = Vec::new();
        let ids = spec.as_object().into_iter().flat_map(graph::volume_mounts);
        for (_, id) in ids {
            if is_claim(id) && !mounts.contains_key(id) {
                let volume = serde_json::json!({
                    "name": id, "persistentVolumeClaim": {"claimName": id},
                });
                volumes.push(Manifest {
                    name: format!("claim {id}"),
                    location: Location::Volumes,
                    data: Document::plain(volume),
                });
                mounts.insert(id.to_owned(), id.to_owned());
            }
            let Some(key) = self.resource(id) else { continue };
            let result = self.positions.get(&key).and_then(|at| self.results.of(*at));
            let manifests = result.map_or(&[][..], |result| result.manifests.as_slice());
            let names: Vec<&str> = manifests
                .iter()
                .filter(|manifest| manifest.location == Location::Volumes)
                .filter_map(|manifest| manifest.data.value.get("name")?.as_str())
                .collect();
            match names.as_slice() {
                [name] => {
                    mounts.insert(id.to_owned(), (*name).to_owned());
                }
                [] => {} // reported with its place by the workload
                several => errors.push(self.error(
                    Code::Workload,
                    format!(
                        "resource {key} returned {} volumes ({}), and a mount needs exactly one",
                        several.len(),
                        several.join(", ")
                    ),
                )),
            }
        }
        if errors.is_empty() { Ok(mounts) } else { Err(errors) }
    }

    fn resource(&self, id: &str) -> Option<ResourceKey> {
        let (root, name) = id.split_once('.')?;
        match root {
            "externals" => {
                let resource = self.module.externals.get(name)?;
                let id = format!("modules.{}.externals.{name}", self.id);
                Some(ResourceKey::new(&resource.resource_type, resource.class(), &id))
            }
            "shared" => {
                let resource = self.facts.set.shared.get(name)?;
                let id = resource.id.clone().unwrap_or_else(|| format!("shared.{name}"));
                Some(ResourceKey::new(&resource.resource_type, resource.class(), &id))
            }
            _ => None,
        }
    }
}
