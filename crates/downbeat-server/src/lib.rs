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
pub mod chart;
pub mod extract;
pub mod form;
pub mod not_yet;
pub mod openapi;
mod paging;
pub mod problem;
pub mod router;
mod serve;
pub mod state;
pub mod terraform_state;
pub mod tls;

pub use problem::{Problem, Result};
pub use serve::{Door, serve};
pub use state::AppState;
