//! YAML text to a tree in which every key and value knows its place, and JSON back to YAML text.
//!
//! Reading follows Go's `yaml` v3, because that is what people who write Kubernetes manifests and
//! Score files are used to: `yes` and `on` are strings, `0o17`, `017` and `0x1f` are integers,
//! `1_000` is a thousand, dates stay text, `<<` merges. What JSON cannot hold (`.inf`, `.nan`) is
//! refused. Writing quotes every string that some YAML 1.1 or 1.2 reader could take for something
//! else.
//!
//! Invariant: the work and the memory are bounded by [`Limits`], whatever the text says; neither
//! the text nor a tree built from it can make this module panic or recurse deeper than
//! [`Limits::depth`].

mod emit;
mod fast;
mod read;
mod scalar;
#[cfg(test)]
mod tests;

use std::ops::Range;

pub use emit::to_string;

use crate::{Json, JsonMap};

/// A value and its place in the text.
#[derive(Clone, Debug, PartialEq)]
pub struct Node {
    /// The value.
    pub value: Kind,
    /// Where it stands. For a scalar the exact bytes, quotes included; for a collection from its
    /// first entry to the end of its last. What an alias brings in keeps the place of the anchor.
    pub span: Span,
    /// How a scalar was written.
    pub style: Style,
}

/// What a node is.
#[derive(Clone, Debug, PartialEq)]
pub enum Kind {
    /// `null`, `~` or nothing at all.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// An integer that fits.
    Int(i64),
    /// An integer above [`i64::MAX`].
    Uint(u64),
    /// A finite floating point number.
    Float(f64),
    /// Text.
    String(String),
    /// A list.
    Sequence(Vec<Node>),
    /// A map in source order without duplicate keys; merged (`<<`) members come last.
    Mapping(Vec<(Key, Node)>),
}

/// The key of a member of a mapping.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Key {
    /// The text of the key; a key that is not a string (`1`, `true`) becomes the text as written.
    pub name: String,
    /// Where it stands.
    pub span: Span,
}

/// How a scalar was written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Style {
    /// Without quotes; also the style of collections.
    #[default]
    Plain,
    /// In single or double quotes.
    Quoted,
    /// As a literal or folded block (`|`, `>`).
    Block,
}

/// A range of the text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Span {
    /// Byte offset of the first byte.
    pub start: u32,
    /// Byte offset behind the last byte.
    pub end: u32,
    /// Line of `start`, from 1. Zero: the value does not come from a text.
    pub line: u32,
    /// Column of `start` in characters, from 1. Zero: the value does not come from a text.
    pub column: u32,
    /// Which text this is a range of. Parsing sets 0; whoever mixes trees of several texts numbers
    /// them with [`Node::set_source`].
    pub source: u32,
}

impl Span {
    /// The byte range in the text.
    #[must_use]
    pub fn range(self) -> Range<usize> {
        self.start as usize..self.end as usize
    }

    /// Whether any byte is in both ranges.
    #[must_use]
    pub fn overlaps(self, range: &Range<usize>) -> bool {
        self.range().start < range.end && range.start < self.range().end
    }
}

/// What a text may cost. A text beyond a limit is refused as early as possible.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of text, and again bytes of scalars that aliases bring in.
    pub bytes: usize,
    /// Collections within each other; at most 255.
    pub depth: usize,
    /// Keys, values and collections of all documents, without those that aliases bring in.
    pub nodes: usize,
    /// Keys, values and collections that aliases and merge keys bring in.
    pub alias_expansion: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { bytes: 4 << 20, depth: 64, nodes: 200_000, alias_expansion: 20_000 }
    }
}

/// Why a text was not read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message} (line {line}, column {column})")]
pub struct Error {
    /// A sentence without a full stop, without the place.
    pub message: String,
    /// Line, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
    /// Byte offset.
    pub offset: usize,
    /// What the reader can do about it.
    pub kind: ErrorKind,
}

/// What the reader of an [`Error`] can do about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorKind {
    /// Not YAML.
    Syntax,
    /// A limit is exceeded.
    Limit,
    /// The same key stands twice in a mapping.
    DuplicateKey,
    /// An alias without anchor, or one that contains itself.
    Alias,
    /// A `<<` whose value is not a mapping.
    Merge,
    /// A value that JSON cannot hold, or that does not fit its tag.
    Value,
    /// More than one document where one is expected.
    Documents,
}

