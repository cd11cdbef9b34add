//! The grammar, by recursive descent.
//!
//! ```text
//!  any    = all { "or" all }
//!  all    = no { "and" no }
//!  no     = { "not" } ( "(" any ")" | fact )
//!  fact   = "everybody" | "bound" | "unbound"
//!         | name ( "=" | "!=" | "<" | "<=" | ">" | ">=" ) value
//!         | name [ "not" ] "in" "(" value { "," value } ")"
//!         | name ( "since" | "before" ) moment | name "within" span
//! ```

use carillon_sdk::api::Platform;
use carillon_sdk::{Timestamp, Ttl, Vendor};

use super::lexer::{Placed, SyntaxError, Token, error, tokens};
use super::{Audience, Compare, DEPTH_MAX, Event, Fact, OWN_CHANNEL, TAG_BYTES_MAX, is_tag};

/// Smallest number that is read as milliseconds since 1970: in 1973.
const MILLIS_MIN: u64 = 100_000_000_000;

/// Longest maker, version or locale, in bytes: no device has a longer one.
const ATTRIBUTE_BYTES_MAX: usize = 64;

const NAMES: &str = "platform, app_version, maker, channel, locale, tag, user_tag, bound, unbound, seen, \
                     registered, everybody, \"not\" or \"(\"";

pub(super) fn parse(text: &str, now: Timestamp) -> Result<Audience, SyntaxError> {
    let mut parser = Parser { text, tokens: tokens(text)?, at: 0, depth: 0, now };
    let audience = parser.any()?;
    match parser.peek() {
        Token::End => Ok(audience),
        _ => Err(parser.expected("\"and\", \"or\" or the end")),
    }
}

struct Parser<'a> {
    text: &'a str,
    tokens: Vec<Placed>,
    at: usize,
    depth: usize,
    now: Timestamp,
}

/// What a name is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Field {
    Platform,
    Version,
    Maker,
    Channel,
    Locale,
    Tag,
    UserTag,
    When(Event),
}

/// How a name may be written; `-` is `_`, and case does not count.
const FIELDS: &[(&str, Field)] = &[
    ("platform", Field::Platform),
    ("os", Field::Platform),
    ("app_version", Field::Version),
    ("version", Field::Version),
    ("maker", Field::Maker),
    ("manufacturer", Field::Maker),
    ("channel", Field::Channel),
    ("locale", Field::Locale),
    ("language", Field::Locale),
    ("tag", Field::Tag),
    ("device_tag", Field::Tag),
    ("user_tag", Field::UserTag),
    ("seen", Field::When(Event::Seen)),
    ("last_seen", Field::When(Event::Seen)),
    ("registered", Field::When(Event::Registered)),
    ("bound", Field::When(Event::Bound)),
    ("unbound", Field::When(Event::Unbound)),
];

