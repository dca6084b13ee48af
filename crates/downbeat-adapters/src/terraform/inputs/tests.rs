use downbeat_core::{Code, Json};
use serde_json::json;

use super::{inside, mask, read};

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
            "API-501 `runner_mode: custom-kubernetes` is not there yet | Leave `runner_mode` out \
             to run the code on the server",
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
    let inputs = read(&values, &secrets).unwrap();
    let whole = "{\"access_token\":\"t0ken-t0ken\"}";
    let files: Vec<_> = inputs.files.iter().map(|(path, text)| (&**path, &**text)).collect();
    let expected = [("a", "1"), ("b", "3"), ("keys/all.json", whole), ("main.tf", "hidden")];
    assert_eq!(files, expected);
    let variables = json!({"x": "one", "y": [true], "token": "t0ken-t0ken"});
    assert_eq!(Json::Object(inputs.variables.clone()), variables);
    assert_eq!(inputs.environment.get("ALL").map(String::as_str), Some(whole));
    assert_eq!(mask("say hidden t0ken-t0ken 3", &inputs.masked), "say *** *** 3");
    let again = super::from_cookie(&super::to_cookie(&values, &secrets), None).unwrap();
    assert_eq!(again, inputs);
}

#[test]
fn a_secret_is_masked_where_lines_are_broken() {
    let masked = [downbeat_core::Secret::new("correct horse staple".to_owned())];
    let text = "a correct horse\n│   staple, correct horse, correct correct horse staple";
    assert_eq!(mask(text, &masked), "a ***, correct horse, correct ***");
}

#[test]
fn paths_stay_inside() {
    for good in ["main.tf", "a/b.tf", ".gitconfig", "..a/b"] {
        assert_eq!(inside(good), Ok(()), "{good}");
    }
    for bad in ["", "/etc/passwd", "..", "a/../../b", "a//b", "./a", "a\\b", "a\nb", ".git/config"]
    {
        assert!(inside(bad).is_err(), "{bad}");
    }
}

#[test]
fn a_refusal_has_the_code_of_inputs() {
    assert_eq!(read(&json!([]), &json!({})).unwrap_err().code, Code::DriverInputs);
}
