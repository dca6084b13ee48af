//! Resource definitions, their matching criteria and their versions.

use std::{collections::BTreeMap, fmt};

use downbeat_core::JsonMap;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::Time;

/// A resource definition: when and how a resource is made.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ResourceDefinition {
    /// Organization.
    pub org_id: String,
    /// Id within the organization.
    pub id: String,
    /// Name for people.
    pub name: String,
    /// Type of the resource that it makes; it never changes.
    pub r#type: String,
    /// Driver that makes it.
    pub driver_type: String,
    /// Account of the driver, or a placeholder for one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub driver_account: Option<String>,
    /// Inputs of the driver. Secrets are shown as references.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub driver_inputs: Option<DriverInputs>,
    /// Resources to provision together with this one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provision: Option<BTreeMap<String, Provision>>,
    /// When it applies; absent when it never does.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schema(required = false)]
    pub criteria: Vec<MatchingCriteria>,
    /// Whether a change of driver keeps what the old driver made.
    pub in_place_driver_change: bool,
    /// Version that is in use.
    pub active_version_id: String,
    /// Whether it is built in.
    pub is_default: bool,
    /// Whether it is deleted and cannot match any more.
    pub is_deleted: bool,
    /// When it was created.
    pub created_at: Time,
    /// Id of the user who created it.
    pub created_by: String,
    /// When it changed last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub updated_at: Option<Time>,
    /// Id of the user who changed it last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub updated_by: Option<String>,
}

/// The inputs of a driver, as they are shown.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct DriverInputs {
    /// Plain inputs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub values: Option<JsonMap>,
    /// References of the secret inputs, in the nesting that was sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub secret_refs: Option<JsonMap>,
}

/// The inputs of a driver, as they are sent. `secrets` and `secret_refs` exclude each other.
#[derive(Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct DriverInputsRequest {
    /// Plain inputs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub values: Option<JsonMap>,
    /// Secret inputs as plaintext in any nesting; they go to the primary store.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub secrets: Option<JsonMap>,
    /// Secret inputs in any nesting whose leaves are `{store, ref, version?}` or `{value}`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub secret_refs: Option<JsonMap>,
}

/// Prints names only: the maps may hold plaintexts.
impl fmt::Debug for DriverInputsRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fn names(map: Option<&JsonMap>) -> Option<Vec<&String>> {
            map.map(|map| map.keys().collect())
        }
        f.debug_struct("DriverInputsRequest")
            .field("values", &names(self.values.as_ref()))
            .field("secrets", &names(self.secrets.as_ref()))
            .field("secret_refs", &names(self.secret_refs.as_ref()))
            .finish()
    }
}

/// A resource to provision together with another one.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Provision {
    /// Whether the co-provisioned resource depends on the current one.
    pub is_dependent: bool,
    /// Whether what depends on the current resource also depends on the co-provisioned one.
    pub match_dependents: bool,
    /// Inputs of the co-provisioned resource; absent when there are none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub params: Option<JsonMap>,
}

/// A resource to provision together with another one, as it is sent.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ProvisionRequest {
    /// Whether the co-provisioned resource depends on the current one.
    #[serde(default)]
    pub is_dependent: bool,
    /// Whether what depends on the current resource also depends on the co-provisioned one.
    #[serde(default)]
    pub match_dependents: bool,
    /// Inputs of the co-provisioned resource.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub params: Option<JsonMap>,
}

/// When a definition applies. An absent field matches anything.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct MatchingCriteria {
    /// Id.
    pub id: String,
    /// Resource class; always compared.
    pub class: String,
    /// Environment type.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub env_type: Option<String>,
    /// Application.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub app_id: Option<String>,
    /// Environment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub env_id: Option<String>,
    /// Resource.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub res_id: Option<String>,
}

/// A criteria as it is sent; an absent class means `default`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CreateMatchingCriteria {
    /// Resource class.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub class: Option<String>,
    /// Environment type.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub env_type: Option<String>,
    /// Application.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub app_id: Option<String>,
    /// Environment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub env_id: Option<String>,
    /// Resource.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub res_id: Option<String>,
}

