//! A workload as the v1 API stores it ("module"), and the resources it needs.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer, Serialize};

use crate::{Json, JsonMap};

/// The profile of a module that names none.
pub const DEFAULT_PROFILE: &str = "humanitec/default-module";
/// The class of a resource that names none.
pub const DEFAULT_CLASS: &str = "default";

/// One workload in a deployment set: free-form `spec` under a profile, plus its private resources.
///
/// Unknown members are kept as they came, so that a set round-trips through us unharmed.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Module {
    /// How `spec` is interpreted, for example `humanitec/default-module`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub profile: Option<String>,
    /// The body of the workload; checked against the profile at deployment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub spec: Option<JsonMap>,
    /// Private resource dependencies by name ("externals").
    #[serde(
        default,
        skip_serializing_if = "BTreeMap::is_empty",
        deserialize_with = "null_as_default"
    )]
    pub externals: BTreeMap<String, Resource>,
    /// Stage and success condition of the rollout.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deploy: Option<DeployCondition>,
    /// Members this version does not know.
    #[serde(flatten)]
    pub other: JsonMap,
}

impl Module {
    /// The profile, with the default filled in.
    #[must_use]
    pub fn profile(&self) -> &str {
        self.profile.as_deref().unwrap_or(DEFAULT_PROFILE)
    }
}

/// A resource that a workload or an application asks for.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Resource {
    /// Resource type, for example `postgres` or `my-org/bucket`.
    #[serde(rename = "type")]
    pub resource_type: String,
    /// Class; absent, null and empty all mean `default`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub class: Option<String>,
    /// Only for shared resources: the resource id, when it differs from `shared.<key>`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// Inputs of the resource.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub params: Option<JsonMap>,
    /// Members this version does not know.
    #[serde(flatten)]
    pub other: JsonMap,
}

impl Resource {
    /// The class, with the default filled in.
    #[must_use]
    pub fn class(&self) -> &str {
        match self.class.as_deref() {
            None | Some("") => DEFAULT_CLASS,
            Some(class) => class,
        }
    }
}

/// When a workload is rolled out relative to the others, and what counts as success.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeployCondition {
    /// `before`, `deploy` (default) or `after`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub when: Option<Stage>,
    /// `deploy` (default), `available` or `complete`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub success: Option<Success>,
    /// Seconds to wait for the success condition.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout: Option<u64>,
}

/// Rollout stage of a workload.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Stage {
    /// Before all others.
    Before,
    /// The main stage.
    #[default]
    Deploy,
    /// After all others.
    After,
}

/// Success condition of a rollout.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Success {
    /// The objects were accepted.
    #[default]
    Deploy,
    /// All pods are ready.
    Available,
    /// The job has completed.
    Complete,
}

fn null_as_default<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Default + Deserialize<'de>,
{
    Ok(Option::<T>::deserialize(deserializer)?.unwrap_or_default())
}

/// Reads a module from JSON; the message names the member that is wrong.
///
/// # Errors
/// When the value is not an object or a known member has another type.
pub fn from_json(value: Json) -> Result<Module, serde_json::Error> {
    serde_json::from_value(value)
}
