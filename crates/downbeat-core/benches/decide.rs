//! Matching and graphs, each beside a floor in the same run.
//!
//! The floor of matching is one look-up in a hash map of as many entries; the floor of a graph is
//! one hash-map insertion for each node. What counts is the ratio, and that it does not grow.
#![expect(clippy::unwrap_used, reason = "a benchmark")]

use std::{
    collections::{BTreeMap, HashMap},
    hint::black_box,
    sync::Arc,
};

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use downbeat_core::{
    Criteria, Definition, DeploymentSet, ResourceKey, builtin,
    definition::Body,
    graph::{self, Input},
    matching::{Context, Index},
    resource_type::Catalogue,
};
use serde_json::json;

/// The allocator of the program.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const CONTEXT: Context<'_> =
    Context { org: "acme", app: "app-7", env: "dev", env_type: "development" };

fn definition(id: &str, resource_type: &str, body: serde_json::Value) -> Arc<Definition> {
    let body: Body = serde_json::from_value(body).unwrap();
    Arc::new(Definition::new(id, "v", resource_type, body))
}

/// One definition for each application and class, and a few for everybody.
fn index(definitions: usize) -> Index {
    let mut index = Index::default();
    let body = json!({"name": "d", "driver_type": "humanitec/echo"});
    for number in 0..definitions {
        let one = definition(&format!("d-{number}"), "postgres", body.clone());
        let criteria = Criteria { app_id: Some(format!("app-{number}")), ..Criteria::default() };
        index.insert(&one, criteria).unwrap();
    }
    let any = definition("any", "postgres", body);
    index.insert(&any, Criteria::default()).unwrap();
    index
}

fn matching(bench: &mut Criterion) {
    let mut group = bench.benchmark_group("match");
    for definitions in [100, 10_000, 100_000] {
        let index = index(definitions);
        let key = ResourceKey::new("postgres", "", "modules.web.externals.db");
        group.bench_function(BenchmarkId::new("find", definitions), |bench| {
            bench.iter(|| black_box(index.find(black_box(&key), &CONTEXT)).unwrap());
        });
        let floor: HashMap<String, usize> = (0..definitions)
            .map(|number| (format!("postgres.default.app-{number}"), number))
            .collect();
        let name = "postgres.default.app-7".to_owned();
        group.bench_function(BenchmarkId::new("floor, one hash look-up", definitions), |bench| {
            bench.iter(|| black_box(floor.get(black_box(&name))).unwrap());
        });
    }
}

/// Workloads with four resources, a reference, and a co-provisioned one: eight nodes for each.
fn scene(nodes: usize) -> (DeploymentSet, Index) {
    let mut index = Index::default();
    let echo = json!({"name": "e", "driver_type": "humanitec/echo"});
    let with = |values| json!({"name": "e", "driver_type": "humanitec/echo", "driver_inputs": {"values": values}});
    let dns = json!({"name": "d", "driver_type": "humanitec/echo", "provision": {"ingress": {}}});
    for (kind, body) in [
        ("k8s-cluster", echo.clone()),
        ("redis", echo.clone()),
        ("dns", dns),
        ("ingress", with(json!({"h": "${resources.dns.outputs.host}"}))),
        ("postgres", with(json!({"i": "${resources.config.outputs.x}"}))),
        ("config", echo),
    ] {
        index.insert(&definition(kind, kind, body), Criteria::default()).unwrap();
    }
    builtin::add_to(&mut index).unwrap();
    let modules: BTreeMap<String, serde_json::Value> = (0..nodes / 7)
        .map(|number| {
            (format!("w{number}"), json!({
                "spec": {"containers": {"main": {"image": "i", "variables": {"D": "${externals.db.host}"}}}},
                "externals": {
                    "db": {"type": "postgres"}, "cache": {"type": "redis"}, "dns": {"type": "dns"},
                    "home": {"type": "route", "params": {"host": "${externals.dns.host}"}}}}))
        })
        .collect();
    (DeploymentSet::from_json(json!({"modules": modules})).unwrap(), index)
}

fn graphs(bench: &mut Criterion) {
    let mut group = bench.benchmark_group("graph");
    group.sample_size(10);
    let types = Catalogue::default();
    for nodes in [1_000, 10_000, 100_000] {
        let (set, index) = scene(nodes);
        let input = Input {
            set: &set,
            context: CONTEXT,
            definitions: &index,
            types: &types,
            installation: "i",
            incarnations: &BTreeMap::new(),
            pins: &BTreeMap::new(),
        };
        let built = graph::build(&input).unwrap();
        group.bench_function(BenchmarkId::new("build", built.nodes.len()), |bench| {
            bench.iter(|| black_box(graph::build(black_box(&input))).unwrap());
        });
        group.bench_function(
            BenchmarkId::new("floor, one insertion a node", built.nodes.len()),
            |bench| {
                bench.iter(|| {
                    let map: HashMap<&ResourceKey, usize> =
                        built.nodes.iter().enumerate().map(|(at, node)| (&node.key, at)).collect();
                    black_box(map.len())
                });
            },
        );
    }
}

criterion_group!(benches, matching, graphs);
criterion_main!(benches);
