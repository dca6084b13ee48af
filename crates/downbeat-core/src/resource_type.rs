//! Resource types: the contract between those who ask for a resource and those who make it.
//!
//! The built-in catalogue follows spec 07. Where a published schema is not known exactly it is
//! permissive: published definitions rely on extra outputs.

use std::{collections::BTreeMap, sync::LazyLock};

use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::Json;

/// Who may ask for a resource of a type.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Use {
    /// Workloads and applications.
    #[default]
    Direct,
    /// Only other resources, by reference or co-provisioning.
    Indirect,
    /// Nobody: it is part of every deployment.
    Implicit,
}

impl Use {
    /// The word on the wire.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Direct => "direct",
            Self::Indirect => "indirect",
            Self::Implicit => "implicit",
        }
    }
}

/// A resource type (v1 `ResourceTypeResponse`).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ResourceType {
    /// Id: a bare name when built in, `<org>/<name>` otherwise.
    #[serde(rename = "type")]
    pub id: String,
    /// A name for people.
    #[serde(default)]
    pub name: String,
    /// Group in a list.
    #[serde(default)]
    pub category: String,
    /// Who may ask for it.
    #[serde(default, rename = "use")]
    pub usage: Use,
    /// JSON Schema of the inputs (`params`).
    #[serde(default)]
    pub inputs_schema: Json,
    /// JSON Schema of the outputs, over `{values, secrets}`.
    #[serde(default)]
    pub outputs_schema: Json,
}

impl ResourceType {
    /// Whether it is part of the product.
    #[must_use]
    pub fn is_built_in(&self) -> bool {
        !self.id.contains('/')
    }
}

/// The types that an organization knows: the built-in ones and its own.
#[derive(Clone, Debug, Default)]
pub struct Catalogue {
    own: BTreeMap<String, ResourceType>,
}

/// The built-in types by id; made once.
static BUILT_IN: LazyLock<BTreeMap<String, ResourceType>> =
    LazyLock::new(|| built_in().into_iter().map(|one| (one.id.clone(), one)).collect());

impl Catalogue {
    /// Adds a type of the organization. One with the id of a built-in type is never found.
    pub fn insert(&mut self, resource_type: ResourceType) {
        self.own.insert(resource_type.id.clone(), resource_type);
    }

    /// The type with this id.
    #[must_use]
    pub fn find(&self, id: &str) -> Option<&ResourceType> {
        BUILT_IN.get(id).or_else(|| self.own.get(id))
    }

    /// All types: the built-in ones by id, then those of the organization.
    pub fn iter(&self) -> impl Iterator<Item = &ResourceType> {
        BUILT_IN.values().chain(self.own.values())
    }

    /// The known id that is closest to `id`.
    #[must_use]
    pub fn nearest(&self, id: &str) -> Option<&str> {
        crate::suggest::nearest(id, self.iter().map(|one| one.id.as_str()))
    }
}

