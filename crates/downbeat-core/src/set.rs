//! The deployment set: what an application runs, named by its content.
//!
//! Invariant: a set is immutable. A [delta](crate::delta) makes another one.

use std::{collections::BTreeMap, fmt};

use serde::{Deserialize, Serialize};

use crate::{Json, JsonMap, Module, Resource, id::sha256_hex, json};

/// The name of a set: SHA-256 over its canonical JSON, in lower-case hex.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SetId(String);

impl SetId {
    /// The text form.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for SetId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Everything that an application wants to run, independent of any environment.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct DeploymentSet {
    /// Workloads by id.
    #[serde(default)]
    pub modules: BTreeMap<String, Module>,
    /// Shared resources by key.
    #[serde(default)]
    pub shared: BTreeMap<String, Resource>,
    /// Format of the set; only 0 exists.
    #[serde(default)]
    pub version: u64,
    /// Newer clients' workloads, kept as they came.
    #[serde(default, skip_serializing_if = "JsonMap::is_empty")]
    pub workloads: JsonMap,
}

impl DeploymentSet {
    /// The name of this content.
    ///
    /// SHA-256 over the JSON form with sorted keys and no white space (RFC 8785 up to the form of
    /// numbers, which are kept as they came). Two equal sets have the same name in every
    /// application and organization.
    #[must_use]
    pub fn id(&self) -> SetId {
        SetId(sha256_hex(self.canonical().as_bytes()))
    }

    /// The canonical JSON text.
    #[must_use]
    pub fn canonical(&self) -> String {
        json::canonical(self)
    }

    /// The JSON form without the id.
    #[must_use]
    pub fn to_json(&self) -> Json {
        // All members are JSON values or string-keyed maps of them: this cannot fail.
        serde_json::to_value(self).unwrap_or_default()
    }

    /// Reads a set from its JSON form.
    ///
    /// # Errors
    /// When a module or resource is not of the right shape.
    pub fn from_json(value: Json) -> Result<Self, serde_json::Error> {
        serde_json::from_value(value)
    }
}
