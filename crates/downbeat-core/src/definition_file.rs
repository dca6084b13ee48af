//! Definition files: Resource Definitions as people exchange them (spec 01 section 11).
//!
//! ```yaml
//! apiVersion: entity.humanitec.io/v1b1   # older files: core.api.humanitec.io/v1
//! kind: Definition
//! metadata: {id: dev-pg}
//! entity:                                # the body of the REST call without the id
//!   name: dev-pg
//!   type: postgres
//!   driver_type: humanitec/echo
//!   driver_inputs: {values: {}}
//!   criteria: [{env_type: development}]  # older files: at top level, beside `entity`
//! ```

use crate::{
    Code, Criteria, Json, JsonMap,
    definition::Body,
    suggest,
    yaml::{self, Key, Kind, Node, Span},
};

/// A definition as it stands in a file.
#[derive(Clone, Debug, PartialEq)]
pub struct DefinitionFile {
    /// Id of the definition.
    pub id: String,
    /// Line of the id, from 1.
    pub line: usize,
    /// Resource type.
    pub resource_type: String,
    /// What it says.
    pub body: Body,
    /// When it applies.
    pub criteria: Vec<Criteria>,
    /// The body of the REST call that creates it: the entity with its id and criteria.
    pub request: JsonMap,
}

/// Why a file is not a definition.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{code} {message} (line {line}, column {column})")]
pub struct Error {
    /// What kind of mistake.
    pub code: Code,
    /// A sentence without a full stop.
    pub message: String,
    /// Line, from 1.
    pub line: usize,
    /// Column, from 1.
    pub column: usize,
}

/// Whether a document calls itself a definition.
#[must_use]
pub fn is_definition(document: &Node) -> bool {
    document.get("kind").and_then(Node::as_str) == Some("Definition")
}

/// Reads every definition of a text with one or several YAML documents. Documents of another
/// `kind` are passed over.
///
/// # Errors
/// The first mistake.
pub fn read(text: &str) -> Result<Vec<DefinitionFile>, Error> {
    let documents = yaml::parse_all(text, &yaml::Limits::default()).map_err(|error| Error {
        code: Code::Invalid,
        message: error.message,
        line: error.line,
        column: error.column,
    })?;
    documents.iter().filter(|document| is_definition(document)).map(read_one).collect()
}

fn wrong_at(span: Span, message: String) -> Error {
    Error {
        code: Code::Invalid,
        message,
        line: span.line.max(1) as usize,
        column: span.column.max(1) as usize,
    }
}

fn wrong(node: &Node, message: String) -> Error {
    wrong_at(node.span, message)
}

/// A key that nothing reads is a slip of the pen: the definition would not mean what it says.
fn only(node: &Node, place: &str, known: &[&str]) -> Result<(), Error> {
    let unknown = |key: &&Key| !known.contains(&key.name.as_str());
    let entries = node.entries().unwrap_or_default().iter();
    match entries.map(|(key, _)| key).find(unknown) {
        None => Ok(()),
        Some(key) => {
            let hint = match suggest::nearest(&key.name, known.iter().copied()) {
                Some(name) => format!("did you mean {name:?}?"),
                None => format!("expected {}", known.join(", ")),
            };
            let name = &key.name;
            Err(wrong_at(key.span, format!("{place} has no key {name:?}; {hint}")))
        }
    }
}

fn only_known_keys(document: &Node) -> Result<(), Error> {
    only(document, "a definition file", &["apiVersion", "kind", "metadata", "entity", "criteria"])?;
    let Some(entity) = document.get("entity") else { return Ok(()) };
    const ENTITY: &[&str] = &[
        "name",
        "type",
        "driver_type",
        "driver_account",
        "driver_inputs",
        "provision",
        "criteria",
        "in_place_driver_change",
    ];
    only(entity, "the entity", ENTITY)?;
    if let Some(inputs) = entity.get("driver_inputs") {
        only(inputs, "driver_inputs", &["values", "secrets", "secret_refs"])?;
    }
    let provision = entity.get("provision").and_then(Node::entries).unwrap_or_default();
    for (descriptor, rule) in provision {
        let place = format!("provision {:?}", descriptor.name);
        only(rule, &place, &["is_dependent", "match_dependents", "params"])?;
    }
    let Some(criteria) = entity.get("criteria").or_else(|| document.get("criteria")) else {
        return Ok(());
    };
    const CRITERIA: &[&str] = &["id", "app_id", "env_id", "env_type", "res_id", "class"];
    let list = criteria.items().unwrap_or(std::slice::from_ref(criteria));
    list.iter().try_for_each(|one| only(one, "a criterion", CRITERIA))
}

