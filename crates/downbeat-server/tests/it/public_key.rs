//! Public keys of an organization.

use serde_json::json;

use downbeat_testkit::Server;

pub(crate) const KEY: &str =
    include_str!("../../../downbeat-core/tests/data/public_key/rsa4096.pem");
pub(crate) const OTHER: &str =
    include_str!("../../../downbeat-core/tests/data/public_key/rsa4096-other.pem");
pub(crate) const FINGERPRINT: &str =
    include_str!("../../../downbeat-core/tests/data/public_key/rsa4096.sha256");
const KEYS: &str = "/orgs/acme/keys";

#[tokio::test]
async fn a_key_from_beginning_to_end() {
    let server = Server::start().await;
    let admin = server.admin();
    let created = admin.post(KEYS, json!(KEY)).await.json(200);
    // To the byte, with the newline at its end.
    assert_eq!(created["key"], KEY);
    assert_eq!(created["fingerprint"], FINGERPRINT.trim());
    let path = format!("{KEYS}/{}", created["id"].as_str().unwrap());
    assert_eq!(admin.get(&path).await.json(200), created);
    let other = admin.post(KEYS, json!(OTHER)).await.json(200);
    assert_eq!(admin.get(KEYS).await.json(200), json!([created, other]));
    let filtered = format!("{KEYS}?fingerprint={}", FINGERPRINT.trim());
    assert_eq!(admin.get(&filtered).await.json(200), json!([created]));
    let _ = admin.post(KEYS, json!(KEY)).await.refused(409, "API-409");
    admin.delete(&path).await.is(204);
    let _ = admin.get(&path).await.refused(404, "API-404");
    let _ = admin.delete(&path).await.refused(404, "API-404");
    admin.post(KEYS, json!(KEY)).await.is(200);
    assert_eq!(admin.get("/orgs/acme/humanitec-keys?active=true").await.json(200), json!([]));
}

#[tokio::test]
async fn what_is_wrong_with_a_key() {
    let server = Server::start().await;
    let admin = server.admin();
    for (key, part) in [
        ("", "one block"),
        ("-----BEGIN RSA PRIVATE KEY-----\nMII\n-----END RSA PRIVATE KEY-----\n", "private key"),
        (include_str!("../../../downbeat-core/tests/data/public_key/rsa2048.pem"), "2048 bits"),
    ] {
        let refused = admin.post(KEYS, json!(key)).await.json(400);
        let message = refused["message"].as_str().unwrap();
        assert!(message.contains(part) && !message.contains("MII"), "{refused}");
    }
    let member = server.with_roles(&[("", "member")]).await;
    member.get(KEYS).await.is(200);
    let _ = member.post(KEYS, json!(KEY)).await.refused(403, "API-403");
}
