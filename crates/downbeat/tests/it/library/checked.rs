//! Whether entities do what their documentation says: the cases of [`super::expected`], in a world
//! of their own each.

use std::collections::BTreeMap;

use downbeat_core::{
    DeploymentSet, Document, Json, JsonMap, ResourceKey, SecretExpr, builtin,
    definition_file::{self, DefinitionFile},
    matching::{self, Index},
};
use downbeat_testkit::Server;
use serde_json::json;

use super::{
    corpus::{self, File, Kind},
    expected::{self, Case, Comparison, Expected, Setting},
    load,
    world::{Known, Run, World},
};
use crate::samples;

/// A server, and what came of loading definitions there: many cases need the same ones.
pub(super) struct Loader<'a> {
    server: &'a Server,
    known: BTreeMap<String, Index>,
}

impl<'a> Loader<'a> {
    pub(super) fn new(server: &'a Server) -> Self {
        Self { server, known: BTreeMap::new() }
    }

    /// The definitions as a deployment finds them; the first one is that of the file, if any.
    async fn load(&mut self, definitions: &[DefinitionFile], compared: usize) -> Index {
        let requests: Vec<&JsonMap> = definitions.iter().map(|one| &one.request).collect();
        let key = json!([requests, compared]).to_string();
        if !self.known.contains_key(&key) {
            let index = load(self.server, definitions, compared).await;
            self.known.insert(key.clone(), index);
        }
        self.known[&key].clone()
    }
}

/// What is not as its documentation says, of one file.
pub(super) async fn deviations(
    loader: &mut Loader<'_>,
    files: &[File],
    file: &File,
    expected: &Expected,
) -> Vec<String> {
    let mut found = Vec::new();
    if expected.cases.is_empty() {
        found.push(format!("{}: nothing is promised", file.path));
    }
    if file.kind == Kind::Definition {
        let loaded = loaded(files, file, None);
        let id = loaded[0].id.clone();
        let is_silent = expected.applies.is_empty() || expected.not.is_empty();
        if !loaded[0].criteria.is_empty() && is_silent {
            found.push(format!("{}: nobody says where it applies, and where not", file.path));
        }
        let index = loader.load(&loaded, 1).await;
        for (contexts, applies) in [(&expected.applies, true), (&expected.not, false)] {
            for (number, context) in contexts.iter().enumerate() {
                let key =
                    ResourceKey::new(&loaded[0].resource_type, &context.class, &context.res_id);
                let winner = index.find(&key, &context_of(context));
                let winner = winner.map(|entry| entry.definition.id.to_string());
                if (winner.as_deref() == Some(&id)) != applies {
                    let list = if applies { "applies" } else { "not" };
                    found.push(format!("{} {list}/{number}: {key} gets {winner:?}", file.path));
                }
            }
        }
    }
    for case in &expected.cases {
        if file.kind != Kind::Definition && case.promise.objects.is_empty() {
            found.push(format!("{}: nothing is promised", case.name));
        }
        let deviations = run(loader, files, file, case).await;
        found.extend(deviations.into_iter().map(|one| format!("{} {one}", case.name)));
    }
    found
}

fn context_of(context: &expected::Context) -> matching::Context<'_> {
    matching::Context {
        org: &context.org,
        app: &context.app,
        env: &context.env,
        env_type: &context.env_type,
    }
}

