//! The devices of an app.

use std::sync::Arc;

use ahash::{AHashMap, AHashSet};
use carillon_sdk::api::{Platform, RegisterDevice};
use carillon_sdk::{DeviceId, Timestamp};
use roaring::RoaringBitmap;
use smallvec::SmallVec;

use super::index::{Index, seconds};
use super::tokens::Held;
use super::{Group, OfApp, UNCLAIMED};
use crate::model::{Device, User};
use crate::store::DeviceInfo;
use crate::store::rows::DeviceRow;

#[derive(Default)]
pub(super) struct Devices {
    /// By ordinal; none when deleted, or reserved for a registration under way.
    pub(super) list: Vec<Option<Box<Entry>>>,
    by_id: AHashMap<Arc<str>, u32>,
    pub(super) index: Index,
    texts: AHashSet<Arc<str>>,
    /// Hash of a token → who has it.
    pub(super) holders: AHashMap<u64, u32>,
    /// Ordinals given to registrations under way.
    pub(super) reserved: RoaringBitmap,
}

pub(super) struct Entry {
    pub(super) id: DeviceId,
    pub(super) platform: Platform,
    pub(super) app_version: Option<Arc<str>>,
    pub(super) maker: Option<Arc<str>>,
    pub(super) locale: Option<Arc<str>>,
    time_zone: Option<Arc<str>>,
    generation: u32,
    pub(super) user: Option<u32>,
    /// Of its registration, whose second is in the index.
    registered_ms: u16,
    /// Boxed, since most devices have none.
    pub(super) extras: Option<Box<Extras>>,
}

/// What few devices have.
#[derive(Default)]
pub(super) struct Extras {
    /// In the order of their vendors' numbers.
    pub(super) tokens: SmallVec<[Held; 1]>,
    /// Numbers of tags, in the order of their names' arrival.
    pub(super) tags: Vec<u16>,
}

/// Texts shared among devices; more distinct ones than this are kept a copy each.
const TEXTS_MAX: usize = 10_000;

impl OfApp {
    /// The ordinal under which `id` is registered, or will be: reserved when it is new, so that
    /// registrations of one new id at the same time make one device.
    pub(in crate::store) fn reserve(&self, id: &DeviceId) -> Device {
        let mut devices = self.devices.write();
        if let Some(&ordinal) = devices.by_id.get(id.as_str()) {
            return self.device(ordinal);
        }
        let ordinal = devices.list.len() as u32;
        devices.reach(ordinal);
        devices.reserved.insert(ordinal);
        devices.by_id.insert(id.shared(), ordinal);
        self.device(ordinal)
    }

    /// Writes a registration down. Gives the device's row, and whether it is new. A device deleted
    /// between the reservation and now keeps its end: the id gets a new ordinal next time, and this
    /// one answers None.
    ///
    /// `first` is where the generations of a new device's credentials begin. Without it somebody
    /// else speaks for the device: it gets no credential and keeps the one it has, and of what is
    /// known only what is named changes.
    pub(in crate::store) fn register(
        &self,
        ordinal: u32,
        body: &RegisterDevice,
        now: Timestamp,
        first: Option<u32>,
    ) -> Option<(DeviceRow, bool)> {
        let id = body.device_id.clone()?;
        let mut devices = self.devices.write();
        let devices = &mut *devices;
        if devices.by_id.get(id.as_str()) != Some(&ordinal) {
            return None;
        }
        let before = devices.list.get_mut(ordinal as usize)?.take();
        devices.reserved.remove(ordinal);
        let created = before.is_none();
        let mut entry = before
            .unwrap_or_else(|| Box::new(Entry::new(id, body.platform, now, first.unwrap_or(UNCLAIMED))));
        if created {
            devices.index.begin(ordinal, seconds(now));
        } else {
            devices.index.leave(ordinal, &entry);
            entry.generation = match (entry.generation, first) {
                (generation, None) => generation,
                (UNCLAIMED, Some(first)) => first,
                (generation, Some(_)) => generation.wrapping_add(1).max(1),
            };
        }
        let own = first.is_some();
        if own || entry.generation == UNCLAIMED {
            entry.platform = body.platform;
        }
        let mut learn = |told: &Option<String>, known: &mut Option<Arc<str>>| {
            if own || told.is_some() {
                *known = devices.share(told.as_deref());
            }
        };
        learn(&body.app_version, &mut entry.app_version);
        learn(&body.maker, &mut entry.maker);
        learn(&body.locale, &mut entry.locale);
        learn(&body.time_zone, &mut entry.time_zone);
        devices.index.enter(ordinal, &entry);
        devices.list[ordinal as usize] = Some(entry);
        Some((devices.row(ordinal)?, created))
    }

