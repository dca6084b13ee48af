//! Whole deployments in which something outside misbehaves: a coded error at its node, other
//! branches finish, the last good state stands, and nothing is made twice.

use std::{
    collections::{BTreeMap, BTreeSet},
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{TcpListener, TcpStream},
    sync::{Arc, Mutex},
    thread,
    time::Duration,
};

use downbeat_adapters::remote::{Options, Remote};
use downbeat_core::Json;
use downbeat_engine::{Driver, Drivers, States as _};
use downbeat_testkit::{ORG, has_program};
use serde_json::json;

use crate::{
    shop::{Shop, SystemClock},
    terraform,
};

/// What a driver does after it has made what it was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Manners {
    /// Answers.
    Good,
    /// Says nothing, and keeps the connection open.
    Hangs,
    /// Closes the connection without a word.
    Dies,
    /// Closes the connection in the middle of a word.
    DiesTalking,
    /// Answers something else.
    Garbage,
    /// Answers 100 MB.
    Huge,
}

const GARBAGE: &str = "<html>\u{0}{\"id\":";

/// A driver for `s3`: an HTTP server in this process.
struct Buckets {
    url: String,
    world: Arc<Mutex<World>>,
}

/// What a driver has done so far.
struct World {
    manners: Manners,
    /// What there is, by GUResID.
    things: BTreeSet<String>,
    /// The idempotency keys of all requests to make something.
    keys: Vec<String>,
    /// Bytes of an answer without an end that somebody took.
    flooded: usize,
}

impl Buckets {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let things = BTreeSet::new();
        let world = World { manners: Manners::Good, things, keys: Vec::new(), flooded: 0 };
        let world = Arc::new(Mutex::new(world));
        let shared = Arc::clone(&world);
        thread::spawn(move || {
            for stream in listener.incoming() {
                let world = Arc::clone(&shared);
                // Who asked may have gone away.
                thread::spawn(move || serve(&mut stream.unwrap(), &world).ok());
            }
        });
        Self { url, world }
    }

    fn behaves(&self, manners: Manners) {
        let mut world = self.world.lock().unwrap();
        world.manners = manners;
        world.keys.clear();
        world.flooded = 0;
    }

    fn keys(&self) -> Vec<String> {
        self.world.lock().unwrap().keys.clone()
    }

    fn things(&self) -> usize {
        self.world.lock().unwrap().things.len()
    }
}

fn serve(stream: &mut TcpStream, world: &Mutex<World>) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    let mut line = String::new();
    reader.read_line(&mut line)?;
    let id = line.split(' ').nth(1).unwrap_or_default().trim_start_matches('/').to_owned();
    let (mut key, mut length) = (String::new(), 0);
    loop {
        let mut header = String::new();
        reader.read_line(&mut header)?;
        let Some((name, value)) = header.trim_end().split_once(": ") else { break };
        match name.to_lowercase().as_str() {
            "idempotency-key" => value.clone_into(&mut key),
            "content-length" => length = value.parse().unwrap(),
            _ => {}
        }
    }
    reader.read_exact(&mut vec![0; length])?;
    if line.starts_with("DELETE") {
        world.lock().unwrap().things.remove(&id);
        return stream.write_all(b"HTTP/1.1 204 X\r\nConnection: close\r\n\r\n");
    }
    let manners = {
        let mut world = world.lock().unwrap();
        world.things.insert(id.clone());
        world.keys.push(key);
        world.manners
    };
    let made = json!({"id": id, "type": "s3", "resource": {
        "values": {"bucket": format!("bucket-{}", &id[..8]), "region": "eu"},
        "secrets": {"aws_access_key_id": "id", "aws_secret_access_key": "key"}}});
    let made = made.to_string();
    let mut say = |text: &str, length: usize| {
        write!(
            stream,
            "HTTP/1.1 200 X\r\nConnection: close\r\nContent-Type: application/json\r\n\
             Content-Length: {length}\r\n\r\n{text}"
        )
    };
    match manners {
        Manners::Good => say(&made, made.len()),
        // Until the other side is gone.
        Manners::Hangs => reader.read_exact(&mut [0]),
        Manners::Dies => Ok(()),
        Manners::DiesTalking => say(&made[..9], made.len()),
        Manners::Garbage => say(GARBAGE, GARBAGE.len()),
        Manners::Huge => {
            stream.write_all(b"HTTP/1.1 200 X\r\nTransfer-Encoding: chunked\r\n\r\n")?;
            let chunk = format!("100000\r\n{}\r\n", "x".repeat(0x10_0000));
            for _ in 0..100 {
                stream.write_all(chunk.as_bytes())?;
                world.lock().unwrap().flooded += 0x10_0000;
            }
            stream.write_all(b"0\r\n\r\n")
        }
    }
}

/// How often a driver is asked that gives no usable answer.
const ATTEMPTS: usize = 2;

/// All drivers, of which the registered ones are given up soon.
fn drivers() -> Drivers {
    let options = Options {
        request_limit: Duration::from_secs(1),
        attempts: u32::try_from(ATTEMPTS).unwrap(),
        retry_delay: Duration::from_millis(1),
        ..Options::default()
    };
    let mut drivers = downbeat_adapters::drivers();
    let remote = Remote::new(options, None, Arc::new(SystemClock));
    drivers.remote = Some(Driver::External(Arc::new(remote)));
    drivers
}

