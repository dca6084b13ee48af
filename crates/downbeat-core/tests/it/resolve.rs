//! Resolving placeholders: the test table of spec 05 section 7, and the rules about secrets.

use std::collections::BTreeMap;

use downbeat_core::{
    Code, DeploymentSet, Json, SecretRef,
    graph::{NodeIndex, ResourceGraph},
    profile::Profiles,
    resolve::{
        Facts, InDefinition, InSet, InWorkload, Outputs, Resolved, Secrets, SharedValue, Values,
        map, secret_refs, string,
    },
};
use serde_json::json;

use crate::graph;

fn facts<'a>(set: &'a DeploymentSet, values: &'a Values, graph: &'a ResourceGraph) -> Facts<'a> {
    Facts {
        org: "acme",
        app: "shop",
        env: "dev",
        env_type: "development",
        deployment: "d1",
        set_id: "s1",
        set,
        values,
        graph,
        profiles: &NO_PROFILES,
    }
}

static NO_PROFILES: Profiles = Profiles::new();

fn with_definition(check: impl Fn(&InDefinition<'_>)) {
    let index = graph::index(&[
        (
            "pg",
            "postgres",
            json!({}),
            json!({"driver_inputs": {"values": {
            "a": "${resources['config.default#x'].outputs.list}", "b": "${resources.dns<route.outputs.p}"}}}),
        ),
        ("config", "config", json!({}), json!({"driver_account": "aws"})),
    ]);
    let set = DeploymentSet::from_json(json!({"shared": {"d": {"type": "postgres"}}})).unwrap();
    let graph = graph::build(set.to_json(), &index).unwrap();
    let mut outputs: Vec<Option<Outputs>> = vec![None; graph.nodes.len()];
    let at = |kind: &str| graph.nodes.iter().position(|n| *n.key.resource_type == *kind).unwrap();
    let secret = SecretRef { store: "s".into(), key: "k".into(), version: None };
    outputs[at("config")] = Some(
        serde_json::from_value(json!({
        "values": {"list": ["a"], "o": {"name": "c1"}, "n": 5432, "t": true, "z": null},
        "secrets": {"/password": [{"secret": {"store": secret.store, "ref": secret.key}}],
                    "/creds/user": [{"secret": {"store": "s", "ref": "u"}}]}}))
        .unwrap(),
    );
    let values = Values::new();
    let facts = facts(&set, &values, &graph);
    check(&InDefinition { facts: &facts, node: &graph.nodes[at("postgres")], outputs: &outputs });
}

#[test]
fn the_table_of_the_specification() {
    with_definition(|lookup| {
        let check = |text: &str, expected: Json| match string(text, lookup) {
            Ok(Resolved::Plain(value)) => assert_eq!(value, expected, "{text}"),
            other => panic!("{text}: {other:?}"),
        };
        check("a-${context.app.id}", json!("a-shop"));
        check("$\\{context.app.id}", json!("${context.app.id}"));
        check("${context.app.id}${context.env.id}", json!("shopdev"));
        check("$${context.app.id}", json!("$shop"));
        check("${resources['config.default#x'].outputs.list}", json!(["a"]));
        check("n=${resources['config.default#x'].outputs.list}", json!("n=[\"a\"]"));
        check("${resources['config.default#x'].outputs.list.0}", json!("a"));
        check("x=${resources['config.default#x'].outputs.o}", json!("x={\"name\":\"c1\"}"));
        check("${resources['config.default#x'].outputs.n}", json!(5432));
        check("p${resources['config.default#x'].outputs.n}", json!("p5432"));
        check("${resources['config.default#x'].account}", json!("aws"));
        check("${resources.dns<route.outputs.p}", json!([]));
        check(
            "${context.res.id}/${context.res.type}/${context.res.class}",
            json!("shared.d/postgres/default"),
        );
        check("", json!(""));
    });
}

#[test]
fn errors_say_what_there_is() {
    with_definition(|lookup| {
        let check = |text: &str, expected: &str| {
            assert_eq!(string(text, lookup).unwrap_err().to_string(), expected);
        };
        check(
            "${resources['config.default#x'].outputs.lst}",
            "${resources['config.default#x'].outputs.lst}: resource config.default#x has no output \
             \"lst\". Did you mean \"list\"?",
        );
        check(
            "a${resources['config.default#x'].outputs.z}",
            "${resources['config.default#x'].outputs.z} is null and cannot be part of a text",
        );
        check(
            "${context.app.name}",
            "${context.app.name} is not part of the context. The context \
             has: org.id, app.id, env.id, env.type, deployment.id, set.id, res.id, res.type, \
             res.class, res.guresid",
        );
        check(
            "${resources['config.default#x']}",
            "${resources['config.default#x']} does not say what \
             to read of config.default#x. Use .outputs.<name>, .values, .account or .guresid",
        );
    });
}

#[test]
fn secrets_stay_references_and_never_stand_among_plain_inputs() {
    with_definition(|lookup| {
        let text = "u:${resources['config.default#x'].outputs.password}@h";
        let Resolved::Secret(expr) = string(text, lookup).unwrap() else { panic!("not secret") };
        assert_eq!(
            serde_json::to_value(&expr).unwrap(),
            json!([{"text": "u:"}, {"secret": {"store": "s", "ref": "k"}}, {"text": "@h"}])
        );
        let inputs = json!({"a": {"b": [text]}});
        let errors = map(inputs.as_object().unwrap(), lookup, Secrets::Refused).unwrap_err();
        assert_eq!((errors.len(), errors[0].at.as_str()), (1, "/a/b/0"));
        let refs = json!({
            "creds": {"value": "${resources['config.default#x'].outputs.creds}"},
            "given": {"store": "vault", "ref": "path", "version": "2"},
            "plain": {"value": "text"}, "nested": {"p": {"value": text}}});
        let found = secret_refs(refs.as_object().unwrap(), lookup).unwrap();
        assert_eq!(
            found.value,
            json!({"creds": {"user": null}, "given": null, "plain": "text", "nested": {"p": null}})
        );
        let places: Vec<&str> = found.secrets.keys().map(String::as_str).collect();
        assert_eq!(places, ["/creds/user", "/given", "/nested/p"]);
    });
}

#[test]
fn values_and_services_of_the_set() {
    let set = DeploymentSet::from_json(json!({"modules": {
        "web": {"spec": {"service": {"ports": {"http": {"service_port": 80}}}}}, "job": {"spec": {}}}}))
    .unwrap();
    let graph = graph::build(set.to_json(), &graph::index(&[])).unwrap();
    let mut values = Values::new();
    values.insert("a.b".into(), SharedValue::Plain("{\"x\":1}".into()));
    let secret = SecretRef { store: "s".into(), key: "k".into(), version: None };
    values.insert("KEY".into(), SharedValue::Secret(secret));
    let facts = facts(&set, &values, &graph);
    let outputs: Vec<Option<Outputs>> = vec![None; graph.nodes.len()];
    let positions: BTreeMap<_, NodeIndex> = BTreeMap::new();
    let lookup = InSet { facts: &facts, module: None, outputs: &outputs, positions: &positions };
    let check = |text: &str, expected: &str| {
        let found = match string(text, &lookup) {
            Ok(Resolved::Plain(value)) => value.to_string(),
            Ok(_) => "secret".to_owned(),
            Err(error) => error.to_string(),
        };
        assert_eq!(found, expected);
    };
    check("${values.a.b}", "\"{\\\"x\\\":1}\"");
    check("${values['a.b']}", "\"{\\\"x\\\":1}\"");
    check("https://${values.KEY}@x", "secret");
    check(
        "${values.KEYS}",
        "there is no shared value \"KEYS\" in application \"shop\", environment \
        \"dev\". Did you mean \"KEY\"?",
    );
    check("${modules.web.service.name}:${modules.web.service.port}", "\"web:80\"");
    check("${modules.job.name}", "\"job\"");
    check(
        "${modules.job.service.port}",
        "${modules.job.service.port}: workload \"job\" has no such \
        property. Of a service, `name` and `port` can be used",
    );
}

#[test]
fn names_of_members_are_resolved_in_a_workload() {
    let set = DeploymentSet::default();
    let graph = graph::build(set.to_json(), &graph::index(&[])).unwrap();
    let mut values = Values::new();
    values.insert("team".into(), SharedValue::Plain("blue".into()));
    let secret = SecretRef { store: "s".into(), key: "k".into(), version: None };
    values.insert("KEY".into(), SharedValue::Secret(secret));
    let facts = facts(&set, &values, &graph);
    let outputs: Vec<Option<Outputs>> = vec![None; graph.nodes.len()];
    let positions: BTreeMap<_, NodeIndex> = BTreeMap::new();
    let in_set = InSet { facts: &facts, module: None, outputs: &outputs, positions: &positions };
    let lookup = InWorkload(in_set);
    let resolve = |value: Json| {
        let Json::Object(members) = value else { panic!("an object") };
        map(&members, &lookup, Secrets::Allowed).map(|document| (document.value, document.secrets))
    };

    let labels = json!({"labels": {"example.org/${values.team}": "${context.env.id}",
        "$\\{literal}": "a", "plain": "b"}});
    let (value, _) = resolve(labels).unwrap();
    assert_eq!(
        value,
        json!({"labels": {"example.org/blue": "dev", "${literal}": "a", "plain": "b"}})
    );
    // Where a secret goes is told with the name that the member has in the end.
    let (_, secrets) = resolve(json!({"${values.team}": {"x": "${values.KEY}"}})).unwrap();
    assert_eq!(secrets.keys().collect::<Vec<_>>(), ["/blue/x"]);

    for (value, code, at) in [
        (json!({"labels": {"${values.KEY}": 1}}), Code::SecretMisuse, "/labels/${values.KEY}"),
        (json!({"${values.none}": 1}), Code::MissingValue, "/${values.none}"),
        (json!({"blue": 1, "${values.team}": 2}), Code::Duplicate, "/blue"),
    ] {
        let errors = resolve(value).unwrap_err();
        assert_eq!(errors.len(), 1, "{errors:?}");
        assert_eq!((errors[0].code, errors[0].at.as_str()), (code, at));
    }
    // Params and definitions keep their names.
    let params = json!({"${values.team}": 1});
    let kept = map(params.as_object().unwrap(), &lookup.0, Secrets::Allowed).unwrap();
    assert_eq!(kept.value, params);
}
