//! A finished workload becomes Kubernetes objects.
//!
//! This is the last box of the path of data before *assemble*: the module spec is final (updates
//! applied, placeholders resolved), every resource is there, and what remains is translation.
//!
//! ```text
//! spec ─┬─ containers ──▶ ConfigMap, Secret   <w>-<c>-env, <w>-<c>-files
//!       ├─ service    ──▶ Service             <w>
//!       └─ pod, …     ──▶ Deployment │ Job │ StatefulSet  <w>, or one CronJob per schedule
//! ```
//!
//! Invariant: a secret leaves this module only as a leaf below `/stringData` of a `Secret`. It may
//! come in as a variable or as the content of a file; everywhere else it is a mistake.
//!
//! Which member of the spec means what depends on the profile:
//!
//! | Profile | Controller | Members besides `containers`, `pod`, `volumes`, `labels`, `annotations` |
//! | --- | --- | --- |
//! | `humanitec/default-module` | Deployment | `deployment`, `service`, `replicas` |
//! | `downbeat/stateful` | StatefulSet | `statefulset`, `service`, `replicas` |
//! | `humanitec/default-job` | Job | `job` |
//! | `humanitec/default-cronjob` | CronJob per entry of `schedules` | `cronjob`, `job`, `schedules` |
//!
//! The names with `humanitec/` are the ones that existing modules and converters write; the
//! stateful profile is ours and therefore carries our name. A member of another profile is a
//! mistake unless it is empty. All members not known here are fields of the PodSpec.

mod config;
mod container;
mod controller;
mod mistakes;
mod mount;
mod name;
mod pod;
mod probe;
mod read;
mod service;

use std::collections::BTreeMap;

use crate::{Code, Document, Json, JsonMap, Manifest, json, suggest};

use config::Config;
pub(crate) use config::is_base64;
use mistakes::{At, Mistakes};
pub use name::{CHECKSUM, INSTANCE, MANAGED_BY, NAME, PART_OF, WORKLOAD};
pub use name::{cron_job_name, object_name};

/// A workload with everything it needs from elsewhere.
#[derive(Clone, Copy, Debug)]
pub struct Workload<'a> {
    /// The module id.
    pub id: &'a str,
    /// The profile, for example `humanitec/default-module`.
    pub profile: &'a str,
    /// The final module spec: updates applied, placeholders resolved.
    pub spec: &'a Document,
    /// Manifests with location `containers`, in graph order.
    pub containers: &'a [Manifest],
    /// Manifests with location `volumes`, in graph order.
    pub volumes: &'a [Manifest],
    /// From the id in a volume mount (`externals.tmp`, `shared.x`) to the name of the Kubernetes
    /// volume that this resource returned.
    pub mounts: &'a BTreeMap<String, String>,
    /// Whether an autoscaler targets the workload; then no replicas are written.
    pub autoscaled: bool,
    /// The scale asked for at run time; counts when the spec says nothing about replicas.
    pub scale: Option<u32>,
}

/// Where the workload is deployed; ends up in labels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Scope<'a> {
    /// Organization id.
    pub org: &'a str,
    /// Application id.
    pub app: &'a str,
    /// Environment id.
    pub env: &'a str,
    /// Environment type.
    pub env_type: &'a str,
}

/// A mistake in one workload.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Error {
    /// What kind of mistake.
    pub code: Code,
    /// What was found and what was expected.
    pub message: String,
    /// JSON pointer into the module spec; empty when the mistake is not in the spec itself.
    pub pointer: String,
    /// What to do about it.
    pub hint: Option<String>,
}

/// Which controller a module becomes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Profile {
    /// `humanitec/default-module`: a Deployment.
    Deployment,
    /// `humanitec/default-job`: a Job, run at deployment.
    Job,
    /// `humanitec/default-cronjob`: a CronJob per schedule.
    CronJob,
    /// `downbeat/stateful`: a StatefulSet.
    StatefulSet,
}

