//! A [`Workload`] to a module and its shared resources.

use std::{
    borrow::Cow,
    collections::{BTreeMap, BTreeSet, btree_map::Entry},
};

use downbeat_core::{
    Code, Json, JsonMap, Module, Resource,
    module::{DEFAULT_CLASS, DEFAULT_PROFILE},
    suggest::nearest,
    yaml::{Node, Span},
};
use serde_json::json;

use crate::{
    Converted, FileError, Files, Options, describe,
    diagnostic::{Path, Report},
    extension::{Extension, Scope},
    placeholder::{self, Names, Target},
    workload::{self, Content, File, Probe, Volume, Workload},
};

/// Annotation on a Score resource that says which resource it is.
const RESOURCE_ID: &str = "score.humanitec.io/resId";
/// A hint lists no more names.
const MANY: usize = 8;
const MANAGED_BY: &str = "humanitec.io/managed-by";
const WORKLOAD_SOURCE: &str = "humanitec.io/workload-source";

/// Converts what is valid of the workload; the result counts only when nothing was reported as an
/// error. Nothing when the workload has no name.
pub(crate) fn convert<'d>(
    workload: &Workload<'d>,
    extension: Option<&Extension>,
    options: &Options,
    files: &dyn Files,
    report: &mut Report<'_>,
) -> Option<Converted> {
    let mut placed = Placed::default();
    let mut names = Names::new(workload.metadata);
    let plan = place(workload, extension, &mut names, report);
    let mut converter = Converter { names: &names, files, report };

    for (resource, place) in plan {
        converter.resource(workload, resource, place, options, &mut placed);
    }
    let mut spec = converter.spec(workload, options);
    if let Some(more) = extension.and_then(|extension| extension.spec.as_ref()) {
        let more = converter.map(more, &Path::ROOT.member("spec"));
        merge(&mut spec, more);
    }

    let profile = extension.and_then(|extension| extension.profile.clone());
    Some(Converted {
        name: workload.name?.to_owned(),
        module: Module {
            profile: Some(profile.unwrap_or_else(|| DEFAULT_PROFILE.to_owned())),
            spec: Some(spec),
            externals: placed.externals,
            deploy: extension.and_then(|extension| extension.deploy.clone()),
            other: JsonMap::new(),
        },
        shared: placed.shared,
        warnings: Vec::new(),
    })
}

/// Where the entry of a resource goes.
enum Place {
    External(String),
    Shared { key: String, id: String },
}

#[derive(Default)]
struct Placed {
    externals: BTreeMap<String, Resource>,
    shared: BTreeMap<String, Resource>,
}

/// Decides for each resource what it is called and where its entry goes, if it has one.
fn place<'w, 'd>(
    workload: &'w Workload<'d>,
    extension: Option<&Extension>,
    names: &mut Names<'d>,
    report: &mut Report<'_>,
) -> Vec<(&'w workload::Resource<'d>, Place)> {
    let mut plan = Vec::new();
    let root = Path::ROOT;
    let resources = root.member("resources");
    for name in &workload.broken {
        names.insert_broken(name);
    }
    for resource in &workload.resources {
        let path = &resources.member(resource.name);
        let place = match resource.resource_type.text {
            "environment" => Err(Some(Target { bare: "values".into(), prefix: "values".into() })),
            "service" => {
                let bare = format!("modules.{}", resource.name);
                let prefix = format!("{bare}.service");
                Err(Some(Target { bare, prefix }))
            }
            resource_type => {
                if resource_type == "workload" {
                    let message = "the type `workload` is reserved and may get another meaning";
                    let span = resource.resource_type.span;
                    report.warn(Code::ScoreValue, span, &path.member("type"), message, None);
                }
                place_one(resource, workload, extension, path, report)
            }
        };
        match place {
            Err(target) => match target {
                Some(target) => names.insert(resource.name, target),
                None => names.insert_broken(resource.name),
            },
            Ok(place) => {
                let target = match &place {
                    Place::External(key) => Target::new("externals", key),
                    Place::Shared { key, .. } => Target::new("shared", key),
                };
                names.insert(resource.name, target);
                plan.push((resource, place));
            }
        }
    }
    for (key, _) in extension.map(|extension| extension.scopes.as_slice()).unwrap_or_default() {
        if workload.resources.iter().all(|resource| resource.name != key.name) {
            let message = format!("the Score file has no resource {}", describe::text(&key.name));
            let hint = nearest(&key.name, workload.resources.iter().map(|r| r.name));
            let hint = hint.map(|name| format!("did you mean `{name}`?"));
            report.warn(Code::ScoreUnknown, key.span, &resources.member(&key.name), message, hint);
        }
    }
    plan
}

