//! The Sprig 3.3 function library, one module per family.
//!
//! Left out on purpose are the functions that read the environment or the network. Functions that
//! make keys or certificates are known, so that a template using them parses, but fail when run.

pub(crate) mod crypto;
pub(crate) mod date;
pub(crate) mod defaults;
pub(crate) mod dicts;
pub(crate) mod json;
pub(crate) mod lists;
pub(crate) mod math;
pub(crate) mod paths;
pub(crate) mod random;
pub(crate) mod reflect;
pub(crate) mod regexes;
pub(crate) mod semver;
pub(crate) mod strings;
pub(crate) mod url;

use crate::function::Function;

/// Every family's functions.
pub(crate) const FAMILIES: &[&[Function]] = &[
    crypto::FUNCTIONS,
    date::FUNCTIONS,
    defaults::FUNCTIONS,
    dicts::FUNCTIONS,
    json::FUNCTIONS,
    lists::FUNCTIONS,
    math::FUNCTIONS,
    paths::FUNCTIONS,
    random::FUNCTIONS,
    reflect::FUNCTIONS,
    regexes::FUNCTIONS,
    semver::FUNCTIONS,
    strings::FUNCTIONS,
    url::FUNCTIONS,
];
