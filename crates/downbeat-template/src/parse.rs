//! Builds the parsed template from tokens; equal to Go's `text/template/parse/parse.go`.
//!
//! Like Go, the parser stops at the first mistake, and knows which functions exist.

use std::collections::HashMap;
use std::sync::Arc;

use crate::error::Error;
use crate::function::{self, Function};
use crate::lex::{Kind, Lexer, Token};
use crate::node::{
    Block, Branch, Chain, Command, Names, Node, Number, Operand, Pipe, Slot, TemplateCall,
    TextNode, Tree, Variable,
};
use crate::number;
use crate::quote;
use crate::text::Text;

/// Every template defined by one text, by name.
pub(crate) type Trees = HashMap<Arc<str>, Arc<Tree>>;

/// Blocks and parentheses nested deeper than this are refused, so that no walk over the parsed
/// template can run out of stack.
const MAX_NESTING: usize = 100;

/// Parses `text`; the result holds the template `name` and everything it defines.
pub(crate) fn parse(name: &str, text: &str) -> Result<Trees, Error> {
    let mut parser = Parser {
        name: name.into(),
        text,
        lexer: Lexer::new(text),
        token: [Token { kind: Kind::Eof, pos: 0, text: "", line: 0 }; 3],
        peeked: 0,
        trees: Trees::new(),
        slots: HashMap::from([("$", 0)]),
        scope: Scope::new(),
        nesting: 0,
    };
    let root = parser.parse_root()?;
    parser.add(Arc::clone(&parser.name), root)?;
    Ok(parser.trees)
}

/// What a nested definition has of its own.
struct Scope {
    variables: Vec<Slot>,
    range_depth: usize,
    /// Line of the delimiter that opened the current action; 0 outside.
    action_line: usize,
}

impl Scope {
    fn new() -> Self {
        Self { variables: vec![Slot(0)], range_depth: 0, action_line: 0 }
    }
}

/// How a list of nodes ended.
enum Ending {
    End,
    /// `{{else}}`; what follows may be an `if` or `with` that continues the chain.
    Else,
}

/// A node, or the end of the list it would have been in.
enum Item {
    Node(Node),
    Ending(Ending),
}

struct Parser<'a> {
    name: Arc<str>,
    text: &'a str,
    lexer: Lexer<'a>,
    /// Lookahead: `token[peeked - 1]` is the next one, `token[0]` the last one read from the lexer.
    token: [Token<'a>; 3],
    peeked: usize,
    trees: Trees,
    slots: HashMap<&'a str, u32>,
    scope: Scope,
    nesting: usize,
}

impl<'a> Parser<'a> {
    // Tokens.

