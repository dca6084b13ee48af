//! One binary for all integration tests of the adapters.

// `cfg(test)` so that clippy takes the helpers, too, for tests.
#[cfg(test)]
mod git;
#[cfg(test)]
mod remote;
#[cfg(test)]
mod starter;
