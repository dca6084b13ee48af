use downbeat_testkit::{Client, Server};
use serde_json::{Value, json};

const APP: &str = "/orgs/acme/apps/shop";
const ENV: &str = "/orgs/acme/apps/shop/envs/development";
const NEWEST: &str = "00000000-0000-0000-0000-000000000000";

async fn shop(server: &Server) -> Client {
    let admin = server.admin();
    admin.post("/orgs/acme/apps", json!({ "id": "shop", "name": "Shop" })).await.is(201);
    admin
}

async fn set(client: &Client, level: &str, key: &str, value: &str) {
    let path = format!("{level}/values/{key}");
    let body = json!({ "key": key, "description": "", "value": value });
    if client.put(&path, body.clone()).await.status() == 404 {
        client.post(&format!("{level}/values"), body).await.is(201);
    }
}

async fn versions(client: &Client, level: &str) -> Vec<Value> {
    let list = client.get(&format!("{level}/value-set-versions")).await.json(200);
    list.as_array().unwrap().clone()
}

/// `KEY=value source` for each value.
fn values(version: &Value) -> Vec<String> {
    let values = version["values"].as_object().unwrap().values();
    values
        .map(|v| format!("{}={} {}", v["key"], v["value"], v["source"]).replace('"', ""))
        .collect()
}

fn changes(version: &Value) -> Vec<String> {
    let changes = version["change"].as_array().unwrap().iter();
    changes.map(|c| format!("{} {}", c["op"], c["path"]).replace('"', "")).collect()
}

#[tokio::test]
async fn every_change_makes_a_version() {
    let server = Server::start().await;
    let admin = shop(&server).await;
    set(&admin, APP, "A", "1").await;
    set(&admin, APP, "A", "2").await;
    set(&admin, APP, "B", "1").await;
    admin.delete(&format!("{APP}/values/B")).await.is(204);
    admin.delete(&format!("{APP}/values")).await.is(204);
    // Nothing to delete, nothing changes.
    admin.delete(&format!("{APP}/values")).await.is(204);

    let list = versions(&admin, APP).await;
    let results: Vec<_> = list.iter().map(|version| version["result_of"].clone()).collect();
    let names = [
        "app_values_delete",
        "app_value_delete",
        "app_value_create",
        "app_value_update",
        "app_value_create",
    ];
    assert_eq!(results, names);
    assert_eq!(changes(&list[4]), ["add /A"]);
    assert_eq!(changes(&list[3]), ["replace /A/updated_at", "replace /A/value"]);
    assert_eq!(changes(&list[1]), ["remove /B"]);
    assert_eq!(values(&list[2]), ["A=2 app", "B=1 app"]);
    assert_eq!(list[0]["values"], json!({}));

    let path = format!("{APP}/value-set-versions");
    let id = list[3]["id"].as_str().unwrap();
    assert_eq!(admin.get(&format!("{path}/{id}")).await.json(200), list[3]);
    assert_eq!(admin.get(&format!("{path}/{NEWEST}")).await.json(200), list[0]);
    let of_b = admin.get(&format!("{path}?key_changed=B")).await.json(200);
    assert_eq!(of_b, json!([list[1], list[2]]));
    let _ = admin.get(&format!("{path}/none")).await.refused(404, "API-404");
}

#[tokio::test]
async fn an_environment_follows_the_application() {
    let server = Server::start().await;
    let admin = shop(&server).await;
    let _ = admin.get(&format!("{ENV}/value-set-versions/{NEWEST}")).await.refused(404, "API-404");
    set(&admin, APP, "A", "1").await;
    // Without overrides, the answer is that of the application.
    assert_eq!(versions(&admin, ENV).await, versions(&admin, APP).await);

    set(&admin, ENV, "B", "2").await;
    let list = versions(&admin, ENV).await;
    assert_eq!(list.len(), 2);
    assert_eq!(list[0]["result_of"], "env_value_create");
    assert_eq!(values(&list[0]), ["A=1 app", "B=2 env"]);
    assert_eq!(changes(&list[0]), ["add /B"]);
    assert_eq!(versions(&admin, APP).await.len(), 1);

    set(&admin, APP, "A", "3").await;
    let list = versions(&admin, ENV).await;
    assert_eq!(list.len(), 3);
    assert_eq!(list[0]["result_of"], "app_value_update");
    assert_eq!(values(&list[0]), ["A=3 app", "B=2 env"]);
    let newest = admin.get(&format!("{ENV}/value-set-versions/{NEWEST}")).await.json(200);
    assert_eq!(newest, list[0]);
    // The version that was inherited is still there, the later one of the application is not.
    let old = list[2]["id"].as_str().unwrap();
    admin.get(&format!("{ENV}/value-set-versions/{old}")).await.is(200);
    let other = versions(&admin, APP).await[0]["id"].as_str().unwrap().to_owned();
    let _ = admin.get(&format!("{ENV}/value-set-versions/{other}")).await.refused(404, "API-404");
}

