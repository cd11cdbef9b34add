//! The words of the language, each with its place.

use std::fmt;

use super::TEXT_BYTES_MAX;

/// Where a text stops being an audience, and what would have been one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SyntaxError {
    /// In bytes, from 0.
    pub offset: usize,
    /// In characters, from 1.
    pub column: usize,
    pub expected: String,
    pub found: String,
}

impl fmt::Display for SyntaxError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { offset, column, expected, found } = self;
        write!(f, "at byte {offset} (column {column}): expected {expected}, found {found}")
    }
}

impl std::error::Error for SyntaxError {}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Token {
    /// A bare word: a name, a keyword, a number, a date.
    Word(String),
    /// In quotes, single or double.
    Quoted(String),
    Open,
    Close,
    Comma,
    /// `=`, `!=`, `<`, `<=`, `>`, `>=`.
    Operator(&'static str),
    And,
    Or,
    Not,
    End,
}

impl fmt::Display for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Word(word) | Self::Quoted(word) => write!(f, "{word:?}"),
            Self::Open => f.write_str("\"(\""),
            Self::Close => f.write_str("\")\""),
            Self::Comma => f.write_str("\",\""),
            Self::Operator(operator) => write!(f, "{operator:?}"),
            Self::And => f.write_str("\"and\""),
            Self::Or => f.write_str("\"or\""),
            Self::Not => f.write_str("\"not\""),
            Self::End => f.write_str("the end"),
        }
    }
}

/// A token and where it begins, in bytes.
pub(super) type Placed = (Token, usize);

/// Longer ones first.
const MARKS: &[(&str, Token)] = &[
    ("&&", Token::And),
    ("||", Token::Or),
    ("==", Token::Operator("=")),
    ("!=", Token::Operator("!=")),
    ("<>", Token::Operator("!=")),
    ("<=", Token::Operator("<=")),
    (">=", Token::Operator(">=")),
    ("=", Token::Operator("=")),
    ("<", Token::Operator("<")),
    (">", Token::Operator(">")),
    ("!", Token::Not),
    ("(", Token::Open),
    (")", Token::Close),
    (",", Token::Comma),
];

pub(super) fn error(
    text: &str,
    offset: usize,
    expected: impl Into<String>,
    found: impl Into<String>,
) -> SyntaxError {
    let before = text.get(..offset).unwrap_or(text);
    SyntaxError { offset, column: before.chars().count() + 1, expected: expected.into(), found: found.into() }
}

/// All of a text's tokens, [`Token::End`] last.
pub(super) fn tokens(text: &str) -> Result<Vec<Placed>, SyntaxError> {
    if text.len() > TEXT_BYTES_MAX {
        return Err(error(text, 0, format!("at most {TEXT_BYTES_MAX} bytes"), format!("{}", text.len())));
    }
    let mut tokens = Vec::new();
    let mut at = 0;
    while let Some(first) = text[at..].chars().next() {
        if first.is_whitespace() {
            at += first.len_utf8();
            continue;
        }
        let (token, end) = token(text, at, first)?;
        tokens.push((token, at));
        at = end;
    }
    tokens.push((Token::End, text.len()));
    Ok(tokens)
}

fn token(text: &str, at: usize, first: char) -> Result<(Token, usize), SyntaxError> {
    let rest = &text[at..];
    if first == '"' || first == '\'' {
        return quoted(text, at, first);
    }
    if let Some((mark, token)) = MARKS.iter().find(|(mark, _)| rest.starts_with(mark)) {
        return Ok((token.clone(), at + mark.len()));
    }
    let length = rest.find(|c: char| !is_of_word(c)).unwrap_or(rest.len());
    if length == 0 {
        return Err(error(text, at, "a name, a value or a parenthesis", format!("{first:?}")));
    }
    let word = &rest[..length];
    let token = match word.to_ascii_lowercase().as_str() {
        "and" => Token::And,
        "or" => Token::Or,
        "not" => Token::Not,
        _ => Token::Word(word.to_owned()),
    };
    Ok((token, at + length))
}

/// What may stand in a value without quotes.
pub(super) fn is_of_word(c: char) -> bool {
    c.is_alphanumeric() || matches!(c, '_' | '-' | '.' | ':' | '+' | '/' | '@' | '#')
}

fn quoted(text: &str, at: usize, quote: char) -> Result<(Token, usize), SyntaxError> {
    let mut value = String::new();
    let mut chars = text[at + 1..].char_indices();
    while let Some((place, c)) = chars.next() {
        match c {
            '\\' => match chars.next() {
                Some((_, escaped)) => value.push(escaped),
                None => break,
            },
            c if c == quote => return Ok((Token::Quoted(value), at + 1 + place + 1)),
            c => value.push(c),
        }
    }
    Err(error(text, text.len(), format!("the {quote} that ends the text begun at byte {at}"), "the end"))
}
