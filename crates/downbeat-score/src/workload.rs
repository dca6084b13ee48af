//! The document as a [`Workload`]: the whole Score schema `score-v1b1`, checked by hand.
//!
//! Invariant: a document without errors is exactly a document that the JSON schema accepts, with
//! one exception: an entry of a list of files or volumes needs a `target`. What is wrong is left
//! out of the workload, so that the rest can still be looked at.

use downbeat_core::{
    Code,
    suggest::nearest,
    yaml::{Key, Kind, Node, Span, Style},
};

use crate::{
    describe,
    diagnostic::{Path, Report},
};

#[derive(Default)]
pub(crate) struct Workload<'d> {
    pub(crate) name: Option<&'d str>,
    /// The whole map, for placeholders.
    pub(crate) metadata: Option<&'d Node>,
    pub(crate) annotations: Vec<(&'d str, &'d str)>,
    pub(crate) ports: Vec<Port<'d>>,
    pub(crate) containers: Vec<Container<'d>>,
    pub(crate) resources: Vec<Resource<'d>>,
    /// Names of resources that are there but wrong.
    pub(crate) broken: Vec<&'d str>,
}

pub(crate) struct Port<'d> {
    pub(crate) name: &'d str,
    pub(crate) port: u16,
    pub(crate) protocol: &'d str,
    pub(crate) target_port: Option<u16>,
}

#[derive(Default)]
pub(crate) struct Container<'d> {
    pub(crate) name: &'d str,
    pub(crate) image: &'d str,
    pub(crate) command: Vec<&'d str>,
    pub(crate) args: Vec<&'d str>,
    pub(crate) variables: Vec<(&'d str, Text<'d>)>,
    pub(crate) files: Vec<File<'d>>,
    pub(crate) volumes: Vec<Volume<'d>>,
    pub(crate) limits: Vec<(&'d str, &'d str)>,
    pub(crate) requests: Vec<(&'d str, &'d str)>,
    pub(crate) liveness: Option<Probe<'d>>,
    pub(crate) readiness: Option<Probe<'d>>,
}

/// A string with its place.
#[derive(Clone, Copy)]
pub(crate) struct Text<'d> {
    pub(crate) text: &'d str,
    pub(crate) span: Span,
}

pub(crate) struct File<'d> {
    pub(crate) target: &'d str,
    /// Where it stands in the document: the key of a map, or the index in a list.
    pub(crate) slot: Slot<'d>,
    pub(crate) mode: Option<&'d str>,
    pub(crate) content: Content<'d>,
    pub(crate) expand: bool,
}

#[derive(Clone, Copy)]
pub(crate) enum Slot<'d> {
    Key(&'d Key),
    Index(usize, Span),
}

impl Slot<'_> {
    pub(crate) fn span(&self) -> Span {
        match self {
            Self::Key(key) => key.span,
            Self::Index(_, span) => *span,
        }
    }

    /// Calls `then` with the path of the slot below `path`.
    pub(crate) fn below<T>(&self, path: &Path<'_>, then: impl FnOnce(&Path<'_>) -> T) -> T {
        match self {
            Self::Key(key) => then(&path.member(&key.name)),
            Self::Index(index, _) => then(&path.index(*index)),
        }
    }
}

#[derive(Clone, Copy)]
pub(crate) enum Content<'d> {
    Source(Text<'d>),
    Inline(Text<'d>),
    Binary(Text<'d>),
}

pub(crate) struct Volume<'d> {
    pub(crate) target: &'d str,
    pub(crate) slot: Slot<'d>,
    pub(crate) source: Text<'d>,
    pub(crate) path: Option<&'d str>,
    pub(crate) read_only: bool,
}

#[derive(Default)]
pub(crate) struct Probe<'d> {
    pub(crate) http: Option<Http<'d>>,
    pub(crate) command: Option<Vec<&'d str>>,
    /// The key of the probe.
    pub(crate) span: Span,
}

#[derive(Default)]
pub(crate) struct Http<'d> {
    pub(crate) path: &'d str,
    pub(crate) port: u16,
    pub(crate) headers: Vec<(&'d str, &'d str)>,
}

