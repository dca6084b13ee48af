//! In which order nodes are created.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex},
    time::Duration,
};

use downbeat_core::{
    Code, Criteria, Definition, DeploymentSet, Json, Secret, SecretRef, builtin,
    definition::{Body, DriverInputs},
    matching::Index,
};
use downbeat_engine::{
    BoxFuture, CookieChange, Driver, DriverError, Drivers, ExternalDriver, Memory, PureDriver,
    Removal, Request, Response, Secrets, memory,
    port::{DeploymentError, Loaded, SecretsError},
    run,
};
use proptest::prelude::*;
use serde_json::json;
use tokio::sync::Notify;

/// A driver that writes down when it begins and ends, and waits for somebody if it is told to.
#[derive(Default)]
struct Diary {
    lines: Mutex<Vec<String>>,
    second: Notify,
    running: Mutex<(usize, usize)>,
}

impl Diary {
    fn note(&self, what: &str, id: &str) {
        self.lines.lock().unwrap().push(format!("{what} {id}"));
    }

    fn lines(&self) -> Vec<String> {
        self.lines.lock().unwrap().clone()
    }

    /// Position of a line.
    fn at(&self, line: &str) -> Option<usize> {
        self.lines.lock().unwrap().iter().position(|one| one == line)
    }
}

impl ExternalDriver for Diary {
    fn provision<'a>(
        &'a self,
        request: &'a Request<'a>,
        memory: &'a dyn Memory,
    ) -> BoxFuture<'a, Result<Response, DriverError>> {
        Box::pin(async move {
            let id = &*request.key.id;
            if request.values.get("keep").is_some() {
                memory.keep(Secret::new(format!("of {id}"))).await?;
            }
            self.note("begin", id);
            {
                let mut running = self.running.lock().unwrap();
                running.0 += 1;
                running.1 = running.1.max(running.0);
            }
            match id {
                // Ends only when another branch has got further.
                "shared.slow" => self.second.notified().await,
                "shared.second" => self.second.notify_one(),
                _ => tokio::task::yield_now().await,
            }
            self.running.lock().unwrap().0 -= 1;
            self.note("end", id);
            if request.values.get("fail").is_some() {
                return Err(DriverError::new(Code::Driver, "told to"));
            }
            let values = json!({"id": id}).as_object().cloned().unwrap();
            let cookie = CookieChange::Set(Secret::new(format!("in the end of {id}")));
            Ok(Response { values, cookie, ..Response::default() })
        })
    }

    fn deprovision<'a>(
        &'a self,
        _: &'a Removal<'a>,
        _: &'a dyn Memory,
    ) -> BoxFuture<'a, Result<(), DriverError>> {
        Box::pin(async { Ok(()) })
    }
}

/// Answers its inputs, and what the namespace of an environment needs.
struct Echo;

impl PureDriver for Echo {
    fn compute(&self, request: &Request<'_>) -> Result<Response, DriverError> {
        let mut values = request.values.as_object().cloned().unwrap_or_default();
        values.insert("namespace".to_owned(), json!("ns"));
        Ok(Response { values, ..Response::default() })
    }
}

/// A shared resource: its driver, and whose outputs it reads.
#[derive(Debug)]
struct Node {
    id: String,
    driver: &'static str,
    reads: Vec<String>,
    fails: bool,
    /// Whether a cookie is kept before anything else.
    keeps: bool,
}

fn node(id: &str, driver: &'static str, reads: &[&str]) -> Node {
    let reads = reads.iter().map(|&one| one.to_owned()).collect();
    Node { id: id.to_owned(), driver, reads, fails: false, keeps: false }
}

