//! Drivers over HTTP, good and bad ones: a server on a real socket says what a test tells it to.

use std::{
    collections::BTreeMap,
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{TcpListener, TcpStream},
    sync::{Arc, Mutex},
    thread,
    time::{Duration, Instant},
};

use downbeat_adapters::remote::{Options, Remote, SigningKey};
use downbeat_core::{Code, Json, ResourceKey, Secret};
use downbeat_engine::{
    BoxFuture, Clock, CookieChange, DriverError, ExternalDriver as _, Memory, Removal, Request,
    Response, SecretOutput,
};
use jiff::Timestamp;
use serde_json::json;

const ID: &str = "0123456789abcdef0123456789abcdef01234567";
const PASSWORD: &str = "correct-horse-battery";

/// A request as it arrived.
#[derive(Clone, Debug)]
struct Seen {
    line: String,
    headers: BTreeMap<String, String>,
    body: Vec<u8>,
}

impl Seen {
    fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(String::as_str)
    }
}

/// What a driver does with a request.
enum Act {
    /// Answers with a status, headers and a body.
    Say(u16, &'static str, String),
    /// Sends this as it is, and closes.
    Raw(String),
    /// Says nothing for a while.
    Hang,
    /// Sends a body without an end in sight, and counts what was taken.
    Flood,
}

fn say(status: u16, headers: &'static str, body: &Json) -> Act {
    Act::Say(status, headers, body.to_string())
}

fn made() -> Json {
    json!({"id": ID, "type": "s3", "resource": {"values": {"bucket": "b"},
        "secrets": {"key": {"id": "k1"}}}, "manifests": []})
}

/// A driver that does one thing after the other; the last one for ever.
struct Server {
    url: String,
    seen: Arc<Mutex<Vec<Seen>>>,
    flooded: Arc<Mutex<usize>>,
}

impl Server {
    fn start(acts: Vec<Act>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/drivers/s3", listener.local_addr().unwrap());
        let seen = Arc::new(Mutex::new(Vec::new()));
        let flooded = Arc::new(Mutex::new(0));
        let (log, count) = (Arc::clone(&seen), Arc::clone(&flooded));
        thread::spawn(move || {
            let acts = Arc::new(acts);
            for (number, stream) in listener.incoming().enumerate() {
                let (log, count, acts) = (Arc::clone(&log), Arc::clone(&count), Arc::clone(&acts));
                thread::spawn(move || {
                    let mut stream = stream.unwrap();
                    let Some(request) = read(&stream) else { return };
                    log.lock().unwrap().push(request);
                    act(&mut stream, acts.get(number).or(acts.last()).unwrap(), &count);
                });
            }
        });
        Self { url, seen, flooded }
    }

    fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }
}

fn read(stream: &TcpStream) -> Option<Seen> {
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    reader.read_line(&mut line).ok().filter(|read| *read > 0)?;
    let mut headers = BTreeMap::new();
    loop {
        let mut header = String::new();
        reader.read_line(&mut header).ok()?;
        let Some((name, value)) = header.trim_end().split_once(": ") else { break };
        headers.insert(name.to_lowercase(), value.to_owned());
    }
    let length = headers.get("content-length").map_or(0, |text| text.parse().unwrap());
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    Some(Seen { line: line.trim_end().to_owned(), headers, body })
}

fn act(stream: &mut TcpStream, act: &Act, flooded: &Mutex<usize>) {
    // Who asked may have gone away.
    let _ = match act {
        Act::Say(status, headers, body) => stream.write_all(
            format!(
                "HTTP/1.1 {status} X\r\nContent-Type: application/json\r\nConnection: close\r\n\
                 Content-Length: {}\r\n{headers}\r\n{body}",
                body.len()
            )
            .as_bytes(),
        ),
        Act::Raw(text) => stream.write_all(text.as_bytes()),
        Act::Hang => {
            thread::sleep(Duration::from_secs(5));
            Ok(())
        }
        Act::Flood => flood(stream, flooded),
    };
}

