//! Applications.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{Time, environment::EnvironmentBase};

/// An application: workloads that belong together, in one or more environments.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Application {
    /// Id within the organization.
    pub id: String,
    /// Name for people.
    pub name: String,
    /// Id of the organization.
    pub org_id: String,
    /// When it was created.
    pub created_at: Time,
    /// Id of the user who created it.
    pub created_by: String,
    /// Its environments, by id.
    pub envs: Vec<EnvironmentBase>,
    /// Whether it is being deleted.
    pub status: Status,
    /// When the status last changed.
    pub status_changed_at: Time,
}

/// Life of an application or environment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// In use.
    Active,
    /// Being deleted.
    Deleting,
}

/// Body of `POST /orgs/{orgId}/apps`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CreateApplication {
    /// Id, unique in the organization.
    pub id: String,
    /// Name for people.
    pub name: String,
    /// The first environment; without it there is one with id `development`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub env: Option<EnvironmentBase>,
    /// Creates no environment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub skip_environment_creation: Option<bool>,
}

/// Body of `PATCH /orgs/{orgId}/apps/{appId}`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PatchApplication {
    /// The new name.
    pub name: String,
}
