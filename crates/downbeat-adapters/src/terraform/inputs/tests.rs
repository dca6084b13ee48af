use std::collections::BTreeMap;

use downbeat_core::{Code, Json, ResourceKey};
use downbeat_engine::{Request, RunKeys};
use serde_json::json;

use super::{Wanted, read};
use crate::{
    code::mask,
    container::{self, ContainerOptions},
};

/// The code and message of inputs that are refused, with the hint behind it.
fn refused(values: &Json, secrets: &Json) -> String {
    let error = read(values, secrets).unwrap_err();
    format!("{} {} | {}", error.code, error.message, error.hint.unwrap_or_default())
}

#[test]
fn unknown_and_ill_typed_inputs_are_named() {
    for (values, secrets, expected) in [
        (
            json!({"scirpt": ""}),
            json!({}),
            "RES-103 the driver input `values.scirpt` is not known | Did you mean \"script\"?",
        ),
        (
            json!({"script": 7}),
            json!({}),
            "RES-103 the driver input `values.script` is a number; expected a text | ",
        ),
        (
            json!({"script": ""}),
            json!({"sorce": {}}),
            "RES-103 the driver input `secrets.sorce` is not known | Did you mean \"source\"?",
        ),
        (
            json!({"source": {"url": "https://x/y", "ref": "main"}}),
            json!({}),
            "RES-103 the driver input `values.source.ref` is not known | Did you mean \"rev\"?",
        ),
        (
            json!({"source": {}}),
            json!({}),
            "RES-103 the driver input `values.source.url` is missing | ",
        ),
        (
            json!({"files": {"a.txt": "x"}}),
            json!({}),
            "RES-103 there is no code to run | Give one of `script`, `source`, or `files` with a \
             `.tf` file",
        ),
        (
            json!({"script": "", "files": {"../x.tf": ""}}),
            json!({}),
            "RES-103 the file name \"../x.tf\" cannot be used: it has an empty part, `.` or `..` \
             in it | Files are written below the folder of the root module",
        ),
        (
            json!({"script": "", "timeout": "soon"}),
            json!({}),
            "RES-103 the driver input `values.timeout` is \"soon\"; expected a number of seconds, \
             at most 86400 | ",
        ),
        (
            json!({"script": "", "runner_mode": "custom-kubernetes"}),
            json!({}),
            "RES-103 the driver input `values.runner` is missing | It says where the code runs: \
             `cluster_type`, `cluster` and more",
        ),
        (
            json!({"script": "", "runner_mode": "custom-kubernetes",
                "runner": {"cluster_type": "esk", "cluster": {}}}),
            json!({}),
            "RES-103 `values.runner.cluster_type` is \"esk\", where no Job can run | Did you mean \
             \"eks\"?",
        ),
        (
            json!({"script": "", "credentials_config": {"environment": {"A": "acces_token"}}}),
            json!({"account": {"access_token": "x"}}),
            "RES-103 `values.credentials_config.environment.A`: the credentials have no member \
             \"acces_token\" | Did you mean \"access_token\"?",
        ),
        (
            json!({"script": "", "credentials_config": {"environment": {"TF_HTTP_PASSWORD": "*"}}}),
            json!({"account": {"a": "x"}}),
            "RES-103 `values.credentials_config.environment.TF_HTTP_PASSWORD`: this variable is \
             set by the driver, or its name is not valid | ",
        ),
        (
            json!({"script": "", "credentials_config": {"file": "c.json"}}),
            json!({}),
            "RES-103 `credentials_config` is given, but there are no credentials | Set \
             `driver_account` in the definition, or `account` in its secret inputs",
        ),
    ] {
        assert_eq!(refused(&values, &secrets), expected);
    }
}

