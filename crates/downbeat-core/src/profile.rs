//! Workload profiles: what a module may say in its spec, and what turns it into objects.
//!
//! A profile names a chart and describes the spec. Each property of the description is a *feature*,
//! a *collection* of named things with features of their own, or a *schema*. Charts are what makes
//! objects: the built-in ones are [`workload`](crate::workload), in our own code, and the profiles
//! of an organization may stand on them.
//!
//! Invariant: the schema of a spec refuses nothing that the description does not mention. The raw
//! fields of a PodSpec stand beside the features, and no description names them.

mod feature;

use std::collections::BTreeMap;

use serde_json::json;

pub use feature::{Feature, VERSION, features};

use crate::{Json, JsonMap, patch, suggest, workload::Profile};

/// A profile that is part of the product.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BuiltIn {
    /// Organization in its qualified id.
    pub org: &'static str,
    /// Id within that organization.
    pub id: &'static str,
    /// What it is for.
    pub description: &'static str,
    /// What a module under it becomes.
    pub renders: Profile,
}

/// The built-in profiles, by qualified id.
pub const BUILT_IN: [BuiltIn; 4] = [
    BuiltIn {
        org: "downbeat",
        id: "stateful",
        description: "A StatefulSet, for workloads whose pods have a name and storage each.",
        renders: Profile::StatefulSet,
    },
    BuiltIn {
        org: "humanitec",
        id: "default-cronjob",
        description: "A CronJob for each schedule.",
        renders: Profile::CronJob,
    },
    BuiltIn {
        org: "humanitec",
        id: "default-job",
        description: "A Job that runs at each deployment.",
        renders: Profile::Job,
    },
    BuiltIn {
        org: "humanitec",
        id: "default-module",
        description: "A Deployment, for workloads that go on running.",
        renders: Profile::Deployment,
    },
];

impl BuiltIn {
    /// The profile with this qualified id.
    #[must_use]
    pub fn find(qualified: &str) -> Option<Self> {
        let (org, id) = qualified.split_once('/')?;
        BUILT_IN.into_iter().find(|known| known.org == org && known.id == id)
    }

    /// The qualified id, which is also that of its chart.
    #[must_use]
    pub fn qualified(self) -> String {
        format!("{}/{}", self.org, self.id)
    }

    /// The description of its spec.
    #[must_use]
    pub fn definition(self) -> Json {
        let mut properties = JsonMap::new();
        let mut add = |name: &str, feature: &str, order: i64| {
            properties.insert(name.to_owned(), property(feature, None, order));
        };
        add("annotations", "annotations", 6);
        add("imagePullSecrets", "image-pull-secrets", 9);
        add("labels", "labels", 5);
        add("pod", "pod", 10);
        add("serviceAccountName", "service-account", 3);
        add("volumes", "volumes", 8);
        match self.renders {
            Profile::Deployment => add("deployment", "deployment", 11),
            // There is no feature for it in v1: the deployment's annotations, labels and fields.
            Profile::StatefulSet => add("statefulset", "deployment", 11),
            Profile::Job => add("job", "job", 11),
            Profile::CronJob => {
                add("job", "job", 12);
                add("cronjob", "cronjob", 11);
                add("schedules", "schedules", 1);
            }
        }
        let takes_traffic = matches!(self.renders, Profile::Deployment | Profile::StatefulSet);
        if takes_traffic {
            add("service", "service", 4);
        }
        properties.insert("containers".to_owned(), containers());
        let mut definition = json!({ "properties": properties });
        if takes_traffic && let Some(definition) = definition.as_object_mut() {
            let replicas = json!([property("replicas", None, -2)]);
            definition.insert("runtime_properties".to_owned(), replicas);
        }
        definition
    }
}

fn property(feature: &str, title: Option<&str>, order: i64) -> Json {
    let mut property = json!({
        "type": "feature",
        "feature_name": format!("{}/{feature}", feature::ORG),
        "version": VERSION,
        "ui_hints": { "order": order },
    });
    if let (Some(title), Some(property)) = (title, property.as_object_mut()) {
        property.insert("title".to_owned(), title.into());
    }
    property
}

