//! Agents, and their keys.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::Time;

/// An agent to register.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CreateAgent {
    /// Its id.
    pub id: String,
    /// Its first RSA public key in PEM, of at least 4096 bits.
    pub public_key: String,
    /// What it is for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub description: Option<String>,
}

/// What may change of an agent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PatchAgent {
    /// What it is for.
    pub description: String,
}

/// An agent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Agent {
    /// Its id.
    pub id: String,
    /// What it is for; absent when nobody said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub description: Option<String>,
    /// When it was registered.
    pub created_at: Time,
    /// Id of the user who registered it.
    pub created_by: String,
}

/// A key to add to an agent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CreateKey {
    /// RSA public key in PEM, of at least 4096 bits.
    pub public_key: String,
}

/// A key of an agent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Key {
    /// SHA-256 of its DER bytes, in lower-case hex.
    pub fingerprint: String,
    /// The key in PEM, as it was sent.
    pub public_key: String,
    /// When it was registered.
    pub created_at: Time,
    /// Id of the user who registered it.
    pub created_by: String,
    /// When it should be replaced: two years after it was registered.
    pub expired_at: Time,
    /// Whether the agent may use it.
    pub is_authorized: bool,
}
