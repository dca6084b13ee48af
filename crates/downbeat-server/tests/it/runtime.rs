//! What runs.

use downbeat_testkit::Server;
use serde_json::{Value, json};

use crate::{
    engine,
    shop::{self, DEV, SHOP},
};

const V2: &str = "application/v2+json";

#[tokio::test]
async fn nothing_can_be_seen_of_what_went_to_git() {
    let (server, admin) = shop::open().await;
    let path = format!("{DEV}/runtime");
    let nothing = json!({ "namespace": "", "modules": {} });
    assert_eq!(admin.get(&path).await.json(200), nothing);
    shop::define(&admin).await;
    let delta = shop::delta(&admin).await;
    admin.post(&format!("{DEV}/deploys"), json!({ "delta_id": delta })).await.is(201);
    engine::really(&server).await;
    let known = json!({ "namespace": "shop-dev", "modules": {} });
    let answer = admin.get(&path).await;
    assert_eq!(answer.header("content-type"), Some("application/json"));
    assert_eq!(answer.json(200), known);
    let answer = admin.accepting(V2).get(&path).await;
    assert_eq!(answer.header("content-type"), Some(V2));
    assert_eq!(answer.json(200), known);
    let _ = admin.get(&format!("{SHOP}/envs/other/runtime")).await.refused(404, "API-404");
    let _ = admin.get("/orgs/acme/apps/x/envs/dev/runtime").await.refused(404, "API-404");
}

#[tokio::test]
async fn several_environments_in_short() {
    let (_server, admin) = shop::open().await;
    admin.put(&format!("{DEV}/runtime/paused"), json!(true)).await.is(204);
    let path = format!("{SHOP}/runtime");
    let list = admin.get(&format!("{path}?id=dev&id=other&id=")).await.json(200);
    let expected = json!([
        { "id": "dev", "paused": true, "status": "Unknown" },
        { "id": "other", "paused": false, "error": "Environment acme/shop/other does not exist" },
    ]);
    assert_eq!(list, expected);
    let many = "id=a&".repeat(6);
    for wrong in ["", "?id=", &format!("?{many}")] {
        let message = admin.get(&format!("{path}{wrong}")).await.refused(400, "API-400");
        assert!(message.contains("1 to 5 environments"), "{message}");
    }
    let _ = admin.get("/orgs/acme/apps/x/runtime?id=dev").await.refused(404, "API-404");
}

#[tokio::test]
async fn only_a_cluster_scales_and_has_logs() {
    let (server, admin) = shop::open().await;
    let logs = format!("{DEV}/logs");
    let replicas = format!("{DEV}/runtime/replicas");
    assert_eq!(admin.get(&logs).await.json(200), json!([]));
    shop::define(&admin).await;
    let delta = shop::delta(&admin).await;
    admin.post(&format!("{DEV}/deploys"), json!({ "delta_id": delta })).await.is(201);
    engine::succeed(&server).await;

    let query = "workload_id=web&asc=true&limit=10&timestamp_from=2021-10-02T15:01:23.045Z";
    for path in [&logs, &format!("{logs}?{query}")] {
        let message = admin.get(path).await.refused(400, "DEP-010");
        assert!(message.contains("no connection"), "{message}");
    }
    let answer = admin.patch(&replicas, json!({ "web": 3 })).await.json(400);
    assert_eq!(answer["error"], "DEP-010");
    assert!(answer["details"]["hint"].as_str().unwrap().contains("`replicas`"));
    let message = admin.patch(&replicas, json!({ "wep": 3 })).await.refused(400, "API-400");
    assert!(message.contains("`wep` is not deployed"), "{message}");
    let message = admin.patch(&replicas, json!({ "web": -1 })).await.refused(400, "API-400");
    assert!(message.contains("-1 is not a number of replicas"), "{message}");
    let _ = admin.patch(&replicas, json!({ "web": "3" })).await.refused(400, "API-400");
    let _ = admin.patch(&replicas, json!([])).await.refused(422, "API-422");
    admin.put(&format!("{DEV}/runtime/paused"), json!(true)).await.is(204);
    let message = admin.patch(&replicas, json!({ "web": 3 })).await.refused(400, "API-400");
    assert_eq!(message, "The environment `dev` is paused.");
    for (verb, path) in [("GET", "logs"), ("PATCH", "runtime/replicas")] {
        let path = format!("{SHOP}/envs/other/{path}");
        let body = (verb == "PATCH").then(|| json!({}));
        let _ = admin.send(verb, &path, body).await.refused(404, "API-404");
    }
    let viewer = server.with_role("orgViewer").await;
    let _ = viewer.patch(&replicas, json!({ "web": 3 })).await.refused(403, "API-403");
}

