//! Artefacts and their versions.

use downbeat_testkit::Server;
use serde_json::{Value, json};

use crate::chart;

const ARTEFACTS: &str = "/orgs/acme/artefacts";
const VERSIONS: &str = "/orgs/acme/artefact-versions";
const NAME: &str = "registry.humanitec.io/my-org/my-service";

fn names(list: &Value) -> Vec<String> {
    let line = |item: &Value| {
        format!("{} {}", item["name"].as_str().unwrap(), item["version"].as_str().unwrap_or("-"))
    };
    list.as_array().unwrap().iter().map(line).collect()
}

fn score(image: &str) -> Value {
    json!({
        "apiVersion": "score.dev/v1b1",
        "metadata": { "name": "web" },
        "containers": { "main": { "image": image } },
        "resources": { "db": { "type": "postgres" } },
    })
}

#[tokio::test]
async fn register_and_read_a_container() {
    let server = Server::start().await;
    let admin = server.admin();
    let created =
        admin.post(VERSIONS, json!({ "type": "container", "name": NAME })).await.json(200);
    assert_eq!(created["type"], "container");
    assert_eq!(created["name"], NAME);
    for name in ["commit", "ref", "digest"] {
        assert_eq!(created[name], "", "{name}");
    }
    assert_eq!(created.get("version"), None);
    assert_eq!(created["archived"], false);
    let id = created["id"].as_str().unwrap();
    assert_eq!(admin.get(&format!("{VERSIONS}/{id}")).await.json(200), created);
    // The way of the provider: the artefact is looked for by its name.
    let found = admin.get(&format!("{ARTEFACTS}?name={NAME}")).await.json(200);
    assert_eq!(found[0]["id"], created["artefact_id"]);
    assert_eq!(found[0]["type"], "container");

    let digest = "sha256:8414aa82208bc4c2761dc149df67e25c6b8a9380e5d8c4e7b5c84ca2d04bb244";
    let body = json!({
        "type": "container", "name": NAME, "version": "1.2.3", "ref": "refs/heads/main",
        "commit": "884bccaa807ea27cc1997a7492a3b6279fd7bd55", "digest": digest,
    });
    let full = admin.post(VERSIONS, body.clone()).await.json(200);
    for (name, value) in body.as_object().unwrap() {
        assert_eq!(full[name], *value, "{name}");
    }
    assert_eq!(full["artefact_id"], created["artefact_id"]);
    // The same once more is another version: nothing says that it was built only once.
    let again = admin.post(VERSIONS, body).await.json(200);
    assert_ne!(again["id"], full["id"]);

    let _ = admin.get(&format!("{VERSIONS}/x")).await.refused(400, "API-400");
    let unknown = format!("{VERSIONS}/662b80db-cc71-40cf-b601-08d57983f6e4");
    let _ = admin.get(&unknown).await.refused(404, "API-404");
    let message =
        admin.get(&format!("{VERSIONS}/{id}/workload-spec")).await.refused(400, "API-400");
    assert!(message.contains("is a container, not a workload"), "{message}");
    let path = format!("{VERSIONS}/{id}/workload-deployment-set");
    let _ = admin.get(&path).await.refused(400, "API-400");
}

