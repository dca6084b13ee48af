//! Resource Definitions: how and where a resource is made.
//!
//! A [`Definition`] is read once from its stored form. Reading also collects what the graph needs
//! from it (references and co-provisioning), so that building a graph never scans text again.

use std::{collections::BTreeMap, sync::Arc};

use serde::{Deserialize, Serialize};

use crate::{
    Code, Json, JsonMap,
    descriptor::{Descriptor, Target},
    module::DEFAULT_CLASS,
    placeholder::{self, Segment},
};

/// The inputs for a definition's driver.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct DriverInputs {
    /// Plain inputs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub values: Option<JsonMap>,
    /// Secret inputs: any nesting, whose leaves are secret references (`{store, ref, version}`) or
    /// `{value}` with a string that may hold placeholders.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_refs: Option<JsonMap>,
}

/// One entry of a definition's `provision` map.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Provision {
    /// Whether the co-provisioned resource depends on the current one.
    #[serde(default)]
    pub is_dependent: bool,
    /// Whether what depends on the current resource also depends on the co-provisioned one.
    #[serde(default)]
    pub match_dependents: bool,
    /// Inputs of the co-provisioned resource.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub params: Option<JsonMap>,
}

/// The part of a definition that changes from version to version.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Body {
    /// A name for people.
    pub name: String,
    /// Which driver makes the resource, for example `humanitec/template`.
    pub driver_type: String,
    /// Id of a resource account, or a placeholder for one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub driver_account: Option<String>,
    /// Inputs for the driver.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub driver_inputs: Option<DriverInputs>,
    /// Resources to provision together with this one, by descriptor.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provision: Option<BTreeMap<String, Provision>>,
    /// Whether a change of driver keeps what the old driver made.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub in_place_driver_change: bool,
}

/// A definition, ready for matching and for the graph.
#[derive(Debug)]
pub struct Definition {
    /// Id, unique in the organization.
    pub id: Arc<str>,
    /// Id of this version.
    pub version_id: Arc<str>,
    /// The resource type that it makes.
    pub resource_type: Arc<str>,
    /// What it says.
    pub body: Body,
    /// What virtual drivers make of it; see [`crate::builtin::expand`] and [`Self::standing_for`].
    expanded: Option<Body>,
    /// Whether it is built in; one of the organization always wins over it.
    pub is_default: bool,
    references: Vec<Reference>,
    provision: Vec<(Descriptor, Provision)>,
    problems: Vec<Problem>,
}

/// A reference that a definition makes to another resource.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reference {
    /// Where it stands: a JSON pointer into the definition.
    pub at: String,
    /// What it names.
    pub target: Target,
}

/// A mistake in a definition that only matters once the definition is used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Where it stands: a JSON pointer into the definition.
    pub at: String,
    /// What kind of mistake.
    pub code: Code,
    /// A whole sentence.
    pub message: String,
}

impl Definition {
    /// Reads a definition. Mistakes in its placeholders are kept as [`Self::problems`].
    #[must_use]
    pub fn new(id: &str, version_id: &str, resource_type: &str, body: Body) -> Self {
        let expanded = crate::builtin::expand(&body);
        Self::read(id.into(), version_id.into(), resource_type.into(), body, expanded)
    }

    /// The same definition, with the body that its driver stands for: what a virtual driver of the
    /// organization makes of it, or why it makes nothing. Built-in virtual drivers are resolved in
    /// it as in any other.
    #[must_use]
    pub fn standing_for(&self, resolved: Result<Body, Problem>) -> Self {
        let (expanded, problem) = match resolved {
            Ok(body) => (Some(crate::builtin::expand(&body).unwrap_or(body)), None),
            Err(problem) => (None, Some(problem)),
        };
        let [id, version_id, resource_type] =
            [&self.id, &self.version_id, &self.resource_type].map(Arc::clone);
        let mut whole = Self::read(id, version_id, resource_type, self.body.clone(), expanded);
        whole.is_default = self.is_default;
        whole.problems.extend(problem);
        whole
    }

    fn read(
        id: Arc<str>,
        version_id: Arc<str>,
        resource_type: Arc<str>,
        body: Body,
        expanded: Option<Body>,
    ) -> Self {
        let mut collector = Collector::default();
        let effective = expanded.as_ref().unwrap_or(&body);
        let inputs = effective.driver_inputs.iter();
        for (name, tree) in inputs
            .flat_map(|inputs| [("values", &inputs.values), ("secret_refs", &inputs.secret_refs)])
        {
            for (key, value) in tree.iter().flatten() {
                collector.collect(&["driver_inputs", name, key], value);
            }
        }
        if let Some(account) = &body.driver_account {
            collector.string("/driver_account", account);
        }
        let mut provision = Vec::new();
        for (descriptor, rule) in body.provision.iter().flatten() {
            let at = crate::patch::pointer(["provision", descriptor]);
            match Descriptor::parse(descriptor) {
                Ok(descriptor) => {
                    // They belong to the other resource; here only their mistakes count.
                    let mut params = Collector::default();
                    for (key, value) in rule.params.iter().flatten() {
                        params
                            .collect(&["provision", &descriptor.to_string(), "params", key], value);
                    }
                    collector.problems.extend(params.problems);
                    provision.push((descriptor, rule.clone()));
                }
                Err(error) => collector.problem(&at, Code::BadReference, error.to_string()),
            }
        }
        Self {
            id,
            version_id,
            resource_type,
            body,
            expanded,
            is_default: false,
            references: collector.references,
            provision,
            problems: collector.problems,
        }
    }

