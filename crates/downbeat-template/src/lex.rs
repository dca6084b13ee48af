//! Cuts template text into tokens; a state machine equal to Go's `text/template/parse/lex.go`.
//!
//! Trim markers and comments are dealt with here, so the parser never sees them.

use crate::quote;
use crate::unicode;

/// The kinds of token. Everything from [`Kind::Block`] on is a keyword.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd)]
pub(crate) enum Kind {
    Error,
    Bool,
    Char,
    CharConstant,
    Complex,
    Assign,
    Declare,
    Eof,
    Field,
    Identifier,
    LeftDelim,
    LeftParen,
    Number,
    Pipe,
    RawString,
    RightDelim,
    RightParen,
    Space,
    String,
    Text,
    Variable,
    Block,
    Break,
    Continue,
    Dot,
    Define,
    Else,
    End,
    If,
    Nil,
    Range,
    Template,
    With,
}

/// A token: its kind, its text and where it starts.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Token<'a> {
    pub(crate) kind: Kind,
    pub(crate) pos: usize,
    pub(crate) text: &'a str,
    pub(crate) line: usize,
}

impl Token<'_> {
    /// Renders the token the way Go's messages show it; an error shows as `problem`.
    pub(crate) fn describe(&self, problem: &str) -> String {
        match self.kind {
            Kind::Eof => "EOF".into(),
            Kind::Error => problem.into(),
            kind if kind >= Kind::Block => format!("<{}>", self.text),
            _ if self.text.len() > 10 => {
                let head: String = self.text.chars().take(10).collect();
                format!("{}...", quote::quote(head.as_bytes()))
            }
            _ => quote::quote(self.text.as_bytes()),
        }
    }
}

const LEFT: &str = "{{";
const RIGHT: &str = "}}";
const SPACES: [char; 4] = [' ', '\t', '\r', '\n'];

pub(crate) struct Lexer<'a> {
    input: &'a str,
    pos: usize,
    /// Where the token in the making starts, and on which line.
    start: usize,
    start_line: usize,
    line: usize,
    paren_depth: usize,
    inside_action: bool,
    /// What is wrong, once an error token was handed out.
    pub(crate) problem: String,
}

impl<'a> Lexer<'a> {
    pub(crate) fn new(input: &'a str) -> Self {
        Self {
            input,
            pos: 0,
            start: 0,
            start_line: 1,
            line: 1,
            paren_depth: 0,
            inside_action: false,
            problem: String::new(),
        }
    }

