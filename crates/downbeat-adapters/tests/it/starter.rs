//! The starter definitions and the example application, on the real path from Score to manifests.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use downbeat_core::{
    Definition, DeploymentSet, Json, Secret, SecretRef, assemble,
    assemble::Object,
    builtin,
    definition_file::{self, DefinitionFile},
    graph::{Node, ResourceGraph},
    matching::Index,
    resolve::Outputs,
    resource_type::Catalogue,
};
use downbeat_engine::{
    Lease, create,
    memory::{self, MemorySecrets},
    port::{Cookie, GraphRow, Loaded},
    run::{self, Ports},
};
use downbeat_score::{NoFiles, Options, Source};

const DATASTORES: [&str; 6] = ["postgres", "mysql", "mongodb", "redis", "amqp", "s3"];

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap()
}

fn yaml_files(folder: &str) -> Vec<(String, String)> {
    let folder = repository().join(folder);
    let mut paths: Vec<PathBuf> =
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.retain(|path| path.extension().is_some_and(|end| end == "yaml"));
    paths.sort();
    let named = |path: PathBuf| {
        let text = fs::read_to_string(&path).unwrap();
        (path.file_name().unwrap().to_str().unwrap().to_owned(), text)
    };
    paths.into_iter().map(named).collect()
}

fn definitions(folder: &str) -> Vec<DefinitionFile> {
    let read = |(name, text): (String, String)| {
        definition_file::read(&text).unwrap_or_else(|error| panic!("{folder}/{name}: {error}"))
    };
    yaml_files(folder).into_iter().flat_map(read).collect()
}

fn index(files: &[DefinitionFile]) -> Index {
    let mut index = Index::default();
    for file in files {
        let definition =
            Arc::new(Definition::new(&file.id, "1", &file.resource_type, file.body.clone()));
        assert_eq!(definition.problems(), [], "{}", file.id);
        for criteria in &file.criteria {
            index.insert(&definition, criteria.clone()).unwrap();
        }
    }
    builtin::add_to(&mut index).unwrap();
    index
}

fn set(scores: &[(String, String)]) -> DeploymentSet {
    let mut set = DeploymentSet::default();
    for (name, text) in scores {
        let source = Source { name, text };
        let converted = downbeat_score::convert(&source, &Options::default(), &NoFiles)
            .unwrap_or_else(|errors| {
                let shown: Vec<String> = errors.iter().map(ToString::to_string).collect();
                panic!("{}", shown.join("\n"))
            });
        assert_eq!(converted.warnings, [], "{name}");
        for (key, resource) in converted.shared {
            let known = set.shared.insert(key, resource.clone());
            assert!(known.is_none_or(|known| known == resource));
        }
        set.modules.insert(converted.name, converted.module);
    }
    set
}

/// A set with one workload `web` and these resources; a variable for each placeholder.
fn web(resources: &str, placeholders: &[&str]) -> DeploymentSet {
    let mut text = "apiVersion: score.dev/v1b1\nmetadata: {name: web}\ncontainers:\n  main:\n    \
                    image: reg.example/web:1\n    variables:\n      FIXED: \"1\"\n"
        .to_owned();
    for (number, placeholder) in placeholders.iter().enumerate() {
        text.push_str(&format!("      V{number}: ${{resources.{placeholder}}}\n"));
    }
    text.push_str("service: {ports: {http: {port: 80, targetPort: 8080}}}\nresources:\n");
    text.push_str(resources);
    set(&[("score.yaml".to_owned(), text)])
}

fn loaded(set: DeploymentSet, definitions: Index, app: &str, env: &str) -> Loaded {
    Loaded {
        installation: "test".to_owned(),
        org: "local".to_owned(),
        app: app.to_owned(),
        env: env.to_owned(),
        env_type: "development".to_owned(),
        deployment: "deployment".to_owned(),
        ..memory::loaded(set, definitions)
    }
}

/// What a deployment comes to, before it is delivered.
struct Rendered {
    ports: Ports,
    graph: ResourceGraph,
    objects: Vec<Object>,
    files: BTreeMap<String, String>,
    outputs: BTreeMap<String, Outputs>,
    cookies: BTreeMap<String, Vec<Cookie>>,
}

/// Renders with a new, empty secret store.
async fn render(loaded: &Loaded, seed: u8) -> Rendered {
    render_with(loaded, seed, Arc::new(MemorySecrets::new("local"))).await
}

