//! Driver inputs on their way in and out: plaintexts become references.
//!
//! A plaintext goes to the vault and only its reference is stored. A secret input that holds
//! placeholders is needed as text when the graph is built, so it is stored as `{value}` besides;
//! `sealed` remembers the reference that callers are shown instead. That is a limit: what stands
//! around a placeholder is readable in the database (`docs/design/secrets-in-git.md`).
//!
//! ```text
//! request ─read─▶ tree of leaves ─seal─▶ stored content ─show─▶ answer
//! ```

use std::{collections::BTreeMap, mem};

use downbeat_api::definition as wire;
use downbeat_core::{
    Json, JsonMap, Secret, SecretRef,
    definition::DriverInputs,
    patch,
    placeholder::{self, Segment},
};
use downbeat_store::{OrgScope, Tx, definition::Content};

use crate::{AppState, Problem, Result, api::common::check_store, state::Version};

/// Deepest nesting of secret inputs.
const DEEPEST: usize = 32;

/// A tree of secret inputs, checked but not sealed yet.
pub(super) type Secrets = BTreeMap<String, Node>;

/// A place in the tree.
pub(super) enum Node {
    /// More below.
    Branch(Secrets),
    /// A reference to a secret that is kept elsewhere.
    Reference(SecretRef),
    /// A plaintext, to be sealed.
    Plain(Secret),
    /// A text with placeholders, for the graph. The text around them is not sealed.
    Expression(Secret),
    /// `null`: in a merge, take away what is there.
    Nothing,
}

/// The driver inputs of a request, checked but not sealed yet.
pub(super) struct Inputs {
    values: Option<JsonMap>,
    secrets: Option<Secrets>,
}

/// Checks the driver inputs of a request.
pub(super) fn read(request: wire::DriverInputsRequest) -> Result<Inputs> {
    let secrets = match (request.secrets, request.secret_refs) {
        (Some(secrets), Some(refs)) if !secrets.is_empty() && !refs.is_empty() => {
            let rule = "send either `secrets` or `secret_refs`";
            return Err(Problem::invalid(format!(
                "`driver_inputs.secrets` and `driver_inputs.secret_refs` exclude each other: {rule}."
            ))
            .at("/driver_inputs", rule));
        }
        (Some(secrets), None) => Some(plaintexts(secrets, 0)?).filter(|tree| !tree.is_empty()),
        (Some(secrets), Some(_)) if !secrets.is_empty() => Some(plaintexts(secrets, 0)?),
        (_, Some(refs)) => Some(references(refs, "/driver_inputs/secret_refs", 0)?),
        (None, None) => None,
    };
    Ok(Inputs { values: request.values, secrets })
}

/// `secrets`: any leaf is a plaintext; one that is not a string is kept as its JSON text.
fn plaintexts(tree: JsonMap, depth: usize) -> Result<Secrets> {
    check_depth(depth)?;
    let node = |value| -> Result<Node> {
        Ok(match value {
            Json::Null => Node::Nothing,
            Json::Object(below) => Node::Branch(plaintexts(below, depth + 1)?),
            Json::String(text) => plaintext(text),
            other => plaintext(other.to_string()),
        })
    };
    tree.into_iter().map(|(name, value)| Ok((name, node(value)?))).collect()
}

/// A plaintext: an expression when a placeholder in it means something in a definition, otherwise a
/// literal, whatever it looks like. What the graph could not read is a literal as well: nothing
/// that may be a password is left unsealed. Escapes are taken out of a literal here, as the graph
/// takes them out of an expression.
fn plaintext(text: String) -> Node {
    if placeholder::is_literal(&text) {
        return Node::Plain(Secret::new(text));
    }
    let Ok(segments) = placeholder::segments(&text) else { return Node::Plain(Secret::new(text)) };
    let mut literal = String::with_capacity(text.len());
    for segment in segments {
        match segment {
            Segment::Placeholder(found) if matches!(found.root(), "context" | "resources") => {
                return Node::Expression(Secret::new(text));
            }
            Segment::Placeholder(other) => {
                literal.extend(["${", other.text, "}"]);
            }
            Segment::Text(piece) => literal.push_str(&piece),
        }
    }
    Node::Plain(Secret::new(literal))
}

