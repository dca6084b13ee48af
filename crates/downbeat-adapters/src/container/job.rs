//! The Kubernetes objects of one run.
//!
//! Pure: the same run makes the same objects, with the same names.
//!
//! ```text
//! Secret ───┐   Job ─▶ pod
//! ConfigMap ┴──mount──▶ prepare ─▶ job ─▶ report
//!                          │        │       ▲
//!                          ▼        ▼       │
//!                        the shared directory
//! ```
//!
//! `prepare` and `report` are programs of ours: they bring the code and the files there, and the
//! outputs back. `job` is the image of the definition. They run one after the other, which is why
//! the first two are init containers.
//!
//! Invariant: what is secret is in the Secret, and nowhere else.

use std::collections::BTreeMap;

use downbeat_core::{Json, JsonMap, ResourceKey, Secret, id::sha256_hex, patch::push_token};
use downbeat_engine::DriverError;
use serde::Serialize;
use serde_json::json;

use super::{
    ContainerOptions,
    inputs::{CONTRACT, Inputs},
    no_address, template,
};
use crate::code::{self, BACKEND, RUN, Text, VARIABLES, invalid};

/// Most bytes that Kubernetes takes as content of one Secret or ConfigMap.
const MOST: usize = 1024 * 1024;
/// How long a finished Job stays when nobody takes it away: a server may be down for a night.
const KEPT_SECONDS: u32 = 24 * 60 * 60;
/// How long an interrupted program may take to save its state.
const GRACE_SECONDS: u32 = 60;
/// Where `prepare` finds what it has to bring.
const GIVEN: &str = "/downbeat/run";
/// Where programs look for the token of their service account.
const TOKEN: &str = "/var/run/secrets/kubernetes.io/serviceaccount";
/// Folder of ours in the shared directory.
const OURS: &str = ".downbeat";
/// Our own run script, within that folder.
const SCRIPT: &str = "run.sh";
/// The script that runs infrastructure code in an image which has nothing but a shell and the
/// program.
pub const RUN_SCRIPT: &str = include_str!("run.sh");

/// Names of our containers.
pub(super) const PREPARE: &str = "prepare";
/// See [`PREPARE`].
pub(super) const JOB: &str = "job";
/// See [`PREPARE`].
pub(super) const REPORT: &str = "report";

/// A Kubernetes object whose plaintexts are apart.
#[derive(Clone, Debug, PartialEq)]
pub struct Object {
    /// The object, with `null` where a plaintext belongs.
    pub data: Json,
    /// JSON pointer to the plaintext that belongs there.
    pub secrets: BTreeMap<String, Secret>,
}

impl Object {
    fn plain(data: Json) -> Self {
        Self { data, secrets: BTreeMap::new() }
    }

    /// The whole object as JSON, ready to be sent to a cluster.
    #[must_use]
    pub fn filled(&self) -> Secret {
        let mut data = self.data.clone();
        for (at, secret) in &self.secrets {
            if let Some(leaf) = data.pointer_mut(at) {
                *leaf = Json::String(secret.expose().to_owned());
            }
        }
        Secret::new(data.to_string())
    }
}

/// What a run does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Makes or updates the resource.
    Create,
    /// Frees it.
    Destroy,
}

impl Action {
    /// The word that the image is told.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Destroy => "destroy",
        }
    }
}

/// Names one run.
#[derive(Clone, Copy, Debug)]
pub struct Run<'a> {
    /// Permanent id of the resource.
    pub guresid: &'a str,
    /// What the resource is.
    pub key: &'a ResourceKey,
    /// What is done.
    pub action: Action,
    /// Two runs with the same one are the same run.
    pub idempotency_key: &'a str,
}

impl Run<'_> {
    /// The part of names that tells runs on one resource apart.
    fn digest(&self) -> String {
        let text = format!("{} {}", self.action.as_str(), self.idempotency_key);
        sha256_hex(text.as_bytes()).chars().take(12).collect()
    }

    /// The name of all its objects: at most 57 characters, so that it fits into names of pods.
    fn name(&self) -> String {
        format!("run-{}-{}", self.guresid, self.digest())
    }
}

/// The objects of a run, in the order in which a cluster needs them.
pub(super) fn objects(
    options: &ContainerOptions,
    run: &Run<'_>,
    inputs: &Inputs,
) -> Result<Vec<Object>, DriverError> {
    let builder = Builder {
        options,
        run,
        inputs,
        name: run.name(),
        secrets: BTreeMap::new(),
        plain: BTreeMap::new(),
    };
    builder.objects()
}

