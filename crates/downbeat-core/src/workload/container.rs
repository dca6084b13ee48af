//! Containers of the spec become containers of the pod. What is mounted into them is in
//! [`mount`](super::mount).

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use super::config::{Bundle, Config, LIMIT};
use super::mistakes::{At, Mistakes};
use super::{Context, members, name, probe, read};
use crate::{Code, Json, JsonMap, SecretExpr, suggest};

/// The containers of one pod, and the volumes that hold their files.
#[derive(Default)]
pub(super) struct Containers {
    pub(super) containers: Vec<Json>,
    pub(super) volumes: Vec<Json>,
}

/// What one schedule of a cron job changes.
#[derive(Clone, Copy)]
pub(super) struct Overrides<'a> {
    pub(super) schedule: &'a str,
    pub(super) containers: &'a JsonMap,
}

/// Members of a container that we translate; all others are fields of the Kubernetes container.
const MEMBERS: [&str; 13] = [
    "args",
    "command",
    "env",
    "files",
    "id",
    "liveness_probe",
    "name",
    "ports",
    "readiness_probe",
    "resources",
    "startup_probe",
    "variables",
    "volume_mounts",
];

const PROBES: [(&str, &str); 3] = [
    ("liveness_probe", "livenessProbe"),
    ("readiness_probe", "readinessProbe"),
    ("startup_probe", "startupProbe"),
];

/// Translates all containers, sorted by name. `ports` are declared on the first one.
pub(super) fn containers<'a>(
    context: &Context<'a>,
    overrides: Option<Overrides<'_>>,
    ports: &[Json],
    config: &mut Config<'a>,
    mistakes: &mut Mistakes,
) -> Containers {
    let at = At::ROOT.member("containers");
    let map = read::object(context.spec.get("containers"), &at, mistakes);
    let Some(map) = map.filter(|map| !map.is_empty()) else {
        if context.spec.get("containers").is_none_or(read::is_empty) {
            let message = format!("workload `{}` has no containers", context.workload.id);
            mistakes.add(Code::Workload, &at, message);
        }
        return Containers::default();
    };
    let mut result = Containers::default();
    let mut ports = ports;
    for (name, value) in map {
        let at = at.member(name);
        if !name::is_dns_label(name) {
            let message = format!(
                "`{name}` cannot name a container: it must be lower-case letters, digits and `-`, \
                 start and end with a letter or digit, and have at most 63 characters"
            );
            mistakes.add(Code::Workload, &at, message);
        }
        let empty = JsonMap::new();
        let base = match read::object(Some(value), &at, mistakes) {
            Some(base) => base,
            None if value.is_null() => &empty,
            None => continue,
        };
        let schedules = At::ROOT.member("schedules");
        let schedule = overrides.map_or("", |overrides| overrides.schedule);
        let schedule = schedules.member(schedule);
        let over_at = schedule.member("containers");
        let over_at = over_at.member(name);
        let over = overrides.and_then(|overrides| {
            let over = read::object(overrides.containers.get(name), &over_at, mistakes)?;
            Some(Over { schedule: overrides.schedule, members: over, at: &over_at })
        });
        let source = Source { context, name, base, at: &at, over };
        result.containers.push(source.translate(ports, config, &mut result.volumes, mistakes));
        ports = &[];
    }
    result
}

/// Schedules may only override containers that exist.
pub(super) fn check_overrides(
    context: &Context<'_>,
    overrides: Overrides<'_>,
    at: &At<'_>,
    mistakes: &mut Mistakes,
) {
    let Some(Json::Object(known)) = context.spec.get("containers") else { return };
    for name in overrides.containers.keys().filter(|name| !known.contains_key(*name)) {
        let message = format!(
            "schedule `{}` changes container `{name}`, which workload `{}` does not have",
            overrides.schedule, context.workload.id
        );
        let near = suggest::nearest(name, known.keys().map(String::as_str));
        let added = mistakes.add(Code::Workload, &at.member(name), message);
        if let Some(near) = near {
            added.hint(format!("did you mean `{near}`?"));
        }
    }
}

/// A container as it is written, with what the schedule changes.
pub(super) struct Source<'a, 'p> {
    pub(super) context: &'p Context<'a>,
    pub(super) name: &'a str,
    base: &'p JsonMap,
    pub(super) at: &'p At<'p>,
    pub(super) over: Option<Over<'p>>,
}

pub(super) struct Over<'p> {
    pub(super) schedule: &'p str,
    members: &'p JsonMap,
    pub(super) at: &'p At<'p>,
}

/// A variable or a file.
pub(super) struct Entry<'p> {
    pub(super) base: Option<&'p Json>,
    pub(super) over: Option<&'p Json>,
}

