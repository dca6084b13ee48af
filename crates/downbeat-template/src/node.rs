//! The parsed template: plain data, with the rendering Go's error messages quote.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use crate::function::Function;
use crate::quote;
use crate::value::Value;

/// One named template.
pub(crate) struct Tree {
    pub(crate) name: Arc<str>,
    pub(crate) root: Block,
}

/// A sequence of nodes.
#[derive(Default)]
pub(crate) struct Block {
    pub(crate) nodes: Vec<Node>,
}

pub(crate) enum Node {
    Text(TextNode),
    Action(Pipe),
    If(Branch),
    With(Branch),
    Range(Branch),
    Template(TemplateCall),
    Break,
    Continue,
}

/// Literal text: a range of the source.
pub(crate) struct TextNode {
    pub(crate) range: Range<usize>,
}

pub(crate) struct Branch {
    pub(crate) pipe: Pipe,
    pub(crate) body: Block,
    pub(crate) otherwise: Option<Block>,
}

pub(crate) struct TemplateCall {
    pub(crate) pos: usize,
    pub(crate) name: Arc<str>,
    pub(crate) pipe: Option<Pipe>,
}

pub(crate) struct Pipe {
    pub(crate) pos: usize,
    pub(crate) declared: Vec<Variable>,
    /// `=` rather than `:=`.
    pub(crate) assigns: bool,
    pub(crate) commands: Vec<Command>,
}

pub(crate) struct Command {
    pub(crate) pos: usize,
    pub(crate) operands: Vec<Operand>,
}

/// A variable of the template, known by a small number.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Slot(pub(crate) u32);

pub(crate) struct Variable {
    pub(crate) slot: Slot,
    pub(crate) name: Arc<str>,
}

pub(crate) type Names = Vec<Arc<str>>;

pub(crate) enum Operand {
    Dot { pos: usize },
    Nil { pos: usize },
    Bool { pos: usize, value: bool },
    Number(Box<Number>),
    Str { pos: usize, quoted: Box<str>, value: Value },
    Field { pos: usize, names: Names },
    Variable { pos: usize, variable: Variable, names: Names },
    Function { pos: usize, function: &'static Function },
    Pipe(Box<Pipe>),
    Chain(Box<Chain>),
}

/// A parenthesised pipeline or function followed by fields: `(index .a 0).b`.
pub(crate) struct Chain {
    pub(crate) pos: usize,
    pub(crate) operand: Operand,
    pub(crate) names: Names,
}

/// A numeric constant, kept under every type that can represent it.
pub(crate) struct Number {
    pub(crate) pos: usize,
    pub(crate) text: Box<str>,
    pub(crate) int: Option<i64>,
    pub(crate) uint: Option<u64>,
    pub(crate) float: Option<f64>,
    pub(crate) complex: Option<(f64, f64)>,
}

impl Block {
    /// Returns whether there is nothing here but space.
    pub(crate) fn is_blank(&self, source: &str) -> bool {
        self.nodes.iter().all(|node| match node {
            Node::Text(text) => {
                source.get(text.range.clone()).is_none_or(|text| text.trim().is_empty())
            }
            _ => false,
        })
    }
}

impl Operand {
    pub(crate) fn pos(&self) -> usize {
        match self {
            Self::Dot { pos }
            | Self::Nil { pos }
            | Self::Bool { pos, .. }
            | Self::Str { pos, .. }
            | Self::Field { pos, .. }
            | Self::Variable { pos, .. }
            | Self::Function { pos, .. } => *pos,
            Self::Number(number) => number.pos,
            Self::Pipe(pipe) => pipe.pos,
            Self::Chain(chain) => chain.pos,
        }
    }
}

fn write_names(f: &mut fmt::Formatter<'_>, names: &Names) -> fmt::Result {
    names.iter().try_for_each(|name| write!(f, ".{name}"))
}

fn write_operand(f: &mut fmt::Formatter<'_>, operand: &Operand) -> fmt::Result {
    match operand {
        Operand::Pipe(pipe) => write!(f, "({pipe})"),
        other => write!(f, "{other}"),
    }
}

impl fmt::Display for Operand {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Dot { .. } => f.write_str("."),
            Self::Nil { .. } => f.write_str("nil"),
            Self::Bool { value, .. } => write!(f, "{value}"),
            Self::Number(number) => f.write_str(&number.text),
            Self::Str { quoted, .. } => f.write_str(quoted),
            Self::Field { names, .. } => write_names(f, names),
            Self::Variable { variable, names, .. } => {
                f.write_str(&variable.name)?;
                write_names(f, names)
            }
            Self::Function { function, .. } => f.write_str(function.name),
            Self::Pipe(pipe) => write!(f, "{pipe}"),
            Self::Chain(chain) => {
                write_operand(f, &chain.operand)?;
                write_names(f, &chain.names)
            }
        }
    }
}

impl fmt::Display for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, operand) in self.operands.iter().enumerate() {
            if index > 0 {
                f.write_str(" ")?;
            }
            write_operand(f, operand)?;
        }
        Ok(())
    }
}

impl fmt::Display for Pipe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, variable) in self.declared.iter().enumerate() {
            if index > 0 {
                f.write_str(", ")?;
            }
            f.write_str(&variable.name)?;
        }
        if !self.declared.is_empty() {
            f.write_str(if self.assigns { " = " } else { " := " })?;
        }
        for (index, command) in self.commands.iter().enumerate() {
            if index > 0 {
                f.write_str(" | ")?;
            }
            write!(f, "{command}")?;
        }
        Ok(())
    }
}

impl fmt::Display for TemplateCall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{{{{template {}", quote::quote(self.name.as_bytes()))?;
        if let Some(pipe) = &self.pipe {
            write!(f, " {pipe}")?;
        }
        f.write_str("}}")
    }
}
