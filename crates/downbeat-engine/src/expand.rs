//! Virtual drivers of an organization: each stands for another driver (spec 06 section 1).
//!
//! They are resolved in what was loaded, before the graph is built: what their templates refer to
//! becomes part of the graph. Those that are built in are resolved earlier, when a definition is
//! read (`downbeat_core::builtin::expand`). A definition whose driver cannot be resolved fails only
//! the deployments that use it.

use std::{collections::HashMap, sync::Arc};

use downbeat_core::{
    Code, Definition,
    definition::{Body, Problem},
};

use serde_json::json;

use crate::{
    deploy,
    port::{Drivers, Expansion, Loaded},
    schema::{Schemas, Written},
};

/// What the target of a virtual driver begins with.
const VIRTUAL: &str = "driver://";

/// Id of a definition, and of its version.
type Version = (Arc<str>, Arc<str>);

/// Resolves the virtual drivers of the definitions that were loaded.
pub fn expand(drivers: &Drivers, schemas: &Schemas, loaded: &mut Loaded) {
    if !loaded.registered.values().any(|driver| driver.target.starts_with(VIRTUAL)) {
        return;
    }
    // A definition with several criteria is resolved once.
    let mut known: HashMap<Version, Option<Arc<Definition>>> = HashMap::new();
    let mut resolved = |definition: &Arc<Definition>| {
        let key = (Arc::clone(&definition.id), Arc::clone(&definition.version_id));
        let entry = known.entry(key);
        entry.or_insert_with(|| one(drivers, schemas, loaded, definition).map(Arc::new)).clone()
    };
    let index = loaded.definitions.replaced(&mut resolved);
    let pins = loaded.pins.iter();
    let pins =
        pins.map(|(key, pin)| (key.clone(), resolved(pin).unwrap_or_else(|| Arc::clone(pin))));
    let pins = pins.collect();
    loaded.definitions = Arc::new(index);
    loaded.pins = pins;
}

/// The definition with its driver resolved; nothing when that is not a virtual one.
fn one(
    drivers: &Drivers,
    schemas: &Schemas,
    loaded: &Loaded,
    definition: &Definition,
) -> Option<Definition> {
    let is_virtual = |driver_type: &str| {
        let registered = loaded.registered.get(driver_type)?;
        let target = registered.target.strip_prefix(VIRTUAL)?;
        Some((registered, target.trim_end_matches('/')))
    };
    is_virtual(&definition.body.driver_type)?;
    let mut body = definition.body.clone();
    let mut chain: Vec<String> = Vec::new();
    while let Some((registered, target)) = is_virtual(&body.driver_type) {
        let driver_type = std::mem::replace(&mut body.driver_type, target.to_owned());
        chain.push(driver_type.clone());
        if chain.iter().any(|earlier| earlier == target) {
            let circle = format!("{} -> {target}", chain.join(" -> "));
            let message = format!("the virtual drivers stand for each other in a circle: {circle}");
            return Some(failed(definition, "/driver_type", Code::VirtualDriver, message));
        }
        let given = body.driver_inputs.take().unwrap_or_default();
        let inputs = json!({
            "values": given.values.clone().unwrap_or_default(),
            "secrets": given.secret_refs.clone().unwrap_or_default()});
        let wrong =
            schemas.check_written(&driver_type, &registered.inputs_schema, &inputs, Written::All);
        if !wrong.is_empty() {
            let wrong = wrong.join("; ");
            let message =
                format!("its inputs do not satisfy the schema of {driver_type:?}: {wrong}");
            return Some(failed(definition, "/driver_inputs", Code::DriverInputs, message));
        }
        if registered.template.is_null() {
            body.driver_inputs = Some(given);
            continue;
        }
        let expansion = Expansion {
            driver_type: &driver_type,
            resource_type: &definition.resource_type,
            template: &registered.template,
            inputs: &given,
        };
        let rendered = drivers.expand.as_ref().map(|port| port.expand(&expansion));
        match rendered {
            Some(Ok(inputs)) => body = Body { driver_inputs: Some(inputs), ..body },
            Some(Err(error)) => {
                let message = deploy::with_hint(error.message, error.hint);
                let message = format!("the virtual driver {driver_type:?} failed: {message}");
                return Some(failed(definition, "/driver_inputs", Code::VirtualDriver, message));
            }
            None => {
                let message = format!("the virtual driver {driver_type:?} cannot run here");
                return Some(failed(definition, "/driver_type", Code::VirtualDriver, message));
            }
        }
    }
    Some(definition.standing_for(Ok(body)))
}

fn failed(definition: &Definition, at: &str, code: Code, message: String) -> Definition {
    let problem = Problem { at: at.to_owned(), code, message };
    definition.standing_for(Err(problem))
}