/// The types that are part of the product.
#[must_use]
pub fn built_in() -> Vec<ResourceType> {
    use Use::{Direct, Implicit, Indirect};
    let any = || json!({"type": "object"});
    let text = || json!({"type": "string"});
    let port = || json!({"type": "integer", "minimum": 0, "maximum": 65535});
    let object = |properties: Json| json!({"type": "object", "properties": properties});
    // Outputs that must be there, outputs that may be there, secret outputs.
    let outputs = |required: &[&str], optional: &[&str], secrets: &[&str]| {
        let schema = |name: &str| if name == "port" { port() } else { text() };
        let names = required.iter().chain(optional);
        let values: serde_json::Map<_, _> =
            names.map(|name| ((*name).to_owned(), schema(name))).collect();
        let secrets: serde_json::Map<_, _> =
            secrets.iter().map(|name| ((*name).to_owned(), text())).collect();
        let mut values = json!({"type": "object", "properties": values});
        let mut schema = json!({"type": "object"});
        if let (false, Some(values), Some(schema)) =
            (required.is_empty(), values.as_object_mut(), schema.as_object_mut())
        {
            values.insert("required".to_owned(), json!(required));
            schema.insert("required".to_owned(), json!(["values"]));
        }
        if let Some(schema) = schema.as_object_mut() {
            let secrets = json!({"type": "object", "properties": secrets});
            schema.insert("properties".to_owned(), json!({"values": values, "secrets": secrets}));
        }
        schema
    };
    let make =
        |id: &str, name: &str, category: &str, usage, inputs_schema, outputs_schema| ResourceType {
            id: id.to_owned(),
            name: name.to_owned(),
            category: category.to_owned(),
            usage,
            inputs_schema,
            outputs_schema,
        };
    let user = &["username", "password"];
    let data = "datastore";
    let mut types = vec![
        make(
            "workload",
            "Workload",
            "score",
            Implicit,
            any(),
            object(json!({
            "values": {"type": "object", "properties": {"update": {"type": "array"}}}})),
        ),
        make(
            "base-env",
            "Base Environment",
            "general",
            Implicit,
            object(json!({"id": text()})),
            any(),
        ),
        make(
            "k8s-cluster",
            "Kubernetes Cluster",
            "k8s",
            Implicit,
            any(),
            outputs(&[], &["name", "loadbalancer", "cluster_type"], &["agent_url"]),
        ),
        make(
            "k8s-namespace",
            "Kubernetes Namespace",
            "k8s",
            Implicit,
            any(),
            outputs(&["namespace"], &[], &[]),
        ),
        make("logging", "Logging", "k8s", Implicit, any(), any()),
        make("agent", "Agent", "k8s", Indirect, any(), outputs(&[], &[], &["url"])),
        make(
            "k8s-service-account",
            "Kubernetes Service Account",
            "k8s",
            Indirect,
            any(),
            outputs(&["name"], &[], &[]),
        ),
        make("config", "Config", "general", Direct, any(), any()),
        make(
            "horizontal-pod-autoscaler",
            "Horizontal Pod Autoscaler",
            "k8s",
            Direct,
            object(json!({
                "minReplicas": {"type": "integer"}, "maxReplicas": {"type": "integer"},
                "targetCPUUtilizationPercentage": {"type": "integer"}})),
            any(),
        ),
        make("volume", "Volume", "storage", Direct, any(), any()),
        make("dns", "DNS", "dns", Direct, any(), outputs(&["host"], &[], &[])),
        make(
            "route",
            "Route",
            "ingress",
            Direct,
            object(
                json!({"host": text(), "path": text(), "port": {"type": ["integer", "string"]}}),
            ),
            object(json!({"values": {"type": "object", "properties": {
                "host": text(), "path": text(), "port": {"type": ["integer", "string"]},
                "service": text()}}})),
        ),
        make("ingress", "Ingress", "ingress", Indirect, any(), any()),
        make(
            "tls-cert",
            "TLS certificate",
            "security",
            Indirect,
            any(),
            outputs(&["tls_secret_name"], &[], &[]),
        ),
        make(
            "service-port",
            "Port of a workload's service",
            "networking",
            Direct,
            json!({"type": "object", "required": ["workload", "port"], "properties": {
                "workload": text(), "port": {"type": ["integer", "string"]}}}),
            outputs(&["hostname", "port"], &[], &[]),
        ),
        make(
            "postgres",
            "PostgreSQL",
            data,
            Direct,
            object(json!({"extensions": {"type": "object"}})),
            outputs(&["host", "port", "name"], &[], user),
        ),
        make("mysql", "MySQL", data, Direct, any(), outputs(&["host", "port", "name"], &[], user)),
        make(
            "mariadb",
            "MariaDB",
            data,
            Direct,
            any(),
            outputs(&["host", "port", "name"], &[], user),
        ),
        make(
            "mssql",
            "Microsoft SQL Server",
            data,
            Direct,
            any(),
            outputs(&["host", "port", "name"], &[], user),
        ),
        make(
            "mongodb",
            "MongoDB",
            data,
            Direct,
            any(),
            outputs(&["host", "port"], &["name"], &["connection", "username", "password"]),
        ),
        make("redis", "Redis", data, Direct, any(), outputs(&["host", "port"], &[], user)),
        make(
            "elasticsearch",
            "Elasticsearch",
            data,
            Direct,
            any(),
            outputs(&["host", "port"], &[], user),
        ),
        make(
            "cassandra",
            "Cassandra",
            data,
            Direct,
            any(),
            outputs(&["host", "port", "keyspace"], &[], user),
        ),
        make(
            "amqp",
            "AMQP",
            "messaging",
            Direct,
            any(),
            outputs(&["host", "port"], &["vhost"], user),
        ),
        make(
            "s3",
            "S3 bucket",
            "storage",
            Direct,
            any(),
            outputs(
                &["bucket"],
                &["region", "arn", "endpoint"],
                &["aws_access_key_id", "aws_secret_access_key"],
            ),
        ),
    ];
    for (id, name, category, usage) in [
        ("endpoint", "Endpoint", "networking", Direct),
        ("environment", "Environment", "general", Direct),
        ("postgres-instance", "PostgreSQL instance", data, Indirect),
        ("mysql-instance", "MySQL instance", data, Indirect),
        ("mssql-instance", "Microsoft SQL Server instance", data, Indirect),
        ("mongodb-instance", "MongoDB instance", data, Indirect),
        ("elasticsearch-instance", "Elasticsearch instance", data, Indirect),
        ("snowflake-database", "Snowflake database", data, Direct),
        ("snowflake-schema", "Snowflake schema", data, Direct),
        ("snowflake-warehouse", "Snowflake warehouse", data, Direct),
        ("clickhouse", "ClickHouse", data, Direct),
        ("kafka-topic", "Kafka topic", "messaging", Direct),
        ("sqs", "SQS queue", "messaging", Direct),
        ("sns-topic", "SNS topic", "messaging", Direct),
        ("azure-service-bus-queue", "Azure Service Bus queue", "messaging", Direct),
        ("gcp-pubsub-topic", "Pub/Sub topic", "messaging", Direct),
        ("gcp-pubsub-subscription", "Pub/Sub subscription", "messaging", Direct),
        ("gcs", "Cloud Storage bucket", "storage", Direct),
        ("azure-blob", "Azure Blob container", "storage", Direct),
        ("azure-blob-account", "Azure Blob account", "storage", Indirect),
        ("aws-policy", "AWS policy", "security", Indirect),
        ("aws-role", "AWS role", "security", Indirect),
        ("gcp-service-account", "GCP service account", "security", Indirect),
        ("gcp-iam-policy-binding", "GCP IAM policy binding", "security", Indirect),
        ("azure-managed-identity", "Azure managed identity", "security", Indirect),
        ("azure-federated-identity", "Azure federated identity", "security", Indirect),
        ("azure-role-definition", "Azure role definition", "security", Indirect),
        ("azure-role-assignments", "Azure role assignments", "security", Indirect),
        ("gcp-vertex-ai", "Vertex AI", "ai", Direct),
        ("llm-model", "Large language model", "ai", Direct),
    ] {
        types.push(make(id, name, category, usage, any(), any()));
    }
    types.sort_by(|a, b| a.id.cmp(&b.id));
    types
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn catalogue_has_each_type_once() {
        let types = built_in();
        assert_eq!(Catalogue::default().iter().count(), types.len());
        assert!(types.iter().all(ResourceType::is_built_in));
        assert_eq!(Catalogue::default().nearest("postgress"), Some("postgres"));
    }
}
