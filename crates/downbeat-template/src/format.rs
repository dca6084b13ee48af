//! Go's `fmt`: what `print`, `printf` and plain output make of a value.
//!
//! Everything is written into a byte buffer with a ceiling; a printer that reaches it stops
//! writing, so that no width, nesting or sharing can make a small template produce a huge text.

use crate::number;
use crate::quote;
use crate::text::Text;
use crate::value::{Data, List, Map, Value};

/// Writes a value as an action does; returns whether it fitted into `max` bytes.
pub(crate) fn print_value(out: &mut Vec<u8>, value: &Value, max: usize) -> bool {
    match &value.data {
        // The common cases, without the machinery.
        Data::Str(text) if out.len() + text.len() <= max => {
            out.extend_from_slice(text.as_bytes());
            true
        }
        Data::NoValue => {
            out.extend_from_slice(b"<no value>");
            out.len() <= max
        }
        _ => {
            let mut printer = Printer::new(out, max);
            printer.arg(value, 'v');
            printer.fits()
        }
    }
}

/// Renders a value as `%v`, for messages and for functions that want any value as text.
pub(crate) fn show(value: &Value) -> String {
    let mut out = Vec::new();
    print_value(&mut out, value, SHOWN_BYTES);
    crate::text::lossy(&out)
}

/// Enough of a value for a message.
const SHOWN_BYTES: usize = 1 << 20;

/// Renders a value as Sprig's `strval` does: `%v`, and strings as they are.
pub(crate) fn text_of(value: &Value, max: usize) -> Option<Text> {
    match &value.data {
        Data::Str(text) => Some(text.clone()),
        _ => {
            let mut out = Vec::new();
            let mut printer = Printer::new(&mut out, max);
            printer.arg(value, 'v');
            printer.fits().then(|| Text::from_bytes(out))
        }
    }
}

/// `fmt.Sprint`: spaces between operands when neither is a string.
pub(crate) fn sprint(values: &[Value], max: usize) -> Option<Text> {
    let mut out = Vec::new();
    let mut printer = Printer::new(&mut out, max);
    let mut after_string = true;
    for (index, value) in values.iter().enumerate() {
        let is_string = matches!(value.data, Data::Str(_));
        if index > 0 && !is_string && !after_string {
            printer.byte(b' ');
        }
        printer.arg(value, 'v');
        after_string = is_string;
    }
    printer.fits().then(|| Text::from_bytes(out))
}

/// `fmt.Sprintln`: spaces between all operands, newline at the end.
pub(crate) fn sprintln(values: &[Value], max: usize) -> Option<Text> {
    let mut out = Vec::new();
    let mut printer = Printer::new(&mut out, max);
    for (index, value) in values.iter().enumerate() {
        if index > 0 {
            printer.byte(b' ');
        }
        printer.arg(value, 'v');
    }
    printer.byte(b'\n');
    printer.fits().then(|| Text::from_bytes(out))
}

/// `fmt.Sprintf`; `None` if the result is larger than `max` bytes.
pub(crate) fn sprintf(format: &[u8], values: &[Value], max: usize) -> Option<Text> {
    let mut out = Vec::with_capacity(format.len() + 16);
    let mut printer = Printer::new(&mut out, max);
    Directives { format, at: 0, values, next: 0, reordered: false, good: true }.run(&mut printer);
    printer.fits().then(|| Text::from_bytes(out))
}

/// Go refuses widths and precisions beyond this.
const MAX_NUMBER: i64 = 1_000_000;

const NIL_ANGLE: &[u8] = b"<nil>";

#[derive(Clone, Copy, Default)]
struct Flags {
    width: Option<usize>,
    precision: Option<usize>,
    minus: bool,
    plus: bool,
    sharp: bool,
    space: bool,
    zero: bool,
    /// `%+v`, which is not `+` on the parts.
    plus_v: bool,
    /// `%#v`, which is not `#` on the parts.
    sharp_v: bool,
}

/// The reader of a format string.
struct Directives<'a> {
    format: &'a [u8],
    at: usize,
    values: &'a [Value],
    /// The value the next verb takes.
    next: usize,
    /// Some `[n]` was used, so leftover values are not an error.
    reordered: bool,
    /// The `[n]` of this directive was usable.
    good: bool,
}

impl<'a> Directives<'a> {
    fn peek(&self) -> Option<u8> {
        self.format.get(self.at).copied()
    }

