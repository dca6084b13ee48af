//! Inputs and outputs against the JSON Schemas of their resource type.

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, Mutex, PoisonError},
};

use downbeat_core::{Json, JsonMap, patch, resolve::Outputs, resource_type::ResourceType};
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

/// How much of the inputs of a driver is written by now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Written {
    /// Something may still be missing: v1 clients store definitions step by step.
    Part,
    /// Everything.
    All,
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
    pub fn check_written(
        &self,
        driver_type: &str,
        schema: &Json,
        inputs: &Json,
        written: Written,
    ) -> Vec<String> {
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
                Required { .. } if written == Written::Part => true,
                Required { .. } | AdditionalProperties { .. } | Type { .. } => is_late(value, &at),
                // Which branch is meant may depend on what is missing.
                _ if written == Written::Part && value.is_object() => true,
                // What combines schemas speaks of everything below.
                _ => holds_late(value, &at),
            }
        };
        let found = validator.iter_errors(inputs).filter(|error| !is_open(error));
        found.take(TOLD).map(|error| shown(&error)).collect()
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
    if excess(schema).is_some() {
        return None;
    }
    let patterns = jsonschema::PatternOptions::fancy_regex()
        .size_limit(PATTERN_BYTES)
        .dfa_size_limit(PATTERN_BYTES)
        .backtrack_limit(PATTERN_STEPS);
    jsonschema::options().with_pattern_options(patterns).build(schema).ok()
}

/// Largest schema, as JSON, in bytes.
const SCHEMA_BYTES: usize = 256 * 1024;
/// Most subschemas that references of a schema can lead to, each way counted.
const SCHEMA_PATHS: usize = 10_000;
/// Longest way through references.
const SCHEMA_DEPTH: usize = 64;
/// Most patterns of a schema.
const PATTERNS: usize = 200;
/// Memory of a compiled pattern.
const PATTERN_BYTES: usize = 256 * 1024;
/// Steps of a pattern that goes back.
const PATTERN_STEPS: usize = 100_000;
/// Most mistakes that are told of one value.
const TOLD: usize = 20;

/// Why a schema would cost too much, whatever it is asked; nothing when it would not.
///
/// A schema of a few bytes can ask for a validation that never ends, or that needs a deeper stack
/// than there is: references lead to references.
#[must_use]
pub fn excess(schema: &Json) -> Option<String> {
    let bytes = serde_json::to_vec(schema).map_or(0, |text| text.len());
    if bytes > SCHEMA_BYTES {
        return Some(format!("it has {bytes} bytes; {SCHEMA_BYTES} are the most"));
    }
    let mut size =
        Size { root: schema, known: HashMap::new(), under_way: HashSet::new(), patterns: 0 };
    let (paths, depth) = size.of(schema, 0);
    if depth > SCHEMA_DEPTH {
        return Some(format!("references lead on more than {SCHEMA_DEPTH} times"));
    }
    if paths > SCHEMA_PATHS {
        return Some(format!("its references lead to more than {SCHEMA_PATHS} subschemas"));
    }
    (size.patterns > PATTERNS).then(|| format!("it has more than {PATTERNS} patterns"))
}

/// Counts where the references of a schema lead.
struct Size<'a> {
    root: &'a Json,
    /// Paths and depth below what a reference names.
    known: HashMap<&'a str, (usize, usize)>,
    under_way: HashSet<&'a str>,
    patterns: usize,
}

impl<'a> Size<'a> {
    /// How many subschemas a value leads to, and through how many references. `through` are those
    /// on the way to it: a way that is too long already is not followed.
    fn of(&mut self, value: &'a Json, through: usize) -> (usize, usize) {
        match value {
            Json::Object(members) => {
                let mut paths = 1_usize;
                let mut depth = 0;
                for (name, member) in members {
                    let (more, deeper) = match member {
                        Json::String(target) if name.ends_with("Ref") || name == "$ref" => {
                            self.target(target, through)
                        }
                        _ => {
                            self.patterns += usize::from(name == "pattern");
                            if name == "patternProperties" {
                                self.patterns += member.as_object().map_or(0, JsonMap::len);
                            }
                            // What only stands here to be referred to is counted where it is used.
                            if matches!(name.as_str(), "$defs" | "definitions") {
                                continue;
                            }
                            self.of(member, through)
                        }
                    };
                    paths = paths.saturating_add(more);
                    depth = depth.max(deeper);
                }
                (paths, depth)
            }
            Json::Array(items) => items.iter().fold((0, 0), |(paths, depth), item| {
                let (more, deeper) = self.of(item, through);
                (paths.saturating_add(more), depth.max(deeper))
            }),
            _ => (0, 0),
        }
    }