/// The definition of a file, if it is one, and those beside it.
fn loaded(files: &[File], file: &File, setting: Option<&Setting>) -> Vec<DefinitionFile> {
    let folder = file.folder();
    let beside = match setting.and_then(|setting| setting.beside.clone()) {
        None => vec![folder.to_owned()],
        Some(beside) => beside
            .into_iter()
            .map(|path| if path.contains('/') { path } else { format!("{folder}/{path}") })
            .collect(),
    };
    for path in &beside {
        let is_there = files.iter().any(|one| one.path == *path || one.folder() == path);
        assert!(is_there, "{}: nothing is at {path}", file.path);
    }
    let is_beside = |one: &&File| {
        one.path != file.path
            && (beside.contains(&one.path) || beside.contains(&one.folder().into()))
    };
    let others = files.iter().filter(is_beside);
    let definitions = [file].into_iter().chain(others).filter(|file| file.kind == Kind::Definition);
    let mut loaded: Vec<DefinitionFile> = definitions
        .map(|file| {
            let text = setting.map_or_else(|| file.text.clone(), |one| replaced(file, one));
            definition_file::read(&text).unwrap().remove(0)
        })
        .collect();
    for definition in &mut loaded {
        if let Some(change) = setting.and_then(|setting| setting.change.get(&definition.id)) {
            let mut request = Json::Object(definition.request.clone());
            merge(&mut request, change);
            definition.request = request.as_object().unwrap().clone();
        }
    }
    for also in setting.into_iter().flat_map(|setting| &setting.also) {
        let mut also = also.clone();
        let id = also.remove("id").unwrap();
        let text = json!({"apiVersion": "entity.humanitec.io/v1b1", "kind": "Definition",
            "metadata": {"id": id}, "entity": also});
        let mut entity = text["entity"].clone();
        entity["name"] = id;
        let text = json!({"apiVersion": text["apiVersion"], "kind": text["kind"],
            "metadata": text["metadata"], "entity": entity});
        loaded.extend(definition_file::read(&text.to_string()).unwrap());
    }
    loaded
}

/// The text of a file with what a case puts into it.
fn replaced(file: &File, setting: &Setting) -> String {
    let mut text = file.text.clone();
    for (old, new) in
        setting.replace.get(file.name()).and_then(Json::as_object).into_iter().flatten()
    {
        assert!(text.contains(old), "{} has no {old:?}", file.path);
        text = text.replace(old, new.as_str().unwrap());
    }
    text
}

/// Merges maps; `null` takes a member away, all else is replaced.
fn merge(value: &mut Json, change: &Json) {
    let (Json::Object(members), Json::Object(changes)) = (&mut *value, change) else {
        *value = change.clone();
        return;
    };
    for (name, change) in changes {
        if change.is_null() {
            members.remove(name);
        } else {
            merge(members.entry(name).or_insert(Json::Null), change);
        }
    }
}

/// The set of a case: that of the Score file, or the one it describes.
fn set(files: &[File], file: &File, setting: &Setting) -> DeploymentSet {
    if file.kind != Kind::Definition {
        let beside = |name: &str| {
            let path = format!("{}/{name}", file.folder());
            files.iter().find(|one| one.path == path).map(|one| replaced(one, setting))
        };
        let text = replaced(file, setting);
        let (score, extension) = match &setting.score {
            None => (text, None),
            Some(score) => (beside(score).unwrap_or_else(|| score.clone()), Some(text)),
        };
        let folder = corpus::score_folder(file);
        return samples::loaded_from(&folder.join(file.name()), &score, extension).set;
    }
    let mut modules = setting.modules.clone();
    for module in modules.as_object_mut().unwrap().values_mut() {
        let plain = json!({"profile": "humanitec/default-module",
            "spec": {"containers": {"main": {}}}, "externals": {}});
        let told = std::mem::replace(module, plain);
        merge(module, &told);
        let containers = module["spec"]["containers"].as_object_mut().unwrap();
        for (name, container) in containers {
            let members = container.as_object_mut().unwrap();
            members.entry("id").or_insert(json!(name));
            members.entry("image").or_insert(json!("registry.example/sample:1"));
        }
    }
    serde_json::from_value(json!({"modules": modules, "shared": setting.shared})).unwrap()
}

