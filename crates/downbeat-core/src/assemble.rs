//! Everything that a deployment made becomes one list of objects for a target.
//!
//! This is the last arrow of the path of data: manifests of resources and objects of workloads go
//! in, an apply order comes out, and with [`files`] the content of a GitOps repository.
//!
//! ```text
//! resources ─┐                 ┌─▶ apply one by one (cluster)
//!            ├─assemble─▶ [Object]
//! workloads ─┘                 └─files─▶ path → YAML, no secret in it (git)
//! ```
//!
//! Invariant: the result depends on the input alone, and its order is the order in which a cluster
//! can accept the objects: namespaces, custom types, other cluster-wide objects, objects of
//! resources in graph order, then workloads stage by stage.

mod external;
mod files;
mod kinds;

use std::borrow::Cow;
use std::collections::{HashMap, hash_map::Entry};
use std::fmt;
use std::sync::Arc;

use crate::manifest::Location;
use crate::module::Stage;
use crate::workload::Scope;
use crate::{Code, Document, Json, Manifest};

pub use external::externalize;
pub use files::files;
pub use kinds::is_cluster_scoped;

/// What a deployment made.
#[derive(Clone, Debug)]
pub struct Input<'a> {
    /// Where it is deployed.
    pub scope: Scope<'a>,
    /// The namespace of the environment.
    pub namespace: &'a str,
    /// What the resources returned, in graph order; the label names the resource in messages.
    /// Containers and volumes are not for here, they are in the workloads already.
    pub resources: Vec<(String, Vec<Manifest>)>,
    /// The objects of each workload, and its stage.
    pub workloads: Vec<(&'a str, Stage, Vec<Document>)>,
}

/// Who made an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// A resource, with the name of the manifest.
    Resource {
        /// The label of the resource.
        resource: Arc<str>,
        /// The name of the manifest.
        manifest: Arc<str>,
    },
    /// A workload.
    Workload(Arc<str>),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Resource { resource, manifest } => {
                write!(f, "resource `{resource}` (manifest `{manifest}`)")
            }
            Self::Workload(workload) => write!(f, "workload `{workload}`"),
        }
    }
}

/// An object, ready for a target.
#[derive(Clone, Debug, PartialEq)]
pub struct Object {
    /// `apiVersion`.
    pub api_version: String,
    /// `kind`.
    pub kind: String,
    /// `metadata.namespace`; none for what belongs to the whole cluster.
    pub namespace: Option<String>,
    /// `metadata.name`.
    pub name: String,
    /// The stage of the workload; none for what a resource made, which comes before all stages.
    pub stage: Option<Stage>,
    /// Who made it.
    pub origin: Origin,
    /// The object itself, with its namespace.
    pub document: Document,
}

impl Object {
    /// The API group; empty for the core group.
    #[must_use]
    pub fn group(&self) -> &str {
        group(&self.api_version)
    }
}

impl fmt::Display for Object {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} `{}`", self.kind, self.name)
    }
}

/// A mistake in one of the objects.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Error {
    /// What kind of mistake.
    pub code: Code,
    /// What was found and what was expected.
    pub message: String,
    /// Who made the object.
    pub origin: Origin,
    /// JSON pointer into the object; empty when the object as a whole is meant.
    pub pointer: String,
    /// What to do about it.
    pub hint: Option<String>,
}

/// Which object an object is, whatever its version and content.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct Identity<'a> {
    group: Cow<'a, str>,
    kind: Cow<'a, str>,
    namespace: Option<&'a str>,
    name: &'a str,
}

impl<'a> Identity<'a> {
    fn of(object: &'a Object) -> Self {
        Self {
            group: Cow::Borrowed(object.group()),
            kind: Cow::Borrowed(&object.kind),
            namespace: object.namespace.as_deref(),
            name: &object.name,
        }
    }
}

fn group(api_version: &str) -> &str {
    api_version.split_once('/').map_or("", |(group, _)| group)
}

