use downbeat_testkit::{Client, Server};
use serde_json::{Value, json};

use crate::{
    engine,
    shop::{self, DEV},
};

const ENVS: &str = "/orgs/acme/apps/shop/envs";

async fn shop(server: &Server) -> Client {
    let admin = server.admin();
    admin.post("/orgs/acme/apps", json!({ "id": "shop", "name": "Shop" })).await.is(201);
    admin
}

#[tokio::test]
async fn create_read_update_delete() {
    let server = Server::start().await;
    let admin = shop(&server).await;
    let body = json!({ "id": "qa", "name": "QA", "type": "development" });
    let qa = admin.post(ENVS, body).await.json(201);
    assert_eq!(qa["status"], "active");
    assert_eq!(qa.get("from_deploy"), None);
    assert_eq!(qa.get("last_deploy"), None);
    let path = &format!("{ENVS}/qa");
    assert_eq!(admin.get(path).await.json(200), qa);

    let renamed = admin.patch(path, json!({ "name": "Quality" })).await.json(200);
    assert_eq!(renamed["name"], "Quality");
    assert_eq!(admin.patch(path, json!({})).await.json(200), renamed);
    let list = admin.get(ENVS).await.json(200);
    let ids: Vec<_> = list.as_array().unwrap().iter().map(|env| &env["id"]).collect();
    assert_eq!(ids, ["development", "qa"]);

    admin.delete(path).await.is(204);
    let _ = admin.get(path).await.refused(404, "API-404");
    let _ = admin.delete(path).await.refused(404, "API-404");
    let message = admin.delete(&format!("{ENVS}/development")).await.refused(400, "API-400");
    assert_eq!(message, "`development` is the last environment of the application `shop`.");
}

#[tokio::test]
async fn refuses_bad_ids_types_bases_and_repeats() {
    let server = Server::start().await;
    let admin = shop(&server).await;
    let refused = async |body: Value, status: u16, code: &str| {
        admin.post(ENVS, body).await.refused(status, code)
    };
    refused(json!({ "id": "Q", "name": "Q" }), 400, "API-400").await;
    refused(json!({ "id": "qa", "name": "Q", "type": "none" }), 400, "API-400").await;
    let message = refused(
        json!({ "id": "qa", "name": "Q", "type": "development", "from_deploy_id": "zz" }),
        400,
        "API-400",
    );
    assert_eq!(message.await, "The application `shop` has no deployment with id `zz`.");
    let taken = json!({ "id": "development", "name": "D", "type": "development" });
    refused(taken, 409, "API-409").await;
    let _ = admin
        .post("/orgs/acme/apps/none/envs", json!({ "id": "qa", "name": "Q" }))
        .await
        .refused(404, "API-404");
    // v1 does not ask for the type.
    let qa = admin.post(ENVS, json!({ "id": "qa", "name": "QA" })).await.json(201);
    assert_eq!(qa["type"], "development");
}

#[tokio::test]
async fn rebasing_takes_a_deployment_of_the_application() {
    let server = Server::start().await;
    let admin = shop(&server).await;
    let path = &format!("{ENVS}/development/from_deploy_id");
    let _ = admin.put(path, json!("0123456789abcdef")).await.refused(400, "API-400");
    let _ = admin.put(path, json!({ "id": "x" })).await.refused(422, "API-422");
    let _ = admin
        .put(&format!("{ENVS}/none/from_deploy_id"), json!("0123456789abcdef"))
        .await
        .refused(404, "API-404");
}

#[tokio::test]
async fn pausing_takes_a_bare_boolean() {
    let server = Server::start().await;
    let admin = shop(&server).await;
    let path = &format!("{ENVS}/development/runtime/paused");
    admin.put(path, json!(true)).await.is(204);
    admin.put(path, json!(false)).await.is(204);
    let _ = admin.put(path, json!("true")).await.refused(422, "API-422");
    let _ = admin
        .put(&format!("{ENVS}/none/runtime/paused"), json!(true))
        .await
        .refused(404, "API-404");
}

