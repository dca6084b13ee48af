//! `humanitec/template`: outputs and manifests from Go templates (spec 06 section 3).
//!
//! Order of evaluation: `init`, `outputs`, `secrets`, `manifests`, `cookie`. Each result is parsed
//! as YAML. A template's output knows which of its bytes came from secrets; a YAML leaf that
//! touches one of them is secret, whatever the template did to it.

use std::{
    collections::{BTreeMap, HashMap},
    ops::Range,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use aws_lc_rs::hmac;
use downbeat_core::{
    Code, Json, JsonMap, Secret,
    manifest::Location,
    patch::{self, push_token},
    yaml,
};
use downbeat_engine::{
    CookieChange, DriverError, DriverManifest, PureDriver, Request, Response, SecretOutput,
};
use serde::{Deserialize, Serialize};

use downbeat_template::{Limits, Options, Template as GoTemplate, Value};

/// Parsed templates that are kept; more are parsed again.
const KEPT: usize = 4096;
/// Longest time for all templates of one resource.
const TIME: Duration = Duration::from_secs(5);
/// Most bytes that all templates of one resource may put out.
const BYTES: usize = 16 * 1024 * 1024;

/// The driver.
#[derive(Default)]
pub struct Template {
    parsed: Mutex<HashMap<String, GoTemplate>>,
}

impl std::fmt::Debug for Template {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Template")
    }
}

impl PureDriver for Template {
    fn compute(&self, request: &Request<'_>) -> Result<Response, DriverError> {
        let none = Json::Null;
        let plain = request.values.get("templates").unwrap_or(&none);
        let secret = secret_templates(request);
        let template = |name: &str| plain.get(name).filter(|template| !template.is_null());
        let mut run = Run {
            driver: self,
            request,
            data: data(request),
            started: Instant::now(),
            bytes_left: BYTES,
        };
        let mut response = Response::default();

        if let Some(init) = template("init") {
            let result = run.evaluate("init", init, Leaves::Text)?;
            run.data.insert("init", result.value());
        }
        let mut outputs = Value::object();
        if let Some(template) = template("outputs") {
            let result = run.evaluate("outputs", template, Leaves::Text)?;
            let (values, secrets) = result.split("outputs")?;
            outputs = Value::from(&Json::Object(values.clone()));
            response.values = values;
            response.secrets = secrets;
        }
        run.data.insert("outputs", Value::map([("values".to_owned(), outputs.clone())]));
        let secrets = match (template("secrets"), secret.get("outputs")) {
            (Some(template), _) => Some(run.evaluate("secrets", template, Leaves::Text)?),
            (None, Some(template)) => {
                Some(run.evaluate("secrets.templates.outputs", template, Leaves::Text)?)
            }
            (None, None) => None,
        };
        if let Some(result) = secrets {
            response.secrets.extend(result.all_secret("secrets")?);
        }
        let secret_outputs = unflatten(&response.secrets);
        run.data.insert(
            "outputs",
            Value::map([
                ("values".to_owned(), outputs),
                ("secrets".to_owned(), secret_outputs.tainted()),
            ]),
        );
        if let Some(template) = template("manifests") {
            let result = run.evaluate("manifests", template, Leaves::Manifests)?;
            response.manifests = manifests(result)?;
        }
        if let Some(template) = template("cookie") {
            let result = run.evaluate("cookie", template, Leaves::Text)?;
            response.cookie = if result.tree.is_null() {
                CookieChange::Clear
            } else {
                let kept = StoredCookie { value: result.tree, secret: result.secret };
                // JSON values and strings: this cannot fail.
                CookieChange::Set(Secret::new(serde_json::to_string(&kept).unwrap_or_default()))
            };
        }
        Ok(response)
    }
}

