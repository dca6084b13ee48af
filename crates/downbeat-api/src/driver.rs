//! Resource drivers.

use downbeat_core::{Json, JsonMap};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A driver: what turns a definition into a resource.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ResourceDriver {
    /// Organization it belongs to; `humanitec` for the built-in ones.
    pub org_id: String,
    /// Id within the organization; definitions name it as `<org>/<id>`.
    pub id: String,
    /// Type of resource that it makes; `*` for any.
    pub r#type: String,
    /// Types of resource accounts that it can use, in order.
    pub account_types: Vec<String>,
    /// JSON Schema of its inputs.
    #[schema(value_type = Object)]
    pub inputs_schema: JsonMap,
    /// Where it runs: a URL, or for a virtual driver `driver://` and another driver.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<String>,
    /// For a virtual driver, how its inputs become those of the other driver.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Value>)]
    pub template: Option<Json>,
}

/// Body of `POST …/resources/drivers`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct CreateResourceDriver {
    /// Id, unique in the organization.
    pub id: String,
    /// Type of resource that it makes.
    pub r#type: String,
    /// Types of resource accounts that it can use, in order.
    pub account_types: Vec<String>,
    /// JSON Schema of its inputs.
    #[schema(value_type = Object)]
    pub inputs_schema: JsonMap,
    /// Where it runs.
    pub target: String,
    /// For a virtual driver, how its inputs become those of the other driver.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Value>)]
    pub template: Option<Json>,
    /// Whether other organizations may use it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub is_public: Option<bool>,
}

/// Body of `PUT …/resources/drivers/{driverId}`: replaces all but the id.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct UpdateResourceDriver {
    /// Type of resource that it makes.
    pub r#type: String,
    /// Types of resource accounts that it can use, in order.
    pub account_types: Vec<String>,
    /// JSON Schema of its inputs.
    #[schema(value_type = Object)]
    pub inputs_schema: JsonMap,
    /// Where it runs.
    pub target: String,
    /// For a virtual driver, how its inputs become those of the other driver.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Value>)]
    pub template: Option<Json>,
    /// Whether other organizations may use it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub is_public: Option<bool>,
}
