use std::collections::BTreeMap;

use downbeat_core::{Code, Json, ResourceKey, Secret, SecretExpr, json::sorted};
use downbeat_engine::{
    BoxFuture, DriverError, ExternalDriver, Memory, Removal, Request, RunKeys, SecretOutput,
};
use proptest::prelude::*;
use serde_json::json;

use super::{Container, ContainerOptions, Ready, Written, failure, response, run};

mod script;

const GURESID: &str = "0123456789abcdef0123456789abcdef01234567";

fn options() -> ContainerOptions {
    ContainerOptions {
        image: "downbeat:test".to_owned(),
        server: Some("https://downbeat.example/".to_owned()),
        ..ContainerOptions::new(RunKeys::new(b"seed"))
    }
}

/// The run of these inputs; texts of the secrets are opened as the engine does it.
fn asked_with(
    options: &ContainerOptions,
    key: &str,
    values: &Json,
    secrets: &Json,
) -> Result<Ready, DriverError> {
    let request = Request {
        guresid: GURESID,
        key: &ResourceKey::new("s3", "default", "modules.web.externals.files"),
        resource: &json!({}),
        values,
        // A plain value in the shape and a text in its place mean the same.
        secrets,
        secret_exprs: &BTreeMap::<String, SecretExpr>::new(),
        secret_texts: &BTreeMap::new(),
        cookie: None,
        seed: [0; 32],
        idempotency_key: key,
        target: "",
    };
    run(options, &request)
}

fn asked(values: &Json, secrets: &Json) -> Result<Ready, DriverError> {
    asked_with(&options(), "run-1", values, secrets)
}

fn refused(values: &Json, secrets: &Json) -> String {
    let error = asked(values, secrets).unwrap_err();
    format!("{} {} | {}", error.code, error.message, error.hint.unwrap_or_default())
}

/// The objects as people may see them; plaintexts are named and not shown.
fn shown(ready: &Ready) -> Json {
    let object = |object: &super::Object| {
        let secrets: Vec<&String> = object.secrets.keys().collect();
        json!({"object": object.data, "secrets": secrets})
    };
    sorted(&ready.objects.iter().map(object).collect::<Json>()).into_owned()
}

/// What the smallest run needs.
fn small() -> Json {
    json!({
        "job": {"image": "registry.example/runner:1", "shared_directory": "/work"},
        "cluster": {"account": "acme/aws", "cluster": {"cluster_type": "eks", "name": "c"}},
    })
}

fn with(changes: Json) -> Json {
    fn lay(into: &mut Json, from: Json) {
        match (into, from) {
            (Json::Object(into), Json::Object(from)) => {
                for (name, value) in from {
                    lay(into.entry(name).or_insert(Json::Null), value);
                }
            }
            (into, from) => *into = from,
        }
    }
    let mut values = small();
    lay(&mut values, changes);
    values
}

#[test]
fn the_objects_of_an_image_with_everything() {
    let values = with(json!({
        "job": {"command": ["/opt/run", "$(ACTION)"], "namespace": "runs", "service_account": "sa",
            "variables": {"REGION": "eu", "PRICE": "5$"},
            "pod_template": "metadata:\n  labels: {team: core}\nspec:\n  imagePullSecrets:\n    - \
                name: pull\n  nodeSelector: {pool: runs}\n  volumes:\n    - {name: ca, configMap: \
                {name: ca}}\n  initContainers:\n    - {name: proxy, image: p, restartPolicy: \
                Always}\n  containers:\n    - name: job\n      env: [{name: X, value: y}]\n      \
                resources: {limits: {memory: 1Gi}}\n      volumeMounts: [{name: ca, mountPath: \
                /etc/ca}]\n"},
        "source": {"url": "https://git.example/x.git", "ref": "refs/heads/main", "path": "live/s3",
            "username": "bot"},
        "files": {"a.tf": "", "deep/b.txt": "plain"},
        "variables": {"name": "n", "size": 3},
        "credentials_config": {"environment": {"AWS_ACCESS_KEY_ID": "AccessKeyId"},
            "file": "creds.json"},
        "timeout": 60,
    }));
    let secrets = json!({
        "account": {"AccessKeyId": "AKIA-hidden"},
        "cluster": {"agent_url": "https://hidden.example"},
        "job": {"variables": {"TF_VAR_my-password": "hunter22-hunter22"}},
        "source": {"password": "git-hidden"},
        "files": {"secret.txt": "hidden-file"},
        "variables": {"token": "hidden-token"},
    });
    let ready = asked(&values, &secrets).unwrap();
    insta::assert_yaml_snapshot!("everything", shown(&ready));
    let secret = serde_json::from_str::<Json>(ready.objects[0].filled().expose()).unwrap();
    let plan: Json =
        serde_json::from_str(secret["stringData"]["plan.json"].as_str().unwrap()).unwrap();
    insta::assert_yaml_snapshot!("everything-plan", sorted(&plan));
    assert_eq!(secret["stringData"]["env.TF_VAR_my-password"], "hunter22-hunter22");
    assert_eq!(secret["stringData"]["git.password"], "git-hidden");
    assert!(ready.cluster.agent_url.is_some());
}

