//! Text: trimming, cutting, casing, quoting, joining.

use crate::format;
use crate::function::{Args, Context, Fail, Function, Type, function};
use crate::limits::Limit;
use crate::quote;
use crate::text::Text;
use crate::unicode;
use crate::value::{Data, List, ListKind, Map, MapKind, Value};

use Type::{Any, Int, Str};

pub(crate) const FUNCTIONS: &[Function] = &[
    function("hello", &[], |_, _| Ok("Hello!".into())),
    function("abbrev", &[Int, Str], |_, args| {
        let width = args.int(0);
        if width < 4 {
            return Ok(args.text(1).clone().into());
        }
        Ok(abbreviate(args.bytes(1), 0, width))
    }),
    function("abbrevboth", &[Int, Int, Str], |_, args| {
        let (left, right) = (args.int(0), args.int(1));
        if right < 4 || left > 0 && right < 7 {
            return Ok(args.text(2).clone().into());
        }
        Ok(abbreviate(args.bytes(2), left, right))
    }),
    function("trunc", &[Int, Str], trunc),
    function("trim", &[Str], |_, args| Ok(args.str(0).trim_matches(unicode::is_space).into())),
    function("upper", &[Str], |_, args| Ok(unicode::to_upper(&args.str(0)).into())),
    function("lower", &[Str], |_, args| Ok(unicode::to_lower(&args.str(0)).into())),
    function("title", &[Str], |_, args| Ok(title(&args.str(0)).into())),
    function("untitle", &[Str], |_, args| Ok(untitle(&args.str(0)).into())),
    function("substr", &[Int, Int, Str], substr),
    function("repeat", &[Int, Str], repeat),
    function("trimall", &[Str, Str], trim_all),
    function("trimAll", &[Str, Str], trim_all),
    function("trimSuffix", &[Str, Str], |_, args| {
        let text = args.bytes(1);
        Ok(Text::from_slice(text.strip_suffix(args.bytes(0)).unwrap_or(text)).into())
    }),
    function("trimPrefix", &[Str, Str], |_, args| {
        let text = args.bytes(1);
        Ok(Text::from_slice(text.strip_prefix(args.bytes(0)).unwrap_or(text)).into())
    }),
    function("nospace", &[Str], |_, args| Ok(no_space(args.bytes(0)))),
    function("initials", &[Str], |_, args| Ok(initials(args.bytes(0)).into())),
    function("swapcase", &[Str], |_, args| Ok(swap_case(&args.str(0)).into())),
    function("snakecase", &[Str], |_, args| Ok(words_to_lower(&args.str(0), '_').into())),
    function("kebabcase", &[Str], |_, args| Ok(words_to_lower(&args.str(0), '-').into())),
    function("camelcase", &[Str], |_, args| Ok(camel_case(&args.str(0)).into())),
    function("wrap", &[Int, Str], |context, args| {
        wrap(context, args.bytes(1), args.int(0), b"", false)
    }),
    function("wrapWith", &[Int, Str, Str], |context, args| {
        wrap(context, args.bytes(2), args.int(0), args.bytes(1), true)
    }),
    function("contains", &[Str, Str], |_, args| {
        Ok(find(args.bytes(1), args.bytes(0)).is_some().into())
    }),
    function("hasPrefix", &[Str, Str], |_, args| {
        Ok(args.bytes(1).starts_with(args.bytes(0)).into())
    }),
    function("hasSuffix", &[Str, Str], |_, args| Ok(args.bytes(1).ends_with(args.bytes(0)).into())),
    function("quote", &[], |context, args| {
        joined(context, args, |out, text| {
            let mut quoted = String::with_capacity(text.len() + 2);
            quote::append_quoted(&mut quoted, text, '"', false);
            out.append(&mut quoted.into_bytes());
        })
    })
    .rest(Any),
    function("squote", &[], |context, args| {
        joined(context, args, |out, text| {
            out.push(b'\'');
            out.extend_from_slice(text);
            out.push(b'\'');
        })
    })
    .rest(Any),
    function("cat", &[], |context, args| {
        joined(context, args, |out, text| out.extend_from_slice(text))
    })
    .rest(Any),
    function("indent", &[Int, Str], |context, args| indent(context, args, b"")),
    function("nindent", &[Int, Str], |context, args| indent(context, args, b"\n")),
    function("replace", &[Str, Str, Str], |context, args| {
        replace(context, args.bytes(2), args.bytes(0), args.bytes(1))
    }),
    function("plural", &[Str, Str, Int], |_, args| {
        let index = usize::from(args.int(2) != 1);
        Ok(args.take(index))
    }),
    function("toString", &[Any], |context, args| {
        Ok(text_of(args.get(0), context.budget.limits.value_bytes)?.into())
    }),
    function("join", &[Str, Any], join),
    function("split", &[Str, Str], |context, args| {
        let parts = split(context, args.bytes(1), args.bytes(0), -1)?;
        Ok(numbered(parts))
    }),
    function("splitn", &[Str, Int, Str], |context, args| {
        let parts = split(context, args.bytes(2), args.bytes(0), args.int(1))?;
        Ok(numbered(parts))
    }),
    function("splitList", &[Str, Str], |context, args| {
        Ok(List::new(ListKind::Str, split(context, args.bytes(1), args.bytes(0), -1)?).into())
    }),
    function("toStrings", &[Any], |context, args| {
        Ok(List::new(ListKind::Str, strings_of(context, args.get(0))?).into())
    }),
    function("sortAlpha", &[Any], sort_alpha),
];

