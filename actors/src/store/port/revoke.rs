//! Revoke: what waits is withdrawn, and who may show it is told.
//!
//! Told first, as far as history knows whom; then withdrawn; then those are told who may have been
//! sent it meanwhile. Whatever a crash leaves undone, asking again does: a notice has an id derived
//! from the message's, so nobody is told twice.

use std::collections::BTreeMap;
use std::sync::Arc;

use carillon_sdk::api::Step;
use carillon_sdk::wire::Lane;
use carillon_sdk::{MessageId, Timestamp};
use futures_util::future::{join_all, try_join_all};
use roaring::RoaringBitmap;

use super::super::history::{Followed, Position, Record, Whom};
use super::super::objects::Audit;
use super::super::revokes::{RevokeOutcome, Revoked};
use super::super::work::{Later, Withdrawal, Write};
use super::super::{Enqueued, Error, Nonce, Store};
use super::Job;
use crate::model::{App, Device, Message, Owner, PushType, Task};

/// Notices on their way to queues at once.
const TELLING_MAX: usize = 256;

/// Devices named by one enqueue of a notice.
const NOTICE_TARGETS_MAX: usize = 500;

/// Deliveries of one task that are looked up to be told; beyond, the rest is not.
const DELIVERIES_MAX: usize = 100_000;

/// Records of history looked at for them in one job, and in all, a partition.
const LOOK_MAX: usize = 100_000;
const LOOKS_MAX: usize = 100;

/// What history knows of one message.
#[derive(Default)]
struct Known {
    accepted_at: Timestamp,
    expires_at: Timestamp,
    lane: Lane,
    silent: bool,
    push_type: Option<PushType>,
    /// Sent or delivered.
    seen: RoaringBitmap,
}

impl Known {
    fn take_in(&mut self, record: &Record) {
        if self.push_type.is_none() {
            self.accepted_at = record.at;
            self.push_type = Some(record.push_type);
        }
        if let Some(head) = record.message {
            (self.lane, self.silent, self.expires_at) = (head.lane, head.silent, head.expires_at);
        }
        if matches!(record.step, Step::Sent | Step::Delivered | Step::HandedOver) {
            match &record.whom {
                Whom::Device(device) => drop(self.seen.insert(*device)),
                Whom::Group(devices) => self.seen |= devices,
                Whom::User(_) => {}
            }
        }
    }

    fn may_show(&self) -> RoaringBitmap {
        if self.silent { RoaringBitmap::new() } else { self.seen.clone() }
    }
}

/// A walk that ends, however it ends.
struct Walking<'a>(&'a Store, App, Task);

impl Drop for Walking<'_> {
    fn drop(&mut self) {
        self.0.0.shared.revoked.end(self.1, self.2);
    }
}

impl Store {
    /// Withdraws a message from all it was for, or from one of them, named as the push named it.
    pub async fn revoke_message(
        &self,
        app: App,
        id: MessageId,
        only: Option<Owner>,
    ) -> Result<RevokeOutcome, Error> {
        self.settle(app).await?;
        if self.0.shared.logs.find(app, id).is_some_and(|entry| entry.due.revokes.is_none()) && only.is_none()
        {
            let revoked = self.revoke_entry(app, id).await?;
            return Ok(RevokeOutcome::Done(revoked.unwrap_or(Revoked::NOTHING)));
        }
        let records = self.look_up(app, id).await?;
        if records.is_empty() {
            return Ok(RevokeOutcome::Unknown);
        }
        let mut known = Known::default();
        records.iter().for_each(|record| known.take_in(record));
        if known.accepted_at + self.0.shared.limits.revoke_keep < self.now() {
            return Ok(RevokeOutcome::TooOld);
        }
        let mut may_show = known.may_show();
        match only {
            Some(Owner::Device(device)) => may_show &= RoaringBitmap::from([device.ordinal]),
            Some(Owner::User(user)) => {
                may_show &=
                    self.user_devices(user).iter().map(|device| device.ordinal).collect::<RoaringBitmap>();
            }
            None => {}
        }
        let notice = Arc::new(self.notice(app, id, known.lane, known.push_type));
        let mut revoked = Revoked { told: self.notify(&notice, may_show).await?, ..Revoked::NOTHING };
        if let Some(Owner::Device(device)) = only {
            let partition = self.0.shared.partition_of_app(app);
            revoked.withdrawn +=
                self.ask(partition, app, |reply| Later::WithdrawFrom { device, id, reply }).await?;
        }
        let expires_at = known.expires_at;
        let withdrawals = (0..self.0.shared.ports.len()).map(|partition| {
            self.ask(partition, app, move |reply| Later::Withdraw { app, id, expires_at, only, reply })
        });
        for withdrawal in try_join_all(withdrawals).await? {
            revoked.withdrawn += withdrawal.withdrawn;
            revoked.told += self.notify(&notice, withdrawal.may_show).await?;
        }
        // What is answered as withdrawn does not come again after a crash.
        for partition in 0..self.0.shared.ports.len() {
            self.write(partition, app, |reply| Write::Paid { reply }).await?;
        }
        Ok(RevokeOutcome::Done(revoked))
    }

