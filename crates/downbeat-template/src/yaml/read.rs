//! Reads YAML the way `sigs.k8s.io/yaml` does: YAML 1.1 words, merge keys, every number a float,
//! every key a string, the first document only.

use std::collections::HashMap;
use std::sync::Arc;

use base64::Engine as _;
use granit_parser::{Event, Parser, ScalarStyle, ScanError, StrInput, Tag};

use crate::limits::{Budget, Limit};
use crate::number;
use crate::text::Text;
use crate::value::{Data, Entries, Map, MapKind, Value};
use crate::yaml::resolve::{self, Meaning};

pub(super) enum Problem {
    Limit(Limit),
    Syntax(String),
}

impl From<Limit> for Problem {
    fn from(limit: Limit) -> Self {
        Self::Limit(limit)
    }
}

impl From<ScanError> for Problem {
    fn from(error: ScanError) -> Self {
        let line = error.marker().line();
        Self::Syntax(format!("yaml: line {line}: {}", error.info()))
    }
}

/// Containers nested deeper than this are refused.
const MAX_DEPTH: usize = 128;

pub(super) fn read(text: &str, budget: &mut Budget) -> Result<Value, Problem> {
    let mut reader = Reader { parser: Parser::new_from_str(text), anchors: HashMap::new(), budget };
    loop {
        match reader.event()? {
            Event::StreamStart | Event::DocumentStart(..) => {}
            Event::StreamEnd | Event::DocumentEnd => return Ok(Value::nil()),
            event => return Ok(reader.node(event, 0)?.value),
        }
    }
}

/// A node, and whether it was the merge key `<<`.
struct Node {
    value: Value,
    is_merge: bool,
}

impl From<Value> for Node {
    fn from(value: Value) -> Self {
        Self { value, is_merge: false }
    }
}

struct Reader<'t, 'b> {
    parser: Parser<'t, StrInput<'t>>,
    anchors: HashMap<usize, Value>,
    budget: &'b mut Budget,
}

impl<'t> Reader<'t, '_> {
    fn event(&mut self) -> Result<Event<'t>, Problem> {
        loop {
            match self.parser.next_event() {
                None => return Ok(Event::StreamEnd),
                Some(Err(error)) => return Err(error.into()),
                Some(Ok((Event::Comment(..) | Event::Anchor(..), _))) => {}
                Some(Ok((event, _))) => return Ok(event),
            }
        }
    }

    fn node(&mut self, event: Event<'t>, depth: usize) -> Result<Node, Problem> {
        self.budget.spend(1)?;
        if depth > MAX_DEPTH {
            return Err(Limit::Depth.into());
        }
        let (node, anchor): (Node, usize) = match event {
            Event::Alias(id) => {
                let value = self.anchors.get(&id).cloned();
                let value = value.ok_or_else(|| Problem::Syntax("yaml: unknown anchor".into()))?;
                copy_cost(self.budget, &value)?;
                return Ok(value.deep_copy().into());
            }
            Event::Scalar(text, style, anchor, tag) => {
                (scalar(&text, style, tag.as_deref())?, anchor)
            }
            Event::SequenceStart(_, anchor, _) => (self.sequence(depth)?.into(), anchor),
            Event::MappingStart(_, anchor, _) => (self.mapping(depth)?.into(), anchor),
            _ => (Value::nil().into(), 0),
        };
        if anchor > 0 {
            self.anchors.insert(anchor, node.value.clone());
        }
        Ok(node)
    }

    fn sequence(&mut self, depth: usize) -> Result<Value, Problem> {
        let mut items = Vec::new();
        loop {
            match self.event()? {
                Event::SequenceEnd | Event::StreamEnd => return Ok(Value::list(items)),
                event => items.push(self.node(event, depth + 1)?.value),
            }
        }
    }

    fn mapping(&mut self, depth: usize) -> Result<Value, Problem> {
        let mut entries = Entries::new();
        loop {
            let key = match self.event()? {
                Event::MappingEnd | Event::StreamEnd => {
                    return Ok(Map::new(MapKind::Any, entries).into());
                }
                event => self.node(event, depth + 1)?,
            };
            let event = self.event()?;
            let value = self.node(event, depth + 1)?.value;
            if key.is_merge {
                merge(&mut entries, &value)?;
            } else {
                entries.insert(key_text(&key.value)?, value);
            }
        }
    }
}

