//! Who there is: devices and users of an app, in memory, rebuilt from the rows at start. A device
//! costs about 200 bytes here, its own id included.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use ahash::{AHashMap, AHashSet};
use carillon_sdk::api::{Platform, RegisterDevice};
use carillon_sdk::{DeviceId, Timestamp, UserId};
use parking_lot::RwLock;
use roaring::RoaringBitmap;
use smallvec::SmallVec;

use super::rows::DeviceRow;
use super::{AppInfo, DeviceInfo};
use crate::audience::Audience;
use crate::model::{Device, User};

/// One app's devices and users. Where both locks are held, devices' was taken first.
pub(super) struct OfApp {
    pub info: AppInfo,
    devices: RwLock<Devices>,
    users: RwLock<Users>,
}

#[derive(Default)]
struct Devices {
    /// By ordinal; none when deleted, or reserved for a registration under way.
    list: Vec<Option<Box<Entry>>>,
    by_id: AHashMap<Arc<str>, u32>,
    groups: AHashMap<Group, RoaringBitmap>,
    texts: AHashSet<Arc<str>>,
    live: u32,
    /// Ordinals given to registrations under way.
    reserved: RoaringBitmap,
}

struct Entry {
    id: DeviceId,
    platform: Platform,
    app_version: Option<Arc<str>>,
    maker: Option<Arc<str>>,
    locale: Option<Arc<str>>,
    time_zone: Option<Arc<str>>,
    generation: u32,
    user: Option<u32>,
    registered_at: Timestamp,
    last_seen_s: AtomicU32,
    /// Boxed, since most devices have none: eight bytes instead of 24.
    #[expect(clippy::box_collection, reason = "a device without tokens pays for a pointer only")]
    vendor: Option<Box<BTreeMap<String, String>>>,
}

/// What statistics tell devices apart by.
pub(super) type Group = (Platform, Option<Arc<str>>);

/// What a rule said of the devices there were.
pub(super) struct Judged {
    pub fitting: RoaringBitmap,
    /// Ordinals below were given out, and judged, but for the vacant ones.
    pub known: u32,
    /// Registrations under way.
    pub vacant: Vec<u32>,
}

/// Texts shared among devices; more distinct ones than this are kept a copy each.
const TEXTS_MAX: usize = 10_000;

#[derive(Default)]
struct Users {
    list: Vec<Option<UserEntry>>,
    by_id: AHashMap<Arc<str>, u32>,
}

struct UserEntry {
    id: UserId,
    devices: SmallVec<[u32; 2]>,
    /// Its row is on disk, or in the commit under way.
    named: bool,
}

impl OfApp {
    #[must_use]
    pub(super) fn new(info: AppInfo) -> Self {
        Self { info, devices: RwLock::default(), users: RwLock::default() }
    }

    const fn device(&self, ordinal: u32) -> Device {
        Device { app: self.info.app, ordinal }
    }

    const fn user_at(&self, ordinal: u32) -> User {
        User { app: self.info.app, ordinal }
    }

    // ---- devices -------------------------------------------------------------------------------

    /// The ordinal under which `id` is registered, or will be: reserved when it is new, so that
    /// registrations of one new id at the same time make one device.
    pub(super) fn reserve(&self, id: &DeviceId) -> Device {
        let mut devices = self.devices.write();
        if let Some(&ordinal) = devices.by_id.get(id.as_str()) {
            return self.device(ordinal);
        }
        let ordinal = devices.list.len() as u32;
        devices.list.push(None);
        devices.reserved.insert(ordinal);
        devices.by_id.insert(id.shared(), ordinal);
        self.device(ordinal)
    }

    /// Writes a registration down. Gives the device's row, and whether it is new. A device deleted
    /// between the reservation and now keeps its end: the id gets a new ordinal next time, and this
    /// one answers None.
    pub(super) fn register(
        &self,
        ordinal: u32,
        body: &RegisterDevice,
        now: Timestamp,
        first: u32,
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
        let mut entry = before.unwrap_or_else(|| {
            Box::new(Entry {
                id,
                platform: body.platform,
                app_version: None,
                maker: None,
                locale: None,
                time_zone: None,
                generation: first,
                user: None,
                registered_at: now,
                last_seen_s: AtomicU32::new(0),
                vendor: None,
            })
        });
        if created {
            devices.live += 1;
        } else {
            devices.leave_group(ordinal, &entry);
            entry.generation = entry.generation.wrapping_add(1);
        }
        entry.platform = body.platform;
        entry.app_version = devices.share(body.app_version.as_deref());
        entry.maker = devices.share(body.maker.as_deref());
        entry.locale = devices.share(body.locale.as_deref());
        entry.time_zone = devices.share(body.time_zone.as_deref());
        devices.join_group(ordinal, &entry);
        let row = entry.row();
        devices.list[ordinal as usize] = Some(entry);
        Some((row, created))
    }