async fn render_with(loaded: &Loaded, seed: u8, secrets: Arc<MemorySecrets>) -> Rendered {
    let ports = memory::ports(downbeat_adapters::drivers(), secrets, vec![seed; 32]);
    let objects = run::render(&ports, loaded).await.unwrap_or_else(|errors| {
        let shown: Vec<String> = errors
            .iter()
            .map(|error| format!("{} {}: {}", error.code, error.object_id, error.message))
            .collect();
        panic!("{}", shown.join("\n"))
    });
    let files = assemble::files(&objects).unwrap_or_else(|errors| panic!("{errors:?}"));
    let graph = run::build(loaded).unwrap();
    let results = nodes(&ports, loaded, &graph).await;
    let keyed = |(node, result): (&Node, &downbeat_engine::port::NodeResult)| {
        (node.key.to_string(), result.outputs.clone())
    };
    let outputs = graph.nodes.iter().zip(&results).map(keyed).collect();
    let cookies = graph.nodes.iter().zip(&results).filter_map(|(node, result)| {
        let driver_type = node.definition.driver_type().to_owned();
        let cookie = Cookie { driver_type, reference: result.cookie.clone()? };
        Some((node.guresid.to_string(), vec![cookie]))
    });
    let cookies = cookies.collect();
    Rendered { graph, objects, files, outputs, cookies, ports }
}

/// The results of all nodes: the part of the path that [`run::render`] does not hand out.
async fn nodes(
    ports: &Ports,
    loaded: &Loaded,
    graph: &ResourceGraph,
) -> Vec<downbeat_engine::port::NodeResult> {
    let creation = create::Creation {
        drivers: &ports.drivers,
        secrets: &*ports.secrets,
        journal: &*ports.journal,
        lease: &Lease { deployment: loaded.deployment.clone(), epoch: 0 },
        schemas: &ports.schemas,
        types: &loaded.types,
        facts: &run::facts(loaded, graph),
        row: &GraphRow { hash: String::new(), nodes: Vec::new(), rows: Vec::new() },
        seed: &ports.seed,
        cookies: &loaded.cookies,
        registered: &loaded.registered,
        accounts: loaded.accounts.as_ref(),
    };
    let created = create::create(&creation, &BTreeMap::new()).await.unwrap();
    assert_eq!(created.errors, []);
    created.results.0.into_iter().map(Option::unwrap).collect()
}

impl Rendered {
    /// The plaintext of each secret output of a resource.
    async fn secrets(&self, key: &str) -> BTreeMap<String, String> {
        let mut opened = BTreeMap::new();
        for (at, expr) in &self.outputs[key].secrets {
            let reference = expr.as_reference().unwrap().clone();
            let texts = self.ports.secrets.open("local", &[reference]).await.unwrap();
            opened.insert(at[1..].to_owned(), Secret::expose(&texts[0]).to_owned());
        }
        opened
    }

    /// The plaintexts of all cookies.
    async fn opened_cookies(&self) -> Vec<Json> {
        let references: Vec<SecretRef> =
            self.cookies.values().flatten().map(|cookie| cookie.reference.clone()).collect();
        let texts = self.ports.secrets.open("local", &references).await.unwrap();
        texts.iter().map(|text| serde_json::from_str(text.expose()).unwrap()).collect()
    }

    fn output(&self, key: &str, name: &str) -> &Json {
        &self.outputs[key].values[name]
    }

    fn find(&self, kind: &str, name: &str) -> &Json {
        let found = self.objects.iter().find(|object| object.kind == kind && object.name == name);
        &found.unwrap_or_else(|| panic!("there is no {kind} {name}")).document.value
    }

    fn of_kind(&self, kind: &str) -> Vec<&Json> {
        let objects = self.objects.iter().filter(|object| object.kind == kind);
        objects.map(|object| &object.document.value).collect()
    }

    /// What `kubectl apply` would see, in that order.
    fn text(&self) -> String {
        let kustomization = &self.files["kustomization.yaml"];
        let paths = kustomization.lines().filter_map(|line| line.trim().strip_prefix("- "));
        let shown = paths.map(|path| format!("# {path}\n{}", self.files[path]));
        shown.collect::<Vec<_>>().join("---\n")
    }
}

fn starter() -> Index {
    index(&definitions("starter"))
}

