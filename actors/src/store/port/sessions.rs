//! Sessions: who is connected, what is due, what arrived.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use carillon_sdk::MessageId;
use carillon_sdk::api::Step;
use carillon_sdk::wire::ReportKind;
use smallvec::SmallVec;

use super::super::page::merge;
use super::super::work::{Later, QueuePage, Report};
use super::super::{Acked, Connected, Cursor, Error, Page, Store};
use super::lazy;
use crate::model::{Device, Due, Epoch, Owner, Seq, ShardNo, User};

impl Store {
    /// A number for a new session.
    #[must_use]
    pub fn next_epoch(&self) -> Epoch {
        Epoch(self.0.shared.epoch.fetch_add(1, Ordering::Relaxed) + 1)
    }

    /// Takes the device over for this session. Memory only. A push committed after this is hinted
    /// to this session; one whose commit began before is seen in `pending`. None when there is no
    /// such device.
    ///
    /// The session is entered first and the counts are read after; an enqueue counts first and
    /// looks for sessions after. Whichever comes second sees the other.
    pub fn connect(&self, device: Device, epoch: Epoch, shard: ShardNo) -> Option<Connected> {
        let people = self.0.shared.tenants.get(device.app)?;
        if !people.is_registered(device.ordinal) {
            return None;
        }
        let before = self.0.shared.sessions.open(device, epoch, shard);
        people.seen(device.ordinal, self.now(), || self.session(device).is_some());
        self.to_write(device);
        self.join(device);
        let user = people.bound_user(device.ordinal);
        let waits = |owner| !self.queue(owner).is_empty();
        let pending = waits(Owner::Device(device)) || user.is_some_and(|user| waits(Owner::User(user)));
        Some(Connected { previous: before.open, last_epoch: before.last, user, pending })
    }

    /// Ends the session, unless a later one has taken over.
    pub fn disconnect(&self, device: Device, epoch: Epoch) {
        if self.0.shared.sessions.close(device, epoch)
            && let Some(people) = self.0.shared.tenants.get(device.app)
        {
            people.seen(device.ordinal, self.now(), || self.session(device).is_some());
            self.to_write(device);
        }
    }

    /// The session open for a device.
    #[must_use]
    pub fn session(&self, device: Device) -> Option<(ShardNo, Epoch)> {
        self.0.shared.sessions.get(device)
    }

    /// What is due to a device after `cursor`, from its own queue and its user's.
    pub async fn page(
        &self,
        device: Device,
        user: Option<User>,
        cursor: Cursor,
        limit: usize,
    ) -> Result<Page, Error> {
        let share = |owner| {
            let partition = self.0.shared.partition_of(owner);
            self.ask(partition, device.app, move |reply| Later::Page { owner, device, cursor, limit, reply })
        };
        let of_user = async {
            match user {
                Some(user) => share(Owner::User(user)).await,
                None => Ok(QueuePage { safe: Seq(u64::MAX), ..QueuePage::default() }),
            }
        };
        let (own, of_user) = futures_util::future::join(share(Owner::Device(device)), of_user).await;
        Ok(merge(own?, of_user?, limit))
    }

    /// These arrived. Told: applied within a few tens of milliseconds. `Full` when the intake is:
    /// the device will be sent them again, which it drops. An ack that overtakes the commit of its
    /// message is applied after it.
    pub fn ack(&self, device: Device, acked: Vec<Acked>) -> Result<(), Error> {
        let shared = &self.0.shared;
        let mut shares: SmallVec<[Vec<Acked>; 4]> = shared.ports.iter().map(|_| Vec::new()).collect();
        for acked in acked {
            match acked.owner {
                Some(owner) => shares[shared.partition_of(owner)].push(acked),
                // What a vendor took has arrived: the partition is to say so.
                None if self.ack_broadcast(device, acked.seq) => {
                    shares[shared.partition_of_device(device)].push(acked);
                }
                None => {}
            }
        }
        let mut told = Ok(());
        for (partition, acked) in shares.into_iter().enumerate() {
            if !acked.is_empty() {
                let weight = lazy(acked.len());
                told = told.and(self.tell(partition, device.app, weight, Later::Ack { device, acked }));
            }
        }
        told
    }

    /// True when a vendor took it for the device.
    fn ack_broadcast(&self, device: Device, seq: Seq) -> bool {
        let log = self.log(device.app);
        log.iter().find(|entry| entry.due.seq == seq).is_some_and(|entry| entry.ack(device.ordinal))
    }

    /// `holding` of a Hello: places the device has, from whichever queue they are in. Unknown ones
    /// are passed over. The same as `ack` otherwise.
    #[expect(clippy::needless_pass_by_value, reason = "as `ack`: the caller is done with them")]
    pub fn ack_held(&self, device: Device, user: Option<User>, seqs: Vec<Seq>) -> Result<(), Error> {
        if seqs.is_empty() {
            return Ok(());
        }
        for &seq in &seqs {
            self.ack_broadcast(device, seq);
        }
        let mut told = Ok(());
        for owner in [Some(Owner::Device(device)), user.map(Owner::User)].into_iter().flatten() {
            let held = Later::AckHeld { device, owner, seqs: seqs.clone() };
            told = told.and(self.tell(self.0.shared.partition_of(owner), device.app, lazy(seqs.len()), held));
        }
        told
    }

    /// These were written to the device's socket: a step of history, told.
    pub fn note_sent(&self, device: Device, ids: Vec<Due>) {
        let (broadcasts, sent): (Vec<_>, Vec<_>) =
            ids.into_iter().partition(|due| due.owner.is_none() && !due.online_only);
        for due in broadcasts {
            if let Some(entry) = self.log(device.app).iter().find(|entry| entry.due.seq == due.seq)
                && entry.note_sent(device.ordinal)
            {
                self.tell_late(device, entry.due.id);
            }
        }
        if !sent.is_empty() {
            self.note(device, lazy(sent.len()), Later::Sent { device, sent });
        }
    }

    /// The steps of a push that was never stored (`ttl: 0`), told.
    pub fn note_online(&self, device: Device, due: &Due, step: Step) {
        self.note(device, lazy(1), Later::Online { device, due: Arc::clone(due), step });
    }

    /// Always into the device's own partition, where its reports look for it.
    fn note(&self, device: Device, weight: super::Weight, note: Later) {
        if self.tell(self.0.shared.partition_of_device(device), device.app, weight, note).is_err() {
            metrics::counter!("carillon_store_errors_total", "op" => "note", "reason" => "dropped")
                .increment(1);
        }
    }

    /// What the device says of a message. False when it was never sent that message.
    pub async fn report(&self, device: Device, id: MessageId, kind: ReportKind) -> Result<bool, Error> {
        if let Some(entry) = self.0.shared.logs.find(device.app, id) {
            if entry.report(device.ordinal, kind) {
                self.take_report(Report {
                    device,
                    id,
                    push_type: entry.due.push_type,
                    task: entry.due.task,
                    kind,
                })
                .await?;
            }
            return Ok(true);
        }
        let Some((push_type, task, known)) = self.was_sent(device, id, kind).await? else { return Ok(false) };
        if !known {
            self.take_report(Report { device, id, push_type, task, kind }).await?;
        }
        Ok(true)
    }

    async fn take_report(&self, report: Report) -> Result<(), Error> {
        let partition = self.0.shared.partition_of_device(report.device);
        self.ask(partition, report.device.app, |reply| Later::Report { report, reply }).await
    }
}
