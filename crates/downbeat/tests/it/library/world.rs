//! An application to make a resource of a definition in.
//!
//! It has one workload, `sample`, with a `dns` and a `route`. The resource under test is asked for
//! in the plainest way that its type allows: as a private resource of the workload, as a shared one
//! where the criteria want a certain id, and where a type cannot be asked for by a workload, by a
//! reference of another definition (`asker`). What the definition refers to is made by the other
//! examples of its folder, or by an echo definition of ours.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

use downbeat_adapters::container::{self, ContainerOptions};
use downbeat_core::{
    Code, Criteria, Definition, DeploymentSet, Descriptor, Json, ResourceGraph, ResourceKey,
    Secret, SecretExpr, SecretRef,
    assemble::Object,
    graph,
    matching::{Context, Index},
    resolve::SharedValue,
    resource_type::{Catalogue, Use},
};
use downbeat_engine::{
    BoxFuture, Driver, DriverError, ExternalDriver, Memory, Removal, Request, Response, RunKeys,
    Secrets, SecretsError,
    create::{self, Created, Creation},
    deploy,
    memory::{self, MemorySecrets},
    port::{Account, Cookie, GraphRow, Lease, Loaded, NodeError, NodeResult},
    prepare::{self, Prepared, prepare},
    run::{self, Ports},
};
use serde_json::json;

use super::expected::Setting;

/// Class of the resource that refers to the one under test.
const ASKER: &str = "asker";

/// Secret stores that know every secret, and keep what drivers make.
pub(super) struct Known {
    kept: MemorySecrets,
    /// What is in them from the beginning, by reference; anything else is made up.
    stored: BTreeMap<String, String>,
}

impl Known {
    fn new(stored: BTreeMap<String, String>) -> Arc<Self> {
        Arc::new(Self { kept: MemorySecrets::new("local"), stored })
    }

    /// The plaintext of an expression.
    pub(super) async fn text(&self, expr: &SecretExpr) -> String {
        let references: Vec<SecretRef> = expr.references().cloned().collect();
        let mut opened = self.open("", &references).await.unwrap().into_iter();
        expr.fill(&mut opened).unwrap().expose().to_owned()
    }
}

impl Secrets for Known {
    fn open<'a>(
        &'a self,
        org: &'a str,
        references: &'a [SecretRef],
    ) -> BoxFuture<'a, Result<Vec<Secret>, SecretsError>> {
        Box::pin(async move {
            let mut secrets = Vec::with_capacity(references.len());
            for reference in references {
                let key = &reference.key;
                let kept = self.kept.open(org, std::slice::from_ref(reference)).await;
                secrets.push(match (kept, self.stored.get(key)) {
                    (Ok(mut kept), _) => kept.remove(0),
                    (_, Some(text)) => Secret::new(text.clone()),
                    _ => Secret::new(format!("plaintext of {key}")),
                });
            }
            Ok(secrets)
        })
    }

    fn seal<'a>(
        &'a self,
        secrets: &'a [(String, Secret)],
    ) -> BoxFuture<'a, Result<Vec<SecretRef>, SecretsError>> {
        self.kept.seal(secrets)
    }
}

/// Stands for a driver that changes the world: answers what others of the library wait for.
#[derive(Default)]
struct Outside {
    /// For the container driver: the objects that it makes, by resource, without their secrets.
    objects: Option<Arc<Mutex<BTreeMap<ResourceKey, Json>>>>,
}

impl Outside {
    /// The objects of the run that a request asks for. Credentials that no account brings yet are
    /// made up.
    fn run(request: &Request<'_>) -> Result<Json, DriverError> {
        let mut texts = request.secret_texts.clone();
        if request.values.get("credentials_config").is_some() {
            let account = json!({"AccessKeyId": "k", "SecretAccessKey": "s", "SessionToken": "t"});
            texts.insert("/account".to_owned(), Secret::new(account.to_string()));
        }
        // The engine's key has the version of the definition in it, which is random.
        let request = Request { secret_texts: &texts, idempotency_key: "library", ..*request };
        let mut options = ContainerOptions::new(RunKeys::new(b"library"));
        // It changes with each version.
        options.image = "downbeat".to_owned();
        let ready = container::run(&options, &request)?;
        let shown = |object: &container::Object| {
            assert!(object.data["kind"] == "Secret" || object.secrets.is_empty());
            let mut data = object.data.clone();
            // Our own script is there to be read elsewhere.
            let files = data.get_mut("data").and_then(Json::as_object_mut);
            for (_, text) in files.into_iter().flatten() {
                if *text == container::RUN_SCRIPT {
                    *text = json!("(the run script)");
                }
            }
            data
        };
        Ok(ready.objects.iter().map(shown).collect())
    }
}

