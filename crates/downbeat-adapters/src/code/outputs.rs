//! What a run puts out: secret leaves, and manifests.
//!
//! Pure. Shared by all that runs infrastructure code.

use std::collections::BTreeMap;

use downbeat_core::{Code, Json, JsonMap, Secret, manifest::Location, patch::push_token};
use downbeat_engine::{DriverError, DriverManifest, SecretOutput};

use super::Part;

/// Every leaf as a secret; what is no text keeps its JSON form.
pub(crate) fn leaves(value: Json, at: &mut String, secrets: &mut BTreeMap<String, SecretOutput>) {
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

/// Reads a list of manifests. `what` names it in messages, `name` labels its items.
pub(crate) fn manifests(
    what: &str,
    name: &str,
    part: Part,
    value: Json,
) -> Result<Vec<DriverManifest>, DriverError> {
    let bad = |reason: &str| {
        let message = format!("{what} cannot be used as manifests: {reason}");
        DriverError::new(Code::BadManifest, message)
            .hint("It has to be a list of objects with `location` and `data`")
    };
    let Json::Array(items) = value else { return Err(bad("it is not a list")) };
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
        let secrets = match part {
            Part::Secrets => take_secrets(&mut data),
            Part::Values => BTreeMap::new(),
        };
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