#[tokio::test]
async fn restoring_brings_back_what_was() {
    let server = Server::start().await;
    let admin = shop(&server).await;
    set(&admin, APP, "A", "1").await;
    set(&admin, APP, "B", "1").await;
    let then = versions(&admin, APP).await[0]["id"].as_str().unwrap().to_owned();
    set(&admin, APP, "A", "2").await;
    set(&admin, APP, "C", "2").await;
    admin.delete(&format!("{APP}/values/B")).await.is(204);

    let path = format!("{APP}/value-set-versions/{then}/restore");
    let one = admin.post(&format!("{path}/B"), json!({})).await.json(200);
    assert_eq!(values(&one), ["A=2 app", "B=1 app", "C=2 app"]);
    let _ = admin.post(&format!("{path}/C"), json!({})).await.refused(400, "API-400");

    let all = admin.post(&path, json!({ "comment": "oops" })).await.json(200);
    assert_eq!(values(&all), ["A=1 app", "B=1 app"]);
    assert_eq!(all["comment"], "oops");
    assert_eq!(all["result_of"], "app_value_set_version_restore");
    assert_eq!(all["source_value_set_version_id"], json!(then));
    assert_eq!(versions(&admin, APP).await[0], all);
    let path = format!("{APP}/value-set-versions/none/restore");
    let _ = admin.post(&path, json!({})).await.refused(404, "API-404");
}

#[tokio::test]
async fn restoring_an_environment_restores_its_overrides() {
    let server = Server::start().await;
    let admin = shop(&server).await;
    set(&admin, APP, "A", "1").await;
    set(&admin, ENV, "A", "own").await;
    let then = versions(&admin, ENV).await[0]["id"].as_str().unwrap().to_owned();
    admin.delete(&format!("{ENV}/values")).await.is(204);
    set(&admin, ENV, "B", "late").await;
    set(&admin, APP, "A", "2").await;

    let path = format!("{ENV}/value-set-versions/{then}/restore");
    let restored = admin.post(&path, json!({})).await.json(200);
    assert_eq!(values(&restored), ["A=own env"]);
    assert_eq!(restored["result_of"], "env_value_set_version_restore");
}

#[tokio::test]
async fn purging_takes_a_value_out_of_history() {
    let server = Server::start().await;
    let admin = shop(&server).await;
    set(&admin, APP, "A", "oh-no").await;
    set(&admin, APP, "B", "1").await;
    set(&admin, ENV, "C", "1").await;
    let then = versions(&admin, APP).await[0]["id"].as_str().unwrap().to_owned();
    let path = format!("{APP}/value-set-versions/{then}/purge");
    let message = admin.post(&format!("{path}/A"), json!({})).await.refused(400, "API-400");
    assert_eq!(message, "The value of `A` is the present one.");

    set(&admin, APP, "A", "fine").await;
    admin.post(&format!("{path}/A"), json!({ "comment": "leak" })).await.is(204);
    for level in [APP, ENV] {
        let list = versions(&admin, level).await;
        assert!(!json!(list).to_string().contains("oh-no"), "{level}");
        assert!(json!(list).to_string().contains("fine"), "{level}");
    }
    let list = versions(&admin, APP).await;
    assert_eq!(list[0]["result_of"], "app_value_set_version_purge");
    assert_eq!(list[0]["comment"], "leak");
    assert_eq!(values(&list[0]), ["A=fine app", "B=1 app"]);
    let restore = format!("{APP}/value-set-versions/{then}/restore/A");
    let _ = admin.post(&restore, json!({})).await.refused(400, "API-400");
    let _ = admin.post(&format!("{path}/none"), json!({})).await.refused(400, "API-400");
}