fn containers() -> Json {
    json!({
        "type": "collection",
        "feature_name": format!("{}/containers", feature::ORG),
        "title": "Containers",
        "version": VERSION,
        "ui_hints": { "order": -1 },
        "properties": {
            "args": property("overrides", Some("Arguments"), 9),
            "command": property("overrides", Some("Command"), 8),
            "env": property("envs", None, 11),
            "files": property("files", None, 3),
            "image": property("image", None, 1),
            "liveness_probe": property("probe", Some("Liveness probe"), 5),
            "readiness_probe": property("probe", Some("Readiness probe"), 6),
            "resources": property("resources", None, 7),
            "startup_probe": property("probe", Some("Startup probe"), 10),
            "variables": property("variables", None, 2),
            "volume_mounts": property("volume-mounts", None, 4),
        },
    })
}

// ---- profiles of an organization --------------------------------------------------------------

/// What a profile of an organization means for a deployment.
#[derive(Clone, Debug, PartialEq)]
pub struct Own {
    /// Id of its chart.
    pub chart: String,
    /// What a module under it becomes; nothing when the chart is not built in.
    pub renders: Option<Profile>,
    /// The JSON Schema of the spec.
    pub schema: Json,
}

impl Own {
    /// A profile from what is stored of it.
    #[must_use]
    pub fn new(id: &str, chart: &str, definition: &Json) -> Self {
        Self {
            chart: chart.to_owned(),
            renders: BuiltIn::find(chart).map(|built_in| built_in.renders),
            schema: spec_schema(id, definition),
        }
    }
}

/// Profiles of an organization, by qualified id.
pub type Profiles = BTreeMap<String, Own>;

/// What a module under this profile becomes, when it can be rendered here.
#[must_use]
pub fn renders(name: &str, own: &Profiles) -> Option<Profile> {
    Profile::parse(name).or_else(|| own.get(name)?.renders)
}

// ---- descriptions -----------------------------------------------------------------------------

/// What is wrong with the description of a spec.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistake {
    /// JSON pointer into the description.
    pub at: String,
    /// A sentence without a full stop.
    pub message: String,
    /// What to write instead.
    pub hint: Option<String>,
}

/// Most properties of a description, all levels counted.
const MOST_PROPERTIES: usize = 500;
/// Collections within each other.
const DEEPEST: usize = 5;

/// All mistakes in the description of a spec.
#[must_use]
pub fn mistakes(definition: &Json) -> Vec<Mistake> {
    let mut reader = Reader { mistakes: Vec::new(), count: 0 };
    reader.members(definition, "", 0);
    if reader.count > MOST_PROPERTIES {
        reader.add("", format!("there are more than {MOST_PROPERTIES} properties"), None);
    }
    reader.mistakes
}

/// Members of a property.
const MEMBERS: [&str; 8] = [
    "feature_name",
    "properties",
    "runtime_properties",
    "schema",
    "title",
    "type",
    "ui_hints",
    "version",
];

struct Reader {
    mistakes: Vec<Mistake>,
    count: usize,
}

impl Reader {
    fn add(&mut self, at: &str, message: impl Into<String>, hint: Option<String>) {
        self.mistakes.push(Mistake { at: at.to_owned(), message: message.into(), hint });
    }

    /// What the whole and a collection have in common.
    fn members(&mut self, within: &Json, at: &str, depth: usize) {
        if depth > DEEPEST {
            return self.add(at, format!("collections nest deeper than {DEEPEST} levels"), None);
        }
        match within.get("properties") {
            None | Some(Json::Null) => {}
            Some(Json::Object(properties)) => {
                for (name, property) in properties {
                    let at = format!("{at}/properties{}", patch::pointer([name.as_str()]));
                    self.property(property, &at, depth, Kinds::All);
                }
            }
            Some(_) => self.add(&format!("{at}/properties"), "it is not an object", None),
        }
        match within.get("runtime_properties") {
            None | Some(Json::Null) => {}
            Some(Json::Array(properties)) => {
                for (number, property) in properties.iter().enumerate() {
                    let at = format!("{at}/runtime_properties/{number}");
                    self.property(property, &at, depth, Kinds::Runtime);
                }
            }
            Some(_) => self.add(&format!("{at}/runtime_properties"), "it is not a list", None),
        }
    }

