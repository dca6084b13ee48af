//! What runs in the cluster of an environment.

use std::collections::BTreeMap;

use downbeat_core::JsonMap;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// What runs in an environment, in the form of `application/json`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct RuntimeInfo {
    /// The namespace; empty when it is not known.
    pub namespace: String,
    /// The workloads that can be seen, by id.
    pub modules: BTreeMap<String, RuntimeWorkload>,
}

/// A workload as it was deployed, with what runs of it: controllers by name stand beside its other
/// members.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct RuntimeWorkload {
    /// Its profile.
    pub profile: String,
    /// Its spec.
    #[schema(value_type = Object)]
    pub spec: JsonMap,
    /// Its private resources.
    #[schema(value_type = Object)]
    pub externals: JsonMap,
}

/// What runs in an environment, in the form of `application/v2+json`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct RuntimeInfoV2 {
    /// The namespace; empty when it is not known.
    pub namespace: String,
    /// The workloads that can be seen, by id.
    pub modules: BTreeMap<String, RuntimeModule>,
}

/// What runs of a workload.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct RuntimeModule {
    /// `Running`, `Succeeded`, `Starting`, `Partially Succeeded`, `Failed`, `Stopped` or `Unknown`.
    pub status: String,
    /// `Success`, `Failure`, `Warning`, `Stopped` or `Unknown`.
    pub status_class: String,
    /// Its Deployments, StatefulSets and Jobs, by name.
    #[schema(value_type = BTreeMap<String, Object>)]
    pub controllers: JsonMap,
}

/// What runs in one of several environments.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct EnvironmentRuntime {
    /// Id of the environment.
    pub id: String,
    /// Whether it is paused.
    pub paused: bool,
    /// `Success`, `Failure`, `Warning`, `Stopped` or `Unknown`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<String>,
    /// Why nothing can be said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// A line that a container wrote.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct LogEntry {
    /// When, in RFC 3339.
    pub timestamp: String,
    /// How serious it is.
    pub level: String,
    /// What it says.
    pub payload: String,
    /// The workload.
    pub workload_id: String,
    /// The container.
    pub container_id: String,
}

/// Body of `POST …/runtime/actions/check-connectivity`. Neither the application nor the environment
/// has to exist: what would be is looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CheckConnectivity {
    /// Id of the application.
    pub app_id: String,
    /// Id of the environment.
    pub env_id: String,
    /// Type of the environment.
    pub env_type: String,
    /// The definitions that are expected to be used.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expected_definitions: Option<Vec<ExpectedDefinition>>,
}

/// A definition that is expected to be used.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ExpectedDefinition {
    /// Type of the resource.
    pub r#type: String,
    /// Id of the definition.
    pub id: String,
}

/// What came of checking the connection to a cluster.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Connectivity {
    /// Whether all conditions are true.
    pub success: bool,
    /// What was looked at.
    pub conditions: Vec<ConnectivityCondition>,
    /// The cluster and what it needs, in the order in which they would be made.
    pub resource_summaries: Vec<ConnectivityResource>,
}

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ConnectivityCondition {
    /// Name of the condition.
    pub r#type: String,
    /// `True`, `False`, or `Unknown` when it could not be found out.
    pub status: String,
    /// Why.
    pub message: String,
}

/// A resource that the connection needs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ConnectivityResource {
    /// Its type.
    pub r#type: String,
    /// Its class.
    pub class: String,
    /// Its id.
    pub res_id: String,
    /// Its permanent id.
    pub gu_res_id: String,
    /// Permanent ids of what has to be made before it.
    pub depends_on: Vec<String>,
    /// Id of the definition that makes it.
    pub def_id: String,
    /// Version of that definition.
    pub def_version_id: String,
    /// Driver of that definition.
    pub driver_type: String,
}
