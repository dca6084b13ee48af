//! `downbeat`: the command line and the server, in one binary.
//!
//! This crate is wiring. Every command that changes or shows what is deployed is a client of the API;
//! without a configured server it starts the same server in-process on a data directory, so there is
//! one path. Only [`report`] prints.

mod cli;
mod command;
mod graph_tree;
mod local;
mod place;
mod report;
mod score_file;
mod session;
mod shell;
mod starter;

use std::process::ExitCode;

use clap::Parser as _;

/// Rendering and deploying make many small values: with this allocator they take half the time.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let arguments = cli::Arguments::parse();
    match command::run(arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            failure.print();
            failure.exit_code()
        }
    }
}