/// The lines of a text as [`Span::line`] counts them, each with its end: a line feed, a carriage
/// return, or both.
pub fn lines(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = text;
    std::iter::from_fn(move || {
        let end = match rest.find(['\n', '\r']) {
            Some(at) if rest.get(at..).is_some_and(|end| end.starts_with("\r\n")) => at + 2,
            Some(at) => at + 1,
            None => rest.len(),
        };
        let (line, behind) = rest.split_at_checked(end).filter(|(line, _)| !line.is_empty())?;
        rest = behind;
        Some(line)
    })
}

/// Reads exactly one document; an empty text is `null`.
///
/// # Errors
/// When the text is not YAML, exceeds a limit, or holds several documents.
pub fn parse(text: &str, limits: &Limits) -> Result<Node, Error> {
    read::one(text, limits)
}

/// Reads all documents of a text, in order; an empty text has none.
///
/// # Errors
/// When the text is not YAML or exceeds a limit.
pub fn parse_all(text: &str, limits: &Limits) -> Result<Vec<Node>, Error> {
    read::all(text, limits)
}

impl Node {
    /// A node that does not come from a text.
    #[must_use]
    pub fn new(value: Kind) -> Self {
        Self { value, span: Span::default(), style: Style::Plain }
    }

    /// The member of this name, when this is a mapping that has it.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Self> {
        self.entries()?.iter().find(|(key, _)| key.name == name).map(|(_, value)| value)
    }

    /// The node that a JSON pointer (RFC 6901) names.
    #[must_use]
    pub fn at(&self, pointer: &str) -> Option<&Self> {
        if pointer.is_empty() {
            return Some(self);
        }
        pointer.strip_prefix('/')?.split('/').try_fold(self, |node, token| match &node.value {
            Kind::Mapping(_) if token.contains('~') => {
                node.get(&token.replace("~1", "/").replace("~0", "~"))
            }
            Kind::Mapping(_) => node.get(token),
            Kind::Sequence(items) if token == "0" || !token.starts_with(['0', '+']) => {
                items.get(token.parse::<usize>().ok()?)
            }
            _ => None,
        })
    }

    /// The text, when this is a string.
    #[must_use]
    pub fn as_str(&self) -> Option<&str> {
        match &self.value {
            Kind::String(text) => Some(text),
            _ => None,
        }
    }

    /// The members, when this is a mapping.
    #[must_use]
    pub fn entries(&self) -> Option<&[(Key, Self)]> {
        match &self.value {
            Kind::Mapping(entries) => Some(entries),
            _ => None,
        }
    }

    /// The items, when this is a sequence.
    #[must_use]
    pub fn items(&self) -> Option<&[Self]> {
        match &self.value {
            Kind::Sequence(items) => Some(items),
            _ => None,
        }
    }

    /// The JSON value.
    #[must_use]
    pub fn to_json(&self) -> Json {
        match &self.value {
            Kind::Null => Json::Null,
            Kind::Bool(value) => Json::Bool(*value),
            Kind::Int(value) => Json::from(*value),
            Kind::Uint(value) => Json::from(*value),
            Kind::Float(value) => Json::from(*value),
            Kind::String(text) => Json::String(text.clone()),
            Kind::Sequence(items) => Json::Array(items.iter().map(Self::to_json).collect()),
            Kind::Mapping(entries) => Json::Object(
                entries.iter().map(|(key, value)| (key.name.clone(), value.to_json())).collect(),
            ),
        }
    }

    /// The JSON value, without copying the texts.
    #[must_use]
    pub fn into_json(self) -> Json {
        match self.value {
            Kind::Null => Json::Null,
            Kind::Bool(value) => Json::Bool(value),
            Kind::Int(value) => Json::from(value),
            Kind::Uint(value) => Json::from(value),
            Kind::Float(value) => Json::from(value),
            Kind::String(text) => Json::String(text),
            Kind::Sequence(items) => Json::Array(items.into_iter().map(Self::into_json).collect()),
            Kind::Mapping(entries) => Json::Object(
                entries.into_iter().map(|(key, value)| (key.name, value.into_json())).collect(),
            ),
        }
    }

    /// A tree without places from a JSON value.
    #[must_use]
    pub fn from_json(value: &Json) -> Self {
        let key = |name: &String| Key { name: name.clone(), span: Span::default() };
        Self::new(match value {
            Json::Null => Kind::Null,
            Json::Bool(value) => Kind::Bool(*value),
            Json::Number(number) => match (number.as_i64(), number.as_u64(), number.as_f64()) {
                (Some(value), ..) => Kind::Int(value),
                (_, Some(value), _) => Kind::Uint(value),
                (.., value) => Kind::Float(value.unwrap_or_default()),
            },
            Json::String(text) => Kind::String(text.clone()),
            Json::Array(items) => Kind::Sequence(items.iter().map(Self::from_json).collect()),
            Json::Object(members) => Kind::Mapping(
                members.iter().map(|(name, value)| (key(name), Self::from_json(value))).collect(),
            ),
        })
    }

    /// Numbers the text that this tree comes from.
    pub fn set_source(&mut self, source: u32) {
        self.span.source = source;
        match &mut self.value {
            Kind::Sequence(items) => items.iter_mut().for_each(|item| item.set_source(source)),
            Kind::Mapping(entries) => {
                for (key, value) in entries {
                    key.span.source = source;
                    value.set_source(source);
                }
            }
            _ => {}
        }
    }

    /// JSON pointers of the leaves whose text overlaps one of the byte ranges, in source order.
    ///
    /// A leaf is a scalar or an empty collection. When a range touches a key, every leaf below the
    /// key counts.
    #[must_use]
    pub fn overlapping(&self, ranges: &[Range<usize>]) -> Vec<String> {
        let mut found = Vec::new();
        if !ranges.is_empty() {
            self.collect_overlapping(ranges, &mut Vec::new(), false, &mut found);
        }
        found
    }

    fn collect_overlapping<'n>(
        &'n self,
        ranges: &[Range<usize>],
        place: &mut Vec<Step<'n>>,
        by_key: bool,
        found: &mut Vec<String>,
    ) {
        let touched = |span: Span| ranges.iter().any(|range| span.overlaps(range));
        match &self.value {
            Kind::Sequence(items) if !items.is_empty() => {
                for (index, item) in items.iter().enumerate() {
                    place.push(Step::Item(index));
                    item.collect_overlapping(ranges, place, by_key, found);
                    place.pop();
                }
            }
            Kind::Mapping(entries) if !entries.is_empty() => {
                for (key, value) in entries {
                    place.push(Step::Member(&key.name));
                    let by_key = by_key || touched(key.span);
                    value.collect_overlapping(ranges, place, by_key, found);
                    place.pop();
                }
            }
            _ if by_key || touched(self.span) => {
                let mut pointer = String::new();
                for step in place.iter() {
                    match step {
                        Step::Member(name) => push_token(&mut pointer, name),
                        Step::Item(index) => push_token(&mut pointer, &index.to_string()),
                    }
                }
                found.push(pointer);
            }
            _ => {}
        }
    }
}

