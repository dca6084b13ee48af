//! Inputs and outputs against the JSON Schemas of their resource type.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use downbeat_core::{Json, patch, resolve::Outputs, resource_type::ResourceType};
use jsonschema::Validator;

/// Compiled schemas by type: compiling costs far more than validating.
#[derive(Debug, Default)]
pub struct Schemas {
    compiled: Mutex<HashMap<String, Arc<Compiled>>>,
    of_drivers: Mutex<HashMap<String, Arc<CompiledDriver>>>,
}

/// The schema of a driver's inputs, as it was when it was compiled.
#[derive(Debug)]
struct CompiledDriver {
    schema: Json,
    inputs: Option<Validator>,
}

/// The schemas of one type, as it was when they were compiled.
#[derive(Debug)]
struct Compiled {
    resource_type: ResourceType,
    inputs: Option<Validator>,
    /// The plain outputs, without what they require: that is in `required`.
    values: Option<Validator>,
    required: Vec<String>,
    /// The outputs that are secret, whatever a driver says.
    secret: Vec<String>,
}

/// What is wrong with a schema itself; nothing when it can be used.
#[must_use]
pub fn mistake(schema: &Json) -> Option<String> {
    jsonschema::validator_for(schema).err().map(|error| error.to_string())
}

/// Whether a type says of an output that it is secret.
#[must_use]
pub fn is_secret(resource_type: &ResourceType, output: &str) -> bool {
    let outputs = &resource_type.outputs_schema;
    let names = |part: &str| {
        let at = ["properties", part, "properties", output];
        outputs.pointer(&patch::pointer(at)).is_some()
    };
    names("secrets") && !names("values")
}

impl Schemas {
    /// What is wrong with the inputs of a resource; empty when nothing is.
    ///
    /// A schema whose only property is an object `values` describes the inputs below it: both forms
    /// are in use.
    #[must_use]
    pub fn check_inputs(&self, resource_type: &ResourceType, inputs: &Json) -> Vec<String> {
        problems(self.of(resource_type).inputs.as_ref(), inputs)
    }

    /// What is wrong with the outputs of a resource; empty when nothing is.
    ///
    /// The plain outputs are checked against the schema. Of the secret outputs only the presence of
    /// the required ones is, since nobody looks at their values. A required plain output may also
    /// be delivered as a secret.
    #[must_use]
    pub fn check_outputs(
        &self,
        resource_type: &ResourceType,
        outputs: &mut Outputs,
    ) -> Vec<String> {
        let compiled = self.of(resource_type);
        let is_secret = |name: &str| {
            let at = patch::pointer([name]);
            let below = format!("{at}/");
            outputs.secrets.keys().any(|key| *key == at || key.starts_with(&below))
        };
        let missing = compiled
            .required
            .iter()
            .filter(|name| !outputs.values.contains_key(name.as_str()) && !is_secret(name));
        let mut found: Vec<String> =
            missing.map(|name| format!("the required output {name:?} is missing")).collect();
        if compiled.values.is_some() {
            // The validator wants a value, the outputs are a map: lend it.
            let values = Json::Object(std::mem::take(&mut outputs.values));
            found.extend(problems(compiled.values.as_ref(), &values));
            if let Json::Object(values) = values {
                outputs.values = values;
            }
        }
        found
    }

    /// The outputs that a type says are secret.
    #[must_use]
    pub fn secret_outputs(&self, resource_type: &ResourceType) -> Vec<String> {
        self.of(resource_type).secret.clone()
    }

    /// What is wrong with the inputs of a definition (`{values, secrets}`) for a driver, as far as
    /// that can be said while there are placeholders in them; empty when nothing is.
    #[must_use]
    pub fn check_written(&self, driver_type: &str, schema: &Json, inputs: &Json) -> Vec<String> {
        let Some(compiled) = self.of_driver(driver_type, schema) else { return Vec::new() };
        let Some(validator) = &compiled.inputs else { return Vec::new() };
        if validator.is_valid(inputs) {
            return Vec::new();
        }
        let is_open = |error: &jsonschema::ValidationError<'_>| {
            use jsonschema::error::ValidationErrorKind::{AdditionalProperties, Required, Type};
            let at = error.instance_path().to_string();
            let Some(value) = inputs.pointer(&at) else { return false };
            match error.kind() {
                Required { .. } | AdditionalProperties { .. } | Type { .. } => is_late(value, &at),
                // What combines schemas speaks of everything below.
                _ => holds_late(value, &at),
            }
        };
        let found = validator.iter_errors(inputs).filter(|error| !is_open(error));
        found.map(|error| shown(&error)).collect()
    }

    /// What is wrong with the inputs of a registered driver (`{values, secrets}`); empty when
    /// nothing is. What it says does not quote them: there are secrets among them.
    #[must_use]
    pub fn check_driver(&self, driver_type: &str, schema: &Json, inputs: &Json) -> Vec<String> {
        let Some(compiled) = self.of_driver(driver_type, schema) else { return Vec::new() };
        problems(compiled.inputs.as_ref(), inputs)
    }

    /// The compiled schema of a driver; a changed one is compiled again.
    fn of_driver(&self, driver_type: &str, schema: &Json) -> Option<Arc<CompiledDriver>> {
        if !schema.is_object() {
            return None;
        }
        let mut known = self.of_drivers.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(compiled) = known.get(driver_type)
            && compiled.schema == *schema
        {
            return Some(Arc::clone(compiled));
        }
        let inputs = compile(schema);
        let compiled = Arc::new(CompiledDriver { schema: schema.clone(), inputs });
        known.insert(driver_type.to_owned(), Arc::clone(&compiled));
        Some(compiled)
    }

    /// A type that was changed is compiled again.
    fn of(&self, resource_type: &ResourceType) -> Arc<Compiled> {
        let mut known = self.compiled.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(compiled) = known.get(&resource_type.id)
            && compiled.resource_type == *resource_type
        {
            return Arc::clone(compiled);
        }
        let compiled = Arc::new(Compiled::new(resource_type));
        known.insert(resource_type.id.clone(), Arc::clone(&compiled));
        compiled
    }
}

