//! Deltas: a change to a deployment set (spec 03 section 2).
//!
//! The one way to a new set is [`apply`]; [`diff`] is its inverse and [`merge`] its composition.
//! Laws, tested as properties: `apply(a, diff(a, b)) == b`, and applying a merged delta equals
//! applying its parts in order.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer, Serialize};

use crate::{
    DeploymentSet, Json, JsonMap, Module,
    patch::{self, Action, Op},
};

/// The content of a delta: no id, no metadata (v1 `PlainDelta`).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Delta {
    /// Changes to workloads.
    #[serde(default, deserialize_with = "null_as_default")]
    pub modules: ModuleDeltas,
    /// Operations on the map of shared resources.
    #[serde(default, deserialize_with = "null_as_default")]
    pub shared: Vec<Action>,
}

/// Changes to workloads. A module is named in one of the three only.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ModuleDeltas {
    /// Modules to add, replacing whole modules of the same id.
    #[serde(default, deserialize_with = "null_as_default")]
    pub add: BTreeMap<String, Json>,
    /// Modules to remove.
    #[serde(default, deserialize_with = "null_as_default")]
    pub remove: Vec<String>,
    /// Operations on existing modules; paths are relative to the module.
    #[serde(default, deserialize_with = "null_as_default")]
    pub update: BTreeMap<String, Vec<Action>>,
}

fn null_as_default<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Default + Deserialize<'de>,
{
    Ok(Option::<T>::deserialize(deserializer)?.unwrap_or_default())
}

impl Delta {
    /// Finds what no set could make right: paths that are not JSON pointers, operations without a
    /// value, modules that are not objects.
    ///
    /// # Errors
    /// The first mistake.
    pub fn check(&self) -> Result<(), Error> {
        for (id, body) in &self.modules.add {
            module_from(id, body.clone())?;
        }
        for (id, actions) in &self.modules.update {
            let failed = |source| Error::Module { module: id.clone(), source };
            actions.iter().try_for_each(Action::check).map_err(failed)?;
        }
        self.shared.iter().try_for_each(Action::check).map_err(Error::Shared)
    }

    /// Whether the delta changes nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        let modules = &self.modules;
        modules.add.is_empty()
            && modules.remove.is_empty()
            && modules.update.is_empty()
            && self.shared.is_empty()
    }
}

/// Why a delta cannot be applied or merged. `Display` is a whole sentence.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The delta updates a module that is not there.
    #[error("the delta updates module {0:?}, which is not in the set")]
    UnknownModule(String),
    /// The delta updates a module that it also removes.
    #[error("the delta updates module {0:?}, which it also removes")]
    Removed(String),
    /// An operation on a module failed.
    #[error("module {module:?}: {source}")]
    Module {
        /// The module.
        module: String,
        /// What went wrong.
        source: patch::Error,
    },
    /// An operation on the shared resources failed.
    #[error("shared resources: {0}")]
    Shared(patch::Error),
    /// The result is not a module or resource.
    #[error("{place} is not valid after the change: {message}")]
    Shape {
        /// Module or shared resource.
        place: String,
        /// What the reader said.
        message: String,
    },
}

/// Applies a delta to a set and returns the new set. Order: remove, add, update, shared.
///
/// Removing a module that is not there is not an error. A `remove` of scope `delta` does nothing.
///
/// # Errors
/// See [`Error`]; nothing is applied then.
pub fn apply(set: &DeploymentSet, delta: &Delta) -> Result<DeploymentSet, Error> {
    let mut next = set.clone();
    for module in &delta.modules.remove {
        next.modules.remove(module);
    }
    for (id, body) in &delta.modules.add {
        next.modules.insert(id.clone(), module_from(id, body.clone())?);
    }
    for (id, actions) in &delta.modules.update {
        let module = next.modules.get(id).ok_or_else(|| Error::UnknownModule(id.clone()))?;
        let mut body = serde_json::to_value(module).unwrap_or_default();
        for action in reaching_the_set(actions) {
            patch_module(&mut body, action)
                .map_err(|source| Error::Module { module: id.clone(), source })?;
        }
        next.modules.insert(id.clone(), module_from(id, body)?);
    }
    if !delta.shared.is_empty() {
        let mut shared = serde_json::to_value(&set.shared).unwrap_or_default();
        for action in reaching_the_set(&delta.shared) {
            open_nulls(&mut shared, action, |place| matches!(place, [_, "params"]));
            patch::apply(&mut shared, action).map_err(Error::Shared)?;
        }
        next.shared = serde_json::from_value(shared).map_err(|error| Error::Shape {
            place: "the map of shared resources".to_owned(),
            message: error.to_string(),
        })?;
    }
    Ok(next)
}

