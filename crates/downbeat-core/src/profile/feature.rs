//! Features: parts of a spec that profiles put together.
//!
//! The names are those that profiles of v1 use. The schemas say what kind of thing a feature is;
//! what exactly fits into it is said by what renders it.

use serde_json::json;

use crate::Json;

/// Organization of the features.
pub(super) const ORG: &str = "humanitec";
/// Version of all features.
pub const VERSION: &str = "0.1";

/// A part of a spec.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Feature {
    /// Id within the organization `humanitec`.
    pub id: &'static str,
    kind: Kind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Anything,
    Text,
    Count,
    Texts,
    Objects,
    Map,
    MapOfTexts,
    MapOfObjects,
    Kubernetes,
    Schedules,
    Ports,
}

const FEATURES: [Feature; 26] = {
    use Kind::{
        Anything, Count, Kubernetes, Map, MapOfObjects, MapOfTexts, Objects, Ports, Schedules,
        Text, Texts,
    };
    [
        Feature { id: "annotations", kind: MapOfTexts },
        Feature { id: "containers", kind: MapOfObjects },
        Feature { id: "cronjob", kind: Kubernetes },
        Feature { id: "deployment", kind: Kubernetes },
        Feature { id: "envs", kind: Objects },
        Feature { id: "extra-containers", kind: Anything },
        Feature { id: "extra-variables", kind: Map },
        Feature { id: "extra-volumes", kind: Anything },
        Feature { id: "files", kind: Map },
        Feature { id: "image", kind: Text },
        Feature { id: "image-pull-secrets", kind: Objects },
        Feature { id: "ingress", kind: Map },
        Feature { id: "job", kind: Kubernetes },
        Feature { id: "labels", kind: MapOfTexts },
        Feature { id: "logs", kind: Anything },
        Feature { id: "overrides", kind: Texts },
        Feature { id: "pod", kind: Kubernetes },
        Feature { id: "probe", kind: Map },
        Feature { id: "replicas", kind: Count },
        Feature { id: "resources", kind: Map },
        Feature { id: "schedules", kind: Schedules },
        Feature { id: "service", kind: Ports },
        Feature { id: "service-account", kind: Text },
        Feature { id: "variables", kind: Map },
        Feature { id: "volume-mounts", kind: Map },
        Feature { id: "volumes", kind: Map },
    ]
};

/// All features, by id.
pub fn features() -> impl Iterator<Item = Feature> {
    FEATURES.into_iter()
}

impl Feature {
    /// The feature with this qualified name, for example `humanitec/pod`.
    #[must_use]
    pub fn find(name: &str) -> Option<Self> {
        let id = name.strip_prefix(ORG)?.strip_prefix('/')?;
        FEATURES.into_iter().find(|feature| feature.id == id)
    }

    /// The qualified name.
    #[must_use]
    pub fn name(self) -> String {
        format!("{ORG}/{}", self.id)
    }

    /// The JSON Schema of what a spec says there.
    #[must_use]
    pub fn schema(self) -> Json {
        let texts = json!({ "type": "object", "additionalProperties": { "type": "string" } });
        match self.kind {
            Kind::Anything => json!({}),
            Kind::Text => json!({ "type": "string" }),
            Kind::Count => json!({ "type": "integer", "minimum": 0 }),
            Kind::Texts => json!({ "type": "array", "items": { "type": "string" } }),
            Kind::Objects => json!({ "type": "array", "items": { "type": "object" } }),
            Kind::Map => json!({ "type": "object" }),
            Kind::MapOfTexts => texts,
            Kind::MapOfObjects => {
                json!({ "type": "object", "additionalProperties": { "type": "object" } })
            }
            Kind::Kubernetes => json!({
                "type": "object",
                "properties": { "annotations": texts, "labels": texts },
            }),
            Kind::Schedules => json!({
                "type": "object",
                "additionalProperties": {
                    "type": "object",
                    "properties": {
                        "schedule": { "type": "string" },
                        "containers": { "type": "object" },
                    },
                },
            }),
            Kind::Ports => json!({
                "type": "object",
                "properties": {
                    "annotations": texts,
                    "labels": texts,
                    "ports": {
                        "type": "object",
                        "additionalProperties": {
                            "type": "object",
                            "properties": {
                                "protocol": { "type": "string" },
                                "service_port": { "type": "integer" },
                                "container_port": { "type": "integer" },
                            },
                        },
                    },
                },
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_lead_to_features() {
        assert!(features().is_sorted_by_key(|feature| feature.id));
        for feature in features() {
            assert_eq!(Feature::find(&feature.name()), Some(feature));
        }
        for odd in ["pod", "acme/pod", "humanitec/", "humanitec/pods", "humanitec"] {
            assert_eq!(Feature::find(odd), None, "{odd}");
        }
    }
}