/// The private resource `it` of the workload `web`.
fn it(resource_type: &str) -> String {
    format!("{resource_type}.default#modules.web.externals.it")
}

fn datastore(resource_type: &str) -> DeploymentSet {
    let outputs: &[&str] = match resource_type {
        "postgres" | "mysql" => &["it.host", "it.port", "it.name", "it.username", "it.password"],
        "mongodb" => &["it.host", "it.port", "it.connection", "it.username", "it.password"],
        "amqp" => &["it.host", "it.port", "it.vhost", "it.username", "it.password"],
        "s3" => &[
            "it.bucket",
            "it.region",
            "it.endpoint",
            "it.aws_access_key_id",
            "it.aws_secret_access_key",
        ],
        _ => &["it.host", "it.port", "it.username", "it.password"],
    };
    web(&format!("  it: {{type: {resource_type}}}\n"), outputs)
}

/// Values that nobody can guess: those of the cookies, which hold exactly what was generated.
async fn generated(rendered: &Rendered) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for cookie in rendered.opened_cookies().await {
        for value in cookie["value"].as_object().unwrap().values() {
            found.insert(value.as_str().unwrap().to_owned());
        }
    }
    found
}

fn assert_hidden(secrets: &BTreeSet<String>, rendered: &Rendered) {
    assert!(!secrets.is_empty());
    for (path, text) in &rendered.files {
        for secret in secrets {
            assert!(!text.contains(secret.as_str()), "{path} holds {secret}:\n{text}");
        }
    }
    let outputs = format!("{:?}", rendered.outputs);
    assert!(secrets.iter().all(|secret| !outputs.contains(secret.as_str())));
}

#[test]
fn each_file_is_one_definition_with_a_header() {
    let files = yaml_files("starter");
    for (name, text) in &files {
        let read = definition_file::read(text).unwrap();
        let id = format!("starter-{}", name.trim_end_matches(".yaml"));
        assert_eq!(read.iter().map(|one| one.id.as_str()).collect::<Vec<_>>(), [id]);
        assert!(text.starts_with("# "), "{name} does not say what it makes");
        assert!(Catalogue::default().find(&read[0].resource_type).is_some(), "{name}");
    }
    let types: BTreeSet<String> =
        definitions("starter").into_iter().map(|file| file.resource_type).collect();
    let expected = "amqp dns horizontal-pod-autoscaler ingress k8s-cluster k8s-namespace mongodb \
                    mysql postgres redis s3 service-port volume";
    assert_eq!(types.into_iter().collect::<Vec<_>>().join(" "), expected);
}

#[tokio::test]
async fn datastores_are_reachable_and_their_secrets_stay_out_of_git() {
    for resource_type in DATASTORES {
        let loaded = loaded(datastore(resource_type), starter(), "shop", "dev");
        let rendered = render(&loaded, 7).await;
        let key = it(resource_type);

        // The host is a Service, whose port is the output, and which selects the pods.
        let endpoint = match resource_type {
            "s3" => rendered.output(&key, "endpoint").as_str().unwrap().to_owned(),
            _ => format!(
                "http://{}:{}",
                rendered.output(&key, "host").as_str().unwrap(),
                rendered.output(&key, "port")
            ),
        };
        let (host, port) = endpoint.trim_start_matches("http://").split_once(':').unwrap();
        let service = rendered.find("Service", host);
        assert_eq!(service["spec"]["ports"][0]["port"].to_string(), port);
        let sets = rendered.find("StatefulSet", host);
        let pod = &sets["spec"]["template"];
        assert_eq!(service["spec"]["selector"], sets["spec"]["selector"]["matchLabels"]);
        for (label, value) in service["spec"]["selector"].as_object().unwrap() {
            assert_eq!(pod["metadata"]["labels"][label], *value);
            // A workload must not select these pods, whatever its name.
            assert_eq!(value, host);
        }
        assert_eq!(sets["spec"]["serviceName"], host);
        let container = &pod["spec"]["containers"][0];
        let target = &service["spec"]["ports"][0]["targetPort"];
        assert_eq!(container["ports"][0]["name"], *target);
        assert_eq!(container["ports"][0]["containerPort"].to_string(), port);
        assert!(container["readinessProbe"].is_object(), "{resource_type}");
        assert!(host.len() <= 30 && host.starts_with(|c: char| c.is_ascii_lowercase()));

        // Every reference to a Secret finds its key.
        let external = &rendered.files[&format!("resources/externalsecret-{host}.yaml")];
        for kind in ["StatefulSet", "Job"] {
            for object in rendered.of_kind(kind) {
                let text = object.to_string();
                for reference in text.split("secretKeyRef\":").skip(1) {
                    let mut parsed = serde_json::Deserializer::from_str(reference).into_iter();
                    let reference: Json = parsed.next().unwrap().unwrap();
                    assert_eq!(reference["name"], host);
                    let key = reference["key"].as_str().unwrap();
                    assert!(external.contains(&format!("        {key}: \"{{{{ .s")), "{external}");
                }
            }
        }

        let generated = generated(&rendered).await;
        assert_hidden(&generated, &rendered);
        let secrets = rendered.secrets(&key).await;
        let password = secrets.get("password").or(secrets.get("aws_secret_access_key")).unwrap();
        assert!(generated.contains(password));
        assert!(password.len() >= 24 && password.chars().all(|c| c.is_ascii_alphanumeric()));

        // Another seed: other credentials, the same files.
        let other = render(&loaded, 8).await;
        assert_ne!(other.secrets(&key).await, secrets);
        assert_eq!(other.files, rendered.files);
    }
}

