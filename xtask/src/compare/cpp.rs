//! As much of the C preprocessor as headers of constants need: `#define`, and what an expression of integers is.
//!
//! Conditions are not looked at: what stands in both branches of one is there twice. A macro that is no integer
//! expression (a cast, a statement, a string) is no number, and says so when it is asked for one.

use std::collections::BTreeMap;

/// A `#define` as it is written, its comments gone and its lines joined.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Define {
    pub(super) name: String,
    /// `None` where the name stands for itself, else the names of the arguments.
    pub(super) parameters: Option<Vec<String>>,
    pub(super) body: String,
}

/// Every `#define` of a header that has a body, in order.
pub(super) fn defines(text: &str) -> Vec<Define> {
    let text = without_comments(text).replace("\\\n", " ");
    text.lines().filter_map(define).collect()
}

fn without_comments(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find("/*") {
        plain.push_str(&rest[..start]);
        let Some(length) = rest[start..].find("*/") else { return plain };
        plain.push(' ');
        rest = &rest[start + length + 2..];
    }
    plain.push_str(rest);
    plain
}

fn define(line: &str) -> Option<Define> {
    let rest = line.trim_start().strip_prefix('#')?.trim_start().strip_prefix("define")?;
    let rest = rest.strip_prefix([' ', '\t'])?.trim();
    let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(rest.len());
    let (name, rest) = rest.split_at(end);
    // A parenthesis belongs to the name only if it touches it.
    let (parameters, body) = match rest.strip_prefix('(') {
        Some(rest) => {
            let (list, body) = rest.split_once(')')?;
            (Some(list.split(',').map(|one| one.trim().to_owned()).collect()), body)
        }
        None => (None, rest),
    };
    let body = body.trim().to_owned();
    (!name.is_empty() && !body.is_empty()).then(|| Define { name: name.to_owned(), parameters, body })
}

/// All names that expressions may use.
#[derive(Debug, Default)]
pub(super) struct Names {
    all: BTreeMap<String, Define>,
}

impl Names {
    /// The last definition of a name counts, as in C.
    pub(super) fn add(&mut self, define: Define) {
        self.all.insert(define.name.clone(), define);
    }

    /// What `define` is with these `arguments`, as the 32 bits that a register has.
    pub(super) fn value(&self, define: &Define, arguments: &[i64]) -> Result<u32, String> {
        let value = self.call(define, arguments, 0)?;
        u32::try_from(value)
            .or_else(|_| i32::try_from(value).map(i32::cast_unsigned))
            .map_err(|_| format!("{value:#x} has more than 32 bits"))
    }

