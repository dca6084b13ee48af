//! Secret stores that references may name.

use downbeat_core::JsonMap;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::Time;

/// AWS Secrets Manager.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AwsSm {
    /// Region.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub region: Option<String>,
    /// Address, when it is not the usual one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub endpoint: Option<String>,
}

/// Azure Key Vault.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AzureKv {
    /// Id of the tenant.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub tenant_id: Option<String>,
    /// Address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub url: Option<String>,
}

/// Google Secret Manager.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct GcpSm {
    /// Id of the project.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub project_id: Option<String>,
}

/// HashiCorp Vault or `OpenBao`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Vault {
    /// Address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub url: Option<String>,
    /// Path of the engine.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub path: Option<String>,
    /// Agent that it is reached through.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub agent_id: Option<String>,
}

/// The store that is built in.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct BuiltIn {}

/// What a client says of a store: exactly one of the four. Each may have `auth`, what opens it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SecretStoreRequest {
    /// Its id; cannot change.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub id: Option<String>,
    /// Whether new secrets are kept there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub primary: Option<bool>,
    /// AWS Secrets Manager, and `auth`: `access_key_id`, `secret_access_key`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub awssm: Option<JsonMap>,
    /// Azure Key Vault, and `auth`: `client_id`, `client_secret`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub azurekv: Option<JsonMap>,
    /// Google Secret Manager, and `auth`: `secret_access_key`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub gcpsm: Option<JsonMap>,
    /// Vault, and `auth`: `role`, `token`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub vault: Option<JsonMap>,
}

/// A secret store. What opens it is never shown.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SecretStore {
    /// Its id.
    pub id: String,
    /// Whether new secrets are kept there.
    pub primary: bool,
    /// AWS Secrets Manager.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub awssm: Option<AwsSm>,
    /// Azure Key Vault.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub azurekv: Option<AzureKv>,
    /// Google Secret Manager.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub gcpsm: Option<GcpSm>,
    /// Vault.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub vault: Option<Vault>,
    /// The one that is built in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub humanitec: Option<BuiltIn>,
    /// When it was entered.
    pub created_at: Time,
    /// Id of the user who entered it.
    pub created_by: String,
    /// When it was last changed.
    pub updated_at: Time,
    /// Id of the user who changed it.
    pub updated_by: String,
}
