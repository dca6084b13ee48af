//! Events of a parser to a tree, within limits.
//!
//! The events come from granit, which knows all of YAML; for one document in the simple style of
//! nearly all manifests they come from [`fast`](super::fast), which knows little and says so.

use std::{borrow::Cow, collections::HashSet};

use granit_parser::{
    ErrorKind as Scan, Event, Marker, Options, Parser, ScalarStyle, ScanError, Span as Mark,
    StructureStyle, Tag,
};

use super::{
    Error, ErrorKind, Key, Kind, Limits, Node, Span, Style, fast,
    scalar::{self, Refusal},
};

pub(super) fn one(text: &str, limits: &Limits) -> Result<Node, Error> {
    match fast::read(text, limits) {
        Some(node) => Ok(node),
        None => one_of_any_style(text, limits),
    }
}

/// As [`one`], without the fast path.
pub(super) fn one_of_any_style(text: &str, limits: &Limits) -> Result<Node, Error> {
    let mut found = None;
    documents(text, limits, |node, place| {
        if found.is_some() {
            return Err(
                place.error(ErrorKind::Documents, "expected one document, found a second one")
            );
        }
        found = Some(node);
        Ok(())
    })?;
    Ok(found.unwrap_or_else(|| Node {
        span: Span { line: 1, column: 1, ..Span::default() },
        ..Node::new(Kind::Null)
    }))
}

pub(super) fn all(text: &str, limits: &Limits) -> Result<Vec<Node>, Error> {
    let mut found = Vec::new();
    documents(text, limits, |node, _| {
        found.push(node);
        Ok(())
    })?;
    Ok(found)
}

fn documents(
    text: &str,
    limits: &Limits,
    mut document: impl FnMut(Node, Span) -> Result<(), Error>,
) -> Result<(), Error> {
    let start = Span { line: 1, column: 1, ..Span::default() };
    if text.len() > limits.bytes.min(u32::MAX as usize) {
        let message = format!("the text is longer than {} bytes", limits.bytes);
        return Err(start.error(ErrorKind::Limit, message));
    }
    let depth = limits.depth.min(DEEPEST);
    let mut options = Options::default();
    options.set_emit_comments(false);
    // As Go: a block scalar that the text ends in has no line feed that is not there.
    options.block_scalar_eof_without_line_feed = true;
    options.block_nesting_limit = depth;
    options.flow_nesting_limit = depth;

    let mut builder = Builder::new(limits);
    let source = text;
    let mut flow = Vec::new();
    let mut place = start;
    for event in Parser::new_from_str_with_options(text, options) {
        let (event, mark) = event.map_err(|error| scan_error(&error))?;
        match event {
            Event::DocumentStart(..) => {
                place = span(&mark);
                builder.anchors.clear();
            }
            Event::DocumentEnd => {
                if let Some(node) = builder.root.take() {
                    document(node, place)?;
                }
            }
            Event::Scalar(text, style, anchor, tag) => {
                let style = match style {
                    ScalarStyle::Plain => Style::Plain,
                    ScalarStyle::SingleQuoted | ScalarStyle::DoubleQuoted => Style::Quoted,
                    ScalarStyle::Literal | ScalarStyle::Folded => Style::Block,
                };
                let mut place = span(&mark);
                if style == Style::Block {
                    // The parser ends a block behind the indentation of the next line.
                    let block = source.get(place.range()).unwrap_or_default();
                    let spaces = block.len() - block.trim_end_matches(' ').len();
                    if block.ends_with(' ') && block.trim_end_matches(' ').ends_with('\n') {
                        place.end -= u32::try_from(spaces).unwrap_or_default();
                    }
                }
                builder.scalar(text, style, anchor, tag.as_deref(), place)?;
            }
            Event::SequenceStart(style, anchor, _) => {
                flow.push(style == StructureStyle::Flow);
                builder.open(Open::sequence(), anchor, span(&mark))?;
            }
            Event::MappingStart(style, anchor, _) => {
                flow.push(style == StructureStyle::Flow);
                builder.open(Open::mapping(), anchor, span(&mark))?;
            }
            Event::SequenceEnd | Event::MappingEnd => {
                // The end of a block collection is only noticed at what follows it.
                let end = flow.pop().unwrap_or_default().then(|| span(&mark).end);
                builder.close(end)?;
            }
            Event::Alias(anchor) => builder.alias(anchor, span(&mark))?,
            _ => {}
        }
    }
    Ok(())
}