/// Runs a case, and says what is not as expected.
async fn run(loader: &mut Loader<'_>, files: &[File], file: &File, case: &Case) -> Vec<String> {
    let (setting, promise) = (&case.setting, &case.promise);
    let loaded = loaded(files, file, Some(setting));
    let here = downbeat_adapters::drivers();
    // Without a driver there is nothing to run.
    let effective = loaded.first().map(|first| builtin::expand(&first.body));
    if file.kind == Kind::Definition {
        let body = effective.flatten().unwrap_or_else(|| loaded[0].body.clone());
        if !here.by_type.contains_key(&body.driver_type) {
            return Vec::new();
        }
    }
    let first = usize::from(file.kind == Kind::Definition);
    let index = loader.load(&loaded, first).await;
    let stored = plaintexts(loader.server, &index).await;
    let mut world = World::of(setting, set(files, file, setting), index, stored);
    world.ask();
    let run = world.run().await;
    let mut comparison = Comparison { unknown: promise.unknown.clone(), ..Comparison::default() };
    for node in &run.graph.nodes {
        let guresid = node.guresid.to_string();
        let name = short(&node.key);
        comparison.known.insert(format!("guresid of {name}"), guresid.clone());
        if node.key == world.key {
            comparison.known.insert("guresid".to_owned(), guresid);
        }
    }
    let (_, node) = run.graph.find(&world.key).unwrap();
    if file.kind == Kind::Definition && *node.definition.id != *loaded[0].id {
        comparison.deviations.push(format!("{} is made by {}", world.key, node.definition.id));
    }
    for error in &run.others {
        comparison.deviations.push(format!("beside it: {error}"));
    }
    graph(&mut comparison, &promise.graph, &run);
    let before = Made::of(&run, &world.secrets).await;
    before.compare(&mut comparison, case, &run);
    before.placed(&mut comparison, &world.key, &run);
    if setting.twice {
        let again = Made::of(&world.run().await, &world.secrets).await;
        if before != again {
            let text = format!("the next time it is {again:?}, and before it was {before:?}");
            comparison.deviations.push(text);
        }
    }
    comparison.deviations
}

/// The plaintexts in our own store that definitions refer to.
async fn plaintexts(server: &Server, index: &Index) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    let mut left: Vec<Json> = index
        .entries()
        .filter_map(|entry| entry.definition.body.driver_inputs.as_ref())
        .map(|inputs| serde_json::to_value(inputs).unwrap())
        .collect();
    while let Some(value) = left.pop() {
        if let (Some("local"), Some(key)) = (value["store"].as_str(), value["ref"].as_str()) {
            let version: usize = value["version"].as_str().unwrap().parse().unwrap();
            found.insert(key.to_owned(), server.vault.versions(key).await.remove(version - 1));
        } else if let Json::Object(members) = value {
            left.extend(members.into_iter().map(|(_, member)| member));
        }
    }
    found
}

/// A key as expectations write it.
fn short(key: &ResourceKey) -> String {
    match &*key.class {
        "default" => format!("{}#{}", key.resource_type, key.id),
        class => format!("{}.{class}#{}", key.resource_type, key.id),
    }
}

/// Nodes and what they need. What every deployment has is not counted.
fn graph(comparison: &mut Comparison, promised: &JsonMap, run: &Run) {
    let always = ["k8s-cluster#k8s-cluster", "k8s-namespace#k8s-namespace", "base-env#base-env"];
    for (name, promised) in promised {
        let at = format!("graph/{name}");
        let (node, promised) = match (run.graph.find(&expected::key(name)), promised) {
            (None, Json::Null) => continue,
            (Some((_, node)), Json::Object(promised)) => (node, promised),
            (Some(_), _) => {
                comparison.deviations.push(format!("{at}: it is there"));
                continue;
            }
            (None, _) => {
                comparison.deviations.push(format!("{at}: it is not there"));
                continue;
            }
        };
        if let Some(by) = promised.get("by") {
            comparison.equal(&format!("{at}/by"), by, &json!(node.definition.id));
        }
        if let Some(needs) = promised.get("needs") {
            let needed = node.depends_on.iter().map(|(at, _)| &run.graph.node(*at).unwrap().key);
            let mut names: Vec<String> = needed.map(short).collect();
            names.retain(|name| !always.contains(&name.as_str()));
            names.sort();
            names.dedup();
            comparison.equal(&format!("{at}/needs"), needs, &json!(names));
        }
        for name in promised.keys() {
            assert!(["by", "needs"].contains(&name.as_str()), "{at}: nobody knows {name}");
        }
    }
}

/// What came of a resource and its application, with plaintexts for secrets.
#[derive(Debug, Default, PartialEq)]
struct Made {
    outputs: Json,
    secrets: BTreeMap<String, SecretText>,
    manifests: Vec<Json>,
    objects: BTreeMap<String, Json>,
    asked: Option<Asked>,
}

