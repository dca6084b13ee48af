//! Secret stores of an organization.

use downbeat_testkit::Server;
use serde_json::json;

const STORES: &str = "/orgs/acme/secretstores";

#[tokio::test]
async fn each_kind_from_beginning_to_end() {
    let server = Server::start().await;
    let admin = server.admin();
    let built_in = admin.get(STORES).await.json(200)[0].clone();
    assert_eq!((&built_in["primary"], &built_in["humanitec"]), (&json!(true), &json!({})));
    for (kind, store, auth, other) in [
        (
            "awssm",
            json!({"region": "eu-west-1"}),
            json!({"access_key_id": "a", "secret_access_key": "marked-1"}),
            json!({"region": "eu-west-2", "endpoint": "https://aws.example"}),
        ),
        (
            "azurekv",
            json!({"tenant_id": "t", "url": "vault-url"}),
            json!({"client_id": "c", "client_secret": "marked-2"}),
            json!({"tenant_id": "u", "url": "other-url"}),
        ),
        (
            "gcpsm",
            json!({"project_id": "p"}),
            json!({"secret_access_key": "marked-3"}),
            json!({"project_id": "q"}),
        ),
        (
            "vault",
            json!({"url": "vault-url"}),
            json!({"role": "r", "token": "marked-4"}),
            json!({"url": "vault-url", "path": "kv", "agent_id": "far"}),
        ),
    ] {
        let id = format!("own-{kind}");
        let mut with_auth = store.clone();
        with_auth["auth"] = auth;
        let sent = json!({"id": id, "primary": false, kind: with_auth});
        let created = admin.post(STORES, sent.clone()).await.json(201);
        assert_eq!((&created[kind], &created["primary"]), (&store, &json!(false)));
        assert!(!server.database_holds("marked-"));
        let path = format!("{STORES}/{id}");
        assert_eq!(admin.get(&path).await.json(200), created);
        assert_eq!(admin.get(STORES).await.json(200), json!([built_in, created]));
        let _ = admin.post(STORES, sent).await.refused(409, "API-409");
        let changed = admin.patch(&path, json!({"primary": false, kind: other})).await.json(200);
        assert_eq!(changed[kind], other);
        assert_eq!(changed["created_at"], created["created_at"]);
        assert_eq!(admin.get(&path).await.json(200), changed);
        admin.delete(&path).await.is(204);
        let _ = admin.get(&path).await.refused(404, "API-404");
        let _ = admin.patch(&path, json!({})).await.refused(404, "API-404");
        let _ = admin.delete(&path).await.refused(404, "API-404");
    }
}

#[tokio::test]
async fn what_is_wrong_with_a_secret_store() {
    let server = Server::start().await;
    let admin = server.admin();
    let vault = json!({"url": "u"});
    for (body, place) in [
        (json!({"primary": false, "vault": vault}), "/id"),
        (json!({"id": "A", "primary": false, "vault": vault}), "/id"),
        (json!({"id": "own", "primary": false}), ""),
        (json!({"id": "own", "primary": false, "vault": vault, "gcpsm": {}}), ""),
        (json!({"id": "own", "primary": false, "vault": {"url": 1}}), "/vault/url"),
        (json!({"id": "own", "primary": false, "vault": {"auth": "x"}}), "/vault/auth"),
    ] {
        let refused = admin.post(STORES, body).await.json(400);
        assert_eq!(refused["details"]["errors"][0]["path"], place, "{refused}");
    }
    let primary = json!({"id": "own", "primary": true, "vault": vault});
    let _ = admin.post(STORES, primary).await.refused(501, "API-501");
    for id in ["local", "humanitec"] {
        let taken = json!({"id": id, "primary": false, "vault": vault});
        let _ = admin.post(STORES, taken).await.refused(409, "API-409");
        let _ = admin.delete(&format!("{STORES}/{id}")).await.refused(403, "API-403");
    }
    let member = server.with_roles(&[("", "member")]).await;
    member.get(STORES).await.is(200);
    let own = json!({"id": "own", "primary": false, "vault": vault});
    let _ = member.post(STORES, own).await.refused(403, "API-403");
}
