//! The audit log. That every change of every session in these tests has its entry is checked by the
//! client of the testkit.

use std::{collections::BTreeSet, time::Duration};

use downbeat_server::{change::LARGEST_DOCUMENT, not_yet};
use downbeat_store::audit;
use downbeat_testkit::{Answer, Client, Contract, Server, audit::READING};
use serde_json::{Value, json};

use crate::{
    access::neighbour,
    chart, engine, public_key,
    shop::{self, DEV, SHOP},
};

const LOG: &str = "/orgs/acme/audit-logs";
/// A part of every secret here.
const SECRET: &str = "hunter2";

async fn log(client: &Client) -> Vec<Value> {
    client.get(&format!("{LOG}?per_page=100")).await.json(200).as_array().unwrap().clone()
}

/// The newest entry.
async fn newest(client: &Client) -> Value {
    client.get(&format!("{LOG}?per_page=1")).await.json(200)[0].clone()
}

/// `METHOD path status` for each entry.
fn summary(entries: &[Value]) -> Vec<String> {
    let line = |entry: &Value| {
        let text = |name: &str| entry[name].as_str().unwrap();
        format!("{} {} {}", text("request_method"), text("request_path"), entry["response_status"])
    };
    entries.iter().map(line).collect()
}

/// How many entries the chain has. It is sound.
async fn length(server: &Server) -> i64 {
    let mut conn = server.db.read().await.unwrap();
    let verified = audit::verify(&mut conn, "acme").await.unwrap();
    assert_eq!(verified.flaw, None);
    verified.entries
}

/// Goes through the operations that change something, and remembers which.
struct Walk {
    server: Server,
    admin: Client,
    walked: BTreeSet<String>,
}

impl Walk {
    /// An operation that succeeds and writes one entry.
    async fn call(&mut self, method: &str, path: &str, body: Value) -> Value {
        let before = length(&self.server).await;
        let body = (method != "DELETE").then_some(body);
        let answer = self.admin.send(method, path, body).await;
        let status = answer.status();
        let answer = answer.json(status);
        assert!((200..300).contains(&status), "{method} {path}: {status} {answer}");
        assert_eq!(length(&self.server).await, before + 1, "{method} {path}");
        let contract = Contract::of_this_build();
        self.walked.insert(contract.operation_id(method, path).unwrap().to_owned());
        answer
    }

    async fn get(&self, path: &str) -> Value {
        self.admin.get(path).await.json(200)
    }

    async fn people(&mut self) {
        let robot = json!({"name": "Robot", "role": "member"});
        let robot = self.call("POST", "/orgs/acme/users", robot).await;
        let id = robot["id"].as_str().unwrap();
        let user = format!("/orgs/acme/users/{id}");
        self.call("PATCH", &user, json!({"role": "manager"})).await;
        let tokens = format!("/users/{id}/tokens");
        self.call("POST", &tokens, json!({"id": "ci", "type": "static"})).await;
        self.call("DELETE", &format!("{tokens}/ci"), Value::Null).await;

        self.call("POST", "/orgs/acme/env-types", json!({"id": "live"})).await;
        self.call("POST", "/orgs/acme/apps", json!({"id": "kiosk", "name": "Kiosk"})).await;
        let places = [("apps/kiosk", ["viewer", "owner"]), ("env-types/live", ["deployer"; 2])];
        for (place, [one, other]) in places {
            let users = format!("/orgs/acme/{place}/users");
            self.call("POST", &users, json!({"id": id, "role": one})).await;
            self.call("PATCH", &format!("{users}/{id}"), json!({"role": other})).await;
            self.call("DELETE", &format!("{users}/{id}"), Value::Null).await;
        }
        self.call("DELETE", "/orgs/acme/apps/kiosk", Value::Null).await;
        self.call("DELETE", "/orgs/acme/env-types/live", Value::Null).await;
        self.call("DELETE", &user, Value::Null).await;
    }

