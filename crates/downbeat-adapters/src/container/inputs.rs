//! What a definition may tell the driver (spec 06 section 5).
//!
//! Pure. `humanitec/container` says it in `job` and `cluster`, `humanitec/terraform` in `runner`;
//! both become one [`Inputs`]. A `config` member, which the virtual drivers fill in, holds what a
//! platform decided once; what a definition says itself wins over it.

use std::time::Duration;

use downbeat_core::{
    Json, JsonMap, Secret, builtin,
    yaml::{self, Limits},
};
use downbeat_engine::DriverError;

use crate::code::{
    Bundle, Dialect, EMPTY, Part, flag, hinted, invalid, known, limit, member, object, secret_text,
    text, wrong_type,
};

/// Members of the plain inputs.
const VALUES: &[&str] = &[
    "cluster",
    "config",
    "credentials_config",
    "files",
    "job",
    "runner",
    "skip_permission_checks",
    "source",
    "timeout",
    "use_default_backend",
    "variables",
];
/// Members of the secret inputs.
const SECRETS: &[&str] = &["account", "cluster", "files", "job", "source", "variables"];
/// Members of `job`.
const JOB: &[&str] = &[
    "command",
    "image",
    "namespace",
    "pod_template",
    "program",
    "service_account",
    "shared_directory",
    "variables",
];
/// Members of `runner`: what may differ from the job that a platform decided on.
const RUNNER: &[&str] = &["image", "namespace", "pod_template", "service_account"];
/// Kinds of clusters that a Job can run in.
const KINDS: &[&str] = &["aks", "eks", "gke", "k8s"];

/// Where runs go when nobody says where: what Humanitec's examples prepare for them.
const PLACE: &str = "humanitec-runner";
/// The shared directory of runs of ours.
const SHARED: &str = "/home/runneruser/workspace";

/// What the contract with the image sets.
pub(super) const CONTRACT: [&str; 6] = [
    "ACTION",
    "SCRIPTS_DIRECTORY",
    "OUTPUTS_FILE",
    "SECRET_OUTPUTS_FILE",
    "ERROR_FILE",
    "MANIFESTS_FILE",
];

/// How this driver says what others say as well.
const DIALECT: Dialect = Dialect { revision: "ref", is_free };

/// The inputs of one resource.
#[derive(Debug)]
pub(crate) struct Inputs {
    pub(super) job: Job,
    pub(super) cluster: Cluster,
    pub(super) code: Bundle,
    pub(super) skip_permission_checks: bool,
    /// Whether we keep the state of the code, unless the code says where.
    pub(super) default_backend: bool,
    /// An output that holds manifests, for runs of our own script.
    pub(super) manifests_output: Option<String>,
    pub(super) limit: Option<Duration>,
}

/// What runs.
#[derive(Debug, Default)]
pub(super) struct Job {
    pub(super) image: String,
    /// The image's own when empty.
    pub(super) command: Vec<String>,
    /// Runs our script with this program in the place of a command.
    pub(super) program: Option<Program>,
    pub(super) shared_directory: String,
    pub(super) namespace: String,
    pub(super) service_account: String,
    /// What the definition wants of the pod, as it was given.
    pub(super) pod_template: JsonMap,
}

/// What can run infrastructure code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Program {
    /// Terraform.
    Terraform,
    /// OpenTofu.
    Tofu,
}

impl Program {
    /// Its name on the path of an image.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Terraform => "terraform",
            Self::Tofu => "tofu",
        }
    }

    /// An image that has it.
    pub(super) fn image(self) -> &'static str {
        match self {
            Self::Terraform => "hashicorp/terraform:1.5.7",
            Self::Tofu => "ghcr.io/opentofu/opentofu:1.9.0",
        }
    }
}

/// Where it runs.
#[derive(Debug, Default)]
pub struct Cluster {
    /// The account that opens the cluster, `<org>/<id>`.
    pub account: Option<String>,
    /// `aks`, `eks`, `gke` or `k8s`; none when the definition does not say.
    pub kind: Option<String>,
    /// How to reach it: the values of a cluster driver.
    pub values: JsonMap,
    /// Where its agent listens.
    pub agent_url: Option<Secret>,
    /// What opens it, as JSON.
    pub credentials: Option<Secret>,
}