/// The workload `web` with these resources of type `s3`.
fn web(resources: &[&str]) -> Json {
    let externals: BTreeMap<&str, Json> =
        resources.iter().map(|&name| (name, json!({"type": "s3"}))).collect();
    let variables: BTreeMap<&str, String> =
        resources.iter().map(|&name| (name, format!("${{externals.{name}.region}}"))).collect();
    let container = json!({"id": "main", "image": "web:1", "variables": variables});
    json!({"modules": {"add": {"web": {
        "profile": "humanitec/default-module",
        "spec": {"containers": {"main": container}}, "externals": externals}}}})
}

impl Shop {
    /// A definition for one resource of `web`.
    async fn define(&self, name: &str, driver: &str, values: Json) {
        let definition = json!({"id": format!("{name}-s3"), "name": name, "type": "s3",
            "driver_type": driver, "driver_inputs": {"values": values},
            "criteria": [{"res_id": format!("modules.web.externals.{name}")}]});
        self.add("resources/defs", definition).await;
    }

    /// Deploys, and says how that ended: the status, and code and object of each error.
    async fn deployed(&self, delta: Json, drivers: Drivers) -> (String, Vec<(String, String)>) {
        let deploys = self.ask(delta).await;
        self.work(drivers).await;
        let client = self.server.admin();
        let last = client.get(&deploys).await.json(200)[0].clone();
        let id = last["id"].as_str().unwrap();
        let errors = client.get(&format!("{deploys}/{id}/errors")).await.json(200);
        let text = |value: &Json| value.as_str().unwrap().to_owned();
        let errors = errors.as_array().unwrap().iter();
        let errors = errors.map(|one| (text(&one["code"]), text(&one["object_id"]))).collect();
        (text(&last["status"]), errors)
    }

    /// A resource of `web` as the environment shows it.
    async fn resource(&self, name: &str) -> Option<Json> {
        let path = format!("/orgs/{ORG}/apps/shop/envs/development/resources");
        let all = self.server.admin().get(&path).await.json(200);
        let id = format!("modules.web.externals.{name}");
        all.as_array().unwrap().iter().find(|one| one["res_id"] == *id).cloned()
    }
}