#[tokio::test]
async fn credentials_outlive_changes_of_the_definition() {
    for resource_type in DATASTORES {
        let first_time = loaded(datastore(resource_type), starter(), "shop", "dev");
        let store = Arc::new(MemorySecrets::new("local"));
        let first = render_with(&first_time, 7, Arc::clone(&store)).await;
        let before = first.secrets(&it(resource_type)).await;
        assert_eq!(first.cookies.len(), 1);

        // The same definition with passwords of another length, in another order, from other
        // randomness: what is kept in the cookie wins.
        let mut files = definitions("starter");
        let file = files.iter_mut().find(|file| file.resource_type == resource_type).unwrap();
        let inputs = file.body.driver_inputs.as_mut().unwrap();
        let init = inputs.values.as_mut().unwrap().get_mut("templates").unwrap();
        let init = init.get_mut("init").unwrap();
        let changed = format!("other: {{{{ randAlphaNum 3 }}}}\n{}", init.as_str().unwrap());
        *init = Json::String(changed.replace("randAlphaNum 24", "randAlphaNum 30"));
        let mut second_time = loaded(datastore(resource_type), index(&files), "shop", "dev");
        second_time.cookies = first.cookies.clone();
        let second = render_with(&second_time, 9, store).await;
        assert_eq!(second.secrets(&it(resource_type)).await, before, "{resource_type}");
        assert_eq!(second.files, first.files, "{resource_type}");
    }
}

#[tokio::test]
async fn a_user_name_may_be_a_word_of_the_definition() {
    let (name, text) =
        yaml_files("starter").into_iter().find(|(name, _)| name == "postgres.yaml").unwrap();
    let text = text.replace("username: app", "username: postgres");
    let mut files = definitions("starter");
    files.retain(|file| file.resource_type != "postgres");
    files.extend(definition_file::read(&text).unwrap_or_else(|error| panic!("{name}: {error}")));
    let rendered = render(&loaded(datastore("postgres"), index(&files), "shop", "dev"), 7).await;
    assert_eq!(rendered.secrets(&it("postgres")).await["username"], "postgres");
    let pod = &rendered.of_kind("StatefulSet")[0]["spec"]["template"]["spec"];
    assert!(pod["containers"][0]["image"].as_str().unwrap().starts_with("postgres:"));
    assert_hidden(&generated(&rendered).await, &rendered);
}

#[tokio::test]
async fn mongodb_has_a_connection_string() {
    let rendered = render(&loaded(datastore("mongodb"), starter(), "shop", "dev"), 7).await;
    let secrets = rendered.secrets(&it("mongodb")).await;
    let host = rendered.output(&it("mongodb"), "host").as_str().unwrap();
    let expected = format!("mongodb://app:{}@{host}:27017/app", secrets["password"]);
    assert_eq!(secrets["connection"], expected);
}