impl Parser<'_> {
    fn peek(&self) -> &Token {
        &self.tokens[self.at].0
    }

    fn offset(&self) -> usize {
        self.tokens[self.at].1
    }

    /// The token here; the end is never passed.
    fn next(&mut self) -> Token {
        let token = self.peek().clone();
        self.at = (self.at + 1).min(self.tokens.len() - 1);
        token
    }

    fn expected(&self, what: impl Into<String>) -> SyntaxError {
        error(self.text, self.offset(), what, self.peek().to_string())
    }

    fn is_word(&self, word: &str) -> bool {
        matches!(self.peek(), Token::Word(here) if here.eq_ignore_ascii_case(word))
    }

    fn take_word(&mut self, word: &str) -> bool {
        let here = self.is_word(word);
        if here {
            self.next();
        }
        here
    }

    fn any(&mut self) -> Result<Audience, SyntaxError> {
        self.chain(&Token::Or, Self::all, Audience::Any)
    }

    fn all(&mut self) -> Result<Audience, SyntaxError> {
        self.chain(&Token::And, Self::no, Audience::All)
    }

    fn chain(
        &mut self,
        word: &Token,
        part: fn(&mut Self) -> Result<Audience, SyntaxError>,
        made: fn(Vec<Audience>) -> Audience,
    ) -> Result<Audience, SyntaxError> {
        let first = part(self)?;
        if self.peek() != word {
            return Ok(first);
        }
        let mut parts = vec![first];
        while self.peek() == word {
            self.next();
            parts.push(part(self)?);
        }
        Ok(made(parts))
    }

    fn no(&mut self) -> Result<Audience, SyntaxError> {
        if self.depth == DEPTH_MAX {
            return Err(self.expected(format!("at most {DEPTH_MAX} parentheses and nots within each other")));
        }
        self.depth += 1;
        let audience = match self.peek() {
            Token::Not => {
                self.next();
                self.no().map(|part| Audience::Not(Box::new(part)))
            }
            Token::Open => self.group(),
            _ => self.fact(),
        };
        self.depth -= 1;
        audience
    }

    fn group(&mut self) -> Result<Audience, SyntaxError> {
        self.next();
        let inner = self.any()?;
        match self.peek() {
            Token::Close => {
                self.next();
                Ok(inner)
            }
            _ => Err(self.expected("\"and\", \"or\" or \")\"")),
        }
    }

    fn fact(&mut self) -> Result<Audience, SyntaxError> {
        let Token::Word(name) = self.peek() else { return Err(self.expected(NAMES)) };
        let name = name.to_ascii_lowercase().replace('-', "_");
        if matches!(name.as_str(), "everybody" | "everyone" | "all") {
            self.next();
            return Ok(Audience::Everybody);
        }
        let known = FIELDS.iter().find(|(known, _)| *known == name);
        let field = known.map(|(_, field)| *field).ok_or_else(|| self.expected(NAMES))?;
        self.next();
        match field {
            Field::When(event) => self.when(event),
            field => self.value_of(field),
        }
    }

    /// `bound` by itself, and every moment.
    fn when(&mut self, event: Event) -> Result<Audience, SyntaxError> {
        let binding = matches!(event, Event::Bound | Event::Unbound);
        if self.take_word("within") {
            let (at, token) = (self.offset(), self.next());
            let span = word_of(&token).and_then(span);
            let span = span.ok_or_else(|| error(self.text, at, SPAN, token.to_string()))?;
            return Ok(since(event, self.now - span));
        }
        if self.take_word("since") {
            return Ok(since(event, self.moment()?));
        }
        if self.take_word("before") {
            return Ok(before(event, self.moment()?));
        }
        let Token::Operator(operator) = *self.peek() else {
            if binding {
                return Ok(is_bound(event == Event::Bound));
            }
            return Err(self.expected("\">=\", \"<\", \"since\", \"before\" or \"within\""));
        };
        let at = self.offset();
        self.next();
        if binding && matches!(operator, "=" | "!=") {
            return Ok(is_bound((event == Event::Bound) == (self.yes_or_no()? == (operator == "="))));
        }
        // Moments are whole seconds: after one is since the next.
        let after = |moment: Timestamp| moment + Ttl::from_secs(1);
        match operator {
            ">=" => Ok(since(event, self.moment()?)),
            ">" => Ok(since(event, after(self.moment()?))),
            "<" => Ok(before(event, self.moment()?)),
            "<=" => Ok(before(event, after(self.moment()?))),
            other => Err(error(self.text, at, "\">=\", \">\", \"<\" or \"<=\"", format!("{other:?}"))),
        }
    }

    fn yes_or_no(&mut self) -> Result<bool, SyntaxError> {
        let word = word_of(self.peek()).map(str::to_ascii_lowercase);
        let answer = match word.as_deref() {
            Some("true" | "yes" | "1") => true,
            Some("false" | "no" | "0") => false,
            _ => return Err(self.expected("\"true\" or \"false\"")),
        };
        self.next();
        Ok(answer)
    }

    fn moment(&mut self) -> Result<Timestamp, SyntaxError> {
        let at = self.at;
        let token = self.next();
        let word = word_of(&token);
        if let Some(span) = word.and_then(span) {
            self.take_word("ago");
            return Ok(whole(self.now - span));
        }
        if let Some(moment) = word.and_then(|word| absolute(word, self.now)) {
            return Ok(whole(moment));
        }
        self.at = at;
        Err(self.expected(MOMENT))
    }

    fn value_of(&mut self, field: Field) -> Result<Audience, SyntaxError> {
        let not = *self.peek() == Token::Not;
        if not {
            self.next();
        }
        if self.is_word("in") {
            self.next();
            let list = self.list(field)?;
            return Ok(if not { Audience::Not(Box::new(list)) } else { list });
        }
        if not {
            return Err(self.expected("\"in\""));
        }
        let Token::Operator(operator) = *self.peek() else {
            return Err(self.expected("\"=\", \"!=\" or \"in\""));
        };
        let compare = match operator {
            "=" | "!=" => Compare::Equal,
            _ if field != Field::Version => return Err(self.expected("\"=\", \"!=\" or \"in\"")),
            "<" => Compare::Less,
            "<=" => Compare::LessOrEqual,
            ">" => Compare::Greater,
            _ => Compare::GreaterOrEqual,
        };
        self.next();
        let fact = Audience::Is(self.value(field, compare)?);
        Ok(if operator == "!=" { Audience::Not(Box::new(fact)) } else { fact })
    }

    fn list(&mut self, field: Field) -> Result<Audience, SyntaxError> {
        if *self.peek() != Token::Open {
            return Err(self.expected("\"(\""));
        }
        let mut facts = Vec::new();
        loop {
            // The parenthesis, then each comma.
            self.next();
            facts.push(Audience::Is(self.value(field, Compare::Equal)?));
            match self.peek() {
                Token::Comma => {}
                Token::Close => break,
                _ => return Err(self.expected("\",\" or \")\"")),
            }
        }
        self.next();
        Ok(match facts.len() {
            1 => facts.remove(0),
            _ => Audience::Any(facts),
        })
    }

    fn value(&mut self, field: Field, compare: Compare) -> Result<Fact, SyntaxError> {
        let (Token::Word(value) | Token::Quoted(value)) = self.peek().clone() else {
            return Err(self.expected("a value"));
        };
        let fact = self.fact_of(field, compare, value)?;
        self.next();
        Ok(fact)
    }

    fn fact_of(&self, field: Field, compare: Compare, value: String) -> Result<Fact, SyntaxError> {
        let lower = value.to_ascii_lowercase();
        let short = |value: String| {
            let fits = (1..=ATTRIBUTE_BYTES_MAX).contains(&value.len());
            let what = || self.expected(format!("a value of 1 to {ATTRIBUTE_BYTES_MAX} bytes"));
            fits.then_some(value).ok_or_else(what)
        };
        let tag = |value: String| {
            let what = format!("a tag of 1 to {TAG_BYTES_MAX} bytes without control characters");
            if is_tag(&value) { Ok(value) } else { Err(self.expected(what)) }
        };
        Ok(match field {
            Field::Platform => {
                let named = Platform::ALL.into_iter().find(|platform| platform.as_str() == lower);
                let names = Platform::ALL.map(Platform::as_str).join(", ");
                Fact::Platform(named.ok_or_else(|| self.expected(format!("a platform: {names}")))?)
            }
            Field::Channel => {
                let known = lower == OWN_CHANNEL || lower.parse::<Vendor>().is_ok();
                let names = Vendor::ALL.map(Vendor::as_str).join(", ");
                let what = || self.expected(format!("a channel: {OWN_CHANNEL}, {names}"));
                Fact::Channel(known.then_some(lower).ok_or_else(what)?)
            }
            Field::Version => Fact::Version(compare, short(value)?),
            Field::Maker => Fact::Maker(short(value)?),
            Field::Locale => Fact::Locale(short(value)?),
            Field::Tag => Fact::Tag(tag(value)?),
            // Moments do not come here: `fact` took them.
            Field::UserTag | Field::When(_) => Fact::UserTag(tag(value)?),
        })
    }
}

