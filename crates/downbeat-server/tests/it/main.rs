//! The server from outside: sessions over HTTP whose every answer is checked against the OpenAPI
//! document.
#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "helpers of tests end the test when something is not as they expect"
)]

mod access;
mod account;
mod active_resource;
mod agent;
mod application;
mod artefact;
mod audit;
mod automation_rule;
mod chart;
mod compat;
mod definition;
mod delta;
mod deployment;
mod driver;
mod engine;
mod environment;
mod environment_type;
mod graph;
mod image;
mod limits;
mod openapi;
mod organization;
mod pipeline;
mod public_key;
mod registry;
mod resource_class;
mod resource_type;
mod routing;
mod runtime;
mod score;
mod secret_store;
mod set;
mod shop;
mod terraform_state;
mod token;
mod typed_client;
mod user;
mod value;
mod value_set_version;
mod webhook;
mod workload_profile;
mod workload_profile_chart;
