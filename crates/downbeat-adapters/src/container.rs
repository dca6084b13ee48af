//! `humanitec/container`: an image that makes resources, run as a Kubernetes Job.
//!
//! ```text
//! inputs ─▶ objects of one run ─▶ (a cluster runs them) ─▶ outputs ─▶ response
//! ```
//!
//! What stands in brackets is not there yet. [`run`] reads the inputs, finds every mistake in them,
//! and makes the objects; [`Container`] does that and then says that nothing here can run them
//! ([`Code::NoRunner`]). `runner_mode: custom-kubernetes` of `humanitec/terraform` goes the same
//! way.
//!
//! Invariants:
//! * Everything here is pure. Nothing is made, so there is nothing to free.
//! * No secret is in the Job or in the ConfigMap.
//!
//! The contract with images is in `docs/concepts/containers.md`, the reasons in
//! `docs/design/containers.md`.

mod inputs;
mod job;
mod outputs;
mod template;

use std::time::Duration;

use downbeat_core::{Code, Secret, builtin};
use downbeat_engine::{
    BoxFuture, DriverError, ExternalDriver, Memory, Removal, Request, Response, RunKeys,
};

pub(crate) use self::inputs::{Inputs, of_terraform};
pub use self::{
    inputs::Cluster,
    job::{Action, Object, RUN_SCRIPT, Run},
    outputs::{Written, failure, response},
};
use crate::code;

/// How runs in a cluster work.
#[derive(Clone, Debug)]
pub struct ContainerOptions {
    /// The image of Downbeat itself: it brings the code to a run, and its outputs back.
    pub image: String,
    /// Where a cluster reaches this server, for states that the server keeps.
    pub server: Option<String>,
    /// The keys of those states.
    pub keys: RunKeys,
    /// Longest time of a run, unless its inputs say otherwise.
    pub limit: Duration,
}

impl ContainerOptions {
    /// The usual options.
    #[must_use]
    pub fn new(keys: RunKeys) -> Self {
        Self {
            image: concat!("downbeat:", env!("CARGO_PKG_VERSION")).to_owned(),
            server: None,
            keys,
            limit: Duration::from_secs(30 * 60),
        }
    }
}

/// A run that is ready to begin.
#[derive(Debug)]
pub struct Ready {
    /// Where it runs.
    pub cluster: Cluster,
    /// Whether nobody shall check first what the service account may do.
    pub skip_permission_checks: bool,
    /// The objects, in the order in which the cluster needs them. The last one is the Job.
    pub objects: Vec<Object>,
    /// Plaintexts that must not appear in a message.
    pub masked: Vec<Secret>,
}

/// The run that a request asks for.
///
/// # Errors
/// When its inputs cannot be used; the message names the place.
pub fn run(options: &ContainerOptions, request: &Request<'_>) -> Result<Ready, DriverError> {
    let inputs = inputs::read(request.values, &code::secrets_of(request))?;
    ready(options, request, inputs)
}

/// The run for inputs that were read already.
pub(crate) fn ready(
    options: &ContainerOptions,
    request: &Request<'_>,
    inputs: Inputs,
) -> Result<Ready, DriverError> {
    let guresid = request.guresid;
    let is_id = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    if guresid.is_empty() || guresid.len() > 40 || !guresid.chars().all(is_id) {
        return Err(DriverError::new(Code::Internal, "the id of the resource is not valid"));
    }
    let run = Run {
        guresid,
        key: request.key,
        action: Action::Create,
        idempotency_key: request.idempotency_key,
    };
    let objects = job::objects(options, &run, &inputs)?;
    let mut masked = inputs.code.masked;
    masked.push(options.keys.make(guresid));
    Ok(Ready {
        cluster: inputs.cluster,
        skip_permission_checks: inputs.skip_permission_checks,
        objects,
        masked,
    })
}

/// The driver.
#[derive(Debug)]
pub struct Container {
    options: ContainerOptions,
}

impl Container {
    /// The driver with these options.
    #[must_use]
    pub fn new(options: ContainerOptions) -> Self {
        Self { options }
    }
}

impl ExternalDriver for Container {
    fn provision<'a>(
        &'a self,
        request: &'a Request<'a>,
        _: &'a dyn Memory,
    ) -> BoxFuture<'a, Result<Response, DriverError>> {
        let made = run(&self.options, request).and_then(|_| Err(no_runner()));
        Box::pin(std::future::ready(made))
    }

    fn deprovision<'a>(
        &'a self,
        _: &'a Removal<'a>,
        _: &'a dyn Memory,
    ) -> BoxFuture<'a, Result<(), DriverError>> {
        // Nothing was ever made.
        Box::pin(std::future::ready(Ok(())))
    }
}

/// What is said in the place of a run of `humanitec/container`.
fn no_runner() -> DriverError {
    let error = DriverError::new(Code::NoRunner, NO_RUNNER);
    match builtin::alternatives("humanitec/container").first() {
        Some(other) => error.hint(format!("Use {:?} instead: {}", other.driver, other.how)),
        None => error,
    }
}

/// What is said in the place of a run of `humanitec/terraform` in a cluster.
pub(crate) fn no_runner_for_terraform() -> DriverError {
    DriverError::new(Code::NoRunner, NO_RUNNER)
        .hint("Leave `runner_mode` and `runner` out to run the code on the server")
}

const NO_RUNNER: &str = "its inputs are good, but nothing here can run a Kubernetes Job yet";

/// The code wants us to keep its state, and a cluster does not know where we are.
fn no_address() -> DriverError {
    let message = "the state of the code would be kept by this server, and the address is not \
                   configured at which a cluster reaches it";
    DriverError::new(Code::NoRunner, message).hint(
        "Set DOWNBEAT_CLUSTER_URL on the server, or give the code a backend of its own and write \
         `use_default_backend: false`",
    )
}

#[cfg(test)]
mod tests;
