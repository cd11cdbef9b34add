//! The log of broadcasts and campaigns: what is in it, who is let go, who comes later.

use std::sync::Arc;

use roaring::RoaringBitmap;

use super::super::log::{EntryView, Log, Reach};
use super::super::work::{Op, Write};
use super::super::{Error, Nonce, Store, Targets};
use super::lazy;
use crate::model::{App, Device, Message, Task};

impl Store {
    /// The live entries of an app, oldest first.
    #[must_use]
    pub fn log(&self, app: App) -> Log {
        self.0.shared.logs.of(app)
    }

    /// Opens a campaign's entry: its targets are frozen and durable, and it is due to nobody yet.
    /// The message names the task, which has one entry: planned again, that is answered. `Exists`
    /// when the log is full.
    pub async fn plan_entry(
        &self,
        message: Arc<Message>,
        targets: Targets,
        nonce: Option<Nonce>,
    ) -> Result<EntryView, Error> {
        let app = message.app;
        let partition = self.0.shared.partition_of_app(app);
        self.write(partition, app, |reply| Write::Plan { message, targets, nonce, reply }).await
    }

    /// Lets a campaign go to these of its targets: each is accepted, durable, and due when this
    /// returns. Answers how many were not let go before, so that it may be repeated; None when the
    /// task has no entry, or it expired or was revoked. A target deleted since the plan is accepted
    /// and rejected.
    pub async fn release(&self, app: App, task: Task, devices: RoaringBitmap) -> Result<Option<u64>, Error> {
        let partition = self.0.shared.partition_of_app(app);
        self.write(partition, app, |reply| Write::Release { app, task, devices, reply }).await
    }

    /// A task's entry, until it has expired.
    #[must_use]
    pub fn entry(&self, app: App, task: Task) -> Option<EntryView> {
        self.0.shared.logs.find_task(app, task).map(|entry| entry.view())
    }

    /// Targets of a campaign that were not let go yet.
    #[must_use]
    pub fn unreleased(&self, app: App, task: Task) -> Option<RoaringBitmap> {
        let entry = self.0.shared.logs.find_task(app, task)?;
        (entry.reach == Reach::Paced).then(|| entry.unreleased())
    }

    /// Judges a device that connected or was bound by the rules of the broadcasts that have not
    /// met it: those that mean it are let go to it with the next commit. Told; a full intake
    /// leaves it to the sweep.
    pub(super) fn join(&self, device: Device) {
        let (now, log) = (self.now(), self.log(device.app));
        let Some(people) = self.0.shared.tenants.get(device.app) else { return };
        let mut wanted = false;
        for entry in log.iter() {
            if entry.may_join(device.ordinal, now) && entry.is_meant_for(device.ordinal, &people) {
                entry.want(device.ordinal);
                wanted = true;
            }
        }
        if wanted {
            let shared = &self.0.shared;
            let port = &shared.ports[shared.partition_of_app(device.app)];
            let join = Write::Join { app: device.app };
            // Full or closed: the sweep finds what is wanted.
            let _ = port.intake.push(device.app, lazy(1), Op::Write(join));
        }
    }
}
