//! Resource drivers.

use std::{env, fmt::Write as _, fs, path::Path};

use downbeat_core::builtin;
use downbeat_testkit::Server;
use serde_json::{Value, json};

const DRIVERS: &str = "/orgs/acme/resources/drivers";

fn driver() -> Value {
    json!({
        "id": "own-dns", "type": "dns", "target": "https://driver.example.org/dns",
        "account_types": ["gcp", "aws"], "inputs_schema": {"type": "object", "x": 1},
    })
}

#[tokio::test]
async fn a_session_with_a_driver() {
    let server = Server::start().await;
    let admin = server.admin();
    let mut expected = driver();
    expected["org_id"] = json!("acme");
    assert_eq!(admin.post(DRIVERS, driver()).await.json(200), expected);
    let path = format!("{DRIVERS}/own-dns");
    assert_eq!(admin.get(&path).await.json(200), expected);
    let _ = admin.post(DRIVERS, driver()).await.refused(409, "API-409");

    let list = admin.get(DRIVERS).await.json(200);
    let list = list.as_array().unwrap();
    assert!(list.contains(&expected));
    assert!(list.iter().any(|one| one["org_id"] == "humanitec" && one["id"] == "template"));
    assert_eq!(admin.get(&format!("{DRIVERS}/echo")).await.json(200)["type"], "*");

    for template in [json!("{{ .x }}"), json!({"values": "{{ .y }}"})] {
        let mut change = driver();
        change["template"] = template.clone();
        assert_eq!(admin.put(&path, change).await.json(200)["template"], template);
    }
    let without = admin.put(&path, driver()).await.json(200);
    assert_eq!(without, expected);

    let definition = json!({
        "id": "dns-def", "name": "d", "type": "dns", "driver_type": "acme/own-dns"});
    admin.post("/orgs/acme/resources/defs", definition).await.is(200);
    let _ = admin.delete(&path).await.refused(409, "API-409");
    admin.delete("/orgs/acme/resources/defs/dns-def").await.is(204);

    // A driver that another one stands for stays, too.
    let mut other = driver();
    other["id"] = json!("other-dns");
    other["target"] = json!("driver://acme/own-dns");
    admin.post(DRIVERS, other).await.is(200);
    let _ = admin.delete(&path).await.refused(409, "API-409");
    admin.delete(&format!("{DRIVERS}/other-dns")).await.is(204);
    admin.delete(&path).await.is(204);
    let _ = admin.get(&path).await.refused(404, "API-404");
    let _ = admin.delete(&path).await.refused(404, "API-404");
}

#[tokio::test]
async fn what_is_wrong_with_a_driver() {
    let server = Server::start().await;
    let admin = server.admin();
    let with = |field: &str, value: Value| {
        let mut driver = driver();
        driver[field] = value;
        driver
    };
    let _ = admin.post(DRIVERS, with("id", json!("x"))).await.refused(400, "API-400");
    for target in [
        "",
        "nonsense",
        "ftp://a",
        "https://",
        "driver://",
        "driver://acme",
        "driver:///a",
        "driver://acme/own-dns",
    ] {
        let _ = admin.post(DRIVERS, with("target", json!(target))).await.refused(400, "RES-113");
    }
    let _ = admin.post(DRIVERS, with("type", json!("none"))).await.refused(400, "RES-007");
    let _ = admin.post(DRIVERS, json!({"id": "own-dns"})).await.refused(400, "API-400");
    let _ = admin.put(&format!("{DRIVERS}/none"), driver()).await.refused(404, "API-404");
    let viewer = server.with_role("member").await;
    viewer.get(DRIVERS).await.is(200);
    let _ = viewer.post(DRIVERS, driver()).await.refused(403, "API-403");
}