    /// A row found at start; none for a device that was deleted.
    pub(super) fn restore(&self, ordinal: u32, row: Option<DeviceRow>) {
        let mut devices = self.devices.write();
        let devices = &mut *devices;
        let at = ordinal as usize;
        if devices.list.len() <= at {
            devices.list.resize_with(at + 1, || None);
        }
        let Some(row) = row else { return };
        let entry = Box::new(Entry {
            platform: row.platform,
            app_version: devices.share(row.app_version.as_deref()),
            maker: devices.share(row.maker.as_deref()),
            locale: devices.share(row.locale.as_deref()),
            time_zone: devices.share(row.time_zone.as_deref()),
            generation: row.generation,
            user: row.user,
            registered_at: row.registered_at,
            last_seen_s: AtomicU32::new(row.last_seen_s),
            vendor: (!row.vendor.is_empty()).then(|| Box::new(row.vendor)),
            id: row.device_id,
        });
        devices.by_id.insert(entry.id.shared(), ordinal);
        devices.join_group(ordinal, &entry);
        devices.live += 1;
        if let Some(user) = entry.user {
            self.users.write().bound(user, ordinal);
        }
        devices.list[at] = Some(entry);
    }

    /// Keeps ordinals up to this one from being given out: something refers to it.
    pub(super) fn skip_devices(&self, ordinal: u32) {
        self.restore(ordinal, None);
    }

    /// Forgets a device. Gives the user it was bound to, or None when it was not there.
    pub(super) fn delete(&self, ordinal: u32) -> Option<Option<User>> {
        let mut devices = self.devices.write();
        let devices = &mut *devices;
        let entry = devices.list.get_mut(ordinal as usize)?.take()?;
        devices.by_id.remove(entry.id.as_str());
        devices.leave_group(ordinal, &entry);
        devices.live -= 1;
        let user = entry.user.map(|user| self.user_at(user));
        if let Some(user) = entry.user {
            self.users.write().unbound(user, ordinal);
        }
        Some(user)
    }

    /// The device registered under an id; not one whose registration is under way.
    #[must_use]
    pub(super) fn find(&self, id: &DeviceId) -> Option<Device> {
        let devices = self.devices.read();
        let &ordinal = devices.by_id.get(id.as_str())?;
        devices.entry(ordinal).map(|_| self.device(ordinal))
    }

    #[must_use]
    pub(super) fn device_id(&self, ordinal: u32) -> Option<DeviceId> {
        self.devices.read().entry(ordinal).map(|entry| entry.id.clone())
    }

    #[must_use]
    pub(super) fn is_registered(&self, ordinal: u32) -> bool {
        self.devices.read().entry(ordinal).is_some()
    }

    #[must_use]
    pub(super) fn generation(&self, ordinal: u32) -> Option<u32> {
        self.devices.read().entry(ordinal).map(|entry| entry.generation)
    }

    #[must_use]
    pub(super) fn group(&self, ordinal: u32) -> Option<Group> {
        self.devices.read().entry(ordinal).map(Entry::group)
    }

    /// The registered devices, by what statistics tell them apart by.
    #[must_use]
    pub(super) fn groups(&self) -> Vec<(Group, RoaringBitmap)> {
        let devices = self.devices.read();
        devices.groups.iter().map(|(group, members)| (group.clone(), members.clone())).collect()
    }

    /// Who fits a rule at this moment, under one lock: whoever is not told of here comes later.
    #[must_use]
    pub(super) fn judge(&self, audience: &Audience, is_online: impl Fn(u32) -> bool) -> Judged {
        let devices = self.devices.read();
        let everybody = || devices.groups.values().fold(RoaringBitmap::new(), |all, group| all | group);
        let mut fitting = everybody();
        if *audience != Audience::Everybody {
            let fits = |&ordinal: &u32| {
                devices.entry(ordinal).is_some_and(|entry| {
                    let mut info = entry.info(self.device(ordinal));
                    info.online = is_online(ordinal);
                    audience.has(&info)
                })
            };
            fitting = fitting.iter().filter(fits).collect();
        }
        Judged { fitting, known: devices.list.len() as u32, vacant: devices.reserved.iter().collect() }
    }

