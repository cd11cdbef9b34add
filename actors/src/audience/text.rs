//! An audience as text again, in one spelling: what was parsed reads back as what it was.

use std::fmt::{self, Display, Formatter};

use carillon_sdk::Timestamp;

use super::lexer::is_of_word;
use super::{Audience, Compare, Event, Fact, Side};

impl Display for Audience {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Everybody => f.write_str("everybody"),
            // None of nothing is wrong, and nothing of nothing is right.
            Self::All(parts) if parts.is_empty() => f.write_str("everybody"),
            Self::Any(parts) if parts.is_empty() => f.write_str("not everybody"),
            Self::All(parts) | Self::Any(parts) if parts.len() == 1 => parts[0].fmt(f),
            Self::All(parts) => join(f, parts, " and ", |part| part.is_chain()),
            Self::Any(parts) => match list(parts) {
                Some(field) => write_list(f, field, parts),
                None => {
                    join(f, parts, " or ", |part| matches!(part.inner(), Self::Any(_)) && part.is_chain())
                }
            },
            Self::Not(part) => match part.inner() {
                Self::Is(fact) if fact.equality().is_some() => write_fact(f, fact, true),
                inner if inner.is_chain() => write!(f, "not ({inner})"),
                inner => write!(f, "not {inner}"),
            },
            Self::Is(fact) => write_fact(f, fact, false),
        }
    }
}

impl Audience {
    /// Itself, or the one part of a chain of one.
    fn inner(&self) -> &Self {
        match self {
            Self::All(parts) | Self::Any(parts) if parts.len() == 1 => parts[0].inner(),
            other => other,
        }
    }

    /// Whether it is written with a word between parts, so that it needs parentheses within others.
    fn is_chain(&self) -> bool {
        match self.inner() {
            Self::All(parts) => parts.len() > 1,
            Self::Any(parts) => parts.len() > 1 && list(parts).is_none(),
            _ => false,
        }
    }
}

fn join(f: &mut Formatter<'_>, parts: &[Audience], word: &str, wrap: fn(&Audience) -> bool) -> fmt::Result {
    for (at, part) in parts.iter().enumerate() {
        if at > 0 {
            f.write_str(word)?;
        }
        if wrap(part) { write!(f, "({part})")? } else { part.fmt(f)? }
    }
    Ok(())
}

/// The field, when each part says that this field is something.
fn list(parts: &[Audience]) -> Option<&'static str> {
    let field = |part: &Audience| match part {
        Audience::Is(fact) => fact.equality().map(|(field, _)| field),
        _ => None,
    };
    let first = field(parts.first()?)?;
    parts.iter().all(|part| field(part) == Some(first)).then_some(first)
}

fn write_list(f: &mut Formatter<'_>, field: &str, parts: &[Audience]) -> fmt::Result {
    write!(f, "{field} in (")?;
    for (at, part) in parts.iter().enumerate() {
        if let Audience::Is(fact) = part
            && let Some((_, value)) = fact.equality()
        {
            write!(f, "{}{value}", if at > 0 { ", " } else { "" })?;
        }
    }
    f.write_str(")")
}

impl Fact {
    /// Field and value, of a fact that says that one is the other.
    fn equality(&self) -> Option<(&'static str, Value<'_>)> {
        Some(match self {
            Self::Platform(platform) => ("platform", Value(platform.as_str())),
            Self::Maker(maker) => ("maker", Value(maker)),
            Self::Version(Compare::Equal, version) => ("app_version", Value(version)),
            Self::Channel(channel) => ("channel", Value(channel)),
            Self::Locale(locale) => ("locale", Value(locale)),
            Self::Tag(tag) => ("tag", Value(tag)),
            Self::UserTag(tag) => ("user_tag", Value(tag)),
            _ => return None,
        })
    }
}

fn write_fact(f: &mut Formatter<'_>, fact: &Fact, not: bool) -> fmt::Result {
    if let Some((field, value)) = fact.equality() {
        return write!(f, "{field} {} {value}", if not { "!=" } else { "=" });
    }
    if let Some(time) = fact.as_time() {
        let event = match time.event {
            Event::Registered => "registered",
            Event::Seen => "seen",
            Event::Bound => "bound",
            Event::Unbound => "unbound",
        };
        let side = match time.side {
            Side::Since => ">=",
            Side::Before => "<",
        };
        return write!(f, "{event} {side} {}", Moment(time.at()));
    }
    match fact {
        Fact::Version(compare, version) => {
            write!(f, "app_version {} {}", operator(*compare), Value(version))
        }
        _ => f.write_str("bound"),
    }
}

const fn operator(compare: Compare) -> &'static str {
    match compare {
        Compare::Less => "<",
        Compare::LessOrEqual => "<=",
        Compare::Equal => "=",
        Compare::GreaterOrEqual => ">=",
        Compare::Greater => ">",
    }
}

/// A value, in quotes where it needs them.
struct Value<'a>(&'a str);

impl Display for Value<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let keyword = ["and", "or", "not"].iter().any(|word| self.0.eq_ignore_ascii_case(word));
        if !self.0.is_empty() && !keyword && self.0.chars().all(is_of_word) {
            return f.write_str(self.0);
        }
        f.write_str("\"")?;
        for c in self.0.chars() {
            if matches!(c, '"' | '\\') {
                f.write_str("\\")?;
            }
            write!(f, "{c}")?;
        }
        f.write_str("\"")
    }
}

/// To the second, as RFC 3339 has it.
struct Moment(Timestamp);

impl Display for Moment {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let seconds = i64::try_from(self.0.as_secs()).unwrap_or(i64::MAX);
        match jiff::Timestamp::from_second(seconds) {
            Ok(moment) => moment.fmt(f),
            // Beyond what a calendar has: milliseconds read back too.
            Err(_) => self.0.as_millis().fmt(f),
        }
    }
}
