//! Resolving placeholders into values (spec 05).
//!
//! The result of a string is either plain JSON or a [`SecretExpr`]: the plaintext of a secret is
//! never needed to resolve one.

use std::{borrow::Cow, collections::BTreeMap};

use serde::{Deserialize, Serialize};

use crate::{
    Code, DeploymentSet, Document, Json, JsonMap, Module, ResourceGraph, ResourceKey, SecretExpr,
    SecretRef,
    graph::{Node, NodeIndex, seed_key},
    patch::{self, push_token},
    placeholder::{self, Placeholder, Segment},
    profile::Profiles,
    secret::SecretPart,
    suggest::nearest,
};

/// What a driver made of a resource, as far as others may use it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Outputs {
    /// Plain outputs.
    #[serde(default)]
    pub values: JsonMap,
    /// Secret outputs: the path (names joined as a JSON pointer) to the expression of each leaf.
    #[serde(default)]
    pub secrets: BTreeMap<String, SecretExpr>,
}

impl Outputs {
    /// The output at a path; a secret one wins over a plain one of the same name.
    #[must_use]
    pub fn find(&self, path: &[&str]) -> Option<Resolved> {
        if !self.secrets.is_empty() {
            let pointer = patch::pointer(path.iter().copied());
            if let Some(expr) = self.secrets.get(&pointer) {
                return Some(Resolved::Secret(expr.clone()));
            }
        }
        let (first, rest) = path.split_first()?;
        let mut value = self.values.get(*first)?;
        for token in rest {
            value = match value {
                Json::Object(map) => map.get(*token)?,
                Json::Array(list) => list.get(token.parse::<usize>().ok()?)?,
                _ => return None,
            };
        }
        Some(Resolved::Plain(value.clone()))
    }

    /// Secret outputs below a path, when the path names an object of secrets.
    fn secrets_below(&self, path: &[&str]) -> Option<BTreeMap<String, SecretExpr>> {
        let prefix = patch::pointer(path.iter().copied());
        let below: BTreeMap<_, _> = self
            .secrets
            .iter()
            .filter_map(|(at, expr)| {
                let rest = at.strip_prefix(&prefix)?;
                rest.starts_with('/').then(|| (rest.to_owned(), expr.clone()))
            })
            .collect();
        (!below.is_empty()).then_some(below)
    }

    /// What stands at a path: one output, or an object of secret ones.
    fn read(
        &self,
        placeholder: &Placeholder<'_>,
        path: &[&str],
    ) -> Result<Option<Resolved>, Error> {
        match (self.find(path), self.secrets_below(path)) {
            (Some(Resolved::Plain(_)), Some(_)) => Err(Error::new(
                Code::SecretMisuse,
                format!("${{{}}} names an object with plain and secret members", placeholder.text),
                Some("Name one of its members".to_owned()),
            )),
            (None, Some(secrets)) => Ok(Some(Resolved::SecretTree(secrets))),
            (found, _) => Ok(found),
        }
    }

    /// All names of outputs, plain and secret.
    fn names(&self) -> Vec<&str> {
        let plain = self.values.keys().map(String::as_str);
        let secret = self.secrets.keys().filter_map(|at| at.get(1..)?.split('/').next());
        plain.chain(secret).collect()
    }
}

/// The value of a string with placeholders.
#[derive(Clone, Debug, PartialEq)]
pub enum Resolved {
    /// A plain value with its JSON type.
    Plain(Json),
    /// A secret string.
    Secret(SecretExpr),
    /// An object whose leaves are secret.
    SecretTree(BTreeMap<String, SecretExpr>),
}

/// Why a placeholder has no value here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error {
    /// What kind of mistake.
    pub code: Code,
    /// JSON pointer to the string in the tree that is resolved.
    pub at: String,
    /// A whole sentence.
    pub message: String,
    /// What to do about it.
    pub hint: Option<String>,
}

impl std::fmt::Display for Error {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.message)?;
        self.hint.iter().try_for_each(|hint| write!(f, ". {hint}"))
    }
}

impl std::error::Error for Error {}

impl Error {
    fn new(code: Code, message: String, hint: Option<String>) -> Self {
        Self { code, at: String::new(), message, hint }
    }
}

