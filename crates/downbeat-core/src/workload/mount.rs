//! What is mounted into a container: its files one by one, and volumes of resources.

use std::collections::BTreeSet;

use serde_json::json;

use super::config::{Bundle, is_base64};
use super::container::{Entry, Source};
use super::mistakes::{At, Mistakes};
use super::{members, name, read};
use crate::{Code, Json, JsonMap, suggest};

impl Source<'_, '_> {
    /// Mounts of files, of volumes and raw ones, each at a path of its own.
    pub(super) fn mounts(
        &self,
        bundle: &mut Bundle,
        volumes: &mut Vec<Json>,
        mistakes: &mut Mistakes,
    ) -> Vec<Json> {
        let mut mounts = Vec::new();
        let mut targets = BTreeSet::new();
        self.files(bundle, &mut mounts, &mut targets, volumes, mistakes);
        self.volume_mounts(&mut mounts, &mut targets, mistakes);
        let raw = self.member("volumeMounts");
        let raw_at = self.at("volumeMounts");
        let raw = read::list(raw.as_deref(), &raw_at, mistakes).unwrap_or(&[]);
        for (index, mount) in raw.iter().enumerate() {
            let target = mount.get("mountPath").and_then(Json::as_str).unwrap_or_default();
            let pointer = format!("{}/{index}", raw_at.pointer());
            self.target(target, pointer, &mut targets, mistakes);
            mounts.push(mount.clone());
        }
        mounts
    }

    fn files(
        &self,
        bundle: &mut Bundle,
        mounts: &mut Vec<Json>,
        targets: &mut BTreeSet<String>,
        volumes: &mut Vec<Json>,
        mistakes: &mut Mistakes,
    ) {
        let plain_volume = name::volume_name("files", self.name);
        let secret_volume = name::volume_name("secret-files", self.name);
        let mut plain_items = Vec::new();
        let mut secret_items = Vec::new();
        for (path, entry) in self.entries("files", mistakes) {
            let file = File { source: self, path, entry };
            self.target(path, file.pointer(), targets, mistakes);
            let Some((key, secret)) = file.store(bundle, mistakes) else { continue };
            let mut item = json!({"key": key, "path": key});
            if let (Some(mode), Json::Object(item)) = (file.mode(mistakes), &mut item) {
                item.insert("mode".to_owned(), Json::from(mode));
            }
            let (items, volume) = if secret {
                (&mut secret_items, &secret_volume)
            } else {
                (&mut plain_items, &plain_volume)
            };
            items.push(item);
            mounts.push(json!({"name": volume, "mountPath": path, "subPath": key}));
        }
        if !plain_items.is_empty() {
            let source = members([
                ("name", Json::from(bundle.name.as_str())),
                ("items", Json::Array(plain_items)),
            ]);
            volumes.push(Json::Object(members([
                ("name", Json::from(plain_volume)),
                ("configMap", Json::Object(source)),
            ])));
        }
        if !secret_items.is_empty() {
            let source = members([
                ("secretName", Json::from(bundle.name.as_str())),
                ("items", Json::Array(secret_items)),
            ]);
            volumes.push(Json::Object(members([
                ("name", Json::from(secret_volume)),
                ("secret", Json::Object(source)),
            ])));
        }
    }

    fn volume_mounts(
        &self,
        mounts: &mut Vec<Json>,
        targets: &mut BTreeSet<String>,
        mistakes: &mut Mistakes,
    ) {
        let value = self.member("volume_mounts");
        let at = self.at("volume_mounts");
        let map = read::object(value.as_deref(), &at, mistakes);
        for (path, value) in map.into_iter().flatten() {
            let at = at.member(path);
            let Some(members) = read::object(Some(value), &at, mistakes) else { continue };
            self.target(path, at.pointer(), targets, mistakes);
            let mut mount = JsonMap::new();
            for (member, value) in members {
                if !["id", "sub_path", "read_only"].contains(&member.as_str()) {
                    mount.insert(member.clone(), value.clone());
                }
            }
            mount.insert("mountPath".to_owned(), Json::from(path.as_str()));
            let sub_path = at.member("sub_path");
            if let Some(path) = read::string(members.get("sub_path"), &sub_path, mistakes) {
                mount.insert("subPath".to_owned(), Json::from(path));
            }
            let read_only = at.member("read_only");
            if read::boolean(members.get("read_only"), &read_only, mistakes) == Some(true) {
                mount.insert("readOnly".to_owned(), Json::Bool(true));
            }
            if let Some(volume) = self.volume(path, members.get("id"), &at, mistakes) {
                mount.insert("name".to_owned(), Json::from(volume));
                mounts.push(Json::Object(mount));
            }
        }
    }