/// The place of an ordinary resource; as an error the name of a resource that has no entry here.
fn place_one(
    resource: &workload::Resource<'_>,
    workload: &Workload<'_>,
    extension: Option<&Extension>,
    path: &Path<'_>,
    report: &mut Report<'_>,
) -> Result<Place, Option<Target>> {
    let shared = |id: &str| {
        let key = match resource.class {
            // Several classes of one shared resource can live in one set.
            Some(class) if class != DEFAULT_CLASS => format!("{id}-class-{class}"),
            _ => id.to_owned(),
        };
        Ok(Place::Shared { key, id: id.to_owned() })
    };
    let external = |key: &str| Ok(Place::External(key.to_owned()));
    let annotation = resource.annotations.iter().find(|(name, _)| *name == RESOURCE_ID);
    let annotation = annotation.map(|(_, text)| *text).filter(|text| !text.text.is_empty());

    if let Some(id) = resource.id {
        if let Some(annotation) = annotation {
            let path = &path.member("metadata");
            let path = &path.member("annotations");
            let message = "the annotation has no effect: the resource has an `id`";
            report.warn(
                Code::ScoreValue,
                annotation.span,
                &path.member(RESOURCE_ID),
                message,
                None,
            );
        }
        return shared(id.text);
    }
    if let Some(annotation) = annotation {
        let parts: Vec<&str> = annotation.text.splitn(4, '.').collect();
        match parts.as_slice() {
            ["externals", key] if !key.is_empty() => return external(key),
            ["shared", key] if !key.is_empty() => return shared(key),
            ["modules", module, "externals", key] if !module.is_empty() && !key.is_empty() => {
                if workload.name == Some(*module) {
                    return external(key);
                }
                return Err(Some(Target::new(&format!("modules.{module}.externals"), key)));
            }
            _ => {
                let path = &path.member("metadata");
                let path = &path.member("annotations");
                let found = describe::text(annotation.text);
                let message = format!(
                    "{found} is no resource id: expected `externals.<id>`, `shared.<id>` or \
                     `modules.<workload>.externals.<id>`; the resource is left out"
                );
                let path = &path.member(RESOURCE_ID);
                report.warn(Code::ScoreValue, annotation.span, path, message, None);
                return Err(None);
            }
        }
    }
    let scopes = extension.map(|extension| extension.scopes.as_slice()).unwrap_or_default();
    match scopes.iter().find(|(key, _)| key.name == resource.name) {
        Some((_, Scope::Shared)) => shared(resource.name),
        _ => external(resource.name),
    }
}

struct Converter<'c, 'd, 't> {
    names: &'c Names<'d>,
    files: &'c dyn Files,
    report: &'c mut Report<'t>,
}

