//! One file for each command.

mod api;
mod apply;
mod audit;
mod check;
mod delete;
mod deploy;
mod driver;
mod explain;
mod history;
mod render;
mod resources;
mod serve;
mod token;

use crate::{
    cli::{Arguments, Command},
    report::Failure,
};

/// Runs a command to its end.
pub(crate) fn run(arguments: Arguments) -> Result<(), Failure> {
    match arguments.command {
        Command::Check(check) => check::run(&check),
        Command::Render(render) => blocking(render::run(&render)),
        Command::Explain(explain) => explain::run(&explain),
        Command::Deploy(deploy) => blocking(deploy::run(deploy)),
        Command::History(history) => blocking(history::run(history)),
        Command::Resources(resources) => blocking(resources::run(resources)),
        Command::Delete(delete) => blocking(delete::run(delete)),
        Command::Driver(driver) => blocking(driver::run(driver)),
        Command::Apply(apply) => blocking(apply::run(apply)),
        Command::Api(api) => blocking(api::run(api)),
        Command::Serve(serve) => blocking(serve::run(serve)),
        Command::Token(token) => blocking(token::run(token)),
        Command::Audit(audit) => blocking(audit::run(audit)),
    }
}

fn blocking(work: impl Future<Output = Result<(), Failure>>) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .map_err(Failure::internal)?;
    runtime.block_on(work)
}