fn loaded(nodes: &[Node]) -> Loaded {
    let mut index = Index::default();
    let mut shared = downbeat_core::JsonMap::new();
    for node in nodes {
        let mut values = downbeat_core::JsonMap::new();
        values.insert("id".to_owned(), Json::String(node.id.clone()));
        if node.fails {
            values.insert("fail".to_owned(), json!(true));
        }
        if node.keeps {
            values.insert("keep".to_owned(), json!(true));
        }
        for (number, other) in node.reads.iter().enumerate() {
            let placeholder = format!("${{resources['config.default#shared.{other}'].outputs.id}}");
            values.insert(format!("in{number}"), Json::String(placeholder));
        }
        let body = Body {
            name: node.id.clone(),
            driver_type: node.driver.to_owned(),
            driver_inputs: Some(DriverInputs { values: Some(values), secret_refs: None }),
            ..Body::default()
        };
        let definition = Arc::new(Definition::new(&node.id, "1", "config", body));
        let id = format!("shared.{}", node.id);
        let criteria = Criteria { id: id.clone(), res_id: Some(id), ..Criteria::default() };
        index.insert(&definition, criteria).unwrap();
        shared.insert(node.id.clone(), json!({"type": "config"}));
    }
    let cluster = Definition::new(
        "cluster",
        "1",
        "k8s-cluster",
        Body { driver_type: "humanitec/echo".to_owned(), ..Body::default() },
    );
    index.insert(&Arc::new(cluster), Criteria::default()).unwrap();
    builtin::add_to(&mut index).unwrap();
    let set = DeploymentSet::from_json(json!({"modules": {}, "shared": shared})).unwrap();
    memory::loaded(set, index)
}

/// A store with one writer, who does not write at once: a database.
struct OneWriter {
    writer: tokio::sync::Mutex<()>,
    store: memory::MemorySecrets,
}

impl Secrets for OneWriter {
    fn open<'a>(
        &'a self,
        org: &'a str,
        references: &'a [SecretRef],
    ) -> BoxFuture<'a, Result<Vec<Secret>, SecretsError>> {
        self.store.open(org, references)
    }

    fn seal<'a>(
        &'a self,
        secrets: &'a [(String, Secret)],
    ) -> BoxFuture<'a, Result<Vec<SecretRef>, SecretsError>> {
        Box::pin(async move {
            let _writer = self.writer.lock().await;
            for _ in 0..3 {
                tokio::task::yield_now().await;
            }
            self.store.seal(secrets).await
        })
    }
}

async fn create(diary: &Arc<Diary>, nodes: &[Node]) -> Vec<DeploymentError> {
    let mut drivers = Drivers::default();
    for name in ["humanitec/echo", "humanitec/template"] {
        drivers.by_type.insert(name.to_owned(), Driver::Pure(Arc::new(Echo)));
    }
    let driver: Arc<dyn ExternalDriver> = diary.clone();
    drivers.by_type.insert("acme/diary".to_owned(), Driver::External(driver));
    let store = memory::MemorySecrets::new("local");
    let secrets = Arc::new(OneWriter { writer: tokio::sync::Mutex::new(()), store });
    let ports = memory::ports(drivers, secrets, vec![1]);
    let loaded = loaded(nodes);
    let work = run::render(&ports, &loaded);
    let done = tokio::time::timeout(Duration::from_secs(30), work).await;
    done.expect("no branch waits for another one").err().unwrap_or_default()
}

#[tokio::test]
async fn a_slow_resource_holds_up_only_what_depends_on_it() {
    let diary = Arc::new(Diary::default());
    let nodes = [
        node("slow", "acme/diary", &[]),
        node("first", "acme/diary", &[]),
        node("pure", "humanitec/echo", &["first"]),
        node("second", "acme/diary", &["pure"]),
        node("last", "acme/diary", &["slow", "second"]),
    ];
    let errors = create(&diary, &nodes).await;
    assert_eq!(errors, []);
    let ended = diary.at("end shared.slow").unwrap();
    assert!(diary.at("begin shared.second").unwrap() < ended, "{:?}", diary.lines());
    assert!(diary.at("begin shared.last").unwrap() > ended, "{:?}", diary.lines());
}

#[tokio::test]
async fn other_branches_finish_when_one_fails() {
    let diary = Arc::new(Diary::default());
    let mut nodes = [
        node("bad", "acme/diary", &[]),
        node("behind", "acme/diary", &["bad"]),
        node("first", "acme/diary", &[]),
        node("second", "acme/diary", &["first"]),
    ];
    nodes[0].fails = true;
    let errors = create(&diary, &nodes).await;
    assert_eq!(errors.len(), 1);
    assert_eq!(errors[0].object_id, "config.default#shared.bad");
    assert!(diary.at("end shared.second").is_some());
    assert!(diary.at("begin shared.behind").is_none());
}

