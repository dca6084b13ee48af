//! The operations, one file per noun: handlers, and how rows become wire types.
//!
//! A handler is a free function: check the caller, open a transaction if something changes, call
//! the store, answer. `routes()` of each file registers them.

pub mod account;
pub mod active_resource;
pub mod agent;
pub mod application;
pub mod artefact;
pub mod artefact_version;
pub mod audit;
pub mod automation_rule;
mod common;
pub mod current_user;
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
pub mod pipeline_criteria;
pub mod public_key;
pub mod registry;
pub mod resource_class;
pub mod resource_type;
pub mod role;
pub mod runtime;
pub mod score;
pub mod secret_store;
pub mod set;
pub mod token;
pub mod user;
pub mod value;
pub mod value_set_version;
pub mod webhook;
pub mod workload_profile;
pub mod workload_profile_chart;

use crate::{Problem, Result};

/// Status of an application or environment in use.
pub(crate) const ACTIVE: &str = "active";
/// Status of an application or environment that is being deleted.
pub(crate) const DELETING: &str = "deleting";
/// Longest name, in bytes.
const LONGEST_NAME: usize = 500;
/// Checks a name for people: any text that is neither empty nor endless.
///
/// # Errors
/// 400 when the name is empty or too long.
pub(crate) fn check_name(name: &str) -> Result<()> {
    if name.trim().is_empty() || name.len() > LONGEST_NAME {
        let rule = format!("1 to {LONGEST_NAME} characters");
        return Err(
            Problem::invalid(format!("The name is not valid: use {rule}.")).at("/name", &rule)
        );
    }
    Ok(())
}
