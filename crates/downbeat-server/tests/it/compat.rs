//! Our OpenAPI document against that of v1, operation by operation.
//!
//! An answer must have what v1 promises: every required property, of the same JSON type; an
//! optional one may be left out, but not be of another type. A request must be accepted when v1
//! accepts it: nothing more is required, and no type is refused. Whatever differs on purpose is in
//! [`EXCEPTIONS`], with the reason.

use std::collections::{BTreeMap, BTreeSet};

use downbeat_server::{not_yet, router};
use serde_json::Value;

const V1: &str = include_str!("../data/compat/openapi-0.28.37.json");
const OPERATIONS: usize = 221;

/// A difference, and why it is meant. `*` stands for any text.
const EXCEPTIONS: &[(&str, &str)] = &[
    (
        "*/webhooks* 20*/payload: type {\"null\", \"object\"}, not {\"object\"}",
        "v1 answers null for a webhook with the default payload, and clients read it",
    ),
    (
        "DELETE /orgs/{orgId}/env-types/{envTypeId} 204: no body",
        "HTTP forbids a body with 204, whatever the v1 document says",
    ),
    (
        "* 200 */modules/*/deploy: `*` is not always there",
        "a module is answered as it was sent: filled-in defaults would change the name of the set \
         when a client sends them back",
    ),
    (
        "* 200 */modules/*{}/{}: *",
        "v1 describes unknown members of a module as controllers of the runtime, which they are not",
    ),
    (
        "GET /orgs/{orgId}/apps/{appId}/sets/{setId} 200 /workloads: `*` is not always there",
        "of the two possible answers only the delta has these, and its workloads are left out",
    ),
    (
        "DELETE /orgs/{orgId}/apps/{appId}/pipelines/{pipelineId}: success is {\"204\"}, not \
         {\"202\", \"204\"}",
        "a pipeline is gone at once: there is nothing to wait for",
    ),
    (
        "POST /orgs/{orgId}/apps/{appId}/pipelines/{pipelineId}/criteria request: `trigger` is not \
         always there",
        "v1 requires it as well, beside the `oneOf` that has the other members",
    ),
];

#[test]
fn every_operation_of_v1_is_there() {
    let (v1, ours) = documents();
    let mut differences = Differences::default();
    let mut count = 0;
    for (name, theirs) in operations(&v1) {
        count += 1;
        let Some(own) = operations(&ours).remove(&name) else {
            differences.add(&name, "missing");
            continue;
        };
        if let Some(id) = theirs["operationId"].as_str()
            && own["operationId"] != id
        {
            differences.add(&name, &format!("operationId is {}, not {id}", own["operationId"]));
        }
        if own.get(not_yet::MARK).is_none() {
            compare_operation(&name, (&v1, theirs), (&ours, own), &mut differences);
        }
    }
    assert_eq!(count, OPERATIONS);
    differences.assert_all_meant();
}

#[test]
fn what_v1_does_not_have_is_marked() {
    let (v1, ours) = documents();
    let v1 = operations(&v1);
    for (name, operation) in operations(&ours) {
        let marked = operation["x-downbeat-extension"] == true;
        assert_eq!(marked, !v1.contains_key(&name), "{name}");
    }
}

#[test]
fn operation_ids_are_unique() {
    let (_, ours) = documents();
    let mut seen = BTreeMap::new();
    for (name, operation) in operations(&ours) {
        let id = operation["operationId"].as_str().unwrap().to_owned();
        if let Some(other) = seen.insert(id.clone(), name.clone()) {
            panic!("{id} is {other} and {name}");
        }
    }
}

#[test]
fn the_table_of_what_is_missing_is_right() {
    let (_, ours) = documents();
    let ours = operations(&ours);
    let rows: Vec<_> = not_yet::rows().collect();
    let there: Vec<String> = rows
        .iter()
        .map(|(method, path, _)| format!("{method} {path}"))
        .filter(|name| ours[name].get(not_yet::MARK).is_none())
        .collect();
    assert!(there.is_empty(), "to be removed from not_yet.tsv:\n{}", there.join("\n"));
    let mut sorted = rows.clone();
    sorted.sort_by_key(|(method, path, _)| (*path, *method));
    assert_eq!(rows, sorted, "not_yet.tsv is not sorted by path and method");
}