#[tokio::test]
async fn lists_are_filtered() {
    let server = Server::start().await;
    let admin = server.admin();
    for (name, version, digest) in
        [("reg:5000/a", "1", "sha256:aa"), ("reg:5000/a", "2", "sha256:bb"), ("reg/b", "1", "")]
    {
        let body =
            json!({ "type": "container", "name": name, "version": version, "digest": digest });
        admin.post(VERSIONS, body).await.is(200);
    }
    let web = json!({ "type": "workload", "name": "web", "spec": score("reg/b:1") });
    admin.post(VERSIONS, web).await.is(200);

    let list = async |path: String| names(&admin.get(&path).await.json(200));
    let all = ["web -", "reg/b 1", "reg:5000/a 2", "reg:5000/a 1"];
    assert_eq!(list(VERSIONS.to_owned()).await, all);
    assert_eq!(list(format!("{VERSIONS}?name=&type=&reference=&archived=false")).await, all);
    assert_eq!(list(format!("{VERSIONS}?name=reg/b")).await, ["reg/b 1"]);
    for kind in ["workload", "workloads"] {
        assert_eq!(list(format!("{VERSIONS}?type={kind}")).await, ["web -"]);
        assert_eq!(list(format!("{ARTEFACTS}?type={kind}")).await, ["web -"]);
    }
    // A reference to a version leads to all versions of its artefact.
    let reference = "reg:5000/a:1@sha256:aa".replace(':', "%3A").replace('@', "%40");
    let of_a = ["reg:5000/a 2", "reg:5000/a 1"];
    assert_eq!(list(format!("{VERSIONS}?reference={reference}")).await, of_a);
    let both = format!("{VERSIONS}?reference={reference}&name=reg/b");
    let message = admin.get(&both).await.refused(400, "API-400");
    assert!(message.contains("do not go together"), "{message}");

    assert_eq!(list(ARTEFACTS.to_owned()).await, ["reg/b -", "reg:5000/a -", "web -"]);
    let found = admin.get(&format!("{ARTEFACTS}?name=reg:5000/a&type=container")).await.json(200);
    let path = format!("{ARTEFACTS}/{}/versions", found[0]["id"].as_str().unwrap());
    assert_eq!(list(path.clone()).await, of_a);
    assert_eq!(list(format!("{path}?limit=1")).await, of_a[..1]);
    assert_eq!(list(format!("{path}?reference={reference}")).await, of_a[1..]);
    assert_eq!(list(format!("{path}?reference=reg:5000/a:2")).await, of_a[..1]);
    assert_eq!(list(format!("{path}?reference=reg/b:1")).await, [""; 0]);
    for wrong in ["0", "-1", "x"] {
        let _ = admin.get(&format!("{path}?limit={wrong}")).await.refused(400, "API-400");
    }
    let _ = admin.get(&format!("{ARTEFACTS}/x/versions")).await.refused(404, "API-404");
}

#[tokio::test]
async fn archive_and_delete() {
    let server = Server::start().await;
    let admin = server.admin();
    let body = json!({ "type": "container", "name": "reg/app", "version": "1" });
    let version = admin.post(VERSIONS, body.clone()).await.json(200);
    let artefact = format!("{ARTEFACTS}/{}", version["artefact_id"].as_str().unwrap());
    let path = format!("{artefact}/versions/{}", version["id"].as_str().unwrap());

    let archived = admin.patch(&path, json!({ "archived": true })).await.json(200);
    assert_eq!(archived["archived"], true);
    assert_ne!(archived["updated_at"], version["updated_at"]);
    assert_eq!(archived["created_at"], version["created_at"]);
    let same = admin.patch(&path, json!({ "archived": null })).await.json(200);
    assert_eq!(same, archived);
    for list in [VERSIONS.to_owned(), format!("{artefact}/versions")] {
        assert_eq!(admin.get(&list).await.json(200), json!([]));
        let all = admin.get(&format!("{list}?archived=true")).await.json(200);
        assert_eq!(all, json!([archived]));
    }
    let back = admin.patch(&path, json!({ "archived": false })).await.json(200);
    assert_eq!(back["archived"], false);
    let _ = admin.patch(&path, json!({})).await.refused(400, "API-400");
    let _ = admin.patch(&path, json!({ "archived": 1 })).await.refused(400, "API-400");
    let other = admin.post(VERSIONS, json!({ "type": "container", "name": "x" })).await.json(200);
    let wrong = format!("{artefact}/versions/{}", other["id"].as_str().unwrap());
    for path in [&wrong, &format!("{ARTEFACTS}/x/versions/y")] {
        let _ = admin.patch(path, json!({ "archived": true })).await.refused(404, "API-404");
    }

    let member = server.with_role("member").await;
    member.get(VERSIONS).await.is(200);
    let _ = member.post(VERSIONS, body).await.refused(403, "API-403");
    let _ = member.delete(&artefact).await.refused(403, "API-403");
    admin.delete(&artefact).await.is(204);
    let _ = admin.delete(&artefact).await.refused(404, "API-404");
    let version = format!("{VERSIONS}/{}", version["id"].as_str().unwrap());
    let _ = admin.get(&version).await.refused(404, "API-404");
    assert_eq!(names(&admin.get(VERSIONS).await.json(200)), ["x -"]);
}

