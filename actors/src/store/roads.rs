//! What the store knows of roads when it takes a message in: which vendors an app has set up, what
//! it wishes, and who is connected.

use std::sync::Arc;

use ahash::AHashMap;
use carillon_sdk::Vendor;
use parking_lot::Mutex;

use super::directory::OfApp;
use super::shared::Shared;
use crate::channel::{self, Options};
use crate::model::{App, Device, Message};
use crate::routing::{Road, Wish};
use crate::settings::{self, Routing};

use super::Kind;

/// An app's vendors and wishes, read once and until one of them changes.
#[derive(Debug)]
pub(super) struct OfRoads {
    /// A bit for each vendor whose setup is there and on.
    vendors: u16,
    routing: Routing,
}

/// None for an app without any vendor: most have none, and pay a look.
#[derive(Default)]
pub(super) struct RoadCache(Mutex<AHashMap<App, Option<Arc<OfRoads>>>>);

impl RoadCache {
    pub(super) fn forget(&self, app: App) {
        self.0.lock().remove(&app);
    }
}

impl OfRoads {
    #[must_use]
    pub(super) const fn has(&self, vendor: Vendor) -> bool {
        self.vendors & (1 << vendor as u8) != 0
    }
}

/// The roads of one message.
pub(super) struct Roads<'a> {
    shared: &'a Shared,
    of: Arc<OfRoads>,
    app: App,
    pub(super) wish: Wish,
    /// Someone waits for it: it goes before others of its lane.
    pub(super) is_urgent: bool,
}

impl Shared {
    pub(super) fn roads_of(&self, app: App) -> Option<Arc<OfRoads>> {
        if let Some(known) = self.roads.0.lock().get(&app) {
            return known.clone();
        }
        let setups = self.objects.list(app, Kind::Channel);
        let is_on = |(name, stored): &(String, super::Stored)| {
            name.parse::<Vendor>().ok().filter(|_| channel::is_enabled(&stored.bytes))
        };
        let vendors = setups.iter().filter_map(is_on).fold(0, |all, vendor| all | 1 << vendor as u8);
        let of = (vendors != 0).then(|| {
            let routing = settings::read(self.objects.get(app, Kind::Settings, settings::SETTINGS)).routing;
            Arc::new(OfRoads { vendors, routing })
        });
        self.roads.0.lock().insert(app, of.clone());
        of
    }

    /// None when there is only one: our own.
    pub(super) fn roads<'a>(&'a self, message: &Message) -> Option<Roads<'a>> {
        let of = self.roads_of(message.app)?;
        if message.revokes.is_some() || message.expires_at == message.accepted_at {
            return None;
        }
        let options = Options::read(message.options.as_deref());
        let wish = Wish::of(&of.routing, &options);
        let is_urgent = message.lane == carillon_sdk::wire::Lane::High || options.is_urgent();
        Some(Roads { shared: self, of, app: message.app, wish, is_urgent })
    }
}

impl Roads<'_> {
    /// Which road it takes to a device; None where there was nothing to choose.
    #[must_use]
    pub(super) fn road(&self, people: &OfApp, ordinal: u32) -> Option<Road> {
        let carrier = people.carrier(ordinal).filter(|&vendor| self.of.has(vendor))?;
        Some(self.wish.road(carrier, self.is_online(ordinal)))
    }

    /// The same, when carrier and session are known.
    #[must_use]
    pub(super) fn road_of(&self, carrier: Vendor, is_online: bool) -> Road {
        self.wish.road(carrier, is_online)
    }

    #[must_use]
    pub(super) fn is_online(&self, ordinal: u32) -> bool {
        self.shared.sessions.get(Device { app: self.app, ordinal }).is_some()
    }

    #[must_use]
    pub(super) fn has(&self, vendor: Vendor) -> bool {
        self.of.has(vendor)
    }
}