impl Profile {
    const NAMES: [(&'static str, Self); 4] = [
        ("humanitec/default-module", Self::Deployment),
        ("humanitec/default-job", Self::Job),
        ("humanitec/default-cronjob", Self::CronJob),
        ("downbeat/stateful", Self::StatefulSet),
    ];

    /// The profile with this name.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Self::NAMES.iter().find(|(known, _)| *known == name).map(|(_, profile)| *profile)
    }

    /// What to write in place of a name that no profile has.
    #[must_use]
    pub fn suggestion(name: &str) -> String {
        let known = Self::NAMES.map(|(name, _)| name);
        match suggest::nearest(name, known) {
            Some(name) => format!("did you mean `{name}`?"),
            None => format!("known profiles: {}", known.join(", ")),
        }
    }

    /// The name, as a module carries it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Deployment => "humanitec/default-module",
            Self::Job => "humanitec/default-job",
            Self::CronJob => "humanitec/default-cronjob",
            Self::StatefulSet => "downbeat/stateful",
        }
    }

    /// The member of the spec that reaches the controller itself.
    fn feature(self) -> &'static str {
        match self {
            Self::Deployment => "deployment",
            Self::Job => "job",
            Self::CronJob => "cronjob",
            Self::StatefulSet => "statefulset",
        }
    }

    fn understands(self, feature: &str) -> bool {
        match feature {
            "service" | "replicas" => matches!(self, Self::Deployment | Self::StatefulSet),
            "job" => matches!(self, Self::Job | Self::CronJob),
            "schedules" => self == Self::CronJob,
            _ => self.feature() == feature,
        }
    }
}

/// Members of the spec that belong to some profiles only.
const FEATURES: [&str; 7] =
    ["cronjob", "deployment", "job", "replicas", "schedules", "service", "statefulset"];

/// Members of the spec that are not fields of the PodSpec.
const MEMBERS: [&str; 13] = [
    "annotations",
    "containers",
    "cronjob",
    "deployment",
    "ingress",
    "job",
    "labels",
    "pod",
    "replicas",
    "schedules",
    "service",
    "statefulset",
    "volumes",
];

/// What the parts of the translation read.
struct Context<'a> {
    workload: &'a Workload<'a>,
    profile: Profile,
    spec: &'a JsonMap,
    scope: &'a Scope<'a>,
}

/// The Kubernetes objects of a workload, in the order in which they should be applied: what the
/// pods read, then the services, then the controllers. Nothing carries a namespace yet.
///
/// # Errors
/// All mistakes of the workload, each with its place in the spec.
pub fn objects(workload: &Workload<'_>, scope: &Scope<'_>) -> Result<Vec<Document>, Vec<Error>> {
    let mut mistakes = Mistakes::default();
    let Some(profile) = profile(workload, &mut mistakes) else {
        return Err(mistakes.into_errors());
    };
    let spec = json::sorted(&workload.spec.value);
    let Json::Object(spec) = &*spec else {
        let found = read::kind(&workload.spec.value);
        let message =
            format!("the spec of workload `{}` must be an object, not {found}", workload.id);
        mistakes.add(Code::Workload, At::ROOT, message);
        return Err(mistakes.into_errors());
    };
    let context = Context { workload, profile, spec, scope };

    misplaced_secrets(workload, &mut mistakes);
    foreign_members(&context, &mut mistakes);
    if !name::is_dns_label(workload.id) {
        let message = format!(
            "workload id `{}` cannot name Kubernetes objects: it must be lower-case letters, \
             digits and `-`, start and end with a letter or digit, and have at most 63 characters",
            workload.id
        );
        mistakes.add(Code::Workload, At::ROOT, message);
    }

    let services = service::services(&context, &mut mistakes);
    let mut config = Config::new(workload.id);
    let controllers = controller::controllers(&context, &services, &mut config, &mut mistakes);
    mistakes.into_result(|| {
        let mut objects = config.into_objects(&context);
        objects.extend(services.objects.into_iter().chain(controllers).map(Document::plain));
        objects
    })
}

