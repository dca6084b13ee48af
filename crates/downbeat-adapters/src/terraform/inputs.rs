//! What a definition may tell the driver, and what a destroy has to know later.
//!
//! Pure. Plain and secret inputs are read into one [`Inputs`]; what is secret there stays in memory,
//! in the private folder of a run, and in the cookie, which the engine seals.

use std::{collections::BTreeMap, sync::LazyLock, time::Duration};

use downbeat_core::{Code, Json, JsonMap, Secret, patch, suggest};
use downbeat_engine::DriverError;
use serde_json::json;

/// Members of the plain inputs.
const VALUES: &[&str] = &[
    "append_logs_to_error",
    "credentials_config",
    "files",
    "manifests_output",
    "runner",
    "runner_mode",
    "script",
    "source",
    "timeout",
    "variables",
];
/// Members of the secret inputs.
const SECRETS: &[&str] = &["account", "files", "runner", "script", "source", "variables"];
/// Longest time limit, in seconds: a day.
const LONGEST: u64 = 24 * 60 * 60;
/// Shorter texts occur by chance; they are not masked.
const RECOGNISABLE: usize = 6;

/// The inputs of one resource.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Inputs {
    pub(super) source: Option<Source>,
    /// Content by path; `script` is `main.tf`.
    pub(super) files: BTreeMap<String, String>,
    pub(super) variables: JsonMap,
    /// Additions to the environment: credentials.
    pub(super) environment: BTreeMap<String, String>,
    pub(super) append_logs: bool,
    pub(super) manifests_output: Option<String>,
    pub(super) limit: Option<Duration>,
    /// Plaintexts that must not appear anywhere, longest first.
    pub(super) masked: Vec<Secret>,
}

/// A repository with code in it.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Source {
    pub(super) url: String,
    pub(super) revision: String,
    /// Folder of the root module.
    pub(super) path: String,
    pub(super) username: Option<String>,
    pub(super) password: Option<Secret>,
    pub(super) ssh_key: Option<Secret>,
}

/// The secret inputs as a tree: the shape, with each plaintext in its place.
pub(super) fn opened(shape: &Json, texts: &BTreeMap<String, Secret>) -> Json {
    let mut tree = if shape.is_object() { shape.clone() } else { json!({}) };
    for (at, text) in texts {
        let text = Json::String(text.expose().to_owned());
        match tree.pointer_mut(at) {
            Some(leaf) => *leaf = text,
            None => {
                // The engine gives the shape along; what is not in it has a parent there.
                let _ = patch::apply(&mut tree, &patch::Action::add(at.clone(), text));
            }
        }
    }
    tree
}

/// What is kept for a destroy: the inputs as they were given.
pub(super) fn to_cookie(values: &Json, secrets: &Json) -> Secret {
    Secret::new(json!({ "version": 1, "values": values, "secrets": secrets }).to_string())
}

/// The inputs in a cookie. Credentials that were renewed since then take the place of the old ones.
pub(super) fn from_cookie(
    cookie: &Secret,
    account: Option<&Secret>,
) -> Result<Inputs, DriverError> {
    let unreadable = || {
        DriverError::new(Code::Driver, "what was kept of the resource for its removal is not valid")
    };
    let mut kept: Json = serde_json::from_str(cookie.expose()).map_err(|_| unreadable())?;
    if let (Some(account), Some(secrets)) = (account, kept.pointer_mut("/secrets")) {
        let account = Json::String(account.expose().to_owned());
        let _ = patch::apply(secrets, &patch::Action::add("/account".to_owned(), account));
    }
    let part = |name: &str| kept.get(name).ok_or_else(unreadable);
    read(part("values")?, part("secrets")?)
}