    /// Every registered device.
    #[must_use]
    pub(super) fn registered(&self) -> RoaringBitmap {
        self.devices.read().groups.values().fold(RoaringBitmap::new(), |all, group| all | group)
    }

    #[must_use]
    pub(super) fn device_count(&self) -> u32 {
        self.devices.read().live
    }

    /// Without what only the store knows: whether it is online, and how much waits for it.
    #[must_use]
    pub(super) fn device_info(&self, ordinal: u32) -> Option<DeviceInfo> {
        let devices = self.devices.read();
        let mut info = devices.entry(ordinal)?.info(self.device(ordinal));
        self.name_user(&mut info);
        Some(info)
    }

    #[must_use]
    pub(super) fn device_list(&self, after: Option<u32>, limit: usize) -> Vec<DeviceInfo> {
        let devices = self.devices.read();
        let from = after.map_or(0, |after| after as usize + 1);
        let rest = devices.list.iter().enumerate().skip(from);
        let entries = rest.filter_map(|(ordinal, entry)| Some((ordinal as u32, entry.as_ref()?)));
        let mut list: Vec<_> =
            entries.take(limit).map(|(ordinal, entry)| entry.info(self.device(ordinal))).collect();
        list.iter_mut().for_each(|info| self.name_user(info));
        list
    }

    fn name_user(&self, info: &mut DeviceInfo) {
        info.user_id = info.user.and_then(|user| self.user_id(user.ordinal));
    }

    /// A session opened or closed.
    pub(super) fn seen(&self, ordinal: u32, now: Timestamp) {
        if let Some(entry) = self.devices.read().entry(ordinal) {
            entry.last_seen_s.store(u32::try_from(now.as_secs()).unwrap_or(u32::MAX), Ordering::Relaxed);
        }
    }

    /// True when it is another version than before.
    pub(super) fn set_app_version(&self, ordinal: u32, version: &str) -> bool {
        let same = |entry: &Entry| entry.app_version.as_deref() == Some(version);
        if self.devices.read().entry(ordinal).is_none_or(same) {
            return false;
        }
        let mut devices = self.devices.write();
        let devices = &mut *devices;
        let Some(mut entry) = devices.list.get_mut(ordinal as usize).and_then(Option::take) else {
            return false;
        };
        devices.leave_group(ordinal, &entry);
        entry.app_version = devices.share(Some(version));
        devices.join_group(ordinal, &entry);
        devices.list[ordinal as usize] = Some(entry);
        true
    }

    /// An empty token withdraws the one on record. None when there is no such device.
    pub(super) fn set_vendor_token(&self, ordinal: u32, channel: &str, token: &str) -> Option<DeviceRow> {
        let mut devices = self.devices.write();
        let entry = devices.list.get_mut(ordinal as usize)?.as_mut()?;
        let tokens = entry.vendor.get_or_insert_default();
        if token.is_empty() {
            tokens.remove(channel);
        } else {
            tokens.insert(channel.to_owned(), token.to_owned());
        }
        Some(entry.row())
    }

    #[must_use]
    pub(super) fn row(&self, ordinal: u32) -> Option<DeviceRow> {
        self.devices.read().entry(ordinal).map(Entry::row)
    }

    // ---- users ---------------------------------------------------------------------------------

    /// The user of that name, made when new.
    pub(super) fn user(&self, id: &UserId) -> User {
        if let Some(user) = self.known_user(id) {
            return user;
        }
        let mut users = self.users.write();
        if let Some(&ordinal) = users.by_id.get(id.as_str()) {
            return self.user_at(ordinal);
        }
        let ordinal = users.list.len() as u32;
        users.list.push(Some(UserEntry { id: id.clone(), devices: SmallVec::new(), named: false }));
        users.by_id.insert(id.shared(), ordinal);
        self.user_at(ordinal)
    }

    pub(super) fn restore_user(&self, ordinal: u32, id: UserId) {
        let mut users = self.users.write();
        users.reach(ordinal);
        users.by_id.insert(id.shared(), ordinal);
        users.list[ordinal as usize] = Some(UserEntry { id, devices: SmallVec::new(), named: true });
    }

    /// Keeps ordinals up to this one from being given out: something refers to it.
    pub(super) fn skip_users(&self, ordinal: u32) {
        self.users.write().reach(ordinal);
    }

