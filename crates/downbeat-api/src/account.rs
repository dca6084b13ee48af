//! Resource accounts: what drivers work with at clouds and other services.

use downbeat_core::JsonMap;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::Time;

/// A kind of account.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct AccountType {
    /// Name for people.
    pub name: String,
    /// Id of the type.
    pub r#type: String,
    /// JSON Schema of the credentials.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub inputs_schema: Option<JsonMap>,
}

/// An account. Its credentials are never shown.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ResourceAccount {
    /// Id within the organization; definitions name it as `driver_account`.
    pub id: String,
    /// Name for people.
    pub name: String,
    /// Id of its type.
    pub r#type: String,
    /// Whether a definition names it, or a resource was made with it.
    pub is_used: bool,
    /// Id of the user who entered it.
    pub created_by: String,
    /// When it was entered.
    pub created_at: Time,
}

/// Body of `POST …/resources/accounts`.
#[derive(Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct CreateResourceAccount {
    /// Id, unique in the organization.
    pub id: String,
    /// Name for people.
    pub name: String,
    /// Id of its type.
    pub r#type: String,
    /// What opens the account.
    #[schema(value_type = Object)]
    pub credentials: JsonMap,
}

/// Body of `PATCH …/resources/accounts/{accId}`: what is left out stays.
#[derive(Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct PatchResourceAccount {
    /// The new name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The new credentials; they replace the old ones as a whole.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub credentials: Option<JsonMap>,
}

/// What was found out about the credentials of an account.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AccountCheck {
    /// Whose account it is, as far as the credentials say so.
    pub identity_fields: Vec<IdentityField>,
    /// What may keep it from working.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
}

/// A property of an account that may be shown.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct IdentityField {
    /// The member of the credentials.
    pub id: String,
    /// What it is.
    pub description: String,
    /// Its value.
    pub value: String,
}