impl ExternalDriver for Outside {
    fn provision<'a>(
        &'a self,
        request: &'a Request<'a>,
        _: &'a dyn Memory,
    ) -> BoxFuture<'a, Result<Response, DriverError>> {
        if let Some(objects) = &self.objects {
            match Self::run(request) {
                Ok(made) => {
                    objects.lock().unwrap().insert(request.key.clone(), made);
                }
                Err(error) => return Box::pin(std::future::ready(Err(error))),
            }
        }
        let (values, _) = plausible(request.key);
        let values = values.as_object().cloned().unwrap_or_default();
        Box::pin(async { Ok(Response { values, ..Response::default() }) })
    }

    fn deprovision<'a>(
        &'a self,
        _: &'a Removal<'a>,
        _: &'a dyn Memory,
    ) -> BoxFuture<'a, Result<(), DriverError>> {
        Box::pin(async { Ok(()) })
    }
}

/// The world of a run: all drivers, nothing behind them.
pub(super) fn ports() -> Ports {
    ports_with(&Arc::default(), Known::new(BTreeMap::new()))
}

/// The same, with the objects that the container driver makes, and with these secrets.
fn ports_with(objects: &Arc<Mutex<BTreeMap<ResourceKey, Json>>>, secrets: Arc<Known>) -> Ports {
    let mut drivers = downbeat_adapters::drivers();
    for (name, driver) in &mut drivers.by_type {
        let objects = name.ends_with("/container").then(|| Arc::clone(objects));
        if objects.is_some() || name.ends_with("/terraform") {
            *driver = Driver::External(Arc::new(Outside { objects }));
        }
    }
    memory::ports(drivers, secrets, vec![1])
}

/// Where a resource is made.
pub(super) struct World {
    /// The resource under test.
    pub(super) key: ResourceKey,
    /// The secret stores.
    pub(super) secrets: Arc<Known>,
    loaded: Loaded,
}

/// What came of an application.
pub(super) struct Run {
    /// Its graph.
    pub(super) graph: ResourceGraph,
    /// What came of the resource under test.
    pub(super) result: Option<NodeResult>,
    /// What is wrong with it.
    pub(super) failed: Option<NodeError>,
    /// What is wrong with others.
    pub(super) others: Vec<String>,
    /// What its driver is asked for, if it changes the world or failed.
    pub(super) asked: Option<Result<Prepared, NodeError>>,
    /// The objects of the run that its driver starts.
    pub(super) runs: Option<Json>,
    /// The namespace of the environment.
    pub(super) namespace: Json,
    /// The objects of the application, or what is wrong with them; none if anything failed.
    pub(super) objects: Option<Result<Vec<Object>, String>>,
}

/// What came of a resource.
pub(super) enum Outcome {
    /// Its driver made it: outputs and manifests, and the objects of the workload if it is one.
    Made(Json),
    /// Its driver would change the world; what it is asked for.
    Asked(Json),
    /// It was refused; with what its driver would have been asked for, if that is known.
    Refused(NodeError, Json),
}

