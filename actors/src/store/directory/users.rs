//! The users of an app, and who is logged in where.

use std::sync::Arc;

use ahash::AHashMap;
use carillon_sdk::{Timestamp, UserId};
use smallvec::SmallVec;

use super::OfApp;
use super::index::seconds;
use crate::model::User;
use crate::store::rows::{DeviceRow, UserRow};

#[derive(Default)]
pub(super) struct Users {
    list: Vec<Option<UserEntry>>,
    by_id: AHashMap<Arc<str>, u32>,
}

pub(super) struct UserEntry {
    pub(super) id: UserId,
    pub(super) devices: SmallVec<[u32; 2]>,
    /// Numbers of tags. Boxed, since most users have none.
    #[expect(clippy::box_collection, reason = "a user without tags pays for a pointer only")]
    pub(super) tags: Option<Box<Vec<u16>>>,
    /// Its row is on disk, or in the commit under way.
    pub(super) named: bool,
}

impl OfApp {
    /// The user of that name, made when new.
    pub(in crate::store) fn user(&self, id: &UserId) -> User {
        if let Some(user) = self.known_user(id) {
            return user;
        }
        let mut users = self.users.write();
        if let Some(&ordinal) = users.by_id.get(id.as_str()) {
            return self.user_at(ordinal);
        }
        let ordinal = users.list.len() as u32;
        users.list.push(Some(UserEntry::new(id.clone(), false)));
        users.by_id.insert(id.shared(), ordinal);
        self.user_at(ordinal)
    }

    /// A row found at start: before any device's.
    pub(in crate::store) fn restore_user(&self, ordinal: u32, row: UserRow) {
        let mut devices = self.devices.write();
        let tags = devices.index.tags.restore_user(ordinal, &row.tags);
        let mut users = self.users.write();
        users.reach(ordinal);
        users.by_id.insert(row.user_id.shared(), ordinal);
        let mut user = UserEntry::new(row.user_id, true);
        user.tags = (!tags.is_empty()).then(|| Box::new(tags));
        users.list[ordinal as usize] = Some(user);
    }

    /// Keeps ordinals up to this one from being given out: something refers to it.
    pub(in crate::store) fn skip_users(&self, ordinal: u32) {
        self.users.write().reach(ordinal);
    }

    #[must_use]
    pub(in crate::store) fn known_user(&self, id: &UserId) -> Option<User> {
        self.users.read().by_id.get(id.as_str()).map(|&ordinal| self.user_at(ordinal))
    }

    #[must_use]
    pub(in crate::store) fn user_id(&self, ordinal: u32) -> Option<UserId> {
        self.users.read().entry(ordinal).map(|user| user.id.clone())
    }

    #[must_use]
    pub(in crate::store) fn user_devices(&self, ordinal: u32) -> SmallVec<[u32; 2]> {
        self.users.read().entry(ordinal).map(|user| user.devices.clone()).unwrap_or_default()
    }

    #[must_use]
    pub(in crate::store) fn user_count(&self) -> usize {
        self.users.read().by_id.len()
    }

    /// The user's row when it has still to be written; from then on it counts as written.
    pub(in crate::store) fn to_name(&self, ordinal: u32) -> Option<UserRow> {
        if self.users.read().entry(ordinal).is_none_or(|user| user.named) {
            return None;
        }
        let mut users = self.users.write();
        let user = users.list.get_mut(ordinal as usize)?.as_mut()?;
        // One that has tags has a row.
        (!std::mem::replace(&mut user.named, true))
            .then(|| UserRow { user_id: user.id.clone(), tags: Vec::new() })
    }

    #[must_use]
    pub(in crate::store) fn is_named(&self, ordinal: u32) -> bool {
        self.users.read().entry(ordinal).is_some_and(|user| user.named)
    }

    #[must_use]
    pub(in crate::store) fn bound_user(&self, ordinal: u32) -> Option<User> {
        self.devices.read().entry(ordinal)?.user.map(|user| self.user_at(user))
    }

    /// Gives the device's row and the user bound before; None when there is no such device.
    pub(in crate::store) fn bind(
        &self,
        ordinal: u32,
        user: Option<User>,
        now: Timestamp,
    ) -> Option<(DeviceRow, Option<User>)> {
        let mut devices = self.devices.write();
        let devices = &mut *devices;
        let entry = devices.list.get_mut(ordinal as usize)?.as_mut()?;
        let user = user.map(|user| user.ordinal);
        let before = std::mem::replace(&mut entry.user, user);
        if before != user {
            devices.index.rebound(ordinal, user.is_some(), seconds(now));
            let mut users = self.users.write();
            if let Some(before) = before {
                users.unbound(before, ordinal);
                devices.index.tags.left(ordinal, users.tags(before));
            }
            if let Some(user) = user {
                users.bound(user, ordinal);
                devices.index.tags.joined(ordinal, users.tags(user));
            }
        }
        Some((devices.row(ordinal)?, before.map(|user| self.user_at(user))))
    }
}

impl Users {
    pub(super) fn entry(&self, ordinal: u32) -> Option<&UserEntry> {
        self.list.get(ordinal as usize)?.as_ref()
    }

    pub(super) fn entry_mut(&mut self, ordinal: u32) -> Option<&mut UserEntry> {
        self.list.get_mut(ordinal as usize)?.as_mut()
    }

    pub(super) fn tags(&self, ordinal: u32) -> &[u16] {
        self.entry(ordinal).map_or(&[], UserEntry::tags)
    }

    fn reach(&mut self, ordinal: u32) {
        let at = ordinal as usize;
        if self.list.len() <= at {
            self.list.resize_with(at + 1, || None);
        }
    }

    pub(super) fn bound(&mut self, user: u32, device: u32) {
        if let Some(user) = self.entry_mut(user)
            && !user.devices.contains(&device)
        {
            user.devices.push(device);
        }
    }

    pub(super) fn unbound(&mut self, user: u32, device: u32) {
        if let Some(user) = self.entry_mut(user) {
            user.devices.retain(|bound| *bound != device);
        }
    }
}

impl UserEntry {
    fn new(id: UserId, named: bool) -> Self {
        Self { id, devices: SmallVec::new(), tags: None, named }
    }

    pub(super) fn tags(&self) -> &[u16] {
        self.tags.as_deref().map_or(&[], Vec::as_slice)
    }
}
