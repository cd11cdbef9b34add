//! What a partition does once its commit is on disk: it reads pages, and takes in what devices
//! said.

use ahash::AHashSet;
use carillon_sdk::MessageId;
use carillon_sdk::api::Step;
use carillon_sdk::wire::{Lane, ReportKind};

use super::broadcasts::reject;
use super::disk::Failed;
use super::history::{MessageHead, Reason, Whom};
use super::keys;
use super::partition::{Partition, encode};
use super::pending::{Desk, Reading};
use super::rows::{MessageRow, decode};
use super::stats::{self, Span};
use super::work::{Later, QueuePage, Report, Story, Work};
use super::{Acked, Cursor};
use crate::model::{Device, Due, Owner, Seq};

/// Reports taken in lately, so that two of a kind at once count once. History tells of older ones.
#[derive(Default)]
pub(super) struct Reported(AHashSet<(Device, MessageId, ReportKind)>);

const REPORTED_MAX: usize = 10_000;

impl Reported {
    fn is_new(&mut self, report: &Report) -> bool {
        if self.0.len() >= REPORTED_MAX {
            self.0.clear();
        }
        self.0.insert((report.device, report.id, report.kind))
    }
}

impl Partition {
    pub(super) fn later(&mut self, later: Later, work: &mut Work) -> Result<(), Failed> {
        match later {
            Later::Page { owner, device, cursor, limit, reply } => {
                let page = self.page(owner, device, cursor, limit, work)?;
                // The session may have ended.
                let _ = reply.send(Ok(page));
            }
            Later::Ack { device, acked } => self.acked(device, &acked, work)?,
            Later::AckHeld { device, owner, seqs } => {
                let Some(people) = self.people(device.app) else { return Ok(()) };
                let mut desk = Desk { rows: &self.rows, people: &people, work };
                for seq in seqs {
                    self.pending.ack(&mut desk, device, owner, seq)?;
                }
            }
            Later::Sent { device, sent } => self.sent(device, &sent, work),
            Later::Online { device, due, step } => self.online(device, &due, step, work),
            Later::Report { report, reply } => {
                self.report(&report, work);
                work.answer(reply, ());
            }
            Later::Forget { device, group } => {
                if let Some(people) = self.people(device.app) {
                    let mut desk = Desk { rows: &self.rows, people: &people, work };
                    self.pending.forget(&mut desk, device, Some(&group))?;
                }
            }
            Later::Unlist { device, user, group } => {
                if let Some(people) = self.people(device.app) {
                    let mut desk = Desk { rows: &self.rows, people: &people, work };
                    self.pending.unlist(&mut desk, device.ordinal, user, &group)?;
                }
            }
            Later::Reject { entry, devices } => {
                devices.iter().for_each(|ordinal| reject(&entry, ordinal, None, work));
            }
            Later::Unlog { device, group } => self.unlog(device, &group, work),
            Later::Tokens { of, reply } => {
                let tokens = self.read_tokens(&of)?;
                // Whoever asked may have gone.
                let _ = reply.send(Ok(tokens));
            }
            Later::Ledger { device, reply } => {
                let entries = self.ledger(device)?;
                let _ = reply.send(Ok(entries));
            }
            Later::Settle { reply } => work.answer(reply, ()),
            Later::Expire { now, more, reply } => self.expire(now, more, reply, work)?,
            other => self.take_back(other, work)?,
        }
        Ok(())
    }

    fn acked(&mut self, device: Device, acked: &[Acked], work: &mut Work) -> Result<(), Failed> {
        let Some(people) = self.people(device.app) else { return Ok(()) };
        for &Acked { owner, seq, id } in acked {
            let mut desk = Desk { rows: &self.rows, people: &people, work };
            let was_due = match owner {
                Some(owner) => self.pending.ack(&mut desk, device, owner, seq)?,
                None => false,
            };
            if !was_due {
                self.has_arrived(device, id, work);
            }
        }
        Ok(())
    }

    /// What was sent and is revoked.
    fn take_back(&mut self, later: Later, work: &mut Work) -> Result<(), Failed> {
        match later {
            Later::Withdraw { app, id, expires_at, only, reply } => {
                let withdrawal = self.withdraw(app, id, expires_at, only, work)?;
                work.answer(reply, withdrawal);
            }
            Later::WithdrawFrom { device, id, reply } => {
                let withdrawn = self.withdraw_from(device, id, work);
                work.answer(reply, withdrawn);
            }
            Later::WithdrawTask { app, task, from, reply } => {
                let walked = self.withdraw_task(app, task, from, work)?;
                work.answer(reply, walked);
            }
            question => self.answer(question, work)?,
        }
        Ok(())
    }