/// A driver that is in the middle of a write goes on while others are recorded: they wait for the
/// same writer.
#[tokio::test]
async fn a_cookie_that_is_being_kept_holds_nobody_up() {
    let diary = Arc::new(Diary::default());
    let mut nodes = [
        node("first", "acme/diary", &[]),
        node("second", "acme/diary", &[]),
        node("third", "acme/diary", &["first"]),
        node("pure", "humanitec/echo", &["second"]),
    ];
    nodes[1].keeps = true;
    nodes[2].keeps = true;
    assert_eq!(create(&diary, &nodes).await, []);
}

/// Graphs without cycles: a node reads nodes before it.
fn graphs() -> impl Strategy<Value = Vec<Node>> {
    let one = (any::<bool>(), prop::collection::vec(any::<prop::sample::Index>(), 0..4), 0..12u8);
    prop::collection::vec(one, 1..40).prop_map(|rows| {
        let mut nodes: Vec<Node> = Vec::new();
        for (number, (external, reads, luck)) in rows.into_iter().enumerate() {
            let reads: BTreeSet<String> = match number {
                0 => BTreeSet::new(),
                _ => reads.iter().map(|one| format!("n{}", one.index(number))).collect(),
            };
            nodes.push(Node {
                id: format!("n{number}"),
                driver: if external { "acme/diary" } else { "humanitec/echo" },
                reads: reads.into_iter().collect(),
                fails: external && luck == 0,
                keeps: luck % 2 == 1,
            });
        }
        nodes
    })
}

/// The nodes that cannot be made: those that fail, and what depends on them.
fn lost(nodes: &[Node]) -> BTreeSet<&str> {
    let mut lost = BTreeSet::new();
    for node in nodes {
        if node.fails || node.reads.iter().any(|read| lost.contains(read.as_str())) {
            lost.insert(node.id.as_str());
        }
    }
    lost
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Every node is asked for once, after all that it depends on, and at most 16 at a time. What
    /// is missing fails or depends on what fails.
    #[test]
    fn every_node_once_and_after_what_it_needs(nodes in graphs()) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        let diary = Arc::new(Diary::default());
        let errors = runtime.block_on(create(&diary, &nodes));
        let lines = diary.lines();
        let mut begins: BTreeMap<&str, usize> = BTreeMap::new();
        let mut ends: BTreeMap<&str, usize> = BTreeMap::new();
        for (at, line) in lines.iter().enumerate() {
            let (what, id) = line.split_once(" shared.").unwrap();
            let known = if what == "begin" { &mut begins } else { &mut ends };
            prop_assert!(known.insert(id, at).is_none(), "{id} twice");
        }
        let lost = lost(&nodes);
        let by_id: BTreeMap<&str, &Node> = nodes.iter().map(|one| (one.id.as_str(), one)).collect();
        for node in nodes.iter().filter(|node| node.driver == "acme/diary") {
            let wanted = !lost.contains(node.id.as_str()) || node.reads.iter()
                .all(|read| !lost.contains(read.as_str()));
            prop_assert_eq!(begins.contains_key(node.id.as_str()), wanted, "{}", node.id);
            let mut above = node.reads.clone();
            while let Some(read) = above.pop() {
                if let (Some(begin), Some(end)) =
                    (begins.get(node.id.as_str()), ends.get(read.as_str()))
                {
                    prop_assert!(end < begin, "{} before {read}", node.id);
                }
                above.extend(by_id[read.as_str()].reads.iter().cloned());
            }
        }
        let failing = nodes.iter()
            .filter(|node| node.fails && node.reads.iter().all(|one| !lost.contains(one.as_str())));
        prop_assert_eq!(errors.len(), failing.count());
        prop_assert!(diary.running.lock().unwrap().1 <= 16);
    }
}