    /// A row found at start; none for a device that was deleted.
    pub(in crate::store) fn restore(&self, ordinal: u32, row: Option<DeviceRow>) {
        let mut devices = self.devices.write();
        let devices = &mut *devices;
        devices.reach(ordinal);
        let Some(row) = row else { return };
        let mut entry = Box::new(Entry::new(row.device_id, row.platform, row.registered_at, row.generation));
        entry.app_version = devices.share(row.app_version.as_deref());
        entry.maker = devices.share(row.maker.as_deref());
        entry.locale = devices.share(row.locale.as_deref());
        entry.time_zone = devices.share(row.time_zone.as_deref());
        entry.user = row.user;
        devices.by_id.insert(entry.id.shared(), ordinal);
        devices.index.begin(ordinal, seconds(row.registered_at));
        devices.index.restore_times(ordinal, row.last_seen_s, row.binding_changed_s);
        devices.index.enter(ordinal, &entry);
        let tags = devices.index.tags.restore_device(ordinal, &row.tags);
        if !tags.is_empty() {
            entry.extras.get_or_insert_default().tags = tags;
        }
        if let Some(user) = entry.user {
            let mut users = self.users.write();
            users.bound(user, ordinal);
            devices.index.tags.joined(ordinal, users.tags(user));
        }
        devices.list[ordinal as usize] = Some(entry);
    }

    /// Keeps ordinals up to this one from being given out: something refers to it.
    pub(in crate::store) fn skip_devices(&self, ordinal: u32) {
        self.restore(ordinal, None);
    }

    /// Forgets a device. Gives the user it was bound to, or None when it was not there.
    pub(in crate::store) fn delete(&self, ordinal: u32) -> Option<Option<User>> {
        let mut devices = self.devices.write();
        let devices = &mut *devices;
        let entry = devices.list.get_mut(ordinal as usize)?.take()?;
        devices.by_id.remove(entry.id.as_str());
        devices.index.leave(ordinal, &entry);
        devices.index.end(ordinal);
        devices.forget_holder(ordinal, &entry);
        devices.index.tags.forget_device(ordinal, entry.tags());
        let user = entry.user.map(|user| self.user_at(user));
        if let Some(user) = entry.user {
            let mut users = self.users.write();
            users.unbound(user, ordinal);
            devices.index.tags.left(ordinal, users.tags(user));
        }
        Some(user)
    }

    /// The device registered under an id; not one whose registration is under way.
    #[must_use]
    pub(in crate::store) fn find(&self, id: &DeviceId) -> Option<Device> {
        let devices = self.devices.read();
        let &ordinal = devices.by_id.get(id.as_str())?;
        devices.entry(ordinal).map(|_| self.device(ordinal))
    }

    #[must_use]
    pub(in crate::store) fn device_id(&self, ordinal: u32) -> Option<DeviceId> {
        self.devices.read().entry(ordinal).map(|entry| entry.id.clone())
    }

    #[must_use]
    pub(in crate::store) fn is_registered(&self, ordinal: u32) -> bool {
        self.devices.read().entry(ordinal).is_some()
    }

    #[must_use]
    pub(in crate::store) fn generation(&self, ordinal: u32) -> Option<u32> {
        self.devices.read().entry(ordinal).map(|entry| entry.generation)
    }

    #[must_use]
    pub(in crate::store) fn group(&self, ordinal: u32) -> Option<Group> {
        self.devices.read().entry(ordinal).map(Entry::group)
    }

    /// The registered devices, by what statistics tell them apart by.
    #[must_use]
    pub(in crate::store) fn groups(&self) -> Vec<(Group, RoaringBitmap)> {
        let devices = self.devices.read();
        devices.index.groups().map(|(group, members)| (group.clone(), members.clone())).collect()
    }

    #[must_use]
    pub(in crate::store) fn device_count(&self) -> u32 {
        u32::try_from(self.devices.read().index.all().len()).unwrap_or(u32::MAX)
    }

    /// Without what only the store knows: whether it is online, and how much waits for it.
    #[must_use]
    pub(in crate::store) fn device_info(&self, ordinal: u32) -> Option<DeviceInfo> {
        let devices = self.devices.read();
        let mut info = devices.info(self.device(ordinal))?;
        self.name_user(&mut info);
        Some(info)
    }

    #[must_use]
    pub(in crate::store) fn device_list(&self, after: Option<u32>, limit: usize) -> Vec<DeviceInfo> {
        let devices = self.devices.read();
        let from = after.map_or(0, |after| after.saturating_add(1));
        let ordinals = from..devices.list.len() as u32;
        let mut list: Vec<_> =
            ordinals.filter_map(|ordinal| devices.info(self.device(ordinal))).take(limit).collect();
        list.iter_mut().for_each(|info| self.name_user(info));
        list
    }

