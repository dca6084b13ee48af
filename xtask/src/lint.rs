//! `cargo xtask lint`: everything that a machine can say about a change without running it.

use std::process::Command;

use anyhow::Result;

use crate::{
    Outcome, openapi,
    process::{answer, cargo, on_ci, succeeds},
};

/// What becomes of a check whose tool is not installed.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Missing {
    /// It is part of the pinned toolchain: skipped at a desk, failed where changes are checked.
    Component,
    /// It is skipped everywhere.
    Optional,
}

#[derive(Default)]
struct Checks {
    passed: u64,
    failed: u64,
}

pub(crate) fn run() -> Result<Outcome> {
    let mut checks = Checks::default();
    checks.cargo(Missing::Component, "fmt", &["--all", "--check"], &[])?;
    // The flag comes last, so that it reaches our crates only and nothing is built twice.
    let everything = ["--workspace", "--all-targets", "--locked", "--", "--deny", "warnings"];
    checks.cargo(Missing::Component, "clippy", &everything, &[])?;
    let own = ["--workspace", "--no-deps", "--locked"];
    checks.cargo(Missing::Component, "doc", &own, &[("RUSTDOCFLAGS", "--deny warnings")])?;
    println!("$ cargo xtask openapi --check");
    checks.count(openapi::check()? == Outcome::Good);
    let parts = ["--offline", "check", "bans", "licenses", "sources"];
    checks.cargo(Missing::Optional, "deny", &parts, &[])?;
    println!();
    println!("checks: {} passed, {} failed", checks.passed, checks.failed);
    Ok(Outcome::of(checks.failed == 0))
}

impl Checks {
    /// Runs one cargo subcommand as a check.
    fn cargo(
        &mut self,
        missing: Missing,
        tool: &str,
        arguments: &[&str],
        environment: &[(&str, &str)],
    ) -> Result<()> {
        println!("$ cargo {tool} {}", arguments.join(" "));
        if !is_installed(tool) {
            if missing == Missing::Component && on_ci() {
                println!("`cargo {tool}` is not installed: rustup component add {tool}");
                self.count(false);
            } else {
                println!("Skipped: `cargo {tool}` is not installed.");
            }
            return Ok(());
        }
        let mut command: Command = cargo();
        command.arg(tool).args(arguments).envs(environment.iter().copied());
        let good = succeeds(&mut command)?;
        self.count(good);
        Ok(())
    }

    fn count(&mut self, good: bool) {
        if good {
            self.passed += 1;
        } else {
            self.failed += 1;
        }
    }
}

fn is_installed(tool: &str) -> bool {
    // `cargo doc` is part of cargo and has no version of its own.
    tool == "doc" || answer(cargo().args([tool, "--version"])).is_some()
}
