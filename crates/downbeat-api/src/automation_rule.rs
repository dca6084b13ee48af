//! Automation rules.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::Time;

/// What an environment does when an artefact has a new version.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Rule {
    /// `update`: the workloads that run the artefact are deployed with the new version.
    pub r#type: String,
    /// Whether the rule applies.
    #[serde(default = "yes")]
    pub active: bool,
    /// Names of artefacts; none for all.
    #[serde(default)]
    pub artefacts_filter: Vec<String>,
    /// Whether the filter names what the rule does not apply to.
    #[serde(default)]
    pub exclude_artefacts_filter: bool,
    /// Regular expression for the reference of the new version; empty for all.
    #[serde(default)]
    pub match_ref: String,
    /// Deprecated: ids of images; none for all.
    #[serde(default)]
    pub images_filter: Vec<String>,
    /// Deprecated: whether the images are those that the rule does not apply to.
    #[serde(default)]
    pub exclude_images_filter: bool,
    /// Deprecated: `branch` or `tag`.
    #[serde(default)]
    pub update_to: String,
    /// Deprecated: regular expression for the name of the branch or tag.
    #[serde(default)]
    pub r#match: String,
}

fn yes() -> bool {
    true
}

/// An automation rule of an environment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AutomationRule {
    /// Its id.
    pub id: String,
    /// `update`: the workloads that run the artefact are deployed with the new version.
    pub r#type: String,
    /// Whether the rule applies.
    pub active: bool,
    /// Names of artefacts; none for all.
    pub artefacts_filter: Vec<String>,
    /// Whether the filter names what the rule does not apply to.
    pub exclude_artefacts_filter: bool,
    /// Regular expression for the reference of the new version; empty for all.
    pub match_ref: String,
    /// Deprecated: ids of images; none for all.
    pub images_filter: Vec<String>,
    /// Deprecated: whether the images are those that the rule does not apply to.
    pub exclude_images_filter: bool,
    /// Deprecated: `branch` or `tag`.
    pub update_to: String,
    /// Deprecated: regular expression for the name of the branch or tag.
    pub r#match: String,
    /// When it was created.
    pub created_at: Time,
    /// When it was last changed.
    pub updated_at: Time,
}