    fn name_user(&self, info: &mut DeviceInfo) {
        info.user_id = info.user.and_then(|user| self.user_id(user.ordinal));
    }

    /// A session opened or closed; `open` says whether one is now, asked while nobody else notes
    /// it, so that of two at once the last to note has it right.
    pub(in crate::store) fn seen(&self, ordinal: u32, now: Timestamp, open: impl FnOnce() -> bool) {
        let devices = self.devices.read();
        if devices.entry(ordinal).is_some() {
            devices.index.seen(ordinal, seconds(now), open);
        }
    }

    /// True when it is another version than before.
    pub(in crate::store) fn set_app_version(&self, ordinal: u32, version: &str) -> bool {
        let same = |entry: &Entry| entry.app_version.as_deref() == Some(version);
        if self.devices.read().entry(ordinal).is_none_or(same) {
            return false;
        }
        let mut devices = self.devices.write();
        let devices = &mut *devices;
        let Some(mut entry) = devices.list.get_mut(ordinal as usize).and_then(Option::take) else {
            return false;
        };
        devices.index.leave(ordinal, &entry);
        entry.app_version = devices.share(Some(version));
        devices.index.enter(ordinal, &entry);
        devices.list[ordinal as usize] = Some(entry);
        true
    }

    #[must_use]
    pub(in crate::store) fn row(&self, ordinal: u32) -> Option<DeviceRow> {
        self.devices.read().row(ordinal)
    }
}

impl Devices {
    pub(super) fn entry(&self, ordinal: u32) -> Option<&Entry> {
        self.list.get(ordinal as usize)?.as_deref()
    }

    fn reach(&mut self, ordinal: u32) {
        let at = ordinal as usize;
        if self.list.len() <= at {
            self.list.resize_with(at + 1, || None);
        }
        self.index.reach(ordinal);
    }

    fn share(&mut self, text: Option<&str>) -> Option<Arc<str>> {
        let text = text?;
        if let Some(shared) = self.texts.get(text) {
            return Some(Arc::clone(shared));
        }
        let shared: Arc<str> = Arc::from(text);
        if self.texts.len() < TEXTS_MAX {
            self.texts.insert(Arc::clone(&shared));
        }
        Some(shared)
    }

    pub(super) fn row(&self, ordinal: u32) -> Option<DeviceRow> {
        let entry = self.entry(ordinal)?;
        let times = self.index.stored_times(ordinal);
        let registered_ms = u64::from(times.registered_s) * 1000 + u64::from(entry.registered_ms);
        let text = |text: &Option<Arc<str>>| text.as_deref().map(str::to_owned);
        Some(DeviceRow {
            device_id: entry.id.clone(),
            platform: entry.platform,
            app_version: text(&entry.app_version),
            maker: text(&entry.maker),
            locale: text(&entry.locale),
            time_zone: text(&entry.time_zone),
            generation: entry.generation,
            user: entry.user,
            registered_at: Timestamp::from_millis(registered_ms),
            last_seen_s: times.seen_s,
            vendor: Default::default(),
            tags: self.index.tags.names(entry.tags()),
            binding_changed_s: times.binding_s,
        })
    }

    fn info(&self, device: Device) -> Option<DeviceInfo> {
        let (entry, row) = (self.entry(device.ordinal)?, self.row(device.ordinal)?);
        Some(DeviceInfo {
            device,
            device_id: row.device_id,
            platform: row.platform,
            app_version: row.app_version,
            maker: row.maker,
            locale: row.locale,
            time_zone: row.time_zone,
            user: row.user.map(|ordinal| User { app: device.app, ordinal }),
            user_id: None,
            online: false,
            registered_at: row.registered_at,
            last_seen_at: (row.last_seen_s > 0)
                .then(|| Timestamp::from_millis(u64::from(row.last_seen_s) * 1000)),
            pending: 0,
            vendors: entry.vendors().collect(),
            tags: row.tags,
        })
    }
}

impl Entry {
    fn new(id: DeviceId, platform: Platform, registered_at: Timestamp, generation: u32) -> Self {
        Self {
            id,
            platform,
            app_version: None,
            maker: None,
            locale: None,
            time_zone: None,
            generation,
            user: None,
            registered_ms: (registered_at.as_millis() % 1000) as u16,
            extras: None,
        }
    }

    pub(super) fn group(&self) -> Group {
        (self.platform, self.app_version.clone())
    }

    pub(super) fn tags(&self) -> &[u16] {
        self.extras.as_deref().map_or(&[], |extras| &extras.tags)
    }
}