fn profile(workload: &Workload<'_>, mistakes: &mut Mistakes) -> Option<Profile> {
    let profile = Profile::parse(workload.profile);
    if profile.is_none() {
        let hint = Profile::suggestion(workload.profile);
        let message =
            format!("workload `{}` has the unknown profile `{}`", workload.id, workload.profile);
        mistakes.add(Code::UnknownProfile, At::ROOT, message).hint(hint);
    }
    profile
}

/// Secrets may stand in variables and file contents only: these two go into a Secret that the pod
/// refers to, everything else is written into objects that anybody may read.
fn misplaced_secrets(workload: &Workload<'_>, mistakes: &mut Mistakes) {
    for pointer in workload.spec.secrets.keys() {
        let mut parts = pointer.split('/').skip(1);
        if pointer.starts_with("/schedules/") {
            parts.nth(1);
        }
        let place = [parts.next(), parts.next(), parts.next(), parts.next(), parts.next()];
        let allowed = match place {
            [Some("containers"), Some(_), Some("variables"), Some(_), None] => true,
            [Some("containers"), Some(_), Some("files"), Some(_), Some("value")] => {
                parts.next().is_none()
            }
            _ => false,
        };
        if allowed {
            continue;
        }
        let hint = match place {
            [Some("containers"), Some(_), Some("variables"), ..]
            | [Some("containers"), Some(_), Some("files"), Some(_), Some("value")] => {
                "the whole value becomes one secret text: refer to the secret itself instead of an \
                 object that contains it"
            }
            [Some("containers"), Some(_), Some("command" | "args"), ..] => {
                "put it under `variables` and write `$(NAME)` here"
            }
            [Some("containers"), Some(_), Some("env"), ..] => {
                "put it under `variables` of the container instead of `env`"
            }
            _ => "only `variables` and the `value` of `files` of a container may hold secrets",
        };
        let message = format!(
            "workload `{}` has a secret at `{pointer}`, where it would be readable in clear",
            workload.id
        );
        mistakes.add_at(Code::SecretMisuse, pointer.clone(), message).hint(hint);
    }
}

/// Members that mean nothing under this profile. Empty ones are let through: converters write
/// them as skeletons.
fn foreign_members(context: &Context<'_>, mistakes: &mut Mistakes) {
    let Context { workload, profile, spec, .. } = context;
    for feature in FEATURES {
        let Some(value) = spec.get(feature) else { continue };
        let asked = match feature {
            "service" => value.get("ports").is_some_and(|ports| !read::is_empty(ports)),
            _ => !read::is_empty(value),
        };
        if !asked || profile.understands(feature) {
            continue;
        }
        let message = format!(
            "`{feature}` has no meaning in workload `{}`: its profile is `{}`",
            workload.id,
            profile.name()
        );
        let hint = match feature {
            "cronjob" | "deployment" | "job" | "statefulset" => {
                format!("this profile reads `{}`", profile.feature())
            }
            "schedules" => "only `humanitec/default-cronjob` runs on schedules".to_owned(),
            _ => format!("a {} is not scaled and takes no traffic", profile.feature()),
        };
        mistakes.add(Code::Workload, &At::ROOT.member(feature), message).hint(hint);
    }
    if spec.get("ingress").is_some_and(|ingress| !read::is_empty(ingress)) {
        let message = format!(
            "`ingress` of workload `{}` is the old way to route traffic and is not supported",
            workload.id
        );
        mistakes
            .add(Code::Workload, &At::ROOT.member("ingress"), message)
            .hint("add resources of type `dns` and `route` to the workload instead");
    }
}

/// An object with these members. Unlike `json!` it moves what it is given.
pub(crate) fn members<const N: usize>(members: [(&str, Json); N]) -> JsonMap {
    members.into_iter().map(|(key, value)| (key.to_owned(), value)).collect()
}

#[cfg(test)]
mod tests {
    use super::{FEATURES, MEMBERS, Profile};

    #[test]
    fn profile_names_are_read_back() {
        for (name, profile) in Profile::NAMES {
            assert_eq!(Profile::parse(name), Some(profile));
            assert_eq!(profile.name(), name);
        }
    }

    #[test]
    fn every_feature_is_a_member() {
        assert!(FEATURES.iter().all(|feature| MEMBERS.contains(feature)));
    }
}