impl World {
    /// The application for a resource of this type that this criteria accepts.
    pub(super) fn new(resource_type: &str, criteria: &Criteria, definitions: Index) -> Self {
        let types = Catalogue::default();
        let usage = types.find(resource_type).unwrap().usage;
        let mut index = definitions;
        let mut externals = json!({
            "dns": {"type": "dns"},
            "route": {"type": "route", "params":
                {"host": "${externals.dns.host}", "path": "/", "port": 8080}},
        });
        let mut shared = json!({});
        let mut container = json!({"id": "main", "image": "registry.example/sample:1"});
        let key = |id: &str| ResourceKey::new(resource_type, criteria.class(), id);
        let id = criteria.res_id.as_deref();
        let (key, asked) = match (resource_type, id) {
            ("workload", None) => (key("modules.sample"), false),
            ("base-env" | "k8s-cluster" | "k8s-namespace", None) => (key(resource_type), false),
            ("dns", None) => {
                externals["dns"]["class"] = json!(criteria.class());
                (key("modules.sample.externals.dns"), false)
            }
            (_, None) if usage == Use::Direct => {
                externals["it"] = json!({"type": resource_type, "class": criteria.class()});
                if resource_type == "volume" {
                    container["volume_mounts"] = json!({"/data": {"id": "externals.it"}});
                }
                (key("modules.sample.externals.it"), false)
            }
            (_, Some(id)) if usage == Use::Direct => {
                shared["it"] = json!({"type": resource_type, "class": criteria.class(), "id": id});
                (key(id), false)
            }
            (_, Some(id)) => (key(id), true),
            ("ingress" | "tls-cert", None) => (key("modules.sample.externals.dns"), true),
            ("agent", None) => (key("agent"), true),
            ("k8s-service-account" | "aws-role", None) => (key("modules.sample"), true),
            (_, None) => (key("modules.sample.externals.it"), true),
        };
        if asked {
            externals["asker"] = json!({"type": "config", "class": ASKER});
            let reference = format!("${{resources['{key}'].guresid}}");
            teach(&mut index, "config", of_class(ASKER), &json!({"asked": reference}), &[]);
        }
        let module = json!({
            "profile": "humanitec/default-module",
            "spec": {
                "containers": {"main": container},
                "deployment": {"annotations": {"note": "of the deployment"}, "labels": {"a": "b"}},
                "pod": {"annotations": {"note": "of the pod"}, "labels": {"c": "d"}},
                "service": {
                    "annotations": {"note": "of the service"},
                    "ports": {"http": {
                        "protocol": "TCP", "service_port": 8080, "container_port": 8080}},
                },
            },
            "externals": externals,
        });
        let set: DeploymentSet =
            serde_json::from_value(json!({"modules": {"sample": module}, "shared": shared}))
                .unwrap();
        let or = |field: &Option<String>, other: &str| field.clone().unwrap_or(other.to_owned());
        let loaded = Loaded {
            installation: "i".into(),
            org: "acme".into(),
            app: or(&criteria.app_id, "shop"),
            env: or(&criteria.env_id, "dev"),
            env_type: or(&criteria.env_type, "development"),
            deployment: "d".into(),
            types: Arc::new(types),
            ..memory::loaded(set, index)
        };
        Self { key, secrets: Known::new(BTreeMap::new()), loaded }
    }

    /// The graph. Whatever no definition makes is taught until there is one for everything.
    fn graph(&mut self) -> ResourceGraph {
        loop {
            let input = graph::Input {
                set: &self.loaded.set,
                context: Context {
                    org: &self.loaded.org,
                    app: &self.loaded.app,
                    env: &self.loaded.env,
                    env_type: &self.loaded.env_type,
                },
                definitions: &self.loaded.definitions,
                types: &self.loaded.types,
                installation: &self.loaded.installation,
                incarnations: &self.loaded.incarnations,
                pins: &self.loaded.pins,
            };
            let errors = match graph::build(&input) {
                Ok(graph) => return graph,
                Err(errors) => errors,
            };
            let index = Arc::get_mut(&mut self.loaded.definitions).unwrap();
            for error in errors {
                assert_eq!(error.code, Code::NoDefinition, "{}: {error}", self.key);
                stub(index, &error.resource.unwrap());
            }
        }
    }

    /// The application of a case, in which nothing is asked for but by its set.
    pub(super) fn of(
        setting: &Setting,
        set: DeploymentSet,
        mut definitions: Index,
        mut stored: BTreeMap<String, String>,
    ) -> Self {
        for (descriptor, put_out) in &setting.given {
            let descriptor = Descriptor::parse(descriptor).unwrap();
            let criteria = Criteria {
                class: descriptor.class.as_deref().map(str::to_owned),
                res_id: descriptor.id.as_deref().map(str::to_owned),
                ..Criteria::default()
            };
            let values = put_out.get("values").cloned().unwrap_or(json!({}));
            let secrets = put_out.get("secrets").and_then(Json::as_object);
            let secrets: Vec<(&str, &str)> = secrets
                .into_iter()
                .flatten()
                .map(|(name, reference)| (name.as_str(), reference.as_str().unwrap()))
                .collect();
            teach(&mut definitions, &descriptor.resource_type, criteria, &values, &secrets);
        }
        let first = || set.modules.keys().next().map(|id| graph::workload_key(id));
        let key = setting.resource.clone().or_else(first).unwrap();
        stored.extend(setting.stored.clone());
        let mut accounts = BTreeMap::new();
        for (id, account) in &setting.accounts {
            let key = format!("accounts/{id}");
            stored.insert(key.clone(), account["credentials"].to_string());
            let credentials = SecretRef { store: "elsewhere".to_owned(), key, version: None };
            let account_type = account["type"].as_str().unwrap().to_owned();
            accounts.insert(id.clone(), Account { account_type, credentials });
        }
        let values = setting.values.iter().map(|(key, value)| {
            let value = match value {
                Json::String(text) => SharedValue::Plain(text.clone()),
                other => SharedValue::Secret(serde_json::from_value(other.clone()).unwrap()),
            };
            (key.clone(), value)
        });
        let context = &setting.context;
        let loaded = Loaded {
            installation: "i".into(),
            org: context.org.clone(),
            app: context.app.clone(),
            env: context.env.clone(),
            env_type: context.env_type.clone(),
            deployment: "d".into(),
            values: values.collect(),
            accounts: (!accounts.is_empty()).then_some(accounts),
            ..memory::loaded(set, definitions)
        };
        Self { key, secrets: Known::new(stored), loaded }
    }

