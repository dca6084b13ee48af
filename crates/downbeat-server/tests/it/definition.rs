//! Resource definitions, their criteria and versions.

use std::collections::BTreeSet;

use downbeat_core::yaml;
use downbeat_testkit::{Client, Server, ports::STORE};
use serde_json::{Value, json};

use crate::{
    engine,
    shop::{self, DEV},
};

const DEFS: &str = "/orgs/acme/resources/defs";

async fn create(admin: &Client, definition: &Value) -> Value {
    admin.post(DEFS, definition.clone()).await.json(200)
}

fn minimal(id: &str) -> Value {
    json!({"id": id, "name": "n", "type": "dns", "driver_type": "humanitec/echo"})
}

fn with(mut base: Value, mut more: Value) -> Value {
    base.as_object_mut().unwrap().append(more.as_object_mut().unwrap());
    base
}

fn ids(list: &Value) -> Vec<&str> {
    list.as_array().unwrap().iter().map(|one| one["id"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn a_session_with_a_definition() {
    let server = Server::start().await;
    let admin = server.admin();
    let new = with(
        minimal("dns-1"),
        json!({
            "driver_account": "gcp-dev",
            "driver_inputs": {"values": {"port": 5432, "share": 1.0, "none": null, "deep": {"a": [1]}}},
            "provision": {"ingress": {"is_dependent": true}, "config.x#y": {"params": {"a": 1}}},
            "criteria": [{"env_type": "development"}],
        }),
    );
    let made = create(&admin, &new).await;
    assert_eq!(made["driver_inputs"], new["driver_inputs"]);
    assert!(
        made["driver_inputs"]["values"].to_string().contains("5432,"),
        "numbers keep their form"
    );
    assert_eq!(made["driver_account"], "gcp-dev");
    assert_eq!(
        made["provision"],
        json!({
            "ingress": {"is_dependent": true, "match_dependents": false},
            "config.x#y": {"is_dependent": false, "match_dependents": false, "params": {"a": 1}},
        })
    );
    let criteria = &made["criteria"][0];
    assert_eq!(
        *criteria,
        json!({"id": criteria["id"], "class": "default", "env_type": "development"})
    );
    assert_eq!(made["org_id"], "acme");
    assert_eq!(made["is_default"], false);
    assert_eq!(made["is_deleted"], false);
    assert_eq!(made["in_place_driver_change"], false);
    let path = format!("{DEFS}/dns-1");
    assert_eq!(admin.get(&format!("{path}?deleted=false")).await.json(200), made);
    assert_eq!(admin.get(DEFS).await.json(200), json!([made]));
    let _ = admin.post(DEFS, new).await.refused(409, "API-409");

    // PUT replaces: what is absent is cleared, the criteria stay.
    let put = json!({"name": "other", "driver_type": "humanitec/template"});
    let put = admin.put(&path, put).await.json(200);
    for absent in ["driver_account", "driver_inputs", "provision"] {
        assert!(put.get(absent).is_none(), "{absent}: {put}");
    }
    assert_eq!(put["driver_type"], "humanitec/template");
    assert_eq!(put["criteria"], made["criteria"]);
    assert_ne!(put["active_version_id"], made["active_version_id"]);
    assert_eq!(put["created_at"], made["created_at"]);

    // PATCH merges: what is absent stays.
    let patch = json!({"driver_inputs": {"values": {"a": {"b": 1, "c": 2}}}, "name": "third"});
    admin.patch(&path, patch).await.is(200);
    let patch = json!({"driver_inputs": {"values": {"a": {"b": null, "d": 3}, "e": []}}});
    let patched = admin.patch(&path, patch).await.json(200);
    assert_eq!(patched["driver_inputs"]["values"], json!({"a": {"c": 2, "d": 3}, "e": []}));
    assert_eq!(patched["name"], "third");
    assert_eq!(patched["driver_type"], "humanitec/template");

    admin.delete(&path).await.is(204);
    let _ = admin.get(&path).await.refused(404, "API-404");
    let _ = admin.delete(&path).await.refused(404, "API-404");
    assert_eq!(admin.get(DEFS).await.json(200), json!([]));
    assert_eq!(admin.get(&format!("{path}?deleted=true")).await.json(200)["is_deleted"], true);
    // The id is free again, and so are the criteria.
    let again = with(minimal("dns-1"), json!({"criteria": [{"env_type": "development"}]}));
    assert!(create(&admin, &again).await.get("driver_inputs").is_none());
}

#[tokio::test]
async fn absent_stays_absent() {
    let server = Server::start().await;
    let admin = server.admin();
    let check = async |id: &str, sent: Value, expected: Value| {
        let made = create(&admin, &with(minimal(id), sent.clone())).await;
        for field in ["driver_account", "driver_inputs", "provision"] {
            assert_eq!(made.get(field), expected.get(field), "{sent}");
        }
        assert_eq!(admin.get(&format!("{DEFS}/{id}")).await.json(200), made);
        // The same through PUT.
        let put = with(json!({"name": "n"}), sent.clone());
        let put = admin.put(&format!("{DEFS}/{id}"), put).await.json(200);
        for field in ["driver_account", "driver_inputs", "provision"] {
            assert_eq!(put.get(field), expected.get(field), "PUT {sent}");
        }
    };
    check("nothing", json!({}), json!({})).await;
    check("null", json!({"driver_inputs": null, "provision": null, "criteria": null}), json!({}))
        .await;
    let empty = json!({"driver_inputs": {}, "provision": {}});
    check("empty", empty.clone(), empty).await;
    let values = json!({"driver_inputs": {"values": {}}});
    check("values", values.clone(), values).await;
    let refs = json!({"driver_inputs": {"secret_refs": {
        "a": {"store": "s", "ref": "r"}, "b": {"c": {"store": "s", "ref": "r", "version": "2"}},
        "d": {}}}});
    check("refs", refs.clone(), refs).await;
    check(
        "null-value",
        json!({"driver_inputs": {"secret_refs": {
            "a": {"store": "s", "ref": "r", "version": null, "value": null}}}}),
        json!({"driver_inputs": {"secret_refs": {"a": {"store": "s", "ref": "r"}}}}),
    )
    .await;
    check(
        "params",
        json!({"provision": {"ingress": {"params": {}}}}),
        json!({"provision": {"ingress": {"is_dependent": false, "match_dependents": false}}}),
    )
    .await;
}

#[tokio::test]
async fn secrets_become_references() {
    let server = Server::start().await;
    let admin = server.admin();
    let reference = |path: &str, version: &str| {
        json!({
            "store": STORE, "version": version,
            "ref": format!("orgs--acme--resources--defs--pg-1--driver_secrets--{path}"),
        })
    };
    let new = json!({
        "id": "pg-1", "name": "n", "type": "postgres", "driver_type": "humanitec/echo",
        "driver_inputs": {"values": {"a": 1}, "secrets": {
            "password": "hunter2", "credentials": {"key": "k1", "port": 5}}},
    });
    let made = admin.post(DEFS, new).await.json(200);
    assert!(!made.to_string().contains("hunter2"));
    assert!(made["driver_inputs"].get("secrets").is_none());
    assert_eq!(
        made["driver_inputs"]["secret_refs"],
        json!({
            "password": reference("password", "1"),
            "credentials": {
                "key": reference("credentials--key", "1"), "port": reference("credentials--port", "1")},
        })
    );
    let key = "orgs--acme--resources--defs--pg-1--driver_secrets--password";
    assert_eq!(server.vault.versions(key).await, ["hunter2"]);
    let port = "orgs--acme--resources--defs--pg-1--driver_secrets--credentials--port";
    assert_eq!(server.vault.versions(port).await, ["5"]);

    // Every update that writes a secret raises its version by one, even with the same plaintext.
    let path = format!("{DEFS}/pg-1");
    let put = json!({"name": "n", "driver_inputs": {"secret_refs": {
        "password": {"value": "hunter2"}, "user": {"store": "other", "ref": "u"}}}});
    let put = admin.put(&path, put).await.json(200);
    assert_eq!(
        put["driver_inputs"],
        json!({"secret_refs": {
        "password": reference("password", "2"), "user": {"store": "other", "ref": "u"}}})
    );

    // A merge touches what it names: the password keeps its version, the user goes.
    let expression = "${resources['agent#agent'].outputs.url}";
    let patch = json!({"driver_inputs": {"secrets": {"agent_url": expression, "user": null}}});
    let patched = admin.patch(&path, patch).await.json(200);
    assert_eq!(
        patched["driver_inputs"],
        json!({"secret_refs": {
        "password": reference("password", "2"), "agent_url": reference("agent_url", "1")}})
    );
    let version = patched["active_version_id"].as_str().unwrap();
    let version = admin.get(&format!("{path}/versions/{version}")).await.json(200);
    assert_eq!(version["driver_inputs"], patched["driver_inputs"]);

    // A literal in the place of the expression takes it away for good.
    let patch =
        json!({"driver_inputs": {"secret_refs": {"agent_url": {"store": "s", "ref": "r"}}}});
    let patched = admin.patch(&path, patch).await.json(200);
    let url = &patched["driver_inputs"]["secret_refs"]["agent_url"];
    assert_eq!(*url, json!({"store": "s", "ref": "r"}));
}

#[tokio::test]
async fn what_only_looks_like_a_placeholder_is_sealed() {
    let server = Server::start().await;
    let admin = server.admin();
    let secrets = json!({
        "open": "plain-1${x", "word": "plain-2${HOME}", "value": "plain-3${values.x}",
        "broken": "plain-4${values[}", "escaped": "plain-5$\\{context.app.id}", "deep": {"n": "plain-6${a b}"},
    });
    let more = json!({"driver_inputs": {"values": {"shown": "not-secret"}, "secrets": secrets}});
    create(&admin, &with(minimal("dns-1"), more)).await;
    let path = format!("{DEFS}/dns-1");
    let patch = json!({"driver_inputs": {"secret_refs": {"given": {"value": "plain-7${"}}}});
    admin.patch(&path, patch).await.is(200);
    assert!(server.database_holds("not-secret"));
    assert!(!server.database_holds("plain-"));
    let key = |path: &str| format!("orgs--acme--resources--defs--dns-1--driver_secrets--{path}");
    for (path, plaintext) in [
        ("open", "plain-1${x"),
        ("word", "plain-2${HOME}"),
        ("value", "plain-3${values.x}"),
        ("broken", "plain-4${values[}"),
        // What a definition has to escape is kept as it is meant.
        ("escaped", "plain-5${context.app.id}"),
        ("deep--n", "plain-6${a b}"),
        ("given", "plain-7${"),
    ] {
        assert_eq!(server.vault.versions(&key(path)).await, [plaintext], "{path}");
    }
}

#[tokio::test]
async fn a_refused_definition_leaves_no_secret() {
    let server = Server::start().await;
    let admin = server.admin();
    create(&admin, &with(minimal("dns-1"), json!({"criteria": [{}]}))).await;
    let more = json!({"criteria": [{}], "driver_inputs": {"secrets": {"a": "x"}}});
    let _ = admin.post(DEFS, with(minimal("dns-2"), more)).await.refused(409, "API-409");
    let key = "orgs--acme--resources--defs--dns-2--driver_secrets--a";
    assert!(server.vault.versions(key).await.is_empty());
}

#[tokio::test]
async fn built_in_drivers_have_a_second_name() {
    let server = Server::start().await;
    let admin = server.admin();
    let path = format!("{DEFS}/dns-1");
    let second = json!({"driver_type": "downbeat/dns-wildcard"});
    let made = create(&admin, &with(minimal("dns-1"), second)).await;
    assert_eq!(made["driver_type"], "downbeat/dns-wildcard");
    let put = admin.put(&path, json!({"name": "n", "driver_type": "downbeat/echo"})).await;
    assert_eq!(put.json(200)["driver_type"], "downbeat/echo");
    let other = json!({"driver_type": "downbeat/hpa"});
    let _ = admin.post(DEFS, with(minimal("dns-2"), other)).await.refused(400, "API-400");
    let none = json!({"driver_type": "downbeat/none"});
    let _ = admin.post(DEFS, with(minimal("dns-2"), none)).await.refused(400, "RES-104");
    for name in ["echo", "humanitec%2Fecho", "downbeat%2Fecho"] {
        let driver = admin.get(&format!("/orgs/acme/resources/drivers/{name}")).await.json(200);
        assert_eq!(driver["id"], "echo");
    }
}

#[tokio::test]
async fn what_is_wrong_with_a_definition() {
    let (server, admin) = shop::open().await;
    let refused = async |more: Value, code: &str, part: &str| {
        let message = admin.post(DEFS, with(minimal("dns-1"), more)).await.refused(400, code);
        assert!(message.contains(part), "{message}");
    };
    refused(json!({"id": "D"}), "API-400", "id of a definition").await;
    refused(json!({"type": "dnss"}), "RES-007", "dnss").await;
    refused(json!({"type": "other/dns"}), "RES-007", "other/dns").await;
    refused(json!({"driver_type": "humanitec/ecko"}), "RES-104", "no driver").await;
    refused(json!({"driver_type": "acme/own"}), "RES-104", "no driver").await;
    refused(json!({"driver_type": "echo"}), "RES-104", "no driver").await;
    refused(json!({"driver_type": "humanitec/hpa"}), "API-400", "horizontal-pod-autoscaler").await;
    refused(json!({"driver_account": "My Account"}), "API-400", "driver account").await;
    refused(json!({"provision": {"ingress.": {}}}), "API-400", "ingress.").await;
    let both = json!({"secrets": {"a": "x"}, "secret_refs": {"b": {"value": "y"}}});
    refused(json!({"driver_inputs": both}), "API-400", "exclude each other").await;
    let reference = json!({"secret_refs": {"b": {"ref": "y"}}});
    refused(json!({"driver_inputs": reference}), "API-400", "/driver_inputs/secret_refs/b").await;
    let mut nameless = minimal("dns-1");
    nameless.as_object_mut().unwrap().remove("name");
    let _ = admin.post(DEFS, nameless).await.refused(400, "API-400");
    let answer = admin.post(DEFS, with(minimal("dns-1"), json!({"type": "dnss"}))).await.json(400);
    assert_eq!(answer["details"]["hint"], "Did you mean `dns`?");
    let placeholder = "${resources['config.default#aws'].account}";
    create(&admin, &with(minimal("dns-1"), json!({"driver_account": placeholder}))).await;

    let _ = admin.put(&format!("{DEFS}/none"), json!({"name": "n"})).await.refused(404, "API-404");
    let _ = admin.patch(&format!("{DEFS}/none"), json!({})).await.refused(404, "API-404");
    let _ = admin.get(&format!("{DEFS}/none/resources")).await.refused(404, "API-404");
    let viewer = server.with_role("member").await;
    viewer.get(&format!("{DEFS}/dns-1")).await.is(200);
    let _ = viewer.delete(&format!("{DEFS}/dns-1")).await.refused(403, "API-403");
    // Nothing of a refused request is stored.
    let twice = with(minimal("dns-2"), json!({"criteria": [{}, {"class": "default"}]}));
    let _ = admin.post(DEFS, twice).await.refused(409, "API-409");
    let _ = admin.get(&format!("{DEFS}/dns-2")).await.refused(404, "API-404");
}

#[tokio::test]
async fn a_session_with_criteria() {
    let server = Server::start().await;
    let admin = server.admin();
    for id in ["dns-1", "dns-2"] {
        create(&admin, &minimal(id)).await;
    }
    let pg =
        json!({"id": "pg-1", "name": "n", "type": "postgres", "driver_type": "humanitec/echo"});
    create(&admin, &pg).await;
    let criteria = |id: &str| format!("{DEFS}/{id}/criteria");

    let wanted = json!({"app_id": "not-there", "env_id": "dev", "res_id": "shared.x"});
    let made = admin.post(&criteria("dns-1"), wanted.clone()).await.json(200);
    assert_eq!(made, with(wanted.clone(), json!({"id": made["id"], "class": "default"})));
    let definition = admin.get(&format!("{DEFS}/dns-1")).await.json(200);
    assert_eq!(definition["criteria"], json!([made]));

    // Equal criteria of one type are refused, here and elsewhere; another type may have them.
    let explicit = with(wanted.clone(), json!({"class": "default", "env_type": ""}));
    let refused = admin.post(&criteria("dns-1"), explicit.clone()).await.refused(409, "API-409");
    assert!(refused.contains("`dns-1`"), "{refused}");
    let refused = admin.post(&criteria("dns-2"), explicit.clone()).await.refused(409, "API-409");
    assert!(refused.contains("`dns-1`"), "{refused}");
    admin.post(&criteria("pg-1"), explicit).await.is(200);
    admin.post(&criteria("dns-2"), with(wanted.clone(), json!({"class": "large"}))).await.is(200);

    // PUT replaces all; what stays keeps its id.
    let all = admin.put(&criteria("dns-1"), json!([{"env_type": "x"}, wanted])).await.json(200);
    assert_eq!(all.as_array().unwrap().len(), 2);
    assert!(ids(&all).contains(&made["id"].as_str().unwrap()));
    let _ = admin.put(&criteria("dns-2"), json!([{"env_type": "x"}])).await.refused(409, "API-409");
    let none = admin.put(&criteria("dns-1"), json!([])).await.json(200);
    assert_eq!(none, json!([]));
    admin.put(&criteria("dns-2"), json!([{"env_type": "x"}])).await.is(200);

    let list = admin.get(&format!("{DEFS}/dns-2")).await.json(200);
    let id = list["criteria"][0]["id"].as_str().unwrap();
    let path = format!("{}/{id}", criteria("dns-2"));
    admin.delete(&format!("{path}?force=false")).await.is(204);
    let _ = admin.delete(&path).await.refused(404, "API-404");
    let definition = admin.get(&format!("{DEFS}/dns-2")).await.json(200);
    assert!(definition.get("criteria").is_none_or(|list| *list == json!([])));
    let _ = admin.post(&criteria("none"), json!({})).await.refused(404, "API-404");
}

#[tokio::test]
async fn lists_definitions_that_could_match() {
    let server = Server::start().await;
    let admin = server.admin();
    let table = [
        ("any", "dns", json!([{}])),
        ("by-app", "dns", json!([{"app_id": "shop"}])),
        ("by-env", "dns", json!([{"env_id": "qa"}])),
        ("by-res", "dns", json!([{"res_id": "shared.d"}])),
        ("large", "dns", json!([{"class": "large"}])),
        ("nothing", "dns", json!([])),
        ("bucket", "s3", json!([{"env_type": "development"}])),
    ];
    for (id, kind, criteria) in table {
        create(&admin, &with(minimal(id), json!({"type": kind, "criteria": criteria}))).await;
    }
    let check = async |query: &str, expected: &[&str]| {
        let list = admin.get(&format!("{DEFS}?{query}")).await.json(200);
        assert_eq!(ids(&list), expected, "{query}");
    };
    check("", &["by-res", "by-env", "by-app", "any", "large", "nothing", "bucket"]).await;
    check("res_type=s3", &["bucket"]).await;
    check("app=shop&class=default&res_type=dns", &["by-res", "by-env", "by-app", "any"]).await;
    check("app=other&res_type=dns&class=default", &["by-res", "by-env", "any"]).await;
    check("env=dev&res=shared.e&class=default", &["by-app", "any", "bucket"]).await;
    check("env_type=staging&res_type=s3", &[]).await;
    check("class=large", &["large"]).await;
    admin.delete(&format!("{DEFS}/any")).await.is(204);
    check("res_type=dns&class=default&app=other", &["by-res", "by-env"]).await;
    check("res_type=s3&deleted=true", &["bucket"]).await;
}

#[tokio::test]
async fn versions_are_proposed_promoted_and_archived() {
    let server = Server::start().await;
    let admin = server.admin();
    let made = create(&admin, &minimal("dns-1")).await;
    let path = format!("{DEFS}/dns-1");
    let versions = format!("{path}/versions");
    let first = made["active_version_id"].as_str().unwrap();

    let put = json!({"name": "second", "proposed": true});
    let unchanged = admin.put(&path, put).await.json(200);
    assert_eq!(unchanged["name"], "n");
    assert_eq!(unchanged["active_version_id"], first);
    let list = admin.get(&versions).await.json(200);
    assert_eq!(list.as_array().unwrap().len(), 2);
    let second = &list[0];
    assert_eq!(second["name"], "second");
    assert_eq!(second["action"], "updated");
    assert_eq!(second["proposed"], true);
    assert_eq!(second["active"], false);
    assert_eq!(second["driver_account"], "");
    assert_eq!(second["driver_inputs"], json!({}));
    assert_eq!(list[1]["action"], "created");
    assert_eq!(list[1]["active"], true);

    let second = format!("{versions}/{}", second["id"].as_str().unwrap());
    let archive = format!("{second}/actions/archive");
    admin.send("POST", &archive, None).await.is(204);
    assert_eq!(admin.get(&second).await.json(200)["archived"], true);
    let promote = format!("{second}/actions/promote");
    let _ = admin.send("POST", &promote, None).await.refused(400, "API-400");
    admin.post(&archive, json!({"archived": false})).await.is(204);
    admin.send("POST", &promote, None).await.is(204);
    assert_eq!(admin.get(&path).await.json(200)["name"], "second");
    let promoted = admin.get(&second).await.json(200);
    assert_eq!(promoted["active"], true);
    assert_eq!(promoted["proposed"], false);
    let _ = admin.post(&archive, json!({})).await.refused(400, "API-400");

    admin.delete(&path).await.is(204);
    let _ = admin.get(&versions).await.refused(404, "API-404");
    let list = admin.get(&format!("{versions}?deleted=true")).await.json(200);
    assert_eq!(list[0]["action"], "deleted");
    let _ = admin.get(&format!("{versions}/none")).await.refused(404, "API-404");
}

#[tokio::test]
async fn old_versions_are_forgotten() {
    let server = Server::start().await;
    let admin = server.admin();
    let path = format!("{DEFS}/dns-1");
    create(&admin, &minimal("dns-1")).await;
    for number in 0..55 {
        admin.put(&path, json!({"name": number.to_string(), "proposed": true})).await.is(200);
    }
    let list = admin.get(&format!("{path}/versions")).await.json(200);
    let list = list.as_array().unwrap();
    // The newest fifty, and the first one, which is in use.
    assert_eq!(list.len(), 51);
    assert_eq!(list[0]["name"], "54");
    assert_eq!(list[50]["active"], true);
}

#[tokio::test]
async fn what_resources_were_made_from_is_not_deleted_by_accident() {
    let (server, admin) = shop::open().await;
    shop::define(&admin).await;
    let delta = shop::delta(&admin).await;
    admin.post(&format!("{DEV}/deploys"), json!({"delta_id": delta})).await.is(201);
    engine::succeed(&server).await;
    let path = format!("{DEFS}/any-dns");
    let resources = admin.get(&format!("{path}/resources")).await.json(200);
    assert_eq!(resources[0]["res_id"], "shared.site");
    let change = |to: &str| {
        json!([{"app_id": "shop", "env_id": "dev", "res_id": "shared.site", "from_def": "any-dns",
                "to_def": to}])
    };
    assert_eq!(admin.delete(&path).await.json(409), change(""));
    let definition = admin.get(&path).await.json(200);
    let criteria = format!("{path}/criteria/{}", definition["criteria"][0]["id"].as_str().unwrap());
    assert_eq!(admin.delete(&criteria).await.json(409), change(""));

    let other = with(minimal("dev-dns"), json!({"criteria": [{"env_id": "dev"}]}));
    create(&admin, &other).await;
    assert_eq!(admin.delete(&path).await.json(409), change("dev-dns"));
    // When another criteria of the definition takes over, nothing changes.
    let more = json!({"res_id": "shared.site"});
    admin.post(&format!("{path}/criteria"), more).await.is(200);
    admin.delete(&criteria).await.is(204);
    admin.delete(&format!("{path}?force=true")).await.is(204);
    let _ = admin.get(&path).await.refused(404, "API-404");
    let resources = admin.get(&format!("{path}/resources")).await.json(200);
    assert_eq!(resources.as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn published_definitions_round_trip() {
    let files = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/definitions");
    let server = Server::start().await;
    let admin = server.admin();
    let mut count = 0;
    for entry in std::fs::read_dir(files).unwrap() {
        let file = entry.unwrap().path();
        if file.extension().is_none_or(|extension| extension != "yaml") {
            continue;
        }
        let text = std::fs::read_to_string(&file).unwrap();
        let manifest = yaml::parse_json(&text, &yaml::Limits::default()).unwrap();
        let sent = with(manifest["entity"].clone(), json!({"id": manifest["metadata"]["id"]}));
        let made = create(&admin, &sent).await;
        for field in ["id", "name", "type", "driver_type", "driver_account"] {
            assert_eq!(made.get(field), sent.get(field), "{file:?}: {field}");
        }
        let values = made["driver_inputs"].get("values");
        assert_eq!(values, sent["driver_inputs"].get("values"), "{file:?}");
        let inputs = &sent["driver_inputs"];
        let secrets = inputs.get("secret_refs").or(inputs.get("secrets"));
        let shown = made["driver_inputs"].get("secret_refs");
        let names = |tree: Option<&Value>| -> Option<BTreeSet<String>> {
            Some(tree?.as_object()?.keys().cloned().collect())
        };
        assert_eq!(names(shown), names(secrets), "{file:?}");
        let provision = sent.get("provision").filter(|map| !map.is_null());
        assert_eq!(names(made.get("provision")), names(provision), "{file:?}");
        let path = format!("{DEFS}/{}", made["id"].as_str().unwrap());
        assert_eq!(admin.get(&path).await.json(200), made);
        admin.delete(&path).await.is(204);
        count += 1;
    }
    assert_eq!(count, 11);
}
