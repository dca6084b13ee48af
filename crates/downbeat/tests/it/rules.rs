//! Rules of the graph and of built-in drivers, seen from the command line.

use serde_json::{Value as Json, json};

use crate::terminal::{Said, Terminal};

/// A workload whose variable `V` reads a resource.
fn web(resource_type: &str, read: &str, more: &str) -> String {
    format!(
        "apiVersion: score.dev/v1b1\nmetadata: {{name: web}}\ncontainers:\n  main:\n    image: \
         registry.example/web:1\n    variables: {{V: \"{read}\"}}\nresources:\n  thing: {{type: \
         {resource_type}}}\n{more}"
    )
}

/// A definition that applies to everything of its type.
fn definition(id: &str, resource_type: &str, driver: &str, more: &Json) -> String {
    let mut entity = json!({"name": id, "type": resource_type, "driver_type": driver,
        "criteria": [{"app_id": "shop"}]});
    for (name, value) in more.as_object().unwrap() {
        entity[name] = value.clone();
    }
    let file = json!({"apiVersion": "entity.humanitec.io/v1b1", "kind": "Definition",
        "metadata": {"id": id}, "entity": entity});
    format!("---\n{file}\n")
}

fn values(values: &Json) -> Json {
    json!({"driver_inputs": {"values": values}})
}

fn cluster() -> String {
    definition("cluster", "k8s-cluster", "humanitec/k8s-cluster-git", &values(&json!({"url": "x"})))
}

fn render(score: &str, definitions: &[String]) -> Said {
    let terminal = Terminal::new();
    terminal.write("web.yaml", score);
    terminal.write("defs.yaml", &format!("{}{}", cluster(), definitions.concat()));
    terminal.downbeat("render web.yaml --definitions defs.yaml --app shop")
}

#[track_caller]
fn fails(said: &Said, code: &str, parts: &[&str]) {
    assert_eq!(said.code, 1, "{}{}", said.out, said.err);
    for part in parts.iter().chain([&code]) {
        assert!(said.err.contains(part), "{part:?} is not in: {}", said.err);
    }
}

#[track_caller]
fn shows(said: &Said, part: &str) {
    assert_eq!(said.code, 0, "{}", said.err);
    assert!(said.out.contains(part), "{part:?} is not in: {}", said.out);
}

#[test]
fn what_a_type_says_is_secret_stays_so() {
    let pg = definition(
        "pg",
        "postgres",
        "humanitec/echo",
        &values(&json!({"host": "h", "port": 1, "name": "n", "username": "u-clear",
            "password": "plain-password"})),
    );
    let said =
        render(&web("postgres", "${resources.thing.password}", ""), std::slice::from_ref(&pg));
    shows(&said, "name: V");
    assert!(!said.out.contains("plain-password"), "{}", said.out);
    // Where only plain values can stand, that is said before anything is made.
    let dns = definition(
        "dns",
        "dns",
        "humanitec/echo",
        &values(&json!({"host": "${resources['postgres.default#shared.db'].outputs.password}"})),
    );
    let said = render(&web("dns", "${resources.thing.host}", ""), &[pg, dns]);
    fails(&said, "RES-006", &["driver_inputs/values"]);
}

#[test]
fn selectors_in_params_of_co_provisioned_resources() {
    let dns = definition(
        "dns",
        "dns",
        "humanitec/echo",
        &json!({"driver_inputs": {"values": {"host": "a.example"}}, "provision": {"config": {
            "params": {"users": "${resources.dns<workload.guresid}"}}}}),
    );
    let config = definition(
        "config",
        "config",
        "humanitec/template",
        &values(&json!({"templates": {"manifests": {"users.yaml": {"location": "namespace",
            "data": "{apiVersion: v1, kind: ConfigMap, metadata: {name: users-{{ len .resource.users }}}}"
        }}}})),
    );
    shows(&render(&web("dns", "${resources.thing.host}", ""), &[dns, config]), "users-1");
}

#[test]
fn a_selector_of_a_type_that_nobody_knows() {
    let dns = definition(
        "dns",
        "dns",
        "humanitec/echo",
        &values(&json!({"host": "${resources.dnz<rout.outputs.path}"})),
    );
    let said = render(&web("dns", "${resources.thing.host}", ""), &[dns]);
    fails(&said, "RES-007", &["\"dnz\"", "Did you mean \"dns\"?", "\"rout\""]);
}

#[test]
fn built_in_drivers_say_what_they_lack() {
    let nfs = definition("nfs", "volume", "humanitec/volume-nfs", &values(&json!({"path": "/x"})));
    let said = render(&web("volume", "x", ""), &[nfs]);
    fails(&said, "RES-102", &["the driver input values.server is missing"]);
    let dns = definition("dns", "dns", "humanitec/dns-wildcard", &values(&json!({})));
    let said = render(&web("dns", "${resources.thing.host}", ""), &[dns]);
    fails(&said, "RES-102", &["the driver input values.domain is missing"]);
}