/// Go's text for a slice expression that does not fit.
fn out_of_range(what: &str, bound: i64, length: usize) -> Fail {
    format!("runtime error: slice bounds out of range [{what}{bound}] with length {length}").into()
}

/// Sprig's `strval`, within the limits.
pub(crate) fn text_of(value: &Value, max: usize) -> Result<Text, Fail> {
    format::text_of(value, max).ok_or(Fail::Limit(Limit::Value))
}

/// Sprig's `strslice`: the elements as strings, without the nils; a single value is a list of one.
pub(crate) fn strings_of(context: &mut Context, value: &Value) -> Result<Vec<Value>, Fail> {
    let max = context.budget.limits.value_bytes;
    match &value.data {
        Data::List(list) if list.kind() == ListKind::Str => Ok(list.items().to_vec()),
        Data::List(list) => {
            context.budget.spend_list(list.len())?;
            let mut strings = Vec::with_capacity(list.len());
            for item in list.iter().filter(|item| !item.is_nil()) {
                let text = text_of(item, max)?;
                context.budget.spend_bytes(text.len())?;
                strings.push(Value::from(text).taint_if(item.is_tainted()));
            }
            Ok(strings)
        }
        Data::Nil | Data::NoValue => Ok(Vec::new()),
        _ => Ok(vec![text_of(value, max)?.into()]),
    }
}

/// Renders every argument that is not nil, with spaces between.
fn joined(
    context: &mut Context,
    args: &Args<'_>,
    render: fn(&mut Vec<u8>, &[u8]),
) -> Result<Value, Fail> {
    let max = context.budget.limits.value_bytes;
    let mut out = Vec::new();
    let mut first = true;
    for value in args.rest(0).iter().filter(|value| !value.is_nil()) {
        if !std::mem::take(&mut first) {
            out.push(b' ');
        }
        match &value.data {
            Data::Str(text) => render(&mut out, text.as_bytes()),
            _ => render(&mut out, text_of(value, max)?.as_bytes()),
        }
        if out.len() > max {
            return Err(Fail::Limit(Limit::Value));
        }
    }
    Ok(Text::from_bytes(out).into())
}

fn join(context: &mut Context, args: &mut Args<'_>) -> Result<Value, Fail> {
    let separator = args.bytes(0);
    let parts = strings_of(context, args.get(1))?;
    let max = context.budget.limits.value_bytes;
    let mut out = Vec::new();
    for (index, part) in parts.iter().enumerate() {
        if index > 0 {
            out.extend_from_slice(separator);
        }
        if let Data::Str(text) = &part.data {
            out.extend_from_slice(text.as_bytes());
        }
        if out.len() > max {
            return Err(Fail::Limit(Limit::Value));
        }
    }
    Ok(Text::from_bytes(out).into())
}