    /// What only reads rows.
    fn answer(&self, question: Later, work: &mut Work) -> Result<(), Failed> {
        match question {
            Later::Holds { users, id, reply } => {
                let mut held = Vec::with_capacity(users.len());
                for user in users {
                    held.push(self.pending.holds(&self.rows, user, id)?);
                }
                work.answer(reply, held);
            }
            Later::Rows { app, span, reply } => {
                let range = match span {
                    Span::Periods { granularity, from, to } => stats::range(granularity, app, from, to),
                    Span::Tasks { from, to } => stats::task_range(app, from, to),
                };
                let mut rows = self.stored_counts(&range.start, &range.end)?;
                if let Some(rows) = &mut rows {
                    rows.extend(self.window.open(app));
                }
                work.answer(reply, rows);
            }
            Later::Audited { app, before, limit, reply } => {
                let entries = self.audited(app, before, limit)?;
                work.answer(reply, entries);
            }
            Later::Tasks { app, tasks, reply } => {
                let tasks = self.tasks(app, &tasks)?;
                work.answer(reply, tasks);
            }
            Later::Origins { app, ids, reply } => {
                let origins: Result<Vec<_>, Failed> =
                    ids.into_iter().map(|id| self.origin(app, id)).collect();
                work.answer(reply, origins?);
            }
            // The rest is done where it was taken in hand.
            _ => {}
        }
        Ok(())
    }

    /// One queue's share of a page. The lanes take turns, three of high to one of normal, when the
    /// shares are merged; so not all of both is read.
    fn page(
        &self,
        owner: Owner,
        device: Device,
        cursor: Cursor,
        limit: usize,
        work: &Work,
    ) -> Result<QueuePage, Failed> {
        let queue = self.pending.queues.get(owner);
        // Drawn before reading: what another partition draws meanwhile must not be passed over.
        let safe = Seq(self.shared.seq.load(std::sync::atomic::Ordering::SeqCst));
        let mut page = QueuePage { head: queue.head, safe, ..QueuePage::default() };
        if queue.is_empty() {
            return Ok(page);
        }
        let reader = Reading { owner, device, now: work.now };
        let (high, more) = self.pending.due(&self.rows, reader, Lane::High, cursor.high, limit)?;
        page.more_high = more;
        let rest = limit - high.len().min(limit * 3 / 4);
        let (normal, more) = self.pending.due(&self.rows, reader, Lane::Normal, cursor.normal, rest)?;
        page.more_normal = more;
        page.high = self.messages(owner, &high)?;
        page.normal = self.messages(owner, &normal)?;
        Ok(page)
    }

    fn messages(&self, owner: Owner, places: &[(Seq, carillon_sdk::Timestamp)]) -> Result<Vec<Due>, Failed> {
        let Some(people) = self.people(owner.app()) else { return Ok(Vec::new()) };
        let mut due = Vec::with_capacity(places.len());
        for &(seq, expires_at) in places {
            let Some(bytes) = self.rows.get(&keys::message(expires_at, seq))? else {
                return Err(Failed(format!("place {} has no message", seq.0)));
            };
            let row: MessageRow = decode(&bytes)?;
            due.push(encode(&people, owner, seq, &row.message));
        }
        Ok(due)
    }

    fn sent(&self, device: Device, sent: &[Due], work: &mut Work) {
        let Some(group) = self.people(device.app).and_then(|people| people.group(device.ordinal)) else {
            return;
        };
        for due in sent {
            let story = Story::of_due(device.app, due);
            work.record(story, Whom::Device(device.ordinal), Some(group.clone()), Step::Sent, None);
        }
    }

    fn online(&self, device: Device, due: &Due, step: Step, work: &mut Work) {
        let group = self.people(device.app).and_then(|people| people.group(device.ordinal));
        let story = Story::of_due(device.app, due);
        let reason = (step == Step::Expired).then_some(Reason::AckTimeout);
        work.record(story, Whom::Device(device.ordinal), group, step, reason);
        if step == Step::Accepted
            && let Some(record) = work.records.last_mut()
        {
            record.message = Some(MessageHead::of(due));
        }
    }

    fn report(&mut self, report: &Report, work: &mut Work) {
        if !self.reported.is_new(report) {
            return;
        }
        let device = report.device;
        let group = self.people(device.app).and_then(|people| people.group(device.ordinal));
        let (id, push_type, task) = (report.id, report.push_type, report.task);
        let story = Story { app: device.app, id, push_type, task, is_quiet: false };
        work.record(story, Whom::Device(device.ordinal), group, step_of(report.kind), None);
    }
}

#[must_use]
pub(super) const fn step_of(kind: ReportKind) -> Step {
    match kind {
        ReportKind::Shown => Step::Shown,
        ReportKind::Opened => Step::Opened,
        ReportKind::Dismissed => Step::Dismissed,
    }
}