    async fn platform(&mut self) {
        let types = "/orgs/acme/env-types";
        self.call("POST", types, json!({"id": "qa"})).await;
        self.call("PATCH", &format!("{types}/qa"), json!({"description": "Tests"})).await;
        self.call("DELETE", &format!("{types}/qa"), Value::Null).await;

        let types = "/orgs/acme/resources/types";
        let own = format!("{types}/acme%2Fbucket");
        let whole = json!({"type": "acme/bucket", "use": "direct"});
        self.call("POST", types, whole).await;
        self.call("PUT", &own, json!({"use": "indirect", "name": "Bucket"})).await;
        self.call("PATCH", &own, json!({"category": "storage"})).await;
        let classes = format!("{own}/classes");
        self.call("POST", &classes, json!({"id": "large", "description": "L"})).await;
        self.call("PATCH", &format!("{classes}/large"), json!({"description": "XL"})).await;
        self.call("DELETE", &format!("{classes}/large"), Value::Null).await;

        let drivers = "/orgs/acme/resources/drivers";
        let mut driver = json!({
            "id": "own", "type": "s3", "account_types": ["aws"], "inputs_schema": {},
            "target": "https://drivers.example/s3"});
        self.call("POST", drivers, driver.clone()).await;
        driver["is_public"] = json!(true);
        self.call("PUT", &format!("{drivers}/own"), driver).await;
        self.call("DELETE", &format!("{drivers}/own"), Value::Null).await;
        self.call("DELETE", &own, Value::Null).await;

        let accounts = "/orgs/acme/resources/accounts";
        let key = |key: &str| {
            let key = format!("{SECRET}-{key}");
            json!({"aws_access_key_id": key, "aws_secret_access_key": key})
        };
        let account = json!({"id": "aws", "name": "AWS", "type": "aws", "credentials": key("1")});
        self.call("POST", accounts, account).await;
        let change = json!({"credentials": key("2")});
        self.call("PATCH", &format!("{accounts}/aws"), change).await;
        let entry = newest(&self.admin).await;
        assert_ne!(entry["before"]["credentials"], entry["after"]["credentials"], "{entry}");
        self.call("DELETE", &format!("{accounts}/aws"), Value::Null).await;

        let registries = "/orgs/acme/registries";
        let registry = json!({"id": "own", "registry": "registry.example", "type": "basic",
            "creds": {"username": "u", "password": format!("{SECRET}-7")}});
        self.call("POST", registries, registry).await;
        let one = format!("{registries}/own");
        self.call("PATCH", &one, json!({"enable_ci": true})).await;
        self.call("DELETE", &one, Value::Null).await;

        let stores = "/orgs/acme/secretstores";
        let vault = json!({"url": "https://vault.example",
            "auth": {"token": format!("{SECRET}-9")}});
        let store = json!({"id": "own", "primary": false, "vault": vault});
        self.call("POST", stores, store).await;
        let one = format!("{stores}/own");
        self.call("PATCH", &one, json!({"vault": {"url": "https://other.example"}})).await;
        self.call("DELETE", &one, Value::Null).await;

        let keys = "/orgs/acme/keys";
        let key = self.call("POST", keys, json!(public_key::KEY)).await;
        let one = format!("{keys}/{}", key["id"].as_str().unwrap());
        self.call("DELETE", &one, Value::Null).await;
        let agents = "/orgs/acme/agents";
        let agent = json!({"id": "far", "public_key": public_key::KEY});
        self.call("POST", agents, agent).await;
        let agent = format!("{agents}/far");
        self.call("PATCH", &agent, json!({"description": "Far away"})).await;
        let other = json!({"public_key": public_key::OTHER});
        let key = self.call("POST", &format!("{agent}/keys"), other).await;
        let key = format!("{agent}/keys/{}", key["fingerprint"].as_str().unwrap());
        self.call("DELETE", &key, Value::Null).await;
        self.call("DELETE", &agent, Value::Null).await;
    }

