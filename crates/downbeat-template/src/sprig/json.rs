//! JSON and the base encodings, written and read as Go's `encoding` packages do.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::function::{Args, Context, Fail, Function, Type, function};
use crate::limits::Limit;
use crate::number;
use crate::text::Text;
use crate::value::{Data, Value};

use Type::{Any, Str};

pub(crate) const FUNCTIONS: &[Function] = &[
    function("toJson", &[Any], |context, args| lenient(write(context, args, Style::HTML))),
    function("mustToJson", &[Any], |context, args| write(context, args, Style::HTML)),
    function("toPrettyJson", &[Any], |context, args| lenient(write(context, args, Style::PRETTY))),
    function("mustToPrettyJson", &[Any], |context, args| write(context, args, Style::PRETTY)),
    function("toRawJson", &[Any], |context, args| write(context, args, Style::RAW)),
    function("mustToRawJson", &[Any], |context, args| write(context, args, Style::RAW)),
    function("fromJson", &[Str], |context, args| {
        context.budget.spend(args.bytes(0).len() / 4)?;
        Ok(crate::json_text::parse(&args.str(0)).unwrap_or(Value::nil()))
    }),
    function("mustFromJson", &[Str], |context, args| {
        context.budget.spend(args.bytes(0).len() / 4)?;
        Ok(crate::json_text::parse(&args.str(0))?)
    }),
    function("b64enc", &[Str], |_, args| Ok(STANDARD.encode(args.bytes(0)).into())),
    function("b64dec", &[Str], |_, args| Ok(decoded(decode_base64(args.bytes(0))))),
    function("b32enc", &[Str], |_, args| Ok(encode_base32(args.bytes(0)).into())),
    function("b32dec", &[Str], |_, args| Ok(decoded(decode_base32(args.bytes(0))))),
];

/// `toJson` swallows errors, as Sprig does; limits are not errors.
fn lenient(result: Result<Value, Fail>) -> Result<Value, Fail> {
    match result {
        Err(Fail::Message(_)) => Ok("".into()),
        other => other,
    }
}

/// How JSON is laid out.
#[derive(Clone, Copy)]
pub(crate) struct Style {
    /// Escape `<`, `>` and `&`.
    escape_html: bool,
    pretty: bool,
}

impl Style {
    pub(crate) const HTML: Self = Self { escape_html: true, pretty: false };
    const RAW: Self = Self { escape_html: false, pretty: false };
    const PRETTY: Self = Self { escape_html: true, pretty: true };
}

fn write(context: &mut Context, args: &Args<'_>, style: Style) -> Result<Value, Fail> {
    let mut writer = Writer { out: String::new(), max: context.budget.limits.value_bytes, style };
    writer.value(args.get(0), 0)?;
    Ok(writer.out.into())
}

/// Containers nested deeper than this are refused.
const MAX_DEPTH: usize = 200;

struct Writer {
    out: String,
    max: usize,
    style: Style,
}

impl Writer {
    fn value(&mut self, value: &Value, depth: usize) -> Result<(), Fail> {
        if self.out.len() > self.max {
            return Err(Fail::Limit(Limit::Value));
        }
        if depth > MAX_DEPTH {
            return Err(Fail::Limit(Limit::Depth));
        }
        match &value.data {
            Data::NoValue | Data::Nil => self.out.push_str("null"),
            Data::Bool(truth) => self.out.push_str(if *truth { "true" } else { "false" }),
            Data::Int(int) | Data::Int64(int) => self.out.push_str(&int.to_string()),
            Data::Uint(uint) => self.out.push_str(&uint.to_string()),
            Data::Byte(byte) => self.out.push_str(&byte.to_string()),
            Data::Float(float) => self.float(*float)?,
            Data::Complex(..) => return Err("json: unsupported type: complex128".into()),
            Data::Str(text) => self.string(text.as_bytes()),
            Data::Time(time) => self.string(time.rfc3339().as_bytes()),
            Data::Version(version) => self.string(version.to_string().as_bytes()),
            Data::List(list) if list.is_nil() => self.out.push_str("null"),
            Data::List(list) => {
                self.out.push('[');
                for (index, item) in list.iter().enumerate() {
                    self.separate(index, depth + 1);
                    self.value(item, depth + 1)?;
                }
                self.close(list.is_empty(), depth, ']');
            }
            Data::Map(map) => {
                self.out.push('{');
                let map = map.read();
                for (index, (key, item)) in map.iter().enumerate() {
                    self.separate(index, depth + 1);
                    self.string(key.as_bytes());
                    self.out.push_str(if self.style.pretty { ": " } else { ":" });
                    self.value(item, depth + 1)?;
                }
                self.close(map.is_empty(), depth, '}');
            }
        }
        Ok(())
    }

    fn separate(&mut self, index: usize, depth: usize) {
        if index > 0 {
            self.out.push(',');
        }
        if self.style.pretty {
            self.line(depth);
        }
    }

    fn close(&mut self, empty: bool, depth: usize, bracket: char) {
        if self.style.pretty && !empty {
            self.line(depth);
        }
        self.out.push(bracket);
    }

    fn line(&mut self, depth: usize) {
        self.out.push('\n');
        self.out.extend(std::iter::repeat_n("  ", depth));
    }