    fn run(mut self, printer: &mut Printer<'_>) {
        loop {
            let rest = self.format.get(self.at..).unwrap_or_default();
            let plain = rest.iter().position(|byte| *byte == b'%').unwrap_or(rest.len());
            printer.bytes(rest.get(..plain).unwrap_or_default());
            self.at += plain + 1;
            if plain == rest.len() {
                break;
            }
            if !self.directive(printer) {
                break;
            }
        }
        if !self.reordered && self.next < self.values.len() {
            printer.flags = Flags::default();
            printer.bytes(b"%!(EXTRA ");
            for (index, value) in self.values.iter().skip(self.next).enumerate() {
                if index > 0 {
                    printer.bytes(b", ");
                }
                printer.typed(value);
            }
            printer.byte(b')');
        }
    }

    /// Handles what follows a `%`; returns whether the format goes on.
    fn directive(&mut self, printer: &mut Printer<'_>) -> bool {
        self.good = true;
        printer.flags = Flags::default();
        self.flags(printer);
        let mut after_index = self.index();
        if self.peek() == Some(b'*') {
            self.at += 1;
            let width = self.star();
            match width {
                Some(width) => {
                    if width < 0 {
                        printer.flags.minus = true;
                        printer.flags.zero = false;
                    }
                    printer.flags.width = Some(width.unsigned_abs() as usize);
                }
                None => printer.bytes(b"%!(BADWIDTH)"),
            }
            after_index = false;
        } else {
            printer.flags.width = self.number();
            if after_index && printer.flags.width.is_some() {
                self.good = false;
            }
        }
        if self.peek() == Some(b'.') && self.at + 1 < self.format.len() {
            self.at += 1;
            if after_index {
                self.good = false;
            }
            after_index = self.index();
            if self.peek() == Some(b'*') {
                self.at += 1;
                let precision = self.star().and_then(|precision| usize::try_from(precision).ok());
                if precision.is_none() {
                    printer.bytes(b"%!(BADPREC)");
                }
                printer.flags.precision = precision;
                after_index = false;
            } else {
                printer.flags.precision = Some(self.number().unwrap_or(0));
            }
        }
        if !after_index {
            self.index();
        }
        let Some(verb) = self.verb() else {
            printer.bytes(b"%!(NOVERB)");
            return false;
        };
        if verb == '%' {
            printer.byte(b'%');
        } else if !self.good {
            printer.complain(verb, b"(BADINDEX)");
        } else if let Some(value) = self.values.get(self.next) {
            let flags = &mut printer.flags;
            if matches!(verb, 'v' | 'w') {
                flags.sharp_v = std::mem::take(&mut flags.sharp);
                flags.plus_v = std::mem::take(&mut flags.plus);
            }
            printer.arg(value, verb);
            self.next += 1;
        } else {
            printer.complain(verb, b"(MISSING)");
        }
        true
    }

    fn flags(&mut self, printer: &mut Printer<'_>) {
        while let Some(byte) = self.peek() {
            match byte {
                b'#' => printer.flags.sharp = true,
                b'0' => printer.flags.zero = true,
                b'+' => printer.flags.plus = true,
                b'-' => printer.flags.minus = true,
                b' ' => printer.flags.space = true,
                _ => return,
            }
            self.at += 1;
        }
    }

    /// Reads a decimal number; a crazy long one swallows the rest of the format.
    fn number(&mut self) -> Option<usize> {
        let mut number = None;
        while let Some(digit) = self.peek().filter(u8::is_ascii_digit) {
            let value: i64 = number.unwrap_or(0);
            if value > MAX_NUMBER {
                self.at = self.format.len();
                return None;
            }
            number = Some(value * 10 + i64::from(digit - b'0'));
            self.at += 1;
        }
        number.and_then(|number| usize::try_from(number).ok())
    }

    /// Takes a value as width or precision.
    fn star(&mut self) -> Option<i64> {
        let value = self.values.get(self.next)?;
        self.next += 1;
        let number = match value.data {
            Data::Int(number) | Data::Int64(number) => number,
            Data::Uint(number) => i64::try_from(number).ok()?,
            Data::Byte(number) => number.into(),
            _ => return None,
        };
        (-MAX_NUMBER..=MAX_NUMBER).contains(&number).then_some(number)
    }