pub(crate) struct Resource<'d> {
    pub(crate) name: &'d str,
    /// The name's place.
    pub(crate) span: Span,
    pub(crate) resource_type: Text<'d>,
    pub(crate) class: Option<&'d str>,
    pub(crate) id: Option<Text<'d>>,
    pub(crate) annotations: Vec<(&'d str, Text<'d>)>,
    pub(crate) params: Option<&'d Node>,
}

/// Validates the document, all of it.
pub(crate) fn read<'d>(document: &'d Node, report: &mut Report<'_>) -> Workload<'d> {
    let mut reader = Reader { report };
    reader.workload(document)
}

type Entries<'d> = &'d [(Key, Node)];

struct Reader<'r, 't> {
    report: &'r mut Report<'t>,
}

impl<'r, 't> Reader<'r, 't> {
    fn workload<'d>(&mut self, document: &'d Node) -> Workload<'d> {
        const KNOWN: &[&str] = &["apiVersion", "metadata", "service", "containers", "resources"];
        let mut workload = Workload::default();
        let root = &Path::ROOT;
        let required = &["apiVersion", "metadata", "containers"];
        for (key, value) in self.object(document, None, root, KNOWN, required) {
            let path = &root.member(&key.name);
            match key.name.as_str() {
                "apiVersion" => self.api_version(value, path),
                "metadata" => self.metadata(value, key, path, &mut workload),
                "service" => workload.ports = self.service(value, key, path),
                "containers" => {
                    let entries = self.map(value, path);
                    if entries.is_some_and(<[_]>::is_empty) {
                        let message = "expected at least one container, found none";
                        self.value(value.span, path, message, None);
                    }
                    for (key, value) in entries.unwrap_or_default() {
                        let path = &path.member(&key.name);
                        self.name(key, path, "a container name");
                        workload.containers.extend(self.container(value, key, path));
                    }
                }
                "resources" => {
                    for (key, value) in self.map(value, path).unwrap_or_default() {
                        let path = &path.member(&key.name);
                        self.name(key, path, "a resource name");
                        match self.resource(value, key, path) {
                            Some(resource) => workload.resources.push(resource),
                            None => workload.broken.push(&key.name),
                        }
                    }
                }
                _ => {}
            }
        }
        workload
    }

    fn api_version(&mut self, value: &Node, path: &Path<'_>) {
        const VERSION: &str = "score.dev/v1b1";
        let Some(text) = self.string(value, path) else { return };
        if text != VERSION {
            let message = format!("expected `{VERSION}`, found {}", describe::text(text));
            self.value(value.span, path, message, None);
        }
    }

    fn metadata<'d>(
        &mut self,
        value: &'d Node,
        key: &Key,
        path: &Path<'_>,
        workload: &mut Workload<'d>,
    ) {
        let Some(entries) = self.map(value, path) else { return };
        if value.get("name").is_none() {
            self.missing("name", key.span, path);
        }
        workload.metadata = Some(value);
        for (key, value) in entries {
            let path = &path.member(&key.name);
            match key.name.as_str() {
                "name" => {
                    let Some(text) = self.string(value, path) else { continue };
                    if is_name(text) {
                        workload.name = Some(text);
                    } else {
                        self.bad_name(text, value.span, path, "a workload name");
                    }
                }
                "annotations" => {
                    let annotations = self.annotations(value, path);
                    workload.annotations =
                        annotations.into_iter().map(|(name, text)| (name, text.text)).collect();
                }
                _ => {}
            }
        }
    }

    fn annotations<'d>(&mut self, value: &'d Node, path: &Path<'_>) -> Vec<(&'d str, Text<'d>)> {
        let mut annotations = Vec::new();
        for (key, value) in self.map(value, path).unwrap_or_default() {
            let path = &path.member(&key.name);
            if !is_annotation(&key.name) {
                let message = format!(
                    "{} is no annotation name: expected letters, digits, `-`, `_` and `.`, at \
                     least two characters, with an optional `host.name/` before it",
                    describe::text(&key.name)
                );
                self.value(key.span, path, message, None);
            }
            if let Some(text) = self.string(value, path) {
                annotations.push((key.name.as_str(), Text { text, span: value.span }));
            }
        }
        annotations
    }

    fn service<'d>(&mut self, value: &'d Node, key: &Key, path: &Path<'_>) -> Vec<Port<'d>> {
        const KNOWN: &[&str] = &["port", "protocol", "targetPort"];
        let mut ports = Vec::new();
        for (key, value) in self.object(value, Some(key), path, &["ports"], &[]) {
            let path = &path.member(&key.name);
            if key.name != "ports" {
                continue;
            }
            for (key, value) in self.map(value, path).unwrap_or_default() {
                let path = &path.member(&key.name);
                self.name(key, path, "a port name");
                let (mut port, mut target_port, mut protocol) = (None, None, "TCP");
                let name = key.name.as_str();
                for (key, value) in self.object(value, Some(key), path, KNOWN, &["port"]) {
                    let path = &path.member(&key.name);
                    match key.name.as_str() {
                        "port" => port = self.port(value, path),
                        "targetPort" => target_port = self.port(value, path),
                        "protocol" => {
                            protocol = self.one_of(value, path, &["TCP", "UDP"]).unwrap_or("TCP");
                        }
                        _ => {}
                    }
                }
                ports.extend(port.map(|port| Port { name, port, protocol, target_port }));
            }
        }
        ports
    }

    fn container<'d>(
        &mut self,
        value: &'d Node,
        key: &'d Key,
        path: &Path<'_>,
    ) -> Option<Container<'d>> {
        const KNOWN: &[&str] = &[
            "image",
            "command",
            "args",
            "variables",
            "files",
            "volumes",
            "before",
            "resources",
            "livenessProbe",
            "readinessProbe",
        ];
        let mut container = Container { name: &key.name, ..Container::default() };
        for (key, value) in self.object(value, Some(key), path, KNOWN, &["image"]) {
            let path = &path.member(&key.name);
            match key.name.as_str() {
                "image" => container.image = self.filled(value, path).unwrap_or_default(),
                "command" => container.command = self.strings(value, path),
                "args" => container.args = self.strings(value, path),
                "variables" => container.variables = self.variables(value, path),
                "files" => {
                    container.files = self.mounts(value, path, |reader, slot, value, path| {
                        reader.file(slot, value, path)
                    });
                }
                "volumes" => {
                    container.volumes = self.mounts(value, path, |reader, slot, value, path| {
                        reader.volume(slot, value, path)
                    });
                }
                "before" => self.before(value, key, path),
                "resources" => {
                    for (key, value) in
                        self.object(value, Some(key), path, &["limits", "requests"], &[])
                    {
                        let path = &path.member(&key.name);
                        match key.name.as_str() {
                            "limits" => container.limits = self.amounts(value, key, path),
                            "requests" => container.requests = self.amounts(value, key, path),
                            _ => {}
                        }
                    }
                }
                "livenessProbe" => container.liveness = self.probe(value, key, path),
                "readinessProbe" => container.readiness = self.probe(value, key, path),
                _ => {}
            }
        }
        matches!(value.value, Kind::Mapping(_)).then_some(container)
    }

    fn variables<'d>(&mut self, value: &'d Node, path: &Path<'_>) -> Vec<(&'d str, Text<'d>)> {
        let mut variables = Vec::new();
        for (key, value) in self.map(value, path).unwrap_or_default() {
            let path = &path.member(&key.name);
            if key.name.is_empty() || key.name.contains('=') {
                let message = format!(
                    "{} is no variable name: expected at least one character and no `=`",
                    describe::text(&key.name)
                );
                self.value(key.span, path, message, None);
            }
            if let Some(text) = self.string(value, path) {
                variables.push((key.name.as_str(), Text { text, span: value.span }));
            }
        }
        variables
    }

    /// Files or volumes: a map by target, or a list with `target` in each entry.
    fn mounts<'d, T>(
        &mut self,
        value: &'d Node,
        path: &Path<'_>,
        mut read: impl FnMut(&mut Self, Slot<'d>, &'d Node, &Path<'_>) -> Option<T>,
    ) -> Vec<T> {
        match &value.value {
            Kind::Mapping(entries) => entries
                .iter()
                .filter_map(|(key, value)| {
                    read(self, Slot::Key(key), value, &path.member(&key.name))
                })
                .collect(),
            Kind::Sequence(items) => items
                .iter()
                .enumerate()
                .filter_map(|(index, value)| {
                    read(self, Slot::Index(index, value.span), value, &path.index(index))
                })
                .collect(),
            _ => {
                let message = format!("expected a map by target, found {}", describe::kind(value));
                self.value(value.span, path, message, None);
                Vec::new()
            }
        }
    }

    /// The target of a file or volume: the key of the map, or `target` in a list.
    fn target<'d>(
        &mut self,
        slot: Slot<'d>,
        value: &'d Node,
        path: &Path<'_>,
        filled: bool,
    ) -> Option<&'d str> {
        let member = value.entries()?.iter().find(|(key, _)| key.name == "target");
        match (slot, member) {
            (Slot::Key(key), None) => Some(&key.name),
            (Slot::Key(_), Some((key, _))) => {
                let path = &path.member("target");
                let message = "`target` is known only in the list form; here the key is the target";
                self.report.error(Code::ScoreUnknown, key.span, path, message, None);
                None
            }
            (Slot::Index(..), Some((_, value))) => {
                let path = &path.member("target");
                if filled { self.filled(value, path) } else { self.string(value, path) }
            }
            (Slot::Index(_, span), None) => {
                self.missing("target", span, path);
                None
            }
        }
    }

    fn file<'d>(&mut self, slot: Slot<'d>, value: &'d Node, path: &Path<'_>) -> Option<File<'d>> {
        const KNOWN: &[&str] =
            &["target", "mode", "source", "content", "binaryContent", "noExpand"];
        let key = match slot {
            Slot::Key(key) => Some(key),
            Slot::Index(..) => None,
        };
        let entries = self.object(value, key, path, KNOWN, &[]);
        let target = self.target(slot, value, path, true);
        let (mut mode, mut expand) = (None, true);
        let mut contents: Vec<(&Key, Option<Content<'d>>)> = Vec::new();
        for (key, value) in entries {
            let path = &path.member(&key.name);
            let text = |text: Option<&'d str>| text.map(|text| Text { text, span: value.span });
            match key.name.as_str() {
                "mode" => {
                    mode = self.matching(value, path, is_mode, "three octal digits such as `0644`");
                }
                "source" => {
                    contents.push((key, text(self.filled(value, path)).map(Content::Source)));
                }
                "content" => {
                    contents.push((key, text(self.string(value, path)).map(Content::Inline)));
                }
                "binaryContent" => {
                    contents.push((key, text(self.string(value, path)).map(Content::Binary)));
                }
                "noExpand" => expand = !self.boolean(value, path).unwrap_or(false),
                _ => {}
            }
        }
        value.entries()?;
        match contents.as_slice() {
            [] => {
                let message = "expected one of `content`, `binaryContent` or `source`, found none";
                let misspelt = entries.iter().any(|(key, _)| {
                    !KNOWN.contains(&key.name.as_str())
                        && nearest(&key.name, ["content", "binaryContent", "source"]).is_some()
                });
                if !misspelt {
                    self.report.error(Code::ScoreMissing, slot.span(), path, message, None);
                }
                None
            }
            [(_, content)] => {
                Some(File { target: target?, slot, mode, content: (*content)?, expand })
            }
            [.., (key, _)] => {
                let message = "expected only one of `content`, `binaryContent` and `source`";
                self.value(key.span, path, message, None);
                None
            }
        }
    }

    fn volume<'d>(
        &mut self,
        slot: Slot<'d>,
        value: &'d Node,
        path: &Path<'_>,
    ) -> Option<Volume<'d>> {
        const KNOWN: &[&str] = &["source", "path", "target", "readOnly"];
        let key = match slot {
            Slot::Key(key) => Some(key),
            Slot::Index(..) => None,
        };
        let (mut source, mut sub_path, mut read_only) = (None, None, false);
        let entries = self.object(value, key, path, KNOWN, &["source"]);
        let target = self.target(slot, value, path, false);
        for (key, value) in entries {
            let path = &path.member(&key.name);
            match key.name.as_str() {
                "source" => {
                    source = self.string(value, path).map(|text| Text { text, span: value.span });
                }
                "path" => sub_path = self.string(value, path),
                "readOnly" => read_only = self.boolean(value, path).unwrap_or(false),
                _ => {}
            }
        }
        Some(Volume { target: target?, slot, source: source?, path: sub_path, read_only })
    }

    fn before(&mut self, value: &Node, key: &Key, path: &Path<'_>) {
        let message = "`before` has no effect: the order of containers cannot be set";
        let hint = "start containers that must come first as init containers, in an extension file";
        self.report.warn(Code::ScoreUnknown, key.span, path, message, Some(hint.to_owned()));
        for (key, value) in self.map(value, path).unwrap_or_default() {
            let path = &path.member(&key.name);
            self.name(key, path, "a container name");
            for (key, value) in self.object(value, Some(key), path, &["ready"], &["ready"]) {
                if key.name == "ready" {
                    let states = &["started", "healthy", "complete"];
                    self.one_of(value, &path.member("ready"), states);
                }
            }
        }
    }

    fn amounts<'d>(
        &mut self,
        value: &'d Node,
        key: &Key,
        path: &Path<'_>,
    ) -> Vec<(&'d str, &'d str)> {
        let mut amounts = Vec::new();
        for (key, value) in self.object(value, Some(key), path, &["cpu", "memory"], &[]) {
            let path = &path.member(&key.name);
            let amount = match key.name.as_str() {
                "cpu" => self.matching(value, path, is_cpu, "CPUs such as `2`, `0.5` or `250m`"),
                "memory" => {
                    let form = "bytes such as `128M`, `256Mi` or `1.5Gi`";
                    self.matching(value, path, is_memory, form)
                }
                _ => None,
            };
            amounts.extend(amount.map(|amount| (key.name.as_str(), amount)));
        }
        amounts
    }

    fn probe<'d>(&mut self, value: &'d Node, key: &Key, path: &Path<'_>) -> Option<Probe<'d>> {
        const KNOWN: &[&str] = &["httpGet", "exec"];
        let entries = self.object(value, Some(key), path, KNOWN, &[]);
        let mut probe = Probe { span: key.span, ..Probe::default() };
        for (key, value) in entries {
            let path = &path.member(&key.name);
            match key.name.as_str() {
                "httpGet" => probe.http = self.http(value, key, path),
                "exec" => {
                    let entries = self.object(value, Some(key), path, &["command"], &["command"]);
                    for (key, value) in entries {
                        if key.name == "command" {
                            probe.command = Some(self.strings(value, &path.member("command")));
                        }
                    }
                }
                _ => {}
            }
        }
        let known = |(key, _): &(Key, Node)| {
            KNOWN.contains(&key.name.as_str())
                || nearest(&key.name, KNOWN.iter().copied()).is_some()
        };
        if matches!(value.value, Kind::Mapping(_)) && !entries.iter().any(known) {
            let message = "expected `httpGet` or `exec`, found neither";
            self.report.error(Code::ScoreMissing, key.span, path, message, None);
        }
        Some(probe)
    }

    fn http<'d>(&mut self, value: &'d Node, key: &Key, path: &Path<'_>) -> Option<Http<'d>> {
        const KNOWN: &[&str] = &["host", "scheme", "path", "port", "httpHeaders"];
        let (mut http, mut port) = (Http::default(), None);
        for (key, value) in self.object(value, Some(key), path, KNOWN, &["port", "path"]) {
            let path = &path.member(&key.name);
            match key.name.as_str() {
                "host" => {
                    self.filled(value, path);
                    self.no_effect(key, path);
                }
                "scheme" => {
                    let scheme = self.one_of(value, path, &["HTTP", "HTTPS"]);
                    if scheme == Some("HTTPS") {
                        self.no_effect(key, path);
                    }
                }
                "path" => http.path = self.string(value, path).unwrap_or_default(),
                "port" => port = self.port(value, path),
                "httpHeaders" => http.headers = self.headers(value, path),
                _ => {}
            }
        }
        http.port = port?;
        Some(http)
    }

    fn no_effect(&mut self, key: &Key, path: &Path<'_>) {
        let message = format!("`{}` of a probe has no effect", key.name);
        self.report.warn(Code::ScoreUnknown, key.span, path, message, None);
    }

    fn headers<'d>(&mut self, value: &'d Node, path: &Path<'_>) -> Vec<(&'d str, &'d str)> {
        let mut headers = Vec::new();
        for (index, item) in self.list(value, path).unwrap_or_default().iter().enumerate() {
            let path = &path.index(index);
            let (mut name, mut text) = (None, None);
            for (key, value) in
                self.object(item, None, path, &["name", "value"], &["name", "value"])
            {
                let path = &path.member(&key.name);
                match key.name.as_str() {
                    "name" => {
                        let form = "letters, digits, `-` and `_`";
                        name = self.matching(value, path, is_header, form);
                    }
                    "value" => text = self.filled(value, path),
                    _ => {}
                }
            }
            headers.extend(name.zip(text));
        }
        headers
    }

    fn resource<'d>(
        &mut self,
        value: &'d Node,
        key: &'d Key,
        path: &Path<'_>,
    ) -> Option<Resource<'d>> {
        const KNOWN: &[&str] = &["type", "class", "id", "metadata", "params"];
        const FORM: &str = "2 to 63 letters, digits and `-`, no `-` at the ends";
        let (name, span) = (key.name.as_str(), key.span);
        let (mut resource_type, mut class, mut id, mut params) = (None, None, None, None);
        let mut annotations = Vec::new();
        for (key, value) in self.object(value, Some(key), path, KNOWN, &["type"]) {
            let path = &path.member(&key.name);
            let text = |text: &'d str| Text { text, span: value.span };
            match key.name.as_str() {
                "type" => resource_type = self.matching(value, path, is_type, FORM).map(text),
                "class" => class = self.matching(value, path, is_type, FORM),
                "id" => {
                    let form = "2 to 63 lower-case letters, digits, `-` and `.`";
                    id = self.matching(value, path, is_id, form).map(text);
                }
                "metadata" => {
                    for (key, value) in self.map(value, path).unwrap_or_default() {
                        if key.name == "annotations" {
                            annotations = self.annotations(value, &path.member("annotations"));
                        }
                    }
                }
                "params" => params = self.map(value, path).map(|_| value),
                _ => {}
            }
        }
        let resource_type = resource_type?;
        Some(Resource { name, span, resource_type, class, id, annotations, params })
    }

    // From here on: what the parts above are made of.

    /// The entries of a map in which only some keys are known. Reports all other keys, and keys
    /// that are missing.
    fn object<'d>(
        &mut self,
        node: &'d Node,
        key: Option<&Key>,
        path: &Path<'_>,
        known: &[&str],
        required: &[&str],
    ) -> Entries<'d> {
        let Some(entries) = self.map(node, path) else { return &[] };
        for (key, _) in entries {
            if !known.contains(&key.name.as_str()) {
                self.unknown(key, &path.member(&key.name), known, entries);
            }
        }
        for name in required {
            let is_there = entries.iter().any(|(key, _)| key.name == *name);
            // A slip of the pen is one mistake: it was reported as an unknown key.
            let misspelt = |(key, _): &(Key, Node)| {
                !known.contains(&key.name.as_str()) && nearest(&key.name, [*name]).is_some()
            };
            if !is_there && !entries.iter().any(misspelt) {
                self.missing(name, key.map_or(node.span, |key| key.span), path);
            }
        }
        entries
    }

    #[cold]
    fn missing(&mut self, name: &str, span: Span, path: &Path<'_>) {
        self.report.error(Code::ScoreMissing, span, path, format!("`{name}` is missing"), None);
    }

    #[cold]
    fn unknown(&mut self, key: &Key, path: &Path<'_>, known: &[&str], entries: Entries<'_>) {
        let unused =
            known.iter().copied().filter(|name| entries.iter().all(|(k, _)| k.name != *name));
        let hint = match nearest(&key.name, unused) {
            Some(name) => format!("did you mean `{name}`?"),
            None => format!("expected {}", describe::choice(known)),
        };
        let message = format!("{} is not known here", describe::text(&key.name));
        self.report.error(Code::ScoreUnknown, key.span, path, message, Some(hint));
    }

    #[cold]
    fn value(
        &mut self,
        span: Span,
        path: &Path<'_>,
        message: impl AsRef<str>,
        hint: Option<String>,
    ) {
        self.report.error(Code::ScoreValue, span, path, message, hint);
    }

    #[cold]
    fn wrong_kind(&mut self, node: &Node, path: &Path<'_>, expected: &str) {
        let quotable = expected == "a string"
            && node.style == Style::Plain
            && matches!(node.value, Kind::Bool(_) | Kind::Int(_) | Kind::Uint(_) | Kind::Float(_));
        let hint = quotable.then(|| "write it in quotes".to_owned());
        let message = format!("expected {expected}, found {}", describe::kind(node));
        self.value(node.span, path, message, hint);
    }

    fn map<'d>(&mut self, node: &'d Node, path: &Path<'_>) -> Option<Entries<'d>> {
        let entries = node.entries();
        if entries.is_none() {
            self.wrong_kind(node, path, "a map");
        }
        entries
    }

    fn list<'d>(&mut self, node: &'d Node, path: &Path<'_>) -> Option<&'d [Node]> {
        let items = node.items();
        if items.is_none() {
            self.wrong_kind(node, path, "a list");
        }
        items
    }

    fn string<'d>(&mut self, node: &'d Node, path: &Path<'_>) -> Option<&'d str> {
        let text = node.as_str();
        if text.is_none() {
            self.wrong_kind(node, path, "a string");
        }
        text
    }

    /// A string that is not empty.
    fn filled<'d>(&mut self, node: &'d Node, path: &Path<'_>) -> Option<&'d str> {
        let text = self.string(node, path)?;
        if text.is_empty() {
            self.value(node.span, path, "expected a text, found an empty string", None);
            return None;
        }
        Some(text)
    }

    fn strings<'d>(&mut self, node: &'d Node, path: &Path<'_>) -> Vec<&'d str> {
        let items = self.list(node, path).unwrap_or_default();
        let mut strings = Vec::with_capacity(items.len());
        for (index, item) in items.iter().enumerate() {
            strings.extend(self.string(item, &path.index(index)));
        }
        strings
    }

    fn boolean(&mut self, node: &Node, path: &Path<'_>) -> Option<bool> {
        if let Kind::Bool(value) = node.value {
            return Some(value);
        }
        self.wrong_kind(node, path, "`true` or `false`");
        None
    }

    fn port(&mut self, node: &Node, path: &Path<'_>) -> Option<u16> {
        let number = match node.value {
            Kind::Int(value) => u16::try_from(value).ok(),
            Kind::Uint(_) => None,
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "the range was checked; `80.0` is an integer to JSON schema"
            )]
            Kind::Float(value) if value.fract() == 0.0 && (1.0..=65535.0).contains(&value) => {
                Some(value as u16)
            }
            Kind::Float(_) => None,
            _ => {
                self.wrong_kind(node, path, "a port number");
                return None;
            }
        };
        let port = number.filter(|port| *port > 0);
        if port.is_none() {
            let found = node.to_json();
            let message = format!("expected a port number from 1 to 65535, found `{found}`");
            self.value(node.span, path, message, None);
        }
        port
    }

    fn one_of<'d>(&mut self, node: &'d Node, path: &Path<'_>, choices: &[&str]) -> Option<&'d str> {
        let text = self.string(node, path)?;
        if choices.contains(&text) {
            return Some(text);
        }
        let hint = nearest(text, choices.iter().copied());
        let hint = hint.map(|name| format!("did you mean `{name}`?"));
        let (expected, found) = (describe::choice(choices), describe::text(text));
        self.value(node.span, path, format!("expected {expected}, found {found}"), hint);
        None
    }

    /// A string of a certain form.
    fn matching<'d>(
        &mut self,
        node: &'d Node,
        path: &Path<'_>,
        fits: fn(&str) -> bool,
        form: &str,
    ) -> Option<&'d str> {
        let text = self.string(node, path)?;
        if fits(text) {
            return Some(text);
        }
        let message = format!("expected {form}, found {}", describe::text(text));
        self.value(node.span, path, message, None);
        None
    }

    fn name(&mut self, key: &Key, path: &Path<'_>, what: &str) {
        if !is_name(&key.name) {
            self.bad_name(&key.name, key.span, path, what);
        }
    }

    #[cold]
    fn bad_name(&mut self, name: &str, span: Span, path: &Path<'_>, what: &str) {
        let message = format!(
            "{} is not {what}: expected 2 to 63 lower-case letters, digits and `-`, no `-` at the \
             ends",
            describe::text(name)
        );
        let better = name.to_lowercase().replace(['_', '.', ' '], "-");
        let hint = is_name(&better).then(|| format!("`{better}` would be one"));
        self.value(span, path, message, hint);
    }
}

