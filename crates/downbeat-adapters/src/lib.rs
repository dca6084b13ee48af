//! The outside world, one module each: what Downbeat's ports look like when they are real.

pub mod git;
