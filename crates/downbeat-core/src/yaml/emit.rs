//! JSON to YAML text.
//!
//! Own code instead of a serializer: which strings need quotes is a promise to every reader of
//! either YAML version, and keys, lists and blocks have to come out the same way each time.

use std::fmt::Write;

use crate::{Json, json};

/// Writes a value as one YAML document in block style, ending with a line feed.
///
/// Keys stand in the order of their names. A string stands without quotes only where no YAML 1.1 or 1.2
/// reader takes it for anything else; text of several lines becomes a literal block when a block
/// can hold it exactly.
#[must_use]
pub fn to_string(value: &Json) -> String {
    let value = &*json::sorted(value);
    // Most objects are smaller.
    let mut out = String::with_capacity(1024);
    match value {
        Json::Object(members) if !members.is_empty() => mapping(&mut out, value, 0, Start::Fresh),
        Json::Array(items) if !items.is_empty() => sequence(&mut out, items, 0, Start::Fresh),
        _ => {
            scalar(&mut out, value, 0);
            out.push('\n');
        }
    }
    out
}

/// Whether the first line of a collection continues a line (`- key: value`).
#[derive(Clone, Copy, PartialEq)]
enum Start {
    Fresh,
    Inline,
}

fn indent(out: &mut String, width: usize) {
    for _ in 0..width {
        out.push(' ');
    }
}

fn mapping(out: &mut String, value: &Json, width: usize, start: Start) {
    let Json::Object(members) = value else { return };
    for (index, (name, value)) in members.iter().enumerate() {
        if index > 0 || start == Start::Fresh {
            indent(out, width);
        }
        // Readers look ahead 1024 characters for the colon of a key without question mark.
        let long = name.len() > 250;
        if long {
            out.push_str("? ");
        }
        inline(out, name);
        if long {
            out.push('\n');
            indent(out, width);
        }
        out.push(':');
        match value {
            Json::Object(members) if !members.is_empty() => {
                out.push('\n');
                mapping(out, value, width + 2, Start::Fresh);
            }
            Json::Array(items) if !items.is_empty() => {
                out.push('\n');
                sequence(out, items, width, Start::Fresh);
            }
            _ => {
                out.push(' ');
                scalar(out, value, width);
                out.push('\n');
            }
        }
    }
}

fn sequence(out: &mut String, items: &[Json], width: usize, start: Start) {
    for (index, item) in items.iter().enumerate() {
        if index > 0 || start == Start::Fresh {
            indent(out, width);
        }
        out.push_str("- ");
        match item {
            Json::Object(members) if !members.is_empty() => {
                mapping(out, item, width + 2, Start::Inline);
            }
            Json::Array(items) if !items.is_empty() => {
                sequence(out, items, width + 2, Start::Inline);
            }
            _ => {
                scalar(out, item, width);
                out.push('\n');
            }
        }
    }
}

/// A scalar or an empty collection, without the line feed behind it. `width` is the indentation
/// of the line it stands in.
fn scalar(out: &mut String, value: &Json, width: usize) {
    match value {
        Json::Null => out.push_str("null"),
        Json::Bool(true) => out.push_str("true"),
        Json::Bool(false) => out.push_str("false"),
        Json::Number(number) => {
            let text = number.to_string();
            match text.split_once('e') {
                // YAML 1.1 reads a float with an exponent only with a point and a sign.
                Some((mantissa, exponent)) => {
                    let point = if mantissa.contains('.') { "" } else { ".0" };
                    let sign = if exponent.starts_with(['-', '+']) { "" } else { "+" };
                    let _ = write!(out, "{mantissa}{point}e{sign}{exponent}");
                }
                None => out.push_str(&text),
            }
        }
        Json::String(text) if fits_block(text) => block(out, text, width + 2),
        Json::String(text) => inline(out, text),
        Json::Array(_) => out.push_str("[]"),
        Json::Object(_) => out.push_str("{}"),
    }
}

/// A string on one line.
fn inline(out: &mut String, text: &str) {
    if is_plain(text) {
        out.push_str(text);
    } else {
        quoted(out, text);
    }
}