fn reaching_the_set(actions: &[Action]) -> impl Iterator<Item = &Action> {
    actions.iter().filter(|action| !action.is_delta_scoped())
}

fn patch_module(body: &mut Json, action: &Action) -> Result<(), patch::Error> {
    open_nulls(body, action, |place| {
        matches!(place, [] | ["spec" | "externals" | "deploy"] | ["externals", _, "params"])
    });
    patch::apply(body, action)
}

/// Makes an object of a `null` that an `add` leads through, where a set reads `null` as nothing.
/// Else a delta would fail that works in two parts, with a set between them.
fn open_nulls(body: &mut Json, action: &Action, is_nothing: fn(&[&str]) -> bool) {
    if action.op != Op::Add {
        return;
    }
    for (end, _) in action.path.match_indices('/').take(4) {
        let place = action.path.get(..end).unwrap_or_default();
        let tokens: Vec<&str> = place.split('/').skip(1).collect();
        if is_nothing(&tokens)
            && let Some(value) = body.pointer_mut(place)
            && value.is_null()
        {
            *value = Json::Object(JsonMap::new());
        }
    }
}

fn module_from(id: &str, body: Json) -> Result<Module, Error> {
    let body = if body.is_null() { Json::Object(JsonMap::new()) } else { body };
    serde_json::from_value(body).map_err(|error| Error::Shape {
        place: format!("module {id:?}"),
        message: error.to_string(),
    })
}

/// The delta that turns `from` into `to`.
#[must_use]
pub fn diff(from: &DeploymentSet, to: &DeploymentSet) -> Delta {
    let mut delta = Delta::default();
    for id in from.modules.keys().filter(|id| !to.modules.contains_key(*id)) {
        delta.modules.remove.push(id.clone());
    }
    for (id, module) in &to.modules {
        let after = serde_json::to_value(module).unwrap_or_default();
        let Some(before) = from.modules.get(id) else {
            delta.modules.add.insert(id.clone(), after);
            continue;
        };
        let before = serde_json::to_value(before).unwrap_or_default();
        let actions = patch::diff(&before, &after);
        if !actions.is_empty() {
            delta.modules.update.insert(id.clone(), actions);
        }
    }
    let before = serde_json::to_value(&from.shared).unwrap_or_default();
    let after = serde_json::to_value(&to.shared).unwrap_or_default();
    delta.shared = patch::diff(&before, &after);
    delta
}

/// Merges `incoming` on top of `stored` (the table of spec 03, "Merging deltas").
///
/// # Errors
/// When `incoming` updates a module that `stored` removes, or an operation on a module that
/// `stored` adds does not fit its body. `stored` is unchanged then.
pub fn merge(stored: &Delta, incoming: &Delta) -> Result<Delta, Error> {
    let mut merged = stored.clone();
    let modules = &mut merged.modules;
    for id in &incoming.modules.remove {
        modules.add.remove(id);
        modules.update.remove(id);
        if !modules.remove.contains(id) {
            modules.remove.push(id.clone());
        }
    }
    for (id, body) in &incoming.modules.add {
        modules.remove.retain(|removed| removed != id);
        modules.update.remove(id);
        modules.add.insert(id.clone(), body.clone());
    }
    for (id, actions) in &incoming.modules.update {
        if modules.remove.contains(id) {
            return Err(Error::Removed(id.clone()));
        }
        if let Some(body) = modules.add.get_mut(id) {
            let failed = |source| Error::Module { module: id.clone(), source };
            *body = patch_added(body, actions).map_err(failed)?;
        } else {
            let merged = squash(modules.update.remove(id).unwrap_or_default(), actions);
            if !merged.is_empty() {
                modules.update.insert(id.clone(), merged);
            }
        }
    }
    merged.shared = squash(std::mem::take(&mut merged.shared), &incoming.shared);
    Ok(merged)
}

