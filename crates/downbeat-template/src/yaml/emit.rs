//! Writes YAML as `sigs.k8s.io/yaml` does: through JSON, keys sorted, lists not indented.

use crate::number;
use crate::sprig::json;
use crate::text::Text;
use crate::value::{Data, List, Map, Value};
use crate::yaml::resolve;

pub(super) enum Problem {
    TooLarge,
    /// Something JSON cannot express.
    NotJson,
}

/// Lines are folded at the first space past this column.
const BEST_WIDTH: usize = 80;

/// Containers nested deeper than this are refused.
const MAX_DEPTH: usize = 200;

/// Renders a value without the final newline, as Helm's `toYaml` does.
pub(super) fn emit(value: &Value, max: usize) -> Result<String, Problem> {
    let mut emitter = Emitter { out: String::new(), column: 0, max };
    emitter.node(value, Place { indent: 0, after: After::Start }, 0)?;
    let mut out = emitter.out;
    if out.ends_with('\n') {
        out.pop();
    }
    Ok(out)
}

/// What a node is written after.
#[derive(Clone, Copy, PartialEq, Eq)]
enum After {
    Start,
    /// `key:`
    Key,
    /// `-`
    Dash,
}

#[derive(Clone, Copy)]
struct Place {
    /// Column at which the entries of a container start.
    indent: usize,
    after: After,
}

struct Emitter {
    out: String,
    column: usize,
    max: usize,
}

impl Emitter {
    fn put(&mut self, c: char) {
        self.out.push(c);
        self.column = if c == '\n' { 0 } else { self.column + 1 };
    }

    fn push(&mut self, text: &str) {
        text.chars().for_each(|c| self.put(c));
    }

    fn line(&mut self, indent: usize) {
        self.put('\n');
        self.spaces(indent);
    }

    fn spaces(&mut self, count: usize) {
        self.out.extend(std::iter::repeat_n(' ', count));
        self.column += count;
    }

    fn node(&mut self, value: &Value, place: Place, depth: usize) -> Result<(), Problem> {
        if self.out.len() > self.max || depth > MAX_DEPTH {
            return Err(Problem::TooLarge);
        }
        match &value.data {
            Data::List(list) if !list.is_nil() => self.list(list, place, depth),
            Data::Map(map) => self.map(map, place, depth),
            _ => self.scalar_value(value, place),
        }
    }

    fn list(&mut self, list: &List, place: Place, depth: usize) -> Result<(), Problem> {
        if list.is_empty() {
            return self.short(place, "[]");
        }
        for (index, item) in list.iter().enumerate() {
            // The first entry of a list in a list goes on the line of the outer dash.
            if index > 0 || place.after == After::Key {
                self.break_line(place.indent);
            } else if place.after == After::Dash {
                self.put(' ');
            }
            self.put('-');
            self.node(item, Place { indent: place.indent + 2, after: After::Dash }, depth + 1)?;
        }
        Ok(())
    }

    fn map(&mut self, map: &Map, place: Place, depth: usize) -> Result<(), Problem> {
        let map = map.read();
        if map.is_empty() {
            return self.short(place, "{}");
        }
        let entries = map.iter().map(|(key, value)| (&**key, value)).collect();
        for (index, (key, value)) in resolve::sort_by_key(entries).into_iter().enumerate() {
            if index > 0 || place.after == After::Key {
                self.break_line(place.indent);
            } else if place.after == After::Dash {
                self.put(' ');
            }
            let long = key.len() > 128 || key.contains(is_break);
            if long {
                self.push("? ");
            }
            self.scalar(key, place.indent + if long { 2 } else { 0 }, !long);
            if long {
                self.break_line(place.indent);
            }
            self.put(':');
            // Lists are not indented under their key.
            let indent = match value.data {
                Data::List(_) => place.indent,
                _ => place.indent + 2,
            };
            self.node(value, Place { indent, after: After::Key }, depth + 1)?;
        }
        Ok(())
    }

    fn break_line(&mut self, indent: usize) {
        if !self.out.ends_with('\n') {
            self.put('\n');
        }
        self.spaces(indent);
    }

    fn short(&mut self, place: Place, text: &str) -> Result<(), Problem> {
        self.gap(place);
        self.push(text);
        Ok(())
    }

    fn gap(&mut self, place: Place) {
        if place.after != After::Start {
            self.put(' ');
        }
    }

