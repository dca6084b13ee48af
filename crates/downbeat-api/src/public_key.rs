//! Public keys of an organization, and those of this server.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::Time;

/// A public key that an organization registered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PublicKey {
    /// Its id.
    pub id: String,
    /// The key in PEM, as it was sent.
    pub key: String,
    /// SHA-256 of its DER bytes, in lower-case hex.
    pub fingerprint: String,
    /// When it was registered.
    pub created_at: Time,
    /// Id of the user who registered it.
    pub created_by: String,
    /// When it should be replaced: two years after it was registered.
    pub expired_at: Time,
}

/// A public key of this server.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct HumanitecPublicKey {
    /// The key in PEM.
    pub pub_key: String,
    /// Whether it is in use.
    pub active: bool,
    /// When it was made.
    pub created_at: Time,
}
