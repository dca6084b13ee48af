//! Drivers of an organization: registered, deployed with, and checked with `downbeat driver test`.

use std::{
    collections::BTreeMap,
    fs,
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{TcpListener, TcpStream},
    process::{Child, Stdio},
    sync::{Arc, Mutex},
    thread,
    time::Duration,
};

use serde_json::{Value as Json, json};

use crate::terminal::{Terminal, repository};

const TOKEN: &str = "open-sesame-now";
const DEPLOY: &str = "deploy web.yaml --app shop --env development";
const DRIVERS: &str = "/orgs/local/resources/drivers";

const WEB: &str = "\
apiVersion: score.dev/v1b1
metadata: {name: web}
containers:
  main:
    image: registry.example/web:1
    variables:
      BUCKET: ${resources.files.bucket}
      REGION: ${resources.files.region}
      KEY: ${resources.files.aws_secret_access_key}
resources:
  files: {type: s3}
";

/// A request as the driver saw it.
#[derive(Clone, Debug)]
struct Seen {
    method: String,
    id: String,
    cookie: Option<String>,
    key: Option<String>,
    body: Json,
}

/// How well a driver behaves.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Manners {
    Good,
    /// Breaks the protocol wherever it can.
    Bad,
    /// Refuses, and tells everybody why.
    Talkative,
    /// Answers the second request only when nobody waits for it any more.
    Slow,
    /// Answers so many requests only when nobody waits for them any more.
    Silent(usize),
}

/// A driver for `s3` in this process.
struct Driver {
    url: String,
    seen: Arc<Mutex<Vec<Seen>>>,
}

impl Driver {
    fn start(manners: Manners) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/s3", listener.local_addr().unwrap());
        let seen = Arc::new(Mutex::new(Vec::new()));
        let log = Arc::clone(&seen);
        thread::spawn(move || {
            let mut made = BTreeMap::new();
            for stream in listener.incoming() {
                // Who asked may have gone away.
                let _ = serve(&mut stream.unwrap(), manners, &mut made, &log);
            }
        });
        Self { url, seen }
    }

    fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }
}

