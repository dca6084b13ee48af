//! Diagnostics, and where they point.
//!
//! Invariant: a diagnostic names the text the mistake is *in*. When an override or a property
//! brought it in, that is the override or the property, not the Score file.

use std::fmt;

use downbeat_core::{
    Code,
    yaml::{self, Span},
};

use crate::Source;

/// One finding about a Score file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    /// The code; its page tells more.
    pub code: Code,
    /// Whether conversion fails because of it.
    pub severity: Severity,
    /// What was found, and what was expected. No full stop at the end.
    pub message: String,
    /// What to do, when that is known ("did you mean ...").
    pub hint: Option<String>,
    /// The text it is about: the Score file, an override, a property, the extension.
    pub file: String,
    /// Line, from 1; 0 when the value does not come from a text.
    pub line: usize,
    /// Column in characters, from 1; 0 when the value does not come from a text.
    pub column: usize,
    /// Characters to underline in that line.
    pub length: usize,
    /// JSON pointer of the value in the prepared document.
    pub pointer: String,
}

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// The Score file cannot be converted.
    Error,
    /// It is converted, but perhaps not as meant.
    Warning,
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Error => "error",
            Self::Warning => "warning",
        })
    }
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { code, severity, message, hint, file, line, column, .. } = self;
        match line {
            0 => write!(f, "{file}: {severity}[{code}]: {message}")?,
            _ => write!(f, "{file}:{line}:{column}: {severity}[{code}]: {message}")?,
        }
        match hint {
            Some(hint) => write!(f, " ({hint})"),
            None => Ok(()),
        }
    }
}

/// A place in the document, as a list from the leaf to the root: costs nothing until it is shown.
#[derive(Clone, Copy)]
pub(crate) struct Path<'p> {
    parent: Option<&'p Self>,
    token: Token<'p>,
}

#[derive(Clone, Copy)]
enum Token<'p> {
    Root,
    Name(&'p str),
    Index(usize),
}

impl<'p> Path<'p> {
    pub(crate) const ROOT: Self = Self { parent: None, token: Token::Root };

    pub(crate) fn member<'c>(&'c self, name: &'c str) -> Path<'c> {
        Path { parent: Some(self), token: Token::Name(name) }
    }

    pub(crate) fn index(&self, index: usize) -> Path<'_> {
        Path { parent: Some(self), token: Token::Index(index) }
    }

    pub(crate) fn pointer(&self) -> String {
        let mut out = self.parent.map(Path::pointer).unwrap_or_default();
        match self.token {
            Token::Root => {}
            Token::Name(name) => {
                out.push('/');
                out.push_str(&name.replace('~', "~0").replace('/', "~1"));
            }
            Token::Index(index) => {
                out.push('/');
                out.push_str(&index.to_string());
            }
        }
        out
    }
}

/// A text that values come from.
struct Text<'a> {
    name: String,
    text: Option<&'a str>,
    /// How a message says that the mistake is not in the Score file.
    origin: String,
}

/// Nobody reads more; and a hint costs time.
const MOST: usize = 200;

/// Collects diagnostics and knows the texts they point into.
pub(crate) struct Report<'a> {
    texts: Vec<Text<'a>>,
    found: Vec<(u32, Diagnostic)>,
    failed: bool,
    /// How many were found beyond [`MOST`].
    dropped: usize,
}

impl<'a> Report<'a> {
    pub(crate) fn new(source: &Source<'a>) -> Self {
        let name = source.name.to_owned();
        let text = Text { name, text: Some(source.text), origin: String::new() };
        Self { texts: vec![text], found: Vec::new(), failed: false, dropped: 0 }
    }

    /// Registers a text besides the Score file; the number goes into the spans of its nodes.
    pub(crate) fn add_text(&mut self, name: &str, text: Option<&'a str>, origin: &str) -> u32 {
        let origin = format!(" (from the {origin})");
        self.texts.push(Text { name: name.to_owned(), text, origin });
        u32::try_from(self.texts.len() - 1).unwrap_or(u32::MAX)
    }

