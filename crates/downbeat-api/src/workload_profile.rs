//! Workload profiles, their features and their charts.

use downbeat_core::{Json, JsonMap};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::Time;

/// A workload profile, as its newest version is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct WorkloadProfile {
    /// Organization it belongs to; `humanitec` or `downbeat` for the built-in ones.
    pub org_id: String,
    /// Id within the organization; modules name it as `<org>/<id>`.
    pub id: String,
    /// The newest version.
    pub version: String,
    /// Text for people; may be empty.
    pub description: String,
    /// Says that the profile is deprecated, when it is not empty.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deprecation_message: Option<String>,
    /// What a spec may say, as it was sent.
    #[schema(value_type = Object)]
    pub spec_definition: JsonMap,
    /// The JSON Schema that follows from it.
    #[schema(value_type = Object)]
    pub spec_schema: Json,
    /// What turns workloads into objects.
    pub workload_profile_chart: ChartReference,
    /// When it was made.
    pub created_at: Time,
    /// Id of the user who made it.
    pub created_by: String,
    /// When its newest version was made.
    pub updated_at: Time,
    /// Id of the user who made that.
    pub updated_by: String,
}

/// A version of a workload profile.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct WorkloadProfileVersion {
    /// Organization the profile belongs to.
    pub org_id: String,
    /// Id of the profile.
    pub workload_profile_id: String,
    /// Id of the version.
    pub id: String,
    /// How the version is called.
    pub version: String,
    /// Text for people; may be empty.
    pub description: String,
    /// What a spec may say, as it was sent.
    #[schema(value_type = Object)]
    pub spec_definition: JsonMap,
    /// The JSON Schema that follows from it.
    #[schema(value_type = Object)]
    pub spec_schema: Json,
    /// What turns workloads into objects.
    pub workload_profile_chart: ChartReference,
    /// When it was made.
    pub created_at: Time,
    /// Id of the user who made it.
    pub created_by: String,
}

/// A chart that a profile names.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ChartReference {
    /// Id of the chart; a built-in one is called as its profile is, with the organization in front.
    #[schema(min_length = 1)]
    pub id: String,
    /// A version of the chart, or `latest`.
    #[schema(min_length = 1)]
    pub version: String,
}

/// Body of `POST …/workload-profiles`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct CreateWorkloadProfile {
    /// Id, unique in the organization.
    pub id: String,
    /// Text for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Says that the profile is deprecated, when it is not empty.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deprecation_message: Option<String>,
    /// What a spec may say.
    #[schema(value_type = Object)]
    pub spec_definition: JsonMap,
    /// How the first version is called; a random name without it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// What turns workloads into objects.
    pub workload_profile_chart: ChartReference,
}

/// Body of `PUT …/workload-profiles/{profileQid}`: replaces everything, as a new version.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct UpdateWorkloadProfile {
    /// Text for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Says that the profile is deprecated, when it is not empty.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deprecation_message: Option<String>,
    /// What a spec may say.
    #[schema(value_type = Object)]
    pub spec_definition: JsonMap,
    /// How the new version is called; a random name without it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// What turns workloads into objects.
    pub workload_profile_chart: ChartReference,
}

/// A part of a spec that profiles put together.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct WorkloadProfileFeature {
    /// Organization it belongs to.
    pub org_id: String,
    /// Id within the organization; profiles name it as `<org>/<id>`.
    pub id: String,
    /// Its version.
    pub version: String,
    /// The JSON Schema of what a spec says there.
    #[schema(value_type = Object)]
    pub schema: Json,
}

/// A version of a chart that the organization has uploaded.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ChartVersion {
    /// Organization it belongs to.
    pub org_id: String,
    /// Name of the chart, as its `Chart.yaml` says.
    pub id: String,
    /// Version of the chart, as its `Chart.yaml` says.
    pub version: String,
    /// When it was uploaded.
    pub created_at: Time,
    /// Id of the user who uploaded it.
    pub created_by: String,
}

/// Body of `POST …/workload-profile-chart-versions`, as a form.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ChartUpload {
    /// A gzipped tar file with a Helm chart in the one folder at its top.
    #[schema(format = Binary)]
    pub file: String,
}