fn sort_alpha(context: &mut Context, args: &mut Args<'_>) -> Result<Value, Fail> {
    let mut strings = strings_of(context, args.get(0))?;
    if let Data::Nil | Data::NoValue = args.get(0).data {
        strings.push("<nil>".into());
    }
    for string in &strings {
        if let Data::Str(text) = &string.data {
            context.budget.spend(1 + text.len() / 64)?;
        }
    }
    strings.sort_by(|a, b| match (&a.data, &b.data) {
        (Data::Str(a), Data::Str(b)) => a.as_bytes().cmp(b.as_bytes()),
        _ => std::cmp::Ordering::Equal,
    });
    Ok(List::new(ListKind::Str, strings).into())
}

// Cutting.

fn trunc(_: &mut Context, args: &mut Args<'_>) -> Result<Value, Fail> {
    let (count, text) = (args.int(0), args.bytes(1));
    let size = usize::try_from(count.unsigned_abs()).unwrap_or(usize::MAX);
    let cut = if size >= text.len() {
        return Ok(args.text(1).clone().into());
    } else if count < 0 {
        text.get(text.len() - size..)
    } else {
        text.get(..size)
    };
    Ok(Text::from_slice(cut.unwrap_or_default()).into())
}

fn substr(_: &mut Context, args: &mut Args<'_>) -> Result<Value, Fail> {
    let (start, end, text) = (args.int(0), args.int(1), args.bytes(2));
    let length = text.len();
    let (start, end) = if start < 0 {
        if end < 0 {
            return Err(format!("runtime error: slice bounds out of range [:{end}]").into());
        }
        if end > length as i64 {
            return Err(out_of_range(":", end, length));
        }
        (0, end)
    } else if end < 0 || end > length as i64 {
        if start > length as i64 {
            return Err(
                format!("runtime error: slice bounds out of range [{start}:{length}]").into()
            );
        }
        (start, length as i64)
    } else {
        if start > end {
            return Err(format!("runtime error: slice bounds out of range [{start}:{end}]").into());
        }
        (start, end)
    };
    let cut = text.get(start as usize..end as usize);
    Ok(Text::from_slice(cut.unwrap_or_default()).into())
}

fn abbreviate(text: &[u8], offset: i64, width: i64) -> Value {
    let cut = |range: Option<&[u8]>| range.unwrap_or_default().to_vec();
    let length = text.len() as i64;
    if length <= width {
        return Text::from_slice(text).into();
    }
    let mut offset = offset.min(length);
    if length - offset < width - 3 {
        offset = length - (width - 3);
    }
    let mut out = Vec::new();
    if offset <= 4 {
        out.append(&mut cut(text.get(..(width - 3) as usize)));
        out.extend_from_slice(b"...");
    } else if width >= 7 {
        out.extend_from_slice(b"...");
        if offset + width - 3 < length {
            let rest = text.get(offset as usize..).unwrap_or_default();
            // The inner abbreviation of a narrow column fails, and its error is dropped.
            if width - 3 >= 4
                && let Data::Str(inner) = abbreviate(rest, 0, width - 3).data
            {
                out.extend_from_slice(inner.as_bytes());
            }
        } else {
            out.append(&mut cut(text.get((length - (width - 3)) as usize..)));
        }
    }
    Text::from_bytes(out).into()
}

fn trim_all(_: &mut Context, args: &mut Args<'_>) -> Result<Value, Fail> {
    let (set, text) = (args.str(0), args.str(1));
    Ok(text.trim_matches(|c| set.contains(c)).into())
}

/// Bytes taken for Latin-1 characters, as `goutils` does.
fn latin1_space(byte: u8) -> bool {
    matches!(byte, b'\t'..=b'\r' | b' ' | 0x85 | 0xa0)
}

fn no_space(text: &[u8]) -> Value {
    if !text.iter().copied().any(latin1_space) {
        return Text::from_slice(text).into();
    }
    let kept = text.iter().copied().filter(|byte| !latin1_space(*byte));
    kept.map(char::from).collect::<String>().into()
}

fn initials(text: &[u8]) -> String {
    let mut out = String::new();
    let mut gap = true;
    for byte in text {
        if latin1_space(*byte) {
            gap = true;
        } else if std::mem::take(&mut gap) {
            out.push(char::from(*byte));
        }
    }
    out
}

// Growing.