#[test]
fn an_autoscaler_never_wants_more_at_least_than_at_most() {
    let hpa = definition(
        "hpa",
        "horizontal-pod-autoscaler",
        "humanitec/hpa",
        &values(&json!({"minReplicas": 2, "maxReplicas": 10})),
    );
    let score = web("horizontal-pod-autoscaler", "x", "").replace(
        "type: horizontal-pod-autoscaler}",
        "type: horizontal-pod-autoscaler, params: {minReplicas: 6, maxReplicas: 4}}",
    );
    let said = render(&score, &[hpa]);
    shows(&said, "maxReplicas: 4");
    shows(&said, "minReplicas: 4");
}

#[test]
fn an_ingress_without_tls_and_one_of_the_old_kind() {
    let route = "  path: {type: route, params: {host: '${resources.thing.host}', path: /, port: 80}}\n\
                 service: {ports: {http: {port: 80, targetPort: 80}}}\n";
    let ingress = |more: &Json| {
        let inputs = values(more);
        let provisioned = json!({"provision": {"ingress": {}}});
        let mut dns: Vec<String> = vec![definition(
            "dns",
            "dns",
            "humanitec/echo",
            &json!({
            "driver_inputs": {"values": {"host": "a.example"}},
            "provision": provisioned["provision"]}),
        )];
        dns.push(definition("ingress", "ingress", "humanitec/ingress", &inputs));
        dns
    };
    let said = render(&web("dns", "x", route), &ingress(&json!({"no_tls": "true"})));
    shows(&said, "kind: Ingress");
    assert!(!said.out.contains("tls:"), "{}", said.out);
    // Without a certificate it says how to do without one.
    let said = render(&web("dns", "x", route), &ingress(&json!({"class": "nginx"})));
    fails(&said, "RES-001", &["no_tls"]);
    // Host and rules as inputs of the resource.
    let rules = json!({"/api": {"type": "Exact", "name": "web", "port": 80}});
    let dns = definition(
        "dns",
        "dns",
        "humanitec/echo",
        &json!({"driver_inputs": {"values": {"host": "a.example"}}, "provision": {
            "ingress": {"params": {"host": "old.example", "rules": {"http": rules}}}}}),
    );
    let inputs = values(&json!({"no_tls": true}));
    let old = definition("ingress", "ingress", "humanitec/ingress", &inputs);
    let said = render(&web("dns", "x", ""), &[dns, old]);
    shows(&said, "host: old.example");
    shows(&said, "pathType: Exact");
}

#[test]
fn logging_is_made_where_it_is_configured() {
    let logging = definition(
        "logs",
        "logging",
        "humanitec/template",
        &values(&json!({"templates": {"manifests": {"agent.yaml": {"location": "namespace",
            "data": "{apiVersion: v1, kind: ConfigMap, metadata: {name: where-logs-go}}"}}}})),
    );
    shows(&render(&web("dns", "x", ""), &[dns(), logging]), "where-logs-go");
    let vendor = definition("logs", "logging", "humanitec/logging-gcp", &json!({}));
    // What does not run here is left out: nobody depends on it.
    shows(&render(&web("dns", "x", ""), &[dns(), vendor]), "kind: Deployment");
}

fn dns() -> String {
    definition("dns", "dns", "humanitec/echo", &values(&json!({"host": "a.example"})))
}

#[test]
fn secrets_of_a_definition_file_are_read_when_rendering() {
    let pg = definition(
        "thing",
        "config",
        "humanitec/template",
        &json!({"driver_inputs": {
            "values": {"templates": {"outputs": "h: 1"}},
            "secrets": {"templates": {"outputs": "pw: made-up-secret"}}}}),
    );
    let dns = definition(
        "dns",
        "dns",
        "humanitec/template",
        &json!({"driver_inputs": {"values": {"templates": {"outputs": "host: a.example",
                "secrets": "pw: {{ .driver.secrets.pw }}"}},
            "secret_refs": {"pw": {"value": "${resources['config.default#app'].outputs.pw}"}}}}),
    );
    let said = render(&web("dns", "${resources.thing.pw}", ""), &[pg, dns]);
    shows(&said, "name: V");
    assert!(!said.out.contains("made-up-secret"), "{}", said.out);
}

/// What no driver can mend is found out before any of them is asked.
#[test]
fn nothing_is_made_by_a_deployment_that_cannot_succeed() {
    let terminal = Terminal::new();
    let database = values(&json!({"host": "h", "port": 1, "name": "n"}));
    let definitions = [
        definition("own-pg", "postgres", "humanitec/echo", &database),
        definition("own-dns", "dns", "humanitec/echo", &values(&json!({"host": "a.example"}))),
        definition("own-queue", "sqs", "humanitec/sqs", &json!({})),
        definition("own-s3", "s3", "humanitec/terraform", &json!({"driver_account": "nobody"})),
    ];
    terminal.write("defs.yaml", &definitions.concat());
    terminal.ok("apply -f defs.yaml");
    let deploy = "deploy web.yaml --app shop --env development";
    let made = || {
        let path = "/orgs/local/apps/shop/envs/development/resources";
        let said = terminal.ok(&format!("api get {path}"));
        serde_json::from_str::<Json>(&said.out).unwrap().as_array().unwrap().len()
    };
    let with = |more: &str| web("postgres", "x", more);
    let secret = "  bad: {type: dns, params: {x: '${resources.thing.password}'}}\n";
    for (score, code, part) in [
        (web("postgres", "${values.NOPE}", ""), "VAL-001", "NOPE"),
        (web("postgres", "${context.res.id}", ""), "RES-009", "context"),
        (with(secret), "RES-006", "params of dns.default"),
        (with("  other: {type: sqs}\n"), "RES-104", "humanitec/terraform"),
        (with("  files: {type: s3}\n"), "RES-011", "\"nobody\""),
    ] {
        terminal.write("web.yaml", &score);
        fails(&terminal.downbeat(deploy), code, &[part]);
        assert_eq!(made(), 0, "{code}");
    }
    terminal.write("web.yaml", &web("postgres", "${resources.thing.host}", ""));
    terminal.ok(deploy);
    assert!(made() > 3);
}

