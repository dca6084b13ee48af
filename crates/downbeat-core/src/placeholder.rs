//! Placeholders: `${path}` in the strings of a set or definition (spec 05).
//!
//! This module knows the grammar only. What a path means is decided where it is looked up:
//! [`graph`](crate::graph) for edges, [`resolve`](crate::resolve) for values.

use std::borrow::Cow;

use crate::{
    Json,
    descriptor::{self, Target},
};

/// The first tokens that have a meaning.
pub const ROOTS: [&str; 6] = ["context", "externals", "modules", "resources", "shared", "values"];

/// One piece of a string.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Segment<'a> {
    /// Literal text, with escapes already taken out.
    Text(Cow<'a, str>),
    /// A placeholder.
    Placeholder(Placeholder<'a>),
}

/// A placeholder, split at its dots and brackets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Placeholder<'a> {
    /// The text between the braces.
    pub text: &'a str,
    /// The tokens; there is at least one.
    pub tokens: Vec<&'a str>,
}

impl<'a> Placeholder<'a> {
    /// The first token.
    #[must_use]
    pub fn root(&self) -> &'a str {
        self.tokens.first().copied().unwrap_or_default()
    }

    /// The tokens after the first `n`.
    #[must_use]
    pub fn rest(&self, n: usize) -> &[&'a str] {
        self.tokens.get(n..).unwrap_or_default()
    }

    /// For a root whose remainder is one key that may hold dots (`values.a.b`): that key.
    #[must_use]
    pub fn key_after_root(&self) -> Cow<'a, str> {
        match self.rest(1) {
            [key] => Cow::Borrowed(key),
            keys => Cow::Owned(keys.join(".")),
        }
    }

    /// The resource or resources that a `resources` placeholder names.
    ///
    /// # Errors
    /// When the descriptor or selector cannot be read.
    pub fn target(&self) -> Result<Target, descriptor::Error> {
        Target::parse(self.tokens.get(1).copied().unwrap_or_default())
    }
}

/// Why the text between the braces is not a path.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("${{{text}}} is not a placeholder: {reason}")]
pub struct Error {
    /// The text between the braces.
    pub text: String,
    /// What is wrong with it.
    pub reason: &'static str,
}

/// Whether a string has neither placeholders nor escapes, so that it stands for itself.
#[must_use]
pub fn is_literal(text: &str) -> bool {
    let mut rest = text;
    while let Some(at) = rest.find('$') {
        rest = rest.get(at + 1..).unwrap_or_default();
        if rest.starts_with('{') || rest.starts_with("\\{") {
            return false;
        }
    }
    true
}

/// Splits a string into literal text and placeholders.
///
/// `$\{` gives a literal `${`. A `${` that is never closed is literal text, and so is one whose
/// content is a single word that is no root (`${HOME}`), or is not a path and does not begin with a
/// known root (`${HOME:-/root x}`).
///
/// # Errors
/// When the content begins with a known root but is not a path.
pub fn segments(text: &str) -> Result<Vec<Segment<'_>>, Error> {
    let mut found = Vec::new();
    let mut literal = Literal { text, start: 0, owned: None };
    let mut at = 0;
    while let Some(dollar) = text.get(at..).and_then(|rest| rest.find('$')).map(|i| at + i) {
        let after = text.get(dollar + 1..).unwrap_or_default();
        if after.starts_with("\\{") {
            // Keep the dollar, drop the backslash; the brace and all that follows is literal.
            literal.skip(dollar + 1, dollar + 2);
            at = dollar + 3;
            continue;
        }
        let content = after.strip_prefix('{').and_then(|rest| {
            let end = closing_brace(rest)?;
            rest.get(..end)
        });
        let Some(content) = content else {
            at = dollar + 1;
            continue;
        };
        let end = dollar + 2 + content.len() + 1;
        match tokens(content) {
            // `${HOME}`: a word that is no root is not a path, it is somebody else's variable.
            Ok(tokens) if tokens.len() == 1 && !starts_with_root(content) => {}
            Ok(tokens) => {
                if let Some(before) = literal.take(dollar, end) {
                    found.push(Segment::Text(before));
                }
                found.push(Segment::Placeholder(Placeholder { text: content, tokens }));
            }
            Err(reason) if starts_with_root(content) => {
                return Err(Error { text: content.to_owned(), reason });
            }
            Err(_) => {}
        }
        at = end;
    }
    if let Some(rest) = literal.take(text.len(), text.len()) {
        found.push(Segment::Text(rest));
    }
    Ok(found)
}