#[test]
fn secret_inputs_win_and_credentials_are_mapped() {
    let values = json!({
        "script": "plain", "files": {"a": "1", "b": "2"}, "variables": {"x": 1, "y": [true]},
        "credentials_config": {"variables": {"token": "access_token"},
            "environment": {"ALL": "*"}, "file": "keys/all.json"},
        "timeout": 5,
    });
    let secrets = json!({
        "script": "hidden", "files": {"b": "3"}, "variables": {"x": "one"},
        "account": "{\"access_token\":\"t0ken-t0ken\"}",
    });
    let Wanted::Here(inputs) = read(&values, &secrets).unwrap() else { panic!("not here") };
    let whole = "{\"access_token\":\"t0ken-t0ken\"}";
    let code = &inputs.code;
    let files: Vec<_> = code.files.iter().map(|(path, text)| (&**path, text.expose())).collect();
    let expected = [("a", "1"), ("b", "3"), ("keys/all.json", whole), ("main.tf", "hidden")];
    assert_eq!(files, expected);
    let variables = json!({"x": "one", "y": [true], "token": "t0ken-t0ken"});
    let file = code.variables.file().unwrap();
    assert_eq!(serde_json::from_str::<Json>(file.expose()).unwrap(), variables);
    assert_eq!(code.environment["ALL"].expose(), whole);
    assert_eq!(mask("say hidden t0ken-t0ken 3", &code.masked), "say *** *** 3");
    let again = super::from_cookie(&super::to_cookie(&values, &secrets, None), None).unwrap();
    assert_eq!(again, *inputs);
}

#[test]
fn a_refusal_has_the_code_of_inputs() {
    assert_eq!(read(&json!([]), &json!({})).unwrap_err().code, Code::DriverInputs);
}

#[test]
fn a_run_in_a_cluster_becomes_a_job_of_our_own_script() {
    // As published, with the secrets of the runner as one text.
    let values = json!({
        "append_logs_to_error": true,
        "runner_mode": "custom-kubernetes",
        "runner": {
            "cluster_type": "aks", "cluster": {"name": "c", "loadbalancer": "192.0.2.1"},
            "service_account": "humanitec-tf-runner-sa", "namespace": "humanitec-tf-runner",
            "runner_pod_template":
                "metadata:\n  labels:\n    azure.workload.identity/use: \"true\"\n",
        },
        "credentials_config": {"environment": {"AWS_ACCESS_KEY_ID": "AccessKeyId"}},
        "source": {"path": "s3/bucket/", "rev": "refs/heads/main", "url": "git.example:o/r.git"},
        "variables": {"bucket": "b"},
        "manifests_output": "objects",
    });
    let secrets = json!({
        "account": {"AccessKeyId": "AKIA-hidden"},
        "runner": "{\"credentials\": {\"password\": \"hidden-password\"}}",
        "source": {"ssh_key": "hidden-key"},
    });
    let Wanted::InCluster(inputs) = read(&values, &secrets).unwrap() else { panic!("here") };
    let request = Request {
        guresid: "0a1b",
        key: &ResourceKey::new("s3", "default", "shared.files"),
        resource: &json!({}),
        values: &values,
        secrets: &secrets,
        secret_exprs: &BTreeMap::new(),
        secret_texts: &BTreeMap::new(),
        cookie: None,
        seed: [0; 32],
        idempotency_key: "k",
        target: "",
    };
    let options = ContainerOptions {
        server: Some("https://downbeat.example".to_owned()),
        ..ContainerOptions::new(RunKeys::new(b"seed"))
    };
    let ready = container::ready(&options, &request, *inputs).unwrap();
    assert_eq!(ready.cluster.kind.as_deref(), Some("aks"));
    let credentials = ready.cluster.credentials.unwrap();
    assert_eq!(credentials.expose(), "{\"password\":\"hidden-password\"}");
    let job = &ready.objects[2].data;
    assert_eq!(job["metadata"]["namespace"], "humanitec-tf-runner");
    let pod = &job["spec"]["template"];
    assert_eq!(pod["metadata"]["labels"]["azure.workload.identity/use"], "true");
    let run = &pod["spec"]["initContainers"][1];
    assert_eq!(run["image"], "hashicorp/terraform:1.5.7");
    let environment = run["env"].as_array().unwrap();
    assert!(
        environment.contains(&json!({"name": "DOWNBEAT_MANIFESTS_OUTPUT", "value": "objects"}))
    );
    let named = |name: &str| environment.iter().any(|variable| variable["name"] == name);
    assert!(named("AWS_ACCESS_KEY_ID") && named("DOWNBEAT_PROGRAM"));
    for object in &ready.objects {
        assert!(!object.data.to_string().contains("hidden"));
    }
}