    /// The references in its inputs, in order, each target once.
    #[must_use]
    pub fn references(&self) -> &[Reference] {
        &self.references
    }

    /// What it provisions together with its resource.
    #[must_use]
    pub fn provision(&self) -> &[(Descriptor, Provision)] {
        &self.provision
    }

    /// Mistakes that make it unusable.
    #[must_use]
    pub fn problems(&self) -> &[Problem] {
        &self.problems
    }

    /// The body with virtual drivers resolved: what is really run.
    #[must_use]
    pub fn effective(&self) -> &Body {
        self.expanded.as_ref().unwrap_or(&self.body)
    }

    /// The driver that is really run.
    #[must_use]
    pub fn driver_type(&self) -> &str {
        &self.effective().driver_type
    }

    /// The plain inputs of the driver that is really run.
    #[must_use]
    pub fn values(&self) -> Option<&JsonMap> {
        self.effective().driver_inputs.as_ref()?.values.as_ref()
    }

    /// The secret inputs of the driver that is really run.
    #[must_use]
    pub fn secret_refs(&self) -> Option<&JsonMap> {
        self.effective().driver_inputs.as_ref()?.secret_refs.as_ref()
    }
}

#[derive(Default)]
struct Collector {
    references: Vec<Reference>,
    problems: Vec<Problem>,
}

impl Collector {
    fn collect(&mut self, path: &[&str], value: &Json) {
        let prefix = crate::patch::pointer(path.iter().copied());
        placeholder::visit_strings(value, &mut |at, text| {
            self.string(&format!("{prefix}{at}"), text);
        });
    }

    fn string(&mut self, at: &str, text: &str) {
        let segments = match placeholder::segments(text) {
            Ok(segments) => segments,
            Err(error) => return self.problem(at, Code::BadReference, error.to_string()),
        };
        for segment in segments {
            let Segment::Placeholder(placeholder) = segment else { continue };
            match placeholder.root() {
                "context" => {}
                "resources" => match placeholder.target() {
                    Ok(target) if self.references.iter().any(|known| known.target == target) => {}
                    Ok(target) => {
                        self.references.push(Reference { at: at.to_owned(), target });
                    }
                    Err(error) => self.problem(at, Code::BadReference, error.to_string()),
                },
                root => self.problem(
                    at,
                    Code::BadReference,
                    format!(
                        "${{{}}} cannot be used in a definition: {root:?} is neither `context` nor \
                         `resources`. To write it literally, write $\\{{{}}}",
                        placeholder.text, placeholder.text
                    ),
                ),
            }
        }
    }

    fn problem(&mut self, at: &str, code: Code, message: String) {
        self.problems.push(Problem { at: at.to_owned(), code, message });
    }
}

/// When a definition applies (v1 `MatchingCriteria`). An absent field matches anything, except
/// `class`, whose absence means `default`.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Criteria {
    /// Id, unique in the installation.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub id: String,
    /// Exact resource id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub res_id: Option<String>,
    /// Environment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub env_id: Option<String>,
    /// Application.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub app_id: Option<String>,
    /// Environment type.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub env_type: Option<String>,
    /// Resource class.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub class: Option<String>,
}

impl Criteria {
    /// The class, with the default filled in.
    #[must_use]
    pub fn class(&self) -> &str {
        self.class.as_deref().filter(|class| !class.is_empty()).unwrap_or(DEFAULT_CLASS)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn collects_references_and_problems() {
        let body: Body = serde_json::from_value(json!({
            "name": "n", "driver_type": "humanitec/echo",
            "driver_account": "${resources['config.default#aws'].account}",
            "driver_inputs": {
                "values": {"a": ["x-${resources.dns.outputs.host}"], "b": "${resources.dns.outputs.host}",
                           "c": "${values.X}", "d": "${resources.s3..outputs}", "e": "$\\{HOME}"},
                "secret_refs": {"p": {"value": "${resources['pg.default'].outputs.password}"}}},
            "provision": {"ingress": {"is_dependent": true}, "s3.": {}}
        }))
        .unwrap();
        let definition = Definition::new("d", "v", "dns", body);
        let references: Vec<_> = definition.references().iter().map(|r| r.at.as_str()).collect();
        assert_eq!(
            references,
            ["/driver_inputs/values/a/0", "/driver_inputs/secret_refs/p/value", "/driver_account"]
        );
        let problems: Vec<_> = definition.problems().iter().map(|p| p.at.as_str()).collect();
        assert_eq!(
            problems,
            ["/driver_inputs/values/c", "/driver_inputs/values/d", "/provision/s3."]
        );
        assert_eq!(definition.provision().len(), 1);
    }
}