/// Reads the inputs of `humanitec/container`.
pub(crate) fn read(values: &Json, secrets: &Json) -> Result<Inputs, DriverError> {
    let plain = object(values, "the driver inputs", "")?.unwrap_or(&EMPTY);
    let secret = object(secrets, "the secret driver inputs", "")?.unwrap_or(&EMPTY);
    known(plain, "values", VALUES)?;
    known(secret, "secrets", SECRETS)?;
    // What is not ours to know in it is somebody else's.
    let config = member(plain, "values", "config")?.unwrap_or(&EMPTY);
    let given = member(plain, "values", "job")?;
    let hidden = member(secret, "secrets", "job")?.unwrap_or(&EMPTY);
    known(hidden, "secrets.job", &["variables"])?;
    let given = given.ok_or_else(|| {
        invalid("the driver input `values.job` is missing")
            .hint("It says what runs: `image`, `command`, `shared_directory` and more")
    })?;
    known(given, "values.job", JOB)?;
    let mut job = job(given)?;
    for (at, from) in [("values.config", config), ("values", plain)] {
        if let Some(runner) = member(from, at, "runner")? {
            overlay(&mut job, runner, &format!("{at}.runner"))?;
        }
    }
    let mut code = Bundle::new(plain, secret, secrets, DIALECT)?;
    for (part, members, job) in [(Part::Values, plain, given), (Part::Secrets, secret, hidden)] {
        code.add(part, members)?;
        let at = format!("{}.job", part.name());
        for (name, value) in member(job, &at, "variables")?.unwrap_or(&EMPTY) {
            let place = format!("{at}.variables.{name}");
            let value = match value {
                Json::Null => continue,
                Json::String(text) => text.clone(),
                Json::Bool(_) | Json::Number(_) => value.to_string(),
                other => return Err(wrong_type(&place, "a text", other)),
            };
            code.add_variable(part, &place, name, &value, DIALECT)?;
        }
    }
    code.add_credentials(plain, secret, DIALECT)?;
    let skips = if plain.contains_key("skip_permission_checks") { plain } else { config };
    let inputs = Inputs {
        job,
        cluster: cluster(plain, secret)?,
        code,
        skip_permission_checks: flag(skips, "skip_permission_checks")?,
        default_backend: flag(plain, "use_default_backend")?,
        manifests_output: None,
        limit: limit(plain)?,
    };
    inputs.check("values.job")?;
    Ok(inputs)
}

/// The inputs that `humanitec/terraform` gives to a run in a cluster. `code` is what it has read.
pub(crate) fn of_terraform(
    runner: &JsonMap,
    hidden: &JsonMap,
    code: Bundle,
    manifests_output: Option<String>,
    limit: Option<Duration>,
) -> Result<Inputs, DriverError> {
    let at = "values.runner";
    known(
        runner,
        at,
        &[
            "cluster",
            "cluster_type",
            "image",
            "namespace",
            "runner_pod_template",
            "service_account",
        ],
    )?;
    known(hidden, "secrets.runner", &["agent_url", "credentials"])?;
    let mut job = Job { program: Some(Program::Terraform), ..Job::default() };
    defaults(&mut job);
    for (name, field) in [
        ("image", &mut job.image),
        ("namespace", &mut job.namespace),
        ("service_account", &mut job.service_account),
    ] {
        if let Some(said) = text(runner, at, name)? {
            said.clone_into(field);
        }
    }
    job.pod_template = pod_template(runner, at, "runner_pod_template")?.unwrap_or_default();
    let values = member(runner, at, "cluster")?
        .ok_or_else(|| invalid("the driver input `values.runner.cluster` is missing"))?;
    let cluster = Cluster {
        account: None,
        kind: kind(runner, at)?,
        values: values.clone(),
        agent_url: url(hidden, "secrets.runner")?,
        credentials: whole(hidden, "credentials"),
    };
    let inputs = Inputs {
        job,
        cluster,
        code,
        skip_permission_checks: false,
        default_backend: true,
        manifests_output,
        limit,
    };
    for name in inputs.code.environment.keys() {
        if !is_free(name) {
            return Err(invalid(format!(
                "`values.credentials_config.environment.{name}`: this variable is set by the driver"
            )));
        }
    }
    inputs.check(at)?;
    Ok(inputs)
}

fn job(given: &JsonMap) -> Result<Job, DriverError> {
    let at = "values.job";
    let own = |name: &str| -> Result<String, DriverError> {
        Ok(text(given, at, name)?.unwrap_or_default().to_owned())
    };
    let mut job = Job {
        image: own("image")?,
        command: command(given, at)?,
        program: program(given, at)?,
        shared_directory: own("shared_directory")?,
        namespace: own("namespace")?,
        service_account: own("service_account")?,
        pod_template: pod_template(given, at, "pod_template")?.unwrap_or_default(),
    };
    if job.program.is_some() && !job.command.is_empty() {
        return Err(invalid("`values.job` has both `command` and `program`; one of them runs"));
    }
    defaults(&mut job);
    Ok(job)
}

