//! Resource types.

use downbeat_testkit::Server;
use serde_json::{Value, json};

const TYPES: &str = "/orgs/acme/resources/types";

fn find<'a>(list: &'a Value, id: &str) -> Option<&'a Value> {
    list.as_array().unwrap().iter().find(|one| one["type"] == id)
}

#[tokio::test]
async fn a_session_with_a_resource_type() {
    let server = Server::start().await;
    let admin = server.admin();
    let list = admin.get(TYPES).await.json(200);
    assert_eq!(find(&list, "dns").unwrap()["use"], "direct");
    assert_eq!(find(&list, "workload").unwrap()["use"], "implicit");

    let new = json!({"type": "acme/bucket", "use": "direct", "inputs_schema": {"a": 1}});
    let made = admin.post(TYPES, new.clone()).await.json(200);
    let expected = json!({
        "type": "acme/bucket", "use": "direct", "name": "", "category": "",
        "inputs_schema": {"a": 1}, "outputs_schema": {},
    });
    assert_eq!(made, expected);
    assert_eq!(find(&admin.get(TYPES).await.json(200), "acme/bucket"), Some(&expected));
    let _ = admin.post(TYPES, new).await.refused(409, "API-409");

    let path = format!("{TYPES}/acme%2Fbucket");
    let put = json!({"use": "indirect", "name": "Bucket", "outputs_schema": {"b": 2}});
    let put = admin.put(&path, put).await.json(200);
    assert_eq!(put["inputs_schema"], json!({}));
    assert_eq!(put["name"], "Bucket");
    let patched = admin.patch(&path, json!({"category": "storage"})).await.json(200);
    assert_eq!(patched["name"], "Bucket");
    assert_eq!(patched["category"], "storage");
    assert_eq!(patched["outputs_schema"], json!({"b": 2}));

    let definition = json!({
        "id": "bucket", "name": "b", "type": "acme/bucket", "driver_type": "humanitec/echo"});
    admin.post("/orgs/acme/resources/defs", definition).await.is(200);
    let _ = admin.delete(&path).await.refused(400, "API-400");
    admin.delete("/orgs/acme/resources/defs/bucket").await.is(204);
    admin.delete(&path).await.is(204);
    assert_eq!(find(&admin.get(TYPES).await.json(200), "acme/bucket"), None);
    let _ = admin.delete(&path).await.refused(404, "API-404");
}

#[tokio::test]
async fn what_is_wrong_with_a_resource_type() {
    let server = Server::start().await;
    let admin = server.admin();
    let new = |id: &str, usage: &str| json!({"type": id, "use": usage});
    let _ = admin.post(TYPES, new("other/bucket", "direct")).await.refused(403, "API-403");
    let _ = admin.post(TYPES, new("bucket", "direct")).await.refused(403, "API-403");
    let _ = admin.post(TYPES, new("acme/bucket", "implicit")).await.refused(403, "API-403");
    let _ = admin.post(TYPES, new("acme/bucket", "sometimes")).await.refused(400, "API-400");
    let _ = admin.post(TYPES, new("acme/Bucket", "direct")).await.refused(400, "API-400");
    let _ = admin.post(TYPES, json!({"type": "acme/bucket"})).await.refused(400, "API-400");
    let dns = format!("{TYPES}/dns");
    let _ = admin.put(&dns, json!({"use": "direct"})).await.refused(403, "API-403");
    let _ = admin.patch(&dns, json!({})).await.refused(403, "API-403");
    let _ = admin.delete(&dns).await.refused(403, "API-403");
    let missing = format!("{TYPES}/acme%2Fnone");
    let _ = admin.put(&missing, json!({"use": "direct"})).await.refused(404, "API-404");
}
