//! Shared values, and the versions of sets of them.

use std::collections::BTreeMap;

use downbeat_core::Json;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::Time;

/// A value that all workloads of an application or environment may use.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SharedValue {
    /// Key, unique at its level.
    pub key: String,
    /// The value; empty for a secret.
    pub value: String,
    /// Text for people; may be empty.
    pub description: String,
    /// Whether the value is kept in a secret store.
    pub is_secret: bool,
    /// Which level the value comes from.
    pub source: Source,
    /// Secret store of a secret.
    #[schema(required)]
    pub secret_store_id: Option<String>,
    /// Key of a secret in its store.
    #[schema(required)]
    pub secret_key: Option<String>,
    /// Version of a secret in its store.
    #[schema(required)]
    pub secret_version: Option<String>,
    /// When the key was created at this level.
    pub created_at: Time,
    /// When it last changed.
    pub updated_at: Time,
}

/// The level a value comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Source {
    /// The application.
    App,
    /// The environment: it overrides the application.
    Env,
}

/// Where a secret is: either `value`, to be written into the primary store, or `store` and `ref`.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SecretReference {
    /// Id of the secret store.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub store: Option<String>,
    /// Key in the format of the store.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub r#ref: Option<String>,
    /// Version in the store; absent means the newest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// A plaintext to keep.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<String>,
}

/// Body of `POST …/values`.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CreateValue {
    /// Key, unique at its level.
    pub key: String,
    /// Text for people; may be null, but has to be there.
    #[serde(deserialize_with = "Option::deserialize")]
    #[schema(required)]
    pub description: Option<String>,
    /// Whether the value goes to a secret store; fixed from now on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub is_secret: Option<bool>,
    /// The value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<String>,
    /// For secrets: instead of `value`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_ref: Option<SecretReference>,
}

/// Body of `PUT …/values/{key}`.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PutValue {
    /// Text for people; may be null, but has to be there.
    #[serde(deserialize_with = "Option::deserialize")]
    #[schema(required)]
    pub description: Option<String>,
    /// If given, must be as it was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub is_secret: Option<bool>,
    /// If given, must be the key of the path.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// The value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<String>,
    /// For secrets: instead of `value`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_ref: Option<SecretReference>,
}

/// Body of `PATCH …/values/{key}`. What is absent or null stays as it is.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PatchValue {
    /// Text for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// The value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<String>,
    /// For secrets: instead of `value`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_ref: Option<SecretReference>,
}

/// All values of a level at one moment, and what the change was that made them so.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ValueSetVersion {
    /// Id.
    pub id: String,
    /// The values, by key.
    pub values: BTreeMap<String, SharedValue>,
    /// What changed against the version before.
    pub change: Vec<Change>,
    /// When the version was made.
    pub created_at: Time,
    /// Id of the user who made it.
    pub created_by: String,
    /// When the version last changed; only purging changes one.
    pub updated_at: Time,
    /// Why, as given; may be empty.
    pub comment: String,
    /// The version that was restored.
    #[schema(required)]
    pub source_value_set_version_id: Option<String>,
    /// The operation that made the version.
    pub result_of: String,
}

/// One step of a JSON patch.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Change {
    /// `add`, `remove` or `replace`.
    pub op: String,
    /// JSON pointer; the first segment is the key of the value.
    pub path: String,
    /// The new content.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<Json>,
}

/// Body of the actions on a version.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ValueSetAction {
    /// Why; kept with the version that the action makes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub comment: Option<String>,
}