    #[must_use]
    pub(super) fn known_user(&self, id: &UserId) -> Option<User> {
        self.users.read().by_id.get(id.as_str()).map(|&ordinal| self.user_at(ordinal))
    }

    #[must_use]
    pub(super) fn user_id(&self, ordinal: u32) -> Option<UserId> {
        self.users.read().entry(ordinal).map(|user| user.id.clone())
    }

    #[must_use]
    pub(super) fn user_devices(&self, ordinal: u32) -> SmallVec<[u32; 2]> {
        self.users.read().entry(ordinal).map(|user| user.devices.clone()).unwrap_or_default()
    }

    #[must_use]
    pub(super) fn user_count(&self) -> usize {
        self.users.read().by_id.len()
    }

    /// The user's name when its row has still to be written; from then on it counts as written.
    pub(super) fn to_name(&self, ordinal: u32) -> Option<UserId> {
        if self.users.read().entry(ordinal).is_none_or(|user| user.named) {
            return None;
        }
        let mut users = self.users.write();
        let user = users.list.get_mut(ordinal as usize)?.as_mut()?;
        (!std::mem::replace(&mut user.named, true)).then(|| user.id.clone())
    }

    #[must_use]
    pub(super) fn is_named(&self, ordinal: u32) -> bool {
        self.users.read().entry(ordinal).is_some_and(|user| user.named)
    }

    #[must_use]
    pub(super) fn bound_user(&self, ordinal: u32) -> Option<User> {
        self.devices.read().entry(ordinal)?.user.map(|user| self.user_at(user))
    }

    /// Gives the device's row and the user bound before; None when there is no such device.
    pub(super) fn bind(&self, ordinal: u32, user: Option<User>) -> Option<(DeviceRow, Option<User>)> {
        let mut devices = self.devices.write();
        let entry = devices.list.get_mut(ordinal as usize)?.as_mut()?;
        let before = std::mem::replace(&mut entry.user, user.map(|user| user.ordinal));
        let mut users = self.users.write();
        if let Some(before) = before {
            users.unbound(before, ordinal);
        }
        if let Some(user) = user {
            users.bound(user.ordinal, ordinal);
        }
        Some((entry.row(), before.map(|user| self.user_at(user))))
    }
}

impl Devices {
    fn entry(&self, ordinal: u32) -> Option<&Entry> {
        self.list.get(ordinal as usize)?.as_deref()
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

    fn join_group(&mut self, ordinal: u32, entry: &Entry) {
        self.groups.entry(entry.group()).or_default().insert(ordinal);
    }

    fn leave_group(&mut self, ordinal: u32, entry: &Entry) {
        let group = entry.group();
        if let Some(members) = self.groups.get_mut(&group) {
            members.remove(ordinal);
            if members.is_empty() {
                self.groups.remove(&group);
            }
        }
    }
}

impl Users {
    fn entry(&self, ordinal: u32) -> Option<&UserEntry> {
        self.list.get(ordinal as usize)?.as_ref()
    }

    fn reach(&mut self, ordinal: u32) {
        let at = ordinal as usize;
        if self.list.len() <= at {
            self.list.resize_with(at + 1, || None);
        }
    }

    fn bound(&mut self, user: u32, device: u32) {
        if let Some(Some(user)) = self.list.get_mut(user as usize)
            && !user.devices.contains(&device)
        {
            user.devices.push(device);
        }
    }

    fn unbound(&mut self, user: u32, device: u32) {
        if let Some(Some(user)) = self.list.get_mut(user as usize) {
            user.devices.retain(|bound| *bound != device);
        }
    }
}

impl Entry {
    fn group(&self) -> Group {
        (self.platform, self.app_version.clone())
    }

    fn row(&self) -> DeviceRow {
        let text = |text: &Option<Arc<str>>| text.as_deref().map(str::to_owned);
        DeviceRow {
            device_id: self.id.clone(),
            platform: self.platform,
            app_version: text(&self.app_version),
            maker: text(&self.maker),
            locale: text(&self.locale),
            time_zone: text(&self.time_zone),
            generation: self.generation,
            user: self.user,
            registered_at: self.registered_at,
            last_seen_s: self.last_seen_s.load(Ordering::Relaxed),
            vendor: self.vendor.as_deref().cloned().unwrap_or_default(),
        }
    }

    fn info(&self, device: Device) -> DeviceInfo {
        let row = self.row();
        DeviceInfo {
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
            vendor_channels: row.vendor.into_keys().collect(),
        }
    }
}
