//! Go's `strconv` for strings: quoting, and the reading of literals.

use crate::text::Text;
use crate::unicode;

/// Renders a double-quoted Go string literal.
pub(crate) fn quote(text: &[u8]) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    append_quoted(&mut out, text, '"', false);
    out
}

/// Appends a Go literal in the given quotes; with `ascii` everything else is escaped.
pub(crate) fn append_quoted(out: &mut String, text: &[u8], quote: char, ascii: bool) {
    out.push(quote);
    for chunk in text.utf8_chunks() {
        let valid = chunk.valid();
        // The common case is a run of plain characters, copied whole.
        let mut plain = 0;
        for (at, c) in valid.char_indices() {
            if matches!(c, ' '..='~') && c != quote && c != '\\' {
                continue;
            }
            out.push_str(valid.get(plain..at).unwrap_or_default());
            append_escaped(out, c, quote, ascii);
            plain = at + c.len_utf8();
        }
        out.push_str(valid.get(plain..).unwrap_or_default());
        for byte in chunk.invalid() {
            out.push_str(r"\x");
            push_hex(out, u32::from(*byte), 2);
        }
    }
    out.push(quote);
}

/// Appends one character as it appears inside a literal.
pub(crate) fn append_escaped(out: &mut String, c: char, quote: char, ascii: bool) {
    if c == quote || c == '\\' {
        out.push('\\');
        out.push(c);
        return;
    }
    if if ascii { matches!(c, ' '..='~') } else { unicode::is_print(c) } {
        out.push(c);
        return;
    }
    let short = match c {
        '\x07' => 'a',
        '\x08' => 'b',
        '\x0c' => 'f',
        '\n' => 'n',
        '\r' => 'r',
        '\t' => 't',
        '\x0b' => 'v',
        _ => {
            let code = u32::from(c);
            let (prefix, digits) = match code {
                ..0x20 | 0x7f => ('x', 2),
                ..0x10000 => ('u', 4),
                _ => ('U', 8),
            };
            out.push('\\');
            out.push(prefix);
            push_hex(out, code, digits);
            return;
        }
    };
    out.push('\\');
    out.push(short);
}

fn push_hex(out: &mut String, value: u32, digits: usize) {
    out.push_str(&format!("{value:0digits$x}"));
}

/// Renders a character as `%#U` does: `U+0040 '@'`.
pub(crate) fn unicode_name(c: char) -> String {
    let code = u32::from(c);
    if unicode::is_print(c) { format!("U+{code:04X} '{c}'") } else { format!("U+{code:04X}") }
}

/// Returns whether a string can be written between backquotes unchanged.
pub(crate) fn can_backquote(text: &[u8]) -> bool {
    std::str::from_utf8(text).is_ok_and(|text| {
        text.chars().all(|c| match c {
            '\u{feff}' | '`' | '\x7f' => false,
            _ => c >= ' ' || c == '\t',
        })
    })
}

/// The only thing `strconv.Unquote` ever says.
pub(crate) const INVALID_SYNTAX: &str = "invalid syntax";

/// Reads a `"…"` or `` `…` `` literal.
pub(crate) fn unquote(literal: &str) -> Result<Text, &'static str> {
    if let Some(raw) = literal.strip_prefix('`').and_then(|rest| rest.strip_suffix('`')) {
        let text = if raw.contains('\r') { raw.replace('\r', "").into() } else { raw.into() };
        return Ok(Text::Utf8(text));
    }
    let inner =
        literal.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).ok_or(INVALID_SYNTAX)?;
    if !inner.contains('\\') {
        return Ok(Text::Utf8(inner.into()));
    }
    let mut bytes = Vec::with_capacity(inner.len());
    let mut rest = inner;
    while !rest.is_empty() {
        let (unit, after) = unquote_char(rest, '"')?;
        unit.push_to(&mut bytes);
        rest = after;
    }
    Ok(Text::from_bytes(bytes))
}

/// One unit of a literal: a character, or a byte written as `\x…` or octal.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Unit {
    Char(char),
    Byte(u8),
}

impl Unit {
    pub(crate) fn code(self) -> u32 {
        match self {
            Self::Char(c) => u32::from(c),
            Self::Byte(byte) => u32::from(byte),
        }
    }

    fn push_to(self, bytes: &mut Vec<u8>) {
        match self {
            Self::Char(c) => bytes.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
            Self::Byte(byte) => bytes.push(byte),
        }
    }
}

/// Reads the first unit of the inside of a literal in the given quotes.
pub(crate) fn unquote_char(text: &str, quote: char) -> Result<(Unit, &str), &'static str> {
    let mut chars = text.chars();
    let first = chars.next().ok_or(INVALID_SYNTAX)?;
    if first == quote {
        return Err(INVALID_SYNTAX);
    }
    if first != '\\' {
        return Ok((Unit::Char(first), chars.as_str()));
    }
    let escape = chars.next().ok_or(INVALID_SYNTAX)?;
    let rest = chars.as_str();
    let simple = |c| Ok((Unit::Char(c), rest));
    match escape {
        'a' => simple('\x07'),
        'b' => simple('\x08'),
        'f' => simple('\x0c'),
        'n' => simple('\n'),
        'r' => simple('\r'),
        't' => simple('\t'),
        'v' => simple('\x0b'),
        '\\' => simple('\\'),
        '\'' | '"' if escape == quote => simple(escape),
        'x' => {
            let (code, rest) = digits(rest, 2, 16)?;
            Ok((Unit::Byte(u8::try_from(code).map_err(|_| INVALID_SYNTAX)?), rest))
        }
        'u' | 'U' => {
            let (code, rest) = digits(rest, if escape == 'u' { 4 } else { 8 }, 16)?;
            Ok((Unit::Char(char::from_u32(code).ok_or(INVALID_SYNTAX)?), rest))
        }
        '0'..='7' => {
            let (code, rest) = digits(text.get(1..).unwrap_or_default(), 3, 8)?;
            Ok((Unit::Byte(u8::try_from(code).map_err(|_| INVALID_SYNTAX)?), rest))
        }
        _ => Err(INVALID_SYNTAX),
    }
}

fn digits(text: &str, count: usize, radix: u32) -> Result<(u32, &str), &'static str> {
    let (head, rest) = text.split_at_checked(count).ok_or(INVALID_SYNTAX)?;
    if !head.chars().all(|c| c.is_digit(radix)) {
        return Err(INVALID_SYNTAX);
    }
    Ok((u32::from_str_radix(head, radix).map_err(|_| INVALID_SYNTAX)?, rest))
}