/// Literal text that is being collected; copied only when an escape is taken out.
struct Literal<'a> {
    text: &'a str,
    start: usize,
    owned: Option<String>,
}

impl<'a> Literal<'a> {
    /// Leaves out the bytes from `from` to `to`.
    fn skip(&mut self, from: usize, to: usize) {
        let kept = self.text.get(self.start..from).unwrap_or_default();
        self.owned.get_or_insert_default().push_str(kept);
        self.start = to;
    }

    /// Ends the piece at `end` and begins the next one at `next`.
    fn take(&mut self, end: usize, next: usize) -> Option<Cow<'a, str>> {
        let tail = self.text.get(self.start..end).unwrap_or_default();
        self.start = next;
        let piece = match self.owned.take() {
            Some(mut owned) => {
                owned.push_str(tail);
                Cow::Owned(owned)
            }
            None => Cow::Borrowed(tail),
        };
        (!piece.is_empty()).then_some(piece)
    }
}

/// The first `}` that is not inside quotes in brackets.
fn closing_brace(text: &str) -> Option<usize> {
    let mut quote = None;
    let mut bracket = false;
    for (at, byte) in text.bytes().enumerate() {
        match (quote, byte) {
            (None, b'}') => return Some(at),
            (None, b'[') => bracket = true,
            (None, b']') => bracket = false,
            (None, b'\'' | b'"') if bracket => quote = Some(byte),
            (None, b'\n') => return None,
            (Some(open), byte) if open == byte => quote = None,
            _ => {}
        }
    }
    // An open quote hides the brace: take the first brace instead, so that the error is shown.
    text.find('}')
}

/// Whether the first name is a known root, whole: `shared_dir` and `values:-x` are none.
fn starts_with_root(content: &str) -> bool {
    let head = content.trim_start();
    let end = head.find(ends_name).unwrap_or(head.len());
    head.get(..end).is_some_and(|head| ROOTS.contains(&head))
}

/// Whether a name without brackets cannot go on here.
fn ends_name(c: char) -> bool {
    matches!(c, '.' | '[' | ']' | '}' | '{' | '$') || c.is_whitespace()
}

/// Splits the content of a placeholder at its dots and brackets.
fn tokens(content: &str) -> Result<Vec<&str>, &'static str> {
    let mut rest = content.trim();
    let mut tokens = Vec::new();
    let mut expect_token = true;
    while !rest.is_empty() {
        if let Some(inner) = rest.strip_prefix('[') {
            if tokens.is_empty() {
                return Err("it starts with a bracket");
            }
            let quote = inner.chars().next().filter(|c| matches!(c, '\'' | '"'));
            let quote = quote.ok_or("a bracket must hold a quoted string")?;
            let body = inner.get(1..).unwrap_or_default();
            let end = body.find(quote).ok_or("a quote is not closed")?;
            tokens.push(body.get(..end).unwrap_or_default());
            let after = body.get(end + 1..).unwrap_or_default();
            rest = after.strip_prefix(']').ok_or("a bracket is not closed")?;
            expect_token = false;
        } else if let Some(after) = rest.strip_prefix('.') {
            if expect_token {
                return Err("a name is empty");
            }
            rest = after;
            expect_token = true;
        } else if expect_token {
            let end = rest.find(ends_name).unwrap_or(rest.len());
            if end == 0 {
                return Err("a name holds a character that is not allowed");
            }
            tokens.push(rest.get(..end).unwrap_or_default());
            rest = rest.get(end..).unwrap_or_default();
            expect_token = false;
        } else {
            return Err("a dot or bracket is missing between two names");
        }
    }
    if expect_token {
        return Err("a name is empty");
    }
    Ok(tokens)
}

