//! Environment types.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A kind of environments, for example `development` or `production`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct EnvironmentType {
    /// Id within the organization.
    pub id: String,
    /// Text for people; may be empty.
    pub description: String,
}

/// Body of `POST /orgs/{orgId}/env-types`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CreateEnvironmentType {
    /// Id, unique in the organization.
    pub id: String,
    /// Text for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
}

/// Body of `PATCH /orgs/{orgId}/env-types/{envTypeId}`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PatchEnvironmentType {
    /// The new text; absent or null leaves it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
}

/// An environment that still has the type; the answer to deleting a type in use lists them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct EnvironmentInUse {
    /// Id of the application.
    pub app_id: String,
    /// Id of the environment.
    pub env_id: String,
}