fn repeat(context: &mut Context, args: &mut Args<'_>) -> Result<Value, Fail> {
    let count = usize::try_from(args.int(0)).map_err(|_| "strings: negative Repeat count")?;
    let text = args.bytes(1);
    context.budget.spend_bytes(text.len().saturating_mul(count))?;
    Ok(Text::from_bytes(text.repeat(count)).into())
}

fn indent(context: &mut Context, args: &Args<'_>, before: &[u8]) -> Result<Value, Fail> {
    let spaces = usize::try_from(args.int(0)).map_err(|_| "strings: negative Repeat count")?;
    let text = args.bytes(1);
    let lines = 1 + text.iter().filter(|byte| **byte == b'\n').count();
    let size = lines.saturating_mul(spaces).saturating_add(text.len());
    context.budget.spend_bytes(size)?;
    let mut out = Vec::with_capacity(size + before.len());
    out.extend_from_slice(before);
    for (index, line) in text.split(|byte| *byte == b'\n').enumerate() {
        if index > 0 {
            out.push(b'\n');
        }
        out.resize(out.len() + spaces, b' ');
        out.extend_from_slice(line);
    }
    Ok(Text::from_bytes(out).into())
}

pub(crate) fn find(text: &[u8], part: &[u8]) -> Option<usize> {
    if let (Ok(text), Ok(part)) = (std::str::from_utf8(text), std::str::from_utf8(part)) {
        return text.find(part);
    }
    if part.is_empty() {
        return Some(0);
    }
    text.windows(part.len()).position(|window| window == part)
}

fn replace(context: &mut Context, text: &[u8], old: &[u8], new: &[u8]) -> Result<Value, Fail> {
    let max = context.budget.limits.value_bytes;
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text;
    if old.is_empty() {
        // Between all characters, as Go does.
        for chunk in text.utf8_chunks() {
            for c in chunk.valid().chars() {
                out.extend_from_slice(new);
                out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
                if out.len() > max {
                    return Err(Fail::Limit(Limit::Value));
                }
            }
            for byte in chunk.invalid() {
                out.extend_from_slice(new);
                out.push(*byte);
            }
        }
        out.extend_from_slice(new);
        return Ok(Text::from_bytes(out).into());
    }
    while let Some(at) = find(rest, old) {
        out.extend_from_slice(rest.get(..at).unwrap_or_default());
        out.extend_from_slice(new);
        rest = rest.get(at + old.len()..).unwrap_or_default();
        if out.len() > max {
            return Err(Fail::Limit(Limit::Value));
        }
    }
    out.extend_from_slice(rest);
    Ok(Text::from_bytes(out).into())
}

/// Go's `strings.SplitN`.
fn split(
    context: &mut Context,
    text: &[u8],
    separator: &[u8],
    count: i64,
) -> Result<Vec<Value>, Fail> {
    if count == 0 {
        return Ok(Vec::new());
    }
    let limit = usize::try_from(count).unwrap_or(usize::MAX);
    let mut parts: Vec<Value> = Vec::new();
    let mut rest = text;
    let push = |parts: &mut Vec<Value>, part: &[u8]| parts.push(Text::from_slice(part).into());
    if separator.is_empty() {
        while parts.len() + 1 < limit && !rest.is_empty() {
            let size = first_rune(rest);
            push(&mut parts, rest.get(..size).unwrap_or_default());
            rest = rest.get(size..).unwrap_or_default();
            context.budget.spend(1)?;
        }
        if !rest.is_empty() {
            push(&mut parts, rest);
        }
        return Ok(parts);
    }
    while parts.len() + 1 < limit
        && let Some(at) = find(rest, separator)
    {
        push(&mut parts, rest.get(..at).unwrap_or_default());
        rest = rest.get(at + separator.len()..).unwrap_or_default();
        context.budget.spend(1)?;
    }
    push(&mut parts, rest);
    Ok(parts)
}

fn first_rune(text: &[u8]) -> usize {
    let head = text.get(..text.len().min(4)).unwrap_or_default();
    let chunk = head.utf8_chunks().next();
    chunk.and_then(|chunk| chunk.valid().chars().next()).map_or(1, char::len_utf8)
}

/// `split`'s result: a map with keys `_0`, `_1`, ….
fn numbered(parts: Vec<Value>) -> Value {
    let entries = parts.into_iter().enumerate();
    let entries = entries.map(|(index, part)| (format!("_{index}").into(), part)).collect();
    Map::new(MapKind::Str, entries).into()
}

