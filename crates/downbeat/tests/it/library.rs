//! The published example library as a test: every definition goes through the API and comes back,
//! and what a driver of ours can make is made.
//!
//! The files are those of the library, unchanged. `docs/reference/example-library.md` lists each of
//! them with its state; it is written by [`every_entity_is_what_the_table_says`].

mod api;
mod checked;
mod corpus;
mod expected;
mod table;
mod world;

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
};

use downbeat_core::{Document, Json, builtin, definition_file::DefinitionFile, matching::Index};
use downbeat_engine::{Driver, run};
use downbeat_store::{OrgScope, definition as store};
use downbeat_testkit::{ORG, Server};
use serde_json::json;

use corpus::{File, Kind};
use table::{Row, State};
use world::{Outcome, World};

use crate::samples;

fn definitions(files: &[File]) -> Vec<&File> {
    files.iter().filter(|file| file.kind == Kind::Definition).collect()
}

#[tokio::test]
async fn every_definition_comes_back_equal() {
    let files = corpus::files();
    assert_eq!(files.len(), 167);
    let server = Server::start().await;
    let client = server.admin();
    let definitions = definitions(&files);
    assert_eq!(definitions.len(), 114);
    // One by one: examples of different folders apply to the same resources.
    for file in &definitions {
        api::load(&server, &client, &file.definition()).await;
        api::clear(&client).await;
    }
    // Those of one folder belong together.
    let mut folders: BTreeMap<&str, Vec<&File>> = BTreeMap::new();
    for file in definitions {
        folders.entry(file.folder()).or_default().push(file);
    }
    let mut alternatives = Vec::new();
    for files in folders.values() {
        for file in files {
            let definition = file.definition();
            let body = definition.request.clone().into();
            match client.post(&api::definitions(), body).await {
                answer if answer.status() == 409 => alternatives.push(definition.id),
                answer => answer.is(200),
            }
        }
        api::clear(&client).await;
    }
    // It applies to what the other namespace of its folder applies to: one has to choose.
    assert_eq!(alternatives, ["short-namespace"]);
}

/// Loads definitions, and answers them as a deployment would find them. Of the first one, what comes
/// back is compared; where two would apply to the same, the first one does. What was published
/// without criteria applies to everything here.
async fn load(server: &Server, definitions: &[DefinitionFile], compared: usize) -> Index {
    let client = server.admin();
    let mut loaded = Vec::new();
    for (number, definition) in definitions.iter().enumerate() {
        if number < compared {
            api::load(server, &client, definition).await;
        } else {
            let body = definition.request.clone().into();
            if client.post(&api::definitions(), body).await.status() != 200 {
                continue;
            }
        }
        loaded.push(definition);
    }
    for (number, definition) in loaded.iter().enumerate() {
        if definition.criteria.is_empty() {
            let path = format!("{}/{}/criteria", api::definitions(), definition.id);
            let status = client.post(&path, json!({})).await.status();
            assert!(status == 200 || (status == 409 && number > 0), "{status}");
        }
    }
    let scope = OrgScope::granted(ORG);
    let mut conn = server.db.read().await.unwrap();
    let index = store::load_index(&mut conn, &scope).await.unwrap();
    drop(conn);
    api::clear(&client).await;
    index
}

/// Loads a definition, and those beside it whose drivers run here.
async fn load_folder(server: &Server, file: &File, beside: &[&File]) -> Index {
    let runs = downbeat_adapters::drivers();
    let mut definitions = vec![file.definition()];
    for other in beside.iter().filter(|other| other.path != file.path) {
        let definition = other.definition();
        let effective = builtin::expand(&definition.body);
        let driver = &effective.as_ref().unwrap_or(&definition.body).driver_type;
        if matches!(runs.by_type.get(driver), Some(Driver::Pure(_))) {
            definitions.push(definition);
        }
    }
    load(server, &definitions, 1).await
}

/// Where what came of the files is kept, seen from this folder and from the crate's.
const GOLDEN: [&str; 2] = ["../golden/library", "tests/golden/library"];

/// Names of the golden files that were looked at.
type Kept = BTreeSet<String>;

/// Keeps what came of a file for people to look at.
fn keep(kept: &mut Kept, path: &str, mut result: Json) {
    forget_versions(&mut result);
    let name = path.trim_end_matches(".yaml").replace('/', "--");
    insta::with_settings!({
        sort_maps => true,
        snapshot_path => GOLDEN[0],
        prepend_module_to_snapshot => false,
        omit_expression => true,
    }, {
        insta::assert_yaml_snapshot!(name.as_str(), result);
    });
    assert!(kept.insert(name), "{path} is there twice");
}

