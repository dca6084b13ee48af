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
    let change = json!({"name": "dns", "driver_type": "humanitec/dns-aws-route53"});
    admin.put("/orgs/acme/resources/defs/any-dns", change).await.is(200);
    let delta = shop::delta(&admin).await;
    admin.post(&format!("{DEV}/deploys"), json!({"delta_id": delta})).await.is(201);
    engine::succeed(&server).await;
    let path = format!("{DEV}/resources/dns/shared.site");
    let refused = admin.delete(&format!("{path}?force=true")).await.refused(400, "RES-104");
    assert!(refused.contains("humanitec/dns-aws-route53"), "{refused}");
    assert_eq!(dns(&admin).await["status"], "active");
    admin.delete(&format!("{path}?detach=true")).await.is(204);
    let removals = admin.get(&format!("{DEV}/resources/removals")).await.json(200);
    assert_eq!(removals[0]["state"], "detached");
}

/// The definition of `dns` is that of a driver with effects.
async fn made_outside() -> (Server, Client) {
    let (server, admin) = shop::open().await;
    shop::define(&admin).await;
    let change = json!({"name": "dns", "driver_type": "humanitec/terraform"});
    admin.put("/orgs/acme/resources/defs/any-dns", change).await.is(200);
    let delta = shop::delta(&admin).await;
    admin.post(&format!("{DEV}/deploys"), json!({"delta_id": delta})).await.is(201);
    engine::succeed(&server).await;
    (server, admin)
}

#[tokio::test]
async fn a_resource_is_freed_by_its_driver_and_a_record_of_it_stays() {
    let (server, admin) = made_outside().await;
    let path = format!("{DEV}/resources/dns/shared.site");
    let _ = admin.delete(&path).await.refused(409, "API-409");
    let long = "x".repeat(2000);
    let _ = admin.delete(&format!("{path}?force=1&reason={long}")).await.refused(400, "API-400");
    admin.delete(&format!("{path}?force=true&reason=moved%20by%20hand")).await.is(202);
    let deleting = dns(&admin).await;
    assert_eq!(
        (&deleting["status"], &deleting["scheduled_deletion"]),
        (&json!("deleting"), &json!(true))
    );
    let listed = format!("{DEV}/resources?scheduled_deletion=true");
    assert_eq!(admin.get(&listed).await.json(200).as_array().unwrap().len(), 1);
    // Nothing is deployed while it goes.
    let refused = admin.post(&format!("{DEV}/deploys"), json!({})).await.refused(409, "API-409");
    assert!(refused.contains("dns.default#shared.site"), "{refused}");

    engine::give_up(&server).await;
    let removals = format!("{DEV}/resources/removals");
    let removal = &admin.get(&removals).await.json(200)[0];
    assert_eq!(removal["state"], "given up");
    assert_eq!(removal["error"]["message"], "the cloud said no");
    assert_eq!(removal["attempts"], 1);
    assert_eq!(engine::free(&server).await, Vec::<String>::new());
    // Asked again, it says why, and is tried again.
    let refused = admin.delete(&format!("{path}?force=true")).await.refused(409, "API-409");
    assert!(refused.contains("the cloud said no"), "{refused}");
    admin.delete(&format!("{path}?force=true")).await.is(202);
    assert_eq!(engine::free(&server).await, ["dns.default#shared.site"]);
    assert_eq!(dns(&admin).await, Value::Null);
    let removal = &admin.get(&removals).await.json(200)[0];
    assert_eq!(removal["state"], "freed");
    assert_eq!((&removal["forced"], &removal["reason"]), (&json!(true), &json!("moved by hand")));
    assert!(removal.get("error").is_none());
    admin.post(&format!("{DEV}/deploys"), json!({})).await.is(201);
    engine::succeed(&server).await;
}

#[tokio::test]
async fn what_is_given_up_can_be_needed_again() {
    let (server, admin) = made_outside().await;
    let before = dns(&admin).await;
    admin.delete(&format!("{DEV}/resources/dns/shared.site?force=true")).await.is(202);
    engine::give_up(&server).await;
    admin.post(&format!("{DEV}/deploys"), json!({})).await.is(201);
    engine::succeed(&server).await;
    let after = dns(&admin).await;
    assert_eq!(after["status"], "active");
    assert_eq!(after["gu_res_id"], before["gu_res_id"]);
    assert_eq!(admin.get(&format!("{DEV}/resources/removals")).await.json(200), json!([]));
}