    async fn definitions(&mut self) {
        let defs = "/orgs/acme/resources/defs";
        for (id, kind, driver) in [
            ("cluster", "k8s-cluster", "humanitec/echo"),
            ("any-dns", "dns", "humanitec/echo"),
            ("database", "postgres", "humanitec/terraform"),
        ] {
            let mut definition = json!({
                "id": id, "name": id, "type": kind, "driver_type": driver, "criteria": [{}]});
            if kind == "dns" {
                definition["driver_inputs"] = json!({
                    "values": {"host": "shop.example.org"},
                    "secrets": {"password": format!("{SECRET}-3")}});
            }
            self.call("POST", defs, definition).await;
        }
        let dns = format!("{defs}/any-dns");
        let inputs = json!({"secrets": {"password": format!("{SECRET}-4")}});
        let whole = json!({"name": "DNS", "driver_inputs": inputs});
        self.call("PUT", &dns, whole).await;
        self.call("PATCH", &dns, json!({"name": "Domains"})).await;
        let proposal = json!({"name": "Names", "proposed": true});
        self.call("PATCH", &dns, proposal).await;
        let entry = newest(&self.admin).await;
        assert_eq!(
            (&entry["after"]["name"], &entry["after"]["proposed"]),
            (&json!("Names"), &json!(true))
        );

        let criteria = format!("{dns}/criteria");
        self.call("PUT", &criteria, json!([{}, {"env_type": "development"}])).await;
        let new = self.call("POST", &criteria, json!({"app_id": "other"})).await;
        let one = format!("{criteria}/{}", new["id"].as_str().unwrap());
        self.call("DELETE", &one, Value::Null).await;

        let versions = self.get(&format!("{dns}/versions")).await;
        let old = versions.as_array().unwrap().last().unwrap()["id"].as_str().unwrap().to_owned();
        let old = format!("{dns}/versions/{old}/actions");
        self.call("POST", &format!("{old}/archive"), json!({})).await;
        self.call("POST", &format!("{old}/archive"), json!({"archived": false})).await;
        self.call("POST", &format!("{old}/promote"), Value::Null).await;

        let spare = json!({
            "id": "spare", "name": "s", "type": "redis", "driver_type": "humanitec/echo"});
        self.call("POST", defs, spare).await;
        self.call("DELETE", &format!("{defs}/spare"), Value::Null).await;
    }

    async fn values(&mut self) {
        for level in [SHOP, DEV] {
            let values = format!("{level}/values");
            let one = format!("{values}/KEY");
            let plain = json!({"key": "KEY", "description": "", "value": "info"});
            self.call("POST", &values, plain).await;
            let whole = json!({"description": "", "value": "debug"});
            self.call("PUT", &one, whole).await;
            self.call("PATCH", &one, json!({"description": "How much"})).await;
            let secret = json!({
                "key": "SECRET", "description": "", "is_secret": true,
                "value": format!("{SECRET}-5")});
            self.call("POST", &values, secret).await;
            let change = json!({"value": format!("{SECRET}-6")});
            self.call("PATCH", &format!("{values}/SECRET"), change).await;
            self.call("DELETE", &format!("{values}/SECRET"), Value::Null).await;

            let versions = format!("{level}/value-set-versions");
            let old = self.get(&versions).await;
            let old = old.as_array().unwrap().iter().find(|version| {
                version["values"]["KEY"]["value"] == "info"
                    && version["values"]["KEY"]["source"]
                        == if level == SHOP { "app" } else { "env" }
            });
            let old = format!("{versions}/{}", old.unwrap()["id"].as_str().unwrap());
            self.call("POST", &format!("{old}/purge/KEY"), json!({})).await;
            let now = self.get(&versions).await[0]["id"].as_str().unwrap().to_owned();
            self.call("DELETE", &one, Value::Null).await;
            self.call("POST", &format!("{versions}/{now}/restore"), json!({})).await;
            self.call("POST", &format!("{versions}/{now}/restore/KEY"), json!({})).await;
            self.call("DELETE", &values, Value::Null).await;
        }
    }

    /// Answers the id of the delta to be deployed.
    async fn deltas(&mut self) -> String {
        let deltas = format!("{SHOP}/deltas");
        let content = json!({
            "modules": {"add": {"web": {"profile": "humanitec/default-module", "spec": {
                "containers": {"main": {"id": "main", "image": "shop:1"}}},
                "externals": {"db": {"type": "postgres"}}}}},
            "shared": [{"op": "add", "path": "/site", "value": {"type": "dns"}}]});
        let delta = self.call("POST", &deltas, json!({})).await;
        let id = delta["id"].as_str().unwrap().to_owned();
        let one = format!("{deltas}/{id}");
        self.call("PUT", &one, content.clone()).await;
        self.call("PATCH", &one, json!([{"modules": {}}])).await;
        self.call("PUT", &format!("{one}/metadata/name"), json!("first")).await;
        self.call("PUT", &format!("{one}/metadata/env_id"), json!("dev")).await;
        self.call("PUT", &format!("{one}/metadata/archived"), json!(true)).await;
        self.call("PUT", &format!("{one}/metadata/archived"), json!(false)).await;
        self.call("POST", &format!("{SHOP}/sets/0"), content).await;
        id
    }

