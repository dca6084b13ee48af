//! Who may do what.

use std::time::Duration;

use downbeat_server::{
    bootstrap::{self, FirstOrganization},
    not_yet,
    state::Clock as _,
};
use downbeat_testkit::{ORG, Server};
use serde_json::json;

#[tokio::test]
async fn every_operation_refuses_an_anonymous_caller() {
    let server = Server::start().await;
    let anonymous = server.anonymous();
    let document = downbeat_server::router::document();
    let mut walked = 0;
    for (path, item) in document["paths"].as_object().unwrap() {
        for (verb, operation) in item.as_object().unwrap() {
            if operation["security"] == json!([]) {
                continue;
            }
            let path: Vec<&str> = path
                .split('/')
                .map(|part| if part.starts_with('{') { "xx" } else { part })
                .collect();
            let answer = anonymous.send(&verb.to_uppercase(), &path.join("/"), None).await;
            assert_eq!(answer.header("www-authenticate"), Some("Bearer"), "{verb} {path:?}");
            let _ = answer.refused(401, "API-401");
            walked += 1;
        }
    }
    assert!(walked >= 221, "only {walked} operations");
}

#[tokio::test]
async fn refuses_what_is_not_a_valid_token() {
    let server = Server::start().await;
    let message = server.with_token("nonsense").get("/orgs").await.refused(401, "API-401");
    assert_eq!(message, "The token is not known, or was revoked.");

    let http = reqwest::Client::new();
    let ask = async |header: &str| {
        let request = http.get(format!("{}/orgs", server.base)).header("authorization", header);
        request.send().await.unwrap().status().as_u16()
    };
    let token = server.token();
    assert_eq!(ask(&format!("Bearer {token}")).await, 200);
    assert_eq!(ask(&format!("bearer {token}")).await, 200);
    assert_eq!(ask(&format!("JWT {token}")).await, 200);
    assert_eq!(ask(&format!("Basic {token}")).await, 401);
    assert_eq!(ask(token).await, 401);
    assert_eq!(ask("Bearer ").await, 401);
}

#[tokio::test]
async fn a_token_ends() {
    let server = Server::start().await;
    let admin = server.admin();
    let body = json!({ "name": "robot", "role": "member" });
    let user = admin.post("/orgs/acme/users", body).await.json(200);
    let tokens = format!("/users/{}/tokens", user["id"].as_str().unwrap());
    let body = json!({ "id": "t", "type": "static", "expires_at": "2026-01-31T13:00:00Z" });
    let token = admin.post(&tokens, body).await.json(200);
    let robot = server.with_token(token["token"].as_str().unwrap());
    robot.get("/orgs").await.is(200);
    server.clock.advance(Duration::from_secs(3600));
    let message = robot.get("/orgs").await.refused(401, "API-401");
    assert_eq!(message, "The token has expired.");
}

#[tokio::test]
async fn other_roles_only_read() {
    let server = Server::start().await;
    let member = server.with_role("member").await;
    member.get("/orgs/acme/apps").await.is(200);
    let body = json!({ "id": "shop", "name": "Shop" });
    let message = member.post("/orgs/acme/apps", body.clone()).await.refused(403, "API-403");
    assert_eq!(message, "Your role `member` in `acme` does not allow this.");
    server.admin().post("/orgs/acme/apps", body).await.is(201);
    member.get("/orgs/acme/apps/shop").await.is(200);
    let _ = member.delete("/orgs/acme/apps/shop").await.refused(403, "API-403");
}

/// Another organization on the same server, and the token of its administrator.
pub(crate) async fn neighbour(server: &Server) -> String {
    let first = FirstOrganization {
        org_id: "neighbour".to_owned(),
        org_name: "Neighbour".to_owned(),
        admin_id: Some("other-admin".to_owned()),
        admin_name: "Otto Other".to_owned(),
        admin_email: None,
        token: None,
    };
    let token = bootstrap::organization(&server.db, server.clock.now(), first).await.unwrap();
    token.expose().to_owned()
}

#[tokio::test]
async fn no_operation_tells_a_neighbour_anything() {
    let server = Server::start().await;
    let token = neighbour(&server).await;
    let other = server.with_token(&token);
    let admin = server.admin();
    admin.post("/orgs/acme/apps", json!({ "id": "shop", "name": "Shop" })).await.is(201);

    let document = downbeat_server::router::document();
    for (path, item) in document["paths"].as_object().unwrap() {
        let Some(rest) = path.strip_prefix("/orgs/{orgId}") else { continue };
        let rest = rest.replace("{appId}", "shop").replace("{envId}", "development");
        for (verb, operation) in item.as_object().unwrap() {
            let path = format!("/orgs/acme{rest}").replace(['{', '}'], "");
            let body = operation.get("requestBody").map(|_| json!({}));
            let answer = other.send(&verb.to_uppercase(), &path, body).await;
            let is_there = operation.get(not_yet::MARK).is_none();
            let expected: &[u16] = if is_there { &[404, 400, 422] } else { &[501] };
            assert!(expected.contains(&answer.status()), "{verb} {path}: {}", answer.status());
        }
    }
    let orgs = other.get("/orgs").await.json(200);
    assert_eq!(orgs.as_array().unwrap().len(), 1);
    assert_eq!(orgs[0]["id"], "neighbour");
    let robot = admin.post("/orgs/acme/users", json!({ "name": "R", "role": "member" })).await;
    let tokens = format!("/users/{}/tokens", robot.json(200)["id"].as_str().unwrap());
    let _ = other.get(&tokens).await.refused(403, "API-403");
    let body = json!({ "id": "t", "type": "static" });
    let _ = other.post(&tokens, body).await.refused(403, "API-403");
}

