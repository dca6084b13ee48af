//! Deltas.

use serde_json::{Value, json};

use crate::shop::{self, SHOP};

#[tokio::test]
async fn a_session_with_a_delta() {
    let (_server, admin) = shop::open().await;
    let deltas = format!("{SHOP}/deltas");

    let new = json!({
        "id": "ignored",
        "metadata": {"env_id": "dev", "name": "ticket 12", "url": "https://example.org/12"},
        "modules": {"add": {"web": {"profile": "p", "spec": {"a": 1}}}, "remove": null},
        "shared": null,
    });
    let delta = admin.post(&deltas, new).await.json(200);
    let id = delta["id"].as_str().unwrap();
    assert_eq!(id.len(), 40);
    let web = json!({"profile": "p", "spec": {"a": 1}, "externals": {}});
    assert_eq!(delta["modules"], json!({"add": {"web": web}, "remove": [], "update": {}}));
    assert_eq!(delta["shared"], json!([]));
    assert_eq!(delta["metadata"]["name"], "ticket 12");
    assert_eq!(delta["metadata"]["env_id"], "dev");
    assert_eq!(delta["metadata"]["archived"], false);
    assert_eq!(delta["metadata"]["contributers"], json!(["admin-user"]));

    let path = format!("{deltas}/{id}");
    assert_eq!(admin.get(&path).await.json(200), delta);
    assert_eq!(admin.get(&deltas).await.json(200), json!([delta]));
    assert_eq!(admin.get(&format!("{deltas}?env=dev")).await.json(200), json!([delta]));
    assert_eq!(admin.get(&format!("{deltas}?env=qa")).await.json(200), json!([]));

    admin.put(&format!("{path}/metadata/name"), json!("ticket 13")).await.is(204);
    admin.put(&format!("{path}/metadata/env_id"), json!("qa")).await.is(204);
    let content = json!({"shared": [{"op": "add", "path": "/site", "value": {"type": "dns"}}]});
    admin.put(&path, content).await.is(204);
    let delta = admin.get(&path).await.json(200);
    assert_eq!(delta["metadata"]["name"], "ticket 13");
    assert_eq!(delta["metadata"]["env_id"], "qa");
    assert_eq!(delta["modules"]["add"], json!({}));
    assert_eq!(delta["shared"][0]["path"], "/site");
}

#[tokio::test]
async fn an_archived_delta_refuses_changes() {
    let (_server, admin) = shop::open().await;
    let deltas = format!("{SHOP}/deltas");
    let path = format!("{deltas}/{}", shop::delta(&admin).await);
    admin.put(&format!("{path}/metadata/archived"), json!(true)).await.is(204);
    assert_eq!(admin.get(&deltas).await.json(200), json!([]));
    let archived = admin.get(&format!("{deltas}?archived=True")).await.json(200);
    assert_eq!(archived.as_array().unwrap().len(), 1);
    admin.get(&path).await.is(200);
    let refused = admin.patch(&path, json!([{}])).await.refused(400, "API-400");
    assert!(refused.contains("is archived"), "{refused}");
    let _ = admin.put(&path, json!({})).await.refused(400, "API-400");
    let _ = admin.put(&format!("{path}/metadata/name"), json!("x")).await.refused(400, "API-400");
    admin.put(&format!("{path}/metadata/archived"), json!(false)).await.is(204);
    admin.patch(&path, json!([{}])).await.is(200);
}

#[tokio::test]
async fn patches_merge_deltas() {
    let (_server, admin) = shop::open().await;
    let deltas = format!("{SHOP}/deltas");
    let (variable_a, image) = ("/spec/containers/main/variables/A", "/spec/containers/main/image");
    let update = |actions: Value| json!([{"modules": {"update": {"api": actions}}}]);
    let start = json!({"modules": {"update": {"api": [
        {"op": "add", "path": variable_a, "value": 1},
        {"op": "replace", "path": image, "value": "a:2"}]}}});
    let start = admin.post(&deltas, start).await.json(200);
    let path = format!("{deltas}/{}", start["id"].as_str().unwrap());

    let take_back = update(json!([
        {"op": "remove", "path": variable_a, "value": {"scope": "delta"}}]));
    let merged = admin.patch(&path, take_back).await.json(200);
    let replace = json!({"op": "replace", "path": image, "value": "a:2"});
    assert_eq!(merged["modules"]["update"]["api"], json!([replace]));

    let remove = json!({"op": "remove", "path": "/spec/containers/main/variables/B"});
    let merged = admin.patch(&path, update(json!([remove]))).await.json(200);
    assert_eq!(merged["modules"]["update"]["api"], json!([replace, remove]));

    // From left to right: the removal of the module wins over its update, and adding over both.
    let both =
        json!([{"modules": {"remove": ["api"]}}, {"modules": {"add": {"api": {"spec": {}}}}}]);
    let merged = admin.patch(&path, both).await.json(200);
    assert_eq!(merged["modules"]["update"], json!({}));
    assert_eq!(merged["modules"]["remove"], json!([]));
    assert_eq!(merged["modules"]["add"]["api"]["spec"], json!({}));
    assert_eq!(admin.get(&path).await.json(200), merged);

    admin.patch(&path, json!([{"modules": {"remove": ["gone"]}}])).await.is(200);
    let late = json!([{"modules": {"update": {"gone": [{"op": "remove", "path": "/spec"}]}}}]);
    let refused = admin.patch(&path, late).await.refused(400, "API-400");
    assert!(refused.contains("also removes"), "{refused}");
}

#[tokio::test]
async fn what_is_wrong_with_a_delta() {
    let (server, admin) = shop::open().await;
    let deltas = format!("{SHOP}/deltas");
    let test = json!({"shared": [{"op": "test", "path": "/site", "value": 1}]});
    let refused = admin.post(&deltas, test).await.refused(400, "API-400");
    assert!(refused.contains("/shared/0/op"), "{refused}");
    let _ = admin.post(&deltas, json!("web")).await.refused(422, "API-422");

    // In v1 the answer is a bare string.
    let missing = format!("{deltas}/0123456789");
    assert!(admin.get(&missing).await.json(404).is_string());
    assert!(admin.put(&missing, json!({})).await.json(404).is_string());
    assert!(admin.patch(&missing, json!([])).await.json(404).is_string());
    assert!(admin.put(&format!("{missing}/metadata/name"), json!("x")).await.json(404).is_string());

    let viewer = server.with_roles(&[("", "member"), ("/apps/shop", "viewer")]).await;
    viewer.get(&deltas).await.is(200);
    let _ = viewer.post(&deltas, json!({})).await.refused(403, "API-403");
    let _ = server.anonymous().get(&deltas).await.refused(401, "API-401");
    let _ = admin.get("/orgs/acme/apps/none/deltas").await.refused(404, "API-404");
}

#[tokio::test]
async fn what_no_set_could_make_right_is_refused_when_it_is_stored() {
    let (_server, client) = shop::open().await;
    let deltas = format!("{SHOP}/deltas");
    for body in [
        json!({"shared": [{"op": "add", "path": "b", "value": {"type": "dns"}}]}),
        json!({"shared": [{"op": "add", "path": "/b~2", "value": {"type": "dns"}}]}),
        json!({"shared": [{"op": "add", "path": "/b"}]}),
        json!({"modules": {"add": {"a": 5}}}),
        json!({"modules": {"update": {"a": [{"op": "replace", "path": "spec", "value": {}}]}}}),
    ] {
        let message = client.post(&deltas, body).await.refused(400, "API-400");
        assert!(message.starts_with("The delta is not valid: "), "{message}");
    }
}