/// Refuses what is too much for one Secret or ConfigMap.
fn check_size<'a>(what: &str, texts: impl Iterator<Item = &'a str>) -> Result<(), DriverError> {
    let bytes: usize = texts.map(str::len).sum();
    if bytes <= MOST {
        return Ok(());
    }
    let message = format!(
        "{what} have {bytes} bytes together; Kubernetes takes at most {MOST} of them to a Job"
    );
    Err(invalid(message).hint("Put large files into a repository, and name it in `source`"))
}

/// What `prepare` does: written by us, read by us, in the Secret.
#[derive(Serialize)]
struct Plan<'a> {
    version: u32,
    workspace: &'a str,
    scripts_directory: &'a str,
    outputs_directory: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    source: Option<PlanSource<'a>>,
    files: Vec<PlanFile>,
    #[serde(skip_serializing_if = "Option::is_none")]
    backend: Option<PlanBackend>,
}

/// A repository to check out into the workspace.
#[derive(Serialize)]
struct PlanSource<'a> {
    url: &'a str,
    revision: &'a str,
    path: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    username: Option<&'a str>,
    /// Key of the Secret that opens it: `git.password` or `git.ssh-key`.
    #[serde(skip_serializing_if = "Option::is_none")]
    credentials: Option<&'static str>,
}

/// A file, by its key in Secret or ConfigMap.
#[derive(Serialize)]
struct PlanFile {
    key: String,
    path: String,
}

/// Where the state is kept. Written unless the code says so itself, so that our key is never given
/// to a backend of somebody else.
#[derive(Serialize)]
struct PlanBackend {
    path: String,
    content: String,
}

struct Builder<'a> {
    options: &'a ContainerOptions,
    run: &'a Run<'a>,
    inputs: &'a Inputs,
    name: String,
    secrets: BTreeMap<String, Secret>,
    plain: BTreeMap<String, String>,
}