/// A secret stands where everybody can see it.
#[must_use]
pub fn misused(text: &str, at: &str) -> Error {
    let place = if at.is_empty() { "here".to_owned() } else { format!("at {at}") };
    Error {
        code: Code::SecretMisuse,
        at: at.to_owned(),
        message: format!("{text} is secret, and secrets cannot be used {place}"),
        hint: Some(
            "In a definition, move it below `secret_refs`; in a workload, use it in a variable or \
             file"
                .to_owned(),
        ),
    }
}

/// Whether secrets may stand in the tree that is resolved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Secrets {
    /// They may.
    Allowed,
    /// They are an error.
    Refused,
}

/// The meaning of placeholders in one place.
pub trait Lookup {
    /// The value of a placeholder.
    ///
    /// # Errors
    /// When it has none here.
    fn lookup(&self, placeholder: &Placeholder<'_>) -> Result<Resolved, Error>;

    /// Whether strings below this JSON pointer keep their placeholders.
    fn leaves_alone(&self, _at: &str) -> bool {
        false
    }

    /// Whether names of members have placeholders, too.
    fn in_names(&self) -> bool {
        false
    }
}

/// Resolves one string.
///
/// # Errors
/// When a placeholder cannot be read or has no value.
pub fn string(text: &str, lookup: &dyn Lookup) -> Result<Resolved, Error> {
    if placeholder::is_literal(text) {
        return Ok(Resolved::Plain(Json::String(text.to_owned())));
    }
    let segments = placeholder::segments(text).map_err(|error| {
        let hint = format!("To write it literally, write $\\{{{}}}", error.text);
        Error::new(Code::BadReference, error.to_string(), Some(hint))
    })?;
    if let [Segment::Placeholder(whole)] = segments.as_slice() {
        return lookup.lookup(whole);
    }
    let mut parts = Vec::with_capacity(segments.len());
    for segment in segments {
        let placeholder = match segment {
            Segment::Text(text) => {
                parts.push(SecretPart::Text(text.into_owned()));
                continue;
            }
            Segment::Placeholder(placeholder) => placeholder,
        };
        match lookup.lookup(&placeholder)? {
            Resolved::Plain(Json::String(text)) => parts.push(SecretPart::Text(text)),
            Resolved::Plain(Json::Null) => {
                let message =
                    format!("${{{}}} is null and cannot be part of a text", placeholder.text);
                return Err(Error::new(Code::MissingOutput, message, None));
            }
            Resolved::Plain(value) => parts.push(SecretPart::Text(value.to_string())),
            Resolved::Secret(expr) => parts.extend(expr.parts().iter().cloned()),
            Resolved::SecretTree(_) => {
                return Err(Error::new(
                    Code::SecretMisuse,
                    format!(
                        "${{{}}} is an object of secrets and cannot be part of a text",
                        placeholder.text
                    ),
                    Some("Name one of its members".to_owned()),
                ));
            }
        }
    }
    let expr = SecretExpr::from_parts(parts);
    Ok(match expr.parts() {
        [] => Resolved::Plain(Json::String(String::new())),
        [SecretPart::Text(text)] => Resolved::Plain(Json::String(text.clone())),
        _ => Resolved::Secret(expr),
    })
}

/// Resolves every string of a tree; names of members where the place says so.
///
/// # Errors
/// All strings that cannot be resolved, and, where `secrets` are refused, all that are secret.
pub fn tree(value: &Json, lookup: &dyn Lookup, secrets: Secrets) -> Result<Document, Vec<Error>> {
    let mut walk = Walk::new(lookup, secrets);
    let value = walk.value(value);
    walk.end(value)
}

/// Like [`tree`], for an object.
///
/// # Errors
/// See [`tree`].
pub fn map(map: &JsonMap, lookup: &dyn Lookup, secrets: Secrets) -> Result<Document, Vec<Error>> {
    let mut walk = Walk::new(lookup, secrets);
    let value = walk.object(map);
    walk.end(value)
}

struct Walk<'a> {
    lookup: &'a dyn Lookup,
    secrets: Secrets,
    at: String,
    found: BTreeMap<String, SecretExpr>,
    errors: Vec<Error>,
    /// Bytes that placeholders have put in so far.
    bytes: usize,
}

/// Most bytes that the placeholders of one tree may put in: a large value that is used a thousand
/// times must not fill the memory.
const MOST_BYTES: usize = 16 * 1024 * 1024;

