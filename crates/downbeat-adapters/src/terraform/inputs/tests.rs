use downbeat_core::{Code, Json};
use serde_json::json;

use super::{Wanted, read};
use crate::code::mask;

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
    let again = super::from_cookie(&super::to_cookie(&values, &secrets)).unwrap();
    assert_eq!(again, *inputs);
}

#[test]
fn a_refusal_has_the_code_of_inputs() {
    assert_eq!(read(&json!([]), &json!({})).unwrap_err().code, Code::DriverInputs);
}