fn serve(
    stream: &mut TcpStream,
    manners: Manners,
    made: &mut BTreeMap<String, u32>,
    log: &Mutex<Vec<Seen>>,
) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    let mut line = String::new();
    reader.read_line(&mut line)?;
    let mut words = line.split(' ');
    let method = words.next().unwrap_or_default().to_owned();
    let id = words.next().and_then(|path| path.rsplit('/').next()).unwrap_or_default().to_owned();
    let (mut cookie, mut key, mut length) = (None, None, 0);
    loop {
        let mut header = String::new();
        reader.read_line(&mut header)?;
        let Some((name, value)) = header.trim_end().split_once(": ") else { break };
        match name.to_lowercase().as_str() {
            "humanitec-driver-cookie" => cookie = Some(value.to_owned()),
            "idempotency-key" => key = Some(value.to_owned()),
            "content-length" => length = value.parse().unwrap(),
            _ => {}
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    let body: Json = serde_json::from_slice(&body).unwrap_or_default();
    let number = {
        let mut log = log.lock().unwrap();
        log.push(Seen { method: method.clone(), id: id.clone(), cookie, key, body: body.clone() });
        log.len()
    };
    let is_late = match manners {
        Manners::Slow => number == 2,
        Manners::Silent(requests) => number <= requests,
        _ => false,
    };
    if is_late {
        // Ends when the other side is gone.
        reader.read_exact(&mut [0])?;
    }
    let (status, set, answer) = if manners == Manners::Bad {
        badly(&method, &body)
    } else if method == "DELETE" {
        made.remove(&id);
        (204, None, Json::Null)
    } else if body["type"] != "s3" {
        (400, None, json!({"error": "RES-101", "message": "s3 only"}))
    } else if manners == Manners::Talkative {
        let message = format!("cannot log in with {}", body["driver"]["secrets"]["token"]);
        (400, None, json!({"error": "RES-107", "message": message}))
    } else {
        let calls = made.entry(id.clone()).or_default();
        *calls += 1;
        let set = Some(format!("call-{calls}"));
        if *calls == 1 {
            (202, set, json!({"status": "creating"}))
        } else {
            let values = &body["driver"]["values"];
            let region = values["region"].as_str().unwrap_or("nowhere");
            let resource = json!({
                "values": {"bucket": format!("bucket-{}", &id[..8]), "region": region},
                "secrets": {"aws_access_key_id": "id", "aws_secret_access_key": format!("k3y-{id}")}});
            (200, set, json!({"id": id, "type": "s3", "resource": resource, "manifests": null}))
        }
    };
    let text = if answer.is_null() { String::new() } else { answer.to_string() };
    let set = set.map_or(String::new(), |set| format!("Set-Humanitec-Driver-Cookie: {set}\r\n"));
    let kind = if manners == Manners::Bad { "text/plain" } else { "application/json" };
    write!(
        stream,
        "HTTP/1.1 {status} X\r\nConnection: close\r\nContent-Type: {kind}\r\nContent-Length: {}\r\n\
         {set}\r\n{text}",
        text.len()
    )
}

/// Another output each time, secrets in clear, no refusal, no way to free anything.
fn badly(method: &str, body: &Json) -> (u16, Option<String>, Json) {
    static CALLS: Mutex<u32> = Mutex::new(0);
    if method == "DELETE" {
        return (500, None, Json::Null);
    }
    *CALLS.lock().unwrap() += 1;
    let number = *CALLS.lock().unwrap();
    let values = json!({"bucket": number, "echo": body["driver"]["secrets"]});
    let answer = json!({"id": "another", "type": "s3", "resource": {"values": values}});
    (200, Some("x".repeat(5000)), answer)
}

fn registered(terminal: &Terminal, id: &str, target: &str, more: &Json) {
    let mut driver = json!({"id": id, "type": "s3", "account_types": [], "target": target,
        "inputs_schema": {}});
    for (name, value) in more.as_object().unwrap() {
        driver[name] = value.clone();
    }
    let args = ["api", "post", DRIVERS, "-d", &driver.to_string()];
    let output = terminal.program().args(args).output().unwrap();
    assert!(output.status.success(), "{output:?}");
}

fn defined(terminal: &Terminal, driver_type: &str, inputs: &str) {
    let text = format!(
        "\
apiVersion: entity.humanitec.io/v1b1
kind: Definition
metadata: {{id: own-s3}}
entity:
  name: Our own buckets
  type: s3
  driver_type: {driver_type}
  driver_inputs: {inputs}
  criteria: [{{app_id: shop}}]
"
    );
    terminal.write("own.yaml", &text);
    terminal.ok("apply -f own.yaml");
}

fn bucket(terminal: &Terminal) -> Json {
    let path = "/orgs/local/apps/shop/envs/development/resources";
    let all: Vec<Json> =
        serde_json::from_str(&terminal.ok(&format!("api get {path}")).out).unwrap();
    all.into_iter().find(|one| one["type"] == "s3").unwrap()
}

#[test]
fn a_driver_of_the_organization() {
    let terminal = Terminal::new();
    let driver = Driver::start(Manners::Good);
    let schema = json!({"inputs_schema": {"properties": {
        "values": {"properties": {"region": {"type": "string", "maxLength": 9}}},
        "secrets": {"required": ["token"], "properties": {"token": {"minLength": 10}}}}}});
    registered(&terminal, "buckets", &driver.url, &schema);
    let inputs =
        format!("{{values: {{region: 'eu-${{context.app.id}}'}}, secrets: {{token: {TOKEN}}}}}");
    defined(&terminal, "local/buckets", &inputs);
    terminal.write("web.yaml", WEB);
    terminal.ok(DEPLOY);

    // Asked until it was done, with the cookie that it left.
    let seen = driver.seen();
    let cookies: Vec<_> = seen.iter().map(|seen| seen.cookie.as_deref()).collect();
    assert_eq!(cookies, [None, Some("call-1")]);
    assert_eq!(seen[0].body, seen[1].body);
    assert_eq!(
        seen[0].body["driver"],
        json!({
        "values": {"region": "eu-shop"}, "secrets": {"token": TOKEN}})
    );
    // Its outputs are in the workload, the secret one as a reference.
    let made = bucket(&terminal);
    let name = made["resource"]["bucket"].as_str().unwrap();
    assert_eq!(made["driver_type"], "local/buckets");
    let shown = terminal.git("show HEAD");
    assert!(shown.contains(&format!("BUCKET: {name}")), "{shown}");
    assert!(shown.contains("REGION: eu-shop"), "{shown}");
    let id = made["gu_res_id"].as_str().unwrap();
    let key = format!("k3y-{id}");
    assert!(shown.contains("ExternalSecret") && !shown.contains(&key), "{shown}");

    // Again: a PUT with the newest cookie, and nothing changes.
    let before = terminal.git("rev-parse HEAD");
    terminal.ok(DEPLOY);
    let seen = driver.seen();
    assert_eq!(seen.len(), 3);
    assert_eq!((seen[2].method.as_str(), seen[2].cookie.as_deref()), ("PUT", Some("call-2")));
    assert_eq!(terminal.git("rev-parse HEAD"), before);

    assert_holds_none(&terminal, &[TOKEN, &key, "call-2"]);
    assert!(terminal.path(".local/share/downbeat").join("driver-signing-key").is_file());

    // A schema that is not satisfied: the driver is not asked at all.
    let inputs = "{values: {region: 'far-${context.app.id}-away'}, secrets: {token: short-one}}";
    defined(&terminal, "local/buckets", inputs);
    let said = terminal.downbeat(DEPLOY);
    assert_eq!(said.code, 1);
    assert!(said.err.contains("RES-103"), "{}", said.err);
    assert!(
        said.err.contains("/values/region") && said.err.contains("/secrets/token"),
        "{}",
        said.err
    );
    assert!(!said.err.contains("short-one"), "{}", said.err);
    assert_eq!(driver.seen().len(), 3);

    // Rendering changes nothing in the world: no driver is called.
    let said = terminal.downbeat("render web.yaml --definitions own.yaml --app shop");
    assert_eq!(said.code, 1);
    assert!(said.err.contains("is called by a deployment only"), "{}", said.err);
    assert_eq!(driver.seen().len(), 3);
}

/// What was kept while a driver works is there for whoever goes on.
#[test]
fn killed_while_a_driver_works() {
    let terminal = Terminal::new();
    let driver = Driver::start(Manners::Slow);
    registered(&terminal, "buckets", &driver.url, &json!({}));
    defined(&terminal, "local/buckets", "{values: {region: eu}}");
    terminal.write("web.yaml", WEB);
    let mut command = terminal.program();
    command.args(DEPLOY.split(' ')).stdout(Stdio::null()).stderr(Stdio::null());
    let mut process = command.spawn().unwrap();
    while driver.seen().len() < 2 {
        thread::sleep(Duration::from_millis(20));
    }
    process.kill().unwrap();
    process.wait().unwrap();
    // The next command goes on with what was left, then deploys what it was asked to.
    terminal.ok(DEPLOY);
    let seen = driver.seen();
    let cookies: Vec<_> = seen.iter().map(|seen| seen.cookie.as_deref()).collect();
    assert_eq!(cookies, [None, Some("call-1"), Some("call-1"), Some("call-2")]);
    let keys: Vec<_> = seen.iter().map(|seen| seen.key.as_deref().unwrap()).collect();
    assert!(keys[0] == keys[1] && keys[1] == keys[2] && keys[2] != keys[3], "{keys:?}");
}

/// A deployment that ends its process each time is given up, and its environment is free again.
#[test]
fn killed_again_and_again_while_a_driver_works() {
    const ATTEMPTS: usize = 8;
    let terminal = Terminal::new();
    let driver = Driver::start(Manners::Silent(ATTEMPTS));
    registered(&terminal, "buckets", &driver.url, &json!({}));
    defined(&terminal, "local/buckets", "{values: {region: eu}}");
    terminal.write("web.yaml", WEB);
    for attempt in 1..=ATTEMPTS {
        let mut command = terminal.program();
        // The first one is asked to, the others go on with what was left.
        let arguments = if attempt == 1 { DEPLOY } else { "serve --listen 0" };
        command.args(arguments.split(' ')).stdout(Stdio::null()).stderr(Stdio::null());
        let mut process = command.spawn().unwrap();
        while driver.seen().len() < attempt {
            assert!(process.try_wait().unwrap().is_none(), "it ended before it was killed");
            thread::yield_now();
        }
        process.kill().unwrap();
        process.wait().unwrap();
    }
    let asked = driver.seen();
    assert!(asked.iter().all(|seen| (&seen.key, &seen.id) == (&asked[0].key, &asked[0].id)));

    terminal.ok(DEPLOY);
    let path = "/orgs/local/apps/shop/envs/development/deploys";
    let get = |path: &str| -> Vec<Json> {
        serde_json::from_str(&terminal.ok(&format!("api get {path}")).out).unwrap()
    };
    let all = get(path);
    assert_eq!((&all[0]["status"], &all[1]["status"]), (&json!("succeeded"), &json!("failed")));
    let errors = get(&format!("{path}/{}/errors", all[1]["id"].as_str().unwrap()));
    assert_eq!((errors.len(), &errors[0]["code"]), (1, &json!("DEP-008")));
    let message = errors[0]["message"].as_str().unwrap();
    assert!(message.contains("was interrupted 8 times and is given up"), "{message}");
    // What it was given up with is not tried again: this is the next one.
    let asked_since = driver.seen().split_off(ATTEMPTS);
    assert!(asked_since.iter().all(|seen| seen.key != asked[0].key && seen.id == asked[0].id));
}

#[test]
fn a_driver_that_says_too_much() {
    let terminal = Terminal::new();
    let driver = Driver::start(Manners::Talkative);
    registered(&terminal, "buckets", &driver.url, &json!({}));
    defined(&terminal, "local/buckets", &format!("{{secrets: {{token: {TOKEN}}}}}"));
    terminal.write("web.yaml", WEB);
    let said = terminal.downbeat(DEPLOY);
    assert_eq!(said.code, 1);
    assert!(said.err.contains("RES-101") && said.err.contains("(RES-107)"), "{}", said.err);
    assert!(said.err.contains("cannot log in with \"***\""), "{}", said.err);
    assert!(!said.err.contains(TOKEN), "{}", said.err);
}

#[test]
fn a_driver_that_stands_for_another() {
    let terminal = Terminal::new();
    let driver = Driver::start(Manners::Good);
    registered(&terminal, "buckets", &driver.url, &json!({}));
    let template = "values:
  region: {{ .driver.values.place }}-${resources['dns.default#shared.site'].outputs.host}
secrets:
  token: {{ .driver.secrets.word | toRawJson }}
";
    registered(&terminal, "nearby", "driver://local/buckets", &json!({"template": template}));
    registered(
        &terminal,
        "nearest",
        "driver://local/nearby",
        &json!({"template": {
        "values": {"place": "{{ .driver.values.city | lower }}"},
        "secrets": "{{ .driver.secrets | toRawJson }}"}}),
    );
    let inputs = format!("{{values: {{city: BERN}}, secrets: {{word: {TOKEN}}}}}");
    defined(&terminal, "local/nearest", &inputs);
    terminal.write("web.yaml", WEB);
    let said = terminal.ok(DEPLOY);
    // What the template refers to is part of the graph.
    assert!(said.out.contains("dns"), "{}", said.out);
    let made = bucket(&terminal);
    assert_eq!(made["driver_type"], "local/buckets");
    let seen = driver.seen().pop().unwrap();
    let region = seen.body["driver"]["values"]["region"].as_str().unwrap();
    assert!(region.starts_with("bern-") && region.contains('.'), "{region}");
    assert_eq!(seen.body["driver"]["secrets"], json!({"token": TOKEN}));

    registered(
        &terminal,
        "broken",
        "driver://local/buckets",
        &json!({
        "template": "values: {a: {{ fail \"not today\" }}}"}),
    );
    defined(&terminal, "local/broken", "{}");
    let said = terminal.downbeat(DEPLOY);
    assert!(said.err.contains("RES-114") && said.err.contains("not today"), "{}", said.err);
    assert!(
        said.err.contains("\"own-s3\"") && said.err.contains("\"local/broken\""),
        "{}",
        said.err
    );
}

#[test]
fn a_good_driver_passes_every_check() {
    let terminal = Terminal::new();
    let driver = Driver::start(Manners::Good);
    terminal.write("inputs.yaml", &format!("driver: {{secrets: {{token: {TOKEN}}}}}\n"));
    let said = terminal.ok(&format!("driver test {} --inputs inputs.yaml", driver.url));
    assert!(said.err.contains("     ok create: PUT makes a resource"), "{}", said.err);
    assert!(said.err.contains("20 checks: 19 ok, 0 failed, 1 skipped"), "{}", said.err);
    assert!(said.err.contains("no signing key was given"), "{}", said.err);
    let said = terminal.ok(&format!("driver test {} --json", driver.url));
    let result: Json = serde_json::from_str(&said.out).unwrap();
    assert_eq!((&result["failed"], result["checks"].as_array().unwrap().len()), (&json!(0), 20));
    let said = terminal.downbeat(&format!("driver test {} --type mysql", driver.url));
    assert_eq!(said.code, 1);
    assert!(said.err.contains("found     status 400 (RES-101: s3 only)"), "{}", said.err);
}

#[test]
fn a_bad_driver_is_told_what_is_wrong() {
    let terminal = Terminal::new();
    let driver = Driver::start(Manners::Bad);
    terminal.write("inputs.yaml", &format!("driver: {{secrets: {{token: {TOKEN}}}}}\n"));
    let said = terminal.downbeat(&format!("driver test {} --inputs inputs.yaml", driver.url));
    assert_eq!(said.code, 1, "{}", said.err);
    for id in [
        "content-type",
        "shape",
        "secrets-apart",
        "repeat",
        "cookie-text",
        "bad-json",
        "bad-shape",
        "delete",
        "delete-again",
        "delete-unknown",
    ] {
        assert!(said.err.contains(&format!(" failed {id}: ")), "no {id} in\n{}", said.err);
    }
    for part in [
        "expected  Content-Type: application/json\n          found     Content-Type: \"text/plain\"",
        "`id` is another one",
        "a secret at /resource/values/echo/token",
        "other outputs at /values/bucket",
        "found     5000 bytes",
        "skipped bad-type",
    ] {
        assert!(said.err.contains(part), "no {part:?} in\n{}", said.err);
    }
    assert!(!said.err.contains(TOKEN), "{}", said.err);
    // Nobody is there.
    let gone = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let said = terminal.downbeat(&format!("driver test http://{gone}"));
    assert_eq!(said.code, 1);
    assert!(said.err.contains("Connection refused"), "{}", said.err);
    for target in ["http://driver.example", "nonsense"] {
        assert_eq!(terminal.downbeat(&format!("driver test {target}")).code, 2);
    }
    terminal.write("inputs.yaml", "driver: {value: {}}\n");
    let said = terminal.downbeat(&format!("driver test {} --inputs inputs.yaml", driver.url));
    assert!(said.err.contains("\"value\" is not known below driver"), "{}", said.err);
}

/// A process that ends with the test.
struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

/// The example driver, or nothing when it cannot run here.
fn example(terminal: &Terminal, more: &[&str]) -> Option<(Process, String)> {
    let python = terminal.command("python3").arg("--version").output();
    if !python.is_ok_and(|said| said.status.success()) {
        println!("skipped, because python3 is not installed");
        return None;
    }
    let mut command = terminal.command("python3");
    command.arg(repository("examples/driver/driver.py"));
    command.args(["--port", "0", "--folder", "buckets", "--slow"]).args(more);
    let child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let mut process = Process(child);
    let mut line = String::new();
    BufReader::new(process.0.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let url = line.trim().trim_start_matches("listening on ").to_owned();
    Some((process, url))
}

#[test]
fn the_example_driver_passes_every_check() {
    let terminal = Terminal::new();
    terminal.write("key", "a key of this test\n");
    let Some((_driver, url)) = example(&terminal, &["--signing-key", "key"]) else { return };
    let said = terminal.ok(&format!("driver test {url} --signing-key key"));
    assert!(said.err.contains("     ok signature: a wrong signature is refused"), "{}", said.err);
    assert!(said.err.contains(" 0 failed"), "{}", said.err);
    // It leaves nothing behind.
    assert_eq!(fs::read_dir(terminal.path("buckets")).unwrap().count(), 0);
    // Without the key nothing is made.
    let said = terminal.downbeat(&format!("driver test {url}"));
    assert!(said.err.contains("status 401 (RES-105"), "{}", said.err);
}

/// Its README, with the key of the installation.
#[test]
fn the_example_driver_makes_buckets() {
    let terminal = Terminal::new();
    terminal.ok("api get /orgs");
    let key = terminal.path(".local/share/downbeat/driver-signing-key").display().to_string();
    let Some((_driver, url)) = example(&terminal, &["--signing-key", &key]) else { return };
    registered(&terminal, "folders", &url, &json!({}));
    let definition = repository("examples/driver/definition.yaml");
    terminal.ok(&format!("apply -f {}", definition.display()));
    terminal.write("web.yaml", WEB);
    terminal.ok(DEPLOY);
    terminal.ok(DEPLOY);
    let made = bucket(&terminal);
    assert_eq!(made["resource"]["region"], "local");
    let folder = terminal.path("buckets").join(made["gu_res_id"].as_str().unwrap());
    assert!(folder.is_dir());
    assert_eq!(terminal.commits().len(), 1);
    // It frees what it made.
    terminal.ok("delete --app shop --yes");
    assert!(!folder.exists());
}

/// Credentials of an account reach the drivers that take them, and nobody else.
#[test]
fn an_account() {
    const KEY: &str = "wJalrXUtnFEMI-marked";
    let terminal = Terminal::new();
    let driver = Driver::start(Manners::Good);
    let api = |args: &[&str]| {
        let output = terminal.program().arg("api").args(args).output().unwrap();
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success(), "{output:?}");
        serde_json::from_str::<Json>(&text).unwrap_or_default()
    };
    registered(&terminal, "buckets", &driver.url, &json!({"account_types": ["aws"]}));
    terminal.write(
        "own.yaml",
        "\
apiVersion: entity.humanitec.io/v1b1
kind: Definition
metadata: {id: own-s3}
entity:
  name: Our own buckets
  type: s3
  driver_type: local/buckets
  driver_account: \"${resources['config.default#aws'].account}\"
  driver_inputs:
    values: {region: \"${resources['config.default#template'].outputs.region}\"}
    secrets: {account: {aws_access_key_id: overridden}}
  criteria: [{app_id: shop}]
---
apiVersion: entity.humanitec.io/v1b1
kind: Definition
metadata: {id: aws-config}
entity:
  name: Account and region
  type: config
  driver_type: humanitec/echo
  driver_account: aws-dev
  driver_inputs: {values: {region: eu}}
  criteria: [{res_id: aws}]
---
apiVersion: entity.humanitec.io/v1b1
kind: Definition
metadata: {id: aws-template}
entity:
  name: A template sees the account as well
  type: config
  driver_type: humanitec/template
  driver_account: aws-dev
  driver_inputs:
    values:
      templates:
        outputs: 'region: eu'
        secrets: 'file: {{ printf \"id=%s\" .driver.secrets.account.aws_access_key_id }}'
  criteria: [{res_id: template}]
",
    );
    terminal.ok("apply -f own.yaml");
    terminal.write("web.yaml", WEB);
    // Not there yet.
    let said = terminal.downbeat(DEPLOY);
    assert_eq!(said.code, 1);
    assert!(said.err.contains("RES-011") && said.err.contains("\"aws-dev\""), "{}", said.err);

    let accounts = "/orgs/local/resources/accounts";
    let account = json!({"id": "aws-dev", "name": "AWS", "type": "aws",
        "credentials": {"aws_access_key_id": "AKIA", "aws_secret_access_key": KEY}});
    api(&["post", accounts, "-d", &account.to_string()]);
    terminal.ok(DEPLOY);
    let handed = driver.seen()[0].body["driver"].clone();
    let credentials = json!({"aws_access_key_id": "AKIA", "aws_secret_access_key": KEY});
    assert_eq!(handed, json!({"values": {"region": "eu"}, "secrets": {"account": credentials}}));
    assert_eq!(bucket(&terminal)["driver_account"], "aws-dev");
    let path = format!("{accounts}/aws-dev");
    assert_eq!(api(&["get", &path])["is_used"], true);
    let said = terminal.downbeat(&format!("api delete {path}"));
    assert!(said.code != 0 && said.err.contains("is in use"), "{}", said.err);
    // A template can use it; the driver that passes everything on has not passed this on.
    let resources = api(&["get", "/orgs/local/apps/shop/envs/development/resources"]);
    let secrets = |id: &str| {
        let found = resources.as_array().unwrap().iter().find(|one| one["res_id"] == id).unwrap();
        found["secret_refs"].as_object().unwrap().keys().cloned().collect::<Vec<_>>()
    };
    assert_eq!((secrets("aws"), secrets("template")), (vec![], vec!["file".to_owned()]));

    // Other credentials: the driver hears of them.
    let change =
        json!({"credentials": {"aws_access_key_id": "AKIB", "aws_secret_access_key": KEY}});
    api(&["patch", &path, "-d", &change.to_string()]);
    terminal.ok(DEPLOY);
    let last = driver.seen().pop().unwrap();
    assert_eq!(last.body["driver"]["secrets"]["account"]["aws_access_key_id"], "AKIB");

    // A driver that does not take this type any more.
    let other = json!({"id": "buckets", "type": "s3", "account_types": ["gcp"],
        "target": driver.url, "inputs_schema": {}});
    api(&["put", &format!("{DRIVERS}/buckets"), "-d", &other.to_string()]);
    let said = terminal.downbeat(DEPLOY);
    assert_eq!(said.code, 1);
    assert!(said.err.contains("RES-011") && said.err.contains("of type gcp"), "{}", said.err);
    assert_holds_none(&terminal, &[KEY, "AKIA", "AKIB"]);
}

/// Nothing of this is in clear anywhere in the data directory.
fn assert_holds_none(terminal: &Terminal, secrets: &[&str]) {
    let data = terminal.path(".local/share/downbeat");
    for file in ["downbeat.db", "downbeat.db-wal"] {
        let text = fs::read(data.join(file)).unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        for secret in secrets {
            assert!(!text.contains(secret), "{secret} stands in {file}");
        }
    }
}

/// A definition of buckets for one resource id, or for all of the application.
fn bucket_definition(id: &str, driver: &str, values: &Json, criteria: &Json) -> String {
    let file = json!({"apiVersion": "entity.humanitec.io/v1b1", "kind": "Definition",
        "metadata": {"id": id}, "entity": {"name": id, "type": "s3", "driver_type": driver,
            "driver_inputs": {"values": values}, "criteria": [criteria]}});
    format!("---\n{file}\n")
}

/// What depends on something goes before it.
#[test]
fn freed_against_the_direction_of_the_graph() {
    let terminal = Terminal::new();
    let driver = Driver::start(Manners::Good);
    registered(&terminal, "buckets", &driver.url, &json!({}));
    let reads = |id: &str| format!("${{resources['s3.default#{id}'].outputs.region}}");
    let app = json!({"app_id": "shop"});
    let only = |id: &str| json!({"app_id": "shop", "res_id": id});
    let text = [
        bucket_definition("top-s3", "local/buckets", &json!({"region": reads("middle")}), &app),
        bucket_definition(
            "middle-s3",
            "local/buckets",
            &json!({"region": reads("base")}),
            &only("middle"),
        ),
        bucket_definition("base-s3", "local/buckets", &json!({"region": "eu"}), &only("base")),
    ];
    terminal.write("own.yaml", &text.concat());
    terminal.ok("apply -f own.yaml");
    terminal.write("web.yaml", WEB);
    terminal.ok(DEPLOY);
    let path = "/orgs/local/apps/shop/envs/development/resources";
    let all: Vec<Json> =
        serde_json::from_str(&terminal.ok(&format!("api get {path}")).out).unwrap();
    let id = |res_id: &str| {
        let found = all.iter().find(|one| one["type"] == "s3" && one["res_id"] == res_id);
        found.unwrap()["gu_res_id"].as_str().unwrap().to_owned()
    };
    let expected = ["modules.web.externals.files", "middle", "base"].map(id);
    terminal.ok("delete --app shop --yes");
    let freed: Vec<String> =
        driver.seen().into_iter().filter(|one| one.method == "DELETE").map(|one| one.id).collect();
    assert_eq!(freed, expected);
}

/// A driver that refuses, and a template without an end, fail their own branch: others
/// finish, and what runs stays.
#[test]
fn what_misbehaves_fails_its_own_branch() {
    let terminal = Terminal::new();
    let (good, bad) = (Driver::start(Manners::Good), Driver::start(Manners::Bad));
    registered(&terminal, "buckets", &good.url, &json!({}));
    registered(&terminal, "broken", &bad.url, &json!({}));
    let loops = "{{ define \"again\" }}{{ template \"again\" }}{{ end }}{{ template \"again\" }}";
    let only = |id: &str| json!({"res_id": format!("modules.web.externals.{id}")});
    let text = [
        bucket_definition("good-s3", "local/buckets", &json!({"region": "eu"}), &only("files")),
        bucket_definition("bad-s3", "local/broken", &json!({}), &only("bad")),
        bucket_definition(
            "loop-s3",
            "humanitec/template",
            &json!({"templates": {"outputs": loops}}),
            &only("loop"),
        ),
    ];
    terminal.write("own.yaml", &text.concat());
    terminal.ok("apply -f own.yaml");
    terminal.write("web.yaml", WEB);
    terminal.ok(DEPLOY);
    let before = (terminal.git("rev-parse HEAD"), good.seen().len());
    for (name, code) in [("bad", "RES-111"), ("loop", "RES-102")] {
        terminal.write("web.yaml", &format!("{WEB}  {name}: {{type: s3}}\n"));
        let asked = good.seen().len();
        let said = terminal.downbeat(DEPLOY);
        assert_eq!(said.code, 1);
        assert!(said.err.contains(code), "{}", said.err);
        assert!(said.err.contains(&format!("externals.{name}")), "{}", said.err);
        assert!(good.seen().len() > asked, "the other branch was not finished");
        assert_eq!(terminal.git("rev-parse HEAD"), before.0, "what runs has changed");
    }
}