#[tokio::test]
async fn the_inputs_of_terraform_are_described() {
    let server = Server::start().await;
    let all = server.admin().get(DRIVERS).await.json(200);
    let all = all.as_array().unwrap();
    let terraform = all.iter().find(|driver| driver["id"] == "terraform").unwrap();
    let values = &terraform["inputs_schema"]["properties"]["values"]["properties"];
    for name in ["script", "source", "files", "variables", "credentials_config", "timeout"] {
        assert!(values[name].is_object(), "{name}: {terraform}");
    }
}

#[tokio::test]
async fn inputs_are_checked_when_a_definition_is_stored() {
    let server = Server::start().await;
    let admin = server.admin();
    let mut own = driver();
    own["inputs_schema"] = json!({"type": "object", "properties": {
        "values": {"type": "object", "required": ["region"], "additionalProperties": false,
            "properties": {"region": {"type": "string", "enum": ["eu", "us"]},
                "size": {"type": "integer"}, "tags": {"type": "object"}}},
        "secrets": {"type": "object", "required": ["token"],
            "properties": {"token": {"type": "string", "minLength": 4}}}}});
    admin.post(DRIVERS, own.clone()).await.is(200);
    let definition = |values: Value, secrets: Value| {
        json!({"id": "dns-def", "name": "d", "type": "dns", "driver_type": "acme/own-dns",
            "driver_inputs": {"values": values, "secret_refs": secrets}})
    };
    let defs = "/orgs/acme/resources/defs";
    let token = json!({"token": {"store": "vault", "ref": "t"}});
    for (values, secrets, part) in [
        (json!({"region": "moon"}), token.clone(), "/values/region"),
        (json!({"region": "eu", "size": "big"}), token.clone(), "/values/size"),
        (json!({"region": "eu", "sise": 1}), token.clone(), "/values"),
        (json!({"region": "eu"}), json!({"token": {"deep": {"value": "x"}}}), "/secrets/token"),
    ] {
        let said = admin.post(defs, definition(values, secrets)).await.refused(400, "RES-103");
        assert!(said.contains(part), "{said}");
    }
    // What a placeholder or a reference becomes is not known yet.
    let open = json!({"region": "${context.app.id}", "size": "${resources.config.outputs.n}",
        "tags": "${resources.config.outputs.tags}"});
    admin.post(defs, definition(open, token)).await.is(200);
    let patch = json!({"driver_inputs": {"values": {"size": "big"}}});
    let _ = admin.patch(&format!("{defs}/dns-def"), patch).await.refused(400, "RES-103");
    let terraform = json!({"id": "tf-def", "name": "t", "type": "s3",
        "driver_type": "humanitec/terraform", "driver_inputs": {"values": {"skript": ""}}});
    let said = admin.post(defs, terraform).await.refused(400, "RES-103");
    assert!(said.contains("skript"), "{said}");
    // What is missing may follow, and null is nothing.
    let definition = json!({"id": "later-def", "name": "l", "type": "ingress",
        "driver_type": "humanitec/ingress", "driver_inputs": {"values": {"no_tls": null}}});
    admin.post(defs, definition).await.is(200);
    let definition = json!({"id": "job-def", "name": "l", "type": "s3",
        "driver_type": "humanitec/container", "driver_inputs": {"values": {"source": {}}}});
    admin.post(defs, definition).await.is(200);
}

/// One word or several for what a member may be.
fn kind(schema: &Value) -> String {
    let word = |word: &Value| word.as_str().unwrap_or_default().to_owned();
    match &schema["type"] {
        Value::Array(kinds) => {
            // A text in the place of anything else is a placeholder.
            let kinds: Vec<String> = kinds.iter().map(word).filter(|one| one != "string").collect();
            kinds.join(", ")
        }
        Value::Null => "any".to_owned(),
        one => word(one),
    }
}

