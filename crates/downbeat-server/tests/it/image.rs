//! Container images, as v1 had them before artefacts.

use downbeat_testkit::Server;
use serde_json::{Value, json};

const IMAGES: &str = "/orgs/acme/images";
const VERSIONS: &str = "/orgs/acme/artefact-versions";

#[tokio::test]
async fn builds_are_versions_of_container_artefacts() {
    let server = Server::start().await;
    let admin = server.admin();
    assert_eq!(admin.get(IMAGES).await.json(200), json!([]));
    let _ = admin.get(&format!("{IMAGES}/my-service")).await.refused(404, "API-404");
    let builds = format!("{IMAGES}/my-service/builds");
    let _ = admin.get(&builds).await.refused(404, "API-404");

    let build = json!({
        "image": "registry.humanitec.io/my-org/my-service:1.2.7", "branch": "master",
        "commit": "884bccaa807ea27cc1997a7492a3b6279fd7bd55", "tags": ["v1", "v1.2"],
    });
    admin.post(&builds, build.clone()).await.is(204);
    let image = admin.get(&format!("{IMAGES}/my-service")).await.json(200);
    assert_eq!(image["id"], "my-service");
    assert_eq!(image["source"], "api");
    for (name, value) in build.as_object().unwrap() {
        assert_eq!(image["builds"][0][name], *value, "{name}");
    }
    assert_eq!(image["added_at"], image["builds"][0]["added_at"]);
    assert_eq!(admin.get(&builds).await.json(200), image["builds"]);
    let version = admin.get(VERSIONS).await.json(200)[0].clone();
    assert_eq!(version["name"], "registry.humanitec.io/my-org/my-service");
    assert_eq!(version["version"], "1.2.7");
    assert_eq!(version["ref"], "refs/heads/master");

    // What is registered as artefact goes by its name.
    let body = json!({
        "type": "container", "name": "reg/app", "version": "1", "ref": "refs/tags/v1",
        "digest": "sha256:aa",
    });
    let artefact = admin.post(VERSIONS, body).await.json(200);
    let app = admin.get(&format!("{IMAGES}/reg%2Fapp")).await.json(200);
    assert_eq!(app["builds"][0]["image"], "reg/app:1@sha256:aa");
    assert_eq!(app["builds"][0]["tags"], json!(["v1"]));
    assert_eq!(app["builds"][0]["branch"], "");
    admin.post(&builds, json!({ "image": "my-service" })).await.is(204);
    let all = admin.get(IMAGES).await.json(200);
    let ids: Vec<_> = all.as_array().unwrap().iter().map(|image| &image["id"]).collect();
    assert_eq!(ids, ["my-service", "reg/app"]);
    assert_eq!(all[0]["builds"][1]["image"], "my-service");

    // Workloads are no images, and archived versions are not shown.
    let spec = json!({ "apiVersion": "score.dev/v1b1", "metadata": { "name": "web" },
        "containers": { "main": { "image": "x" } } });
    let web = json!({ "type": "workload", "name": "web", "spec": spec });
    admin.post(VERSIONS, web).await.is(200);
    let text = |name: &str| artefact[name].as_str().unwrap();
    let path = format!("/orgs/acme/artefacts/{}/versions/{}", text("artefact_id"), text("id"));
    admin.patch(&path, json!({ "archived": true })).await.is(200);
    assert_eq!(admin.get(IMAGES).await.json(200).as_array().unwrap().len(), 1);
    let _ = admin.get(&format!("{IMAGES}/reg%2Fapp")).await.refused(404, "API-404");
}

#[tokio::test]
async fn mistakes_are_told_with_their_place() {
    let server = Server::start().await;
    let admin = server.admin();
    let check = async |id: &str, body: Value, says: &str| {
        let path = format!("{IMAGES}/{id}/builds");
        let message = admin.post(&path, body).await.refused(400, "API-400");
        assert!(message.contains(says), "{says}: {message}");
    };
    check("app", json!({}), "`/image`").await;
    check("app", json!({ "image": "a b" }), "`/image`").await;
    check("app", json!({ "image": ":1" }), "has no name").await;
    check("a%20b", json!({ "image": "x" }), "`imageId`").await;
    check("app", json!({ "image": "x", "branch": "a b" }), "`/branch`").await;
    check("app", json!({ "image": "x", "tags": [""] }), "`/tags`").await;
    check("app", json!({ "image": "x", "tags": vec!["t"; 101] }), "too many tags").await;
    assert_eq!(admin.get(IMAGES).await.json(200), json!([]));
    let member = server.with_role("artefactContributor").await;
    member.get(IMAGES).await.is(200);
}
