//! What an unquoted YAML 1.1 word means, as `go-yaml` version 2 decides it.

use crate::number;
use crate::unicode;

/// The meaning of a plain scalar.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Meaning {
    Null,
    Bool(bool),
    Int(i64),
    Uint(u64),
    Float(f64),
    Timestamp,
    Str,
}

impl Meaning {
    pub(super) fn tag(self) -> &'static str {
        match self {
            Self::Null => "!!null",
            Self::Bool(_) => "!!bool",
            Self::Int(_) | Self::Uint(_) => "!!int",
            Self::Float(_) => "!!float",
            Self::Timestamp => "!!timestamp",
            Self::Str => "!!str",
        }
    }
}

/// Resolves a plain scalar.
pub(super) fn resolve(text: &str) -> Meaning {
    let Some(first) = text.bytes().next() else { return Meaning::Null };
    let hinted = matches!(
        first,
        b'+' | b'-' | b'0'
            ..=b'9'
                | b'.'
                | b'y'
                | b'Y'
                | b'n'
                | b'N'
                | b't'
                | b'T'
                | b'f'
                | b'F'
                | b'o'
                | b'O'
                | b'~'
    );
    match text {
        _ if !hinted => return Meaning::Str,
        "y" | "Y" | "yes" | "Yes" | "YES" | "true" | "True" | "TRUE" | "on" | "On" | "ON" => {
            return Meaning::Bool(true);
        }
        "n" | "N" | "no" | "No" | "NO" | "false" | "False" | "FALSE" | "off" | "Off" | "OFF" => {
            return Meaning::Bool(false);
        }
        "~" | "null" | "Null" | "NULL" => return Meaning::Null,
        ".nan" | ".NaN" | ".NAN" => return Meaning::Float(f64::NAN),
        ".inf" | ".Inf" | ".INF" | "+.inf" | "+.Inf" | "+.INF" => {
            return Meaning::Float(f64::INFINITY);
        }
        "-.inf" | "-.Inf" | "-.INF" => return Meaning::Float(f64::NEG_INFINITY),
        _ => {}
    }
    match first {
        b'.' => number::parse_float(text).map_or(Meaning::Str, Meaning::Float),
        b'+' | b'-' | b'0'..=b'9' => resolve_number(text),
        _ => Meaning::Str,
    }
}

fn resolve_number(text: &str) -> Meaning {
    if is_timestamp(text) {
        return Meaning::Timestamp;
    }
    let plain = text.replace('_', "");
    if let Some(int) = number::parse_int(&plain) {
        return Meaning::Int(int);
    }
    if let Some(uint) = number::parse_uint(&plain) {
        return Meaning::Uint(uint);
    }
    if is_float(&plain)
        && let Some(float) = number::parse_float(&plain)
    {
        return Meaning::Float(float);
    }
    Meaning::Str
}

/// `^[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?$`
fn is_float(text: &str) -> bool {
    let body = text.strip_prefix(['-', '+']).unwrap_or(text);
    let (mantissa, exponent) = match body.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent)),
        None => (body, None),
    };
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let mantissa_ok = match mantissa.split_once('.') {
        Some(("", fraction)) => !fraction.is_empty() && digits(fraction),
        Some((whole, fraction)) => digits(whole) && digits(fraction),
        None => !mantissa.is_empty() && digits(mantissa),
    };
    let exponent_ok = exponent.is_none_or(|exponent| {
        let exponent = exponent.strip_prefix(['-', '+']).unwrap_or(exponent);
        !exponent.is_empty() && digits(exponent)
    });
    mantissa_ok && exponent_ok
}

/// `2001-12-14`, `2001-12-14T21:59:43.10Z`, `2001-12-14 21:59:43`.
pub(super) fn is_timestamp(text: &str) -> bool {
    let bytes = text.as_bytes();
    if bytes.iter().take_while(|byte| byte.is_ascii_digit()).count() != 4
        || bytes.get(4) != Some(&b'-')
    {
        return false;
    }
    [
        "2006-1-2T15:4:5.999999999Z07:00",
        "2006-1-2t15:4:5.999999999Z07:00",
        "2006-1-2 15:4:5.999999999",
        "2006-1-2",
    ]
    .iter()
    .any(|layout| crate::sprig::date::parses(layout, text))
}

