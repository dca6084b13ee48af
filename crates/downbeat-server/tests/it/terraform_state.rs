//! The states of infrastructure code, as Terraform's `http` backend talks to the server.

use downbeat_core::Json;
use downbeat_testkit::Server;
use reqwest::{Client, Method, Response};
use serde_json::json;

const ROUTES: [(&str, &str); 5] =
    [("GET", ""), ("POST", ""), ("DELETE", ""), ("PUT", "/lock"), ("DELETE", "/lock")];

struct Backend<'a> {
    server: &'a Server,
    http: Client,
}

impl Backend<'_> {
    async fn send(&self, method: &str, path: &str, body: impl Into<String>) -> Response {
        let url = format!("{}/terraform/state/r1{path}", self.server.base);
        let key = self.server.run_keys.make("r1");
        let request = self.http.request(method.parse::<Method>().unwrap(), url);
        let request = request.basic_auth("ada", Some(key.expose())).body(body.into());
        request.send().await.unwrap()
    }

    async fn status(&self, method: &str, path: &str, body: impl Into<String>) -> u16 {
        self.send(method, path, body).await.status().as_u16()
    }
}

#[tokio::test]
async fn without_the_key_nothing_is_told() {
    let server = Server::start().await;
    let backend = Backend { server: &server, http: Client::new() };
    assert_eq!(backend.status("POST", "", "{\"secret\":1}").await, 200);
    let other = server.run_keys.make("r2").expose().to_owned();
    for (method, path) in ROUTES {
        let mut said = Vec::new();
        for resource in ["r1", "nothing"] {
            let url = format!("{}/terraform/state/{resource}{path}", server.base);
            let request = || backend.http.request(method.parse::<Method>().unwrap(), &url);
            for request in [
                request(),
                request().basic_auth("ada", Some(&other)),
                request().basic_auth("ada", Some("")),
                request().basic_auth(server.token(), None::<&str>),
                request().bearer_auth(server.token()),
                request().header("authorization", "Basic %%%"),
            ] {
                let answer = request.send().await.unwrap();
                assert_eq!(answer.status().as_u16(), 401, "{method} {path}");
                let scheme = answer.headers()["www-authenticate"].to_str().unwrap();
                assert!(scheme.starts_with("Basic "));
                said.push(answer.text().await.unwrap());
            }
        }
        said.dedup();
        assert_eq!(said.len(), 1, "{method} {path} tells whether there is something");
    }
    assert_eq!(backend.send("GET", "", "").await.text().await.unwrap(), "{\"secret\":1}");
}

#[tokio::test]
async fn a_lock_has_one_holder() {
    let server = Server::start().await;
    let backend = Backend { server: &server, http: Client::new() };
    let lock = |id: &str| json!({ "ID": id, "Who": "ada@laptop" }).to_string();
    assert_eq!(backend.status("GET", "", "").await, 204);
    assert_eq!(backend.status("PUT", "/lock", lock("a")).await, 200);
    for (method, path, body) in [
        ("PUT", "/lock", lock("b")),
        ("DELETE", "/lock", lock("b")),
        ("POST", "?ID=b", "{}".to_owned()),
        ("POST", "", "{}".to_owned()),
        ("DELETE", "", String::new()),
    ] {
        let answer = backend.send(method, path, body).await;
        assert_eq!(answer.status().as_u16(), 423, "{method} {path}");
        let holder: Json = answer.json().await.unwrap();
        assert_eq!(holder, json!({ "ID": "a", "Who": "ada@laptop", "LockedBy": "ada" }));
    }
    assert_eq!(backend.status("POST", "?ID=a", "{\"serial\":1}").await, 200);
    assert_eq!(backend.status("DELETE", "/lock", lock("a")).await, 200);
    assert_eq!(backend.status("POST", "?ID=a", "{\"serial\":2}").await, 409);
    assert_eq!(backend.send("GET", "", "").await.text().await.unwrap(), "{\"serial\":1}");
    // By force, whoever holds it.
    assert_eq!(backend.status("PUT", "/lock", lock("b")).await, 200);
    assert_eq!(backend.status("DELETE", "/lock", "").await, 200);
    assert_eq!(backend.status("DELETE", "", "").await, 200);
    assert_eq!(backend.status("GET", "", "").await, 204);
}

#[tokio::test]
async fn what_is_no_state_or_lock_is_refused() {
    let server = Server::start().await;
    let backend = Backend { server: &server, http: Client::new() };
    assert_eq!(backend.status("POST", "", "").await, 422);
    assert_eq!(backend.status("POST", "", "no json").await, 422);
    assert_eq!(backend.status("PUT", "/lock", "[]").await, 422);
    assert_eq!(backend.status("PUT", "/lock", "{}").await, 400);
    // More than what other requests may carry.
    let large = format!("\"{}\"", "x".repeat(11 * 1024 * 1024));
    assert_eq!(backend.status("POST", "", large).await, 200);
    let answer = backend.http.post(format!("{}/terraform/state/r1", server.base));
    let key = server.run_keys.make("r1");
    let answer = answer.basic_auth("ada", Some(key.expose())).body(vec![b' '; 65 * 1024 * 1024]);
    // The server may close the connection before everything is sent.
    assert!(answer.send().await.map_or(true, |answer| answer.status().as_u16() == 413));
}
