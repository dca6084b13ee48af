//! From errors to the terminal: the only place that prints, and that chooses an exit code.

use std::{
    fmt::Display,
    io::{IsTerminal, Write as _},
    path::Path,
    process::ExitCode,
};

use annotate_snippets::{AnnotationKind, Level, Renderer, Snippet};
use downbeat_api::client;
use downbeat_core::{Code, yaml};
use downbeat_score::{Diagnostic, Severity};

/// Why a command did not do what it was asked.
#[derive(Debug)]
pub(crate) struct Failure {
    kind: Kind,
    message: String,
    hint: Option<String>,
    /// Where to read more.
    docs: Option<String>,
}

/// What kind of failure; the numbers are the exit codes.
#[derive(Clone, Copy, Debug)]
enum Kind {
    /// Refused or failed.
    Failed = 1,
    /// The command line is wrong.
    Usage = 2,
    /// Something that was named does not exist.
    NotFound = 3,
    /// Somebody else is changing the same thing.
    Conflict = 4,
    /// A fault of ours.
    Internal = 70,
}

impl Failure {
    fn of(kind: Kind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), hint: None, docs: None }
    }

    /// It was refused, or it failed; as a sentence.
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Self::of(Kind::Failed, message)
    }

    /// The command line is wrong.
    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self::of(Kind::Usage, message)
    }

    /// Something that was named does not exist.
    pub(crate) fn not_found(message: impl Into<String>) -> Self {
        Self::of(Kind::NotFound, message)
    }

    /// A fault of ours, or of the machine.
    pub(crate) fn internal(error: impl Into<anyhow::Error>) -> Self {
        Self::of(Kind::Internal, format!("{:#}", error.into()))
            .hint("This should not happen; please report it with what you did")
    }

    /// A file that cannot be used.
    pub(crate) fn file(path: &Path, error: &std::io::Error) -> Self {
        let kind = match error.kind() {
            std::io::ErrorKind::NotFound => Kind::NotFound,
            _ => Kind::Failed,
        };
        Self::of(kind, format!("{}: {error}", path.display()))
    }

    /// Says what to do about it.
    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Says what to do about it, when that is known.
    pub(crate) fn maybe_hint(self, hint: Option<impl Into<String>>) -> Self {
        match hint {
            Some(hint) => self.hint(hint),
            None => self,
        }
    }

    /// Says what else to do about it.
    pub(crate) fn also(self, hint: &str) -> Self {
        let hint = match &self.hint {
            Some(first) => format!("{first} {hint}"),
            None => hint.to_owned(),
        };
        self.hint(hint)
    }

    /// Names the page about a code.
    pub(crate) fn code(mut self, code: &str) -> Self {
        if Code::parse(code).is_some() {
            self.docs = Some(format!("downbeat explain {code}"));
        }
        self
    }

    /// Puts the place in front of the message.
    pub(crate) fn at(mut self, place: impl Display) -> Self {
        self.message = format!("{place}: {}", self.message);
        self
    }

    /// Prints it to standard error.
    pub(crate) fn print(&self) {
        say(format_args!("{} {}", paint(Style::Red, "error:"), self.message));
        for (word, text) in [(" hint:", &self.hint), (" more:", &self.docs)] {
            if let Some(text) = text {
                say(format_args!("{} {text}", paint(Style::Cyan, word)));
            }
        }
    }

    /// The exit code of its kind.
    pub(crate) fn exit_code(&self) -> ExitCode {
        ExitCode::from(self.kind as u8)
    }
}

impl From<client::Error> for Failure {
    fn from(error: client::Error) -> Self {
        let client::Error::Refused { status, code, message, details } = &error else {
            return Self::new(format!("{:#}", anyhow::Error::new(error)))
                .hint("Is the server running, and is --server right?");
        };
        let kind = match status {
            404 => Kind::NotFound,
            409 => Kind::Conflict,
            _ => Kind::Failed,
        };
        let text = |name: &str| details.get(name).and_then(|text| text.as_str()).map(str::to_owned);
        let hint = match status {
            401 => Some("Set DOWNBEAT_TOKEN or pass --token".to_owned()),
            _ => text("hint"),
        };
        let name = if code.is_empty() { status.to_string() } else { code.clone() };
        let message = message.trim_end_matches('.');
        let mut failure = Self::of(kind, format!("{message} ({name}, HTTP-{status})"))
            .maybe_hint(hint)
            .code(code);
        if let Some(page) = text("docs") {
            failure.docs = Some(match failure.docs {
                Some(command) => format!("{command}, or {page}"),
                None => page,
            });
        }
        failure
    }
}

/// Writes a result to standard output. A reader that has seen enough (`| head`) is no failure.
pub(crate) fn out(text: &str) -> Result<(), Failure> {
    let mut stdout = std::io::stdout().lock();
    match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
        other => other.map_err(|error| Failure::new(format!("standard output: {error}"))),
    }
}

/// Says a line on standard error. That nobody listens is no reason to stop in the middle of the
/// work.
pub(crate) fn say(line: impl Display) {
    let _ = writeln!(std::io::stderr().lock(), "{line}");
}

