//! Registries of container images.

use downbeat_testkit::Server;
use serde_json::json;

const REGISTRIES: &str = "/orgs/acme/registries";

#[tokio::test]
async fn a_registry_from_beginning_to_end() {
    let server = Server::start().await;
    let admin = server.admin();
    let sent = json!({"id": "own-images", "registry": "registry.example/shop", "type": "basic",
        "creds": {"username": "robot", "password": "marked-password"}});
    let answer = admin.post(REGISTRIES, sent.clone()).await;
    let created = answer.json(201);
    assert_eq!(created["enable_ci"], false);
    for absent in ["secrets", "creds", "credentials"] {
        assert!(created.get(absent).is_none(), "{created}");
    }
    let path = format!("{REGISTRIES}/own-images");
    assert_eq!(admin.get(&path).await.json(200), created);
    assert_eq!(admin.get(REGISTRIES).await.json(200), json!([created]));
    assert!(!server.database_holds("marked-password"));
    let _ = admin.post(REGISTRIES, sent).await.refused(409, "API-409");

    let creds = format!("{path}/creds");
    let _ = admin.get(&creds).await.refused(403, "API-403");
    // As the provider sends it: with id and type.
    let change = json!({"id": "own-images", "type": "basic", "registry": "registry.example/shop",
        "enable_ci": true, "secrets": {"*": {"namespace": "ci", "secret": "regcred"}}});
    let changed = admin.patch(&path, change.clone()).await.json(200);
    assert_eq!(changed["enable_ci"], true);
    assert_eq!(changed["secrets"], change["secrets"]);
    assert_eq!(
        admin.get(&creds).await.json(200),
        json!({"registry": "registry.example/shop", "username": "robot",
            "password": "marked-password", "secrets": change["secrets"]})
    );
    let ci = server.with_roles(&[("", "artefactContributor")]).await;
    assert_eq!(ci.get(&creds).await.json(200)["username"], "robot");
    let viewer = server.with_roles(&[("", "orgViewer")]).await;
    let _ = viewer.get(&creds).await.refused(403, "API-403");
    let changed = admin.patch(&path, json!({"secrets": {}})).await.json(200);
    assert!(changed.get("secrets").is_none(), "{changed}");

    admin.delete(&path).await.is(204);
    for path in [&path, &creds] {
        let _ = admin.get(path).await.refused(404, "API-404");
    }
    let _ = admin.delete(&path).await.refused(404, "API-404");
    let _ = admin.patch(&path, json!({})).await.refused(404, "API-404");
}

#[tokio::test]
async fn what_is_wrong_with_a_registry() {
    let server = Server::start().await;
    let admin = server.admin();
    let good = json!({"id": "own", "registry": "r.example", "type": "public"});
    for (change, place) in [
        (json!({"id": "-"}), "/id"),
        (json!({"id": null}), "/id"),
        (json!({"type": "other"}), "/type"),
        (json!({"registry": "a b"}), "/registry"),
        (json!({"secrets": {"*": {"namespace": "", "secret": "s"}}}), "/secrets"),
        (json!({"creds": {"username": "u", "password": "p".repeat(70_000)}}), "/creds"),
    ] {
        let mut body = good.clone();
        body.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        let refused = admin.post(REGISTRIES, body).await.json(400);
        assert_eq!(refused["details"]["errors"][0]["path"], place, "{refused}");
    }
    admin.post(REGISTRIES, good).await.is(201);
    let other = json!({"id": "other"});
    let _ = admin.patch(&format!("{REGISTRIES}/own"), other).await.json(400);
}
