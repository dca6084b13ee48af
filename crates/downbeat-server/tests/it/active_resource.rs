//! Active resources.

use downbeat_testkit::{Client, Server};
use serde_json::{Value, json};

use crate::{
    engine,
    shop::{self, DEV},
};

/// The environment after a deployment with a workload and a `dns`.
async fn deployed() -> (Server, Client) {
    let (server, admin) = shop::open().await;
    shop::define(&admin).await;
    let delta = shop::delta(&admin).await;
    admin.post(&format!("{DEV}/deploys"), json!({"delta_id": delta})).await.is(201);
    engine::succeed(&server).await;
    (server, admin)
}

async fn dns(admin: &Client) -> Value {
    let list = admin.get(&format!("{DEV}/resources")).await.json(200);
    list.as_array().unwrap().iter().find(|one| one["type"] == "dns").cloned().unwrap_or_default()
}

#[tokio::test]
async fn what_a_deployment_made_is_listed() {
    let (_server, admin) = deployed().await;
    let list = admin.get(&format!("{DEV}/resources")).await.json(200);
    let types: Vec<_> = list.as_array().unwrap().iter().map(|one| &one["type"]).collect();
    assert!(types.contains(&&json!("workload")) && types.contains(&&json!("k8s-cluster")));
    let dns = dns(&admin).await;
    for (field, value) in [
        ("org_id", "acme"),
        ("app_id", "shop"),
        ("env_id", "dev"),
        ("env_type", "development"),
        ("res_id", "shared.site"),
        ("class", "default"),
        ("def_id", "any-dns"),
        ("driver_type", "humanitec/echo"),
        ("status", "active"),
    ] {
        assert_eq!(dns[field], value, "{field}");
    }
    assert_eq!(dns["resource"], json!({"made": true}));
    assert_eq!(dns["secret_refs"], json!({}));
    assert_eq!(dns["scheduled_deletion"], false);
    let scheduled = admin.get(&format!("{DEV}/resources?scheduled_deletion=true")).await.json(200);
    assert_eq!(scheduled, json!([]));
    let _ = admin.get("/orgs/acme/apps/shop/envs/none/resources").await.refused(404, "API-404");
}

#[tokio::test]
async fn what_is_needed_is_not_deleted() {
    let (server, admin) = deployed().await;
    let path = format!("{DEV}/resources/dns/shared.site");
    let refused = admin.delete(&path).await.refused(409, "API-409");
    assert!(refused.contains("dns.default#shared.site"), "{refused}");

    // The cluster is not in the graph that the API shows, but the deployment needs it.
    let cluster = format!("{DEV}/resources/k8s-cluster/k8s-cluster");
    let refused = admin.delete(&cluster).await.refused(409, "API-409");
    assert!(refused.contains("last deployment"), "{refused}");

    // Once a deployment goes without it, it can go.
    admin.post(&format!("{DEV}/deploys"), json!({"set_id": "0"})).await.is(201);
    let _ = admin.delete(&path).await.refused(409, "API-409");
    engine::succeed(&server).await;
    assert_eq!(dns(&admin).await["res_id"], "shared.site");
    admin.delete(&path).await.is(204);
    assert_eq!(dns(&admin).await, Value::Null);
    let _ = admin.delete(&path).await.refused(404, "API-404");
}

#[tokio::test]
async fn a_resource_is_forgotten_and_comes_back_as_another() {
    let (server, admin) = deployed().await;
    let before = dns(&admin).await;
    let _ = admin
        .delete(&format!("{DEV}/resources/dns.large/shared.site?detach=true"))
        .await
        .refused(404, "API-404");
    admin.delete(&format!("{DEV}/resources/dns.default/shared.site?detach=true")).await.is(204);
    admin.post(&format!("{DEV}/deploys"), json!({})).await.is(201);
    let cluster = format!("{DEV}/resources/k8s-cluster/k8s-cluster");
    let refused = admin.delete(&format!("{cluster}?detach=true")).await.refused(409, "API-409");
    assert!(refused.contains("under way"), "{refused}");
    engine::succeed(&server).await;
    let after = dns(&admin).await;
    assert_ne!(after["gu_res_id"], before["gu_res_id"]);
    admin.delete(&format!("{DEV}/resources/dns/shared.site?force=true")).await.is(204);
}

#[tokio::test]
async fn a_resource_is_pinned_to_a_version() {
    let (server, admin) = deployed().await;
    let before = dns(&admin).await;
    let old = before["def_version_id"].clone();
    let change = json!({"driver_inputs": {"values": {"host": "new.example.org"}}});
    admin.patch("/orgs/acme/resources/defs/any-dns", change).await.is(200);
    let pin = format!("{DEV}/resources/dns/shared.site/actions/pin");
    let pinned = admin.post(&pin, json!({"target_def_version_id": old})).await.json(200);
    assert_eq!(pinned["target_def_version_id"], old);
    admin.post(&format!("{DEV}/deploys"), json!({})).await.is(201);
    engine::succeed(&server).await;
    assert_eq!(dns(&admin).await["def_version_id"], old);

    let free = admin.post(&pin, json!({"target_def_version_id": null})).await.json(200);
    assert!(free.get("target_def_version_id").is_none());
    admin.post(&format!("{DEV}/deploys"), json!({})).await.is(201);
    engine::succeed(&server).await;
    assert_ne!(dns(&admin).await["def_version_id"], old);
    let unknown = json!({"target_def_version_id": "none"});
    let _ = admin.post(&pin, unknown).await.refused(400, "API-400");
    let archive = format!(
        "/orgs/acme/resources/defs/any-dns/versions/{}/actions/archive",
        old.as_str().unwrap()
    );
    admin.post(&archive, json!({})).await.is(204);
    let archived = json!({"target_def_version_id": old});
    let _ = admin.post(&pin, archived).await.refused(400, "API-400");
}

#[tokio::test]
async fn what_nothing_can_delete_is_only_forgotten() {
    let (server, admin) = shop::open().await;
    shop::define(&admin).await;
    let change = json!({"name": "dns", "driver_type": "humanitec/terraform"});
    admin.put("/orgs/acme/resources/defs/any-dns", change).await.is(200);
    let delta = shop::delta(&admin).await;
    admin.post(&format!("{DEV}/deploys"), json!({"delta_id": delta})).await.is(201);
    engine::succeed(&server).await;
    let path = format!("{DEV}/resources/dns/shared.site");
    let refused = admin.delete(&format!("{path}?force=true")).await.refused(400, "RES-104");
    assert!(refused.contains("humanitec/terraform"), "{refused}");
    assert_eq!(dns(&admin).await["status"], "active");
    admin.delete(&format!("{path}?detach=true")).await.is(204);
}