    async fn builds(&mut self) {
        let built = json!({"type": "container", "name": "reg/app", "version": "1"});
        let version = self.call("POST", "/orgs/acme/artefact-versions", built).await;
        let artefact = format!("/orgs/acme/artefacts/{}", version["artefact_id"].as_str().unwrap());
        let version = format!("{artefact}/versions/{}", version["id"].as_str().unwrap());
        self.call("PATCH", &version, json!({"archived": true})).await;
        self.call("DELETE", &artefact, Value::Null).await;
        let build = json!({"image": "reg/app:2", "commit": "c0ffee", "branch": "main", "tags": []});
        self.call("POST", "/orgs/acme/images/app/builds", build).await;

        chart::upload(&self.admin, "special", "1.0.0").await.is(201);
        self.walked.insert("createWorkloadProfileChartVersion".to_owned());
        let profiles = "/orgs/acme/workload-profiles";
        let mut profile = json!({"id": "special", "spec_definition": {},
            "workload_profile_chart": {"id": "special", "version": "latest"}});
        self.call("POST", profiles, profile.clone()).await;
        let special = format!("{profiles}/special");
        profile.as_object_mut().unwrap().remove("id");
        self.call("PUT", &special, profile).await;
        self.call("DELETE", &special, Value::Null).await;
    }

    async fn pipelines(&mut self) {
        // A JSON text is YAML as well.
        let text = |name: &str| {
            let steps = json!([{"uses": "actions/humanitec/log@v1"}]);
            json!({"id": "build", "name": name, "on": {"pipeline_call": {}},
                "jobs": {"log": {"steps": steps}}})
        };
        let pipelines = format!("{SHOP}/pipelines");
        self.call("POST", &pipelines, text("Build")).await;
        let pipeline = format!("{pipelines}/build");
        self.call("PATCH", &pipeline, text("Build it")).await;
        let criteria = format!("{pipeline}/criteria");
        let one = self.call("POST", &criteria, json!({"trigger": "deployment_request"})).await;
        let one = format!("{criteria}/{}", one["id"].as_str().unwrap());
        self.call("DELETE", &one, Value::Null).await;
        self.call("DELETE", &pipeline, Value::Null).await;
        let hooks = format!("{SHOP}/webhooks");
        let hook = json!({"id": "told", "url": "https://hook.example",
            "headers": {"Authorization": format!("{SECRET}-8")}});
        self.call("POST", &hooks, hook).await;
        let one = format!("{hooks}/told");
        self.call("PATCH", &one, json!({"disabled": true})).await;
        self.call("DELETE", &one, Value::Null).await;
        self.call("DELETE", &format!("{SHOP}/jobs"), Value::Null).await;
        let rules = format!("{DEV}/rules");
        let one = self.call("POST", &rules, json!({"type": "update"})).await;
        let one = format!("{rules}/{}", one["id"].as_str().unwrap());
        self.call("PUT", &one, json!({"type": "update", "active": false})).await;
        self.call("DELETE", &one, Value::Null).await;
    }

    async fn deployments(&mut self) {
        let delta = self.deltas().await;
        let requested =
            json!([{"id": "shared.site", "type": "dns", "class": "default", "resource": {}}]);
        self.call("POST", &format!("{DEV}/resources/graphs"), requested).await;
        self.call("PUT", &format!("{DEV}/runtime/paused"), json!(true)).await;
        self.call("PUT", &format!("{DEV}/runtime/paused"), json!(false)).await;
        let body = json!({"delta_id": delta});
        let deployment = self.call("POST", &format!("{DEV}/deploys"), body).await;
        engine::succeed(&self.server).await;
        self.call("PUT", &format!("{DEV}/from_deploy_id"), deployment["id"].clone()).await;
        let pin = format!("{DEV}/resources/dns/shared.site/actions/pin");
        self.call("POST", &pin, json!({"target_def_version_id": null})).await;
        let database = format!("{DEV}/resources/postgres/modules.web.externals.db?force=true");
        self.call("DELETE", &database, Value::Null).await;
        engine::give_up(&self.server).await;
        let removals = format!("{DEV}/resources/removals");
        let removal = self.get(&removals).await[0]["id"].as_str().unwrap().to_owned();
        self.call("DELETE", &format!("{removals}/{removal}"), Value::Null).await;
    }
}

