//! Deployment sets.

use serde_json::json;

use crate::shop::{self, SHOP};

#[tokio::test]
async fn a_delta_makes_a_set_of_another() {
    let (_server, admin) = shop::open().await;
    let sets = format!("{SHOP}/sets");
    assert_eq!(admin.get(&sets).await.json(200), json!([]));

    let empty = admin.get(&format!("{sets}/0")).await.json(200);
    assert_eq!(empty["modules"], json!({}));
    assert_eq!(empty["shared"], json!({}));
    assert_eq!(empty["version"], 0);
    assert!(empty.get("workloads").is_none());

    let first = json!({"modules": {"add": {"api": {
        "profile": "p", "spec": {"containers": {"main": {"image": "a:1"}}}}}}});
    let first = admin.post(&format!("{sets}/0"), first).await.json(200);
    let first = first.as_str().unwrap();
    let second = json!({
        "modules": {
            "add": {"web": {"profile": "p", "spec": {}}},
            "remove": ["never-there"],
            "update": {"api": [
                {"op": "replace", "path": "/spec/containers/main/image", "value": "a:2"},
                {"op": "add", "path": "/externals/db", "value": {"type": "postgres"}}]}},
        "shared": [{"op": "add", "path": "/site", "value": {"type": "dns", "params": {"x": 1}}}],
    });
    let second = admin.post(&format!("{sets}/{first}"), second).await.json(200);
    let second = second.as_str().unwrap();
    let set = admin.get(&format!("{sets}/{second}")).await.json(200);
    assert_eq!(
        set,
        json!({
            "id": second,
            "version": 0,
            "modules": {
                "api": {"profile": "p", "spec": {"containers": {"main": {"image": "a:2"}}},
                        "externals": {"db": {"type": "postgres"}}},
                "web": {"profile": "p", "spec": {}, "externals": {}}},
            "shared": {"site": {"type": "dns", "params": {"x": 1}}},
        })
    );
    let all = admin.get(&sets).await.json(200);
    assert_eq!(all.as_array().unwrap().len(), 2);

    let resources = admin.get(&format!("{sets}/{second}/resources")).await.json(200);
    let ids: Vec<_> = resources.as_array().unwrap().iter().map(|one| &one["id"]).collect();
    assert_eq!(ids, ["modules.api", "modules.web", "modules.api.externals.db", "shared.site"]);
    assert_eq!(
        resources[3],
        json!({
        "id": "shared.site", "type": "dns", "class": "default", "resource": {"x": 1}})
    );

    // The diff leads from one to the other, whichever way it is asked for.
    let diff = admin.get(&format!("{sets}/{second}?diff={first}")).await.json(200);
    let same = admin.get(&format!("{sets}/{second}/diff/{first}")).await.json(200);
    assert_eq!(diff, same);
    let again = admin.post(&format!("{sets}/{first}"), diff).await.json(200);
    assert_eq!(again, second);
    let back = admin.get(&format!("{sets}/0/diff/{second}")).await.json(200);
    let nothing = admin.post(&format!("{sets}/{second}"), back).await.json(200);
    assert_eq!(nothing, empty["id"]);
}

#[tokio::test]
async fn what_is_wrong_with_a_set() {
    let (_server, admin) = shop::open().await;
    let sets = format!("{SHOP}/sets");
    let update = json!({"modules": {"update": {"api": [{"op": "remove", "path": "/spec"}]}}});
    let refused = admin.post(&format!("{sets}/0"), update).await.refused(400, "API-400");
    assert!(refused.contains("\"api\""), "{refused}");
    let remove = json!({"shared": [{"op": "remove", "path": "/site"}]});
    let _ = admin.post(&format!("{sets}/0"), remove).await.refused(400, "API-400");
    for path in
        ["none", "none?diff=0", "0?diff=none", "none/diff/0", "0/diff/none", "none/resources"]
    {
        assert!(admin.get(&format!("{sets}/{path}")).await.json(404).is_string(), "{path}");
    }
    assert!(admin.post(&format!("{sets}/none"), json!({})).await.json(404).is_string());
    assert!(admin.get("/orgs/acme/apps/none/sets").await.json(404).is_string());
    assert!(admin.get("/orgs/acme/apps/none/sets/0").await.json(404).is_string());
    assert!(admin.post("/orgs/acme/apps/none/sets/0", json!({})).await.json(404).is_string());
}

#[tokio::test]
async fn a_set_belongs_to_its_application() {
    let (_server, admin) = shop::open().await;
    let app = json!({"id": "other", "name": "Other", "skip_environment_creation": true});
    admin.post("/orgs/acme/apps", app).await.is(201);
    let delta = json!({"shared": [{"op": "add", "path": "/site", "value": {"type": "dns"}}]});
    let id = admin.post(&format!("{SHOP}/sets/0"), delta.clone()).await.json(200);
    let path = format!("/orgs/acme/apps/other/sets/{}", id.as_str().unwrap());
    assert!(admin.get(&path).await.json(404).is_string());
    // The same content has the same name everywhere.
    let same = admin.post("/orgs/acme/apps/other/sets/0", delta).await.json(200);
    assert_eq!(same, id);
    admin.get(&path).await.is(200);
}