impl<'a> Source<'a, '_> {
    fn translate(
        &self,
        ports: &[Json],
        config: &mut Config<'a>,
        volumes: &mut Vec<Json>,
        mistakes: &mut Mistakes,
    ) -> Json {
        let mut container = JsonMap::new();
        self.raw_members(&mut container);
        container.insert("name".to_owned(), Json::from(self.name));
        self.image(&container, mistakes);
        for member in ["command", "args"] {
            let value = self.member(member);
            let at = self.at(member);
            if let Some(items) = read::strings(value.as_deref(), &at, mistakes) {
                container.insert(member.to_owned(), Json::from(items));
            }
        }
        self.resources(&mut container, mistakes);
        for (member, field) in PROBES {
            let Some(value) = self.member(member) else { continue };
            let at = self.at(member);
            let Some(probe) = probe::probe(&value, &at, mistakes) else { continue };
            if container.insert(field.to_owned(), probe).is_some() {
                let message =
                    format!("container `{}` gives both `{member}` and `{field}`", self.name);
                mistakes.add(Code::Workload, &at, message);
            }
        }
        self.ports(ports, &mut container, mistakes);

        let bundles = config.of(self.name);
        let env = self.env(&mut bundles.env, mistakes);
        if !env.is_empty() {
            container.insert("env".to_owned(), Json::Array(env));
        }
        let mounts = self.mounts(&mut bundles.files, volumes, mistakes);
        if !mounts.is_empty() {
            container.insert("volumeMounts".to_owned(), Json::Array(mounts));
        }
        for (bundle, what) in [(&bundles.env, "variables"), (&bundles.files, "files")] {
            let size = bundle.size();
            if size > LIMIT {
                let message = format!(
                    "the {what} of container `{}` hold {size} bytes; a ConfigMap takes {LIMIT}",
                    self.name
                );
                mistakes.add(Code::Workload, &self.at(what), message);
            }
        }
        Json::Object(container)
    }

    /// A member with the changes of the schedule laid over it.
    pub(super) fn member(&self, member: &str) -> Option<Cow<'_, Json>> {
        let base = self.base.get(member);
        let over = self.over.as_ref().and_then(|over| over.members.get(member));
        match (base, over) {
            (Some(base @ Json::Object(_)), Some(over @ Json::Object(_))) => {
                let mut merged = base.clone();
                read::merge(&mut merged, over);
                Some(Cow::Owned(merged))
            }
            (_, Some(over)) => Some(Cow::Borrowed(over)),
            (base, None) => base.map(Cow::Borrowed),
        }
    }

    /// Where a member is written.
    pub(super) fn at<'s>(&'s self, member: &'s str) -> At<'s> {
        match &self.over {
            Some(over) if over.members.contains_key(member) => over.at.member(member),
            _ => self.at.member(member),
        }
    }

    fn raw_members(&self, container: &mut JsonMap) {
        let over = self.over.iter().flat_map(|over| over.members.keys());
        for member in self.base.keys().chain(over) {
            if MEMBERS.contains(&member.as_str()) || container.contains_key(member) {
                continue;
            }
            if let Some(value) = self.member(member).filter(|value| !value.is_null()) {
                container.insert(member.clone(), value.into_owned());
            }
        }
    }

    fn image(&self, container: &JsonMap, mistakes: &mut Mistakes) {
        let at = self.at("image");
        let missing = match container.get("image") {
            None => "has no image",
            Some(Json::String(image)) if image.is_empty() => "has an empty image",
            Some(Json::String(image)) if image == "." => "still has the image `.`",
            Some(Json::String(_)) => return,
            Some(_) => "has an image that is not a string",
        };
        let message = format!(
            "container `{}` of workload `{}` {missing}",
            self.name, self.context.workload.id
        );
        let hint = match container.get("image") {
            Some(Json::String(image)) if image == "." => {
                "`.` stands for the image that was just built: name it when deploying"
            }
            _ => "name the image, for example `registry.example.com/web:1.2`",
        };
        mistakes.add(Code::Workload, &at, message).hint(hint);
    }

    /// Limits and requests; empty quantities are left out, converters write them as skeletons.
    fn resources(&self, container: &mut JsonMap, mistakes: &mut Mistakes) {
        let Some(value) = self.member("resources") else { return };
        let at = self.at("resources");
        let Some(members) = read::object(Some(&value), &at, mistakes) else { return };
        let mut resources = JsonMap::new();
        for (member, value) in members {
            let kept = match value {
                Json::Object(quantities) => {
                    let given = |(_, quantity): &(&String, &Json)| !read::is_empty(quantity);
                    let kept = quantities.iter().filter(given);
                    Json::Object(kept.map(|(key, value)| (key.clone(), value.clone())).collect())
                }
                other => other.clone(),
            };
            if !read::is_empty(&kept) {
                resources.insert(member.clone(), kept);
            }
        }
        if !resources.is_empty() {
            container.insert("resources".to_owned(), Json::Object(resources));
        }
    }

    /// The ports that the Service needs, after those that the container declares itself.
    fn ports(&self, ports: &[Json], container: &mut JsonMap, mistakes: &mut Mistakes) {
        let value = self.member("ports");
        let at = self.at("ports");
        let mut declared = read::list(value.as_deref(), &at, mistakes).unwrap_or(&[]).to_vec();
        let key = |port: &Json| {
            let protocol = port.get("protocol").and_then(Json::as_str).unwrap_or("TCP").to_owned();
            (port.get("containerPort").and_then(Json::as_u64), protocol)
        };
        for port in ports {
            let name = port.get("name");
            let known = declared.iter().any(|other| {
                key(other) == key(port) || (name.is_some() && other.get("name") == name)
            });
            if !known {
                declared.push(port.clone());
            }
        }
        if !declared.is_empty() {
            container.insert("ports".to_owned(), Json::Array(declared));
        }
    }

    /// Entries of `variables` or `files`, by name, without those that the schedule removes.
    pub(super) fn entries(
        &self,
        member: &str,
        mistakes: &mut Mistakes,
    ) -> BTreeMap<&str, Entry<'_>> {
        let mut entries = BTreeMap::new();
        let at = self.at.member(member);
        for (name, value) in
            read::object(self.base.get(member), &at, mistakes).into_iter().flatten()
        {
            entries.insert(name.as_str(), Entry { base: Some(value), over: None });
        }
        if let Some(over) = &self.over {
            let at = over.at.member(member);
            let map = read::object(over.members.get(member), &at, mistakes);
            for (name, value) in map.into_iter().flatten() {
                if value.is_null() && self.secret(&at.member(name)).is_none() {
                    entries.remove(name.as_str());
                } else {
                    entries.entry(name).or_insert(Entry { base: None, over: None }).over =
                        Some(value);
                }
            }
        }
        entries
    }

    fn secret(&self, at: &At<'_>) -> Option<&'a SecretExpr> {
        let secrets = &self.context.workload.spec.secrets;
        if secrets.is_empty() { None } else { secrets.get(&at.pointer()) }
    }

    /// Variables first, then the raw entries. A raw entry replaces the variable of its name, as
    /// the later of two entries does in Kubernetes.
    fn env(&self, bundle: &mut Bundle, mistakes: &mut Mistakes) -> Vec<Json> {
        let raw = self.member("env");
        let raw_at = self.at("env");
        let raw = read::list(raw.as_deref(), &raw_at, mistakes).unwrap_or(&[]);
        let mut taken = BTreeSet::new();
        for (index, entry) in raw.iter().enumerate() {
            match entry.get("name").and_then(Json::as_str) {
                Some(name) if taken.insert(name) => {}
                Some(name) => {
                    let message = format!("`env` of container `{}` has `{name}` twice", self.name);
                    mistakes.add_in_list(&raw_at, index, message);
                }
                None => {
                    let message = format!(
                        "entry {index} of `env` of container `{}` has no `name`",
                        self.name
                    );
                    mistakes.add_in_list(&raw_at, index, message);
                }
            }
        }

        let mut env = Vec::new();
        for (name, entry) in self.entries("variables", mistakes) {
            let (owner, value, schedule) = match (&self.over, entry.over) {
                (Some(over), Some(value)) => (over.at, value, Some(over.schedule)),
                _ => (self.at, entry.base.unwrap_or(&Json::Null), None),
            };
            let at = owner.member("variables");
            let at = at.member(name);
            if taken.contains(name) {
                continue;
            }
            if name.is_empty() || !name.bytes().all(|b| matches!(b, b' '..=b'~') && b != b'=') {
                let message = format!(
                    "`{}` cannot name a variable of container `{}`: it must be printable ASCII \
                     without `=`",
                    name.escape_default(),
                    self.name
                );
                mistakes.add(Code::Workload, &at, message);
                continue;
            }
            let key = name::variable_key(name, schedule);
            let kind = if !value.is_null() {
                bundle.plain(&key, read::text(value).into_owned());
                "configMapKeyRef"
            } else if let Some(expr) = self.secret(&at) {
                bundle.secret(&key, expr);
                "secretKeyRef"
            } else {
                let message =
                    format!("variable `{name}` of container `{}` has no value", self.name);
                mistakes.add(Code::Workload, &at, message);
                continue;
            };
            let source =
                members([("name", Json::from(bundle.name.as_str())), ("key", Json::from(key))]);
            env.push(Json::Object(members([
                ("name", Json::from(name)),
                ("valueFrom", Json::Object(members([(kind, Json::Object(source))]))),
            ])));
        }
        env.extend_from_slice(raw);
        env
    }
}
