//! The pod template: what the spec says about pods, the containers, and what resources inject.

use std::borrow::Cow;

use super::container::Containers;
use super::mistakes::{At, Mistakes};
use super::{CHECKSUM, Context, MEMBERS, Profile, name, read};
use crate::{Code, Json, JsonMap, Manifest};

/// Assembles the pod template.
pub(super) fn template(
    context: &Context<'_>,
    containers: Containers,
    checksum: Option<&str>,
    mistakes: &mut Mistakes,
) -> Json {
    let at = At::ROOT.member("pod");
    let empty = JsonMap::new();
    let pod = read::object(context.spec.get("pod"), &at, mistakes).unwrap_or(&empty);

    let mut labels = JsonMap::new();
    let mut annotations = JsonMap::new();
    for (members, at) in [(context.spec, At::ROOT), (pod, &at)] {
        read::texts(members.get("labels"), &at.member("labels"), &mut labels, mistakes);
        let place = at.member("annotations");
        read::texts(members.get("annotations"), &place, &mut annotations, mistakes);
    }
    if let Some(checksum) = checksum {
        annotations.insert(CHECKSUM.to_owned(), Json::from(checksum));
    }

    let mut spec = JsonMap::new();
    for (field, value) in pod {
        match field.as_str() {
            "annotations" | "labels" | "volumes" => {}
            "containers" => {
                let message =
                    format!("`pod.containers` of workload `{}` cannot be set", context.workload.id);
                mistakes
                    .add(Code::Workload, &at.member(field), message)
                    .hint("declare containers under `containers`");
            }
            _ if value.is_null() => {}
            _ => {
                spec.insert(field.clone(), value.clone());
            }
        }
    }
    for (field, value) in context.spec {
        if !MEMBERS.contains(&field.as_str()) && !value.is_null() {
            spec.insert(field.clone(), value.clone());
        }
    }
    if matches!(context.profile, Profile::Job | Profile::CronJob) {
        // Kubernetes insists on a choice. `Never` keeps the logs of failed attempts.
        spec.entry("restartPolicy").or_insert_with(|| Json::from("Never"));
    }

    let mut volumes = List::new("volume", containers.volumes);
    own_volumes(context, pod, &mut volumes, mistakes);
    volumes.inject(context, context.workload.volumes, mistakes);
    let mut containers = List::new("container", containers.containers);
    containers.inject(context, context.workload.containers, mistakes);
    spec.insert("containers".to_owned(), Json::Array(containers.items));
    if !volumes.items.is_empty() {
        spec.insert("volumes".to_owned(), Json::Array(volumes.items));
    }
    Json::Object(super::members([
        ("metadata", name::metadata(context, None, labels, annotations)),
        ("spec", Json::Object(spec)),
    ]))
}

/// Volumes that do not come from resources: `volumes` of the spec as a map from name to source or
/// as the list of the PodSpec, and the list under `pod`.
fn own_volumes(
    context: &Context<'_>,
    pod: &JsonMap,
    volumes: &mut List<'_>,
    mistakes: &mut Mistakes,
) {
    let pod_at = At::ROOT.member("pod");
    let pod_at = pod_at.member("volumes");
    let at = At::ROOT.member("volumes");
    match context.spec.get("volumes") {
        Some(Json::Object(map)) => {
            for (name, source) in map {
                let at = at.member(name);
                let Some(source) = read::object(Some(source), &at, mistakes) else { continue };
                if !name::is_dns_label(name) {
                    let message = format!("`{name}` cannot name a volume: it is not a DNS label");
                    mistakes.add(Code::Workload, &at, message);
                }
                let mut volume = source.clone();
                volume.insert("name".to_owned(), Json::from(name.as_str()));
                let volume = Cow::Owned(Json::Object(volume));
                volumes.add(context, volume, Origin::Spec, at.pointer(), mistakes);
            }
        }
        raw => volumes.add_raw(context, raw, &at, mistakes),
    }
    volumes.add_raw(context, pod.get("volumes"), &pod_at, mistakes);
}

/// Named things of one pod, without repeats.
struct List<'a> {
    what: &'static str,
    items: Vec<Json>,
    /// Who brought each item.
    origins: Vec<Origin<'a>>,
}

#[derive(Clone, Copy)]
enum Origin<'a> {
    Spec,
    Manifest(&'a str),
}

impl<'a> List<'a> {
    fn new(what: &'static str, items: Vec<Json>) -> Self {
        let origins = vec![Origin::Spec; items.len()];
        Self { what, items, origins }
    }

    fn add_raw(
        &mut self,
        context: &Context<'_>,
        raw: Option<&Json>,
        at: &At<'_>,
        mistakes: &mut Mistakes,
    ) {
        let items = read::list(raw, at, mistakes).unwrap_or(&[]);
        for (index, item) in items.iter().enumerate() {
            if item.get("name").and_then(Json::as_str).is_none_or(str::is_empty) {
                let message = format!("entry {index} of `{}` has no `name`", at.pointer());
                mistakes.add_in_list(at, index, message);
                continue;
            }
            let pointer = format!("{}/{index}", at.pointer());
            self.add(context, Cow::Borrowed(item), Origin::Spec, pointer, mistakes);
        }
    }

    fn inject(
        &mut self,
        context: &Context<'_>,
        manifests: &'a [Manifest],
        mistakes: &mut Mistakes,
    ) {
        let (what, workload) = (self.what, context.workload.id);
        for manifest in manifests {
            let name = &manifest.name;
            for pointer in manifest.data.secrets.keys() {
                let message = format!(
                    "{what} manifest `{name}`, injected into workload `{workload}`, has a secret \
                     at `{pointer}`, where it would be readable in clear"
                );
                mistakes
                    .add(Code::SecretMisuse, At::ROOT, message)
                    .hint("return a Secret with location `namespace` too, and refer to it here");
            }
            let value = &manifest.data.value;
            if value.get("name").and_then(Json::as_str).is_none_or(str::is_empty) {
                let message = format!(
                    "{what} manifest `{name}`, injected into workload `{workload}`, has no `name`"
                );
                mistakes.add(Code::BadManifest, At::ROOT, message);
                continue;
            }
            let origin = Origin::Manifest(name);
            self.add(context, Cow::Borrowed(value), origin, String::new(), mistakes);
        }
    }

    /// Adds an item. One of the same name is fine when it is the same in all.
    fn add(
        &mut self,
        context: &Context<'_>,
        item: Cow<'_, Json>,
        origin: Origin<'a>,
        pointer: String,
        mistakes: &mut Mistakes,
    ) {
        let name = item.get("name");
        let known =
            self.items.iter().zip(&self.origins).find(|(known, _)| known.get("name") == name);
        let Some((known, first)) = known else {
            self.items.push(item.into_owned());
            self.origins.push(origin);
            return;
        };
        if *known == *item {
            return;
        }
        let say = |origin: &Origin<'_>| match origin {
            Origin::Spec => "the workload itself".to_owned(),
            Origin::Manifest(name) => format!("manifest `{name}`"),
        };
        let message = format!(
            "{} `{}` of workload `{}` is described differently by {} and by {}",
            self.what,
            name.and_then(Json::as_str).unwrap_or_default(),
            context.workload.id,
            say(first),
            say(&origin),
        );
        mistakes
            .add_at(Code::Duplicate, pointer, message)
            .hint("give one of them another name, for example with the id of its resource");
    }
}