#[cfg(test)]
mod tests {
    use downbeat_core::{
        Criteria, DeploymentSet, Json, ResourceKey,
        definition::DriverInputs,
        matching::{Context, Index},
    };
    use serde_json::json;

    use super::*;
    use crate::{
        memory,
        port::{DriverError, Expand, RegisteredDriver},
    };

    /// Wraps the values into another object, and refuses the template `no`.
    #[derive(Debug)]
    struct Wrap;

    impl Expand for Wrap {
        fn expand(&self, expansion: &Expansion<'_>) -> Result<DriverInputs, DriverError> {
            if expansion.template == "no" {
                return Err(DriverError::new(Code::Template, "broken"));
            }
            let values = json!({"in": expansion.inputs.values, "by": expansion.template});
            Ok(DriverInputs { values: values.as_object().cloned(), secret_refs: None })
        }
    }

    fn driver(target: &str, template: Json) -> RegisteredDriver {
        RegisteredDriver {
            target: target.to_owned(),
            inputs_schema: Json::Null,
            account_types: Vec::new(),
            template,
        }
    }

    fn expanded(driver_type: &str) -> Arc<Definition> {
        let body: Body = serde_json::from_value(json!({"name": "d", "driver_type": driver_type,
            "driver_inputs": {"values": {"a": 1}}}))
        .unwrap();
        let definition = Arc::new(Definition::new("d", "v", "dns", body));
        let mut index = Index::default();
        index.insert(&definition, Criteria::default()).unwrap();
        let mut loaded = memory::loaded(DeploymentSet::default(), index);
        let key = ResourceKey::new("dns", "", "shared.d");
        loaded.pins.insert(key.clone(), definition);
        let reference = json!("${resources.s3.outputs.x}");
        let mut strict = driver("driver://humanitec/echo", Json::Null);
        strict.inputs_schema = json!({"properties": {"values": {"required": ["must"]}}});
        for (id, driver) in [
            ("o/one", driver("driver://o/two", reference)),
            ("o/two", driver("driver://humanitec/echo", json!("t2"))),
            ("o/plain", driver("driver://o/real", Json::Null)),
            ("o/real", driver("https://d.example", Json::Null)),
            ("o/wildcard", driver("driver://humanitec/dns-wildcard", Json::Null)),
            ("o/bad", driver("driver://humanitec/echo", json!("no"))),
            ("o/strict", strict),
            ("o/a", driver("driver://o/b", Json::Null)),
            ("o/b", driver("driver://o/a", Json::Null)),
        ] {
            loaded.registered.insert(id.to_owned(), driver);
        }
        let drivers = Drivers { expand: Some(Arc::new(Wrap)), ..Drivers::default() };
        expand(&drivers, &Schemas::default(), &mut loaded);
        let context = Context { org: "o", app: "a", env: "e", env_type: "t" };
        let found = Arc::clone(&loaded.definitions.find(&key, &context).unwrap().definition);
        assert_eq!(loaded.pins[&key].effective(), found.effective());
        found
    }

    #[test]
    fn chains_end_at_a_real_driver() {
        let definition = expanded("o/one");
        assert_eq!(definition.driver_type(), "humanitec/echo");
        assert_eq!(definition.body.driver_type, "o/one");
        let values = json!({"by": "t2", "in": {"by": "${resources.s3.outputs.x}", "in": {"a": 1}}});
        assert_eq!(json!(definition.values()), values);
        assert_eq!(definition.references().len(), 1);
        let definition = expanded("o/plain");
        assert_eq!(
            (definition.driver_type(), json!(definition.values())),
            ("o/real", json!({"a": 1}))
        );
        // What is behind it may be virtual and built in.
        assert_eq!(expanded("o/wildcard").driver_type(), "humanitec/template");
        // Others stay as they are.
        assert_eq!(expanded("o/real").driver_type(), "o/real");
        assert_eq!(expanded("humanitec/echo").driver_type(), "humanitec/echo");
    }

    #[test]
    fn what_cannot_be_resolved_is_a_problem_of_the_definition() {
        let problem = |driver_type: &str| {
            let definition = expanded(driver_type);
            let problem = definition.problems().first().unwrap();
            (problem.code, problem.message.clone())
        };
        let (code, said) = problem("o/strict");
        assert_eq!(code, Code::DriverInputs);
        assert!(said.contains("\"must\""), "{said}");
        let problem = |driver_type: &str| {
            let (code, message) = problem(driver_type);
            assert_eq!(code, Code::VirtualDriver);
            message
        };
        assert_eq!(problem("o/bad"), "the virtual driver \"o/bad\" failed: broken");
        let circle = "the virtual drivers stand for each other in a circle: o/a -> o/b -> o/a";
        assert_eq!(problem("o/a"), circle);
    }
}
