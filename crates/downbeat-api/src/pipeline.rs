//! Pipelines, their versions and their criteria.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::Time;

/// A pipeline of an application.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Pipeline {
    /// Its id.
    pub id: String,
    /// Changes whenever the pipeline does.
    pub etag: String,
    /// Organization.
    pub org_id: String,
    /// Application.
    pub app_id: String,
    /// Name, from the document.
    pub name: String,
    /// `active`.
    pub status: String,
    /// Id of the version that is shown.
    pub version: String,
    /// When the pipeline was created.
    pub created_at: Time,
    /// What starts it: the keys under `on`.
    pub trigger_types: Vec<String>,
    /// What the document says besides; absent when it says nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metadata: Option<BTreeMap<String, String>>,
}

/// A version of a pipeline.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct PipelineVersion {
    /// Its id.
    pub id: String,
    /// Organization.
    pub org_id: String,
    /// Application.
    pub app_id: String,
    /// Pipeline.
    pub pipeline_id: String,
    /// Id of the user who made it.
    pub created_by: String,
    /// When it was made.
    pub created_at: Time,
}

/// Body of `POST …/pipelines/{pipelineId}/criteria`. What is absent or empty matches anything.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct CreatePipelineCriteria {
    /// `deployment_request`.
    pub trigger: String,
    /// Only environments of this type; `*` for any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub env_type: Option<String>,
    /// The application of the pipeline.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub app_id: Option<String>,
    /// Only the environment with this id, which need not exist.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub env_id: Option<String>,
    /// `deploy` for deltas and sets, `redeploy` for deployments made before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deployment_type: Option<String>,
}

/// A criteria of a pipeline.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct PipelineCriteria {
    /// `deployment_request`.
    pub trigger: String,
    /// Its id.
    pub id: String,
    /// Pipeline.
    pub pipeline_id: String,
    /// Name of the pipeline now.
    pub pipeline_name: String,
    /// Only environments of this type.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub env_type: Option<String>,
    /// Application of the pipeline.
    pub app_id: String,
    /// Only the environment with this id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub env_id: Option<String>,
    /// `deploy` or `redeploy`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deployment_type: Option<String>,
}