/// 100 MB in chunks of 64 KiB.
fn flood(stream: &mut TcpStream, flooded: &Mutex<usize>) -> std::io::Result<()> {
    stream.write_all(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")?;
    let chunk = format!("10000\r\n{}\r\n", "x".repeat(0x10000));
    for _ in 0..1600 {
        stream.write_all(chunk.as_bytes())?;
        *flooded.lock().unwrap() += 0x10000;
    }
    stream.write_all(b"0\r\n\r\n")
}

struct At(Timestamp);

impl Clock for At {
    fn now(&self) -> Timestamp {
        self.0
    }
}

/// Cookies in the order in which they were kept, with the number of requests before each.
#[derive(Default)]
struct Kept {
    cookies: Mutex<Vec<(String, usize)>>,
    requests: Option<Arc<Mutex<Vec<Seen>>>>,
}

impl Memory for Kept {
    fn keep(&self, cookie: Secret) -> BoxFuture<'_, Result<(), DriverError>> {
        let requests = self.requests.as_ref().map_or(0, |seen| seen.lock().unwrap().len());
        self.cookies.lock().unwrap().push((cookie.expose().to_owned(), requests));
        Box::pin(std::future::ready(Ok(())))
    }
}

fn quick() -> Options {
    Options {
        request_limit: Duration::from_secs(5),
        time_limit: Duration::from_secs(20),
        first_delay: Duration::from_millis(5),
        usual_delay: Duration::from_millis(10),
        longest_delay: Duration::from_millis(40),
        attempts: 3,
        retry_delay: Duration::from_millis(5),
        ..Options::default()
    }
}

fn remote(options: Options) -> Remote {
    let now = "2026-01-01T00:00:00Z".parse().unwrap();
    Remote::new(options, Some(SigningKey::new("a key of this test")), Arc::new(At(now)))
}

async fn put_with(
    options: Options,
    server: &Server,
    cookie: Option<&Secret>,
    memory: &Kept,
) -> Result<Response, DriverError> {
    let key = ResourceKey::new("s3", "", "shared.files");
    let texts = BTreeMap::from([("/account/pw".to_owned(), Secret::new(PASSWORD.to_owned()))]);
    let request = Request {
        guresid: ID,
        key: &key,
        resource: &json!({"extensions": {}}),
        values: &json!({"region": "eu"}),
        secrets: &json!({"account": {"pw": null}}),
        secret_exprs: &BTreeMap::new(),
        secret_texts: &texts,
        cookie,
        seed: [0; 32],
        idempotency_key: "dep-1-abc",
        target: &server.url,
    };
    remote(options).provision(&request, memory).await
}

async fn put(server: &Server) -> Result<Response, DriverError> {
    put_with(quick(), server, None, &Kept::default()).await
}

async fn delete(server: &Server, cookie: Option<&Secret>) -> Result<(), DriverError> {
    let key = ResourceKey::new("s3", "", "shared.files");
    let removal = Removal { guresid: ID, key: &key, cookie, account: None, target: &server.url };
    remote(quick()).deprovision(&removal, &Kept::default()).await
}

#[track_caller]
fn failed<T: std::fmt::Debug>(answer: Result<T, DriverError>, code: Code) -> String {
    let error = answer.unwrap_err();
    let said = format!("{} / {}", error.message, error.hint.unwrap_or_default());
    assert_eq!(error.code, code, "{said}");
    assert!(!said.contains(PASSWORD), "{said}");
    said
}

#[tokio::test]
async fn a_driver_that_is_done_at_once() {
    let server = Server::start(vec![say(200, "", &made())]);
    let response = put(&server).await.unwrap();
    assert_eq!(Json::Object(response.values), json!({"bucket": "b"}));
    let Some(SecretOutput::Text(secret)) = response.secrets.get("/key/id") else {
        panic!("no secret")
    };
    assert_eq!(secret.expose(), "k1");
    assert!(matches!(response.cookie, CookieChange::Keep));

    let [seen] = server.seen().try_into().unwrap();
    let path = format!("/drivers/s3/{ID}");
    assert_eq!(seen.line, format!("PUT {path} HTTP/1.1"));
    assert_eq!(seen.header("content-type"), Some("application/json"));
    assert_eq!(seen.header("idempotency-key"), Some("dep-1-abc"));
    assert_eq!(seen.header("humanitec-driver-cookie"), None);
    let body: Json = serde_json::from_slice(&seen.body).unwrap();
    let expected = json!({"type": "s3", "resource": {"extensions": {}}, "driver": {
        "values": {"region": "eu"}, "secrets": {"account": {"pw": PASSWORD}}}});
    assert_eq!(body, expected);

    // What a driver does to see who calls.
    use aws_lc_rs::hmac;
    let header = seen.header("downbeat-signature").unwrap();
    let (time, hex) = header.strip_prefix("t=").unwrap().split_once(",v1=").unwrap();
    assert_eq!(time, "1767225600");
    let text = [format!("{time}\nPUT\n{path}\n").into_bytes(), seen.body.clone()].concat();
    let key = hmac::Key::new(hmac::HMAC_SHA256, b"a key of this test");
    assert_eq!(downbeat_core::id::hex(hmac::sign(&key, &text).as_ref()), hex);
}