    async fn revoke_entry(&self, app: App, id: MessageId) -> Result<Option<Revoked>, Error> {
        let notice = Arc::new(self.notice(app, id, Lane::Bulk, None));
        let partition = self.0.shared.partition_of_app(app);
        self.write(partition, app, |reply| Write::RevokeEntry { id, notice, reply }).await
    }

    /// Withdraws whatever goes under a task. Durable before anything is withdrawn: from then on
    /// nothing of it is taken in, and a crash under way is made good by `resume_revokes`.
    pub async fn revoke_task(
        &self,
        app: App,
        task: Task,
        audit: Option<Audit>,
        nonce: Option<Nonce>,
    ) -> Result<RevokeOutcome, Error> {
        let Some(view) = self.task(app, task).await? else { return Ok(RevokeOutcome::Unknown) };
        if view.created_at + self.0.shared.limits.revoke_keep < self.now() {
            return Ok(RevokeOutcome::TooOld);
        }
        let partition = self.0.shared.partition_of_app(app);
        let revoke = |reply| Write::RevokeTask { app, task, audit, nonce, reply };
        let is_new = self.write(partition, app, revoke).await?;
        if !is_new && !self.0.shared.revoked.begin(app, task) {
            return Ok(RevokeOutcome::Done(Revoked::NOTHING));
        }
        self.walk_task(app, task, view.created_at).await.map(RevokeOutcome::Done)
    }

    /// True when the task was revoked within the time that revokes are kept.
    #[must_use]
    pub fn is_revoked(&self, app: App, task: Task) -> bool {
        self.0.shared.revoked.has(app, task)
    }

    /// Carries on with a revoke of a task that a crash or a failure cut off, if there is one.
    pub async fn resume_revokes(&self) -> Result<(), Error> {
        while let Some((app, task)) = self.0.shared.revoked.left() {
            let created_at = self.task(app, task).await?.map(|view| view.created_at);
            if !self.0.shared.revoked.begin(app, task) {
                continue;
            }
            self.walk_task(app, task, created_at.unwrap_or_default()).await?;
        }
        Ok(())
    }

    /// By whoever began it.
    async fn walk_task(&self, app: App, task: Task, created_at: Timestamp) -> Result<Revoked, Error> {
        let _walking = Walking(self, app, task);
        let mut revoked = Revoked::NOTHING;
        if let Some(entry) = self.0.shared.logs.find_task(app, task)
            && let Some(of_entry) = self.revoke_entry(app, entry.due.id).await?
        {
            revoked = of_entry;
        }
        for partition in 0..self.0.shared.ports.len() {
            let mut from = None;
            loop {
                let step = |reply| Later::WithdrawTask { app, task, from, reply };
                let (withdrawals, next) = self.ask(partition, app, step).await?;
                revoked.withdrawn += withdrawals.iter().map(|withdrawal| withdrawal.withdrawn).sum::<u64>();
                revoked.told += self.tell_all(app, withdrawals).await?;
                if next.is_none() {
                    break;
                }
                from = next;
            }
            self.write(partition, app, |reply| Write::Paid { reply }).await?;
        }
        let (told, complete) = self.tell_delivered(app, task, created_at).await?;
        revoked.told += told;
        revoked.complete = complete;
        let partition = self.0.shared.partition_of_app(app);
        self.write(partition, app, |reply| Write::TaskRevoked { app, task, reply }).await?;
        Ok(revoked)
    }

    /// Tells the devices that, after history, were sent a task's messages. False when there were
    /// more than are looked up.
    async fn tell_delivered(&self, app: App, task: Task, since: Timestamp) -> Result<(u64, bool), Error> {
        self.settle(app).await?;
        let mut told = 0;
        let mut complete = true;
        let mut known: BTreeMap<MessageId, Known> = BTreeMap::new();
        for partition in 0..self.0.shared.ports.len() {
            let to = *self.0.shared.ports[partition].concluded.lock();
            let mut from = None;
            let mut looks = 0;
            loop {
                let (records, next) = self.look_for_task(partition, (app, task), (from, since), to).await?;
                for record in &records {
                    known.entry(record.id).or_default().take_in(record);
                }
                looks += 1;
                if next.is_none() {
                    break;
                }
                if looks == LOOKS_MAX || known.len() > DELIVERIES_MAX {
                    complete = false;
                    break;
                }
                from = next;
            }
        }
        let mut deliveries = Vec::new();
        let mut left = DELIVERIES_MAX as u64;
        for (id, known) in known {
            let may_show = known.may_show();
            if may_show.is_empty() {
                continue;
            }
            if known.lane == Lane::Bulk {
                let notice = Arc::new(self.notice(app, id, Lane::Bulk, None));
                told += self.notify(&notice, may_show).await?;
                continue;
            }
            if left < may_show.len() {
                complete = false;
                break;
            }
            left -= may_show.len();
            let push_type = known.push_type.unwrap_or(PushType::Multiple);
            deliveries.push(Withdrawal { id, push_type, withdrawn: 0, may_show });
        }
        told += self.tell_all(app, deliveries).await?;
        Ok((told, complete))
    }