/// Whether a string written without quotes would be read back as a string.
pub(super) fn is_string(text: &str) -> bool {
    matches!(resolve(text), Meaning::Str) && !is_base_60(text)
}

/// `1:30` was a number once, and is quoted for the sake of old readers.
fn is_base_60(text: &str) -> bool {
    let body = text.strip_prefix(['-', '+']).unwrap_or(text);
    let mut parts = body.split(':');
    let head = parts.next().unwrap_or_default();
    let head_ok = head.starts_with(|c: char| c.is_ascii_digit())
        && head.bytes().all(|byte| byte.is_ascii_digit() || byte == b'_');
    let rest: Vec<&str> = parts.collect();
    let Some((last, middle)) = rest.split_last() else { return false };
    let sixty = |part: &str| match part.as_bytes() {
        [one] => one.is_ascii_digit(),
        [ten, one] => matches!(ten, b'0'..=b'5') && one.is_ascii_digit(),
        _ => false,
    };
    let (last, fraction) = last.split_once('.').unwrap_or((last, ""));
    head_ok
        && middle.iter().all(|part| sixty(part))
        && sixty(last)
        && fraction.bytes().all(|byte| byte.is_ascii_digit() || byte == b'_')
}

/// Sorts by `go-yaml`'s order of keys. That order is not quite a total one, which the standard
/// sort may punish with a panic; a plain merge sort never does.
pub(super) fn sort_by_key<T>(mut items: Vec<(&str, T)>) -> Vec<(&str, T)> {
    if items.len() < 2 {
        return items;
    }
    let right = sort_by_key(items.split_off(items.len() / 2));
    let left = sort_by_key(items);
    let mut sorted = Vec::with_capacity(left.len() + right.len());
    let (mut left, mut right) = (left.into_iter().peekable(), right.into_iter().peekable());
    while let (Some((a, _)), Some((b, _))) = (left.peek(), right.peek()) {
        let next = if natural_less(b, a) { right.next() } else { left.next() };
        sorted.extend(next);
    }
    sorted.extend(left);
    sorted.extend(right);
    sorted
}

/// Letters after everything else, runs of digits by their number.
fn natural_less(a: &str, b: &str) -> bool {
    let (mut left, mut right) = (a.chars(), b.chars());
    let mut number_before = false;
    loop {
        let (rest_a, rest_b) = (left.as_str(), right.as_str());
        let (Some(a), Some(b)) = (left.next(), right.next()) else {
            return rest_a.is_empty() && !rest_b.is_empty();
        };
        if a == b {
            // Whether the run of digits that ends here has more than zeros in it.
            number_before = unicode::is_digit(a) && (number_before || a != '0');
            continue;
        }
        match (unicode::is_letter(a), unicode::is_letter(b)) {
            (true, true) => return a < b,
            (false, false) => {}
            (_, b_is_letter) => return b_is_letter,
        }
        let start = if (a == '0' || b == '0') && number_before { 1 } else { 0 };
        let (number_a, length_a) = leading_number(rest_a, start);
        let (number_b, length_b) = leading_number(rest_b, start);
        return if number_a != number_b {
            number_a < number_b
        } else if length_a != length_b {
            length_a < length_b
        } else {
            a < b
        };
    }
}

fn leading_number(text: &str, start: i64) -> (i64, usize) {
    let digits = text.chars().take_while(|c| unicode::is_digit(*c));
    digits.fold((start, 0), |(number, length), c| {
        let digit = i64::from(u32::from(c)) - i64::from(u32::from('0'));
        (number.wrapping_mul(10).wrapping_add(digit), length + 1)
    })
}