#[test]
fn the_objects_of_our_own_run_script() {
    let values = json!({
        "job": {"program": "tofu"},
        "config": {"runner": {"namespace": "platform"}, "skip_permission_checks": true, "x": 1},
        "runner": {"image": "mirror.example/opentofu:1.9.0"},
        "cluster": {"cluster": {"cluster_type": "k8s"}},
        "files": {"main.tf": "output \"x\" { value = 1 }"},
        "use_default_backend": true,
    });
    let ready = asked(&values, &json!({"cluster": {"agent_url": ""}})).unwrap();
    insta::assert_yaml_snapshot!("own-script", shown(&ready)[2]);
    assert!(ready.skip_permission_checks && ready.cluster.agent_url.is_none());
    let ready = asked(&values, &json!({"cluster": {"agent_url": "direct://far"}})).unwrap();
    assert!(ready.cluster.agent_url.is_none());
    let plan: Json =
        serde_json::from_str(ready.objects[0].secrets["/stringData/plan.json"].expose()).unwrap();
    let backend: Json = serde_json::from_str(plan["backend"]["content"].as_str().unwrap()).unwrap();
    let http = &backend["terraform"]["backend"]["http"];
    assert_eq!(http["address"], format!("https://downbeat.example/terraform/state/{GURESID}"));
    assert_eq!(http["password"], options().keys.make(GURESID).expose());
    assert!(http["username"].as_str().unwrap().starts_with("downbeat-run-"));
    // Without an address there is nobody to keep the state; code with a backend does not ask.
    let nowhere = ContainerOptions { server: None, ..options() };
    let error = asked_with(&nowhere, "k", &values, &json!({})).unwrap_err();
    assert_eq!(error.code, Code::NoRunner);
    assert!(error.hint.unwrap().contains("DOWNBEAT_CLUSTER_URL"));
    let mut own = values;
    own["files"]["backend.tf"] = json!("terraform {\n  backend \"s3\" {\n  }\n}\n");
    let ready = asked_with(&nowhere, "k", &own, &json!({})).unwrap();
    assert!(!ready.objects[0].filled().expose().contains("terraform/state"));
}

/// Keeps nothing, and says so.
struct Forgets;

impl Memory for Forgets {
    fn keep(&self, _: Secret) -> BoxFuture<'_, Result<(), DriverError>> {
        Box::pin(std::future::ready(Err(DriverError::new(Code::Internal, "kept"))))
    }
}

#[tokio::test]
async fn the_driver_finds_mistakes_and_then_names_what_runs() {
    let driver = Container::new(options());
    let key = ResourceKey::new("s3", "default", "shared.files");
    let said = async |values: &Json| {
        let request = Request {
            guresid: GURESID,
            key: &key,
            resource: &json!({}),
            values,
            secrets: &json!({}),
            secret_exprs: &BTreeMap::new(),
            secret_texts: &BTreeMap::new(),
            cookie: None,
            seed: [0; 32],
            idempotency_key: "k",
            target: "",
        };
        driver.provision(&request, &Forgets).await.unwrap_err()
    };
    let error = said(&small()).await;
    assert_eq!(error.code, Code::NoRunner);
    assert!(error.hint.unwrap().starts_with("Use \"humanitec/terraform\" instead: "));
    assert_eq!(said(&json!({})).await.code, Code::DriverInputs);
    let removal = Removal { guresid: GURESID, key: &key, cookie: None, account: None, target: "" };
    driver.deprovision(&removal, &Forgets).await.unwrap();
}

