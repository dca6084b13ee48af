//! Where in the spec we are, and the mistakes found there.

use std::fmt::Write as _;

use super::Error;
use crate::Code;

/// A place in the spec. Costs nothing until somebody asks for the pointer.
#[derive(Clone, Copy)]
pub(super) struct At<'a> {
    parent: Option<&'a Self>,
    key: &'a str,
}

impl At<'static> {
    pub(super) const ROOT: &'static Self = &Self { parent: None, key: "" };
}

impl<'a> At<'a> {
    pub(super) fn member(&'a self, key: &'a str) -> Self {
        Self { parent: Some(self), key }
    }

    /// The JSON pointer (RFC 6901).
    pub(super) fn pointer(&self) -> String {
        let mut pointer = String::new();
        self.write(&mut pointer);
        pointer
    }

    fn write(&self, pointer: &mut String) {
        if let Some(parent) = self.parent {
            parent.write(pointer);
            pointer.push('/');
            escape(self.key, pointer);
        }
    }
}

/// Appends `key` as one token of a JSON pointer.
pub(super) fn escape(key: &str, pointer: &mut String) {
    for c in key.chars() {
        match c {
            '~' => pointer.push_str("~0"),
            '/' => pointer.push_str("~1"),
            _ => pointer.push(c),
        }
    }
}

/// All mistakes of one workload, in the order in which they were found.
#[derive(Default)]
pub(super) struct Mistakes {
    errors: Vec<Error>,
}

/// The mistake that was just added.
pub(super) struct Added<'a>(Option<&'a mut Error>);

impl Added<'_> {
    /// Says what to do about it.
    pub(super) fn hint(self, hint: impl Into<String>) {
        if let Some(error) = self.0 {
            error.hint = Some(hint.into());
        }
    }
}

impl Mistakes {
    pub(super) fn add(&mut self, code: Code, at: &At<'_>, message: String) -> Added<'_> {
        self.add_at(code, at.pointer(), message)
    }

    /// Adds a mistake, unless the place holds a misplaced secret: its value is null, and a second
    /// message about the null would only confuse.
    pub(super) fn add_at(&mut self, code: Code, pointer: String, message: String) -> Added<'_> {
        let misplaced = |error: &Error| {
            error.code == Code::SecretMisuse && !pointer.is_empty() && error.pointer == pointer
        };
        if self.errors.iter().any(misplaced) {
            return Added(None);
        }
        let error = Error { code, message, pointer, hint: None };
        // The same spec can be read once for each schedule.
        if !self.errors.iter().any(|known| same(known, &error)) {
            self.errors.push(error);
        }
        Added(self.errors.last_mut())
    }

    /// Adds a mistake about a list element.
    pub(super) fn add_in_list(&mut self, at: &At<'_>, index: usize, message: String) -> Added<'_> {
        let mut pointer = at.pointer();
        // Writing to a string does not fail.
        let _ = write!(pointer, "/{index}");
        self.add_at(Code::Workload, pointer, message)
    }

    pub(super) fn into_errors(self) -> Vec<Error> {
        self.errors
    }

    pub(super) fn into_result<T>(self, finish: impl FnOnce() -> T) -> Result<T, Vec<Error>> {
        if self.errors.is_empty() { Ok(finish()) } else { Err(self.errors) }
    }
}

fn same(a: &Error, b: &Error) -> bool {
    a.code == b.code && a.pointer == b.pointer && a.message == b.message
}