    /// Sees to it that the resource under test is part of the graph: when nothing else of the
    /// application needs it, a reference of another definition (`asker`) does.
    pub(super) fn ask(&mut self) {
        if self.graph().find(&self.key).is_some() {
            return;
        }
        let index = Arc::get_mut(&mut self.loaded.definitions).unwrap();
        let reference = format!("${{resources['{}'].guresid}}", self.key);
        teach(index, "config", of_class(ASKER), &json!({"asked": reference}), &[]);
        let asker = json!({"type": "config", "class": ASKER});
        self.loaded.set.shared.insert("asker".to_owned(), serde_json::from_value(asker).unwrap());
    }

    /// Makes every resource of the application. What drivers leave for the next time is there when
    /// it is called again.
    pub(super) async fn run(&mut self) -> Run {
        let runs = Arc::default();
        let ports = &ports_with(&runs, Arc::clone(&self.secrets));
        let graph = self.graph();
        let (at, node) =
            graph.find(&self.key).unwrap_or_else(|| panic!("{} is not asked for", self.key));
        let facts = run::facts(&self.loaded, &graph);
        let row = GraphRow { hash: String::new(), nodes: Vec::new(), rows: Vec::new() };
        let lease = Lease { deployment: self.loaded.deployment.clone(), epoch: 0 };
        let creation = Creation {
            drivers: &ports.drivers,
            secrets: &*ports.secrets,
            journal: &*ports.journal,
            lease: &lease,
            schemas: &ports.schemas,
            types: &self.loaded.types,
            facts: &facts,
            row: &row,
            seed: &ports.seed,
            cookies: &self.loaded.cookies,
            registered: &self.loaded.registered,
            accounts: self.loaded.accounts.as_ref(),
        };
        let Created { mut results, errors } =
            create::create(&creation, &BTreeMap::new()).await.unwrap();
        let positions = create::positions(&graph);
        let (own, others): (Vec<_>, Vec<_>) =
            errors.into_iter().partition(|(failed, _)| *failed == at);
        let others = others.into_iter().map(|(_, error)| error.message).collect::<Vec<_>>();
        let failed = own.into_iter().next().map(|(_, error)| error);
        let driver = ports.drivers.by_type.get(node.definition.driver_type());
        let is_outside = matches!(driver, Some(Driver::External(_)));
        let asked = (is_outside || failed.is_some()).then(|| {
            let context = prepare::Context {
                facts: &facts,
                positions: &positions,
                outputs: &results,
                types: &self.loaded.types,
                schemas: &ports.schemas,
                accounts: self.loaded.accounts.as_ref(),
                registered: &self.loaded.registered,
            };
            prepare(&context, node)
        });
        let result = results.of(at).cloned();
        if let (Some(result), false) = (&result, is_outside) {
            let resource_type = self.loaded.types.find(&self.key.resource_type).unwrap();
            let mut outputs = result.outputs.clone();
            assert!(ports.schemas.check_outputs(resource_type, &mut outputs).is_empty());
        }
        let cookies = graph.nodes.iter().zip(&results.0).filter_map(|(node, result)| {
            let reference = result.as_ref()?.cookie.clone()?;
            let driver_type = node.definition.driver_type().to_owned();
            Some((node.guresid.to_string(), vec![Cookie { driver_type, reference }]))
        });
        let cookies = cookies.collect();
        let namespace = positions.get(&graph::namespace_key()).and_then(|at| results.of(*at));
        let namespace = namespace.map(|result| result.outputs.values["namespace"].clone());
        let namespace = namespace.unwrap_or_default();
        let objects = (others.is_empty() && failed.is_none()).then(|| {
            let objects = deploy::objects(&facts, &positions, &mut results, &[]);
            objects.map_err(|errors| format!("{}: {errors:#?}", self.key))
        });
        let runs = runs.lock().unwrap().remove(&self.key);
        self.loaded.cookies = cookies;
        Run { graph, result, failed, others, asked, runs, namespace, objects }
    }

