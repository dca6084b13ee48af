//! Agents and their keys.

use downbeat_testkit::Server;
use serde_json::json;

use crate::public_key::{FINGERPRINT, KEY, OTHER};

const AGENTS: &str = "/orgs/acme/agents";

#[tokio::test]
async fn an_agent_from_beginning_to_end() {
    let server = Server::start().await;
    let admin = server.admin();
    let created = admin.post(AGENTS, json!({"id": "far-away", "public_key": KEY})).await.json(200);
    assert_eq!(created["id"], "far-away");
    assert!(created.get("description").is_none(), "{created}");
    assert_eq!(admin.get(AGENTS).await.json(200), json!([created]));
    let agent = format!("{AGENTS}/far-away");
    let changed = admin.patch(&agent, json!({"description": "In the cellar"})).await.json(200);
    assert_eq!(changed["description"], "In the cellar");
    assert_eq!(changed["created_at"], created["created_at"]);
    assert_eq!(admin.get(AGENTS).await.json(200), json!([changed]));

    let keys = format!("{agent}/keys");
    let first = admin.get(&keys).await.json(200)[0].clone();
    assert_eq!(first["public_key"], KEY);
    assert_eq!(first["fingerprint"], FINGERPRINT.trim());
    assert_eq!(first["is_authorized"], true);
    let second = admin.post(&keys, json!({"public_key": OTHER})).await.json(200);
    assert_eq!(admin.get(&keys).await.json(200), json!([first, second]));
    let mine = |fingerprint: &str| format!("{AGENTS}?fingerprint={fingerprint}");
    assert_eq!(admin.get(&mine(FINGERPRINT.trim())).await.json(200), json!([changed]));
    assert_eq!(admin.get(&mine("0")).await.json(200), json!([]));
    // A key says who an agent is.
    let twin = json!({"id": "twin", "public_key": OTHER});
    let _ = admin.post(AGENTS, twin.clone()).await.refused(409, "API-409");
    let _ = admin.post(&keys, json!({"public_key": KEY})).await.refused(409, "API-409");
    let _ = admin
        .post(AGENTS, json!({"id": "far-away", "public_key": KEY}))
        .await
        .refused(409, "API-409");

    let one = format!("{keys}/{}", second["fingerprint"].as_str().unwrap());
    admin.delete(&one).await.is(204);
    let _ = admin.delete(&one).await.refused(404, "API-404");
    admin.post(AGENTS, twin).await.is(200);
    admin.delete(&agent).await.is(204);
    let _ = admin.delete(&agent).await.refused(404, "API-404");
    let _ = admin.get(&keys).await.refused(404, "API-404");
    let _ = admin.patch(&agent, json!({"description": ""})).await.refused(404, "API-404");
    // Its keys went with it.
    admin.post(&format!("{AGENTS}/twin/keys"), json!({"public_key": KEY})).await.is(200);
}

#[tokio::test]
async fn what_is_wrong_with_an_agent() {
    let server = Server::start().await;
    let admin = server.admin();
    for (body, place) in [
        (json!({"id": "A", "public_key": KEY}), "/id"),
        (json!({"id": "far", "public_key": "x"}), "/public_key"),
        (json!({"id": "far", "public_key": KEY, "description": "x".repeat(2000)}), "/description"),
    ] {
        let refused = admin.post(AGENTS, body).await.json(400);
        assert_eq!(refused["details"]["errors"][0]["path"], place, "{refused}");
    }
    let _ = admin
        .post(&format!("{AGENTS}/none/keys"), json!({"public_key": KEY}))
        .await
        .refused(404, "API-404");
    let member = server.with_roles(&[("", "member")]).await;
    member.get(AGENTS).await.is(200);
    let new = json!({"id": "far", "public_key": KEY});
    let _ = member.post(AGENTS, new).await.refused(403, "API-403");
}
