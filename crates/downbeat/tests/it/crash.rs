//! Killing at every durable step, on a real database and a real Git repository.
//!
//! A deployment is run once to count the writes to its journal. Then it is run again for each of
//! them, once dying just before and once just after the write; a new worker takes it over and
//! brings it to its end. Whatever happened, the end is the same: one success, one commit, the same
//! files, the same outputs.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use downbeat_core::{Json, Secret, SecretRef};
use downbeat_engine::{
    Driver, DriverError, ExternalDriver, Lease, Memory, NodeRecord, Removal, Request, Response,
    port::{
        Again, BoxFuture, Ended, GraphRow, Journal, JournalError, Journalled, Loaded, NodeError,
        NodeRow, Phase, RemovalJob, Removals, TARGET,
    },
    removal,
    run::{self, Ports},
};
use downbeat_store::journal::SqlJournal;
use downbeat_testkit::ORG;
use serde_json::json;

use crate::shop::Shop;

/// Where a process dies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Death {
    Never,
    Before(usize),
    After(usize),
}

/// A journal of a process that dies at one of its writes.
struct Dying {
    journal: SqlJournal,
    death: Death,
    writes: AtomicUsize,
}

fn dead<T>() -> Result<T, JournalError> {
    Err(JournalError::Failed("the process died".into()))
}

impl Dying {
    fn write<'a>(&'a self, write: Journalled<'a, ()>) -> Journalled<'a, ()> {
        Box::pin(async move {
            let number = self.writes.fetch_add(1, Ordering::SeqCst);
            if self.death == Death::Before(number) {
                return dead();
            }
            write.await?;
            if self.death == Death::After(number) { dead() } else { Ok(()) }
        })
    }
}

impl Journal for Dying {
    fn claim(&self) -> Journalled<'_, Option<Lease>> {
        Journal::claim(&self.journal)
    }
    fn load<'a>(&'a self, lease: &'a Lease) -> Journalled<'a, Loaded> {
        self.journal.load(lease)
    }
    fn renew<'a>(&'a self, lease: &'a Lease) -> Journalled<'a, ()> {
        self.write(Journal::renew(&self.journal, lease))
    }
    fn phase<'a>(&'a self, lease: &'a Lease, phase: Phase) -> Journalled<'a, ()> {
        self.write(self.journal.phase(lease, phase))
    }
    fn graph<'a>(&'a self, lease: &'a Lease, graph: &'a GraphRow) -> Journalled<'a, ()> {
        self.write(self.journal.graph(lease, graph))
    }
    fn start<'a>(
        &'a self,
        lease: &'a Lease,
        graph: &'a GraphRow,
        nodes: &'a [(u32, String)],
    ) -> Journalled<'a, ()> {
        self.write(self.journal.start(lease, graph, nodes))
    }
    fn keep<'a>(
        &'a self,
        lease: &'a Lease,
        node: &'a NodeRow,
        cookie: &'a SecretRef,
    ) -> Journalled<'a, ()> {
        self.write(Journal::keep(&self.journal, lease, node, cookie))
    }
    fn record<'a>(
        &'a self,
        lease: &'a Lease,
        graph: &'a GraphRow,
        records: &'a [NodeRecord],
    ) -> Journalled<'a, ()> {
        self.write(self.journal.record(lease, graph, records))
    }
    fn finish<'a>(&'a self, lease: &'a Lease, ended: &'a Ended) -> Journalled<'a, ()> {
        self.write(self.journal.finish(lease, ended))
    }
}

impl Removals for Dying {
    fn claim(&self) -> Journalled<'_, Option<RemovalJob>> {
        Removals::claim(&self.journal)
    }
    fn renew<'a>(&'a self, job: &'a RemovalJob) -> Journalled<'a, ()> {
        self.write(Removals::renew(&self.journal, job))
    }
    fn keep<'a>(&'a self, job: &'a RemovalJob, cookie: &'a SecretRef) -> Journalled<'a, ()> {
        self.write(Removals::keep(&self.journal, job, cookie))
    }
    fn freed<'a>(&'a self, job: &'a RemovalJob) -> Journalled<'a, ()> {
        self.write(self.journal.freed(job))
    }
    fn failed<'a>(
        &'a self,
        job: &'a RemovalJob,
        error: &'a NodeError,
        again: Again,
    ) -> Journalled<'a, ()> {
        self.write(self.journal.failed(job, error, again))
    }
}

