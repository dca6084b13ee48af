//! Own validation accepts exactly what the JSON schema accepts.

use downbeat_core::{Json, yaml};
use downbeat_score::{Options, Severity};
use proptest::{prelude::*, sample::Index};
use serde_json::json;

use crate::check;

const SAMPLES: [&str; 4] = [
    include_str!("../data/corpus/score-spec/score-full.yaml"),
    include_str!("../data/corpus/score-spec/score-deprecated-files-and-volumes.yaml"),
    include_str!("../data/sixty-lines.yaml"),
    "{apiVersion: score.dev/v1b1, metadata: {name: ab}, containers: {aa: {image: x, before: {bb: \
     {ready: healthy}}}}}",
];

fn schema() -> jsonschema::Validator {
    let text = include_str!("../data/corpus/score-spec/score-v1b1.json");
    jsonschema::validator_for(&serde_json::from_str::<Json>(text).unwrap()).unwrap()
}

/// Own verdict on what the schema is about.
fn accepts(document: &Json) -> (bool, String) {
    let text = yaml::to_string(document);
    let checked = check(&text, &Options::default());
    let errors: Vec<_> = checked
        .diagnostics
        .iter()
        .filter(|found| found.severity == Severity::Error)
        // Conversion finds more than the schema does.
        .filter(|found| !found.code.as_str().eq("SCO-007"))
        .filter(|found| !found.message.contains("base64"))
        .filter(|found| !found.message.contains("another resource of"))
        // Stricter on purpose: an entry of a list has to say where it goes.
        .filter(|found| found.message != "`target` is missing")
        .collect();
    (errors.is_empty(), format!("{errors:#?}"))
}

/// The document as validated, with old spellings replaced.
fn upgraded(document: &Json) -> Json {
    let text = yaml::to_string(document);
    check(&text, &Options::default()).document.unwrap().to_json()
}

#[track_caller]
fn agree(schema: &jsonschema::Validator, document: &Json) {
    let expected = schema.is_valid(&upgraded(document));
    let (accepted, errors) = accepts(document);
    assert_eq!(accepted, expected, "{document:#}\n{errors}");
}

#[test]
fn on_the_samples() {
    let schema = schema();
    for text in SAMPLES {
        let document = yaml::parse_json(text, &yaml::Limits::default()).unwrap();
        assert!(schema.is_valid(&document));
        agree(&schema, &document);
    }
}

/// All pointers of a document.
fn places(value: &Json, at: &str, found: &mut Vec<String>) {
    found.push(at.to_owned());
    match value {
        Json::Object(members) => members.iter().for_each(|(name, value)| {
            places(value, &format!("{at}/{}", name.replace('~', "~0").replace('/', "~1")), found);
        }),
        Json::Array(items) => items.iter().enumerate().for_each(|(index, value)| {
            places(value, &format!("{at}/{index}"), found);
        }),
        _ => {}
    }
}

/// Values at the edges of what the schema allows.
fn values() -> Vec<Json> {
    let mut values = vec![
        json!(null),
        json!(true),
        json!(0),
        json!(1),
        json!(65535),
        json!(65536),
        json!(80.0),
        json!(80.5),
        json!(-1),
        json!([]),
        json!({}),
        json!(["a"]),
        json!([1]),
        json!([{}]),
        json!({"a": "b"}),
        json!({"aa": {"ready": "started"}}),
        json!({"aa": {"image": "."}}),
        json!({"target": "/a", "content": "x"}),
        json!({"source": "x", "content": "x"}),
        json!({"content": ["a", "b"]}),
        json!([{"source": "x"}]),
        json!([{"target": "", "source": "x"}]),
        json!({"/a": {"source": "x", "target": "y"}}),
        json!({"/a": {"source": "x"}}),
        json!({"exec": {"command": ["x"]}}),
        json!({"httpGet": {"port": 1, "path": ""}}),
        json!({"httpGet": {"port": 1}}),
        json!([{"name": "a", "value": "b"}]),
        json!([{"name": "a b", "value": ""}]),
        json!({"cpu": "1", "memory": "1"}),
        json!({"port": 1, "targetPort": 2, "protocol": "UDP"}),
        json!({"type": "aa", "id": "a.b"}),
        json!({"annotations": {"a.b/c": "d", "aa.bb/cc": "d"}}),
        json!({"annotations": {"aa": 1}}),
        json!({"name": "ab", "annotations": {"x": "y"}}),
        json!(9_223_372_036_854_775_808_u64),
    ];
    let texts = [
        "",
        "a",
        "ab",
        "A",
        "AB",
        "a-",
        "-a",
        "a-b",
        "a_b",
        "a.b",
        "a..b",
        "aa.bb",
        "a--b",
        ".",
        "a=b",
        "ab/cd",
        "a/b",
        "ab.cd/ef",
        "ab.c/ef",
        "ab/",
        "/ab",
        "ab/cd/ef",
        "aB._-9",
        "score.dev/v1b1",
        "0644",
        "644",
        "0888",
        "06444",
        "00644",
        "1",
        "1m",
        "1.5",
        "1.",
        ".5",
        "1.5m",
        "01",
        "0",
        "0.5",
        "0.5Gi",
        "0Gi",
        "1Gi",
        "1G",
        "1i",
        "Gi",
        "1.5Ei",
        "1GiB",
        "1 G",
        "TCP",
        "UDP",
        "tcp",
        "HTTP",
        "HTTPS",
        "started",
        "healthy",
        "complete",
        "x-Y_9",
        "é",
        "éé",
        "a\nb",
        "${resources.db}",
        "٣",
        "1٣",
    ];
    values.extend(texts.map(Json::from));
    for length in [62, 63, 64, 315, 316, 317] {
        values.push(Json::from("a".repeat(length)));
    }
    values.push(Json::from(format!("{}/{}", "a".repeat(63), "b".repeat(63))));
    values.push(Json::from(format!("{}/b1", vec!["a".repeat(63); 5].join("."))));
    values
}