/// Reads and checks the inputs.
pub(super) fn read(values: &Json, secrets: &Json) -> Result<Inputs, DriverError> {
    let plain = object(values, "the driver inputs", "")?.unwrap_or(&EMPTY);
    let secret = object(secrets, "the secret driver inputs", "")?.unwrap_or(&EMPTY);
    known(plain, "values", VALUES)?;
    known(secret, "secrets", SECRETS)?;
    match text(plain, "values", "runner_mode")? {
        None => {}
        Some("custom-kubernetes") => {
            let message = "`runner_mode: custom-kubernetes` is not there yet";
            return Err(DriverError::new(Code::NotImplemented, message)
                .hint("Leave `runner_mode` out to run the code on the server"));
        }
        Some(other) => {
            let message = format!("`values.runner_mode` is {other:?}");
            return Err(invalid(message).hint("Leave it out to run the code on the server"));
        }
    }
    let mut inputs = Inputs {
        source: source(plain, secret)?,
        append_logs: flag(plain, "append_logs_to_error")?,
        manifests_output: text(plain, "values", "manifests_output")?.map(str::to_owned),
        limit: limit(plain)?,
        masked: masked(secrets),
        ..Inputs::default()
    };
    for (part, name) in [(plain, "values"), (secret, "secrets")] {
        if let Some(files) = member(part, name, "files")? {
            for (path, content) in files {
                let content = content.as_str().ok_or_else(|| {
                    wrong_type(&format!("{name}.files.{path}"), "a text", content)
                })?;
                inputs.add_file(path, content)?;
            }
        }
        if let Some(script) = text(part, name, "script")? {
            inputs.add_file("main.tf", script)?;
        }
        if let Some(variables) = member(part, name, "variables")? {
            for (variable, value) in variables {
                inputs.variables.insert(variable.clone(), value.clone());
            }
        }
    }
    credentials(plain, secret, &mut inputs)?;
    if inputs.source.is_none() && !inputs.files.keys().any(|path| is_code(path)) {
        return Err(invalid("there is no code to run")
            .hint("Give one of `script`, `source`, or `files` with a `.tf` file"));
    }
    Ok(inputs)
}

static EMPTY: LazyLock<JsonMap> = LazyLock::new(JsonMap::new);

impl Inputs {
    fn add_file(&mut self, path: &str, content: &str) -> Result<(), DriverError> {
        inside(path).map_err(|reason| {
            invalid(format!("the file name {path:?} cannot be used: {reason}"))
                .hint("Files are written below the folder of the root module")
        })?;
        self.files.insert(path.to_owned(), content.to_owned());
        Ok(())
    }
}

/// Whether a file is code of a module.
pub(super) fn is_code(path: &str) -> bool {
    [".tf", ".tf.json", ".tofu", ".tofu.json"].iter().any(|end| path.ends_with(end))
}

/// Checks that a relative path stays below where it begins.
pub(super) fn inside(path: &str) -> Result<(), &'static str> {
    if path.is_empty() || path.len() > 1_024 {
        return Err("it is empty or too long");
    }
    if path.starts_with('/') {
        return Err("it is absolute");
    }
    if path.chars().any(char::is_control) || path.contains('\\') {
        return Err("it has a control character or a backslash in it");
    }
    for part in path.split('/') {
        match part {
            "" | "." | ".." => return Err("it has an empty part, `.` or `..` in it"),
            ".git" | ".terraform" => return Err("it lies in a folder of the program"),
            _ => {}
        }
    }
    Ok(())
}

fn source(plain: &JsonMap, secret: &JsonMap) -> Result<Option<Source>, DriverError> {
    let hidden = member(secret, "secrets", "source")?.unwrap_or(&EMPTY);
    known(hidden, "secrets.source", &["password", "ssh_key"])?;
    let Some(source) = member(plain, "values", "source")? else {
        return match hidden.is_empty() {
            true => Ok(None),
            false => Err(invalid("`secrets.source` is given without `values.source`")),
        };
    };
    known(source, "values.source", &["path", "rev", "url", "username"])?;
    let at = "values.source";
    let url = text(source, at, "url")?.filter(|url| !url.is_empty());
    let url = url.ok_or_else(|| invalid("the driver input `values.source.url` is missing"))?;
    // Humanitec's examples begin and end it with a slash now and then.
    let path = text(source, at, "path")?.unwrap_or_default().trim_matches('/');
    let path = path.strip_prefix("./").unwrap_or(path);
    let path = if path == "." { "" } else { path };
    if !path.is_empty() {
        inside(path).map_err(|reason| {
            invalid(format!("`values.source.path` {path:?} cannot be used: {reason}"))
        })?;
    }
    let password = secret_text(hidden, "secrets.source", "password")?;
    let ssh_key = secret_text(hidden, "secrets.source", "ssh_key")?;
    if password.is_some() && ssh_key.is_some() {
        return Err(invalid("`secrets.source` has both `password` and `ssh_key`; one opens it"));
    }
    Ok(Some(Source {
        url: url.to_owned(),
        revision: text(source, at, "rev")?.unwrap_or_default().to_owned(),
        path: path.to_owned(),
        username: text(source, at, "username")?.map(str::to_owned),
        password,
        ssh_key,
    }))
}

