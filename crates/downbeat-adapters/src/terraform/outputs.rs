//! From `terraform output -json` to what the driver answers.
//!
//! Pure. Invariant: nothing of an output that the code calls sensitive becomes a plain value.

use std::collections::BTreeMap;

use downbeat_core::{Code, Json, patch::push_token, suggest};
use downbeat_engine::{DriverError, Response};

use crate::code::{Part, leaves, manifests};

/// One output, as the program writes it.
#[derive(serde::Deserialize)]
struct Output {
    #[serde(default)]
    sensitive: bool,
    #[serde(default)]
    value: Json,
}

/// Turns the outputs into a response. `wanted` is the output that holds manifests.
pub(super) fn response(text: &[u8], wanted: Option<&str>) -> Result<Response, DriverError> {
    let unreadable = |_| failed("the outputs of the code are not the JSON that was expected");
    let outputs: BTreeMap<String, Output> = serde_json::from_slice(text).map_err(unreadable)?;
    let mut response = Response::default();
    if let Some(name) = wanted.filter(|name| !outputs.contains_key(*name)) {
        let message = format!("the code has no output {name:?}, which `manifests_output` names");
        let near = suggest::nearest(name, outputs.keys().map(String::as_str));
        let error = DriverError::new(Code::BadManifest, message);
        return Err(match near {
            Some(near) => error.hint(format!("Did you mean {near:?}?")),
            None => error,
        });
    }
    for (name, output) in outputs {
        if Some(&*name) == wanted {
            let part = if output.sensitive { Part::Secrets } else { Part::Values };
            let what = format!("the output {name:?}");
            response.manifests = manifests(&what, &name, part, output.value)?;
            continue;
        }
        if output.sensitive {
            let mut at = String::new();
            push_token(&mut at, &name);
            leaves(output.value, &mut at, &mut response.secrets);
        } else {
            response.values.insert(name, output.value);
        }
    }
    Ok(response)
}

fn failed(message: &str) -> DriverError {
    DriverError::new(Code::Driver, message)
}

#[cfg(test)]
mod tests {
    use downbeat_engine::SecretOutput;
    use serde_json::json;

    use super::*;

    fn plain(secrets: &BTreeMap<String, SecretOutput>) -> Vec<(&str, &str)> {
        let text = |output: &'_ SecretOutput| match output {
            SecretOutput::Text(text) => text.expose().to_owned().leak() as &str,
            SecretOutput::Expr(_) => panic!("an expression"),
        };
        secrets.iter().map(|(at, output)| (&**at, text(output))).collect()
    }

    #[test]
    fn types_are_kept_and_sensitive_leaves_are_apart() {
        let outputs = json!({
            "port": {"sensitive": false, "type": "number", "value": 5432},
            "tags": {"value": {"a": [1, true, null]}},
            "none": {"value": null},
            "password": {"sensitive": true, "value": "s3cret"},
            "user": {"sensitive": true, "value": {"a/b": 1, "list": ["x", {"y": false}], "n": null}},
        });
        let response = response(outputs.to_string().as_bytes(), None).unwrap();
        let values = json!({"port": 5432, "tags": {"a": [1, true, null]}, "none": null});
        assert_eq!(Json::Object(response.values), values);
        let expected = [
            ("/password", "s3cret"),
            ("/user/a~1b", "1"),
            ("/user/list/0", "x"),
            ("/user/list/1/y", "false"),
        ];
        assert_eq!(plain(&response.secrets), expected);
    }

    #[test]
    fn manifests_have_a_shape() {
        let read = |value: Json, sensitive: bool| {
            let outputs = json!({"m": {"sensitive": sensitive, "value": value}});
            response(outputs.to_string().as_bytes(), Some("m"))
        };
        let secret = json!([{"location": "namespace", "data": {"apiVersion": "v1",
            "kind": "Secret", "metadata": {"name": "s"}, "stringData": {"p": "s3cret"}}}]);
        let found = read(secret, true).unwrap();
        assert!(found.values.is_empty());
        assert_eq!(found.manifests[0].data["metadata"]["name"], "s");
        assert_eq!(found.manifests[0].data["stringData"]["p"], Json::Null);
        assert_eq!(plain(&found.manifests[0].secrets), [("/stringData/p", "s3cret")]);
        for (wrong, reason) in [
            (json!({}), "it is not a list"),
            (json!([1]), "item 0 is not an object"),
            (json!([{"location": "moon", "data": {}}]), "item 0 has no valid `location`"),
            (json!([{"location": "cluster"}]), "the `data` of item 0 is not an object"),
            (json!([{"location": "cluster", "data": {}, "x": 1}]), "unknown member \"x\""),
        ] {
            let error = read(wrong, false).unwrap_err();
            assert_eq!(error.code, Code::BadManifest);
            assert!(error.message.contains(reason), "{}", error.message);
        }
    }
}
