//! Tags of devices and users, many to many. A tag is there as long as anybody has it.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;

use roaring::RoaringBitmap;

use super::OfApp;
use crate::audience::is_tag;
use crate::model::Owner;
use crate::store::rows::{DeviceRow, UserRow};

/// Tags an app may have.
pub const TAGS_APP_MAX: usize = 10_000;

/// Tags one device or user may have.
pub const TAGS_MAX: usize = 100;

/// What is to happen to the tags of a device or user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TagChange {
    /// These, and no others.
    Set(Vec<String>),
    Change {
        add: Vec<String>,
        remove: Vec<String>,
    },
}

/// What became of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tagged {
    Done,
    /// There is no such device or user.
    Gone,
    /// It would have more than [`TAGS_MAX`]; nothing happened.
    TooMany,
    /// The app would have more than [`TAGS_APP_MAX`]; nothing happened.
    NoRoom,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TagInfo {
    pub name: String,
    pub devices: u64,
    pub users: u64,
}

/// Tags by name and by a number that stands for one as long as it is there.
#[derive(Default)]
pub(super) struct Tags {
    by_name: BTreeMap<Arc<str>, u16>,
    list: Vec<Option<Tag>>,
    free: Vec<u16>,
}

struct Tag {
    name: Arc<str>,
    devices: RoaringBitmap,
    users: RoaringBitmap,
    /// The devices to which those users are bound.
    of_users: RoaringBitmap,
}

impl Tags {
    fn get(&self, name: &str) -> Option<&Tag> {
        self.list.get(usize::from(*self.by_name.get(name)?))?.as_ref()
    }

    fn at(&mut self, number: u16) -> Option<&mut Tag> {
        self.list.get_mut(usize::from(number))?.as_mut()
    }

    pub(super) fn devices(&self, name: &str) -> RoaringBitmap {
        self.get(name).map(|tag| tag.devices.clone()).unwrap_or_default()
    }

    pub(super) fn devices_of_users(&self, name: &str) -> RoaringBitmap {
        self.get(name).map(|tag| tag.of_users.clone()).unwrap_or_default()
    }

    pub(super) fn has_device(&self, name: &str, ordinal: u32) -> bool {
        self.get(name).is_some_and(|tag| tag.devices.contains(ordinal))
    }

    pub(super) fn has_device_of_user(&self, name: &str, ordinal: u32) -> bool {
        self.get(name).is_some_and(|tag| tag.of_users.contains(ordinal))
    }

    /// In alphabetical order.
    pub(super) fn names(&self, numbers: &[u16]) -> Vec<String> {
        let tags = numbers.iter().filter_map(|number| self.list.get(usize::from(*number))?.as_ref());
        let mut names: Vec<String> = tags.map(|tag| tag.name.as_ref().to_owned()).collect();
        names.sort_unstable();
        names
    }

    /// The number of that name, a new one when it is new. None when there is no room.
    fn number(&mut self, name: &str) -> Option<u16> {
        if let Some(&number) = self.by_name.get(name) {
            return Some(number);
        }
        let number = match self.free.pop() {
            Some(number) => number,
            None => u16::try_from(self.list.len()).ok()?,
        };
        let name: Arc<str> = Arc::from(name);
        let empty = RoaringBitmap::new;
        let tag = Tag { name: Arc::clone(&name), devices: empty(), users: empty(), of_users: empty() };
        if usize::from(number) == self.list.len() {
            self.list.push(Some(tag));
        } else {
            self.list[usize::from(number)] = Some(tag);
        }
        self.by_name.insert(name, number);
        Some(number)
    }

    /// Nobody may have it any more.
    fn sweep(&mut self, number: u16) {
        let Some(place) = self.list.get_mut(usize::from(number)) else { return };
        if place.as_ref().is_some_and(|tag| tag.devices.is_empty() && tag.users.is_empty())
            && let Some(tag) = place.take()
        {
            self.by_name.remove(&tag.name);
            self.free.push(number);
        }
    }

    pub(super) fn restore_device(&mut self, ordinal: u32, names: &[String]) -> Vec<u16> {
        let numbers: Vec<u16> = names.iter().filter_map(|name| self.number(name)).collect();
        for &number in &numbers {
            self.mark(number, |tag| tag.devices.insert(ordinal));
        }
        numbers
    }

    pub(super) fn restore_user(&mut self, ordinal: u32, names: &[String]) -> Vec<u16> {
        let numbers: Vec<u16> = names.iter().filter_map(|name| self.number(name)).collect();
        for &number in &numbers {
            self.mark(number, |tag| tag.users.insert(ordinal));
        }
        numbers
    }

    pub(super) fn forget_device(&mut self, ordinal: u32, numbers: &[u16]) {
        for &number in numbers {
            self.mark(number, |tag| tag.devices.remove(ordinal));
            self.sweep(number);
        }
    }

    /// A user with these tags was bound to the device.
    pub(super) fn joined(&mut self, ordinal: u32, numbers: &[u16]) {
        numbers.iter().for_each(|&number| self.mark(number, |tag| tag.of_users.insert(ordinal)));
    }

    pub(super) fn left(&mut self, ordinal: u32, numbers: &[u16]) {
        numbers.iter().for_each(|&number| self.mark(number, |tag| tag.of_users.remove(ordinal)));
    }

    fn mark(&mut self, number: u16, change: impl FnOnce(&mut Tag) -> bool) {
        if let Some(tag) = self.at(number) {
            change(tag);
        }
    }