/// The outside world: how often each effect was asked for, by idempotency key, and what there is,
/// by GUResID. A thing cannot be freed without its cookie.
#[derive(Clone, Default)]
struct World(Arc<Mutex<BTreeMap<String, usize>>>, Arc<Mutex<BTreeSet<String>>>);

impl ExternalDriver for World {
    fn provision<'a>(
        &'a self,
        request: &'a Request<'a>,
        memory: &'a dyn Memory,
    ) -> BoxFuture<'a, Result<Response, DriverError>> {
        Box::pin(async move {
            assert_eq!(request.target, "https://world.example");
            memory.keep(Secret::new(format!("key to {}", request.guresid))).await?;
            let mut effects = self.0.lock().unwrap();
            *effects.entry(request.idempotency_key.to_owned()).or_default() += 1;
            self.1.lock().unwrap().insert(request.guresid.to_owned());
            let values =
                json!({"host": format!("{}.example", request.guresid), "port": 5432, "name": "n"});
            let values = values.as_object().cloned().unwrap_or_default();
            Ok(Response { values, ..Response::default() })
        })
    }

    fn deprovision<'a>(
        &'a self,
        removal: &'a Removal<'a>,
        _: &'a dyn Memory,
    ) -> BoxFuture<'a, Result<(), DriverError>> {
        let cookie = removal.cookie.map(Secret::expose);
        assert_eq!(cookie, Some(format!("key to {}", removal.guresid).as_str()));
        self.1.lock().unwrap().remove(removal.guresid);
        Box::pin(std::future::ready(Ok(())))
    }
}

/// A server with a deployment that waits to be run.
struct Scene {
    shop: Shop,
    deploys: String,
    world: World,
}

impl Scene {
    async fn new() -> Self {
        let shop = Shop::new().await;
        let driver = json!({"id": "world", "type": "postgres", "account_types": [],
            "inputs_schema": {}, "target": "https://world.example"});
        shop.add("resources/drivers", driver).await;
        let external = json!({"id": "world-pg", "name": "w", "type": "postgres",
            "driver_type": format!("{ORG}/world"),
            "driver_inputs": {"values": {"of": "the world"}}, "criteria": [{}]});
        shop.add("resources/defs", external).await;
        let delta = json!({
            "modules": {"add": {"web": {
                "profile": "humanitec/default-module",
                "spec": {"containers": {"main": {"id": "main", "image": "web:1", "variables": {
                    "R": "${externals.cache.password}@${externals.cache.host}",
                    "D": "${externals.db.host}", "H": "${shared.site.host}"}}}},
                "externals": {"cache": {"type": "redis"}, "db": {"type": "postgres"}}}}},
            "shared": [{"op": "add", "path": "/site", "value": {"type": "dns"}}]});
        let deploys = shop.ask(delta).await;
        Self { shop, deploys, world: World::default() }
    }

    /// A process: a worker on the database, with a journal that dies as it is told.
    async fn process(&self, death: Death) -> (Arc<Dying>, Ports) {
        let journal = self.shop.journal().await;
        let journal = Arc::new(Dying { journal, death, writes: AtomicUsize::new(0) });
        let mut drivers = downbeat_adapters::drivers();
        drivers.remote = Some(Driver::External(Arc::new(self.world.clone())));
        (Arc::clone(&journal), self.shop.ports(journal, drivers).await)
    }

    /// Runs until nothing is left to claim; the first process dies, the others do not.
    async fn run(&self, death: Death) -> usize {
        let (journal, ports) = self.process(death).await;
        let lease = Journal::claim(&*journal).await.unwrap().expect("a deployment to claim");
        let first = run::run(&ports, &lease).await;
        assert_eq!(first.is_err(), death != Death::Never, "{death:?}: {first:?}");
        let (survivor, ports) = self.process(Death::Never).await;
        while let Some(lease) = Journal::claim(&*survivor).await.unwrap() {
            run::run(&ports, &lease).await.unwrap();
        }
        journal.writes.load(Ordering::SeqCst)
    }

