//! Organizations.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::Time;

/// An organization: the root of everything a tenant has.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Organization {
    /// Id, chosen when the organization was set up.
    pub id: String,
    /// Name for people.
    pub name: String,
    /// When it was set up.
    pub created_at: Time,
    /// Id of the user who set it up.
    pub created_by: String,
    /// Pictures; empty here.
    pub logo: Logo,
    /// Always null: there are no trials.
    #[schema(required)]
    pub trial_expires_at: Option<Time>,
}

/// Pictures of an organization.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Logo {
    /// For dark pages.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dark_url: Option<String>,
    /// For light pages.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub light_url: Option<String>,
}