/// What templates see. The templates themselves are not part of it.
fn data(request: &Request<'_>) -> Value {
    let key = request.key;
    let secrets = with_texts(request);
    let members = request.values.as_object().into_iter().flatten();
    let members = members.filter(|(name, _)| *name != "templates");
    let values = Value::map(members.map(|(name, value)| (name.clone(), Value::from(value))));
    let cookie = request.cookie.and_then(|cookie| serde_json::from_str(cookie.expose()).ok());
    let cookie: StoredCookie = cookie.unwrap_or_default();
    Value::map([
        ("id".to_owned(), Value::from(&Json::String(request.guresid.to_owned()))),
        ("type".to_owned(), Value::from(&Json::String(key.resource_type.to_string()))),
        ("class".to_owned(), Value::from(&Json::String(key.class.to_string()))),
        ("resource".to_owned(), Value::from(request.resource)),
        (
            "driver".to_owned(),
            Value::map([
                ("values".to_owned(), values),
                ("secrets".to_owned(), Value::from(&secrets).tainted()),
            ]),
        ),
        ("cookie".to_owned(), marked(&cookie.value, &cookie.secret)),
    ])
}

/// A cookie as it is kept: what the template made, and which of its leaves came from secrets.
#[derive(Default, Serialize, Deserialize)]
struct StoredCookie {
    value: Json,
    secret: Vec<String>,
}

/// A value in which the leaves at these JSON pointers, and all below them, are secret.
fn marked(tree: &Json, secret: &[String]) -> Value {
    if secret.is_empty() {
        return Value::from(tree);
    }
    marked_at(tree, secret, &mut String::new())
}

fn marked_at(tree: &Json, secret: &[String], at: &mut String) -> Value {
    if secret.iter().any(|pointer| pointer == at) {
        return Value::from(tree).tainted();
    }
    let length = at.len();
    match tree {
        Json::Object(members) => {
            let mut marked = Vec::with_capacity(members.len());
            for (name, member) in members {
                push_token(at, name);
                marked.push((name.clone(), marked_at(member, secret, at)));
                at.truncate(length);
            }
            Value::map(marked)
        }
        Json::Array(items) => {
            let mut marked = Vec::with_capacity(items.len());
            for (index, item) in items.iter().enumerate() {
                push_token(at, &index.to_string());
                marked.push(marked_at(item, secret, at));
                at.truncate(length);
            }
            Value::list(marked)
        }
        leaf => Value::from(leaf),
    }
}

/// The secret inputs with their plaintexts in place.
pub(crate) fn with_texts(request: &Request<'_>) -> Json {
    let mut secrets = request.secrets.clone();
    for (pointer, text) in request.secret_texts {
        let value = Json::String(text.expose().to_owned());
        // The shape has a null at each of these pointers.
        let _ = patch::apply(&mut secrets, &patch::Action::add(pointer.clone(), value));
    }
    secrets
}

/// `templates` among the secret inputs (the older place for secret outputs).
fn secret_templates(request: &Request<'_>) -> JsonMap {
    match with_texts(request).get_mut("templates").map(Json::take) {
        Some(Json::Object(templates)) => templates,
        _ => JsonMap::new(),
    }
}

/// What the string leaves of a template in object form are.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Leaves {
    /// Texts.
    Text,
    /// Texts, except for `data` of a manifest, which is YAML.
    Manifests,
}

struct Run<'a> {
    driver: &'a Template,
    request: &'a Request<'a>,
    data: Value,
    started: Instant,
    bytes_left: usize,
}

/// A tree with the places that are secret.
struct Evaluated {
    tree: Json,
    secret: Vec<String>,
}