fn read_one(document: &Node) -> Result<DefinitionFile, Error> {
    let metadata = document.get("metadata");
    let id_node = metadata.and_then(|metadata| metadata.get("id"));
    let id = id_node.and_then(Node::as_str).ok_or_else(|| {
        wrong(metadata.unwrap_or(document), "a definition needs metadata.id".to_owned())
    })?;
    only_known_keys(document)?;
    let entity = document
        .get("entity")
        .filter(|entity| entity.entries().is_some())
        .ok_or_else(|| wrong(document, format!("definition {id:?} needs an entity")))?;
    let resource_type = entity.get("type").and_then(Node::as_str);
    let resource_type = resource_type
        .ok_or_else(|| wrong(entity, format!("definition {id:?} needs entity.type")))?;
    let Json::Object(mut members) = entity.to_json() else {
        return Err(wrong(entity, format!("the entity of definition {id:?} is not an object")));
    };
    let criteria_node = entity.get("criteria").or_else(|| document.get("criteria"));
    members.remove("criteria");
    let criteria = match criteria_node.map(|node| (node, &node.value)) {
        None | Some((_, Kind::Null)) => Vec::new(),
        // One published file writes `criteria: {}` and means a list of one.
        Some((node, Kind::Mapping(_))) => vec![node.to_json()],
        Some((node, Kind::Sequence(_))) => match node.to_json() {
            Json::Array(items) => items,
            _ => Vec::new(),
        },
        Some((node, _)) => {
            return Err(wrong(node, format!("the criteria of definition {id:?} are not a list")));
        }
    };
    members.entry("name").or_insert_with(|| Json::String(id.to_owned()));
    let unsuitable = |error: &serde_json::Error| {
        wrong(entity, format!("the entity of definition {id:?} is not valid: {error}"))
    };
    let mut body: Body = serde_json::from_value(Json::Object(members.clone()))
        .map_err(|error| unsuitable(&error))?;
    let secrets = entity.get("driver_inputs").and_then(|inputs| inputs.get("secrets"));
    if let Some(Json::Object(secrets)) = secrets.map(Node::to_json)
        && !secrets.is_empty()
    {
        let inputs = body.driver_inputs.get_or_insert_default();
        if inputs.secret_refs.as_ref().is_some_and(|refs| !refs.is_empty()) {
            let message = format!(
                "driver_inputs of definition {id:?} has both `secrets` and `secret_refs`; they \
                 exclude each other"
            );
            return Err(wrong(entity, message));
        }
        inputs.secret_refs = Some(leaves(secrets));
    }
    if body.driver_type.is_empty() {
        return Err(wrong(entity, format!("definition {id:?} needs entity.driver_type")));
    }
    let parsed: Vec<Criteria> = serde_json::from_value(Json::Array(criteria.clone()))
        .map_err(|error| unsuitable(&error))?;
    let mut request = members;
    request.insert("id".to_owned(), Json::String(id.to_owned()));
    request.insert("criteria".to_owned(), Json::Array(criteria));
    Ok(DefinitionFile {
        id: id.to_owned(),
        line: id_node.map_or(1, |node| node.span.line.max(1) as usize),
        resource_type: resource_type.to_owned(),
        body,
        criteria: parsed,
        request,
    })
}

/// Secrets in clear, as `secret_refs` writes them: each leaf is `{value: text}`.
fn leaves(secrets: JsonMap) -> JsonMap {
    let leaf = |value: Json| match value {
        Json::Object(below) => Json::Object(leaves(below)),
        Json::String(text) => serde_json::json!({ "value": text }),
        Json::Null => Json::Null,
        other => serde_json::json!({ "value": other.to_string() }),
    };
    secrets.into_iter().map(|(name, value)| (name, leaf(value))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_both_generations() {
        let text = "\
apiVersion: entity.humanitec.io/v1b1
kind: Definition
metadata: {id: dev-pg}
entity:
  type: postgres
  driver_type: humanitec/echo
  criteria: [{env_type: development}]
---
apiVersion: core.api.humanitec.io/v1
kind: Definition
metadata: {id: old}
entity: {name: Old, type: dns, driver_type: humanitec/echo}
criteria: {}
---
kind: Other
";
        let found = read(text).unwrap();
        assert_eq!(found.len(), 2);
        assert_eq!(found[0].body.name, "dev-pg");
        assert_eq!(found[0].criteria[0].env_type.as_deref(), Some("development"));
        assert_eq!(found[1].criteria, [Criteria::default()]);
        assert_eq!(found[1].request["id"], "old");
    }

    #[test]
    fn says_what_is_missing_and_where() {
        let check = |text: &str, expected: &str| {
            assert_eq!(read(text).unwrap_err().to_string(), expected);
        };
        check("kind: Definition\n", "API-400 a definition needs metadata.id (line 1, column 1)");
        check(
            "kind: Definition\nmetadata: {id: a}\nentity: {type: dns}\n",
            "API-400 the entity of definition \"a\" is not valid: missing field `driver_type` (line 3, column 9)",
        );
        let text =
            |entity: &str| format!("kind: Definition\nmetadata: {{id: a}}\nentity:\n{entity}");
        check(
            &text("  type: dns\n  driver_typ: humanitec/echo\n"),
            "API-400 the entity has no key \"driver_typ\"; did you mean \"driver_type\"? (line 5, column 3)",
        );
        check(
            &text("  type: dns\n  driver_type: x\n  driver_inputs: {vals: {}}\n"),
            "API-400 driver_inputs has no key \"vals\"; expected values, secrets, secret_refs (line 6, column 19)",
        );
        check(
            &text("  type: dns\n  driver_type: x\n  criteria: [{}, {app: shop}]\n"),
            "API-400 a criterion has no key \"app\"; expected id, app_id, env_id, env_type, res_id, class (line 6, column 19)",
        );
    }
}