/// The page about the built-in drivers, as the API describes them.
fn page(drivers: &[Value]) -> String {
    let mut text = "# Built-in drivers\n\n".to_owned();
    text.push_str(
        "Written by a test from what the API says: `INSTA_UPDATE=always cargo test -p \
         downbeat-server\n--test it page_of_drivers`. A definition names a driver as \
         `humanitec/<id>` or `downbeat/<id>`.\nAny member may be a placeholder. Others than these \
         are refused where a driver has no use for them.\n",
    );
    let is_here = |driver: &&Value| {
        let id = driver["id"].as_str().unwrap();
        let is_described = driver["inputs_schema"]["properties"].is_object();
        is_described || builtin::runs_here(&format!("humanitec/{id}"))
    };
    let built_in = drivers.iter().filter(|one| one["org_id"] == "humanitec");
    let (here, elsewhere): (Vec<&Value>, Vec<&Value>) = built_in.partition(is_here);
    for driver in here {
        let id = driver["id"].as_str().unwrap();
        let makes = match driver["type"].as_str().unwrap() {
            "*" => "resources of any type".to_owned(),
            one => format!("resources of type `{one}`"),
        };
        write!(text, "\n## {id}\n\nMakes {makes}.").unwrap();
        let accounts: Vec<String> = driver["account_types"]
            .as_array()
            .unwrap()
            .iter()
            .map(|one| format!("`{}`", one.as_str().unwrap()))
            .collect();
        match accounts.as_slice() {
            [] => {}
            [one, other] => write!(text, " Takes accounts of type {one} or {other}.").unwrap(),
            _ => text.push_str(" Takes accounts of all types."),
        }
        let more = match id {
            "terraform" => Some("terraform.md"),
            "container"
            | "container-runner"
            | "opentofu-container-runner"
            | "terraform-container-runner" => Some("containers.md"),
            "template" => Some("templates.md"),
            _ => None,
        };
        if let Some(more) = more {
            write!(text, "\nSee [{more}](../concepts/{more}).").unwrap();
        }
        text.push('\n');
        let members = |part: &str| {
            let members = driver["inputs_schema"]["properties"][part]["properties"].as_object();
            members.cloned().unwrap_or_default()
        };
        let all = [("values", members("values")), ("secrets", members("secrets"))];
        if all.iter().all(|(_, members)| members.is_empty()) {
            let what = match id {
                "logging-k8s" => "It has no inputs.",
                _ => "Whatever it is given, it puts out.",
            };
            write!(text, "\n{what}\n").unwrap();
            continue;
        }
        text.push_str("\n| input | kind | |\n| --- | --- | --- |\n");
        for (part, members) in all {
            for (name, schema) in members {
                let about = schema["description"].as_str().unwrap_or_default();
                writeln!(text, "| `{part}.{name}` | {} | {about} |", kind(&schema)).unwrap();
            }
        }
    }
    text.push_str(
        "\n## Drivers that are stored only\n\nDefinitions may name these drivers of v1. A \
         deployment that needs one fails with\n[RES-104](../errors/RES-104.md) and says what is \
         here instead.\n\n| driver | instead | how |\n| --- | --- | --- |\n",
    );
    for driver in elsewhere {
        let id = driver["id"].as_str().unwrap();
        let other = builtin::alternatives(&format!("humanitec/{id}")).first();
        let other = other.unwrap_or_else(|| panic!("{id} has no alternative"));
        writeln!(text, "| `{id}` | `{}` | {} |", other.driver, other.how).unwrap();
    }
    text.replace("|  |", "| |").replace("|  |", "| |")
}

#[tokio::test]
async fn page_of_drivers() {
    let server = Server::start().await;
    let drivers = server.admin().get(DRIVERS).await.json(200);
    let found = page(drivers.as_array().unwrap());
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/reference/drivers.md");
    if env::var("INSTA_UPDATE").is_ok_and(|update| update == "always") {
        fs::write(&path, &found).unwrap();
    }
    let committed = fs::read_to_string(&path).unwrap_or_default();
    assert!(found == committed, "docs/reference/drivers.md is not what the API says");
}
