//! Bodies that are too much, or not what they should be.

use std::time::Duration;

use downbeat_server::state::Limits;
use downbeat_testkit::{Client, Server};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

const APPS: &str = "/orgs/acme/apps";

async fn post(client: &Client, content_type: &str, body: impl Into<Vec<u8>>) -> (u16, String) {
    let answer = client.send_raw("POST", APPS, Some((content_type, body.into()))).await;
    let status = answer.status();
    let body = answer.json(status);
    (status, body["message"].as_str().unwrap_or_default().to_owned())
}

/// Begins a request whose last header, and as much of the body as is sent, are `rest`: the start of
/// the answer.
async fn begin(server: &Server, rest: &str) -> String {
    let address = server.base.trim_start_matches("http://");
    let mut stream = TcpStream::connect(address).await.unwrap();
    let head = format!(
        "POST {APPS} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {}\r\n\
         Content-Type: application/json\r\n{rest}",
        server.token()
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut answer = vec![0; 1024];
    let length = stream.read(&mut answer).await.unwrap();
    String::from_utf8_lossy(&answer[..length]).into_owned()
}

#[tokio::test]
async fn wrong_bodies_say_what_is_wrong() {
    let server = Server::start().await;
    let admin = server.admin();
    let check = async |body: &str, status: u16, message: &str| {
        assert_eq!(post(&admin, "application/json", body).await, (status, message.to_owned()));
    };
    check("", 422, "The request body is empty; JSON is expected.").await;
    check(
        "{",
        422,
        "The request body is not valid JSON: EOF while parsing an object at line 1 column 1.",
    )
    .await;
    for list in ["[]", " [\"shop\", \"Shop\", null, true]"] {
        check(list, 422, "The request body is a list; an object is expected.").await;
    }
    check("7", 422, "The request body has the wrong shape: invalid type: integer, expected struct CreateApplication.").await;
    check("{\"id\": \"shop\"}", 400, "The request body is not valid: missing field `name`.").await;
    check(
        "{\"id\": 7, \"name\": \"x\"}",
        400,
        "The request body is not valid at `/id`: invalid type: integer, expected a string.",
    )
    .await;
    check(
        "{\"id\": \"shop\", \"name\": \"x\", \"env\": {\"id\": \"dev\"}}",
        400,
        "The request body is not valid at `/env`: missing field `name`.",
    )
    .await;
    check(
        "{\"id\": \"shop\", \"name\": \"x\"} x",
        422,
        "The request body is not valid JSON: trailing characters at line 1 column 29.",
    )
    .await;
    let (status, _) = post(&admin, "application/json", b"\"\xFF\"".to_vec()).await;
    assert_eq!(status, 422);
}

#[tokio::test]
async fn content_types() {
    let server = Server::start().await;
    let admin = server.admin();
    let body = |id: &str| format!("{{\"id\": \"{id}\", \"name\": \"x\"}}");
    for (number, kind) in
        ["application/json; charset=utf-8", "Application/JSON", "application/merge-patch+json", ""]
            .iter()
            .enumerate()
    {
        assert_eq!(post(&admin, kind, body(&format!("app-{number}"))).await.0, 201, "{kind}");
    }
    for kind in ["text/plain", "application/x-www-form-urlencoded", "application/x-yaml"] {
        assert_eq!(post(&admin, kind, body("other")).await.0, 415, "{kind}");
    }
}

#[tokio::test]
async fn deep_nesting_is_refused() {
    let server = Server::start().await;
    let deep = |depth: usize| format!("{{\"x\": {}{}}}", "[".repeat(depth), "]".repeat(depth));
    let (status, message) = post(&server.admin(), "application/json", deep(100_000)).await;
    assert_eq!(status, 422, "{message}");
    assert!(message.contains("deeper than 100 levels"), "{message}");
}

#[tokio::test]
async fn a_large_body_is_refused_before_it_is_sent() {
    let server = Server::start().await;
    let answer = begin(&server, "Content-Length: 100000000\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 413 "), "{answer}");
}

