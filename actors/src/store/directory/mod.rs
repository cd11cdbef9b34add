//! Who there is: devices and users of an app, in memory, rebuilt from the rows at start. A device
//! costs about 200 bytes here, its own id included.
//!
//! ```text
//!  devices ─┬─ by id, by ordinal
//!           ├─ tokens: which device has which, without their texts
//!           └─ index: platform, version, maker, …, tag → which devices    evaluate: Audience → devices
//!  users ───── by id, by ordinal → devices, tags
//! ```

mod carrier;
mod crowd;
mod devices;
mod evaluate;
mod index;
mod tags;
mod tokens;
mod users;

use std::sync::Arc;

use carillon_sdk::api::Platform;
use parking_lot::RwLock;

pub use self::carrier::carrier_of;
#[doc(hidden)]
pub use self::crowd::Crowd;
pub use self::evaluate::AudienceCount;
pub use self::tags::{TAGS_APP_MAX, TAGS_MAX, TagChange, TagInfo, Tagged};

pub(super) use self::tokens::{Kept, When};

use self::devices::Devices;
use self::users::Users;
use crate::model::{App, Device, User};

/// One app's devices and users. Where both locks are held, devices' was taken first.
pub(super) struct OfApp {
    pub app: App,
    devices: RwLock<Devices>,
    users: RwLock<Users>,
    /// Of tokens: its key is drawn anew by each process.
    hasher: ahash::RandomState,
}

/// The generation of a device that somebody else registered: no credential was ever given out.
pub(super) const UNCLAIMED: u32 = 0;

/// What statistics tell devices apart by.
pub(super) type Group = (Platform, Option<Arc<str>>);

impl OfApp {
    #[must_use]
    pub(super) fn new(app: App) -> Self {
        Self { app, devices: RwLock::default(), users: RwLock::default(), hasher: ahash::RandomState::new() }
    }

    const fn device(&self, ordinal: u32) -> Device {
        Device { app: self.app, ordinal }
    }

    const fn user_at(&self, ordinal: u32) -> User {
        User { app: self.app, ordinal }
    }
}

#[cfg(test)]
mod tests;