/// `secret_refs`: an object with a text under `ref` or `value` is a leaf.
fn references(tree: JsonMap, at: &str, depth: usize) -> Result<Secrets> {
    check_depth(depth)?;
    let mut secrets = Secrets::new();
    for (name, value) in tree {
        let mut at = at.to_owned();
        patch::push_token(&mut at, &name);
        let node = match value {
            Json::Null => Node::Nothing,
            Json::Object(map) if is_leaf(&map) => leaf(&map, &at)?,
            Json::Object(below) => Node::Branch(references(below, &at, depth + 1)?),
            other => {
                let rule = "use `{store, ref, version}` or `{value}`";
                let kind = patch::kind(&other);
                return Err(Problem::invalid(format!(
                    "`{at}` is {kind}, not a secret reference: {rule}."
                ))
                .at(&at, rule));
            }
        };
        secrets.insert(name, node);
    }
    Ok(secrets)
}

fn is_leaf(map: &JsonMap) -> bool {
    ["ref", "value"].iter().any(|member| map.get(*member).is_some_and(Json::is_string))
}

fn leaf(map: &JsonMap, at: &str) -> Result<Node> {
    let refuse = |rule: &str| {
        Err(Problem::invalid(format!("The secret reference at `{at}` is not valid: {rule}."))
            .at(at, rule))
    };
    let text = |member: &str| map.get(member).and_then(Json::as_str).map(str::to_owned);
    let (store, key, version) = (text("store"), text("ref"), text("version"));
    if let Some(value) = text("value") {
        return match (store, key, version) {
            (_, Some(_), _) => refuse("`ref` and `value` exclude each other"),
            (Some(_), ..) => refuse("`store` and `value` exclude each other"),
            (.., Some(_)) => refuse("`version` is only valid with `ref`"),
            _ => Ok(plaintext(value)),
        };
    }
    let (Some(store), Some(key)) = (store, key) else {
        return refuse("`ref` needs `store`, the id of a secret store");
    };
    let literal = [Some(&store), Some(&key), version.as_ref()];
    if !literal.into_iter().flatten().all(|text| placeholder::is_literal(text)) {
        return refuse("`store`, `ref` and `version` cannot hold placeholders");
    }
    check_store(&store, at)?;
    Ok(Node::Reference(SecretRef { store, key, version }))
}

fn check_depth(depth: usize) -> Result<()> {
    if depth < DEEPEST {
        return Ok(());
    }
    Err(Problem::invalid(format!("Secret inputs are nested more than {DEEPEST} levels deep.")))
}

/// Replaces all inputs of a definition by those of a request.
pub(super) async fn replace(
    sealer: &mut Sealer<'_>,
    content: &mut Content,
    inputs: Option<Inputs>,
) -> Result<()> {
    content.body.driver_inputs = None;
    content.sealed.clear();
    match inputs {
        None => Ok(()),
        Some(inputs) => merge(sealer, content, inputs).await,
    }
}

/// Merges the inputs of a request into those of a definition: objects member by member, anything
/// else is replaced, and `null` takes away.
pub(super) async fn merge(
    sealer: &mut Sealer<'_>,
    content: &mut Content,
    inputs: Inputs,
) -> Result<()> {
    let stored = content.body.driver_inputs.get_or_insert_default();
    if let Some(values) = inputs.values {
        match &mut stored.values {
            None => stored.values = Some(values),
            Some(known) => merge_values(known, values),
        }
    }
    let Some(secrets) = inputs.secrets else { return Ok(()) };
    let tree = stored.secret_refs.get_or_insert_default();
    let mut leaves = Vec::new();
    flatten(secrets, &mut Vec::new(), &mut leaves);
    for (path, node) in leaves {
        let pointer = patch::pointer(path.iter().map(String::as_str));
        content.sealed.retain(|at, _| !is_at_or_below(at, &pointer));
        let stored = match node {
            Node::Nothing => None,
            Node::Branch(_) => Some(Json::Object(JsonMap::new())),
            Node::Reference(reference) => Some(as_json(&reference)),
            Node::Plain(secret) => Some(as_json(&sealer.seal(&path, &secret).await?)),
            Node::Expression(text) => {
                content.sealed.insert(pointer, sealer.seal(&path, &text).await?);
                Some(serde_json::json!({ "value": text.expose() }))
            }
        };
        put(tree, &path, stored);
    }
    Ok(())
}

