//! Deployments.

use downbeat_testkit::Client;
use serde_json::{Value, json};

use crate::{
    engine,
    shop::{self, DEV, SHOP},
};

async fn deploy(admin: &Client, request: Value) -> Value {
    admin.post(&format!("{DEV}/deploys"), request).await.json(201)
}

#[tokio::test]
async fn a_deployment_from_request_to_success() {
    let (server, admin) = shop::open().await;
    shop::define(&admin).await;
    let delta = shop::delta(&admin).await;
    let deploys = format!("{DEV}/deploys");
    assert_eq!(admin.get(&deploys).await.json(200), json!([]));

    let deployment = deploy(&admin, json!({"delta_id": delta, "comment": "first"})).await;
    let id = deployment["id"].as_str().unwrap();
    assert_eq!(id.len(), 16);
    for (field, value) in [
        ("status", "pending"),
        ("comment", "first"),
        ("from_id", ""),
        ("env_id", "dev"),
        ("delta_id", delta.as_str()),
        ("export_file", ""),
        ("export_status", ""),
        ("created_by", "admin-user"),
        ("mode", "full"),
    ] {
        assert_eq!(deployment[field], value, "{field}");
    }
    assert_eq!(server.wake.calls(), 1);
    let path = format!("{deploys}/{id}");
    let progress = admin.get(&format!("{path}/progress")).await.json(200);
    assert_eq!(progress["phase"], "read");
    assert_eq!(progress["nodes"], json!([]));
    assert!(progress.get("delivery").is_none());

    engine::succeed(&server).await;
    let deployment = admin.get(&path).await.json(200);
    assert_eq!(deployment["status"], "succeeded");
    assert_eq!(admin.get(&format!("{path}/errors")).await.json(200), json!([]));
    let progress = admin.get(&format!("{path}/progress")).await.json(200);
    assert_eq!(progress["phase"], "done");
    assert_eq!(progress["delivery"]["commit"], "c0ffee");
    assert_eq!(progress["delivery"]["files"], 3);
    let nodes = progress["nodes"].as_array().unwrap();
    let dns = nodes.iter().find(|node| node["type"] == "dns").unwrap();
    assert_eq!(dns["id"], "shared.site");
    assert_eq!(dns["status"], "ready");
    assert_eq!(dns["def_id"], "any-dns");
    assert_eq!(dns["driver_type"], "humanitec/echo");
    let cluster = nodes.iter().find(|node| node["type"] == "k8s-cluster").unwrap();
    assert_eq!(cluster["def_id"], "cluster");

    // The graph that the deployment names leaves out the cluster.
    let graph = deployment["dependency_graph_id"].as_str().unwrap();
    let graph = admin.get(&format!("{DEV}/resources/graphs/{graph}")).await.json(200);
    let types: Vec<_> = graph["nodes"].as_array().unwrap().iter().map(|n| &n["type"]).collect();
    assert!(types.contains(&&json!("dns")) && !types.contains(&&json!("k8s-cluster")), "{types:?}");

    let env = admin.get(DEV).await.json(200);
    assert_eq!(env["last_deploy"], deployment);
    assert_eq!(env["from_deploy"], deployment);
}

#[tokio::test]
async fn the_base_moves_on_and_newest_comes_first() {
    let (server, admin) = shop::open().await;
    shop::define(&admin).await;
    let first = deploy(&admin, json!({"delta_id": shop::delta(&admin).await})).await;
    engine::succeed(&server).await;
    let more = json!({"modules": {"add": {"api": {"spec": {}}}}});
    let more = admin.post(&format!("{SHOP}/deltas"), more).await.json(200);
    // A delta wins over a set.
    let second = deploy(&admin, json!({"delta_id": more["id"], "set_id": "0"})).await;
    assert_eq!(second["from_id"], first["id"]);
    let set = admin.get(&format!("{SHOP}/sets/{}", second["set_id"].as_str().unwrap())).await;
    let set = set.json(200);
    assert!(set["modules"].get("web").is_some() && set["modules"].get("api").is_some());
    engine::fail(&server).await;

    // A failed deployment is a base as well; nothing given deploys it once more.
    let third = deploy(&admin, json!({})).await;
    assert_eq!(third["from_id"], second["id"]);
    assert_eq!(third["set_id"], second["set_id"]);
    engine::succeed(&server).await;

    // A set is deployed as it is: here, back to the first.
    let fourth = deploy(&admin, json!({"set_id": first["set_id"], "mode": "incremental"})).await;
    assert_eq!(fourth["set_id"], first["set_id"]);
    assert!(fourth.get("delta_id").is_none());
    assert_eq!(fourth["mode"], "incremental");
    engine::succeed(&server).await;

    // Rebasing to an older one makes that the base.
    admin.put(&format!("{DEV}/from_deploy_id"), second["id"].clone()).await.is(204);
    let fifth = deploy(&admin, json!({})).await;
    assert_eq!(fifth["from_id"], second["id"]);
    assert_eq!(fifth["set_id"], second["set_id"]);

    let list = admin.get(&format!("{DEV}/deploys")).await.json(200);
    let ids: Vec<_> = list.as_array().unwrap().iter().map(|one| &one["id"]).collect();
    let expected = [&fifth, &fourth, &third, &second, &first].map(|one| &one["id"]);
    assert_eq!(ids, expected);
}