/// Body of `POST …/resources/defs`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct CreateResourceDefinition {
    /// Id, unique in the organization.
    pub id: String,
    /// Name for people.
    pub name: String,
    /// Type of the resource that it makes.
    pub r#type: String,
    /// Driver that makes it.
    pub driver_type: String,
    /// Account of the driver, or a placeholder for one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub driver_account: Option<String>,
    /// Inputs of the driver.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub driver_inputs: Option<DriverInputsRequest>,
    /// Resources to provision together with this one, by descriptor.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provision: Option<BTreeMap<String, ProvisionRequest>>,
    /// When it applies.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub criteria: Option<Vec<CreateMatchingCriteria>>,
    /// Whether a change of driver keeps what the old driver made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub in_place_driver_change: Option<bool>,
}

/// Body of `PUT …/resources/defs/{defId}`: replaces all but id, type and criteria.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct UpdateResourceDefinition {
    /// Name for people.
    pub name: String,
    /// Driver that makes it; absent leaves it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub driver_type: Option<String>,
    /// Account of the driver, or a placeholder for one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub driver_account: Option<String>,
    /// Inputs of the driver.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub driver_inputs: Option<DriverInputsRequest>,
    /// Resources to provision together with this one, by descriptor.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provision: Option<BTreeMap<String, ProvisionRequest>>,
    /// Whether a change of driver keeps what the old driver made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub in_place_driver_change: Option<bool>,
    /// Makes a version that waits to be promoted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proposed: Option<bool>,
}

/// Body of `PATCH …/resources/defs/{defId}`. What is absent stays as it is; driver inputs are
/// merged, and a `null` in them removes a member.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct PatchResourceDefinition {
    /// Name for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Account of the driver, or a placeholder for one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub driver_account: Option<String>,
    /// Inputs of the driver.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub driver_inputs: Option<DriverInputsRequest>,
    /// Resources to provision together with this one, by descriptor.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provision: Option<BTreeMap<String, ProvisionRequest>>,
    /// Whether a change of driver keeps what the old driver made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub in_place_driver_change: Option<bool>,
    /// Makes a version that waits to be promoted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proposed: Option<bool>,
}

/// A definition as it was at one moment.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ResourceDefinitionVersion {
    /// Id of the version.
    pub id: String,
    /// Organization.
    pub org_id: String,
    /// Definition.
    pub def_id: String,
    /// Name for people.
    pub name: String,
    /// Type of the resource that it makes.
    pub r#type: String,
    /// Driver that makes it.
    pub driver_type: String,
    /// Account of the driver; empty without one.
    pub driver_account: String,
    /// Inputs of the driver.
    pub driver_inputs: DriverInputs,
    /// Resources to provision together with this one.
    pub provision: BTreeMap<String, Provision>,
    /// Whether a change of driver keeps what the old driver made.
    pub in_place_driver_change: bool,
    /// What made the version: `created`, `updated` or `deleted`.
    pub action: String,
    /// Whether it is in use.
    pub active: bool,
    /// Whether it waits to be promoted.
    pub proposed: bool,
    /// Whether it cannot be used for a new resource.
    pub archived: bool,
    /// When it was made.
    pub created_at: Time,
    /// Id of the user who made it.
    pub created_by: String,
}

/// Body of `POST …/versions/{defVersionId}/actions/archive`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ArchiveDefinitionVersion {
    /// Whether to archive (default) or to bring back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub archived: Option<bool>,
}

/// What would become of a resource if the change that was refused were made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ResourceDefinitionChange {
    /// Application.
    pub app_id: String,
    /// Environment.
    pub env_id: String,
    /// Resource.
    pub res_id: String,
    /// Definition that made it.
    pub from_def: String,
    /// Definition that would make it; empty when there is none.
    pub to_def: String,
}
