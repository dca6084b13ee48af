//! Regular expressions. Go's RE2 and the `regex` crate are one family; what differs is small:
//! it is translated before compiling, and the words for a bad expression are Go's.

use std::{borrow::Cow, cell::RefCell};

use regex::{Regex, RegexBuilder};

use crate::function::{Args, Context, Fail, Function, Type, function};
use crate::limits::Limit;
use crate::text::Text;
use crate::value::{List, ListKind, Value};

use Type::{Int, Str};

pub(crate) const FUNCTIONS: &[Function] = &[
    function("regexMatch", &[Str, Str], |context, args| match compile(context, args.text(0)) {
        Ok(regex) => Ok(regex.is_match(&args.str(1)).into()),
        Err(Fail::Message(_)) => Ok(false.into()),
        Err(limit) => Err(limit),
    }),
    function("mustRegexMatch", &[Str, Str], |context, args| {
        Ok(compile(context, args.text(0))?.is_match(&args.str(1)).into())
    }),
    function("regexFind", &[Str, Str], |context, args| {
        Ok(find(&must(context, args.text(0))?, args))
    }),
    function("mustRegexFind", &[Str, Str], |context, args| {
        Ok(find(&compile(context, args.text(0))?, args))
    }),
    function("regexFindAll", &[Str, Str, Int], |context, args| {
        let regex = must(context, args.text(0))?;
        find_all(context, &regex, args)
    }),
    function("mustRegexFindAll", &[Str, Str, Int], |context, args| {
        let regex = compile(context, args.text(0))?;
        find_all(context, &regex, args)
    }),
    function("regexReplaceAll", &[Str, Str, Str], |context, args| {
        let regex = must(context, args.text(0))?;
        replace_all(context, &regex, args, true)
    }),
    function("mustRegexReplaceAll", &[Str, Str, Str], |context, args| {
        let regex = compile(context, args.text(0))?;
        replace_all(context, &regex, args, true)
    }),
    function("regexReplaceAllLiteral", &[Str, Str, Str], |context, args| {
        let regex = must(context, args.text(0))?;
        replace_all(context, &regex, args, false)
    }),
    function("mustRegexReplaceAllLiteral", &[Str, Str, Str], |context, args| {
        let regex = compile(context, args.text(0))?;
        replace_all(context, &regex, args, false)
    }),
    function("regexSplit", &[Str, Str, Int], |context, args| {
        let regex = must(context, args.text(0))?;
        split(context, &regex, args)
    }),
    function("mustRegexSplit", &[Str, Str, Int], |context, args| {
        let regex = compile(context, args.text(0))?;
        split(context, &regex, args)
    }),
    function("regexQuoteMeta", &[Str], |_, args| Ok(quote_meta(&args.str(0)).into())),
];

/// Compiled expressions kept during one execution, and by each thread from one to the next.
const CACHE: usize = 32;

thread_local! {
    /// A definition is executed for many resources: its expressions are compiled once.
    static KEPT: RefCell<Vec<(String, Regex)>> = const { RefCell::new(Vec::new()) };
}

fn compile(context: &mut Context, pattern: &Text) -> Result<Regex, Fail> {
    if let Some((_, regex)) = context.regexes.iter().find(|(known, _)| known == pattern) {
        return Ok(regex.clone());
    }
    let text = pattern.to_str();
    context.budget.spend(5_000 + text.len() * 20)?;
    let regex = KEPT.with_borrow_mut(|kept| {
        if let Some((_, regex)) = kept.iter().find(|(known, _)| *known == text) {
            return Ok(regex.clone());
        }
        let regex = RegexBuilder::new(&rewrite(&text))
            .size_limit(1 << 20)
            .dfa_size_limit(1 << 20)
            .nest_limit(100)
            .build()
            .map_err(|error| format!("error parsing regexp: {}", go_message(&text, &error)))?;
        if kept.len() >= CACHE {
            kept.remove(0);
        }
        kept.push((text.clone().into_owned(), regex.clone()));
        Ok::<_, String>(regex)
    })?;
    if context.regexes.len() >= CACHE {
        context.regexes.remove(0);
    }
    context.regexes.push((pattern.clone(), regex.clone()));
    Ok(regex)
}