/// When an object is applied. The order of the variants is the order of application.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Rank {
    Namespace,
    CustomType,
    Cluster,
    Resource,
    Workload(Stage),
}

/// Brings all objects into apply order, each once and with its namespace.
///
/// # Errors
/// All manifests that are not Kubernetes objects, and all objects that are described twice in
/// different ways.
pub fn assemble(input: Input<'_>) -> Result<Vec<Object>, Vec<Error>> {
    let mut errors = Vec::new();
    let mut ranked: Vec<(Rank, Object)> = Vec::new();
    for (resource, manifests) in input.resources {
        let resource: Arc<str> = Arc::from(resource);
        for manifest in manifests {
            if !matches!(manifest.location, Location::Namespace | Location::Cluster) {
                continue;
            }
            let origin = Origin::Resource {
                resource: Arc::clone(&resource),
                manifest: Arc::from(manifest.name.as_str()),
            };
            // A cluster manifest says itself where it belongs.
            let namespace = (manifest.location == Location::Namespace).then_some(input.namespace);
            match object(manifest.data, None, origin, namespace) {
                Ok(object) => {
                    let in_namespace = manifest.location == Location::Namespace;
                    ranked.push((rank(&object, in_namespace), object));
                }
                Err(error) => errors.push(error),
            }
        }
    }
    for (workload, stage, documents) in input.workloads {
        let origin = Origin::Workload(Arc::from(workload));
        for document in documents {
            match object(document, Some(stage), origin.clone(), Some(input.namespace)) {
                Ok(object) => ranked.push((Rank::Workload(stage), object)),
                Err(error) => errors.push(error),
            }
        }
    }
    ranked.sort_by_key(|(rank, _)| *rank);

    let mut seen: HashMap<_, &Object> = HashMap::with_capacity(ranked.len());
    let mut repeated = Vec::new();
    for (at, (_, object)) in ranked.iter().enumerate() {
        match seen.entry(Identity::of(object)) {
            Entry::Vacant(place) => {
                place.insert(object);
            }
            Entry::Occupied(known) => {
                repeated.push(at);
                if known.get().document != object.document {
                    errors.push(differs(known.get(), object));
                }
            }
        }
    }
    if !errors.is_empty() {
        return Err(errors);
    }
    let mut repeated = repeated.into_iter().peekable();
    let once = ranked.into_iter().enumerate();
    let once = once.filter(|(at, _)| repeated.next_if_eq(at).is_none());
    Ok(once.map(|(_, (_, object))| object).collect())
}

fn rank(object: &Object, in_namespace: bool) -> Rank {
    match (object.group(), object.kind.as_str()) {
        ("", "Namespace") => Rank::Namespace,
        ("apiextensions.k8s.io", "CustomResourceDefinition") => Rank::CustomType,
        (group, kind) if !in_namespace || is_cluster_scoped(group, kind) => Rank::Cluster,
        _ => Rank::Resource,
    }
}

fn differs(known: &Object, object: &Object) -> Error {
    let place = match &object.namespace {
        Some(namespace) => format!(" in namespace `{namespace}`"),
        None => String::new(),
    };
    let message = format!(
        "{object}{place} is described differently by {} and by {}",
        known.origin, object.origin
    );
    let pointer = difference(&known.document, &object.document).unwrap_or_default();
    let hint = format!(
        "they differ at `{}`; give one of them another name, for example with the id of its \
         resource",
        if pointer.is_empty() { "/" } else { &pointer }
    );
    Error {
        code: Code::Duplicate,
        message,
        origin: object.origin.clone(),
        pointer,
        hint: Some(hint),
    }
}

