//! Downbeat's state in a SQL database.
//!
//! One file per noun; each has free functions that take a connection and say in one line the
//! question their statement answers. Reading takes any connection ([`Db::read`]), writing takes a
//! transaction ([`Db::write`]), so what belongs together commits together.
//!
//! Invariant: the database holds the truth. Columns are TEXT, BIGINT and BLOB only
//! (`docs/design/store.md`), and tenant rows are touched only with a [`scope`] value.

pub mod account;
pub mod active_resource;
pub mod agent;
pub mod application;
pub mod artefact;
pub mod audit;
pub mod automation_rule;
pub mod db;
pub mod definition;
pub mod delta;
pub mod deployment;
pub mod driver;
pub mod environment;
pub mod environment_type;
pub mod error;
pub mod graph;
pub mod group;
pub mod installation;
pub mod journal;
pub mod organization;
pub mod pipeline;
pub mod pipeline_criteria;
pub mod public_key;
pub mod registry;
pub mod removal;
pub mod resource_class;
pub mod resource_type;
mod row;
pub mod scope;
pub mod secret;
pub mod secret_store;
pub mod set;
pub mod terraform_state;
pub mod token;
pub mod user;
pub mod value;
pub mod webhook;
pub mod workload_profile;
pub mod workload_profile_chart;

pub use db::{Conn, Db};
pub use error::{Error, Result};
pub use group::{Tx, commit};
pub use scope::{AppScope, EnvScope, OrgScope};
pub use sqlx::AnyConnection;