/// A collection that is being read.
struct Frame {
    open: Open,
    anchor: usize,
    span: Span,
    /// Counters when the collection began, to know what it holds.
    before: Count,
    /// Collections within each other below this one.
    height: usize,
}

pub(super) enum Open {
    Sequence(Vec<Node>),
    Mapping {
        entries: Vec<(Key, Node)>,
        /// The key whose value comes next.
        key: Option<Pending>,
        /// The names so far, once there are many.
        names: Option<HashSet<String>>,
        /// The value of `<<`, merged when the mapping is complete.
        merge: Option<Node>,
    },
}

impl Open {
    pub(super) const fn sequence() -> Self {
        Self::Sequence(Vec::new())
    }

    pub(super) const fn mapping() -> Self {
        Self::Mapping { entries: Vec::new(), key: None, names: None, merge: None }
    }
}

pub(super) enum Pending {
    Key(Key),
    Merge,
}

/// What a subtree costs.
#[derive(Clone, Copy, Default)]
struct Count {
    nodes: usize,
    bytes: usize,
}

/// A subtree that an alias can ask for.
struct Anchored {
    node: Node,
    cost: Count,
    height: usize,
}

/// Makes a tree of events, within the limits.
pub(super) struct Builder<'l> {
    limits: &'l Limits,
    depth: usize,
    stack: Vec<Frame>,
    /// The document, once it is complete.
    pub(super) root: Option<Node>,
    anchors: Vec<(usize, Anchored)>,
    /// All nodes and bytes, with those that aliases bring in.
    total: Count,
    expanded: Count,
    stored: Count,
}

/// From here on a set finds duplicate keys, below a scan is faster.
const MANY: usize = 16;
/// The parser counts no deeper.
const DEEPEST: usize = 255;

impl<'l> Builder<'l> {
    pub(super) fn new(limits: &'l Limits) -> Self {
        Self {
            limits,
            depth: limits.depth.min(DEEPEST),
            stack: Vec::new(),
            root: None,
            anchors: Vec::new(),
            total: Count::default(),
            expanded: Count::default(),
            stored: Count::default(),
        }
    }

    fn count(&mut self, bytes: usize, place: Span) -> Result<(), Error> {
        self.total.nodes += 1;
        self.total.bytes += bytes;
        if self.total.nodes - self.expanded.nodes > self.limits.nodes {
            let message = format!("the text holds more than {} values", self.limits.nodes);
            return Err(place.error(ErrorKind::Limit, message));
        }
        Ok(())
    }

    pub(super) fn scalar(
        &mut self,
        text: Cow<'_, str>,
        style: Style,
        anchor: usize,
        tag: Option<&Tag>,
        place: Span,
    ) -> Result<(), Error> {
        let before = self.total;
        self.count(text.len(), place)?;
        let text = match style {
            // The parser says `~` for a value that is not there.
            Style::Plain if place.start == place.end => Cow::Borrowed(""),
            _ => text,
        };
        if self.wants_key() {
            if anchor != 0 {
                let node = Node { value: Kind::String(text.to_string()), span: place, style };
                self.store(anchor, &node, before, 0, place)?;
            }
            let plain = style == Style::Plain && tag.is_none_or(|tag| core(tag) == "merge");
            return self.key(text.into_owned(), plain, place);
        }
        let value = match tag.map(core) {
            None if style == Style::Plain => scalar::plain(&text),
            None | Some(Cow::Borrowed("str")) => Ok(Kind::String(text.into_owned())),
            Some(tag) => scalar::tagged(&tag, &text),
        };
        let value =
            value.map_err(|refusal| match refusal {
                Refusal::NotFinite => place
                    .error(ErrorKind::Value, "infinity and NaN are not supported; use a string"),
                Refusal::Tag(tag) => place
                    .error(ErrorKind::Value, format!("the value does not fit its tag `!!{tag}`")),
            })?;
        self.complete(Node { value, span: place, style }, anchor, before, 0)
    }

    fn wants_key(&self) -> bool {
        matches!(self.stack.last(), Some(Frame { open: Open::Mapping { key: None, .. }, .. }))
    }