/// Applies operations to a body that the delta itself adds; taking back what is not there is fine.
fn patch_added(body: &Json, actions: &[Action]) -> Result<Json, patch::Error> {
    let mut body = if body.is_null() { Json::Object(JsonMap::new()) } else { body.clone() };
    for action in actions {
        if action.is_delta_scoped() {
            let removal = Action::remove(action.path.clone());
            match patch::apply(&mut body, &removal) {
                Ok(()) | Err(patch::Error::Missing { .. }) => {}
                Err(error) => return Err(error),
            }
        } else {
            patch_module(&mut body, action)?;
        }
    }
    Ok(body)
}

/// Appends operations, letting a later one on the same object member replace an earlier one.
///
/// Only runs of operations in which order does not matter are folded: nothing is folded across an
/// operation whose path holds an array index.
fn squash(mut actions: Vec<Action>, incoming: &[Action]) -> Vec<Action> {
    for action in incoming {
        if action.is_delta_scoped() {
            actions.retain(|earlier| !is_at_or_below(&earlier.path, &action.path));
            continue;
        }
        let same = actions.iter().rposition(|earlier| earlier.path == action.path);
        let foldable = same.filter(|&at| {
            actions.iter().skip(at).all(|between| !has_index(&between.path))
                && actions.iter().skip(at + 1).all(|b| {
                    !is_at_or_below(&b.path, &action.path) && !is_at_or_below(&action.path, &b.path)
                })
        });
        match (foldable.and_then(|at| actions.get_mut(at)), action.op) {
            (Some(earlier), Op::Add | Op::Replace) if earlier.op != Op::Remove => {
                earlier.value.clone_from(&action.value);
            }
            _ => actions.push(action.clone()),
        }
    }
    actions
}

fn has_index(path: &str) -> bool {
    path.split('/').skip(1).any(|token| {
        token == "-" || (!token.is_empty() && token.bytes().all(|b| b.is_ascii_digit()))
    })
}

