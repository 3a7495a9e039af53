//! From text to a tree.
//!
//! A recursive descent over the grammar `parser/gen/CEL.g4` of `cel-go` v0.26, with the limits of its parser
//! and one more: macros that copy their target cannot make a tree larger than [`MOST_NODES`]. Messages are
//! those of cel-go for what people get wrong. Behind a word too much or one too few parsing goes on; behind other
//! syntax errors it ends, where cel-go's parser may recover and tell of more.

use std::sync::Arc;

use super::ast::{Element, Entry, Expr, ExprKind, Field, Literal};
use super::lexer::{self, Token, TokenKind};
use super::macros;
use super::source::{Issues, Place};
use super::stack::deep;
use super::unescape;
use crate::api::names::is_cel_word;

/// The longest expression, in code points. Source: `parser/options.go` of `cel-go` v0.26.
const LONGEST: usize = 100_000;
/// How deep an expression may nest. Source: as above.
pub(super) const DEEPEST: u32 = 250;
/// The most nodes of a tree. cel-go has no such limit, and `x.optMap(..)` copies `x`: a chain of thirty of
/// them would be a thousand million nodes.
pub(super) const MOST_NODES: usize = 200_000;

/// What may begin an expression, and these symbols, in the order of cel-go's words.
fn expression(more: &[&str]) -> String {
    const WORDS: [&str; 18] = [
        "'['",
        "']'",
        "'{'",
        "'}'",
        "'('",
        "')'",
        "'.'",
        "','",
        "'-'",
        "'!'",
        "'?'",
        "'true'",
        "'false'",
        "'null'",
        "NUM_FLOAT",
        "NUM_INT",
        "NUM_UINT",
        "STRING",
    ];
    const OPTIONAL: [&str; 5] = ["']'", "'}'", "')'", "','", "'?'"];
    let expected = WORDS.iter().filter(|word| !OPTIONAL.contains(word) || more.contains(word));
    let mut text = String::from("{");
    for word in expected {
        text.push_str(word);
        text.push_str(", ");
    }
    text.push_str("BYTES, IDENTIFIER}");
    text
}

/// That parsing ended at an issue, which has been reported.
pub(super) struct Stopped;

pub(super) type Parsed<T> = Result<T, Stopped>;

/// Which parts of the language there are.
#[derive(Clone, Copy, Debug)]
pub(super) struct Syntax {
    /// `a.?b`, `a[?b]`, `[?a]`, `{?a: b}` and the macros of optional values.
    pub(super) optionals: bool,
    /// Macros with two variables.
    pub(super) two_variables: bool,
    /// `sortBy`.
    pub(super) sort_by: bool,
    /// `cel.bind`.
    pub(super) bindings: bool,
}

/// The tree of an expression and how many nodes it has, or nothing where there are issues.
pub(super) fn parse(text: &str, syntax: Syntax, issues: &mut Issues<'_>) -> Option<(Expr, usize)> {
    let size = text.chars().count();
    if size > LONGEST {
        let message = format!("expression code point size exceeds limit: size: {size}, limit {LONGEST}");
        issues.report_at(Place::Nowhere, message);
        return None;
    }
    let tokens = lexer::tokens(text, issues);
    let mut parser = Parser { tokens: &tokens, next: 0, depth: 0, nodes: 0, expected: &[], syntax, issues };
    let parsed = parser.whole();
    let nodes = parser.nodes;
    match parsed {
        Ok(tree) if issues.is_empty() => Some((tree, nodes)),
        _ => None,
    }
}

pub(super) struct Parser<'t, 'i, 's> {
    tokens: &'t [Token<'t>],
    next: usize,
    depth: u32,
    nodes: usize,
    /// What may be here beside an expression, for messages.
    expected: &'static [&'static str],
    pub(super) syntax: Syntax,
    pub(super) issues: &'i mut Issues<'s>,
}

/// Binary operators by how tightly they bind, loosest first; `&&` and `||` bind looser than all.
const OPERATORS: [&[&str]; 3] = [&["<", "<=", ">=", ">", "==", "!=", "in"], &["+", "-"], &["*", "/", "%"]];

impl<'t> Parser<'t, '_, '_> {
    fn whole(&mut self) -> Parsed<Expr> {
        let tree = self.expression()?;
        let token = self.peek();
        if token.kind == TokenKind::End {
            return Ok(tree);
        }
        let last = self.peek_at(1).kind == TokenKind::End;
        self.unexpected(if last { "extraneous" } else { "mismatched" }, "<EOF>")
    }