#[test]
fn one_run_has_one_name() {
    let name = |key: &str| {
        let ready = asked_with(&options(), key, &small(), &json!({})).unwrap();
        let names: Vec<Json> =
            ready.objects.iter().map(|one| one.data["metadata"]["name"].clone()).collect();
        assert!(names.iter().all(|name| *name == names[0]), "{names:?}");
        names[0].as_str().unwrap().to_owned()
    };
    assert_eq!(name("a"), name("a"));
    assert_ne!(name("a"), name("b"));
    assert!(name("a").len() <= 57 && name("a").starts_with(&format!("run-{GURESID}-")));
}

#[test]
fn mistakes_are_named_with_their_place() {
    for (values, secrets, expected) in [
        (json!({}), json!({}), "`values.job` is missing | It says what runs"),
        (with(json!({"jop": {}})), json!({}), "`values.jop` is not known | Did you mean \"job\"?"),
        (
            with(json!({"job": {"imgae": "x"}})),
            json!({}),
            "`values.job.imgae` is not known | Did you mean \"image\"?",
        ),
        (with(json!({"job": {"image": ""}})), json!({}), "`values.job.image` is missing"),
        (with(json!({"job": {"image": "a b"}})), json!({}), "is not the name of an image"),
        (with(json!({"job": "x"})), json!({}), "`values.job` is a string; expected an object"),
        (with(json!({"job": {"command": "run"}})), json!({}), "expected a list of texts"),
        (
            with(json!({"job": {"shared_directory": "work"}})),
            json!({}),
            "`values.job.shared_directory` \"work\" cannot be used: it is not absolute",
        ),
        (with(json!({"job": {"shared_directory": "/"}})), json!({}), "would be hidden"),
        (with(json!({"job": {"shared_directory": "/downbeat/x"}})), json!({}), "it is taken"),
        (with(json!({"job": {"namespace": "A"}})), json!({}), "\"A\" is no namespace"),
        (with(json!({"job": {"service_account": "-"}})), json!({}), "is no name"),
        (
            with(json!({"job": {"variables": {"ACTION": "x"}}})),
            json!({}),
            "`values.job.variables.ACTION`: this variable is set by the driver",
        ),
        (with(json!({"job": {"variables": {"1x": "x"}}})), json!({}), "its name is not valid"),
        (with(json!({"job": {"program": "tofu", "command": ["x"]}})), json!({}), "one of them"),
        (
            with(json!({"job": {"program": "terrafrom"}})),
            json!({}),
            "is not known | Did you mean \"terraform\"?",
        ),
        (with(json!({"cluster": {"cluster": null}})), json!({}), "`values.cluster.cluster` is mis"),
        (
            with(json!({"cluster": {"cluster": {"cluster_type": "git"}}})),
            json!({}),
            "is \"git\", where no Job can run | Expected one of: aks, eks, gke, k8s",
        ),
        (
            with(json!({"source": {"url": "https://x/y", "rev": "main"}})),
            json!({}),
            "`values.source.rev` is not known | Did you mean \"ref\"?",
        ),
        (small(), json!({"job": {"image": "x"}}), "`secrets.job.image` is not known"),
        (small(), json!({"cluster": {"agentUrl": "x"}}), "Did you mean \"agent_url\"?"),
        (with(json!({"files": {".downbeat/run.sh": ""}})), json!({}), "in a folder of the program"),
        (with(json!({"runner": {"command": []}})), json!({}), "`values.runner.command` is not kn"),
    ] {
        let said = refused(&values, &secrets);
        assert!(said.starts_with("RES-103 ") && said.contains(expected), "{expected}\n{said}");
    }
}

