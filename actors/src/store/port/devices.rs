//! Devices and users.

use carillon_sdk::api::RegisterDevice;
use carillon_sdk::{DeviceId, UserId};
use uuid::Uuid;

use super::super::directory::UNCLAIMED;
use super::super::queues::Queue;
use super::super::rows::DeviceRow;
use super::super::work::Write;
use super::super::{DeviceInfo, Error, Nonce, Registered, Store};
use crate::model::{App, Device, Owner, Seq, User};

/// Registrations of an id that is deleted each time in between.
const REGISTER_TRIES: usize = 8;

impl Store {
    pub async fn register(
        &self,
        app: App,
        body: RegisterDevice,
        nonce: Option<Nonce>,
    ) -> Result<Registered, Error> {
        let (device, row, created) = self.write_down(app, body, true, nonce).await?;
        let credential = self.0.shared.keyring.credential(device, row.generation);
        Ok(Registered { device, device_id: row.device_id, credential, created })
    }

    /// What an app server knows of a device that has not registered itself: it is made, unclaimed,
    /// or what is named of it changes. Its credential, if it has one, goes on. True when made.
    pub async fn adopt(
        &self,
        app: App,
        body: RegisterDevice,
        nonce: Option<Nonce>,
    ) -> Result<(Device, bool), Error> {
        let (device, _, created) = self.write_down(app, body, false, nonce).await?;
        Ok((device, created))
    }

    /// True while nobody was given a credential for it: the first who registers it has it.
    #[must_use]
    pub fn is_unclaimed(&self, device: Device) -> bool {
        let people = self.0.shared.tenants.get(device.app);
        people.is_some_and(|people| people.generation(device.ordinal) == Some(UNCLAIMED))
    }

    async fn write_down(
        &self,
        app: App,
        mut body: RegisterDevice,
        claim: bool,
        nonce: Option<Nonce>,
    ) -> Result<(Device, DeviceRow, bool), Error> {
        let shared = &self.0.shared;
        let people = shared.tenants.get(app).ok_or(Error::DeviceUnknown)?;
        let named = body
            .device_id
            .take()
            .map_or_else(|| DeviceId::parse(&format!("d_{}", Uuid::now_v7().simple())), Ok);
        let id = named.map_err(|_| Error::DeviceUnknown)?;
        body.device_id = Some(id.clone());
        for _ in 0..REGISTER_TRIES {
            let device = people.reserve(&id);
            let (body, nonce) = (Box::new(body.clone()), nonce.clone());
            let partition = shared.partition_of_device(device);
            let register = |reply| Write::Register { device, body, claim, nonce, reply };
            if let Some((row, created)) = self.write(partition, app, register).await? {
                return Ok((device, row, created));
            }
        }
        Err(Error::Unavailable)
    }

    /// The device a credential belongs to; None when it does not verify, was superseded by a later
    /// registration, or the device was deleted. Memory only, constant time in the secret.
    #[must_use]
    pub fn verify_credential(&self, credential: &str) -> Option<Device> {
        let shared = &self.0.shared;
        let (device, generation) = shared.keyring.verify(credential)?;
        let current = shared.tenants.get(device.app)?.generation(device.ordinal)?;
        (current == generation).then_some(device)
    }

    #[must_use]
    pub fn device(&self, app: App, id: &DeviceId) -> Option<Device> {
        self.0.shared.tenants.get(app)?.find(id)
    }

    #[must_use]
    pub fn device_info(&self, device: Device) -> Option<DeviceInfo> {
        let info = self.0.shared.tenants.get(device.app)?.device_info(device.ordinal)?;
        Some(self.complete(info))
    }

    /// Devices in order of registration, from `after` on, at most `limit`.
    #[must_use]
    pub fn devices(&self, app: App, after: Option<u32>, limit: usize) -> Vec<DeviceInfo> {
        let Some(people) = self.0.shared.tenants.get(app) else { return Vec::new() };
        people.device_list(after, limit).into_iter().map(|info| self.complete(info)).collect()
    }

    fn complete(&self, mut info: DeviceInfo) -> DeviceInfo {
        info.online = self.session(info.device).is_some();
        info.pending = self.pending_count(Owner::Device(info.device));
        info
    }

    pub async fn delete_device(&self, device: Device, nonce: Option<Nonce>) -> Result<(), Error> {
        let partition = self.0.shared.partition_of_device(device);
        self.write(partition, device.app, |reply| Write::Delete { device, nonce, reply }).await
    }

    /// The user of that name, made in memory when new; its name is written with its first commit.
    ///
    /// # Panics
    /// When there is no such app.
    #[must_use]
    pub fn user(&self, app: App, id: &UserId) -> User {
        self.0.shared.tenants.get(app).expect("the app exists").user(id)
    }

    /// The same without making one.
    #[must_use]
    pub fn known_user(&self, app: App, id: &UserId) -> Option<User> {
        self.0.shared.tenants.get(app)?.known_user(id)
    }

    #[must_use]
    pub fn user_id(&self, user: User) -> Option<UserId> {
        self.0.shared.tenants.get(user.app)?.user_id(user.ordinal)
    }

    /// The devices a user is logged in on.
    #[must_use]
    pub fn user_devices(&self, user: User) -> Vec<Device> {
        let Some(people) = self.0.shared.tenants.get(user.app) else { return Vec::new() };
        people
            .user_devices(user.ordinal)
            .into_iter()
            .map(|ordinal| Device { app: user.app, ordinal })
            .collect()
    }

    /// The last place in an owner's queue, 0 when it is empty: what a session compares itself with.
    #[must_use]
    pub fn head(&self, owner: Owner) -> Seq {
        self.queue(owner).head
    }

    #[must_use]
    pub fn pending_count(&self, owner: Owner) -> u32 {
        self.queue(owner).count
    }

    pub(super) fn queue(&self, owner: Owner) -> Queue {
        self.0.shared.ports[self.0.shared.partition_of(owner)].queues.get(owner)
    }

    /// Durable; answers the user bound before. What is pending for the new user and acked by
    /// nobody becomes the device's too.
    pub async fn bind(
        &self,
        device: Device,
        user: Option<User>,
        nonce: Option<Nonce>,
    ) -> Result<Option<User>, Error> {
        let shared = &self.0.shared;
        // The user's name is on disk before anything refers to it.
        if let Some(user) = user
            && !shared.tenants.get(user.app).is_some_and(|people| people.is_named(user.ordinal))
        {
            let partition = shared.partition_of_user(user);
            self.write(partition, user.app, |reply| Write::NameUser { user, reply }).await?;
        }
        let partition = shared.partition_of_device(device);
        let bind = |reply| Write::Bind { device, user, nonce, reply };
        let before = self.write(partition, device.app, bind).await?;
        self.join(device);
        Ok(before)
    }

    /// The app version a Hello named; written lazily.
    pub fn note_app_version(&self, device: Device, version: &str) {
        let changed = self
            .0
            .shared
            .tenants
            .get(device.app)
            .is_some_and(|people| people.set_app_version(device.ordinal, version));
        if changed {
            self.to_write(device);
        }
    }

    /// The device's row is to be written, with a sweep.
    pub(super) fn to_write(&self, device: Device) {
        let shared = &self.0.shared;
        shared.ports[shared.partition_of_device(device)].seen.lock().insert(device);
    }
}
