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

/// A schema with the sentence that people read about it.
fn about(schema: &Json, description: &str) -> Json {
    let mut schema = schema.clone();
    if let Some(members) = schema.as_object_mut() {
        members.insert("description".to_owned(), description.into());
    }
    schema
}

/// What `humanitec/terraform` understands (`docs/concepts/terraform.md`).
fn terraform_inputs() -> JsonMap {
    let text = json!({ "type": "string" });
    let texts = json!({ "type": "object", "additionalProperties": text });
    let any = json!({ "type": "object" });
    let flag = json!({ "type": ["boolean", "string"] });
    let schema = json!({
        "type": "object",
        "properties": {
            "values": {
                "type": "object",
                "additionalProperties": false,
                "properties": {
                    "script": about(&text, "the code, as `main.tf`"),
                    "source": about(&json!({
                        "type": "object",
                        "additionalProperties": false,
                        "required": ["url"],
                        "properties":
                            { "url": text, "rev": text, "path": text, "username": text },
                    }), "the code in Git: `url`, `rev` (branch, tag or commit), `path`, `username`"),
                    "files": about(&texts, "files by name, put over the code of `source`"),
                    "variables": about(&any, "variables of the code, with their JSON types"),
                    "credentials_config": about(&json!({
                        "type": "object",
                        "additionalProperties": false,
                        "properties":
                            { "variables": texts, "environment": texts, "file": text },
                    }), "how the driver account is handed over: `variables`, `environment`, `file`"),
                    "append_logs_to_error":
                        about(&flag, "`true`: the end of the log is part of an error"),
                    "manifests_output": about(&text, "name of the output that holds manifests"),
                    "runner_mode":
                        about(&text, "`custom-kubernetes`: runs as a Job in the cluster of `runner`"),
                    "runner": about(&any, "cluster, namespace and service account of that Job"),
                    "timeout": about(&timeout(), TIMEOUT),
                },
            },
            "secrets": {
                "type": "object",
                "additionalProperties": false,
                "properties": {
                    "script": about(&text, "as the plain one, sealed"),
                    "source": about(&json!({
                        "type": "object",
                        "additionalProperties": false,
                        "properties": { "password": text, "ssh_key": text },
                    }), "`password` or `ssh_key` of the repository"),
                    "files": about(&texts, "files with secret content, by name"),
                    "variables": about(&any, "secret variables, put over the plain ones"),
                    "account": about(
                        &json!({ "type": ["object", "string"] }),
                        "the credentials of the driver account",
                    ),
                    "runner": about(&any, "`credentials` and `agent_url` of the runner's cluster"),
                },
            },
        },
    });
    schema.as_object().cloned().unwrap_or_default()
}

const TIMEOUT: &str = "seconds that a run may take";

fn timeout() -> Json {
    json!({ "type": ["integer", "string"], "minimum": 1, "maximum": 86400 })
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
        "job": about(&object(json!({
            "image": text,
            "command": { "type": ["array", "string"], "items": text },
            "program": { "enum": ["terraform", "tofu"] },
            "shared_directory": text,
            "namespace": text,
            "service_account": text,
            "variables": any,
            "pod_template": any,
        }), &[]), "the image and how it is run"),
        "runner": about(&object(json!({
            "image": text,
            "namespace": text,
            "service_account": text,
            "pod_template": any,
        }), &[]), "image, namespace, service account and pod template of the Job"),
        "cluster": about(
            &object(json!({ "account": text, "cluster": any }), &["cluster"]),
            "where it runs: `cluster` as a driver of clusters puts it out, and its `account`",
        ),
        "config": about(&any, "what the resource `config` of the platform puts out"),
        "source": about(&object(
            json!({ "url": text, "ref": text, "path": text, "username": text }),
            &["url"],
        ), "the code in Git: `url`, `ref` (branch, tag or commit), `path`, `username`"),
        "files": about(&texts, "files by name, put over the code of `source`"),
        "variables": about(&any, "variables of the code, with their JSON types"),
        "credentials_config": about(&object(
            json!({ "variables": texts, "environment": texts, "file": text }),
            &[],
        ), "how the driver account is handed over: `variables`, `environment`, `file`"),
        "skip_permission_checks":
            about(&flag, "`true`: the rights of the service account are not checked first"),
        "use_default_backend":
            about(&flag, "`true`: the code has a backend of its own"),
        "timeout": about(&timeout(), TIMEOUT),
    });
    let secrets = json!({
        "job": about(&object(json!({ "variables": any }), &[]), "secret environment variables"),
        "cluster": about(
            &object(json!({ "agent_url": text, "credentials": any }), &[]),
            "`credentials` of the cluster, and `agent_url`",
        ),
        "source": about(
            &object(json!({ "password": text, "ssh_key": text }), &[]),
            "`password` or `ssh_key` of the repository",
        ),
        "files": about(&texts, "files with secret content, by name"),
        "variables": about(&any, "secret variables, put over the plain ones"),
        "account": about(&any, "the credentials of the driver account"),
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