/// What nobody said. Only a run of our own script has an image and a directory by itself.
fn defaults(job: &mut Job) {
    let or = |field: &mut String, other: &str| {
        if field.is_empty() {
            other.clone_into(field);
        }
    };
    if let Some(program) = job.program {
        or(&mut job.image, program.image());
        or(&mut job.shared_directory, SHARED);
    }
    or(&mut job.namespace, PLACE);
    or(&mut job.service_account, PLACE);
}

/// Lays over a job what a `runner` says.
fn overlay(job: &mut Job, runner: &JsonMap, at: &str) -> Result<(), DriverError> {
    known(runner, at, RUNNER)?;
    for (name, field) in [
        ("image", &mut job.image),
        ("namespace", &mut job.namespace),
        ("service_account", &mut job.service_account),
    ] {
        if let Some(said) = text(runner, at, name)?.filter(|said| !said.is_empty()) {
            said.clone_into(field);
        }
    }
    if let Some(template) = pod_template(runner, at, "pod_template")? {
        job.pod_template = template;
    }
    Ok(())
}

impl Inputs {
    /// Checks what Kubernetes would refuse, or what would hide our own files; `at` is the place of
    /// the job.
    fn check(&self, at: &str) -> Result<(), DriverError> {
        let Job { image, command, shared_directory, namespace, service_account, .. } = &self.job;
        if image.is_empty() {
            return Err(invalid(format!("the driver input `{at}.image` is missing")));
        }
        if image.chars().any(|c| c.is_whitespace() || c.is_control()) {
            return Err(invalid(format!("`{at}.image` {image:?} is not the name of an image")));
        }
        if command.iter().any(|word| word.contains('\0')) {
            return Err(invalid(format!(
                "`{at}.command` has a character that cannot be passed on"
            )));
        }
        directory(shared_directory).map_err(|reason| match shared_directory.as_str() {
            "" => invalid(format!("the driver input `{at}.shared_directory` is missing"))
                .hint("It is where the image finds its files and leaves its outputs"),
            other => invalid(format!("`{at}.shared_directory` {other:?} cannot be used: {reason}")),
        })?;
        if !is_label(namespace) {
            return Err(
                invalid(format!("`{at}.namespace` {namespace:?} is no namespace")).hint(LABEL)
            );
        }
        let parts = service_account.split('.');
        if service_account.len() > 253 || !parts.into_iter().all(is_label) {
            let message = format!("`{at}.service_account` {service_account:?} is no name");
            return Err(invalid(message).hint(LABEL));
        }
        Ok(())
    }
}

const LABEL: &str = "Names have small letters, digits and hyphens, and at most 63 of them";

fn is_label(name: &str) -> bool {
    let is_end = |c: Option<char>| c.is_some_and(|c| c.is_ascii_lowercase() || c.is_ascii_digit());
    name.len() <= 63
        && is_end(name.chars().next())
        && is_end(name.chars().last())
        && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-')
}

/// Whether the shared directory can be one.
fn directory(path: &str) -> Result<(), &'static str> {
    let Some(below) = path.strip_prefix('/') else { return Err("it is not absolute") };
    if path.len() > 1_024 {
        return Err("it is too long");
    }
    if path.chars().any(|c| c.is_control() || matches!(c, ':' | '\\' | '$')) {
        return Err("it has a colon, a backslash, a dollar sign or a control character in it");
    }
    let parts: Vec<&str> = below.trim_end_matches('/').split('/').collect();
    match parts.as_slice() {
        [""] => Err("everything of the image would be hidden"),
        ["downbeat" | "dev" | "proc" | "sys", ..] | ["var", "run", "secrets", ..] => {
            Err("it is taken")
        }
        // What mounts it, and what is mounted below it.
        ["var"] | ["var", "run"] => Err("it is taken"),
        ["tmp"] | ["etc"] | ["bin"] | ["usr"] | ["lib"] => {
            Err("the image needs what is there; take a folder below it")
        }
        parts if parts.iter().any(|part| matches!(*part, "" | "." | "..")) => {
            Err("it has an empty part, `.` or `..` in it")
        }
        _ => Ok(()),
    }
}