    fn property(&mut self, property: &Json, at: &str, depth: usize, kinds: Kinds) {
        self.count += 1;
        let Some(members) = property.as_object() else {
            return self.add(at, "it is not an object", None);
        };
        for name in members.keys().filter(|name| !MEMBERS.contains(&name.as_str())) {
            let place = format!("{at}{}", patch::pointer([name.as_str()]));
            let nearest = suggest::nearest(name, MEMBERS);
            let hint = nearest.map(|nearest| format!("did you mean `{nearest}`?"));
            self.add(&place, "there is no such member of a property", hint);
        }
        for name in ["title", "version"] {
            if members.get(name).is_some_and(|value| !value.is_string() && !value.is_null()) {
                self.add(&format!("{at}/{name}"), "it is not a text", None);
            }
        }
        self.hints(members.get("ui_hints"), &format!("{at}/ui_hints"));
        let place = format!("{at}/type");
        match (members.get("type").and_then(Json::as_str), kinds) {
            (Some("feature"), _) => self.feature(members, at, Needed::Yes),
            (Some("collection"), _) => {
                self.feature(members, at, Needed::No);
                self.members(property, at, depth + 1);
            }
            (Some("schema"), Kinds::All) => match members.get("schema") {
                None | Some(Json::Null | Json::Object(_)) => {}
                Some(_) => self.add(&format!("{at}/schema"), "it is not an object", None),
            },
            (_, Kinds::All) => {
                self.add(&place, "use `feature`, `collection` or `schema`", None);
            }
            (_, Kinds::Runtime) => self.add(&place, "use `feature` or `collection`", None),
        }
    }

    fn hints(&mut self, hints: Option<&Json>, at: &str) {
        let hints = match hints {
            None | Some(Json::Null) => return,
            Some(Json::Object(hints)) => hints,
            Some(_) => return self.add(at, "it is not an object", None),
        };
        for (name, value) in hints {
            let fits = match name.as_str() {
                "order" => value.is_i64() || value.is_u64(),
                "hidden" => value.is_boolean(),
                _ => false,
            };
            if !fits {
                let place = format!("{at}{}", patch::pointer([name.as_str()]));
                self.add(&place, "use `order`, an integer, and `hidden`, a flag", None);
            }
        }
    }

    fn feature(&mut self, members: &JsonMap, at: &str, needed: Needed) {
        let place = format!("{at}/feature_name");
        match members.get("feature_name") {
            None | Some(Json::Null) => {
                if needed == Needed::Yes {
                    let hint = "use the name of a feature, such as `humanitec/annotations`";
                    self.add(&place, "it is missing", Some(hint.to_owned()));
                }
            }
            Some(Json::String(name)) => {
                if Feature::find(name).is_none() {
                    let names: Vec<String> = features().map(|known| known.name()).collect();
                    let nearest = suggest::nearest(name, names.iter().map(String::as_str));
                    let hint = match nearest {
                        Some(nearest) => format!("did you mean `{nearest}`?"),
                        None => format!("the features are {}", names.join(", ")),
                    };
                    self.add(&place, "there is no such feature", Some(hint));
                }
            }
            Some(_) => self.add(&place, "it is not a text", None),
        }
    }
}

/// Which types a property may have.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kinds {
    All,
    Runtime,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Needed {
    Yes,
    No,
}

/// The JSON Schema of specs, from their description. `title` is the id of the profile.
#[must_use]
pub fn spec_schema(title: &str, definition: &Json) -> Json {
    let mut schema = object_schema(definition);
    schema.insert("title".to_owned(), title.into());
    Json::Object(schema)
}

fn object_schema(within: &Json) -> JsonMap {
    let mut schema = JsonMap::from_iter([("type".to_owned(), "object".into())]);
    if let Some(properties) = within.get("properties").and_then(Json::as_object) {
        let properties = properties.iter().map(|(name, property)| (name.clone(), of(property)));
        schema.insert("properties".to_owned(), Json::Object(properties.collect()));
    }
    schema
}