    /// Frees until nothing is left to claim; the first process dies, the others do not.
    async fn free(&self, death: Death) -> usize {
        let (journal, ports) = self.process(death).await;
        while let Some(job) = Removals::claim(&*journal).await.unwrap() {
            if removal::run(&ports, &job).await.is_err() {
                break;
            }
        }
        let (survivor, ports) = self.process(Death::Never).await;
        while let Some(job) = Removals::claim(&*survivor).await.unwrap() {
            removal::run(&ports, &job).await.unwrap();
        }
        journal.writes.load(Ordering::SeqCst)
    }

    /// What the environment has in the repository.
    fn files(&self) -> Vec<String> {
        let mut files = Vec::new();
        walk(&self.shop.manifests(), &mut files);
        files.retain(|path| path.contains("/shop/development/"));
        files
    }

    /// Everything that a user can see at the end, without times and random ids.
    async fn end(&self) -> Json {
        let client = self.shop.server.admin();
        let deployments = client.get(&self.deploys).await.json(200);
        let resources = client.get(&self.deploys.replace("deploys", "resources")).await.json(200);
        let outputs: Vec<Json> = resources
            .as_array()
            .unwrap()
            .iter()
            .map(|one| {
                json!([
                    one["type"],
                    one["res_id"],
                    one["resource"].as_object().map(|o| o.keys().cloned().collect::<Vec<_>>()),
                    one["secret_refs"].as_object().map(|o| o.keys().cloned().collect::<Vec<_>>())
                ])
            })
            .collect();
        let manifests = self.shop.manifests();
        let mut files = Vec::new();
        walk(&manifests, &mut files);
        files.retain(|path| !path.contains("/.git/"));
        let files: Vec<String> = files
            .iter()
            .map(|path| path.trim_start_matches(manifests.to_str().unwrap()).to_owned())
            .map(|path| regex_free(&path))
            .collect();
        json!({"status": deployments[0]["status"], "count": deployments.as_array().unwrap().len(),
            "outputs": outputs, "files": files, "commits": self.shop.commits().len()})
    }
}

/// Ids differ from installation to installation.
fn regex_free(path: &str) -> String {
    let mut text = String::new();
    for part in path.split(['-', '.']) {
        let is_id = part.len() >= 12 && part.bytes().all(|b| b.is_ascii_hexdigit());
        text.push_str(if is_id { "ID" } else { part });
        text.push('-');
    }
    text
}

fn walk(folder: &Path, files: &mut Vec<String>) {
    let mut entries: Vec<_> =
        std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    entries.sort();
    for entry in entries {
        if entry.is_dir() {
            walk(&entry, files);
        } else {
            files.push(entry.display().to_string());
        }
    }
    files.sort();
}

#[tokio::test(flavor = "multi_thread")]
async fn crash_everywhere() {
    let undisturbed = Scene::new().await;
    let writes = undisturbed.run(Death::Never).await;
    assert!(writes >= 8, "only {writes} writes: the scene is too small");
    let expected = undisturbed.end().await;
    assert_eq!(expected["status"], "succeeded", "{expected:#}");
    assert_eq!(expected["commits"], 1);
    let once = undisturbed.world.0.lock().unwrap().values().all(|count| *count == 1);
    assert!(once, "an effect was asked for twice without a crash");
    let mut repeats = 0;
    for number in 0..writes {
        for death in [Death::Before(number), Death::After(number)] {
            let scene = Scene::new().await;
            scene.run(death).await;
            let end = scene.end().await;
            assert_eq!(end, expected, "{death:?} of {writes}");
            let effects = scene.world.0.lock().unwrap().clone();
            let repeated = effects.values().filter(|count| **count > 1).count();
            // An effect whose result was not journalled is asked for again, under the same key.
            assert!(effects.values().all(|count| *count <= 2), "{effects:?}");
            repeats += repeated;
        }
    }
    // Only a death between the effect and its record can repeat one; every other step was kept.
    assert!(repeats < 2 * writes, "{repeats} of {} runs repeated an effect", 2 * writes);
}