#[tokio::test]
async fn postgres_extensions_become_a_job() {
    let with = |extensions: &str| {
        web(&format!("  it: {{type: postgres, params: {{extensions: {extensions}}}}}\n"), &[])
    };
    let render = |extensions: &'static str| async move {
        render(&loaded(with(extensions), starter(), "shop", "dev"), 7).await
    };
    let rendered = render("{uuid-ossp: {}, postgis: {version: '3.5', schema: geo}}").await;
    let jobs = rendered.of_kind("Job");
    let command = &jobs[0]["spec"]["template"]["spec"]["containers"][0]["command"];
    assert_eq!(
        command[3],
        "CREATE SCHEMA IF NOT EXISTS \"geo\"; CREATE EXTENSION IF NOT EXISTS \"postgis\" SCHEMA \
         \"geo\" VERSION '3.5' CASCADE; CREATE EXTENSION IF NOT EXISTS \"uuid-ossp\" CASCADE;"
    );
    let other = render("{uuid-ossp: {}}").await;
    assert_ne!(other.of_kind("Job")[0]["metadata"]["name"], jobs[0]["metadata"]["name"]);
    assert_eq!(render("{}").await.of_kind("Job"), Vec::<&Json>::new());

    let ports = rendered.ports;
    let bad = loaded(with("{'a\"; DROP': {}}"), starter(), "shop", "dev");
    let errors = run::render(&ports, &bad).await.unwrap_err();
    assert!(errors[0].message.contains("cannot be the name"), "{}", errors[0].message);
}

#[tokio::test]
async fn host_names_and_namespaces_are_unique() {
    let resources = "  site: {type: dns, id: shop}\n  own: {type: dns}\n  it: {type: route, params: \
                     {host: '${resources.site.host}', path: /, port: 80}}\n";
    let mut hosts = BTreeSet::new();
    let mut namespaces = BTreeSet::new();
    let long = ["a".repeat(50), "b".repeat(50), "c".repeat(50)];
    let places = [
        ("shop", "dev"),
        ("a-b", "c1"),
        ("a", "b-c1"),
        (&*long[0], &*long[1]),
        (&*long[0], &*long[2]),
    ];
    for (app, env) in places {
        let rendered = render(&loaded(web(resources, &[]), starter(), app, env), 7).await;
        for key in ["dns.default#shared.shop", "dns.default#modules.web.externals.own"] {
            let host = rendered.output(key, "host").as_str().unwrap();
            let label = host.strip_suffix(".localhost").unwrap();
            assert!(label.len() <= 63 && !label.ends_with('-') && !label.contains('.'), "{label}");
            assert!(hosts.insert(host.to_owned()), "{host} twice");
        }
        // The shared name has a route and an Ingress, the other one has neither.
        let ingresses = rendered.of_kind("Ingress");
        assert_eq!(ingresses.len(), 1);
        let rule = &ingresses[0]["spec"]["rules"][0];
        assert_eq!(rule["host"], *rendered.output("dns.default#shared.shop", "host"));
        assert_eq!(rule["http"]["paths"][0]["backend"]["service"]["name"], "web");
        assert_eq!(ingresses[0]["spec"]["ingressClassName"], "nginx");

        let namespace = rendered.of_kind("Namespace")[0]["metadata"]["name"].as_str().unwrap();
        assert!(namespace.len() <= 63, "{namespace}");
        assert!(namespaces.insert(namespace.to_owned()), "{namespace} twice");
        let of_workload = rendered.find("Deployment", "web");
        assert_eq!(of_workload["metadata"]["namespace"], namespace);
        let cluster = &rendered.outputs["k8s-cluster.default#k8s-cluster"].values;
        assert_eq!(cluster["cluster_type"], "git");
        assert_eq!(cluster["path"], format!("environments/{app}/{env}"));
    }
    let shop: Vec<&String> = hosts.iter().filter(|host| host.starts_with("shop-")).collect();
    assert_eq!(shop, ["shop-dev-shop-5a6c44.localhost", "shop-dev-web-own-758632.localhost"]);
    assert!(namespaces.contains("shop-dev") && namespaces.contains("a-b--c1"));
}

