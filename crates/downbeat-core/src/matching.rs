//! Matching: which definition makes a resource in a context (spec 04 section 3).
//!
//! The index answers in a number of steps that does not grow with the number of definitions: a
//! criteria can set any of four fields, so at most sixteen exact look-ups, from the most to the
//! least specific, find the winner.

use std::{
    collections::{BTreeMap, HashMap},
    hash::{DefaultHasher, Hash, Hasher},
    sync::Arc,
};

use crate::{Criteria, Definition, ResourceKey};

/// The environment that a resource is matched for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Context<'a> {
    /// Organization.
    pub org: &'a str,
    /// Application.
    pub app: &'a str,
    /// Environment.
    pub env: &'a str,
    /// Type of the environment.
    pub env_type: &'a str,
}

/// One criteria with the definition that it belongs to.
#[derive(Clone, Debug)]
pub struct Entry {
    /// The definition.
    pub definition: Arc<Definition>,
    /// The criteria.
    pub criteria: Arc<Criteria>,
}

/// Two criteria that match exactly the same resources of one type.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "definition {second:?} has the same matching criteria as definition {first:?} for type \
     {resource_type:?} ({criteria})"
)]
pub struct Tie {
    /// The definition that was there first.
    pub first: String,
    /// The definition that came second.
    pub second: String,
    /// Resource type of both.
    pub resource_type: String,
    /// The criteria in words.
    pub criteria: String,
}

// Bits of a mask, in the order of their weight.
const RES_ID: usize = 8;
const ENV_ID: usize = 4;
const APP_ID: usize = 2;
const ENV_TYPE: usize = 1;
const MASKS: usize = 16;

/// All definitions of an organization, by what they match.
#[derive(Clone, Debug, Default)]
pub struct Index {
    entries: Vec<Entry>,
    // Hash of (type, class, mask, fields) to positions in `entries`.
    slots: HashMap<u64, Vec<u32>>,
    // Type and class to the masks that occur for them, as bits, so that most look-ups are skipped.
    masks: BTreeMap<Arc<str>, BTreeMap<Arc<str>, u16>>,
    defaults: Option<Box<Self>>,
}

impl Index {
    /// Adds a definition under one of its criteria.
    ///
    /// # Errors
    /// When another criteria of the same type says exactly the same. The index is unchanged then.
    pub fn insert(&mut self, definition: &Arc<Definition>, criteria: Criteria) -> Result<(), Tie> {
        if definition.is_default {
            let defaults = self.defaults.get_or_insert_default();
            return defaults.insert_here(definition, criteria);
        }
        self.insert_here(definition, criteria)
    }

    fn insert_here(&mut self, definition: &Arc<Definition>, criteria: Criteria) -> Result<(), Tie> {
        let fields = Fields::of(&criteria);
        let hash = fields.hash(&definition.resource_type);
        let slot = self.slots.entry(hash).or_default();
        let twin = slot.iter().filter_map(|&at| self.entries.get(at as usize)).find(|entry| {
            *entry.definition.resource_type == *definition.resource_type
                && Fields::of(&entry.criteria) == fields
        });
        if let Some(twin) = twin {
            return Err(Tie {
                first: twin.definition.id.to_string(),
                second: definition.id.to_string(),
                resource_type: definition.resource_type.to_string(),
                criteria: describe(&criteria),
            });
        }
        slot.push(u32::try_from(self.entries.len()).unwrap_or(u32::MAX));
        let classes = self.masks.entry(Arc::clone(&definition.resource_type)).or_default();
        *classes.entry(fields.class.into()).or_default() |= 1 << fields.mask();
        let criteria = Arc::new(criteria);
        self.entries.push(Entry { definition: Arc::clone(definition), criteria });
        Ok(())
    }

    /// The definition that makes this resource: the most specific match, a built-in one only when
    /// there is no other.
    #[must_use]
    pub fn find(&self, key: &ResourceKey, context: &Context<'_>) -> Option<&Entry> {
        let own =
            self.ranks(key).find_map(|mask| self.lookup(&Fields::at(mask, key, context), key));
        own.or_else(|| self.defaults.as_ref()?.find(key, context))
    }

    /// All matches, best first.
    #[must_use]
    pub fn matches(&self, key: &ResourceKey, context: &Context<'_>) -> Vec<&Entry> {
        let own = |mask| self.lookup(&Fields::at(mask, key, context), key);
        let mut found: Vec<&Entry> = self.ranks(key).filter_map(own).collect();
        if let Some(defaults) = &self.defaults {
            found.extend(defaults.matches(key, context));
        }
        found
    }

    /// The masks that occur for the type and class of `key`, heaviest first.
    fn ranks(&self, key: &ResourceKey) -> impl Iterator<Item = usize> {
        let masks = self.masks.get(&*key.resource_type).and_then(|by| by.get(&*key.class));
        let masks = masks.copied().unwrap_or(0);
        (0..MASKS).rev().filter(move |mask| masks & (1 << mask) != 0)
    }

    fn lookup(&self, fields: &Fields<'_>, key: &ResourceKey) -> Option<&Entry> {
        let slot = self.slots.get(&fields.hash(&key.resource_type))?;
        slot.iter().filter_map(|&at| self.entries.get(at as usize)).find(|entry| {
            *entry.definition.resource_type == *key.resource_type
                && Fields::of(&entry.criteria) == *fields
        })
    }

