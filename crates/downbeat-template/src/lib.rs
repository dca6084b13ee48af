//! Go's `text/template` with the Sprig functions: parse once, execute within limits.
//!
//! ```
//! use downbeat_template::{Options, Template, Value};
//!
//! let template = Template::parse("greeting", r#"Hello {{ .name | default "you" | upper }}!"#)?;
//! let data = Value::from(serde_json::json!({ "name": "world" }));
//! let output = template.execute(&data, &Options::default())?;
//! assert_eq!(output.text, "Hello WORLD!");
//! # Ok::<(), downbeat_template::Error>(())
//! ```
//!
//! Three things set it apart from Go's own engine. Execution is bounded by [`Limits`], because
//! templates come from strangers. It is a pure function: random functions draw from a seed, the
//! time is given, and the caller's data is never changed. And secrets stay marked: a value made
//! with [`Value::tainted`] taints whatever is computed from it, and [`Output::tainted`] says which
//! parts of the text came from it.
//!
//! Text goes through `lex` and `parse` into `node`s, which `exec` walks; `function` says what a
//! template function is, and `builtin`, `sprig` and `yaml` hold them all.

mod builtin;
mod error;
mod exec;
mod format;
mod function;
mod json_text;
mod lex;
mod limits;
mod node;
mod number;
mod parse;
mod quote;
mod random;
mod sprig;
mod text;
mod unicode;
mod value;
mod yaml;

use std::ops::Range;
use std::sync::Arc;

pub use error::{Error, ErrorKind};
pub use limits::Limits;
pub use value::Value;

/// A parsed template. Immutable, cheap to clone, and shareable between threads.
#[derive(Clone)]
pub struct Template(Arc<Body>);

struct Body {
    name: String,
    source: String,
    trees: parse::Trees,
    /// Whether executing might change the data, which then is copied first.
    mutates: bool,
}

/// What an execution wrote.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Output {
    /// The text.
    pub text: String,
    /// Byte ranges of `text` that were written from secret values; sorted, apart from each other.
    pub tainted: Vec<Range<usize>>,
}

/// What to do about a missing map key; Go's `missingkey` option.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum MissingKey {
    /// The result is "no value", which prints as `<no value>` and is false.
    #[default]
    Default,
    /// The result is the zero value of the map's element type.
    Zero,
    /// Execution stops with an error.
    Error,
}

/// How to execute a template.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// Decides everything random: the same seed gives the same values, call by call.
    pub seed: [u8; 32],
    /// What the execution may cost.
    pub limits: Limits,
    /// The current time in Unix seconds; without it, functions that need it fail.
    pub now: Option<i64>,
    /// What to do about a missing map key.
    pub missing_key: MissingKey,
}

impl Template {
    /// Parses a template text. A function that does not exist is an error, as in Go.
    pub fn parse(name: &str, text: &str) -> Result<Self, Error> {
        let trees = parse::parse(name, text)?;
        // A coarse test is enough: it only decides whether a copy is made.
        let mutates = ["set", "unset", "erge", "tpl"].iter().any(|word| text.contains(word));
        Ok(Self(Arc::new(Body { name: name.into(), source: text.into(), trees, mutates })))
    }

    /// Returns the name given when parsing.
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// Executes the template on `data`, which stays as it is even if the template uses `set`.
    pub fn execute(&self, data: &Value, options: &Options) -> Result<Output, Error> {
        let Body { name, source, trees, mutates } = &*self.0;
        let program = exec::Program { name, source, trees, outer: None };
        if *mutates {
            exec::execute(&program, &data.deep_copy(), options)
        } else {
            exec::execute(&program, data, options)
        }
    }
}
