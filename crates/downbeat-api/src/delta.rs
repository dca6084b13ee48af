//! Deltas on the wire (`DeltaRequest`, `DeltaResponse`).

use std::collections::BTreeMap;

use downbeat_core::{Delta as Change, Json, delta, patch};
use serde::{Deserialize, Deserializer, Serialize};
use utoipa::ToSchema;

use crate::{Time, set::Module};

/// A delta as it is sent. Its id is ignored.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct DeltaRequest {
    /// Of the metadata, only `env_id` and `name` are honoured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metadata: Option<DeltaMetadataRequest>,
    /// Changes to workloads.
    #[serde(default, deserialize_with = "null_as_default")]
    pub modules: ModuleDeltasRequest,
    /// Operations on the map of shared resources.
    #[serde(default, deserialize_with = "null_as_default")]
    #[schema(value_type = Option<Vec<UpdateActionRequest>>)]
    pub shared: Vec<UpdateActionRequest>,
}

/// The metadata of a delta that a caller may set.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct DeltaMetadataRequest {
    /// Environment the delta is meant for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub env_id: Option<String>,
    /// A name for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
}

/// Changes to workloads, as they are sent.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ModuleDeltasRequest {
    /// Modules to add, replacing whole modules of the same id.
    #[serde(default, deserialize_with = "null_as_default")]
    #[schema(value_type = Option<BTreeMap<String, Option<Object>>>)]
    pub add: BTreeMap<String, Json>,
    /// Ids of modules to remove.
    #[serde(default, deserialize_with = "null_as_default")]
    #[schema(value_type = Option<Vec<String>>)]
    pub remove: Vec<String>,
    /// Operations on existing modules; paths are relative to the module.
    #[serde(default, deserialize_with = "null_as_default")]
    #[schema(value_type = Option<BTreeMap<String, Vec<UpdateActionRequest>>>)]
    pub update: BTreeMap<String, Vec<UpdateActionRequest>>,
}

/// One operation of RFC 6902, as it is sent.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct UpdateActionRequest {
    /// `add`, `remove` or `replace`.
    #[serde(default)]
    pub op: String,
    /// A JSON pointer.
    #[serde(default)]
    pub path: String,
    /// The new value; for `remove` it may hold `{"scope": "delta"}`.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Value)]
    pub value: Option<Json>,
}

/// A stored delta.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Delta {
    /// Its id, 40 lower-case hex characters.
    pub id: String,
    /// Who, when, what for.
    pub metadata: DeltaMetadata,
    /// Changes to workloads.
    pub modules: ModuleDeltas,
    /// Operations on the map of shared resources.
    pub shared: Vec<UpdateAction>,
}

/// The change without id and metadata: what a comparison of two sets gives.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct PlainDelta {
    /// Changes to workloads.
    pub modules: ModuleDeltas,
    /// Operations on the map of shared resources.
    pub shared: Vec<UpdateAction>,
}

/// Who made a delta, when, and what for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct DeltaMetadata {
    /// Environment the delta is meant for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub env_id: Option<String>,
    /// A name for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Whether it refuses updates and is left out of lists.
    pub archived: bool,
    /// Whether it is visible to others.
    pub shared: bool,
    /// Users who changed it; spelled as in the v1 API.
    pub contributers: Vec<String>,
    /// Who created it.
    pub created_by: String,
    /// When it was created.
    pub created_at: Time,
    /// When it changed last.
    pub last_modified_at: Time,
}

/// Changes to workloads. All three groups are always there.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ModuleDeltas {
    /// Modules to add, replacing whole modules of the same id.
    pub add: BTreeMap<String, Module>,
    /// Ids of modules to remove.
    pub remove: Vec<String>,
    /// Operations on existing modules; paths are relative to the module.
    pub update: BTreeMap<String, Vec<UpdateAction>>,
}

/// One operation of RFC 6902.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct UpdateAction {
    /// `add`, `remove` or `replace`.
    pub op: String,
    /// A JSON pointer.
    pub path: String,
    /// The new value.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Value)]
    pub value: Option<Json>,
}

/// An operation that a delta must not hold. `Display` is a whole sentence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownOp {
    /// Where it stands: a JSON pointer into the request.
    pub at: String,
    /// The word found instead.
    pub op: String,
}

impl std::fmt::Display for UnknownOp {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "{} names the operation {:?}; a delta knows only `add`, `remove` and `replace`",
            self.at, self.op
        )
    }
}

impl DeltaRequest {
    /// The change that the request asks for.
    ///
    /// # Errors
    /// The first operation that is not one of the three.
    pub fn change(&self) -> Result<Change, UnknownOp> {
        let mut update = BTreeMap::new();
        for (module, requested) in &self.modules.update {
            let at = patch::pointer(["modules", "update", module]);
            update.insert(module.clone(), actions(&at, requested)?);
        }
        let add = self.modules.add.iter();
        Ok(Change {
            modules: delta::ModuleDeltas {
                add: add.map(|(id, body)| (id.clone(), without_empty_profile(body))).collect(),
                remove: self.modules.remove.clone(),
                update,
            },
            shared: actions("/shared", &self.shared)?,
        })
    }
}

/// Answers show a missing profile as `""`; a caller who sends that back means a missing one.
fn without_empty_profile(body: &Json) -> Json {
    let mut body = body.clone();
    if let Some(module) = body.as_object_mut()
        && module.get("profile").and_then(Json::as_str) == Some("")
    {
        module.remove("profile");
    }
    body
}

fn actions(at: &str, requested: &[UpdateActionRequest]) -> Result<Vec<patch::Action>, UnknownOp> {
    let action = |(index, request): (usize, &UpdateActionRequest)| {
        let op = match request.op.as_str() {
            "add" => patch::Op::Add,
            "remove" => patch::Op::Remove,
            "replace" => patch::Op::Replace,
            op => return Err(UnknownOp { at: format!("{at}/{index}/op"), op: op.to_owned() }),
        };
        Ok(patch::Action { op, path: request.path.clone(), value: request.value.clone() })
    };
    requested.iter().enumerate().map(action).collect()
}

impl From<&Change> for PlainDelta {
    fn from(change: &Change) -> Self {
        let modules = &change.modules;
        let update = modules.update.iter();
        Self {
            modules: ModuleDeltas {
                add: modules.add.iter().map(|(id, body)| (id.clone(), body.into())).collect(),
                remove: modules.remove.clone(),
                update: update.map(|(id, all)| (id.clone(), shown(all))).collect(),
            },
            shared: shown(&change.shared),
        }
    }
}

fn shown(actions: &[patch::Action]) -> Vec<UpdateAction> {
    let action = |action: &patch::Action| UpdateAction {
        op: action.op.as_str().to_owned(),
        path: action.path.clone(),
        value: action.value.clone(),
    };
    actions.iter().map(action).collect()
}

/// Keeps an explicit `null` apart from an absent member.
fn present<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Json>, D::Error> {
    Json::deserialize(deserializer).map(Some)
}

fn null_as_default<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Default + Deserialize<'de>,
{
    Ok(Option::<T>::deserialize(deserializer)?.unwrap_or_default())
}