#[tokio::test]
async fn every_operation_that_changes_something_is_in_the_log() {
    let server = Server::start().await;
    let admin = server.admin();
    let mut walk = Walk { server, admin, walked: BTreeSet::new() };
    walk.people().await;
    walk.platform().await;
    walk.definitions().await;
    let env = json!({"id": "dev", "name": "Dev", "type": "development"});
    walk.call("POST", "/orgs/acme/apps", json!({"id": "shop", "name": "Shop", "env": env})).await;
    walk.call("PATCH", SHOP, json!({"name": "The shop"})).await;
    let envs = format!("{SHOP}/envs");
    walk.call("POST", &envs, json!({"id": "qa", "name": "QA"})).await;
    walk.call("PATCH", &format!("{envs}/qa"), json!({"name": "Quality"})).await;
    walk.call("DELETE", &format!("{envs}/qa"), Value::Null).await;
    walk.builds().await;
    walk.pipelines().await;
    walk.values().await;
    walk.deployments().await;
    walk.call("DELETE", SHOP, Value::Null).await;

    let document = downbeat_server::router::document();
    let mut changing = BTreeSet::new();
    for item in document["paths"].as_object().unwrap().values() {
        for (verb, operation) in item.as_object().unwrap() {
            let id = operation["operationId"].as_str().unwrap();
            if verb != "get" && operation.get(not_yet::MARK).is_none() && !READING.contains(&id) {
                changing.insert(id.to_owned());
            }
        }
    }
    let missing: Vec<_> = changing.difference(&walk.walked).collect();
    assert!(missing.is_empty(), "add calls of these operations to the walk: {missing:?}");
    assert!(!walk.server.database_holds(SECRET), "a secret is in the database as it is");
}

#[tokio::test]
async fn an_entry_says_who_did_what_and_how_it_was_before() {
    let server = Server::start().await;
    let admin = server.admin();
    let path = "/orgs/acme/env-types/qa";
    let made = admin.post("/orgs/acme/env-types", json!({"id": "qa"})).await;
    let patched = admin.patch(path, json!({"description": "Tests"})).await;
    let deleted = admin.delete(path).await;
    let entries = log(&admin).await;
    assert_eq!(
        summary(&entries),
        [
            "DELETE /orgs/acme/env-types/qa 204",
            "PATCH /orgs/acme/env-types/qa 200",
            "POST /orgs/acme/env-types 201",
            "POST /users/admin-user/tokens 200",
            "POST /orgs 201",
        ]
    );
    let (old, new) =
        (json!({"id": "qa", "description": ""}), json!({"id": "qa", "description": "Tests"}));
    let id = |answer: &Answer| answer.header("x-request-id").unwrap().to_owned();
    for (entry, answer, before, after) in [
        (&entries[0], &deleted, Some(&new), None),
        (&entries[1], &patched, Some(&old), Some(&new)),
        (&entries[2], &made, None, Some(&old)),
    ] {
        assert_eq!(entry["user_id"], "admin-user");
        assert_eq!(entry["org_id"], "acme");
        assert_eq!(entry["request_id"], id(answer));
        assert_eq!((entry.get("before"), entry.get("after")), (before, after));
    }
    let numbers: Vec<_> = entries.iter().map(|entry| entry["number"].as_i64().unwrap()).collect();
    assert_eq!(numbers, [5, 4, 3, 2, 1]);
    // What the server set up by itself.
    assert_eq!(entries[4]["user_id"], "system");
    assert_eq!(entries[4]["after"]["name"], "Acme");
    assert_eq!(entries[4].get("request_id"), None);
    assert_eq!(entries[3]["after"]["id"], "first");
}