impl Compiled {
    fn new(resource_type: &ResourceType) -> Self {
        let inputs = &resource_type.inputs_schema;
        let nested = inputs.get("properties").and_then(Json::as_object).filter(|p| p.len() == 1);
        let nested = nested.and_then(|properties| properties.get("values"));
        let nested = nested.filter(|values| values.get("properties").is_some());
        let outputs = &resource_type.outputs_schema;
        let mut values = outputs.pointer("/properties/values").unwrap_or(outputs).clone();
        let mut required = required(&values);
        required
            .extend(outputs.pointer("/properties/secrets").map(self::required).unwrap_or_default());
        if let Some(values) = values.as_object_mut() {
            values.remove("required");
            // What it refers to stands beside it.
            for part in ["$defs", "definitions"] {
                if let Some(definitions) = outputs.get(part) {
                    values.insert(part.to_owned(), definitions.clone());
                }
            }
        }
        let secret = outputs.pointer("/properties/secrets/properties").and_then(Json::as_object);
        let secret = secret.into_iter().flat_map(serde_json::Map::keys);
        let secret = secret.filter(|name| is_secret(resource_type, name)).cloned().collect();
        Self {
            resource_type: resource_type.clone(),
            inputs: compile(nested.unwrap_or(inputs)),
            values: compile(&values),
            required,
            secret,
        }
    }
}

fn required(schema: &Json) -> Vec<String> {
    let names = schema.get("required").and_then(Json::as_array);
    names.into_iter().flatten().filter_map(Json::as_str).map(str::to_owned).collect()
}

/// Nothing for a schema that accepts every object, and for one that is not valid itself: published
/// types carry such objects (`{"a": 1}`), and the type is not the deployment's fault.
fn compile(schema: &Json) -> Option<Validator> {
    let mut members = schema.as_object().into_iter().flatten();
    if members.all(|(key, value)| key == "type" && value == "object") {
        return None;
    }
    jsonschema::validator_for(schema).ok()
}

/// What a validator says about a value, without the value itself.
fn problems(validator: Option<&Validator>, value: &Json) -> Vec<String> {
    let Some(validator) = validator.filter(|validator| !validator.is_valid(value)) else {
        return Vec::new();
    };
    validator.iter_errors(value).map(|error| shown(&error)).collect()
}

/// Place and reason, without the value.
fn shown(error: &jsonschema::ValidationError<'_>) -> String {
    let at = error.instance_path().to_string();
    let at = if at.is_empty() { String::new() } else { format!("{at}: ") };
    format!("{at}{}", error.masked())
}

/// Whether a value of a definition becomes another one later: a placeholder, or a secret's place.
fn is_late(value: &Json, at: &str) -> bool {
    let has = |name: &str| value.get(name).is_some_and(Json::is_string);
    let is_reference = || has("value") || (has("store") && has("ref"));
    value.as_str().is_some_and(|text| text.contains("${"))
        || (at.starts_with("/secrets/") && is_reference())
}

/// Whether anything at or below a place becomes another value later.
fn holds_late(value: &Json, at: &str) -> bool {
    is_late(value, at)
        || match value {
            Json::Object(members) => members.values().any(|member| holds_late(member, at)),
            Json::Array(items) => items.iter().any(|item| holds_late(item, at)),
            _ => false,
        }
}

#[cfg(test)]
mod tests {
    use downbeat_core::resource_type::Use;
    use serde_json::json;

    use super::*;

    #[test]
    fn what_a_schema_of_outputs_refers_to_counts() {
        let kind = ResourceType {
            id: "acme/thing".to_owned(),
            name: String::new(),
            category: String::new(),
            usage: Use::Direct,
            inputs_schema: json!({}),
            outputs_schema: json!({"$defs": {"port": {"type": "integer"}}, "properties": {
                "values": {"properties": {"port": {"$ref": "#/$defs/port"}, "both": {}}},
                "secrets": {"properties": {"password": {}, "both": {}}}}}),
        };
        let schemas = Schemas::default();
        let mut outputs = Outputs::default();
        outputs.values.insert("port".to_owned(), json!("80"));
        let wrong = schemas.check_outputs(&kind, &mut outputs);
        assert_eq!(wrong.len(), 1, "{wrong:?}");
        assert!(wrong[0].starts_with("/port: "), "{wrong:?}");
        outputs.values.insert("port".to_owned(), json!(80));
        assert!(schemas.check_outputs(&kind, &mut outputs).is_empty());
        assert_eq!(schemas.secret_outputs(&kind), ["password"]);
    }
}