    fn key(&mut self, name: String, plain: bool, place: Span) -> Result<(), Error> {
        let Some(Frame { open: Open::Mapping { entries, key, names, merge }, .. }) =
            self.stack.last_mut()
        else {
            return Ok(());
        };
        let twice =
            || place.error(ErrorKind::DuplicateKey, format!("the key `{name}` stands twice"));
        if plain && name == "<<" {
            if merge.is_some() {
                return Err(twice());
            }
            *key = Some(Pending::Merge);
            return Ok(());
        }
        let known = match names {
            Some(names) => !names.insert(name.clone()),
            None if entries.len() < MANY => entries.iter().any(|(key, _)| key.name == name),
            None => {
                let set = names.insert(entries.iter().map(|(key, _)| key.name.clone()).collect());
                !set.insert(name.clone())
            }
        };
        if known {
            return Err(twice());
        }
        *key = Some(Pending::Key(Key { name, span: place }));
        Ok(())
    }

    pub(super) fn open(&mut self, open: Open, anchor: usize, place: Span) -> Result<(), Error> {
        if self.wants_key() {
            return Err(place.error(ErrorKind::Value, "a key must be a scalar"));
        }
        if self.stack.len() >= self.depth {
            return Err(self.too_deep(place));
        }
        let before = self.total;
        self.count(0, place)?;
        self.stack.push(Frame { open, anchor, span: place, before, height: 1 });
        Ok(())
    }

    fn too_deep(&self, place: Span) -> Error {
        let message = format!("more than {} collections within each other", self.depth);
        place.error(ErrorKind::Limit, message)
    }

    /// Ends the innermost collection; a block collection ends where its last entry does.
    pub(super) fn close(&mut self, end: Option<u32>) -> Result<(), Error> {
        let Some(frame) = self.stack.pop() else { return Ok(()) };
        let mut place = frame.span;
        let value = match frame.open {
            Open::Sequence(items) => {
                let last = items.iter().map(|item| item.span.end).max();
                place.end = end.or(last).unwrap_or(place.end).max(place.end);
                Kind::Sequence(items)
            }
            Open::Mapping { mut entries, names, merge, .. } => {
                let last = entries.iter().map(|(key, value)| key.span.end.max(value.span.end));
                place.end = end.or(last.max()).unwrap_or(place.end).max(place.end);
                if let Some(merge) = merge {
                    merge_into(&mut entries, names, merge)?;
                }
                Kind::Mapping(entries)
            }
        };
        let node = Node { value, span: place, style: Style::Plain };
        self.complete(node, frame.anchor, frame.before, frame.height)
    }

    fn alias(&mut self, anchor: usize, place: Span) -> Result<(), Error> {
        let Some((_, anchored)) = self.anchors.iter().rev().find(|(id, _)| *id == anchor) else {
            return Err(place.error(ErrorKind::Alias, "the alias stands within its own anchor"));
        };
        self.expanded.nodes = self.expanded.nodes.saturating_add(anchored.cost.nodes);
        self.expanded.bytes = self.expanded.bytes.saturating_add(anchored.cost.bytes);
        if self.expanded.nodes > self.limits.alias_expansion
            || self.expanded.bytes > self.limits.bytes
        {
            return Err(place.error(ErrorKind::Limit, "the aliases expand to too much"));
        }
        let height = anchored.height;
        if self.stack.len() + height > self.depth {
            return Err(self.too_deep(place));
        }
        let node = anchored.node.clone();
        let before = self.total;
        self.total.nodes += anchored.cost.nodes;
        self.total.bytes += anchored.cost.bytes;
        if self.wants_key() {
            return match node.value {
                Kind::String(name) => self.key(name, false, place),
                _ => Err(place.error(ErrorKind::Value, "a key must be a scalar")),
            };
        }
        self.complete(node, 0, before, height)
    }

    /// Puts a finished node where it belongs.
    fn complete(
        &mut self,
        node: Node,
        anchor: usize,
        before: Count,
        height: usize,
    ) -> Result<(), Error> {
        if anchor != 0 {
            self.store(anchor, &node, before, height, node.span)?;
        }
        let Some(frame) = self.stack.last_mut() else {
            self.root = Some(node);
            return Ok(());
        };
        frame.height = frame.height.max(height + 1);
        match &mut frame.open {
            Open::Sequence(items) => items.push(node),
            Open::Mapping { entries, key, merge, .. } => match key.take() {
                Some(Pending::Key(key)) => entries.push((key, node)),
                Some(Pending::Merge) => *merge = Some(node),
                None => {}
            },
        }
        Ok(())
    }