#[test]
fn a_pod_template_cannot_break_the_contract() {
    for (template, expected) in [
        ("a: [", "`values.job.pod_template` cannot be read as YAML"),
        ("sepc: {}", "`pod_template.sepc` is not known | Did you mean \"spec\"?"),
        ("metadata: {name: x}", "`pod_template.metadata.name` is not known"),
        (
            "metadata: {labels: {downbeat.dev/guresid: x}}",
            "`pod_template.metadata.labels.downbeat.dev/guresid` is decided by the driver",
        ),
        ("spec: {restartPolicy: Always}", "spec.restartPolicy` is decided by the driver"),
        ("spec: {serviceAccountName: x}", "decided by the driver | Use `service_account`"),
        ("spec: {volumes: [{name: downbeat-run}]}", "volumes[downbeat-run]` is decided"),
        ("spec: {volumes: [{}]}", "`pod_template.spec.volumes[0]` has no `name`"),
        ("spec: {containers: [{name: web}]}", "`pod_template.spec.containers[web]` is not known"),
        ("spec: {containers: [{name: job, image: x}]}", "containers[job].image` is decided"),
        ("spec: {initContainers: [{name: job, command: []}]}", "[job].command` is decided"),
        (
            "spec: {containers: [{name: job, env: [{name: OUTPUTS_FILE, value: x}]}]}",
            "env[OUTPUTS_FILE]` is decided by the driver",
        ),
        (
            "spec: {containers: [{name: job, volumeMounts: [{name: x, mountPath: /work/a}]}]}",
            "volumeMounts[0]` is decided by the driver | It hides /work, or lies in it",
        ),
        (
            "spec: {containers: [{name: prepare, volumeMounts: [{name: x, mountPath: /x/../}]}]}",
            "is decided by the driver | It hides /work",
        ),
    ] {
        let said = refused(&with(json!({"job": {"pod_template": template}})), &json!({}));
        assert!(said.starts_with("RES-103 ") && said.contains(expected), "{expected}\n{said}");
    }
}

#[test]
fn what_is_too_large_for_kubernetes_is_said() {
    let text = "x".repeat(600_000);
    let files = json!({"a": text, "b": text});
    let said = refused(&with(json!({"files": files})), &json!({}));
    assert!(said.contains("have 1200000 bytes together"), "{said}");
    let said = refused(&small(), &json!({"files": files}));
    assert!(said.contains("the secret files") && said.contains("`source`"), "{said}");
    // Each half has its own limit.
    asked(&with(json!({"files": {"a": text}})), &json!({"files": {"b": text}})).unwrap();
}

fn texts(response: &downbeat_engine::Response) -> BTreeMap<String, String> {
    let text = |output: &SecretOutput| match output {
        SecretOutput::Text(text) => text.expose().to_owned(),
        SecretOutput::Expr(_) => panic!("an expression"),
    };
    response.secrets.iter().map(|(at, output)| (at.clone(), text(output))).collect()
}

#[test]
fn what_the_image_wrote_becomes_the_answer() {
    let written = Written {
        outputs: br#"{"port": 1, "tags": [true, null]}"#.to_vec(),
        secret_outputs: br#"{"user": {"name": "u", "n": 2}}"#.to_vec(),
        manifests: br#"[{"location": "namespace", "data": {"kind": "X"}}]"#.to_vec(),
    };
    let made = response(&written).unwrap();
    assert_eq!(Json::Object(made.values.clone()), json!({"port": 1, "tags": [true, null]}));
    let expected = [("/user/n", "2"), ("/user/name", "u")].map(|(a, b)| (a.into(), b.into()));
    assert_eq!(texts(&made), BTreeMap::from(expected));
    assert_eq!(made.manifests[0].data, json!({"kind": "X"}));
    assert!(response(&Written { outputs: b" \n".to_vec(), ..Written::default() }).is_ok());
    let deep = format!("{{\"a\":{}{}}}", "[".repeat(40), "]".repeat(40));
    for (outputs, secret_outputs, manifests, expected) in [
        ("[]", "", "", "the image wrote an array to OUTPUTS_FILE"),
        ("{\"a\": s3cret}", "", "", "OUTPUTS_FILE is not JSON (line 1, column 7)"),
        ("{\"a\":1}", "{\"a\":2}", "", "\"a\" to OUTPUTS_FILE and to SECRET_OUTPUTS_FILE"),
        ("", &*deep, "", "SECRET_OUTPUTS_FILE is nested too deeply"),
        ("", "", "{}", "MANIFESTS_FILE cannot be used as manifests: it is not a list"),
        ("", "", "[{\"data\":{}}]", "item 0 has no valid `location`"),
        (&*"x".repeat(2_000_000), "", "", "more than 1048576 bytes"),
    ] {
        let bytes = |text: &str| text.as_bytes().to_vec();
        let written = Written {
            outputs: bytes(outputs),
            secret_outputs: bytes(secret_outputs),
            manifests: bytes(manifests),
        };
        let error = response(&written).unwrap_err();
        assert!(error.message.contains(expected), "{expected}\n{}", error.message);
        assert!(!error.message.contains("s3cret"));
    }
}

#[test]
fn an_error_text_is_masked_and_short() {
    let masked = [Secret::new("hunter22".to_owned())];
    let error = failure(b"\x1b[31mno hunter22 here\n", &masked);
    assert_eq!(error.message, "the image failed: [31mno *** here");
    assert_eq!(failure(b" ", &[]).message, "the image failed and did not say why");
    assert!(failure(&[b'x'; 100_000], &[]).message.len() < 2_100);
}