/// Deleting an application takes it out of the target, then frees everything, wherever a process
/// dies; nothing is forgotten before it is free.
#[tokio::test(flavor = "multi_thread")]
async fn crash_everywhere_while_deleting() {
    let mut deaths = vec![Death::Never];
    while let Some(death) = deaths.pop() {
        let scene = Scene::new().await;
        scene.run(Death::Never).await;
        assert_eq!(scene.world.1.lock().unwrap().len(), 1);
        assert!(!scene.files().is_empty());
        let client = scene.shop.server.admin();
        let app = format!("/orgs/{ORG}/apps/shop");
        client.delete(&app).await.is(202);
        assert_eq!(client.get(&app).await.json(200)["status"], "deleting");
        client.post(&scene.deploys, json!({})).await.is(409);
        let writes = scene.free(death).await;
        assert_eq!(scene.world.1.lock().unwrap().len(), 0, "{death:?}: something is left");
        assert_eq!(scene.files(), Vec::<String>::new(), "{death:?}");
        client.get(&app).await.is(404);
        if death == Death::Never {
            assert!(writes >= 2, "only {writes} writes");
            deaths.extend((0..writes).flat_map(|at| [Death::Before(at), Death::After(at)]));
        }
    }
}

/// What stands in the way of a removal is freed first, and a stale owner frees nothing.
#[tokio::test(flavor = "multi_thread")]
async fn a_stale_owner_forgets_nothing() {
    let scene = Scene::new().await;
    scene.run(Death::Never).await;
    let client = scene.shop.server.admin();
    client.delete(&format!("/orgs/{ORG}/apps/shop")).await.is(202);
    let (stale, stale_ports) = scene.process(Death::Never).await;
    let old = Removals::claim(&*stale).await.unwrap().unwrap();
    assert_eq!(old.driver_type, TARGET, "what runs goes first");
    assert!(Removals::claim(&*stale).await.unwrap().is_none(), "the rest waits for it");
    let (owner, ports) = scene.process(Death::Never).await;
    let new = Removals::claim(&*owner).await.unwrap().unwrap();
    let late = [
        Removals::renew(&*stale, &old).await,
        stale.freed(&old).await,
        removal::run(&stale_ports, &old).await,
    ];
    for late in late {
        assert!(matches!(late, Err(JournalError::Fenced)), "{late:?}");
    }
    removal::run(&ports, &new).await.unwrap();
    let last = Removals::claim(&*owner).await.unwrap().unwrap();
    assert_eq!(last.key.to_string(), "postgres.default#modules.web.externals.db");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stale_owner_changes_nothing() {
    let scene = Scene::new().await;
    let (stale, stale_ports) = scene.process(Death::Never).await;
    let old = Journal::claim(&*stale).await.unwrap().unwrap();
    // Another process takes the deployment over and finishes it, while the first is stopped.
    let (owner, ports) = scene.process(Death::Never).await;
    let new = Journal::claim(&*owner).await.unwrap().unwrap();
    assert_eq!((old.deployment.as_str(), old.epoch + 1), (new.deployment.as_str(), new.epoch));
    run::run(&ports, &new).await.unwrap();
    let end = scene.end().await;
    // The first wakes up late. Whatever it tries, nothing changes.
    let row = GraphRow { hash: "h".into(), nodes: Vec::new(), rows: Vec::new() };
    let records = [NodeRecord { position: 0, outcome: Ok(Default::default()) }];
    let failed = Ended::Failed(Vec::new());
    let late = [
        Journal::renew(&*stale, &old).await,
        stale.phase(&old, Phase::Read).await,
        stale.graph(&old, &row).await,
        stale.start(&old, &row, &[(0, "k".to_owned())]).await,
        stale.record(&old, &row, &records).await,
        stale.finish(&old, &failed).await,
        stale.load(&old).await.map(|_| ()),
        run::run(&stale_ports, &old).await,
    ];
    for (number, late) in late.into_iter().enumerate() {
        assert!(matches!(late, Err(JournalError::Fenced)), "call {number}: {late:?}");
    }
    assert_eq!(scene.end().await, end);
}

/// Credentials that were made before a death are those after it.
#[tokio::test(flavor = "multi_thread")]
async fn a_resumed_deployment_keeps_its_credentials() {
    let scene = Scene::new().await;
    let (journal, ports) = scene.process(Death::Never).await;
    let lease = Journal::claim(&*journal).await.unwrap().unwrap();
    let loaded = journal.load(&lease).await.unwrap();
    let graph = run::build(&loaded).unwrap();
    let redis = graph.nodes.iter().find(|node| &*node.key.resource_type == "redis").unwrap();
    let key = format!("orgs/{ORG}/resources/{}/secrets/.password", redis.guresid);
    let reference = downbeat_core::SecretRef { store: "local".into(), key, version: None };
    let references = [reference];
    let password = async |ports: &Ports| {
        let opened = ports.secrets.open(ORG, &references).await.unwrap();
        opened[0].expose().to_owned()
    };
    run::run(&ports, &lease).await.unwrap();
    let first = password(&ports).await;
    assert_eq!(first.len(), 24);
    let client = scene.shop.server.admin();
    client.post(&scene.deploys, json!({})).await.is(201);
    let (again, ports) = scene.process(Death::After(4)).await;
    let lease = Journal::claim(&*again).await.unwrap().unwrap();
    assert!(run::run(&ports, &lease).await.is_err());
    let (again, ports) = scene.process(Death::Never).await;
    let lease = Journal::claim(&*again).await.unwrap().unwrap();
    run::run(&ports, &lease).await.unwrap();
    assert_eq!(password(&ports).await, first);
    // Another organization cannot read it, even if it knows where it is.
    assert!(ports.secrets.open("other", &references).await.is_err());
}

/// A process that is killed while the repository takes its push: the push goes through without it,
/// and the next process finds it there instead of making another commit.
#[test]
fn killed_in_the_middle_of_a_push() {
    use std::os::unix::fs::PermissionsExt as _;

    use crate::terminal::Terminal;

    let terminal = Terminal::new();
    let web =
        "apiVersion: score.dev/v1b1\nmetadata: {name: web}\ncontainers: {main: {image: 'w:1'}}\n";
    terminal.write("web.yaml", web);
    let deploy = ["deploy", "web.yaml", "--app", "shop", "--env", "development"];
    assert!(terminal.program().args(deploy).output().unwrap().status.success());

    for pipe in ["reached", "go", "done"] {
        let made = terminal.command("mkfifo").arg(terminal.path(pipe)).status().unwrap();
        assert!(made.success());
    }
    let at = |name: &str| terminal.path(name).display().to_string();
    let hook = |name: &str, text: String| {
        let path =
            terminal.write(&format!(".local/share/downbeat/manifests/.git/hooks/{name}"), &text);
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).unwrap();
    };
    let (reached, go, done) = (at("reached"), at("go"), at("done"));
    hook("pre-receive", format!("#!/bin/sh\necho x > '{reached}'\nread x < '{go}'\n"));
    hook("post-receive", format!("#!/bin/sh\necho x > '{done}'\n"));

    terminal.write("web.yaml", &web.replace("w:1", "w:2"));
    let mut process = terminal.program().args(deploy).spawn().unwrap();
    std::fs::read(&reached).unwrap();
    process.kill().unwrap();
    process.wait().unwrap();
    std::fs::write(&go, "x\n").unwrap();
    std::fs::read(&done).unwrap();
    for name in ["pre-receive", "post-receive"] {
        let hooks = terminal.manifests().join(".git/hooks");
        std::fs::remove_file(hooks.join(name)).unwrap();
    }
    assert_eq!(terminal.commits().len(), 2);

    // The next command resumes what was left, then has nothing to do of its own.
    let said = terminal.ok("deploy web.yaml --app shop --env development");
    assert_eq!(terminal.commits().len(), 2, "{}", said.err);
    let deploys = terminal.ok("api get /orgs/local/apps/shop/envs/development/deploys").out;
    let deploys: Json = serde_json::from_str(&deploys).unwrap();
    let statuses: Vec<&Json> =
        deploys.as_array().unwrap().iter().map(|one| &one["status"]).collect();
    assert_eq!(statuses, ["succeeded", "succeeded", "succeeded"]);
}