    /// The names someone with these has after a change, or why not.
    fn after(&self, numbers: &[u16], change: &TagChange) -> Result<Vec<String>, Tagged> {
        let mut names = match change {
            TagChange::Set(names) => names.clone(),
            TagChange::Change { add, remove } => {
                let mut names = self.names(numbers);
                names.retain(|name| !remove.contains(name));
                names.extend_from_slice(add);
                names
            }
        };
        names.sort_unstable();
        names.dedup();
        if names.len() > TAGS_MAX {
            return Err(Tagged::TooMany);
        }
        let new = names.iter().filter(|name| !self.by_name.contains_key(name.as_str())).count();
        if self.by_name.len() + new > TAGS_APP_MAX {
            return Err(Tagged::NoRoom);
        }
        Ok(names)
    }

    /// Numbers that came and went, of a change from `before` to `after`.
    fn moves(&mut self, before: &[u16], after: &[String]) -> (Vec<u16>, Vec<u16>, Vec<u16>) {
        let now: Vec<u16> = after.iter().filter_map(|name| self.number(name)).collect();
        let came = now.iter().copied().filter(|number| !before.contains(number)).collect();
        let went = before.iter().copied().filter(|number| !now.contains(number)).collect();
        (now, came, went)
    }
}

impl OfApp {
    /// Gives the device's row when it changed.
    pub(in crate::store) fn tag_device(
        &self,
        ordinal: u32,
        change: &TagChange,
    ) -> Result<Option<DeviceRow>, Tagged> {
        let mut devices = self.devices.write();
        let devices = &mut *devices;
        let entry = devices.list.get_mut(ordinal as usize).and_then(Option::as_mut).ok_or(Tagged::Gone)?;
        let tags = &mut devices.index.tags;
        let after = tags.after(entry.tags(), change)?;
        let (now, came, went) = tags.moves(entry.tags(), &after);
        if came.is_empty() && went.is_empty() {
            return Ok(None);
        }
        came.into_iter().for_each(|number| tags.mark(number, |tag| tag.devices.insert(ordinal)));
        for number in went {
            tags.mark(number, |tag| tag.devices.remove(ordinal));
            tags.sweep(number);
        }
        entry.extras.get_or_insert_default().tags = now;
        Ok(devices.row(ordinal))
    }

    /// Gives the user's row when it changed.
    pub(in crate::store) fn tag_user(
        &self,
        ordinal: u32,
        change: &TagChange,
    ) -> Result<Option<UserRow>, Tagged> {
        let mut devices = self.devices.write();
        let tags = &mut devices.index.tags;
        let mut users = self.users.write();
        let user = users.entry_mut(ordinal).ok_or(Tagged::Gone)?;
        let after = tags.after(user.tags(), change)?;
        let (now, came, went) = tags.moves(user.tags(), &after);
        if came.is_empty() && went.is_empty() {
            return Ok(None);
        }
        for number in came {
            tags.mark(number, |tag| tag.users.insert(ordinal));
            user.devices.iter().for_each(|device| tags.mark(number, |tag| tag.of_users.insert(*device)));
        }
        for number in went {
            tags.mark(number, |tag| tag.users.remove(ordinal));
            user.devices.iter().for_each(|device| tags.mark(number, |tag| tag.of_users.remove(*device)));
            tags.sweep(number);
        }
        user.tags = (!now.is_empty()).then(|| Box::new(now));
        user.named = true;
        Ok(Some(UserRow { user_id: user.id.clone(), tags: after }))
    }

    #[must_use]
    pub(in crate::store) fn user_tags(&self, ordinal: u32) -> Vec<String> {
        let devices = self.devices.read();
        let users = self.users.read();
        devices.index.tags.names(users.tags(ordinal))
    }

    #[must_use]
    pub(in crate::store) fn has_room_for_tag(&self, name: &str) -> bool {
        let tags = &self.devices.read().index.tags;
        tags.by_name.len() < TAGS_APP_MAX || tags.by_name.contains_key(name)
    }

    #[must_use]
    pub(in crate::store) fn may_be_tagged(&self, member: Owner, name: &str) -> bool {
        let devices = self.devices.read();
        let may = |numbers: &[u16]| {
            let tag = devices.index.tags.by_name.get(name);
            numbers.len() < TAGS_MAX || tag.is_some_and(|number| numbers.contains(number))
        };
        match member {
            Owner::Device(device) => devices.entry(device.ordinal).is_some_and(|entry| may(entry.tags())),
            Owner::User(user) => may(self.users.read().tags(user.ordinal)),
        }
    }

    /// In alphabetical order, after `after`.
    #[must_use]
    pub(in crate::store) fn tag_list(&self, after: Option<&str>, limit: usize) -> Vec<TagInfo> {
        let devices = self.devices.read();
        let tags = &devices.index.tags;
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        let named = tags.by_name.range::<str, _>((from, Bound::Unbounded));
        let tag = |number: u16| tags.list.get(usize::from(number))?.as_ref();
        let info = |(_, number): (&Arc<str>, &u16)| {
            let tag = tag(*number)?;
            let name = tag.name.as_ref().to_owned();
            Some(TagInfo { name, devices: tag.devices.len(), users: tag.users.len() })
        };
        named.filter_map(info).take(limit).collect()
    }

    /// The ordinals of the devices and of the users that have a tag.
    #[must_use]
    pub(in crate::store) fn tag_members(&self, name: &str) -> (RoaringBitmap, RoaringBitmap) {
        let devices = self.devices.read();
        let tag = devices.index.tags.get(name);
        tag.map(|tag| (tag.devices.clone(), tag.users.clone())).unwrap_or_default()
    }
}

impl TagChange {
    /// The first name that is none.
    #[must_use]
    pub fn misnamed(&self) -> Option<&str> {
        let (Self::Set(first) | Self::Change { add: first, .. }) = self;
        let second: &[String] = match self {
            Self::Set(_) => &[],
            Self::Change { remove, .. } => remove,
        };
        first.iter().chain(second).map(String::as_str).find(|name| !is_tag(name))
    }
}
