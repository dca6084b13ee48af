//! Downbeat's vocabulary and its decisions.
//!
//! Everything here is a pure function from values to values: no IO, no clock, no randomness, no
//! async, and no panic on any input. The path of data runs through these modules in this order:
//!
//! ```text
//! module ──delta──▶ set ──graph──▶ (engine executes) ──resolve──▶ workload ──manifest──▶ target
//!                    ▲      │
//!                    │      └─ matching: which definition makes which resource
//!                    └─ patch, pointer
//! ```

pub mod account;
pub mod assemble;
pub mod builtin;
pub mod code;
pub mod definition;
pub mod definition_file;
pub mod delta;
pub mod descriptor;
pub mod graph;
pub mod id;
pub mod json;
pub mod manifest;
pub mod matching;
pub mod module;
pub mod patch;
pub mod pipeline;
pub mod placeholder;
pub mod profile;
pub mod public_key;
pub mod resolve;
pub mod resource_type;
pub mod secret;
pub mod set;
pub mod suggest;
pub mod workload;
pub mod yaml;

pub use code::Code;
pub use definition::{Criteria, Definition};
pub use delta::Delta;
pub use descriptor::{Descriptor, ResourceKey};
pub use graph::ResourceGraph;
pub use manifest::{Document, Manifest};
pub use module::{Module, Resource};
pub use secret::{Secret, SecretExpr, SecretRef};
pub use set::{DeploymentSet, SetId};

/// The JSON value type of the whole product. Object keys are sorted.
pub type Json = serde_json::Value;
/// A JSON object with sorted keys.
pub type JsonMap = serde_json::Map<String, Json>;
