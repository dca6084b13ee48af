//! Resource classes: documented variants of a resource type.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::Time;

/// A class of a resource type.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ResourceClass {
    /// Id within the type.
    pub id: String,
    /// The type.
    pub resource_type: String,
    /// When to ask for this class.
    pub description: String,
    /// Id of the user who registered it.
    pub created_by: String,
    /// When it was registered.
    pub created_at: Time,
}

/// Body of `POST …/resources/types/{typeId}/classes`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CreateResourceClass {
    /// Id, unique within the type.
    pub id: String,
    /// When to ask for this class.
    pub description: String,
}

/// Body of `PATCH …/resources/types/{typeId}/classes/{classId}`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PatchResourceClass {
    /// The new description.
    pub description: String,
}
