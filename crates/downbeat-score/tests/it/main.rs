//! The one integration test of the crate.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a helper that fails is a test that fails"
)]

mod agreement;
mod corpus;
mod diagnostics;
mod example;
mod placement;
mod preparation;
mod robustness;

use std::collections::BTreeMap;

use downbeat_core::Json;
use downbeat_score::{Checked, Converted, Diagnostic, NoFiles, Options, Overlay, Source};
use serde_json::json;

/// Checks a text that has no files.
fn check(text: &str, options: &Options) -> Checked {
    downbeat_score::check(&Source { name: "score.yaml", text }, options, &NoFiles)
}

/// The diagnostics as a terminal would show them.
fn shown(diagnostics: &[Diagnostic]) -> String {
    diagnostics.iter().map(|diagnostic| format!("{diagnostic}\n")).collect()
}

/// A text that must convert.
#[track_caller]
fn convert(text: &str, options: &Options) -> Converted {
    let checked = check(text, options);
    match checked.converted {
        Some(converted) => converted,
        None => panic!("{}", shown(&checked.diagnostics)),
    }
}

/// The set form of the API: `{modules, shared}`.
fn set(converted: &Converted) -> Json {
    json!({
        "modules": { (&converted.name): converted.module },
        "shared": converted.shared,
    })
}

/// The delta form of the converter.
fn delta(converted: &Converted) -> Json {
    let operation =
        |(key, value)| json!({ "op": "add", "path": format!("/{key}"), "value": value });
    json!({
        "modules": { "add": { (&converted.name): converted.module } },
        "shared": converted.shared.iter().map(operation).collect::<Vec<_>>(),
    })
}

fn overlay(name: &str, text: &str) -> Overlay {
    Overlay::Text { name: name.to_owned(), text: text.to_owned() }
}

/// A Score file around the body of its one container and its resources.
fn score(container: &str, resources: &str) -> String {
    format!(
        "apiVersion: score.dev/v1b1\nmetadata: {{name: web}}\ncontainers:\n  main:\n    image: \
         .\n{container}resources:\n{resources}{}",
        if resources.is_empty() { "  {}\n" } else { "" }
    )
}

fn files(entries: &[(&str, &str)]) -> BTreeMap<String, Vec<u8>> {
    let entry = |(name, text): &(&str, &str)| ((*name).to_owned(), text.as_bytes().to_vec());
    entries.iter().map(entry).collect()
}