/// `^[a-z0-9][a-z0-9-]{0,61}[a-z0-9]$`.
pub(crate) fn is_name(text: &str) -> bool {
    label(text, |byte| byte.is_ascii_lowercase() || byte.is_ascii_digit(), b"-")
}

/// `^[A-Za-z0-9][A-Za-z0-9-]{0,61}[A-Za-z0-9]$`.
fn is_type(text: &str) -> bool {
    label(text, |byte| byte.is_ascii_alphanumeric(), b"-")
}

/// 2 to 63 bytes, with some more characters allowed between the ends.
fn label(text: &str, ends: fn(u8) -> bool, between: &[u8]) -> bool {
    match text.as_bytes() {
        [first, middle @ .., last] => {
            middle.len() <= 61
                && ends(*first)
                && ends(*last)
                && middle.iter().all(|byte| ends(*byte) || between.contains(byte))
        }
        _ => false,
    }
}

/// A name, with an optional host name and `/` before it, 316 characters in all.
fn is_annotation(text: &str) -> bool {
    let (host, name) = match text.split_once('/') {
        Some((host, name)) => (Some(host), name),
        None => (None, text),
    };
    text.len() <= 316
        && host.is_none_or(|host| host.split('.').all(is_name))
        && label(name, |byte| byte.is_ascii_alphanumeric(), b"._-")
}