impl<'a> Walk<'a> {
    fn new(lookup: &'a dyn Lookup, secrets: Secrets) -> Self {
        let found = BTreeMap::new();
        Self { lookup, secrets, at: String::new(), found, errors: Vec::new(), bytes: 0 }
    }

    fn end(self, value: Json) -> Result<Document, Vec<Error>> {
        if self.errors.is_empty() {
            Ok(Document { value, secrets: self.found })
        } else {
            Err(self.errors)
        }
    }
}

impl Walk<'_> {
    fn object(&mut self, members: &JsonMap) -> Json {
        let length = self.at.len();
        let mut copy = JsonMap::new();
        for (written, member) in members {
            let Some(name) = self.name(written) else { continue };
            push_token(&mut self.at, &name);
            if copy.insert(name.clone().into_owned(), self.value(member)).is_some() {
                let message = format!("two members are called {name:?}, one of them {written:?}");
                self.error(Error::new(Code::Duplicate, message, None));
            }
            self.at.truncate(length);
        }
        Json::Object(copy)
    }

    /// The name of a member; none when it cannot be resolved.
    fn name<'n>(&mut self, name: &'n str) -> Option<Cow<'n, str>> {
        if placeholder::is_literal(name) || !self.lookup.in_names() {
            return Some(Cow::Borrowed(name));
        }
        let length = self.at.len();
        push_token(&mut self.at, name);
        let resolved = if self.lookup.leaves_alone(&self.at) {
            Some(Cow::Borrowed(name))
        } else {
            let named = string(name, self.lookup).and_then(|resolved| match resolved {
                Resolved::Plain(Json::String(text)) => Ok(text),
                Resolved::Plain(value @ (Json::Bool(_) | Json::Number(_))) => Ok(value.to_string()),
                Resolved::Plain(_) => Err(Error::new(
                    Code::Unresolvable,
                    format!("{name} is no text, and cannot be the name of a member"),
                    None,
                )),
                Resolved::Secret(_) | Resolved::SecretTree(_) => Err(Error::new(
                    Code::SecretMisuse,
                    format!("{name} is secret, and names are visible to everybody"),
                    Some("Put the secret into a value".to_owned()),
                )),
            });
            match named {
                Ok(text) => {
                    self.count(text.len());
                    Some(Cow::Owned(text))
                }
                Err(error) => {
                    self.error(error);
                    None
                }
            }
        };
        self.at.truncate(length);
        resolved
    }

    /// Adds an error of the string where the walk is.
    fn error(&mut self, mut error: Error) {
        error.at = format!("{}{}", self.at, error.at);
        self.errors.push(error);
    }

    fn value(&mut self, value: &Json) -> Json {
        match value {
            Json::Object(members) => self.object(members),
            Json::Array(items) => {
                let length = self.at.len();
                let mut copy = Vec::with_capacity(items.len());
                for (index, item) in items.iter().enumerate() {
                    push_token(&mut self.at, &index.to_string());
                    copy.push(self.value(item));
                    self.at.truncate(length);
                }
                Json::Array(copy)
            }
            Json::String(text) if placeholder::is_literal(text) => value.clone(),
            Json::String(_) if self.lookup.leaves_alone(&self.at) => value.clone(),
            Json::String(_) if self.bytes > MOST_BYTES => Json::Null,
            Json::String(text) => match string(text, self.lookup) {
                Ok(Resolved::Plain(value)) => {
                    self.count(value.as_str().map_or(64, str::len));
                    value
                }
                Ok(secret) => self.secret(text, secret),
                Err(error) => {
                    self.error(error);
                    Json::Null
                }
            },
            other => other.clone(),
        }
    }

    fn count(&mut self, bytes: usize) {
        self.bytes += bytes;
        if self.bytes > MOST_BYTES {
            let message = format!("placeholders put in more than {MOST_BYTES} bytes");
            let hint = "Use the value fewer times, or make it smaller".to_owned();
            self.error(Error::new(Code::Unresolvable, message, Some(hint)));
        }
    }

    fn secret(&mut self, text: &str, secret: Resolved) -> Json {
        if self.secrets == Secrets::Refused {
            self.errors.push(misused(text, &self.at));
            return Json::Null;
        }
        match secret {
            Resolved::Plain(value) => value,
            Resolved::Secret(expr) => {
                self.found.insert(self.at.clone(), expr);
                Json::Null
            }
            Resolved::SecretTree(tree) => {
                let mut shape = Json::Object(JsonMap::new());
                for (below, expr) in tree {
                    // Members of an object that is made on the way: this cannot fail.
                    let _ =
                        patch::apply(&mut shape, &patch::Action::add(below.clone(), Json::Null));
                    self.found.insert(format!("{}{below}", self.at), expr);
                }
                shape
            }
        }
    }
}

