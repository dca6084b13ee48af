//! Paths, methods, and what surrounds an answer.

use downbeat_testkit::Server;
use serde_json::json;

#[tokio::test]
async fn an_encoded_slash_stays_inside_its_segment() {
    let server = Server::start().await;
    let admin = server.admin();
    let message = admin.get("/orgs/acme%2Fapps").await.refused(404, "API-404");
    assert_eq!(message, "There is no organization with id `acme/apps`.");
    let message = admin.get("/orgs/acme/env-types/a%2fb%20c%25").await.refused(404, "API-404");
    assert_eq!(message, "There is no environment type with id `a/b c%`.");
    admin.get("/orgs/ac%6De").await.is(200);
    let _ = admin.get("/orgs/%FF").await.refused(400, "API-400");
}

#[tokio::test]
async fn unknown_operations_are_answered_in_json() {
    let server = Server::start().await;
    for client in [server.admin(), server.anonymous()] {
        let message = client.get("/nothing/here").await.refused(404, "API-404");
        assert_eq!(message, "There is no operation `GET /nothing/here`.");
        let answer = client.put("/orgs", json!({})).await;
        assert_eq!(answer.header("allow"), Some("GET,HEAD"));
        let _ = answer.refused(405, "API-405");
    }
    let _ = server.admin().get("/orgs/").await.refused(404, "API-404");
    let _ = server.admin().get("/orgs/acme/apps/").await.refused(404, "API-404");
}

#[tokio::test]
async fn unknown_parameters_and_fields_are_ignored() {
    let server = Server::start().await;
    let admin = server.admin();
    admin.get("/orgs/acme/apps?deleted=false&per_page=50&x=%FF&&=").await.is(200);
    let body = json!({ "id": "shop", "name": "Shop", "metadata": { "url": "x" }, "env": null });
    admin.post("/orgs/acme/apps?dry=1", body).await.is(201);
}

#[tokio::test]
async fn null_means_absent() {
    let server = Server::start().await;
    let admin = server.admin();
    let body = json!({
        "id": "shop", "name": "Shop", "env": null, "skip_environment_creation": null,
    });
    admin.post("/orgs/acme/apps", body).await.is(201);
    let modules = json!({ "add": null, "remove": null, "update": null });
    let deltas = "/orgs/acme/apps/shop/deltas";
    for body in [
        json!({ "modules": modules, "shared": null }),
        json!({ "modules": null, "metadata": null }),
        json!({ "modules": { "add": { "web": null } } }),
    ] {
        admin.post(deltas, body).await.is(200);
    }
}

#[tokio::test]
async fn a_request_has_an_id_and_a_bodiless_get_may_declare_json() {
    let server = Server::start().await;
    let admin = server.admin();
    let one = admin.get("/orgs").await;
    let two = admin.send_raw("GET", "/orgs", Some(("application/json", Vec::new()))).await;
    two.is(200);
    assert_ne!(one.header("x-request-id"), two.header("x-request-id"));
    let head = admin.send("HEAD", "/health", None).await;
    assert_eq!(head.status(), 200);
}

#[tokio::test]
async fn what_is_not_there_yet_says_so() {
    let server = Server::start().await;
    let Some((method, path, operation)) = downbeat_server::not_yet::rows().last() else { return };
    let path = path.split('/').map(|part| match part {
        "{orgId}" => "acme",
        part if part.starts_with('{') => "xx",
        part => part,
    });
    let path = path.collect::<Vec<_>>().join("/");
    let body = server.admin().send(method, &path, None).await.json(501);
    assert_eq!(body["error"], "API-501");
    assert_eq!(body["details"]["operation"], operation);
}
