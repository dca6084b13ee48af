//! Resource types.

use downbeat_core::JsonMap;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A resource type: what may be asked for, and what comes out of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ResourceType {
    /// Id: a bare name when built in, otherwise `<org>/<name>`.
    pub r#type: String,
    /// Name for people; may be empty.
    pub name: String,
    /// Category for people; may be empty.
    pub category: String,
    /// `direct`, `indirect` or `implicit`: who may ask for it.
    pub r#use: String,
    /// JSON Schema of the inputs.
    #[schema(value_type = Object)]
    pub inputs_schema: JsonMap,
    /// JSON Schema of the outputs, with `values` and `secrets` at its top.
    #[schema(value_type = Object)]
    pub outputs_schema: JsonMap,
}

/// Body of `POST …/resources/types`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct CreateResourceType {
    /// Id, `<org>/<name>`.
    pub r#type: String,
    /// `direct` or `indirect`.
    pub r#use: String,
    /// Name for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Category for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub category: Option<String>,
    /// JSON Schema of the inputs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub inputs_schema: Option<JsonMap>,
    /// JSON Schema of the outputs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub outputs_schema: Option<JsonMap>,
}

/// Body of `PUT …/resources/types/{typeId}`: replaces all but the id.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct UpdateResourceType {
    /// `direct` or `indirect`.
    pub r#use: String,
    /// Name for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Category for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub category: Option<String>,
    /// JSON Schema of the inputs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub inputs_schema: Option<JsonMap>,
    /// JSON Schema of the outputs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub outputs_schema: Option<JsonMap>,
}

/// Body of `PATCH …/resources/types/{typeId}`. What is absent stays as it is.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct PatchResourceType {
    /// `direct` or `indirect`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub r#use: Option<String>,
    /// Name for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Category for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub category: Option<String>,
    /// JSON Schema of the inputs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub inputs_schema: Option<JsonMap>,
    /// JSON Schema of the outputs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub outputs_schema: Option<JsonMap>,
}