impl Converter<'_, '_, '_> {
    fn resource(
        &mut self,
        workload: &Workload<'_>,
        resource: &workload::Resource<'_>,
        place: Place,
        options: &Options,
        placed: &mut Placed,
    ) {
        let root = Path::ROOT;
        let resources = root.member("resources");
        let path = &resources.member(resource.name);
        let params = resource.params.map(|params| self.map(params, &path.member("params")));
        let resource_type = resource.resource_type.text;
        let alias = options.resource_type_aliases.get(resource_type);
        let class = resource.class.unwrap_or(DEFAULT_CLASS);
        let mut entry = Resource {
            resource_type: alias.map_or(resource_type, String::as_str).to_owned(),
            class: Some(class.to_owned()),
            id: None,
            params: params.filter(|params| !params.is_empty()),
            other: JsonMap::new(),
        };
        let (slot, what) = match place {
            Place::External(key) => {
                let what = format!("externals.{key}");
                (placed.externals.entry(key), what)
            }
            Place::Shared { key, id } => {
                let what = format!("shared.{id}");
                if class != DEFAULT_CLASS {
                    entry.id = Some(what.clone());
                }
                (placed.shared.entry(key), what)
            }
        };
        match slot {
            Entry::Vacant(slot) => {
                slot.insert(entry);
            }
            Entry::Occupied(mut slot) => {
                let known = slot.get_mut();
                let same = Resource { params: None, ..known.clone() }
                    == Resource { params: None, ..entry.clone() };
                match (same, &known.params, &entry.params) {
                    (true, _, None) => {}
                    (true, None, Some(_)) => known.params = entry.params,
                    (true, Some(old), Some(new)) if old == new => {}
                    _ => {
                        let differ = if same { "parameters" } else { "type or class" };
                        let message = format!(
                            "another resource of {} is `{what}` as well, with other {differ}",
                            describe::text(workload.name.unwrap_or_default())
                        );
                        self.report.error(Code::ScoreValue, resource.span, path, message, None);
                    }
                }
            }
        }
    }

    fn spec(&mut self, workload: &Workload<'_>, options: &Options) -> JsonMap {
        let mut spec = JsonMap::new();
        let mut annotations = JsonMap::new();
        annotations.insert(MANAGED_BY.to_owned(), Json::from(options.origin.as_str()));
        if let Some(source) = &options.workload_source {
            annotations.insert(WORKLOAD_SOURCE.to_owned(), Json::from(source.as_str()));
        }
        spec.insert("annotations".to_owned(), Json::Object(annotations));

        let root = Path::ROOT;
        let path = &root.member("containers");
        let mut containers = JsonMap::new();
        for container in &workload.containers {
            let path = &path.member(container.name);
            let body = self.container(container, path);
            containers.insert(container.name.to_owned(), Json::Object(body));
        }
        spec.insert("containers".to_owned(), Json::Object(containers));

        if !workload.ports.is_empty() {
            let port = |port: &workload::Port<'_>| {
                let body = json!({
                    "protocol": port.protocol,
                    "service_port": port.port,
                    "container_port": port.target_port.unwrap_or(port.port),
                });
                (port.name.to_owned(), body)
            };
            let ports: JsonMap = workload.ports.iter().map(port).collect();
            spec.insert("service".to_owned(), json!({ "ports": ports }));
        }
        if !workload.annotations.is_empty() {
            let annotations = strings(&workload.annotations);
            spec.insert("pod".to_owned(), json!({ "annotations": annotations }));
        }
        spec
    }

    fn container(&mut self, container: &workload::Container<'_>, path: &Path<'_>) -> JsonMap {
        let mut body = JsonMap::new();
        let mut put = |name: &str, value: Json| {
            body.insert(name.to_owned(), value);
        };
        put("id", Json::from(container.name));
        if !container.image.is_empty() {
            put("image", Json::from(container.image));
        }
        if !container.command.is_empty() {
            put("command", json!(container.command));
        }
        if !container.args.is_empty() {
            put("args", json!(container.args));
        }
        if !container.variables.is_empty() {
            let path = &path.member("variables");
            let variable = |(name, value): &(&str, workload::Text<'_>)| {
                let text = self.text(value.text, value.span, &path.member(name));
                ((*name).to_owned(), Json::String(text))
            };
            let variables: JsonMap = container.variables.iter().map(variable).collect();
            put("variables", Json::Object(variables));
        }
        let amounts = [("limits", &container.limits), ("requests", &container.requests)];
        let resources: JsonMap = amounts
            .into_iter()
            .filter(|(_, amounts)| !amounts.is_empty())
            .map(|(name, amounts)| (name.to_owned(), Json::Object(strings(amounts))))
            .collect();
        if !resources.is_empty() {
            put("resources", Json::Object(resources));
        }
        let probes = [
            ("liveness_probe", "livenessProbe", &container.liveness),
            ("readiness_probe", "readinessProbe", &container.readiness),
        ];
        for (name, key, source) in probes {
            if let Some(source) = source
                && let Some(probe) = self.probe(source, &path.member(key))
            {
                put(name, probe);
            }
        }
        let mut targets = BTreeSet::new();
        let mut files = JsonMap::new();
        for file in &container.files {
            let path = &path.member("files");
            let body = file.slot.below(path, |path| {
                self.once(&mut targets, file.target, file.slot.span(), path);
                self.file(file, path)
            });
            files.extend(body.map(|body| (file.target.to_owned(), body)));
        }
        if !files.is_empty() {
            put("files", Json::Object(files));
        }
        let mut targets = BTreeSet::new();
        let mut mounts = JsonMap::new();
        for volume in &container.volumes {
            let path = &path.member("volumes");
            let body = volume.slot.below(path, |path| {
                self.once(&mut targets, volume.target, volume.slot.span(), path);
                self.volume(volume, path)
            });
            mounts.insert(volume.target.to_owned(), body);
        }
        if !mounts.is_empty() {
            put("volume_mounts", Json::Object(mounts));
        }
        body
    }

    /// In the list form a target can stand twice.
    fn once<'n>(
        &mut self,
        targets: &mut BTreeSet<&'n str>,
        target: &'n str,
        span: Span,
        path: &Path<'_>,
    ) {
        if !targets.insert(target) {
            let found = describe::text(target);
            let message = format!("the target {found} stands twice; the last one counts");
            self.report.warn(Code::ScoreValue, span, path, message, None);
        }
    }

    fn probe(&mut self, probe: &Probe<'_>, path: &Path<'_>) -> Option<Json> {
        let command = probe.command.as_ref().filter(|command| !command.is_empty());
        let http = probe.http.as_ref().filter(|http| !http.path.is_empty());
        // Score: "The execProbe should be preferred if the implementation supports both types."
        if let Some(command) = command {
            if http.is_some() {
                let message = "`httpGet` has no effect beside `exec`";
                self.report.warn(Code::ScoreValue, probe.span, path, message, None);
            }
            return Some(json!({ "type": "command", "command": command }));
        }
        let http = http?;
        let mut body = json!({ "type": "http", "path": http.path, "port": http.port });
        if let (false, Json::Object(body)) = (http.headers.is_empty(), &mut body) {
            body.insert("headers".to_owned(), Json::Object(strings(&http.headers)));
        }
        Some(body)
    }

    fn file(&mut self, file: &File<'_>, path: &Path<'_>) -> Option<Json> {
        let mode = file.mode.unwrap_or_default();
        let text = match file.content {
            Content::Binary(data) => {
                if !is_base64(data.text) {
                    let path = &path.member("binaryContent");
                    let message = "expected base64, found something else";
                    self.report.error(Code::ScoreValue, data.span, path, message, None);
                }
                return Some(json!({ "mode": mode, "binary_value": data.text }));
            }
            Content::Inline(content) => {
                let path = &path.member("content");
                self.content(content.text, content.span, path, file.expand, None)
            }
            Content::Source(source) => {
                let path = &path.member("source");
                let text = self.source(source, path)?;
                self.content(&text, source.span, path, file.expand, Some(source.text))
            }
        };
        Some(json!({ "mode": mode, "value": text }))
    }

    fn source(&mut self, source: workload::Text<'_>, path: &Path<'_>) -> Option<String> {
        let (reason, hint) = match self.files.read(source.text) {
            Ok(bytes) => match String::from_utf8(bytes) {
                Ok(text) => return Some(text),
                Err(_) => ("it is not UTF-8".to_owned(), "use `binaryContent` for binary data"),
            },
            Err(error @ FileError::Unavailable) => {
                (error.to_string(), "use `content`, or convert where the file is")
            }
            Err(error) => (error.to_string(), ""),
        };
        let message = format!("cannot read {}: {reason}", describe::text(source.text));
        let hint = Some(hint.to_owned()).filter(|hint| !hint.is_empty());
        self.report.error(Code::ScoreSource, source.span, path, message, hint);
        None
    }

    fn content(
        &mut self,
        text: &str,
        span: Span,
        path: &Path<'_>,
        expand: bool,
        file: Option<&str>,
    ) -> String {
        if !expand {
            return placeholder::escape(text).into_owned();
        }
        match file {
            None => self.text(text, span, path),
            Some(file) => {
                let inside = format!(" in {}", describe::text(file));
                let (names, report) = (self.names, &mut *self.report);
                let text = names.translate(text, &mut |reference| {
                    unknown(reference, names, &inside, span, path, report);
                });
                text.into_owned()
            }
        }
    }

    fn volume(&mut self, volume: &Volume<'_>, path: &Path<'_>) -> Json {
        let source = volume.source;
        let path = &path.member("source");
        let bare = source
            .text
            .strip_prefix("${resources.")
            .and_then(|rest| rest.strip_suffix('}'))
            .is_some_and(|name| !name.contains(['.', '$']));
        if !bare {
            let found = describe::text(source.text);
            let message =
                format!("expected a resource such as `${{resources.data}}`, found {found}");
            let hint = nearest(source.text, self.names.resources());
            let hint = hint.map(|name| format!("did you mean `${{resources.{name}}}`?"));
            self.report.warn(Code::ScoreValue, source.span, path, message, hint);
        }
        json!({
            "id": self.text(source.text, source.span, path),
            "sub_path": volume.path.unwrap_or_default(),
            "read_only": volume.read_only,
        })
    }

    fn text(&mut self, text: &str, span: Span, path: &Path<'_>) -> String {
        let (names, report) = (self.names, &mut *self.report);
        let translated = names.translate(text, &mut |reference| {
            unknown(reference, names, "", span, path, report);
        });
        translated.into_owned()
    }

    fn map(&mut self, node: &Node, path: &Path<'_>) -> JsonMap {
        let (names, report) = (self.names, &mut *self.report);
        names.translate_map(node, &mut |place, reference| {
            unknown(reference, names, "", place.span, path, report);
        })
    }
}