#[tokio::test]
async fn pages_lead_to_all_entries() {
    let server = Server::start().await;
    let admin = server.admin();
    for number in 0..7 {
        let body = json!({"id": format!("type-{number}")});
        admin.post("/orgs/acme/env-types", body).await.is(201);
    }
    let all = log(&admin).await;
    let mut seen = Vec::new();
    let mut next = Some(format!("{LOG}?per_page=2"));
    while let Some(page) = next {
        let answer = admin.get(&page).await;
        next = answer.header("link").map(|link| {
            link.strip_prefix('<').unwrap().strip_suffix(">; rel=\"next\"").unwrap().to_owned()
        });
        let entries = answer.json(200);
        let entries = entries.as_array().unwrap();
        assert!((1..=2).contains(&entries.len()));
        seen.extend(entries.clone());
        // What is written meanwhile does not move what comes.
        let body = json!({"id": format!("more-{}", seen.len())});
        admin.post("/orgs/acme/env-types", body).await.is(201);
    }
    assert_eq!(seen, all);

    for wrong in ["per_page=0", "per_page=101", "per_page=x", "page=x", "from=today", "to=x"] {
        let message = admin.get(&format!("{LOG}?{wrong}")).await.refused(400, "API-400");
        assert!(message.contains(wrong.split('=').next().unwrap()), "{message}");
    }
    let all = admin.get(&format!("{LOG}?from=&to=&per_page=&page=")).await.json(200);
    assert!(all.as_array().unwrap().len() > 7);
}

#[tokio::test]
async fn a_page_spans_at_most_32_days() {
    const DAY: Duration = Duration::from_secs(24 * 60 * 60);
    let server = Server::start().await;
    let admin = server.admin();
    for (number, days) in [(1, 20), (2, 20), (3, 100), (4, 31)] {
        server.clock.advance(DAY * days);
        let body = json!({"id": format!("type-{number}")});
        admin.post("/orgs/acme/env-types", body).await.is(201);
    }
    let ids = |page: &Value| -> Vec<String> {
        let entries = page.as_array().unwrap().iter();
        entries.map(|entry| entry["after"]["id"].as_str().unwrap().to_owned()).collect()
    };
    let mut pages = Vec::new();
    let mut next = Some(LOG.to_owned());
    while let Some(page) = next {
        let answer = admin.get(&page).await;
        next =
            answer.header("link").and_then(|link| Some(link.split(['<', '>']).nth(1)?.to_owned()));
        pages.push(ids(&answer.json(200)));
    }
    let expected: [&[&str]; 3] = [&["type-4", "type-3"], &["type-2", "type-1"], &["first", "acme"]];
    assert_eq!(pages, expected);

    // The server began on 2026-01-31 at noon.
    let between = format!("{LOG}?from=2026-02-10T00:00:00Z&to=2026-03-10T00:00:00%2B01:00");
    assert_eq!(ids(&admin.get(&between).await.json(200)), ["type-1"]);
    let until = format!("{LOG}?to=2026-07-10T00:00:00Z&per_page=1");
    let answer = admin.get(&until).await;
    let link = answer.header("link").unwrap();
    assert!(link.contains("&to=2026-07-10T00:00:00Z"), "{link}");
    let at = answer.json(200)[0]["at"].as_str().unwrap().to_owned();
    // Up to the time of an entry is without it, from its time is with it.
    assert!(!ids(&admin.get(&format!("{LOG}?to={at}")).await.json(200)).contains(&"type-3".into()));
    assert!(
        ids(&admin.get(&format!("{LOG}?from={at}")).await.json(200)).contains(&"type-3".into())
    );
}

#[tokio::test]
async fn only_administrators_read_the_log_of_their_organization() {
    let server = Server::start().await;
    for role in ["manager", "member", "orgViewer"] {
        let client = server.with_role(role).await;
        let _ = client.get(LOG).await.refused(403, "API-403");
    }
    let other = server.with_token(&neighbour(&server).await);
    let _ = other.get(LOG).await.refused(404, "API-404");
    let own = other.get("/orgs/neighbour/audit-logs").await.json(200);
    assert_eq!(own.as_array().unwrap().len(), 2);
    assert_eq!(own[1]["after"]["id"], "neighbour");
}

