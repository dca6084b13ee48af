//! Resource classes.

use downbeat_testkit::Server;
use serde_json::json;

#[tokio::test]
async fn a_session_with_a_resource_class() {
    let server = Server::start().await;
    let admin = server.admin();
    let classes = "/orgs/acme/resources/types/postgres/classes";
    let new = json!({"id": "large", "description": "For reports"});
    let made = admin.post(classes, new.clone()).await.json(200);
    assert_eq!(made["resource_type"], "postgres");
    assert_eq!(made["created_by"], "admin-user");
    let path = format!("{classes}/large");
    assert_eq!(admin.get(&path).await.json(200), made);
    assert_eq!(admin.get("/orgs/acme/resources/classes").await.json(200), json!([made]));
    let _ = admin.post(classes, new).await.refused(409, "API-409");
    let patched = admin.patch(&path, json!({"description": "For all"})).await.json(200);
    assert_eq!(patched["description"], "For all");
    assert_eq!(patched["created_at"], made["created_at"]);
    admin.delete(&path).await.is(204);
    let _ = admin.get(&path).await.refused(404, "API-404");
    let _ = admin.patch(&path, json!({"description": ""})).await.refused(404, "API-404");
    let _ = admin.delete(&path).await.refused(404, "API-404");

    let bad = json!({"id": "Large", "description": ""});
    let _ = admin.post(classes, bad).await.refused(400, "API-400");
    let new = json!({"id": "large", "description": ""});
    let missing = "/orgs/acme/resources/types/postgers/classes";
    let _ = admin.post(missing, new).await.refused(400, "RES-007");
}

#[tokio::test]
async fn a_class_of_a_custom_type_goes_with_it() {
    let server = Server::start().await;
    let admin = server.admin();
    let kind = json!({"type": "acme/bucket", "use": "direct"});
    admin.post("/orgs/acme/resources/types", kind).await.is(200);
    let classes = "/orgs/acme/resources/types/acme%2Fbucket/classes";
    let made = admin.post(classes, json!({"id": "cold", "description": ""})).await.json(200);
    assert_eq!(made["resource_type"], "acme/bucket");
    admin.delete("/orgs/acme/resources/types/acme%2Fbucket").await.is(204);
    let _ = admin.get(&format!("{classes}/cold")).await.refused(404, "API-404");
}