/// What a driver is asked for.
#[derive(Debug, PartialEq)]
struct Asked {
    values: Json,
    secrets: BTreeMap<String, SecretText>,
    account: Option<String>,
    /// The Job that its image runs in, as the containers see it.
    job: Option<Json>,
}

/// A secret: its plaintext, and where it is if it is nothing else.
#[derive(Debug, PartialEq)]
struct SecretText {
    text: String,
    reference: Json,
}

async fn texts(
    exprs: &BTreeMap<String, SecretExpr>,
    secrets: &Known,
) -> BTreeMap<String, SecretText> {
    let mut texts = BTreeMap::new();
    for (at, expr) in exprs {
        let reference = expr.as_reference().map_or(Json::Null, |one| json!(one));
        let text = secrets.text(expr).await;
        texts.insert(at.clone(), SecretText { text, reference });
    }
    texts
}

/// A document with `{secret: plaintext}` where there are secrets.
async fn filled(document: &Document, secrets: &Known) -> Json {
    let mut value = document.value.clone();
    for (at, secret) in texts(&document.secrets, secrets).await {
        *value.pointer_mut(&at).unwrap() = json!({"secret": secret.text});
    }
    value
}

impl Made {
    async fn of(run: &Run, secrets: &Known) -> Self {
        let mut made = Self::default();
        if let Some(result) = &run.result {
            made.outputs = Json::Object(result.outputs.values.clone());
            made.secrets = texts(&result.outputs.secrets, secrets).await;
            for manifest in &result.manifests {
                let data = filled(&manifest.data, secrets).await;
                made.manifests.push(json!({"location": manifest.location, "data": data}));
            }
        }
        for object in run.objects.iter().flatten().flatten() {
            let title = format!("{} {}", object.kind, object.name);
            made.objects.insert(title, filled(&object.document, secrets).await);
        }
        made.objects = effective(&made.objects);
        if let Some(Ok(asked)) = &run.asked {
            made.asked = Some(Asked {
                values: asked.values.clone(),
                secrets: texts(&asked.secrets.secrets, secrets).await,
                account: asked.account.as_ref().map(|account| account.credentials.key.clone()),
                job: run.runs.as_ref().and_then(job),
            });
        }
        made
    }

    fn compare(&self, comparison: &mut Comparison, case: &Case, run: &Run) {
        let promise = &case.promise;
        let text = |member: Option<&Json>| member.and_then(Json::as_str).unwrap_or("").to_owned();
        match (&promise.fails, &run.failed) {
            (Some(fails), Some(error)) => {
                let (code, says) = (text(fails.get("code")), text(fails.get("says")));
                if !error.code.contains(&code) || !error.message.contains(&says) {
                    comparison.deviations.push(format!("fails: {error:?}"));
                }
                return;
            }
            (Some(_), None) => {
                comparison.deviations.push("fails: it does not".to_owned());
                return;
            }
            (None, Some(error)) => {
                comparison.deviations.push(format!("it fails: {error:?}"));
                return;
            }
            (None, None) => {}
        }
        match (&promise.asked, &self.asked) {
            (Some(promised), Some(asked)) => asked.compare(comparison, promised),
            (None, None) => {
                // An extension or a Score file is about its objects.
                if case.setting.resource.is_some() {
                    comparison.equal("outputs", &promise.outputs, &self.outputs);
                    secrets(comparison, "secrets", &promise.secrets, &self.secrets);
                    comparison.manifests(&promise.manifests, &self.manifests);
                }
            }
            (Some(_), None) => comparison.deviations.push("asked: it is made here".to_owned()),
            (None, Some(_)) => {
                comparison.deviations.push("its driver does not run here".to_owned());
            }
        }
        comparison.objects(&promise.objects, &self.objects);
        match &run.objects {
            Some(Err(error)) => comparison.deviations.push(format!("objects: {error}")),
            _ => self.keeps_secrets(comparison, &promise.outputs, run),
        }
    }

