//! Who a broadcast or campaign is for: and, or, not over what is known of a device. docs/audiences.md
//! has the language people write it in.
//!
//! ```text
//!  text ──parse──▶ Audience ──┬─ has(Facts) ─▶ one device, as it connects or registers
//!       ◀─Display─            └─ the directory's bitmaps ─▶ all of them at once
//! ```
//!
//! Both ways give one answer: what a fact means stands here once. Times are compared in whole
//! seconds.

mod lexer;
mod parse;
mod text;
mod version;

use std::cmp::Ordering;

use carillon_sdk::Timestamp;
use carillon_sdk::api::Platform;
use serde::{Deserialize, Serialize};

pub use self::lexer::SyntaxError;
pub(crate) use self::version::compare as compare_versions;

/// A set of devices or users of one app, by their ordinals.
pub type Ordinals = roaring::RoaringBitmap;

/// Longest text of an audience, in bytes.
pub const TEXT_BYTES_MAX: usize = 4096;

/// Parentheses and nots within each other.
pub const DEPTH_MAX: usize = 32;

/// Longest name of a tag, in bytes.
pub const TAG_BYTES_MAX: usize = 64;

/// The channel of devices that have no phone maker's token on record: our own socket alone.
pub const OWN_CHANNEL: &str = "own";

#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum Audience {
    #[default]
    Everybody,
    All(Vec<Audience>),
    Any(Vec<Audience>),
    Not(Box<Audience>),
    Is(Fact),
}

/// What one device may be. A fact about something that a device has not is false of it. Rows hold
/// these by name: add, never rename.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Fact {
    Platform(Platform),
    /// In upper or lower case.
    Maker(String),
    /// A user is bound to it.
    Bound,
    /// Its registration was at or after.
    RegisteredSince(Timestamp),
    /// A session opened or closed at or after, or is open.
    SeenSince(Timestamp),
    RegisteredBefore(Timestamp),
    /// It was seen, the last time before; and no session is open.
    SeenBefore(Timestamp),
    /// A user is bound to it, and was bound at or after.
    BoundSince(Timestamp),
    BoundBefore(Timestamp),
    /// Nobody is bound to it, since a moment at or after: the last user left then, or it was
    /// registered then and nobody came.
    UnboundSince(Timestamp),
    UnboundBefore(Timestamp),
    /// Dotted numbers: 2.9 is before 2.10, and 2.10 is 2.10.0.
    Version(Compare, String),
    /// A token of this channel is on record; none of any for [`OWN_CHANNEL`].
    Channel(String),
    /// A language tag or the beginning of one: `zh` has `zh-CN`.
    Locale(String),
    /// The device has the tag.
    Tag(String),
    /// The user bound to it has the tag.
    UserTag(String),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Compare {
    Less,
    LessOrEqual,
    Equal,
    GreaterOrEqual,
    Greater,
}

/// A device as an audience looks at it: borrowed, so that asking costs no allocation.
pub struct Facts<'a> {
    pub platform: Platform,
    pub app_version: Option<&'a str>,
    pub maker: Option<&'a str>,
    pub locale: Option<&'a str>,
    pub bound: bool,
    pub times: Times,
    /// Whether the device bears a mark.
    pub bears: &'a dyn Fn(Mark<'_>) -> bool,
}

/// Seconds since 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Times {
    pub registered_s: u32,
    /// 0 never, [`ONLINE`] while a session is open.
    pub seen_s: u32,
    /// When a user was last bound or unbound; its registration when nobody ever was.
    pub binding_s: u32,
}

/// Last seen: now.
pub const ONLINE: u32 = u32::MAX;