    /// Reads `[n]`; returns whether there was one.
    fn index(&mut self) -> bool {
        if self.peek() != Some(b'[') {
            return false;
        }
        self.reordered = true;
        let rest = self.format.get(self.at + 1..).unwrap_or_default();
        let Some(length) = rest.iter().position(|byte| *byte == b']').filter(|_| rest.len() > 1)
        else {
            self.good = false;
            self.at += 1;
            return false;
        };
        let digits = rest.get(..length).and_then(|digits| std::str::from_utf8(digits).ok());
        self.at += length + 2;
        let number = digits
            .filter(|digits| !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit()))
            .and_then(|digits| digits.parse::<usize>().ok())
            .filter(|number| *number <= MAX_NUMBER as usize * 10);
        match number {
            Some(number) if (1..=self.values.len()).contains(&number) => {
                self.next = number - 1;
                true
            }
            Some(_) => {
                self.good = false;
                true
            }
            None => {
                self.good = false;
                false
            }
        }
    }

    fn verb(&mut self) -> Option<char> {
        let rest = self.format.get(self.at..).filter(|rest| !rest.is_empty())?;
        let head = rest.get(..rest.len().min(4)).unwrap_or_default();
        let chunk = head.utf8_chunks().next()?;
        match chunk.valid().chars().next() {
            Some(verb) => {
                self.at += verb.len_utf8();
                Some(verb)
            }
            None => {
                self.at += 1;
                Some(char::REPLACEMENT_CHARACTER)
            }
        }
    }
}

/// Go's `pp`: writes values under the current flags.
struct Printer<'b> {
    out: &'b mut Vec<u8>,
    max: usize,
    full: bool,
    depth: usize,
    flags: Flags,
}

/// Containers nested deeper than this do not fit.
const MAX_DEPTH: usize = 200;

impl<'b> Printer<'b> {
    fn new(out: &'b mut Vec<u8>, max: usize) -> Self {
        Self { out, max, full: false, depth: 0, flags: Flags::default() }
    }

    fn fits(&self) -> bool {
        !self.full
    }

    fn bytes(&mut self, bytes: &[u8]) {
        if self.full || self.out.len() + bytes.len() > self.max {
            self.full = true;
            return;
        }
        self.out.extend_from_slice(bytes);
    }

    fn byte(&mut self, byte: u8) {
        self.bytes(&[byte]);
    }

    fn char(&mut self, c: char) {
        self.bytes(c.encode_utf8(&mut [0; 4]).as_bytes());
    }

    // Padding.

    fn padding(&mut self, count: usize) {
        if self.full || self.out.len() + count > self.max {
            self.full = true;
            return;
        }
        let fill = if self.flags.zero && !self.flags.minus { b'0' } else { b' ' };
        self.out.resize(self.out.len() + count, fill);
    }

    /// Writes text padded to the width.
    fn pad(&mut self, text: &[u8]) {
        let Some(width) = self.flags.width.filter(|width| *width > 0) else {
            return self.bytes(text);
        };
        let runes =
            text.utf8_chunks().map(|chunk| chunk.valid().chars().count() + chunk.invalid().len());
        let padding = width.saturating_sub(runes.sum());
        if self.flags.minus {
            self.bytes(text);
            self.padding(padding);
        } else {
            self.padding(padding);
            self.bytes(text);
        }
    }

    /// The same, with spaces even under the zero flag.
    fn pad_spaces(&mut self, text: &[u8]) {
        let zero = std::mem::take(&mut self.flags.zero);
        self.pad(text);
        self.flags.zero = zero;
    }

    // Complaints.

    fn complain(&mut self, verb: char, what: &[u8]) {
        self.bytes(b"%!");
        self.char(verb);
        self.bytes(what);
    }

    fn bad_verb(&mut self, value: &Value, verb: char) {
        self.bytes(b"%!");
        self.char(verb);
        self.byte(b'(');
        self.typed(value);
        self.byte(b')');
    }

    /// `type=value`.
    fn typed(&mut self, value: &Value) {
        if value.is_nil() {
            return self.bytes(NIL_ANGLE);
        }
        self.bytes(value.type_name().as_bytes());
        self.byte(b'=');
        self.value(value, 'v');
    }

    // Values.

    /// Writes an operand of a formatting function.
    fn arg(&mut self, value: &Value, verb: char) {
        if value.is_nil() {
            match verb {
                'T' | 'v' => self.pad(NIL_ANGLE),
                _ => self.bad_verb(value, verb),
            }
            return;
        }
        match verb {
            'T' => self.string(value.type_name().as_bytes()),
            'p' => self.pointer(value, verb),
            'w' => self.bad_verb(value, verb),
            _ => self.value(value, verb),
        }
    }