/// Brings the credentials of the account to where `credentials_config` wants them.
fn credentials(plain: &JsonMap, secret: &JsonMap, inputs: &mut Inputs) -> Result<(), DriverError> {
    let Some(config) = member(plain, "values", "credentials_config")? else { return Ok(()) };
    let at = "values.credentials_config";
    known(config, at, &["environment", "file", "variables"])?;
    let account = secret.get("account").filter(|account| !account.is_null()).ok_or_else(|| {
        invalid("`credentials_config` is given, but there are no credentials")
            .hint("Set `driver_account` in the definition, or `account` in its secret inputs")
    })?;
    // Kept as one text, or member by member.
    let parsed = account.as_str().and_then(|text| serde_json::from_str::<Json>(text).ok());
    let account = parsed.as_ref().unwrap_or(account);
    let whole = match account {
        Json::String(text) => text.clone(),
        other => other.to_string(),
    };
    let field = |place: &str, name: &Json| -> Result<Json, DriverError> {
        let name = name.as_str().ok_or_else(|| wrong_type(place, "a text", name))?;
        if name == "*" {
            return Ok(Json::String(whole.clone()));
        }
        let members = account.as_object().unwrap_or(&EMPTY);
        members.get(name).cloned().ok_or_else(|| {
            let error = invalid(format!("`{place}`: the credentials have no member {name:?}"));
            hinted(error, name, members.keys().map(String::as_str))
        })
    };
    if let Some(variables) = member(config, at, "variables")? {
        for (variable, name) in variables {
            let value = field(&format!("{at}.variables.{variable}"), name)?;
            inputs.variables.insert(variable.clone(), value);
        }
    }
    if let Some(environment) = member(config, at, "environment")? {
        for (variable, name) in environment {
            let place = format!("{at}.environment.{variable}");
            if !is_free(variable) {
                return Err(invalid(format!(
                    "`{place}`: this variable is set by the driver, or \
                    its name is not valid"
                )));
            }
            let value = match field(&place, name)? {
                Json::String(text) => text,
                other => other.to_string(),
            };
            if value.contains('\0') {
                return Err(invalid(format!("`{place}`: the value cannot be put into a variable")));
            }
            inputs.environment.insert(variable.clone(), value);
        }
    }
    if let Some(file) = text(config, at, "file")? {
        inputs.add_file(file, &whole)?;
    }
    if RECOGNISABLE <= whole.len() {
        inputs.masked.insert(0, Secret::new(whole));
    }
    Ok(())
}

/// Whether a variable of the environment is the definition's to set.
fn is_free(name: &str) -> bool {
    const OURS: &[&str] = &["PATH", "HOME", "TF_IN_AUTOMATION", "TF_INPUT", "CHECKPOINT_DISABLE"];
    const PREFIXES: &[&str] = &["TF_HTTP_", "TF_CLI_", "TF_PLUGIN_CACHE_", "TF_DATA_", "LD_"];
    let valid = name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
        && name.starts_with(|c: char| !c.is_ascii_digit());
    valid && !OURS.contains(&name) && !PREFIXES.iter().any(|prefix| name.starts_with(prefix))
}

fn limit(plain: &JsonMap) -> Result<Option<Duration>, DriverError> {
    let Some(given) = plain.get("timeout").filter(|given| !given.is_null()) else {
        return Ok(None);
    };
    let parsed = given.as_str().and_then(|text| text.parse::<u64>().ok());
    match given.as_u64().or(parsed) {
        Some(seconds @ 1..=LONGEST) => Ok(Some(Duration::from_secs(seconds))),
        _ => Err(invalid(format!(
            "the driver input `values.timeout` is {given}; expected a number of seconds, at most \
             {LONGEST}"
        ))),
    }
}

fn flag(plain: &JsonMap, name: &str) -> Result<bool, DriverError> {
    match plain.get(name) {
        None | Some(Json::Null) => Ok(false),
        Some(Json::Bool(flag)) => Ok(*flag),
        // What was a placeholder is a text.
        Some(Json::String(text)) if text == "true" || text == "false" => Ok(text == "true"),
        Some(other) => Err(wrong_type(&format!("values.{name}"), "true or false", other)),
    }
}

fn text<'a>(from: &'a JsonMap, at: &str, name: &str) -> Result<Option<&'a str>, DriverError> {
    match from.get(name) {
        None | Some(Json::Null) => Ok(None),
        Some(Json::String(text)) => Ok(Some(text)),
        // Not shown: it may be secret.
        Some(other) => Err(wrong_type(&format!("{at}.{name}"), "a text", other)),
    }
}