/// From a node to one below it.
#[derive(Clone, Copy)]
enum Step<'n> {
    Member(&'n str),
    Item(usize),
}

impl From<&Node> for Json {
    fn from(node: &Node) -> Self {
        node.to_json()
    }
}

/// Reads one document straight into JSON.
///
/// # Errors
/// As [`parse`].
pub fn parse_json(text: &str, limits: &Limits) -> Result<Json, Error> {
    parse(text, limits).map(Node::into_json)
}

/// Reads one document that must be a mapping (or nothing) into a JSON object.
///
/// # Errors
/// As [`parse`], and with [`ErrorKind::Value`] when the document is something else.
pub fn parse_object(text: &str, limits: &Limits) -> Result<JsonMap, Error> {
    let node = parse(text, limits)?;
    let span = node.span;
    match node.into_json() {
        Json::Object(members) => Ok(members),
        Json::Null => Ok(JsonMap::new()),
        _ => Err(Error {
            message: "expected a mapping".to_owned(),
            line: span.line as usize,
            column: span.column as usize,
            offset: span.start as usize,
            kind: ErrorKind::Value,
        }),
    }
}

/// Appends `/token`, escaped as RFC 6901 wants it.
fn push_token(pointer: &mut String, token: &str) {
    pointer.push('/');
    for c in token.chars() {
        match c {
            '~' => pointer.push_str("~0"),
            '/' => pointer.push_str("~1"),
            _ => pointer.push(c),
        }
    }
}