impl Builder<'_> {
    fn objects(mut self) -> Result<Vec<Object>, DriverError> {
        let environment = self.environment()?;
        self.plan()?;
        let has_plain = !self.plain.is_empty();
        let pod = self.pod(&environment, has_plain)?;
        let inputs = self.inputs;
        let secrets = self.secrets.values().map(Secret::expose);
        check_size("the secret files and variables of the definition", secrets)?;
        check_size("the files of the definition", self.plain.values().map(String::as_str))?;
        let mut objects = vec![self.secret()];
        if has_plain {
            let metadata = self.metadata();
            objects.push(Object::plain(json!({
                "apiVersion": "v1",
                "kind": "ConfigMap",
                "metadata": metadata,
                "immutable": true,
                "data": self.plain,
            })));
        }
        let limit = inputs.limit.unwrap_or(self.options.limit).as_secs();
        objects.push(Object::plain(json!({
            "apiVersion": "batch/v1",
            "kind": "Job",
            "metadata": self.metadata(),
            "spec": {
                // The engine decides about another attempt.
                "backoffLimit": 0,
                "activeDeadlineSeconds": limit,
                "ttlSecondsAfterFinished": KEPT_SECONDS,
                "template": pod,
            },
        })));
        Ok(objects)
    }

    fn labels(&self) -> Json {
        json!({
            "app.kubernetes.io/managed-by": "downbeat",
            "app.kubernetes.io/name": "downbeat-run",
            "downbeat.dev/action": self.run.action.as_str(),
            "downbeat.dev/guresid": self.run.guresid,
            "downbeat.dev/run": self.run.digest(),
        })
    }

    /// What people look at; a resource key is no label.
    fn annotations(&self) -> Json {
        json!({ "downbeat.dev/resource": self.run.key.to_string() })
    }

    fn metadata(&self) -> Json {
        json!({
            "name": self.name,
            "namespace": self.inputs.job.namespace,
            "labels": self.labels(),
            "annotations": self.annotations(),
        })
    }

    /// The Secret: each value apart.
    fn secret(&self) -> Object {
        let mut secrets = BTreeMap::new();
        let mut data = JsonMap::new();
        for (key, text) in &self.secrets {
            let mut at = "/stringData".to_owned();
            push_token(&mut at, key);
            secrets.insert(at, text.clone());
            data.insert(key.clone(), Json::Null);
        }
        let data = json!({
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": self.metadata(),
            "type": "Opaque",
            "immutable": true,
            "stringData": data,
        });
        Object { data, secrets }
    }

    // ---- what the image finds -----------------------------------------------------------------

    fn shared(&self) -> &str {
        self.inputs.job.shared_directory.trim_end_matches('/')
    }

    /// The folder of the code.
    fn scripts(&self) -> String {
        match self.inputs.code.source.as_ref().map(|source| source.path.as_str()) {
            None | Some("") => self.shared().to_owned(),
            Some(path) => format!("{}/{path}", self.shared()),
        }
    }

    fn ours(&self, name: &str) -> String {
        format!("{}/{OURS}/{name}", self.shared())
    }

    /// Whether the state may be kept by us. Code from a repository may have a backend of its own,
    /// which `prepare` sees; what the definition holds itself is seen here.
    fn may_keep_state(&self) -> bool {
        let mut files = self.inputs.code.files.iter();
        self.inputs.default_backend
            && !files.any(|(path, content)| {
                code::is_code(path) && code::has_own_backend(path, content.expose())
            })
    }

    /// The environment of the image; what is secret goes to the Secret.
    fn environment(&mut self) -> Result<Vec<Json>, DriverError> {
        let plain = |name: &str, value: &str| {
            // A `$` would begin a reference to another variable.
            json!({ "name": name, "value": value.replace('$', "$$") })
        };
        let [action, scripts, outputs, secret_outputs, error, manifests] = CONTRACT;
        let mut environment = vec![
            plain(action, self.run.action.as_str()),
            plain(scripts, &self.scripts()),
            plain(outputs, &self.ours("outputs.json")),
            plain(secret_outputs, &self.ours("secret-outputs.json")),
            plain(error, &self.ours("error.txt")),
            plain(manifests, &self.ours("manifests.json")),
        ];
        let mut own: BTreeMap<String, Text> = BTreeMap::new();
        if let Some(program) = self.inputs.job.program {
            let mut set = |name: &str, value: &str| {
                own.insert(name.to_owned(), Text::Plain(value.to_owned()));
            };
            set("DOWNBEAT_PROGRAM", program.name());
            set("CHECKPOINT_DISABLE", "1");
            set("TF_IN_AUTOMATION", "1");
            set("TF_INPUT", "0");
            if let Some(output) = &self.inputs.manifests_output {
                set("DOWNBEAT_MANIFESTS_OUTPUT", output);
            }
        }
        for (name, text) in &self.inputs.code.environment {
            if own.contains_key(name) {
                return Err(invalid(format!("the variable {name} is set by the driver")));
            }
            own.insert(name.clone(), text.clone());
        }
        for (name, text) in own {
            environment.push(match text {
                Text::Plain(value) => plain(&name, &value),
                Text::Secret(value) => {
                    let key = format!("env.{name}");
                    self.secrets.insert(key.clone(), value);
                    let from = json!({ "secretKeyRef": { "name": self.name, "key": key } });
                    json!({ "name": name, "valueFrom": from })
                }
            });
        }
        Ok(environment)
    }

    /// Where our server keeps the state.
    fn backend(&self, scripts: &str) -> Result<PlanBackend, DriverError> {
        let server = self.options.server.as_deref().ok_or_else(no_address)?;
        let user = format!("{RUN}{}", self.run.digest());
        let key = self.options.keys.make(self.run.guresid);
        let content = code::our_backend(server, self.run.guresid, Some((&user, &key)));
        Ok(PlanBackend { path: format!("{scripts}/{BACKEND}"), content })
    }

    /// What `prepare` brings, and the plan that it follows.
    fn plan(&mut self) -> Result<(), DriverError> {
        let inputs = self.inputs;
        let scripts = self.scripts();
        let ours = format!("{}/{OURS}", self.shared());
        let shared = self.shared().to_owned();
        let backend = match self.may_keep_state() {
            true => Some(self.backend(&scripts)?),
            false => None,
        };
        let mut files: Vec<PlanFile> = Vec::new();
        let mut bring = |path: String, content: &Text| {
            let key = format!("file.{}", files.len());
            match content {
                Text::Plain(text) => {
                    self.plain.insert(key.clone(), text.clone());
                }
                Text::Secret(text) => {
                    self.secrets.insert(key.clone(), text.clone());
                }
            }
            files.push(PlanFile { key, path });
        };
        for (path, content) in &inputs.code.files {
            bring(format!("{scripts}/{path}"), content);
        }
        if let Some(variables) = inputs.code.variables.file() {
            bring(format!("{scripts}/{VARIABLES}"), &variables);
        }
        if inputs.job.program.is_some() {
            bring(format!("{ours}/{SCRIPT}"), &Text::Plain(RUN_SCRIPT.to_owned()));
        }
        let source = inputs.code.source.as_ref().map(|source| {
            let credentials = match (&source.password, &source.ssh_key) {
                (Some(password), _) => Some(("git.password", password)),
                (None, Some(key)) => Some(("git.ssh-key", key)),
                (None, None) => None,
            };
            if let Some((key, secret)) = credentials {
                self.secrets.insert(key.to_owned(), secret.clone());
            }
            PlanSource {
                url: &source.url,
                revision: &source.revision,
                path: &source.path,
                username: source.username.as_deref(),
                credentials: credentials.map(|(key, _)| key),
            }
        });
        let plan = Plan {
            version: 1,
            workspace: &shared,
            scripts_directory: &scripts,
            outputs_directory: &ours,
            source,
            files,
            backend,
        };
        // Texts and numbers: this cannot fail.
        let plan = serde_json::to_string(&plan).unwrap_or_default();
        self.secrets.insert("plan.json".to_owned(), Secret::new(plan));
        Ok(())
    }

    // ---- the pod ------------------------------------------------------------------------------

    fn pod(&self, environment: &[Json], has_plain: bool) -> Result<Json, DriverError> {
        let job = &self.inputs.job;
        let shared = json!({ "name": "downbeat-workspace", "mountPath": self.shared() });
        let tmp = json!({ "name": "downbeat-tmp", "mountPath": "/tmp" });
        // Only what `prepare` brings: the environment is for the image.
        let items: Vec<Json> = self
            .secrets
            .keys()
            .filter(|key| !key.starts_with("env."))
            .map(|key| json!({ "key": key, "path": key }))
            .collect();
        let mut sources = vec![json!({ "secret": { "name": self.name, "items": items } })];
        if has_plain {
            sources.push(json!({ "configMap": { "name": self.name } }));
        }
        let token = json!([
            { "serviceAccountToken": { "path": "token", "expirationSeconds": 3600 } },
            { "configMap": { "name": "kube-root-ca.crt",
                "items": [{ "key": "ca.crt", "path": "ca.crt" }] } },
            { "downwardAPI": { "items": [{ "path": "namespace",
                "fieldRef": { "apiVersion": "v1", "fieldPath": "metadata.namespace" } }] } },
        ]);
        let own = |name: &str, command: &str, environment: Json, mounts: Json| {
            json!({
                "name": name,
                "image": self.options.image,
                "command": ["downbeat", "runner", command],
                "env": environment,
                "resources": { "requests": { "cpu": "10m", "memory": "64Mi" } },
                "securityContext": {
                    "allowPrivilegeEscalation": false,
                    "capabilities": { "drop": ["ALL"] },
                    "readOnlyRootFilesystem": true,
                    "seccompProfile": { "type": "RuntimeDefault" },
                },
                "terminationMessagePolicy": "FallbackToLogsOnError",
                "volumeMounts": mounts,
            })
        };
        let prepare = own(
            PREPARE,
            "prepare",
            json!([{ "name": "DOWNBEAT_RUN", "value": GIVEN }]),
            json!([
                shared,
                { "name": "downbeat-run", "mountPath": GIVEN, "readOnly": true },
                tmp,
            ]),
        );
        let command = match job.program {
            Some(_) => vec!["/bin/sh".to_owned(), self.ours(SCRIPT)],
            None => job.command.clone(),
        };
        let mut run = JsonMap::new();
        if !command.is_empty() {
            run.insert("command".to_owned(), json!(command));
        }
        for (name, value) in [
            ("name", json!(JOB)),
            ("image", json!(job.image)),
            ("env", json!(environment)),
            ("terminationMessagePath", json!(self.ours("error.txt"))),
            ("terminationMessagePolicy", json!("FallbackToLogsOnError")),
            ("volumeMounts", json!([shared])),
        ] {
            run.insert(name.to_owned(), value);
        }
        // The files that it reads, and where it leaves what it read.
        let [_, _, outputs, secret_outputs, _, manifests] = CONTRACT;
        let reads = [outputs, secret_outputs, manifests];
        let is_read = |one: &&Json| reads.iter().any(|name| one.get("name") == Some(&json!(name)));
        let mut told: Vec<Json> = environment.iter().filter(is_read).cloned().collect();
        told.push(json!({ "name": "DOWNBEAT_RESULT", "value": format!("{}-out", self.name) }));
        told.push(json!({ "name": "DOWNBEAT_NAMESPACE", "value": job.namespace }));
        let report = own(
            REPORT,
            "report",
            json!(told),
            json!([
                { "name": "downbeat-workspace", "mountPath": self.shared(), "readOnly": true },
                { "name": "downbeat-token", "mountPath": TOKEN, "readOnly": true },
                tmp,
            ]),
        );
        let mut pod = json!({
            "metadata": { "labels": self.labels(), "annotations": self.annotations() },
            "spec": {
                "restartPolicy": "Never",
                "serviceAccountName": job.service_account,
                // Only `report` speaks to the cluster, and gets a token of its own.
                "automountServiceAccountToken": false,
                "enableServiceLinks": false,
                "terminationGracePeriodSeconds": GRACE_SECONDS,
                "initContainers": [prepare, run],
                "containers": [report],
                "volumes": [
                    { "name": "downbeat-workspace", "emptyDir": {} },
                    { "name": "downbeat-tmp", "emptyDir": {} },
                    { "name": "downbeat-run", "projected": { "sources": sources } },
                    { "name": "downbeat-token", "projected": { "sources": token } },
                ],
            },
        });
        template::merge(&mut pod, &job.pod_template)?;
        Ok(pod)
    }
}
