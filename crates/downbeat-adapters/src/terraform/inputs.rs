//! What a definition may tell the driver, and what a destroy has to know later.
//!
//! Pure. Plain and secret inputs are read into one [`Inputs`]; what is secret there stays in memory,
//! in the private folder of a run, and in the cookie, which the engine seals.

use std::time::Duration;

use downbeat_core::{Code, Json, JsonMap, Secret, patch};
use downbeat_engine::DriverError;
use serde_json::json;

use crate::{
    code::{
        Bundle, Dialect, EMPTY, Part, flag, invalid, is_shell_name, known, limit, member, object,
        text,
    },
    container,
};

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
/// The `runner_mode` of runs in a cluster.
const IN_CLUSTER: &str = "custom-kubernetes";
/// How this driver says what others say as well.
const DIALECT: Dialect = Dialect { revision: "rev", is_free };

/// The inputs of one resource.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Inputs {
    /// The code; `script` is its file `main.tf`.
    pub(super) code: Bundle,
    pub(super) append_logs: bool,
    pub(super) manifests_output: Option<String>,
    pub(super) limit: Option<Duration>,
}

/// Where the code is to run.
#[derive(Debug)]
pub(super) enum Wanted {
    /// On the server.
    Here(Box<Inputs>),
    /// As a Job in a cluster.
    InCluster(Box<container::Inputs>),
}

/// What is kept for a destroy: the inputs as they were given, but for the revision of a repository:
/// that is the commit whose code made the resource, wherever its branch has gone since.
pub(super) fn to_cookie(values: &Json, secrets: &Json, commit: Option<&str>) -> Secret {
    let mut kept = json!({ "version": 1, "values": values, "secrets": secrets });
    let source = kept.pointer_mut("/values/source").and_then(Json::as_object_mut);
    if let (Some(source), Some(commit)) = (source, commit) {
        source.insert(DIALECT.revision.to_owned(), commit.into());
    }
    Secret::new(kept.to_string())
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
    match read(part("values")?, part("secrets")?)? {
        Wanted::Here(inputs) => Ok(*inputs),
        // Only what runs here keeps a cookie.
        Wanted::InCluster(_) => Err(unreadable()),
    }
}

/// Reads and checks the inputs.
pub(super) fn read(values: &Json, secrets: &Json) -> Result<Wanted, DriverError> {
    let plain = object(values, "the driver inputs", "")?.unwrap_or(&EMPTY);
    let secret = object(secrets, "the secret driver inputs", "")?.unwrap_or(&EMPTY);
    known(plain, "values", VALUES)?;
    known(secret, "secrets", SECRETS)?;
    let mode = text(plain, "values", "runner_mode")?;
    if let Some(other) = mode.filter(|mode| *mode != IN_CLUSTER) {
        let message = format!("`values.runner_mode` is {other:?}");
        return Err(invalid(message).hint("Leave it out to run the code on the server"));
    }
    let mut code = Bundle::new(plain, secret, secrets, DIALECT)?;
    for (part, members) in [(Part::Values, plain), (Part::Secrets, secret)] {
        code.add(part, members)?;
        if let Some(script) = text(members, part.name(), "script")? {
            code.add_file(part, "main.tf", script)?;
        }
    }
    code.add_credentials(plain, secret, DIALECT)?;
    if code.source.is_none() && !code.has_code() {
        return Err(invalid("there is no code to run")
            .hint("Give one of `script`, `source`, or `files` with a `.tf` file"));
    }
    let manifests_output = text(plain, "values", "manifests_output")?.map(str::to_owned);
    let limit = limit(plain)?;
    if mode.is_some() {
        let runner = member(plain, "values", "runner")?.ok_or_else(|| {
            invalid("the driver input `values.runner` is missing")
                .hint("It says where the code runs: `cluster_type`, `cluster` and more")
        })?;
        let hidden = runner_secrets(secret)?;
        let inputs = container::of_terraform(runner, &hidden, code, manifests_output, limit)?;
        return Ok(Wanted::InCluster(Box::new(inputs)));
    }
    let append_logs = flag(plain, "append_logs_to_error")?;
    Ok(Wanted::Here(Box::new(Inputs { code, append_logs, manifests_output, limit })))
}

/// The secret members of `runner`; published definitions give them as one JSON text, too.
fn runner_secrets(secret: &JsonMap) -> Result<JsonMap, DriverError> {
    if let Some(Json::String(text)) = secret.get("runner") {
        return serde_json::from_str(text)
            .map_err(|_| invalid("the driver input `secrets.runner` is no JSON object"));
    }
    Ok(member(secret, "secrets", "runner")?.cloned().unwrap_or_default())
}

/// Whether a variable of the environment is the definition's to set.
fn is_free(name: &str) -> bool {
    const OURS: &[&str] = &["PATH", "HOME", "TF_IN_AUTOMATION", "TF_INPUT", "CHECKPOINT_DISABLE"];
    const PREFIXES: &[&str] = &["TF_HTTP_", "TF_CLI_", "TF_PLUGIN_CACHE_", "TF_DATA_", "LD_"];
    is_shell_name(name)
        && !OURS.contains(&name)
        && !PREFIXES.iter().any(|prefix| name.starts_with(prefix))
}

#[cfg(test)]
mod tests;