    /// Every manifest is where its location says: among the objects, or in the pods of the workloads
    /// that need the resource, and in no others.
    fn placed(&self, comparison: &mut Comparison, key: &ResourceKey, run: &Run) {
        if !matches!(run.objects, Some(Ok(_))) {
            return;
        }
        let workloads: Vec<(&str, bool)> = run
            .graph
            .nodes
            .iter()
            .filter(|node| &*node.key.resource_type == "workload")
            .map(|node| {
                let needed =
                    node.depends_on.iter().map(|(at, _)| &run.graph.node(*at).unwrap().key);
                let needs = node.key == *key || needed.into_iter().any(|needed| needed == key);
                (node.key.id.strip_prefix("modules.").unwrap(), needs)
            })
            .collect();
        for manifest in &self.manifests {
            let data = &manifest["data"];
            let location = manifest["location"].as_str().unwrap();
            let list = match location {
                "containers" | "volumes" => location,
                _ => {
                    let name = data["metadata"]["name"].as_str().unwrap();
                    let title = format!("{} {name}", data["kind"].as_str().unwrap());
                    // These two belong to no namespace, wherever they are put.
                    let is_global =
                        ["PersistentVolume", "Namespace"].iter().any(|kind| data["kind"] == *kind);
                    let namespace = match location {
                        "namespace" if !is_global => run.namespace.clone(),
                        _ => data["metadata"]["namespace"].clone(),
                    };
                    let found =
                        self.objects.get(&title).map(|object| &object["metadata"]["namespace"]);
                    if found != Some(&namespace) {
                        comparison
                            .deviations
                            .push(format!("{title} has to be in {namespace}, and is in {found:?}"));
                    }
                    continue;
                }
            };
            for (workload, needs) in &workloads {
                let pod =
                    &self.objects[&format!("Deployment {workload}")]["spec"]["template"]["spec"];
                let items = pod[list].as_array().into_iter().flatten();
                let is_there = items.into_iter().any(|item| item["name"] == data["name"]);
                if is_there != *needs {
                    let name = &data["name"];
                    comparison.deviations.push(format!("{list}: {name} in {workload}: {is_there}"));
                }
            }
        }
    }

    /// No plaintext is anywhere but where secrets are, unless the same text is promised there.
    fn keeps_secrets(&self, comparison: &mut Comparison, promised: &Json, run: &Run) {
        let mut plain = self.outputs.to_string();
        if let Some(result) = &run.result {
            plain.extend(result.manifests.iter().map(|one| one.data.value.to_string()));
        }
        let objects = run.objects.iter().flatten().flatten();
        plain.extend(objects.map(|object| object.document.value.to_string()));
        let promised = promised.to_string();
        for secret in self.secrets.values().filter(|secret| secret.text.len() > 6) {
            let text = json!(secret.text).to_string();
            if !promised.contains(&text) && plain.contains(text.trim_matches('"')) {
                comparison.deviations.push(format!("{text} is no secret any more"));
            }
        }
    }
}

impl Asked {
    fn compare(&self, comparison: &mut Comparison, promised: &JsonMap) {
        for (name, promised) in promised {
            match (name.as_str(), promised) {
                ("values", Json::Object(has)) => comparison.has("asked/values", has, &self.values),
                ("secrets", Json::Object(_)) => {}
                ("run", Json::Object(promised)) => self.compare_run(comparison, promised),
                ("account", Json::String(id)) => {
                    let expected = json!(format!("accounts/{id}"));
                    comparison.equal("asked/account", &expected, &json!(self.account));
                }
                other => panic!("nobody knows {other:?}"),
            }
        }
        let none = JsonMap::new();
        let promised = promised.get("secrets").and_then(Json::as_object).unwrap_or(&none);
        secrets(comparison, "asked/secrets", promised, &self.secrets);
    }
}

impl Asked {
    /// The container of the image is that which is told what to do.
    fn compare_run(&self, comparison: &mut Comparison, promised: &JsonMap) {
        let Some(job) = &self.job else {
            comparison.deviations.push("asked/run: there is no Job".to_owned());
            return;
        };
        let pod = &job["spec"]["template"]["spec"];
        let lists = [&pod["initContainers"], &pod["containers"]];
        let mut containers = lists.into_iter().filter_map(Json::as_array).flatten();
        let container = containers.find(|container| container["env"]["ACTION"].is_string());
        for (name, promised) in promised {
            let found = match name.as_str() {
                "container" => container.unwrap_or(&Json::Null),
                "pod" => pod,
                "job" => job,
                other => panic!("nobody knows {other}"),
            };
            comparison.has(&format!("asked/run/{name}"), promised.as_object().unwrap(), found);
        }
    }
}