#[tokio::test]
async fn secrets_are_not_in_the_log_but_that_they_changed() {
    let server = Server::start().await;
    let admin = server.admin();
    admin.post("/orgs/acme/apps", json!({"id": "shop", "name": "Shop"})).await.is(201);
    let secret = json!({
        "key": "KEY", "description": "", "is_secret": true, "value": format!("{SECRET}-1")});
    admin.post(&format!("{SHOP}/values"), secret).await.is(201);
    let change = json!({"value": format!("{SECRET}-2")});
    admin.patch(&format!("{SHOP}/values/KEY"), change).await.is(200);
    let entry = newest(&admin).await;
    for (when, version) in [("before", "1"), ("after", "2")] {
        assert_eq!(entry[when]["value"], "");
        assert_eq!(entry[when]["secret_version"], version);
    }
    let user = admin.post("/orgs/acme/users", json!({"name": "R", "role": "member"})).await;
    let tokens = format!("/users/{}/tokens", user.json(200)["id"].as_str().unwrap());
    let token = admin.post(&tokens, json!({"id": "t", "type": "static"})).await.json(200);
    assert_eq!(newest(&admin).await["after"]["id"], "t");
    assert!(!server.database_holds(SECRET));
    assert!(!server.database_holds(token["token"].as_str().unwrap()));
}

#[tokio::test]
async fn a_large_object_is_left_out() {
    let server = Server::start().await;
    let admin = server.admin();
    admin.post("/orgs/acme/apps", json!({"id": "shop", "name": "Shop"})).await.is(201);
    let value = |length: usize| json!({"key": "K", "description": "", "value": "x".repeat(length)});
    let values = format!("{SHOP}/values");
    admin.post(&values, value(LARGEST_DOCUMENT)).await.is(201);
    let after = newest(&admin).await["after"].clone();
    assert_eq!(after.as_object().unwrap().len(), 2, "{after}");
    assert_eq!(after["sha256"].as_str().unwrap().len(), 64);
    assert!(after["bytes"].as_u64().unwrap() > LARGEST_DOCUMENT as u64);
    admin.put(&format!("{values}/K"), value(100_000)).await.is(200);
    let entry = newest(&admin).await;
    assert_eq!(entry["before"], after);
    assert_eq!(entry["after"]["value"].as_str().unwrap().len(), 100_000);
    assert!(length(&server).await > 3);

    // A page does not grow without end.
    for _ in 0..60 {
        admin.put(&format!("{values}/K"), value(100_000)).await.is(200);
    }
    let answer = admin.get(&format!("{LOG}?per_page=100")).await;
    assert!(answer.header("link").is_some());
    assert!((20..30).contains(&answer.json(200).as_array().unwrap().len()));
}

#[tokio::test]
async fn what_is_purged_is_not_in_the_log_any_more() {
    let server = Server::start().await;
    let admin = server.admin();
    for app in ["shop", "other"] {
        admin.post("/orgs/acme/apps", json!({"id": app, "name": app})).await.is(201);
        let value = json!({"key": "K", "description": "", "value": "oh-no"});
        admin.post(&format!("/orgs/acme/apps/{app}/values"), value).await.is(201);
    }
    let versions = format!("{SHOP}/value-set-versions");
    let old = admin.get(&versions).await.json(200)[0]["id"].as_str().unwrap().to_owned();
    let fine = json!({"description": "", "value": "fine"});
    admin.put(&format!("{SHOP}/values/K"), fine.clone()).await.is(200);
    admin.post(&format!("{versions}/{old}/restore"), json!({})).await.is(200);
    admin.put(&format!("{SHOP}/values/K"), fine).await.is(200);
    let before = log(&admin).await;
    assert_eq!(json!(before).to_string().matches("oh-no").count(), 6);

    admin.post(&format!("{versions}/{old}/purge/K"), json!({})).await.is(204);
    let after = log(&admin).await;
    let text = json!(after).to_string();
    assert_eq!(text.matches("oh-no").count(), 1, "the other application has its own: {text}");
    assert!(text.contains("fine"), "{text}");
    assert_eq!(after[0]["before"]["value"], "***");
    // The chain holds, and nothing else has changed.
    assert_eq!(length(&server).await, i64::try_from(after.len()).unwrap());
    for (before, after) in before.iter().zip(&after[1..]) {
        assert_eq!(before["hash"], after["hash"]);
    }
}