impl Run<'_> {
    fn evaluate(
        &mut self,
        name: &str,
        template: &Json,
        leaves: Leaves,
    ) -> Result<Evaluated, DriverError> {
        if let Json::String(text) = template {
            return self.parsed_yaml(name, text);
        }
        let mut secret = Vec::new();
        let tree = self.leaves(name, template, leaves, &mut String::new(), &mut secret)?;
        Ok(Evaluated { tree, secret })
    }

    fn leaves(
        &mut self,
        name: &str,
        template: &Json,
        leaves: Leaves,
        at: &mut String,
        secret: &mut Vec<String>,
    ) -> Result<Json, DriverError> {
        let length = at.len();
        Ok(match template {
            Json::String(text) => {
                // `/<name>/data`; what is called data below it belongs to the object.
                let is_data = at.ends_with("/data") && at.matches('/').count() == 2;
                let is_yaml = leaves == Leaves::Manifests && is_data;
                if is_yaml {
                    let parsed = self.parsed_yaml(&format!("{name}{at}"), text)?;
                    secret.extend(parsed.secret.iter().map(|below| format!("{at}{below}")));
                    parsed.tree
                } else {
                    let (text, tainted) = self.render(&format!("{name}{at}"), text)?;
                    if !tainted.is_empty() {
                        secret.push(at.clone());
                    }
                    Json::String(text)
                }
            }
            Json::Array(items) => {
                let mut copy = Vec::with_capacity(items.len());
                for (index, item) in items.iter().enumerate() {
                    push_token(at, &index.to_string());
                    copy.push(self.leaves(name, item, leaves, at, secret)?);
                    at.truncate(length);
                }
                Json::Array(copy)
            }
            Json::Object(members) => {
                let mut copy = JsonMap::new();
                for (key, member) in members {
                    push_token(at, key);
                    copy.insert(key.clone(), self.leaves(name, member, leaves, at, secret)?);
                    at.truncate(length);
                }
                Json::Object(copy)
            }
            other => other.clone(),
        })
    }

    fn parsed_yaml(&mut self, name: &str, text: &str) -> Result<Evaluated, DriverError> {
        let (text, tainted) = self.render(name, text)?;
        let node = yaml::parse(&text, &yaml::Limits::default()).map_err(|error| {
            // The rendered text may hold secrets: then only the place is told.
            let (message, shown) = if tainted.is_empty() {
                (error.message.as_str(), line(&text, error.line))
            } else {
                ("a mistake in a text with secrets", String::new())
            };
            DriverError::new(
                Code::Template,
                format!(
                    "the result of template {name:?} is not YAML: {message}, line {}, column {} of the \
                     result{shown}",
                    error.line, error.column
                ),
            )
        })?;
        if tainted.is_empty() {
            return Ok(Evaluated { tree: node.into_json(), secret: Vec::new() });
        }
        if let Some(place) = secret_key_place(&node, &tainted) {
            let message = format!(
                "the result of template {name:?} has a secret in the name of a member, line {}, \
                 column {} of the result",
                place.line, place.column
            );
            return Err(DriverError::new(Code::SecretMisuse, message)
                .hint("Names are visible to everybody; put the secret into a value"));
        }
        let secret = node.overlapping(&tainted);
        Ok(Evaluated { tree: node.into_json(), secret })
    }

    fn render(
        &mut self,
        name: &str,
        text: &str,
    ) -> Result<(String, Vec<Range<usize>>), DriverError> {
        if !text.contains("{{") {
            return Ok((text.to_owned(), Vec::new()));
        }
        let failed = |error: downbeat_template::Error| {
            DriverError::new(Code::Template, error.to_string())
                .hint("See the template functions in docs/concepts/templates.md")
        };
        let template = self.driver.parsed(name, text).map_err(failed)?;
        let seed = seed_of(&self.request.seed, name);
        let limits = Limits {
            time: Some(TIME.saturating_sub(self.started.elapsed())),
            output_bytes: Limits::default().output_bytes.min(self.bytes_left),
            ..Limits::default()
        };
        let options = Options { seed, limits, ..Options::default() };
        let output = template.execute(&self.data, &options).map_err(failed)?;
        self.bytes_left = self.bytes_left.saturating_sub(output.text.len());
        Ok((output.text, output.tainted))
    }
}

