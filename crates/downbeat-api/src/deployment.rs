//! Deployments on the wire (`DeploymentRequest`, `DeploymentResponse`) and their progress.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::Time;

/// Asks for a deployment.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct DeploymentRequest {
    /// Delta to apply to the environment's base; wins over `set_id`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delta_id: Option<String>,
    /// Set to deploy as it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub set_id: Option<String>,
    /// Version of the shared values; the newest one when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value_set_version_id: Option<String>,
    /// What the deployment is for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub comment: Option<String>,
    /// `full` (default) or `incremental`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mode: Option<String>,
    /// The pipeline that asks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pipeline: Option<PipelineReferenceRequest>,
}

/// The step of a pipeline run that asks for a deployment.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PipelineReferenceRequest {
    /// Pipeline.
    #[serde(default)]
    pub id: String,
    /// Run of the pipeline.
    #[serde(default)]
    pub run_id: String,
    /// Job within the run.
    #[serde(default)]
    pub job_id: String,
    /// Position of the step within the job.
    #[serde(default)]
    pub step_index: i64,
}

/// The step of a pipeline run that asked for a deployment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PipelineReference {
    /// Pipeline.
    pub id: String,
    /// Run of the pipeline.
    pub run_id: String,
    /// Job within the run.
    pub job_id: String,
    /// Position of the step within the job.
    pub step_index: i64,
}

/// A deployment.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Deployment {
    /// Its id.
    pub id: String,
    /// Environment.
    pub env_id: String,
    /// Deployment that was the base; empty for the first.
    pub from_id: String,
    /// Delta that was applied to the base.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delta_id: Option<String>,
    /// Set that is deployed.
    pub set_id: String,
    /// Version of the shared values.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value_set_version_id: Option<String>,
    /// What the deployment is for.
    pub comment: String,
    /// `pending`, `in progress`, `succeeded` or `failed`.
    pub status: String,
    /// When the status changed last.
    pub status_changed_at: Time,
    /// When it was asked for.
    pub created_at: Time,
    /// Who asked for it.
    pub created_by: String,
    /// The pipeline that asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pipeline: Option<PipelineReference>,
    /// Graph of the resources.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dependency_graph_id: Option<String>,
    /// Always empty; kept for clients that need it.
    pub export_file: String,
    /// Always empty; kept for clients that need it.
    pub export_status: String,
    /// `full` or `incremental`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mode: Option<String>,
}

/// Something that went wrong in a deployment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct DeploymentError {
    /// `workload`, `resource`, `deployment` or `environment`.
    pub scope: String,
    /// Workload id, or the resource as `type.class#id`.
    pub object_id: String,
    /// Code of the error.
    pub code: String,
    /// Class of the error.
    pub error_type: String,
    /// One line.
    pub summary: String,
    /// The whole message.
    pub message: String,
}

/// How far a deployment is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct DeploymentProgress {
    /// The deployment.
    pub deployment_id: String,
    /// `pending`, `in progress`, `succeeded` or `failed`.
    pub status: String,
    /// `read`, `match`, `create`, `deploy` or `done`.
    pub phase: String,
    /// The nodes of the graph in provisioning order; empty until it is built.
    pub nodes: Vec<NodeProgress>,
    /// What the target answered; absent until the deployment is delivered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delivery: Option<Delivery>,
}

/// How far one node of a graph is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct NodeProgress {
    /// Resource id.
    pub id: String,
    /// Resource type.
    pub r#type: String,
    /// Resource class.
    pub class: String,
    /// Permanent id of the resource.
    pub guresid: String,
    /// Definition that makes it; empty until matched.
    pub def_id: String,
    /// Driver that makes it; empty until matched.
    pub driver_type: String,
    /// `pending`, `running`, `ready` or `failed`.
    pub status: String,
    /// Attempts so far.
    pub attempt: i64,
    /// When the last attempt started.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started_at: Option<Time>,
    /// When it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finished_at: Option<Time>,
    /// Why it failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<NodeError>,
}

/// Why a node failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct NodeError {
    /// Code of the error.
    pub code: String,
    /// The message.
    pub message: String,
}

/// Where the manifests of a deployment went.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Delivery {
    /// Kind of the target, for example `git`.
    pub target: String,
    /// The target itself, for example a repository or cluster.
    pub location: String,
    /// Branch of a repository.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub branch: Option<String>,
    /// Directory in the repository.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// Commit that holds the manifests.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub commit: Option<String>,
    /// Whether anything changed at the target.
    #[serde(default)]
    pub changed: bool,
    /// How many files or objects there are.
    #[serde(default)]
    pub files: u64,
}