#[test]
fn what_exists_already_is_described_with_static_drivers() {
    let pg = definition(
        "own-pg",
        "postgres",
        "humanitec/postgres-static",
        &json!({"driver_inputs": {
            "values": {"host": "db.example", "port": 5432, "name": "shop"},
            "secret_refs": {"username": {"store": "vault", "ref": "u"},
                "password": {"store": "vault", "ref": "p"}}}}),
    );
    shows(&render(&web("postgres", "${resources.thing.host}", ""), &[pg]), "db.example");
}

#[test]
fn a_namespace_of_the_platforms_own() {
    let namespace = definition(
        "namespace",
        "k8s-namespace",
        "humanitec/k8s-namespace",
        &values(&json!({"name": "${context.app.id}-${context.env.id}",
            "labels": {"team": "shop"}})),
    );
    let said = render(&web("dns", "x", ""), &[dns(), namespace]);
    shows(&said, "kind: Namespace");
    shows(&said, "namespace: shop-");
    shows(&said, "team: shop");
}

/// What an agent puts out opens a cluster: without a relay there is nothing to open.
#[test]
fn an_agent_is_a_name_with_or_without_a_relay() {
    let read = web("config", "${resources.thing.url}", "");
    let reader = definition(
        "reader",
        "config",
        "humanitec/template",
        &json!({"driver_inputs": {
            "values": {"templates": {"secrets":
                "url: {{ .driver.secrets.url | default \"none\" | toRawJson }}"}},
            "secret_refs": {"url": {"value": "${resources['agent.default#agent'].outputs.url}"}}}}),
    );
    let agent = |more: &Json| {
        let mut inputs = json!({"driver_inputs": {"values": {"id": "far"}}});
        for (name, value) in more.as_object().unwrap() {
            inputs["driver_inputs"][name] = value.clone();
        }
        definition("agent", "agent", "humanitec/agent", &inputs)
    };
    let secret = json!({"secrets": {"url": "https://relay-marked.example"}});
    for more in [json!({}), secret] {
        let said = render(&read, &[reader.clone(), agent(&more)]);
        shows(&said, "name: V");
        assert!(!said.out.contains("relay-marked"), "{}", said.out);
    }
    let said = render(&read, &[reader, agent(&json!({"values": {}}))]);
    fails(&said, "RES-102", &["the driver input values.id is missing"]);
}

#[test]
fn certificates_that_exist_that_are_entered_and_that_are_asked_for() {
    let route = "  path: {type: route, params: {host: '${resources.thing.host}', path: /, port: 80}}\n\
                 service: {ports: {http: {port: 80, targetPort: 80}}}\n";
    let with = |inputs: &Json| {
        let dns = definition(
            "dns",
            "dns",
            "humanitec/echo",
            &json!({"driver_inputs": {"values": {"host": "a.example"}},
                "provision": {"ingress": {}}}),
        );
        let ingress = definition("ingress", "ingress", "humanitec/ingress", &values(&json!({})));
        let certificate =
            definition("cert", "tls-cert", "humanitec/tls-cert", &json!({"driver_inputs": inputs}));
        render(&web("dns", "x", route), &[dns, ingress, certificate])
    };
    let said = with(&json!({"values": {"tls_secret_name": "theirs"}}));
    shows(&said, "secretName: theirs");
    let said = with(&json!({"values": {"issuer": "letters"}}));
    for part in ["kind: Certificate", "kind: ClusterIssuer", "- a.example", "secretName: tls-"] {
        shows(&said, part);
    }
    let said = with(&json!({"secrets": {"certificate": "cert-marked", "key": "key-marked"}}));
    shows(&said, "type: kubernetes.io/tls");
    assert!(!said.out.contains("key-marked"), "{}", said.out);
    for (inputs, part) in [
        (json!({"values": {}}), "no certificate"),
        (json!({"secrets": {"certificate": "x"}}), "belong together"),
        (
            json!({"values": {"issuer": "x"}, "secrets": {"certificate": "x", "key": "y"}}),
            "both a certificate and an issuer",
        ),
    ] {
        fails(&with(&inputs), "RES-102", &[part]);
    }
}