#[derive(Default)]
struct Differences(BTreeSet<String>);

impl Differences {
    fn add(&mut self, place: &str, what: &str) {
        self.0.insert(format!("{place}: {what}"));
    }

    fn assert_all_meant(mut self) {
        let mut unused = Vec::new();
        for (pattern, _) in EXCEPTIONS {
            let before = self.0.len();
            self.0.retain(|difference| !fits(pattern, difference));
            if self.0.len() == before {
                unused.push(pattern);
            }
        }
        let list: Vec<_> = self.0.into_iter().collect();
        assert!(list.is_empty(), "differs from v1:\n{}", list.join("\n"));
        assert!(unused.is_empty(), "exceptions that are none: {unused:#?}");
    }
}

/// Whether the pieces of the pattern follow each other in the text, from end to end.
fn fits(pattern: &str, text: &str) -> bool {
    let mut pieces = pattern.split('*');
    let Some(mut rest) = pieces.next().and_then(|first| text.strip_prefix(first)) else {
        return false;
    };
    let Some(last) = pieces.next_back() else { return rest.is_empty() };
    for piece in pieces {
        let Some(at) = rest.find(piece) else { return false };
        rest = &rest[at + piece.len()..];
    }
    rest.ends_with(last)
}

fn documents() -> (Value, Value) {
    (serde_json::from_str(V1).unwrap(), router::document())
}

/// Operations by method and path.
fn operations(document: &Value) -> BTreeMap<String, &Value> {
    let mut operations = BTreeMap::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (verb, operation) in item.as_object().unwrap() {
            operations.insert(format!("{} {path}", verb.to_uppercase()), operation);
        }
    }
    operations
}

fn compare_operation(
    name: &str,
    (v1, theirs): (&Value, &Value),
    (ours, own): (&Value, &Value),
    differences: &mut Differences,
) {
    let successes = |operation: &Value| -> BTreeSet<String> {
        let statuses = operation["responses"].as_object().unwrap().keys();
        statuses.filter(|status| status.starts_with('2')).cloned().collect()
    };
    let (expected, found) = (successes(theirs), successes(own));
    if expected != found {
        differences.add(name, &format!("success is {found:?}, not {expected:?}"));
    }
    let schema = |body: &Value| body.pointer("/content/application~1json/schema").cloned();
    for status in expected.intersection(&found) {
        let place = format!("{name} {status}");
        let Some(theirs) = schema(resolve(v1, &theirs["responses"][status])) else { continue };
        match schema(resolve(ours, &own["responses"][status])) {
            None => differences.add(&place, "no body"),
            Some(own) => {
                let answer = Comparison { place: &place, wide: v1, narrow: ours, differences };
                answer.run(&theirs, &own, "", &mut Vec::new());
            }
        }
    }
    let place = format!("{name} request");
    match (schema(&theirs["requestBody"]), schema(&own["requestBody"])) {
        (Some(theirs), Some(own)) => {
            let request = Comparison { place: &place, wide: ours, narrow: v1, differences };
            request.run(&own, &theirs, "", &mut Vec::new());
        }
        (Some(_), None) => differences.add(&place, "no body"),
        _ => {}
    }
}

/// Everything that the narrow document allows, the wide one must allow too. For an answer, v1 is
/// wide and we are narrow; for a request, the other way round.
struct Comparison<'a> {
    place: &'a str,
    wide: &'a Value,
    narrow: &'a Value,
    differences: &'a mut Differences,
}