/// Resolves the `secret_refs` of a definition: any nesting, whose leaves are references
/// (`{store, ref, version}`) or `{value}`.
///
/// # Errors
/// All leaves that cannot be resolved.
pub fn secret_refs(refs: &JsonMap, lookup: &dyn Lookup) -> Result<Document, Vec<Error>> {
    let mut walk = Walk::new(lookup, Secrets::Allowed);
    let value = walk.references(refs);
    walk.end(value)
}

impl Walk<'_> {
    fn references(&mut self, members: &JsonMap) -> Json {
        if let Some(Json::String(_)) = members.get("ref") {
            match serde_json::from_value::<SecretRef>(Json::Object(members.clone())) {
                Ok(reference) => {
                    self.found.insert(self.at.clone(), SecretExpr::reference(reference));
                }
                Err(error) => self.errors.push(Error {
                    code: Code::DriverInputs,
                    at: self.at.clone(),
                    message: format!("the secret reference at {} is not valid: {error}", self.at),
                    hint: Some(
                        "A reference has `store`, `ref` and optionally `version`".to_owned(),
                    ),
                }),
            }
            return Json::Null;
        }
        if let Some(value) = members.get("value").filter(|value| value.is_string()) {
            return self.value(value);
        }
        let length = self.at.len();
        let mut copy = JsonMap::new();
        for (key, member) in members {
            push_token(&mut self.at, key);
            let member = match member {
                Json::Object(members) => self.references(members),
                other => self.value(other),
            };
            copy.insert(key.clone(), member);
            self.at.truncate(length);
        }
        Json::Object(copy)
    }
}

/// What is known about a deployment, for every placeholder.
#[derive(Clone, Copy, Debug)]
pub struct Facts<'a> {
    /// Organization.
    pub org: &'a str,
    /// Application.
    pub app: &'a str,
    /// Environment.
    pub env: &'a str,
    /// Type of the environment.
    pub env_type: &'a str,
    /// The deployment.
    pub deployment: &'a str,
    /// The set.
    pub set_id: &'a str,
    /// The set's content.
    pub set: &'a DeploymentSet,
    /// Shared values of the environment.
    pub values: &'a Values,
    /// The graph.
    pub graph: &'a ResourceGraph,
    /// Profiles of the organization.
    pub profiles: &'a Profiles,
}

/// Shared values by key, of one value-set version.
pub type Values = BTreeMap<String, SharedValue>;

/// A shared value.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SharedValue {
    /// A plain text.
    Plain(String),
    /// A secret.
    Secret(SecretRef),
}

impl Facts<'_> {
    fn context(&self, path: &[&str], node: Option<&Node>) -> Option<String> {
        Some(match (path, node) {
            (["org", "id"], _) => self.org.to_owned(),
            (["app", "id"], _) => self.app.to_owned(),
            (["env", "id"], _) => self.env.to_owned(),
            (["env", "type"], _) => self.env_type.to_owned(),
            (["deployment", "id"], _) => self.deployment.to_owned(),
            (["set", "id"], _) => self.set_id.to_owned(),
            (["res", "id"] | ["res_id"], Some(node)) => node.key.id.to_string(),
            (["res", "type"], Some(node)) => node.key.resource_type.to_string(),
            (["res", "class"], Some(node)) => node.key.class.to_string(),
            (["res", "guresid"], Some(node)) => node.guresid.to_string(),
            _ => return None,
        })
    }

    fn context_value(
        &self,
        placeholder: &Placeholder<'_>,
        node: Option<&Node>,
    ) -> Result<Resolved, Error> {
        let path = placeholder.rest(1);
        self.context(path, node).map(|text| Resolved::Plain(Json::String(text))).ok_or_else(|| {
            let known = "org.id, app.id, env.id, env.type, deployment.id, set.id";
            let more =
                if node.is_some() { ", res.id, res.type, res.class, res.guresid" } else { "" };
            Error::new(
                Code::Unresolvable,
                format!("${{{}}} is not part of the context", placeholder.text),
                Some(format!("The context has: {known}{more}")),
            )
        })
    }
}

