//! Resource graphs.

use downbeat_core::JsonMap;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::Time;

/// The resources of an environment in the order in which they are provisioned.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct DependencyGraph {
    /// Id.
    pub id: String,
    /// SHA-256 of the list of nodes.
    pub hash: String,
    /// The nodes, each after those that it depends on.
    pub nodes: Vec<GraphNode>,
    /// When it was built first.
    pub created_at: Time,
    /// When it was built last.
    pub used_at: Time,
}

/// A resource in a graph. Placeholders in its inputs are not resolved yet.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct GraphNode {
    /// Resource id.
    pub id: String,
    /// Resource type.
    pub r#type: String,
    /// Resource class.
    pub class: String,
    /// Permanent id of the resource.
    pub guresid: String,
    /// Definition that makes it; empty when a built-in one does.
    pub def_id: String,
    /// Version of that definition.
    pub def_version_id: String,
    /// Criteria that chose the definition.
    pub criteria_id: String,
    /// Driver that makes it.
    pub driver_type: String,
    /// Account of the driver.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub driver_account: Option<String>,
    /// Inputs of the driver: `values`, and `secrets` as references.
    #[schema(value_type = Object)]
    pub driver: JsonMap,
    /// Inputs of the resource.
    #[schema(value_type = Object)]
    pub resource: JsonMap,
    /// JSON Schema of the outputs.
    #[schema(value_type = Object)]
    pub resource_schema: JsonMap,
    /// Permanent ids of the resources that it depends on.
    pub depends_on: Vec<String>,
    /// Where the driver runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<String>,
    /// Whether a change of driver keeps what the old driver made.
    #[serde(default)]
    #[schema(required)]
    pub in_place_driver_change: bool,
}

/// A resource that a graph is asked for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct RequestedResource {
    /// Resource id.
    pub id: String,
    /// Resource type.
    pub r#type: String,
    /// Resource class; absent means `default`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub class: Option<String>,
    /// Inputs of the resource.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub resource: Option<JsonMap>,
}
