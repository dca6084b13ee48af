//! Container images: how v1 showed container artefacts before there were artefacts.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::Time;

/// A container image with its builds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Image {
    /// What the builds have in common; chosen by whoever registered them.
    pub id: String,
    /// How it became known.
    pub source: String,
    /// When the first build was registered.
    pub added_at: Time,
    /// The builds, oldest first.
    pub builds: Vec<ImageBuild>,
}

/// A build of a container image.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ImageBuild {
    /// The image with registry, repository and tag.
    pub image: String,
    /// The commit it was built from; empty when nobody said.
    pub commit: String,
    /// The branch it was built from; empty when nobody said.
    pub branch: String,
    /// The tags it was built from.
    pub tags: Vec<String>,
    /// When it was registered.
    pub added_at: Time,
}

/// Body of `POST …/images/{imageId}/builds`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CreateImageBuild {
    /// The image with registry, repository and tag.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image: Option<String>,
    /// The commit it was built from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub commit: Option<String>,
    /// The branch it was built from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub branch: Option<String>,
    /// The tags it was built from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tags: Option<Vec<String>>,
}
