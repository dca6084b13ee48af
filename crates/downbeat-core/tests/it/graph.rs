//! Building the resource graph: every rule of spec 04, each on the smallest set that shows it.

use std::{collections::BTreeMap, sync::Arc};

use downbeat_core::{
    Definition, DeploymentSet, Json, ResourceGraph, builtin,
    graph::{self, Error, Input},
    matching::{Context, Index},
    resource_type::Catalogue,
};
use serde_json::json;

/// Definitions as `(id, type, criteria, body)`.
pub(crate) fn index(definitions: &[(&str, &str, Json, Json)]) -> Index {
    let mut index = Index::default();
    let cluster = ("cluster", "k8s-cluster", json!({}), json!({}));
    for (id, resource_type, criteria, body) in definitions.iter().chain([&cluster]) {
        let mut body = body.clone();
        body["name"] = json!(id);
        if body.get("driver_type").is_none() {
            body["driver_type"] = json!("humanitec/echo");
        }
        let body = serde_json::from_value(body).unwrap();
        let definition = Arc::new(Definition::new(id, "v1", resource_type, body));
        index.insert(&definition, serde_json::from_value(criteria.clone()).unwrap()).unwrap();
    }
    builtin::add_to(&mut index).unwrap();
    index
}

pub(crate) fn build(set: Json, index: &Index) -> Result<ResourceGraph, Vec<Error>> {
    let set = DeploymentSet::from_json(set).unwrap();
    let input = Input {
        set: &set,
        context: Context { org: "acme", app: "shop", env: "dev", env_type: "development" },
        definitions: index,
        types: &Catalogue::default(),
        installation: "i",
        incarnations: &BTreeMap::new(),
        pins: &BTreeMap::new(),
    };
    graph::build(&input)
}

/// Nodes in provisioning order with what they depend on; what is always there is left out.
fn shown(graph: &ResourceGraph) -> String {
    let always = ["k8s-cluster", "k8s-namespace", "base-env"];
    let mut text = String::new();
    for node in &graph.nodes {
        if always.contains(&&*node.key.resource_type) {
            continue;
        }
        let needs: Vec<String> = node
            .depends_on
            .iter()
            .map(|(at, _)| graph.node(*at).unwrap().key.to_string())
            .filter(|key| key != "base-env.default#base-env")
            .collect();
        text.push_str(&node.key.to_string());
        if !needs.is_empty() {
            text.push_str(" -> ");
            text.push_str(&needs.join(", "));
        }
        text.push('\n');
    }
    text
}

fn check(set: Json, definitions: &[(&str, &str, Json, Json)], expected: &str) {
    let index = index(definitions);
    let text = match build(set.clone(), &index) {
        Ok(graph) => shown(&graph),
        Err(errors) => errors.iter().map(|error| format!("{error}\n")).collect(),
    };
    assert_eq!(text, expected);
    if let (Ok(one), Ok(two)) = (build(set.clone(), &index), build(set, &index)) {
        assert_eq!(format!("{:?}", one.nodes), format!("{:?}", two.nodes), "not deterministic");
    }
}

fn echo(id: &str) -> (&str, &str, Json, Json) {
    (id, id, json!({}), json!({}))
}

#[test]
fn an_empty_set_has_the_implicit_resources() {
    let graph = build(json!({}), &index(&[])).unwrap();
    let keys: Vec<String> = graph.nodes.iter().map(|node| node.key.to_string()).collect();
    assert_eq!(
        keys,
        [
            "k8s-cluster.default#k8s-cluster",
            "k8s-namespace.default#k8s-namespace",
            "base-env.default#base-env",
        ]
    );
}