#[tokio::test]
async fn a_driver_that_needs_time_and_keeps_a_cookie() {
    let server = Server::start(vec![
        // The outputs of a 202 are not to be relied upon.
        say(202, "Set-Humanitec-Driver-Cookie: one\r\n", &json!({"resource": {"values": 1}})),
        say(409, "Set-Humanitec-Driver-Cookie: two\r\n", &json!({})),
        Act::Say(202, "", "not even JSON".to_owned()),
        say(200, "", &made()),
    ]);
    let kept = Kept { requests: Some(Arc::clone(&server.seen)), ..Kept::default() };
    let first = Secret::new("zero".to_owned());
    let response = put_with(quick(), &server, Some(&first), &kept).await.unwrap();
    // What was kept counts.
    assert!(matches!(response.cookie, CookieChange::Keep));
    let cookies: Vec<_> = server
        .seen()
        .iter()
        .map(|seen| seen.header("humanitec-driver-cookie").unwrap().to_owned())
        .collect();
    assert_eq!(cookies, ["zero", "one", "two", "two"]);
    // Each was kept before the next request.
    let kept = kept.cookies.lock().unwrap().clone();
    assert_eq!(kept, [("one".to_owned(), 1), ("two".to_owned(), 2)]);
    let bodies: Vec<_> = server.seen().iter().map(|seen| seen.body.clone()).collect();
    assert!(bodies.windows(2).all(|pair| pair[0] == pair[1]), "it is the same request each time");
}

#[tokio::test]
async fn cookies_are_replaced_and_forgotten() {
    let stored = Secret::new("old".to_owned());
    let with = async |acts| {
        let server = Server::start(acts);
        let kept = Kept::default();
        let answer = put_with(quick(), &server, Some(&stored), &kept).await;
        (answer.unwrap().cookie, server.seen(), kept.cookies.lock().unwrap().len())
    };
    let new = "Set-Humanitec-Driver-Cookie: eyJuIjoxfQ==\r\n";
    let (change, ..) = with(vec![say(200, new, &made())]).await;
    assert!(matches!(change, CookieChange::Set(cookie) if cookie.expose() == "eyJuIjoxfQ=="));
    let none = "Set-Humanitec-Driver-Cookie: \r\n";
    let (change, ..) = with(vec![say(200, none, &made())]).await;
    assert!(matches!(change, CookieChange::Clear));
    // Forgotten on the way: the next request carries none, and in the end there is none.
    let acts = vec![say(202, none, &json!({})), say(200, "", &made())];
    let (change, seen, kept) = with(acts).await;
    assert!(matches!(change, CookieChange::Clear));
    assert_eq!((seen[1].header("humanitec-driver-cookie"), kept), (None, 0));
}

#[tokio::test]
async fn a_driver_that_fails_for_a_moment() {
    let server = Server::start(vec![
        say(503, "", &json!({})),
        Act::Raw("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{\"id\"".to_owned()),
        say(200, "", &made()),
    ]);
    assert!(put(&server).await.is_ok());
    let keys: Vec<_> = server
        .seen()
        .iter()
        .map(|seen| seen.header("idempotency-key").map(str::to_owned))
        .collect();
    assert_eq!(keys, vec![Some("dep-1-abc".to_owned()); 3]);
}

