//! Definitions that are part of the product, so that a first deployment needs none of its own.
//!
//! A definition of the organization always wins over these (`is_default`).

use std::sync::Arc;

use serde_json::json;

use crate::{
    Criteria, Definition, Json,
    definition::Body,
    matching::{Index, Tie},
};

/// Adds the built-in definitions to an index.
///
/// # Errors
/// Never, unless they are there already.
pub fn add_to(index: &mut Index) -> Result<(), Tie> {
    for definition in definitions() {
        let criteria = Criteria { id: format!("{}-any", definition.id), ..Criteria::default() };
        index.insert(&Arc::new(definition), criteria)?;
    }
    Ok(())
}

/// The built-in definitions; each has one criteria, `{}`.
#[must_use]
pub fn definitions() -> Vec<Definition> {
    let echo = |id: &str, resource_type: &str| make(id, resource_type, "humanitec/echo", json!({}));
    vec![
        // No update, no manifests: a workload or environment that nobody taught anything.
        echo("default-workload", "workload"),
        echo("default-base-env", "base-env"),
        echo("default-logging", "logging"),
        // A random-looking name that is stable for the environment.
        make(
            "default-k8s-namespace",
            "k8s-namespace",
            "humanitec/template",
            json!({"templates": {"outputs":
                "namespace: {{ substr 0 8 .id }}-{{ substr 8 12 .id }}-{{ substr 12 16 .id }}-{{ substr 16 20 .id }}-{{ substr 20 32 .id }}"}}),
        ),
        // The Service of the workload that owns the route is the second part of its resource id.
        make(
            "default-route",
            "route",
            "humanitec/template",
            json!({"res_id": "${context.res.id}", "templates": {
                "init": "{{ if not (hasPrefix \"modules.\" .driver.values.res_id) }}{{ fail \"a route must be a private resource of the workload that serves it\" }}{{ end }}",
                "outputs": "host: {{ .resource.host | toRawJson }}\npath: {{ .resource.path | default \"/\" | toRawJson }}\nport: {{ .resource.port | toRawJson }}\nservice: {{ index (splitList \".\" .driver.values.res_id) 1 | toRawJson }}\n"}}),
        ),
    ]
}

fn make(id: &str, resource_type: &str, driver_type: &str, values: Json) -> Definition {
    let body = Body {
        name: id.to_owned(),
        driver_type: driver_type.to_owned(),
        driver_inputs: serde_json::from_value(json!({"values": values})).ok(),
        ..Body::default()
    };
    let mut definition = Definition::new(id, "00000000-0000-0000-0000-000000000000", resource_type, body);
    definition.is_default = true;
    definition
}
