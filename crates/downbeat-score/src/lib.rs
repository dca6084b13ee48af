//! Score files: all their mistakes at once, or a [`Module`] and the shared resources it needs.
//!
//! ```text
//! text ─prepare─▶ document ─workload─▶ Workload ─convert─▶ Module + shared
//!         ▲           (overrides, properties, image, old spellings)      ▲
//!    overrides                                                      extension
//! ```
//!
//! Everything is a pure function. The one port is [`Files`], for files that a Score file names;
//! on a server it is [`NoFiles`].
//!
//! ```
//! use downbeat_score::{NoFiles, Options, Source, convert};
//!
//! let text = "
//! apiVersion: score.dev/v1b1
//! metadata: {name: web}
//! containers: {main: {image: ., variables: {DB: \"${resources.db.host}\"}}}
//! resources: {db: {type: postgres}}
//! ";
//! let options = Options { image: Some("reg/web:1".to_owned()), ..Options::default() };
//! let converted = convert(&Source { name: "score.yaml", text }, &options, &NoFiles).unwrap();
//! assert_eq!(converted.name, "web");
//! assert_eq!(converted.module.externals["db"].resource_type, "postgres");
//! ```

mod convert;
mod describe;
mod diagnostic;
mod extension;
mod files;
mod placeholder;
mod prepare;
mod property;
mod workload;

use std::collections::BTreeMap;

use downbeat_core::{Json, Module, Resource, yaml};

pub use diagnostic::{Diagnostic, Severity};
pub use files::{FileError, Files, NoFiles};
pub use property::Property;

use diagnostic::Report;

/// A Score file: its name in diagnostics, and its text.
#[derive(Clone, Copy, Debug)]
pub struct Source<'a> {
    /// What diagnostics call it, usually the path as the user gave it.
    pub name: &'a str,
    /// The text.
    pub text: &'a str,
}

/// A document that comes with the Score file.
#[derive(Clone, Debug, PartialEq)]
pub enum Overlay {
    /// A text; mistakes in it are reported with its line and column.
    Text {
        /// What diagnostics call it.
        name: String,
        /// The YAML text.
        text: String,
    },
    /// A value without places.
    Json(Json),
}

/// How to convert.
#[derive(Clone, Debug, PartialEq)]
pub struct Options {
    /// Merged into the Score file in this order: maps merge, everything else is replaced, `null`
    /// deletes.
    pub overrides: Vec<Overlay>,
    /// Set after the overrides, in this order.
    pub properties: Vec<Property>,
    /// Takes the place of the image `.`.
    pub image: Option<String>,
    /// Whether `image` also goes to containers without an image, as the API does.
    pub fill_missing_image: bool,
    /// New names of resource types, for types that Score cannot spell (`my-org/dns`).
    pub resource_type_aliases: BTreeMap<String, String>,
    /// The extension file (`humanitec.score.yaml`).
    pub extension: Option<Overlay>,
    /// Value of the annotation `humanitec.io/managed-by`.
    pub origin: String,
    /// Value of the annotation `humanitec.io/workload-source`.
    pub workload_source: Option<String>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            overrides: Vec::new(),
            properties: Vec::new(),
            image: None,
            fill_missing_image: false,
            resource_type_aliases: BTreeMap::new(),
            extension: None,
            origin: "downbeat".to_owned(),
            workload_source: None,
        }
    }
}

/// What a Score file becomes.
#[derive(Clone, Debug, PartialEq)]
pub struct Converted {
    /// The workload's name: the id of the module.
    pub name: String,
    /// The module.
    pub module: Module,
    /// Shared resources by their key in the deployment set.
    pub shared: BTreeMap<String, Resource>,
    /// What works, but perhaps not as meant.
    pub warnings: Vec<Diagnostic>,
}

/// Everything that was found out about a Score file.
#[derive(Clone, Debug, PartialEq)]
pub struct Checked {
    /// Errors and warnings in the order of the text.
    pub diagnostics: Vec<Diagnostic>,
    /// The document after overrides, properties, image and old spellings: what was validated.
    /// Nothing when the text is not YAML.
    pub document: Option<yaml::Node>,
    /// The result, when there is no error. Its `warnings` are those of `diagnostics`.
    pub converted: Option<Converted>,
}

impl Checked {
    /// Whether no diagnostic is an error.
    #[must_use]
    pub fn is_ok(&self) -> bool {
        self.converted.is_some()
    }

    /// The errors.
    pub fn errors(&self) -> impl Iterator<Item = &Diagnostic> {
        self.diagnostics.iter().filter(|diagnostic| diagnostic.severity == Severity::Error)
    }
}

/// Finds all mistakes of a Score file at once, and converts it when there are none.
#[must_use]
pub fn check(source: &Source<'_>, options: &Options, files: &dyn Files) -> Checked {
    let mut report = Report::new(source);
    let document = prepare::prepare(source, options, &mut report);
    let extension = options
        .extension
        .as_ref()
        .and_then(|overlay| prepare::overlay(overlay, "extension", &mut report))
        .map(|node| extension::read(node, &mut report));
    let converted = document.as_ref().and_then(|document| {
        let workload = workload::read(document, &mut report);
        convert::convert(&workload, extension.as_ref(), options, files, &mut report)
    });
    let failed = report.failed();
    let diagnostics = report.finish();
    let converted = converted.filter(|_| !failed).map(|mut converted| {
        converted.warnings.clone_from(&diagnostics);
        converted
    });
    Checked { diagnostics, document, converted }
}

/// Converts a Score file.
///
/// # Errors
/// All diagnostics, warnings included, when one of them is an error.
pub fn convert(
    source: &Source<'_>,
    options: &Options,
    files: &dyn Files,
) -> Result<Converted, Vec<Diagnostic>> {
    let checked = check(source, options, files);
    checked.converted.ok_or(checked.diagnostics)
}

/// The README's example is a test.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
