//! Go's `strconv` for numbers: reading integers and floats, and writing floats.

/// Reads an integer as `strconv.ParseUint(text, 0, 64)` does: prefixes and underscores allowed.
pub(crate) fn parse_uint(text: &str) -> Option<u64> {
    let (radix, digits) = split_radix(text);
    if text.contains('_') && !underscores_ok(text) {
        return None;
    }
    let clean: String = digits.chars().filter(|c| *c != '_').collect();
    // Rust would accept a sign here.
    if !clean.starts_with(|c: char| c.is_ascii_alphanumeric()) {
        return None;
    }
    u64::from_str_radix(&clean, radix).ok()
}

/// Reads an integer as `strconv.ParseInt(text, 0, 64)` does.
pub(crate) fn parse_int(text: &str) -> Option<i64> {
    if let Some(digits) = text.strip_prefix('-') {
        return 0_i64.checked_sub_unsigned(parse_uint(digits)?);
    }
    i64::try_from(parse_uint(text.strip_prefix('+').unwrap_or(text))?).ok()
}

/// Reads a decimal integer as `strconv.Atoi` does.
pub(crate) fn atoi(text: &str) -> Option<i64> {
    text.parse().ok()
}

fn split_radix(text: &str) -> (u32, &str) {
    match text.as_bytes() {
        [b'0', b'x' | b'X', _, ..] => (16, text.get(2..).unwrap_or_default()),
        [b'0', b'o' | b'O', _, ..] => (8, text.get(2..).unwrap_or_default()),
        [b'0', b'b' | b'B', _, ..] => (2, text.get(2..).unwrap_or_default()),
        [b'0', _, ..] => (8, text.get(1..).unwrap_or_default()),
        _ => (10, text),
    }
}

/// Underscores must separate digits; one may follow a base prefix.
fn underscores_ok(text: &str) -> bool {
    let text = text.strip_prefix(['-', '+']).unwrap_or(text);
    let (mut previous, rest, hex) = match text.as_bytes() {
        [b'0', b'x' | b'X', ..] => ('0', text.get(2..).unwrap_or_default(), true),
        [b'0', b'b' | b'B' | b'o' | b'O', ..] => ('0', text.get(2..).unwrap_or_default(), false),
        _ => ('^', text, false),
    };
    for c in rest.chars() {
        if c.is_ascii_digit() || hex && c.is_ascii_hexdigit() {
            previous = '0';
        } else if c == '_' {
            if previous != '0' {
                return false;
            }
            previous = '_';
        } else {
            if previous == '_' {
                return false;
            }
            previous = '!';
        }
    }
    previous != '_'
}

/// Reads a float as `strconv.ParseFloat(text, 64)` does. Out of range is an error, as in Go.
pub(crate) fn parse_float(text: &str) -> Option<f64> {
    let (negative, body) = match text.as_bytes() {
        [b'-', ..] => (true, text.get(1..)?),
        [b'+', ..] => (false, text.get(1..)?),
        _ => (false, text),
    };
    let lower = body.to_ascii_lowercase();
    let magnitude = match lower.as_str() {
        "inf" | "infinity" => f64::INFINITY,
        "nan" => return (text.len() == 3).then_some(f64::NAN),
        _ => {
            if body.contains('_') && !underscores_ok(body) {
                return None;
            }
            let clean = lower.replace('_', "");
            let value = match clean.strip_prefix("0x") {
                Some(hex) => parse_hex_float(hex)?,
                None => {
                    if !clean.bytes().all(|b| b.is_ascii_digit() || b".e+-".contains(&b)) {
                        return None;
                    }
                    clean.parse::<f64>().ok()?
                }
            };
            if value.is_infinite() {
                return None;
            }
            value
        }
    };
    Some(if negative { -magnitude } else { magnitude })
}

