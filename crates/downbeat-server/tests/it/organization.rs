use downbeat_testkit::Server;
use serde_json::json;

#[tokio::test]
async fn health_needs_no_token() {
    let server = Server::start().await;
    let health = server.anonymous().get("/health").await.json(200);
    assert_eq!(health, json!({ "status": "ok", "version": env!("CARGO_PKG_VERSION") }));
    let document = server.anonymous().get("/openapi.json").await.json(200);
    assert_eq!(document["openapi"], "3.1.0");
}

#[tokio::test]
async fn lists_and_shows_organizations() {
    let server = Server::start().await;
    let admin = server.admin();
    let list = admin.get("/orgs").await.json(200);
    assert_eq!(list[0]["id"], "acme");
    assert_eq!(list[0]["logo"], json!({}));
    assert_eq!(list[0]["trial_expires_at"], json!(null));
    assert_eq!(admin.get("/orgs/acme").await.json(200), list[0]);
    let message = admin.get("/orgs/other").await.refused(404, "API-404");
    assert_eq!(message, "There is no organization with id `other`.");
}
