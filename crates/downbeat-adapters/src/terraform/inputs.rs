//! What a definition may tell the driver, and what a destroy has to know later.
//!
//! Pure. Plain and secret inputs are read into one [`Inputs`]; what is secret there stays in memory,
//! in the private folder of a run, and in the cookie, which the engine seals.

use std::time::Duration;

use downbeat_core::{Code, Json, Secret};
use downbeat_engine::DriverError;
use serde_json::json;

use crate::code::{
    Bundle, Dialect, EMPTY, Part, flag, invalid, is_shell_name, known, limit, object, text,
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

/// What is kept for a destroy: the inputs as they were given.
pub(super) fn to_cookie(values: &Json, secrets: &Json) -> Secret {
    Secret::new(json!({ "version": 1, "values": values, "secrets": secrets }).to_string())
}

/// The inputs in a cookie.
pub(super) fn from_cookie(cookie: &Secret) -> Result<Inputs, DriverError> {
    let unreadable = || {
        DriverError::new(Code::Driver, "what was kept of the resource for its removal is not valid")
    };
    let kept: Json = serde_json::from_str(cookie.expose()).map_err(|_| unreadable())?;
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
    Ok(Inputs {
        code,
        append_logs: flag(plain, "append_logs_to_error")?,
        manifests_output: text(plain, "values", "manifests_output")?.map(str::to_owned),
        limit: limit(plain)?,
    })
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
