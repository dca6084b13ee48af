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

    /// What is wrong with the inputs of a registered driver (`{values, secrets}`); empty when
    /// nothing is. What it says does not quote them: there are secrets among them.
    #[must_use]
    pub fn check_driver(&self, driver_type: &str, schema: &Json, inputs: &Json) -> Vec<String> {
        if !schema.is_object() {
            return Vec::new();
        }
        let mut known = self.of_drivers.lock().unwrap_or_else(PoisonError::into_inner);
        let compiled = match known.get(driver_type) {
            Some(compiled) if compiled.schema == *schema => Arc::clone(compiled),
            _ => {
                let inputs = compile(schema);
                let compiled = Arc::new(CompiledDriver { schema: schema.clone(), inputs });
                known.insert(driver_type.to_owned(), Arc::clone(&compiled));
                compiled
            }
        };
        drop(known);
        problems(compiled.inputs.as_ref(), inputs)
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
        }
        Self {
            resource_type: resource_type.clone(),
            inputs: compile(nested.unwrap_or(inputs)),
            values: compile(&values),
            required,
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
    validator
        .iter_errors(value)
        .map(|error| {
            let at = error.instance_path().to_string();
            let at = if at.is_empty() { String::new() } else { format!("{at}: ") };
            format!("{at}{}", error.masked())
        })
        .collect()
}