    fn float(&mut self, float: f64) -> Result<(), Fail> {
        if !float.is_finite() {
            let shown = number::format_float(float, 'g', None);
            return Err(format!("json: unsupported value: {shown}").into());
        }
        self.out.push_str(&float_text(float));
        Ok(())
    }

    fn string(&mut self, text: &[u8]) {
        self.out.push('"');
        for chunk in text.utf8_chunks() {
            let valid = chunk.valid();
            let mut plain = 0;
            for (at, c) in valid.char_indices() {
                let html = self.style.escape_html && matches!(c, '<' | '>' | '&');
                if !html && !matches!(c, '"' | '\\' | '\0'..='\x1f' | '\u{2028}' | '\u{2029}') {
                    continue;
                }
                self.out.push_str(valid.get(plain..at).unwrap_or_default());
                plain = at + c.len_utf8();
                match c {
                    '"' => self.out.push_str("\\\""),
                    '\\' => self.out.push_str("\\\\"),
                    '\x08' => self.out.push_str("\\b"),
                    '\x0c' => self.out.push_str("\\f"),
                    '\n' => self.out.push_str("\\n"),
                    '\r' => self.out.push_str("\\r"),
                    '\t' => self.out.push_str("\\t"),
                    _ => self.out.push_str(&format!("\\u{:04x}", u32::from(c))),
                }
            }
            self.out.push_str(valid.get(plain..).unwrap_or_default());
            for _ in chunk.invalid() {
                self.out.push_str("\\ufffd");
            }
        }
        self.out.push('"');
    }
}

/// A float as JSON has it: exponents only for the very small and the very large.
pub(crate) fn float_text(float: f64) -> String {
    let magnitude = float.abs();
    if magnitude != 0.0 && !(1e-6..1e21).contains(&magnitude) {
        let text = number::format_float(float, 'e', None);
        // e-09 becomes e-9.
        return match text.split_once("e-0") {
            Some((mantissa, digit)) => format!("{mantissa}e-{digit}"),
            None => text,
        };
    }
    number::format_float(float, 'f', None)
}

fn decoded(result: Result<Vec<u8>, String>) -> Value {
    match result {
        Ok(bytes) => Text::from_bytes(bytes).into(),
        Err(message) => message.into(),
    }
}

/// Go's decoder: line breaks are skipped, and the message names the offset of the mistake.
fn decode_base64(text: &[u8]) -> Result<Vec<u8>, String> {
    decode(text, "base64", 4, 6, |byte| match byte {
        b'A'..=b'Z' => Some(byte - b'A'),
        b'a'..=b'z' => Some(byte - b'a' + 26),
        b'0'..=b'9' => Some(byte - b'0' + 52),
        b'+' => Some(62),
        b'/' => Some(63),
        _ => None,
    })
}

const BASE32: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

fn encode_base32(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len().div_ceil(5) * 8);
    for group in bytes.chunks(5) {
        let mut bits = 0_u64;
        for index in 0..5 {
            bits = bits << 8 | u64::from(group.get(index).copied().unwrap_or(0));
        }
        let used = (group.len() * 8).div_ceil(5);
        for index in 0..8 {
            let letter = BASE32.get((bits >> (35 - index * 5) & 31) as usize);
            out.push(if index < used { char::from(*letter.unwrap_or(&b'=')) } else { '=' });
        }
    }
    out
}

fn decode_base32(text: &[u8]) -> Result<Vec<u8>, String> {
    decode(text, "base32", 8, 5, |byte| match byte {
        b'A'..=b'Z' => Some(byte - b'A'),
        b'2'..=b'7' => Some(byte - b'2' + 26),
        _ => None,
    })
}

/// Decodes groups of `size` digits of `bits` bits, padded with `=`.
fn decode(
    text: &[u8],
    name: &str,
    size: usize,
    bits: usize,
    digit: fn(u8) -> Option<u8>,
) -> Result<Vec<u8>, String> {
    let corrupt = |at: usize| Err(format!("illegal {name} data at input byte {at}"));
    let input: Vec<(usize, u8)> = text
        .iter()
        .copied()
        .enumerate()
        .filter(|(_, byte)| !matches!(byte, b'\r' | b'\n'))
        .collect();
    let mut out = Vec::with_capacity(text.len() * bits / 8);
    let mut at = 0;
    while at < input.len() {
        let mut buffer = 0_u64;
        let mut count = 0;
        let mut ended = false;
        while count < size {
            let Some((offset, byte)) = input.get(at).copied() else {
                return corrupt(text.len() - count);
            };
            at += 1;
            if let Some(value) = digit(byte) {
                buffer = buffer << bits | u64::from(value);
                count += 1;
                continue;
            }
            if byte != b'=' {
                return corrupt(offset);
            }
            let whole = count * bits / 8;
            let usable = count > 0 && count * bits % 8 < bits && whole > 0;
            if !usable {
                return corrupt(offset);
            }
            // The rest of the group must be padding, and nothing may follow.
            for _ in count + 1..size {
                match input.get(at) {
                    Some((_, b'=')) => at += 1,
                    Some((offset, _)) => return corrupt(*offset),
                    None => return corrupt(text.len()),
                }
            }
            if let Some((offset, _)) = input.get(at) {
                return corrupt(*offset);
            }
            ended = true;
            break;
        }
        let whole = count * bits / 8;
        buffer <<= 64 - count * bits;
        out.extend(buffer.to_be_bytes().iter().take(whole));
        if ended {
            break;
        }
    }
    Ok(out)
}
