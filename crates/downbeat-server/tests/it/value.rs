use downbeat_testkit::{Client, Server, ports::STORE};
use serde_json::{Value, json};

const APP: &str = "/orgs/acme/apps/shop/values";
const ENV: &str = "/orgs/acme/apps/shop/envs/development/values";

async fn shop(server: &Server) -> Client {
    let admin = server.admin();
    admin.post("/orgs/acme/apps", json!({ "id": "shop", "name": "Shop" })).await.is(201);
    admin
}

fn plain(key: &str, value: &str) -> Value {
    json!({ "key": key, "description": "", "value": value })
}

#[tokio::test]
async fn create_read_update_delete() {
    let server = Server::start().await;
    let admin = shop(&server).await;
    let body = json!({ "key": "LEVEL", "description": "How loud", "value": "info" });
    let level = admin.post(APP, body).await.json(201);
    assert_eq!(level["is_secret"], false);
    assert_eq!(level["source"], "app");
    assert_eq!(level["secret_key"], json!(null));
    assert_eq!(admin.get(APP).await.json(200), json!([level]));

    let path = &format!("{APP}/LEVEL");
    let body = json!({ "description": null, "value": "warn" });
    let changed = admin.put(path, body).await.json(200);
    assert_eq!((&changed["value"], &changed["description"]), (&json!("warn"), &json!("")));
    assert_eq!(changed["created_at"], level["created_at"]);
    assert_ne!(changed["updated_at"], level["updated_at"]);
    let changed = admin.patch(path, json!({ "description": "D" })).await.json(200);
    assert_eq!((&changed["value"], &changed["description"]), (&json!("warn"), &json!("D")));
    assert_eq!(admin.get(APP).await.json(200), json!([changed]));

    admin.delete(path).await.is(204);
    let _ = admin.delete(path).await.refused(404, "VAL-001");
    let _ = admin.put(path, json!({ "description": "" })).await.refused(404, "VAL-001");
    assert_eq!(admin.get(APP).await.json(200), json!([]));
}

#[tokio::test]
async fn an_environment_shows_the_merged_view() {
    let server = Server::start().await;
    let admin = shop(&server).await;
    admin.post(APP, plain("LEVEL", "info")).await.is(201);
    admin.post(APP, plain("PLACE", "here")).await.is(201);
    let _ = admin.put(&format!("{ENV}/LEVEL"), plain("LEVEL", "x")).await.refused(404, "VAL-001");
    admin.post(ENV, plain("LEVEL", "warn")).await.is(201);
    admin.post(ENV, plain("OWN", "1")).await.is(201);
    let _ = admin.post(ENV, plain("LEVEL", "warn")).await.refused(409, "API-409");

    let short = |values: &Value| -> Vec<String> {
        let short = |v: &Value| format!("{}={} {}", v["key"], v["value"], v["source"]);
        values.as_array().unwrap().iter().map(|v| short(v).replace('"', "")).collect()
    };
    let merged = admin.get(ENV).await.json(200);
    assert_eq!(short(&merged), ["LEVEL=warn env", "OWN=1 env", "PLACE=here app"]);
    let base = admin.get(APP).await.json(200);
    assert_eq!(short(&base), ["LEVEL=info app", "PLACE=here app"]);

    admin.delete(&format!("{ENV}/LEVEL")).await.is(204);
    let merged = admin.get(ENV).await.json(200);
    assert_eq!(short(&merged), ["LEVEL=info app", "OWN=1 env", "PLACE=here app"]);
    admin.delete(ENV).await.is(204);
    assert_eq!(short(&admin.get(ENV).await.json(200)), ["LEVEL=info app", "PLACE=here app"]);
    admin.delete(APP).await.is(204);
    assert_eq!(admin.get(ENV).await.json(200), json!([]));
}

