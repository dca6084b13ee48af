//! From errors to the terminal: the only place that prints them and chooses an exit code.

use std::{
    io::{IsTerminal, Write as _},
    path::Path,
    process::ExitCode,
};

use annotate_snippets::{AnnotationKind, Level, Renderer, Snippet};
use downbeat_api::client;
use downbeat_score::{Diagnostic, Severity};

/// Why a command did not do what it was asked. The kinds are the exit codes.
#[derive(Debug)]
pub(crate) enum Failure {
    /// Refused or failed: exit 1.
    Failed {
        /// A sentence.
        message: String,
        /// What to do about it.
        hint: Option<String>,
    },
    /// The command line is wrong: exit 2.
    Usage(String),
    /// Something that was named does not exist: exit 3.
    NotFound(String),
    /// Somebody else is changing the same thing: exit 4.
    Conflict(String),
    /// A fault of ours: exit 70.
    Internal(String),
}

impl Failure {
    /// A failure with a sentence.
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Self::Failed { message: message.into(), hint: None }
    }

    /// A failure with what to do about it.
    pub(crate) fn with_hint(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self::Failed { message: message.into(), hint: Some(hint.into()) }
    }

    /// A fault of ours, or of the machine.
    pub(crate) fn internal(error: &anyhow::Error) -> Self {
        Self::Internal(format!("{error:#}"))
    }

    /// A file that cannot be used.
    pub(crate) fn file(path: &Path, error: &std::io::Error) -> Self {
        let message = format!("{}: {error}", path.display());
        if error.kind() == std::io::ErrorKind::NotFound {
            Self::NotFound(message)
        } else {
            Self::new(message)
        }
    }

    /// Prints it to standard error.
    pub(crate) fn print(&self) {
        let (message, hint) = match self {
            Self::Failed { message, hint } => (message, hint.as_deref()),
            Self::Usage(message) | Self::NotFound(message) | Self::Conflict(message) => {
                (message, None)
            }
            Self::Internal(message) => {
                (message, Some("This should not happen; please report it with what you did"))
            }
        };
        eprintln!("{} {message}", paint(Style::Red, "error:"));
        if let Some(hint) = hint {
            eprintln!("{} {hint}", paint(Style::Cyan, " hint:"));
        }
    }

    /// The exit code of its kind.
    pub(crate) fn exit_code(&self) -> ExitCode {
        ExitCode::from(match self {
            Self::Failed { .. } => 1,
            Self::Usage(_) => 2,
            Self::NotFound(_) => 3,
            Self::Conflict(_) => 4,
            Self::Internal(_) => 70,
        })
    }
}

impl From<client::Error> for Failure {
    fn from(error: client::Error) -> Self {
        match &error {
            client::Error::Refused { status, code, message, details } => {
                let code = if code.is_empty() { status.to_string() } else { code.clone() };
                let message = format!("{message} ({code}, HTTP-{status})");
                match status {
                    404 => Self::NotFound(message),
                    409 => Self::Conflict(message),
                    401 => Self::with_hint(message, "Set DOWNBEAT_TOKEN or pass --token"),
                    _ => Self::Failed {
                        message,
                        hint: details.get("hint").and_then(|hint| hint.as_str()).map(str::to_owned),
                    },
                }
            }
            _ => Self::Failed {
                message: format!("{:#}", anyhow::Error::new(error)),
                hint: Some("Is the server running, and is --server right?".to_owned()),
            },
        }
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
        eprintln!("{}\n", renderer.render(&[group]));
    }
}

/// The bytes that a diagnostic is about.
fn span(text: &str, diagnostic: &Diagnostic) -> Option<std::ops::Range<usize>> {
    let number = diagnostic.line.checked_sub(1)?;
    let mut start = 0;
    let mut lines = text.split_inclusive('\n');
    for _ in 0..number {
        start += lines.next()?.len();
    }
    let line = lines.next().unwrap_or_default().trim_end_matches(['\n', '\r']);
    let offset = |column: usize| line.char_indices().nth(column).map_or(line.len(), |(at, _)| at);
    let from = offset(diagnostic.column.saturating_sub(1));
    let to = offset(diagnostic.column.saturating_sub(1) + diagnostic.length.max(1));
    Some(start + from..start + to.max(from))
}
