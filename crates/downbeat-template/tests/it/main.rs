//! Integration tests.

#![expect(clippy::unwrap_used, reason = "helpers of tests may fail as tests do")]

mod api;
mod goldens;
mod limits;
mod properties;
mod taint;