#[tokio::test]
async fn what_another_driver_made_is_freed_when_the_new_one_has_succeeded() {
    let (server, admin) = made_outside().await;
    let removals = format!("{DEV}/resources/removals");
    let change = json!({"name": "dns", "driver_type": "humanitec/echo"});
    admin.put("/orgs/acme/resources/defs/any-dns", change).await.is(200);
    let deploys = format!("{DEV}/deploys");
    // A deployment that fails leaves the old one alone: what runs may still use it.
    admin.post(&deploys, json!({})).await.is(201);
    engine::provision_and_fail(&server).await;
    assert_eq!(admin.get(&removals).await.json(200)[0]["state"], "held");
    assert_eq!(engine::free(&server).await, Vec::<String>::new());
    admin.post(&deploys, json!({})).await.is(201);
    engine::succeed(&server).await;
    let removal = &admin.get(&removals).await.json(200)[0];
    assert_eq!(removal["state"], "pending");
    assert_eq!(removal["driver_type"], "humanitec/terraform");
    assert_eq!(engine::free(&server).await, ["dns.default#shared.site"]);
    // The resource itself lives on.
    assert_eq!(dns(&admin).await["driver_type"], "humanitec/echo");

    // In place: nothing is freed.
    let change = json!({"name": "dns", "driver_type": "humanitec/terraform"});
    admin.put("/orgs/acme/resources/defs/any-dns", change).await.is(200);
    admin.post(&deploys, json!({})).await.is(201);
    engine::succeed(&server).await;
    let change =
        json!({"name": "dns", "driver_type": "humanitec/echo", "in_place_driver_change": true});
    admin.put("/orgs/acme/resources/defs/any-dns", change).await.is(200);
    admin.post(&deploys, json!({})).await.is(201);
    engine::succeed(&server).await;
    assert_eq!(admin.get(&removals).await.json(200).as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn a_deployment_that_prunes_frees_what_it_does_not_need() {
    let (server, admin) = made_outside().await;
    let deploys = format!("{DEV}/deploys?prune=true");
    admin.post(&deploys, json!({"set_id": "0"})).await.is(201);
    engine::provision_and_fail(&server).await;
    // It failed: everything stays.
    assert_eq!(dns(&admin).await["status"], "active");
    admin.post(&deploys, json!({"set_id": "0"})).await.is(201);
    engine::succeed(&server).await;
    assert_eq!(dns(&admin).await["status"], "deleting");
    assert_eq!(engine::free(&server).await, ["dns.default#shared.site"]);
    assert_eq!(dns(&admin).await, Value::Null);
    let removals = admin.get(&format!("{DEV}/resources/removals")).await.json(200);
    let states: Vec<&Value> =
        removals.as_array().unwrap().iter().map(|one| &one["state"]).collect();
    assert!(
        states.contains(&&json!("freed")) && states.contains(&&json!("forgotten")),
        "{states:?}"
    );
}

#[tokio::test]
async fn what_runs_is_needed_although_the_last_deployment_failed() {
    let (server, admin) = made_outside().await;
    let path = format!("{DEV}/resources/dns/shared.site");
    // It failed before it had a graph; what was delivered before still runs.
    admin.post(&format!("{DEV}/deploys"), json!({"set_id": "0"})).await.is(201);
    engine::fail(&server).await;
    let _ = admin.delete(&path).await.refused(409, "API-409");
    // With a graph that does not have it, too.
    admin.post(&format!("{DEV}/deploys"), json!({"set_id": "0"})).await.is(201);
    engine::provision_and_fail(&server).await;
    let _ = admin.delete(&path).await.refused(409, "API-409");
}

#[tokio::test]
async fn another_name_of_a_driver_frees_nothing() {
    let (server, admin) = made_outside().await;
    let change = json!({"name": "dns", "driver_type": "downbeat/terraform"});
    admin.put("/orgs/acme/resources/defs/any-dns", change).await.is(200);
    admin.post(&format!("{DEV}/deploys"), json!({})).await.is(201);
    engine::succeed(&server).await;
    let removals = admin.get(&format!("{DEV}/resources/removals")).await.json(200);
    assert_eq!(removals, json!([]));
}

#[tokio::test]
async fn what_is_held_is_not_freed_by_what_does_not_replace_it() {
    let (server, admin) = made_outside().await;
    let removals = format!("{DEV}/resources/removals");
    let deploys = format!("{DEV}/deploys");
    let change = json!({"name": "dns", "driver_type": "humanitec/echo"});
    admin.put("/orgs/acme/resources/defs/any-dns", change).await.is(200);
    admin.post(&deploys, json!({})).await.is(201);
    engine::provision_and_fail(&server).await;
    let held = admin.get(&removals).await.json(200)[0].clone();
    assert_eq!(held["state"], "held");
    // A deployment without the resource keeps it, as every resource.
    admin.post(&deploys, json!({"set_id": "0"})).await.is(201);
    engine::succeed(&server).await;
    assert_eq!(admin.get(&removals).await.json(200)[0]["state"], "held");
    // A deletion that is refused begins nothing.
    admin.post(&deploys, json!({})).await.is(201);
    let _ = admin.delete(shop::SHOP).await.refused(409, "API-409");
    assert_eq!(admin.get(&removals).await.json(200)[0]["state"], "held");
    engine::fail(&server).await;
    assert_eq!(engine::free(&server).await, Vec::<String>::new());
    // Somebody may end it, and leave the real thing alone.
    let one = format!("{removals}/{}", held["id"].as_str().unwrap());
    admin.delete(&one).await.is(204);
    assert_eq!(admin.get(&removals).await.json(200)[0]["state"], "detached");
    let _ = admin.delete(&one).await.refused(409, "API-409");
    let _ = admin.delete(&format!("{removals}/none")).await.refused(404, "API-404");
    assert_ne!(dns(&admin).await, Value::Null, "the resource lives on");
}

#[tokio::test]
async fn what_was_never_delivered_need_not_be_cleared() {
    let (server, admin) = shop::open().await;
    shop::define(&admin).await;
    let change = json!({"name": "dns", "driver_type": "humanitec/terraform"});
    admin.put("/orgs/acme/resources/defs/any-dns", change).await.is(200);
    let delta = shop::delta(&admin).await;
    admin.post(&format!("{DEV}/deploys"), json!({"delta_id": delta})).await.is(201);
    engine::provision_and_fail(&server).await;
    admin.delete(shop::SHOP).await.is(202);
    assert_eq!(engine::free(&server).await, ["dns.default#shared.site"]);
    admin.delete(shop::SHOP).await.is(404);
}
