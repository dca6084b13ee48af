//! Character classes and case as Go's `unicode` package defines them.
//!
//! ASCII is answered directly. For the rest, Rust's `char` methods use derived properties that
//! differ from Go's general categories, so the category tables of the `regex` crate decide.

use std::sync::OnceLock;

use regex::Regex;

fn in_class(cell: &'static OnceLock<Option<Regex>>, class: &str, c: char) -> bool {
    let regex = cell.get_or_init(|| Regex::new(class).ok());
    let mut buffer = [0; 4];
    regex.as_ref().is_some_and(|regex| regex.is_match(c.encode_utf8(&mut buffer)))
}

macro_rules! class {
    ($(#[$doc:meta])* $name:ident, $ascii:expr, $class:literal) => {
        $(#[$doc])*
        pub(crate) fn $name(c: char) -> bool {
            static CELL: OnceLock<Option<Regex>> = OnceLock::new();
            if c.is_ascii() {
                let ascii: fn(&char) -> bool = $ascii;
                return ascii(&c);
            }
            in_class(&CELL, $class, c)
        }
    };
}

class!(is_letter, char::is_ascii_alphabetic, r"\p{L}");
class!(is_digit, char::is_ascii_digit, r"\p{Nd}");
class!(is_number, char::is_ascii_digit, r"\p{N}");
class!(is_upper, char::is_ascii_uppercase, r"\p{Lu}");
class!(is_lower, char::is_ascii_lowercase, r"\p{Ll}");
class!(is_title, |_| false, r"\p{Lt}");
class!(
    is_punct,
    |c| c.is_ascii_punctuation()
        && !matches!(c, '$' | '+' | '<' | '=' | '>' | '^' | '`' | '|' | '~'),
    r"\p{P}"
);
class!(
    /// Letters, marks, numbers, punctuation, symbols and the ASCII space.
    is_print,
    |c| matches!(c, ' '..='~'),
    r"[\p{L}\p{M}\p{N}\p{P}\p{S}]"
);

/// What may appear in an identifier.
pub(crate) fn is_alphanumeric(c: char) -> bool {
    c == '_' || is_letter(c) || is_digit(c)
}

/// Go's `unicode.IsSpace`; Rust's definition is the same property.
pub(crate) fn is_space(c: char) -> bool {
    c.is_whitespace()
}

/// Maps one character to one character, as Go does; `ß` stays.
pub(crate) fn upper(c: char) -> char {
    one(c.to_uppercase(), c)
}

/// Maps one character to one character, as Go does.
pub(crate) fn lower(c: char) -> char {
    if c == 'İ' { 'i' } else { one(c.to_lowercase(), c) }
}

/// Title case: differs from upper case for the Croatian digraphs only.
pub(crate) fn title(c: char) -> char {
    match c {
        'Ǆ' | 'ǅ' | 'ǆ' => 'ǅ',
        'Ǉ' | 'ǈ' | 'ǉ' => 'ǈ',
        'Ǌ' | 'ǋ' | 'ǌ' => 'ǋ',
        'Ǳ' | 'ǲ' | 'ǳ' => 'ǲ',
        _ => upper(c),
    }
}

fn one(mut mapped: impl Iterator<Item = char>, original: char) -> char {
    match (mapped.next(), mapped.next()) {
        (Some(single), None) => single,
        _ => original,
    }
}

/// Go's `strings.ToUpper`.
pub(crate) fn to_upper(text: &str) -> String {
    if text.is_ascii() { text.to_ascii_uppercase() } else { text.chars().map(upper).collect() }
}

/// Go's `strings.ToLower`.
pub(crate) fn to_lower(text: &str) -> String {
    if text.is_ascii() { text.to_ascii_lowercase() } else { text.chars().map(lower).collect() }
}