    fn next(&mut self) -> Token<'a> {
        match self.peeked.checked_sub(1) {
            Some(left) => self.peeked = left,
            None => self.read(),
        }
        self.lookahead(self.peeked)
    }

    fn read(&mut self) {
        let token = self.lexer.next_token();
        let [first, ..] = &mut self.token;
        *first = token;
    }

    fn lookahead(&self, index: usize) -> Token<'a> {
        let [first, second, third] = self.token;
        match index {
            0 => first,
            1 => second,
            _ => third,
        }
    }

    fn backup(&mut self) {
        self.peeked += 1;
    }

    fn backup2(&mut self, token: Token<'a>) {
        let [_, second, _] = &mut self.token;
        *second = token;
        self.peeked = 2;
    }

    fn backup3(&mut self, token: Token<'a>, after: Token<'a>) {
        let [_, second, third] = &mut self.token;
        *second = after;
        *third = token;
        self.peeked = 3;
    }

    fn peek(&mut self) -> Token<'a> {
        if self.peeked == 0 {
            self.read();
            self.peeked = 1;
        }
        self.lookahead(self.peeked - 1)
    }

    fn next_non_space(&mut self) -> Token<'a> {
        loop {
            let token = self.next();
            if token.kind != Kind::Space {
                return token;
            }
        }
    }

    fn peek_non_space(&mut self) -> Token<'a> {
        let token = self.next_non_space();
        self.backup();
        token
    }

    // Errors.

    fn error(&self, message: impl Into<String>) -> Error {
        let [last_read, ..] = self.token;
        Error::parse(&self.name, last_read.line, message.into())
    }

    fn unexpected(&self, token: Token<'a>, context: &str) -> Error {
        let shown = token.describe(&self.lexer.problem);
        let started = self.scope.action_line;
        if token.kind != Kind::Error {
            return self.error(format!("unexpected {shown} in {context}"));
        }
        if started == 0 || started == token.line {
            return self.error(shown);
        }
        let action = if shown.ends_with(" action") { "" } else { " in action" };
        self.error(format!("{shown}{action} started at {}:{started}", self.name))
    }

    fn expect(&mut self, kind: Kind, context: &str) -> Result<Token<'a>, Error> {
        let token = self.next_non_space();
        if token.kind == kind { Ok(token) } else { Err(self.unexpected(token, context)) }
    }

    fn nested<T>(&mut self, parse: impl FnOnce(&mut Self) -> Result<T, Error>) -> Result<T, Error> {
        if self.nesting >= MAX_NESTING {
            return Err(self.error("max expression depth exceeded"));
        }
        self.nesting += 1;
        let result = parse(self);
        self.nesting -= 1;
        result
    }

    // Templates.

    fn parse_root(&mut self) -> Result<Block, Error> {
        let mut root = Block::default();
        loop {
            let token = self.peek();
            if token.kind == Kind::Eof {
                return Ok(root);
            }
            if token.kind == Kind::LeftDelim {
                let delim = self.next();
                if self.next_non_space().kind == Kind::Define {
                    self.parse_definition()?;
                    continue;
                }
                self.backup2(delim);
            }
            match self.text_or_action()? {
                Item::Node(node) => root.nodes.push(node),
                Item::Ending(Ending::End) => return Err(self.error("unexpected {{end}}")),
                Item::Ending(Ending::Else) => return Err(self.error("unexpected {{else}}")),
            }
        }
    }

    fn add(&mut self, name: Arc<str>, root: Block) -> Result<(), Error> {
        let blank = root.is_blank(self.text);
        match self.trees.get(&name) {
            Some(known) if !known.root.is_blank(self.text) => {
                if !blank {
                    let name = quote::quote(name.as_bytes());
                    let message = format!("template: multiple definition of template {name}");
                    return Err(self.error(message));
                }
            }
            _ => {
                self.trees.insert(Arc::clone(&name), Arc::new(Tree { name, root }));
            }
        }
        Ok(())
    }

    /// Parses what follows `{{define`.
    fn parse_definition(&mut self) -> Result<(), Error> {
        const CONTEXT: &str = "define clause";
        let outer = std::mem::replace(&mut self.scope, Scope::new());
        let token = self.next_non_space();
        let name = self.template_name(token, CONTEXT)?;
        self.expect(Kind::RightDelim, CONTEXT)?;
        let (root, ending) = self.block()?;
        if let Ending::Else = ending {
            return Err(self.error(format!("unexpected {{{{else}}}} in {CONTEXT}")));
        }
        self.add(name, root)?;
        self.scope = outer;
        Ok(())
    }

    fn template_name(&mut self, token: Token<'a>, context: &str) -> Result<Arc<str>, Error> {
        match token.kind {
            Kind::String | Kind::RawString => {
                let name = quote::unquote(token.text).map_err(|problem| self.error(problem))?;
                Ok(name.to_str().into())
            }
            _ => Err(self.unexpected(token, context)),
        }
    }

    fn block(&mut self) -> Result<(Block, Ending), Error> {
        let mut block = Block::default();
        while self.peek_non_space().kind != Kind::Eof {
            match self.text_or_action()? {
                Item::Node(node) => block.nodes.push(node),
                Item::Ending(ending) => return Ok((block, ending)),
            }
        }
        Err(self.error("unexpected EOF"))
    }

    fn text_or_action(&mut self) -> Result<Item, Error> {
        let token = self.next_non_space();
        match token.kind {
            Kind::Text => {
                let range = token.pos..token.pos + token.text.len();
                Ok(Item::Node(Node::Text(TextNode { range })))
            }
            Kind::LeftDelim => {
                self.scope.action_line = token.line;
                let item = self.nested(Self::action)?;
                self.scope.action_line = 0;
                Ok(item)
            }
            _ => Err(self.unexpected(token, "input")),
        }
    }

    fn action(&mut self) -> Result<Item, Error> {
        let token = self.next_non_space();
        let node = match token.kind {
            Kind::Block => self.block_control()?,
            Kind::Break => self.loop_control("{{break}}", Node::Break)?,
            Kind::Continue => self.loop_control("{{continue}}", Node::Continue)?,
            Kind::Else => {
                // `else if` and `else with` leave their keyword for the caller.
                if !matches!(self.peek_non_space().kind, Kind::If | Kind::With) {
                    self.expect(Kind::RightDelim, "else")?;
                }
                return Ok(Item::Ending(Ending::Else));
            }
            Kind::End => {
                self.expect(Kind::RightDelim, "end")?;
                return Ok(Item::Ending(Ending::End));
            }
            Kind::If => Node::If(self.branch("if")?),
            Kind::Range => Node::Range(self.branch("range")?),
            Kind::With => Node::With(self.branch("with")?),
            Kind::Template => self.template_control()?,
            _ => {
                self.backup();
                Node::Action(self.pipeline("command", Kind::RightDelim)?)
            }
        };
        Ok(Item::Node(node))
    }

    fn loop_control(&mut self, shown: &str, node: Node) -> Result<Node, Error> {
        let token = self.next_non_space();
        if token.kind != Kind::RightDelim {
            return Err(self.unexpected(token, shown));
        }
        if self.scope.range_depth == 0 {
            return Err(self.error(format!("{shown} outside {{{{range}}}}")));
        }
        Ok(node)
    }

    fn branch(&mut self, context: &str) -> Result<Branch, Error> {
        let variables = self.scope.variables.len();
        let pipe = self.pipeline(context, Kind::RightDelim)?;
        let in_range = usize::from(context == "range");
        self.scope.range_depth += in_range;
        let (body, ending) = self.block()?;
        self.scope.range_depth -= in_range;
        let otherwise = match ending {
            Ending::End => None,
            Ending::Else => Some(self.else_block(context)?),
        };
        self.scope.variables.truncate(variables);
        Ok(Branch { pipe, body, otherwise })
    }

    fn else_block(&mut self, context: &str) -> Result<Block, Error> {
        // `{{else if}}` is `{{else}}{{if}}` whose `{{end}}` is the outer one's.
        let chained = match (context, self.peek().kind) {
            ("if", Kind::If) => {
                self.next();
                Some(Node::If(self.nested(|parser| parser.branch("if"))?))
            }
            ("with", Kind::With) => {
                self.next();
                Some(Node::With(self.nested(|parser| parser.branch("with"))?))
            }
            _ => None,
        };
        if let Some(node) = chained {
            return Ok(Block { nodes: vec![node] });
        }
        match self.block()? {
            (block, Ending::End) => Ok(block),
            (_, Ending::Else) => Err(self.error("expected end; found {{else}}")),
        }
    }

    /// `{{block "name" pipeline}}`: a definition and its use in one.
    fn block_control(&mut self) -> Result<Node, Error> {
        const CONTEXT: &str = "block clause";
        let token = self.next_non_space();
        let name = self.template_name(token, CONTEXT)?;
        let pipe = self.pipeline(CONTEXT, Kind::RightDelim)?;
        let outer = std::mem::replace(&mut self.scope, Scope::new());
        let (root, ending) = self.block()?;
        if let Ending::Else = ending {
            return Err(self.error(format!("unexpected {{{{else}}}} in {CONTEXT}")));
        }
        self.add(Arc::clone(&name), root)?;
        self.scope = outer;
        Ok(Node::Template(TemplateCall { pos: token.pos, name, pipe: Some(pipe) }))
    }

    fn template_control(&mut self) -> Result<Node, Error> {
        const CONTEXT: &str = "template clause";
        let token = self.next_non_space();
        let name = self.template_name(token, CONTEXT)?;
        let pipe = if self.next_non_space().kind == Kind::RightDelim {
            None
        } else {
            self.backup();
            Some(self.pipeline(CONTEXT, Kind::RightDelim)?)
        };
        Ok(Node::Template(TemplateCall { pos: token.pos, name, pipe }))
    }

    // Pipelines.

    fn pipeline(&mut self, context: &str, end: Kind) -> Result<Pipe, Error> {
        let pos = self.peek_non_space().pos;
        let mut pipe = Pipe { pos, declared: Vec::new(), assigns: false, commands: Vec::new() };
        while self.declaration(&mut pipe, context)? {}
        loop {
            let token = self.next_non_space();
            match token.kind {
                kind if kind == end => {
                    self.check_pipeline(&pipe, context)?;
                    return Ok(pipe);
                }
                Kind::Bool
                | Kind::CharConstant
                | Kind::Complex
                | Kind::Dot
                | Kind::Field
                | Kind::Identifier
                | Kind::Number
                | Kind::Nil
                | Kind::RawString
                | Kind::String
                | Kind::Variable
                | Kind::LeftParen => {
                    self.backup();
                    let command = self.command()?;
                    pipe.commands.push(command);
                }
                _ => return Err(self.unexpected(token, context)),
            }
        }
    }

    /// Parses one `$x :=`, `$x =` or `$x,`; returns whether another variable may follow.
    fn declaration(&mut self, pipe: &mut Pipe, context: &str) -> Result<bool, Error> {
        let variable = self.peek_non_space();
        if variable.kind != Kind::Variable {
            return Ok(false);
        }
        self.next();
        let adjacent = self.peek();
        let next = self.peek_non_space();
        match next.kind {
            Kind::Assign | Kind::Declare => {
                pipe.assigns = next.kind == Kind::Assign;
                self.next_non_space();
                self.declare(pipe, variable);
                Ok(false)
            }
            Kind::Char if next.text == "," => {
                self.next_non_space();
                self.declare(pipe, variable);
                if context == "range" && pipe.declared.len() < 2 {
                    return match self.peek_non_space().kind {
                        Kind::Variable | Kind::RightDelim | Kind::RightParen => Ok(true),
                        _ => Err(self.error("range can only initialize variables")),
                    };
                }
                Err(self.error(format!("too many declarations in {context}")))
            }
            _ => {
                if adjacent.kind == Kind::Space {
                    self.backup3(variable, adjacent);
                } else {
                    self.backup2(variable);
                }
                Ok(false)
            }
        }
    }

    fn declare(&mut self, pipe: &mut Pipe, token: Token<'a>) {
        let variable = self.variable(token.text);
        self.scope.variables.push(variable.slot);
        pipe.declared.push(variable);
    }

    fn variable(&mut self, name: &'a str) -> Variable {
        let fresh = u32::try_from(self.slots.len()).unwrap_or(u32::MAX);
        let slot = *self.slots.entry(name).or_insert(fresh);
        Variable { slot: Slot(slot), name: name.into() }
    }

    fn check_pipeline(&self, pipe: &Pipe, context: &str) -> Result<(), Error> {
        if pipe.commands.is_empty() {
            return Err(self.error(format!("missing value for {context}")));
        }
        for (index, command) in pipe.commands.iter().enumerate().skip(1) {
            let first = command.operands.first();
            if let Some(
                Operand::Bool { .. }
                | Operand::Dot { .. }
                | Operand::Nil { .. }
                | Operand::Number(_)
                | Operand::Str { .. },
            ) = first
            {
                let stage = index + 1;
                return Err(self.error(format!("non executable command in pipeline stage {stage}")));
            }
        }
        Ok(())
    }

    fn command(&mut self) -> Result<Command, Error> {
        let pos = self.peek_non_space().pos;
        let mut operands = Vec::new();
        loop {
            self.peek_non_space();
            if let Some(operand) = self.operand()? {
                operands.push(operand);
            }
            let token = self.next();
            match token.kind {
                Kind::Space => continue,
                Kind::RightDelim | Kind::RightParen => self.backup(),
                Kind::Pipe => {}
                _ => return Err(self.unexpected(token, "operand")),
            }
            break;
        }
        if operands.is_empty() {
            return Err(self.error("empty command"));
        }
        Ok(Command { pos, operands })
    }

    /// Parses a term and the fields that follow it.
    fn operand(&mut self) -> Result<Option<Operand>, Error> {
        let Some(term) = self.term()? else { return Ok(None) };
        let chain_pos = self.peek().pos;
        let mut added = Names::new();
        while self.peek().kind == Kind::Field {
            added.push(field_name(self.next().text));
        }
        if added.is_empty() {
            return Ok(Some(term));
        }
        Ok(Some(match term {
            Operand::Field { mut names, .. } => {
                names.append(&mut added);
                Operand::Field { pos: chain_pos, names }
            }
            Operand::Variable { variable, mut names, .. } => {
                names.append(&mut added);
                Operand::Variable { pos: chain_pos, variable, names }
            }
            Operand::Bool { .. }
            | Operand::Str { .. }
            | Operand::Number(_)
            | Operand::Nil { .. }
            | Operand::Dot { .. } => {
                let term = quote::quote(term.to_string().as_bytes());
                return Err(self.error(format!("unexpected . after term {term}")));
            }
            operand => Operand::Chain(Box::new(Chain { pos: chain_pos, operand, names: added })),
        }))
    }

    fn term(&mut self) -> Result<Option<Operand>, Error> {
        let token = self.next_non_space();
        let pos = token.pos;
        let term = match token.kind {
            Kind::Identifier => Operand::Function { pos, function: self.function(token.text)? },
            Kind::Dot => Operand::Dot { pos },
            Kind::Nil => Operand::Nil { pos },
            Kind::Variable => self.use_variable(token)?,
            Kind::Field => Operand::Field { pos, names: vec![field_name(token.text)] },
            Kind::Bool => Operand::Bool { pos, value: token.text == "true" },
            Kind::CharConstant | Kind::Complex | Kind::Number => {
                let number = parse_number(token).map_err(|problem| self.error(problem))?;
                Operand::Number(Box::new(number))
            }
            Kind::LeftParen => {
                let pipe = self
                    .nested(|parser| parser.pipeline("parenthesized pipeline", Kind::RightParen))?;
                Operand::Pipe(Box::new(pipe))
            }
            Kind::String | Kind::RawString => {
                let text: Text =
                    quote::unquote(token.text).map_err(|problem| self.error(problem))?;
                Operand::Str { pos, quoted: token.text.into(), value: text.into() }
            }
            _ => {
                self.backup();
                return Ok(None);
            }
        };
        Ok(Some(term))
    }

    fn function(&self, name: &str) -> Result<&'static Function, Error> {
        function::find(name).ok_or_else(|| {
            let name = quote::quote(name.as_bytes());
            self.error(format!("function {name} not defined"))
        })
    }

    fn use_variable(&mut self, token: Token<'a>) -> Result<Operand, Error> {
        let variable = self.variable(token.text);
        if !self.scope.variables.contains(&variable.slot) {
            let name = quote::quote(token.text.as_bytes());
            return Err(self.error(format!("undefined variable {name}")));
        }
        Ok(Operand::Variable { pos: token.pos, variable, names: Names::new() })
    }
}