#[tokio::test]
async fn a_large_body_of_unknown_length_is_cut_off() {
    let limits = Limits { body_bytes: 1000, ..Limits::default() };
    let server = Server::start_with(limits).await;
    let body = "[".repeat(2000);
    let rest = format!("Transfer-Encoding: chunked\r\n\r\n7d0\r\n{body}");
    let answer = begin(&server, &rest).await;
    assert!(answer.starts_with("HTTP/1.1 413 "), "{answer}");
}

#[tokio::test]
async fn a_body_that_does_not_arrive_ends_the_request() {
    let limits = Limits { body_time: Duration::from_millis(50), ..Limits::default() };
    let server = Server::start_with(limits).await;
    let answer = begin(&server, "Content-Length: 10\r\n\r\n{").await;
    assert!(answer.starts_with("HTTP/1.1 408 "), "{answer}");
}

#[tokio::test]
async fn an_anonymous_caller_is_refused_before_the_body_is_read() {
    let server = Server::start().await;
    let (status, _) = post(&server.anonymous(), "text/plain", vec![b'x'; 1000]).await;
    assert_eq!(status, 401);
}

#[tokio::test]
async fn a_request_that_takes_too_long_ends_before_it_changes_anything() {
    let limits = Limits { answer_time: Duration::from_millis(100), ..Limits::default() };
    let server = Server::start_with(limits).await;
    // There is one writer, and it is busy.
    let busy = server.db.write().await.unwrap();
    let body = "{\"id\": \"shop\", \"name\": \"x\"}";
    let (status, message) = post(&server.admin(), "application/json", body).await;
    assert_eq!(status, 503);
    assert_eq!(message, "The server took too long to answer.");
    drop(busy);
    assert_eq!(post(&server.admin(), "application/json", body).await.0, 201);
}

#[tokio::test]
async fn whoever_does_not_finish_the_head_of_a_request_is_disconnected() {
    let limits = Limits { head_time: Duration::from_millis(100), ..Limits::default() };
    let server = Server::start_with(limits).await;
    let address = server.base.trim_start_matches("http://");
    for sent in ["", "GET /health HTTP/1.1\r\nHost: x", "GET /health HTTP/1.1\r\nHost: x\r\n\r\n"] {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(sent.as_bytes()).await.unwrap();
        let mut answer = String::new();
        // It ends, although this side does not close the connection.
        stream.read_to_string(&mut answer).await.unwrap();
        assert_eq!(answer.starts_with("HTTP/1.1 200"), sent.ends_with("\r\n\r\n"), "{answer}");
    }
}

#[tokio::test]
async fn one_connection_more_than_there_may_be_waits_for_its_turn() {
    let limits = Limits { connections: 1, ..Limits::default() };
    let server = Server::start_with(limits).await;
    let address = server.base.trim_start_matches("http://");
    let head = b"HEAD /health HTTP/1.1\r\nHost: x\r\n\r\n";
    let mut first = TcpStream::connect(address).await.unwrap();
    first.write_all(head).await.unwrap();
    let mut byte = [0];
    first.read_exact(&mut byte).await.unwrap();
    let mut second = TcpStream::connect(address).await.unwrap();
    second.write_all(head).await.unwrap();
    // The server has time to answer the second one, and does not.
    for _ in 0..100 {
        first.write_all(head).await.unwrap();
        let mut some = [0; 16];
        first.read_exact(&mut some).await.unwrap();
    }
    let nothing = second.try_read(&mut byte).unwrap_err();
    assert_eq!(nothing.kind(), std::io::ErrorKind::WouldBlock);
    drop(first);
    second.read_exact(&mut byte).await.unwrap();
    assert_eq!(byte, *b"H");
}

#[tokio::test]
async fn stopping_finishes_what_is_under_way() {
    let mut server = Server::start().await;
    let busy = server.db.write().await.unwrap();
    let admin = server.admin();
    let reads = server.clock.reads();
    let request = tokio::spawn(async move {
        post(&admin, "application/json", "{\"id\": \"shop\", \"name\": \"x\"}").await.0
    });
    // The request is under way once the server has asked for the time.
    while server.clock.reads() == reads {
        tokio::task::yield_now().await;
    }
    server.stop();
    drop(busy);
    assert_eq!(request.await.unwrap(), 201);
    let address = server.base.trim_start_matches("http://").to_owned();
    while TcpStream::connect(&address).await.is_ok() {
        tokio::task::yield_now().await;
    }
}
