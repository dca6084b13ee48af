//! Infrastructure code, as a definition brings it along: where it comes from, the files beside it,
//! its variables and its credentials.
//!
//! Pure. What runs the code is for the drivers ([`terraform`](crate::terraform),
//! [`container`](crate::container)); both read these inputs here, so that they mean the same
//! everywhere. Secret inputs win over plain ones of the same name. What is secret stays marked: a
//! [`Text`] knows whether it may be seen.

mod backend;
mod mask;
mod outputs;
mod read;

use std::{collections::BTreeMap, fmt};

use downbeat_core::{Json, JsonMap, Secret, patch};
use downbeat_engine::{DriverError, Request};
use serde_json::json;

pub(crate) use self::{
    backend::{has_own_backend, our_backend},
    mask::mask,
    outputs::{leaves, manifests},
    read::{
        EMPTY, flag, hinted, invalid, known, limit, member, object, secret_text, text, wrong_type,
    },
};

/// The variables of a run. The program reads such files in the order of their names, and this one
/// shall have the last word.
pub(crate) const VARIABLES: &str = "zz_downbeat.auto.tfvars.json";

/// Where a state of ours is kept. The program lets such a file override what others say.
pub(crate) const BACKEND: &str = "downbeat_backend_override.tf.json";

/// User names of our runs begin like this. The server keeps them with a lock.
pub(crate) const RUN: &str = "downbeat-run-";

/// A half of the driver inputs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    /// The plain ones, which everybody can see.
    Values,
    /// The secret ones.
    Secrets,
}

impl Part {
    /// How messages name it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Values => "values",
            Self::Secrets => "secrets",
        }
    }
}

/// A text that may be secret.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Text {
    /// Everybody can see it.
    Plain(String),
    /// It came from a secret input.
    Secret(Secret),
}

impl Text {
    fn of(part: Part, text: &str) -> Self {
        match part {
            Part::Values => Self::Plain(text.to_owned()),
            Part::Secrets => Self::Secret(Secret::new(text.to_owned())),
        }
    }

    /// The text itself.
    pub(crate) fn expose(&self) -> &str {
        match self {
            Self::Plain(text) => text,
            Self::Secret(secret) => secret.expose(),
        }
    }
}

/// What two drivers say differently.
#[derive(Clone, Copy)]
pub(crate) struct Dialect {
    /// The member of `source` that names branch, tag or commit.
    pub(crate) revision: &'static str,
    /// Whether a variable of the environment is the definition's to set.
    pub(crate) is_free: fn(&str) -> bool,
}

/// What a definition brings along.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Bundle {
    pub(crate) source: Option<Source>,
    /// Content by path, below the folder of the root module.
    pub(crate) files: BTreeMap<String, Text>,
    pub(crate) variables: Variables,
    /// Additions to the environment.
    pub(crate) environment: BTreeMap<String, Text>,
    /// Plaintexts that must not appear anywhere, longest first.
    pub(crate) masked: Vec<Secret>,
}

/// A repository with code in it.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Source {
    pub(crate) url: String,
    pub(crate) revision: String,
    /// Folder of the root module.
    pub(crate) path: String,
    pub(crate) username: Option<String>,
    pub(crate) password: Option<Secret>,
    pub(crate) ssh_key: Option<Secret>,
}

/// Values of the code's input variables.
#[derive(Default, PartialEq)]
pub(crate) struct Variables {
    members: JsonMap,
    has_secrets: bool,
}

impl fmt::Debug for Variables {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.members.keys()).finish()
    }
}

impl Variables {
    /// The content of [`VARIABLES`]; none without a variable.
    pub(crate) fn file(&self) -> Option<Text> {
        if self.members.is_empty() {
            return None;
        }
        // JSON values: this cannot fail.
        let text = serde_json::to_string(&self.members).unwrap_or_default();
        let part = if self.has_secrets { Part::Secrets } else { Part::Values };
        Some(Text::of(part, &text))
    }

    fn insert(&mut self, part: Part, name: &str, value: Json) {
        self.has_secrets |= part == Part::Secrets;
        self.members.insert(name.to_owned(), value);
    }
}

/// The secret inputs of a request as a tree, plaintexts in their places.
///
/// What a driver knows of secrets is put together here and nowhere else.
pub(crate) fn secrets_of(request: &Request<'_>) -> Json {
    opened(request.secrets, request.secret_texts)
}

