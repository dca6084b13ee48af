//! `cargo xtask test`: all tests of the workspace.
//!
//! Needs nothing but what the repository pins and `git`. With cargo-nextest installed the tests run
//! side by side over all binaries; documentation tests run with `cargo test` in either case.
//! Passing tests are counted and not listed; whatever else the runner says is passed on.

use std::{
    io::{BufRead as _, BufReader, Read},
    process::{Stdio, exit},
    sync::mpsc,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail};

use crate::{
    Outcome,
    process::{answer, cargo, program},
};

/// Oldest `git` that the Git target works with.
const GIT: (u32, u32) = (2, 32);

/// What a run of tests came to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Tally {
    passed: u64,
    failed: u64,
    ignored: u64,
    /// Names of failed tests.
    names: Vec<String>,
}

pub(crate) fn run(arguments: &[&str]) -> Result<Outcome> {
    let start = Instant::now();
    check_git()?;
    let selection = if arguments.is_empty() { &["--workspace"][..] } else { arguments };
    let mut tally = Tally::default();
    let nextest = arguments.is_empty() && answer(cargo().args(["nextest", "--version"])).is_some();
    let content = if nextest {
        let tests = ["nextest", "run", "--locked", "--no-fail-fast", "--workspace"];
        let documentation = ["test", "--doc", "--locked", "--no-fail-fast", "--workspace"];
        // Both run, whatever the first one says.
        let tests = follow(&tests, &[], Runner::Nextest, &mut tally)?;
        follow(&documentation, &[], Runner::Cargo, &mut tally)? && tests
    } else {
        follow(&["test", "--locked", "--no-fail-fast"], selection, Runner::Cargo, &mut tally)?
    };
    println!();
    for name in &tally.names {
        println!("FAILED {name}");
    }
    if !content && tally.failed == 0 {
        println!("The test runner stopped without naming a failed test; see above.");
        tally.failed = 1;
    }
    if content && tally.passed == 0 {
        println!("There was no test to run.");
        tally.failed = 1;
    }
    let Tally { passed, failed, ignored, .. } = tally;
    println!("Tests took {} s; {ignored} ignored.", start.elapsed().as_secs());
    println!("tests: {passed} passed, {failed} failed");
    Ok(Outcome::of(failed == 0))
}

fn check_git() -> Result<()> {
    let Some(text) = answer(program("git").arg("--version")) else {
        bail!("the tests need the program `git`, version {}.{} or newer; install it", GIT.0, GIT.1);
    };
    if git_version(&text).is_some_and(|version| version < GIT) {
        bail!("the tests need git {}.{} or newer, this is {text}", GIT.0, GIT.1);
    }
    println!("{text}");
    Ok(())
}

