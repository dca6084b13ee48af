//! Downbeat over HTTP.
//!
//! [`router::router`] is the whole service; [`serve`] runs it on a listener until told to stop. The
//! API is that of v1: handlers in [`api`], one file per noun, wire types in `downbeat-api`.
//!
//! Invariants: [`access`] is the only place that turns a caller into a scope, so a handler cannot
//! reach a row without a check; [`problem`] is the only place that turns an error into an answer;
//! what changes something does so in one transaction. This crate knows no driver and no target: it
//! starts a deployment by writing a row and waking the engine.

pub mod access;
pub mod api;
pub mod bootstrap;
pub mod change;
pub mod extract;
pub mod not_yet;
pub mod openapi;
pub mod problem;
pub mod router;
pub mod state;
pub mod terraform_state;

use std::future::Future;

pub use problem::{Problem, Result};
pub use state::AppState;

/// Answers requests on the listener until `shutdown` is done, then finishes those under way.
///
/// # Errors
/// When the listener fails.
pub async fn serve(
    listener: tokio::net::TcpListener,
    state: AppState,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> std::io::Result<()> {
    axum::serve(listener, router::router(state)).with_graceful_shutdown(shutdown).await
}