    fn value(&mut self, value: &Value, verb: char) {
        if self.full {
            return;
        }
        match &value.data {
            // A nil inside a container: Go looks at the interface before it looks at the verb.
            Data::NoValue | Data::Nil if self.flags.sharp_v => self.bytes(b"interface {}(nil)"),
            Data::NoValue | Data::Nil => self.bytes(NIL_ANGLE),
            Data::Bool(truth) => match verb {
                't' | 'v' => self.pad(if *truth { b"true" } else { b"false" }),
                _ => self.bad_verb(value, verb),
            },
            Data::Int(int) | Data::Int64(int) => {
                self.integer(value, int.unsigned_abs(), *int < 0, true, verb);
            }
            Data::Uint(uint) => self.integer(value, *uint, false, false, verb),
            Data::Byte(byte) => self.integer(value, (*byte).into(), false, false, verb),
            Data::Float(float) => self.float(value, *float, verb),
            Data::Complex(re, im) => self.complex(value, *re, *im, verb),
            Data::Str(text) => self.text(value, text.as_bytes(), verb),
            Data::List(list) => self.list(list, verb),
            Data::Map(map) => self.map(map, verb),
            Data::Time(time) => match verb {
                'v' | 's' | 'x' | 'X' | 'q' => {
                    let text = time.to_string();
                    self.text(value, text.as_bytes(), verb);
                }
                _ => self.bad_verb(value, verb),
            },
            Data::Version(version) => match verb {
                'v' | 's' | 'x' | 'X' | 'q' => {
                    let text = version.to_string();
                    self.text(value, text.as_bytes(), verb);
                }
                _ => self.bad_verb(value, verb),
            },
        }
    }

    fn list(&mut self, list: &List, verb: char) {
        let sharp = self.flags.sharp_v;
        if sharp {
            self.bytes(Value::from(list.clone()).type_name().as_bytes());
            if list.is_nil() {
                return self.bytes(b"(nil)");
            }
        }
        self.byte(if sharp { b'{' } else { b'[' });
        self.nested(|printer| {
            for (index, item) in list.iter().enumerate() {
                if index > 0 {
                    printer.bytes(if sharp { b", " } else { b" " });
                }
                printer.value(item, verb);
                if printer.full {
                    return;
                }
            }
        });
        self.byte(if sharp { b'}' } else { b']' });
    }

    fn map(&mut self, map: &Map, verb: char) {
        let sharp = self.flags.sharp_v;
        if sharp {
            self.bytes(Value::from(map.clone()).type_name().as_bytes());
            self.byte(b'{');
        } else {
            self.bytes(b"map[");
        }
        self.nested(|printer| {
            for (index, (key, item)) in map.read().iter().enumerate() {
                if index > 0 {
                    printer.bytes(if sharp { b", " } else { b" " });
                }
                printer.text(&Value::from(Text::Utf8(key.clone())), key.as_bytes(), verb);
                printer.byte(b':');
                printer.value(item, verb);
                if printer.full {
                    return;
                }
            }
        });
        self.byte(if sharp { b'}' } else { b']' });
    }

    fn nested(&mut self, write: impl FnOnce(&mut Self)) {
        if self.depth >= MAX_DEPTH {
            self.full = true;
            return;
        }
        self.depth += 1;
        write(self);
        self.depth -= 1;
    }

    fn pointer(&mut self, value: &Value, verb: char) {
        match &value.data {
            // There are no addresses here; a constant keeps the output reproducible.
            Data::List(_) | Data::Map(_) | Data::Version(_) => self.pad(b"0xc000000000"),
            _ => self.bad_verb(value, verb),
        }
    }

    // Strings.

    fn text(&mut self, value: &Value, text: &[u8], verb: char) {
        match verb {
            'v' if self.flags.sharp_v => self.quoted(text),
            'v' | 's' => self.string(text),
            'x' => self.hex(text, b"0123456789abcdefx"),
            'X' => self.hex(text, b"0123456789ABCDEFX"),
            'q' => self.quoted(text),
            _ => self.bad_verb(value, verb),
        }
    }