fn is_at_or_below(path: &str, ancestor: &str) -> bool {
    path.strip_prefix(ancestor).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn delta(value: Json) -> Delta {
        serde_json::from_value(value).unwrap()
    }

    fn set(value: Json) -> DeploymentSet {
        DeploymentSet::from_json(value).unwrap()
    }

    #[test]
    fn applies_the_worked_example() {
        let before = set(json!({"modules": {"api": {
            "profile": "p", "spec": {"containers": {"main": {"image": "a:1"}}}}}}));
        let change = delta(json!({
            "modules": {
                "add": {"web": {"profile": "p", "spec": {}}},
                "update": {"api": [
                    {"op": "replace", "path": "/spec/containers/main/image", "value": "a:2"},
                    {"op": "add", "path": "/externals/db", "value": {"type": "postgres"}}]}},
            "shared": [{"op": "add", "path": "/site", "value": {"type": "dns"}}]}));
        let after = set(json!({
            "modules": {
                "api": {"profile": "p", "externals": {"db": {"type": "postgres"}},
                        "spec": {"containers": {"main": {"image": "a:2"}}}},
                "web": {"profile": "p", "spec": {}}},
            "shared": {"site": {"type": "dns"}}}));
        assert_eq!(apply(&before, &change).unwrap(), after);
        assert_eq!(apply(&before, &diff(&before, &after)).unwrap(), after);
        assert_ne!(before.id(), after.id());
    }

    #[test]
    fn merges_the_examples() {
        let stored = delta(json!({"modules": {"update": {"api": [
            {"op": "add", "path": "/spec/containers/main/variables/A", "value": 1},
            {"op": "replace", "path": "/spec/containers/main/image", "value": "a:2"}]}}}));
        let take_back = delta(json!({"modules": {"update": {"api": [
            {"op": "remove", "path": "/spec/containers/main/variables/A", "value": {"scope": "delta"}}]}}}));
        let merged = merge(&stored, &take_back).unwrap();
        assert_eq!(
            merged,
            delta(json!({"modules": {"update": {"api": [
            {"op": "replace", "path": "/spec/containers/main/image", "value": "a:2"}]}}}))
        );
        let recorded = delta(json!({"modules": {"update": {"api": [
            {"op": "remove", "path": "/spec/containers/main/variables/B"}]}}}));
        assert_eq!(
            merge(&merged, &recorded).unwrap(),
            delta(json!({"modules": {"update": {"api": [
            {"op": "replace", "path": "/spec/containers/main/image", "value": "a:2"},
            {"op": "remove", "path": "/spec/containers/main/variables/B"}]}}}))
        );
    }

    /// Found by fuzzing: the parts worked one by one, the merged delta failed.
    #[test]
    fn what_a_set_reads_as_nothing_is_nothing_between_merged_parts_too() {
        let before = set(json!({
            "modules": {"m": {"spec": {"a": 1}, "externals": {"db": {"type": "s3"}}}},
            "shared": {"site": {"type": "dns", "params": {"p": 1}}}}));
        let check = |first: Json, second: Json, after: Json| {
            let (first, second) = (delta(first), delta(second));
            let stepwise = apply(&apply(&before, &first).unwrap(), &second).unwrap();
            assert_eq!(stepwise.to_json(), set(after).to_json());
            assert_eq!(apply(&before, &merge(&first, &second).unwrap()).unwrap(), stepwise);
        };
        let module = |action: Json| json!({"modules": {"update": {"m": [action]}}});
        let shared = json!({"site": {"type": "dns", "params": {"p": 1}}});
        check(
            module(json!({"op": "remove", "path": ""})),
            module(json!({"op": "add", "path": "/profile", "value": "p"})),
            json!({"modules": {"m": {"profile": "p"}}, "shared": shared}),
        );
        check(
            module(json!({"op": "replace", "path": "/externals", "value": null})),
            module(json!({"op": "add", "path": "/externals/x", "value": {"type": "s3"}})),
            json!({"modules": {"m": {"spec": {"a": 1}, "externals": {"x": {"type": "s3"}}}},
                "shared": shared}),
        );
        check(
            json!({"shared": [{"op": "add", "path": "/site/params", "value": null}]}),
            json!({"shared": [{"op": "add", "path": "/site/params/q", "value": 2}]}),
            json!({"modules": {"m": {"spec": {"a": 1}, "externals": {"db": {"type": "s3"}}}},
                "shared": {"site": {"type": "dns", "params": {"q": 2}}}}),
        );
        // In a free-form place `null` is a value.
        let null = delta(module(json!({"op": "add", "path": "/spec/a", "value": null})));
        let below = delta(module(json!({"op": "add", "path": "/spec/a/b", "value": 1})));
        assert!(apply(&apply(&before, &null).unwrap(), &below).is_err());
    }

    #[test]
    fn merge_moves_modules_between_the_groups() {
        let added = delta(json!({"modules": {"add": {"m": {"spec": {"a": 1}}}}}));
        let removed = delta(json!({"modules": {"remove": ["m"]}}));
        let updated = delta(
            json!({"modules": {"update": {"m": [{"op": "replace", "path": "/spec/a", "value": 2}]}}}),
        );
        assert_eq!(merge(&added, &removed).unwrap(), removed);
        assert_eq!(merge(&removed, &added).unwrap(), added);
        assert_eq!(
            merge(&added, &updated).unwrap(),
            delta(json!({"modules": {"add": {"m": {"spec": {"a": 2}}}}}))
        );
        assert_eq!(merge(&removed, &updated), Err(Error::Removed("m".into())));
        assert_eq!(
            apply(&DeploymentSet::default(), &updated),
            Err(Error::UnknownModule("m".into()))
        );
    }
}
