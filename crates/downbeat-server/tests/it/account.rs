//! Resource accounts.

use downbeat_testkit::Server;
use serde_json::{Value, json};

const ACCOUNTS: &str = "/orgs/acme/resources/accounts";
const DEFS: &str = "/orgs/acme/resources/defs";
const KEY: &str = "wJalrXUtnFEMI-K7MDENG";

fn account() -> Value {
    json!({
        "id": "aws-dev", "name": "AWS, development", "type": "aws",
        "credentials": {"aws_access_key_id": "AKIA-MARKED", "aws_secret_access_key": KEY}})
}

fn definition(id: &str, driver: &str, account: &str) -> Value {
    json!({"id": id, "name": id, "type": "s3", "driver_type": driver, "driver_account": account})
}

#[tokio::test]
async fn a_session_with_an_account() {
    let server = Server::start().await;
    let admin = server.admin();
    let types = admin.get("/orgs/acme/resources/account-types").await.json(200);
    assert!(types.as_array().unwrap().iter().any(|one| one["type"] == "gcp-identity"));
    assert_eq!(admin.get(ACCOUNTS).await.json(200), json!([]));

    // Only looked at.
    let dry = admin.post(&format!("{ACCOUNTS}?dry_run=true"), account()).await;
    assert_eq!(dry.status(), 204);
    assert_eq!(admin.get(ACCOUNTS).await.json(200), json!([]));

    let mut made = admin.post(ACCOUNTS, account()).await.json(200);
    assert!(made["created_at"].take().is_string());
    assert!(made["created_by"].take().is_string());
    let expected = json!({"id": "aws-dev", "name": "AWS, development", "type": "aws",
        "is_used": false, "created_at": null, "created_by": null});
    assert_eq!(made, expected);
    let _ = admin.post(ACCOUNTS, account()).await.refused(409, "API-409");
    let path = format!("{ACCOUNTS}/aws-dev");
    assert_eq!(admin.get(&path).await.json(200)["name"], "AWS, development");

    // Credentials that are complete, and such that are not.
    let found = admin.post(&format!("{path}/actions/check"), json!({})).await.json(200);
    assert_eq!(found["identity_fields"], json!([]));
    assert_eq!(found["warnings"].as_array().unwrap().len(), 1);
    let change = json!({"credentials": {"aws_access_key_id": "AKIA"}});
    let checked = format!("{path}?check_credential=true");
    let said = admin.patch(&checked, change.clone()).await.refused(400, "API-400");
    assert!(said.contains("aws_secret_access_key"), "{said}");
    admin.patch(&format!("{path}?dry_run=true"), change.clone()).await.is(204);
    assert_eq!(admin.patch(&path, change).await.json(200)["name"], "AWS, development");
    let check = format!("{path}/actions/check");
    let _ = admin.post(&check, json!({})).await.refused(400, "API-400");
    assert_eq!(admin.patch(&path, json!({"name": "AWS"})).await.json(200)["name"], "AWS");

    let role = json!({"id": "role", "name": "Role", "type": "aws-role",
        "credentials": {"aws_role": "arn:aws:iam::1:role/deploy", "external_id": "marked-id"}});
    admin.post(&format!("{ACCOUNTS}?check_credential=true"), role).await.is(200);
    let found = admin.post(&format!("{ACCOUNTS}/role/actions/check"), json!({})).await.json(200);
    assert_eq!(found["identity_fields"][0]["value"], "arn:aws:iam::1:role/deploy");
    assert!(!found.to_string().contains("marked-id"));

    admin.delete(&path).await.is(204);
    let _ = admin.get(&path).await.refused(404, "API-404");
    let _ = admin.delete(&path).await.refused(404, "API-404");
    let _ = admin.patch(&path, json!({})).await.refused(404, "API-404");
}

#[tokio::test]
async fn an_account_that_is_used_stays() {
    let server = Server::start().await;
    let admin = server.admin();
    // A definition may come before its account.
    let terraform = definition("bucket", "humanitec/terraform", "aws-dev");
    admin.post(DEFS, terraform).await.is(200);
    admin.post(ACCOUNTS, account()).await.is(200);
    let path = format!("{ACCOUNTS}/aws-dev");
    assert_eq!(admin.get(&path).await.json(200)["is_used"], true);
    assert_eq!(admin.get(ACCOUNTS).await.json(200)[0]["is_used"], true);
    let said = admin.delete(&path).await.json(400);
    let referencing = &said["details"]["referencing_resources"];
    assert_eq!(referencing["resource_definitions"][0]["id"], "bucket", "{said}");
    assert_eq!(referencing["active_resources"], json!([]));
    admin.delete(&format!("{DEFS}/bucket")).await.is(204);
    admin.delete(&path).await.is(204);
}

#[tokio::test]
async fn what_is_wrong_with_an_account() {
    let server = Server::start().await;
    let admin = server.admin();
    for (member, value) in [
        ("id", json!("No")),
        ("name", json!(" ")),
        ("type", json!("acme")),
        ("credentials", json!(KEY)),
        ("credentials", json!([KEY])),
        ("credentials", json!({"a": "x".repeat(70_000)})),
    ] {
        let mut wrong = account();
        wrong[member] = value;
        let said = admin.post(ACCOUNTS, wrong).await.refused(400, "API-400");
        assert!(!said.contains(KEY), "{member}: {said}");
    }
    // The type has to be one that the driver takes, once it is known.
    admin.post(ACCOUNTS, account()).await.is(200);
    let wrong = json!({"id": "cluster", "name": "c", "type": "k8s-cluster",
        "driver_type": "humanitec/k8s-cluster-gke", "driver_account": "aws-dev"});
    let said = admin.post(DEFS, wrong).await.refused(400, "RES-011");
    assert!(said.contains("gcp"), "{said}");
    for good in ["aws-dev", "later", "${resources['config.default#aws'].account}"] {
        let good = definition("good", "humanitec/terraform", good);
        admin.post(DEFS, good).await.is(200);
        admin.delete(&format!("{DEFS}/good")).await.is(204);
    }
}