fn wrap(
    context: &mut Context,
    text: &[u8],
    length: i64,
    separator: &[u8],
    break_words: bool,
) -> Result<Value, Fail> {
    if text.is_empty() {
        return Ok("".into());
    }
    let separator = if separator.is_empty() { b"\n" } else { separator };
    let length = usize::try_from(length.max(1)).unwrap_or(usize::MAX).min(text.len() + 1);
    let max = context.budget.limits.value_bytes;
    let mut out = Vec::with_capacity(text.len() + 16);
    let mut offset = 0;
    while text.len() - offset > length {
        let rest = text.get(offset..).unwrap_or_default();
        if rest.first() == Some(&b' ') {
            offset += 1;
            continue;
        }
        let line = rest.get(..=length).unwrap_or(rest);
        let (end, next) = if let Some(space) = line.iter().rposition(|byte| *byte == b' ') {
            (space, space + 1)
        } else if break_words {
            (length, length)
        } else {
            let after = rest.get(length..).unwrap_or_default();
            match after.iter().position(|byte| *byte == b' ') {
                Some(space) => (length + space, length + space + 1),
                None => {
                    out.extend_from_slice(rest);
                    offset = text.len();
                    continue;
                }
            }
        };
        out.extend_from_slice(rest.get(..end).unwrap_or_default());
        out.extend_from_slice(separator);
        offset += next;
        if out.len() > max {
            return Err(Fail::Limit(Limit::Value));
        }
    }
    out.extend_from_slice(text.get(offset..).unwrap_or_default());
    Ok(Text::from_bytes(out).into())
}

// Casing.

/// Go's `strings.Title`: title case after everything that separates words.
fn title(text: &str) -> String {
    let is_separator = |c: char| {
        if c.is_ascii() {
            return !(c.is_ascii_alphanumeric() || c == '_');
        }
        !unicode::is_letter(c) && !unicode::is_digit(c) && unicode::is_space(c)
    };
    let mut previous = ' ';
    let map = |c: char| {
        let mapped = if is_separator(previous) { unicode::title(c) } else { c };
        previous = c;
        mapped
    };
    text.chars().map(map).collect()
}

fn untitle(text: &str) -> String {
    let mut start = true;
    let map = |c: char| {
        if unicode::is_space(c) {
            start = true;
            c
        } else if std::mem::take(&mut start) {
            unicode::lower(c)
        } else {
            c
        }
    };
    text.chars().map(map).collect()
}

fn swap_case(text: &str) -> String {
    let mut after_space = true;
    let map = |c: char| {
        if unicode::is_upper(c) || unicode::is_title(c) {
            after_space = false;
            unicode::lower(c)
        } else if unicode::is_lower(c) {
            if std::mem::take(&mut after_space) { unicode::title(c) } else { unicode::upper(c) }
        } else {
            after_space = unicode::is_space(c);
            c
        }
    };
    text.chars().map(map).collect()
}

fn is_connector(c: char) -> bool {
    c == '-' || c == '_' || unicode::is_space(c)
}