    fn store(
        &mut self,
        anchor: usize,
        node: &Node,
        before: Count,
        height: usize,
        place: Span,
    ) -> Result<(), Error> {
        let cost = Count {
            nodes: self.total.nodes - before.nodes,
            bytes: self.total.bytes - before.bytes,
        };
        // Anchors within anchors are kept several times: that has to end somewhere, too.
        self.stored.nodes += cost.nodes;
        self.stored.bytes += cost.bytes;
        if self.stored.nodes > self.limits.nodes || self.stored.bytes > self.limits.bytes {
            return Err(place.error(ErrorKind::Limit, "the anchors hold too much"));
        }
        self.anchors.push((anchor, Anchored { node: node.clone(), cost, height }));
        Ok(())
    }
}

/// Adds the members of the value of `<<` that are not there yet.
fn merge_into(
    entries: &mut Vec<(Key, Node)>,
    names: Option<HashSet<String>>,
    merge: Node,
) -> Result<(), Error> {
    let mut names =
        names.unwrap_or_else(|| entries.iter().map(|(key, _)| key.name.clone()).collect());
    let place = merge.span;
    let wrong =
        |place: Span| place.error(ErrorKind::Merge, "`<<` needs a mapping or a list of mappings");
    let mut add = |members: Vec<(Key, Node)>| {
        for (key, value) in members {
            if names.insert(key.name.clone()) {
                entries.push((key, value));
            }
        }
    };
    match merge.value {
        Kind::Mapping(members) => add(members),
        Kind::Sequence(items) => {
            for item in items {
                match item.value {
                    Kind::Mapping(members) => add(members),
                    _ => return Err(wrong(item.span)),
                }
            }
        }
        _ => return Err(wrong(place)),
    }
    Ok(())
}

/// The name of a tag in the YAML namespace; of another tag nothing.
fn core(tag: &Tag) -> Cow<'_, str> {
    if let Some(name @ "str") = tag.core_suffix() {
        return Cow::Borrowed(name);
    }
    tag.suffix_in_namespace("tag:yaml.org,2002:").unwrap_or(Cow::Borrowed(""))
}

#[expect(clippy::cast_possible_truncation, reason = "the length of the text was checked")]
fn span(mark: &Mark) -> Span {
    let offset = |marker: &Marker| marker.byte_offset().unwrap_or_default() as u32;
    Span {
        start: offset(&mark.start),
        end: offset(&mark.end),
        line: mark.start.line() as u32,
        column: mark.start.col() as u32 + 1,
        source: 0,
    }
}

impl Span {
    fn error(self, kind: ErrorKind, message: impl Into<String>) -> Error {
        Error {
            message: message.into(),
            line: self.line as usize,
            column: self.column as usize,
            offset: self.start as usize,
            kind,
        }
    }
}

fn scan_error(error: &ScanError) -> Error {
    let (kind, message) = match error.kind() {
        Scan::RecursionLimitExceeded
        | Scan::InputByteLimitExceeded { .. }
        | Scan::DirectiveByteLimitExceeded { .. }
        | Scan::TooManyReservedDirectiveParams { .. }
        | Scan::AnchorCountOverflow => (ErrorKind::Limit, None),
        Scan::UnknownAnchor => (ErrorKind::Alias, Some("the alias names no anchor before it")),
        Scan::TabNotAllowed | Scan::TabInBlockIndentation | Scan::TabInIndentation => {
            (ErrorKind::Syntax, Some("a tab cannot indent; use spaces"))
        }
        Scan::MappingValueNotAllowed => (
            ErrorKind::Syntax,
            Some("a `:` cannot stand here; check the indentation, or quote the text before it"),
        ),
        Scan::SimpleKeyExpected | Scan::InvalidSimpleKey => {
            (ErrorKind::Syntax, Some("expected `key: value`; check the indentation and the `:`"))
        }
        Scan::ExpectedBlockMappingKey => (
            ErrorKind::Syntax,
            Some("expected a key of the mapping; check the indentation of this line"),
        ),
        Scan::UnclosedQuotedScalar => (ErrorKind::Syntax, Some("the quoted text has no end")),
        _ => (ErrorKind::Syntax, None),
    };
    Error {
        message: message.map_or_else(|| error.info(), str::to_owned),
        line: error.marker().line(),
        column: error.marker().col() + 1,
        offset: error.marker().byte_offset().unwrap_or_default(),
        kind,
    }
}
