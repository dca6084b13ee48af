//! A reader for the simple style in which nearly all manifests are written, several times as fast
//! as the parser that knows all of YAML.
//!
//! It reads block collections, scalars on one line, literal blocks, and flow collections on one
//! line. At the first thing it does not know for sure - an escape, a tag, an anchor, a scalar that
//! may go on in the next line, any mistake - it gives up, and the text is read again by the parser.
//!
//! Invariant: what it reads is exactly what the parser reads, places included (a property test
//! compares them). When in doubt, `None`.

use std::borrow::Cow;

use super::{
    Limits, Node, Span, Style,
    read::{Builder, Open},
};

/// Readers look for the colon of a key within 1024 characters; here is less.
const KEY: usize = 250;

/// The one document of a text, or nothing when the text is not simple enough.
pub(super) fn read(text: &str, limits: &Limits) -> Option<Node> {
    if text.len() > limits.bytes.min(u32::MAX as usize) {
        return None;
    }
    let ascii = text.is_ascii();
    let odd = |byte: u8| (byte < b' ' && byte != b'\n') || byte == 0x7f;
    if text.bytes().any(odd) || (!ascii && text.chars().any(is_odd)) {
        return None;
    }
    let mut reader = Reader {
        text,
        bytes: text.as_bytes(),
        ascii,
        at: 0,
        line: 1,
        line_start: 0,
        builder: Builder::new(limits),
    };
    let indent = reader.next_content()?;
    reader.block(indent)?;
    // Only blank lines may follow.
    (reader.at == text.len()).then_some(reader.builder.root)?
}

/// Not ASCII, and not a plain letter or symbol to every version of YAML.
fn is_odd(c: char) -> bool {
    matches!(c, '\u{80}'..='\u{a0}' | '\u{2028}' | '\u{2029}' | '\u{feff}' | '\u{fffe}'..='\u{ffff}')
}

struct Reader<'t, 'l> {
    text: &'t str,
    bytes: &'t [u8],
    ascii: bool,
    at: usize,
    line: u32,
    line_start: usize,
    builder: Builder<'l>,
}

/// A scalar on one line.
struct Scalar<'t> {
    text: Cow<'t, str>,
    style: Style,
    start: usize,
    end: usize,
}