/// `xstrings.ToPascalCase`.
fn camel_case(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars();
    let mut first_upper = false;
    let mut current = None;
    // Leading connectors stay.
    for c in chars.by_ref() {
        if !is_connector(c) {
            first_upper = unicode::is_upper(c);
            current = Some(unicode::upper(c));
            break;
        }
        out.push(c);
        current = None;
    }
    let Some(mut current) = current else {
        // Only connectors: the last was written twice in the original, a quirk kept.
        if let Some(last) = text.chars().last() {
            out.push(last);
        }
        return out;
    };
    for c in chars {
        let previous = current;
        current = c;
        if is_connector(c) && is_connector(previous) {
            out.push(previous);
            continue;
        }
        if is_connector(previous) {
            first_upper = unicode::is_upper(c);
            current = unicode::upper(c);
        } else {
            if first_upper {
                if unicode::is_upper(c) {
                    current = unicode::lower(c);
                } else {
                    first_upper = false;
                }
            }
            out.push(previous);
        }
    }
    out.push(current);
    out
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Word {
    /// The end of the text.
    None,
    Number,
    Upper,
    Alphabet,
    Connector,
    Punct,
    Other,
}

fn is_alphabet(c: char) -> bool {
    // As in xstrings: letters of scripts that have no case are "other".
    unicode::is_letter(c) && (unicode::is_lower(c) || unicode::is_upper(c) || is_cased(c))
}

fn is_cased(c: char) -> bool {
    unicode::upper(c) != c || unicode::lower(c) != c
}

/// Splits off the first word of a kind.
fn next_word(text: &str) -> (Word, &str, &str) {
    let Some(first) = text.chars().next() else { return (Word::None, "", "") };
    let run = |belongs: &dyn Fn(char) -> bool| {
        text.char_indices().skip(1).find(|(_, c)| !belongs(*c)).map_or(text.len(), |(at, _)| at)
    };
    let lower_run = |c: char| is_alphabet(c) && !unicode::is_upper(c);
    let (word, end) = if is_connector(first) {
        (Word::Connector, run(&is_connector))
    } else if unicode::is_punct(first) {
        (Word::Punct, run(&unicode::is_punct))
    } else if unicode::is_upper(first) {
        let uppers = run(&unicode::is_upper);
        let after = text.get(uppers..).unwrap_or_default().chars().next();
        let mut end = uppers;
        if uppers > first.len_utf8() {
            // "HTTPStatus" is "HTTP" and "Status".
            if after.is_some_and(is_alphabet)
                && let Some((last, _)) =
                    text.get(..uppers).and_then(|head| head.char_indices().next_back())
            {
                end = last;
            }
        } else if after.is_some_and(is_alphabet) {
            end = run(&lower_run);
        }
        (Word::Upper, end)
    } else if is_alphabet(first) {
        (Word::Alphabet, run(&lower_run))
    } else if unicode::is_number(first) {
        (Word::Number, run(&unicode::is_number))
    } else {
        let other = |c: char| {
            !(is_connector(c) || is_alphabet(c) || unicode::is_number(c) || unicode::is_punct(c))
        };
        (Word::Other, run(&other))
    };
    let (word_text, rest) = text.split_at_checked(end).unwrap_or((text, ""));
    (word, word_text, rest)
}

/// `xstrings.ToSnakeCase` and `ToKebabCase`.
fn words_to_lower(text: &str, connector: char) -> String {
    let mut out = String::with_capacity(text.len() + 8);
    let lower = |out: &mut String, word: Word, text: &str| {
        if !matches!(word, Word::Upper | Word::Connector) {
            out.push_str(text);
            return;
        }
        out.extend(text.chars().map(|c| {
            if is_connector(c) {
                connector
            } else if unicode::is_upper(c) {
                unicode::lower(c)
            } else {
                c
            }
        }));
    };
    let is_word = |word| !matches!(word, Word::Connector | Word::Punct);
    let (mut word, mut part, mut rest) = next_word(text);
    while !rest.is_empty() {
        if word != Word::Connector {
            lower(&mut out, word, part);
        }
        let (previous, last) = (word, part);
        (word, part, rest) = next_word(rest);
        match previous {
            Word::Number => {
                while matches!(word, Word::Alphabet | Word::Number) {
                    lower(&mut out, word, part);
                    (word, part, rest) = next_word(rest);
                }
                if word != Word::None && is_word(word) {
                    out.push(connector);
                }
            }
            Word::Connector => lower(&mut out, previous, last),
            Word::Punct => {}
            _ if word != Word::Number => {
                if is_word(word) {
                    out.push(connector);
                }
            }
            _ if rest.is_empty() => {}
            _ => {
                // A number is part of the word before it, unless small letters follow.
                let number = part;
                (word, part, rest) = next_word(rest);
                if word != Word::Alphabet {
                    lower(&mut out, Word::Number, number);
                    if is_word(word) {
                        out.push(connector);
                    }
                    continue;
                }
                out.push(connector);
                lower(&mut out, Word::Number, number);
                while matches!(word, Word::Alphabet | Word::Number) {
                    lower(&mut out, word, part);
                    (word, part, rest) = next_word(rest);
                }
                if word != Word::None && is_word(word) {
                    out.push(connector);
                }
            }
        }
    }
    lower(&mut out, word, part);
    out
}