    /// The Kubernetes volume that the mount at a path means: the one of a resource, or with
    /// `volumes.<name>` one that the spec itself declares.
    fn volume<'s>(
        &'s self,
        path: &str,
        id: Option<&'s Json>,
        at: &At<'_>,
        mistakes: &mut Mistakes,
    ) -> Option<&'s str> {
        let id_at = at.member("id");
        let Some(id) = read::string(id, &id_at, mistakes) else {
            if id.is_none_or(read::is_empty) {
                let message =
                    format!("mount `{path}` of container `{}` names no volume in `id`", self.name);
                mistakes.add(Code::Workload, at, message);
            }
            return None;
        };
        let mounts = self.context.workload.mounts;
        let own = self.context.spec.get("volumes").and_then(Json::as_object);
        if let Some(volume) = mounts.get(id) {
            return Some(volume);
        }
        if let (Some(name), Some(own)) = (id.strip_prefix("volumes."), own)
            && own.contains_key(name)
        {
            return Some(name);
        }
        let message = format!(
            "container `{}` of workload `{}` mounts `{id}`, which has no volume",
            self.name, self.context.workload.id
        );
        let hint = match suggest::nearest(id, mounts.keys().map(String::as_str)) {
            Some(near) => format!("did you mean `{near}`?"),
            None => "the resource must be of type `volume`, and its definition must return one \
                     manifest with location `volumes`"
                .to_owned(),
        };
        mistakes.add(Code::Workload, &id_at, message).hint(hint);
        None
    }

    /// Checks a path in the container, and that nothing else is mounted there.
    fn target(
        &self,
        path: &str,
        pointer: String,
        targets: &mut BTreeSet<String>,
        mistakes: &mut Mistakes,
    ) {
        let problem = if !path.starts_with('/') || path.len() < 2 {
            "must be absolute and below `/`"
        } else if path.contains([':', '\0']) {
            "must not contain `:`"
        } else if !targets.insert(path.trim_end_matches('/').to_owned()) {
            "is there twice"
        } else {
            return;
        };
        let message = format!("mount path `{path}` of container `{}` {problem}", self.name);
        mistakes.add_at(Code::Workload, pointer, message);
    }
}

/// A file of a container.
struct File<'s, 'a, 'p> {
    source: &'s Source<'a, 'p>,
    path: &'s str,
    entry: Entry<'s>,
}

impl File<'_, '_, '_> {
    /// A member, and the schedule if it is the one that gives it.
    fn member(&self, member: &str) -> (Option<&Json>, Option<&str>) {
        let over = self.source.over.as_ref().zip(self.entry.over);
        if let Some((over, value)) = over.and_then(|(over, file)| Some((over, file.get(member)?))) {
            return (Some(value), Some(over.schedule));
        }
        (self.entry.base.and_then(|file| file.get(member)), None)
    }

    /// The pointer to the file where it is written, or changed if the schedule does that.
    fn pointer(&self) -> String {
        let owner = match &self.source.over {
            Some(over) if self.entry.over.is_some() => over.at,
            _ => self.source.at,
        };
        owner.member("files").member(self.path).pointer()
    }

    /// The pointer to a member, where it is written.
    fn pointer_to(&self, member: &str) -> String {
        match (&self.source.over, self.member(member)) {
            (Some(over), (_, Some(_))) => {
                over.at.member("files").member(self.path).member(member).pointer()
            }
            (_, (Some(_), None)) => {
                self.source.at.member("files").member(self.path).member(member).pointer()
            }
            _ => self.pointer(),
        }
    }

    /// Puts the content where the pod can read it: under which key, and whether it is secret.
    fn store(&self, bundle: &mut Bundle, mistakes: &mut Mistakes) -> Option<(String, bool)> {
        let (name, path) = (self.source.name, self.path);
        for file in [self.entry.base, self.entry.over].into_iter().flatten() {
            if !file.is_object() {
                let found = read::kind(file);
                let message =
                    format!("file `{path}` of container `{name}` must be an object, not {found}");
                mistakes
                    .add_at(Code::Workload, self.pointer(), message)
                    .hint("write `{\"value\": \"…\"}`");
                return None;
            }
        }
        let (mut value, schedule) = self.member("value");
        let (mut binary, binary_schedule) = self.member("binary_value");
        // A schedule may replace text by bytes and the other way round.
        match (schedule, binary_schedule) {
            (None, Some(_)) => value = None,
            (Some(_), None) => binary = None,
            _ => {}
        }
        let secrets = &self.source.context.workload.spec.secrets;
        if let Some(Json::Null) = value
            && let Some(expr) = secrets.get(&self.pointer_to("value"))
        {
            let key = name::file_key(path, schedule);
            bundle.secret(&key, expr);
            return Some((key, true));
        }
        let value = value.filter(|value| !value.is_null());
        let binary = binary.filter(|binary| !binary.is_null());
        match (value, binary) {
            (Some(value), None) => {
                let key = name::file_key(path, schedule);
                bundle.plain(&key, read::text(value).into_owned());
                Some((key, false))
            }
            (None, Some(Json::String(base64))) if is_base64(base64) => {
                let key = name::file_key(path, binary_schedule);
                bundle.binary(&key, base64);
                Some((key, false))
            }
            (None, Some(_)) => {
                let message =
                    format!("`binary_value` of file `{path}` of container `{name}` is not base64");
                mistakes.add_at(Code::Workload, self.pointer_to("binary_value"), message);
                None
            }
            (Some(_), Some(_)) => {
                let message = format!(
                    "file `{path}` of container `{name}` has both `value` and `binary_value`"
                );
                mistakes.add_at(Code::Workload, self.pointer_to("binary_value"), message);
                None
            }
            (None, None) => {
                let message = format!("file `{path}` of container `{name}` has no `value`");
                mistakes.add_at(Code::Workload, self.pointer(), message);
                None
            }
        }
    }

    /// The file mode; Kubernetes wants the number that the octal text means.
    fn mode(&self, mistakes: &mut Mistakes) -> Option<u32> {
        let (value, _) = self.member("mode");
        let value = value.filter(|value| !read::is_empty(value))?;
        let text = value.as_str().map(|text| text.strip_prefix("0o").unwrap_or(text));
        let digits = text.filter(|text| text.bytes().all(|b| b.is_ascii_digit()));
        let mode = digits.and_then(|text| u32::from_str_radix(text, 8).ok());
        let mode = mode.filter(|mode| *mode <= 0o777);
        if mode.is_none() {
            let message = format!(
                "`mode` of file `{}` of container `{}` must be an octal string from \"0000\" to \
                 \"0777\", not {value}",
                self.path, self.source.name
            );
            mistakes.add_at(Code::Workload, self.pointer_to("mode"), message);
        }
        mode
    }
}