#[tokio::test]
async fn volumes_autoscalers_and_service_ports() {
    let text = "\
apiVersion: score.dev/v1b1
metadata: {name: web}
containers:
  main:
    image: reg.example/web:1
    variables: {PEER: 'http://${resources.peer.hostname}:${resources.peer.port}'}
    volumes:
      /tmp/work: {source: '${resources.scratch}'}
      /var/lib/web: {source: '${resources.data}'}
service: {ports: {http: {port: 8000, targetPort: 8080}}}
resources:
  scratch: {type: volume}
  data: {type: volume, class: persistent}
  peer: {type: service-port, params: {workload: web, port: http}}
  scaler: {type: horizontal-pod-autoscaler, params: {minReplicas: 2, maxReplicas: 50}}
";
    let set = set(&[("score.yaml".to_owned(), text.to_owned())]);
    let rendered = render(&loaded(set, starter(), "shop", "dev"), 7).await;
    let pod = &rendered.find("Deployment", "web")["spec"]["template"]["spec"];
    let volumes: BTreeMap<&str, &Json> = pod["volumes"]
        .as_array()
        .unwrap()
        .iter()
        .map(|volume| (volume["name"].as_str().unwrap(), volume))
        .collect();
    for mount in pod["containers"][0]["volumeMounts"].as_array().unwrap() {
        let volume = volumes[mount["name"].as_str().unwrap()];
        match mount["mountPath"].as_str().unwrap() {
            "/tmp/work" => assert_eq!(volume["emptyDir"]["sizeLimit"], "1Gi"),
            "/var/lib/web" => {
                let claim = volume["persistentVolumeClaim"]["claimName"].as_str().unwrap();
                rendered.find("PersistentVolumeClaim", claim);
            }
            other => panic!("{other}"),
        }
    }
    let scaler = &rendered.find("HorizontalPodAutoscaler", "web-hpa")["spec"];
    assert_eq!((&scaler["minReplicas"], &scaler["maxReplicas"]), (&Json::from(2), &Json::from(5)));
    let config = rendered.of_kind("ConfigMap");
    assert_eq!(config[0]["data"]["PEER"], "http://web:8000");
}

fn bookshop(env: &str, definitions: Index) -> Loaded {
    loaded(set(&yaml_files("examples/bookshop")), definitions, "bookshop", env)
}

#[tokio::test]
async fn the_bookshop() {
    let development = bookshop("development", starter());
    let rendered = render(&development, 7).await;
    let graph: Vec<String> = rendered
        .graph
        .nodes
        .iter()
        .map(|node| {
            let needs = node.depends_on.iter().map(|(at, _)| &rendered.graph.nodes[*at as usize]);
            let needs: Vec<String> = needs.map(|node| node.key.to_string()).collect();
            format!("{} <- {}", node.key, needs.join(", "))
        })
        .collect();
    insta::assert_snapshot!("bookshop-graph", graph.join("\n"));
    insta::assert_snapshot!("bookshop", rendered.text());
    assert_hidden(&generated(&rendered).await, &rendered);
    assert_eq!(render(&development, 7).await.files, rendered.files);

    // The second environment has nothing in common with the first but the images.
    let staging = render(&bookshop("staging", starter()), 7).await;
    let hosts = |rendered: &Rendered| -> BTreeSet<String> {
        let services = rendered.of_kind("Service").into_iter();
        let named = services.map(|service| service["metadata"]["name"].as_str().unwrap());
        named.map(str::to_owned).collect()
    };
    let both: Vec<String> = hosts(&rendered).intersection(&hosts(&staging)).cloned().collect();
    assert_eq!(both, ["catalogue", "orders", "storefront"]);
    let secrets = generated(&rendered).await;
    assert!(secrets.is_disjoint(&generated(&staging).await));
}

#[tokio::test]
async fn own_definition_for_the_bookshop() {
    let mut files = definitions("starter");
    files.extend(definitions("examples/definitions"));
    let mut loaded = bookshop("development", index(&files));
    let db = loaded.set.modules.get_mut("catalogue").unwrap().externals.get_mut("db").unwrap();
    db.class = Some("external".to_owned());
    let rendered = render(&loaded, 7).await;
    let key = "postgres.external#modules.catalogue.externals.db";
    assert_eq!(rendered.output(key, "host"), "postgres.internal.example");
    assert_eq!(rendered.output(key, "name"), "bookshop-development");
    assert!(
        rendered
            .of_kind("StatefulSet")
            .iter()
            .all(|set| { !set["metadata"]["name"].as_str().unwrap().starts_with("pg-") })
    );
    let secret = &rendered.files["workloads/catalogue/externalsecret-catalogue-api-env.yaml"];
    assert!(secret.contains("name: company-vault"), "{secret}");
    assert!(secret.contains("key: postgres/password"), "{secret}");
}