fn secret_text(from: &JsonMap, at: &str, name: &str) -> Result<Option<Secret>, DriverError> {
    Ok(text(from, at, name)?.map(|text| Secret::new(text.to_owned())))
}

fn member<'a>(from: &'a JsonMap, at: &str, name: &str) -> Result<Option<&'a JsonMap>, DriverError> {
    match from.get(name) {
        None => Ok(None),
        Some(value) => object(value, "the driver input", &format!("{at}.{name}")),
    }
}

fn object<'a>(value: &'a Json, what: &str, at: &str) -> Result<Option<&'a JsonMap>, DriverError> {
    match value {
        Json::Null => Ok(None),
        Json::Object(members) => Ok(Some(members)),
        _ if at.is_empty() => Err(invalid(format!("{what} are not an object"))),
        other => Err(wrong_type(at, "an object", other)),
    }
}

fn known(members: &JsonMap, at: &str, names: &[&str]) -> Result<(), DriverError> {
    let Some(unknown) = members.keys().find(|name| !names.contains(&name.as_str())) else {
        return Ok(());
    };
    let error = invalid(format!("the driver input `{at}.{unknown}` is not known"));
    Err(hinted(error, unknown, names.iter().copied()))
}

fn hinted<'a>(
    error: DriverError,
    name: &str,
    names: impl Iterator<Item = &'a str> + Clone,
) -> DriverError {
    match suggest::nearest(name, names.clone()) {
        Some(near) => error.hint(format!("Did you mean {near:?}?")),
        None => {
            let names: Vec<&str> = names.collect();
            error.hint(format!("Expected one of: {}", names.join(", ")))
        }
    }
}

fn wrong_type(at: &str, expected: &str, found: &Json) -> DriverError {
    invalid(format!("the driver input `{at}` is {}; expected {expected}", patch::kind(found)))
}

fn invalid(message: impl Into<String>) -> DriverError {
    DriverError::new(Code::DriverInputs, message)
}

/// Every plaintext in the forms in which a program repeats it, longest first.
fn masked(secrets: &Json) -> Vec<Secret> {
    let mut found = Vec::new();
    texts(secrets, &mut found);
    let mut forms: Vec<String> = Vec::new();
    for text in found {
        // As part of a JSON document or of a quoted text, line by line, and as it is.
        let quoted = Json::String(text.clone()).to_string();
        forms.push(quoted.trim_matches('"').to_owned());
        forms.extend(text.lines().map(|line| line.trim().to_owned()));
        forms.push(text);
    }
    forms.retain(|form| form.len() >= RECOGNISABLE);
    forms.sort_by(|a, b| b.len().cmp(&a.len()).then_with(|| a.cmp(b)));
    forms.dedup();
    forms.into_iter().map(Secret::new).collect()
}

fn texts(value: &Json, found: &mut Vec<String>) {
    match value {
        Json::Null | Json::Bool(_) => {}
        Json::String(text) => {
            // A document is also known by its members.
            if let Ok(inner @ (Json::Object(_) | Json::Array(_))) = serde_json::from_str(text) {
                texts(&inner, found);
            }
            found.push(text.clone());
        }
        Json::Number(number) => found.push(number.to_string()),
        Json::Array(items) => items.iter().for_each(|item| texts(item, found)),
        Json::Object(members) => members.values().for_each(|member| texts(member, found)),
    }
}

/// Takes plaintexts out of a text, also where the program broke them into lines.
pub(super) fn mask(text: &str, masked: &[Secret]) -> String {
    let mut text = text.to_owned();
    for secret in masked {
        text = text.replace(secret.expose(), "***");
        let words: Vec<&str> = secret.expose().split_whitespace().collect();
        if words.len() > 1 {
            text = mask_words(&text, &words);
        }
    }
    text
}

/// Takes words out of a text, wherever nothing but blanks and the program's frame is between them.
fn mask_words(text: &str, words: &[&str]) -> String {
    let Some((first, others)) = words.split_first() else { return text.to_owned() };
    let mut masked = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(first) {
        let (before, found) = rest.split_at(at);
        let behind = found.get(first.len()..).unwrap_or_default();
        let end = others.iter().try_fold(behind, |rest, word| {
            rest.trim_start_matches(|c: char| c.is_whitespace() || c == '│').strip_prefix(word)
        });
        masked.push_str(before);
        masked.push_str(if end.is_some() { "***" } else { first });
        rest = end.unwrap_or(behind);
    }
    masked.push_str(rest);
    masked
}

#[cfg(test)]
mod tests;