    /// A stretch of one partition's history: the records of a task, and where to go on.
    async fn look_for_task(
        &self,
        partition: usize,
        (app, task): (App, Task),
        (from, since): (Option<Position>, Timestamp),
        to: Position,
    ) -> Result<(Vec<Record>, Option<Position>), Error> {
        let (reply, answer) = tokio::sync::oneshot::channel();
        let job: Job = Box::new(move |readers| {
            let look = || -> std::io::Result<_> {
                let reader = &readers[partition];
                let from = from.map_or_else(|| reader.place_of(since, to), Ok)?;
                let mut follow = reader.follow(from, to);
                let (mut records, mut budget) = (Vec::new(), LOOK_MAX);
                loop {
                    match follow.next(app, &mut budget)? {
                        Followed::Record(_, record) if record.task == Some(task) => records.push(*record),
                        Followed::Record(..) => {}
                        Followed::End => return Ok((records, None)),
                        Followed::Spent => return Ok((records, Some(follow.at()))),
                    }
                }
            };
            let looked = look().map_err(|error| {
                tracing::error!(%error, "history cannot be read");
                Error::Unavailable
            });
            // Whoever asked may have gone.
            let _ = reply.send(looked);
        });
        self.read_files(job)?;
        answer.await.unwrap_or(Err(Error::Unavailable))
    }

    async fn tell_all(&self, app: App, withdrawals: Vec<Withdrawal>) -> Result<u64, Error> {
        let mut told = 0;
        let telling: Vec<_> = withdrawals.into_iter().filter(|one| !one.may_show.is_empty()).collect();
        for some in telling.chunks(TELLING_MAX) {
            let notices = some.iter().map(async |one| {
                let notice = Arc::new(self.notice(app, one.id, Lane::Normal, Some(one.push_type)));
                self.notify(&notice, one.may_show.clone()).await
            });
            for one in join_all(notices).await {
                told += one?;
            }
        }
        Ok(told)
    }

    /// Puts a notice into the queues of these devices, or for a message of the app's log into that.
    /// Answers how many were not told before.
    async fn notify(&self, notice: &Arc<Message>, devices: RoaringBitmap) -> Result<u64, Error> {
        if devices.is_empty() {
            return Ok(0);
        }
        let app = notice.app;
        if notice.lane == Lane::Bulk {
            let partition = self.0.shared.partition_of_app(app);
            let notice = Arc::clone(notice);
            return self.write(partition, app, |reply| Write::Tell { notice, devices, reply }).await;
        }
        let owners: Vec<Owner> =
            devices.iter().map(|ordinal| Owner::Device(Device { app, ordinal })).collect();
        let mut told = 0;
        for some in owners.chunks(NOTICE_TARGETS_MAX) {
            let enqueued = self.enqueue(Arc::clone(notice), some.to_vec(), None).await?;
            told += enqueued.iter().filter(|one| matches!(one, Enqueued::Stored(_))).count() as u64;
        }
        Ok(told)
    }

    /// It was written to a device's socket while it was being revoked.
    pub(super) fn tell_late(&self, device: Device, id: MessageId) {
        if let Some(entry) = self.0.shared.logs.find(device.app, notice_id(device.app, id)) {
            entry.want(device.ordinal);
        }
    }

    fn notice(&self, app: App, id: MessageId, lane: Lane, push_type: Option<PushType>) -> Message {
        let now = self.now();
        Message {
            id: notice_id(app, id),
            app,
            push_type: push_type.unwrap_or(PushType::Broadcast),
            title: None,
            body: None,
            data: None,
            lane: if lane == Lane::Bulk { Lane::Bulk } else { Lane::Normal },
            silent: true,
            collapse_key: None,
            accepted_at: now,
            expires_at: now + self.0.shared.limits.revoke_keep,
            uri: None,
            look: None,
            task: None,
            options: None,
            repeat_until: None,
            revokes: Some(id),
            key: None,
        }
    }
}

/// The notice that withdraws a message: one, however often it is asked for.
fn notice_id(app: App, id: MessageId) -> MessageId {
    let mut name = b"revoke\0".to_vec();
    name.extend_from_slice(id.as_bytes());
    MessageId::derived(&crate::push::namespace(app), &name)
}