/// Major and minor of `git version 2.47.3 (some vendor)`.
fn git_version(text: &str) -> Option<(u32, u32)> {
    let mut numbers = text.split_whitespace().nth(2)?.split('.');
    Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Runner {
    /// Tells its results on stdout.
    Cargo,
    /// Tells its results on stderr.
    Nextest,
}

/// How long a test runner may take, with all that it compiles; a run takes a fifth of it.
const LIMIT: Duration = Duration::from_mins(45);

/// Ends this program when a test hangs: somebody who waits for the tests learns it here, and not
/// from whoever ends them from outside.
fn watch() -> mpsc::Sender<()> {
    let (ended, end) = mpsc::channel();
    thread::spawn(move || {
        if end.recv_timeout(LIMIT) == Err(mpsc::RecvTimeoutError::Timeout) {
            println!("The tests have not ended after {} minutes.", LIMIT.as_secs() / 60);
            exit(1);
        }
    });
    ended
}

/// Runs `cargo` and counts what it tells; whether it was content.
fn follow(command: &[&str], selection: &[&str], runner: Runner, tally: &mut Tally) -> Result<bool> {
    println!("$ cargo {}", [command, selection].concat().join(" "));
    let mut cargo = cargo();
    cargo.args(command).args(selection).stdin(Stdio::null());
    match runner {
        Runner::Cargo => cargo.stdout(Stdio::piped()),
        Runner::Nextest => cargo.stderr(Stdio::piped()),
    };
    let mut child = cargo.spawn().context("cannot start cargo")?;
    let _watched = watch();
    let told: Option<Box<dyn Read>> = match runner {
        Runner::Cargo => child.stdout.take().map(|pipe| Box::new(pipe) as Box<dyn Read>),
        Runner::Nextest => child.stderr.take().map(|pipe| Box::new(pipe) as Box<dyn Read>),
    };
    for line in BufReader::new(told.context("cargo has no output")?).split(b'\n') {
        let line = line.context("cannot read what cargo says")?;
        let line = String::from_utf8_lossy(&line);
        let worth_reading = match runner {
            Runner::Cargo => tally.take_cargo(&line),
            Runner::Nextest => tally.take_nextest(&line),
        };
        if worth_reading {
            println!("{line}");
        }
    }
    Ok(child.wait().context("cannot wait for cargo")?.success())
}

impl Tally {
    /// Counts a line of libtest; whether a reader wants to see it.
    fn take_cargo(&mut self, line: &str) -> bool {
        if let Some(result) = line.strip_prefix("test result: ") {
            for part in result.split([';', '.']).map(str::trim) {
                let Some((number, word)) = part.split_once(' ') else { continue };
                self.add(number, word);
            }
            return true;
        }
        match line.strip_prefix("test ").and_then(|rest| rest.rsplit_once(" ... ")) {
            Some((_, "ok")) => false,
            Some((name, "FAILED")) => {
                self.names.push(name.to_owned());
                true
            }
            _ => !line.is_empty() && !line.starts_with("running "),
        }
    }

    /// Counts a line of nextest; whether a reader wants to see it.
    fn take_nextest(&mut self, line: &str) -> bool {
        let line = line.trim_start();
        if let Some((_, numbers)) =
            line.strip_prefix("Summary").and_then(|rest| rest.split_once(" run: "))
        {
            for part in numbers.split(',').map(str::trim) {
                let part = part.split_once(" (").map_or(part, |(part, _)| part);
                let Some((number, word)) = part.split_once(' ') else { continue };
                self.add(number, if word == "skipped" { "ignored" } else { word });
            }
            return true;
        }
        if line.starts_with("FAIL [")
            && let Some((_, name)) = line.split_once("] ")
        {
            let name = name.trim().to_owned();
            if !self.names.contains(&name) {
                self.names.push(name);
            }
        }
        !line.starts_with("PASS [")
    }

    fn add(&mut self, number: &str, word: &str) {
        let number = number.parse().unwrap_or(0);
        match word {
            "passed" => self.passed += number,
            "failed" | "timed out" => self.failed += number,
            "ignored" => self.ignored += number,
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn counts_what_libtest_says() {
        let mut tally = Tally::default();
        let seen: Vec<&str> = "\
running 3 tests
test graph::tests::orders ... ok
test graph::tests::is ... a name ... ok
test set::tests::hashes ... FAILED

failures:
test result: FAILED. 2 passed; 1 failed; 4 ignored; 0 measured; 9 filtered out; finished in 0.00s
test result: ok. 5 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 1.25s"
            .lines()
            .filter(|line| tally.take_cargo(line))
            .collect();
        let names = names(&["set::tests::hashes"]);
        assert_eq!(tally, Tally { passed: 7, failed: 1, ignored: 4, names });
        assert_eq!(seen.len(), 4, "{seen:?}");
    }

    #[test]
    fn counts_what_nextest_says() {
        let mut tally = Tally::default();
        for line in [
            "        PASS [   0.005s] downbeat-core graph::tests::orders",
            "        FAIL [   0.006s] downbeat-core::it set::hashes",
            "     Summary [   0.120s] 12 tests run: 10 passed (1 slow), 1 failed, 1 timed out, 2 skipped",
            "        FAIL [   0.006s] downbeat-core::it set::hashes",
        ] {
            tally.take_nextest(line);
        }
        let names = names(&["downbeat-core::it set::hashes"]);
        assert_eq!(tally, Tally { passed: 10, failed: 2, ignored: 2, names });
    }

    #[test]
    fn reads_versions_of_git() {
        assert_eq!(git_version("git version 2.47.3"), Some((2, 47)));
        assert_eq!(git_version("git version 2.39.5 (Apple Git-154)"), Some((2, 39)));
        assert_eq!(git_version("git"), None);
    }
}