    fn target(&mut self, target: &'a str, through: usize) -> (usize, usize) {
        if let Some((paths, depth)) = self.known.get(target) {
            return (*paths, depth + 1);
        }
        let found = target.strip_prefix('#').and_then(|at| self.root.pointer(at));
        let Some(found) = found.filter(|_| through <= SCHEMA_DEPTH) else { return (1, 1) };
        // A schema may refer to itself: the value that is checked has an end.
        if !self.under_way.insert(target) {
            return (1, 1);
        }
        let (paths, depth) = self.of(found, through + 1);
        self.under_way.remove(target);
        self.known.insert(target, (paths, depth));
        (paths, depth + 1)
    }
}

/// What a validator says about a value, without the value itself.
fn problems(validator: Option<&Validator>, value: &Json) -> Vec<String> {
    let Some(validator) = validator.filter(|validator| !validator.is_valid(value)) else {
        return Vec::new();
    };
    validator.iter_errors(value).take(TOLD).map(|error| shown(&error)).collect()
}

/// Place and reason, without the value.
fn shown(error: &jsonschema::ValidationError<'_>) -> String {
    let at = error.instance_path().to_string();
    let at = if at.is_empty() { String::new() } else { format!("{at}: ") };
    format!("{at}{}", error.masked())
}

/// Whether a value of a definition becomes another one later: a placeholder, a secret's place, or
/// nothing at all.
fn is_late(value: &Json, at: &str) -> bool {
    let has = |name: &str| value.get(name).is_some_and(Json::is_string);
    let is_reference = || has("value") || (has("store") && has("ref"));
    value.is_null()
        || value.as_str().is_some_and(|text| text.contains("${"))
        || (at.starts_with("/secrets/") && is_reference())
}

/// Whether anything at or below a place becomes another value later.
fn holds_late(value: &Json, at: &str) -> bool {
    let below = |name: &str| format!("{at}{}", patch::pointer([name]));
    is_late(value, at)
        || match value {
            Json::Object(members) => {
                members.iter().any(|(name, member)| holds_late(member, &below(name)))
            }
            Json::Array(items) => items.iter().any(|item| holds_late(item, &below("0"))),
            _ => false,
        }
}

#[cfg(test)]
mod tests {
    use downbeat_core::resource_type::Use;
    use serde_json::json;

    use super::*;

    #[test]
    fn schemas_that_cost_too_much_are_refused() {
        let chain = |links: usize, twice: bool| {
            let mut defs = JsonMap::new();
            for link in 0..links {
                let next = json!({"$ref": format!("#/$defs/a{}", link + 1)});
                let both = if twice { json!([next, next]) } else { json!([next]) };
                defs.insert(format!("a{link}"), json!({ "allOf": both }));
            }
            defs.insert(format!("a{links}"), json!({"type": "string"}));
            json!({"$defs": defs, "$ref": "#/$defs/a0"})
        };
        assert_eq!(excess(&chain(20, false)), None);
        assert!(excess(&chain(1_000, false)).unwrap().contains("lead on"));
        assert!(excess(&chain(26, true)).unwrap().contains("subschemas"));
        let big = json!({"description": "x".repeat(SCHEMA_BYTES)});
        assert!(excess(&big).unwrap().contains("bytes"));
        let many: JsonMap =
            (0..300).map(|n| (format!("p{n}"), json!({"pattern": "^(\\\\pL{60}){2}$"}))).collect();
        assert!(excess(&json!({"properties": many})).unwrap().contains("patterns"));
        // Trees refer to themselves.
        let tree = json!({"$defs": {"t": {"properties": {"left": {"$ref": "#/$defs/t"},
            "right": {"$ref": "#/$defs/t"}}}}, "$ref": "#/$defs/t"});
        assert_eq!(excess(&tree), None);
        assert_eq!(excess(&json!({"$ref": "#"})), None);
        assert!(compile(&chain(1_000, false)).is_none());
    }

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