/// What a device has any number of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mark<'a> {
    Tag(&'a str),
    UserTag(&'a str),
    Channel(&'a str),
}

impl Audience {
    /// Reads the language. Spans as `7d` count back from `now`: the audience holds the moment.
    pub fn parse(text: &str, now: Timestamp) -> Result<Self, SyntaxError> {
        parse::parse(text, now)
    }

    /// Whether a device belongs to it now.
    #[must_use]
    pub fn has(&self, device: &Facts<'_>) -> bool {
        match self {
            Self::Everybody => true,
            Self::All(parts) => parts.iter().all(|part| part.has(device)),
            Self::Any(parts) => parts.iter().any(|part| part.has(device)),
            Self::Not(part) => !part.has(device),
            Self::Is(fact) => fact.holds(device),
        }
    }

    /// Whether a device may come to belong to it by being bound or unbound.
    #[must_use]
    pub fn depends_on_binding(&self) -> bool {
        match self {
            Self::Everybody => false,
            Self::All(parts) | Self::Any(parts) => parts.iter().any(Self::depends_on_binding),
            Self::Not(part) => part.depends_on_binding(),
            Self::Is(fact) => fact.depends_on_binding(),
        }
    }
}

impl Fact {
    const fn depends_on_binding(&self) -> bool {
        matches!(
            self,
            Self::Bound
                | Self::BoundSince(_)
                | Self::BoundBefore(_)
                | Self::UnboundSince(_)
                | Self::UnboundBefore(_)
                | Self::UserTag(_)
        )
    }

    fn holds(&self, device: &Facts<'_>) -> bool {
        match self {
            Self::Platform(platform) => device.platform == *platform,
            Self::Maker(maker) => device.maker.is_some_and(|known| is_maker(known, maker)),
            Self::Bound => device.bound,
            Self::Version(compare, version) => {
                device.app_version.is_some_and(|known| compare.holds(compare_versions(known, version)))
            }
            Self::Locale(locale) => device.locale.is_some_and(|known| is_locale(known, locale)),
            Self::Tag(tag) => (device.bears)(Mark::Tag(tag)),
            Self::UserTag(tag) => (device.bears)(Mark::UserTag(tag)),
            Self::Channel(channel) => (device.bears)(Mark::Channel(channel)),
            _ => self.as_time().is_some_and(|time| time.holds(device.bound, &device.times)),
        }
    }

    /// Of a fact about a moment.
    pub(crate) const fn as_time(&self) -> Option<Time> {
        let (event, side, at) = match self {
            Self::RegisteredSince(at) => (Event::Registered, Side::Since, *at),
            Self::RegisteredBefore(at) => (Event::Registered, Side::Before, *at),
            Self::SeenSince(at) => (Event::Seen, Side::Since, *at),
            Self::SeenBefore(at) => (Event::Seen, Side::Before, *at),
            Self::BoundSince(at) => (Event::Bound, Side::Since, *at),
            Self::BoundBefore(at) => (Event::Bound, Side::Before, *at),
            Self::UnboundSince(at) => (Event::Unbound, Side::Since, *at),
            Self::UnboundBefore(at) => (Event::Unbound, Side::Before, *at),
            _ => return None,
        };
        Some(Time { event, side, at_s: at.as_secs() })
    }
}

/// A fact about when something happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Time {
    pub(crate) event: Event,
    pub(crate) side: Side,
    at_s: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Event {
    Registered,
    Seen,
    Bound,
    Unbound,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Side {
    Since,
    Before,
}

impl Time {
    pub(crate) const fn at(self) -> Timestamp {
        Timestamp::from_millis(self.at_s.saturating_mul(1000))
    }

    fn holds(self, bound: bool, times: &Times) -> bool {
        match self.event {
            Event::Registered => self.admits(times.registered_s),
            Event::Seen => times.seen_s > 0 && self.admits(times.seen_s),
            Event::Bound => bound && self.admits(times.binding_s),
            Event::Unbound => !bound && self.admits(times.binding_s),
        }
    }

    /// Whether a moment is on the right side.
    pub(crate) fn admits(self, moment_s: u32) -> bool {
        match self.side {
            Side::Since => u64::from(moment_s) >= self.at_s,
            Side::Before => u64::from(moment_s) < self.at_s,
        }
    }
}

impl Compare {
    pub(crate) fn holds(self, found: Ordering) -> bool {
        match self {
            Self::Less => found.is_lt(),
            Self::LessOrEqual => found.is_le(),
            Self::Equal => found.is_eq(),
            Self::GreaterOrEqual => found.is_ge(),
            Self::Greater => found.is_gt(),
        }
    }
}

/// Makers write themselves in capitals or not, and people write them as they like.
pub(crate) fn is_maker(known: &str, asked: &str) -> bool {
    known.eq_ignore_ascii_case(asked)
}

/// Whether a device's locale is `asked`, or a finer one.
pub(crate) fn is_locale(known: &str, asked: &str) -> bool {
    let plain = |byte: u8| if byte == b'_' { b'-' } else { byte.to_ascii_lowercase() };
    let (known, asked) = (known.as_bytes(), asked.as_bytes());
    known.len() >= asked.len()
        && known.iter().zip(asked).all(|(one, other)| plain(*one) == plain(*other))
        && known.get(asked.len()).is_none_or(|next| plain(*next) == b'-')
}

/// Whether a tag may have this name: 1 to 64 bytes, without control characters.
#[must_use]
pub fn is_tag(name: &str) -> bool {
    (1..=TAG_BYTES_MAX).contains(&name.len()) && !name.chars().any(char::is_control)
}

#[cfg(test)]
mod tests;
