use downbeat_testkit::Server;
use serde_json::json;

#[tokio::test]
async fn create_read_update_delete() {
    let server = Server::start().await;
    let admin = server.admin();
    assert_eq!(admin.get("/orgs/acme/apps").await.json(200), json!([]));

    let body = json!({ "id": "shop", "name": "Shop" });
    let shop = admin.post("/orgs/acme/apps", body).await.json(201);
    let development = json!({ "id": "development", "name": "Development", "type": "development" });
    assert_eq!(shop["envs"], json!([development]));
    assert_eq!(shop["org_id"], "acme");
    assert_eq!(shop["created_by"], "admin-user");
    assert_eq!(shop["status"], "active");

    assert_eq!(admin.get("/orgs/acme/apps/shop").await.json(200), shop);
    assert_eq!(admin.get("/orgs/acme/apps").await.json(200), json!([shop]));

    let renamed = admin.patch("/orgs/acme/apps/shop", json!({ "name": "Store" })).await.json(200);
    assert_eq!(renamed["name"], "Store");
    assert_eq!(admin.get("/orgs/acme/apps/shop").await.json(200), renamed);

    admin.delete("/orgs/acme/apps/shop").await.is(204);
    let _ = admin.get("/orgs/acme/apps/shop").await.refused(404, "API-404");
    let _ = admin.delete("/orgs/acme/apps/shop").await.refused(404, "API-404");
    let _ = admin.get("/orgs/acme/apps/shop/envs").await.refused(404, "API-404");
}

#[tokio::test]
async fn the_first_environment_is_the_callers_choice() {
    let server = Server::start().await;
    let admin = server.admin();
    let dev = json!({ "id": "dev", "name": "Dev", "type": "development" });
    let body = json!({ "id": "a1", "name": "A", "env": dev });
    assert_eq!(admin.post("/orgs/acme/apps", body).await.json(201)["envs"], json!([dev]));

    let body = json!({ "id": "a2", "name": "A", "skip_environment_creation": true });
    assert_eq!(admin.post("/orgs/acme/apps", body).await.json(201)["envs"], json!([]));
    assert_eq!(admin.get("/orgs/acme/apps/a2/envs").await.json(200), json!([]));

    let body = json!({ "id": "a3", "name": "A", "env": dev, "skip_environment_creation": true });
    let _ = admin.post("/orgs/acme/apps", body).await.refused(400, "API-400");

    let qa = json!({ "id": "qa", "name": "QA", "type": "unknown" });
    let body = json!({ "id": "a4", "name": "A", "env": qa });
    let message = admin.post("/orgs/acme/apps", body).await.refused(400, "API-400");
    assert_eq!(message, "There is no environment type with id `unknown`.");
    // Nothing of it is left.
    let _ = admin.get("/orgs/acme/apps/a4").await.refused(404, "API-404");

    let apps = admin.get("/orgs/acme/apps").await.json(200);
    let counts: Vec<_> =
        apps.as_array().unwrap().iter().map(|app| app["envs"].as_array().unwrap().len()).collect();
    assert_eq!(counts, [1, 0]);
}

#[tokio::test]
async fn refuses_bad_ids_names_and_repeats() {
    let server = Server::start().await;
    let admin = server.admin();
    for id in ["", "a", "-a", "a-", "a--b", "A1", "a_b", "a b", "ä1", &"a".repeat(51)] {
        let body = json!({ "id": id, "name": "A" });
        let _ = admin.post("/orgs/acme/apps", body).await.refused(400, "API-400");
    }
    let _ = admin
        .post("/orgs/acme/apps", json!({ "id": "shop", "name": "" }))
        .await
        .refused(400, "API-400");
    let body = json!({ "id": "shop", "name": "Shop" });
    admin.post("/orgs/acme/apps", body.clone()).await.is(201);
    let message = admin.post("/orgs/acme/apps", body).await.refused(409, "API-409");
    assert_eq!(message, "The application `shop` exists already.");
}

#[tokio::test]
async fn the_same_ids_after_a_deletion_are_new_things() {
    let server = Server::start().await;
    let admin = server.admin();
    let body = json!({ "id": "shop", "name": "Shop" });
    let value = json!({ "key": "K", "description": "", "value": "1" });
    admin.post("/orgs/acme/apps", body.clone()).await.is(201);
    admin.post("/orgs/acme/apps/shop/values", value).await.is(201);
    admin.delete("/orgs/acme/apps/shop").await.is(204);
    admin.post("/orgs/acme/apps", body).await.is(201);
    assert_eq!(admin.get("/orgs/acme/apps/shop/values").await.json(200), json!([]));
    assert_eq!(admin.get("/orgs/acme/apps/shop/value-set-versions").await.json(200), json!([]));
}