/// The outputs of nodes that are ready.
pub trait OutputsOf {
    /// The outputs of a node; `None` while it is not ready.
    fn outputs(&self, node: NodeIndex) -> Option<Cow<'_, Outputs>>;
}

impl OutputsOf for Vec<Option<Outputs>> {
    fn outputs(&self, node: NodeIndex) -> Option<Cow<'_, Outputs>> {
        self.get(node as usize)?.as_ref().map(Cow::Borrowed)
    }
}

/// Placeholders in the inputs of a definition, and in the params of its `provision` rules.
pub struct InDefinition<'a> {
    /// The deployment.
    pub facts: &'a Facts<'a>,
    /// The resource that the definition makes.
    pub node: &'a Node,
    /// What others have put out.
    pub outputs: &'a dyn OutputsOf,
}

impl Lookup for InDefinition<'_> {
    fn lookup(&self, placeholder: &Placeholder<'_>) -> Result<Resolved, Error> {
        match placeholder.root() {
            "context" => self.facts.context_value(placeholder, Some(self.node)),
            "resources" => self.resources(placeholder),
            root => Err(Error::new(
                Code::BadReference,
                format!(
                    "${{{}}} cannot be used in a definition: {root:?} is neither `context` nor `resources`",
                    placeholder.text
                ),
                Some(format!("To write it literally, write $\\{{{}}}", placeholder.text)),
            )),
        }
    }
}

impl InDefinition<'_> {
    fn resources(&self, placeholder: &Placeholder<'_>) -> Result<Resolved, Error> {
        use crate::descriptor::Target;
        let bad = |error: crate::descriptor::Error| {
            Error::new(Code::BadReference, error.to_string(), None)
        };
        match placeholder.target().map_err(bad)? {
            Target::One(descriptor) => {
                let key = descriptor.relative_to(&self.node.key);
                let graph = self.facts.graph;
                let found = self.node.depends_on.iter().find_map(|(at, _)| {
                    graph.node(*at).filter(|node| node.key == key).map(|node| (*at, node))
                });
                let (at, node) = found.ok_or_else(|| not_ready(&key))?;
                self.property(placeholder, at, node)?
                    .ok_or_else(|| self.no_output(placeholder, at, &node.key))
            }
            Target::Many(selector) => {
                let found = self.node.selected.iter().find(|(known, _)| *known == selector);
                let (_, nodes) = found.ok_or_else(|| {
                    let message = format!("${{{}}} was not looked up", placeholder.text);
                    Error::new(Code::Internal, message, None)
                })?;
                let mut values = Vec::with_capacity(nodes.len());
                for &at in nodes {
                    let Some(node) = self.facts.graph.node(at) else { continue };
                    match self.property(placeholder, at, node)? {
                        Some(Resolved::Plain(value)) => values.push(value),
                        None => values.push(Json::Null),
                        Some(Resolved::Secret(_) | Resolved::SecretTree(_)) => {
                            return Err(Error::new(
                                Code::SecretMisuse,
                                format!(
                                    "${{{}}} selects a secret output of {}",
                                    placeholder.text, node.key
                                ),
                                Some("Selectors can read plain outputs only".to_owned()),
                            ));
                        }
                    }
                }
                Ok(Resolved::Plain(Json::Array(values)))
            }
        }
    }

    fn property(
        &self,
        placeholder: &Placeholder<'_>,
        at: NodeIndex,
        node: &Node,
    ) -> Result<Option<Resolved>, Error> {
        let plain = |text: String| Ok(Some(Resolved::Plain(Json::String(text))));
        match placeholder.rest(2) {
            ["guresid"] => plain(node.guresid.to_string()),
            ["account"] => match account(self.facts, node)? {
                Some(account) => plain(account),
                None => Ok(None),
            },
            ["outputs", path @ ..] | ["values", path @ ..] => {
                let outputs = self.outputs.outputs(at).ok_or_else(|| not_ready(&node.key))?;
                if path.is_empty() {
                    return Ok(Some(Resolved::Plain(Json::Object(outputs.values.clone()))));
                }
                outputs.read(placeholder, path)
            }
            _ => Err(Error::new(
                Code::BadReference,
                format!("${{{}}} does not say what to read of {}", placeholder.text, node.key),
                Some("Use .outputs.<name>, .values, .account or .guresid".to_owned()),
            )),
        }
    }

    fn no_output(&self, placeholder: &Placeholder<'_>, at: NodeIndex, key: &ResourceKey) -> Error {
        let name = placeholder.rest(3).first().copied().unwrap_or_default();
        match placeholder.rest(2).first() {
            Some(&"account") => Error::new(
                Code::MissingOutput,
                format!("${{{}}}: the definition of {key} has no driver account", placeholder.text),
                None,
            ),
            _ => missing_output(placeholder, key, name, self.outputs.outputs(at).as_deref()),
        }
    }
}

