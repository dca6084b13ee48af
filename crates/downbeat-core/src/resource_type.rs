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
            object(json!({
                "values": object(json!({
                    "name": text(), "loadbalancer": text(), "cluster_type": text(),
                    // What the drivers of the clouds add.
                    "region": text(), "zone": text(), "project_id": text(),
                    "resource_group": text(), "subscription_id": text(),
                    "server_app_id": text(), "loadbalancer_hosted_zone": text(),
                    "cluster_data": any(), "url": text(), "branch": text(), "path": text()})),
                "secrets": object(json!({"credentials": any(), "agent_url": text()}))})),
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
        make(
            "volume",
            "Volume",
            "storage",
            Direct,
            any(),
            outputs(&[], &["volumeName", "pvcName"], &[]),
        ),
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
        make(
            "ingress",
            "Ingress",
            "ingress",
            Indirect,
            // From the time before routes.
            object(json!({"host": text(), "rules": any(), "tls_secret_name": text()})),
            outputs(&[], &["id"], &[]),
        ),
        make(
            "tls-cert",
            "TLS certificate",
            "security",
            Indirect,
            any(),
            outputs(&["tls_secret_name"], &[], &[]),
        ),
        make(
            "endpoint",
            "Endpoint",
            "networking",
            Direct,
            any(),
            object(json!({
                "values": object(json!({
                    // Published definitions print a port that is not given as a text.
                    "scheme": text(), "host": text(), "port": {"type": ["integer", "string"]},
                    "path": text(), "query": text(), "fragment": text()})),
                "secrets": object(json!({
                    "username": text(), "password": text(), "url": text()}))})),
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
            object(json!({"extensions": {"type": "object", "additionalProperties": {
                "type": ["object", "null"],
                "properties": {"version": text(), "schema": text()}}}})),
            outputs(&["host", "port", "name"], &[], user),
        ),
        make("mysql", "MySQL", data, Direct, any(), outputs(&["host", "port", "name"], &[], user)),
        make(
            "mariadb",
            "MariaDB",
            data,
            Direct,
            any(),
            outputs(&[], &["host", "port", "name"], user),
        ),
        make(
            "mssql",
            "Microsoft SQL Server",
            data,
            Direct,
            any(),
            outputs(&[], &["host", "port", "name"], user),
        ),
        make(
            "mongodb",
            "MongoDB",
            data,
            Direct,
            any(),
            outputs(&["host"], &["port", "name"], &["connection", "username", "password"]),
        ),
        make("redis", "Redis", data, Direct, any(), outputs(&["host", "port"], &[], user)),
        make(
            "elasticsearch",
            "Elasticsearch",
            data,
            Direct,
            any(),
            outputs(&[], &["host", "port"], user),
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
    let connection: &[&str] = &["host", "port", "name"];
    // Published definitions leave out some of these, and add others: none is required.
    for (id, name, category, usage, values, secrets) in [
        ("mssql-instance", "Microsoft SQL Server instance", data, Indirect, connection, &user[..]),
        ("mongodb-instance", "MongoDB instance", data, Indirect, connection, user),
        ("elasticsearch-instance", "Elasticsearch instance", data, Indirect, connection, user),
        ("kafka-topic", "Kafka topic", "messaging", Direct, &["name", "host"][..], &[][..]),
        ("sqs", "SQS queue", "messaging", Direct, &["url", "arn", "region"], &[]),
        ("sns-topic", "SNS topic", "messaging", Direct, &["arn", "region"], &[]),
        (
            "azure-service-bus-queue",
            "Azure Service Bus queue",
            "messaging",
            Direct,
            &["hostname", "namespace", "queue"],
            &[],
        ),
        ("gcp-pubsub-topic", "Pub/Sub topic", "messaging", Direct, &["name", "id"], &[]),
        (
            "gcp-pubsub-subscription",
            "Pub/Sub subscription",
            "messaging",
            Direct,
            &["name", "id"],
            &[],
        ),
        ("gcs", "Cloud Storage bucket", "storage", Direct, &["name"], &[]),
        ("azure-blob", "Azure Blob container", "storage", Direct, &["account", "container"], &[]),
        ("azure-blob-account", "Azure Blob account", "storage", Indirect, &["name"], &[]),
        ("aws-policy", "AWS policy", "security", Indirect, &["arn"], &[]),
        (
            "aws-role",
            "AWS role",
            "security",
            Indirect,
            &["arn", "role_arn", "k8s_service_account_name"],
            &[],
        ),
        ("gcp-service-account", "GCP service account", "security", Indirect, &["email"], &[]),
        (
            "gcp-iam-policy-binding",
            "GCP IAM policy binding",
            "security",
            Indirect,
            &["binding"],
            &[],
        ),
        (
            "azure-managed-identity",
            "Azure managed identity",
            "security",
            Indirect,
            &["id", "principal_id", "client_id"],
            &[],
        ),
        (
            "azure-role-definition",
            "Azure role definition",
            "security",
            Indirect,
            &["id", "scope"],
            &[],
        ),
    ] {
        types.push(make(id, name, category, usage, any(), outputs(&[], values, secrets)));
    }
    for (id, name) in
        [("postgres-instance", "PostgreSQL instance"), ("mysql-instance", "MySQL instance")]
    {
        let outputs = outputs(&["host", "port"], &["name"], user);
        types.push(make(id, name, data, Indirect, any(), outputs));
    }
    types.push(make(
        "azure-role-assignments",
        "Azure role assignments",
        "security",
        Indirect,
        any(),
        object(json!({"values": object(json!({"ids": {"type": "array"}}))})),
    ));
    for (id, name, category, usage) in [
        ("environment", "Environment", "general", Direct),
        ("snowflake-database", "Snowflake database", data, Direct),
        ("snowflake-schema", "Snowflake schema", data, Direct),
        ("snowflake-warehouse", "Snowflake warehouse", data, Direct),
        ("clickhouse", "ClickHouse", data, Direct),
        ("azure-federated-identity", "Azure federated identity", "security", Indirect),
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

    /// `id use: inputs -> outputs, secret outputs`; `!` marks what is required, `*` what may be
    /// anything.
    #[test]
    fn the_whole_catalogue() {
        let names = |schema: Option<&Json>| -> String {
            let Some(schema) = schema else { return "*".to_owned() };
            let required = schema.get("required").and_then(Json::as_array);
            let is_required = |name: &str| required.is_some_and(|all| all.contains(&json!(name)));
            let Some(properties) = schema.get("properties").and_then(Json::as_object) else {
                return "*".to_owned();
            };
            let name =
                |name: &String| format!("{name}{}", if is_required(name) { "!" } else { "" });
            let mut names: Vec<String> = properties.keys().map(name).collect();
            names.sort();
            if names.is_empty() { "-".to_owned() } else { names.join(" ") }
        };
        let line = |one: &ResourceType| {
            let outputs = &one.outputs_schema;
            let below = |name: &str| outputs.get("properties")?.get(name);
            format!(
                "{} {}: {} -> {}, {}\n",
                one.id,
                one.usage.as_str(),
                names(Some(&one.inputs_schema)),
                names(below("values")),
                names(below("secrets")),
            )
        };
        let lines: String = built_in().iter().map(line).collect();
        insta::assert_snapshot!(lines);
    }

    #[test]
    fn schemas_say_what_their_types_are() {
        for one in built_in() {
            for schema in [&one.inputs_schema, &one.outputs_schema] {
                assert_eq!(schema["type"], "object", "{}", one.id);
            }
        }
    }
}