    /// Makes every resource of the application, and says what came of the one under test.
    pub(super) async fn make(&mut self) -> (String, Outcome) {
        let run = self.run().await;
        let (_, node) = run.graph.find(&self.key).unwrap();
        let definition = node.definition.id.to_string();
        let asked = run.asked.map(|asked| {
            let mut asked = request(&asked?);
            if let Some(objects) = run.runs {
                asked["objects"] = objects;
            }
            Ok(asked)
        });
        let outcome = match (asked, run.failed) {
            (Some(asked), Some(error)) => Outcome::Refused(error, asked.unwrap_or_default()),
            (Some(Ok(asked)), None) => Outcome::Asked(asked),
            (Some(Err(error)), None) => Outcome::Refused(error, Json::Null),
            (None, _) => {
                let result = run.result.unwrap_or_else(|| panic!("{} has no result", self.key));
                let mut made = json!({"outputs": result.outputs, "manifests": result.manifests});
                // What others of the folder do wrong is their own entity's state.
                let objects = run.objects.map(|objects| objects.unwrap_or_else(|e| panic!("{e}")));
                if let Some(objects) = objects.filter(|_| &*self.key.resource_type == "workload") {
                    let documents = objects.iter().map(|object| object.document.value.clone());
                    made["objects"] = documents.collect();
                }
                Outcome::Made(made)
            }
        };
        (definition, outcome)
    }
}

fn request(prepared: &Prepared) -> Json {
    let mut request = json!({"values": prepared.values, "secrets": prepared.secrets});
    if prepared.resource != json!({}) {
        request["resource"] = prepared.resource.clone();
    }
    request
}

/// A definition for what the library leaves to others.
fn stub(index: &mut Index, key: &ResourceKey) {
    let (values, secrets) = plausible(key);
    let references: Vec<String> = secrets.iter().map(|name| format!("stub/{name}")).collect();
    let secrets: Vec<(&str, &str)> =
        secrets.iter().copied().zip(references.iter().map(String::as_str)).collect();
    teach(index, &key.resource_type, of_class(&key.class), &values, &secrets);
}

fn of_class(class: &str) -> Criteria {
    Criteria { class: Some(class.to_owned()), ..Criteria::default() }
}

/// What a resource might put out: plain outputs, and names of secret ones.
fn plausible(key: &ResourceKey) -> (Json, &'static [&'static str]) {
    match (&*key.resource_type, &*key.class) {
        ("agent", _) => (json!({}), &["url"]),
        ("aws-role" | "aws-policy", _) => (json!({"arn": "arn:aws:iam::1:stub"}), &[]),
        ("config", "runner") => (
            json!({
                "cluster": {"account": "acme/stub", "cluster": {"cluster_type": "eks"}},
                "job": {"image": "registry.example/runner:1", "shared_directory": "/shared"},
            }),
            &["agent_url"],
        ),
        ("dns", _) => (json!({"host": "sample.example.com"}), &[]),
        ("mysql", _) => (json!({"host": "stub", "port": 3306, "name": "stub"}), &[]),
        ("k8s-cluster", _) => (json!({"name": "stub", "loadbalancer": "192.0.2.1"}), &[]),
        ("k8s-service-account", _) => (json!({"name": "stub"}), &[]),
        ("s3", _) => {
            (json!({"bucket": "stub", "region": "eu-west-1", "arn": "arn:aws:s3:::stub"}), &[])
        }
        ("tls-cert", _) => (json!({"tls_secret_name": "stub-tls"}), &[]),
        _ => (json!({}), &[]),
    }
}

/// A definition with these outputs, the secret ones by name and reference.
fn teach(
    index: &mut Index,
    resource_type: &str,
    criteria: Criteria,
    values: &Json,
    secrets: &[(&str, &str)],
) {
    let refs: Json = secrets
        .iter()
        .map(|(name, key)| ((*name).to_owned(), json!({"store": "elsewhere", "ref": key})))
        .collect();
    let body = json!({"name": "stub", "driver_type": "humanitec/echo",
        "driver_inputs": {"values": values, "secret_refs": refs}});
    let id = format!("stub-{resource_type}-{}", criteria.class());
    let definition =
        Arc::new(Definition::new(&id, "v", resource_type, serde_json::from_value(body).unwrap()));
    index.insert(&definition, criteria).unwrap();
}
