//! What a vendor said of one token: the same few words for all of them.

use carillon_sdk::{Timestamp, Ttl};

/// Of one token of one call. A vendor that answers a batch with one word has said it of each.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    Accepted(Accepted),
    Refused(Refused),
}

#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Accepted {
    /// The vendor's own name for it, by which its receipts come.
    pub vendor_id: Option<String>,
    /// What of the message this vendor cannot carry and did not get, by our names of the fields.
    pub degraded: Vec<&'static str>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    pub class: Class,
    pub scope: Scope,
    /// As the vendor wrote it: `BadDeviceToken`, `80300007`; or ours for what is none of its words:
    /// `timeout`, `connect`, `garbage`, `http_502`. At most [`CODE_BYTES_MAX`].
    pub code: String,
    /// The vendor's explanation, for people. At most [`TEXT_BYTES_MAX`]; never a secret or a payload.
    pub text: String,
    pub pause: Option<Pause>,
    /// The code is in no table and was classed by the HTTP status: counted, to be looked into.
    pub is_unknown: bool,
    /// The request was written and no answer came: the vendor may have taken it.
    pub is_ambiguous: bool,
    /// With `Unbind`: the token was dead at that time. One registered later lives.
    pub dead_since: Option<Timestamp>,
}

/// What follows for the sender.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Class {
    /// A fault of the vendor or the way there: again, later and later, until the message expires.
    Retry,
    /// Too much, too fast: as `Retry`, and the scope slows down.
    Throttle,
    /// The token is dead. Believed only of few at a time.
    Unbind,
    /// The access token is: a new one, and the call once more.
    Reauth,
    /// This message will never go to this token.
    Perm,
    /// Credentials, permission or the app's state at the vendor: nothing goes until someone mends
    /// it, and no token is to blame.
    Config,
}

/// Whom it concerns.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Scope {
    Message,
    /// The token.
    Device,
    /// All that this app sends by this vendor.
    App,
    /// All that this app sends in the message's class there (Xiaomi channel, vivo classification).
    Category,
    /// Web Push: the push service's host.
    Endpoint,
    /// The connection is spent; another will do.
    Connection,
    /// The vendor as a whole.
    Platform,
}

/// How long to leave the scope alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pause {
    For(Ttl),
    /// A day's quota is spent: until midnight of the vendor's day, Asia/Shanghai.
    NextDay,
    /// Outside the hours the vendor allows: until this hour of the vendor's day.
    Hour(u8),
}

pub(crate) const CODE_BYTES_MAX: usize = 64;
pub(crate) const TEXT_BYTES_MAX: usize = 256;

impl Class {
    /// In the order of a table.
    pub const ALL: [Self; 6] =
        [Self::Retry, Self::Throttle, Self::Unbind, Self::Reauth, Self::Perm, Self::Config];

    /// As the API, history and metrics have it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Retry => "retry",
            Self::Throttle => "throttle",
            Self::Unbind => "unbind",
            Self::Reauth => "reauth",
            Self::Perm => "perm",
            Self::Config => "config",
        }
    }

    /// Of a code nobody knows.
    #[must_use]
    pub const fn of_status(status: u16) -> Self {
        match status {
            401 => Self::Reauth,
            429 | 503 => Self::Throttle,
            500.. => Self::Retry,
            _ => Self::Perm,
        }
    }
}

impl Scope {
    /// As the API and history have it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Message => "message",
            Self::Device => "device",
            Self::App => "app",
            Self::Category => "category",
            Self::Endpoint => "endpoint",
            Self::Connection => "connection",
            Self::Platform => "platform",
        }
    }
}

impl Refused {
    #[must_use]
    pub fn new(class: Class, scope: Scope, code: impl Into<String>) -> Self {
        Self {
            class,
            scope,
            code: cut(code.into(), CODE_BYTES_MAX),
            text: String::new(),
            pause: None,
            is_unknown: false,
            is_ambiguous: false,
            dead_since: None,
        }
    }

    /// A code that is in no table.
    #[must_use]
    pub fn unknown(status: u16, code: impl Into<String>) -> Self {
        let class = Class::of_status(status);
        let scope = match class {
            Class::Perm => Scope::Message,
            _ => Scope::App,
        };
        Self { is_unknown: true, ..Self::new(class, scope, code) }
    }

    /// A gateway that did not say what became of a token: whether the vendor took it is unknown.
    #[must_use]
    pub fn silent() -> Self {
        Self { is_ambiguous: true, ..Self::new(Class::Retry, Scope::Message, "unanswered") }
    }

    #[must_use]
    pub fn because(self, text: impl Into<String>) -> Self {
        Self { text: cut(text.into(), TEXT_BYTES_MAX), ..self }
    }

    #[must_use]
    pub fn pausing(self, pause: Option<Pause>) -> Self {
        Self { pause, ..self }
    }
}

impl Outcome {
    /// The vendor took it and gave it this name.
    #[must_use]
    pub fn accepted(vendor_id: Option<String>) -> Self {
        Self::Accepted(Accepted { vendor_id, degraded: Vec::new() })
    }
}

impl From<Refused> for Outcome {
    fn from(refused: Refused) -> Self {
        Self::Refused(refused)
    }
}

/// To so many bytes at most, between characters.
pub(super) fn cut(mut text: String, bytes_max: usize) -> String {
    if text.len() > bytes_max {
        let end = (0..=bytes_max).rev().find(|&at| text.is_char_boundary(at)).unwrap_or(0);
        text.truncate(end);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_nobody_knows_is_classed_by_its_status_and_says_so() {
        for (status, class) in [
            (400, Class::Perm),
            (401, Class::Reauth),
            (403, Class::Perm),
            (429, Class::Throttle),
            (500, Class::Retry),
            (503, Class::Throttle),
        ] {
            let refused = Refused::unknown(status, "NeverHeard");
            assert_eq!((refused.class, refused.is_unknown), (class, true), "{status}");
        }
    }

    #[test]
    fn a_vendors_words_are_cut_between_characters() {
        let refused = Refused::new(Class::Perm, Scope::Message, "汉".repeat(40)).because("字".repeat(200));
        assert_eq!((refused.code.len(), refused.text.len()), (63, 255));
    }
}
