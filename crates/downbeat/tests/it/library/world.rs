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
    Code, Criteria, Definition, DeploymentSet, Json, ResourceGraph, ResourceKey, Secret, SecretRef,
    graph,
    matching::{Context, Index},
    resource_type::{Catalogue, Use},
};
use downbeat_engine::{
    BoxFuture, Driver, DriverError, ExternalDriver, Memory, Removal, Request, Response, RunKeys,
    Secrets, SecretsError,
    create::{self, Created, Creation},
    deploy,
    memory::{self, MemorySecrets},
    port::{GraphRow, Lease, Loaded, NodeError},
    prepare::{self, Prepared, prepare},
    run::{self, Ports},
};
use serde_json::json;

/// Class of the resource that refers to the one under test.
const ASKER: &str = "asker";

/// A secret store that knows every secret, and keeps what drivers make.
struct Known(MemorySecrets);

impl Secrets for Known {
    fn open<'a>(
        &'a self,
        _: &'a str,
        references: &'a [SecretRef],
    ) -> BoxFuture<'a, Result<Vec<Secret>, SecretsError>> {
        let secrets = references.iter().map(|one| Secret::new(format!("plaintext of {}", one.key)));
        Box::pin(std::future::ready(Ok(secrets.collect())))
    }

    fn seal<'a>(
        &'a self,
        secrets: &'a [(String, Secret)],
    ) -> BoxFuture<'a, Result<Vec<SecretRef>, SecretsError>> {
        self.0.seal(secrets)
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
    ports_with(&Arc::default())
}

/// The same, with the objects that the container driver makes.
fn ports_with(objects: &Arc<Mutex<BTreeMap<ResourceKey, Json>>>) -> Ports {
    let secrets = Arc::new(Known(MemorySecrets::new("local")));
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
    loaded: Loaded,
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
            teach(&mut index, "config", ASKER, &json!({"asked": reference}), &[]);
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
        Self { key, loaded }
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

    /// Makes every resource of the application.
    pub(super) async fn make(&mut self) -> (String, Outcome) {
        let runs = Arc::default();
        let ports = &ports_with(&runs);
        let graph = self.graph();
        let (at, node) =
            graph.find(&self.key).unwrap_or_else(|| panic!("{} is not asked for", self.key));
        let definition = node.definition.id.to_string();
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
        // What others of the folder do wrong is their own entity's state.
        let alone = errors.is_empty();
        let failed = errors.into_iter().find(|(failed, _)| *failed == at);
        let driver = ports.drivers.by_type.get(node.definition.driver_type());
        let is_outside = matches!(driver, Some(Driver::External(_)));
        if is_outside || failed.is_some() {
            let context = prepare::Context {
                facts: &facts,
                positions: &positions,
                outputs: &results,
                types: &self.loaded.types,
                schemas: &ports.schemas,
                accounts: self.loaded.accounts.as_ref(),
                registered: &self.loaded.registered,
            };
            let mut asked = prepare(&context, node).map(|prepared| request(&prepared));
            if let (Ok(asked), Some(objects)) = (&mut asked, runs.lock().unwrap().get(&self.key)) {
                asked["objects"] = objects.clone();
            }
            let outcome = match (asked, failed) {
                (Ok(asked), None) if is_outside => Outcome::Asked(asked),
                (asked, Some((_, error))) => Outcome::Refused(error, asked.unwrap_or_default()),
                (Err(error), None) => Outcome::Refused(error, Json::Null),
                (Ok(_), None) => unreachable!("made, and not made outside"),
            };
            return (definition, outcome);
        }
        let result = results.of(at).unwrap_or_else(|| panic!("{} has no result", self.key)).clone();
        let resource_type = self.loaded.types.find(&self.key.resource_type).unwrap();
        let mut outputs = result.outputs.clone();
        assert!(ports.schemas.check_outputs(resource_type, &mut outputs).is_empty());
        let mut made = json!({"outputs": result.outputs, "manifests": result.manifests});
        if alone {
            let objects = deploy::objects(&facts, &positions, &mut results, &[]);
            let objects = objects.unwrap_or_else(|errors| panic!("{}: {errors:#?}", self.key));
            if &*self.key.resource_type == "workload" {
                let documents = objects.iter().map(|object| object.document.value.clone());
                made["objects"] = documents.collect();
            }
        }
        (definition, Outcome::Made(made))
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
    teach(index, &key.resource_type, &key.class, &values, secrets);
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

fn teach(index: &mut Index, resource_type: &str, class: &str, values: &Json, secrets: &[&str]) {
    let refs: Json = secrets
        .iter()
        .map(|name| {
            ((*name).to_owned(), json!({"store": "elsewhere", "ref": format!("stub/{name}")}))
        })
        .collect();
    let body = json!({"name": "stub", "driver_type": "humanitec/echo",
        "driver_inputs": {"values": values, "secret_refs": refs}});
    let id = format!("stub-{resource_type}-{class}");
    let definition =
        Arc::new(Definition::new(&id, "v", resource_type, serde_json::from_value(body).unwrap()));
    let criteria = Criteria { class: Some(class.to_owned()), ..Criteria::default() };
    index.insert(&definition, criteria).unwrap();
}
