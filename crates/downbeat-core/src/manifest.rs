//! Kubernetes objects on their way to a target.
//!
//! Invariant: a [`Document`] never holds a plaintext. Where a secret belongs, its `value` is
//! `null` and `secrets` names the place (JSON pointer) and the expression that goes there.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{Json, SecretExpr};

/// A JSON tree in which some string leaves are secret.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Document {
    /// The tree, with `null` where a secret belongs.
    pub value: Json,
    /// JSON pointer (RFC 6901) to the expression that belongs there.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub secrets: BTreeMap<String, SecretExpr>,
}

impl Document {
    /// A document without secrets.
    #[must_use]
    pub fn plain(value: Json) -> Self {
        Self { value, secrets: BTreeMap::new() }
    }

    /// The secrets at or below `pointer`, with their pointers made relative to it.
    #[must_use]
    pub fn secrets_below(&self, pointer: &str) -> BTreeMap<String, SecretExpr> {
        self.secrets
            .iter()
            .filter_map(|(at, expr)| {
                let rest = at.strip_prefix(pointer)?;
                (rest.is_empty() || rest.starts_with('/')).then(|| (rest.to_owned(), expr.clone()))
            })
            .collect()
    }
}

/// Where a manifest goes (v1 `ManifestResponse.location`, spec 08 section 6).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Location {
    /// An object in the environment's namespace.
    Namespace,
    /// A cluster-scoped object, or one in a namespace that it names itself.
    Cluster,
    /// A container added to the pods of every workload that depends on the resource.
    Containers,
    /// A volume added to the pods of every workload that depends on the resource.
    Volumes,
}

/// What a driver returned for injection.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    /// A label for messages; the key in the driver's answer.
    pub name: String,
    /// Where it goes.
    pub location: Location,
    /// The object, container or volume.
    pub data: Document,
}