/// Takes the versions out of references: they tell how many definitions of this id came before.
fn forget_versions(value: &mut Json) {
    match value {
        Json::Object(members) => {
            if members.get("store").is_some_and(|store| store == "local") {
                members.remove("version");
            }
            members.values_mut().for_each(forget_versions);
        }
        Json::Array(items) => items.iter_mut().for_each(forget_versions),
        _ => {}
    }
}

#[tokio::test]
async fn every_entity_is_what_the_table_says() {
    let files = corpus::files();
    let server = Server::start().await;
    let app = json!({"id": "library", "name": "Library"});
    server.admin().post(&format!("/orgs/{ORG}/apps"), app).await.is(201);
    let told = expected::read();
    let (mut rows, mut kept) = (Vec::new(), Kept::new());
    for file in &files {
        let beside = || files.iter().filter(|one| one.folder() == file.folder());
        let state = match file.kind {
            Kind::Definition => {
                let beside: Vec<&File> =
                    beside().filter(|one| one.kind == Kind::Definition).collect();
                definition(&server, file, &beside, &mut kept).await
            }
            Kind::Score => score(&server, file, None, &mut kept).await,
            Kind::Extension => {
                let with: Vec<&File> = beside().filter(|one| one.kind == Kind::Score).collect();
                for one in &with {
                    score(&server, one, Some(file), &mut kept).await;
                }
                if with.is_empty() {
                    let path = format!("{}/base.yaml", file.folder());
                    let base = File { path, text: BASE.to_owned(), kind: Kind::Score };
                    score(&server, &base, Some(file), &mut kept).await;
                }
                State::Checked("")
            }
            Kind::DeployConfig => {
                State::Left("name the files to `downbeat deploy` instead, it takes several")
            }
            Kind::Pipeline => {
                pipeline(&server, file).await;
                State::Kept("nothing runs pipelines yet")
            }
            Kind::Workflow => State::Left("it is no entity"),
        };
        if matches!(state, State::Checked(_) | State::Asked | State::Wrong(_)) {
            assert!(told.contains_key(&file.path), "{}: nothing is expected", file.path);
        }
        rows.push(Row::new(file, state));
    }
    table::check(&rows);
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join(GOLDEN[1]);
    let names = fs::read_dir(golden).unwrap().map(|entry| entry.unwrap().file_name());
    let snapshots =
        names.filter_map(|name| name.to_str()?.strip_suffix(".snap").map(str::to_owned));
    let unused: Vec<String> = snapshots.filter(|name| !kept.contains(name)).collect();
    assert!(unused.is_empty(), "golden files of nothing: {unused:?}");
}

/// What people read in the library is so. The expectations were not taken from what came out.
#[tokio::test]
async fn every_entity_does_what_its_documentation_says() {
    let files = corpus::files();
    let server = Server::start().await;
    let mut loader = checked::Loader::new(&server);
    let told = expected::read();
    let here = downbeat_adapters::drivers();
    let mut deviations = Vec::new();
    for file in &files {
        let can_run = match file.kind {
            Kind::Definition => {
                let definition = file.definition();
                let effective = builtin::expand(&definition.body);
                let driver = effective.unwrap_or(definition.body).driver_type;
                here.by_type.contains_key(&driver)
            }
            Kind::Score | Kind::Extension => true,
            Kind::DeployConfig | Kind::Pipeline | Kind::Workflow => false,
        };
        match told.get(&file.path) {
            Some(told) => {
                deviations.extend(checked::deviations(&mut loader, &files, file, told).await);
            }
            None if can_run => deviations.push(format!("{}: nothing is expected", file.path)),
            None => {}
        }
    }
    let paths: Vec<&String> =
        told.keys().filter(|path| !files.iter().any(|file| file.path == **path)).collect();
    assert!(paths.is_empty(), "expectations of nothing: {paths:?}");
    assert!(deviations.is_empty(), "{} deviations:\n{}", deviations.len(), deviations.join("\n"));
}

/// For extension files that come without a Score file.
const BASE: &str =
    "apiVersion: score.dev/v1b1\nmetadata: {name: base}\ncontainers: {main: {image: .}}\n";

/// A pipeline is loaded, and comes back as it was sent.
async fn pipeline(server: &Server, file: &File) {
    let admin = server.admin();
    let path = format!("/orgs/{ORG}/apps/library/pipelines");
    let body = Some(("application/x-yaml", file.text.clone().into_bytes()));
    let made = admin.send_raw("POST", &path, body).await.json(201);
    let path = format!("{path}/{}", made["id"].as_str().unwrap());
    let yaml = admin.accepting("application/x.humanitec-pipelines-v1.0+yaml");
    assert_eq!(yaml.get(&format!("{path}/schema")).await.text(200), file.text, "{}", file.path);
    admin.delete(&path).await.is(204);
}

