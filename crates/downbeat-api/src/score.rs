//! Conversion of Score files.

use std::collections::BTreeMap;

use downbeat_core::{Json, JsonMap, patch};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::delta::{DeltaRequest, ModuleDeltasRequest, UpdateActionRequest};

/// Body of `POST …/artefact-versions/convert-score`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ConvertScore {
    /// The Score file as JSON.
    #[schema(value_type = Object)]
    pub spec: Json,
    /// Image of the containers that have none, or `.`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image: Option<String>,
    /// A Score file that is merged over the first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub overrides: Option<Json>,
    /// Properties to set by their dotted path; `null` removes one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub property_overrides: Option<JsonMap>,
    /// Resource types to use instead of those in the file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resource_type_aliases: Option<BTreeMap<String, String>>,
    /// What a Score extension file says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub extensions: Option<Json>,
}

/// What a Score file asks for: its workload and the shared resources it names.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ConvertedScore {
    /// The workload by its name.
    #[schema(value_type = BTreeMap<String, Object>)]
    pub modules: JsonMap,
    /// Shared resources by key.
    #[schema(value_type = Object)]
    pub shared: JsonMap,
}

impl From<&ConvertedScore> for DeltaRequest {
    /// The delta that adds the workload and its shared resources.
    fn from(converted: &ConvertedScore) -> Self {
        let modules = converted.modules.iter();
        let action = |(key, resource): (&String, &Json)| UpdateActionRequest {
            op: "add".to_owned(),
            path: patch::pointer([key.as_str()]),
            value: Some(resource.clone()),
        };
        Self {
            metadata: None,
            modules: ModuleDeltasRequest {
                add: modules.map(|(id, module)| (id.clone(), module.clone())).collect(),
                ..ModuleDeltasRequest::default()
            },
            shared: converted.shared.iter().map(action).collect(),
        }
    }
}
