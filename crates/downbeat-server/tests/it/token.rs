use downbeat_testkit::{Client, Server};
use serde_json::json;

async fn robot(admin: &Client, name: &str) -> String {
    let body = json!({ "name": name, "role": "member" });
    let user = admin.post("/orgs/acme/users", body).await.json(200);
    format!("/users/{}/tokens", user["id"].as_str().unwrap())
}

#[tokio::test]
async fn make_list_show_revoke() {
    let server = Server::start().await;
    let admin = server.admin();
    let tokens = &robot(&admin, "Robot").await;
    let body = json!({ "id": "ci", "type": "static", "expires_at": "2030-01-01T00:00:00Z" });
    let new = admin.post(tokens, body).await.json(200);
    let token = new["token"].as_str().unwrap();
    assert!(token.starts_with("dbt_"));

    let shown = admin.get(&format!("{tokens}/ci")).await.json(200);
    assert_eq!(shown["expires_at"], "2030-01-01T00:00:00Z");
    assert_eq!(shown["description"], "");
    assert_eq!(shown["created_by"], "admin-user");
    assert_eq!(shown.get("token"), None);
    assert_eq!(admin.get(tokens).await.json(200), json!([shown]));

    let client = server.with_token(token);
    client.get(tokens).await.is(200);
    admin.delete(&format!("{tokens}/ci")).await.is(204);
    let _ = client.get(tokens).await.refused(401, "API-401");
    let _ = admin.get(&format!("{tokens}/ci")).await.refused(404, "API-404");
    let _ = admin.delete(&format!("{tokens}/ci")).await.refused(404, "API-404");
}

#[tokio::test]
async fn ids_are_unique_for_one_user_only() {
    let server = Server::start().await;
    let admin = server.admin();
    let (one, two) = (robot(&admin, "One").await, robot(&admin, "Two").await);
    let body = json!({ "id": "ci", "type": "static" });
    admin.post(&one, body.clone()).await.is(200);
    admin.post(&two, body.clone()).await.is(200);
    let _ = admin.post(&one, body).await.refused(409, "API-409");
}

#[tokio::test]
async fn go_clients_write_never_as_year_one() {
    let server = Server::start().await;
    let admin = server.admin();
    let tokens = &robot(&admin, "Robot").await;
    let body = json!({ "id": "ci", "type": "static", "expires_at": "0001-01-01T00:00:00Z" });
    admin.post(tokens, body).await.is(200);
    assert_eq!(admin.get(&format!("{tokens}/ci")).await.json(200).get("expires_at"), None);
    let body = json!({ "id": "old", "type": "static", "expires_at": "2020-01-01T00:00:00Z" });
    let _ = admin.post(tokens, body).await.refused(400, "API-400");
}

#[tokio::test]
async fn only_administrators_manage_tokens_of_others_and_only_of_service_users() {
    let server = Server::start().await;
    let admin = server.admin();
    let member = server.with_role("member").await;
    let tokens = &robot(&admin, "Robot").await;
    let _ = member.get(tokens).await.refused(403, "API-403");
    let _ = member.get("/users/admin-user/tokens").await.refused(403, "API-403");
    let _ = admin.get("/users/nobody/tokens").await.refused(403, "API-403");
    let body = json!({ "id": "ci", "type": "static" });
    let _ = admin.post("/users/admin-user/tokens", body).await.refused(400, "API-400");
    let body = json!({ "id": "ci", "type": "session" });
    let _ = admin.post(tokens, body).await.refused(400, "API-400");
    let mine = admin.get("/users/admin-user/tokens").await.json(200);
    assert_eq!(mine[0]["id"], "first");
}