/// The shape, with each plaintext in its place.
fn opened(shape: &Json, texts: &BTreeMap<String, Secret>) -> Json {
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

impl Bundle {
    /// The source, and what has to be masked. `secrets` is the whole of the secret inputs.
    pub(crate) fn new(
        plain: &JsonMap,
        secret: &JsonMap,
        secrets: &Json,
        dialect: Dialect,
    ) -> Result<Self, DriverError> {
        Ok(Self {
            source: source(plain, secret, dialect.revision)?,
            masked: mask::masked(secrets),
            ..Self::default()
        })
    }

    /// Adds the files and variables of one part.
    pub(crate) fn add(&mut self, part: Part, members: &JsonMap) -> Result<(), DriverError> {
        let name = part.name();
        if let Some(files) = member(members, name, "files")? {
            for (path, content) in files {
                let content = content.as_str().ok_or_else(|| {
                    wrong_type(&format!("{name}.files.{path}"), "a text", content)
                })?;
                self.add_file(part, path, content)?;
            }
        }
        if let Some(variables) = member(members, name, "variables")? {
            for (variable, value) in variables {
                self.variables.insert(part, variable, value.clone());
            }
        }
        Ok(())
    }

    /// Adds a file, or replaces the one of this name.
    pub(crate) fn add_file(
        &mut self,
        part: Part,
        path: &str,
        content: &str,
    ) -> Result<(), DriverError> {
        inside(path).map_err(|reason| {
            invalid(format!("the file name {path:?} cannot be used: {reason}"))
                .hint("Files are written below the folder of the root module")
        })?;
        self.files.insert(path.to_owned(), Text::of(part, content));
        Ok(())
    }

    /// Adds a variable of the environment; `place` names it in messages.
    pub(crate) fn add_variable(
        &mut self,
        part: Part,
        place: &str,
        name: &str,
        value: &str,
        dialect: Dialect,
    ) -> Result<(), DriverError> {
        if !(dialect.is_free)(name) {
            return Err(invalid(format!(
                "`{place}`: this variable is set by the driver, or its name is not valid"
            )));
        }
        if value.contains('\0') {
            return Err(invalid(format!("`{place}`: the value cannot be put into a variable")));
        }
        self.environment.insert(name.to_owned(), Text::of(part, value));
        Ok(())
    }

    /// Brings the credentials of the account to where `credentials_config` wants them.
    pub(crate) fn add_credentials(
        &mut self,
        plain: &JsonMap,
        secret: &JsonMap,
        dialect: Dialect,
    ) -> Result<(), DriverError> {
        let Some(config) = member(plain, "values", "credentials_config")? else { return Ok(()) };
        let at = "values.credentials_config";
        known(config, at, &["environment", "file", "variables"])?;
        let account =
            secret.get("account").filter(|account| !account.is_null()).ok_or_else(|| {
                invalid("`credentials_config` is given, but there are no credentials").hint(
                    "Set `driver_account` in the definition, or `account` in its secret inputs",
                )
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
            let found = members.get(name).or_else(|| members.get(long_name(name)?));
            found.cloned().ok_or_else(|| {
                let error = invalid(format!("`{place}`: the credentials have no member {name:?}"));
                hinted(error, name, members.keys().map(String::as_str))
            })
        };
        if let Some(variables) = member(config, at, "variables")? {
            for (variable, name) in variables {
                let value = field(&format!("{at}.variables.{variable}"), name)?;
                self.variables.insert(Part::Secrets, variable, value);
            }
        }
        if let Some(environment) = member(config, at, "environment")? {
            for (variable, name) in environment {
                let place = format!("{at}.environment.{variable}");
                let value = match field(&place, name)? {
                    Json::String(text) => text,
                    other => other.to_string(),
                };
                self.add_variable(Part::Secrets, &place, variable, &value, dialect)?;
            }
        }
        if let Some(file) = text(config, at, "file")? {
            self.add_file(Part::Secrets, file, &whole)?;
        }
        if mask::RECOGNISABLE <= whole.len() {
            self.masked.insert(0, Secret::new(whole));
        }
        Ok(())
    }

    /// Whether a file of the root module is code.
    pub(crate) fn has_code(&self) -> bool {
        self.files.keys().any(|path| is_code(path))
    }
}

/// How an access key of AWS is kept in an account; definitions name its parts as the API of AWS does.
fn long_name(name: &str) -> Option<&'static str> {
    match name {
        "AccessKeyId" => Some("aws_access_key_id"),
        "SecretAccessKey" => Some("aws_secret_access_key"),
        _ => None,
    }
}

/// Whether a file is code of a module.
pub(crate) fn is_code(path: &str) -> bool {
    [".tf", ".tf.json", ".tofu", ".tofu.json"].iter().any(|end| path.ends_with(end))
}

/// Whether a name can be that of a shell's variable.
pub(crate) fn is_shell_name(name: &str) -> bool {
    name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
        && name.starts_with(|c: char| !c.is_ascii_digit())
}

/// Checks that a relative path stays below where it begins.
pub(crate) fn inside(path: &str) -> Result<(), &'static str> {
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
            ".git" | ".terraform" | ".downbeat" => {
                return Err("it lies in a folder of the program");
            }
            _ => {}
        }
    }
    Ok(())
}

fn source(
    plain: &JsonMap,
    secret: &JsonMap,
    revision: &'static str,
) -> Result<Option<Source>, DriverError> {
    let hidden = member(secret, "secrets", "source")?.unwrap_or(&EMPTY);
    known(hidden, "secrets.source", &["password", "ssh_key"])?;
    let Some(source) = member(plain, "values", "source")? else {
        return match hidden.is_empty() {
            true => Ok(None),
            false => Err(invalid("`secrets.source` is given without `values.source`")),
        };
    };
    known(source, "values.source", &["path", revision, "url", "username"])?;
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
        revision: text(source, at, revision)?.unwrap_or_default().to_owned(),
        path: path.to_owned(),
        username: text(source, at, "username")?.map(str::to_owned),
        password,
        ssh_key,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_masked_where_lines_are_broken() {
        let masked = [Secret::new("correct horse staple".to_owned())];
        let text = "a correct horse\n│   staple, correct horse, correct correct horse staple";
        assert_eq!(mask(text, &masked), "a ***, correct horse, correct ***");
    }

    #[test]
    fn paths_stay_inside() {
        for good in ["main.tf", "a/b.tf", ".gitconfig", "..a/b"] {
            assert_eq!(inside(good), Ok(()), "{good}");
        }
        for bad in
            ["", "/etc/passwd", "..", "a/../../b", "a//b", "./a", "a\\b", "a\nb", ".git/config"]
        {
            assert!(inside(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn nothing_secret_is_printed() {
        let mut bundle = Bundle::default();
        bundle.add_file(Part::Secrets, "a", "hidden-in-a-file").unwrap();
        bundle.variables.insert(Part::Secrets, "v", "hidden-in-a-variable".into());
        assert!(!format!("{bundle:?}").contains("hidden"));
    }
}
