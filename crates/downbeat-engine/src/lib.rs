//! The durable executor: it turns a deployment into manifests in a target, node by node.
//!
//! ```text
//! claim ─▶ read ─▶ match ─▶ create ─────────────────────────▶ deploy ─▶ finish
//!          set     graph    each node: resolve inputs,         assemble, deliver
//!                           drive, journal the result
//! ```
//!
//! What is pure lives in `downbeat-core`. This crate owns the *ports* ([`port`]): what it needs from
//! a database, drivers, targets, a secret store and a clock. It knows no SQL, HTTP or Git.
//!
//! Invariants: the result of a node is journalled before another node uses it; whatever is written
//! carries the epoch of the lease, so that a stale owner changes nothing; nothing reaches the
//! target unless every node succeeded.

mod check;
pub mod create;
pub mod deploy;
pub mod expand;
pub mod memory;
pub mod parallel;
pub mod port;
pub mod prepare;
pub mod removal;
pub mod run;
pub mod run_key;
pub mod schema;
pub mod worker;

pub use port::{
    BoxFuture, Clock, CookieChange, Delivered, Delivery, Driver, DriverError, DriverManifest,
    Drivers, Effect, Expand, Expansion, ExternalDriver, Journal, Lease, Memory, NodeError,
    NodeRecord, PureDriver, Removal, Request, Response, Sealer, SecretOutput, Secrets,
    SecretsError, StateError, States, Target, TargetError, Targets,
};
pub use run_key::RunKeys;
pub use worker::{Worker, WorkerOptions};
