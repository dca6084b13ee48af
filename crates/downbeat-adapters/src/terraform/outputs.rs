//! From `terraform output -json` to what the driver answers.
//!
//! Pure. Invariant: nothing of an output that the code calls sensitive becomes a plain value.

use std::collections::BTreeMap;

use downbeat_core::{Code, Json, JsonMap, Secret, manifest::Location, patch::push_token, suggest};
use downbeat_engine::{DriverError, DriverManifest, Response, SecretOutput};

/// One output, as the program writes it.
#[derive(serde::Deserialize)]
struct Output {
    #[serde(default)]
    sensitive: bool,
    #[serde(default)]
    value: Json,
}

/// Turns the outputs into a response. `manifests` is the output that holds manifests.
pub(super) fn response(text: &[u8], manifests: Option<&str>) -> Result<Response, DriverError> {
    let unreadable = |_| failed("the outputs of the code are not the JSON that was expected");
    let outputs: BTreeMap<String, Output> = serde_json::from_slice(text).map_err(unreadable)?;
    let mut response = Response::default();
    if let Some(name) = manifests.filter(|name| !outputs.contains_key(*name)) {
        let message = format!("the code has no output {name:?}, which `manifests_output` names");
        let near = suggest::nearest(name, outputs.keys().map(String::as_str));
        let error = DriverError::new(Code::BadManifest, message);
        return Err(match near {
            Some(near) => error.hint(format!("Did you mean {near:?}?")),
            None => error,
        });
    }
    for (name, output) in outputs {
        if Some(&*name) == manifests {
            response.manifests = read_manifests(&name, output)?;
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

/// Every leaf as a secret; what is no text keeps its JSON form.
fn leaves(value: Json, at: &mut String, secrets: &mut BTreeMap<String, SecretOutput>) {
    let length = at.len();
    match value {
        Json::Null => {}
        Json::Object(members) if !members.is_empty() => {
            for (name, member) in members {
                push_token(at, &name);
                leaves(member, at, secrets);
                at.truncate(length);
            }
        }
        Json::Array(items) if !items.is_empty() => {
            for (index, item) in items.into_iter().enumerate() {
                push_token(at, &index.to_string());
                leaves(item, at, secrets);
                at.truncate(length);
            }
        }
        Json::String(text) => {
            secrets.insert(at.clone(), SecretOutput::Text(Secret::new(text)));
        }
        other => {
            secrets.insert(at.clone(), SecretOutput::Text(Secret::new(other.to_string())));
        }
    }
}

fn read_manifests(name: &str, output: Output) -> Result<Vec<DriverManifest>, DriverError> {
    let bad = |reason: &str| {
        let message = format!("the output {name:?} cannot be used as manifests: {reason}");
        DriverError::new(Code::BadManifest, message)
            .hint("It has to be a list of objects with `location` and `data`")
    };
    let Json::Array(items) = output.value else { return Err(bad("it is not a list")) };
    let mut manifests = Vec::with_capacity(items.len());
    for (index, item) in items.into_iter().enumerate() {
        let Json::Object(mut members) = item else {
            return Err(bad(&format!("item {index} is not an object")));
        };
        let location = members.remove("location").unwrap_or_default();
        let location: Location = serde_json::from_value(location).map_err(|_| {
            bad(&format!(
                "item {index} has no valid `location` (namespace, cluster, containers or volumes)"
            ))
        })?;
        let Some(Json::Object(data)) = members.remove("data") else {
            return Err(bad(&format!("the `data` of item {index} is not an object")));
        };
        if let Some(unknown) = members.keys().next() {
            return Err(bad(&format!("item {index} has the unknown member {unknown:?}")));
        }
        let mut data = data;
        let secrets = if output.sensitive { take_secrets(&mut data) } else { BTreeMap::new() };
        manifests.push(DriverManifest {
            name: format!("{name}[{index}]"),
            location,
            data: Json::Object(data),
            secrets,
        });
    }
    Ok(manifests)
}

/// In a sensitive manifest, every text is secret but those that say what the object is.
fn take_secrets(data: &mut JsonMap) -> BTreeMap<String, SecretOutput> {
    let mut secrets = BTreeMap::new();
    for (name, member) in data {
        if !matches!(name.as_str(), "apiVersion" | "kind" | "metadata" | "type" | "name") {
            let mut at = String::new();
            push_token(&mut at, name);
            take_texts(member, &mut at, &mut secrets);
        }
    }
    secrets
}

fn take_texts(value: &mut Json, at: &mut String, secrets: &mut BTreeMap<String, SecretOutput>) {
    let length = at.len();
    match value {
        Json::String(text) => {
            let text = Secret::new(std::mem::take(text));
            secrets.insert(at.clone(), SecretOutput::Text(text));
            *value = Json::Null;
        }
        Json::Array(items) => {
            for (index, item) in items.iter_mut().enumerate() {
                push_token(at, &index.to_string());
                take_texts(item, at, secrets);
                at.truncate(length);
            }
        }
        Json::Object(members) => {
            for (name, member) in members {
                push_token(at, name);
                take_texts(member, at, secrets);
                at.truncate(length);
            }
        }
        _ => {}
    }
}

fn failed(message: &str) -> DriverError {
    DriverError::new(Code::Driver, message)
}

#[cfg(test)]
mod tests {
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