#[tokio::test]
async fn a_deletion_is_written_down_when_it_is_asked_for_and_when_it_is_tried_again() {
    let (server, admin) = shop::open().await;
    shop::define(&admin).await;
    let change = json!({"name": "dns", "driver_type": "humanitec/terraform"});
    admin.put("/orgs/acme/resources/defs/any-dns", change).await.is(200);
    let delta = shop::delta(&admin).await;
    admin.post(&format!("{DEV}/deploys"), json!({"delta_id": delta})).await.is(201);
    engine::succeed(&server).await;

    let start = length(&server).await;
    let dns = format!("{DEV}/resources/dns/shared.site?force=true");
    for _ in 0..3 {
        admin.delete(&dns).await.is(202);
        assert_eq!(length(&server).await, start + 1);
    }
    let entry = newest(&admin).await;
    assert_eq!(entry["response_status"], 202);
    assert_eq!(
        (&entry["before"]["status"], &entry["after"]["status"]),
        (&json!("active"), &json!("deleting"))
    );
    engine::give_up(&server).await;
    admin.delete(&dns).await.is(409);
    assert_eq!(newest(&admin).await["response_status"], 409);
    assert_eq!(length(&server).await, start + 2);

    for path in [DEV, SHOP] {
        if path == DEV {
            let _ = admin.delete(path).await.refused(400, "API-400");
            let qa = json!({"id": "qa", "name": "QA", "type": "development"});
            admin.post(&format!("{SHOP}/envs"), qa).await.is(201);
        }
        let start = length(&server).await;
        for _ in 0..3 {
            admin.delete(path).await.is(202);
            assert_eq!(length(&server).await, start + 1, "{path}");
        }
        let entry = newest(&admin).await;
        assert_eq!(entry["before"]["status"], "active", "{path}");
        assert_eq!(entry["after"]["status"], "deleting", "{path}");
        if path == SHOP {
            engine::give_up(&server).await;
            admin.delete(path).await.is(409);
            assert_eq!(length(&server).await, start + 2);
            assert_eq!(newest(&admin).await["response_status"], 409);
        }
    }
    engine::free(&server).await;
    admin.delete(SHOP).await.is(404);
}

#[tokio::test]
async fn without_its_entry_there_is_no_change() {
    let server = Server::start().await;
    let admin = server.admin();
    let mut tx = server.db.write().await.unwrap();
    let broken = "CREATE TRIGGER full BEFORE INSERT ON audit_entry \
                  BEGIN SELECT RAISE(ABORT, 'the log is full'); END";
    sqlx::query(broken).execute(&mut *tx).await.unwrap();
    downbeat_store::commit(tx).await.unwrap();
    let app = json!({"id": "shop", "name": "Shop"});
    let _ = admin.post("/orgs/acme/apps", app.clone()).await.refused(500, "API-500");
    assert_eq!(admin.get("/orgs/acme/apps").await.json(200), json!([]));
    let _ = admin.delete("/orgs/acme/env-types/development").await.refused(500, "API-500");
    let types = admin.get("/orgs/acme/env-types").await.json(200);
    assert_eq!(types.as_array().unwrap().len(), 1);

    let mut tx = server.db.write().await.unwrap();
    sqlx::query("DROP TRIGGER full").execute(&mut *tx).await.unwrap();
    downbeat_store::commit(tx).await.unwrap();
    admin.post("/orgs/acme/apps", app).await.is(201);
    assert_eq!(length(&server).await, 3);
}

/// The invariant of `change.rs`: whatever else writes is no request.
#[test]
fn only_a_change_writes_for_a_caller() {
    let mut folders = vec![std::path::PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("src")];
    let mut writing = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let text = std::fs::read_to_string(&path).unwrap();
            // However it is broken into lines.
            let text: String = text.split_whitespace().collect();
            let needles =
                ["db.write(", "Db::write", "commit(tx)", "store::commit", "{commit", ",commit,"];
            if needles.iter().any(|needle| text.contains(needle)) {
                writing.push(path.file_name().unwrap().to_str().unwrap().to_owned());
            }
        }
    }
    writing.sort();
    assert_eq!(writing, ["bootstrap.rs", "change.rs"]);
}