/// Calls `visit` with every string that can hold a placeholder, and its JSON pointer.
pub fn visit_strings<'a>(value: &'a Json, visit: &mut impl FnMut(&str, &'a str)) {
    visit_at(value, &mut String::new(), false, visit);
}

/// As [`visit_strings`], with the names of members.
pub fn visit_strings_and_names<'a>(value: &'a Json, visit: &mut impl FnMut(&str, &'a str)) {
    visit_at(value, &mut String::new(), true, visit);
}

fn visit_at<'a>(
    value: &'a Json,
    at: &mut String,
    names: bool,
    visit: &mut impl FnMut(&str, &'a str),
) {
    let length = at.len();
    match value {
        Json::String(text) if !is_literal(text) => visit(at, text),
        Json::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                crate::patch::push_token(at, &index.to_string());
                visit_at(item, at, names, visit);
                at.truncate(length);
            }
        }
        Json::Object(members) => {
            for (name, member) in members {
                crate::patch::push_token(at, name);
                if names && !is_literal(name) {
                    visit(at, name);
                }
                visit_at(member, at, names, visit);
                at.truncate(length);
            }
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: &str) {
        let shown = match segments(text) {
            Ok(segments) => segments
                .iter()
                .map(|segment| match segment {
                    Segment::Text(text) => format!("{text:?}"),
                    Segment::Placeholder(p) => format!("<{}>", p.tokens.join("|")),
                })
                .collect::<Vec<_>>()
                .join(" "),
            Err(error) => error.to_string(),
        };
        assert_eq!(shown, expected, "{text}");
        assert_eq!(is_literal(text), !text.contains("${") && !text.contains("$\\{"), "{text}");
    }

    #[test]
    fn splits_strings() {
        check("", "");
        check("a", r#""a""#);
        check("a-${context.app.id}", r#""a-" <context|app|id>"#);
        check("${context.app.id}${context.env.id}", "<context|app|id> <context|env|id>");
        check("$${context.app.id}", r#""$" <context|app|id>"#);
        check("$\\{context.app.id}", r#""${context.app.id}""#);
        check("a$\\{b}${values.c}d", r#""a${b}" <values|c> "d""#);
        check("$x $ $$ ${", r#""$x $ $$ ${""#);
        check(
            "${resources['dns.default#shared.site'].outputs.host}",
            "<resources|dns.default#shared.site|outputs|host>",
        );
        check(
            r#"${resources["k8s-cluster.default#k8s-cluster"].values}"#,
            "<resources|k8s-cluster.default#k8s-cluster|values>",
        );
        check("${resources.dns<route.outputs.path}", "<resources|dns<route|outputs|path>");
        check("${values['a}b']}", "<values|a}b>");
        check("${HOME} ${HOME:-/root} ${a b}", r#""${HOME} ${HOME:-/root} ${a b}""#);
        check("${HOME}${values.a}", r#""${HOME}" <values|a>"#);
        // Found by fuzzing: a word that only begins like a root is no root.
        check("${shared_dir} ${values:-x y}", r#""${shared_dir} ${values:-x y}""#);
        check("${context-x} ${shared}", r#""${context-x} " <shared>"#);
    }

    #[test]
    fn reports_broken_paths_of_known_roots() {
        check("${context..id}", "${context..id} is not a placeholder: a name is empty");
        check("${values.}", "${values.} is not a placeholder: a name is empty");
        check("${resources['a]}", "${resources['a]} is not a placeholder: a quote is not closed");
        check(
            "${shared.a b}",
            "${shared.a b} is not a placeholder: a dot or bracket is missing between two names",
        );
    }
}
