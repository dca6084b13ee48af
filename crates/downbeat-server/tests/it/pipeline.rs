//! Pipelines, their versions and their criteria.

use downbeat_testkit::{Answer, Client};
use serde_json::{Value, json};

use crate::shop::{self, SHOP};

const YAML: &str = "application/x-yaml";
const DOCUMENT: &str = "application/x.humanitec-pipelines-v1.0+yaml";
const PIPELINES: &str = "/orgs/acme/apps/shop/pipelines";
const CRITERIA: &str = "/orgs/acme/apps/shop/pipeline-criteria";

/// As Terraform writes it: with an empty line before and spaces behind.
fn text(id: &str, name: &str) -> String {
    format!(
        "\n# Ours.\nid: {id}\nname: {name}   \nmetadata: {{team: core}}\non:\n  deployment_request: \
         {{}}\n  pipeline_call:\njobs:\n  log:\n    steps:\n      - uses: \
         actions/humanitec/log@v1\n        with:\n          message: ${{{{ inputs.comment }}}}  \
         \n\n  "
    )
}

async fn send(client: &Client, method: &str, path: &str, text: &str) -> Answer {
    client.send_raw(method, path, Some((YAML, text.as_bytes().to_vec()))).await
}

async fn create(client: &Client, id: &str) -> Value {
    send(client, "POST", PIPELINES, &text(id, "X")).await.json(201)
}

