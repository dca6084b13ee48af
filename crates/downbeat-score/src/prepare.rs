//! From texts to the one document that is validated: overrides, properties, image, old spellings.
//!
//! Invariant: every node of the result carries the number of the text it came from.

use std::{collections::BTreeMap, mem};

use downbeat_core::{
    Code,
    yaml::{self, ErrorKind, Key, Kind, Limits, Node, Span},
};

use crate::{
    Options, Overlay, Property, Source, describe,
    diagnostic::{Path, Report},
};

/// A Score file has at most this many bytes.
const BYTES: usize = 1 << 20;
/// A property path has at most this many names.
const DEPTH: usize = 64;

/// What a Score file, an override or an extension may cost. Far beyond any real file, and small
/// enough for work that grows with the square of it.
fn limits() -> Limits {
    Limits { bytes: BYTES, nodes: 20_000, alias_expansion: 20_000, ..Limits::default() }
}

/// Reads the Score file and applies everything that comes with it, in the order of the format:
/// overrides, properties, image, old spellings. Nothing when the text is no mapping.
pub(crate) fn prepare<'a>(
    source: &Source<'a>,
    options: &'a Options,
    report: &mut Report<'a>,
) -> Option<Node> {
    let mut document = parse(source.text, 0, report);
    let overlays: Vec<Node> = options
        .overrides
        .iter()
        .filter_map(|overlay| self::overlay(overlay, "override", report))
        .collect();
    if let Some(document) = &mut document {
        for overlay in overlays {
            merge(document, overlay);
        }
        for property in &options.properties {
            set(document, property, report);
        }
        upgrade(document, options, report);
    }
    document
}

/// Reads what comes with the Score file; nothing, with a diagnostic, when it is not a mapping.
pub(crate) fn overlay<'a>(
    overlay: &'a Overlay,
    what: &str,
    report: &mut Report<'a>,
) -> Option<Node> {
    let node = match overlay {
        Overlay::Text { name, text } => {
            let number = report.add_text(name, Some(text), what);
            let mut node = parse(text, number, report)?;
            node.set_source(number);
            node
        }
        Overlay::Json(json) => {
            let number = report.add_text(what, None, what);
            let mut node = Node::from_json(json);
            node.set_source(number);
            node
        }
    };
    match node.value {
        Kind::Mapping(_) => Some(node),
        // An empty file overrides nothing.
        Kind::Null => None,
        _ => {
            let message = format!("expected a map, found {}", describe::kind(&node));
            report.error(Code::ScoreOverride, node.span, &Path::ROOT, message, None);
            None
        }
    }
}

fn parse(text: &str, number: u32, report: &mut Report<'_>) -> Option<Node> {
    yaml::parse(text, &limits())
        .map_err(|error| {
            let code = match error.kind {
                ErrorKind::Limit => Code::ScoreLimit,
                _ => Code::ScoreSyntax,
            };
            report.unreadable(code, number, error.line, error.column, &error.message);
        })
        .ok()
}

/// Maps merge, everything else is replaced, `null` deletes.
fn merge(into: &mut Node, from: Node) {
    let Kind::Mapping(new) = from.value else {
        *into = from;
        return;
    };
    let Kind::Mapping(entries) = &mut into.value else {
        // Merged into nothing, so that the `null`s within it go as well.
        *into = Node { span: from.span, ..Node::new(Kind::Mapping(Vec::new())) };
        return merge(into, Node { span: from.span, ..Node::new(Kind::Mapping(new)) });
    };
    // Overrides can come without a limit, as JSON.
    let mut index: BTreeMap<String, usize> =
        entries.iter().enumerate().map(|(at, (key, _))| (key.name.clone(), at)).collect();
    let mut slots: Vec<Option<(Key, Node)>> = mem::take(entries).into_iter().map(Some).collect();
    for (key, value) in new {
        let known = index.get(&key.name).and_then(|at| slots.get_mut(*at));
        match (known, &value.value) {
            (Some(slot), Kind::Null) => {
                *slot = None;
                index.remove(&key.name);
            }
            (None, Kind::Null) => {}
            (Some(Some((old, slot))), new) => {
                if !matches!((&slot.value, new), (Kind::Mapping(_), Kind::Mapping(_))) {
                    old.span = key.span;
                }
                merge(slot, value);
            }
            (_, Kind::Mapping(_)) => {
                let mut slot = Node { span: value.span, ..Node::new(Kind::Null) };
                merge(&mut slot, value);
                slots.push(Some((key, slot)));
            }
            (_, _) => slots.push(Some((key, value))),
        }
    }
    *entries = slots.into_iter().flatten().collect();
}

