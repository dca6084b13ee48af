//! One binary for all integration tests of the engine.

#[cfg(test)]
mod order;
