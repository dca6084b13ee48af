use downbeat_testkit::Server;
use serde_json::json;

const USERS: &str = "/orgs/acme/users";

#[tokio::test]
async fn who_am_i() {
    let server = Server::start().await;
    let me = server.admin().get("/current-user").await.json(200);
    assert_eq!(me["id"], "admin-user");
    assert_eq!(me["type"], "user");
    assert_eq!(me["roles"], json!({ "/orgs/acme": "administrator" }));
    assert_eq!(me["properties"], json!({}));
}

#[tokio::test]
async fn service_users_come_and_go() {
    let server = Server::start().await;
    let admin = server.admin();
    let robot = admin.post(USERS, json!({ "name": "Robot", "role": "member" })).await.json(200);
    assert_eq!(robot["type"], "service");
    assert_eq!(robot.get("email"), None);
    let path = &format!("{USERS}/{}", robot["id"].as_str().unwrap());
    let shown = admin.get(path).await.json(200);
    assert_eq!(shown["role"], "member");
    assert_eq!(shown["created_at"], robot["created_at"]);
    let changed = admin.patch(path, json!({ "role": "manager" })).await.json(200);
    assert_eq!(changed["role"], "manager");

    let list = admin.get(USERS).await.json(200);
    assert_eq!(list.as_array().unwrap().len(), 2);
    assert_eq!(list[1], changed);
    assert_eq!(admin.get(&format!("{USERS}?type=group")).await.json(200), json!([]));
    assert_eq!(admin.get(&format!("{USERS}?type=user&x=y")).await.json(200), list);

    admin.delete(path).await.is(204);
    // v1 answers 403 here, and clients rely on it.
    let _ = admin.get(path).await.refused(403, "API-403");
    let _ = admin.delete(path).await.refused(404, "API-404");
}

#[tokio::test]
async fn refuses_unknown_roles_and_losing_the_last_administrator() {
    let server = Server::start().await;
    let admin = server.admin();
    let _ =
        admin.post(USERS, json!({ "name": "Robot", "role": "king" })).await.refused(400, "API-400");
    // A service user does not count: nobody could log in as it.
    admin.post(USERS, json!({ "name": "Robot", "role": "administrator" })).await.is(200);
    let path = &format!("{USERS}/admin-user");
    let message = admin.delete(path).await.refused(400, "API-400");
    assert_eq!(message, "`Ada Admin` is the last administrator of `acme`.");
    let _ = admin.patch(path, json!({ "role": "member" })).await.refused(400, "API-400");
    admin.patch(path, json!({ "role": "administrator" })).await.is(200);
}