#[tokio::test]
async fn the_way_to_a_cluster_is_checked_without_making_anything() {
    let server = Server::start().await;
    let admin = server.admin();
    let path = "/orgs/acme/runtime/actions/check-connectivity";
    let asked = json!({ "app_id": "not-there", "env_id": "yet", "env_type": "production" });
    let conditions = |answer: &Value| -> Vec<String> {
        let conditions = answer["conditions"].as_array().unwrap().iter();
        let text = |one: &Value, name: &str| one[name].as_str().unwrap().to_owned();
        conditions.map(|one| format!("{} {}", text(one, "type"), text(one, "status"))).collect()
    };
    let nothing = admin.post(path, asked.clone()).await.json(200);
    assert_eq!(conditions(&nothing), ["GraphCanProvision False", "ClusterCanConnect Unknown"]);
    assert!(nothing["conditions"][0]["message"].as_str().unwrap().contains("RES-001"));
    assert_eq!(nothing["resource_summaries"], json!([]));
    assert_eq!(nothing["success"], false);

    let config = json!({
        "id": "the-config", "name": "c", "type": "config", "driver_type": "humanitec/echo",
        "driver_inputs": { "values": { "name": "x" } }, "criteria": [{}],
    });
    admin.post("/orgs/acme/resources/defs", config).await.is(200);
    let mut cluster = json!({
        "id": "the-cluster", "name": "c", "type": "k8s-cluster", "driver_type": "humanitec/echo",
        "driver_inputs": { "values": {
            "cluster_type": "git", "name": "${resources['config.default#x'].outputs.name}" } },
        "criteria": [{ "env_type": "production" }],
    });
    admin.post("/orgs/acme/resources/defs", cluster.clone()).await.is(200);
    let mut expecting = asked.clone();
    expecting["expected_definitions"] = json!([{ "type": "k8s-cluster", "id": "the-cluster" }]);
    let found = admin.post(path, expecting.clone()).await.json(200);
    let right =
        ["GraphCanProvision True", "ExpectedDefinitionsMatch True", "ClusterCanConnect Unknown"];
    assert_eq!(conditions(&found), right);
    assert_eq!(found["success"], false);
    let [one, two] = found["resource_summaries"].as_array().unwrap().as_slice() else {
        panic!("{found}")
    };
    assert_eq!((&one["def_id"], &two["def_id"]), (&json!("the-config"), &json!("the-cluster")));
    assert_eq!(two["depends_on"], json!([one["gu_res_id"]]));
    assert_eq!(two["res_id"], "k8s-cluster");
    expecting["expected_definitions"][0]["id"] = json!("other");
    let found = admin.post(path, expecting).await.json(200);
    assert_eq!(conditions(&found)[1], "ExpectedDefinitionsMatch False");

    cluster.as_object_mut().unwrap().remove("id");
    cluster.as_object_mut().unwrap().remove("type");
    cluster["driver_type"] = json!("humanitec/http");
    admin.put("/orgs/acme/resources/defs/the-cluster", cluster).await.is(200);
    let found = admin.post(path, asked.clone()).await.json(200);
    assert_eq!(conditions(&found)[0], "GraphCanProvision False");
    let message = found["conditions"][0]["message"].as_str().unwrap();
    assert!(message.contains("cannot run here"), "{message}");
    for name in ["app_id", "env_id", "env_type"] {
        let mut wrong = asked.clone();
        wrong[name] = json!("X");
        let _ = admin.post(path, wrong).await.refused(400, "API-400");
    }
    let mut wrong = asked;
    wrong["expected_definitions"] = json!(vec![json!({ "type": "a", "id": "b" }); 101]);
    let _ = admin.post(path, wrong).await.refused(400, "API-400");
}
