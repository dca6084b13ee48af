//! Webhooks of applications.

use serde_json::{Value, json};

use crate::shop::{self, SHOP};

fn sent() -> Value {
    json!({
        "id": "told", "url": "https://hook.example/a", "disabled": false,
        "triggers": [{"scope": "deployment", "type": "finished"}],
        "headers": {"Authorization": "marked-token"}, "payload": {"text": "${status}"},
    })
}

#[tokio::test]
async fn a_webhook_from_beginning_to_end() {
    let (server, admin) = shop::open().await;
    let hooks = format!("{SHOP}/webhooks");
    let created = admin.post(&hooks, sent()).await.json(201);
    for (member, value) in sent().as_object().unwrap() {
        assert_eq!(created[member], *value, "{member}");
    }
    assert!(!server.database_holds("marked-token"));
    let path = format!("{hooks}/told");
    assert_eq!(admin.get(&path).await.json(200), created);
    assert_eq!(admin.get(&hooks).await.json(200), json!([created]));
    let _ = admin.post(&hooks, sent()).await.refused(409, "API-409");

    // What is absent stays; null is said.
    let change = json!({"payload": null, "headers": {}, "disabled": true});
    let changed = admin.patch(&path, change).await.json(200);
    assert_eq!(
        changed,
        json!({"url": "https://hook.example/a", "disabled": true, "headers": {}, "payload": null,
            "triggers": [{"scope": "deployment", "type": "finished"}]})
    );
    let read = admin.get(&path).await.json(200);
    for (member, value) in changed.as_object().unwrap() {
        assert_eq!(read[member], *value, "{member}");
    }
    assert_eq!(read["created_at"], created["created_at"]);

    // One without anything else; its id is chosen.
    let bare = admin.post(&hooks, json!({"url": "hook.example"})).await.json(201);
    assert_eq!((&bare["payload"], &bare["headers"]), (&Value::Null, &json!({})));
    assert_eq!(bare["triggers"], json!([]));
    admin.delete(&path).await.is(204);
    let _ = admin.get(&path).await.refused(404, "API-404");
    let _ = admin.delete(&path).await.refused(404, "API-404");
    admin.delete(&format!("{SHOP}/jobs")).await.is(204);
    assert_eq!(admin.get(&hooks).await.json(200), json!([]));
}

#[tokio::test]
async fn what_is_wrong_with_a_webhook() {
    let (server, admin) = shop::open().await;
    let hooks = format!("{SHOP}/webhooks");
    for (change, place) in [
        (json!({"id": "-"}), "/id"),
        (json!({"url": null}), "/url"),
        (json!({"url": "http://hook.example"}), "/url"),
        (json!({"url": "https://"}), "/url"),
        (json!({"url": "https://a b"}), "/url"),
        (json!({"triggers": [{"scope": "deployment", "type": "x"}]}), "/triggers/0"),
        (json!({"headers": {"a": "b".repeat(70_000)}}), "/headers"),
        (json!({"payload": {"a": "b".repeat(70_000)}}), "/payload"),
    ] {
        let mut body = sent();
        body.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        let refused = admin.post(&hooks, body).await.json(400);
        assert_eq!(refused["details"]["errors"][0]["path"], place, "{refused}");
    }
    let developer = server.with_roles(&[("", "member"), ("/apps/shop", "developer")]).await;
    developer.get(&hooks).await.is(200);
    let _ = developer.post(&hooks, sent()).await.refused(403, "API-403");
    let _ = admin.get("/orgs/acme/apps/none/webhooks").await.refused(404, "API-404");
}

#[tokio::test]
async fn every_event_can_trigger() {
    let (_server, admin) = shop::open().await;
    let events = admin.get("/orgs/acme/events").await.json(200);
    let triggers: Vec<Value> = events
        .as_array()
        .unwrap()
        .iter()
        .map(|event| {
            assert!(event["properties"].as_array().unwrap().contains(&json!("triggered_at")));
            json!({"scope": event["scope"], "type": event["type"]})
        })
        .collect();
    let hook = json!({"url": "https://hook.example", "triggers": triggers});
    let created = admin.post(&format!("{SHOP}/webhooks"), hook).await.json(201);
    assert_eq!(created["triggers"], json!(triggers));
}
