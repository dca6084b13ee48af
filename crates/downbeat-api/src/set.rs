//! Deployment sets on the wire (`SetResponse`).

use std::collections::BTreeMap;

use downbeat_core::{DeploymentSet, Json, JsonMap};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::delta::PlainDelta;

/// A deployment set.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Set {
    /// A hash of the content; equal sets have equal ids.
    pub id: String,
    /// Workloads by id.
    pub modules: BTreeMap<String, Module>,
    /// Shared resources by key.
    #[schema(value_type = Object)]
    pub shared: JsonMap,
    /// Format of the set; only 0 exists.
    pub version: u64,
    /// Workloads of newer clients, as they came.
    #[serde(default, skip_serializing_if = "JsonMap::is_empty")]
    #[schema(value_type = Object, required = false)]
    pub workloads: JsonMap,
}

/// A workload. What was not sent is shown empty, as the v1 API does.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Module {
    /// How `spec` is interpreted.
    #[schema(required)]
    pub profile: String,
    /// The body.
    #[schema(value_type = Object, required)]
    pub spec: JsonMap,
    /// Private resource dependencies by name.
    #[schema(value_type = Object, required)]
    pub externals: JsonMap,
    /// Stage and success condition of the rollout.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Object, required = false)]
    pub deploy: Option<Json>,
    /// Members that this version does not know.
    #[serde(flatten)]
    #[schema(value_type = BTreeMap<String, Value>)]
    pub other: JsonMap,
}

impl From<&Json> for Module {
    fn from(body: &Json) -> Self {
        let mut other = body.as_object().cloned().unwrap_or_default();
        let mut take = |name: &str| other.remove(name);
        let object = |value: Option<Json>| match value {
            Some(Json::Object(map)) => map,
            _ => JsonMap::new(),
        };
        Self {
            profile: take("profile")
                .as_ref()
                .and_then(Json::as_str)
                .map(str::to_owned)
                .unwrap_or_default(),
            spec: object(take("spec")),
            externals: object(take("externals")),
            deploy: take("deploy").filter(Json::is_object),
            other,
        }
    }
}

impl Set {
    /// The set under the id that its content gives it.
    #[must_use]
    pub fn new(id: String, content: &DeploymentSet) -> Self {
        let mut json = content.to_json();
        let mut take = |name: &str| match json.get_mut(name).map(Json::take) {
            Some(Json::Object(map)) => map,
            _ => JsonMap::new(),
        };
        Self {
            id,
            modules: take("modules").iter().map(|(id, body)| (id.clone(), body.into())).collect(),
            shared: take("shared"),
            version: content.version,
            workloads: take("workloads"),
        }
    }
}

/// What `GET /sets/{setId}` answers: the set, or with `?diff=` the way from another set to it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(untagged)]
pub enum SetOrDelta {
    /// The set.
    Set(Set),
    /// The delta that turns the other set into this one.
    Delta(PlainDelta),
}

/// A resource that a set asks for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ResourceInputs {
    /// Resource id, for example `modules.web.externals.db`.
    pub id: String,
    /// Resource type.
    pub r#type: String,
    /// Resource class.
    pub class: String,
    /// Its inputs.
    #[schema(value_type = Object)]
    pub resource: JsonMap,
}