fn ids(list: &Value) -> Vec<&str> {
    list.as_array().unwrap().iter().map(|item| item["id"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn a_pipeline_from_beginning_to_end() {
    let (_server, admin) = shop::open().await;
    let yaml = admin.accepting(DOCUMENT);
    let path = format!("{PIPELINES}/promote");
    let first = text("promote", "Promote");
    let answer = send(&admin, "POST", PIPELINES, &first).await;
    let etag = answer.header("etag").unwrap().to_owned();
    let created = answer.json(201);
    assert_eq!(created["etag"], etag.as_str());
    for (name, value) in [
        ("id", json!("promote")),
        ("org_id", json!("acme")),
        ("app_id", json!("shop")),
        ("name", json!("Promote")),
        ("status", json!("active")),
        ("trigger_types", json!(["deployment_request", "pipeline_call"])),
        ("metadata", json!({"team": "core"})),
    ] {
        assert_eq!(created[name], value, "{name}");
    }
    let answer = admin.get(&path).await;
    assert_eq!(answer.header("etag"), Some(etag.as_str()));
    assert_eq!(answer.json(200), created);
    let answer = yaml.get(&format!("{path}/schema")).await;
    assert_eq!(answer.header("content-type"), Some(DOCUMENT));
    assert_eq!(answer.text(200), first);

    // The second version; the first can still be read.
    let second = text("promote", "Promote it").replace("metadata: {team: core}\n", "");
    let changed = send(&admin, "PATCH", &path, &second).await.json(200);
    assert_eq!(changed["name"], "Promote it");
    assert_eq!(changed["created_at"], created["created_at"]);
    assert_eq!(changed.get("metadata"), None);
    assert_ne!(changed["version"], created["version"]);
    assert_ne!(changed["etag"], created["etag"]);
    assert_eq!(admin.get(&path).await.json(200), changed);
    assert_eq!(yaml.get(&format!("{path}/schema")).await.text(200), second);
    let old = format!("version={}", created["version"].as_str().unwrap());
    assert_eq!(admin.get(&format!("{path}?{old}")).await.json(200), created);
    assert_eq!(yaml.get(&format!("{path}/schema?{old}")).await.text(200), first);
    admin.get(&format!("{path}?version=x")).await.is(404);
    let versions = admin.get(&format!("{path}/versions")).await.json(200);
    assert_eq!(ids(&versions), [&changed["version"], &created["version"]]);
    assert_eq!(versions[0]["pipeline_id"], "promote");
    let page = admin.get(&format!("{path}/versions?per_page=1")).await;
    assert!(page.header("link").unwrap().contains("rel=\"next\""));

    // Others can have it as JSON.
    let json = admin.accepting("application/json").get(&format!("{path}/schema")).await.json(200);
    assert_eq!(json["name"], "Promote it");
    assert_eq!(json["on"], json!({"deployment_request": {}, "pipeline_call": null}));

    admin.delete(&path).await.is(204);
    admin.get(&path).await.is(404);
    yaml.get(&format!("{path}/schema")).await.is(404);
    admin.get(&format!("{path}/versions")).await.is(404);
    admin.delete(&path).await.is(404);
    send(&admin, "PATCH", &path, &second).await.is(404);
    // The id is free again.
    create(&admin, "promote").await;
    admin.delete(SHOP).await.is(204);
}

#[tokio::test]
async fn an_id_is_made_up_when_there_is_none() {
    let (_server, admin) = shop::open().await;
    let nameless = text("x", "X").replace("id: x\n", "");
    let created = send(&admin, "POST", PIPELINES, &nameless).await.json(201);
    assert_eq!(created["id"].as_str().unwrap().len(), 36);
    let path = format!("{PIPELINES}/{}", created["id"].as_str().unwrap());
    // A document without an id fits any pipeline, one with another id does not.
    send(&admin, "PATCH", &path, &nameless).await.is(200);
    let _ = send(&admin, "PATCH", &path, &text("other", "X")).await.refused(400, "API-400");
}

#[tokio::test]
async fn an_etag_guards_against_other_changes() {
    let (_server, admin) = shop::open().await;
    let path = format!("{PIPELINES}/promote");
    let text = text("promote", "Promote");
    let old = send(&admin, "POST", PIPELINES, &text).await.json(201);
    let old = old["etag"].as_str().unwrap();
    let new = send(&admin.expecting(old), "PATCH", &path, &text).await.json(200);
    let new = new["etag"].as_str().unwrap();
    let late = admin.expecting(old);
    let message = send(&late, "PATCH", &path, &text).await.refused(412, "API-412");
    assert!(message.contains(new), "{message}");
    let _ = late.delete(&path).await.refused(412, "API-412");
    assert_eq!(admin.get(&path).await.json(200)["etag"], new);
    send(&admin.expecting("*"), "PATCH", &format!("{path}?dry_run=true"), &text).await.is(204);
    admin.expecting(&format!("\"x\", W/\"{new}\"")).delete(&path).await.is(204);
}

#[tokio::test]
async fn lists_are_filtered_and_paged() {
    let (_server, admin) = shop::open().await;
    admin.post("/orgs/acme/apps", json!({"id": "blog", "name": "Blog"})).await.is(201);
    create(&admin, "aa").await;
    let called = text("bb", "B").replace("  deployment_request: {}\n", "").replace("core", "web");
    send(&admin, "POST", PIPELINES, &called).await.is(201);
    let list = async |query: &str| admin.get(&format!("{PIPELINES}{query}")).await.json(200);
    assert_eq!(ids(&list("").await), ["aa", "bb", "default"]);
    assert_eq!(ids(&list("?trigger=deployment_request").await), ["aa", "default"]);
    assert_eq!(ids(&list("?metadata[team]=web").await), ["bb"]);
    assert_eq!(ids(&list("?metadata%5Bteam%5D=core&trigger=pipeline_call").await), ["aa"]);
    assert_eq!(ids(&list("?trigger=x").await), [""; 0]);
    let page = admin.get(&format!("{PIPELINES}?per_page=2")).await;
    let link = page.header("link").unwrap().to_owned();
    assert_eq!(ids(&page.json(200)), ["aa", "bb"]);
    let next = link.trim_start_matches('<').split('>').next().unwrap();
    let page = admin.get(next).await;
    assert_eq!(page.header("link"), None);
    assert_eq!(ids(&page.json(200)), ["default"]);
    let _ = admin.get(&format!("{PIPELINES}?per_page=0")).await.refused(400, "API-400");

    let all = admin.get("/orgs/acme/pipelines").await.json(200);
    assert_eq!(ids(&all), ["default", "aa", "bb", "default"]);
    assert_eq!(all[0]["app_id"], "blog");
    let of = admin.get("/orgs/acme/pipelines?app=blog").await.json(200);
    assert_eq!(ids(&of), ["default"]);
    let of = admin.get("/orgs/acme/pipelines?app=blog&app=shop&metadata[team]=core").await;
    assert_eq!(ids(&of.json(200)), ["aa"]);
    admin.get("/orgs/acme/apps/none/pipelines").await.is(404);
    // The pipelines of an application go with it.
    admin.delete(SHOP).await.is(204);
    assert_eq!(ids(&admin.get("/orgs/acme/pipelines").await.json(200)), ["default"]);
}

#[tokio::test]
async fn every_application_has_a_built_in_pipeline() {
    let (_server, admin) = shop::open().await;
    let path = format!("{PIPELINES}/default");
    let built_in = admin.get(&path).await.json(200);
    assert_eq!(built_in["name"], "Default");
    assert_eq!(built_in["trigger_types"], json!(["deployment_request"]));
    let versions = admin.get(&format!("{path}/versions")).await.json(200);
    assert_eq!(ids(&versions), [built_in["version"].as_str().unwrap()]);
    let schema = admin.get(&format!("{path}/schema")).await.text(200);
    assert!(schema.starts_with("name: Default\n"), "{schema}");
    let text = text("default", "Mine");
    let _ = send(&admin, "POST", PIPELINES, &text).await.refused(409, "API-409");
    let _ = send(&admin, "PATCH", &path, &text).await.refused(409, "API-409");
    let _ = admin.delete(&path).await.refused(409, "API-409");
    let criteria = json!({"trigger": "deployment_request"});
    let criteria = admin.post(&format!("{path}/criteria"), criteria).await;
    criteria.is(409);
}

#[tokio::test]
async fn mistakes_are_told_with_their_place() {
    let (_server, admin) = shop::open().await;
    let good = text("promote", "Promote");
    send(&admin, "POST", &format!("{PIPELINES}?dry_run=true"), &good).await.is(204);
    admin.get(&format!("{PIPELINES}/promote")).await.is(404);
    send(&admin, "POST", PIPELINES, &good).await.is(201);
    let _ = send(&admin, "POST", PIPELINES, &good).await.refused(409, "API-409");

    let wrong = "name: X\non: {push: {}}\njobs:\n  a: {needs: [b], steps: []}\n";
    let problem = send(&admin, "POST", PIPELINES, wrong).await.json(400);
    let message = problem["message"].as_str().unwrap();
    assert!(message.contains("`push` is not known in `/on` (line 2, column 6)"), "{message}");
    let errors = problem["details"]["errors"].as_array().unwrap();
    let places: Vec<_> = errors.iter().map(|error| error["path"].as_str().unwrap()).collect();
    assert_eq!(places, ["/on/push", "/jobs/a/needs", "/jobs/a/steps"]);
    for (text, says) in [
        ("a: [", "line "),
        ("a: 1\n---\nb: 2\n", "not valid"),
        (&*text("-x", "X"), "not valid as id of a pipeline"),
        ("\u{0}", "null character"),
    ] {
        let message = send(&admin, "POST", PIPELINES, text).await.refused(400, "API-400");
        assert!(message.contains(says), "{text}: {message}");
    }
    let _ = send(&admin, "POST", PIPELINES, " \n").await.refused(422, "API-422");
    let bytes = Some((YAML, vec![0xFF]));
    let _ = admin.send_raw("POST", PIPELINES, bytes).await.refused(400, "API-400");
    let form = Some(("text/csv", good.clone().into_bytes()));
    let _ = admin.send_raw("POST", PIPELINES, form).await.refused(415, "API-400");
    let large = format!("{good}# {}", "x".repeat(256 * 1024));
    let _ = send(&admin, "POST", PIPELINES, &large).await.refused(400, "API-400");
    let schema = admin.get("/orgs/acme/pipeline-schemas/latest").await.json(200);
    assert_eq!(schema["required"], json!(["name", "on", "jobs"]));
}

#[tokio::test]
async fn a_pipeline_may_not_do_more_than_its_author() {
    let (server, admin) = shop::open().await;
    let grants = text("promote", "X") + "\npermissions: {env-types: {development: deployer}}\n";
    let owner = [("", "member"), ("/apps/shop", "owner")];
    let author = server.with_roles(&owner).await;
    let _ = send(&author, "POST", PIPELINES, &grants).await.refused(403, "API-403");
    let mine = text("mine", "X") + "\npermissions: {application: owner}\n";
    send(&author, "POST", PIPELINES, &mine).await.is(201);
    let deployer = ("/env-types/development", "deployer");
    let author = server.with_roles(&[owner[0], owner[1], deployer]).await;
    send(&author, "POST", PIPELINES, &grants).await.is(201);
    send(&admin, "PATCH", &format!("{PIPELINES}/promote"), &grants).await.is(200);

    let viewer = [("", "member"), ("/apps/shop", "viewer")];
    let viewer = server.with_roles(&viewer).await;
    viewer.get(&format!("{PIPELINES}/mine/schema")).await.is(200);
    let _ = send(&viewer, "POST", PIPELINES, &text("no", "X")).await.refused(403, "API-403");
    let _ = viewer.delete(&format!("{PIPELINES}/mine")).await.refused(403, "API-403");
    // Of the organization's list everybody sees their applications.
    admin.post("/orgs/acme/apps", json!({"id": "blog", "name": "Blog"})).await.is(201);
    let list = viewer.get("/orgs/acme/pipelines").await.json(200);
    assert_eq!(ids(&list), ["default", "mine", "promote"]);
}

#[tokio::test]
async fn criteria_from_beginning_to_end() {
    let (_server, admin) = shop::open().await;
    create(&admin, "promote").await;
    create(&admin, "other").await;
    let criteria = format!("{PIPELINES}/promote/criteria");
    let body = json!({
        "trigger": "deployment_request", "env_type": "development", "app_id": "shop",
        "env_id": "not-there", "deployment_type": "re-deploy",
    });
    let created = admin.post(&criteria, body.clone()).await.json(201);
    for (name, value) in body.as_object().unwrap() {
        assert_eq!(created[name], *value, "{name}");
    }
    assert_eq!(created["pipeline_id"], "promote");
    assert_eq!(created["pipeline_name"], "X");
    let path = format!("{criteria}/{}", created["id"].as_str().unwrap());
    assert_eq!(admin.get(&path).await.json(200), created);

    // What is absent or empty stays absent, but for the application.
    let bare = json!({"trigger": "deployment_request", "env_type": null, "env_id": ""});
    let bare = admin.post(&criteria, bare).await.json(201);
    assert_eq!(bare["app_id"], "shop");
    for name in ["env_type", "env_id", "deployment_type"] {
        assert_eq!(bare.get(name), None, "{name}");
    }
    // The same in other words, and with another pipeline.
    let any = json!({"trigger": "deployment_request", "env_type": "*"});
    let other = format!("{PIPELINES}/other/criteria");
    let _ = admin.post(&other, any.clone()).await.refused(409, "API-409");
    let mut same = body.clone();
    same["deployment_type"] = json!("redeploy");
    let _ = admin.post(&criteria, same).await.refused(409, "API-409");
    admin.delete(&format!("{criteria}/{}", bare["id"].as_str().unwrap())).await.is(204);
    let any = admin.post(&other, any).await.json(201);
    assert_eq!(any["env_type"], "*");

    let list = async |query: &str| admin.get(&format!("{CRITERIA}{query}")).await.json(200);
    assert_eq!(list("").await, json!([created, any]));
    assert_eq!(list("?pipeline=other").await, json!([any]));
    assert_eq!(list("?match[env_type]=development").await, json!([created]));
    assert_eq!(list("?match[env_id]=x").await, json!([]));
    assert_eq!(list("?match[what]=x").await, json!([]));
    assert!(admin.get(&format!("{CRITERIA}?per_page=1")).await.header("link").is_some());

    for (name, value) in [
        ("trigger", "pipeline_call"),
        ("app_id", "blog"),
        ("env_id", "A B"),
        ("env_type", "A B"),
        ("deployment_type", "undeploy"),
    ] {
        let mut wrong = json!({"trigger": "deployment_request"});
        wrong[name] = json!(value);
        let _ = admin.post(&criteria, wrong).await.refused(400, "API-400");
    }
    let _ = admin.post(&criteria, json!({})).await.refused(400, "API-400");
    admin.post(&format!("{PIPELINES}/none/criteria"), body).await.is(404);
    let id = created["id"].as_str().unwrap();
    admin.get(&format!("{other}/{id}")).await.is(404);
    admin.delete(&format!("{other}/{id}")).await.is(404);

    admin.delete(&path).await.is(204);
    admin.get(&path).await.is(404);
    admin.delete(&path).await.is(404);
    // Criteria go with their pipeline.
    admin.delete(&format!("{PIPELINES}/other")).await.is(204);
    assert_eq!(list("").await, json!([]));
}

#[tokio::test]
async fn running_is_not_there_yet() {
    let (_server, admin) = shop::open().await;
    let runs = format!("{PIPELINES}/default/runs");
    let _ = admin.post(&runs, json!({"inputs": {}})).await.refused(501, "API-501");
}
