//! What a scalar means: the rules of Go's `yaml` v3 for plain scalars, and tags.

use super::Kind;

/// Why a scalar has no value.
pub(super) enum Refusal {
    /// `.inf` or `.nan`.
    NotFinite,
    /// The text does not fit the tag.
    Tag(&'static str),
}

/// The value of a plain scalar without a tag.
pub(super) fn plain(text: &str) -> Result<Kind, Refusal> {
    let Some(&first) = text.as_bytes().first() else { return Ok(Kind::Null) };
    match first {
        b'0'..=b'9' | b'+' | b'-' => {
            if matches!(text, "-.inf" | "-.Inf" | "-.INF" | "+.inf" | "+.Inf" | "+.INF") {
                return Err(Refusal::NotFinite);
            }
            if let Some(number) = number(text) {
                return Ok(number);
            }
        }
        b'.' => match text {
            ".inf" | ".Inf" | ".INF" | ".nan" | ".NaN" | ".NAN" => return Err(Refusal::NotFinite),
            _ => {
                if let Some(value) = float(text) {
                    return Ok(Kind::Float(value));
                }
            }
        },
        b't' | b'T' => {
            if matches!(text, "true" | "True" | "TRUE") {
                return Ok(Kind::Bool(true));
            }
        }
        b'f' | b'F' => {
            if matches!(text, "false" | "False" | "FALSE") {
                return Ok(Kind::Bool(false));
            }
        }
        b'n' | b'N' | b'~' => {
            if matches!(text, "null" | "Null" | "NULL" | "~") {
                return Ok(Kind::Null);
            }
        }
        _ => {}
    }
    Ok(Kind::String(text.to_owned()))
}

/// The value of a scalar with a tag of the YAML namespace (`str`, `int`, ...).
///
/// Other tags, among them `binary` and `timestamp`, leave the text as a string.
pub(super) fn tagged(tag: &str, text: &str) -> Result<Kind, Refusal> {
    let misfit = |tag| Err(Refusal::Tag(tag));
    match tag {
        "int" => match number(text) {
            Some(value @ (Kind::Int(_) | Kind::Uint(_))) => Ok(value),
            _ => misfit("int"),
        },
        #[expect(clippy::cast_precision_loss, reason = "the tag asks for a float")]
        "float" => match plain(text)? {
            Kind::Int(value) => Ok(Kind::Float(value as f64)),
            Kind::Uint(value) => Ok(Kind::Float(value as f64)),
            value @ Kind::Float(_) => Ok(value),
            _ => misfit("float"),
        },
        // Go decodes the words of YAML 1.1 when a boolean is asked for.
        "bool" => match text {
            "true" | "True" | "TRUE" | "y" | "Y" | "yes" | "Yes" | "YES" | "on" | "On" | "ON" => {
                Ok(Kind::Bool(true))
            }
            "false" | "False" | "FALSE" | "n" | "N" | "no" | "No" | "NO" | "off" | "Off"
            | "OFF" => Ok(Kind::Bool(false)),
            _ => misfit("bool"),
        },
        "null" => match plain(text)? {
            Kind::Null => Ok(Kind::Null),
            _ => misfit("null"),
        },
        _ => Ok(Kind::String(text.to_owned())),
    }
}

/// Integers as Go's `ParseInt` with base 0 reads them, else decimal floats. Underscores are
/// dropped first.
fn number(text: &str) -> Option<Kind> {
    if !text.contains('_') {
        return integer(text).or_else(|| float(text).map(Kind::Float));
    }
    let text = text.replace('_', "");
    integer(&text).or_else(|| float(&text).map(Kind::Float))
}

fn integer(text: &str) -> Option<Kind> {
    let (sign, digits) = match text.as_bytes().first()? {
        b'-' => ("-", text.get(1..)?),
        b'+' => ("+", text.get(1..)?),
        _ => ("", text),
    };
    let (radix, digits) = match digits.as_bytes() {
        [b'0', b'x' | b'X', ..] => (16, digits.get(2..)?),
        [b'0', b'o' | b'O', ..] => (8, digits.get(2..)?),
        [b'0', b'b' | b'B', ..] => (2, digits.get(2..)?),
        [b'0', _, ..] => (8, digits.get(1..)?),
        _ => (10, digits),
    };
    if !digits.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
        return None;
    }
    match (sign, u64::from_str_radix(digits, radix).ok()?) {
        ("-", value) => 0i64.checked_sub_unsigned(value).map(Kind::Int),
        (sign, value) => match i64::try_from(value) {
            Ok(value) => Some(Kind::Int(value)),
            Err(_) if sign.is_empty() => Some(Kind::Uint(value)),
            Err(_) => None,
        },
    }
}

/// `[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?`, when finite.
fn float(text: &str) -> Option<f64> {
    let bytes = text.as_bytes();
    let digits = |from: usize| bytes.iter().skip(from).take_while(|b| b.is_ascii_digit()).count();
    let mut at = usize::from(matches!(bytes.first(), Some(b'-' | b'+')));
    let whole = digits(at);
    at += whole;
    if bytes.get(at) == Some(&b'.') {
        let fraction = digits(at + 1);
        if whole == 0 && fraction == 0 {
            return None;
        }
        at += 1 + fraction;
    } else if whole == 0 {
        return None;
    }
    if matches!(bytes.get(at), Some(b'e' | b'E')) {
        at += 1 + usize::from(matches!(bytes.get(at + 1), Some(b'-' | b'+')));
        let exponent = digits(at);
        if exponent == 0 {
            return None;
        }
        at += exponent;
    }
    if at != bytes.len() {
        return None;
    }
    text.parse::<f64>().ok().filter(|value| value.is_finite())
}
