//! The drivers that v1 brings along, under the organization `humanitec` (also `downbeat`).
//!
//! Definitions may name all of them; which ones can run is decided by the adapters at deployment.

mod simple;

use downbeat_api::driver::ResourceDriver;
use downbeat_core::{Json, JsonMap, builtin};
use serde_json::json;

/// The organization of the built-in drivers.
pub(crate) const ORG: &str = "humanitec";

/// Another name of that organization. What a client sent is kept as it is.
const ALIAS: &str = "downbeat";

/// All built-in drivers, by id.
pub(crate) fn all() -> impl Iterator<Item = ResourceDriver> {
    builtin::drivers().iter().map(shown)
}

/// A built-in driver as the API shows it.
pub(crate) fn shown(driver: &builtin::Driver) -> ResourceDriver {
    ResourceDriver {
        org_id: ORG.to_owned(),
        id: driver.id.to_owned(),
        r#type: driver.makes.to_owned(),
        account_types: driver.account_types.iter().map(|&account| account.to_owned()).collect(),
        inputs_schema: match driver.id {
            "terraform" => terraform_inputs(),
            "container" => container_inputs(Needs::Everything),
            "container-runner" => container_inputs(Needs::Job),
            "opentofu-container-runner" | "terraform-container-runner" => {
                container_inputs(Needs::Nothing)
            }
            id => simple::inputs(id).unwrap_or_else(any_object),
        },
        target: None,
        template: None,
    }
}

/// The id in a reference to a built-in driver, or the id alone.
pub(crate) fn id(reference: &str) -> &str {
    match reference.split_once('/') {
        Some((ORG | ALIAS, id)) => id,
        _ => reference,
    }
}

/// Ids of all built-in drivers.
pub(crate) fn ids() -> impl Iterator<Item = &'static str> {
    builtin::drivers().iter().map(|driver| driver.id)
}

fn any_object() -> JsonMap {
    json!({ "type": "object" }).as_object().cloned().unwrap_or_default()
}

/// What `humanitec/terraform` understands (`docs/concepts/terraform.md`).
fn terraform_inputs() -> JsonMap {
    let text = json!({ "type": "string" });
    let texts = json!({ "type": "object", "additionalProperties": text });
    let any = json!({ "type": "object" });
    let schema = json!({
        "type": "object",
        "properties": {
            "values": {
                "type": "object",
                "additionalProperties": false,
                "properties": {
                    "script": text,
                    "source": {
                        "type": "object",
                        "additionalProperties": false,
                        "required": ["url"],
                        "properties":
                            { "url": text, "rev": text, "path": text, "username": text },
                    },
                    "files": texts,
                    "variables": any,
                    "credentials_config": {
                        "type": "object",
                        "additionalProperties": false,
                        "properties":
                            { "variables": texts, "environment": texts, "file": text },
                    },
                    "append_logs_to_error": { "type": ["boolean", "string"] },
                    "manifests_output": text,
                    "runner_mode": text,
                    "runner": any,
                    "timeout": { "type": ["integer", "string"], "minimum": 1, "maximum": 86400 },
                },
            },
            "secrets": {
                "type": "object",
                "additionalProperties": false,
                "properties": {
                    "script": text,
                    "source": {
                        "type": "object",
                        "additionalProperties": false,
                        "properties": { "password": text, "ssh_key": text },
                    },
                    "files": texts,
                    "variables": any,
                    "account": { "type": ["object", "string"] },
                    "runner": any,
                },
            },
        },
    });
    schema.as_object().cloned().unwrap_or_default()
}

/// What a driver that runs an image has to be given.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Needs {
    Everything,
    /// Where it runs comes from the platform's `config`.
    Job,
    /// What runs is part of the driver.
    Nothing,
}

/// What `humanitec/container` understands, and the drivers over it
/// (`docs/concepts/containers.md`). Whole members may be placeholders, which are texts.
fn container_inputs(needs: Needs) -> JsonMap {
    let text = json!({ "type": "string" });
    let texts = json!({ "type": ["object", "string"], "additionalProperties": text });
    let any = json!({ "type": ["object", "string"] });
    let flag = json!({ "type": ["boolean", "string"] });
    let object = |properties: Json, required: &[&str]| {
        json!({
            "type": ["object", "string"],
            "additionalProperties": false,
            "properties": properties,
            "required": required,
        })
    };
    let required: &[&str] = match needs {
        Needs::Everything => &["job", "cluster"],
        Needs::Job => &["job"],
        Needs::Nothing => &[],
    };
    let values = json!({
        "job": object(json!({
            "image": text,
            "command": { "type": ["array", "string"], "items": text },
            "program": { "enum": ["terraform", "tofu"] },
            "shared_directory": text,
            "namespace": text,
            "service_account": text,
            "variables": any,
            "pod_template": any,
        }), &[]),
        "runner": object(json!({
            "image": text,
            "namespace": text,
            "service_account": text,
            "pod_template": any,
        }), &[]),
        "cluster": object(json!({ "account": text, "cluster": any }), &["cluster"]),
        "config": any,
        "source": object(
            json!({ "url": text, "ref": text, "path": text, "username": text }),
            &["url"],
        ),
        "files": texts,
        "variables": any,
        "credentials_config": object(
            json!({ "variables": texts, "environment": texts, "file": text }),
            &[],
        ),
        "skip_permission_checks": flag,
        "use_default_backend": flag,
        "timeout": { "type": ["integer", "string"], "minimum": 1, "maximum": 86400 },
    });
    let secrets = json!({
        "job": object(json!({ "variables": any }), &[]),
        "cluster": object(json!({ "agent_url": text, "credentials": any }), &[]),
        "source": object(json!({ "password": text, "ssh_key": text }), &[]),
        "files": texts,
        "variables": any,
        "account": any,
    });
    let schema = json!({
        "type": "object",
        "properties": {
            "values": {
                "type": "object",
                "additionalProperties": false,
                "properties": values,
                "required": required,
            },
            "secrets": {
                "type": "object",
                "additionalProperties": false,
                "properties": secrets,
            },
        },
    });
    schema.as_object().cloned().unwrap_or_default()
}