fn merge(entries: &mut Entries, value: &Value) -> Result<(), Problem> {
    match &value.data {
        Data::Map(map) => {
            entries.extend(map.read().iter().map(|(key, value)| (Arc::clone(key), value.clone())));
            Ok(())
        }
        // Earlier maps take precedence.
        Data::List(list) => list.iter().rev().try_for_each(|item| match item.data {
            Data::Map(_) => merge(entries, item),
            _ => Err(want_map()),
        }),
        _ => Err(want_map()),
    }
}

fn want_map() -> Problem {
    let message = "yaml: map merge requires map or sequence of maps as the value";
    Problem::Syntax(message.into())
}

/// Pays for the copy an alias makes.
fn copy_cost(budget: &mut Budget, value: &Value) -> Result<(), Limit> {
    budget.spend(1)?;
    match &value.data {
        Data::List(list) => list.iter().try_for_each(|item| copy_cost(budget, item)),
        Data::Map(map) => map.read().values().try_for_each(|item| copy_cost(budget, item)),
        _ => Ok(()),
    }
}

fn key_text(key: &Value) -> Result<Arc<str>, Problem> {
    Ok(match &key.data {
        Data::Str(text) => text.to_str().into(),
        Data::Bool(truth) => truth.to_string().into(),
        Data::Float(float) if float.is_finite() => number::format_float(*float, 'g', None).into(),
        Data::Int(int) => int.to_string().into(),
        Data::Map(_) | Data::List(_) => {
            return Err(Problem::Syntax("yaml: invalid map key".into()));
        }
        _ => return Err(Problem::Syntax("unsupported map key".into())),
    })
}

fn scalar(text: &str, style: ScalarStyle, tag: Option<&Tag>) -> Result<Node, Problem> {
    let string = || Node::from(Value::from(text));
    let suffix = tag.and_then(|tag| tag.suffix_in_namespace("tag:yaml.org,2002:"));
    let suffix = suffix.as_deref();
    if suffix == Some("binary") {
        let bytes = base64::engine::general_purpose::STANDARD.decode(text.replace(['\n', ' '], ""));
        let bytes = bytes.map_err(|_| {
            Problem::Syntax("yaml: !!binary value contains invalid base64 data".into())
        })?;
        return Ok(Value::from(Text::from_bytes(bytes)).into());
    }
    if style != ScalarStyle::Plain && suffix.is_none() || tag.is_some() && suffix.is_none() {
        return Ok(string());
    }
    if text == "<<" && suffix.is_none() {
        return Ok(Node { value: text.into(), is_merge: true });
    }
    let meaning = resolve::resolve(text);
    let value = match (meaning, suffix) {
        (_, Some("str")) => return Ok(string()),
        (Meaning::Null, None | Some("null")) => Value::nil(),
        (Meaning::Bool(truth), None | Some("bool")) => truth.into(),
        (Meaning::Int(int), None | Some("int" | "float")) => (int as f64).into(),
        (Meaning::Uint(uint), None | Some("int")) => (uint as f64).into(),
        (Meaning::Float(float), None | Some("float")) => {
            if !float.is_finite() {
                let shown = number::format_float(float, 'g', None);
                return Err(Problem::Syntax(format!("json: unsupported value: {shown}")));
            }
            float.into()
        }
        (Meaning::Str | Meaning::Timestamp, None | Some("timestamp")) => return Ok(string()),
        (found, Some(wanted)) => {
            let found = found.tag();
            let message = format!("yaml: cannot decode {found} `{text}` as a !!{wanted}");
            return Err(Problem::Syntax(message));
        }
    };
    Ok(value.into())
}