/// `regexp.MustCompile`, which panics with more words.
fn must(context: &mut Context, pattern: &Text) -> Result<Regex, Fail> {
    compile(context, pattern).map_err(|fail| match fail {
        Fail::Message(message) => {
            let text = pattern.to_str();
            let shown = if text.contains('`') {
                crate::quote::quote(text.as_bytes())
            } else {
                format!("`{text}`")
            };
            format!("regexp: Compile({shown}): {message}").into()
        }
        other => other,
    })
}

/// Translates what Go reads differently: `\w`, `\d`, `\s` and `\b` are ASCII, `\Q…\E` quotes, and
/// inside a class `[`, `&` and `~` are ordinary characters, as is a brace that repeats nothing.
fn rewrite(pattern: &str) -> Cow<'_, str> {
    if !pattern.contains(['\\', '[', '{']) {
        return Cow::Borrowed(pattern);
    }
    let mut out = String::with_capacity(pattern.len() + 16);
    let mut in_class = false;
    let mut rest = pattern;
    while let Some(c) = rest.chars().next() {
        let after = rest.get(c.len_utf8()..).unwrap_or_default();
        rest = match c {
            '\\' => rewrite_escape(after, in_class, &mut out),
            '[' if !in_class => {
                in_class = true;
                // A bracket right after the opening is an ordinary character.
                let inner = after.strip_prefix('^').unwrap_or(after);
                let inner = inner.strip_prefix(']').unwrap_or(inner);
                let opening = rest.len() - inner.len();
                out.push_str(rest.get(..opening).unwrap_or_default());
                inner
            }
            '[' if after.starts_with(':') => {
                let end = after.find(":]").map_or(after.len(), |end| end + 2);
                out.push('[');
                out.push_str(after.get(..end).unwrap_or_default());
                after.get(end..).unwrap_or_default()
            }
            _ => {
                let ordinary = match c {
                    '[' | '&' | '~' => in_class,
                    '{' => !in_class && !is_repetition(after),
                    _ => false,
                };
                if ordinary {
                    out.push('\\');
                }
                in_class &= c != ']';
                out.push(c);
                after
            }
        };
    }
    Cow::Owned(out)
}

/// Whether what follows a brace makes it a repetition: `3}`, `3,}` or `3,5}`.
fn is_repetition(rest: &str) -> bool {
    let Some((inner, _)) = rest.split_once('}') else { return false };
    let (min, max) = inner.split_once(',').unwrap_or((inner, ""));
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    !min.is_empty() && digits(min) && digits(max)
}

/// Translates what follows a backslash; returns what is left.
fn rewrite_escape<'p>(rest: &'p str, in_class: bool, out: &mut String) -> &'p str {
    if let Some(literal) = rest.strip_prefix('Q') {
        let (literal, after) = literal.split_once("\\E").unwrap_or((literal, ""));
        out.push_str(&regex::escape(literal));
        return after;
    }
    let Some(c) = rest.chars().next() else {
        out.push('\\');
        return rest;
    };
    match c {
        'w' => out.push_str("[0-9A-Za-z_]"),
        'W' => out.push_str("[^0-9A-Za-z_]"),
        'd' => out.push_str("[0-9]"),
        'D' => out.push_str("[^0-9]"),
        's' => out.push_str(r"[\t\n\f\r ]"),
        'S' => out.push_str(r"[^\t\n\f\r ]"),
        'b' if !in_class => out.push_str(r"(?-u:\b)"),
        _ => {
            out.push('\\');
            out.push(c);
        }
    }
    rest.get(c.len_utf8()..).unwrap_or_default()
}

