//! What a campaign asks of the directory.

use std::sync::Arc;

use carillon_sdk::api::Platform;
use roaring::RoaringBitmap;

use super::super::Store;
use crate::campaign::Slice;
use crate::model::{App, Device, Task};

impl Store {
    /// The data directory, where lists are kept beside the databases.
    #[must_use]
    pub fn dir(&self) -> &std::path::Path {
        &self.0.shared.dir
    }

    /// What statistics tell a device apart by.
    #[must_use]
    pub fn slice_of(&self, device: Device) -> Option<(Platform, Option<Arc<str>>)> {
        self.0.shared.tenants.get(device.app)?.group(device.ordinal)
    }

    /// Of a campaign: the targets that were let go, and those that were not. None when the task has
    /// no entry.
    #[must_use]
    pub fn shares(&self, app: App, task: Task) -> Option<(RoaringBitmap, RoaringBitmap)> {
        let entry = self.0.shared.logs.find_task(app, task)?;
        Some((entry.released(), entry.unreleased()))
    }

    /// These devices by platform and app version; deleted ones are in none.
    #[must_use]
    pub fn slices(&self, app: App, devices: &RoaringBitmap) -> Vec<Slice> {
        let Some(people) = self.0.shared.tenants.get(app) else { return Vec::new() };
        let groups = people.groups().into_iter();
        let slice = |((platform, version), members): (_, RoaringBitmap)| Slice {
            platform,
            app_version: Option::<Arc<str>>::map(version, |version| version.to_string()),
            devices: members.intersection_len(devices),
        };
        groups.map(slice).filter(|slice| slice.devices > 0).collect()
    }
}
