//! Who may do what.

use std::{collections::BTreeMap, env, fmt::Write as _, fs, path::Path, time::Duration};

use downbeat_access::{Action, Object, Role, Roles, allows};
use downbeat_server::{
    access::operations::{self, Needs},
    bootstrap::{self, FirstOrganization},
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

/// What somebody has, as paths below the organization and roles.
type Held = [(&'static str, &'static str)];

/// Everybody who is tried, by name.
const EVERYBODY: [(&str, &Held); 11] = [
    ("member", &[("", "member")]),
    ("contributor", &[("", "artefactContributor")]),
    ("manager", &[("", "manager")]),
    ("org viewer", &[("", "orgViewer")]),
    ("deployer", &[("", "member"), ("/env-types/development", "deployer")]),
    ("viewer", &[("", "member"), ("/apps/shop", "viewer")]),
    ("developer", &[("", "member"), ("/apps/shop", "developer")]),
    ("owner", &[("", "member"), ("/apps/shop", "owner")]),
    (
        "deploying developer",
        &[("", "member"), ("/apps/shop", "developer"), ("/env-types/development", "deployer")],
    ),
    (
        "deploying owner",
        &[("", "member"), ("/apps/shop", "owner"), ("/env-types/development", "deployer")],
    ),
    ("administrator", &[("", "administrator")]),
];

fn roles(held: &Held) -> Roles {
    let role = |(object, name): &(&str, &str)| {
        let object = match object.split('/').nth(1) {
            None => Object::Organization,
            Some("apps") => Object::Application,
            Some(_) => Object::EnvironmentType,
        };
        Role::parse(object, name).unwrap()
    };
    held.iter().map(role).fold(Roles::NONE, Roles::with)
}

/// Every operation of the document, with what the table says that it needs.
fn operations() -> Vec<(String, String, Needs)> {
    let document = downbeat_server::router::document();
    let rows = operations::rows();
    let mut table: BTreeMap<_, _> =
        rows.map(|(method, path, needs)| (format!("{method} {path}"), needs.unwrap())).collect();
    let mut found = Vec::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (verb, operation) in item.as_object().unwrap() {
            let method = verb.to_uppercase();
            let needs = table.remove(&format!("{method} {path}"));
            let needs = needs.unwrap_or_else(|| panic!("{method} {path} is not in the table"));
            assert!(operation["security"] != json!([]) || needs == Needs::Token, "{method} {path}");
            found.push((method, path.clone(), needs));
        }
    }
    assert!(table.is_empty(), "not in the document: {table:?}");
    found
}

#[tokio::test]
async fn each_role_may_do_what_the_table_says() {
    let server = Server::start().await;
    server.admin().post("/orgs/acme/apps", json!({ "id": "shop", "name": "Shop" })).await.is(201);
    let mut asked = 0;
    for (who, held) in EVERYBODY {
        let client = server.with_roles(held).await;
        let roles = roles(held);
        for (method, path, needs) in operations() {
            let Needs::Action(action) = needs else { continue };
            let is_allowed = allows(roles, action);
            // Left to the tests below: others need them.
            let destroys =
                method == "DELETE" && (path.ends_with("{appId}") || path.ends_with("{envId}"));
            if is_allowed && destroys {
                continue;
            }
            let at = path
                .replace("{orgId}", "acme")
                .replace("{appId}", "shop")
                .replace("{envId}", "development")
                .replace(['{', '}'], "");
            let body = matches!(method.as_str(), "POST" | "PUT" | "PATCH").then(|| json!(null));
            let answer = client.send(&method, &at, body).await;
            let status = answer.status();
            let case = format!("{who}: {method} {path} needs {}: {status}", action.name());
            asked += 1;
            if is_allowed {
                // Whom nobody knows is answered 403 by v1.
                let quirk = path == "/orgs/{orgId}/users/{userId}" && method == "GET";
                assert!(quirk || ![401, 403].contains(&status), "{case}");
                assert_ne!(status, 500, "{case}");
            } else if allows(roles, action.to_know()) {
                assert_eq!(status, 403, "{case}");
            } else {
                assert_eq!(status, 404, "{case}");
            }
        }
    }
    assert!(asked > 2000, "{asked}");
}

#[tokio::test]
async fn two_keys_are_needed_for_an_environment() {
    let server = Server::start().await;
    let admin = server.admin();
    admin.post("/orgs/acme/apps", json!({ "id": "shop", "name": "Shop" })).await.is(201);
    admin.post("/orgs/acme/env-types", json!({ "id": "production" })).await.is(201);
    let developer = server
        .with_roles(&[
            ("", "member"),
            ("/apps/shop", "developer"),
            ("/env-types/development", "deployer"),
        ])
        .await;
    let envs = "/orgs/acme/apps/shop/envs";
    let new = |id: &str, kind: &str| json!({ "id": id, "name": id, "type": kind });
    developer.post(envs, new("second", "development")).await.is(201);
    let message = developer.post(envs, new("live", "production")).await.refused(403, "API-403");
    assert_eq!(message, "Your roles do not allow this (deploy); you have: `member`, `developer`.");
    admin.post(envs, new("live", "production")).await.is(201);
    developer.get(&format!("{envs}/live")).await.is(200);
    let _ = developer.delete(&format!("{envs}/live")).await.refused(403, "API-403");
    developer.delete(&format!("{envs}/second")).await.is(204);
}