    /// Whether an error was found.
    pub(crate) fn failed(&self) -> bool {
        self.failed
    }

    /// Whether the next diagnostic is only counted: then a hint need not be looked for.
    pub(crate) fn is_full(&self) -> bool {
        self.found.len() >= MOST
    }

    /// All diagnostics, by text and place.
    pub(crate) fn finish(mut self) -> Vec<Diagnostic> {
        self.found.sort_by_key(|(source, found)| (*source, found.line, found.column));
        let mut found: Vec<_> = self.found.into_iter().map(|(_, diagnostic)| diagnostic).collect();
        // The same placeholder twice in a text is one finding.
        found.dedup();
        if self.dropped > 0 {
            found.push(Diagnostic {
                code: Code::ScoreLimit,
                severity: Severity::Warning,
                message: format!("{} more findings are not shown", self.dropped),
                hint: None,
                file: self.texts.first().map(|text| text.name.clone()).unwrap_or_default(),
                line: 0,
                column: 0,
                length: 0,
                pointer: String::new(),
            });
        }
        found
    }

    #[cold]
    pub(crate) fn error(
        &mut self,
        code: Code,
        span: Span,
        path: &Path<'_>,
        message: impl AsRef<str>,
        hint: Option<String>,
    ) {
        self.push(code, Severity::Error, span, path, message.as_ref(), hint);
    }

    #[cold]
    pub(crate) fn warn(
        &mut self,
        code: Code,
        span: Span,
        path: &Path<'_>,
        message: impl AsRef<str>,
        hint: Option<String>,
    ) {
        self.push(code, Severity::Warning, span, path, message.as_ref(), hint);
    }

    /// A mistake that keeps a text from being read at all.
    #[cold]
    pub(crate) fn unreadable(
        &mut self,
        code: Code,
        source: u32,
        line: usize,
        column: usize,
        message: &str,
    ) {
        let to = |value: usize| u32::try_from(value).unwrap_or(u32::MAX);
        let span = Span { line: to(line), column: to(column), source, ..Span::default() };
        self.push(code, Severity::Error, span, &Path::ROOT, message, None);
    }

    fn push(
        &mut self,
        code: Code,
        severity: Severity,
        span: Span,
        path: &Path<'_>,
        message: &str,
        hint: Option<String>,
    ) {
        self.failed |= severity == Severity::Error;
        if self.is_full() {
            self.dropped += 1;
            return;
        }
        let source = self.texts.get(span.source as usize);
        let (name, origin) = source.map_or(("", ""), |text| (&text.name, &text.origin));
        let length = source
            .and_then(|text| text.text?.get(span.range()))
            .map_or(0, |slice| slice.lines().next().unwrap_or_default().trim_end().chars().count());
        let diagnostic = Diagnostic {
            code,
            severity,
            message: format!("{message}{origin}"),
            hint,
            file: name.to_owned(),
            line: span.line as usize,
            column: span.column as usize,
            length: length.max(usize::from(span.line > 0)),
            pointer: path.pointer(),
        };
        self.found.push((span.source, diagnostic));
    }

    /// The span of the first occurrence of `part` in the text of a scalar, else of the scalar.
    pub(crate) fn within(&self, span: Span, part: &str) -> Span {
        let narrowed = || {
            let text = self.texts.get(span.source as usize)?.text?.get(span.range())?;
            let before = text.get(..text.find(part)?)?;
            let to = |value: usize| u32::try_from(value).ok();
            let start = span.start + to(before.len())?;
            let end = start + to(part.len())?;
            let ends = |line: &&str| line.ends_with(['\n', '\r']);
            let feeds = yaml::lines(before).filter(ends).count();
            let last = yaml::lines(before).last().filter(|line| !ends(line)).unwrap_or_default();
            let column = to(last.chars().count())?;
            let column = if feeds == 0 { span.column + column } else { column + 1 };
            let line = span.line + to(feeds)?;
            Some(Span { start, end, line, column, ..span })
        };
        narrowed().unwrap_or(span)
    }
}
