//! Walks a parsed template and writes its output; equal to Go's `text/template/exec.go`.
//!
//! Go's reflection distinguishes a missing value, a nil interface and a value still inside its
//! interface; [`Value`] carries the same three states so that every message and every leniency
//! comes out the same.

use std::borrow::Cow;
use std::ops::Range;
use std::sync::Arc;

use crate::error::{Error, ErrorKind};
use crate::format;
use crate::function::{Args, Context, Fail, Function, Special, Taint, Type};
use crate::limits::{Budget, Limit};
use crate::node::{
    Block, Branch, Chain, Command, Node, Number, Operand, Pipe, Slot, TemplateCall, Tree, Variable,
};
use crate::parse::{self, Trees};
use crate::quote;
use crate::random::Random;
use crate::sprig::{date, semver};
use crate::text;
use crate::value::{Data, MapKind, Value};
use crate::{MissingKey, Options, Output};

/// Everything needed to execute one template text.
#[derive(Clone, Copy)]
pub(crate) struct Program<'t> {
    /// The name given when parsing, which error locations start with.
    pub(crate) name: &'t str,
    pub(crate) source: &'t str,
    pub(crate) trees: &'t Trees,
    /// Templates a `tpl` text inherits from the text it is called in.
    pub(crate) outer: Option<&'t Self>,
}

impl<'t> Program<'t> {
    /// Finds a template, and the text it came from.
    fn find(&'t self, name: &str) -> Option<(&'t Arc<Tree>, &'t Self)> {
        match self.trees.get(name) {
            Some(tree) => Some((tree, self)),
            None => self.outer.and_then(|outer| outer.find(name)),
        }
    }
}

/// Executes the main template of a program.
pub(crate) fn execute(
    program: &Program<'_>,
    data: &Value,
    options: &Options,
) -> Result<Output, Error> {
    let mut shared = Shared {
        context: Context {
            budget: Budget::new(&options.limits),
            random: Random::new(options.seed),
            now: options.now,
            regexes: Vec::new(),
        },
        missing_key: options.missing_key,
        depth: 0,
        out: Vec::with_capacity(program.source.len() + program.source.len() / 4),
        tainted: Vec::new(),
    };
    run(program, &data.clone().into_unboxed(), &mut shared)?;
    Ok(finish(shared.out, shared.tainted))
}

fn run(program: &Program<'_>, data: &Value, shared: &mut Shared) -> Result<(), Error> {
    let Some(tree) = program.trees.get(program.name) else { return Ok(()) };
    let root = Variable { slot: Slot(0), name: "$".into() };
    let mut exec = Exec {
        program,
        executing: &tree.name,
        variables: vec![(root.slot, data.clone())],
        stack: Vec::with_capacity(8),
        at: At::Nothing,
        shared,
    };
    exec.walk_block(data, &tree.root).map(|_| ())
}

/// Makes the output a string; taint ranges move where invalid bytes are replaced.
fn finish(out: Vec<u8>, tainted: Vec<Range<usize>>) -> Output {
    match String::from_utf8(out) {
        Ok(text) => Output { text, tainted },
        Err(error) => {
            let out = error.into_bytes();
            let mut fixed = String::with_capacity(out.len() + 16);
            let mut ranges = Vec::with_capacity(tainted.len());
            let mut done = 0;
            let piece = |range: Range<usize>| text::lossy(out.get(range).unwrap_or_default());
            for range in tainted {
                fixed.push_str(&piece(done..range.start));
                let start = fixed.len();
                fixed.push_str(&piece(range.clone()));
                ranges.push(start..fixed.len());
                done = range.end;
            }
            fixed.push_str(&piece(done..out.len()));
            Output { text: fixed, tainted: ranges }
        }
    }
}

/// What outlives the execution of a single text: `tpl` shares it.
struct Shared {
    context: Context,
    missing_key: MissingKey,
    depth: usize,
    out: Vec<u8>,
    tainted: Vec<Range<usize>>,
}

