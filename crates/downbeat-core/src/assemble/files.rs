//! The layout of a GitOps repository: one object per file.
//!
//! ```text
//! kustomization.yaml                    all files, in apply order
//! namespace/<name>.yaml
//! cluster/<kind>-<name>.yaml            what belongs to the whole cluster
//! resources/<kind>-<name>.yaml          what resources made
//! workloads/<w>/<kind>[-<name>].yaml    what a workload made
//! ```
//!
//! Invariant: a path depends on the object alone, unless two objects would share it; then all of
//! those carry a hash of what they are. Paths hold nothing but lower-case letters, digits, `-`,
//! `_`, `.` and single `/`, and no part begins with a dot.

use std::borrow::Cow;
use std::collections::BTreeMap;

use aws_lc_rs::digest;
use serde_json::json;

use super::external::externalize;
use super::{Error, Identity, Object, Origin};
use crate::{Code, Json, workload, yaml};

/// The longest part of a path, without `.yaml`.
const PART: usize = 120;

/// The files of a GitOps repository: relative path to content.
///
/// # Errors
/// All objects that a repository cannot hold, and objects that meet an `ExternalSecret` made from
/// a Secret of the same name.
pub fn files(objects: &[Object]) -> Result<BTreeMap<String, String>, Vec<Error>> {
    let mut errors = Vec::new();
    let mut entries: Vec<Entry<'_>> = Vec::with_capacity(objects.len());
    let mut seen: BTreeMap<Identity<'_>, &Object> = BTreeMap::new();
    for object in objects {
        let value = match externalize(object) {
            Ok(value) => value,
            Err(error) => {
                errors.push(error);
                continue;
            }
        };
        let entry = Entry::new(object, value);
        if let Some(known) = seen.insert(entry.identity.clone(), object) {
            errors.push(meets(known, object, &entry.identity));
        }
        entries.push(entry);
    }
    if !errors.is_empty() {
        return Err(errors);
    }

    let mut users: BTreeMap<&str, usize> = BTreeMap::new();
    for entry in &entries {
        *users.entry(entry.path.as_str()).or_default() += 1;
    }
    let shared: Vec<bool> =
        entries.iter().map(|entry| users.get(entry.path.as_str()) != Some(&1)).collect();

    let mut files = BTreeMap::new();
    let mut paths = Vec::with_capacity(entries.len());
    for (entry, shared) in entries.iter().zip(shared) {
        let path = match shared {
            true => format!("{}-{}.yaml", entry.path, hash(&entry.identity)),
            false => format!("{}.yaml", entry.path),
        };
        if files.insert(path.clone(), yaml::to_string(&entry.value)).is_some() {
            errors.push(Error {
                code: Code::Duplicate,
                message: format!("two objects would both be the file `{path}`"),
                origin: entry.origin.clone(),
                pointer: String::new(),
                hint: Some(format!(
                    "give {} `{}` another name",
                    entry.identity.kind, entry.identity.name
                )),
            });
        }
        paths.push(Json::String(path));
    }
    let kustomization = json!({
        "apiVersion": "kustomize.config.k8s.io/v1beta1",
        "kind": "Kustomization",
        "resources": paths,
        // Keep the order of the list instead of sorting by kind.
        "sortOptions": {"order": "fifo"},
    });
    files.insert("kustomization.yaml".to_owned(), yaml::to_string(&kustomization));
    if errors.is_empty() { Ok(files) } else { Err(errors) }
}

fn meets(known: &Object, object: &Object, identity: &Identity<'_>) -> Error {
    Error {
        code: Code::Duplicate,
        message: format!(
            "{known}, made by {}, and {object}, made by {}, would both be the {} `{}` in the \
             repository",
            known.origin, object.origin, identity.kind, identity.name
        ),
        origin: object.origin.clone(),
        pointer: String::new(),
        hint: Some("give one of them another name".to_owned()),
    }
}

struct Entry<'a> {
    identity: Identity<'a>,
    /// Without `.yaml`.
    path: String,
    value: Cow<'a, Json>,
    origin: Origin,
}

impl<'a> Entry<'a> {
    fn new(object: &'a Object, value: Cow<'a, Json>) -> Self {
        let mut identity = Identity::of(object);
        if let Cow::Owned(other) = &value {
            let text = |member: &str| other.get(member).and_then(Json::as_str).unwrap_or_default();
            identity.group = super::group(text("apiVersion")).to_owned().into();
            identity.kind = text("kind").to_owned().into();
        }
        let mut safe = Safe { changed: false };
        let kind = safe.part(&identity.kind);
        let full = safe.part(&format!("{}-{}", identity.kind, identity.name));
        let mut path = match &object.origin {
            Origin::Workload(id) => {
                let folder = safe.part(id);
                let main = object.name == workload::object_name(id);
                format!("workloads/{folder}/{}", if main { kind } else { full })
            }
            Origin::Resource { .. }
                if identity.kind == "Namespace" && identity.group.is_empty() =>
            {
                format!("namespace/{}", safe.part(identity.name))
            }
            Origin::Resource { .. } if object.namespace.is_none() => format!("cluster/{full}"),
            Origin::Resource { .. } => format!("resources/{full}"),
        };
        if safe.changed {
            path = format!("{path}-{}", hash(&identity));
        }
        Self { identity, path, value, origin: object.origin.clone() }
    }
}

/// Makes parts of paths, and notes whether something of the name was lost.
struct Safe {
    changed: bool,
}

impl Safe {
    fn part(&mut self, name: &str) -> String {
        let lower = name.to_ascii_lowercase();
        let mut part: String = lower
            .chars()
            .map(|c| match c {
                'a'..='z' | '0'..='9' | '-' | '_' | '.' => c,
                _ => '-',
            })
            .take(PART)
            .collect();
        if part.starts_with('.') {
            part.replace_range(..1, "-");
        }
        self.changed |= part != lower;
        part
    }
}

/// Twelve hex digits that stand for the identity of an object.
fn hash(identity: &Identity<'_>) -> String {
    let mut context = digest::Context::new(&digest::SHA256);
    let namespace = identity.namespace;
    let scope = if namespace.is_some() { "namespaced" } else { "cluster" };
    for part in
        [&*identity.group, &*identity.kind, scope, namespace.unwrap_or_default(), identity.name]
    {
        context.update(&part.len().to_be_bytes());
        context.update(part.as_bytes());
    }
    let digest = context.finish();
    digest.as_ref().iter().take(6).map(|byte| format!("{byte:02x}")).collect()
}
