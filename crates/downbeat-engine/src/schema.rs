//! Inputs and outputs against the JSON Schemas of their resource type.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use downbeat_core::{Json, JsonMap, resolve::Outputs, resource_type::ResourceType};
use jsonschema::Validator;

/// Compiled schemas, by their text. Compiling costs far more than validating.
#[derive(Debug, Default)]
pub struct Schemas {
    compiled: Mutex<HashMap<String, Arc<Option<Validator>>>>,
}

impl Schemas {
    /// What is wrong with the inputs of a resource; empty when nothing is.
    ///
    /// A schema whose only property is an object `values` describes the inputs below it: both forms
    /// are in use (spec 07 section 1).
    #[must_use]
    pub fn check_inputs(&self, resource_type: &ResourceType, inputs: &Json) -> Vec<String> {
        let schema = &resource_type.inputs_schema;
        let nested = schema.get("properties").and_then(Json::as_object).filter(|p| p.len() == 1);
        let nested = nested.and_then(|properties| properties.get("values"));
        let nested = nested.filter(|values| values.get("properties").is_some());
        self.check(nested.unwrap_or(schema), inputs)
    }

    /// What is wrong with the outputs of a resource; empty when nothing is.
    ///
    /// The plain outputs are checked against the schema. Of the secret outputs only the presence of
    /// the required ones is, since nobody looks at their values. A required plain output may also
    /// be delivered as a secret.
    #[must_use]
    pub fn check_outputs(&self, resource_type: &ResourceType, outputs: &Outputs) -> Vec<String> {
        let schema = &resource_type.outputs_schema;
        let Some(values) = schema.pointer("/properties/values") else {
            return if is_open(schema) {
                Vec::new()
            } else {
                self.check(schema, &Json::Object(outputs.values.clone()))
            };
        };
        let is_secret = |name: &str| {
            let at = downbeat_core::patch::pointer([name]);
            let below = format!("{at}/");
            outputs.secrets.keys().any(|key| *key == at || key.starts_with(&below))
        };
        let required = |schema: &Json| -> Vec<String> {
            let names = schema.get("required").and_then(Json::as_array);
            names.into_iter().flatten().filter_map(Json::as_str).map(str::to_owned).collect()
        };
        let mut problems = Vec::new();
        for name in required(values) {
            if !outputs.values.contains_key(&name) && !is_secret(&name) {
                problems.push(format!("the required output {name:?} is missing"));
            }
        }
        for name in schema.pointer("/properties/secrets").map(required).unwrap_or_default() {
            if !outputs.values.contains_key(&name) && !is_secret(&name) {
                problems.push(format!("the required secret output {name:?} is missing"));
            }
        }
        let mut relaxed = values.clone();
        if let Some(relaxed) = relaxed.as_object_mut() {
            relaxed.remove("required");
        }
        problems.extend(self.check(&relaxed, &Json::Object(outputs.values.clone())));
        problems
    }

    fn check(&self, schema: &Json, value: &Json) -> Vec<String> {
        if is_open(schema) && value.is_object() {
            return Vec::new();
        }
        let Some(validator) = &*self.compile(schema) else { return Vec::new() };
        if validator.is_valid(value) {
            return Vec::new();
        }
        validator
            .iter_errors(value)
            .map(|error| {
                let at = error.instance_path().to_string();
                let at = if at.is_empty() { String::new() } else { format!("{at}: ") };
                format!("{at}{}", error.masked())
            })
            .collect()
    }

    /// A schema that is not valid itself accepts everything: published types carry such objects
    /// (`{"a": 1}`), and the type is not the deployment's fault.
    fn compile(&self, schema: &Json) -> Arc<Option<Validator>> {
        let text = schema.to_string();
        let mut compiled = self.compiled.lock().unwrap_or_else(PoisonError::into_inner);
        let entry = compiled.entry(text);
        Arc::clone(entry.or_insert_with(|| Arc::new(jsonschema::validator_for(schema).ok())))
    }
}

/// Whether a schema accepts every object.
fn is_open(schema: &Json) -> bool {
    let empty = JsonMap::new();
    let members = match schema {
        Json::Object(members) => members,
        _ => &empty,
    };
    members.iter().all(|(key, value)| key == "type" && value == "object")
}