// ---- laws -------------------------------------------------------------------------------------

/// Any JSON, with the names that the driver knows among the others.
fn any_json() -> impl Strategy<Value = Json> {
    let name = prop_oneof![
        Just("job"),
        Just("cluster"),
        Just("variables"),
        Just("files"),
        Just("source"),
        Just("url"),
        Just("image"),
        Just("command"),
        Just("pod_template"),
        Just("spec"),
        Just("containers"),
        Just("volumes"),
        Just("env"),
        Just("metadata"),
        Just("runner"),
        Just("program"),
        Just("shared_directory"),
        Just("account"),
        Just("credentials_config"),
        Just("environment"),
        Just("file"),
        Just("name"),
        Just("x"),
    ];
    let leaf = prop_oneof![
        Just(Json::Null),
        any::<bool>().prop_map(Json::from),
        any::<i64>().prop_map(Json::from),
        ".{0,12}".prop_map(Json::from),
        Just(json!("terraform")),
        Just(json!("/work")),
        Just(json!("job")),
        Just(json!("*")),
    ];
    leaf.prop_recursive(5, 48, 6, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Json::from),
            prop::collection::btree_map(name.clone(), inner, 0..6)
                .prop_map(|members| members.into_iter().map(|(k, v)| (k.to_owned(), v)).collect()),
        ]
    })
}

/// A text that occurs nowhere by chance.
fn plaintext() -> impl Strategy<Value = String> {
    "[ -~\n]{0,20}".prop_map(|text| format!("pl41n-t3xt{text}pl41n-t3xt"))
}

proptest! {
    #[test]
    fn any_inputs_are_read_or_refused(values in any_json(), secrets in any_json(),
        template in any_json()) {
        let _ = asked(&values, &secrets);
        let _ = asked(&with(values.clone()), &secrets);
        let _ = asked(&with(json!({"job": {"pod_template": template}})), &secrets);
        let template = json!({"metadata": values, "spec": template});
        let _ = asked(&with(json!({"job": {"pod_template": template}})), &json!({}));
    }

    #[test]
    fn no_secret_is_in_job_or_config_map(
        texts in prop::collection::vec(plaintext(), 8),
        names in prop::collection::vec("[A-Za-z_][A-Za-z0-9_.-]{0,8}", 4),
        everywhere in any::<bool>(),
    ) {
        let [a, b, c, d, e, f, g, h] = <[String; 8]>::try_from(texts).unwrap();
        let values = with(json!({
            "job": {"pod_template": "spec: {nodeSelector: {a: b}}"},
            "source": {"url": "https://git.example/x.git"},
            "files": {"plain": "plain"},
            "credentials_config": {"environment": {"CREDENTIALS": "*"},
                "variables": {"v": "token"}, "file": "all.json"},
            "use_default_backend": everywhere,
        }));
        let mut variables = json!({});
        let mut files = json!({});
        for (name, text) in names.iter().zip([a, b, c, d]) {
            variables[format!("X{name}")] = json!(text);
            files[format!("x-{name}")] = json!(format!("file {text}"));
        }
        let secrets = json!({
            "job": {"variables": variables},
            "files": files,
            "variables": {"w": e},
            "account": {"token": f},
            "source": {"ssh_key": g},
            "cluster": {"agent_url": h},
        });
        let ready = asked(&values, &secrets).unwrap();
        for object in &ready.objects {
            prop_assert!(!object.data.to_string().contains("pl41n-t3xt"));
            prop_assert!(object.data["kind"] == "Secret" || object.secrets.is_empty());
        }
        let printed = format!("{ready:?}");
        prop_assert!(!printed.contains("pl41n-t3xt"));
        // Of what travels, the Secret has everything.
        let whole = ready.objects[0].filled();
        prop_assert!(whole.expose().matches("pl41n-t3xt").count() >= 2 * 7);
    }

    #[test]
    fn any_files_are_read_or_refused(outputs in any::<Vec<u8>>(), manifests in any_json()) {
        let manifests = manifests.to_string().into_bytes();
        let written = Written { outputs: outputs.clone(), secret_outputs: manifests.clone(),
            manifests };
        let _ = response(&written);
        let _ = failure(&outputs, &[Secret::new("x".to_owned())]);
    }
}
