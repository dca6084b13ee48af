//! The virtual drivers over `humanitec/container` (spec 06 section 5).
//!
//! Each reads what the platform decided from a resource of its own, `config.default#<driver id>`: in
//! which cluster things run (`cluster`), how it is reached (secret `agent_url`, which may be empty),
//! and what else `config` of the container driver knows. Any value that a definition gives may be a
//! placeholder, so nothing is looked into here: values are passed on as they are, and the container
//! driver lays them over each other.

use serde_json::json;

use crate::{
    Json, JsonMap,
    definition::{Body, DriverInputs},
};

/// The driver behind all of them.
const CONTAINER: &str = "humanitec/container";

/// A virtual driver over the container driver.
#[derive(Clone, Copy, Debug)]
pub(super) struct Runner {
    id: &'static str,
    /// The program that runs the code, unless the definition brings its own image.
    program: Option<&'static str>,
}

const RUNNERS: [Runner; 3] = [
    Runner { id: "container-runner", program: None },
    Runner { id: "terraform-container-runner", program: Some("terraform") },
    Runner { id: "opentofu-container-runner", program: Some("tofu") },
];

/// The runner that a driver type names.
pub(super) fn find(driver_type: &str) -> Option<Runner> {
    let id = driver_type.strip_prefix("humanitec/")?;
    RUNNERS.into_iter().find(|runner| runner.id == id)
}

impl Runner {
    /// The same definition with the container driver.
    pub(super) fn expand(self, body: &Body) -> Body {
        let given = body.driver_inputs.clone().unwrap_or_default();
        let output = |what: &str| format!("${{resources['config.default#{}'].{what}}}", self.id);
        let mut values = given.values.unwrap_or_default();
        let mut or = |name: &str, value: Json| {
            values.entry(name).or_insert(value);
        };
        or("cluster", json!(output("outputs.cluster")));
        or("config", json!(output("values")));
        if let Some(program) = self.program {
            or("job", json!({ "program": program }));
            or("use_default_backend", json!(true));
        }
        let mut secrets: JsonMap = given.secret_refs.unwrap_or_default();
        let agent = json!({ "agent_url": { "value": output("outputs.agent_url") } });
        secrets.entry("cluster").or_insert(agent);
        Body {
            driver_type: CONTAINER.to_owned(),
            driver_inputs: Some(DriverInputs { values: Some(values), secret_refs: Some(secrets) }),
            ..body.clone()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::builtin::expand;

    fn expanded(driver_type: &str, inputs: &Json) -> Json {
        let body = json!({"name": "d", "driver_type": driver_type, "driver_inputs": inputs});
        let body: Body = serde_json::from_value(body).unwrap();
        let made = expand(&body).unwrap();
        assert_eq!(made.driver_type, CONTAINER);
        let inputs = made.driver_inputs.unwrap();
        json!({"values": inputs.values, "secret_refs": inputs.secret_refs})
    }

    #[test]
    fn what_the_platform_decided_comes_from_its_config() {
        let config = "${resources['config.default#opentofu-container-runner']";
        let made = expanded(
            "downbeat/opentofu-container-runner",
            &json!({"values": {"source": "${resources.s3.outputs.source}", "variables": {"a": 1}},
                "secret_refs": {"source": {"password": {"store": "s", "ref": "r"}}}}),
        );
        assert_eq!(
            made,
            json!({
                "values": {
                    "cluster": format!("{config}.outputs.cluster}}"),
                    "config": format!("{config}.values}}"),
                    "job": {"program": "tofu"},
                    "source": "${resources.s3.outputs.source}",
                    "use_default_backend": true,
                    "variables": {"a": 1},
                },
                "secret_refs": {
                    "cluster": {"agent_url": {"value": format!("{config}.outputs.agent_url}}")}},
                    "source": {"password": {"store": "s", "ref": "r"}},
                },
            })
        );
    }

    #[test]
    fn what_a_definition_says_wins() {
        let said = json!({"job": {"image": "i"}, "cluster": {"cluster": {}}, "config": {},
            "use_default_backend": false});
        let secrets = json!({"cluster": {"agent_url": {"value": ""}}});
        for id in ["container-runner", "terraform-container-runner"] {
            let driver = format!("humanitec/{id}");
            let made = expanded(&driver, &json!({"values": said, "secret_refs": secrets}));
            assert_eq!(made, json!({"values": said, "secret_refs": secrets}));
        }
        // Without a program, the definition brings its job.
        let made = expanded("humanitec/container-runner", &json!({}));
        assert_eq!(made["values"].get("job"), None);
        assert_eq!(made["values"].get("use_default_backend"), None);
    }
}