    pub(crate) fn next_token(&mut self) -> Token<'a> {
        if self.inside_action { self.lex_inside_action() } else { self.lex_text() }
    }

    fn rest(&self) -> &'a str {
        self.input.get(self.pos..).unwrap_or_default()
    }

    fn peek(&self) -> Option<char> {
        match self.input.as_bytes().get(self.pos) {
            Some(byte) if byte.is_ascii() => Some(char::from(*byte)),
            Some(_) => self.rest().chars().next(),
            None => None,
        }
    }

    fn next(&mut self) -> Option<char> {
        let next = self.peek()?;
        self.pos += next.len_utf8();
        if next == '\n' {
            self.line += 1;
        }
        Some(next)
    }

    fn accept(&mut self, valid: &str) -> bool {
        let found = self.peek().is_some_and(|next| valid.contains(next));
        if found {
            self.next();
        }
        found
    }

    fn accept_run(&mut self, valid: &str) {
        while self.accept(valid) {}
    }

    fn current(&self) -> &'a str {
        self.input.get(self.start..self.pos).unwrap_or_default()
    }

    fn emit(&mut self, kind: Kind) -> Token<'a> {
        let token = Token { kind, pos: self.start, text: self.current(), line: self.start_line };
        self.start = self.pos;
        self.start_line = self.line;
        token
    }

    /// Skips text that was not read through `next`, and counts its lines.
    fn ignore(&mut self) {
        self.count_lines();
        self.start = self.pos;
        self.start_line = self.line;
    }

    fn count_lines(&mut self) {
        self.line += self.current().bytes().filter(|byte| *byte == b'\n').count();
    }

    fn error(&mut self, problem: impl Into<String>) -> Token<'a> {
        self.problem = problem.into();
        let token = Token { kind: Kind::Error, pos: self.start, text: "", line: self.start_line };
        self.input = "";
        self.pos = 0;
        self.start = 0;
        token
    }

    /// Scans until an opening delimiter.
    fn lex_text(&mut self) -> Token<'a> {
        loop {
            let Some(offset) = self.rest().find(LEFT) else {
                self.pos = self.input.len();
                if self.pos > self.start {
                    self.count_lines();
                    return self.emit(Kind::Text);
                }
                return self.emit(Kind::Eof);
            };
            if offset > 0 {
                self.pos += offset;
                let after = self.input.get(self.pos + LEFT.len()..).unwrap_or_default();
                let text = self.current();
                let trimmed = if has_left_marker(after) {
                    text.len() - text.trim_end_matches(SPACES).len()
                } else {
                    0
                };
                self.pos -= trimmed;
                self.count_lines();
                let token = self.emit(Kind::Text);
                self.pos += trimmed;
                self.ignore();
                if !token.text.is_empty() {
                    return token;
                }
            }
            match self.lex_left_delim() {
                Some(token) => return token,
                None => continue,
            }
        }
    }

    /// Scans `{{` with its trim marker, and a whole comment, after which there is no token.
    fn lex_left_delim(&mut self) -> Option<Token<'a>> {
        self.pos += LEFT.len();
        let marker = if has_left_marker(self.rest()) { 2 } else { 0 };
        if self.rest().get(marker..).is_some_and(|rest| rest.starts_with("/*")) {
            self.pos += marker;
            self.ignore();
            return self.lex_comment();
        }
        let token = self.emit(Kind::LeftDelim);
        self.inside_action = true;
        self.pos += marker;
        self.ignore();
        self.paren_depth = 0;
        Some(token)
    }

    fn lex_comment(&mut self) -> Option<Token<'a>> {
        self.pos += 2;
        let Some(length) = self.rest().find("*/") else {
            return Some(self.error("unclosed comment"));
        };
        self.pos += length + 2;
        let Some(trim) = self.at_right_delim() else {
            return Some(self.error("comment ends before closing delimiter"));
        };
        self.ignore();
        self.skip_right_delim(trim);
        self.ignore();
        None
    }

    fn skip_right_delim(&mut self, trim: bool) {
        if trim {
            self.pos += 2;
        }
        self.pos += RIGHT.len();
        if trim {
            self.skip_spaces();
        }
    }

    fn skip_spaces(&mut self) {
        let rest = self.rest();
        self.pos += rest.len() - rest.trim_start_matches(SPACES).len();
    }

    /// Returns whether a closing delimiter follows, and if so whether it trims.
    fn at_right_delim(&self) -> Option<bool> {
        let rest = self.rest();
        if has_right_marker(rest) && rest.get(2..).is_some_and(|rest| rest.starts_with(RIGHT)) {
            return Some(true);
        }
        rest.starts_with(RIGHT).then_some(false)
    }

    fn lex_right_delim(&mut self, trim: bool) -> Token<'a> {
        if trim {
            self.pos += 2;
            self.ignore();
        }
        self.pos += RIGHT.len();
        let token = self.emit(Kind::RightDelim);
        if trim {
            self.skip_spaces();
            self.ignore();
        }
        self.inside_action = false;
        token
    }

    fn lex_inside_action(&mut self) -> Token<'a> {
        if let Some(trim) = self.at_right_delim() {
            if self.paren_depth == 0 {
                return self.lex_right_delim(trim);
            }
            return self.error("unclosed left paren");
        }
        let Some(next) = self.next() else { return self.error("unclosed action") };
        match next {
            _ if is_space(next) => self.lex_space(),
            '=' => self.emit(Kind::Assign),
            ':' => {
                if self.next() != Some('=') {
                    return self.error("expected :=");
                }
                self.emit(Kind::Declare)
            }
            '|' => self.emit(Kind::Pipe),
            '"' => self.lex_quoted('"', Kind::String, "unterminated quoted string"),
            '`' => self.lex_raw_quote(),
            '$' => self.lex_field_or_variable(Kind::Variable),
            '\'' => self.lex_quoted('\'', Kind::CharConstant, "unterminated character constant"),
            '.' if self.peek().is_some_and(|after| !after.is_ascii_digit()) => {
                self.lex_field_or_variable(Kind::Field)
            }
            '.' | '+' | '-' | '0'..='9' => {
                self.pos -= 1;
                self.lex_number()
            }
            _ if unicode::is_alphanumeric(next) => self.lex_identifier(),
            '(' => {
                self.paren_depth += 1;
                self.emit(Kind::LeftParen)
            }
            ')' => {
                let Some(depth) = self.paren_depth.checked_sub(1) else {
                    return self.error("unexpected right paren");
                };
                self.paren_depth = depth;
                self.emit(Kind::RightParen)
            }
            ' '..='~' => self.emit(Kind::Char),
            _ => {
                let next = quote::unicode_name(next);
                self.error(format!("unrecognized character in action: {next}"))
            }
        }
    }

    /// Scans a run of spaces, of which one is read; the last may belong to ` -}}`.
    fn lex_space(&mut self) -> Token<'a> {
        let mut count = 1;
        let mut last = self.pos - 1;
        while self.peek().is_some_and(is_space) {
            last = self.pos;
            self.next();
            count += 1;
        }
        let tail = self.input.get(last..).unwrap_or_default();
        if has_right_marker(tail) && tail.get(2..).is_some_and(|tail| tail.starts_with(RIGHT)) {
            if tail.starts_with('\n') {
                self.line -= 1;
            }
            self.pos = last;
            if count == 1 {
                return self.lex_right_delim(true);
            }
        }
        self.emit(Kind::Space)
    }

    fn lex_identifier(&mut self) -> Token<'a> {
        while self.peek().is_some_and(unicode::is_alphanumeric) {
            self.next();
        }
        if !self.at_terminator() {
            return self.bad_character();
        }
        let kind = match self.current() {
            "block" => Kind::Block,
            "break" => Kind::Break,
            "continue" => Kind::Continue,
            "define" => Kind::Define,
            "else" => Kind::Else,
            "end" => Kind::End,
            "if" => Kind::If,
            "nil" => Kind::Nil,
            "range" => Kind::Range,
            "template" => Kind::Template,
            "with" => Kind::With,
            "true" | "false" => Kind::Bool,
            _ => Kind::Identifier,
        };
        self.emit(kind)
    }

    fn lex_field_or_variable(&mut self, kind: Kind) -> Token<'a> {
        if self.at_terminator() {
            return self.emit(if kind == Kind::Variable { kind } else { Kind::Dot });
        }
        while self.peek().is_some_and(unicode::is_alphanumeric) {
            self.next();
        }
        if !self.at_terminator() {
            return self.bad_character();
        }
        self.emit(kind)
    }

    fn bad_character(&mut self) -> Token<'a> {
        let next = self.peek().map(quote::unicode_name).unwrap_or_default();
        self.error(format!("bad character {next}"))
    }

    /// Returns whether an identifier may end here. Breaks `.X.Y` in two, refuses `$x+2`.
    fn at_terminator(&self) -> bool {
        match self.peek() {
            None | Some('.' | ',' | '|' | ':' | ')' | '(') => true,
            Some(next) => is_space(next) || self.rest().starts_with(RIGHT),
        }
    }

    fn lex_quoted(&mut self, end: char, kind: Kind, problem: &str) -> Token<'a> {
        loop {
            match self.next() {
                Some('\\') => {
                    if matches!(self.next(), None | Some('\n')) {
                        return self.error(problem);
                    }
                }
                None | Some('\n') => return self.error(problem),
                Some(next) if next == end => return self.emit(kind),
                Some(_) => {}
            }
        }
    }

    fn lex_raw_quote(&mut self) -> Token<'a> {
        loop {
            match self.next() {
                None => return self.error("unterminated raw quoted string"),
                Some('`') => return self.emit(Kind::RawString),
                Some(_) => {}
            }
        }
    }

    /// Scans a number, not too strictly: the parser looks again.
    fn lex_number(&mut self) -> Token<'a> {
        if !self.scan_number() {
            return self.bad_number();
        }
        if matches!(self.peek(), Some('+' | '-')) {
            if !self.scan_number() || !self.current().ends_with('i') {
                return self.bad_number();
            }
            return self.emit(Kind::Complex);
        }
        self.emit(Kind::Number)
    }

    fn bad_number(&mut self) -> Token<'a> {
        let text = quote::quote(self.current().as_bytes());
        self.error(format!("bad number syntax: {text}"))
    }

    fn scan_number(&mut self) -> bool {
        const DECIMAL: &str = "0123456789_";
        const HEX: &str = "0123456789abcdefABCDEF_";
        self.accept("+-");
        let mut digits = DECIMAL;
        if self.accept("0") {
            if self.accept("xX") {
                digits = HEX;
            } else if self.accept("oO") {
                digits = "01234567_";
            } else if self.accept("bB") {
                digits = "01_";
            }
        }
        self.accept_run(digits);
        if self.accept(".") {
            self.accept_run(digits);
        }
        if digits == DECIMAL && self.accept("eE") || digits == HEX && self.accept("pP") {
            self.accept("+-");
            self.accept_run(DECIMAL);
        }
        self.accept("i");
        if self.peek().is_some_and(unicode::is_alphanumeric) {
            self.next();
            return false;
        }
        true
    }
}

fn is_space(c: char) -> bool {
    SPACES.contains(&c)
}

fn has_left_marker(text: &str) -> bool {
    matches!(text.as_bytes(), [b'-', space, ..] if is_space(char::from(*space)))
}

fn has_right_marker(text: &str) -> bool {
    matches!(text.as_bytes(), [space, b'-', ..] if is_space(char::from(*space)))
}