/// Says a step of the work: what was done, to what.
pub(crate) fn step(word: &str, text: &str) {
    say(format_args!("{} {text}", paint(Style::Green, &format!("{word:>8}"))));
}

/// Says what to look at, although the work goes on.
pub(crate) fn warn(text: impl Display) {
    say(format_args!("{} {text}", paint(Style::Cyan, "warning:")));
}

/// Rows with their cells below one another; the first row is the head.
pub(crate) fn table<const N: usize>(rows: impl Iterator<Item = [String; N]>) -> String {
    let rows: Vec<[String; N]> = rows.collect();
    let mut widths = [0; N];
    for row in &rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = cell.chars().count().max(*width);
        }
    }
    let line = |row: &[String; N]| {
        let cells = row.iter().zip(widths).map(|(cell, width)| format!("{cell:<width$}"));
        let cells: Vec<String> = cells.collect();
        format!("{}\n", cells.join("  ").trim_end())
    };
    rows.iter().map(line).collect()
}

/// A number of things.
pub(crate) fn count(number: usize, noun: &str) -> String {
    if number == 1 { format!("1 {noun}") } else { format!("{number} {noun}s") }
}

/// What else could be meant: the nearest name, or all names there are.
pub(crate) fn choice<'a>(
    name: &str,
    what: &str,
    known: impl Iterator<Item = &'a str> + Clone,
) -> String {
    if let Some(nearest) = downbeat_core::suggest::nearest(name, known.clone()) {
        return format!("Did you mean {nearest:?}?");
    }
    let known: Vec<&str> = known.collect();
    match known.is_empty() {
        true => format!("There are no {what} yet"),
        false => format!("The {what}: {}", known.join(", ")),
    }
}

/// Colours that mean something.
#[derive(Clone, Copy)]
pub(crate) enum Style {
    /// Done.
    Green,
    /// Failed.
    Red,
    /// To look at.
    Cyan,
    /// Less important.
    Dim,
}

/// Paints a text when standard error is a terminal that wants colours.
pub(crate) fn paint(style: Style, text: &str) -> String {
    if !colours() {
        return text.to_owned();
    }
    let code = match style {
        Style::Green => "32",
        Style::Red => "1;31",
        Style::Cyan => "36",
        Style::Dim => "2",
    };
    format!("\u{1b}[{code}m{text}\u{1b}[0m")
}

fn colours() -> bool {
    std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none()
}

/// Prints diagnostics with the lines they are about. `texts` are the files by the name that
/// diagnostics call them.
pub(crate) fn diagnostics(found: &[Diagnostic], texts: &[(String, String)]) {
    let renderer = if colours() { Renderer::styled() } else { Renderer::plain() };
    for diagnostic in found {
        let level = match diagnostic.severity {
            Severity::Error => Level::ERROR,
            Severity::Warning => Level::WARNING,
        };
        let code = diagnostic.code.as_str();
        let title = level.primary_title(diagnostic.message.as_str()).id(code);
        let text = texts.iter().find(|(name, _)| *name == diagnostic.file);
        let span = text.and_then(|(_, text)| span(text, diagnostic));
        let mut group = match (text, span) {
            (Some((name, text)), Some(span)) => title.element(
                Snippet::source(text.as_str())
                    .path(name.as_str())
                    .annotation(AnnotationKind::Primary.span(span)),
            ),
            _ => title.element(Level::NOTE.message(format!("in {}", diagnostic.file))),
        };
        if let Some(hint) = &diagnostic.hint {
            group = group.element(Level::HELP.message(hint.as_str()));
        }
        say(format_args!("{}\n", renderer.render(&[group])));
    }
}

/// The bytes that a diagnostic is about.
fn span(text: &str, diagnostic: &Diagnostic) -> Option<std::ops::Range<usize>> {
    let number = diagnostic.line.checked_sub(1)?;
    let mut start = 0;
    let mut lines = yaml::lines(text);
    for _ in 0..number {
        start += lines.next()?.len();
    }
    let line = lines.next().unwrap_or_default().trim_end_matches(['\n', '\r']);
    let offset = |column: usize| line.char_indices().nth(column).map_or(line.len(), |(at, _)| at);
    let from = offset(diagnostic.column.saturating_sub(1));
    let to = offset(diagnostic.column.saturating_sub(1) + diagnostic.length.max(1));
    Some(start + from..start + to.max(from))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bytes_of_a_finding_are_found_whatever_ends_lines() {
        let check = |text: &str, expected: &str| {
            let options = downbeat_score::Options::default();
            let source = downbeat_score::Source { name: "score.yaml", text };
            let found = downbeat_score::check(&source, &options, &downbeat_score::NoFiles);
            let wrong = found.diagnostics.iter().find(|found| found.pointer == "/wrong").unwrap();
            assert_eq!(&text[span(text, wrong).unwrap()], expected);
        };
        check("metadata: {name: web}\nwrong: 1\ncontainers: {}\n", "wrong");
        check("metadata: {name: web}\r\nwrong: 1\r\ncontainers: {}\r\n", "wrong");
        check("metadata: {name: web}\rwrong: 1\ncontainers: {}\n", "wrong");
    }
}