const SPAN: &str = "a span: 30s, 15m, 12h, 7d, 2w";
const MOMENT: &str = "a moment: 7d ago, 2026-01-31, 2026-01-31T08:00:00Z, milliseconds since 1970, or now";

fn word_of(token: &Token) -> Option<&str> {
    match token {
        Token::Word(word) | Token::Quoted(word) => Some(word),
        _ => None,
    }
}

fn is_bound(bound: bool) -> Audience {
    let fact = Audience::Is(Fact::Bound);
    if bound { fact } else { Audience::Not(Box::new(fact)) }
}

fn since(event: Event, at: Timestamp) -> Audience {
    let at = whole(at);
    Audience::Is(match event {
        Event::Registered => Fact::RegisteredSince(at),
        Event::Seen => Fact::SeenSince(at),
        Event::Bound => Fact::BoundSince(at),
        Event::Unbound => Fact::UnboundSince(at),
    })
}

fn before(event: Event, at: Timestamp) -> Audience {
    let at = whole(at);
    Audience::Is(match event {
        Event::Registered => Fact::RegisteredBefore(at),
        Event::Seen => Fact::SeenBefore(at),
        Event::Bound => Fact::BoundBefore(at),
        Event::Unbound => Fact::UnboundBefore(at),
    })
}

/// Cut to the second, in which moments are compared and written.
const fn whole(at: Timestamp) -> Timestamp {
    Timestamp::from_millis(at.as_secs() * 1000)
}

fn span(word: &str) -> Option<Ttl> {
    let unit = word.chars().last()?;
    let seconds = match unit.to_ascii_lowercase() {
        's' => 1,
        'm' => 60,
        'h' => 3_600,
        'd' => 86_400,
        'w' => 7 * 86_400,
        _ => return None,
    };
    let digits = &word[..word.len() - unit.len_utf8()];
    let plain = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    let count: u64 = plain.then(|| digits.parse().ok())??;
    Some(Ttl::from_secs(count.saturating_mul(seconds)))
}

fn absolute(word: &str, now: Timestamp) -> Option<Timestamp> {
    if word.eq_ignore_ascii_case("now") {
        return Some(now);
    }
    if word.bytes().all(|byte| byte.is_ascii_digit()) {
        // Fewer are a year, or seconds: 1970 was not meant.
        return word.parse().ok().filter(|millis| *millis >= MILLIS_MIN).map(Timestamp::from_millis);
    }
    let moment = match word.parse::<jiff::Timestamp>() {
        Ok(moment) => moment,
        // A day alone begins where UTC has it.
        Err(_) => {
            let day: jiff::civil::Date = (word.len() == 10).then(|| word.parse().ok())??;
            day.to_zoned(jiff::tz::TimeZone::UTC).ok()?.timestamp()
        }
    };
    u64::try_from(moment.as_millisecond()).ok().map(Timestamp::from_millis)
}
