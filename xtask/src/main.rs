//! Development chores: `cargo xtask <command>`.
//!
//! Everything that is run again and again has one command here, in Rust, so that it is the same on
//! every machine. The crate names no other crate of the workspace: it starts `cargo` for what it
//! needs of them, and stays quick to build.

#![expect(clippy::print_stdout, reason = "a terminal is the only place that chores report to")]

mod fuzz;
mod goldens;
mod library;
mod lint;
mod openapi;
mod process;
mod test;

use std::process::ExitCode;

use anyhow::{Result, bail};

const USAGE: &str = "\
Usage: cargo xtask <command>

Commands:
  test [ARGS]        Run all tests; ARGS go to the test runner, for example `-p downbeat-core`
  lint               Check formatting, lints, documentation, openapi.json and, with cargo-deny, licences
  openapi [--check]  Write openapi.json from the server's code, or compare the two
  library            Write docs/reference/example-library.md, and what came of each example
  fuzz [TARGET] [--seconds N]
                     Feed made-up texts to everything that reads text of users, 60 s a target;
                     needs a nightly toolchain and cargo-fuzz
  goldens            Make the golden files of the template crate again with real Go
";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match dispatch(&arguments) {
        Ok(Outcome::Good) => ExitCode::SUCCESS,
        Ok(Outcome::Bad) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("xtask: {error:#}");
            ExitCode::from(2)
        }
    }
}

/// How a chore ended, when it could be done at all. It has said the details itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    /// All is well.
    Good,
    /// A test or check failed.
    Bad,
}

impl Outcome {
    fn of(good: bool) -> Self {
        if good { Self::Good } else { Self::Bad }
    }
}

fn dispatch(arguments: &[String]) -> Result<Outcome> {
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["test", rest @ ..] => test::run(rest),
        ["lint"] => lint::run(),
        ["openapi"] => openapi::write(),
        ["openapi", "--check"] => openapi::check(),
        ["library"] => library::run(),
        ["fuzz", rest @ ..] => fuzz::run(rest),
        ["goldens"] => goldens::run(),
        [] | ["help" | "-h" | "--help"] => {
            print!("{USAGE}");
            Ok(Outcome::Good)
        }
        _ => bail!("`{}` is no command.\n\n{USAGE}", words.join(" ")),
    }
}
