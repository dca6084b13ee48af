//! Names of objects, and the labels that all of them carry.
//!
//! Invariant: two different things of one kind never get the same name. Names are joined by `-`,
//! and hyphens inside the later parts are doubled, so that workload `a` with container `b-c` and
//! workload `a-b` with container `c` stay apart (`a-b--c-env`, `a-b-c-env`).

use aws_lc_rs::digest;

use super::Context;
use crate::{Json, JsonMap};

/// Label that selects the pods of a workload; its value is the workload id.
pub const NAME: &str = "app.kubernetes.io/name";
/// Label with the workload id on everything that a workload is made of.
pub const WORKLOAD: &str = "humanitec.io/workload";
/// Label with the environment id.
pub const INSTANCE: &str = "app.kubernetes.io/instance";
/// Label with the application id.
pub const PART_OF: &str = "app.kubernetes.io/part-of";
/// Label that says that we made the object.
pub const MANAGED_BY: &str = "app.kubernetes.io/managed-by";
/// Pod annotation that changes with the content of variables and files, so that pods roll.
pub const CHECKSUM: &str = "downbeat.dev/config-checksum";

/// The longest name that may also be a label value, a Service or a Job.
const LABEL: usize = 63;
/// A CronJob appends eleven characters to name its Jobs.
const CRON_JOB: usize = 52;
/// The longest name of a ConfigMap or Secret, and of a key in one.
const SUBDOMAIN: usize = 253;

/// The name of the controller and of the Service of a workload.
#[must_use]
pub fn object_name(workload: &str) -> String {
    shortened(workload.to_owned(), LABEL)
}

/// The name of the CronJob of one schedule.
#[must_use]
pub fn cron_job_name(workload: &str, schedule: &str) -> String {
    shortened(format!("{workload}-{}", schedule.replace('-', "--")), CRON_JOB)
}

/// The name of the ConfigMap or Secret that holds `what` (`env`, `files`) of a container.
pub(super) fn config_name(workload: &str, container: &str, what: &str) -> String {
    shortened(format!("{workload}-{}-{what}", container.replace('-', "--")), SUBDOMAIN)
}

/// The name of a volume inside the pod.
pub(super) fn volume_name(prefix: &str, container: &str) -> String {
    shortened(format!("{prefix}-{container}"), LABEL)
}

/// The key of a variable: its name where Kubernetes allows that. `schedule` is given for a value
/// that holds for one schedule only.
pub(super) fn variable_key(variable: &str, schedule: Option<&str>) -> String {
    let valid = variable.len() <= SUBDOMAIN - 11
        && !variable.is_empty()
        && variable != "."
        && !variable.starts_with("..")
        && variable.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._".contains(&b));
    match (valid, schedule) {
        (true, None) => variable.to_owned(),
        (true, Some(schedule)) => format!("{variable}.{}", hash(&[schedule, variable], 10)),
        (false, schedule) => format!("v.{}", hash(&[schedule.unwrap_or(""), variable], 32)),
    }
}

/// The key of a file. Paths contain `/`, which keys may not.
pub(super) fn file_key(path: &str, schedule: Option<&str>) -> String {
    hash(&[schedule.unwrap_or(""), path], 32)
}

/// `name`, cut to `limit` characters with the hash of the whole at its end.
fn shortened(name: String, limit: usize) -> String {
    const HASH: usize = 10;
    if name.chars().count() <= limit {
        return name;
    }
    let kept: String = name.chars().take(limit.saturating_sub(HASH + 1)).collect();
    format!("{}-{}", kept.trim_end_matches('-'), hash(&[&name], HASH))
}

/// The first `length` hex digits of the SHA-256 of the parts.
fn hash(parts: &[&str], length: usize) -> String {
    let mut context = digest::Context::new(&digest::SHA256);
    for part in parts {
        context.update(&part.len().to_be_bytes());
        context.update(part.as_bytes());
    }
    let mut text = hex(context.finish().as_ref());
    text.truncate(length);
    text
}

