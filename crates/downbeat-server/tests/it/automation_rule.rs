//! Automation rules of environments.

use serde_json::{Value, json};

use crate::shop::{self, DEV, SHOP};

fn sent() -> Value {
    json!({
        "type": "update", "active": false, "match_ref": "^refs/heads/pr-[0-9]+$",
        "artefacts_filter": ["registry.example/web", "registry.example/api"],
        "exclude_artefacts_filter": true,
    })
}

#[tokio::test]
async fn a_rule_from_beginning_to_end() {
    let (_server, admin) = shop::open().await;
    let rules = format!("{DEV}/rules");
    let created = admin.post(&rules, sent()).await.json(201);
    for (member, value) in sent().as_object().unwrap() {
        assert_eq!(created[member], *value, "{member}");
    }
    for (member, value) in [
        ("images_filter", json!([])),
        ("exclude_images_filter", json!(false)),
        ("update_to", json!("")),
        ("match", json!("")),
    ] {
        assert_eq!(created[member], value, "{member}");
    }
    let path = format!("{rules}/{}", created["id"].as_str().unwrap());
    assert_eq!(admin.get(&path).await.json(200), created);
    assert_eq!(admin.get(&rules).await.json(200), json!([created]));

    let changed = admin.put(&path, json!({"type": "update"})).await.json(200);
    assert_eq!(changed["id"], created["id"]);
    assert_eq!(changed["created_at"], created["created_at"]);
    assert_ne!(changed["updated_at"], created["updated_at"]);
    assert_eq!(changed["active"], true);
    assert_eq!(changed["artefacts_filter"], json!([]));
    assert_eq!(admin.get(&path).await.json(200), changed);

    admin.delete(&path).await.is(204);
    let _ = admin.get(&path).await.refused(404, "API-404");
    let _ = admin.put(&path, sent()).await.refused(404, "API-404");
    let _ = admin.delete(&path).await.refused(404, "API-404");
    assert_eq!(admin.get(&rules).await.json(200), json!([]));
}

#[tokio::test]
async fn what_is_wrong_with_a_rule() {
    let (server, admin) = shop::open().await;
    let rules = format!("{DEV}/rules");
    for (change, place) in [
        (json!({"type": "delete"}), "/type"),
        (json!({"match_ref": "("}), "/match_ref"),
        (json!({"match_ref": "a".repeat(2000)}), "/match_ref"),
        (json!({"update_to": "commit"}), "/update_to"),
        (json!({"match": "x"}), "/match_ref"),
        (json!({"images_filter": ["web"]}), "/artefacts_filter"),
        (json!({"exclude_images_filter": true}), "/exclude_artefacts_filter"),
        (json!({"artefacts_filter": vec!["x"; 2000]}), "/artefacts_filter"),
    ] {
        let mut body = sent();
        body.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        let refused = admin.post(&rules, body).await.json(400);
        assert_eq!(refused["details"]["errors"][0]["path"], place, "{change}: {refused}");
    }
    let old = json!({"type": "update", "update_to": "branch", "match": "^pr-"});
    admin.post(&rules, old).await.is(201);
    let elsewhere = format!("{SHOP}/envs/none/rules");
    let _ = admin.get(&elsewhere).await.refused(404, "API-404");
    let _ = admin.post(&elsewhere, sent()).await.refused(404, "API-404");
    let viewer = server.with_roles(&[("", "member"), ("/apps/shop", "viewer")]).await;
    viewer.get(&rules).await.is(200);
    let _ = viewer.post(&rules, sent()).await.refused(403, "API-403");
}