fn merge_values(into: &mut JsonMap, from: JsonMap) {
    for (name, value) in from {
        match (into.get_mut(&name), value) {
            (_, Json::Null) => {
                into.remove(&name);
            }
            (Some(Json::Object(known)), Json::Object(new)) => merge_values(known, new),
            (_, value) => {
                into.insert(name, value);
            }
        }
    }
}

/// The leaves of a tree with their paths; a branch with nothing below counts as a leaf.
fn flatten(tree: Secrets, path: &mut Vec<String>, leaves: &mut Vec<(Vec<String>, Node)>) {
    for (name, node) in tree {
        path.push(name);
        match node {
            Node::Branch(below) if !below.is_empty() => flatten(below, path, leaves),
            leaf => leaves.push((path.clone(), leaf)),
        }
        path.pop();
    }
}

/// Puts a leaf into the stored tree, or takes away what is there. A reference on the way makes room.
fn put(tree: &mut JsonMap, path: &[String], leaf: Option<Json>) {
    let Some((last, parents)) = path.split_last() else { return };
    let mut at = tree;
    for name in parents {
        let below = at.entry(name).or_insert(Json::Null);
        if below.as_object().is_none_or(is_leaf) {
            *below = Json::Object(JsonMap::new());
        }
        let Some(below) = below.as_object_mut() else { return };
        at = below;
    }
    match leaf {
        // An empty branch changes nothing where there is a branch already.
        Some(Json::Object(empty)) if empty.is_empty() && at.contains_key(last) => {}
        Some(leaf) => {
            at.insert(last.clone(), leaf);
        }
        None => {
            at.remove(last);
        }
    }
}

fn is_at_or_below(pointer: &str, ancestor: &str) -> bool {
    pointer.strip_prefix(ancestor).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

fn as_json(reference: &SecretRef) -> Json {
    serde_json::to_value(reference).unwrap_or_default()
}

/// The driver inputs as they are shown: references only.
pub(super) fn show(content: &Content) -> Option<wire::DriverInputs> {
    let mut inputs = content.body.driver_inputs.clone()?;
    if let Some(refs) = inputs.secret_refs.as_mut() {
        let mut tree = Json::Object(mem::take(refs));
        for (pointer, reference) in &content.sealed {
            if let Some(leaf) = tree.pointer_mut(pointer) {
                *leaf = as_json(reference);
            }
        }
        *refs = tree.as_object().cloned().unwrap_or_default();
    }
    let DriverInputs { values, secret_refs } = inputs;
    Some(wire::DriverInputs { values, secret_refs })
}

/// Seals the plaintexts of one definition.
pub(super) struct Sealer<'a> {
    /// Where the vault is.
    pub(super) state: &'a AppState,
    /// The transaction that the references belong to.
    pub(super) tx: &'a mut Tx,
    /// The organization.
    pub(super) scope: &'a OrgScope,
    /// The definition.
    pub(super) definition: &'a str,
}

impl Sealer<'_> {
    async fn seal(&mut self, path: &[String], secret: &Secret) -> Result<SecretRef> {
        let key = key(self.scope.org(), self.definition, path);
        Ok(self.state.vault.seal(self.tx, &key, secret, Version::Next).await?)
    }
}