/// The first place where two documents differ.
fn difference(a: &Document, b: &Document) -> Option<String> {
    fn walk(a: &Json, b: &Json, at: &mut Vec<String>) -> bool {
        match (a, b) {
            _ if a == b => false,
            (Json::Object(a), Json::Object(b)) => {
                let key = a.keys().chain(b.keys()).find(|key| a.get(*key) != b.get(*key));
                if let Some(key) = key {
                    at.push(key.replace('~', "~0").replace('/', "~1"));
                    if let (Some(a), Some(b)) = (a.get(key), b.get(key)) {
                        walk(a, b, at);
                    }
                }
                true
            }
            (Json::Array(a), Json::Array(b)) if a.len() == b.len() => {
                let pairs = a.iter().zip(b).enumerate();
                if let Some((index, (a, b))) = pairs.into_iter().find(|(_, (a, b))| a != b) {
                    at.push(index.to_string());
                    walk(a, b, at);
                }
                true
            }
            _ => true,
        }
    }
    let mut at = Vec::new();
    if walk(&a.value, &b.value, &mut at) {
        return Some(at.iter().map(|key| format!("/{key}")).collect());
    }
    let secrets = a.secrets.keys().chain(b.secrets.keys());
    secrets.into_iter().find(|key| a.secrets.get(*key) != b.secrets.get(*key)).cloned()
}

/// Reads a document as a Kubernetes object and puts it into a namespace: the one given, unless it
/// names one itself or belongs to the whole cluster.
fn object(
    mut document: Document,
    stage: Option<Stage>,
    origin: Origin,
    namespace: Option<&str>,
) -> Result<Object, Error> {
    let read = |pointer: &str| {
        let problem = match member(&document.value, pointer) {
            _ if document.secrets.contains_key(pointer) => "holds a secret",
            Some(Json::String(text)) if text.trim().is_empty() => "is empty",
            Some(Json::String(text)) => return Ok(text.clone()),
            None | Some(Json::Null) => "is missing",
            Some(_) => "is not a string",
        };
        let member = pointer.trim_start_matches('/').replace('/', ".");
        let secret = problem == "holds a secret";
        Err(Error {
            code: if secret { Code::SecretMisuse } else { Code::BadManifest },
            message: format!("{origin} returned no Kubernetes object: `{member}` {problem}"),
            origin: origin.clone(),
            pointer: pointer.to_owned(),
            hint: hint(&document.value, pointer),
        })
    };
    if !document.value.is_object() {
        return Err(Error {
            code: Code::BadManifest,
            message: format!("{origin} returned no Kubernetes object: its data is not an object"),
            origin,
            pointer: String::new(),
            hint: Some("a template that renders to nothing leaves `data` empty".to_owned()),
        });
    }
    let api_version = read("/apiVersion")?;
    let kind = read("/kind")?;
    let name = read("/metadata/name")?;
    let own = match member(&document.value, "/metadata/namespace") {
        None | Some(Json::Null) if !document.secrets.contains_key("/metadata/namespace") => None,
        _ => Some(read("/metadata/namespace")?),
    };

    let namespace = if is_cluster_scoped(group(&api_version), &kind) {
        None
    } else {
        own.or_else(|| namespace.map(str::to_owned))
    };
    if let Some(Json::Object(metadata)) = document.value.get_mut("metadata") {
        match &namespace {
            Some(namespace) => {
                metadata.insert("namespace".to_owned(), Json::from(namespace.as_str()));
            }
            None => {
                metadata.remove("namespace");
            }
        }
    }
    Ok(Object { api_version, kind, namespace, name, stage, origin, document })
}

/// The value at a pointer of plain names. Made for every object: the general way is slow.
fn member<'a>(value: &'a Json, pointer: &str) -> Option<&'a Json> {
    pointer.split('/').skip(1).try_fold(value, |value, name| value.get(name))
}

fn hint(value: &Json, pointer: &str) -> Option<String> {
    let list = value.get("items").is_some_and(Json::is_array);
    let generated = value.pointer("/metadata/generateName").is_some();
    match pointer {
        "/metadata/name" if list => Some("return each item of the list as its own manifest".into()),
        "/metadata/name" if generated => Some(
            "`generateName` would make a new object at every deployment: build the name from the \
             id of the resource"
                .into(),
        ),
        _ => None,
    }
}
