//! Infrastructure code, with the real program and a real server.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
    time::Duration,
};

use downbeat_adapters::{
    git::{GitTarget, Options},
    terraform::{Terraform, TerraformOptions},
};
use downbeat_core::{Code, Json, ResourceKey, Secret, SecretExpr, patch};
use downbeat_engine::{
    BoxFuture, DriverError, ExternalDriver, Memory, Removal, Request, Response, SecretOutput,
    States as _,
};
use downbeat_testkit::{Server, has_program};
use serde_json::json;

use crate::terminal::Terminal;

/// A resource of the real program's own provider, so that nothing is downloaded.
const SCRIPT: &str = r#"
variable "size" { type = number }
variable "password" {
  type      = string
  sensitive = true
}
resource "terraform_data" "db" {
  input = { size = var.size, password = var.password }
}
output "host" { value = "db.example" }
output "port" { value = 5432 }
output "name" { value = "shop" }
output "size" { value = terraform_data.db.output.size }
output "id" { value = terraform_data.db.id }
output "tags" { value = ["a", true, { n = 1 }] }
output "password" {
  value     = terraform_data.db.output.password
  sensitive = true
}
output "username" {
  value     = "owner-of-it"
  sensitive = true
}
"#;

const GURESID: &str = "0123456789abcdef0123456789abcdef01234567";

// ---- the driver -------------------------------------------------------------------------------

/// The cookie of a resource, as the engine would keep it.
#[derive(Default)]
struct Kept(Mutex<Option<Secret>>);

impl Kept {
    fn cookie(&self) -> Option<Secret> {
        self.0.lock().unwrap().clone()
    }
}

impl Memory for Kept {
    fn keep(&self, cookie: Secret) -> BoxFuture<'_, Result<(), DriverError>> {
        *self.0.lock().unwrap() = Some(cookie);
        Box::pin(std::future::ready(Ok(())))
    }
}

/// How infrastructure code is run beside a test server.
pub(crate) fn options(server: &Server, folder: &Path) -> TerraformOptions {
    let git = Arc::new(GitTarget::new(Options::new(folder.join("git"))));
    let mut options = TerraformOptions::new(
        folder.join("terraform"),
        server.base.clone(),
        server.states.clone(),
        server.run_keys.clone(),
        git,
    );
    options.program = Some("terraform".into());
    options
}

/// A server, and a driver that uses it.
struct World {
    server: Server,
    folder: tempfile::TempDir,
    driver: Terraform,
    kept: Kept,
}

impl World {
    async fn new() -> Option<Self> {
        Self::with(|_, _| {}).await
    }

    async fn with(change: impl FnOnce(&mut TerraformOptions, &Path)) -> Option<Self> {
        if !has_program("terraform") {
            return None;
        }
        let server = Server::start().await;
        let folder = tempfile::tempdir().unwrap();
        let mut run = options(&server, folder.path());
        change(&mut run, folder.path());
        Some(Self { server, folder, driver: Terraform::new(run), kept: Kept::default() })
    }

    async fn run(&self, values: Json, secrets: Json) -> Result<Response, DriverError> {
        self.run_as(GURESID, &self.kept, values, secrets).await
    }

    async fn run_as(
        &self,
        guresid: &str,
        kept: &Kept,
        values: Json,
        secrets: Json,
    ) -> Result<Response, DriverError> {
        let mut texts = BTreeMap::new();
        let mut shape = secrets;
        take(&mut shape, &mut String::new(), &mut texts);
        let exprs: BTreeMap<String, SecretExpr> = BTreeMap::new();
        let request = Request {
            guresid,
            key: &ResourceKey::new("postgres", "default", "shared.db"),
            resource: &json!({}),
            values: &values,
            secrets: &shape,
            secret_exprs: &exprs,
            secret_texts: &texts,
            cookie: None,
            seed: [0; 32],
            idempotency_key: "k",
            target: "",
        };
        self.driver.provision(&request, kept).await
    }

    async fn destroy(&self, cookie: Option<&Secret>) -> Result<(), DriverError> {
        let key = ResourceKey::new("postgres", "default", "shared.db");
        let removal = Removal { guresid: GURESID, key: &key, cookie, account: None, target: "" };
        self.driver.deprovision(&removal, &self.kept).await
    }

    async fn state(&self) -> Option<Json> {
        let state = self.server.states.read(GURESID).await.unwrap()?;
        Some(serde_json::from_str(state.expose()).unwrap())
    }

    /// The names of the resources in the state.
    async fn made(&self) -> Vec<String> {
        let state = self.state().await.unwrap_or_default();
        let resources = state["resources"].as_array().cloned().unwrap_or_default();
        let with = |one: &&Json| !one["instances"].as_array().unwrap().is_empty();
        let name = |one: &Json| one["name"].as_str().unwrap().to_owned();
        resources.iter().filter(with).map(name).collect()
    }

    /// Nothing of a run is left: no folder, no lock.
    async fn assert_tidy(&self) {
        let work = self.folder.path().join("terraform/work");
        let left: Vec<_> = fs::read_dir(work).unwrap().flatten().map(|one| one.path()).collect();
        assert!(left.is_empty(), "{left:?}");
        self.server.states.lock(GURESID, "test", "{}").await.unwrap();
        self.server.states.unlock(GURESID, Some("test")).await.unwrap();
    }
}