/// Lower-case hex digits.
pub(super) fn hex(bytes: &[u8]) -> String {
    bytes
        .iter()
        .flat_map(|byte| [byte >> 4, byte & 15])
        .filter_map(|digit| char::from_digit(u32::from(digit), 16))
        .collect()
}

/// Whether the text is a DNS label (RFC 1123), as containers, volumes and ports are named.
pub(super) fn is_dns_label(name: &str) -> bool {
    let inner = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    name.len() <= LABEL
        && name.bytes().all(|b| inner(b) || b == b'-')
        && name.bytes().next().is_some_and(inner)
        && name.bytes().last().is_some_and(inner)
}

/// The labels that select the pods of the workload. Selectors are immutable in Kubernetes: this
/// must not change with anything but the workload id.
pub(super) fn selector(context: &Context<'_>) -> JsonMap {
    let mut labels = JsonMap::new();
    labels.insert(NAME.to_owned(), Json::String(object_name(context.workload.id)));
    labels
}

/// The labels that the user may not change: selection and ownership hang on them.
fn fixed(context: &Context<'_>) -> [(&'static str, String); 3] {
    let name = object_name(context.workload.id);
    [(NAME, name.clone()), (WORKLOAD, name), (MANAGED_BY, "downbeat".to_owned())]
}

/// The labels of an object: the user's, with ours added.
pub(super) fn labels(context: &Context<'_>, user: JsonMap) -> Json {
    let mut labels = user;
    let scope = context.scope;
    for (key, value) in [(INSTANCE, scope.env), (PART_OF, scope.app)] {
        labels.entry(key).or_insert_with(|| Json::String(shortened(value.to_owned(), LABEL)));
    }
    for (key, value) in fixed(context) {
        labels.insert(key.to_owned(), Json::String(value));
    }
    Json::Object(labels)
}

/// The metadata of an object.
pub(super) fn metadata(
    context: &Context<'_>,
    name: Option<String>,
    labels: JsonMap,
    annotations: JsonMap,
) -> Json {
    let mut metadata = JsonMap::new();
    if let Some(name) = name {
        metadata.insert("name".to_owned(), Json::String(name));
    }
    metadata.insert("labels".to_owned(), self::labels(context, labels));
    if !annotations.is_empty() {
        metadata.insert("annotations".to_owned(), Json::Object(annotations));
    }
    Json::Object(metadata)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_stay_apart() {
        assert_eq!(config_name("web", "main", "env"), "web-main-env");
        assert_eq!(config_name("a", "b-c", "env"), "a-b--c-env");
        assert_eq!(config_name("a-b", "c", "env"), "a-b-c-env");
    }

    #[test]
    fn long_names_are_cut_and_stay_different() {
        let long = "w".repeat(63);
        let (a, b) = (cron_job_name(&long, "one"), cron_job_name(&long, "two"));
        assert_eq!((a.len(), b.len()), (52, 52));
        assert_ne!(a, b);
        assert_eq!(a, cron_job_name(&long, "one"));
        assert!(is_dns_label(&a));
        // The cut does not leave a hyphen before the hash's own.
        let hyphen = cron_job_name(&format!("{}-x", "w".repeat(40)), &"s".repeat(30));
        assert!(!hyphen.contains("--"), "{hyphen}");
    }

    #[test]
    fn keys_are_what_kubernetes_allows() {
        assert_eq!(variable_key("LOG_LEVEL", None), "LOG_LEVEL");
        assert_eq!(variable_key("a.b-c", None), "a.b-c");
        for odd in ["..a", ".", "a b", "ä", &"x".repeat(300)] {
            let key = variable_key(odd, None);
            assert!(key.starts_with("v.") && key.len() == 34, "{key}");
        }
        assert_ne!(variable_key("A", Some("x")), variable_key("A", Some("y")));
        assert_ne!(file_key("/a", None), file_key("/a", Some("x")));
    }
}