    fn call(&self, define: &Define, arguments: &[i64], depth: u32) -> Result<i64, String> {
        if depth > 16 {
            return Err(format!("{} stands for itself", define.name));
        }
        let names = define.parameters.as_deref().unwrap_or_default();
        if names.len() != arguments.len() {
            return Err(format!("{} takes {} arguments", define.name, names.len()));
        }
        let bound = names.iter().map(String::as_str).zip(arguments.iter().copied()).collect();
        let mut parser = Parser { names: self, bound, tokens: tokens(&define.body)?, at: 0, depth };
        let value = parser.choice()?;
        if parser.at == parser.tokens.len() { Ok(value) } else { Err("more than an expression".into()) }
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Token {
    Number(i64),
    Name(String),
    Sign(&'static str),
}

const SIGNS: [&str; 25] = [
    "<<", ">>", "<=", ">=", "==", "!=", "&&", "||", "<", ">", "+", "-", "*", "/", "%", "&", "|", "^", "~",
    "!", "?", ":", "(", ")", ",",
];

fn tokens(text: &str) -> Result<Vec<Token>, String> {
    let mut list = Vec::new();
    let mut rest = text.trim_start();
    while let Some(first) = rest.chars().next() {
        let word = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(rest.len());
        if first.is_ascii_digit() {
            list.push(Token::Number(number(&rest[..word])?));
            rest = &rest[word..];
        } else if word > 0 {
            list.push(Token::Name(rest[..word].to_owned()));
            rest = &rest[word..];
        } else {
            let sign = SIGNS.into_iter().find(|sign| rest.starts_with(sign));
            let sign = sign.ok_or_else(|| format!("`{first}` is in no expression of integers"))?;
            list.push(Token::Sign(sign));
            rest = &rest[sign.len()..];
        }
        rest = rest.trim_start();
    }
    Ok(list)
}

fn number(text: &str) -> Result<i64, String> {
    let plain = text.trim_end_matches(['u', 'U', 'l', 'L']);
    let lower = plain.to_ascii_lowercase();
    let (digits, radix) = match lower.strip_prefix("0x") {
        Some(digits) => (digits, 16),
        None if lower.len() > 1 && lower.starts_with('0') => (&lower[1..], 8),
        None => (lower.as_str(), 10),
    };
    i64::from_str_radix(digits, radix).map_err(|_| format!("`{text}` is no number"))
}

/// Recursive descent, one function for what C gives one precedence to where that matters here.
struct Parser<'a> {
    names: &'a Names,
    bound: BTreeMap<&'a str, i64>,
    tokens: Vec<Token>,
    at: usize,
    depth: u32,
}

/// C's binary operators, loosest first.
const LEVELS: [&[&str]; 10] = [
    &["||"],
    &["&&"],
    &["|"],
    &["^"],
    &["&"],
    &["==", "!="],
    &["<", "<=", ">", ">="],
    &["<<", ">>"],
    &["+", "-"],
    &["*", "/", "%"],
];

impl Parser<'_> {
    fn take(&mut self, sign: &str) -> bool {
        let here = matches!(self.tokens.get(self.at), Some(Token::Sign(found)) if *found == sign);
        self.at += usize::from(here);
        here
    }

    fn need(&mut self, sign: &str) -> Result<(), String> {
        if self.take(sign) { Ok(()) } else { Err(format!("`{sign}` is missing")) }
    }

    fn choice(&mut self) -> Result<i64, String> {
        let condition = self.binary(0)?;
        if !self.take("?") {
            return Ok(condition);
        }
        let yes = self.choice()?;
        self.need(":")?;
        let no = self.choice()?;
        Ok(if condition != 0 { yes } else { no })
    }

    fn binary(&mut self, level: usize) -> Result<i64, String> {
        let Some(signs) = LEVELS.get(level) else { return self.unary() };
        let mut left = self.binary(level + 1)?;
        while let Some(sign) = signs.iter().find(|sign| self.take(sign)) {
            let right = self.binary(level + 1)?;
            let shift = || u32::try_from(right).ok().filter(|bits| *bits < 63).ok_or("a shift too far");
            left = match *sign {
                "||" => i64::from(left != 0 || right != 0),
                "&&" => i64::from(left != 0 && right != 0),
                "|" => left | right,
                "^" => left ^ right,
                "&" => left & right,
                "==" => i64::from(left == right),
                "!=" => i64::from(left != right),
                "<" => i64::from(left < right),
                "<=" => i64::from(left <= right),
                ">" => i64::from(left > right),
                ">=" => i64::from(left >= right),
                "<<" => left.checked_shl(shift()?).unwrap_or(0),
                ">>" => left >> shift()?,
                "+" => left.checked_add(right).ok_or("a sum too large")?,
                "-" => left.checked_sub(right).ok_or("a difference too large")?,
                "*" => left.checked_mul(right).ok_or("a product too large")?,
                "/" => left.checked_div(right).ok_or("a division by zero")?,
                _ => left.checked_rem(right).ok_or("a division by zero")?,
            };
        }
        Ok(left)
    }

    fn unary(&mut self) -> Result<i64, String> {
        if self.take("~") {
            return Ok(!self.unary()?);
        }
        if self.take("-") {
            return self.unary()?.checked_neg().ok_or_else(|| "a number too large".into());
        }
        if self.take("!") {
            return Ok(i64::from(self.unary()? == 0));
        }
        if self.take("(") {
            let value = self.choice()?;
            self.need(")")?;
            return Ok(value);
        }
        let token = self.tokens.get(self.at).cloned();
        self.at += 1;
        match token {
            Some(Token::Number(value)) => Ok(value),
            Some(Token::Name(name)) => self.name(&name),
            Some(Token::Sign(sign)) => Err(format!("`{sign}` where a number should be")),
            None => Err("nothing where a number should be".into()),
        }
    }

    fn name(&mut self, name: &str) -> Result<i64, String> {
        if let Some(value) = self.bound.get(name) {
            return Ok(*value);
        }
        let define = self.names.all.get(name).ok_or_else(|| format!("`{name}` is defined nowhere"))?;
        let mut arguments = Vec::new();
        if define.parameters.is_some() {
            self.need("(")?;
            loop {
                arguments.push(self.choice()?);
                if !self.take(",") {
                    break;
                }
            }
            self.need(")")?;
        }
        self.names.call(define, &arguments, self.depth + 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEADER: &str = "
#ifndef GUARD
#define GUARD
#define A_SHIFT\t7 /* a comment */
#define A_MASK (0x7U << A_SHIFT) /* over
 two lines */
#define\tLONG ( \\
    A_MASK | \\
    0X10)
#define QUEUE(_n) ((_n) < 4 ? (0x2800 + ((_n) * 0x100)) : \\
    (0xC000 + ((_n) * 0x40)))
#define OTHER(_i) QUEUE(_i + 1)
#define TOP (1 << 31)
#define CAST ((u8 *)0)
#define LOOP LOOP
#endif
";

    fn value(name: &str, arguments: &[i64]) -> Result<u32, String> {
        let mut names = Names::default();
        for define in defines(HEADER) {
            names.add(define);
        }
        names.value(&names.all[name], arguments)
    }

    #[test]
    fn constants_and_macros_have_values() {
        assert_eq!(value("A_MASK", &[]), Ok(0x380));
        assert_eq!(value("LONG", &[]), Ok(0x390));
        assert_eq!(value("TOP", &[]), Ok(0x8000_0000));
        assert_eq!([0, 3, 4, 15].map(|n| value("QUEUE", &[n]).unwrap()), [0x2800, 0x2B00, 0xC100, 0xC3C0]);
        assert_eq!(value("OTHER", &[3]), Ok(0xC100));
    }

    #[test]
    fn what_is_no_number_says_why() {
        assert_eq!(value("CAST", &[]).unwrap_err(), "`u8` is defined nowhere");
        assert_eq!(value("LOOP", &[]).unwrap_err(), "LOOP stands for itself");
        assert_eq!(value("QUEUE", &[]).unwrap_err(), "QUEUE takes 1 arguments");
        assert_eq!(defines(HEADER).len(), 8, "a guard has no body");
    }

    #[test]
    fn operators_bind_as_in_c() {
        let names = Names::default();
        let value =
            |body: &str| names.value(&Define { name: "X".into(), parameters: None, body: body.into() }, &[]);
        assert_eq!(value("1 | 2 << 1 + 1 == 8"), Ok(1 | u32::from((2 << (1 + 1)) == 8)));
        assert_eq!(value("~0xFF & 0xFFFF"), Ok(0xFF00));
        assert_eq!(value("010 + 10UL"), Ok(18));
        assert_eq!(value("!0 ? 7 / 2 : 1 / 0").unwrap_err(), "a division by zero");
        assert_eq!(value("0x1FFFFFFFF").unwrap_err(), "0x1ffffffff has more than 32 bits");
    }
}