/// The local store keeps the secrets of all organizations, under keys that can be guessed.
#[tokio::test]
async fn nobody_refers_to_what_the_server_sealed() {
    let server = Server::start().await;
    let admin = server.admin();
    let other = server.with_token(&neighbour(&server).await);
    let app = json!({ "id": "shop", "name": "Shop" });
    let secret = json!({ "key": "KEY", "description": "", "is_secret": true, "value": "mine" });
    let definition = json!({
        "id": "dns-1", "name": "n", "type": "dns", "driver_type": "humanitec/echo",
        "driver_inputs": { "secrets": { "a": "mine" } },
    });
    for (client, org) in [(&admin, "acme"), (&other, "neighbour")] {
        client.post(&format!("/orgs/{org}/apps"), app.clone()).await.is(201);
        client.post(&format!("/orgs/{org}/apps/shop/values"), secret.clone()).await.is(201);
        client.post(&format!("/orgs/{org}/resources/defs"), definition.clone()).await.is(200);
    }
    let value = admin.get("/orgs/acme/apps/shop/values").await.json(200)[0].clone();
    let shown = admin.get("/orgs/acme/resources/defs/dns-1").await.json(200);
    let stolen = [
        json!({ "store": value["secret_store_id"], "ref": value["secret_key"] }),
        shown["driver_inputs"]["secret_refs"]["a"].clone(),
    ];
    // Not even one's own: such a reference would stay when the secret changes hands.
    for (client, org) in [(&other, "neighbour"), (&admin, "acme")] {
        let values = [
            format!("/orgs/{org}/apps/shop/values"),
            format!("/orgs/{org}/apps/shop/envs/development/values"),
        ];
        let definitions = format!("/orgs/{org}/resources/defs");
        for reference in &stolen {
            let new = json!({
                "key": "NEW", "description": "", "is_secret": true, "secret_ref": reference,
            });
            let change = json!({ "description": "", "secret_ref": reference });
            let inputs = json!({ "secret_refs": { "a": { "deep": reference } } });
            let mut define = definition.clone();
            define["id"] = json!("dns-2");
            define["driver_inputs"] = inputs.clone();
            let redefine = json!({ "name": "n", "driver_inputs": inputs });
            let (key, own) = (format!("{}/KEY", values[0]), format!("{definitions}/dns-1"));
            for (verb, path, body) in [
                ("POST", &values[0], &new),
                ("POST", &values[1], &new),
                ("PUT", &key, &change),
                ("PATCH", &key, &change),
                ("POST", &definitions, &define),
                ("PUT", &own, &redefine),
                ("PATCH", &own, &redefine),
            ] {
                let answer = client.send(verb, path, Some(body.clone())).await.json(400);
                let hint = answer["details"]["hint"].as_str().unwrap();
                assert!(hint.contains("`value`"), "{verb} {path}: {answer}");
            }
        }
    }
    for (client, org) in [(&admin, "acme"), (&other, "neighbour")] {
        let values = client.get(&format!("/orgs/{org}/apps/shop/values")).await.json(200);
        assert_eq!(values.as_array().unwrap().len(), 1);
        let key = values[0]["secret_key"].as_str().unwrap();
        assert!(key.starts_with(&format!("orgs--{org}--")), "{key}");
    }
}

#[tokio::test]
async fn setting_up_an_organization_twice_changes_nothing() {
    let server = Server::start().await;
    let first = FirstOrganization {
        org_id: ORG.to_owned(),
        org_name: "Again".to_owned(),
        admin_id: Some("other-admin".to_owned()),
        admin_name: "Otto Other".to_owned(),
        admin_email: None,
        token: None,
    };
    let again = bootstrap::organization(&server.db, server.clock.now(), first).await;
    assert_eq!(again.unwrap_err().status().as_u16(), 409);
    let users = server.admin().get("/orgs/acme/users").await.json(200);
    assert_eq!(users.as_array().unwrap().len(), 1);
}

/// The invariant of `downbeat_store::scope`: in this crate, scopes come from one place.
#[test]
fn only_the_access_module_grants_scopes() {
    let mut folders = vec![std::path::PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("src")];
    let mut granting = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if std::fs::read_to_string(&path).unwrap().contains("::granted(") {
                granting.push(path.file_name().unwrap().to_owned());
            }
        }
    }
    assert_eq!(granting, ["access.rs"]);
}

#[tokio::test]
async fn an_unknown_organization_is_not_there_for_anybody() {
    let server = Server::start().await;
    let _ = server.admin().get("/orgs/other/apps").await.refused(404, "API-404");
    let body = json!({ "id": "shop", "name": "Shop" });
    let _ = server.admin().post("/orgs/other/apps", body).await.refused(404, "API-404");
}
