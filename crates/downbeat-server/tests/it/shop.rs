//! What most sessions begin with: the application `shop` with the environment `dev`.

use downbeat_testkit::{Client, Server};
use serde_json::json;

/// The application.
pub(crate) const SHOP: &str = "/orgs/acme/apps/shop";
/// Its environment.
pub(crate) const DEV: &str = "/orgs/acme/apps/shop/envs/dev";

/// A server with the application, and a client of the administrator.
pub(crate) async fn open() -> (Server, Client) {
    let server = Server::start().await;
    let admin = server.admin();
    let env = json!({"id": "dev", "name": "Dev", "type": "development"});
    let app = json!({"id": "shop", "name": "Shop", "env": env});
    admin.post("/orgs/acme/apps", app).await.is(201);
    (server, admin)
}

/// Registers definitions for a cluster and for `dns`, so that a set with a `dns` can be deployed.
pub(crate) async fn define(admin: &Client) {
    for (id, kind) in [("cluster", "k8s-cluster"), ("any-dns", "dns")] {
        let definition = json!({
            "id": id, "name": id, "type": kind, "driver_type": "humanitec/echo",
            "driver_inputs": {"values": {"host": "shop.example.org"}}, "criteria": [{}],
        });
        admin.post("/orgs/acme/resources/defs", definition).await.is(200);
    }
}

/// Stores a delta that adds the workload `web` and the shared `dns` named `site`, and answers its
/// id.
pub(crate) async fn delta(admin: &Client) -> String {
    let delta = json!({
        "modules": {"add": {"web": {"profile": "humanitec/default-module", "spec": {
            "containers": {"main": {"id": "main", "image": "shop:1"}}}}}},
        "shared": [{"op": "add", "path": "/site", "value": {"type": "dns"}}],
    });
    let delta = admin.post("/orgs/acme/apps/shop/deltas", delta).await.json(200);
    delta["id"].as_str().unwrap().to_owned()
}
