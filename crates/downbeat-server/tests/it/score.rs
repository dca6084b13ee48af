//! Conversion of Score files.

use downbeat_api::{delta::DeltaRequest, deployment::DeploymentRequest, score::ConvertScore};
use downbeat_testkit::{ORG, Server};
use serde_json::json;

use crate::{engine, shop};

const CONVERT: &str = "/orgs/acme/artefact-versions/convert-score";

#[tokio::test]
async fn converts_a_score_file() {
    let server = Server::start().await;
    let admin = server.admin();
    let request = json!({
        "spec": {
            "apiVersion": "score.dev/v1b1",
            "metadata": {"name": "web"},
            "containers": {"main": {"image": ".", "variables": {"DB": "${resources.db.host}"}}},
            "resources": {"db": {"type": "postgres"}, "site": {"type": "dns", "id": "site"}},
        },
        "image": "reg/web:1",
        "overrides": {"containers": {"main": {"variables": {"LEVEL": "info"}}}},
        "property_overrides": {"containers.main.variables.DEBUG": "1"},
        "resource_type_aliases": {"dns": "acme/dns"},
        "extensions": {"apiVersion": "humanitec.org/v1b1", "profile": "acme/special"},
    });
    let converted = admin.post(CONVERT, request).await.json(200);
    let web = &converted["modules"]["web"];
    assert_eq!(web["profile"], "acme/special");
    let main = &web["spec"]["containers"]["main"];
    assert_eq!(main["image"], "reg/web:1");
    assert_eq!(
        main["variables"],
        json!({"DB": "${externals.db.host}", "LEVEL": "info", "DEBUG": "1"})
    );
    assert_eq!(web["externals"]["db"]["type"], "postgres");
    assert_eq!(converted["shared"]["site"]["type"], "acme/dns");
}

#[tokio::test]
async fn tells_all_mistakes_of_a_score_file() {
    let server = Server::start().await;
    let admin = server.admin();
    let request = json!({"spec": {
        "apiVersion": "score.dev/v1b1", "metadata": {}, "containers": {"main": {"imag": "x"}}}});
    let answer = admin.post(CONVERT, request).await.json(400);
    assert!(answer["error"].as_str().unwrap().starts_with("SCO-"), "{answer}");
    let errors = answer["details"]["errors"].as_array().unwrap();
    assert!(errors.len() >= 2, "{answer}");
    let _ = admin.post(CONVERT, json!({})).await.refused(400, "API-400");
    let _ = server.anonymous().post(CONVERT, json!({})).await.refused(401, "API-401");
}

#[tokio::test]
async fn from_a_score_file_to_a_deployment() {
    let (server, admin) = shop::open().await;
    shop::define(&admin).await;
    let client = admin.typed();
    let request = ConvertScore {
        spec: json!({
            "apiVersion": "score.dev/v1b1",
            "metadata": {"name": "web"},
            "containers": {"main": {"image": "."}},
            "resources": {"site": {"type": "dns", "id": "site"}},
        }),
        image: Some("reg/web:1".to_owned()),
        ..ConvertScore::default()
    };
    let converted = client.convert_score(ORG, &request).await.unwrap();
    let delta = client.create_delta(ORG, "shop", &DeltaRequest::from(&converted)).await.unwrap();
    let request = DeploymentRequest {
        delta_id: Some(delta.id),
        comment: Some("from Score".to_owned()),
        ..DeploymentRequest::default()
    };
    let deployment = client.deploy(ORG, "shop", "dev", &request).await.unwrap();
    engine::succeed(&server).await;
    let done = client.deployment(ORG, "shop", "dev", &deployment.id).await.unwrap();
    assert_eq!(done.status, "succeeded");
    let set = client.set(ORG, "shop", &done.set_id).await.unwrap();
    assert_eq!(set.modules["web"].spec["containers"]["main"]["image"], "reg/web:1");
    let progress = client.deployment_progress(ORG, "shop", "dev", &deployment.id).await.unwrap();
    assert!(progress.nodes.iter().all(|node| node.status == "ready"));
    let resources = client.active_resources(ORG, "shop", "dev").await.unwrap();
    assert_eq!(resources.len(), progress.nodes.len());
    let errors = client.deployment_errors(ORG, "shop", "dev", &deployment.id).await.unwrap();
    assert_eq!(errors, []);
}
