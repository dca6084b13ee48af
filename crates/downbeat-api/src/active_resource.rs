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

/// Something that was or is to be freed (an extension of v1).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Removal {
    /// Id.
    pub id: String,
    /// Resource type; `environment` for what an environment runs in its target.
    pub r#type: String,
    /// Resource class.
    pub class: String,
    /// Resource id.
    pub res_id: String,
    /// Permanent id of the resource.
    pub gu_res_id: String,
    /// Driver that made it.
    pub driver_type: String,
    /// Whether the last deployment needed it.
    pub forced: bool,
    /// Why, in the words of who asked for it.
    pub reason: String,
    /// Who asked for it; empty for the engine itself.
    pub requested_by: String,
    /// When.
    pub requested_at: Time,
    /// `held` until a deployment succeeds, `pending`, `given up` after many attempts; over are
    /// `freed`, `forgotten` and `detached`.
    pub state: String,
    /// How often it was tried.
    pub attempts: i64,
    /// Why the last attempt failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<RemovalError>,
    /// When the state changed last.
    pub changed_at: Time,
}

/// Why something cannot be freed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RemovalError {
    /// The code.
    pub code: String,
    /// A whole sentence.
    pub message: String,
    /// What to do about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
}
