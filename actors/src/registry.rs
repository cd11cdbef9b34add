//! The live devices of one shard: found by name, and gone over in slices.

use std::collections::HashMap;
use std::rc::Rc;

use crate::live::Live;
use crate::model::{App, Device};

#[derive(Default)]
struct Devices {
    /// Ordinal to place in `lives`.
    places: HashMap<u32, u32, ahash::RandomState>,
    lives: Vec<Rc<Live>>,
}

/// Lists an app, so that a broadcast touches its devices only. A removal moves the last of a list
/// into the gap: who goes over a list from its end misses nobody.
#[derive(Default)]
pub(crate) struct Registry {
    apps: HashMap<App, Devices, ahash::RandomState>,
    count: usize,
    /// Told Goodbye, not gone yet.
    ending: Vec<Rc<Live>>,
}

impl Registry {
    pub(crate) fn get(&self, device: Device) -> Option<Rc<Live>> {
        let devices = self.apps.get(&device.app)?;
        devices.places.get(&device.ordinal).map(|place| Rc::clone(&devices.lives[*place as usize]))
    }

    /// The device must not be there already.
    pub(crate) fn insert(&mut self, live: Rc<Live>) {
        let devices = self.apps.entry(live.device.app).or_default();
        let place = u32::try_from(devices.lives.len()).unwrap_or(u32::MAX);
        live.place.set(place);
        let before = devices.places.insert(live.device.ordinal, place);
        assert!(before.is_none(), "one live session per device");
        devices.lives.push(live);
        self.count += 1;
    }

    /// Takes this very connection out, if it is in.
    pub(crate) fn remove(&mut self, live: &Live) -> Option<Rc<Live>> {
        let devices = self.apps.get_mut(&live.device.app)?;
        let place = live.place.get() as usize;
        if !devices.lives.get(place).is_some_and(|there| std::ptr::eq(Rc::as_ptr(there), live)) {
            return None;
        }
        let live = devices.lives.swap_remove(place);
        devices.places.remove(&live.device.ordinal);
        if let Some(moved) = devices.lives.get(place) {
            moved.place.set(live.place.get());
            devices.places.insert(moved.device.ordinal, live.place.get());
        }
        if devices.lives.is_empty() {
            self.apps.remove(&live.device.app);
        }
        self.count -= 1;
        Some(live)
    }

    /// Moves it to those that are ending.
    pub(crate) fn retire(&mut self, live: &Live) {
        if let Some(live) = self.remove(live) {
            self.ending.push(live);
        }
    }

    pub(crate) fn ending(&mut self) -> &mut Vec<Rc<Live>> {
        &mut self.ending
    }

    pub(crate) const fn len(&self) -> usize {
        self.count
    }

    pub(crate) fn apps(&self) -> Vec<App> {
        self.apps.keys().copied().collect()
    }

    pub(crate) fn len_of(&self, app: App) -> usize {
        self.apps.get(&app).map_or(0, |devices| devices.lives.len())
    }

    pub(crate) fn at(&self, app: App, place: usize) -> Option<Rc<Live>> {
        self.apps.get(&app)?.lives.get(place).cloned()
    }

    /// The `part`th of `parts` about equal parts of an app's devices.
    pub(crate) fn part(&self, app: App, part: usize, parts: usize) -> Vec<Rc<Live>> {
        let Some(devices) = self.apps.get(&app) else { return Vec::new() };
        let len = devices.lives.len();
        devices.lives[len * part / parts..len * (part + 1) / parts].to_vec()
    }

    /// At most `count` devices, whichever.
    pub(crate) fn some(&self, count: usize) -> Vec<Rc<Live>> {
        self.apps.values().flat_map(|devices| &devices.lives).take(count).cloned().collect()
    }

    /// Everything, as the shard ends.
    pub(crate) fn drain(&mut self) -> Vec<Rc<Live>> {
        let all = std::mem::take(self);
        all.apps.into_values().flat_map(|devices| devices.lives).chain(all.ending).collect()
    }
}