#[tokio::test]
async fn an_owner_needs_a_key_for_each_type_to_delete_an_application() {
    let server = Server::start().await;
    let admin = server.admin();
    admin.post("/orgs/acme/apps", json!({ "id": "shop", "name": "Shop" })).await.is(201);
    admin.post("/orgs/acme/env-types", json!({ "id": "production" })).await.is(201);
    let live = json!({ "id": "live", "name": "Live", "type": "production" });
    admin.post("/orgs/acme/apps/shop/envs", live).await.is(201);
    let held = [("", "member"), ("/apps/shop", "owner"), ("/env-types/development", "deployer")];
    let owner = server.with_roles(&held).await;
    let _ = owner.delete("/orgs/acme/apps/shop").await.refused(403, "API-403");
    let all = [held.as_slice(), &[("/env-types/production", "deployer")]].concat();
    server.with_roles(&all).await.delete("/orgs/acme/apps/shop").await.is(204);
}

#[tokio::test]
async fn an_application_belongs_to_who_made_it_and_is_seen_by_its_members() {
    let server = Server::start().await;
    let manager = server.with_role("manager").await;
    manager.post("/orgs/acme/apps", json!({ "id": "shop", "name": "Shop" })).await.is(201);
    server.admin().post("/orgs/acme/apps", json!({ "id": "other", "name": "O" })).await.is(201);
    let apps = manager.get("/orgs/acme/apps").await.json(200);
    assert_eq!(apps.as_array().unwrap().len(), 1, "{apps}");
    let me = manager.get("/current-user").await.json(200);
    assert_eq!(me["roles"], json!({ "/orgs/acme": "manager", "/orgs/acme/apps/shop": "owner" }));
    manager.patch("/orgs/acme/apps/shop", json!({ "name": "New" })).await.is(200);
    let _ = manager.get("/orgs/acme/apps/other").await.refused(404, "API-404");
}

#[tokio::test]
async fn a_role_that_is_taken_is_gone_at_once() {
    let server = Server::start().await;
    let admin = server.admin();
    admin.post("/orgs/acme/apps", json!({ "id": "shop", "name": "Shop" })).await.is(201);
    let viewer = server.with_roles(&[("", "member"), ("/apps/shop", "viewer")]).await;
    let id = viewer.get("/current-user").await.json(200)["id"].as_str().unwrap().to_owned();
    let role = format!("/orgs/acme/apps/shop/users/{id}");
    for _ in 0..20 {
        viewer.get("/orgs/acme/apps/shop").await.is(200);
        admin.delete(&role).await.is(204);
        let _ = viewer.get("/orgs/acme/apps/shop").await.refused(404, "API-404");
        let body = json!({ "id": id, "role": "viewer" });
        admin.post("/orgs/acme/apps/shop/users", body).await.is(200);
    }
    admin.delete(&format!("/users/{id}/tokens/test")).await.is(204);
    let _ = viewer.get("/orgs/acme/apps/shop").await.refused(401, "API-401");
}

/// The table as a page, for people who have to check it.
fn page() -> String {
    let mut text = "# Who may do what\n\nGenerated from `crates/downbeat-server/src/access/operations.tsv` \
                    and the policies in\n`crates/downbeat-access/policies/roles.cedar` by \
                    `INSTA_UPDATE=always cargo test -p\ndownbeat-server --test it page_of_access`. \
                    \"+ deployer\" is the role on the type of the\nenvironment, which counts together \
                    with a role on the application.\n\n## Actions\n\n"
        .to_owned();
    let columns: [(&str, &[Role]); 9] = [
        ("member", &[Role::Member]),
        ("artefactContributor", &[Role::ArtefactContributor]),
        ("manager", &[Role::Manager]),
        ("orgViewer", &[Role::OrgViewer]),
        ("viewer", &[Role::Viewer]),
        ("developer", &[Role::Developer]),
        ("owner", &[Role::Owner]),
        ("developer + deployer", &[Role::Developer, Role::Deployer]),
        ("owner + deployer", &[Role::Owner, Role::Deployer]),
    ];
    let names = columns.map(|(name, _)| name).join(" | ");
    writeln!(text, "| action | {names} | administrator |").unwrap();
    writeln!(text, "|{}", " --- |".repeat(columns.len() + 2)).unwrap();
    for action in Action::ALL {
        let cell = |roles: &[Role]| {
            let roles = roles.iter().fold(Roles::NONE, |all, role| all.with(*role));
            if allows(roles, action) { "yes" } else { "–" }
        };
        let cells = columns.map(|(_, roles)| cell(roles)).join(" | ");
        let administrator = cell(&[Role::Administrator]);
        writeln!(text, "| `{}` | {cells} | {administrator} |", action.name()).unwrap();
    }
    text.push_str(
        "\n## Operations\n\n`self`: everybody with a token; the operation itself decides ",
    );
    text.push_str("about what.\n\n| operation | needs |\n| --- | --- |\n");
    for (method, path, needs) in operations() {
        writeln!(text, "| `{method} {path}` | `{}` |", needs.name()).unwrap();
    }
    text
}

#[test]
fn page_of_access() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/reference/access.md");
    let found = page();
    if env::var("INSTA_UPDATE").is_ok_and(|update| update == "always") {
        fs::write(&path, &found).unwrap();
    }
    let committed = fs::read_to_string(&path).unwrap_or_default();
    assert!(found == committed, "docs/reference/access.md is not what the table says");
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
            assert_eq!(answer.status(), 404, "{verb} {path}");
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
