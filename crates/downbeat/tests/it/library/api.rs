//! Definitions through the API: what comes back is what was sent.

use downbeat_core::{Json, JsonMap, definition_file::DefinitionFile, patch};
use downbeat_testkit::{Client, ORG, Server};
use serde_json::json;

/// Members of an answer that the server makes.
const MADE: [&str; 8] = [
    "active_version_id",
    "created_at",
    "created_by",
    "is_default",
    "is_deleted",
    "org_id",
    "updated_at",
    "updated_by",
];

/// The address of the definitions.
pub(super) fn definitions() -> String {
    format!("/orgs/{ORG}/resources/defs")
}

/// Creates a definition as it was published, and checks that it comes back equal.
pub(super) async fn load(server: &Server, client: &Client, file: &DefinitionFile) {
    let sent = Json::Object(file.request.clone());
    client.post(&definitions(), sent.clone()).await.is(200);
    let answer = client.get(&format!("{}/{}", definitions(), file.id)).await.json(200);
    let expected = expected(server, &sent, &answer).await;
    assert_eq!(comparable(answer), expected, "{}", file.id);
}

/// Deletes all definitions.
pub(super) async fn clear(client: &Client) {
    for one in client.get(&definitions()).await.json(200).as_array().unwrap() {
        let id = one["id"].as_str().unwrap();
        client.delete(&format!("{}/{id}?force=true", definitions())).await.is(204);
    }
}

/// An answer without what the server makes: the members above, and the ids of criteria.
fn comparable(mut answer: Json) -> Json {
    let members = answer.as_object_mut().unwrap();
    for made in MADE {
        assert!(members.remove(made).is_some(), "{made} is missing");
    }
    for criteria in members.get_mut("criteria").and_then(Json::as_array_mut).into_iter().flatten() {
        assert!(criteria.as_object_mut().unwrap().remove("id").is_some());
    }
    answer
}

/// What has to come back: the request with its defaults written out, and each plaintext replaced by
/// the reference to where it is kept.
async fn expected(server: &Server, sent: &Json, answer: &Json) -> Json {
    let mut expected = sent.clone();
    let members = expected.as_object_mut().unwrap();
    members.entry("in_place_driver_change").or_insert(json!(false));
    // A definition that never applies comes back without criteria.
    if members.get("criteria").is_some_and(|criteria| *criteria == json!([])) {
        members.remove("criteria");
    }
    for criteria in members.get_mut("criteria").and_then(Json::as_array_mut).into_iter().flatten() {
        criteria.as_object_mut().unwrap().entry("class").or_insert(json!("default"));
    }
    if let Some(rules) = members.get_mut("provision").and_then(Json::as_object_mut) {
        for rule in rules.values_mut() {
            if rule.is_null() {
                *rule = json!({});
            }
            let rule = rule.as_object_mut().unwrap();
            rule.entry("is_dependent").or_insert(json!(false));
            rule.entry("match_dependents").or_insert(json!(false));
        }
    }
    if let Some(inputs) = members.get_mut("driver_inputs").and_then(Json::as_object_mut) {
        if let Some(secrets) = inputs.remove("secrets") {
            inputs.insert("secret_refs".to_owned(), secrets);
        }
        if let Some(secrets) = inputs.get_mut("secret_refs") {
            let shown = &answer["driver_inputs"]["secret_refs"];
            let mut leaves = Vec::new();
            plaintexts(secrets, String::new(), &mut leaves);
            for (at, plaintext) in leaves {
                let reference = shown.pointer(&at).unwrap_or_else(|| panic!("{at} is not shown"));
                let kept = server.vault.versions(reference["ref"].as_str().unwrap()).await;
                assert_eq!(kept.last(), Some(&plaintext), "{at}");
                *secrets.pointer_mut(&at).unwrap() = reference.clone();
            }
        }
    }
    expected
}

/// The places in a tree of secrets that hold plaintexts, with these. A member without a value, as
/// in `store:`, says nothing and is taken away.
fn plaintexts(tree: &mut Json, at: String, found: &mut Vec<(String, String)>) {
    match tree {
        Json::Object(members) => {
            members.retain(|_, value| !value.is_null());
            let text = |members: &JsonMap, name: &str| {
                members.get(name).and_then(Json::as_str).map(str::to_owned)
            };
            if text(members, "ref").is_some() {
                return;
            }
            if let Some(value) = text(members, "value") {
                found.push((at, value));
                return;
            }
            for (name, member) in members {
                plaintexts(member, format!("{at}{}", patch::pointer([name.as_str()])), found);
            }
        }
        Json::String(text) => found.push((at, text.clone())),
        other => found.push((at, other.to_string())),
    }
}