    fn scalar_value(&mut self, value: &Value, place: Place) -> Result<(), Problem> {
        let plain = match &value.data {
            Data::NoValue | Data::Nil | Data::List(_) | Data::Map(_) => "null".to_owned(),
            Data::Bool(truth) => truth.to_string(),
            Data::Int(int) | Data::Int64(int) => int.to_string(),
            Data::Uint(uint) => uint.to_string(),
            Data::Byte(byte) => byte.to_string(),
            Data::Float(float) if float.is_finite() => float_text(*float),
            Data::Float(_) | Data::Complex(..) => return Err(Problem::NotJson),
            Data::Str(text) => return self.string(text, place),
            Data::Time(time) => {
                return self.string(&Text::Utf8(time.rfc3339().into()), place);
            }
            Data::Version(version) => {
                return self.string(&Text::Utf8(version.to_string().into()), place);
            }
        };
        self.short(place, &plain)
    }

    fn string(&mut self, text: &Text, place: Place) -> Result<(), Problem> {
        if text.len() > self.max {
            return Err(Problem::TooLarge);
        }
        self.gap(place);
        // A lone scalar continues its lines as if it were the value of a key.
        let indent = if place.after == After::Start { 2 } else { place.indent };
        self.scalar(&text.to_str(), indent, false);
        Ok(())
    }

    /// Writes a string in the style the original library would choose.
    fn scalar(&mut self, text: &str, indent: usize, key: bool) {
        let traits = Traits::of(text);
        let mut style = if text.contains('\n') {
            Style::Literal
        } else if resolve::is_string(text) {
            Style::Plain
        } else {
            Style::Double
        };
        if key && traits.multiline {
            style = Style::Double;
        }
        if style == Style::Plain && (!traits.plain || text.is_empty()) {
            style = Style::Single;
        }
        if style == Style::Single && !traits.single {
            style = Style::Double;
        }
        if style == Style::Literal && !traits.block {
            style = Style::Double;
        }
        match style {
            Style::Plain => self.plain(text, indent, !key),
            Style::Single => self.single(text, indent, !key),
            Style::Double => self.double(text, indent, !key),
            Style::Literal => self.literal(text, indent),
        }
    }

    fn plain(&mut self, text: &str, indent: usize, fold: bool) {
        let mut after_space = false;
        let mut chars = text.chars().peekable();
        while let Some(c) = chars.next() {
            if c == ' ' {
                let next_is_space = chars.peek() == Some(&' ');
                if fold && !after_space && self.column > BEST_WIDTH && !next_is_space {
                    self.line(indent);
                } else {
                    self.put(c);
                }
                after_space = true;
            } else {
                self.put(c);
                after_space = false;
            }
        }
    }

    fn single(&mut self, text: &str, indent: usize, fold: bool) {
        self.put('\'');
        let mut after_space = false;
        let mut after_break = false;
        let mut chars = text.chars().peekable();
        let mut first = true;
        while let Some(c) = chars.next() {
            if c == ' ' {
                let next = chars.peek();
                let inner = !first && next.is_some() && next != Some(&' ');
                if fold && !after_space && self.column > BEST_WIDTH && inner {
                    self.line(indent);
                } else {
                    self.put(c);
                }
                after_space = true;
            } else if is_break(c) {
                if !after_break && c == '\n' {
                    self.put('\n');
                }
                self.put(c);
                after_break = true;
            } else {
                if std::mem::take(&mut after_break) {
                    self.spaces(indent);
                }
                if c == '\'' {
                    self.put('\'');
                }
                self.put(c);
                after_space = false;
            }
            first = false;
        }
        self.put('\'');
    }

    fn double(&mut self, text: &str, indent: usize, fold: bool) {
        self.put('"');
        let mut after_space = false;
        let mut first = true;
        let mut chars = text.chars().peekable();
        while let Some(c) = chars.next() {
            if !is_printable(c) || c == '\u{feff}' || is_break(c) || matches!(c, '"' | '\\') {
                self.escape(c);
                after_space = false;
            } else if c == ' ' {
                let inner = !first && chars.peek().is_some();
                if fold && !after_space && self.column > BEST_WIDTH && inner {
                    self.line(indent);
                    if chars.peek() == Some(&' ') {
                        self.put('\\');
                    }
                } else {
                    self.put(c);
                }
                after_space = true;
            } else {
                self.put(c);
                after_space = false;
            }
            first = false;
        }
        self.put('"');
    }