fn of(property: &Json) -> Json {
    let text = |name: &str| property.get(name).and_then(Json::as_str);
    let mut schema = match text("type") {
        Some("collection") => {
            json!({ "type": "object", "additionalProperties": object_schema(property) })
        }
        Some("schema") => {
            property.get("schema").filter(|s| s.is_object()).cloned().unwrap_or(json!({}))
        }
        _ => {
            let feature = text("feature_name").and_then(Feature::find);
            feature.map_or(json!({}), Feature::schema)
        }
    };
    if let (Some(title), Some(schema)) = (text("title"), schema.as_object_mut()) {
        schema.entry("title").or_insert_with(|| title.into());
    }
    schema
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn built_in_profiles_are_described_without_mistakes() {
        let mut ids = Vec::new();
        for built_in in BUILT_IN {
            let name = built_in.qualified();
            assert_eq!(mistakes(&built_in.definition()), [], "{name}");
            assert_eq!(BuiltIn::find(&name), Some(built_in));
            assert_eq!(Profile::parse(&name), Some(built_in.renders));
            assert_eq!(built_in.renders.name(), name);
            let schema = spec_schema(&name, &built_in.definition());
            let variables =
                schema.pointer("/properties/containers/additionalProperties/properties/variables");
            assert_eq!(variables, Some(&json!({ "type": "object" })));
            ids.push(name);
        }
        assert!(ids.is_sorted());
        assert_eq!(BuiltIn::find("default-module"), None);
    }

    #[test]
    fn tells_all_mistakes_of_a_description() {
        let definition = json!({
            "properties": {
                "a": { "type": "feature", "feature_name": "humanitec/anotations" },
                "b": { "type": "feature" },
                "c": { "type": "collection", "properties": { "x/y": { "type": "thing" } } },
                "d": { "type": "schema", "schema": true, "more": 1 },
                "e": [],
                "f": { "type": "schema", "title": 1, "ui_hints": { "order": "first" } },
            },
            "runtime_properties": [{ "type": "schema" }],
        });
        let found = mistakes(&definition);
        let places: Vec<&str> = found.iter().map(|mistake| mistake.at.as_str()).collect();
        let expected = [
            "/properties/a/feature_name",
            "/properties/b/feature_name",
            "/properties/c/properties/x~1y/type",
            "/properties/d/more",
            "/properties/d/schema",
            "/properties/e",
            "/properties/f/title",
            "/properties/f/ui_hints/order",
            "/runtime_properties/0/type",
        ];
        assert_eq!(places, expected);
        assert_eq!(found[0].hint.as_deref(), Some("did you mean `humanitec/annotations`?"));
        for odd in [json!({ "properties": [] }), json!({ "runtime_properties": {} })] {
            assert_eq!(mistakes(&odd).len(), 1, "{odd}");
        }
        for fine in [json!({}), json!(null), json!({ "properties": null })] {
            assert_eq!(mistakes(&fine), [], "{fine}");
        }
    }

    #[test]
    fn descriptions_have_an_end() {
        let mut deep = json!({ "type": "collection" });
        for _ in 0..DEEPEST + 1 {
            deep = json!({ "type": "collection", "properties": { "x": deep } });
        }
        assert_eq!(mistakes(&json!({ "properties": { "x": deep } })).len(), 1);
        let many = (0..=MOST_PROPERTIES).map(|n| (n.to_string(), json!({ "type": "schema" })));
        let many: JsonMap = many.collect();
        assert_eq!(mistakes(&json!({ "properties": many })).len(), 1);
    }

    #[test]
    fn a_schema_says_what_the_description_says_and_no_more() {
        let definition = json!({ "properties": {
            "size": { "type": "schema", "schema": { "enum": ["s", "l"] }, "title": "Size" },
            "jobs": { "type": "collection", "properties": {
                "labels": { "type": "feature", "feature_name": "humanitec/labels" } } },
            "any": { "type": "schema" },
        } });
        let labels = json!({ "type": "object", "additionalProperties": { "type": "string" } });
        let expected = json!({
            "title": "special", "type": "object", "properties": {
                "size": { "enum": ["s", "l"], "title": "Size" },
                "jobs": { "type": "object", "additionalProperties": {
                    "type": "object", "properties": { "labels": labels } } },
                "any": {},
            },
        });
        assert_eq!(spec_schema("special", &definition), expected);
        assert_eq!(spec_schema("x", &json!({})), json!({ "title": "x", "type": "object" }));
    }

    #[test]
    fn an_own_profile_stands_on_a_built_in_chart_or_is_not_rendered() {
        let own = Profiles::from([
            ("acme/web".to_owned(), Own::new("web", "humanitec/default-module", &json!({}))),
            ("acme/odd".to_owned(), Own::new("odd", "odd", &json!({}))),
        ]);
        assert_eq!(renders("acme/web", &own), Some(Profile::Deployment));
        assert_eq!(renders("acme/odd", &own), None);
        assert_eq!(renders("humanitec/default-job", &own), Some(Profile::Job));
        assert_eq!(renders("acme/other", &own), None);
    }
}