    fn truncated<'t>(&self, text: &'t [u8]) -> &'t [u8] {
        let Some(precision) = self.flags.precision else { return text };
        let mut left = precision;
        let mut end = 0;
        for chunk in text.utf8_chunks() {
            for c in chunk.valid().chars() {
                if left == 0 {
                    return text.get(..end).unwrap_or_default();
                }
                left -= 1;
                end += c.len_utf8();
            }
            for _ in chunk.invalid() {
                if left == 0 {
                    return text.get(..end).unwrap_or_default();
                }
                left -= 1;
                end += 1;
            }
        }
        text
    }

    fn string(&mut self, text: &[u8]) {
        let text = self.truncated(text);
        self.pad(text);
    }

    fn quoted(&mut self, text: &[u8]) {
        let text = self.truncated(text);
        if text.len() > self.max {
            self.full = true;
            return;
        }
        let mut out = String::with_capacity(text.len() + 2);
        if self.flags.sharp && quote::can_backquote(text) {
            out.push('`');
            out.push_str(&crate::text::lossy(text));
            out.push('`');
        } else {
            quote::append_quoted(&mut out, text, '"', self.flags.plus);
        }
        self.pad(out.as_bytes());
    }

    fn hex(&mut self, text: &[u8], digits: &[u8; 17]) {
        let [.., x] = *digits;
        let digit = |nibble: u8| digits.get(usize::from(nibble)).copied().unwrap_or(b'0');
        let text = match self.flags.precision {
            Some(precision) => text.get(..precision).unwrap_or(text),
            None => text,
        };
        if text.is_empty() {
            return self.padding(self.flags.width.unwrap_or(0));
        }
        let Flags { space, sharp, minus, .. } = self.flags;
        if text.len() > self.max {
            self.full = true;
            return;
        }
        let mut out = Vec::with_capacity(text.len() * 2);
        for (index, byte) in text.iter().enumerate() {
            if space && index > 0 {
                out.push(b' ');
            }
            if sharp && (space || index == 0) {
                out.extend_from_slice(&[b'0', x]);
            }
            out.extend_from_slice(&[digit(byte >> 4), digit(byte & 15)]);
        }
        let padding = self.flags.width.unwrap_or(0).saturating_sub(out.len());
        if !minus {
            self.padding(padding);
        }
        self.bytes(&out);
        if minus {
            self.padding(padding);
        }
    }

    // Numbers.

    fn integer(&mut self, value: &Value, magnitude: u64, negative: bool, signed: bool, verb: char) {
        match verb {
            'v' if self.flags.sharp_v && !signed => {
                let sharp = std::mem::replace(&mut self.flags.sharp, true);
                self.digits(magnitude, negative, 16, 'v');
                self.flags.sharp = sharp;
            }
            'v' | 'd' => self.digits(magnitude, negative, 10, verb),
            'b' => self.digits(magnitude, negative, 2, verb),
            'o' | 'O' => self.digits(magnitude, negative, 8, verb),
            'x' | 'X' => self.digits(magnitude, negative, 16, verb),
            'c' | 'q' | 'U' => {
                let code = if negative { magnitude.wrapping_neg() } else { magnitude };
                self.character(code, verb);
            }
            _ => self.bad_verb(value, verb),
        }
    }

    fn digits(&mut self, magnitude: u64, negative: bool, base: u32, verb: char) {
        let Flags { plus, space, sharp, zero, minus, width, precision, .. } = self.flags;
        let digits = match (base, verb) {
            (2, _) => format!("{magnitude:b}"),
            (8, _) => format!("{magnitude:o}"),
            (16, 'X') => format!("{magnitude:X}"),
            (16, _) => format!("{magnitude:x}"),
            _ => magnitude.to_string(),
        };
        let minimum = match (precision, width) {
            // Precision 0 and value 0 print nothing but padding.
            (Some(0), _) if magnitude == 0 => {
                let zero = std::mem::take(&mut self.flags.zero);
                self.padding(width.unwrap_or(0));
                self.flags.zero = zero;
                return;
            }
            (Some(precision), _) => precision,
            (None, Some(width)) if zero && !minus => {
                width.saturating_sub(usize::from(negative || plus || space))
            }
            _ => 0,
        };
        if minimum > self.max {
            self.full = true;
            return;
        }
        let mut text = String::new();
        if negative {
            text.push('-');
        } else if plus {
            text.push('+');
        } else if space {
            text.push(' ');
        }
        if verb == 'O' {
            text.push_str("0o");
        }
        let zeros = minimum.saturating_sub(digits.len());
        if sharp {
            match base {
                2 => text.push_str("0b"),
                8 if zeros == 0 && !digits.starts_with('0') => text.push('0'),
                16 => text.push_str(if verb == 'X' { "0X" } else { "0x" }),
                _ => {}
            }
        }
        text.extend(std::iter::repeat_n('0', zeros));
        text.push_str(&digits);
        self.pad_spaces(text.as_bytes());
    }

    fn character(&mut self, code: u64, verb: char) {
        let valid = u32::try_from(code).ok().and_then(char::from_u32);
        let c = valid.unwrap_or(char::REPLACEMENT_CHARACTER);
        match verb {
            'c' => self.pad(c.encode_utf8(&mut [0; 4]).as_bytes()),
            'q' => {
                let mut out = String::from("'");
                let ascii = self.flags.plus;
                quote::append_escaped(&mut out, c, '\'', ascii);
                out.push('\'');
                self.pad(out.as_bytes());
            }
            _ => {
                let precision = self.flags.precision.unwrap_or(4).max(4);
                if precision > self.max {
                    self.full = true;
                    return;
                }
                let mut out = format!("U+{code:0precision$X}");
                if self.flags.sharp
                    && let Some(c) = valid.filter(|c| crate::unicode::is_print(*c))
                {
                    out.push_str(&format!(" '{c}'"));
                }
                self.pad_spaces(out.as_bytes());
            }
        }
    }

    fn float(&mut self, value: &Value, float: f64, verb: char) {
        match verb {
            'v' => self.float_digits(float, 'g', None),
            'b' | 'g' | 'G' | 'x' | 'X' => self.float_digits(float, verb, None),
            'f' | 'e' | 'E' => self.float_digits(float, verb, Some(6)),
            'F' => self.float_digits(float, 'f', Some(6)),
            _ => self.bad_verb(value, verb),
        }
    }

    fn complex(&mut self, value: &Value, re: f64, im: f64, verb: char) {
        if !matches!(verb, 'v' | 'b' | 'g' | 'G' | 'x' | 'X' | 'f' | 'F' | 'e' | 'E') {
            return self.bad_verb(value, verb);
        }
        self.byte(b'(');
        self.float(value, re, verb);
        let plus = std::mem::replace(&mut self.flags.plus, true);
        self.float(value, im, verb);
        self.flags.plus = plus;
        self.bytes(b"i)");
    }

    fn float_digits(&mut self, float: f64, verb: char, default: Option<usize>) {
        let precision = self.flags.precision.or(default);
        if precision.is_some_and(|precision| precision > self.max) {
            self.full = true;
            return;
        }
        let formatted = number::format_float(float, verb, precision);
        let Flags { plus, space, zero, minus, width, .. } = self.flags;
        let (mut sign, mut digits) = match formatted.as_bytes().first() {
            Some(b'-') => ('-', formatted.get(1..).unwrap_or_default().to_owned()),
            Some(b'+') => ('+', formatted.get(1..).unwrap_or_default().to_owned()),
            _ => ('+', formatted),
        };
        if space && sign == '+' && !plus {
            sign = ' ';
        }
        let signed = plus || sign != '+';
        if float.is_nan() || float.is_infinite() {
            let text = if float.is_infinite() || space || plus {
                format!("{sign}{digits}")
            } else {
                digits
            };
            return self.pad_spaces(text.as_bytes());
        }
        if self.flags.sharp && verb != 'b' {
            digits = keep_point(&digits, verb, precision);
        }
        if !signed {
            return self.pad(digits.as_bytes());
        }
        let length = digits.len() + 1;
        match width {
            Some(width) if zero && !minus && width > length => {
                self.char(sign);
                self.padding(width - length);
                self.bytes(digits.as_bytes());
            }
            _ => self.pad(format!("{sign}{digits}").as_bytes()),
        }
    }
}

/// The sharp flag: forces a decimal point and keeps trailing zeros.
fn keep_point(text: &str, verb: char, precision: Option<usize>) -> String {
    let mut digits = match verb {
        'v' | 'g' | 'G' | 'x' | 'X' if verb != 'X' => precision.map_or(6, |p| p as i64),
        _ => 0,
    };
    let exponent = match verb {
        'x' | 'X' => text.find(['p', 'P']),
        _ => text.find(['e', 'E', 'p', 'P']),
    };
    let (number, tail) =
        text.split_at_checked(exponent.unwrap_or(text.len())).unwrap_or((text, ""));
    let mut nonzero = false;
    for c in number.chars().filter(|c| *c != '.') {
        nonzero |= c != '0';
        if nonzero {
            digits -= 1;
        }
    }
    let mut out = number.to_owned();
    if !number.contains('.') {
        if number == "0" {
            digits -= 1;
        }
        out.push('.');
    }
    for _ in 0..digits {
        out.push('0');
    }
    out + tail
}
