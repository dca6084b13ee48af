//! The drivers that v1 brings along, under the organization `humanitec` (also `downbeat`).
//!
//! Definitions may name all of them; which ones can run is decided by the adapters at deployment.

use downbeat_api::driver::ResourceDriver;
use downbeat_core::{Json, JsonMap};
use serde_json::json;

/// The organization of the built-in drivers.
pub(crate) const ORG: &str = "humanitec";

/// Another name of that organization. What a client sent is kept as it is.
const ALIAS: &str = "downbeat";

/// Type of a driver that makes resources of any type.
pub(crate) const ANY: &str = "*";

const AWS: &[&str] = &["aws", "aws-role"];
const AZURE: &[&str] = &["azure", "azure-identity"];
const GCP: &[&str] = &["gcp", "gcp-identity"];
const CLOUDS: &[&str] = &["aws", "aws-role", "azure", "azure-identity", "gcp", "gcp-identity"];

/// Id, type of resource, types of accounts; by id.
const DRIVERS: &[(&str, &str, &[&str])] = &[
    ("agent", "agent", &[]),
    ("azure-blob", "azure-blob", AZURE),
    ("azure-service-bus-queue", "azure-service-bus-queue", AZURE),
    ("container", ANY, CLOUDS),
    ("container-runner", ANY, CLOUDS),
    ("dns-aws-route53", "dns", AWS),
    ("dns-azure", "dns", AZURE),
    ("dns-cloudflare", "dns", &[]),
    ("dns-gcp", "dns", GCP),
    ("dns-wildcard", "dns", &[]),
    ("echo", ANY, CLOUDS),
    ("elasticsearch-static", "elasticsearch", &[]),
    ("gcs", "gcs", GCP),
    ("gcp-pubsub", "gcp-pubsub-topic", GCP),
    ("hpa", "horizontal-pod-autoscaler", &[]),
    ("http", ANY, CLOUDS),
    ("ingress", "ingress", &[]),
    ("k8s-cluster", "k8s-cluster", &[]),
    ("k8s-cluster-aks", "k8s-cluster", AZURE),
    ("k8s-cluster-eks", "k8s-cluster", AWS),
    ("k8s-cluster-git", "k8s-cluster", &[]),
    ("k8s-cluster-gke", "k8s-cluster", GCP),
    ("k8s-namespace", "k8s-namespace", &[]),
    ("kubernetes-manifest", ANY, &[]),
    ("logging-elasticsearch", "logging", &[]),
    ("logging-gcp", "logging", GCP),
    ("logging-k8s", "logging", &[]),
    ("mariadb-cloudsql", "mariadb", GCP),
    ("mariadb-static", "mariadb", &[]),
    ("mongodb-static", "mongodb", &[]),
    ("mssql-static", "mssql", &[]),
    ("mysql-cloudsql", "mysql", GCP),
    ("mysql-cloudsql-static", "mysql", GCP),
    ("mysql-static", "mysql", &[]),
    ("newapp-io-dns", "dns", &[]),
    ("opentofu-container-runner", ANY, CLOUDS),
    ("postgres-cloudsql", "postgres", GCP),
    ("postgres-cloudsql-static", "postgres", GCP),
    ("postgres-static", "postgres", &[]),
    ("rabbitmq-static", "amqp", &[]),
    ("redis", "redis", &[]),
    ("redis-static", "redis", &[]),
    ("route", "route", &[]),
    ("s3", "s3", AWS),
    ("s3-static", "s3", AWS),
    ("sqs", "sqs", AWS),
    ("static", ANY, CLOUDS),
    ("template", ANY, CLOUDS),
    ("terraform", ANY, CLOUDS),
    ("terraform-container-runner", ANY, CLOUDS),
    ("terraform-runner", ANY, CLOUDS),
    ("tls-cert", "tls-cert", &[]),
    ("volume-nfs", "volume", &[]),
    ("volume-pvc", "volume", &[]),
];

/// All built-in drivers, by id.
pub(crate) fn all() -> impl Iterator<Item = ResourceDriver> {
    DRIVERS.iter().map(|(id, resource_type, accounts)| ResourceDriver {
        org_id: ORG.to_owned(),
        id: (*id).to_owned(),
        r#type: (*resource_type).to_owned(),
        account_types: accounts.iter().map(|account| (*account).to_owned()).collect(),
        inputs_schema: match *id {
            "terraform" => terraform_inputs(),
            "container" => container_inputs(Needs::Everything),
            "container-runner" => container_inputs(Needs::Job),
            "opentofu-container-runner" | "terraform-container-runner" => {
                container_inputs(Needs::Nothing)
            }
            _ => any_object(),
        },
        target: None,
        template: None,
    })
}

/// The type of resource that a built-in driver makes; `org` is that of the reference.
pub(crate) fn makes(org: &str, id: &str) -> Option<&'static str> {
    if org != ORG && org != ALIAS {
        return None;
    }
    DRIVERS.iter().find(|(known, ..)| *known == id).map(|(_, resource_type, _)| *resource_type)
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
    DRIVERS.iter().map(|(id, ..)| *id)
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
