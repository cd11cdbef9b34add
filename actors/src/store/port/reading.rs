//! Reading back: a message's story, and statistics.

use std::sync::mpsc::TrySendError;

use carillon_sdk::api::{Dimension, Granularity, MessageView, StatsRow, Step};
use carillon_sdk::wire::ReportKind;
use carillon_sdk::{MessageId, Timestamp};
use roaring::RoaringBitmap;
use tokio::sync::oneshot;

use super::super::history::{Channel, Reader, Record, Whom};
use super::super::reading::step_of;
use super::super::stats::{self, Asked, Counts, Span};
use super::super::story::Told;
use super::super::work::Later;
use super::super::{Error, Store};
use crate::model::{App, Device, Owner, PushType, Task, User};

/// Work for the thread that reads files.
pub(crate) type Job = Box<dyn FnOnce(&[Reader]) + Send>;

impl Store {
    /// One page of a message's story, `limit` targets at most.
    pub async fn message(
        &self,
        app: App,
        id: MessageId,
        cursor: Option<String>,
        limit: usize,
    ) -> Result<Option<MessageView>, Error> {
        let Some(people) = self.0.shared.tenants.get(app) else { return Ok(None) };
        self.settle(app).await?;
        // A broadcast's acks show once a sweep has recorded them, about a second later: what a
        // crash could still take back is not told.
        let records = self.look_up(app, id).await?;
        let Some(told) = Told::of(records) else { return Ok(None) };
        let held = self.held(app, id, told.open_users()).await?;
        Ok(Some(told.view(id, &people, &held, cursor.as_deref(), limit)))
    }

    /// Everything told so far is in history when this returns.
    pub(super) async fn settle(&self, app: App) -> Result<(), Error> {
        let steps = (0..self.0.shared.ports.len())
            .map(|partition| self.ask(partition, app, |reply| Later::Settle { reply }));
        futures_util::future::try_join_all(steps).await?;
        Ok(())
    }

    /// Which of these users still have the message waiting.
    async fn held(&self, app: App, id: MessageId, users: Vec<u32>) -> Result<RoaringBitmap, Error> {
        let shared = &self.0.shared;
        let mut by_partition: Vec<Vec<User>> = shared.ports.iter().map(|_| Vec::new()).collect();
        for ordinal in users {
            let user = User { app, ordinal };
            by_partition[shared.partition_of(Owner::User(user))].push(user);
        }
        let mut held = RoaringBitmap::new();
        for (partition, users) in by_partition.into_iter().enumerate() {
            if users.is_empty() {
                continue;
            }
            let asked = users.clone();
            let answer = self.ask(partition, app, |reply| Later::Holds { users: asked, id, reply }).await?;
            held.extend(users.iter().zip(answer).filter(|(_, held)| *held).map(|(user, _)| user.ordinal));
        }
        Ok(held)
    }

    /// Every record of a message, from all partitions, in order of time.
    pub(super) async fn look_up(&self, app: App, id: MessageId) -> Result<Vec<Record>, Error> {
        let (reply, answer) = oneshot::channel();
        let job: Job = Box::new(move |readers| {
            let mut records = Vec::new();
            for reader in readers {
                match reader.find(app, id) {
                    Ok(found) => records.extend(found),
                    Err(error) => {
                        metrics::counter!("carillon_store_errors_total", "op" => "history", "reason" => "io")
                            .increment(1);
                        tracing::error!(%error, "history cannot be read");
                        // Whoever asked may have gone.
                        let _ = reply.send(Err(Error::Unavailable));
                        return;
                    }
                }
            }
            records.sort_by_key(|record: &Record| record.at);
            // Whoever asked may have gone.
            let _ = reply.send(Ok(records));
        });
        self.read_files(job)?;
        answer.await.unwrap_or(Err(Error::Unavailable))
    }

    /// Hands work to the thread that reads files.
    pub(in crate::store) fn read_files(&self, job: Job) -> Result<(), Error> {
        self.0.jobs.try_send(job).map_err(|refused| match refused {
            TrySendError::Full(_) => Error::Full,
            TrySendError::Disconnected(_) => Error::Unavailable,
        })
    }

    /// How a message was pushed that this device was sent, and whether it reported this already.
    pub(super) async fn was_sent(
        &self,
        device: Device,
        id: MessageId,
        kind: ReportKind,
    ) -> Result<Option<(PushType, Option<Task>, bool)>, Error> {
        // What was noted as sent is in history before it is looked up there.
        let partition = self.0.shared.partition_of_device(device);
        self.ask(partition, device.app, |reply| Later::Settle { reply }).await?;
        let records = self.look_up(device.app, id).await?;
        let of_device = || {
            records.iter().filter(|record| match &record.whom {
                Whom::Device(ordinal) => *ordinal == device.ordinal,
                Whom::Group(devices) => devices.contains(device.ordinal),
                Whom::User(_) => false,
            })
        };
        // What a vendor has, the device may show before the vendor's word is on disk.
        let is_sent = |record: &&Record| match record.step {
            Step::Sent | Step::Delivered | Step::HandedOver => true,
            Step::Routed => record.channel != Channel::Own,
            _ => false,
        };
        let sent = of_device().find(is_sent);
        let known = of_device().any(|record| record.step == step_of(kind));
        Ok(sent.map(|record| (record.push_type, record.task, known)))
    }

    /// Counts from `from` (inclusive) to `to` (exclusive), the open minute included. `Full` when more
    /// rows would have to be read than are read at once.
    pub async fn stats(
        &self,
        app: App,
        from: Timestamp,
        to: Timestamp,
        granularity: Granularity,
        group_by: Vec<Dimension>,
    ) -> Result<Vec<StatsRow>, Error> {
        let asked = Asked { from, to, granularity, group_by, ..Asked::default() };
        self.counts(app, &asked).await?.ok_or(Error::Full)
    }

    /// The answer to a question, the open minute included. None when more rows would have to be read
    /// than are read at once: the question is too large.
    pub async fn counts(&self, app: App, asked: &Asked) -> Result<Option<Vec<StatsRow>>, Error> {
        let rows = self.rows_of(app, asked.span()).await?;
        Ok(rows.map(|rows| stats::aggregate(rows, asked)))
    }

    /// Every row of a span, and the open minutes, from all partitions.
    pub(in crate::store) async fn rows_of(
        &self,
        app: App,
        span: Span,
    ) -> Result<Option<Vec<(stats::Key, Counts)>>, Error> {
        let shares = (0..self.0.shared.ports.len())
            .map(|partition| self.ask(partition, app, move |reply| Later::Rows { app, span, reply }));
        let shares = futures_util::future::try_join_all(shares).await?;
        let shares: Option<Vec<_>> = shares.into_iter().collect();
        Ok(shares.map(|shares| shares.into_iter().flatten().collect()))
    }
}
