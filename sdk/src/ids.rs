//! The names by which a caller knows things. Parsed once, at the edge; inside, a value of these
//! types is known to be well formed.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::time::Timestamp;

/// Longest device or user id a caller may choose, in bytes of UTF-8.
pub const ID_BYTES_MAX: usize = 256;

/// Why a text is not an id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Invalid {
    #[error("an id of {0} bytes; it must have 1 to {ID_BYTES_MAX}")]
    Length(usize),
    #[error("an id may not hold control characters")]
    Control,
    #[error("not a message id: {0:?}")]
    Message(String),
}

fn check(text: &str) -> Result<(), Invalid> {
    if text.is_empty() || text.len() > ID_BYTES_MAX {
        return Err(Invalid::Length(text.len()));
    }
    if text.chars().any(char::is_control) {
        return Err(Invalid::Control);
    }
    Ok(())
}

macro_rules! text_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(Arc<str>);

        impl $name {
            /// The id in `text`, which must have 1 to 256 bytes and no control characters.
            pub fn parse(text: &str) -> Result<Self, Invalid> {
                check(text)?;
                Ok(Self(Arc::from(text)))
            }

            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }

            /// The shared text, for tables that keep many ids.
            #[must_use]
            pub fn shared(&self) -> Arc<str> {
                Arc::clone(&self.0)
            }
        }

        /// Written without a copy: ids stand in every push.
        impl Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
                to.serialize_str(&self.0)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
                struct Visitor;
                impl serde::de::Visitor<'_> for Visitor {
                    type Value = $name;
                    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                        f.write_str("an id: text of 1 to 256 bytes")
                    }
                    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<$name, E> {
                        $name::parse(text).map_err(E::custom)
                    }
                }
                from.deserialize_str(Visitor)
            }
        }

        impl TryFrom<String> for $name {
            type Error = Invalid;
            fn try_from(text: String) -> Result<Self, Invalid> {
                Self::parse(&text)
            }
        }

        impl FromStr for $name {
            type Err = Invalid;
            fn from_str(text: &str) -> Result<Self, Invalid> {
                Self::parse(text)
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> String {
                id.0.as_ref().to_owned()
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{:?}", &self.0)
            }
        }
    };
}

text_id! {
    /// An app, as its owner named it. With a [`WorkspaceId`] it makes a tenant.
    AppId
}
text_id! {
    /// A workspace of an app: production, test, a customer. With an [`AppId`] it makes a tenant.
    WorkspaceId
}
text_id! {
    /// A device: the caller's own string, or one the server made. Unique within its tenant.
    DeviceId
}
text_id! {
    /// A user, always the caller's own string. Unique within its tenant.
    UserId
}
text_id! {
    /// An API key's public half.
    KeyId
}

/// A message: one push, whatever the number of its targets. The same on every road and in every
/// repeat, so that a device can drop what it has already shown.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct MessageId([u8; 16]);

impl MessageId {
    /// A new id, ordered by time (UUID version 7).
    #[must_use]
    pub fn fresh() -> Self {
        Self(Uuid::now_v7().into_bytes())
    }

    /// The id that `key` gives within `namespace`, the same each time: a retry after a crash
    /// carries the id of the first attempt (UUID version 5).
    #[must_use]
    pub fn derived(namespace: &[u8; 16], key: &[u8]) -> Self {
        Self(Uuid::new_v5(&Uuid::from_bytes(*namespace), key).into_bytes())
    }

    /// When it was made, if it says (UUID version 7).
    #[must_use]
    pub fn made_at(&self) -> Option<Timestamp> {
        let millis = self.0[..6].iter().fold(0u64, |millis, &byte| millis << 8 | u64::from(byte));
        (self.0[6] >> 4 == 7).then_some(Timestamp::from_millis(millis))
    }

    #[must_use]
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }

    pub fn parse(text: &str) -> Result<Self, Invalid> {
        Uuid::parse_str(text)
            .map(|id| Self(id.into_bytes()))
            .map_err(|_| Invalid::Message(text.chars().take(64).collect()))
    }
}

impl fmt::Display for MessageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Uuid::from_bytes(self.0).as_hyphenated().fmt(f)
    }
}

impl fmt::Debug for MessageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for MessageId {
    type Err = Invalid;
    fn from_str(text: &str) -> Result<Self, Invalid> {
        Self::parse(text)
    }
}

/// Text where a person may read it (JSON), sixteen bytes where none does (MessagePack).
impl Serialize for MessageId {
    fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        if to.is_human_readable() { to.collect_str(self) } else { to.serialize_bytes(&self.0) }
    }
}

impl<'de> Deserialize<'de> for MessageId {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl serde::de::Visitor<'_> for Visitor {
            type Value = MessageId;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a message id: 16 bytes, or a UUID as text")
            }
            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<MessageId, E> {
                MessageId::parse(text).map_err(E::custom)
            }
            fn visit_bytes<E: serde::de::Error>(self, bytes: &[u8]) -> Result<MessageId, E> {
                let bytes = bytes.try_into().map_err(|_| E::invalid_length(bytes.len(), &self))?;
                Ok(MessageId(bytes))
            }
        }
        if from.is_human_readable() { from.deserialize_str(Visitor) } else { from.deserialize_bytes(Visitor) }
    }
}