/// The seed of one template: its random values depend on the resource and on the template's name,
/// not on the templates beside it.
fn seed_of(seed: &[u8; 32], name: &str) -> [u8; 32] {
    let key = hmac::Key::new(hmac::HMAC_SHA256, seed);
    let mut derived = [0; 32];
    for (to, from) in derived.iter_mut().zip(hmac::sign(&key, name.as_bytes()).as_ref()) {
        *to = *from;
    }
    derived
}

/// The first name of a member that was written from a secret.
fn secret_key_place(node: &yaml::Node, tainted: &[Range<usize>]) -> Option<yaml::Span> {
    let entries = node.entries().unwrap_or_default().iter();
    let in_entries = entries.into_iter().find_map(|(key, value)| {
        if tainted.iter().any(|range| key.span.overlaps(range)) {
            return Some(key.span);
        }
        secret_key_place(value, tainted)
    });
    let items = node.items().unwrap_or_default();
    in_entries.or_else(|| items.iter().find_map(|item| secret_key_place(item, tainted)))
}

fn line(text: &str, number: usize) -> String {
    match text.lines().nth(number.saturating_sub(1)) {
        Some(line) => format!(": {:?}", line.chars().take(120).collect::<String>()),
        None => String::new(),
    }
}

impl Template {
    fn parsed(&self, name: &str, text: &str) -> Result<GoTemplate, downbeat_template::Error> {
        let kept = |parsed: &HashMap<String, GoTemplate>| parsed.get(text).cloned();
        if let Some(template) = kept(&self.parsed.lock().unwrap_or_else(PoisonError::into_inner)) {
            return Ok(template);
        }
        let template = GoTemplate::parse(name, text)?;
        let mut parsed = self.parsed.lock().unwrap_or_else(PoisonError::into_inner);
        if parsed.len() >= KEPT {
            parsed.clear();
        }
        parsed.insert(text.to_owned(), template.clone());
        Ok(template)
    }
}

impl Evaluated {
    /// The tree for later templates, its secret leaves marked.
    fn value(&self) -> Value {
        marked(&self.tree, &self.secret)
    }

    /// Plain members, and the secret leaves apart.
    fn split(self, name: &str) -> Result<(JsonMap, BTreeMap<String, SecretOutput>), DriverError> {
        let members = match &self.tree {
            Json::Null => JsonMap::new(),
            Json::Object(members) => members.clone(),
            other => return Err(not_an_object(name, other)),
        };
        let mut tree = Json::Object(members);
        let mut secrets = BTreeMap::new();
        for at in &self.secret {
            if let Some(leaf) = tree.pointer_mut(at) {
                secrets.insert(at.clone(), SecretOutput::Text(text(&leaf.take())));
            }
            if at.matches('/').count() == 1 {
                // A missing pointer means that the member is gone already.
                let _ = patch::apply(&mut tree, &patch::Action::remove(at.clone()));
            }
        }
        let Json::Object(members) = tree else { return Ok((JsonMap::new(), secrets)) };
        Ok((members, secrets))
    }

    /// Every leaf as a secret.
    fn all_secret(self, name: &str) -> Result<BTreeMap<String, SecretOutput>, DriverError> {
        let mut secrets = BTreeMap::new();
        match self.tree {
            Json::Null => {}
            Json::Object(members) => flatten(members, &mut String::new(), &mut secrets),
            other => return Err(not_an_object(name, &other)),
        }
        Ok(secrets)
    }
}

pub(crate) fn flatten(
    members: JsonMap,
    at: &mut String,
    secrets: &mut BTreeMap<String, SecretOutput>,
) {
    let length = at.len();
    for (key, member) in members {
        push_token(at, &key);
        match member {
            Json::Null => {}
            Json::Object(members) => flatten(members, at, secrets),
            Json::Array(items) => {
                let items = items.into_iter().enumerate();
                let items = items.map(|(number, item)| (number.to_string(), item)).collect();
                flatten(items, at, secrets);
            }
            leaf => {
                secrets.insert(at.clone(), SecretOutput::Text(text(&leaf)));
            }
        }
        at.truncate(length);
    }
}