/// A definition is loaded, matched and made.
async fn definition(server: &Server, file: &File, beside: &[&File], kept: &mut Kept) -> State {
    let index = load_folder(server, file, beside).await;
    let definition = file.definition();
    let criteria = definition.criteria.first().cloned().unwrap_or_default();
    let mut world = World::new(&definition.resource_type, &criteria, index);
    let (used, outcome) = world.make().await;
    assert_eq!(used, definition.id, "{}", file.path);
    let resource = world.key.to_string();
    match outcome {
        Outcome::Made(mut made) => {
            made["resource"] = json!(resource);
            let remark = match made.to_string().contains("<no value>") {
                true if file.text.contains("{{ .drivers.") => {
                    "it was published with `.drivers` for `.driver`, which prints `<no value>`"
                }
                true => "what it refers to prints `<no value>`",
                false => "",
            };
            keep(kept, &file.path, made);
            State::Checked(remark)
        }
        Outcome::Asked(asked) => {
            keep(kept, &file.path, json!({"resource": resource, "asked": asked}));
            State::Asked
        }
        Outcome::Refused(error, asked) => {
            let failed = json!({"resource": resource, "error": error, "asked": asked});
            keep(kept, &file.path, failed);
            if error.code != "RES-104" {
                let reason = error.message.rsplit_once(": ").map_or("", |(_, reason)| reason);
                return State::Wrong(format!("{} {reason}", error.code));
            }
            let hint = error.hint.unwrap_or_default();
            let driver = hint.strip_prefix("Use \"").and_then(|hint| hint.split_once('"'));
            let (driver, _) = driver.unwrap_or_else(|| panic!("{}: {hint}", file.path));
            State::Stored(format!("use `{driver}`"))
        }
    }
}

/// A Score file is sent as a delta, and what it asks for is made.
async fn score(server: &Server, file: &File, extension: Option<&File>, kept: &mut Kept) -> State {
    let folder = corpus::score_folder(file);
    let extended = extension.map(|extension| extension.text.clone());
    let loaded = samples::loaded_from(&folder.join(file.name()), &file.text, extended);
    // Of what is there to be deployed, the other workloads were made up.
    let (set, client) = (&loaded.set, server.admin());
    let add = |(key, resource)| json!({"op": "add", "path": format!("/{key}"), "value": resource});
    let shared: Vec<Json> = set.shared.iter().map(add).collect();
    let deltas = format!("/orgs/{ORG}/apps/library/deltas");
    let sent = json!({"modules": {"add": set.modules}, "shared": shared});
    let stored = client.post(&deltas, sent).await.json(200);
    let path = format!("{deltas}/{}", stored["id"].as_str().unwrap());
    let delta = client.get(&path).await.json(200);
    let mut modules = json!(set.modules);
    for module in modules.as_object_mut().unwrap().values_mut() {
        module.as_object_mut().unwrap().entry("externals").or_insert(json!({}));
    }
    for one in [&stored, &delta] {
        assert_eq!(one["modules"]["add"], modules, "{}", file.path);
        assert_eq!(one["shared"], json!(shared), "{}", file.path);
    }
    let objects = run::render(&world::ports(), &loaded).await;
    let objects = objects.unwrap_or_else(|errors| panic!("{}: {errors:#?}", file.path));
    let documents: Vec<&Document> = objects.iter().map(|object| &object.document).collect();
    let name = match extension {
        None => file.path.clone(),
        Some(extension) => format!("{}--{}", file.path.trim_end_matches(".yaml"), extension.name()),
    };
    keep(kept, &name, json!({"objects": documents}));
    State::Checked("")
}

/// Every driver of v1 runs here, or has one that takes its place.
#[tokio::test]
async fn no_driver_is_without_an_alternative() {
    let server = Server::start().await;
    let drivers = server.admin().get(&format!("/orgs/{ORG}/resources/drivers")).await.json(200);
    let here = downbeat_adapters::drivers();
    let runs = |name: &str| here.by_type.contains_key(name) || builtin::changes_nothing(name);
    let mut missing = Vec::new();
    for driver in drivers.as_array().unwrap() {
        let name = format!("humanitec/{}", driver["id"].as_str().unwrap());
        let others = builtin::alternatives(&name);
        if !runs(&name) && !others.iter().any(|other| runs(other.driver)) {
            missing.push(name);
        }
    }
    assert!(missing.is_empty(), "{missing:?}");
}
