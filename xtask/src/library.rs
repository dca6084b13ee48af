//! `cargo xtask library`: the page about the published example library, and its golden files.
//!
//! The test that compares them writes them when it is told to, as golden files are written
//! everywhere else. It refuses to write a page with fewer checked files than before.

use anyhow::{Context as _, Result};

use crate::{
    Outcome,
    process::{cargo, succeeds},
};

pub(crate) fn run() -> Result<Outcome> {
    let mut command = cargo();
    command
        .args(["test", "--locked", "-p", "downbeat", "--test", "it", "--", "library::"])
        .env("INSTA_UPDATE", "always");
    let good = succeeds(&mut command).context("the test cannot be started")?;
    Ok(Outcome::of(good))
}