#[test]
fn the_worked_example() {
    let with = |values: Json| json!({"driver_inputs": {"values": values}});
    check(
        json!({"modules": {"web": {
            "spec": {"containers": {"main": {"variables": {"H": "${externals.db.host}"}}}},
            "externals": {
                "dns": {"type": "dns"}, "db": {"type": "postgres"},
                "r1": {"type": "route", "params": {"host": "${externals.dns.host}"}}}}}}),
        &[
            ("dns", "dns", json!({}), json!({"provision": {"ingress": {}}})),
            (
                "ingress",
                "ingress",
                json!({}),
                with(json!({
                "h": "${resources.dns.outputs.host}", "p": "${resources.dns<route.outputs.path}",
                "t": "${resources.tls-cert.outputs.tls_secret_name}"})),
            ),
            ("tls", "tls-cert", json!({}), with(json!({"h": "${resources.dns.outputs.host}"}))),
            ("sa", "k8s-service-account", json!({}), json!({})),
            (
                "workload",
                "workload",
                json!({}),
                with(json!({"n": "${resources.k8s-service-account.outputs.name}"})),
            ),
            echo("postgres"),
        ],
        "dns.default#modules.web.externals.dns\n\
         k8s-service-account.default#modules.web\n\
         postgres.default#modules.web.externals.db\n\
         route.default#modules.web.externals.r1 -> dns.default#modules.web.externals.dns\n\
         tls-cert.default#modules.web.externals.dns -> dns.default#modules.web.externals.dns\n\
         ingress.default#modules.web.externals.dns -> dns.default#modules.web.externals.dns, \
         route.default#modules.web.externals.r1, tls-cert.default#modules.web.externals.dns\n\
         workload.default#modules.web -> dns.default#modules.web.externals.dns, \
         k8s-service-account.default#modules.web, postgres.default#modules.web.externals.db, \
         route.default#modules.web.externals.r1\n",
    );
}

#[test]
fn delegators_share_the_concrete_resource_and_bring_their_policies() {
    let delegator = |class: &str| {
        let policy = format!("aws-policy.s3-{class}");
        json!({"driver_inputs": {"values": {"b": "${resources['s3.concrete'].outputs.bucket}"}},
            "provision": {policy: {"match_dependents": true}}})
    };
    let module = |class: &str| {
        let key = format!("m-class-{class}");
        json!({"spec": {"containers": {"c": {"variables": {"B": format!("${{shared.{key}.bucket}}")}}}}})
    };
    check(
        json!({"modules": {"a": module("admin"), "b": module("read")},
            "shared": {"m-class-admin": {"type": "s3", "class": "admin", "id": "shared.m"},
                       "m-class-read": {"type": "s3", "class": "read", "id": "shared.m"}}}),
        &[
            ("s3-admin", "s3", json!({"class": "admin"}), delegator("admin")),
            ("s3-read", "s3", json!({"class": "read"}), delegator("read")),
            ("s3-concrete", "s3", json!({"class": "concrete"}), json!({})),
            ("policy-admin", "aws-policy", json!({"class": "s3-admin"}), json!({})),
            ("policy-read", "aws-policy", json!({"class": "s3-read"}), json!({})),
        ],
        "aws-policy.s3-admin#shared.m\naws-policy.s3-read#shared.m\ns3.concrete#shared.m\n\
         s3.admin#shared.m -> s3.concrete#shared.m\n\
         s3.read#shared.m -> s3.concrete#shared.m\n\
         workload.default#modules.a -> aws-policy.s3-admin#shared.m, s3.admin#shared.m\n\
         workload.default#modules.b -> aws-policy.s3-read#shared.m, s3.read#shared.m\n",
    );
}

#[test]
fn selectors_walk_forward_and_backward_without_an_edge_to_their_anchor() {
    // workload -> service account -> role, and the role reads the policies of the workload.
    let values = |text: &str| json!({"driver_inputs": {"values": {"v": text}}});
    check(
        json!({"modules": {"w": {"spec": {}, "externals": {"b": {"type": "s3"}}}}}),
        &[
            (
                "workload",
                "workload",
                json!({}),
                values("${resources.k8s-service-account.outputs.name}"),
            ),
            ("sa", "k8s-service-account", json!({}), values("${resources.aws-role.outputs.arn}")),
            ("role", "aws-role", json!({}), values("${resources.workload>aws-policy.outputs.arn}")),
            (
                "s3",
                "s3",
                json!({}),
                json!({"provision": {"aws-policy": {"match_dependents": true}}}),
            ),
            echo("aws-policy"),
        ],
        "aws-policy.default#modules.w.externals.b\n\
         aws-role.default#modules.w -> aws-policy.default#modules.w.externals.b\n\
         k8s-service-account.default#modules.w -> aws-role.default#modules.w\n\
         s3.default#modules.w.externals.b\n\
         workload.default#modules.w -> aws-policy.default#modules.w.externals.b, \
         k8s-service-account.default#modules.w, s3.default#modules.w.externals.b\n",
    );
}

#[test]
fn co_provisioned_resources_can_depend_on_their_parent() {
    check(
        json!({"shared": {"d": {"type": "dns"}}}),
        &[
            (
                "dns",
                "dns",
                json!({}),
                json!({"provision": {
                "config#extra": {"is_dependent": true, "params": {"a": 1}}}}),
            ),
            echo("config"),
        ],
        "dns.default#shared.d\nconfig.default#extra -> dns.default#shared.d\n",
    );
}