/// Whether a variable of the environment is the definition's to set. Kubernetes takes more than a
/// shell does, and published definitions use it (`TF_VAR_my-name`).
fn is_free(name: &str) -> bool {
    let valid = !name.is_empty()
        && name.len() <= 200
        && name != "."
        && !name.starts_with("..")
        && !name.starts_with(|c: char| c.is_ascii_digit())
        && name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'));
    valid && !CONTRACT.contains(&name) && !name.starts_with("DOWNBEAT_")
}

fn command(given: &JsonMap, at: &str) -> Result<Vec<String>, DriverError> {
    let at = format!("{at}.command");
    let items = match given.get("command") {
        None | Some(Json::Null) => return Ok(Vec::new()),
        Some(Json::Array(items)) => items,
        Some(other) => return Err(wrong_type(&at, "a list of texts", other)),
    };
    let word = |(index, item): (usize, &Json)| match item {
        Json::String(word) => Ok(word.clone()),
        Json::Bool(_) | Json::Number(_) => Ok(item.to_string()),
        other => Err(wrong_type(&format!("{at}[{index}]"), "a text", other)),
    };
    items.iter().enumerate().map(word).collect()
}

fn program(given: &JsonMap, at: &str) -> Result<Option<Program>, DriverError> {
    match text(given, at, "program")? {
        None => Ok(None),
        Some("terraform") => Ok(Some(Program::Terraform)),
        Some("tofu") => Ok(Some(Program::Tofu)),
        Some(other) => {
            let error = invalid(format!("`{at}.program` {other:?} is not known"));
            Err(hinted(error, other, ["terraform", "tofu"].into_iter()))
        }
    }
}

/// A pod template: YAML, or what was read from it already.
fn pod_template(from: &JsonMap, at: &str, name: &str) -> Result<Option<JsonMap>, DriverError> {
    let at = format!("{at}.{name}");
    match from.get(name) {
        None | Some(Json::Null) => Ok(None),
        Some(Json::Object(members)) => Ok(Some(members.clone())),
        Some(Json::String(text)) => {
            let limits = Limits { bytes: 64 * 1024, depth: 32, ..Limits::default() };
            let members = yaml::parse_object(text, &limits)
                .map_err(|error| invalid(format!("`{at}` cannot be read as YAML: {error}")))?;
            Ok(Some(members))
        }
        Some(other) => Err(wrong_type(&at, "YAML in a text", other)),
    }
}

fn cluster(plain: &JsonMap, secret: &JsonMap) -> Result<Cluster, DriverError> {
    let at = "values.cluster";
    let hidden = member(secret, "secrets", "cluster")?.unwrap_or(&EMPTY);
    known(hidden, "secrets.cluster", &["agent_url", "credentials"])?;
    let given = member(plain, "values", "cluster")?.ok_or_else(|| {
        invalid("the driver input `values.cluster` is missing")
            .hint("It says where the Job runs: `account` and `cluster`")
    })?;
    known(given, at, &["account", "cluster"])?;
    let values = member(given, at, "cluster")?
        .ok_or_else(|| invalid("the driver input `values.cluster.cluster` is missing"))?;
    Ok(Cluster {
        account: text(given, at, "account")?.map(str::to_owned),
        kind: kind(values, "values.cluster.cluster")?,
        values: values.clone(),
        agent_url: url(hidden, "secrets.cluster")?,
        credentials: whole(hidden, "credentials"),
    })
}

fn kind(from: &JsonMap, at: &str) -> Result<Option<String>, DriverError> {
    let Some(kind) = text(from, at, "cluster_type")? else { return Ok(None) };
    if KINDS.contains(&kind) {
        return Ok(Some(kind.to_owned()));
    }
    let error = invalid(format!("`{at}.cluster_type` is {kind:?}, where no Job can run"));
    Err(hinted(error, kind, KINDS.iter().copied()))
}

/// The address of an agent; a platform without one puts out an empty text, or [`builtin::DIRECT`].
fn url(hidden: &JsonMap, at: &str) -> Result<Option<Secret>, DriverError> {
    let is_relay = |url: &str| !url.is_empty() && !url.starts_with(builtin::DIRECT);
    Ok(secret_text(hidden, at, "agent_url")?.filter(|url| is_relay(url.expose())))
}

/// A secret member as one text.
fn whole(hidden: &JsonMap, name: &str) -> Option<Secret> {
    match hidden.get(name)? {
        Json::Null => None,
        Json::String(text) => Some(Secret::new(text.clone())),
        other => Some(Secret::new(other.to_string())),
    }
}