fn quoted(out: &mut String, text: &str) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            _ if is_printable(c) => out.push(c),
            _ => {
                let code = u32::from(c);
                let _ = match code {
                    0..=0xff => write!(out, "\\x{code:02x}"),
                    0x100..=0xffff => write!(out, "\\u{code:04x}"),
                    _ => write!(out, "\\U{code:08x}"),
                };
            }
        }
    }
    out.push('"');
}

/// Printable in every YAML version, and neither a line break of YAML 1.1 nor a byte order mark.
fn is_printable(c: char) -> bool {
    matches!(c, ' '..='~' | '\u{a0}'..='\u{2027}' | '\u{202a}'..='\u{d7ff}'
        | '\u{e000}'..='\u{fefe}' | '\u{ff00}'..='\u{fffd}' | '\u{10000}'..)
        && !matches!(c, '\u{1fffe}' | '\u{1ffff}')
}

/// Whether every reader of YAML 1.1 or 1.2 reads the bare text as this string.
fn is_plain(text: &str) -> bool {
    let mut chars = text.chars();
    let Some(first) = chars.next() else { return false };
    let starts = match first {
        'a'..='z' | 'A'..='Z' | '0'..='9' | '/' | '_' | '$' | '.' | '(' | '+' | '^' | ';' => true,
        '-' => !matches!(chars.next(), None | Some(' ')),
        _ => first.is_alphabetic(),
    };
    starts
        && !text.ends_with([' ', ':'])
        && text.chars().all(|c| c.is_alphanumeric() || matches!(c, ' '..='~'))
        && !text.contains(": ")
        && !text.contains(" #")
        && !text.starts_with("---")
        && !text.starts_with("...")
        && !is_word(text)
        && !is_number_like(text)
}

/// Booleans and nulls of YAML 1.1 and 1.2, in any case.
fn is_word(text: &str) -> bool {
    text.len() <= 5
        && ["y", "n", "yes", "no", "on", "off", "true", "false", "null", "~"]
            .iter()
            .any(|word| word.eq_ignore_ascii_case(text))
}

/// Numbers in any base, with underscores or colons (`1:30`), dates and times, `.inf` and `.nan`:
/// a little more than any reader accepts.
fn is_number_like(text: &str) -> bool {
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    let Some(first) = digits.chars().next() else { return true };
    if !matches!(first, '0'..='9' | '.' | '_') {
        return false;
    }
    // Go drops underscores first: `0_xf` is 15.
    let bare = digits.replace('_', "");
    if let Some(hex) = bare.strip_prefix("0x").or_else(|| bare.strip_prefix("0X")) {
        return hex.chars().all(|c| c.is_ascii_hexdigit());
    }
    let word = digits.trim_start_matches('.');
    if ["inf", "nan"].iter().any(|known| known.eq_ignore_ascii_case(word)) {
        return true;
    }
    digits.chars().all(|c| {
        matches!(c, '0'..='9' | '_' | '.' | ',' | ':' | '+' | '-' | ' ')
            || matches!(c, 'e' | 'E' | 'o' | 'O' | 'b' | 'B' | 't' | 'T' | 'z' | 'Z')
    })
}

/// Whether a literal block gives back exactly this text in every reader.
fn fits_block(text: &str) -> bool {
    let body = text.trim_end_matches('\n');
    let lines = body.contains('\n') || body.len() < text.len();
    lines
        && !body.is_empty()
        // Without indentation indicator the first line decides how deep the block is.
        && !body.starts_with([' ', '\t', '\n'])
        && body.chars().all(|c| c == '\n' || c == '\t' || is_printable(c))
        // A line of spaces alone is read differently from reader to reader.
        && body.lines().all(|line| line.is_empty() || !line.trim().is_empty())
}

fn block(out: &mut String, text: &str, width: usize) {
    let body = text.trim_end_matches('\n');
    out.push_str(match text.len() - body.len() {
        0 => "|-",
        1 => "|",
        _ => "|+",
    });
    for line in body.split('\n') {
        out.push('\n');
        if !line.is_empty() {
            indent(out, width);
            out.push_str(line);
        }
    }
    // The caller writes the last line feed.
    for _ in 1..text.len() - body.len() {
        out.push('\n');
    }
}
