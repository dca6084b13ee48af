//! Tokens of users.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::Time;

/// A token, without the secret part.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct TokenInfo {
    /// Id, unique for the user.
    pub id: String,
    /// `static` or `session`.
    pub r#type: String,
    /// Text for people; may be empty.
    pub description: String,
    /// When it was made.
    pub created_at: Time,
    /// Id of the user who made it.
    pub created_by: String,
    /// When it ends; absent means never.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Time>,
}

/// Body of `POST /users/{userId}/tokens`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CreateToken {
    /// Id, unique for the user.
    pub id: String,
    /// `static` is the only kind that can be asked for.
    pub r#type: String,
    /// Text for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// When it ends; absent means never.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Time>,
}

/// A token that was just made: the only answer that shows it.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct NewToken {
    /// The token to send as `Authorization: Bearer …`.
    pub token: String,
    /// `static`.
    pub r#type: String,
}