#[tokio::test]
async fn secrets_go_to_the_store_and_never_come_back() {
    let server = Server::start().await;
    let admin = shop(&server).await;
    let body = json!({ "key": "KEY", "description": "", "is_secret": true, "value": "k1" });
    let secret = admin.post(APP, body).await.json(201);
    let store_key = "orgs--acme--apps--shop--secret_values--KEY";
    assert_eq!(secret["value"], "");
    assert_eq!(secret["secret_key"], store_key);
    assert_eq!(secret["secret_store_id"], STORE);
    assert_eq!(secret["secret_version"], "1");
    assert_eq!(server.vault.versions(store_key).await, ["k1"]);

    let path = &format!("{APP}/KEY");
    // The same plaintext again counts as well: v1 clients send it with each change.
    let body = json!({ "description": "D", "is_secret": true, "value": "k1" });
    assert_eq!(admin.put(path, body).await.json(200)["secret_version"], "2");
    let body = json!({ "secret_ref": { "value": "k2" } });
    assert_eq!(admin.patch(path, body).await.json(200)["secret_version"], "3");
    assert_eq!(server.vault.versions(store_key).await, ["k1", "k1", "k2"]);
    let body = json!({ "description": "only the text" });
    assert_eq!(admin.put(path, body).await.json(200)["secret_version"], "3");

    let body = json!({ "description": "", "secret_ref": { "store": "vault", "ref": "a/b" } });
    let reference = admin.put(path, body).await.json(200);
    assert_eq!(reference["secret_store_id"], "vault");
    assert_eq!(reference["secret_key"], "a/b");
    assert_eq!(reference["secret_version"], json!(null));

    let body = json!({ "key": "KEY", "description": "", "is_secret": true, "value": "e1" });
    let secret = admin.post(ENV, body).await.json(201);
    assert_eq!(
        secret["secret_key"],
        "orgs--acme--apps--shop--envs--development--secret_values--KEY"
    );
    let versions = admin.get("/orgs/acme/apps/shop/value-set-versions").await.json(200);
    for plaintext in ["k1", "k2", "e1"] {
        assert!(!versions.to_string().contains(&format!("\"{plaintext}\"")));
    }
}

#[tokio::test]
async fn refuses_what_contradicts_itself() {
    let server = Server::start().await;
    let admin = shop(&server).await;
    let refused = async |body: Value| admin.post(APP, body).await.refused(400, "API-400");
    for key in ["", "a b", "ä", "a/b"] {
        refused(plain(key, "x")).await;
    }
    refused(json!({ "key": "K", "value": "x" })).await;
    refused(json!({ "key": "K", "description": "" })).await;
    let with = |reference: Value| json!({ "key": "K", "description": "", "is_secret": true, "secret_ref": reference });
    refused(with(json!({}))).await;
    refused(with(json!({ "store": "vault" }))).await;
    refused(with(json!({ "ref": "a" }))).await;
    refused(with(json!({ "ref": "a", "value": "b" }))).await;
    refused(with(json!({ "store": "vault", "value": "b" }))).await;
    refused(with(json!({ "version": "1" }))).await;
    refused(with(json!({ "store": "humanitec", "ref": "a" }))).await;
    let mut both = with(json!({ "value": "b" }));
    both["value"] = json!("x");
    refused(both).await;
    let mut public = with(json!({ "value": "b" }));
    public["is_secret"] = json!(false);
    refused(public).await;

    admin.post(APP, plain("K", "x")).await.is(201);
    let path = &format!("{APP}/K");
    let body = json!({ "description": "", "is_secret": true, "value": "x" });
    let _ = admin.put(path, body).await.refused(400, "API-400");
    let body = json!({ "description": "", "key": "L", "value": "x" });
    let _ = admin.put(path, body).await.refused(400, "API-400");
    let _ = admin.put(path, json!({ "value": "x" })).await.refused(400, "API-400");
    let body = json!({ "key": "K", "description": "", "is_secret": true, "value": "x" });
    let _ = admin.post(ENV, body).await.refused(400, "API-400");
}

#[tokio::test]
async fn values_of_an_unknown_environment_are_400_as_in_v1() {
    let server = Server::start().await;
    let admin = shop(&server).await;
    let _ = admin.get("/orgs/acme/apps/shop/envs/none/values").await.refused(400, "API-400");
    let _ = admin.get("/orgs/acme/apps/none/values").await.refused(404, "API-404");
}