/// Roots that Score does not know, and the orchestrator does.
const ORCHESTRATOR: [&str; 5] = ["context", "externals", "modules", "shared", "values"];

/// A placeholder stays as it is: fine for the conversion, but hardly what was meant. A single word
/// such as `${HOME}` is text to the end, and what the orchestrator knows is left to it.
fn unknown(
    reference: &str,
    names: &Names<'_>,
    inside: &str,
    span: Span,
    path: &Path<'_>,
    report: &mut Report<'_>,
) {
    if names.is_broken(reference) {
        return;
    }
    if report.is_full() {
        return report.warn(Code::ScorePlaceholder, span, path, "", None);
    }
    let whole = format!("${{{reference}}}");
    let mut parts = reference.splitn(3, '.');
    let (message, hint) = match (parts.next(), parts.next()) {
        (Some(root), Some(_)) if ORCHESTRATOR.contains(&root) => return,
        (Some("resources"), Some(name)) => {
            let hint = match nearest(name, names.resources()) {
                Some(name) => Some(format!("did you mean `{name}`?")),
                None if names.resources().next().is_none() => {
                    Some("declare it under `resources`".to_owned())
                }
                None => {
                    let known: Vec<_> = names.resources().take(MANY + 1).collect();
                    (known.len() <= MANY).then(|| format!("expected {}", describe::choice(&known)))
                }
            };
            (format!("`{whole}`{inside} names no resource of this workload"), hint)
        }
        (Some("metadata"), _) => (format!("`{whole}`{inside} names nothing in the metadata"), None),
        (Some(root), Some(_)) => {
            let known = ["resources", "metadata"].into_iter().chain(ORCHESTRATOR);
            let hint = match nearest(root, known) {
                Some(name) => format!("did you mean `{name}`?"),
                None => "write `$\\{` for `${` in text that nothing shall replace".to_owned(),
            };
            let message = format!(
                "`{whole}`{inside} names nothing that a placeholder can name; the deployment will fail"
            );
            (message, Some(hint))
        }
        (Some("resources"), None) => (
            format!("`{whole}`{inside} names no resource"),
            Some("write `${resources.NAME}`".to_owned()),
        ),
        (Some(_), None) => return,
        (None, _) => return,
    };
    let span = if inside.is_empty() { report.within(span, &whole) } else { span };
    report.warn(Code::ScorePlaceholder, span, path, message, hint);
}

fn strings(entries: &[(&str, &str)]) -> JsonMap {
    entries.iter().map(|(name, text)| ((*name).to_owned(), Json::from(*text))).collect()
}

/// Maps merge, everything else is replaced: the extension wins.
fn merge(into: &mut JsonMap, from: JsonMap) {
    for (name, value) in from {
        match (into.get_mut(&name), value) {
            (Some(Json::Object(into)), Json::Object(from)) => merge(into, from),
            (Some(slot), value) => *slot = value,
            (None, value) => {
                into.insert(name, value);
            }
        }
    }
}

/// Standard base64; line breaks are fine.
fn is_base64(text: &str) -> bool {
    let text: Cow<'_, str> = match text.contains(['\n', '\r']) {
        true => text.replace(['\n', '\r'], "").into(),
        false => text.into(),
    };
    let body = text.trim_end_matches('=');
    text.len().is_multiple_of(4)
        && text.len() - body.len() <= 2
        && body.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/'))
}