/// The id of the driver account of a node; none when its definition names none.
///
/// A definition can name the account of another resource (`${resources['x'].account}`, spec 05). It
/// is known before anything is provisioned.
///
/// # Errors
/// When the placeholder reads anything else.
pub fn account(facts: &Facts<'_>, node: &Node) -> Result<Option<String>, Error> {
    let Some(text) = &node.definition.body.driver_account else { return Ok(None) };
    if !text.contains("${") {
        return Ok(Some(text.clone()));
    }
    let only = || Some("`driver_account` can read `.account` of another resource".to_owned());
    let found = string(text, &InDefinition { facts, node, outputs: &NothingYet });
    match found.map_err(|error| Error { hint: error.hint.clone().or_else(only), ..error })? {
        Resolved::Plain(Json::String(account)) => Ok(Some(account)),
        _ => Err(Error::new(
            Code::Account,
            format!("driver_account {text:?} is not the id of an account"),
            Some("Write the id of a resource account, or ${resources['…'].account}".to_owned()),
        )),
    }
}

/// No resource has outputs yet.
#[derive(Clone, Copy, Debug)]
pub struct NothingYet;

impl OutputsOf for NothingYet {
    fn outputs(&self, _: NodeIndex) -> Option<Cow<'_, Outputs>> {
        None
    }
}

fn not_ready(key: &ResourceKey) -> Error {
    Error::new(Code::BadReference, format!("resource {key} is not provisioned yet"), None)
}

fn missing_output(
    placeholder: &Placeholder<'_>,
    key: &ResourceKey,
    name: &str,
    outputs: Option<&Outputs>,
) -> Error {
    let names = outputs.map(Outputs::names).unwrap_or_default();
    let hint = match nearest(name, names.iter().copied()) {
        Some(near) if near == name => {
            "It has an output of this name, but nothing below it".to_owned()
        }
        Some(near) => format!("Did you mean {near:?}?"),
        None if names.is_empty() => "It has no outputs".to_owned(),
        None => format!("Its outputs are: {}", names.join(", ")),
    };
    let message = format!("${{{}}}: resource {key} has no output {name:?}", placeholder.text);
    Error::new(Code::MissingOutput, message, Some(hint))
}

/// Placeholders in the set: in a workload, or in the params of a resource.
pub struct InSet<'a> {
    /// The deployment.
    pub facts: &'a Facts<'a>,
    /// The workload, when the placeholder is part of one.
    pub module: Option<(&'a str, &'a Module)>,
    /// What the resources have put out.
    pub outputs: &'a dyn OutputsOf,
    /// Positions of the resources, by key.
    pub positions: &'a BTreeMap<ResourceKey, NodeIndex>,
}

impl Lookup for InSet<'_> {
    fn lookup(&self, placeholder: &Placeholder<'_>) -> Result<Resolved, Error> {
        match placeholder.root() {
            "context" => self.facts.context_value(placeholder, None),
            "values" => {
                let key = placeholder.key_after_root();
                match self.facts.values.get(&*key) {
                    Some(SharedValue::Plain(text)) => {
                        Ok(Resolved::Plain(Json::String(text.clone())))
                    }
                    Some(SharedValue::Secret(reference)) => {
                        Ok(Resolved::Secret(SecretExpr::reference(reference.clone())))
                    }
                    None => Err(missing_value(&key, self.facts)),
                }
            }
            "modules" if matches!(placeholder.rest(2).first(), Some(&("service" | "name"))) => {
                self.service(placeholder)
            }
            _ => self.resource(placeholder),
        }
    }
}