    fn escape(&mut self, c: char) {
        self.put('\\');
        let short = match c {
            '\0' => '0',
            '\x07' => 'a',
            '\x08' => 'b',
            '\t' => 't',
            '\n' => 'n',
            '\x0b' => 'v',
            '\x0c' => 'f',
            '\r' => 'r',
            '\x1b' => 'e',
            '"' | '\\' => c,
            '\u{85}' => 'N',
            '\u{a0}' => '_',
            '\u{2028}' => 'L',
            '\u{2029}' => 'P',
            _ => {
                let code = u32::from(c);
                let text = match code {
                    0..0x100 => format!("x{code:02X}"),
                    0x100..0x10000 => format!("u{code:04X}"),
                    _ => format!("U{code:08X}"),
                };
                return self.push(&text);
            }
        };
        self.put(short);
    }

    fn literal(&mut self, text: &str, indent: usize) {
        self.put('|');
        if text.starts_with([' ', '\n', '\r', '\u{85}', '\u{2028}', '\u{2029}']) {
            self.put('2');
        }
        let mut backwards = text.chars().rev();
        match (backwards.next(), backwards.next()) {
            (Some(last), _) if !is_break(last) => self.put('-'),
            (Some(_), None) => self.put('+'),
            (Some(_), Some(before)) if is_break(before) => self.put('+'),
            _ => {}
        }
        self.put('\n');
        let mut after_break = true;
        for c in text.chars() {
            if is_break(c) {
                self.put(c);
                after_break = true;
            } else {
                if std::mem::take(&mut after_break) {
                    self.spaces(indent);
                }
                self.put(c);
            }
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Style {
    Plain,
    Single,
    Double,
    Literal,
}

/// Which styles a string allows: libyaml's `analyze_scalar`.
struct Traits {
    multiline: bool,
    plain: bool,
    single: bool,
    block: bool,
}

impl Traits {
    fn of(text: &str) -> Self {
        if text.is_empty() {
            return Self { multiline: false, plain: true, single: true, block: false };
        }
        let mut indicators = text.starts_with("---") || text.starts_with("...");
        let mut special = false;
        let mut breaks = false;
        let (mut leading, mut trailing_space, mut trailing_break) = (false, false, false);
        let (mut break_space, mut space_break) = (false, false);
        let (mut after_space, mut after_break) = (false, false);
        let mut after_blank = true;
        let mut chars = text.chars().peekable();
        let mut first = true;
        while let Some(c) = chars.next() {
            let last = chars.peek().is_none();
            let before_blank = chars.peek().is_none_or(|next| matches!(next, ' ' | '\t'));
            indicators |= match c {
                '#' | ',' | '[' | ']' | '{' | '}' | '&' | '*' | '!' | '|' | '>' | '\'' | '"'
                | '%' | '@' | '`'
                    if first =>
                {
                    true
                }
                '?' | '-' if first => before_blank,
                ':' => before_blank,
                '#' => after_blank,
                _ => false,
            };
            special |= !is_printable(c);
            if c == ' ' {
                leading |= first;
                trailing_space |= last;
                break_space |= after_break;
                (after_space, after_break) = (true, false);
            } else if is_break(c) {
                breaks = true;
                leading |= first;
                trailing_break |= last;
                space_break |= after_space;
                (after_space, after_break) = (false, true);
            } else {
                (after_space, after_break) = (false, false);
            }
            after_blank = matches!(c, ' ' | '\t') || is_break(c);
            first = false;
        }
        let ragged = space_break || special;
        let edges = leading || trailing_space || trailing_break;
        Self {
            multiline: breaks,
            plain: !(edges || break_space || ragged || breaks || indicators),
            single: !(break_space || ragged),
            block: !(trailing_space || ragged),
        }
    }
}

fn is_break(c: char) -> bool {
    matches!(c, '\r' | '\n' | '\u{85}' | '\u{2028}' | '\u{2029}')
}

fn is_printable(c: char) -> bool {
    matches!(c, '\n' | ' '..='~' | '\u{a0}'..='\u{d7ff}' | '\u{e000}'..='\u{fffd}')
        && c != '\u{feff}'
}

/// A float through JSON and back: integers lose their point, exponents are Go's.
fn float_text(float: f64) -> String {
    let json = json::float_text(float);
    match number::parse_int(&json) {
        Some(int) => int.to_string(),
        None => number::format_float(float, 'g', None),
    }
}
