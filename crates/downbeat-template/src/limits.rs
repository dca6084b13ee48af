//! Ceilings on what one execution may cost, and the budget that counts against them.
//!
//! Templates come from strangers and run inside the control plane. Every walked node, function
//! call, list element and 32 produced bytes costs a step, so running time and memory are bounded
//! by one number; the other limits catch the cases where a single step would already be too much.

use std::time::{Duration, Instant};

/// Ceilings on one execution. The defaults suit manifests of a few hundred kilobytes.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Nodes walked, functions called, elements visited and 32-byte blocks produced.
    pub steps: u64,
    /// Size of the output in bytes.
    pub output_bytes: usize,
    /// Nesting of blocks, parenthesised pipelines, `template` and `tpl` calls.
    pub depth: usize,
    /// Size of a single string made by a function, and the number of elements of a list.
    pub value_bytes: usize,
    /// Wall-clock time; `None` leaves only the step count.
    pub time: Option<Duration>,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            steps: 2_000_000,
            output_bytes: 4 << 20,
            depth: 200,
            value_bytes: 4 << 20,
            time: None,
        }
    }
}

/// The limit that was hit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Limit {
    Steps,
    Output,
    Depth,
    Value,
    Time,
}

impl Limit {
    pub(crate) fn message(self) -> &'static str {
        match self {
            Self::Steps => "limit exceeded: too many steps",
            Self::Output => "limit exceeded: output too large",
            Self::Depth => "limit exceeded: nested too deeply",
            Self::Value => "limit exceeded: value too large",
            Self::Time => "limit exceeded: out of time",
        }
    }
}

/// What is left of the limits while an execution runs.
#[derive(Debug)]
pub(crate) struct Budget {
    left: u64,
    next_clock_check: u64,
    deadline: Option<Instant>,
    pub(crate) limits: Limits,
}

/// Steps between two looks at the clock.
const CLOCK_INTERVAL: u64 = 512;

impl Budget {
    pub(crate) fn new(limits: &Limits) -> Self {
        let deadline = limits.time.and_then(|time| Instant::now().checked_add(time));
        let next_clock_check = if deadline.is_some() { limits.steps } else { 0 };
        Self { left: limits.steps, next_clock_check, deadline, limits: limits.clone() }
    }

    /// Pays for `steps` units of work.
    pub(crate) fn spend(&mut self, steps: usize) -> Result<(), Limit> {
        self.left = self.left.checked_sub(steps as u64).ok_or(Limit::Steps)?;
        if self.left < self.next_clock_check {
            self.next_clock_check = self.left.saturating_sub(CLOCK_INTERVAL);
            if self.deadline.is_some_and(|deadline| Instant::now() > deadline) {
                return Err(Limit::Time);
            }
        }
        Ok(())
    }

    /// Pays for a string of `bytes` bytes before or after it is made.
    pub(crate) fn spend_bytes(&mut self, bytes: usize) -> Result<(), Limit> {
        if bytes > self.limits.value_bytes {
            return Err(Limit::Value);
        }
        self.spend(bytes / 32)
    }

    /// Pays for a list of `count` elements before it is made.
    pub(crate) fn spend_list(&mut self, count: usize) -> Result<(), Limit> {
        if count > self.limits.value_bytes {
            return Err(Limit::Value);
        }
        self.spend(count)
    }
}