#[tokio::test]
async fn a_driver_that_does_not_answer() {
    let server = Server::start(vec![say(500, "", &json!({"message": PASSWORD}))]);
    let said = failed(put(&server).await, Code::DriverUnreachable);
    assert!(said.contains("was asked 3 times; it answered with status 500"), "{said}");
    assert_eq!(server.seen().len(), 3);

    let options = || Options { attempts: 2, request_limit: Duration::from_millis(50), ..quick() };
    let server = Server::start(vec![Act::Hang]);
    let answer = put_with(options(), &server, None, &Kept::default()).await;
    let said = failed(answer, Code::DriverUnreachable);
    assert!(said.contains("it did not answer within 50 ms"), "{said}");

    let server = Server::start(vec![Act::Raw("garbage\r\n\r\n".to_owned())]);
    let _ = failed(put(&server).await, Code::DriverUnreachable);

    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://me:{PASSWORD}@{}/", listener.local_addr().unwrap());
    drop(listener);
    let nobody = Server { url, seen: Arc::default(), flooded: Arc::default() };
    let said = failed(put(&nobody).await, Code::DriverUnreachable);
    assert!(said.contains("it did not answer: Connection refused"), "{said}");
}

#[tokio::test]
async fn a_driver_that_is_never_done() {
    let server = Server::start(vec![say(202, "", &json!({}))]);
    let options = Options { time_limit: Duration::from_millis(500), ..quick() };
    let answer = put_with(options, &server, None, &Kept::default()).await;
    let said = failed(answer, Code::DriverTimeout);
    assert!(said.contains("not done in time") && said.contains("still works"), "{said}");
    assert!(server.seen().len() > 2);

    // By its own word it stops a tenth of a second from now; its clock is wrong by years.
    let hint = json!({"timeout_deadline": "2036-01-01T00:00:00.1Z",
        "current_time": "2036-01-01T00:00:00Z"});
    let over = json!({"timeout_deadline": "2036-01-01T00:00:00.1Z",
        "current_time": "2036-01-01T00:00:01Z"});
    let server = Server::start(vec![say(202, "", &hint), say(409, "", &over)]);
    let said = failed(put(&server).await, Code::DriverTimeout);
    assert!(said.contains("by its own deadline"), "{said}");
    assert!(said.contains("another operation"), "{said}");
    assert_eq!(server.seen().len(), 2);
}

#[tokio::test]
async fn a_hint_is_followed_within_limits() {
    let soon = json!({"estimated_completion_time": "2026-01-01T01:00:00Z"});
    let server = Server::start(vec![say(202, "", &soon), say(200, "", &made())]);
    let started = Instant::now();
    let options = Options { longest_delay: Duration::from_millis(200), ..quick() };
    put_with(options, &server, None, &Kept::default()).await.unwrap();
    let took = started.elapsed();
    assert!((Duration::from_millis(200)..Duration::from_secs(3)).contains(&took), "{took:?}");
}

#[tokio::test]
async fn a_driver_that_refuses() {
    let body = json!({"error": "RES-123", "message": format!("bad key {PASSWORD}\u{1b}[2J!")});
    let server = Server::start(vec![say(400, "", &body)]);
    let said = failed(put(&server).await, Code::Driver);
    assert_eq!(said, "the driver refused (RES-123): bad key *** [2J! / ");
    assert_eq!(server.seen().len(), 1);
    for status in [401, 404, 422] {
        let server = Server::start(vec![Act::Say(status, "", "<html>".to_owned())]);
        let said = failed(put(&server).await, Code::Driver);
        assert!(said.contains(&format!("(status {status}) and did not say why")), "{said}");
        assert_eq!(server.seen().len(), 1);
    }
    // The cookie is no less secret.
    let server = Server::start(vec![
        say(202, "Set-Humanitec-Driver-Cookie: cookie-2\r\n", &json!({})),
        say(400, "", &json!({"message": "lost cookie-1 and cookie-2"})),
    ]);
    let stored = Secret::new("cookie-1".to_owned());
    let answer = put_with(quick(), &server, Some(&stored), &Kept::default()).await;
    assert!(failed(answer, Code::Driver).contains("lost *** and ***"));
}