impl<'t> Reader<'t, '_> {
    fn byte(&self, at: usize) -> Option<u8> {
        self.bytes.get(at).copied()
    }

    /// Whether nothing, a space or a line end stands there.
    fn is_gap(&self, at: usize) -> bool {
        matches!(self.byte(at), None | Some(b' ' | b'\n'))
    }

    /// Whether `- ` stands there.
    fn is_dash(&self, at: usize) -> bool {
        self.byte(at) == Some(b'-') && self.is_gap(at + 1)
    }

    fn spaces(&self, from: usize) -> usize {
        let rest = self.bytes.get(from..).unwrap_or_default();
        from + rest.iter().take_while(|byte| **byte == b' ').count()
    }

    fn line_end(&self, from: usize) -> usize {
        let rest = self.bytes.get(from..).unwrap_or_default();
        rest.iter().position(|byte| *byte == b'\n').map_or(self.bytes.len(), |at| from + at)
    }

    #[expect(clippy::cast_possible_truncation, reason = "the length of the text was checked")]
    fn span(&self, start: usize, end: usize) -> Span {
        let before = start - self.line_start;
        let column = match self.ascii {
            true => before,
            false => self
                .bytes
                .get(self.line_start..start)
                .unwrap_or_default()
                .iter()
                // The bytes that begin a character.
                .filter(|byte| (**byte & 0xc0) != 0x80)
                .count(),
        };
        Span {
            start: start as u32,
            end: end as u32,
            line: self.line,
            column: column as u32 + 1,
            source: 0,
        }
    }

    /// From the start of a line to the next line with content; its indentation. Nothing at the
    /// end of the text, and at what looks like the border of a document.
    fn next_content(&mut self) -> Option<usize> {
        loop {
            self.line_start = self.at;
            let content = self.spaces(self.at);
            match self.byte(content) {
                None => {
                    self.at = content;
                    return None;
                }
                Some(b'\n') => {}
                Some(b'#') => {
                    self.at = self.line_end(content);
                    if self.at == self.bytes.len() {
                        return None;
                    }
                    self.at += 1;
                    self.line += 1;
                    continue;
                }
                Some(_) => {
                    let indent = content - self.at;
                    let rest = self.bytes.get(content..).unwrap_or_default();
                    if indent == 0 && (rest.starts_with(b"---") || rest.starts_with(b"...")) {
                        // Not the end of the text, so the caller gives up.
                        return None;
                    }
                    self.at = content;
                    return Some(indent);
                }
            }
            self.at = content + 1;
            self.line += 1;
        }
    }

    /// Ends a line on which only a comment may still stand.
    fn finish_line(&mut self, from: usize) -> Option<()> {
        let rest = self.spaces(from);
        let end = match self.byte(rest) {
            None | Some(b'\n') => rest,
            Some(b'#') if rest > from => self.line_end(rest),
            Some(_) => return None,
        };
        self.at = end;
        if end < self.bytes.len() {
            self.at += 1;
            self.line += 1;
        }
        Some(())
    }

    /// A collection that begins here, `indent` columns into its line.
    fn block(&mut self, indent: usize) -> Option<Option<usize>> {
        match self.is_dash(self.at) {
            true => self.sequence(indent, false),
            false => self.mapping(indent),
        }
    }

    /// Entries from here on, as long as they stand at `indent`. What comes next: the indentation
    /// of the next line with content, or nothing at the end.
    fn mapping(&mut self, indent: usize) -> Option<Option<usize>> {
        let start = self.at;
        self.builder.open(Open::mapping(), 0, self.span(start, start)).ok()?;
        loop {
            let key = self.key()?;
            let place = self.span(key.start, key.end);
            self.builder.scalar(key.text, key.style, 0, None, place).ok()?;
            let colon = self.at;
            let value = self.spaces(colon + 1);
            let next = match self.byte(value) {
                None | Some(b'\n' | b'#') => {
                    let nothing = self.span(colon, colon);
                    self.finish_line(colon + 1)?;
                    match self.next_content() {
                        Some(next) if next > indent => self.block(next)?,
                        Some(next) if next == indent && self.is_dash(self.at) => {
                            self.sequence(indent, true)?
                        }
                        next => {
                            self.empty(nothing)?;
                            next
                        }
                    }
                }
                Some(_) => {
                    self.at = value;
                    self.value(indent)?;
                    self.next_content()
                }
            };
            match next {
                Some(next) if next == indent && !self.is_dash(self.at) => {}
                Some(next) if next >= indent => return None,
                next => {
                    self.builder.close(None).ok()?;
                    return Some(next);
                }
            }
        }
    }

    /// Items from here on; `inner` when they stand at the indentation of the mapping around them.
    fn sequence(&mut self, indent: usize, inner: bool) -> Option<Option<usize>> {
        let content = self.spaces(self.at + 1);
        let start = if inner { content } else { self.at };
        self.builder.open(Open::sequence(), 0, self.span(start, start)).ok()?;
        loop {
            let dash = self.at;
            let item = self.spaces(dash + 1);
            if matches!(self.byte(item), None | Some(b'\n' | b'#')) {
                return None;
            }
            self.at = item;
            let next = if self.is_dash(item) || self.has_key() {
                self.block(indent + item - dash)?
            } else {
                self.value(indent)?;
                self.next_content()
            };
            match next {
                Some(next) if next == indent && self.is_dash(self.at) => {}
                Some(next) if next > indent || (next == indent && !inner) => return None,
                next => {
                    self.builder.close(None).ok()?;
                    return Some(next);
                }
            }
        }
    }

    fn empty(&mut self, place: Span) -> Option<()> {
        self.builder.scalar(Cow::Borrowed(""), Style::Plain, 0, None, place).ok()
    }

    /// Whether a key with its colon begins here.
    fn has_key(&mut self) -> bool {
        let start = self.at;
        let found = self.key().is_some();
        self.at = start;
        found
    }

    /// A key; ends at its colon.
    fn key(&mut self) -> Option<Scalar<'t>> {
        let start = self.at;
        let key = match self.byte(start)? {
            b'"' | b'\'' => self.quoted()?,
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'_' | b'/' | b'.' | b'$' | 0x80.. => {
                let rest = self.bytes.get(start..)?;
                let length = rest.iter().enumerate().position(|(at, byte)| match byte {
                    b'\n' => true,
                    b'#' => rest.get(at.wrapping_sub(1)) == Some(&b' '),
                    b':' => self.is_gap(start + at + 1),
                    _ => false,
                })?;
                let end = start + length;
                let text = self.text.get(start..end)?;
                self.at = end;
                Scalar { text: Cow::Borrowed(text), style: Style::Plain, start, end }
            }
            _ => return None,
        };
        let fits = key.end - key.start <= KEY && !key.text.ends_with(' ');
        (fits && self.byte(self.at) == Some(b':') && self.is_gap(self.at + 1)).then_some(key)
    }

    /// A text in quotes on one line, without anything in it that stands for something else.
    fn quoted(&mut self) -> Option<Scalar<'t>> {
        let start = self.at;
        let quote = self.byte(start)?;
        let inner = self.bytes.get(start + 1..)?;
        let length =
            inner.iter().position(|byte| *byte == quote || matches!(byte, b'\n' | b'\\'))?;
        let end = start + 1 + length;
        // Also when a quote follows: `''` in single quotes is one quote.
        if self.byte(end) != Some(quote) || self.byte(end + 1) == Some(quote) {
            return None;
        }
        self.at = end + 1;
        let text = Cow::Borrowed(self.text.get(start + 1..end)?);
        Some(Scalar { text, style: Style::Quoted, start, end: end + 1 })
    }

    /// A value that begins on the line of its key or dash, up to the end of its last line.
    fn value(&mut self, indent: usize) -> Option<()> {
        let start = self.at;
        match self.byte(start)? {
            b'|' => self.literal(indent),
            b'[' | b'{' => {
                self.flow()?;
                self.finish_line(self.at)
            }
            b'"' | b'\'' => {
                let scalar = self.quoted()?;
                self.put(scalar)?;
                self.finish_line(self.at)
            }
            b'&' | b'*' | b'!' | b'>' | b'%' | b'@' | b'`' | b'#' | b',' | b']' | b'}' | b'?'
            | b':' => None,
            _ if self.is_dash(start) => None,
            _ => {
                let line_end = self.line_end(start);
                let line = self.bytes.get(start..line_end)?;
                let mut length = line.len();
                for (at, byte) in line.iter().enumerate() {
                    match byte {
                        b':' if self.is_gap(start + at + 1) => return None,
                        b'#' if line.get(at.wrapping_sub(1)) == Some(&b' ') => {
                            length = at;
                            break;
                        }
                        _ => {}
                    }
                }
                let text = self.text.get(start..start + length)?.trim_end_matches(' ');
                let end = start + text.len();
                self.put(Scalar { text: Cow::Borrowed(text), style: Style::Plain, start, end })?;
                self.finish_line(end)?;
                // The scalar may go on in the next line: not here.
                let (at, line, line_start) = (self.at, self.line, self.line_start);
                let goes_on = self.next_content().is_some_and(|next| next > indent);
                (self.at, self.line, self.line_start) = (at, line, line_start);
                (!goes_on).then_some(())
            }
        }
    }

    fn put(&mut self, scalar: Scalar<'_>) -> Option<()> {
        let place = self.span(scalar.start, scalar.end);
        self.builder.scalar(scalar.text, scalar.style, 0, None, place).ok()
    }

    /// A literal block that begins with text.
    fn literal(&mut self, indent: usize) -> Option<()> {
        let header = self.line_end(self.at);
        let strip = match self.bytes.get(self.at..header)? {
            b"|" => false,
            b"|-" => true,
            _ => return None,
        };
        self.finish_line(header)?;
        let first = self.spaces(self.at);
        let width = first - self.at;
        if width <= indent || matches!(self.byte(first), None | Some(b'\n')) {
            return None;
        }
        self.line_start = self.at;
        let mut place = self.span(first, first);
        let mut text = String::new();
        // Line feeds that count only when more text follows.
        let mut feeds = 0;
        loop {
            let content = self.spaces(self.at);
            let end = match self.byte(content) {
                // A line of spaces can be text: not here.
                None | Some(b'\n') if content - self.at > width => return None,
                None => break,
                Some(b'\n') => content,
                Some(_) if content - self.at < width => break,
                Some(_) => {
                    let end = self.line_end(content);
                    // What the end of the text means without a line feed is left to the parser.
                    self.byte(end)?;
                    text.extend(std::iter::repeat_n('\n', feeds));
                    feeds = 0;
                    text.push_str(self.text.get(self.at + width..end)?);
                    end
                }
            };
            feeds += 1;
            self.at = end + 1;
            self.line += 1;
        }
        if !strip {
            text.push('\n');
        }
        place.end = u32::try_from(self.at).ok()?;
        self.builder.scalar(Cow::Owned(text), Style::Block, 0, None, place).ok()
    }

    /// A flow collection on one line.
    fn flow(&mut self) -> Option<()> {
        let start = self.at;
        let (open, close) = match self.byte(start)? {
            b'[' => (Open::sequence(), b']'),
            b'{' => (Open::mapping(), b'}'),
            _ => return None,
        };
        self.builder.open(open, 0, self.span(start, start + 1)).ok()?;
        self.at = self.spaces(start + 1);
        while self.byte(self.at) != Some(close) {
            if close == b'}' {
                let key = self.flow_scalar()?;
                if key.style == Style::Plain && key.text == "<<" {
                    return None;
                }
                // After a key in quotes the value may follow at once, as JSON writes it.
                let joined = key.style == Style::Quoted;
                self.put(key)?;
                let spaced = self.byte(self.at + 1) == Some(b' ');
                if self.byte(self.at) != Some(b':') || !(spaced || joined) {
                    return None;
                }
                self.at = self.spaces(self.at + 1);
            }
            if matches!(self.byte(self.at)?, b'[' | b'{') {
                self.flow()?;
            } else {
                let scalar = self.flow_scalar()?;
                self.put(scalar)?;
            }
            self.at = self.spaces(self.at);
            match self.byte(self.at)? {
                b',' => {
                    self.at = self.spaces(self.at + 1);
                    if self.byte(self.at) == Some(close) {
                        return None;
                    }
                }
                byte if byte == close => {}
                _ => return None,
            }
        }
        self.at += 1;
        self.builder.close(Some(u32::try_from(self.at).ok()?)).ok()
    }

    /// A text in quotes, or one of letters and some signs.
    fn flow_scalar(&mut self) -> Option<Scalar<'t>> {
        let start = self.at;
        let first = self.byte(start)?;
        if matches!(first, b'"' | b'\'') {
            return self.quoted().filter(|scalar| scalar.end - scalar.start <= KEY);
        }
        let starts = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'/' | b'.');
        let minus = first == b'-' && self.byte(start + 1).is_some_and(starts);
        if !starts(first) && !minus {
            return None;
        }
        let is_text = |byte: &u8| {
            byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'/' | b'.' | b'-' | b'=' | b' ')
        };
        let length = self.bytes.get(start..)?.iter().take_while(|byte| is_text(byte)).count();
        let text = self.text.get(start..start + length)?.trim_end_matches(' ');
        let end = start + text.len();
        self.at = start + length;
        // A space before the colon of a key is too rare to think about.
        if self.byte(self.at) == Some(b':') && self.at != end {
            return None;
        }
        let fits = text.len() <= KEY;
        fits.then_some(Scalar { text: Cow::Borrowed(text), style: Style::Plain, start, end })
    }
}
