//! Environments.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{Time, application::Status, deployment::Deployment};

/// An environment in short, as an application lists it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct EnvironmentBase {
    /// Id within the application.
    pub id: String,
    /// Name for people.
    pub name: String,
    /// Id of its environment type.
    pub r#type: String,
}

/// An environment: a place where an application runs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Environment {
    /// Id within the application.
    pub id: String,
    /// Name for people.
    pub name: String,
    /// Id of its environment type; it never changes.
    pub r#type: String,
    /// When it was created.
    pub created_at: Time,
    /// Id of the user who created it.
    pub created_by: String,
    /// Base of the next deployment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from_deploy: Option<Deployment>,
    /// Newest deployment executed here; absent before the first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_deploy: Option<Deployment>,
    /// Whether it is being deleted.
    pub status: Status,
    /// When the status last changed.
    pub status_changed_at: Time,
}

/// Body of `POST /orgs/{orgId}/apps/{appId}/envs`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CreateEnvironment {
    /// Id, unique in the application.
    pub id: String,
    /// Name for people.
    pub name: String,
    /// Id of an environment type; absent means `development`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub r#type: Option<String>,
    /// A deployment of this application that the first deployment here starts from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from_deploy_id: Option<String>,
}

/// Body of `PATCH /orgs/{orgId}/apps/{appId}/envs/{envId}`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PatchEnvironment {
    /// The new name; absent leaves it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
}
