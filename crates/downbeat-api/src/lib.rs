//! What travels over the wire: the requests and answers of the v1 API, one file per noun.
//!
//! Invariant: absent stays absent. A field that nobody sent is not answered as `""`, `{}`, `[]` or
//! `null`, unless v1 says so; field names are those of v1 to the letter. With the feature `client`
//! there is also a typed `client`. This crate knows nothing of the server and of the database.

#[cfg(feature = "client")]
pub mod client;

pub mod account;
pub mod active_resource;
pub mod agent;
pub mod application;
pub mod artefact;
pub mod audit;
pub mod automation_rule;
pub mod definition;
pub mod delta;
pub mod deployment;
pub mod driver;
pub mod environment;
pub mod environment_type;
pub mod graph;
pub mod health;
pub mod image;
pub mod organization;
pub mod pipeline;
pub mod problem;
pub mod public_key;
pub mod registry;
pub mod resource_class;
pub mod resource_type;
pub mod runtime;
pub mod score;
pub mod secret_store;
pub mod set;
pub mod time;
pub mod token;
pub mod user;
pub mod value;
pub mod webhook;
pub mod workload_profile;

pub use problem::ErrorBody;
pub use time::Time;