/// Splits secret inputs as the engine does: `null` in the shape, the text apart.
fn take(value: &mut Json, at: &mut String, texts: &mut BTreeMap<String, Secret>) {
    let length = at.len();
    match value {
        Json::Object(members) => {
            for (name, member) in members {
                patch::push_token(at, name);
                take(member, at, texts);
                at.truncate(length);
            }
        }
        Json::String(text) => {
            texts.insert(at.clone(), Secret::new(std::mem::take(text)));
            *value = Json::Null;
        }
        other => panic!("{other} is no secret"),
    }
}

fn secrets(response: &Response) -> BTreeMap<String, String> {
    let text = |output: &SecretOutput| match output {
        SecretOutput::Text(text) => text.expose().to_owned(),
        SecretOutput::Expr(_) => panic!("an expression"),
    };
    response.secrets.iter().map(|(at, output)| (at.clone(), text(output))).collect()
}

/// Whether a process has this text among its arguments.
fn runs(text: &str) -> bool {
    fs::read_dir("/proc").unwrap().flatten().any(|entry| {
        let line = fs::read(entry.path().join("cmdline")).unwrap_or_default();
        String::from_utf8_lossy(&line).replace('\0', " ").contains(text)
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn makes_updates_and_destroys() {
    let Some(world) = World::new().await else { return };
    let values = |size: u32| json!({"script": SCRIPT, "variables": {"size": size}});
    let password = json!({"variables": {"password": "hunter22-hunter22"}});
    let first = world.run(values(1), password.clone()).await.unwrap();
    assert_eq!(first.values["port"], 5432);
    assert_eq!(first.values["tags"], json!(["a", true, {"n": 1}]));
    assert_eq!(first.values["size"], 1);
    let expected = [("/password", "hunter22-hunter22"), ("/username", "owner-of-it")];
    let expected = expected.map(|(at, text)| (at.to_owned(), text.to_owned()));
    assert_eq!(secrets(&first), BTreeMap::from(expected));
    assert!(!first.values.contains_key("password"));
    let serial = world.state().await.unwrap()["serial"].clone();
    world.assert_tidy().await;

    let again = world.run(values(1), password.clone()).await.unwrap();
    assert_eq!(again.values, first.values);
    assert_eq!(world.state().await.unwrap()["serial"], serial, "nothing changed");
    let bigger = world.run(values(2), password).await.unwrap();
    assert_eq!(bigger.values["size"], 2);
    assert_eq!(bigger.values["id"], first.values["id"], "it was updated, not made anew");
    assert!(world.state().await.unwrap().to_string().contains("hunter22"));
    assert!(!world.server.database_holds("hunter22"), "the state is not sealed");
    assert!(!world.server.database_holds("terraform_data"), "the state is not sealed");

    // From the cookie and the id alone, also in another process.
    let cookie = world.kept.cookie();
    let driver = Terraform::new(options(&world.server, world.folder.path()));
    let world = World { driver, ..world };
    world.destroy(cookie.as_ref()).await.unwrap();
    assert!(world.state().await.is_none());
    world.destroy(cookie.as_ref()).await.unwrap();
    world.destroy(None).await.unwrap();
    world.assert_tidy().await;
    assert!(!world.folder.path().join(format!("terraform/runs/{GURESID}.lock")).exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_in_a_cluster_is_checked_and_makes_nothing() {
    let Some(world) = World::new().await else { return };
    let values = json!({
        "script": "terraform {\n  backend \"s3\" {\n  }\n}",
        "runner_mode": "custom-kubernetes",
        "runner": {"cluster_type": "eks", "cluster": {"name": "c"}},
    });
    let error = world.run(values.clone(), json!({})).await.unwrap_err();
    assert_eq!(error.code, Code::NoRunner);
    assert!(error.hint.unwrap().contains("runner_mode"));
    assert!(world.kept.cookie().is_none() && world.state().await.is_none());
    let mut wrong = values;
    wrong["runner"]["cluster_type"] = json!("git");
    let error = world.run(wrong, json!({})).await.unwrap_err();
    assert_eq!(error.code, Code::DriverInputs);
    // Nothing was made, so there is nothing to free.
    world.destroy(None).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn resources_are_apart_from_each_other() {
    let Some(world) = World::new().await else { return };
    let script = r#"
        variable "name" {}
        resource "terraform_data" "it" { input = var.name }
        output "name" { value = terraform_data.it.output }
    "#;
    let ids: Vec<String> = (0..4).map(|number| format!("{number:040x}")).collect();
    let kept = Kept::default();
    let run = async |id: &str| {
        let values = json!({"script": script, "variables": {"name": id}});
        world.run_as(id, &kept, values, json!({})).await.unwrap().values["name"].clone()
    };
    let names = tokio::join!(run(&ids[0]), run(&ids[1]), run(&ids[2]), run(&ids[3]));
    assert_eq!(json!([names.0, names.1, names.2, names.3]), json!(ids));
    // The key of one does not open the other.
    let http = reqwest::Client::new();
    let url = format!("{}/terraform/state/{}", world.server.base, ids[1]);
    for (key, status) in [(&ids[1], 200), (&ids[0], 401)] {
        let key = world.server.run_keys.make(key);
        let answer = http.get(&url).basic_auth("u", Some(key.expose())).send().await.unwrap();
        assert_eq!(answer.status().as_u16(), status);
    }
}

/// Code that waits for a host that never answers holds nobody else up.
#[tokio::test(flavor = "multi_thread")]
async fn an_init_that_hangs_stops_no_other_run() {
    let Some(mut world) = World::new().await else { return };
    let mut run = options(&world.server, world.folder.path());
    run.cache_wait = Duration::from_millis(200);
    world.driver = Terraform::new(run);
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let host = silent.local_addr().unwrap();
    let script = format!("module \"m\" {{ source = \"http://{host}/m.zip\" }}");
    let ids = [format!("{:040x}", 1), format!("{:040x}", 2)];
    let kept = Kept::default();
    let hanging = async {
        let values = json!({"script": script, "timeout": 600});
        world.run_as(&ids[0], &kept, values, json!({})).await
    };
    let other = async {
        // Connected: the first one has the cache, and waits.
        let silent = silent.try_clone().unwrap();
        let (_stream, _) =
            tokio::task::spawn_blocking(move || silent.accept()).await.unwrap().unwrap();
        let values = json!({"script": "output \"ok\" { value = true }"});
        world.run_as(&ids[1], &kept, values, json!({})).await
    };
    tokio::select! {
        ended = hanging => panic!("the host never answers: {ended:?}"),
        made = other => assert_eq!(made.unwrap().values["ok"], true),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_made_before_a_failure_is_not_made_again() {
    let Some(world) = World::new().await else { return };
    let script = |command: &str| {
        format!(
            "resource \"terraform_data\" \"first\" {{ input = \"x\" }}\n\
             resource \"terraform_data\" \"second\" {{\n  depends_on = [terraform_data.first]\n  \
             provisioner \"local-exec\" {{ command = \"{command}\" }}\n}}\n\
             output \"first\" {{ value = terraform_data.first.id }}\n"
        )
    };
    let values = json!({"script": script("echo sad; exit 1")});
    let error = world.run(values.clone(), json!({})).await.unwrap_err();
    assert_eq!(error.code, Code::Driver);
    let expected = "`terraform apply` failed: local-exec provisioner error (with \
        terraform_data.second, on main.tf line 4)";
    assert_eq!(error.message, expected);
    assert!(error.hint.unwrap().contains("append_logs_to_error"));
    assert_eq!(world.made().await, ["first", "second"]);
    let first = world.state().await.unwrap()["resources"][0]["instances"][0].clone();
    world.assert_tidy().await;

    let mut values = values;
    values["append_logs_to_error"] = json!(true);
    let error = world.run(values, json!({})).await.unwrap_err();
    assert!(error.message.contains("(local-exec): sad"), "{}", error.message);
    let done = world.run(json!({"script": script("true")}), json!({})).await.unwrap();
    assert_eq!(done.values["first"], first["attributes"]["id"]);
    world.destroy(world.kept.cookie().as_ref()).await.unwrap();
    assert!(world.state().await.is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lock_of_others_is_respected_and_one_of_ours_is_freed() {
    let Some(world) = World::new().await else { return };
    let values = json!({"script": "output \"x\" { value = 1 }"});
    let states = &world.server.states;
    let http = reqwest::Client::new();
    let url = format!("{}/terraform/state/{GURESID}/lock", world.server.base);
    let key = world.server.run_keys.make(GURESID);
    let lock = async |user: &str| {
        let about = json!({"ID": "1-2", "Who": "ada@laptop", "Operation": "OperationTypeApply"});
        let request = http.put(&url).basic_auth(user, Some(key.expose())).json(&about);
        request.send().await.unwrap().status().as_u16()
    };
    assert_eq!(lock("ada").await, 200);
    let error = world.run(values.clone(), json!({})).await.unwrap_err();
    assert_eq!(error.code, Code::StateLocked);
    assert_eq!(error.message, "the state is locked by ada@laptop (OperationTypeApply)");
    states.unlock(GURESID, None).await.unwrap();

    // Also when it is the program that meets it.
    let base = format!("{}/terraform/state/{GURESID}", world.server.base);
    let backend = format!(
        "terraform {{\n  backend \"http\" {{\n    address = \"{base}\"\n    lock_address = \
         \"{base}/lock\"\n    lock_method = \"PUT\"\n    username = \"u\"\n    password = \
         \"{}\"\n  }}\n}}",
        key.expose()
    );
    assert_eq!(lock("ada").await, 200);
    let own = json!({"script": backend});
    let error = world.run_as("other", &world.kept, own, json!({})).await.unwrap_err();
    assert_eq!(error.code, Code::StateLocked);
    assert_eq!(error.message, "the state is locked by somebody else (lock 1-2)");
    states.unlock(GURESID, None).await.unwrap();

    // A run of ours that was killed.
    assert_eq!(lock("downbeat-run-0123").await, 200);
    world.run(values, json!({})).await.unwrap();
    // What the killed one still wants to write is refused.
    let write = http.post(format!("{}/terraform/state/{GURESID}?ID=1-2", world.server.base));
    let answer = write.basic_auth("u", Some(key.expose())).body("{}").send().await.unwrap();
    assert_eq!(answer.status().as_u16(), 409);
    world.assert_tidy().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_hangs_is_stopped_with_all_its_processes() {
    let change = |options: &mut TerraformOptions, _: &Path| {
        options.limit = Duration::from_secs(4);
        options.grace = Duration::from_secs(10);
    };
    let Some(world) = World::with(change).await else { return };
    let script = |seconds: &str| {
        format!(
            "resource \"terraform_data\" \"first\" {{ input = \"x\" }}\n\
             resource \"terraform_data\" \"second\" {{\n  depends_on = [terraform_data.first]\n  \
             provisioner \"local-exec\" {{ command = \"sleep {seconds}\" }}\n}}\n"
        )
    };
    let error = world.run(json!({"script": script("1000.25")}), json!({})).await.unwrap_err();
    assert_eq!(error.code, Code::DriverTimeout);
    assert!(error.message.starts_with("`terraform apply` was stopped"), "{}", error.message);
    assert!(!runs("sleep 1000.25"));
    // It was asked, not killed: what was made is known, and the lock is free.
    assert!(world.made().await.contains(&"first".to_owned()));
    world.assert_tidy().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_is_dropped_or_does_not_listen_ends() {
    let change = |options: &mut TerraformOptions, _: &Path| {
        options.grace = Duration::from_millis(300);
    };
    let Some(world) = World::with(change).await else { return };
    // Neither the shell nor its child hears the interrupt.
    let script = r#"
        resource "terraform_data" "it" {
          provisioner "local-exec" {
            command = "trap '' INT; touch ../../../started; sleep 1000.5; true"
          }
        }
    "#;
    let started = world.folder.path().join("terraform/started");
    let values = json!({"script": script});
    {
        let run = world.run(values.clone(), json!({}));
        let begun = async {
            while !started.exists() {
                tokio::task::yield_now().await;
            }
        };
        tokio::select! {
            ended = run => panic!("{ended:?}"),
            () = begun => {}
        }
    }
    // The next run waits for the end of the dropped one, and frees the lock that it left.
    let done = world.run(json!({"script": "output \"x\" { value = 1 }"}), json!({})).await;
    assert_eq!(done.unwrap().values["x"], 1);
    assert!(!runs("sleep 1000.5"));
    world.assert_tidy().await;
}

/// The program in a group of its own, as a server that was killed leaves it behind.
#[tokio::test(flavor = "multi_thread")]
#[expect(clippy::disallowed_methods, reason = "plays a process that is gone")]
async fn a_run_of_a_killed_server_is_stopped_by_the_next() {
    use std::{os::unix::process::CommandExt as _, process::Command};
    let Some(world) = World::new().await else { return };
    let runs_folder = world.folder.path().join("terraform/runs");
    let work = world.folder.path().join(format!("terraform/work/{GURESID}"));
    fs::create_dir_all(work.join("code")).unwrap();
    fs::create_dir_all(&runs_folder).unwrap();
    let lost = json!({"version": 4, "serial": 7, "lineage": "l", "outputs": {}, "resources": []});
    fs::write(work.join("code/errored.tfstate"), lost.to_string()).unwrap();
    std::os::unix::fs::symlink(work.join("code"), work.join("root")).unwrap();
    let mut options = fs::File::options();
    let path = runs_folder.join(format!("{GURESID}.lock"));
    let lock = options.create(true).truncate(true).write(true).open(path).unwrap();
    lock.lock().unwrap();
    let mut command = Command::new("sleep");
    command.arg("1000.75").stdin(lock.try_clone().unwrap()).process_group(0);
    let mut orphan = command.spawn().unwrap();
    std::io::Write::write_all(&mut &lock, orphan.id().to_string().as_bytes()).unwrap();
    drop((lock, command));

    let waiting = tokio::task::spawn_blocking(move || orphan.wait());
    let done = world.run(json!({"script": "output \"x\" { value = 1 }"}), json!({})).await;
    assert_eq!(done.unwrap().values["x"], 1);
    assert!(!waiting.await.unwrap().unwrap().success());
    // The state that it could not save was saved first.
    let state = world.state().await.unwrap();
    assert_eq!((&state["lineage"], &state["serial"]), (&json!("l"), &json!(8)));
    world.assert_tidy().await;
}

/// A program that writes its arguments down before it becomes the real one.
#[expect(clippy::disallowed_methods, reason = "makes a program as an operator does")]
fn listening(options: &mut TerraformOptions, folder: &Path) {
    let wrapper = folder.join("wrapper");
    let text = format!(
        "#!/bin/sh\necho \"$@\" >> {0}/arguments\nenv >> {0}/environment\nexec terraform \"$@\"\n",
        folder.display()
    );
    // Written by another process: a file that this one had open cannot be run while some other
    // thread is about to start a program.
    let mut shell = std::process::Command::new("sh");
    shell.args(["-c", "printf %s \"$1\" > \"$0\" && chmod 755 \"$0\""]).arg(&wrapper).arg(text);
    assert!(shell.status().unwrap().success());
    options.program = Some(wrapper);
}

#[tokio::test(flavor = "multi_thread")]
async fn credentials_come_where_they_are_wanted_and_nowhere_else() {
    let Some(world) = World::with(listening).await else { return };
    let script = r#"
        variable "token" { sensitive = true }
        resource "terraform_data" "it" {
          input = sha256(file("keys/all.json"))
          provisioner "local-exec" {
            command = "test \"$AWS_SECRET_ACCESS_KEY\" = s3cret-access-key && test -z \"$CARGO_BIN_EXE_downbeat$CARGO\""
          }
        }
        output "is_token" { value = nonsensitive(var.token == "AKIA-0123456789") }
    "#;
    let values = json!({"script": script, "credentials_config": {
        "variables": {"token": "AccessKeyId"},
        "environment": {"AWS_SECRET_ACCESS_KEY": "SecretAccessKey"},
        "file": "keys/all.json",
    }});
    let account = json!({"account": {
        "AccessKeyId": "AKIA-0123456789", "SecretAccessKey": "s3cret-access-key"}});
    let done = world.run(values.clone(), account.clone()).await.unwrap();
    assert_eq!(done.values["is_token"], true);
    let arguments = fs::read_to_string(world.folder.path().join("arguments")).unwrap();
    for step in ["init ", "plan ", "apply ", "output "] {
        assert!(arguments.contains(step), "{arguments}");
    }
    let key = world.server.run_keys.make(GURESID);
    for secret in ["AKIA", "s3cret", key.expose()] {
        assert!(!arguments.contains(secret), "{arguments}");
        assert!(!world.server.database_holds(secret));
    }
    let environment = fs::read_to_string(world.folder.path().join("environment")).unwrap();
    for variable in ["TF_IN_AUTOMATION=1", "TF_INPUT=0", "CHECKPOINT_DISABLE=1"] {
        assert!(environment.contains(variable));
    }
    assert!(!environment.contains("\nCARGO"), "the server's environment is passed on");
    // Providers are fetched once for all runs; only `init`, one at a time, writes there.
    let caches: BTreeSet<_> =
        environment.lines().filter(|line| line.starts_with("TF_PLUGIN_CACHE_DIR=")).collect();
    let [cache] = caches.into_iter().collect::<Vec<_>>()[..] else {
        panic!("not one cache of providers: {environment}")
    };
    assert!(cache.ends_with("/plugins"), "{cache}");

    // A failure that shows everything shows no secret.
    let script = r#"
        variable "token" {}
        resource "terraform_data" "it" {
          provisioner "local-exec" {
            command = "echo ${var.token}; cat keys/all.json; env; exit 1"
          }
        }
    "#;
    let mut values = values;
    values["script"] = json!(script);
    values["append_logs_to_error"] = json!(true);
    let error = world.run_as(&"a".repeat(40), &world.kept, values, account).await.unwrap_err();
    let key = world.server.run_keys.make(&"a".repeat(40));
    assert!(error.message.contains("AWS_SECRET_ACCESS_KEY=***"), "{}", error.message);
    for secret in ["AKIA", "s3cret", key.expose()] {
        assert!(!error.message.contains(secret), "{}", error.message);
    }
}

#[expect(clippy::disallowed_methods, reason = "makes a repository as a user does")]
fn git(folder: &Path, arguments: &[&str]) -> String {
    let mut command = std::process::Command::new("git");
    command.args(["-c", "user.name=a", "-c", "user.email=a@b", "-c", "init.defaultBranch=main"]);
    let said = command.current_dir(folder).args(arguments).output().unwrap();
    assert!(said.status.success(), "{}", String::from_utf8_lossy(&said.stderr));
    String::from_utf8(said.stdout).unwrap().trim().to_owned()
}

/// A repository with a root module in a folder and a module beside it.
fn repository(folder: &Path) -> (PathBuf, String) {
    let repository = folder.join("repository");
    fs::create_dir_all(repository.join("live/db")).unwrap();
    fs::create_dir_all(repository.join("modules/name")).unwrap();
    let root = "module \"name\" { source = \"../../modules/name\" }\n\
        output \"name\" { value = module.name.name }\n\
        output \"extra\" { value = fileexists(\"extra.txt\") }\n";
    fs::write(repository.join("live/db/main.tf"), root).unwrap();
    let module = |name: &str| format!("output \"name\" {{ value = \"{name}\" }}");
    fs::write(repository.join("modules/name/main.tf"), module("first")).unwrap();
    std::os::unix::fs::symlink("/etc", repository.join("live/link")).unwrap();
    git(&repository, &["init", "-q"]);
    git(&repository, &["add", "."]);
    git(&repository, &["commit", "-qm", "first"]);
    git(&repository, &["tag", "v1"]);
    let first = git(&repository, &["rev-parse", "HEAD"]);
    fs::write(repository.join("modules/name/main.tf"), module("second")).unwrap();
    git(&repository, &["commit", "-qam", "second"]);
    (repository, first)
}

#[tokio::test(flavor = "multi_thread")]
async fn code_comes_from_files_and_repositories() {
    let Some(world) = World::new().await else { return };
    let files = json!({"files": {
        "outputs.tf": "output \"x\" { value = file(\"texts/a.txt\") }", "texts/a.txt": "hello"}});
    assert_eq!(world.run(files, json!({})).await.unwrap().values["x"], "hello");

    let (repository, first) = repository(world.folder.path());
    let source = |url: &str, rev: &str, path: &str| {
        json!({"source": {"url": url, "rev": rev, "path": path},
            "files": {"extra.txt": "x"}})
    };
    let (plain, url) =
        (repository.display().to_string(), format!("file://{}", repository.display()));
    for (url, rev, path, name) in [
        (&url, "", "live/db", "second"),
        (&url, "main", "/live/db/", "second"),
        (&plain, "refs/heads/main", "./live/db", "second"),
        (&url, "refs/tags/v1", "live/db", "first"),
        (&url, "v1", "live/db", "first"),
        (&url, &first, "live/db", "first"),
        (&url, &first[..10], "live/db", "first"),
    ] {
        let done = world.run(source(url, rev, path), json!({})).await.unwrap();
        assert_eq!(done.values["name"], name, "{rev}");
        assert_eq!(done.values["extra"], true);
    }
    for (rev, path, expected) in [
        ("nothing", "live/db", "no branch, tag or commit \"nothing\""),
        ("--upload-pack=x", "live/db", "the revision cannot be used"),
        ("main", "live/none", "has no folder \"live/none\""),
        ("main", "live/link", "has no folder \"live/link\""),
        ("main", "../x", "cannot be used"),
    ] {
        let error = world.run(source(&url, rev, path), json!({})).await.unwrap_err();
        assert_eq!(error.code, Code::DriverInputs, "{}", error.message);
        assert!(error.message.contains(expected), "{}", error.message);
    }
    let mut through = source(&url, "main", "live");
    through["files"] = json!({"link/x.tf": ""});
    let error = world.run(through, json!({})).await.unwrap_err();
    assert!(error.message.contains("leads through a link"), "{}", error.message);
}

/// What a branch says now is of no matter for what was made of it before.
#[tokio::test(flavor = "multi_thread")]
async fn what_a_commit_made_is_destroyed_with_that_commit() {
    let Some(world) = World::new().await else { return };
    let (repository, _) = repository(world.folder.path());
    let write = |text: &str| {
        fs::write(repository.join("live/db/main.tf"), text).unwrap();
        git(&repository, &["commit", "-qam", "another"]);
    };
    write("resource \"terraform_data\" \"it\" { input = \"x\" }");
    let url = format!("file://{}", repository.display());
    let values = json!({"source": {"url": url, "rev": "main", "path": "live/db"}});
    world.run(values, json!({})).await.unwrap();
    assert_eq!(world.made().await, ["it"]);
    write("this is no code {");
    world.destroy(world.kept.cookie().as_ref()).await.unwrap();
    assert!(world.state().await.is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn code_with_a_backend_of_its_own_keeps_it() {
    let Some(world) = World::new().await else { return };
    let state = world.folder.path().join("own.tfstate");
    let backend = format!("terraform {{\n  backend \"local\" {{ path = {state:?} }}\n}}");
    let values = json!({"script": "output \"x\" { value = 1 }", "files": {"b.tf": backend}});
    world.run(values, json!({})).await.unwrap();
    assert!(state.exists());
    assert!(world.state().await.is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_output_can_hold_manifests() {
    let Some(world) = World::new().await else { return };
    let script = r#"
        output "kube" {
          value = [{ location = "namespace", data = {
            apiVersion = "v1", kind = "ConfigMap", metadata = { name = "x" }, data = { a = "b" } } }]
        }
        output "host" { value = "h" }
    "#;
    let values = json!({"script": script, "manifests_output": "kube"});
    let done = world.run(values, json!({})).await.unwrap();
    assert_eq!(Json::Object(done.values), json!({"host": "h"}));
    assert_eq!(done.manifests[0].data["data"]["a"], "b");
    let values = json!({"script": script, "manifests_output": "kub"});
    let error = world.run(values, json!({})).await.unwrap_err();
    assert_eq!(
        (error.code, error.hint.as_deref()),
        (Code::BadManifest, Some("Did you mean \"kube\"?"))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_program_is_an_error_that_helps() {
    let change = |options: &mut TerraformOptions, _: &Path| {
        options.program = Some("no-such-terraform".into());
    };
    let Some(world) = World::with(change).await else { return };
    let error = world.run(json!({"script": ""}), json!({})).await.unwrap_err();
    assert_eq!(error.code, Code::ProgramMissing);
    assert!(error.hint.unwrap().contains("Install OpenTofu or Terraform"));
    world.destroy(None).await.unwrap();
}

// ---- through the API --------------------------------------------------------------------------

const WEB: &str = "\
apiVersion: score.dev/v1b1
metadata: {name: web}
containers:
  main:
    image: registry.example/web:1
    variables:
      HOST: ${resources.db.host}:${resources.db.port}
      PASSWORD: ${resources.db.password}
resources:
  db: {type: postgres}
";

const DEPLOY: &str = "deploy --app shop --env development";

fn definition(size: u32, script: &str, more: &str) -> String {
    let script = script.replace('\n', "\n        ");
    format!(
        "\
apiVersion: entity.humanitec.io/v1b1
kind: Definition
metadata: {{id: tf-pg}}
entity:
  name: PostgreSQL by Terraform
  type: postgres
  driver_type: humanitec/terraform
  driver_inputs:
    values:
      variables: {{size: {size}}}
      {more}
      script: |
        {script}
    secret_refs:
      variables: {{password: {{value: hunter22-hunter22}}}}
  criteria: [{{app_id: shop}}]
"
    )
}

fn shop() -> Option<Terminal> {
    if !has_program("terraform") {
        return None;
    }
    let terminal = Terminal::new();
    terminal.write("web.yaml", WEB);
    terminal.ok("deploy --app other --env development web.yaml");
    terminal.write("pg.yaml", &definition(1, SCRIPT, ""));
    terminal.ok("apply -f pg.yaml");
    Some(terminal)
}

fn database(terminal: &Terminal) -> Vec<u8> {
    let data = terminal.path(".local/share/downbeat");
    let files = fs::read_dir(data).unwrap().flatten();
    let files = files.filter(|file| file.file_name().to_string_lossy().contains("downbeat.db"));
    files.flat_map(|file| fs::read(file.path()).unwrap()).collect()
}

#[test]
fn a_deployment_makes_what_the_code_says() {
    let Some(terminal) = shop() else { return };
    terminal.ok(&format!("{DEPLOY} web.yaml"));
    let manifest = terminal.git("grep -h db.example HEAD");
    assert!(manifest.contains("db.example:5432"), "{manifest}");
    let again = terminal.ok(&format!("{DEPLOY} web.yaml"));
    assert!(again.err.contains("nothing has changed"), "{}", again.err);

    let resources = "api get /orgs/local/apps/shop/envs/development/resources";
    let resource = |said: &str| -> Json {
        let all: Vec<Json> = serde_json::from_str(said).unwrap();
        all.into_iter().find(|one| one["type"] == "postgres").unwrap()["resource"].clone()
    };
    let before = resource(&terminal.ok(resources).out);
    assert_eq!((&before["size"], &before["port"]), (&json!(1), &json!(5432)));
    terminal.write("pg.yaml", &definition(2, SCRIPT, ""));
    terminal.ok("apply -f pg.yaml");
    terminal.ok(&format!("{DEPLOY} web.yaml"));
    let after = resource(&terminal.ok(resources).out);
    assert_eq!((&after["size"], &after["id"]), (&json!(2), &before["id"]));

    let database = database(&terminal);
    for secret in ["hunter22", "terraform_version"] {
        assert!(!database.windows(secret.len()).any(|part| part == secret.as_bytes()));
    }
    let work = terminal.path(".local/share/downbeat/terraform/work");
    assert_eq!(fs::read_dir(work).unwrap().count(), 0);
}

#[test]
fn a_failure_leaves_the_last_good_state() {
    let Some(terminal) = shop() else { return };
    terminal.ok(&format!("{DEPLOY} web.yaml"));
    let before = terminal.git("rev-parse HEAD");
    let broken = format!(
        "{SCRIPT}\nresource \"terraform_data\" \"more\" {{\n  provisioner \"local-exec\" {{ \
         command = \"echo hunter22-hunter22; exit 1\" }}\n}}"
    );
    terminal.write("pg.yaml", &definition(2, &broken, "append_logs_to_error: true"));
    terminal.ok("apply -f pg.yaml");
    let said = terminal.downbeat(&format!("{DEPLOY} web.yaml"));
    assert_eq!(said.code, 1);
    assert!(said.err.contains("RES-101"), "{}", said.err);
    assert!(said.err.contains("local-exec provisioner error"), "{}", said.err);
    assert!(said.err.contains("the last good state stands"), "{}", said.err);
    assert!(!said.err.contains("hunter22"), "{}", said.err);
    assert_eq!(terminal.git("rev-parse HEAD"), before);

    let hanging = broken.replace("echo hunter22-hunter22; exit 1", "sleep 1000.125");
    terminal.write("pg.yaml", &definition(2, &hanging, "timeout: 2"));
    terminal.ok("apply -f pg.yaml");
    let said = terminal.downbeat(&format!("{DEPLOY} web.yaml"));
    assert!(said.err.contains("RES-106"), "{}", said.err);
    assert!(!runs("sleep 1000.125"));

    terminal.write("pg.yaml", &definition(2, &broken.replace("exit 1", "true"), ""));
    terminal.ok("apply -f pg.yaml");
    terminal.ok(&format!("{DEPLOY} web.yaml"));
    assert_eq!(terminal.git("rev-parse HEAD"), before, "the manifests are the same");
}

#[test]
fn rendering_runs_no_code() {
    let Some(terminal) = shop() else { return };
    let said = terminal.downbeat("render web.yaml --app shop --definitions pg.yaml");
    assert_eq!(said.code, 1);
    assert!(said.err.contains("after a deployment only"), "{}", said.err);
}

#[test]
fn without_the_program_a_deployment_says_what_to_install() {
    let Some(terminal) = shop() else { return };
    let mut program = terminal.program();
    program.env("DOWNBEAT_TERRAFORM", "/nowhere/tofu");
    program.args(format!("{DEPLOY} web.yaml").split_whitespace());
    let said = crate::terminal::said(program.output().unwrap());
    assert!(said.err.contains("RES-108"), "{}", said.err);
    assert!(said.err.contains("Install OpenTofu or Terraform"), "{}", said.err);
}

#[test]
fn a_killed_server_goes_on_with_what_it_had_made() {
    let Some(terminal) = shop() else { return };
    let hanging = format!(
        "{SCRIPT}\nresource \"terraform_data\" \"slow\" {{\n  \
         depends_on = [terraform_data.db]\n  provisioner \"local-exec\" {{\n    command = \
         \"test -e ../../../go || (echo ${{terraform_data.db.id}} > ../../../started; sleep \
         1000.625)\"\n  }}\n}}"
    );
    let hanging = hanging.replace("${", "$\\{");
    terminal.write("pg.yaml", &definition(1, &hanging, ""));
    terminal.ok("apply -f pg.yaml");
    let mut program = terminal.program();
    program.args(format!("{DEPLOY} web.yaml").split_whitespace());
    let mut killed = program.stderr(std::process::Stdio::null()).spawn().unwrap();
    let folder = terminal.path(".local/share/downbeat/terraform");
    let id = loop {
        match fs::read_to_string(folder.join("started")) {
            Ok(id) if id.ends_with('\n') => break id.trim().to_owned(),
            _ => assert!(killed.try_wait().unwrap().is_none(), "it ended before it was killed"),
        }
        std::thread::yield_now();
    };
    killed.kill().unwrap();
    killed.wait().unwrap();
    assert!(runs("sleep 1000.625"), "the program does not end with the server");

    fs::write(folder.join("go"), "").unwrap();
    terminal.ok(&format!("{DEPLOY} web.yaml"));
    assert!(!runs("sleep 1000.625"));
    let said = terminal.ok("api get /orgs/local/apps/shop/envs/development/resources");
    assert!(said.out.contains(&id), "what was made is made again: {id}\n{}", said.out);
    assert!(!folder.join("lost").read_dir().is_ok_and(|lost| lost.count() > 0));
}

/// A resource that leaves a mark when it goes, if it may.
fn leaving(mark: &Path, may_go: &Path) -> String {
    format!(
        "{SCRIPT}\nresource \"terraform_data\" \"last\" {{\n  provisioner \"local-exec\" {{\n    \
         when = destroy\n    command = \"test -e '{}' && touch '{}'\"\n  }}\n}}",
        may_go.display(),
        mark.display()
    )
}

#[test]
fn deleting_an_application_destroys_what_the_code_made() {
    let Some(terminal) = shop() else { return };
    let mark = terminal.path("destroyed");
    let script = leaving(&mark, &terminal.path("pg.yaml"));
    terminal.write("pg.yaml", &definition(1, &script, ""));
    terminal.ok("apply -f pg.yaml");
    terminal.ok(&format!("{DEPLOY} web.yaml"));
    // The definition is of no matter any more: what was made is known.
    terminal.write("pg.yaml", &definition(1, "output \"x\" { value = 1 }", ""));
    terminal.ok("apply -f pg.yaml");
    assert!(!mark.exists());
    let said = terminal.ok("delete --app shop --yes");
    assert!(said.err.contains("freed postgres.default#modules.web.externals.db"), "{}", said.err);
    assert!(mark.exists());
    assert!(!terminal.manifests().join("environments/shop").exists());
    let work = terminal.path(".local/share/downbeat/terraform/work");
    assert_eq!(fs::read_dir(work).unwrap().count(), 0);
}

#[test]
fn what_cannot_be_destroyed_is_named_and_can_be_left_alone() {
    let Some(terminal) = shop() else { return };
    let (mark, may_go) = (terminal.path("destroyed"), terminal.path("may go"));
    terminal.write("pg.yaml", &definition(1, &leaving(&mark, &may_go), ""));
    terminal.ok("apply -f pg.yaml");
    terminal.ok(&format!("{DEPLOY} web.yaml"));
    terminal.ok("api delete /orgs/local/apps/shop");
    let mut said = terminal.ok("resources --app shop --env development");
    for _ in 0..40 {
        if said.err.contains("tried 1 times") {
            break;
        }
        said = terminal.ok("resources --app shop --env development");
    }
    for part in ["pending: postgres.default#modules.web", "RES-101", "local-exec provisioner error"]
    {
        assert!(said.err.contains(part), "no {part:?} in\n{}", said.err);
    }
    assert!(!said.err.contains("hunter22"), "{}", said.err);
    let refused = terminal.downbeat(&format!("{DEPLOY} web.yaml"));
    assert!(refused.err.contains("is being deleted"), "{}", refused.err);
    terminal
        .ok("delete --app shop --env development --resource postgres#modules.web.externals.db \
         --detach --reason gone --yes");
    assert!(!mark.exists());
    let gone = terminal.downbeat("resources --app shop --env development");
    assert!(gone.err.contains("there is no application"), "{}", gone.err);
}