fn set<'a>(document: &mut Node, property: &'a Property, report: &mut Report<'a>) {
    let origin = format!("property `{}`", property.path);
    let number = report.add_text(&origin, None, &origin);
    let span = Span { source: number, ..Span::default() };
    let mut fail = |message: String, hint: Option<String>| {
        report.error(Code::ScoreOverride, span, &Path::ROOT, message, hint);
    };
    let Some(names) = property.names() else {
        let hint = "a path is names joined by dots, `containers.main.image`";
        return fail("the path has an empty name".to_owned(), Some(hint.to_owned()));
    };
    let mut value = property.value.as_ref().filter(|value| !value.is_null()).map(Node::from_json);
    if let Some(value) = &mut value {
        value.set_source(number);
    }
    if names.len() > DEPTH {
        return fail(format!("the path has more than {DEPTH} names"), None);
    }
    let Some((last, parents)) = names.split_last() else { return };
    let mut at = document;
    for name in parents {
        if matches!(at.value, Kind::Null) {
            *at = Node { value: Kind::Mapping(Vec::new()), span, style: at.style };
        }
        let kind = describe::kind(at);
        at = match &mut at.value {
            Kind::Mapping(entries) => {
                let index = match entries.iter().position(|(key, _)| key.name == *name) {
                    Some(index) => index,
                    // Nothing below a place that is not there can be deleted.
                    None if value.is_none() => return,
                    None => {
                        let key = Key { name: name.clone(), span };
                        let node = Node { span, ..Node::new(Kind::Mapping(Vec::new())) };
                        entries.push((key, node));
                        entries.len() - 1
                    }
                };
                match entries.get_mut(index) {
                    Some((_, node)) => node,
                    None => return,
                }
            }
            Kind::Sequence(items) => {
                let length = items.len();
                match name.parse::<usize>().ok().and_then(|index| items.get_mut(index)) {
                    Some(node) => node,
                    None => return fail(no_index(name, length), None),
                }
            }
            _ => return fail(format!("there is nothing below {kind}"), None),
        };
    }
    if matches!(at.value, Kind::Null) {
        *at = Node { value: Kind::Mapping(Vec::new()), span, style: at.style };
    }
    let kind = describe::kind(at);
    match (&mut at.value, value) {
        (Kind::Mapping(entries), None) => entries.retain(|(key, _)| key.name != *last),
        (Kind::Mapping(entries), Some(value)) => {
            match entries.iter_mut().find(|(key, _)| key.name == *last) {
                Some((key, slot)) => {
                    key.span = span;
                    *slot = value;
                }
                None => entries.push((Key { name: last.clone(), span }, value)),
            }
        }
        (Kind::Sequence(items), value) => {
            let length = items.len();
            match (last.parse::<usize>().ok().filter(|index| *index < length), value) {
                (Some(index), None) => {
                    items.remove(index);
                }
                (Some(index), Some(value)) => {
                    if let Some(slot) = items.get_mut(index) {
                        *slot = value;
                    }
                }
                (None, Some(value)) if last == "-1" => items.push(value),
                (None, _) => fail(no_index(last, length), None),
            }
        }
        _ => fail(format!("there is nothing below {kind}"), None),
    }
}

fn no_index(name: &str, length: usize) -> String {
    format!("`{name}` is no index of a list of {length}")
}

/// The default image, and spellings of earlier versions of Score.
fn upgrade(document: &mut Node, options: &Options, report: &mut Report<'_>) {
    let Some(containers) = member(document, "containers") else { return };
    let Kind::Mapping(containers) = &mut containers.value else { return };
    let root = Path::ROOT;
    let path = root.member("containers");
    for (key, container) in containers {
        let path = path.member(&key.name);
        if let Some(image) = &options.image {
            set_image(container, key.span, image, options.fill_missing_image);
        }
        each(member(container, "files"), &path.member("files"), |file, path| {
            if let Some(content) = member(file, "content") {
                join_lines(content, &path.member("content"), report);
            }
        });
        each(member(container, "volumes"), &path.member("volumes"), |volume, path| {
            let Kind::Mapping(entries) = &mut volume.value else { return };
            if entries.iter().any(|(key, _)| key.name == "readOnly") {
                return;
            }
            for (key, value) in entries {
                if key.name == "read_only" && matches!(value.value, Kind::Bool(_)) {
                    key.name = "readOnly".to_owned();
                    let message = "`read_only` is an old spelling";
                    let hint = Some("write `readOnly`".to_owned());
                    report.warn(Code::ScoreUnknown, key.span, path, message, hint);
                }
            }
        });
    }
}

fn member<'n>(node: &'n mut Node, name: &str) -> Option<&'n mut Node> {
    match &mut node.value {
        Kind::Mapping(entries) => {
            entries.iter_mut().find(|(key, _)| key.name == name).map(|(_, value)| value)
        }
        _ => None,
    }
}

/// The values of a map or of a list.
fn each(node: Option<&mut Node>, path: &Path<'_>, mut visit: impl FnMut(&mut Node, &Path<'_>)) {
    match node.map(|node| &mut node.value) {
        Some(Kind::Mapping(entries)) => {
            for (key, value) in entries {
                visit(value, &path.member(&key.name));
            }
        }
        Some(Kind::Sequence(items)) => {
            for (index, item) in items.iter_mut().enumerate() {
                visit(item, &path.index(index));
            }
        }
        _ => {}
    }
}

fn set_image(container: &mut Node, place: Span, image: &str, fill_missing: bool) {
    match member(container, "image") {
        Some(node) if node.as_str() == Some(".") => {
            node.value = Kind::String(image.to_owned());
        }
        None if fill_missing => {
            if let Kind::Mapping(entries) = &mut container.value {
                let key = Key { name: "image".to_owned(), span: place };
                let value = Node { span: place, ..Node::new(Kind::String(image.to_owned())) };
                entries.push((key, value));
            }
        }
        _ => {}
    }
}

/// `content` as a list of lines.
fn join_lines(content: &mut Node, path: &Path<'_>, report: &mut Report<'_>) {
    let Kind::Sequence(items) = &content.value else { return };
    let line = |item: &Node| match &item.value {
        Kind::String(text) => Some(text.clone()),
        Kind::Bool(_) | Kind::Int(_) | Kind::Uint(_) | Kind::Float(_) => {
            Some(item.to_json().to_string())
        }
        _ => None,
    };
    let Some(lines) = items.iter().map(line).collect::<Option<Vec<_>>>() else { return };
    content.value = Kind::String(lines.join("\n"));
    let message = "a list of lines is an old spelling of `content`";
    let hint = Some("write one string, for example a block (`content: |`)".to_owned());
    report.warn(Code::ScoreValue, content.span, path, message, hint);
}