/// `^[a-z0-9]+(?:-+[a-z0-9]+)*(?:\.[a-z0-9]+(?:-+[a-z0-9]+)*)*$`, 2 to 63 characters.
fn is_id(text: &str) -> bool {
    let inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    (2..=63).contains(&text.len())
        && text.split('.').all(|label| {
            !label.is_empty()
                && !label.starts_with('-')
                && !label.ends_with('-')
                && label.bytes().all(inner)
        })
}

/// `^0?[0-7]{3}$`.
fn is_mode(text: &str) -> bool {
    let digits = match text.as_bytes() {
        [b'0', digits @ ..] if digits.len() == 3 => digits,
        digits => digits,
    };
    digits.len() == 3 && digits.iter().all(|byte| matches!(byte, b'0'..=b'7'))
}

/// `^[A-Za-z0-9_-]+$`.
fn is_header(text: &str) -> bool {
    let inner = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
    !text.is_empty() && text.bytes().all(inner)
}

fn digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// `^\d+(?:m|\.\d+)?$`.
fn is_cpu(text: &str) -> bool {
    match text.split_once('.') {
        Some((whole, fraction)) => digits(whole) && digits(fraction),
        None => digits(text.strip_suffix('m').unwrap_or(text)),
    }
}

/// `^(0\.\d+|[1-9]\d*(\.\d+)?)(K|M|G|T|P|E|Ki|Mi|Gi|Ti|Pi|Ei)?$`.
fn is_memory(text: &str) -> bool {
    let number = text.strip_suffix('i').map_or(Some(text), |number| {
        number.ends_with(['K', 'M', 'G', 'T', 'P', 'E']).then_some(number)
    });
    let Some(number) = number else { return false };
    let number = number.strip_suffix(['K', 'M', 'G', 'T', 'P', 'E']).unwrap_or(number);
    let (whole, fraction) = match number.split_once('.') {
        Some((whole, fraction)) => (whole, Some(fraction)),
        None => (number, None),
    };
    digits(whole)
        && (!whole.starts_with('0') || (whole == "0" && fraction.is_some()))
        && fraction.is_none_or(digits)
}