/// Key of a secret in the primary store. Different paths never share a key: a name that could be
/// taken for a separator is written with its hyphens escaped.
fn key(org: &str, definition: &str, path: &[String]) -> String {
    let plain = |name: &str| {
        !(name.contains("--") || name.starts_with('-') || name.ends_with('-') || name.contains('%'))
    };
    let names: Vec<String> = path
        .iter()
        .map(|name| match name.as_str() {
            name if plain(name) => name.to_owned(),
            name => name.replace('%', "%25").replace('-', "%2d"),
        })
        .collect();
    format!("orgs--{org}--resources--defs--{definition}--driver_secrets--{}", names.join("--"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn check(inputs: Json, refused: Option<&str>) {
        let shown = inputs.to_string();
        let request = serde_json::from_value(inputs).unwrap();
        let error = read(request).err().map(|problem| format!("{problem:?}"));
        match (error, refused) {
            (None, None) => {}
            (Some(error), Some(part)) if error.contains(part) => {}
            (error, expected) => panic!("{shown}: {error:?}, expected {expected:?}"),
        }
    }

    #[test]
    fn checks_secret_references() {
        let leaf = |leaf: Json| json!({ "secret_refs": { "a": { "b": leaf } } });
        check(leaf(json!({"store": "s", "ref": "r"})), None);
        check(leaf(json!({"store": "s", "ref": "r", "version": "1", "value": null})), None);
        check(leaf(json!({"value": "x"})), None);
        check(leaf(json!({})), None);
        check(leaf(json!({"value": {"value": "x"}})), None);
        check(leaf(json!({"ref": "r"})), Some("needs `store`"));
        check(leaf(json!({"store": "s", "ref": "r", "value": "x"})), Some("exclude each other"));
        check(leaf(json!({"store": "s", "value": "x"})), Some("exclude each other"));
        check(leaf(json!({"version": "1", "value": "x"})), Some("only valid with `ref`"));
        check(leaf(json!({"store": "humanitec", "ref": "r"})), Some("is internal"));
        check(leaf(json!({"store": "local", "ref": "r"})), Some("is internal"));
        check(leaf(json!({"store": "s", "ref": "${context.app.id}"})), Some("placeholders"));
        check(leaf(json!("x")), Some("is a string"));
        check(
            json!({"secrets": {"a": "x"}, "secret_refs": {"b": {"value": "y"}}}),
            Some("exclude"),
        );
        check(json!({"secrets": {"a": {"b": 1, "c": ["x"]}}}), None);
    }

    #[test]
    fn only_what_the_graph_has_to_read_is_an_expression() {
        let check =
            |text: &str, expected: Result<&str, &str>| match (plaintext(text.to_owned()), expected)
            {
                (Node::Plain(secret), Ok(literal)) => {
                    assert_eq!(secret.expose(), literal, "{text}");
                }
                (Node::Expression(secret), Err(same)) => {
                    assert_eq!(secret.expose(), same, "{text}");
                }
                _ => panic!("{text} is not what it should be"),
            };
        for literal in ["", "x", "a${b", "${", "a${HOME}b", "${a b}", "${values.x}", "${context"] {
            check(literal, Ok(literal));
        }
        check("${resources[}", Ok("${resources[}"));
        check("a$\\{context.app.id}", Ok("a${context.app.id}"));
        for expression in
            ["${context.app.id}", "a${b} ${resources.dns.outputs.host}", "${ context.org.id }"]
        {
            check(expression, Err(expression));
        }
    }

    #[test]
    fn keys_of_different_paths_differ() {
        let path = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        assert_eq!(
            key("o-1", "d", &path(&["credentials", "pass-word"])),
            "orgs--o-1--resources--defs--d--driver_secrets--credentials--pass-word"
        );
        let tricky = [&["a", "b"][..], &["a--b"], &["a-", "b"], &["a", "-b"], &["a%2d", "b"]];
        let mut keys: Vec<_> = tricky.iter().map(|names| key("o", "d", &path(names))).collect();
        keys.sort();
        keys.dedup();
        assert_eq!(keys.len(), tricky.len());
    }
}
