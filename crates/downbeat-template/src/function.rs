//! What a template function is: a name, a Go signature, and Rust code.
//!
//! The signature is what the executor checks arguments against before the code runs, so the code
//! may rely on it. It also decides how secrets spread: see [`Taint`].

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::OnceLock;

use regex::Regex;

use crate::error::Error;
use crate::limits::{Budget, Limit};
use crate::random::Random;
use crate::text::Text;
use crate::value::{Data, Map, NIL, Value};
use crate::{builtin, sprig, yaml};

/// A Go parameter type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Type {
    /// `interface{}`
    Any,
    /// `reflect.Value`, which unlike `interface{}` can hold "no value".
    Reflect,
    Str,
    Int,
    Bool,
    Float,
    Uint32,
    /// `map[string]interface{}`
    Map,
    /// `time.Time`
    Time,
}

impl Type {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Any => "interface {}",
            Self::Reflect => "reflect.Value",
            Self::Str => "string",
            Self::Int => "int",
            Self::Bool => "bool",
            Self::Float => "float64",
            Self::Uint32 => "uint32",
            Self::Map => "map[string]interface {}",
            Self::Time => "time.Time",
        }
    }

    pub(crate) fn can_be_nil(self) -> bool {
        matches!(self, Self::Any | Self::Reflect | Self::Map)
    }

    pub(crate) fn accepts(self, data: &Data) -> bool {
        match self {
            Self::Any | Self::Reflect => true,
            Self::Str => matches!(data, Data::Str(_)),
            Self::Int => matches!(data, Data::Int(_)),
            Self::Bool => matches!(data, Data::Bool(_)),
            Self::Float => matches!(data, Data::Float(_)),
            Self::Uint32 => false,
            Self::Map => {
                matches!(data, Data::Map(map) if map.kind() == crate::value::MapKind::Any)
            }
            Self::Time => matches!(data, Data::Time(_)),
        }
    }
}

/// How a function passes taint from its arguments to its result.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Taint {
    /// The result is secret if any argument is, or holds something that is.
    Deep,
    /// The result is secret if any argument itself is; parts keep their own marks.
    Shallow,
    /// Only what the function itself decides: comparisons, and constructors whose parts keep
    /// their own marks.
    Own,
}

/// Functions that the executor evaluates itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Special {
    None,
    /// Stop at the first argument that decides.
    And,
    Or,
    /// Needs the name of what is called.
    Call,
    /// Executes a template.
    Tpl,
}

pub(crate) type Run = fn(&mut Context, &mut Args<'_>) -> Result<Value, Fail>;

pub(crate) struct Function {
    pub(crate) name: &'static str,
    pub(crate) params: &'static [Type],
    pub(crate) variadic: Option<Type>,
    pub(crate) taint: Taint,
    pub(crate) special: Special,
    pub(crate) run: Run,
}

/// Describes a function of fixed parameters whose result is as secret as its arguments.
pub(crate) const fn function(name: &'static str, params: &'static [Type], run: Run) -> Function {
    Function { name, params, variadic: None, taint: Taint::Deep, special: Special::None, run }
}

impl Function {
    /// Adds a variadic last parameter.
    pub(crate) const fn rest(mut self, element: Type) -> Self {
        self.variadic = Some(element);
        self
    }

    pub(crate) const fn shallow(mut self) -> Self {
        self.taint = Taint::Shallow;
        self
    }

    pub(crate) const fn own(mut self) -> Self {
        self.taint = Taint::Own;
        self
    }

    pub(crate) const fn special(mut self, special: Special) -> Self {
        self.special = special;
        self
    }

    /// The type of the argument at `index`.
    pub(crate) fn param(&self, index: usize) -> Type {
        self.params.get(index).copied().or(self.variadic).unwrap_or(Type::Any)
    }
}

/// Finds a function by name. Sprig's shadow the built-in ones, as they do in Go.
pub(crate) fn find(name: &str) -> Option<&'static Function> {
    static FUNCTIONS: OnceLock<HashMap<&'static str, &'static Function>> = OnceLock::new();
    let functions = FUNCTIONS.get_or_init(|| {
        let families = [builtin::FUNCTIONS, yaml::FUNCTIONS];
        let all = families.into_iter().chain(sprig::FAMILIES.iter().copied()).flatten();
        all.map(|function| (function.name, function)).collect()
    });
    functions.get(name).copied()
}

/// Why a function failed.
pub(crate) enum Fail {
    Message(String),
    Limit(Limit),
    /// A template executed by `tpl` ran into a limit: its error is passed on as it is.
    Inner(Box<Error>),
}

impl From<Limit> for Fail {
    fn from(limit: Limit) -> Self {
        Self::Limit(limit)
    }
}

impl From<String> for Fail {
    fn from(message: String) -> Self {
        Self::Message(message)
    }
}

impl From<&str> for Fail {
    fn from(message: &str) -> Self {
        Self::Message(message.into())
    }
}

/// What functions share during one execution.
pub(crate) struct Context {
    pub(crate) budget: Budget,
    pub(crate) random: Random,
    /// Unix seconds; the only clock there is.
    pub(crate) now: Option<i64>,
    /// Compiled expressions, most recently added last.
    pub(crate) regexes: Vec<(Text, Regex)>,
}

/// The arguments of one call, already of the types the signature asks for.
pub(crate) struct Args<'a>(pub(crate) &'a mut [Value]);

static NO_TEXT: OnceLock<Text> = OnceLock::new();

impl<'a> Args<'a> {
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    pub(crate) fn get(&self, index: usize) -> &Value {
        self.0.get(index).unwrap_or(&NIL)
    }

    pub(crate) fn take(&mut self, index: usize) -> Value {
        self.0.get_mut(index).map_or(NIL.clone(), |slot| std::mem::replace(slot, Value::nil()))
    }

    pub(crate) fn text(&self, index: usize) -> &Text {
        match &self.get(index).data {
            Data::Str(text) => text,
            _ => NO_TEXT.get_or_init(|| Text::Utf8("".into())),
        }
    }

    pub(crate) fn str(&self, index: usize) -> Cow<'_, str> {
        self.text(index).to_str()
    }

    pub(crate) fn bytes(&self, index: usize) -> &[u8] {
        self.text(index).as_bytes()
    }

    pub(crate) fn int(&self, index: usize) -> i64 {
        match self.get(index).data {
            Data::Int(value) => value,
            _ => 0,
        }
    }

    pub(crate) fn float(&self, index: usize) -> f64 {
        match self.get(index).data {
            Data::Float(value) => value,
            _ => 0.0,
        }
    }

    pub(crate) fn bool(&self, index: usize) -> bool {
        matches!(self.get(index).data, Data::Bool(true))
    }

    /// A map argument; `None` is Go's nil map.
    pub(crate) fn map(&self, index: usize) -> Option<&Map> {
        match &self.get(index).data {
            Data::Map(map) => Some(map),
            _ => None,
        }
    }

    /// The arguments from `index` on.
    pub(crate) fn rest(&self, index: usize) -> &[Value] {
        self.0.get(index..).unwrap_or_default()
    }

    /// Takes all arguments, in order.
    pub(crate) fn take_all(&mut self) -> impl Iterator<Item = Value> {
        self.0.iter_mut().map(|slot| std::mem::replace(slot, Value::nil()))
    }
}

/// Go's text for dereferencing nil, which Sprig does to say that a list was expected.
pub(crate) const NIL_POINTER: &str =
    "runtime error: invalid memory address or nil pointer dereference";