/// The node being executed, for error messages.
#[derive(Clone, Copy)]
enum At<'t> {
    Nothing,
    Text(&'t Range<usize>),
    Operand(&'t Operand),
    Command(&'t Command),
    Pipe(&'t Pipe),
    /// A chain inside an operand.
    Chain(&'t Chain),
    Template(&'t TemplateCall),
}

/// What a node tells the loop around it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Flow {
    Next,
    Break,
    Continue,
}

struct Exec<'t, 's> {
    program: &'t Program<'t>,
    /// The name of the template being executed.
    executing: &'t str,
    variables: Vec<(Slot, Value)>,
    /// Arguments of the calls being evaluated.
    stack: Vec<Value>,
    at: At<'t>,
    shared: &'s mut Shared,
}

/// What executing a part gives: its value, or the error that ends everything.
type Executed<T> = Result<T, Error>;

impl<'t> Exec<'t, '_> {
    // Errors.

    #[cold]
    fn fail(&self, message: impl Into<String>) -> Error {
        self.error(ErrorKind::Exec, message.into())
    }

    #[cold]
    fn limit(&self, limit: Limit) -> Error {
        self.error(ErrorKind::Limit, limit.message().into())
    }

    fn error(&self, kind: ErrorKind, message: String) -> Error {
        let (pos, context) = match self.at {
            At::Nothing => (0, String::new()),
            At::Text(range) => {
                let text = self.program.source.get(range.clone()).unwrap_or_default();
                (range.start, text.to_owned())
            }
            At::Operand(operand) => (operand.pos(), operand.to_string()),
            At::Command(command) => (command.pos, command.to_string()),
            At::Pipe(pipe) => (pipe.pos, pipe.to_string()),
            At::Chain(chain) => {
                let names: String = chain.names.iter().map(|name| format!(".{name}")).collect();
                let operand = match &chain.operand {
                    Operand::Pipe(pipe) => format!("({pipe})"),
                    other => other.to_string(),
                };
                (chain.pos, operand + &names)
            }
            At::Template(call) => (call.pos, call.to_string()),
        };
        let before = self.program.source.get(..pos).unwrap_or_default();
        let line = 1 + before.bytes().filter(|byte| *byte == b'\n').count();
        let column = before.rfind('\n').map_or(pos, |newline| pos - newline - 1);
        let place = (line, column);
        Error::exec(kind, self.program.name, place, self.executing, context, message)
    }

    fn step(&mut self) -> Executed<()> {
        self.shared.context.budget.spend(1).map_err(|limit| self.limit(limit))
    }

    /// Runs something one level deeper.
    fn deeper<T>(&mut self, run: impl FnOnce(&mut Self) -> Executed<T>) -> Executed<T> {
        if self.shared.depth >= self.shared.context.budget.limits.depth {
            return Err(self.limit(Limit::Depth));
        }
        self.shared.depth += 1;
        let result = run(self);
        self.shared.depth -= 1;
        result
    }

    // Output.

    fn check_output(&self) -> Executed<()> {
        if self.shared.out.len() > self.shared.context.budget.limits.output_bytes {
            return Err(self.limit(Limit::Output));
        }
        Ok(())
    }

    fn print(&mut self, value: &Value) -> Executed<()> {
        let start = self.shared.out.len();
        let max = self.shared.context.budget.limits.output_bytes;
        let fits = format::print_value(&mut self.shared.out, value, max);
        if !fits {
            return Err(self.limit(Limit::Output));
        }
        let end = self.shared.out.len();
        let (tainted, cost) = value.taint_and_cost();
        self.shared.context.budget.spend(cost).map_err(|limit| self.limit(limit))?;
        if end > start && tainted {
            self.mark_tainted(start..end);
        }
        Ok(())
    }

    fn mark_tainted(&mut self, range: Range<usize>) {
        match self.shared.tainted.last_mut() {
            Some(last) if last.end == range.start => last.end = range.end,
            _ => self.shared.tainted.push(range),
        }
    }

    // Walking.

    fn walk_block(&mut self, dot: &Value, block: &'t Block) -> Executed<Flow> {
        self.deeper(|exec| {
            for node in &block.nodes {
                let flow = exec.walk(dot, node)?;
                if flow != Flow::Next {
                    return Ok(flow);
                }
            }
            Ok(Flow::Next)
        })
    }

    fn walk(&mut self, dot: &Value, node: &'t Node) -> Executed<Flow> {
        self.step()?;
        match node {
            Node::Text(node) => {
                self.at = At::Text(&node.range);
                let text = self.program.source.as_bytes().get(node.range.clone());
                self.shared.out.extend_from_slice(text.unwrap_or_default());
                self.check_output()?;
                Ok(Flow::Next)
            }
            Node::Action(pipe) => {
                let value = self.eval_pipe(dot, pipe)?;
                if pipe.declared.is_empty() {
                    self.print(&value)?;
                }
                Ok(Flow::Next)
            }
            Node::If(branch) => self.walk_if_or_with(dot, branch, false),
            Node::With(branch) => self.walk_if_or_with(dot, branch, true),
            Node::Range(branch) => self.walk_range(dot, branch),
            Node::Template(call) => self.walk_template(dot, call),
            Node::Break => Ok(Flow::Break),
            Node::Continue => Ok(Flow::Continue),
        }
    }

    fn walk_if_or_with(&mut self, dot: &Value, branch: &'t Branch, with: bool) -> Executed<Flow> {
        let mark = self.variables.len();
        let value = self.eval_pipe(dot, &branch.pipe)?;
        let flow = if value.truth() {
            self.walk_block(if with { &value } else { dot }, &branch.body)?
        } else if let Some(otherwise) = &branch.otherwise {
            self.walk_block(dot, otherwise)?
        } else {
            Flow::Next
        };
        self.variables.truncate(mark);
        Ok(flow)
    }

    fn walk_range(&mut self, dot: &Value, branch: &'t Branch) -> Executed<Flow> {
        let outer_mark = self.variables.len();
        let value = self.eval_pipe(dot, &branch.pipe)?;
        let mark = self.variables.len();
        let tainted = value.has_taint();
        let any = match &value.data {
            Data::Int(_) | Data::Int64(_) | Data::Uint(_) | Data::Byte(_) => {
                self.range_over_number(branch, mark, &value)?
            }
            Data::List(list) => {
                for index in 0..list.len() {
                    let element = list.element(index).unwrap_or(Value::nil()).taint_if(tainted);
                    let index = Value::from(index as i64);
                    if self.iterate(branch, mark, index, &element)? == Flow::Break {
                        break;
                    }
                }
                !list.is_empty()
            }
            Data::Map(map) => {
                // A copy, because the body may change the map.
                let boxed = map.kind() == MapKind::Any;
                let entries: Vec<(Arc<str>, Value)> = map
                    .read()
                    .iter()
                    .map(|(key, value)| (Arc::clone(key), value.clone()))
                    .collect();
                let any = !entries.is_empty();
                let secret_keys = tainted || map.has_secret_keys();
                for (key, element) in entries {
                    let element = if boxed { element.into_boxed() } else { element };
                    let key = Value::from(text::Text::Utf8(key)).taint_if(secret_keys);
                    let element = element.taint_if(tainted);
                    if self.iterate(branch, mark, key, &element)? == Flow::Break {
                        break;
                    }
                }
                any
            }
            Data::NoValue | Data::Nil => false,
            _ => {
                let shown = shown(&value);
                return Err(self.fail(format!("range can't iterate over {shown}")));
            }
        };
        if !any && let Some(otherwise) = &branch.otherwise {
            let flow = self.walk_block(dot, otherwise)?;
            self.variables.truncate(outer_mark);
            // Go catches a break out of the else part here as well, but not a continue.
            return Ok(if flow == Flow::Break { Flow::Next } else { flow });
        }
        self.variables.truncate(outer_mark);
        Ok(Flow::Next)
    }

    fn range_over_number(
        &mut self,
        branch: &'t Branch,
        mark: usize,
        value: &Value,
    ) -> Executed<bool> {
        if branch.pipe.declared.len() > 1 {
            let shown = shown(value);
            let message = format!("can't use {shown} to iterate over more than one variable");
            return Err(self.fail(message));
        }
        let (count, wrap): (u64, fn(u64) -> Data) = match value.data {
            Data::Int(count) => (count.max(0) as u64, |index| Data::Int(index as i64)),
            Data::Int64(count) => (count.max(0) as u64, |index| Data::Int64(index as i64)),
            Data::Uint(count) => (count, Data::Uint),
            Data::Byte(count) => (count.into(), |index| Data::Byte(index as u8)),
            _ => (0, Data::Uint),
        };
        for index in 0..count {
            let element = Value::from(wrap(index)).taint_if(value.has_taint());
            if self.iterate(branch, mark, Value::NO_VALUE, &element)? == Flow::Break {
                break;
            }
        }
        Ok(count > 0)
    }

    fn iterate(
        &mut self,
        branch: &'t Branch,
        mark: usize,
        index: Value,
        element: &Value,
    ) -> Executed<Flow> {
        self.step()?;
        let pipe = &branch.pipe;
        match pipe.declared.as_slice() {
            [] => {}
            [only] if pipe.assigns => self.set_variable(only, element.clone())?,
            [first, second, ..] if pipe.assigns => {
                self.set_variable(first, index)?;
                self.set_variable(second, element.clone())?;
            }
            [_] => self.set_top_variable(1, element.clone()),
            [..] => {
                self.set_top_variable(1, element.clone());
                self.set_top_variable(2, index);
            }
        }
        let flow = self.walk_block(element, &branch.body)?;
        self.variables.truncate(mark);
        Ok(flow)
    }

    fn walk_template(&mut self, dot: &Value, call: &'t TemplateCall) -> Executed<Flow> {
        self.at = At::Template(call);
        let Some((tree, program)) = self.program.find(&call.name) else {
            let name = quote::quote(call.name.as_bytes());
            return Err(self.fail(format!("template {name} not defined")));
        };
        let dot = match &call.pipe {
            Some(pipe) => self.eval_pipe(dot, pipe)?,
            None => Value::NO_VALUE,
        };
        // Templates inherit no variables.
        let variables = std::mem::replace(&mut self.variables, vec![(Slot(0), dot.clone())]);
        let outer = (self.program, self.executing, self.at);
        (self.program, self.executing) = (program, &tree.name);
        self.walk_block(&dot, &tree.root)?;
        (self.program, self.executing, self.at) = outer;
        self.variables = variables;
        Ok(Flow::Next)
    }

    // Variables.

    fn variable(&self, variable: &Variable) -> Executed<&Value> {
        let found = self.variables.iter().rev().find(|(slot, _)| *slot == variable.slot);
        found
            .map(|(_, value)| value)
            .ok_or_else(|| self.fail(format!("undefined variable: {}", variable.name)))
    }

    fn set_variable(&mut self, variable: &Variable, value: Value) -> Executed<()> {
        let found = self.variables.iter_mut().rev().find(|(slot, _)| *slot == variable.slot);
        match found {
            Some((_, slot)) => {
                *slot = value;
                Ok(())
            }
            None => Err(self.fail(format!("undefined variable: {}", variable.name))),
        }
    }

    fn set_top_variable(&mut self, from_top: usize, value: Value) {
        let index = self.variables.len().checked_sub(from_top);
        if let Some((_, slot)) = index.and_then(|index| self.variables.get_mut(index)) {
            *slot = value;
        }
    }

    // Evaluating.

    fn eval_pipe(&mut self, dot: &Value, pipe: &'t Pipe) -> Executed<Value> {
        self.at = At::Pipe(pipe);
        let mut value = None;
        for command in &pipe.commands {
            value = Some(self.eval_command(dot, command, value)?.into_unboxed());
        }
        let value = value.unwrap_or(Value::NO_VALUE);
        for variable in &pipe.declared {
            if pipe.assigns {
                self.set_variable(variable, value.clone())?;
            } else {
                self.variables.push((variable.slot, value.clone()));
            }
        }
        Ok(value)
    }

    /// Evaluates one stage of a pipeline; `last` is what the stage before it gave.
    fn eval_command(
        &mut self,
        dot: &Value,
        command: &'t Command,
        last: Option<Value>,
    ) -> Executed<Value> {
        let operands = command.operands.as_slice();
        let Some((first, args)) = operands.split_first() else { return Ok(Value::NO_VALUE) };
        let has_args = !args.is_empty() || last.is_some();
        match first {
            Operand::Function { function, .. } => {
                self.at = At::Operand(first);
                return self.eval_call(dot, function, At::Command(command), args, last);
            }
            Operand::Field { names, .. } => {
                self.at = At::Operand(first);
                return self.eval_fields(dot, dot, first, names, args, last);
            }
            Operand::Variable { variable, names, .. } => {
                self.at = At::Operand(first);
                return self.eval_variable(dot, first, variable, names, args, last);
            }
            Operand::Chain(chain) => return self.eval_chain(dot, chain, args, last),
            Operand::Pipe(pipe) => {
                self.refuse_args(first, has_args)?;
                return self.deeper(|exec| exec.eval_pipe(dot, pipe));
            }
            _ => {}
        }
        self.at = At::Operand(first);
        self.refuse_args(first, has_args)?;
        match first {
            Operand::Nil { .. } => Err(self.fail("nil is not a command")),
            Operand::Dot { .. } => Ok(dot.clone()),
            _ => self.constant(first),
        }
    }

    fn refuse_args(&self, first: &Operand, has_args: bool) -> Executed<()> {
        if has_args {
            return Err(self.fail(format!("can't give argument to non-function {first}")));
        }
        Ok(())
    }

    fn constant(&self, operand: &Operand) -> Executed<Value> {
        match operand {
            Operand::Bool { value, .. } => Ok((*value).into()),
            Operand::Str { value, .. } => Ok(value.clone()),
            Operand::Number(number) => self.ideal_constant(number),
            _ => Ok(Value::NO_VALUE),
        }
    }

    /// The value of a number whose type nothing but its own syntax decides.
    fn ideal_constant(&self, number: &Number) -> Executed<Value> {
        let text = &number.text;
        let is_char = text.starts_with('\'');
        let is_hex = text.len() > 2
            && (text.starts_with("0x") || text.starts_with("0X"))
            && !text.contains(['p', 'P']);
        if let Some((re, im)) = number.complex {
            return Ok(Data::Complex(re, im).into());
        }
        match number.float {
            Some(float) if !is_char && !is_hex && text.contains(['.', 'e', 'E', 'p', 'P']) => {
                return Ok(float.into());
            }
            _ => {}
        }
        match number.int {
            Some(int) => Ok(int.into()),
            None => Err(self.fail(format!("{text} overflows int"))),
        }
    }

    fn eval_variable(
        &mut self,
        dot: &Value,
        operand: &'t Operand,
        variable: &'t Variable,
        names: &'t [Arc<str>],
        args: &'t [Operand],
        last: Option<Value>,
    ) -> Executed<Value> {
        let has_args = !args.is_empty() || last.is_some();
        let value = self.variable(variable)?;
        if names.is_empty() {
            let value = value.clone();
            self.refuse_args(operand, has_args)?;
            return Ok(value);
        }
        if !has_args
            && self.may_descend(names)
            && let Some(found) = value.descend(names)
        {
            return Ok(found);
        }
        let value = value.clone();
        self.eval_fields(dot, &value, operand, names, args, last)
    }

    fn eval_chain(
        &mut self,
        dot: &Value,
        chain: &'t Chain,
        args: &'t [Operand],
        last: Option<Value>,
    ) -> Executed<Value> {
        self.at = At::Chain(chain);
        if let Operand::Nil { .. } = chain.operand {
            return Err(self.fail("indirection through explicit nil"));
        }
        self.at = At::Operand(&chain.operand);
        let value = match &chain.operand {
            Operand::Pipe(pipe) => self.deeper(|exec| exec.eval_pipe(dot, pipe))?,
            Operand::Function { function, .. } => {
                self.eval_call(dot, function, At::Operand(&chain.operand), &[], None)?
            }
            other => self.constant(other)?,
        };
        self.eval_field_chain(dot, &value, At::Chain(chain), &chain.names, args, last)
    }

    fn eval_fields(
        &mut self,
        dot: &Value,
        receiver: &Value,
        operand: &'t Operand,
        names: &'t [Arc<str>],
        args: &'t [Operand],
        last: Option<Value>,
    ) -> Executed<Value> {
        if args.is_empty()
            && last.is_none()
            && self.may_descend(names)
            && let Some(found) = receiver.descend(names)
        {
            return Ok(found);
        }
        self.eval_field_chain(dot, receiver, At::Operand(operand), names, args, last)
    }

    /// Whether a chain of fields may take the short way, which holds a lock per name.
    fn may_descend(&self, names: &[Arc<str>]) -> bool {
        names.len() <= 16 && self.shared.missing_key == MissingKey::Default
    }

    /// Evaluates `.X.Y.Z`; the last field gets the arguments, in case it is a method.
    fn eval_field_chain(
        &mut self,
        dot: &Value,
        receiver: &Value,
        node: At<'t>,
        names: &'t [Arc<str>],
        args: &'t [Operand],
        last: Option<Value>,
    ) -> Executed<Value> {
        let Some((final_name, names)) = names.split_last() else { return Ok(receiver.clone()) };
        let mut receiver = Cow::Borrowed(receiver);
        for name in names {
            receiver = Cow::Owned(self.eval_field(dot, &receiver, node, name, &[], None)?);
        }
        self.eval_field(dot, &receiver, node, final_name, args, last)
    }

    fn eval_field(
        &mut self,
        dot: &Value,
        receiver: &Value,
        node: At<'t>,
        name: &str,
        args: &'t [Operand],
        last: Option<Value>,
    ) -> Executed<Value> {
        let has_args = !args.is_empty() || last.is_some();
        match &receiver.data {
            Data::NoValue => match self.shared.missing_key {
                MissingKey::Error => {
                    let name = quote::quote(name.as_bytes());
                    Err(self.fail(format!("nil data; no entry for key {name}")))
                }
                _ => Ok(Value::NO_VALUE),
            },
            Data::Nil => Err(self.fail(format!("nil pointer evaluating interface {{}}.{name}"))),
            Data::Map(map) => {
                if has_args {
                    return Err(self.fail(format!("{name} is not a method but has arguments")));
                }
                let tainted = receiver.has_taint();
                match (map.element(name), self.shared.missing_key) {
                    (Some(value), _) => Ok(value.taint_if(tainted)),
                    (None, MissingKey::Default) => Ok(Value::NO_VALUE),
                    (None, MissingKey::Zero) => Ok(match map.kind() {
                        MapKind::Any => Value::nil(),
                        MapKind::Str => "".into(),
                    }),
                    (None, MissingKey::Error) => {
                        let name = quote::quote(name.as_bytes());
                        Err(self.fail(format!("map has no entry for key {name}")))
                    }
                }
            }
            Data::Time(_) | Data::Version(_) => {
                let base = self.stack.len();
                for arg in args {
                    let value = self.eval_arg(dot, arg, Type::Any)?;
                    self.stack.push(value);
                }
                self.stack.extend(last);
                let args = Args(self.stack.get_mut(base..).unwrap_or_default());
                let result = match &receiver.data {
                    Data::Time(time) => date::method(time, name, &args),
                    Data::Version(version) => semver::method(version, name, &args),
                    _ => None,
                };
                self.stack.truncate(base);
                match result {
                    Some(Ok(value)) => Ok(value.taint_if(receiver.has_taint())),
                    Some(Err(message)) => {
                        self.at = node;
                        Err(self.fail(format!("error calling {name}: {message}")))
                    }
                    None => Err(self.no_field(receiver, name)),
                }
            }
            _ => Err(self.no_field(receiver, name)),
        }
    }

    fn no_field(&self, receiver: &Value, name: &str) -> Error {
        let found = receiver.static_type();
        self.fail(format!("can't evaluate field {name} in type {found}"))
    }

    /// Evaluates an argument for a parameter of type `wanted`.
    fn eval_arg(&mut self, dot: &Value, arg: &'t Operand, wanted: Type) -> Executed<Value> {
        self.at = At::Operand(arg);
        let value = match arg {
            Operand::Dot { .. } => dot.clone(),
            Operand::Nil { .. } => {
                if !wanted.can_be_nil() {
                    return Err(self.fail(format!("cannot assign nil to {}", wanted.name())));
                }
                let nil = if wanted == Type::Any { Value::nil() } else { Value::NO_VALUE };
                return Ok(nil);
            }
            Operand::Field { names, .. } => self.eval_fields(dot, dot, arg, names, &[], None)?,
            Operand::Variable { variable, names, .. } => {
                self.eval_variable(dot, arg, variable, names, &[], None)?
            }
            Operand::Pipe(pipe) => self.deeper(|exec| exec.eval_pipe(dot, pipe))?,
            Operand::Function { function, .. } => {
                self.eval_call(dot, function, At::Operand(arg), &[], None)?
            }
            Operand::Chain(chain) => self.eval_chain(dot, chain, &[], None)?,
            Operand::Bool { .. } | Operand::Number(_) | Operand::Str { .. } => {
                return self.eval_literal(arg, wanted);
            }
        };
        self.check_type(value, wanted)
    }

    fn eval_literal(&self, arg: &Operand, wanted: Type) -> Executed<Value> {
        let expected = |what: &str| self.fail(format!("expected {what}; found {arg}"));
        match wanted {
            Type::Any | Type::Reflect => self.constant(arg),
            Type::Str => match arg {
                Operand::Str { value, .. } => Ok(value.clone()),
                _ => Err(expected("string")),
            },
            Type::Bool => match arg {
                Operand::Bool { value, .. } => Ok((*value).into()),
                _ => Err(expected("bool")),
            },
            Type::Int => match arg {
                Operand::Number(number) => {
                    number.int.map(Value::from).ok_or_else(|| expected("integer"))
                }
                _ => Err(expected("integer")),
            },
            Type::Uint32 => match arg {
                Operand::Number(number) => {
                    number.uint.map(Value::from).ok_or_else(|| expected("unsigned integer"))
                }
                _ => Err(expected("unsigned integer")),
            },
            Type::Float => match arg {
                Operand::Number(number) => {
                    number.float.map(Value::from).ok_or_else(|| expected("float"))
                }
                _ => Err(expected("float")),
            },
            Type::Map | Type::Time => {
                Err(self.fail(format!("can't handle {arg} for arg of type {}", wanted.name())))
            }
        }
    }

    fn check_type(&self, value: Value, wanted: Type) -> Executed<Value> {
        if let Data::NoValue = value.data {
            return match wanted {
                Type::Any => Ok(Value::nil().taint_if(value.has_taint())),
                Type::Reflect | Type::Map => Ok(value),
                _ => Err(self.fail(format!("invalid value; expected {}", wanted.name()))),
            };
        }
        if wanted.accepts(&value.data) {
            return Ok(value);
        }
        let found = match value.data {
            Data::Nil => "interface {}",
            _ => value.type_name(),
        };
        let wanted = wanted.name();
        Err(self.fail(format!("wrong type for value; expected {wanted}; got {found}")))
    }

    /// Calls a function. `node` is what a failure of the function is blamed on.
    fn eval_call(
        &mut self,
        dot: &Value,
        function: &'static Function,
        node: At<'t>,
        args: &'t [Operand],
        last: Option<Value>,
    ) -> Executed<Value> {
        self.step()?;
        let given = args.len() + usize::from(last.is_some());
        let fixed = function.params.len();
        if function.variadic.is_some() {
            if given < fixed {
                let (name, got) = (function.name, args.len());
                let message =
                    format!("wrong number of args for {name}: want at least {fixed} got {got}");
                return Err(self.fail(message));
            }
        } else if given != fixed {
            let name = function.name;
            let message = format!("wrong number of args for {name}: want {fixed} got {given}");
            return Err(self.fail(message));
        }
        if let Special::And | Special::Or = function.special {
            return self.eval_and_or(dot, function.special, args, last);
        }

        let base = self.stack.len();
        for (index, arg) in args.iter().enumerate() {
            let value = self.eval_arg(dot, arg, function.param(index))?;
            self.stack.push(value);
        }
        if let Some(last) = last {
            let value = self.check_type(last, function.param(args.len()))?;
            self.stack.push(value);
        }
        let result = match function.special {
            Special::Call => Err(call_failure(args, self.stack.get(base..).unwrap_or_default())),
            Special::Tpl => self.eval_tpl(base),
            _ => self.eval_plain(function, base),
        };
        let result = result.map_err(|fail| self.call_error(function, node, base, fail));
        self.stack.truncate(base);
        result
    }

    fn eval_and_or(
        &mut self,
        dot: &Value,
        which: Special,
        args: &'t [Operand],
        last: Option<Value>,
    ) -> Executed<Value> {
        let mut value = Value::NO_VALUE;
        for arg in args {
            value = self.eval_arg(dot, arg, Type::Reflect)?;
            if value.truth() == (which == Special::Or) {
                return Ok(value);
            }
        }
        Ok(last.unwrap_or(value))
    }

    fn eval_plain(&mut self, function: &'static Function, base: usize) -> Result<Value, Fail> {
        let args = self.stack.get_mut(base..).unwrap_or_default();
        let context = &mut self.shared.context;
        let mut tainted = false;
        for arg in args.iter() {
            // Reading an argument costs, or a loop could hash one large string for ever.
            if let Data::Str(text) = &arg.data {
                context.budget.spend(text.len() / 64)?;
            }
            tainted |= match function.taint {
                Taint::Deep => {
                    let (tainted, cost) = arg.taint_and_cost();
                    context.budget.spend(cost)?;
                    tainted
                }
                Taint::Shallow => arg.has_taint(),
                Taint::Own => false,
            };
        }
        let result = match (function.run)(context, &mut Args(args)) {
            Ok(value) => value,
            Err(fail) if tainted => return Err(withhold(fail)),
            Err(fail) => return Err(fail),
        };
        if let Data::Str(text) = &result.data {
            context.budget.spend_bytes(text.len())?;
        }
        Ok(result.taint_if(tainted))
    }

    fn call_error(&mut self, function: &Function, node: At<'t>, base: usize, fail: Fail) -> Error {
        self.at = node;
        match fail {
            Fail::Limit(limit) => self.limit(limit),
            Fail::Inner(error) => *error,
            Fail::Message(message) => {
                let args = self.stack.get(base..).unwrap_or_default();
                let message = if args.iter().any(Value::is_tainted) { WITHHELD } else { &message };
                self.fail(format!("error calling {}: {message}", function.name))
            }
        }
    }

    /// `tpl`: parses and executes a template that is itself a value, with the same budget.
    fn eval_tpl(&mut self, base: usize) -> Result<Value, Fail> {
        let (source, data) = match self.stack.get(base..) {
            Some([source, data, ..]) => (source.clone(), data.clone()),
            _ => return Ok("".into()),
        };
        let Data::Str(text) = &source.data else { return Ok("".into()) };
        let text = text.to_str();
        self.shared.context.budget.spend(text.len() / 8)?;
        let shown = || quote::quote(text.as_bytes());
        let trees = parse::parse(self.program.name, &text)
            .map_err(|error| format!("cannot parse template {}: {error}", shown()))?;
        let outer = self.program;
        let program =
            Program { name: self.program.name, source: &text, trees: &trees, outer: Some(outer) };
        // The inner template writes to an output of its own.
        let out = std::mem::take(&mut self.shared.out);
        let tainted = std::mem::take(&mut self.shared.tainted);
        let data = data.into_unboxed();
        let result = if self.shared.depth >= self.shared.context.budget.limits.depth {
            Err(Fail::Limit(Limit::Depth))
        } else {
            self.shared.depth += 8;
            let result = run(&program, &data, self.shared);
            self.shared.depth = self.shared.depth.saturating_sub(8);
            result.map_err(|error| match error.kind() {
                ErrorKind::Limit => Fail::Inner(Box::new(error)),
                _ => {
                    let shown = shown();
                    format!("error during tpl function execution for {shown}: {error}").into()
                }
            })
        };
        let written = std::mem::replace(&mut self.shared.out, out);
        let secret = !std::mem::replace(&mut self.shared.tainted, tainted).is_empty();
        result?;
        self.shared.context.budget.spend_bytes(written.len())?;
        Ok(Value::from(text::Text::from_bytes(written)).taint_if(secret || source.has_taint()))
    }
}

/// A value as a message may show it.
fn shown(value: &Value) -> String {
    if value.is_tainted() { "(secret)".into() } else { format::show(value) }
}

/// Stands for the message of a failed function that was given a secret.
const WITHHELD: &str = "message withheld because an argument is secret";

fn withhold(fail: Fail) -> Fail {
    match fail {
        Fail::Message(_) => WITHHELD.into(),
        other => other,
    }
}

/// There are no function values, so `call` always fails.
fn call_failure(args: &[Operand], values: &[Value]) -> Fail {
    let callee = values.first().unwrap_or(&crate::value::NIL);
    if callee.is_nil() {
        return "call of nil".into();
    }
    let name = match args.first() {
        Some(operand) => operand.to_string(),
        None => match &callee.data {
            Data::Str(text) => text.to_str().into_owned(),
            _ => format!("<{} Value>", callee.type_name()),
        },
    };
    format!("non-function {name} of type {}", callee.type_name()).into()
}