fn field_name(token: &str) -> Arc<str> {
    token.strip_prefix('.').unwrap_or(token).into()
}

fn parse_number(token: Token<'_>) -> Result<Number, String> {
    let text = token.text;
    let mut number = Number {
        pos: token.pos,
        text: text.into(),
        int: None,
        uint: None,
        float: None,
        complex: None,
    };
    if token.kind == Kind::CharConstant {
        let inner = text.get(1..).unwrap_or_default();
        let (unit, tail) = quote::unquote_char(inner, '\'').map_err(String::from)?;
        if tail != "'" {
            return Err(format!("malformed character constant: {text}"));
        }
        let code = unit.code();
        number.int = Some(code.into());
        number.uint = Some(code.into());
        number.float = Some(code.into());
        return Ok(number);
    }
    if let Some(imaginary) = text.strip_suffix('i') {
        let split = imaginary
            .rfind(['+', '-'])
            .filter(|at| token.kind == Kind::Complex && *at > 0)
            .unwrap_or(0);
        let (real, imaginary) = imaginary.split_at_checked(split).unwrap_or_default();
        let real = if real.is_empty() { Some(0.0) } else { number::parse_float(real) };
        if let (Some(real), Some(imaginary)) = (real, number::parse_float(imaginary)) {
            set_complex(&mut number, real, imaginary);
            return Ok(number);
        }
    }
    number.uint = number::parse_uint(text);
    number.int = number::parse_int(text);
    if number.int == Some(0) {
        number.uint = Some(0);
    }
    number.float = number.int.map(|int| int as f64).or(number.uint.map(|uint| uint as f64));
    if number.float.is_none()
        && let Some(float) = number::parse_float(text)
    {
        if !text.contains(['.', 'e', 'E', 'p', 'P']) {
            return Err(format!("integer overflow: {}", quote::quote(text.as_bytes())));
        }
        number.float = Some(float);
        number.int = exact_int(float);
        number.uint = exact_uint(float);
    }
    if number.float.is_none() {
        return Err(format!("illegal number syntax: {}", quote::quote(text.as_bytes())));
    }
    Ok(number)
}

fn set_complex(number: &mut Number, real: f64, imaginary: f64) {
    number.complex = Some((real, imaginary));
    if imaginary == 0.0 {
        number.float = Some(real);
        number.int = exact_int(real);
        number.uint = exact_uint(real);
    }
}

fn exact_int(float: f64) -> Option<i64> {
    let int = float as i64;
    (int as f64 == float && float < i64::MAX as f64).then_some(int)
}

fn exact_uint(float: f64) -> Option<u64> {
    let uint = float as u64;
    (uint as f64 == float && float < u64::MAX as f64).then_some(uint)
}
