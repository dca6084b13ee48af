//! Artefacts: what pipelines have built.

use std::collections::BTreeMap;

use downbeat_core::{Json, JsonMap};
use serde::{Deserialize, Deserializer, Serialize};
use utoipa::ToSchema;

use crate::Time;

/// An artefact: everything that was built under one name.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Artefact {
    /// Its id.
    pub id: String,
    /// `container` or `workload`.
    pub r#type: String,
    /// Name; of a container the image without tag and digest.
    pub name: String,
    /// When the first version was registered.
    pub created_at: Time,
    /// Id of the user who registered it.
    pub created_by: String,
    /// When the newest version was registered, or one was changed.
    pub updated_at: Time,
    /// Id of the user who did that.
    pub updated_by: String,
}

/// A version of an artefact.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ArtefactVersion {
    /// `container` or `workload`.
    pub r#type: String,
    /// Its id.
    pub id: String,
    /// Id of the artefact.
    pub artefact_id: String,
    /// Name of the artefact.
    pub name: String,
    /// Whether lists leave it out.
    pub archived: bool,
    /// What the version is called; absent when nobody said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// The branch or tag it was built from. Of a container always there, empty when nobody said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub r#ref: Option<String>,
    /// The commit it was built from. Of a container always there, empty when nobody said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub commit: Option<String>,
    /// Digest of the image, of containers only: always there, empty when nobody said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<String>,
    /// When it was registered.
    pub created_at: Time,
    /// Id of the user who registered it.
    pub created_by: String,
    /// When it last changed.
    pub updated_at: Time,
    /// Id of the user who changed it.
    pub updated_by: String,
}

/// Body of `POST …/artefact-versions`, as JSON or as a form with a part for each member.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct CreateArtefactVersion {
    /// `container` or `workload`.
    pub r#type: String,
    /// Name; of a container the image without tag and digest.
    pub name: String,
    /// What the version is called; of a container its tag.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// The branch or tag it was built from, beginning with `refs/`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub r#ref: Option<String>,
    /// The commit it was built from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(pattern = "^[0-9a-f]{5,40}$")]
    pub commit: Option<String>,
    /// Of a container: the digest of the image.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<String>,
    /// Of a workload: the Score file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub spec: Option<Json>,
    /// Of a workload: image of the containers that have none, or `.`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image: Option<String>,
    /// Of a workload: a Score file that is merged over the first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub overrides: Option<Json>,
    /// Of a workload: properties to set by their dotted path; `null` removes one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub property_overrides: Option<JsonMap>,
    /// Of a workload: resource types to use instead of those in the file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resource_type_aliases: Option<BTreeMap<String, String>>,
    /// Of a workload: what a Score extension file says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub extensions: Option<Json>,
}

/// Body of `PATCH …/artefacts/{artefactId}/versions/{versionId}`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PatchArtefactVersion {
    /// Whether lists leave it out; null leaves it.
    #[serde(deserialize_with = "null_too")]
    #[schema(required)]
    pub archived: Option<bool>,
}

/// A member that has to be there, and may be null.
fn null_too<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<bool>, D::Error> {
    Option::deserialize(deserializer)
}
