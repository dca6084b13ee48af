//! The published graph patterns: Score files and definitions of the example library give the graphs
//! that their documentation describes.

use std::{fs, path::Path, sync::Arc};

use downbeat_core::{Definition, DeploymentSet, builtin, definition_file, matching::Index};
use downbeat_engine::{
    memory::{self, MemorySecrets},
    port::Loaded,
    run,
};
use downbeat_score::{NoFiles, Options, Source, convert};

fn load(pattern: &str, app: &str) -> Loaded {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/data/resource-graph-patterns")
        .join(pattern);
    let mut index = Index::default();
    let mut set = DeploymentSet::default();
    let mut paths: Vec<_> =
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    for path in paths {
        let text = fs::read_to_string(&path).unwrap();
        for file in definition_file::read(&text).unwrap() {
            let definition = Definition::new(&file.id, "v1", &file.resource_type, file.body);
            let definition = Arc::new(definition);
            for criteria in file.criteria {
                index.insert(&definition, criteria).unwrap();
            }
        }
        if text.contains("score.dev/v1b1") {
            let source = Source { name: "score.yaml", text: &text };
            let converted = convert(&source, &Options::default(), &NoFiles).unwrap();
            set.modules.insert(converted.name, converted.module);
            set.shared.extend(converted.shared);
        }
    }
    let body = serde_json::json!({"name": "c", "driver_type": "humanitec/k8s-cluster-git"});
    let cluster = Definition::new("c", "v1", "k8s-cluster", serde_json::from_value(body).unwrap());
    index.insert(&Arc::new(cluster), downbeat_core::Criteria::default()).unwrap();
    builtin::add_to(&mut index).unwrap();
    Loaded {
        installation: "i".into(),
        org: "acme".into(),
        app: app.into(),
        env: "dev".into(),
        env_type: "development".into(),
        deployment: "d".into(),
        ..memory::loaded(set, index)
    }
}

/// `node <- definition: needs`, in provisioning order, without what every graph has.
fn graph(loaded: &Loaded) -> String {
    let always = ["k8s-cluster", "k8s-namespace", "base-env"];
    let graph = run::build(loaded).unwrap();
    let mut text = String::new();
    for node in graph.nodes.iter().filter(|node| !always.contains(&&*node.key.resource_type)) {
        text.push_str(&format!("{} <- {}", node.key, node.definition.id));
        let needs = node.depends_on.iter().map(|(at, _)| graph.node(*at).unwrap());
        for needed in needs.filter(|needed| !always.contains(&&*needed.key.resource_type)) {
            text.push_str(&format!("\n    needs {}", needed.key));
        }
        text.push('\n');
    }
    text
}

/// The rendered objects as `kind name`, or what is wrong.
async fn render(loaded: &Loaded) -> String {
    let secrets = Arc::new(MemorySecrets::new("local"));
    let ports = memory::ports(downbeat_adapters::drivers(), secrets, vec![1]);
    match run::render(&ports, loaded).await {
        Ok(objects) => objects.iter().map(|o| format!("{} {}\n", o.kind, o.name)).collect(),
        Err(errors) => {
            errors.iter().map(|error| format!("{} {}\n", error.code, error.message)).collect()
        }
    }
}

#[tokio::test]
async fn propagate_id() {
    // The service account takes the id of the workload that refers to it.
    let loaded = load("propagate-id", "example-propagate-id");
    assert_eq!(
        graph(&loaded),
        "\
k8s-service-account.default#modules.example-workload <- example-k8s-service-account
workload.default#modules.example-workload <- example-workload
    needs k8s-service-account.default#modules.example-workload
"
    );
    // The published definition has a comment that is never closed, which Go refuses as well.
    let error = render(&loaded).await;
    assert!(error.starts_with("RES-102 "), "{error}");
    assert!(error.contains("comment"), "{error}");
}

#[tokio::test]
async fn propagate_class() {
    // `config#example` takes the class of the s3 resource: one of the two configs is used.
    let mut loaded = load("propagate-class", "example-propagate-class");
    assert_eq!(
        graph(&loaded),
        "\
config.one#example <- example-config-one
s3.one#modules.example-workload.externals.my-s3 <- example-s3
    needs config.one#example
workload.default#modules.example-workload <- default-workload
    needs s3.one#modules.example-workload.externals.my-s3
"
    );
    assert_eq!(
        render(&loaded).await,
        "ConfigMap example-workload-busybox-env\nDeployment example-workload\n"
    );
    let module = loaded.set.modules.get_mut("example-workload").unwrap();
    module.externals.get_mut("my-s3").unwrap().class = Some("two".into());
    assert!(graph(&loaded).starts_with("config.two#example <- example-config-two\n"));
}

#[tokio::test]
async fn delegator() {
    // Both workloads share the concrete bucket; each gets the policy of the class that it asked for.
    let loaded = load("delegator-resource", "example-delegator");
    assert_eq!(
        graph(&loaded),
        "\
aws-policy.s3-admin#shared.main-s3 <- aws-policy-s3-admin
aws-policy.s3-read-only#shared.main-s3 <- aws-policy-s3-read-only
s3.concrete#shared.main-s3 <- s3-concrete
s3.admin#shared.main-s3 <- s3-admin
    needs s3.concrete#shared.main-s3
s3.read-only#shared.main-s3 <- s3-read-only
    needs s3.concrete#shared.main-s3
workload.default#modules.example-a <- default-workload
    needs aws-policy.s3-admin#shared.main-s3
    needs s3.admin#shared.main-s3
workload.default#modules.example-b <- default-workload
    needs aws-policy.s3-read-only#shared.main-s3
    needs s3.read-only#shared.main-s3
"
    );
    assert!(render(&loaded).await.contains("Deployment example-b\n"));
}

#[tokio::test]
async fn config_pattern() {
    // The bucket reads the platform's defaults, which in turn read the developer's overrides.
    let loaded = load("config-pattern", "example-config-pattern");
    let bucket = "modules.example-config-pattern-workload.externals.s3-bucket";
    assert_eq!(
        graph(&loaded),
        format!(
            "\
config.developer-overrides#{bucket} <- config-pattern-example-config-developer-overrides
config.default#{bucket} <- config-pattern-example-config-platform-defaults
    needs config.developer-overrides#{bucket}
s3.default#{bucket} <- config-pattern-example-s3-base
    needs config.default#{bucket}
workload.default#modules.example-config-pattern-workload <- default-workload
    needs s3.default#{bucket}
"
        )
    );
    let ports_text = render(&loaded).await;
    assert!(ports_text.contains("Deployment example-config-pattern-workload"), "{ports_text}");
}

#[tokio::test]
async fn break_a_loop() {
    // Role and service account both read their names from a third resource.
    let loaded =
        load("break-a-loop-additional-resource", "example-break-a-loop-additional-resource");
    assert_eq!(
        graph(&loaded),
        "\
config.sa-name-role-id#modules.example-workload <- example-config-name-id
aws-role.default#modules.example-workload <- example-aws-role
    needs config.sa-name-role-id#modules.example-workload
k8s-service-account.default#modules.example-workload <- example-k8s-service-account
    needs config.sa-name-role-id#modules.example-workload
    needs aws-role.default#modules.example-workload
workload.default#modules.example-workload <- example-workload
    needs k8s-service-account.default#modules.example-workload
"
    );
}