    /// The same index with other definitions in the place of those that `other` answers. They must
    /// make the same type of resource.
    #[must_use]
    pub fn replaced(
        &self,
        other: &mut dyn FnMut(&Arc<Definition>) -> Option<Arc<Definition>>,
    ) -> Self {
        let mut copy = self.clone();
        for entry in &mut copy.entries {
            if let Some(definition) = other(&entry.definition) {
                entry.definition = definition;
            }
        }
        copy
    }

    /// Every entry, in the order of insertion; built-in ones last.
    pub fn entries(&self) -> Box<dyn Iterator<Item = &Entry> + '_> {
        match &self.defaults {
            None => Box::new(self.entries.iter()),
            Some(defaults) => Box::new(self.entries.iter().chain(defaults.entries())),
        }
    }
}

/// The fields of a criteria, or of a context seen through a mask.
#[derive(PartialEq, Eq)]
struct Fields<'a> {
    class: &'a str,
    res_id: Option<&'a str>,
    env_id: Option<&'a str>,
    app_id: Option<&'a str>,
    env_type: Option<&'a str>,
}

impl<'a> Fields<'a> {
    fn of(criteria: &'a Criteria) -> Self {
        fn set(field: Option<&String>) -> Option<&str> {
            field.map(String::as_str).filter(|text| !text.is_empty())
        }
        Self {
            class: criteria.class(),
            res_id: set(criteria.res_id.as_ref()),
            env_id: set(criteria.env_id.as_ref()),
            app_id: set(criteria.app_id.as_ref()),
            env_type: set(criteria.env_type.as_ref()),
        }
    }

    fn at(mask: usize, key: &'a ResourceKey, context: &Context<'a>) -> Self {
        let set = |bit: usize, text: &'a str| (mask & bit != 0).then_some(text);
        Self {
            class: &key.class,
            res_id: set(RES_ID, &key.id),
            env_id: set(ENV_ID, context.env),
            app_id: set(APP_ID, context.app),
            env_type: set(ENV_TYPE, context.env_type),
        }
    }

    fn mask(&self) -> usize {
        let bit = |field: Option<&str>, bit: usize| if field.is_some() { bit } else { 0 };
        bit(self.res_id, RES_ID)
            | bit(self.env_id, ENV_ID)
            | bit(self.app_id, APP_ID)
            | bit(self.env_type, ENV_TYPE)
    }

    fn hash(&self, resource_type: &str) -> u64 {
        let mut hasher = DefaultHasher::new();
        resource_type.hash(&mut hasher);
        self.class.hash(&mut hasher);
        (self.res_id, self.env_id, self.app_id, self.env_type).hash(&mut hasher);
        hasher.finish()
    }
}

/// A criteria in words, for messages.
#[must_use]
pub fn describe(criteria: &Criteria) -> String {
    let fields = Fields::of(criteria);
    let set = [
        ("res_id", fields.res_id),
        ("env_id", fields.env_id),
        ("app_id", fields.app_id),
        ("env_type", fields.env_type),
    ];
    let mut text = format!("class: {}", fields.class);
    for (name, value) in set {
        if let Some(value) = value {
            text.push_str(", ");
            text.push_str(name);
            text.push_str(": ");
            text.push_str(value);
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::definition::Body;

    fn definition(id: &str, is_default: bool) -> Arc<Definition> {
        let mut definition = Definition::new(id, "v", "dns", Body::default());
        definition.is_default = is_default;
        Arc::new(definition)
    }

    fn criteria(value: serde_json::Value) -> Criteria {
        serde_json::from_value(value).unwrap()
    }

    #[test]
    fn most_specific_wins() {
        let mut index = Index::default();
        let table = [
            ("any", json!({})),
            ("type", json!({"env_type": "test"})),
            ("app-type", json!({"app_id": "shop", "env_type": "test"})),
            ("env", json!({"env_id": "qa"})),
            ("res", json!({"res_id": "shared.d"})),
            ("class", json!({"class": "large"})),
            ("never", json!({"env_id": "qa", "env_type": "prod"})),
        ];
        for (id, rule) in table {
            index.insert(&definition(id, false), criteria(rule)).unwrap();
        }
        index
            .insert(&definition("built-in", true), criteria(json!({"res_id": "shared.d"})))
            .unwrap();
        let context = Context { org: "o", app: "shop", env: "qa", env_type: "test" };
        let ranked = |key: &ResourceKey| -> Vec<String> {
            index.matches(key, &context).iter().map(|e| e.definition.id.to_string()).collect()
        };
        assert_eq!(
            ranked(&ResourceKey::new("dns", "", "shared.d")),
            ["res", "env", "app-type", "type", "any", "built-in"]
        );
        assert_eq!(ranked(&ResourceKey::new("dns", "large", "shared.d")), ["class"]);
        assert!(ranked(&ResourceKey::new("s3", "", "shared.d")).is_empty());
    }

    #[test]
    fn refuses_ties() {
        let mut index = Index::default();
        index.insert(&definition("a", false), criteria(json!({"env_id": "qa"}))).unwrap();
        let tie = index
            .insert(&definition("b", false), criteria(json!({"env_id": "qa", "class": "default"})))
            .unwrap_err();
        assert_eq!(
            tie.to_string(),
            "definition \"b\" has the same matching criteria as definition \
            \"a\" for type \"dns\" (class: default, env_id: qa)"
        );
    }
}
