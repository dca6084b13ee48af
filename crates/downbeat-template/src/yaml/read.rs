//! Reads YAML the way `sigs.k8s.io/yaml` does: YAML 1.1 words, every number a float.

use granit_parser as _;

use crate::limits::{Budget, Limit};
use crate::value::Value;

pub(super) enum Problem {
    Limit(Limit),
    Syntax(String),
}

pub(super) fn read(_text: &str, _budget: &mut Budget) -> Result<Value, Problem> {
    Err(Problem::Syntax("not yet".into()))
}