/// The object of an error at a resource of `web`.
fn object(name: &str) -> String {
    format!("s3.default#modules.web.externals.{name}")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_driver_that_misbehaves_fails_its_own_branch() {
    let shop = Shop::new().await;
    let (good, bad) = (Buckets::start(), Buckets::start());
    for (id, url) in [("good", &good.url), ("bad", &bad.url)] {
        let driver = json!({"id": id, "type": "s3", "account_types": [], "inputs_schema": {},
            "target": url});
        shop.add("resources/drivers", driver).await;
    }
    let reads = |name: &str| {
        let placeholder = format!("${{resources['s3.default#modules.web.externals.{name}']");
        json!({"from": format!("{placeholder}.outputs.region}}")})
    };
    shop.define("files", &format!("{ORG}/good"), json!({})).await;
    shop.define("after", &format!("{ORG}/good"), reads("files")).await;
    shop.define("bad", &format!("{ORG}/bad"), json!({})).await;
    shop.define("behind", &format!("{ORG}/good"), reads("bad")).await;
    let (status, errors) = shop.deployed(web(&["files"]), drivers()).await;
    assert_eq!((status.as_str(), errors), ("succeeded", vec![]));
    let before = shop.commits();
    let all = ["files", "after", "bad", "behind"];

    for (manners, code, asked) in [
        (Manners::Hangs, "RES-112", ATTEMPTS),
        (Manners::Dies, "RES-112", ATTEMPTS),
        (Manners::DiesTalking, "RES-112", ATTEMPTS),
        (Manners::Garbage, "RES-111", 1),
        (Manners::Huge, "RES-111", 1),
    ] {
        good.behaves(Manners::Good);
        bad.behaves(manners);
        let (status, errors) = shop.deployed(web(&all), drivers()).await;
        assert_eq!(status, "failed", "{manners:?}");
        assert_eq!(errors, [(code.to_owned(), object("bad"))], "{manners:?}");
        // Asked again only where that may help, and with the same key.
        let keys = bad.keys();
        assert_eq!(keys.len(), asked, "{manners:?}");
        assert!(keys.iter().all(|key| *key == keys[0]), "{manners:?}: {keys:?}");
        // The other branch is finished, what waits for the bad one is not begun.
        assert_eq!(good.keys().len(), 2, "{manners:?}");
        assert_eq!(shop.resource("after").await.unwrap()["status"], "active", "{manners:?}");
        assert_eq!(shop.resource("bad").await.unwrap()["status"], "pending", "{manners:?}");
        assert!(shop.resource("behind").await.is_none(), "{manners:?}");
        assert_eq!(shop.commits(), before, "{manners:?}: what runs has changed");
        // Most of an answer without an end stays with the driver; sockets hold some of it.
        assert!(bad.world.lock().unwrap().flooded < 40_000_000, "{manners:?}");
    }

    bad.behaves(Manners::Good);
    let (status, errors) = shop.deployed(web(&all), drivers()).await;
    assert_eq!((status.as_str(), errors), ("succeeded", vec![]));
    assert_eq!(shop.commits().len(), 2);
    assert_eq!((good.things(), bad.things()), (3, 1), "something was made twice");

    // What was made in a deployment that failed is freed like everything else.
    shop.server.admin().delete(&format!("/orgs/{ORG}/apps/shop")).await.is(202);
    shop.work(drivers()).await;
    assert_eq!((good.things(), bad.things()), (0, 0));
}

/// A template without an end, and one that makes too much of it.
#[tokio::test(flavor = "multi_thread")]
async fn a_template_that_loops_fails_its_own_branch() {
    let shop = Shop::new().await;
    let echo = json!({"bucket": "b", "region": "eu"});
    shop.define("files", "humanitec/echo", echo.clone()).await;
    shop.define("after", "humanitec/echo", echo).await;
    let again = "{{ define \"x\" }}{{ template \"x\" }}{{ end }}{{ template \"x\" }}";
    let more =
        "{{ range until 10000 }}{{ range until 10000 }}{{ repeat 10000 \"x\" }}{{ end }}{{ end }}";
    for (name, text) in [("again", again), ("more", more)] {
        shop.define(name, "humanitec/template", json!({"templates": {"outputs": text}})).await;
    }
    assert_eq!(shop.deployed(web(&["files"]), drivers()).await.0, "succeeded");
    let before = shop.commits();
    let (status, errors) =
        shop.deployed(web(&["files", "after", "again", "more"]), drivers()).await;
    assert_eq!(status, "failed");
    let expected = ["again", "more"].map(|name| ("RES-102".to_owned(), object(name)));
    assert_eq!(errors, expected);
    assert_eq!(shop.resource("after").await.unwrap()["status"], "active");
    assert_eq!(shop.commits(), before);
}

/// Infrastructure code that fails half-way, and a state that somebody else has locked.
#[tokio::test(flavor = "multi_thread")]
async fn infrastructure_code_that_fails_fails_its_own_branch() {
    if !has_program("terraform") {
        return;
    }
    let shop = Shop::new().await;
    let drivers =
        || downbeat_adapters::drivers_with(terraform::options(&shop.server, shop.folder.path()));
    // Each resource that is made leaves a line.
    let made = shop.folder.path().join("made");
    let lines = || std::fs::read_to_string(&made).unwrap_or_default().lines().count();
    let may = shop.folder.path().join("may");
    let script = |name: &str, more: &str| {
        let command = format!("echo {name} >> '{}'", made.display());
        json!({"script": format!(
            "resource \"terraform_data\" \"first\" {{\n  provisioner \"local-exec\" {{ command = \
             \"{command}\" }}\n}}\n{more}\n\
             output \"bucket\" {{ value = terraform_data.first.id }}\n\
             output \"region\" {{ value = \"eu\" }}\n"
        )})
    };
    let half = format!(
        "resource \"terraform_data\" \"second\" {{\n  depends_on = [terraform_data.first]\n  \
         provisioner \"local-exec\" {{ command = \"test -e '{}'\" }}\n}}",
        may.display()
    );
    shop.define("files", "humanitec/terraform", script("files", "")).await;
    shop.define("after", "humanitec/terraform", script("after", "")).await;
    shop.define("bad", "humanitec/terraform", script("bad", &half)).await;
    assert_eq!(shop.deployed(web(&["files"]), drivers()).await.0, "succeeded");
    assert_eq!(lines(), 1);
    let before = shop.commits();
    let all = ["files", "after", "bad"];

    let (status, errors) = shop.deployed(web(&all), drivers()).await;
    assert_eq!(status, "failed");
    assert_eq!(errors, [("RES-101".to_owned(), object("bad"))]);
    assert_eq!(shop.resource("after").await.unwrap()["status"], "active");
    assert_eq!(shop.commits(), before);
    assert_eq!(lines(), 3);

    // It could be done now, but for somebody who works on it by hand.
    std::fs::write(&may, "").unwrap();
    let id = shop.resource("bad").await.unwrap()["gu_res_id"].as_str().unwrap().to_owned();
    let about = json!({"ID": "1-2", "Who": "ada@laptop", "Operation": "OperationTypeApply"});
    shop.server.states.lock(&id, "ada", &about.to_string()).await.unwrap();
    let (status, errors) = shop.deployed(web(&all), drivers()).await;
    assert_eq!(status, "failed");
    assert_eq!(errors, [("RES-107".to_owned(), object("bad"))]);
    assert_eq!(shop.commits(), before);

    shop.server.states.unlock(&id, None).await.unwrap();
    let (status, errors) = shop.deployed(web(&all), drivers()).await;
    assert_eq!((status.as_str(), errors), ("succeeded", vec![]));
    assert_eq!(shop.commits().len(), 2);
    assert_eq!(lines(), 3, "something was made twice");
}