#[tokio::test]
async fn a_workload_holds_its_score_file_and_what_became_of_it() {
    let server = Server::start().await;
    let admin = server.admin();
    let body = json!({
        "type": "workload", "name": "web", "version": "1.0", "commit": "c0ffee",
        "spec": score("."), "image": "reg/web:1",
        "overrides": { "containers": { "main": { "variables": { "A": "1" } } } },
        "property_overrides": { "containers.main.variables.B": "2" },
        "resource_type_aliases": { "postgres": "acme/postgres" },
        "extensions": { "apiVersion": "humanitec.org/v1b1", "profile": "acme/special" },
    });
    let created = admin.post(VERSIONS, body.clone()).await.json(200);
    assert_eq!(created["type"], "workload");
    assert_eq!(created["version"], "1.0");
    assert_eq!(created["commit"], "c0ffee");
    for name in ["ref", "digest", "spec"] {
        assert_eq!(created.get(name), None, "{name}");
    }
    let path = format!("{VERSIONS}/{}", created["id"].as_str().unwrap());
    assert_eq!(admin.get(&format!("{path}/workload-spec")).await.json(200), score("."));
    let set = admin.get(&format!("{path}/workload-deployment-set")).await.json(200);
    let web = &set["modules"]["web"];
    assert_eq!(web["profile"], "acme/special");
    assert_eq!(web["spec"]["containers"]["main"]["image"], "reg/web:1");
    let variables = &web["spec"]["containers"]["main"]["variables"];
    assert_eq!(*variables, json!({ "A": "1", "B": "2" }));
    assert_eq!(web["externals"]["db"]["type"], "acme/postgres");
    assert_eq!(set["shared"], json!({}));

    let yaml = admin.accepting("application/x-yaml");
    let answer = yaml.get(&format!("{path}/workload-spec")).await;
    assert_eq!(answer.header("content-type"), Some("application/x-yaml"));
    assert!(answer.text(200).starts_with("apiVersion: score.dev/v1b1\n"));
    let text = yaml.get(&format!("{path}/workload-deployment-set")).await.text(200);
    assert!(text.contains("profile: acme/special\n"), "{text}");

    // Of a workload and a container with one name there are two artefacts.
    admin.post(VERSIONS, json!({ "type": "container", "name": "web" })).await.is(200);
    assert_eq!(admin.get(ARTEFACTS).await.json(200).as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn a_dry_run_keeps_nothing() {
    let server = Server::start().await;
    let admin = server.admin();
    let dry = format!("{VERSIONS}?dry_run=true");
    let body = json!({ "type": "workload", "name": "web", "spec": score("reg/web:1") });
    admin.post(&dry, body.clone()).await.is(204);
    admin.post(&dry, json!({ "type": "container", "name": "reg/app" })).await.is(204);
    let json = "application/x.workload-deployment-set+json";
    let answer = admin.accepting(json).post(&dry, body.clone()).await;
    assert_eq!(answer.header("content-type"), Some(json));
    let set = answer.json(200);
    assert_eq!(set["modules"]["web"]["spec"]["containers"]["main"]["image"], "reg/web:1");
    let yaml = "application/x.workload-deployment-set+x-yaml";
    let answer = admin.accepting(yaml).post(&dry, body.clone()).await;
    assert_eq!(answer.header("content-type"), Some(yaml));
    assert!(answer.text(200).starts_with("modules:\n  web:\n"));
    let container = json!({ "type": "container", "name": "reg/app" });
    admin.accepting(json).post(&dry, container).await.is(204);
    let _ = admin.post(&dry, json!({ "type": "x", "name": "y" })).await.refused(400, "API-400");
    assert_eq!(admin.get(VERSIONS).await.json(200), json!([]));
    // Otherwise the answer is the version, whatever is accepted.
    let created = admin.accepting(json).post(VERSIONS, body).await.json(200);
    assert_eq!(created["type"], "workload");
}

#[tokio::test]
async fn a_form_says_the_same() {
    let server = Server::start().await;
    let admin = server.admin();
    let text = "apiVersion: score.dev/v1b1\nmetadata:\n  name: web\ncontainers:\n  main:\n    \
                image: .\n";
    let parts: [(&str, &[u8]); 6] = [
        ("type", b"workload"),
        ("name", b"web"),
        ("version", b"1.0"),
        ("image", b"reg/web:1"),
        ("spec", text.as_bytes()),
        ("overrides", br#"{"containers": {"main": {"args": ["x"]}}}"#),
    ];
    let created = chart::send(&admin, VERSIONS, &parts).await.json(200);
    assert_eq!(created["version"], "1.0");
    let path = format!("{VERSIONS}/{}", created["id"].as_str().unwrap());
    let set = admin.get(&format!("{path}/workload-deployment-set")).await.json(200);
    let main = &set["modules"]["web"]["spec"]["containers"]["main"];
    assert_eq!((&main["image"], &main["args"]), (&json!("reg/web:1"), &json!(["x"])));
    let container: [(&str, &[u8]); 3] =
        [("type", b"container"), ("name", b"reg/app"), ("version", b"1.0")];
    let created = chart::send(&admin, VERSIONS, &container).await.json(200);
    assert_eq!(created["version"], "1.0");
    for (parts, says) in [
        (&parts[1..], "missing field `type`"),
        (&parts[..4], "The Score file of the workload is missing."),
        (&[("type", b"workload".as_slice()), ("spec", b"{"), ("name", b"x")][..], "part `spec`"),
        (&[("type", b"workload".as_slice()), ("spec", b"[]"), ("name", b"x")][..], "not valid"),
    ] {
        let message = chart::send(&admin, VERSIONS, parts).await;
        let message = message.json(400)["message"].as_str().unwrap().to_owned();
        assert!(message.contains(says), "{says}: {message}");
    }
}

#[tokio::test]
async fn mistakes_are_told_with_their_place() {
    let server = Server::start().await;
    let admin = server.admin();
    let check = async |query: &str, more: Value, says: &str| {
        let mut body = json!({ "type": "container", "name": "reg/app" });
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let message = admin.post(&format!("{VERSIONS}{query}"), body).await;
        let message = message.json(400)["message"].as_str().unwrap().to_owned();
        assert!(message.contains(says), "{says}: {message}");
    };
    check("", json!({ "type": "image" }), "not a type of artefacts").await;
    check("", json!({ "name": "" }), "has no name").await;
    check("", json!({ "name": "reg/app:1" }), "not valid as name of an image").await;
    check("", json!({ "name": "reg/app@sha256:aa" }), "not valid as name of an image").await;
    check("", json!({ "name": "a b" }), "without spaces").await;
    check("", json!({ "version": "x".repeat(501) }), "`/version`").await;
    check("", json!({ "commit": "XYZ12" }), "not valid as commit").await;
    check("", json!({ "commit": "abcd" }), "not valid as commit").await;
    check("", json!({ "ref": "main" }), "begins with `refs/`").await;
    check("?vcs=git", json!({ "ref": "main" }), "begins with `refs/`").await;
    check("?vcs=", json!({ "ref": "main" }), "begins with `refs/`").await;
    let body = json!({ "type": "container", "name": "reg/app", "ref": "trunk", "commit": "" });
    let created = admin.post(&format!("{VERSIONS}?vcs=svn"), body).await.json(200);
    assert_eq!(created["ref"], "trunk");

    let workload = |spec: Value| json!({ "type": "workload", "name": "web", "spec": spec });
    check("", workload(Value::Null), "is missing").await;
    let answer = admin.post(VERSIONS, workload(json!({ "metadata": {} }))).await.json(400);
    assert!(answer["error"].as_str().unwrap().starts_with("SCO-"), "{answer}");
    let mut large = workload(score("reg/web:1"));
    let half = "x".repeat(600 * 1024);
    large["spec"]["containers"]["main"]["variables"] = json!({ "A": half });
    large["overrides"] = json!({ "containers": { "main": { "variables": { "B": half } } } });
    check("", large, "too large").await;
    let _ = admin.post(VERSIONS, json!([])).await.refused(422, "API-422");
    let _ = admin.post(VERSIONS, json!({ "name": "x" })).await.refused(400, "API-400");
    let text = Some(("text/plain", b"x".to_vec()));
    let _ = admin.send_raw("POST", VERSIONS, text).await.refused(415, "API-400");
}