#[tokio::test]
async fn answers_that_the_protocol_does_not_have() {
    for (body, expected) in [
        (PASSWORD.to_owned(), "not JSON"),
        (String::new(), "empty"),
        ("[]".to_owned(), "expected a JSON object"),
        (json!({"id": PASSWORD, "type": "s3", "resource": {}}).to_string(), "`id` is another"),
        (json!({"id": ID, "type": "s3"}).to_string(), "`resource` is missing"),
    ] {
        let act = Act::Say(200, "Set-Humanitec-Driver-Cookie: here\r\n", body);
        let server = Server::start(vec![act]);
        let kept = Kept::default();
        let answer = put_with(quick(), &server, None, &kept).await;
        let said = failed(answer, Code::DriverAnswer);
        assert!(said.contains(expected), "{said}");
        assert_eq!(server.seen().len(), 1);
        // Something was made: what leads to it is kept.
        assert_eq!(kept.cookies.lock().unwrap().len(), 1);
    }
    let elsewhere = Server::start(vec![say(200, "", &made())]);
    for status in [301, 307] {
        let server = Server::start(vec![Act::Raw(format!(
            "HTTP/1.1 {status} X\r\nLocation: {}/{ID}\r\nContent-Length: 0\r\n\r\n",
            elsewhere.url
        ))]);
        let said = failed(put(&server).await, Code::DriverAnswer);
        assert!(said.contains("Redirects are not followed"), "{said}");
    }
    assert!(elsewhere.seen().is_empty());
    let said = failed(put(&Server::start(vec![say(201, "", &made())])).await, Code::DriverAnswer);
    assert!(said.contains("status 201"), "{said}");
}

#[tokio::test]
async fn an_answer_without_an_end_is_cut_off() {
    let options = || Options {
        answer_bytes: 1 << 20,
        request_limit: Duration::from_secs(20),
        time_limit: Duration::from_secs(30),
        ..quick()
    };
    let server = Server::start(vec![Act::Flood]);
    let answer = put_with(options(), &server, None, &Kept::default()).await;
    let said = failed(answer, Code::DriverAnswer);
    assert!(said.contains("more than 1048576 bytes"), "{said}");
    // What is not read fills the buffers of the sockets, and no more.
    let flooded = *server.flooded.lock().unwrap();
    assert!(flooded < 50 << 20, "{flooded} bytes were taken");
    let server = Server::start(vec![Act::Raw(
        "HTTP/1.1 200 OK\r\nContent-Length: 100000000\r\n\r\n{".to_owned(),
    )]);
    let answer = put_with(options(), &server, None, &Kept::default()).await;
    let _ = failed(answer, Code::DriverAnswer);
}

#[tokio::test]
async fn targets_that_are_not_called() {
    for target in ["http://driver.example/x", "file:///etc/passwd", "nonsense", ""] {
        let url = target.to_owned();
        let server = Server { url, seen: Arc::default(), flooded: Arc::default() };
        let _ = failed(put(&server).await, Code::DriverTarget);
    }
}

#[tokio::test]
async fn what_was_made_is_freed() {
    let stored = Secret::new("one".to_owned());
    for acts in [
        vec![Act::Say(204, "", String::new())],
        vec![say(404, "", &json!({"error": "RES-104", "message": "no"}))],
        vec![
            say(202, "Set-Humanitec-Driver-Cookie: two\r\n", &json!({})),
            say(500, "", &json!({})),
            say(409, "", &json!({})),
            Act::Say(204, "", String::new()),
        ],
    ] {
        let server = Server::start(acts);
        delete(&server, Some(&stored)).await.unwrap();
        let seen = server.seen();
        assert_eq!(seen[0].line, format!("DELETE /drivers/s3/{ID} HTTP/1.1"));
        assert!(seen[0].body.is_empty() && seen[0].header("content-type").is_none());
        let cookie = |seen: &Seen| seen.header("humanitec-driver-cookie").unwrap().to_owned();
        assert_eq!(cookie(&seen[0]), "one");
        assert!(seen.len() < 2 || cookie(&seen[3]) == "two");
        assert!(seen[0].header("downbeat-signature").is_some());
    }
    let body = json!({"error": "RES-109", "message": "not empty"});
    let server = Server::start(vec![say(400, "", &body)]);
    let said = failed(delete(&server, None).await, Code::Driver);
    assert!(said.contains("(RES-109): not empty"), "{said}");
}
