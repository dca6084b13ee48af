use downbeat_testkit::Server;
use serde_json::json;

const TYPES: &str = "/orgs/acme/env-types";

#[tokio::test]
async fn create_read_update_delete() {
    let server = Server::start().await;
    let admin = server.admin();
    let list = admin.get(TYPES).await.json(200);
    assert_eq!(list[0]["id"], "development");

    let body = json!({ "id": "production", "description": "Careful" });
    let production = admin.post(TYPES, body.clone()).await.json(201);
    assert_eq!(production, body);
    let body = json!({ "id": "qa" });
    let qa = admin.post(TYPES, body).await.json(201);
    assert_eq!(qa, json!({ "id": "qa", "description": "" }));

    let path = "/orgs/acme/env-types/qa";
    let changed = admin.patch(path, json!({ "description": "Tests" })).await.json(200);
    assert_eq!(changed, json!({ "id": "qa", "description": "Tests" }));
    assert_eq!(admin.patch(path, json!({ "description": null })).await.json(200), changed);
    assert_eq!(admin.get(path).await.json(200), changed);

    admin.delete(path).await.is(204);
    let _ = admin.get(path).await.refused(404, "API-404");
    let _ = admin.delete(path).await.refused(404, "API-404");
    let _ = admin.patch(path, json!({})).await.refused(404, "API-404");
}

#[tokio::test]
async fn a_type_in_use_stays_and_the_answer_lists_where() {
    let server = Server::start().await;
    let admin = server.admin();
    admin.post("/orgs/acme/apps", json!({ "id": "shop", "name": "Shop" })).await.is(201);
    let conflicts = admin.delete("/orgs/acme/env-types/development").await.json(409);
    assert_eq!(conflicts, json!([{ "app_id": "shop", "env_id": "development" }]));
}

#[tokio::test]
async fn refuses_bad_ids_and_repeats() {
    let server = Server::start().await;
    let admin = server.admin();
    let _ = admin.post(TYPES, json!({ "id": "X" })).await.refused(400, "API-400");
    let _ = admin.post(TYPES, json!({ "id": "development" })).await.refused(409, "API-409");
    let _ = admin.post(TYPES, json!({})).await.refused(400, "API-400");
}
