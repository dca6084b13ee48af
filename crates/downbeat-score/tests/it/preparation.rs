//! Overrides, properties, image, old spellings; and what containers become.

use downbeat_core::Json;
use downbeat_score::{Options, Overlay, Property};
use serde_json::json;

use crate::{check, convert, overlay, score};

/// The body of the container `main`.
#[track_caller]
fn main(text: &str, options: &Options) -> Json {
    convert(text, options).module.spec.unwrap()["containers"]["main"].clone()
}

#[track_caller]
fn container(body: &str, expected: Json) {
    let mut expected = expected;
    expected["id"] = json!("main");
    expected["image"] = json!(".");
    assert_eq!(
        main(&score(body, "  vol: {type: volume}\n"), &Options::default()),
        expected,
        "{body}"
    );
}

#[test]
fn containers() {
    container("", json!({}));
    container(
        "    command: []\n    args: [a, b]\n    variables: {}\n",
        json!({"args": ["a", "b"]}),
    );
    container(
        "    resources: {limits: {cpu: 250m}, requests: {}}\n",
        json!({"resources": {"limits": {"cpu": "250m"}}}),
    );
    container("    resources: {limits: {}}\n", json!({}));
    container(
        "    livenessProbe: {httpGet: {path: /a, port: 80.0, httpHeaders: [{name: A, value: b}]}}\n    readinessProbe: {httpGet: {path: '', port: 1}}\n",
        json!({"liveness_probe": {"type": "http", "path": "/a", "port": 80, "headers": {"A": "b"}}}),
    );
    container(
        "    livenessProbe: {exec: {command: [a]}}\n    readinessProbe: {exec: {command: []}}\n",
        json!({"liveness_probe": {"type": "command", "command": ["a"]}}),
    );
    let files = json!({"files": {
        "/a": {"mode": "", "value": "web $"},
        "/b": {"mode": "0600", "value": "$\\{metadata.name} $$"},
        "/c": {"mode": "", "binary_value": "aGk="},
        "/d": {"mode": "", "value": "x\n1\ntrue"},
    }});
    container(
        "    files:\n      /a: {content: \"${metadata.name} $$\"}\n      /b: {mode: \"0600\", content: \"${metadata.name} $$\", noExpand: true}\n      /c: {binaryContent: aGk=}\n      /d: {content: [x, 1, true]}\n",
        files.clone(),
    );
    container(
        "    files:\n    - {target: /a, content: \"${metadata.name} $$\"}\n    - {target: /b, mode: \"0600\", content: \"${metadata.name} $$\", noExpand: true}\n    - {target: /c, binaryContent: aGk=}\n    - {target: /d, content: [x, 1, true]}\n",
        files,
    );
    let mounts = json!({"volume_mounts": {"/v": {"id": "externals.vol", "sub_path": "s", "read_only": true}}});
    container(
        "    volumes: {/v: {source: \"${resources.vol}\", path: s, readOnly: true}}\n",
        mounts.clone(),
    );
    container(
        "    volumes: [{target: /v, source: \"${resources.vol}\", path: s, read_only: true}]\n",
        mounts,
    );
}

#[test]
fn images() {
    let given = |image: &str, fill| Options {
        image: Some(image.to_owned()),
        fill_missing_image: fill,
        ..Options::default()
    };
    let text = score("", "");
    assert_eq!(main(&text, &Options::default())["image"], ".");
    assert_eq!(main(&text, &given("a:1", false))["image"], "a:1");
    let other = text.replace("image: .", "image: other");
    assert_eq!(main(&other, &given("a:1", true))["image"], "other");
    let none = text.replace("image: .", "args: []");
    assert_eq!(main(&none, &given("a:1", true))["image"], "a:1");
    assert!(!check(&none, &given("a:1", false)).is_ok());
}

#[test]
fn overrides_then_properties_then_image() {
    let text = score(
        "    args: [a, b]\n    variables: {A: a, B: b}\n",
        "  db: {type: dns, params: {x: 1, y: {z: 2}}}\n",
    );
    let options = Options {
        overrides: vec![
            overlay("o.yaml", "containers: {main: {args: [c], variables: {B: null, C: c}}}\n"),
            Overlay::Json(json!({"resources": {"db": {"params": {"y": {"w": null, "v": 3}}}}})),
        ],
        properties: vec![
            Property::parse("containers.main.variables.A"),
            Property::parse("containers.main.variables.D=\"4\""),
            Property::parse("containers.main.args.-1=d"),
            Property::parse("containers.main.args.0=e"),
            Property::parse(r"metadata.annotations.example\.com/team=y"),
            Property::parse("service.ports.http.port=80"),
            Property::parse("no.such.thing"),
            Property { path: "containers.main.command".into(), value: Some(json!(["sh"])) },
            Property { path: "resources.db.params.x".into(), value: Some(Json::Null) },
            Property::parse("containers.main.image=."),
        ],
        image: Some("img".into()),
        ..Options::default()
    };
    let converted = convert(&text, &options);
    let spec = converted.module.spec.unwrap();
    assert_eq!(
        spec["containers"]["main"],
        json!({"id": "main", "image": "img", "command": ["sh"], "args": ["e", "d"], "variables": {"C": "c", "D": "4"}})
    );
    assert_eq!(spec["pod"], json!({"annotations": {"example.com/team": "y"}}));
    assert_eq!(spec["service"]["ports"]["http"]["container_port"], 80);
    assert_eq!(json!(converted.module.externals["db"].params), json!({"y": {"z": 2, "v": 3}}));
}

#[test]
fn extension_wins() {
    let options = Options {
        extension: Some(overlay(
            "e.yaml",
            "apiVersion: humanitec.org/v1b1\nprofile: humanitec/default-job\ndeploy: {when: before, success: complete, timeout: 120}\n\
             spec:\n  containers: {main: {args: [x], variables: {A: \"$${values.K}\"}}}\n  pod: {setHostnameAsFQDN: true, list: [\"${metadata.name}\"], \"${metadata.name}\": \"${resources.db.x}\"}\n",
        )),
        workload_source: Some("https://example.com".into()),
        ..Options::default()
    };
    let text = score("    args: [a, b]\n    variables: {A: a, B: b}\n", "  db: {type: dns}\n");
    let module = convert(&text, &options).module;
    assert_eq!(
        json!(module),
        json!({
            "profile": "humanitec/default-job",
            "deploy": {"when": "before", "success": "complete", "timeout": 120},
            "spec": {
                "annotations": {"humanitec.io/managed-by": "downbeat", "humanitec.io/workload-source": "https://example.com"},
                "containers": {"main": {"id": "main", "image": ".", "args": ["x"], "variables": {"A": "${values.K}", "B": "b"}}},
                "pod": {"setHostnameAsFQDN": true, "list": ["${metadata.name}"], "web": "${externals.db.x}"},
            },
            "externals": {"db": {"type": "dns", "class": "default"}},
        })
    );
}