impl InSet<'_> {
    fn service(&self, placeholder: &Placeholder<'_>) -> Result<Resolved, Error> {
        let name = placeholder.rest(1).first().copied().unwrap_or_default();
        let unknown = || {
            Error::new(
                Code::Unresolvable,
                format!("${{{}}}: workload {name:?} has no such property", placeholder.text),
                Some("Of a service, `name` and `port` can be used".to_owned()),
            )
        };
        match placeholder.rest(2) {
            ["name"] | ["service", "name"] => {
                Ok(Resolved::Plain(Json::String(crate::workload::object_name(name))))
            }
            ["service", "port"] => {
                let module = self.facts.set.modules.get(name);
                let ports = module.and_then(|module| {
                    module.spec.as_ref()?.get("service")?.get("ports")?.as_object()
                });
                let first = ports.and_then(|ports| ports.values().next()?.get("service_port"));
                first.map(|port| Resolved::Plain(port.clone())).ok_or_else(unknown)
            }
            _ => Err(unknown()),
        }
    }

    fn resource(&self, placeholder: &Placeholder<'_>) -> Result<Resolved, Error> {
        let unresolvable = || {
            let hint = format!("To write it literally, write $\\{{{}}}", placeholder.text);
            let message = format!("${{{}}} cannot be resolved", placeholder.text);
            Error::new(Code::Unresolvable, message, Some(hint))
        };
        let (key, path) =
            seed_key(self.facts.set, self.module, placeholder).ok_or_else(unresolvable)?;
        let at = *self.positions.get(&key).ok_or_else(unresolvable)?;
        let outputs = self.outputs.outputs(at).ok_or_else(|| not_ready(&key))?;
        if path.is_empty() {
            return Err(Error::new(
                Code::Unresolvable,
                format!("${{{}}} does not name an output of {key}", placeholder.text),
                Some(format!("Its outputs are: {}", outputs.names().join(", "))),
            ));
        }
        outputs.read(placeholder, path)?.ok_or_else(|| {
            let name = path.first().copied().unwrap_or_default();
            missing_output(placeholder, &key, name, Some(&outputs))
        })
    }
}

fn missing_value(key: &str, facts: &Facts<'_>) -> Error {
    let near = nearest(key, facts.values.keys().map(String::as_str));
    let hint = match near {
        Some(near) => format!("Did you mean {near:?}?"),
        None => "Create it as a shared value of the application or environment".to_owned(),
    };
    Error::new(
        Code::MissingValue,
        format!(
            "there is no shared value {key:?} in application {:?}, environment {:?}",
            facts.app, facts.env
        ),
        Some(hint),
    )
}

/// Placeholders of a workload's spec. What a container runs and mounts ([`is_left_alone`]) keeps its
/// text; everything else is resolved.
pub struct InWorkload<'a>(pub InSet<'a>);

/// Whether strings at or below this place of a workload's spec keep their placeholders: image,
/// command, args, mounts, resources and probes of containers, also of those of schedules. A shell's `${x}` in a command is the
/// shell's.
#[must_use]
pub fn is_left_alone(at: &str) -> bool {
    let tokens: Vec<&str> = at.split('/').skip(1).collect();
    match tokens.as_slice() {
        ["containers", _, member, ..] | ["schedules", _, "containers", _, member, ..] => {
            matches!(*member, "command" | "args" | "image" | "volume_mounts" | "resources")
                || member.ends_with("_probe")
        }
        ["initContainers", _, member, ..] | ["pod", "initContainers", _, member, ..] => {
            matches!(*member, "command" | "args" | "image")
        }
        _ => false,
    }
}

impl Lookup for InWorkload<'_> {
    fn lookup(&self, placeholder: &Placeholder<'_>) -> Result<Resolved, Error> {
        self.0.lookup(placeholder)
    }

    fn leaves_alone(&self, at: &str) -> bool {
        is_left_alone(at)
    }

    fn in_names(&self) -> bool {
        true
    }
}
