//! Who a broadcast or campaign is for: and, or, not over what is known of a device.

use carillon_sdk::Timestamp;
use carillon_sdk::api::Platform;
use serde::{Deserialize, Serialize};

use crate::store::DeviceInfo;

#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum Audience {
    #[default]
    Everybody,
    All(Vec<Audience>),
    Any(Vec<Audience>),
    Not(Box<Audience>),
    Is(Fact),
}

/// What one device may be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Fact {
    Platform(Platform),
    Maker(String),
    /// A user is bound to it.
    Bound,
    /// Its registration was at or after.
    RegisteredSince(Timestamp),
    /// A session opened or closed at or after, or is open.
    SeenSince(Timestamp),
}

impl Audience {
    /// Whether a device belongs to it now.
    #[must_use]
    pub fn has(&self, device: &DeviceInfo) -> bool {
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
            Self::Is(fact) => matches!(fact, Fact::Bound),
        }
    }
}

impl Fact {
    fn holds(&self, device: &DeviceInfo) -> bool {
        match self {
            Self::Platform(platform) => device.platform == *platform,
            Self::Maker(maker) => device.maker.as_deref() == Some(maker),
            Self::Bound => device.user.is_some(),
            Self::RegisteredSince(at) => device.registered_at >= *at,
            Self::SeenSince(at) => device.online || device.last_seen_at.is_some_and(|seen| seen >= *at),
        }
    }
}