const NAMES: &[&str] = &[
    "apiVersion",
    "metadata",
    "service",
    "containers",
    "resources",
    "name",
    "annotations",
    "ports",
    "port",
    "targetPort",
    "protocol",
    "image",
    "command",
    "args",
    "variables",
    "files",
    "volumes",
    "before",
    "limits",
    "requests",
    "livenessProbe",
    "readinessProbe",
    "target",
    "mode",
    "source",
    "content",
    "binaryContent",
    "noExpand",
    "path",
    "readOnly",
    "read_only",
    "cpu",
    "memory",
    "httpGet",
    "exec",
    "host",
    "scheme",
    "httpHeaders",
    "value",
    "type",
    "class",
    "id",
    "params",
    "ready",
    "nmae",
    "contnet",
    "htpGet",
    "Port",
    "x",
    "xx",
];

fn mutate(document: &mut Json, place: Index, action: u8, value: Index, name: Index) {
    let mut pointers = Vec::new();
    places(document, "", &mut pointers);
    let pointer = place.get(&pointers).clone();
    let values = values();
    let value = value.get(&values).clone();
    let text = value.as_str().map(str::to_owned);
    let name = (*name.get(NAMES)).to_owned();
    if action == 0 {
        // Remove.
        let Some((parent, last)) = pointer.rsplit_once('/') else { return };
        match document.pointer_mut(parent) {
            Some(Json::Object(members)) => {
                members.remove(&last.replace("~1", "/").replace("~0", "~"));
            }
            Some(Json::Array(items)) => drop(items.remove(last.parse::<usize>().unwrap())),
            _ => {}
        }
        return;
    }
    let Some(target) = document.pointer_mut(&pointer) else { return };
    match (action, target) {
        // Add under a known name, or under any text.
        (1, Json::Object(members)) => drop(members.insert(name, value)),
        (2, Json::Object(members)) => {
            let moved = members.values().next().cloned().unwrap_or(value);
            members.insert(text.unwrap_or(name), moved);
        }
        // Rename.
        (3, Json::Object(members)) => {
            if let Some(first) = members.keys().next().cloned() {
                let moved = members.remove(&first).unwrap();
                members.insert(text.unwrap_or(name), moved);
            }
        }
        (4, Json::Array(items)) => items.push(value),
        (_, target) => *target = value,
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(6000))]

    #[test]
    fn on_mutated_samples(
        sample in any::<Index>(),
        steps in prop::collection::vec(
            (any::<Index>(), 0..6_u8, any::<Index>(), any::<Index>()), 1..4
        ),
    ) {
        thread_local!(static SCHEMA: jsonschema::Validator = schema());
        let mut document = yaml::parse_json(sample.get::<&str>(&SAMPLES), &yaml::Limits::default()).unwrap();
        for (place, action, value, name) in steps {
            mutate(&mut document, place, action, value, name);
        }
        SCHEMA.with(|schema| agree(schema, &document));
    }
}
