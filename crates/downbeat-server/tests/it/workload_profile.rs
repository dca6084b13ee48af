//! Workload profiles.

use downbeat_core::Code;
use downbeat_testkit::{Client, Server};
use serde_json::{Value, json};

use crate::{chart, shop};

const PROFILES: &str = "/orgs/acme/workload-profiles";

fn profile(id: &str) -> Value {
    json!({
        "id": id, "description": "desc1", "spec_definition": {}, "version": "1.0.0",
        "workload_profile_chart": { "id": "humanitec/default-module", "version": "latest" },
    })
}

fn update(version: Option<&str>) -> Value {
    let mut body = profile("x");
    body.as_object_mut().unwrap().remove("id");
    body["version"] = json!(version);
    body
}

fn ids(list: &Value) -> Vec<String> {
    let name = |item: &Value| {
        format!("{}/{}", item["org_id"].as_str().unwrap(), item["id"].as_str().unwrap())
    };
    list.as_array().unwrap().iter().map(name).collect()
}

#[tokio::test]
async fn create_read_update_delete() {
    let server = Server::start().await;
    let admin = server.admin();
    let id = "profile-1769860800000000000";
    let created = admin.post(PROFILES, profile(id)).await.json(201);
    for (name, value) in profile(id).as_object().unwrap() {
        assert_eq!(created[name], *value, "{name}");
    }
    assert_eq!(created["org_id"], "acme");
    assert_eq!(created["spec_schema"], json!({ "title": id, "type": "object" }));
    assert_eq!(created.get("deprecation_message"), None);
    let path = format!("{PROFILES}/{id}");
    assert_eq!(admin.get(&path).await.json(200), created);
    assert_eq!(admin.get(&format!("{PROFILES}/acme%2F{id}")).await.json(200), created);
    assert_eq!(ids(&admin.get(PROFILES).await.json(200))[0], format!("acme/{id}"));

    let mut body = update(Some("1.0.1"));
    body["description"] = json!("desc2");
    let updated = admin.put(&path, body).await.json(200);
    assert_eq!(updated["description"], "desc2");
    assert_eq!(updated["version"], "1.0.1");
    assert_eq!(updated["created_at"], created["created_at"]);
    assert_ne!(updated["updated_at"], created["updated_at"]);
    assert_eq!(admin.get(&path).await.json(200), updated);

    admin.delete(&path).await.is(204);
    let _ = admin.get(&path).await.refused(404, "API-404");
    let _ = admin.put(&path, update(None)).await.refused(404, "API-404");
    let _ = admin.delete(&path).await.refused(404, "API-404");
    let _ = admin.get(&format!("{path}/versions")).await.refused(404, "API-404");
    let _ = admin.get(&format!("{path}/versions/latest")).await.refused(404, "API-404");
    // What was deleted left nothing behind, also no version.
    admin.post(PROFILES, profile(id)).await.is(201);
    let versions = admin.get(&format!("{path}/versions")).await.json(200);
    assert_eq!(versions.as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn what_was_sent_comes_back() {
    let server = Server::start().await;
    let admin = server.admin();
    let definition = json!({
        "properties": {
            "annotations": {
                "type": "feature", "feature_name": "humanitec/annotations", "version": "0.1",
                "ui_hints": { "order": 6, "hidden": true },
            },
            "containers": {
                "type": "collection", "feature_name": "humanitec/containers",
                "title": "Containers", "ui_hints": { "order": -1 }, "version": "0.1",
                "properties": {
                    "image": { "type": "feature", "feature_name": "humanitec/image" },
                    "size": { "type": "schema", "schema": { "enum": ["s", "l"] } },
                },
                "runtime_properties": [{ "type": "feature", "feature_name": "humanitec/logs" }],
            },
        },
        "runtime_properties": [{ "type": "feature", "feature_name": "humanitec/replicas" }],
    });
    let mut body = profile("special");
    body["spec_definition"] = definition.clone();
    body["deprecation_message"] = json!("Use another one.");
    let created = admin.post(PROFILES, body).await.json(201);
    assert_eq!(created["spec_definition"], definition);
    assert_eq!(created["deprecation_message"], "Use another one.");
    let containers = &created["spec_schema"]["properties"]["containers"]["additionalProperties"];
    assert_eq!(
        containers["properties"],
        json!({ "image": { "type": "string" }, "size": { "enum": ["s", "l"] } })
    );
    // Deprecated ones are shown when they are asked for.
    let own = |list: Value| ids(&list).iter().filter(|id| id.starts_with("acme/")).count();
    assert_eq!(own(admin.get(PROFILES).await.json(200)), 0);
    assert_eq!(own(admin.get(&format!("{PROFILES}?deprecated=true")).await.json(200)), 1);
    // Replacing leaves nothing of the profile before.
    let path = format!("{PROFILES}/special");
    let mut body = update(None);
    body.as_object_mut().unwrap().remove("description");
    let updated = admin.put(&path, body).await.json(200);
    assert_eq!(updated["description"], "");
    assert_eq!(updated["spec_definition"], json!({}));
    assert_eq!(updated.get("deprecation_message"), None);
    let mut body = update(Some(""));
    body["deprecation_message"] = json!("");
    let updated = admin.put(&path, body).await.json(200);
    assert_eq!(updated["deprecation_message"], "");
    assert_ne!(updated["version"], "");
    assert_eq!(own(admin.get(PROFILES).await.json(200)), 1);
}

#[tokio::test]
async fn each_update_is_a_version() {
    let server = Server::start().await;
    let admin = server.admin();
    admin.post(PROFILES, profile("web")).await.is(201);
    let path = format!("{PROFILES}/web");
    admin.put(&path, update(Some("beta"))).await.is(200);
    let random = admin.put(&path, update(None)).await.json(200)["version"].clone();
    let again = admin.put(&path, update(None)).await.json(200)["version"].clone();
    assert_ne!(random, again);
    for taken in ["1.0.0", "beta"] {
        let message = admin.put(&path, update(Some(taken))).await.refused(409, "API-409");
        assert!(message.contains(taken), "{message}");
    }
    let versions = admin.get(&format!("{path}/versions")).await.json(200);
    let names: Vec<_> = versions.as_array().unwrap().iter().map(|one| &one["version"]).collect();
    assert_eq!(names, [&again, &random, &json!("beta"), &json!("1.0.0")]);
    assert_eq!(versions[0]["workload_profile_id"], "web");
    let latest = admin.get(&format!("{PROFILES}/acme%2Fweb/versions/latest")).await.json(200);
    assert_eq!(latest, versions[0]);
    let page = admin.get(&format!("{path}/versions?per_page=3")).await;
    let link = format!("<{path}/versions?per_page=3&page=3>; rel=\"next\"");
    assert_eq!(page.header("link"), Some(link.as_str()));
    assert_eq!(page.json(200).as_array().unwrap().len(), 3);
    let message = admin.post(PROFILES, profile("web")).await.refused(409, "API-409");
    assert_eq!(message, "The workload profile `web` exists already.");
}

#[tokio::test]
async fn built_in_profiles_are_read_only() {
    let server = Server::start().await;
    let admin = server.admin();
    let built_in = [
        "downbeat/stateful",
        "humanitec/default-cronjob",
        "humanitec/default-job",
        "humanitec/default-module",
    ];
    assert_eq!(ids(&admin.get(PROFILES).await.json(200)), built_in);
    for name in built_in {
        let path = format!("{PROFILES}/{}", name.replace('/', "%2F"));
        let profile = admin.get(&path).await.json(200);
        assert_eq!(ids(&json!([profile])), [name]);
        assert_eq!(profile["workload_profile_chart"], json!({ "id": name, "version": "latest" }));
        assert!(profile["spec_schema"]["properties"]["containers"].is_object());
        let latest = admin.get(&format!("{path}/versions/latest")).await.json(200);
        assert_eq!(admin.get(&format!("{path}/versions")).await.json(200), json!([latest]));
        let _ = admin.put(&path, update(None)).await.refused(403, "API-403");
        let _ = admin.delete(&path).await.refused(403, "API-403");
    }
    let _ = admin.get(&format!("{PROFILES}/default-module")).await.refused(404, "API-404");
    let _ = admin.get(&format!("{PROFILES}/other%2Fx")).await.refused(404, "API-404");
    let features = admin.get("/orgs/acme/workload-profile-features").await.json(200);
    assert!(ids(&features).contains(&"humanitec/containers".to_owned()));
    let member = server.with_role("member").await;
    member.get(PROFILES).await.is(200);
    let _ = member.post(PROFILES, profile("web")).await.refused(403, "API-403");
}

#[tokio::test]
async fn mistakes_are_told_with_their_place() {
    let server = Server::start().await;
    let admin = server.admin();
    let check = async |name: &str, value: Value, says: &str| {
        let mut body = profile("web");
        body[name] = value;
        let message = admin.post(PROFILES, body).await.refused(400, "API-400");
        assert!(message.contains(says), "{says}: {message}");
    };
    check("id", json!("X"), "not valid as id").await;
    check("id", json!("acme/web"), "not valid as id").await;
    check("version", json!("x".repeat(101)), "not valid as `version`").await;
    check("description", json!("x".repeat(10_001)), "`/description` is too long").await;
    let feature = json!({ "properties": { "x": { "type": "feature", "feature_name": "x" } } });
    check("spec_definition", feature, "`/spec_definition/properties/x/feature_name`").await;
    check("spec_definition", json!({ "properties": [] }), "it is not an object").await;
    let large = json!({ "properties": { "x": { "type": "schema", "schema": {
        "description": "x".repeat(300_000) } } } });
    check("spec_definition", large, "too much").await;
    for (id, version) in [
        ("humanitec/default-module", "9"),
        ("humanitec/other", "latest"),
        ("other", "latest"),
        ("other/x", "1.0.0"),
        ("", ""),
    ] {
        let chart = json!({ "id": id, "version": version });
        check("workload_profile_chart", chart, "version").await;
    }
    check("workload_profile_chart", json!({ "id": "x" }), "missing field `version`").await;
    let mut body = profile("web");
    body["spec_definition"] = json!({ "properties": { "x": { "type": "feature" }, "y": 1 } });
    let answer = admin.post(PROFILES, body).await.json(400);
    assert_eq!(answer["details"]["errors"].as_array().unwrap().len(), 2);
    let built_in = admin.get(PROFILES).await.json(200);
    assert_eq!(built_in.as_array().unwrap().len(), 4);
}

#[tokio::test]
async fn a_profile_names_a_chart_that_is_there() {
    let server = Server::start().await;
    let admin = server.admin();
    let mut body = profile("special");
    body["workload_profile_chart"] = json!({ "id": "special", "version": "latest" });
    let _ = admin.post(PROFILES, body.clone()).await.refused(400, "API-400");
    chart::upload(&admin, "special", "1.0.0").await.is(201);
    let created = admin.post(PROFILES, body.clone()).await.json(201);
    // An alias stays an alias.
    assert_eq!(created["workload_profile_chart"]["version"], "latest");
    for (id, version, status) in
        [("acme/special", "1.0.0", 200), ("special", "1.0.1", 400), ("special", "1.0.0", 200)]
    {
        let mut body = update(None);
        body["workload_profile_chart"] = json!({ "id": id, "version": version });
        let answer = admin.put(&format!("{PROFILES}/special"), body).await.json(status);
        if status == 200 {
            let expected = json!({ "id": id, "version": version });
            assert_eq!(answer["workload_profile_chart"], expected);
        }
    }
}

/// Deploys a workload of this profile, and answers what is wrong with it.
async fn errors(server: &Server, admin: &Client, profile: &str, spec: Value) -> Value {
    let module = json!({ "profile": profile, "spec": spec });
    let delta = json!({ "modules": { "add": { "web": module } } });
    let delta = admin.post("/orgs/acme/apps/shop/deltas", delta).await.json(200);
    let deploys = format!("{}/deploys", shop::DEV);
    let body = json!({ "delta_id": delta["id"] });
    let deployment = admin.post(&deploys, body).await.json(201);
    crate::engine::really(server).await;
    let id = deployment["id"].as_str().unwrap();
    admin.get(&format!("{deploys}/{id}/errors")).await.json(200)
}

#[tokio::test]
async fn a_deployment_reads_the_profiles_of_the_organization() {
    let (server, admin) = shop::open().await;
    shop::define(&admin).await;
    chart::upload(&admin, "odd", "1.0.0").await.is(201);
    let mut odd = profile("odd");
    odd["workload_profile_chart"] = json!({ "id": "odd", "version": "latest" });
    admin.post(PROFILES, odd).await.is(201);
    let mut web = profile("web");
    web["spec_definition"] = json!({ "properties": {
        "labels": { "type": "feature", "feature_name": "humanitec/labels" },
        "containers": { "type": "collection", "properties": {
            "image": { "type": "schema", "schema": { "type": "string", "pattern": "^shop:" } } } },
    } });
    admin.post(PROFILES, web).await.is(201);
    let spec = |image: &str| json!({ "containers": { "main": { "id": "main", "image": image } }, "labels": {} });
    let check = async |profile: &str, spec: Value, code: Code, says: &str| {
        let errors = errors(&server, &admin, profile, spec).await;
        let [error] = errors.as_array().unwrap().as_slice() else { panic!("{errors}") };
        assert_eq!(error["code"], code.as_str(), "{errors}");
        assert_eq!(error["scope"], "workload");
        assert_eq!(error["object_id"], "web");
        assert!(error["message"].as_str().unwrap().contains(says), "{errors}");
    };
    check("acme/wep", spec("shop:1"), Code::UnknownProfile, "lists the profiles").await;
    check("web", spec("shop:1"), Code::UnknownProfile, "\"web\"").await;
    check("neighbour/web", spec("shop:1"), Code::UnknownProfile, "neighbour/web").await;
    check("acme/odd", spec("shop:1"), Code::ProfileChart, "whose chart \"odd\"").await;
    check("acme/web", spec("other:1"), Code::Workload, "/containers/main/image").await;
    // What stands on a built-in chart is rendered; there is no target in this test.
    let found = errors(&server, &admin, "acme/web", spec("shop:${values.TAG}")).await;
    assert_eq!(found[0]["code"], Code::Target.as_str(), "{found}");
    let found = errors(&server, &admin, "acme/web", spec("shop:1")).await;
    assert_eq!(found[0]["code"], Code::Target.as_str(), "{found}");
    // The newest version counts.
    admin.put(&format!("{PROFILES}/web"), update(None)).await.is(200);
    let found = errors(&server, &admin, "acme/web", spec("other:1")).await;
    assert_eq!(found[0]["code"], Code::Target.as_str(), "{found}");
}