/// Go's words for a bad expression, as far as they can be told from the other engine's.
fn go_message(pattern: &str, error: &regex::Error) -> String {
    if let regex::Error::CompiledTooBig(_) = error {
        return "expression too large".into();
    }
    let text = error.to_string();
    let whole = |what: &str| format!("{what}: `{pattern}`");
    if text.contains("unclosed character class") {
        let from = pattern.rfind('[').and_then(|at| pattern.get(at..)).unwrap_or(pattern);
        return format!("missing closing ]: `{from}`");
    }
    if text.contains("unclosed group") {
        return whole("missing closing )");
    }
    if text.contains("unopened group") {
        return whole("unexpected )");
    }
    if text.contains("repetition operator missing expression") {
        let operator = pattern.find(['*', '+', '?']).and_then(|at| pattern.get(at..at + 1));
        return format!("missing argument to repetition operator: `{}`", operator.unwrap_or("*"));
    }
    if text.contains("unrecognized escape sequence") || text.contains("incomplete escape sequence")
    {
        if pattern.ends_with('\\') {
            return "trailing backslash at end of expression: ``".into();
        }
        return "invalid escape sequence".into();
    }
    if text.contains("look-around") {
        let at = pattern.find("(?").unwrap_or(0);
        let end =
            pattern.get(at..).and_then(|rest| rest.char_indices().nth(3)).map_or(3, |(n, _)| n);
        let shown = pattern.get(at..at + end).unwrap_or(pattern);
        return format!("invalid or unsupported Perl syntax: `{shown}`");
    }
    whole("invalid expression")
}

fn find(regex: &Regex, args: &Args<'_>) -> Value {
    regex.find(&args.str(1)).map_or("", |found| found.as_str()).into()
}

fn find_all(context: &mut Context, regex: &Regex, args: &Args<'_>) -> Result<Value, Fail> {
    let limit = usize::try_from(args.int(2)).unwrap_or(usize::MAX);
    let text = args.str(1);
    let mut found = Vec::new();
    for part in regex.find_iter(&text).take(limit) {
        context.budget.spend(1)?;
        found.push(part.as_str().into());
    }
    if found.is_empty() {
        return Ok(List::nil(ListKind::Str).into());
    }
    Ok(List::new(ListKind::Str, found).into())
}

fn replace_all(
    context: &mut Context,
    regex: &Regex,
    args: &Args<'_>,
    expand: bool,
) -> Result<Value, Fail> {
    let (text, with) = (args.str(1), args.str(2));
    let max = context.budget.limits.value_bytes;
    let mut out = String::with_capacity(text.len());
    let mut done = 0;
    for captures in regex.captures_iter(&text) {
        context.budget.spend(1)?;
        let Some(found) = captures.get(0) else { continue };
        out.push_str(text.get(done..found.start()).unwrap_or_default());
        if expand {
            captures.expand(&with, &mut out);
        } else {
            out.push_str(&with);
        }
        done = found.end();
        if out.len() > max {
            return Err(Fail::Limit(Limit::Value));
        }
    }
    out.push_str(text.get(done..).unwrap_or_default());
    Ok(out.into())
}

/// Go's `Regexp.Split`.
fn split(context: &mut Context, regex: &Regex, args: &Args<'_>) -> Result<Value, Fail> {
    let (text, count) = (args.str(1), args.int(2));
    if count == 0 {
        return Ok(List::nil(ListKind::Str).into());
    }
    if !regex.as_str().is_empty() && text.is_empty() {
        return Ok(List::new(ListKind::Str, vec!["".into()]).into());
    }
    let limit = usize::try_from(count).unwrap_or(usize::MAX);
    let mut parts: Vec<Value> = Vec::new();
    let (mut start, mut end) = (0, 0);
    for found in regex.find_iter(&text).take(limit) {
        context.budget.spend(1)?;
        if parts.len() + 1 == limit {
            break;
        }
        end = found.start();
        if found.end() != 0 {
            parts.push(text.get(start..end).unwrap_or_default().into());
        }
        start = found.end();
    }
    if end != text.len() {
        parts.push(text.get(start..).unwrap_or_default().into());
    }
    Ok(List::new(ListKind::Str, parts).into())
}

fn quote_meta(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if r"\.+*?()|[]{}^$".contains(c) {
            out.push('\\');
        }
        out.push(c);
    }
    out
}
