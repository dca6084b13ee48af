//! The integration tests of `downbeat-core`: one module per area.

// `cfg(test)` tells Clippy that helpers may unwrap, too.
#[cfg(test)]
mod assemble;
#[cfg(test)]
mod codes;
#[cfg(test)]
mod graph;
#[cfg(test)]
mod laws;
#[cfg(test)]
mod resolve;
#[cfg(test)]
mod workload;