impl Comparison<'_> {
    fn run(self, wide: &Value, narrow: &Value, at: &str, seen: &mut Vec<(String, String)>) {
        let Comparison { place, wide: wide_document, narrow: narrow_document, differences } = self;
        let place_here = if at.is_empty() { place.to_owned() } else { format!("{place} {at}") };
        let names = (wide.to_string(), narrow.to_string());
        if seen.contains(&names) {
            return;
        }
        seen.push(names);
        let (wide, narrow) = (Shape::of(wide_document, wide), Shape::of(narrow_document, narrow));
        if let Some(allowed) = &wide.types {
            match &narrow.types {
                None => differences.add(&place_here, &format!("any type, not {allowed:?}")),
                Some(found) if !found.is_subset(allowed) => {
                    differences.add(&place_here, &format!("type {found:?}, not {allowed:?}"));
                }
                Some(_) => {}
            }
        }
        for name in &wide.required {
            if !narrow.required.contains(name) {
                differences.add(&place_here, &format!("`{name}` is not always there"));
            }
        }
        for (name, wide) in &wide.properties {
            if let Some(narrow) = narrow.properties.get(name) {
                let at = format!("{at}/{name}");
                let next = Comparison {
                    place,
                    wide: wide_document,
                    narrow: narrow_document,
                    differences: &mut *differences,
                };
                next.run(wide, narrow, &at, seen);
            }
        }
        for (name, wide, narrow) in
            [("[]", wide.items, narrow.items), ("{}", wide.members, narrow.members)]
        {
            if let (Some(wide), Some(narrow)) = (wide, narrow) {
                let at = format!("{at}/{name}");
                let next = Comparison {
                    place,
                    wide: wide_document,
                    narrow: narrow_document,
                    differences: &mut *differences,
                };
                next.run(&wide, &narrow, &at, seen);
            }
        }
        seen.pop();
    }
}

/// What matters of a schema.
#[derive(Default)]
struct Shape {
    /// Nothing: any type.
    types: Option<BTreeSet<String>>,
    required: BTreeSet<String>,
    properties: BTreeMap<String, Value>,
    items: Option<Value>,
    members: Option<Value>,
}

impl Shape {
    fn of(document: &Value, schema: &Value) -> Self {
        let nullable = schema["nullable"] == true;
        let schema = resolve(document, schema);
        let mut shape = Self::default();
        let mut types = BTreeSet::new();
        match &schema["type"] {
            Value::String(kind) => types.extend([kind.clone()]),
            Value::Array(kinds) => {
                types.extend(kinds.iter().map(|k| k.as_str().unwrap().to_owned()));
            }
            _ => {}
        }
        if let Some(object) = schema["properties"].as_object() {
            shape.properties = object.clone().into_iter().collect();
            if types.is_empty() {
                types.insert("object".to_owned());
            }
        }
        let required = schema["required"].as_array().into_iter().flatten();
        shape.required = required.map(|name| name.as_str().unwrap().to_owned()).collect();
        shape.items = schema.get("items").filter(|items| items.is_object()).cloned();
        let members = schema.get("additionalProperties");
        shape.members = members.filter(|members| members.is_object()).cloned();

        let mut any = false;
        for part in schema["allOf"].as_array().into_iter().flatten() {
            let part = Self::of(document, part);
            types.extend(part.types.into_iter().flatten());
            shape.required.extend(part.required);
            shape.properties.extend(part.properties);
        }
        for key in ["oneOf", "anyOf"] {
            for choice in schema[key].as_array().into_iter().flatten() {
                let choice = Self::of(document, choice);
                any |= choice.types.is_none();
                if choice.types.as_ref().is_some_and(|types| !types.contains("null")) {
                    shape.required = choice.required;
                    shape.properties.extend(choice.properties);
                    shape.items = shape.items.or(choice.items);
                    shape.members = shape.members.or(choice.members);
                }
                types.extend(choice.types.into_iter().flatten());
            }
        }
        if !types.is_empty() && (nullable || schema["nullable"] == true) {
            types.insert("null".to_owned());
        }
        if types.contains("number") {
            types.insert("integer".to_owned());
        }
        shape.types = (!types.is_empty() && !any).then_some(types);
        shape
    }
}

fn resolve<'a>(document: &'a Value, schema: &'a Value) -> &'a Value {
    match schema["$ref"].as_str() {
        Some(reference) => {
            let target = document.pointer(reference.trim_start_matches('#'));
            resolve(document, target.unwrap_or_else(|| panic!("{reference} is not there")))
        }
        None => schema,
    }
}