/// Reads the part after `0x`: hexadecimal mantissa and an obligatory binary exponent.
fn parse_hex_float(text: &str) -> Option<f64> {
    let (mantissa, exponent) = text.split_once('p')?;
    let mut exponent = exponent.parse::<i32>().ok()?;
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    if whole.is_empty() && fraction.is_empty() {
        return None;
    }
    let mut value = 0_u64;
    for (index, c) in whole.chars().chain(fraction.chars()).enumerate() {
        let digit = u64::from(c.to_digit(16)?);
        if value >> 60 == 0 {
            value = value << 4 | digit;
            if index >= whole.len() {
                exponent = exponent.saturating_sub(4);
            }
        } else {
            // Too long to matter, but never rounded down to a tie.
            value |= u64::from(digit != 0);
            if index < whole.len() {
                exponent = exponent.saturating_add(4);
            }
        }
    }
    Some(scale(value as f64, exponent))
}

fn scale(mut value: f64, mut exponent: i32) -> f64 {
    while exponent > 1000 && value.is_finite() && value != 0.0 {
        value *= 2_f64.powi(1000);
        exponent -= 1000;
    }
    while exponent < -1000 && value != 0.0 {
        value *= 2_f64.powi(-1000);
        exponent += 1000;
    }
    value * 2_f64.powi(exponent)
}

/// The decimal digits of a positive finite float: `0.d1d2d3… × 10^point`.
struct Decimal {
    digits: Vec<u8>,
    point: i32,
}

impl Decimal {
    /// Takes Rust's `{:e}` output apart: shortest digits, or exactly `count` of them.
    fn new(value: f64, count: Option<usize>) -> Self {
        let text = match count {
            None => format!("{value:e}"),
            Some(count) => format!("{value:.*e}", count.saturating_sub(1)),
        };
        let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
        let digits: Vec<u8> = mantissa.bytes().filter(u8::is_ascii_digit).collect();
        let mut decimal = Self { digits, point: exponent.parse::<i32>().unwrap_or(0) + 1 };
        if value == 0.0 {
            decimal.point = 0;
            decimal.digits.clear();
        }
        if count.is_none() {
            while decimal.digits.last() == Some(&b'0') {
                decimal.digits.pop();
            }
        }
        decimal
    }

    fn digit(&self, index: i32) -> char {
        let digit = usize::try_from(index).ok().and_then(|index| self.digits.get(index));
        char::from(*digit.unwrap_or(&b'0'))
    }
}

/// Writes a float as `strconv.FormatFloat(value, verb, precision, 64)` does, always with a sign
/// for negative numbers and infinities.
pub(crate) fn format_float(value: f64, verb: char, precision: Option<usize>) -> String {
    if value.is_nan() {
        return "NaN".into();
    }
    if value.is_infinite() {
        return if value > 0.0 { "+Inf".into() } else { "-Inf".into() };
    }
    let mut out = String::new();
    if value.is_sign_negative() {
        out.push('-');
    }
    let magnitude = value.abs();
    match verb {
        'b' => append_binary(&mut out, magnitude),
        'x' | 'X' => append_hex(&mut out, magnitude, precision, verb),
        'f' => match precision {
            Some(precision) => out.push_str(&format!("{magnitude:.precision$}")),
            None => append_fixed(&mut out, &Decimal::new(magnitude, None)),
        },
        'e' | 'E' => {
            let decimal = Decimal::new(magnitude, precision.map(|precision| precision + 1));
            let precision = precision.unwrap_or(decimal.digits.len().saturating_sub(1));
            append_exponent(&mut out, &decimal, precision, verb);
        }
        _ => append_general(&mut out, magnitude, precision, verb),
    }
    out
}

