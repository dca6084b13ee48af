//! Every published Score sample renders, once somebody has taught what it asks for.
//!
//! A sample names types, classes, values and other workloads that are not part of it. What is
//! missing is taught in the plainest way: an echo definition with every output that the samples
//! read, an `emptyDir` for a volume, a value for each key, a workload with a port.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use downbeat_core::{
    Criteria, Definition, DeploymentSet, Json, ResourceKey, builtin,
    matching::{Context, Index},
    resolve::{SharedValue, Values},
    resource_type::Catalogue,
};
use downbeat_engine::{
    memory::{self, MemorySecrets},
    port::Loaded,
    run,
};
use downbeat_score::{FileError, Files, Options, Overlay, Source, convert};
use serde_json::json;

const CONTEXT: Context<'_> =
    Context { org: "acme", app: "samples", env: "dev", env_type: "development" };

/// Files that samples name beside themselves; what is not there is made up.
struct Beside(PathBuf);

impl Files for Beside {
    fn read(&self, path: &str) -> Result<Vec<u8>, FileError> {
        Ok(fs::read(self.0.join(path)).unwrap_or_else(|_| b"made up".to_vec()))
    }
}

fn samples(folder: &Path, found: &mut Vec<PathBuf>) {
    let mut entries: Vec<_> = fs::read_dir(folder).unwrap().map(|e| e.unwrap().path()).collect();
    entries.sort();
    for entry in entries {
        if entry.is_dir() {
            samples(&entry, found);
        } else if fs::read_to_string(&entry)
            .is_ok_and(|text| text.contains("apiVersion: score.dev/v1b1"))
        {
            found.push(entry);
        }
    }
}

fn teach(index: &mut Index, key: &ResourceKey) {
    if index.find(key, &CONTEXT).is_some() {
        return;
    }
    let body = match &*key.resource_type {
        "volume" => {
            json!({"driver_type": "humanitec/template", "driver_inputs": {"values": {"templates": {
            "manifests": "v:\n  location: volumes\n  data: {name: 'vol-{{ .id }}', emptyDir: {}}\n"}}}})
        }
        "ingress" | "k8s-cluster" | "horizontal-pod-autoscaler" => {
            json!({"driver_type": "humanitec/echo"})
        }
        _ => json!({"driver_type": "humanitec/echo", "driver_inputs": {
            "values": {"host": "h.example", "port": 5432, "name": "n", "bucket": "b", "region": "r"},
            "secret_refs": {"username": {"store": "s", "ref": "u"}, "password": {"store": "s", "ref": "p"}}}}),
    };
    let mut body = body;
    body["name"] = json!("taught");
    let id = format!("taught-{}-{}", key.resource_type, key.class);
    let body = serde_json::from_value(body).unwrap();
    let definition = Arc::new(Definition::new(&id, "v", &key.resource_type, body));
    let criteria = Criteria { class: Some(key.class.to_string()), ..Criteria::default() };
    index.insert(&definition, criteria).unwrap();
}

fn loaded(path: &Path) -> Loaded {
    let text = fs::read_to_string(path).unwrap();
    let extension = fs::read_to_string(path.with_file_name("humanitec.score.yaml")).ok();
    loaded_from(path, &text, extension)
}

/// A Score file with an extension, and definitions for all that it asks for.
pub(super) fn loaded_from(path: &Path, text: &str, extension: Option<String>) -> Loaded {
    let folder = path.parent().unwrap();
    let types = Catalogue::default();
    let document =
        downbeat_core::yaml::parse(text, &downbeat_core::yaml::Limits::default()).unwrap();
    let resources = document.get("resources").and_then(|resources| resources.entries());
    let aliases: BTreeMap<String, String> = resources
        .unwrap_or_default()
        .iter()
        .filter_map(|(_, resource)| resource.get("type")?.as_str())
        .filter(|name| types.find(name).is_none() && *name != "service")
        .map(|name| (name.to_owned(), "config".to_owned()))
        .collect();
    let options = Options {
        image: Some("registry.example/sample:1".to_owned()),
        extension: extension.map(|text| Overlay::Text { name: "extension".to_owned(), text }),
        resource_type_aliases: aliases,
        ..Options::default()
    };
    let name = path.display().to_string();
    let source = Source { name: &name, text };
    let converted = convert(&source, &options, &Beside(folder.to_owned()))
        .unwrap_or_else(|diagnostics| panic!("{name}: {diagnostics:?}"));
    let mut set = DeploymentSet { shared: converted.shared, ..DeploymentSet::default() };
    let module = serde_json::to_string(&converted.module).unwrap();
    set.modules.insert(converted.name, converted.module);
    let named = |root: &str| -> Vec<String> {
        let start = format!("${{{root}.");
        let parts = module.split(&start).skip(1);
        parts.map(|rest| rest.split(['.', '}']).next().unwrap().to_owned()).collect()
    };
    let values: Values = named("values")
        .into_iter()
        .map(|key| (key, SharedValue::Plain("value".to_owned())))
        .collect();
    let other = json!({"profile": "humanitec/default-module", "spec": {"containers": {"main": {"image": "other:1"}},
        "service": {"ports": {"http": {"service_port": 80, "container_port": 80}}}}});
    for other_name in named("modules") {
        let other: downbeat_core::Module = serde_json::from_value(other.clone()).unwrap();
        set.modules.entry(other_name).or_insert(other);
    }
    let mut index = Index::default();
    builtin::add_to(&mut index).unwrap();
    teach(&mut index, &downbeat_core::graph::cluster_key());
    for (id, module) in &set.modules {
        for (name, resource) in &module.externals {
            let id = format!("modules.{id}.externals.{name}");
            teach(&mut index, &ResourceKey::new(&resource.resource_type, resource.class(), &id));
        }
    }
    for (key, resource) in &set.shared {
        let id = resource.id.clone().unwrap_or_else(|| format!("shared.{key}"));
        teach(&mut index, &ResourceKey::new(&resource.resource_type, resource.class(), &id));
    }
    Loaded {
        installation: "i".into(),
        org: "acme".into(),
        app: "samples".into(),
        env: "dev".into(),
        env_type: "development".into(),
        deployment: "d".into(),
        values,
        types: Arc::new(types),
        ..memory::loaded(set, index)
    }
}

#[tokio::test]
async fn every_sample_renders() {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("../downbeat-score/tests/data/corpus");
    let mut paths = Vec::new();
    samples(&corpus, &mut paths);
    assert!(paths.len() >= 20, "only {} samples", paths.len());
    let mut failures = Vec::new();
    for path in &paths {
        let secrets = Arc::new(MemorySecrets::new("local"));
        let ports = memory::ports(downbeat_adapters::drivers(), secrets, vec![1]);
        let loaded = loaded(path);
        match run::render(&ports, &loaded).await {
            Ok(objects) => {
                let kinds: Vec<&str> = objects.iter().map(|object| object.kind.as_str()).collect();
                let runs = ["Deployment", "Job", "CronJob"].iter().any(|kind| kinds.contains(kind));
                assert!(runs, "{}: {kinds:?}", path.display());
                let files: BTreeMap<String, String> =
                    downbeat_core::assemble::files(&objects).unwrap();
                let text: Json =
                    files.into_iter().map(|(path, text)| (path, Json::from(text))).collect();
                assert!(!text.to_string().contains("${externals."), "{}", path.display());
            }
            Err(errors) => failures.push(format!("{}: {errors:#?}", path.display())),
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}
