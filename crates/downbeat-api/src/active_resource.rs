//! Active resources.

use downbeat_core::JsonMap;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::Time;

/// A resource that exists because a deployment provisioned it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ActiveResource {
    /// Organization.
    pub org_id: String,
    /// Application.
    pub app_id: String,
    /// Environment.
    pub env_id: String,
    /// Type of the environment.
    pub env_type: String,
    /// Resource id.
    pub res_id: String,
    /// Permanent id of this resource.
    pub gu_res_id: String,
    /// Resource type.
    pub r#type: String,
    /// Resource class.
    pub class: String,
    /// Definition it was provisioned from.
    pub def_id: String,
    /// Version of that definition.
    pub def_version_id: String,
    /// Version it is pinned to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target_def_version_id: Option<String>,
    /// Criteria that chose the definition.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub criteria_id: Option<String>,
    /// Driver that made it.
    pub driver_type: String,
    /// Account of the driver.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub driver_account: Option<String>,
    /// Deployment that provisioned it last.
    pub deploy_id: String,
    /// Plain outputs.
    #[schema(value_type = Object)]
    pub resource: JsonMap,
    /// References of the secret outputs.
    #[schema(value_type = Object)]
    pub secret_refs: JsonMap,
    /// `pending`, `active` or `deleting`.
    pub status: String,
    /// Whether it is to be deleted.
    pub scheduled_deletion: bool,
    /// When it was provisioned last.
    pub updated_at: Time,
}

/// Body of `POST …/resources/{type}/{resId}/actions/pin`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PinActiveResource {
    /// Version to provision from at the next deployment; `null` removes the pin.
    #[schema(required)]
    pub target_def_version_id: Option<String>,
}
