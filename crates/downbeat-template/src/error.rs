//! What can go wrong while a template is parsed or executed, worded exactly as Go words it.

use std::fmt;

/// Whether a template could not be read, could not be executed, or cost too much.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorKind {
    /// The text is not a template.
    Parse,
    /// The template failed while it ran: a wrong type, a failed function, `fail`, `required`.
    Exec,
    /// The template ran into one of the [`Limits`](crate::Limits).
    Limit,
}

/// A failed parse or execution, with its place in the template.
///
/// The displayed text is Go's, byte for byte:
/// `template: NAME:LINE: message` when parsing and
/// `template: NAME:LINE:COLUMN: executing "NAME" at <CONTEXT>: message` when executing.
/// A message never quotes a secret value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Error(Box<Facts>);

#[derive(Debug, Clone, PartialEq, Eq)]
struct Facts {
    kind: ErrorKind,
    file: String,
    line: usize,
    column: usize,
    place: Option<Place>,
    message: String,
}

/// The part of an execution error that a parse error does not have.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Place {
    executing: String,
    context: String,
}

impl Error {
    pub(crate) fn parse(file: &str, line: usize, message: String) -> Self {
        let kind = ErrorKind::Parse;
        Self(Box::new(Facts { kind, file: file.into(), line, column: 0, place: None, message }))
    }

    pub(crate) fn exec(
        kind: ErrorKind,
        file: &str,
        (line, column): (usize, usize),
        executing: &str,
        context: String,
        message: String,
    ) -> Self {
        let place = Some(Place { executing: executing.into(), context });
        Self(Box::new(Facts { kind, file: file.into(), line, column, place, message }))
    }

    /// Returns what kind of failure this is.
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// Returns the name given to [`Template::parse`](crate::Template::parse).
    pub fn template(&self) -> &str {
        &self.0.file
    }

    /// Returns the line, counted from 1.
    pub fn line(&self) -> usize {
        self.0.line
    }

    /// Returns the column in bytes, counted from 0 as Go does; 0 for parse errors.
    pub fn column(&self) -> usize {
        self.0.column
    }

    /// Returns the expression that failed; `None` for parse errors.
    pub fn context(&self) -> Option<&str> {
        self.0.place.as_ref().map(|place| place.context.as_str())
    }

    /// Returns the message without its place.
    pub fn message(&self) -> &str {
        &self.0.message
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Facts { file, line, column, place, message, .. } = &*self.0;
        match place {
            None => write!(f, "template: {file}:{line}: {message}"),
            Some(Place { executing, context }) => {
                let executing = crate::quote::quote(executing.as_bytes());
                write!(
                    f,
                    "template: {file}:{line}:{column}: executing {executing} at <{context}>: {message}"
                )
            }
        }
    }
}

impl std::error::Error for Error {}
