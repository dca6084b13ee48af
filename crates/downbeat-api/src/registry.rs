//! Registries of container images.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::Time;

/// A Secret in a cluster.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ClusterSecret {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub secret: String,
}

/// What opens a registry.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Credentials {
    /// Name of the account.
    pub username: String,
    /// Its password.
    pub password: String,
    /// Until when they are good.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires: Option<String>,
}

/// What a client says of a registry. A `PATCH` leaves what is absent as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RegistryRequest {
    /// Its id; cannot change.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub id: Option<String>,
    /// Its domain, or domain and project.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub registry: Option<String>,
    /// `public`, `basic`, `google_gcr`, `amazon_ecr` or `secret_ref`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub r#type: Option<String>,
    /// Whether CI systems may have the credentials.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub enable_ci: Option<bool>,
    /// What opens it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub creds: Option<Credentials>,
    /// Secrets to copy, by cluster; `*` for all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secrets: Option<BTreeMap<String, ClusterSecret>>,
}

/// A registry.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Registry {
    /// Its id.
    pub id: String,
    /// Its domain, or domain and project.
    pub registry: String,
    /// How one logs in.
    pub r#type: String,
    /// Whether CI systems may have the credentials.
    pub enable_ci: bool,
    /// Secrets to copy, by cluster; absent when there are none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub secrets: Option<BTreeMap<String, ClusterSecret>>,
    /// When it was entered.
    pub created_at: Time,
    /// Id of the user who entered it.
    pub created_by: String,
}

/// What a CI system needs to log in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RegistryCreds {
    /// Domain of the registry, or domain and project.
    pub registry: String,
    /// Name of the account.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub username: Option<String>,
    /// Its password.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub password: Option<String>,
    /// Until when they are good.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub expires: Option<String>,
    /// Secrets to copy, by cluster; absent when there are none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub secrets: Option<BTreeMap<String, ClusterSecret>>,
}