/// `%g`: `%e` for very small and large exponents, else the shortest fixed form.
fn append_general(out: &mut String, magnitude: f64, precision: Option<usize>, verb: char) {
    let precision = precision.map(|precision| precision.max(1));
    let mut decimal = Decimal::new(magnitude, precision);
    while decimal.digits.last() == Some(&b'0') {
        decimal.digits.pop();
    }
    let digits = decimal.digits.len() as i32;
    let threshold = match precision {
        None => 6,
        Some(precision) if precision as i32 > digits && digits >= decimal.point => digits,
        Some(precision) => precision as i32,
    };
    let exponent = decimal.point - 1;
    if exponent < -4 || exponent >= threshold {
        let precision = decimal.digits.len().saturating_sub(1);
        append_exponent(out, &decimal, precision, if verb == 'G' { 'E' } else { 'e' });
    } else {
        append_fixed(out, &decimal);
    }
}

fn append_fixed(out: &mut String, decimal: &Decimal) {
    if decimal.point <= 0 {
        out.push('0');
    }
    for index in 0..decimal.point {
        out.push(decimal.digit(index));
    }
    let fraction = decimal.digits.len() as i32 - decimal.point;
    if fraction > 0 && !decimal.digits.is_empty() {
        out.push('.');
        for index in decimal.point..decimal.digits.len() as i32 {
            out.push(if index < 0 { '0' } else { decimal.digit(index) });
        }
    }
}

fn append_exponent(out: &mut String, decimal: &Decimal, precision: usize, verb: char) {
    out.push(decimal.digit(0));
    if precision > 0 {
        out.push('.');
        for index in 1..=precision as i32 {
            out.push(decimal.digit(index));
        }
    }
    let exponent = if decimal.digits.is_empty() { 0 } else { decimal.point - 1 };
    out.push(verb);
    out.push(if exponent < 0 { '-' } else { '+' });
    out.push_str(&format!("{:02}", exponent.abs()));
}

/// `%b`: mantissa and binary exponent, `4503599627370496p-52`.
fn append_binary(out: &mut String, magnitude: f64) {
    let (mantissa, exponent) = decode(magnitude);
    out.push_str(&format!("{mantissa}p{exponent:+}"));
}

/// `%x`: `0x1.8p+01`.
fn append_hex(out: &mut String, magnitude: f64, precision: Option<usize>, verb: char) {
    let (mut mantissa, mut exponent) = decode(magnitude);
    if mantissa == 0 {
        exponent = 0;
    } else {
        exponent += 52;
        let shift = mantissa.leading_zeros() as i32 - 11;
        mantissa <<= shift;
        exponent -= shift;
    }
    // 1 integer bit and 52 fraction bits; now as 4.60 fixed point.
    let mut bits = mantissa << 8;
    if let Some(digits) = precision.filter(|digits| *digits < 15) {
        let drop = 60 - digits as u32 * 4;
        let extra = bits & ((1 << drop) - 1);
        let half = 1_u64 << (drop - 1);
        bits >>= drop;
        if extra > half || extra == half && bits & 1 == 1 {
            bits += 1;
        }
        bits <<= drop;
        if bits >> 61 != 0 {
            bits >>= 1;
            exponent += 1;
        }
    }
    let mut hex = String::from("0x");
    hex.push_str(&format!("{:x}", bits >> 60));
    let mut fraction = bits << 4;
    let wanted = precision.unwrap_or(usize::MAX);
    if wanted > 0 && (precision.is_some() || fraction != 0) {
        hex.push('.');
        let mut written = 0;
        while written < wanted && (precision.is_some() || fraction != 0) {
            hex.push_str(&format!("{:x}", fraction >> 60));
            fraction <<= 4;
            written += 1;
        }
    }
    hex.push_str(&format!("p{}{:02}", if exponent < 0 { '-' } else { '+' }, exponent.abs()));
    out.push_str(&if verb == 'X' { hex.to_uppercase() } else { hex });
}

/// Splits a float into integer mantissa and binary exponent.
fn decode(magnitude: f64) -> (u64, i32) {
    let bits = magnitude.to_bits();
    let exponent = (bits >> 52 & 0x7ff) as i32;
    let fraction = bits & ((1 << 52) - 1);
    if exponent == 0 { (fraction, -1074) } else { (fraction | 1 << 52, exponent - 1075) }
}
