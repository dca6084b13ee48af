//! Resource graphs.

use serde_json::json;

use crate::shop::{self, DEV};

#[tokio::test]
async fn a_graph_is_stored_once() {
    let (_server, admin) = shop::open().await;
    shop::define(&admin).await;
    let graphs = format!("{DEV}/resources/graphs");
    let requested = json!([{"id": "shared.site", "type": "dns", "resource": {"x": 1}}]);
    let graph = admin.post(&graphs, requested.clone()).await.json(200);
    let dns = graph["nodes"].as_array().unwrap().iter().find(|node| node["type"] == "dns");
    let dns = dns.unwrap();
    assert_eq!(dns["id"], "shared.site");
    assert_eq!(dns["class"], "default");
    assert_eq!(dns["def_id"], "any-dns");
    assert_eq!(dns["resource"], json!({"x": 1}));
    assert_eq!(dns["driver"]["values"], json!({"host": "shop.example.org"}));
    assert_eq!(dns["guresid"].as_str().unwrap().len(), 40);
    assert_eq!(graph["hash"].as_str().unwrap().len(), 64);

    let again = admin.post(&graphs, requested.clone()).await.json(200);
    assert_eq!(again["id"], graph["id"]);
    assert_eq!(again["created_at"], graph["created_at"]);
    assert_ne!(again["used_at"], graph["used_at"]);
    let path = format!("{graphs}/{}", graph["id"].as_str().unwrap());
    assert_eq!(admin.get(&path).await.json(200), again);

    let nodes = admin.post(&format!("{DEV}/resources/graph"), requested).await.json(200);
    assert_eq!(nodes, graph["nodes"]);
}

#[tokio::test]
async fn the_resources_of_a_set_make_a_graph() {
    let (_server, admin) = shop::open().await;
    shop::define(&admin).await;
    let delta = json!({"modules": {"add": {"web": {
        "spec": {"containers": {"main": {"variables": {"H": "${externals.host.host}"}}}},
        "externals": {"host": {"type": "dns"}}}}}});
    let set = admin.post(&format!("{}/sets/0", shop::SHOP), delta).await.json(200);
    let path = format!("{}/sets/{}/resources", shop::SHOP, set.as_str().unwrap());
    let requested = admin.get(&path).await.json(200);
    let graph = admin.post(&format!("{DEV}/resources/graphs"), requested).await.json(200);
    let nodes = graph["nodes"].as_array().unwrap();
    let find = |id: &str| nodes.iter().find(|node| node["id"] == id).unwrap();
    let host = find("modules.web.externals.host");
    let needs = find("modules.web")["depends_on"].as_array().unwrap();
    assert!(needs.contains(&host["guresid"]));
}

#[tokio::test]
async fn secret_inputs_are_not_shown_in_a_graph() {
    let (_server, admin) = shop::open().await;
    shop::define(&admin).await;
    let definition = json!({
        "id": "pg-def", "name": "pg", "type": "postgres", "driver_type": "humanitec/echo",
        "criteria": [{}],
        "driver_inputs": {"secret_refs": {
            "plain": {"value": "hunter2"},
            "host": {"value": "${resources['dns.default#shared.site'].outputs.host}"},
            "url": {"value": "pg://u:hunter2@${resources['dns.default#shared.site'].outputs.host}"},
        }},
    });
    admin.post("/orgs/acme/resources/defs", definition).await.is(200);
    let requested = json!([{"id": "shared.db", "type": "postgres"}]);
    let graph = admin.post(&format!("{DEV}/resources/graphs"), requested).await.json(200);
    assert!(!graph.to_string().contains("hunter2"), "{graph}");
    let nodes = graph["nodes"].as_array().unwrap();
    let find = |kind: &str| nodes.iter().find(|node| node["type"] == kind).unwrap();
    let (db, dns) = (find("postgres"), find("dns"));
    assert_eq!(db["depends_on"], json!([dns["guresid"]]));
    assert_eq!(db["driver"]["secrets"]["plain"]["version"], "1");
    let host = &db["driver"]["secrets"]["host"]["value"];
    assert_eq!(*host, "${resources['dns.default#shared.site'].outputs.host}");
}

#[tokio::test]
async fn what_is_wrong_with_a_graph() {
    let (_server, admin) = shop::open().await;
    shop::define(&admin).await;
    let graphs = format!("{DEV}/resources/graphs");
    let nobody = json!([{"id": "shared.db", "type": "postgres"}]);
    let refused = admin.post(&graphs, nobody).await.refused(400, "RES-001");
    assert!(refused.contains("postgres"), "{refused}");
    let unknown = json!([{"id": "shared.db", "type": "postgers"}]);
    let _ = admin.post(&graphs, unknown).await.refused(400, "RES-007");
    let _ = admin.get(&format!("{graphs}/none")).await.refused(404, "API-404");
    let missing = "/orgs/acme/apps/shop/envs/none/resources/graphs";
    let _ = admin.post(missing, json!([])).await.refused(404, "API-404");
}
