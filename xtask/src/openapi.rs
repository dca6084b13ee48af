//! `cargo xtask openapi`: the API description in the repository.
//!
//! `openapi.json` is the document that the server makes of its code, committed so that a change of
//! the API shows as a change of a file. The server crate's example `openapi` prints it.

use std::{fs, path::PathBuf, process::Stdio};

use anyhow::{Context as _, Result, bail};
use serde_json::Value;

use crate::{
    Outcome,
    process::{answer, cargo, program, root},
};

/// The example of `downbeat-server` that prints the document.
const EXAMPLE: &str = "openapi";

fn file() -> PathBuf {
    root().join("openapi.json")
}

pub(crate) fn write() -> Result<Outcome> {
    let text = document()?;
    fs::write(file(), text).context("cannot write openapi.json")?;
    println!("openapi.json is written.");
    Ok(Outcome::Good)
}

pub(crate) fn check() -> Result<Outcome> {
    let made = document()?;
    let kept = fs::read_to_string(file()).unwrap_or_default();
    if made == kept {
        return Ok(Outcome::Good);
    }
    let changed = made.lines().zip(kept.lines()).position(|(made, kept)| made != kept);
    let line = changed.unwrap_or_else(|| made.lines().count().min(kept.lines().count())) + 1;
    println!(
        "openapi.json is not what the code says, from line {line}: run `cargo xtask openapi`."
    );
    Ok(Outcome::Bad)
}

/// The document with sorted keys, indented.
fn document() -> Result<String> {
    let printed = answer(&mut program(example()?)).context("the example `openapi` failed")?;
    let document: Value = serde_json::from_str(&printed).context("what it printed is not JSON")?;
    let mut text = serde_json::to_string_pretty(&document)?;
    text.push('\n');
    Ok(text)
}

/// Builds the example and says where it is. It is built for the whole workspace, with the features
/// that the tests have: nothing is compiled twice.
fn example() -> Result<PathBuf> {
    let mut cargo = cargo();
    cargo
        .args([
            "build",
            "--workspace",
            "--locked",
            "--message-format",
            "json",
            "--example",
            EXAMPLE,
        ])
        .stderr(Stdio::inherit());
    let output = cargo.output().context("cannot start cargo")?;
    if !output.status.success() {
        bail!("the example `{EXAMPLE}` of downbeat-server does not build");
    }
    let messages = String::from_utf8_lossy(&output.stdout);
    let built = messages.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let path = built
        .filter(|message| message.pointer("/target/name").is_some_and(|name| name == EXAMPLE))
        .find_map(|message| Some(PathBuf::from(message.get("executable")?.as_str()?)));
    path.with_context(|| format!("cargo does not say where the example `{EXAMPLE}` is"))
}