    fn peek(&self) -> Token<'t> {
        self.peek_at(0)
    }

    fn peek_at(&self, ahead: usize) -> Token<'t> {
        self.tokens[(self.next + ahead).min(self.tokens.len() - 1)]
    }

    fn take(&mut self) -> Token<'t> {
        let token = self.peek();
        self.next += 1;
        self.expected = &[];
        token
    }

    fn take_if(&mut self, symbol: &str) -> Option<Token<'t>> {
        self.peek().is(symbol).then(|| self.take())
    }

    /// Ends with `extraneous input 'x' expecting ..` or the like.
    fn unexpected<T>(&mut self, how: &str, expected: &str) -> Parsed<T> {
        let token = self.peek();
        self.stop(token.at, format!("Syntax error: {how} input '{}' expecting {expected}", token.shown()))
    }

    fn stop<T>(&mut self, at: u32, message: impl Into<String>) -> Parsed<T> {
        self.issues.report(at, message);
        Err(Stopped)
    }

    /// Takes a symbol. Where what is there could follow it, it is told of as missing, and parsing goes on.
    fn expect(&mut self, symbol: &'static str, expected: &str) -> Parsed<()> {
        if self.take_if(symbol).is_some() {
            return Ok(());
        }
        let token = self.peek();
        if self.peek_at(1).is(symbol) {
            return self.unexpected("extraneous", expected);
        }
        let follows = match symbol {
            ":" => token.begins_expression(),
            _ => {
                let ends = token.kind == TokenKind::Symbol && !token.begins_expression() && token.text != "?";
                token.kind == TokenKind::End || ends
            }
        };
        if expected.starts_with('\'') && follows {
            let message = format!("Syntax error: missing '{symbol}' at '{}'", token.shown());
            self.issues.report(token.at, message);
            return Ok(());
        }
        self.unexpected("mismatched", expected)
    }

    /// A node with the next index.
    pub(super) fn node(&mut self, at: u32, kind: ExprKind) -> Parsed<Expr> {
        if self.nodes >= MOST_NODES {
            self.issues.report_at(Place::Nowhere, format!("expression node limit exceeded: {MOST_NODES}"));
            return Err(Stopped);
        }
        let mut expr = Expr { id: self.nodes, at, height: 1, kind };
        self.nodes += 1;
        let mut height = 0;
        expr.for_each_child(&mut |child| height = height.max(child.height));
        expr.height = height + 1;
        Ok(expr)
    }

    /// A node of the text itself, whose height is limited.
    fn bounded(&mut self, at: u32, kind: ExprKind) -> Parsed<Expr> {
        let expr = self.node(at, kind)?;
        // Macros make their trees higher than the text is deep.
        if expr.height > DEEPEST * macros::HIGHEST {
            return self.too_deep();
        }
        Ok(expr)
    }

    fn too_deep<T>(&mut self) -> Parsed<T> {
        self.issues.report_at(Place::Nowhere, format!("expression recursion limit exceeded: {DEEPEST}"));
        Err(Stopped)
    }

    pub(super) fn call(&mut self, at: u32, function: &str, args: Vec<Expr>) -> Parsed<Expr> {
        self.bounded(at, ExprKind::Call { function: function.into(), target: None, args })
    }

    fn expression(&mut self) -> Parsed<Expr> {
        self.depth += 1;
        if self.depth > DEEPEST {
            return self.too_deep();
        }
        let expr = deep(|| self.conditional())?;
        self.depth -= 1;
        Ok(expr)
    }

    fn conditional(&mut self) -> Parsed<Expr> {
        let condition = self.logic()?;
        let Some(question) = self.take_if("?") else { return Ok(condition) };
        let truthy = self.logic()?;
        self.expect(":", "':'")?;
        let falsy = self.expression()?;
        self.call(question.at, "_?_:_", vec![condition, truthy, falsy])
    }

    /// Terms of `||`, each of terms of `&&`: both as balanced trees.
    fn logic(&mut self) -> Parsed<Expr> {
        let (mut sums, mut sum_places) = (Vec::new(), Vec::new());
        loop {
            let (mut terms, mut places) = (Vec::new(), Vec::new());
            loop {
                terms.push(Some(self.operators(0)?));
                let Some(operator) = self.take_if("&&") else { break };
                places.push(operator.at);
            }
            sums.push(Some(self.balanced("_&&_", &mut terms, &places)?));
            let Some(operator) = self.take_if("||") else { break };
            sum_places.push(operator.at);
        }
        self.balanced("_||_", &mut sums, &sum_places)
    }

    fn balanced(&mut self, function: &str, terms: &mut [Option<Expr>], places: &[u32]) -> Parsed<Expr> {
        if let [term] = terms {
            return term.take().ok_or(Stopped);
        }
        let middle = places.len() / 2;
        let (left, right) = terms.split_at_mut(middle + 1);
        let left = self.balanced(function, left, &places[..middle])?;
        let right = self.balanced(function, right, &places[middle + 1..])?;
        self.call(places[middle], function, vec![left, right])
    }

    /// Comparisons, sums and products that bind at least as tightly as `loosest`, each from the left.
    fn operators(&mut self, loosest: usize) -> Parsed<Expr> {
        let mut left = self.unary()?;
        let mut links = 0;
        loop {
            let token = self.peek();
            let level = OPERATORS.iter().position(|symbols| symbols.contains(&token.text));
            let Some(level) = level.filter(|it| *it >= loosest && token.kind == TokenKind::Symbol) else {
                return Ok(left);
            };
            links += 1;
            if links > DEEPEST {
                return self.too_deep();
            }
            self.take();
            let right = self.operators(level + 1)?;
            let function = match token.text {
                "in" => "@in".to_owned(),
                symbol => format!("_{symbol}_"),
            };
            left = self.call(token.at, &function, vec![left, right])?;
        }
    }

    fn unary(&mut self) -> Parsed<Expr> {
        let token = self.peek();
        let (symbol, function) = match token.text {
            "!" if token.kind == TokenKind::Symbol => ("!", "!_"),
            "-" if token.kind == TokenKind::Symbol => ("-", "-_"),
            _ => return self.member(None),
        };
        let mut times = 0u32;
        if !(symbol == "-" && self.is_signed_number()) {
            while self.take_if(symbol).is_some() {
                times += 1;
            }
        }
        if self.peek().kind == TokenKind::End {
            return self.no_operand(symbol);
        }
        // The sign of a number is its own.
        let sign = self.is_signed_number().then(|| self.take());
        let operand = self.member(sign)?;
        if times.is_multiple_of(2) { Ok(operand) } else { self.call(token.at, function, vec![operand]) }
    }

    fn is_signed_number(&self) -> bool {
        self.peek().is("-") && matches!(self.peek_at(1).kind, TokenKind::Int | TokenKind::Double)
    }

    fn no_operand<T>(&mut self, symbol: &str) -> Parsed<T> {
        if symbol == "!" {
            return self.unexpected("extraneous", &expression(&[]));
        }
        let at = self.peek().at;
        self.issues.report(at, "Syntax error: no viable alternative at input '-'");
        self.unexpected("mismatched", &expression(&[]))
    }

    /// A primary expression with what is selected from it, indexed and called.
    fn member(&mut self, sign: Option<Token<'t>>) -> Parsed<Expr> {
        let mut expr = self.primary(sign)?;
        let mut links = 0;
        loop {
            let token = self.peek();
            if token.is(".") {
                self.take();
                expr = self.selected(token, expr)?;
            } else if token.is("[") {
                self.take();
                self.expected = &["'?'"];
                let optional = self.optional_mark(token.at, "[?")?;
                let index = self.expression()?;
                self.expect("]", "']'")?;
                expr = self.call(token.at, if optional { "_[?_]" } else { "_[_]" }, vec![expr, index])?;
            } else {
                return Ok(expr);
            }
            links += 1;
            if links > DEEPEST {
                return self.too_deep();
            }
        }
    }

    fn optional_mark(&mut self, at: u32, syntax: &str) -> Parsed<bool> {
        let optional = self.take_if("?").is_some();
        if optional && !self.syntax.optionals {
            return self.stop(at, format!("unsupported syntax '{syntax}'"));
        }
        Ok(optional)
    }

    fn selected(&mut self, dot: Token<'t>, operand: Expr) -> Parsed<Expr> {
        let optional = self.optional_mark(dot.at, ".?")?;
        let name = self.peek();
        let field: Arc<str> = match name.kind {
            TokenKind::Ident => name.text.into(),
            // Names between backquotes are not part of Kubernetes' environments.
            TokenKind::EscapedIdent => return self.stop(name.at, "unsupported syntax: '`'"),
            // What follows is then read as that operator.
            TokenKind::Symbol if name.text == "in" && !optional => {
                self.issues.report(name.at, "Syntax error: no viable alternative at input '.in'");
                return Ok(operand);
            }
            _ => return self.no_name(name),
        };
        self.take();
        if !optional && let Some(open) = self.take_if("(") {
            let args = self.arguments()?;
            return self.received(open.at, field, operand, args);
        }
        if optional {
            let field = self.node(name.at, ExprKind::Literal(Literal::String(field)))?;
            return self.call(dot.at, "_?._", vec![operand, field]);
        }
        self.bounded(dot.at, ExprKind::Select { operand: Box::new(operand), field, test: false })
    }

    fn no_name<T>(&mut self, token: Token<'t>) -> Parsed<T> {
        let message = match token.text {
            "true" | "false" | "null" => format!("mismatched input '{}' expecting IDENTIFIER", token.text),
            _ => format!("no viable alternative at input '.{}'", token.text),
        };
        self.stop(token.at, format!("Syntax error: {message}"))
    }

    /// `target.function(args)`, or what the macro of that name makes of it.
    fn received(&mut self, at: u32, function: Arc<str>, target: Expr, args: Vec<Expr>) -> Parsed<Expr> {
        match macros::receiver(self, at, &function, target, args)? {
            macros::Expanded::To(expr) => Ok(expr),
            macros::Expanded::No(target, args) => {
                self.bounded(at, ExprKind::Call { function, target: Some(Box::new(target)), args })
            }
        }
    }

    /// Arguments and the closing bracket.
    fn arguments(&mut self) -> Parsed<Vec<Expr>> {
        let mut args = Vec::new();
        if self.take_if(")").is_some() {
            return Ok(args);
        }
        self.expected = &["')'"];
        loop {
            args.push(self.expression()?);
            if self.take_if(",").is_none() {
                self.expect(")", "')'")?;
                return Ok(args);
            }
        }
    }

    fn primary(&mut self, sign: Option<Token<'t>>) -> Parsed<Expr> {
        let token = self.peek();
        match token.kind {
            TokenKind::Symbol => match token.text {
                "(" => {
                    self.take();
                    let expr = self.expression()?;
                    self.expect(")", "')'")?;
                    Ok(expr)
                }
                "[" => self.list(),
                "{" => self.map(),
                "." => self.named(),
                "true" | "false" => self.literal(Literal::Bool(token.text == "true")),
                "null" => self.literal(Literal::Null),
                _ => self.no_expression(sign),
            },
            TokenKind::Ident => self.named(),
            TokenKind::EscapedIdent | TokenKind::End => self.no_expression(sign),
            TokenKind::Int | TokenKind::Uint | TokenKind::Double => self.number(sign),
            TokenKind::String => match unescape::string(token.text) {
                Ok(text) => self.literal(Literal::String(text.into())),
                Err(wrong) => self.stop(token.at, wrong),
            },
            TokenKind::Bytes => match unescape::bytes(token.text) {
                Ok(bytes) => self.literal(Literal::Bytes(bytes.into())),
                Err(wrong) => self.stop(token.at, wrong),
            },
        }
    }

    /// There is no expression here. One word too much before one is told of, and passed by.
    fn no_expression(&mut self, sign: Option<Token<'t>>) -> Parsed<Expr> {
        let expected = std::mem::take(&mut self.expected);
        let next = self.peek_at(1);
        let closes = |symbol: &&str| next.is(symbol.trim_matches('\''));
        if next.begins_expression() {
            let token = self.peek();
            let message = format!(
                "Syntax error: extraneous input '{}' expecting {}",
                token.shown(),
                expression(expected)
            );
            self.issues.report(token.at, message);
            self.take();
            return self.primary(sign);
        }
        let how = if expected.iter().any(closes) { "extraneous" } else { "mismatched" };
        self.unexpected(how, &expression(expected))
    }

    fn literal(&mut self, literal: Literal) -> Parsed<Expr> {
        let token = self.take();
        self.node(token.at, ExprKind::Literal(literal))
    }

    fn number(&mut self, sign: Option<Token<'t>>) -> Parsed<Expr> {
        let token = self.take();
        let at = sign.map_or(token.at, |sign| sign.at);
        let signed = |digits: &str| if sign.is_some() { format!("-{digits}") } else { digits.to_owned() };
        let literal = match token.kind {
            TokenKind::Double => {
                // A number too large is none, as in Go.
                signed(token.text).parse().ok().filter(|it: &f64| it.is_finite()).map(Literal::Double)
            }
            TokenKind::Uint => {
                let digits = &token.text[..token.text.len() - 1];
                match digits.strip_prefix("0x") {
                    Some(digits) => u64::from_str_radix(digits, 16),
                    None => digits.parse(),
                }
                .ok()
                .map(Literal::Uint)
            }
            _ => match token.text.strip_prefix("0x") {
                Some(digits) => i64::from_str_radix(&signed(digits), 16),
                None => signed(token.text).parse(),
            }
            .ok()
            .map(Literal::Int),
        };
        let kind = match token.kind {
            TokenKind::Double => "double",
            TokenKind::Uint => "uint",
            _ => "int",
        };
        match literal {
            Some(literal) => self.node(at, ExprKind::Literal(literal)),
            None => self.stop(at, format!("invalid {kind} literal")),
        }
    }

    /// A variable, a call of a function, or a message.
    fn named(&mut self) -> Parsed<Expr> {
        let dot = self.take_if(".");
        let token = self.peek();
        if token.kind != TokenKind::Ident {
            return match dot {
                Some(_) if token.kind == TokenKind::Symbol => self.no_name(token),
                _ => self.unexpected("mismatched", "IDENTIFIER"),
            };
        }
        self.take();
        let name = format!("{}{}", if dot.is_some() { "." } else { "" }, token.text);
        if self.begins_message() {
            return self.message(name);
        }
        let at = dot.map_or(token.at, |dot| dot.at);
        if is_cel_word(token.text) {
            return self.stop(at, format!("reserved identifier: {}", token.text));
        }
        let Some(open) = self.take_if("(") else { return self.node(token.at, ExprKind::Ident(name.into())) };
        let args = self.arguments()?;
        match macros::global(self, open.at, &name, args)? {
            macros::Expanded::To(expr) => Ok(expr),
            macros::Expanded::No((), args) => self.call(open.at, &name, args),
        }
    }

    /// Whether names and dots up to `{` follow.
    fn begins_message(&self) -> bool {
        let mut ahead = 0;
        while self.peek_at(ahead).is(".") && self.peek_at(ahead + 1).kind == TokenKind::Ident {
            ahead += 2;
        }
        self.peek_at(ahead).is("{")
    }

    fn message(&mut self, mut name: String) -> Parsed<Expr> {
        while self.take_if(".").is_some() {
            name.push('.');
            name.push_str(self.take().text);
        }
        let open = self.take();
        if !self.peek().is("}")
            && !self.peek().is("?")
            && !self.peek().is(",")
            && self.peek().kind != TokenKind::Ident
        {
            return self.unexpected("mismatched", "{'}', ',', '?', IDENTIFIER, ESC_IDENTIFIER}");
        }
        let mut fields = Vec::new();
        while self.peek().is("?") || matches!(self.peek().kind, TokenKind::Ident) {
            let optional = self.optional_mark(open.at, "?")?;
            if self.peek().kind != TokenKind::Ident {
                return self.unexpected("mismatched", "{IDENTIFIER, ESC_IDENTIFIER}");
            }
            let field = self.take().text.into();
            let at = self.peek().at;
            self.expect(":", "':'")?;
            fields.push(Field { name: field, at, value: self.expression()?, optional });
            if self.take_if(",").is_none() {
                break;
            }
        }
        self.expect("}", "{'}', ','}")?;
        self.bounded(open.at, ExprKind::Struct { name: name.into(), fields })
    }

    fn list(&mut self) -> Parsed<Expr> {
        let open = self.take();
        let mut elements = Vec::new();
        if self.take_if(",").is_none() {
            self.expected = &["']'", "','", "'?'"];
            while !self.peek().is("]") {
                let mark = self.peek();
                let optional = self.optional_mark(mark.at, "?")?;
                elements.push(Element { value: self.expression()?, optional });
                if self.take_if(",").is_none() {
                    self.expect("]", "{']', ','}")?;
                    return self.bounded(open.at, ExprKind::List(elements));
                }
                if !self.goes_on() {
                    break;
                }
            }
        }
        self.expect("]", "']'")?;
        self.bounded(open.at, ExprKind::List(elements))
    }

    /// Whether another element follows a comma.
    fn goes_on(&self) -> bool {
        self.peek().begins_expression() || self.peek().is("?")
    }

    fn map(&mut self) -> Parsed<Expr> {
        let open = self.take();
        let mut entries = Vec::new();
        if self.take_if(",").is_none() {
            self.expected = &["'}'", "','", "'?'"];
            while !self.peek().is("}") {
                let mark = self.peek();
                let optional = self.optional_mark(mark.at, "?")?;
                let key = self.expression()?;
                self.expect(":", "':'")?;
                entries.push(Entry { key, value: self.expression()?, optional });
                if self.take_if(",").is_none() {
                    self.expect("}", "{'}', ','}")?;
                    return self.bounded(open.at, ExprKind::Map(entries));
                }
                if !self.goes_on() {
                    break;
                }
            }
        }
        self.expect("}", "'}'")?;
        self.bounded(open.at, ExprKind::Map(entries))
    }
}