#[tokio::test]
async fn one_deployment_at_a_time() {
    let (server, admin) = shop::open().await;
    deploy(&admin, json!({})).await;
    let refused = admin.post(&format!("{DEV}/deploys"), json!({})).await.refused(409, "API-409");
    assert!(refused.contains("under way"), "{refused}");
    assert_eq!(server.wake.calls(), 1);
    engine::fail(&server).await;

    // Of several requests at once, one wins.
    let request = || async {
        let admin = server.admin();
        admin.post(&format!("{DEV}/deploys"), json!({})).await.status()
    };
    let (a, b, c) = tokio::join!(request(), request(), request());
    let mut statuses = [a, b, c];
    statuses.sort_unstable();
    assert_eq!(statuses, [201, 409, 409]);
    engine::fail(&server).await;
    deploy(&admin, json!({})).await;
}

#[tokio::test]
async fn errors_of_a_deployment() {
    let (server, admin) = shop::open().await;
    let deployment = deploy(&admin, json!({"delta_id": shop::delta(&admin).await})).await;
    engine::fail(&server).await;
    let path = format!("{DEV}/deploys/{}", deployment["id"].as_str().unwrap());
    assert_eq!(admin.get(&path).await.json(200)["status"], "failed");
    let errors = admin.get(&format!("{path}/errors")).await.json(200);
    assert_eq!(errors[0]["code"], "RES-001");
    assert_eq!(errors[0]["scope"], "resource");
    assert_eq!(errors[0]["object_id"], "dns.default#shared.site");
    assert_eq!(admin.get(&format!("{path}/progress")).await.json(200)["status"], "failed");
}

#[tokio::test]
async fn deployments_of_a_pipeline_run() {
    let (server, admin) = shop::open().await;
    let pipeline = json!({"id": "p1", "run_id": "r1", "job_id": "deploy", "step_index": 2});
    let first = deploy(&admin, json!({"pipeline": pipeline})).await;
    assert_eq!(first["pipeline"], pipeline);
    engine::fail(&server).await;
    // Clients send the object with nothing in it, too.
    let second = deploy(&admin, json!({"pipeline": {}, "value_set_version_id": null})).await;
    assert!(second.get("pipeline").is_none());
    let list = admin.get(&format!("{DEV}/deploys?pipelineRunId=p1,r1")).await.json(200);
    assert_eq!(list.as_array().unwrap().len(), 1);
    assert_eq!(list[0]["id"], first["id"]);
    let none = admin.get(&format!("{DEV}/deploys?pipelineRunId=p1,r2")).await.json(200);
    assert_eq!(none, json!([]));
}

#[tokio::test]
async fn values_are_frozen() {
    let (server, admin) = shop::open().await;
    let first = deploy(&admin, json!({})).await;
    assert!(first.get("value_set_version_id").is_none());
    engine::fail(&server).await;

    let value = json!({"key": "LEVEL", "description": "", "value": "info"});
    admin.post(&format!("{DEV}/values"), value).await.is(201);
    let second = deploy(&admin, json!({})).await;
    engine::fail(&server).await;
    let change = json!({"description": "", "value": "warn"});
    admin.put(&format!("{DEV}/values/LEVEL"), change).await.is(200);
    let third = deploy(&admin, json!({})).await;
    engine::fail(&server).await;
    let version = &second["value_set_version_id"];
    assert!(version.is_string());
    assert_ne!(*version, third["value_set_version_id"]);

    let again = deploy(&admin, json!({"value_set_version_id": version})).await;
    assert_eq!(again["value_set_version_id"], *version);
    engine::fail(&server).await;
    let newest = "00000000-0000-0000-0000-000000000000";
    let newest = deploy(&admin, json!({"value_set_version_id": newest})).await;
    assert_eq!(newest["value_set_version_id"], third["value_set_version_id"]);
}

#[tokio::test]
async fn what_is_wrong_with_a_deployment() {
    let (server, admin) = shop::open().await;
    let deploys = format!("{DEV}/deploys");
    for (request, part) in [
        (json!({"delta_id": "none"}), "the delta `none`"),
        (json!({"set_id": "none"}), "the set `none`"),
        (json!({"value_set_version_id": "none"}), "the value set version `none`"),
        (json!({"mode": "fast"}), "not a deployment mode"),
    ] {
        let refused = admin.post(&deploys, request).await.refused(400, "API-400");
        assert!(refused.contains(part), "{refused}");
    }
    let update = json!({"modules": {"update": {"api": [{"op": "remove", "path": "/spec"}]}}});
    let update = admin.post(&format!("{SHOP}/deltas"), update).await.json(200);
    let request = json!({"delta_id": update["id"]});
    let _ = admin.post(&deploys, request).await.refused(400, "API-400");

    admin.put(&format!("{DEV}/runtime/paused"), json!(true)).await.is(204);
    let refused = admin.post(&deploys, json!({})).await.refused(400, "API-400");
    assert!(refused.contains("paused"), "{refused}");

    let missing = format!("{SHOP}/envs/none/deploys");
    let _ = admin.post(&missing, json!({})).await.refused(404, "API-404");
    let _ = admin.get(&missing).await.refused(404, "API-404");
    for path in ["none", "none/errors", "none/progress"] {
        let _ = admin.get(&format!("{deploys}/{path}")).await.refused(404, "API-404");
    }
    assert_eq!(admin.get(&deploys).await.json(200), json!([]));
    assert_eq!(server.wake.calls(), 0);
}
