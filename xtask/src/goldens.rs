//! `cargo xtask goldens`: the golden files of the template crate, made by real Go.
//!
//! The generator is a Go program beside the crate. It writes what Go's `text/template` with Sprig
//! makes of every case; the tests of the crate compare with these files and need no Go.

use anyhow::{Context as _, Result, bail};

use crate::{
    Outcome,
    process::{answer, program, root, succeeds},
};

/// The generator, from the root of the repository.
const FOLDER: &str = "crates/downbeat-template/goldens";

pub(crate) fn run() -> Result<Outcome> {
    let Some(version) = answer(program("go").arg("version")) else {
        bail!("Go is not installed; the committed golden files stay as they are");
    };
    println!("{version}");
    let folder = root().join(FOLDER);
    if !folder.join("go.mod").is_file() {
        bail!("there is no Go module in {FOLDER}");
    }
    println!("$ go run . (in {FOLDER})");
    let good = succeeds(program("go").args(["run", "."]).current_dir(folder))
        .context("the generator cannot be started")?;
    Ok(Outcome::of(good))
}
