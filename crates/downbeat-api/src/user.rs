//! Users and what they may do.

use std::collections::BTreeMap;

use downbeat_core::JsonMap;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::Time;

/// A user.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct User {
    /// Id.
    pub id: String,
    /// Name for people.
    pub name: String,
    /// E-mail address, if known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub email: Option<String>,
    /// `user` for a person, `service` for a program.
    pub r#type: String,
    /// When the account was made.
    pub created_at: Time,
}

/// The user who asks.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct CurrentUser {
    /// Id.
    pub id: String,
    /// Name for people.
    pub name: String,
    /// E-mail address, if known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub email: Option<String>,
    /// `user` for a person, `service` for a program.
    pub r#type: String,
    /// When the account was made.
    pub created_at: Time,
    /// What programs keep about the user.
    #[schema(value_type = Object)]
    pub properties: JsonMap,
    /// Role by path of the object, for example `/orgs/acme` to `administrator`.
    pub roles: BTreeMap<String, String>,
}

/// A user with the role on the object that was asked about.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct UserRole {
    /// Id of the user.
    pub id: String,
    /// Name for people.
    pub name: String,
    /// E-mail address, if known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub email: Option<String>,
    /// `user`, `service` or `group`.
    pub r#type: String,
    /// When the account was made.
    pub created_at: Time,
    /// The role.
    pub role: String,
}

/// Body of `POST /orgs/{orgId}/users`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CreateServiceUser {
    /// Name for people.
    pub name: String,
    /// Role in the organization.
    pub role: String,
    /// E-mail address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub email: Option<String>,
}

/// Body of `PATCH /orgs/{orgId}/users/{userId}`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PatchRole {
    /// The new role.
    pub role: String,
}

/// Body of `POST …/users` of an application or an environment type.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct NewRole {
    /// Id of the user or the group.
    pub id: String,
    /// The role.
    pub role: String,
}