#[test]
fn cycles_name_their_edges() {
    let values = |text: &str| json!({"driver_inputs": {"values": {"v": text}}});
    check(
        json!({"shared": {"a": {"type": "config"}}}),
        &[
            ("one", "config", json!({}), values("${resources['config.two'].outputs.x}")),
            (
                "two",
                "config",
                json!({"class": "two"}),
                values("${resources['config.default'].outputs.x}"),
            ),
        ],
        "RES-002 resources depend on each other in a circle: config.default#shared.a -> \
         config.two#shared.a -> config.default#shared.a (config.default#shared.a needs \
         config.two#shared.a by definition \"one\" at /driver_inputs/values/v; config.two#shared.a \
         needs config.default#shared.a by definition \"two\" at /driver_inputs/values/v). Break the \
         circle with a third resource that both depend on, for example of type config\n",
    );
    check(
        json!({"shared": {"a": {"type": "s3"}}}),
        &[("self", "s3", json!({}), values("${resources.s3.outputs.x}"))],
        "RES-002 resources depend on each other in a circle: s3.default#shared.a -> \
         s3.default#shared.a (s3.default#shared.a needs s3.default#shared.a by definition \"self\" at \
         /driver_inputs/values/v). Break the circle with a third resource that both depend on, for \
         example of type config\n",
    );
}

#[test]
fn every_mistake_is_reported_with_its_place() {
    check(
        json!({"modules": {"web": {
            "spec": {"containers": {"main": {"variables": {
                "A": "${externals.bd.host}", "B": "${shared.nothing.x}", "C": "${modules.wbe.name}",
                "D": "${values.}", "E": "${envv.X}"}}}},
            "externals": {"db": {"type": "postgress"}, "policy": {"type": "aws-policy"},
                          "queue": {"type": "amqp", "class": "large"}}}}}),
        &[echo("amqp"), echo("aws-policy")],
        "RES-001 no resource definition matches resource amqp.large#modules.web.externals.queue (type \
         \"amqp\", class \"large\", id \"modules.web.externals.queue\") in application \"shop\", \
         environment \"dev\" of type \"development\". Add a definition of type \"amqp\" with a \
         matching criteria for class \"large\"\n\
         RES-007 the type \"postgress\" of resource postgress.default#modules.web.externals.db is not \
         known in organization \"acme\". Did you mean \"postgres\"?\n\
         RES-008 resource aws-policy.default#modules.web.externals.policy is of type \"aws-policy\", \
         which can only be made through a reference or co-provisioning in a definition. Ask for a \
         resource whose definition needs it\n\
         RES-009 ${externals.bd.host} cannot be resolved at \
         /modules/web/spec/containers/main/variables/A: workload \"web\" has no private resource \
         \"bd\". Did you mean \"db\"?\n\
         RES-009 ${shared.nothing.x} cannot be resolved at \
         /modules/web/spec/containers/main/variables/B: the deployment set has no shared resource \
         \"nothing\"\n\
         RES-009 ${modules.wbe.name} cannot be resolved at \
         /modules/web/spec/containers/main/variables/C: the deployment set has no workload \"wbe\". \
         Did you mean \"web\"?\n\
         RES-009 ${values.} is not a placeholder: a name is empty (at \
         /modules/web/spec/containers/main/variables/D). To write it literally, write $\\{values.}\n\
         RES-009 ${envv.X} cannot be resolved at /modules/web/spec/containers/main/variables/E: \
         \"envv\" is not known here. To write it literally, write $\\{envv.X}\n",
    );
}

#[test]
fn a_pin_chooses_the_version_of_the_definition_that_matches() {
    let index = index(&[echo("postgres")]);
    let set = DeploymentSet::from_json(json!({"shared": {"d": {"type": "postgres"}}})).unwrap();
    let body = downbeat_core::definition::Body::default();
    let pinned = Arc::new(Definition::new("postgres", "v0", "postgres", body));
    let key = downbeat_core::ResourceKey::new("postgres", "", "shared.d");
    let input = Input {
        set: &set,
        context: Context { org: "acme", app: "shop", env: "dev", env_type: "development" },
        definitions: &index,
        types: &Catalogue::default(),
        installation: "i",
        incarnations: &BTreeMap::new(),
        pins: &BTreeMap::from([(key.clone(), pinned)]),
    };
    let graph = graph::build(&input).unwrap();
    assert_eq!(&*graph.find(&key).unwrap().1.definition.version_id, "v0");
}