/// The Job among the objects of a run, with the values of its variables.
fn job(objects: &Json) -> Option<Json> {
    let titled = objects.as_array()?.iter().map(|object| {
        let name = object["metadata"]["name"].as_str().unwrap();
        (format!("{} {name}", object["kind"].as_str().unwrap()), object.clone())
    });
    let seen = effective(&titled.collect());
    seen.into_iter().find(|(title, _)| title.starts_with("Job ")).map(|(_, job)| job)
}

/// Secrets by path: their references, where the expectation names one, or their plaintexts.
fn secrets(
    comparison: &mut Comparison,
    at: &str,
    promised: &JsonMap,
    found: &BTreeMap<String, SecretText>,
) {
    let found = found.iter().map(|(path, secret)| {
        let is_reference = promised.get(path).is_some_and(Json::is_object);
        let shown = if is_reference { secret.reference.clone() } else { json!(secret.text) };
        (path.clone(), shown)
    });
    comparison.equal(at, &Json::Object(promised.clone()), &found.collect());
}

/// Objects as containers see them: variables and files have their values.
fn effective(objects: &BTreeMap<String, Json>) -> BTreeMap<String, Json> {
    let mut seen = objects.clone();
    for object in seen.values_mut() {
        for path in ["/spec/template/spec", "/spec/jobTemplate/spec/template/spec"] {
            let Some(pod) = object.pointer_mut(path) else { continue };
            let volumes = pod["volumes"].clone();
            for list in ["containers", "initContainers"] {
                let containers = pod.get_mut(list).and_then(Json::as_array_mut);
                for container in containers.into_iter().flatten() {
                    see(container, &volumes, objects);
                }
            }
        }
    }
    seen
}

fn see(container: &mut Json, volumes: &Json, objects: &BTreeMap<String, Json>) {
    let empty = Vec::new();
    let value = |kind: &str, name: &Json, key: &Json| {
        let object = objects.get(&format!("{kind} {}", name.as_str()?))?;
        let key = key.as_str()?;
        let data = object["data"].get(key).or_else(|| object["stringData"].get(key))?;
        match (kind, data) {
            ("Secret", text) if !text.is_object() => Some(json!({"secret": text})),
            _ => Some(data.clone()),
        }
    };
    if let Some(env) = container["env"].as_array() {
        let variables: JsonMap = env
            .iter()
            .map(|variable| {
                let (map, secret) = (
                    &variable["valueFrom"]["configMapKeyRef"],
                    &variable["valueFrom"]["secretKeyRef"],
                );
                let value = value("ConfigMap", &map["name"], &map["key"])
                    .or_else(|| value("Secret", &secret["name"], &secret["key"]))
                    .unwrap_or_else(|| variable["value"].clone());
                (variable["name"].as_str().unwrap().to_owned(), value)
            })
            .collect();
        container["env"] = Json::Object(variables);
    }
    let mut files = JsonMap::new();
    for mount in container["volumeMounts"].as_array().unwrap_or(&empty) {
        let of_mount = |volume: &&Json| volume["name"] == mount["name"];
        let Some(volume) = volumes.as_array().unwrap_or(&empty).iter().find(of_mount) else {
            continue;
        };
        for (kind, source, name) in [
            ("ConfigMap", &volume["configMap"], &volume["configMap"]["name"]),
            ("Secret", &volume["secret"], &volume["secret"]["secretName"]),
        ] {
            let items = source["items"].as_array().unwrap_or(&empty);
            let item = items.iter().find(|item| item["path"] == mount["subPath"]);
            let Some((item, text)) =
                item.and_then(|item| Some((item, value(kind, name, &item["key"])?)))
            else {
                continue;
            };
            let mode = item["mode"].as_u64().map(|mode| format!("{mode:04o}"));
            let path = mount["mountPath"].as_str().unwrap().to_owned();
            files.insert(path, json!({"text": text, "mode": mode}));
        }
    }
    if !files.is_empty() {
        container["files"] = Json::Object(files);
    }
}