/// The nested form of flat secrets, for `.outputs.secrets`.
fn unflatten(secrets: &BTreeMap<String, SecretOutput>) -> Value {
    let mut tree = Json::Object(JsonMap::new());
    for (pointer, output) in secrets {
        if let SecretOutput::Text(secret) = output {
            let leaf = Json::String(secret.expose().to_owned());
            // Members of objects that are made on the way: this cannot fail.
            let _ = patch::apply(&mut tree, &patch::Action::add(pointer.clone(), leaf));
        }
    }
    Value::from(&tree)
}

pub(crate) fn text(leaf: &Json) -> Secret {
    Secret::new(match leaf {
        Json::String(text) => text.clone(),
        other => other.to_string(),
    })
}

fn not_an_object(name: &str, value: &Json) -> DriverError {
    DriverError::new(
        Code::Template,
        format!("the result of template {name:?} is {}, and must be an object", patch::kind(value)),
    )
}

/// `name -> {location, data}`, or a list of `{location, data}`.
fn manifests(result: Evaluated) -> Result<Vec<DriverManifest>, DriverError> {
    let Evaluated { tree, secret } = result;
    let is_secret = |at: &str| secret.iter().any(|secret| secret == at);
    let is_named = tree.is_object();
    let mut entries: Vec<(String, String, Json)> = match tree {
        Json::Null => Vec::new(),
        Json::Object(members) => members
            .into_iter()
            .map(|(name, body)| (name.clone(), patch::pointer([name.as_str()]), body))
            .collect(),
        Json::Array(items) => items
            .into_iter()
            .enumerate()
            .map(|(at, body)| (at.to_string(), format!("/{at}"), body))
            .collect(),
        other => return Err(not_an_object("manifests", &other)),
    };
    if is_named {
        entries.sort_by(|(one, ..), (other, ..)| one.cmp(other));
    }
    let mut manifests = Vec::with_capacity(entries.len());
    for (name, at, mut body) in entries {
        if body.is_null() {
            continue;
        }
        let bad = |reason: String| {
            DriverError::new(Code::BadManifest, format!("manifest {name:?} {reason}"))
        };
        if is_secret(&format!("{at}/location")) {
            return Err(bad("has a secret as location".to_owned()));
        }
        let location = body.get("location").and_then(Json::as_str).ok_or_else(|| {
            bad("has no location: use namespace, cluster, containers or volumes".to_owned())
        })?;
        let location: Location = serde_json::from_value(Json::String(location.to_owned()))
            .map_err(|_| {
                bad(format!(
                    "has the location {location:?}: use namespace, cluster, containers or volumes"
                ))
            })?;
        let mut data = body.get_mut("data").map(Json::take).unwrap_or_default();
        if let Json::String(text) = &data {
            // Published definitions also write the object as a text (`data: |`).
            if is_secret(&format!("{at}/data")) {
                return Err(bad("has a text with secrets as data".to_owned()).hint(
                    "Write data as YAML structure, without |, so that secrets keep their place",
                ));
            }
            data = yaml::parse_json(text, &yaml::Limits::default()).map_err(|error| {
                bad(format!("has data that is not YAML: {}, line {}", error.message, error.line))
            })?;
        }
        if !data.is_object() {
            let kind = patch::kind(&data);
            return Err(bad(format!("has {kind} as data: it must be an object")));
        }
        let prefix = format!("{at}/data");
        let mut secrets = BTreeMap::new();
        for pointer in secret.iter().filter_map(|secret| secret.strip_prefix(&prefix)) {
            if let Some(leaf) = data.pointer_mut(pointer).filter(|leaf| !leaf.is_null()) {
                secrets.insert(pointer.to_owned(), SecretOutput::Text(text(&leaf.take())));
            }
        }
        manifests.push(DriverManifest { name, location, data, secrets });
    }
    Ok(manifests)
}
