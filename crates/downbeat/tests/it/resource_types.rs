//! The contract of a resource type, at run time: what is asked for and what comes out fit its
//! schemas, for built-in types and for those of an organization.

use std::sync::Arc;

use downbeat_core::{
    Criteria, Definition, DeploymentSet, Json, builtin,
    graph::cluster_key,
    matching::Index,
    resource_type::{Catalogue, ResourceType},
};
use downbeat_engine::{
    memory::{self, MemorySecrets},
    port::Loaded,
    run,
};
use downbeat_testkit::{ORG, Server};
use serde_json::json;

/// A bucket that has to have a name, and a region of a certain form; it is asked for with a size.
fn bucket() -> Json {
    json!({
        "type": "acme/bucket", "name": "Bucket", "category": "storage", "use": "direct",
        "inputs_schema": {"type": "object", "required": ["size"],
            "properties": {"size": {"type": "integer", "minimum": 1}}},
        "outputs_schema": {"type": "object", "properties": {
            "values": {"type": "object", "required": ["name"], "properties": {
                "name": {"type": "string"}, "region": {"type": "string", "pattern": "^eu-"}}},
            "secrets": {"type": "object", "required": ["key"],
                "properties": {"key": {"type": "string"}}}}},
    })
}

/// Renders a workload with one resource, whose definition gives out these inputs. Answers the
/// errors; none when all is well.
async fn render(types: &Catalogue, resource_type: &str, params: Json, inputs: Json) -> String {
    let module = json!({
        "profile": "humanitec/default-module",
        "spec": {"containers": {"main": {"id": "main", "image": "sample:1"}}},
        "externals": {"it": {"type": resource_type, "params": params}},
    });
    let set: DeploymentSet = serde_json::from_value(json!({"modules": {"web": module}})).unwrap();
    let mut index = Index::default();
    builtin::add_to(&mut index).unwrap();
    for (id, of, driver, inputs) in [
        ("it", resource_type, "humanitec/echo", inputs),
        ("cluster", &*cluster_key().resource_type, "humanitec/k8s-cluster-git", json!({})),
    ] {
        let body = json!({"name": id, "driver_type": driver, "driver_inputs": inputs});
        let definition = Definition::new(id, "v", of, serde_json::from_value(body).unwrap());
        index.insert(&Arc::new(definition), Criteria::default()).unwrap();
    }
    let loaded = Loaded {
        org: ORG.into(),
        app: "shop".into(),
        env: "dev".into(),
        types: Arc::new(types.clone()),
        ..memory::loaded(set, index)
    };
    let secrets = Arc::new(MemorySecrets::new("local"));
    let ports = memory::ports(downbeat_adapters::drivers(), secrets, vec![1]);
    match run::render(&ports, &loaded).await {
        Ok(_) => String::new(),
        Err(errors) => {
            let shown = errors.iter().map(|error| format!("{} {}", error.code, error.message));
            shown.collect::<Vec<_>>().join("\n")
        }
    }
}

#[tokio::test]
async fn a_type_of_the_organization_is_a_contract() {
    let server = Server::start().await;
    let admin = server.admin();
    admin.post(&format!("/orgs/{ORG}/resources/types"), bucket()).await.is(200);
    let listed = admin.get(&format!("/orgs/{ORG}/resources/types")).await.json(200);
    let mut types = Catalogue::default();
    for one in listed.as_array().unwrap() {
        let one: ResourceType = serde_json::from_value(one.clone()).unwrap();
        if !one.is_built_in() {
            types.insert(one);
        }
    }
    let good = json!({"values": {"name": "b", "region": "eu-1", "extra": 1},
        "secret_refs": {"key": {"store": "s", "ref": "k"}}});
    let check = async |params: Json, inputs: &Json, expected: &str| {
        assert_eq!(render(&types, "acme/bucket", params, inputs.clone()).await, expected);
    };
    check(json!({"size": 1}), &good, "").await;
    check(
        json!({}),
        &good,
        "RES-005 the inputs of resource acme/bucket.default#modules.web.externals.it do not \
         satisfy the schema of type \"acme/bucket\": \"size\" is a required property",
    )
    .await;
    check(
        json!({"size": 0}),
        &good,
        "RES-005 the inputs of resource acme/bucket.default#modules.web.externals.it do not \
         satisfy the schema of type \"acme/bucket\": /size: value is less than the minimum of 1",
    )
    .await;
    check(
        json!({"size": 1}),
        &json!({"values": {"region": "us-1"}}),
        "RES-005 the outputs of acme/bucket.default#modules.web.externals.it (definition \"it\") \
         do not satisfy the schema of type \"acme/bucket\": the required output \"name\" is \
         missing; the required output \"key\" is missing; /region: value does not match \"^eu-\"",
    )
    .await;
    // What is required may also come as a secret.
    let secret = json!({"store": "s", "ref": "k"});
    let sealed = json!({"secret_refs": {"name": secret, "key": secret}});
    check(json!({"size": 1}), &sealed, "").await;
}

#[tokio::test]
async fn built_in_types_are_contracts_as_well() {
    let types = Catalogue::default();
    let postgres = |values: Json| json!({"values": values});
    let outputs = json!({"host": "h", "port": 5432, "name": "n", "ssl_mode": "require"});
    let extensions = json!({"extensions": {"pgcrypto": {}, "uuid-ossp": {"version": "1.1"}}});
    assert_eq!(render(&types, "postgres", extensions, postgres(outputs.clone())).await, "");
    let error = render(&types, "postgres", json!({"extensions": []}), postgres(outputs)).await;
    assert!(error.starts_with("RES-005 the inputs of resource postgres.default#"), "{error}");
    assert!(error.ends_with("/extensions: value is not of type \"object\""), "{error}");
    let error = render(&types, "postgres", json!({}), postgres(json!({"port": "5432"}))).await;
    assert!(error.contains("the required output \"host\" is missing"), "{error}");
    assert!(error.ends_with("/port: value is not of type \"integer\""), "{error}");
}