#[tokio::test]
async fn a_copy_starts_from_a_deployment_that_outlives_its_environment() {
    let (server, admin) = shop::open().await;
    shop::define(&admin).await;
    let body = json!({ "delta_id": shop::delta(&admin).await, "comment": "" });
    let deployment = admin.post(&format!("{DEV}/deploys"), body).await.json(201);
    let id = &deployment["id"];

    let message = admin.delete("/orgs/acme/apps/shop").await.refused(409, "API-409");
    assert_eq!(message, "The environment `dev` cannot be deleted while a deployment is under way.");
    engine::succeed(&server).await;
    let dev = admin.get(DEV).await.json(200);
    assert_eq!(dev["last_deploy"]["status"], "succeeded");
    assert_eq!(&dev["last_deploy"]["id"], id);

    let body = json!({ "id": "qa", "name": "QA", "type": "development", "from_deploy_id": id });
    let qa = admin.post(ENVS, body).await.json(201);
    assert_eq!(&qa["from_deploy"]["id"], id);
    assert_eq!(qa.get("last_deploy"), None);

    admin.delete(DEV).await.is(202);
    engine::free(&server).await;
    admin.delete(DEV).await.is(404);
    assert_eq!(&admin.get(&format!("{ENVS}/qa")).await.json(200)["from_deploy"]["id"], id);

    // An environment of the same id is another one.
    let body = json!({ "id": "dev", "name": "Dev", "type": "development" });
    let dev = admin.post(ENVS, body).await.json(201);
    assert_eq!(dev.get("from_deploy"), None);
    assert_eq!(admin.get(&format!("{DEV}/resources")).await.json(200), json!([]));
    admin.put(&format!("{DEV}/from_deploy_id"), id.clone()).await.is(204);
    assert_eq!(&admin.get(DEV).await.json(200)["from_deploy"]["id"], id);

    admin.delete("/orgs/acme/apps/shop").await.is(204);
    let _ = admin.get("/orgs/acme/apps/shop").await.refused(404, "API-404");
}

#[tokio::test]
async fn what_is_only_described_goes_with_its_environment() {
    let (server, admin) = shop::open().await;
    shop::define(&admin).await;
    let git = json!({ "name": "cluster", "driver_type": "humanitec/k8s-cluster-git" });
    admin.put("/orgs/acme/resources/defs/cluster", git).await.is(200);
    let wildcard = json!({ "name": "dns", "driver_type": "downbeat/template" });
    admin.put("/orgs/acme/resources/defs/any-dns", wildcard).await.is(200);
    admin.post(ENVS, json!({ "id": "qa", "name": "QA" })).await.is(201);
    let body = json!({ "delta_id": shop::delta(&admin).await, "comment": "" });
    admin.post(&format!("{DEV}/deploys"), body).await.is(201);
    engine::succeed(&server).await;
    let resources = admin.get(&format!("{DEV}/resources")).await.json(200);
    let drivers: Vec<_> =
        resources.as_array().unwrap().iter().map(|one| &one["driver_type"]).collect();
    for driver in ["humanitec/k8s-cluster-git", "downbeat/template"] {
        assert!(drivers.contains(&&json!(driver)), "{drivers:?}");
    }
    admin.delete(DEV).await.is(202);
    // Only the target has to be asked.
    assert_eq!(engine::free(&server).await, ["environment.default#dev"]);
    let _ = admin.get(DEV).await.refused(404, "API-404");
}

#[tokio::test]
async fn what_drivers_made_goes_before_its_environment() {
    let (server, admin) = shop::open().await;
    shop::define(&admin).await;
    let terraform = json!({
        "id": "real-dns", "name": "DNS", "type": "dns", "driver_type": "humanitec/terraform",
        "criteria": [{ "app_id": "shop" }],
    });
    admin.post("/orgs/acme/resources/defs", terraform).await.is(200);
    let body = json!({ "delta_id": shop::delta(&admin).await, "comment": "" });
    admin.post(&format!("{DEV}/deploys"), body).await.is(201);
    engine::succeed(&server).await;
    let app = "/orgs/acme/apps/shop";
    admin.delete(app).await.is(202);
    assert_eq!(admin.get(app).await.json(200)["status"], "deleting");
    assert_eq!(admin.get(DEV).await.json(200)["status"], "deleting");
    let _ = admin.post(ENVS, json!({ "id": "qa", "name": "QA" })).await.refused(409, "API-409");
    // What nobody could free is named, and tried again.
    engine::give_up(&server).await;
    let left = admin.delete(app).await.json(409);
    let message = left["message"].as_str().unwrap();
    assert!(message.contains("environment.default#dev"), "{message}");
    assert!(message.contains("the cloud said no"), "{message}");
    assert_eq!(left["details"]["left"][0]["attempts"], 1);
    admin.delete(app).await.is(202);
    // What runs goes before what it uses.
    let freed = engine::free(&server).await;
    assert_eq!(freed, ["environment.default#dev", "dns.default#shared.site"]);
    admin.delete(app).await.is(404);
}
