//! What an app's owner keeps here: templates, campaigns, schedules, endpoints, settings. Few and
//! small, so all of them are in memory too; what is in one, only its own module knows.
//!
//! A change names what it expects to find, so that two people at work on one object are told apart;
//! several changes are done together or not at all, and the audit entry that says who did it is in
//! the same commit.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use ahash::AHashMap;
use bytes::Bytes;
use carillon_sdk::{Timestamp, Ttl};
use parking_lot::RwLock;
use serde::{Deserialize, Serialize};
use tokio::sync::watch;

use super::disk::Failed;
use super::keys;
use super::partition::Partition;
use super::rows::{decode, encode};
use super::work::{Reply, Work};
use super::{Error, Nonce, Store};
use crate::model::{App, Seq};

/// The kinds of object. The number is in keys on disk: add, never change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum Kind {
    Template = 1,
    Campaign = 2,
    Schedule = 3,
    /// One firing of a schedule.
    Run = 4,
    /// Where receipts go.
    Endpoint = 5,
    /// The app's own, under one id.
    Settings = 6,
    /// An uploaded list of targets.
    List = 7,
    /// How far receipts have come on a road.
    Receipt = 8,
    /// What an app's owner gave for a vendor, under the vendor's name.
    Channel = 9,
    /// What the channel to a vendor must not forget: ids begin with the vendor's name.
    ChannelState = 10,
}

/// An object as it is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stored {
    /// Drawn anew with every change, from one counter for the whole store.
    pub version: u64,
    pub bytes: Bytes,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    pub kind: Kind,
    /// 1 to 256 bytes, unique among the kind within the app.
    pub id: String,
    pub expect: Expect,
    /// None deletes it.
    pub value: Option<Bytes>,
}

/// What a change expects to find.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expect {
    Anything,
    Absent,
    /// Of that version.
    Version(u64),
    /// Absent, and fewer than so many of its kind.
    Room(usize),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Changed {
    /// With this version.
    Done(u64),
    /// The change at this place found something else; nothing was done.
    Unexpected(usize),
}

/// Who did what, from where: an entry of an app's audit log, which nothing changes or removes
/// before its time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Audit {
    /// A key's id; or `mpaas:` and a key's id; or `server` for what it did by itself.
    pub who: String,
    /// The address a request came from.
    pub from: Option<String>,
    /// As `template.create`.
    pub what: String,
    /// The object's id.
    pub object: String,
    /// A JSON object, as text: what changed, never a secret.
    pub detail: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditEntry {
    pub seq: Seq,
    pub at: Timestamp,
    pub audit: Audit,
}

#[derive(Serialize, Deserialize)]
struct AuditRow {
    at: Timestamp,
    audit: Audit,
}

/// How long an entry of an audit log is kept: a year.
const AUDIT_KEEP: Ttl = Ttl::from_secs(366 * 86_400);

type OfApp = BTreeMap<(u8, Box<str>), Stored>;

#[derive(Default)]
pub(super) struct Objects(RwLock<AHashMap<App, OfApp>>, Told);

/// Told when something changed, of any app.
struct Told {
    /// By which receipts go: endpoints or settings.
    roads: watch::Sender<()>,
    /// Setups for vendors.
    channels: watch::Sender<()>,
}

impl Default for Told {
    fn default() -> Self {
        Self { roads: watch::Sender::new(()), channels: watch::Sender::new(()) }
    }
}

impl Objects {
    /// Takes in a row found at start.
    pub(super) fn restore(&self, app: App, kind: u8, id: &str, value: &[u8]) -> Result<(), Failed> {
        let (version, bytes) =
            value.split_first_chunk::<8>().ok_or_else(|| Failed("an object without a version".to_owned()))?;
        let stored = Stored { version: u64::from_be_bytes(*version), bytes: Bytes::copy_from_slice(bytes) };
        self.0.write().entry(app).or_default().insert((kind, id.into()), stored);
        Ok(())
    }

    pub(super) fn get(&self, app: App, kind: Kind, id: &str) -> Option<Stored> {
        self.0.read().get(&app)?.get(&(kind as u8, id.into())).cloned()
    }

    fn is_as_expected(&self, app: App, change: &Change) -> bool {
        let found = self.get(app, change.kind, &change.id);
        match change.expect {
            Expect::Anything => true,
            Expect::Absent => found.is_none(),
            Expect::Version(version) => found.is_some_and(|stored| stored.version == version),
            Expect::Room(most) => found.is_none() && self.count(app, change.kind) < most,
        }
    }

    /// Every object of a kind: where there are few.
    #[must_use]
    pub(super) fn list(&self, app: App, kind: Kind) -> Vec<(String, Stored)> {
        let (from, to) = ((kind as u8, Box::from("")), (kind as u8 + 1, Box::from("")));
        let apps = self.0.read();
        let of_kind = apps.get(&app).into_iter().flat_map(|objects| objects.range(from.clone()..to.clone()));
        of_kind.map(|((_, id), stored)| (id.to_string(), stored.clone())).collect()
    }

    fn count(&self, app: App, kind: Kind) -> usize {
        let (from, to) = ((kind as u8, Box::from("")), (kind as u8 + 1, Box::from("")));
        self.0.read().get(&app).map_or(0, |objects| objects.range(from..to).count())
    }

    fn put(&self, app: App, change: Change, version: u64) {
        let mut apps = self.0.write();
        let objects = apps.entry(app).or_default();
        let kind = change.kind;
        let at = (kind as u8, change.id.into_boxed_str());
        match change.value {
            Some(bytes) => objects.insert(at, Stored { version, bytes }),
            None => objects.remove(&at),
        };
        drop(apps);
        match kind {
            Kind::Endpoint | Kind::Settings => self.1.roads.send_replace(()),
            Kind::Channel => self.1.channels.send_replace(()),
            _ => {}
        }
    }
}

/// An audit entry as it is stored.
pub(super) fn audit_row(at: Timestamp, audit: Audit) -> Vec<u8> {
    encode(&AuditRow { at, audit })
}

impl Partition {
    pub(super) fn change(
        &mut self,
        app: App,
        changes: Vec<Change>,
        audit: Option<Audit>,
        reply: Reply<Changed>,
        work: &mut Work,
    ) {
        let objects = &self.shared.objects;
        if let Some(at) = changes.iter().position(|change| !objects.is_as_expected(app, change)) {
            work.answer(reply, Changed::Unexpected(at));
            return;
        }
        let seq = self.shared.draw();
        self.drawn = seq;
        for change in changes {
            let key = keys::object(app, change.kind as u8, &change.id);
            match &change.value {
                Some(bytes) => {
                    let mut value = seq.0.to_be_bytes().to_vec();
                    value.extend_from_slice(bytes);
                    work.batch.put(key, value);
                }
                None => work.batch.delete(key),
            }
            let is_of_roads = matches!(change.kind, Kind::Channel | Kind::Settings);
            objects.put(app, change, seq.0);
            if is_of_roads {
                self.shared.roads.forget(app);
            }
        }
        if let Some(audit) = audit {
            work.batch.put(keys::audit(app, seq), audit_row(work.now, audit));
        }
        work.answer(reply, Changed::Done(seq.0));
    }

    /// For changes of apps and keys, whose rows are partition 0's whatever the app.
    pub(super) fn write_audit(&mut self, app: App, audit: Audit, work: &mut Work) {
        let seq = self.shared.draw();
        self.drawn = seq;
        work.batch.put(keys::audit(app, seq), encode(&AuditRow { at: work.now, audit }));
    }

    /// Drops entries of an app's audit log whose time is over, the oldest first, at most `most`.
    pub(super) fn drop_audits(
        &self,
        app: App,
        now: Timestamp,
        most: usize,
        work: &mut Work,
    ) -> Result<(), Failed> {
        let (from, to) = (keys::audit(app, Seq(0)), keys::audit(app, Seq(u64::MAX)));
        let (mut dropped, mut failed) = (0, None);
        self.rows.range(&from, &to, &mut |key, value| {
            match decode::<AuditRow>(value) {
                Ok(row) if dropped < most && now.since(row.at) > AUDIT_KEEP => {
                    work.batch.delete(keys::Key::from_slice(key));
                    dropped += 1;
                    return ControlFlow::Continue(());
                }
                Ok(_) => {}
                Err(error) => failed = Some(error),
            }
            ControlFlow::Break(())
        })?;
        failed.map_or(Ok(()), Err)
    }

    /// The newest entries before `before`, newest first.
    pub(super) fn audited(&self, app: App, before: Seq, limit: usize) -> Result<Vec<AuditEntry>, Failed> {
        let (from, to) = (keys::audit(app, Seq(0)), keys::audit(app, before));
        let mut entries = std::collections::VecDeque::new();
        let mut failed = None;
        self.rows.range(&from, &to, &mut |key, value| {
            let seq = key.last_chunk::<8>().map_or(0, |seq| u64::from_be_bytes(*seq));
            match decode::<AuditRow>(value) {
                Ok(row) => entries.push_front(AuditEntry { seq: Seq(seq), at: row.at, audit: row.audit }),
                Err(error) => failed = Some(error),
            }
            entries.truncate(limit);
            ControlFlow::Continue(())
        })?;
        failed.map_or_else(|| Ok(entries.into()), Err)
    }
}

impl Store {
    /// Changes objects of an app, all together, and writes the audit entry with them.
    pub async fn change(
        &self,
        app: App,
        changes: Vec<Change>,
        audit: Option<Audit>,
        nonce: Option<Nonce>,
    ) -> Result<Changed, Error> {
        let partition = self.0.shared.partition_of_app(app);
        self.write(partition, app, |reply| super::work::Write::Change { app, changes, audit, nonce, reply })
            .await
    }

    /// Marked when endpoints or settings change, of any app.
    #[must_use]
    pub(crate) fn roads_changed(&self) -> watch::Receiver<()> {
        self.0.shared.objects.1.roads.subscribe()
    }

    /// Marked when setups for vendors change, of any app.
    #[must_use]
    pub(crate) fn channels_changed(&self) -> watch::Receiver<()> {
        self.0.shared.objects.1.channels.subscribe()
    }

    #[must_use]
    pub fn object(&self, app: App, kind: Kind, id: &str) -> Option<Stored> {
        self.0.shared.objects.get(app, kind, id)
    }

    /// Objects of a kind in order of their ids, after `after`, at most `limit`.
    #[must_use]
    pub fn objects(&self, app: App, kind: Kind, after: Option<&str>, limit: usize) -> Vec<(String, Stored)> {
        use std::ops::Bound;
        let apps = self.0.shared.objects.0.read();
        let Some(objects) = apps.get(&app) else { return Vec::new() };
        let from = after.map_or_else(
            || Bound::Included((kind as u8, Box::from(""))),
            |after| Bound::Excluded((kind as u8, Box::from(after))),
        );
        objects
            .range((from, Bound::Excluded((kind as u8 + 1, Box::from("")))))
            .take(limit)
            .map(|((_, id), stored)| (id.to_string(), stored.clone()))
            .collect()
    }

    /// Every object of a kind, of all apps: what its actor looks at when it starts.
    #[must_use]
    pub fn objects_of_all(&self, kind: Kind) -> Vec<(App, String, Stored)> {
        let apps = self.0.shared.objects.0.read();
        let of_kind = |(app, objects): (&App, &OfApp)| {
            let app = *app;
            objects
                .iter()
                .filter(|((of, _), _)| *of == kind as u8)
                .map(move |((_, id), stored)| (app, id.to_string(), stored.clone()))
                .collect::<Vec<_>>()
        };
        apps.iter().flat_map(of_kind).collect()
    }

    /// Entries of an app's audit log before `before` (all when none), newest first.
    pub async fn audit_log(
        &self,
        app: App,
        before: Option<Seq>,
        limit: usize,
    ) -> Result<Vec<AuditEntry>, Error> {
        let before = before.unwrap_or(Seq(u64::MAX));
        let of = |partition| {
            self.ask(partition, app, move |reply| super::work::Later::Audited { app, before, limit, reply })
        };
        let own = self.0.shared.partition_of_app(app);
        let mut entries = of(own).await?;
        if own != 0 {
            // Where changes of keys stand.
            entries.extend(of(0).await?);
            entries.sort_by_key(|entry| std::cmp::Reverse(entry.seq));
            entries.truncate(limit);
        }
        Ok(entries)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KINDS: [Kind; 10] = [
        Kind::Template,
        Kind::Campaign,
        Kind::Schedule,
        Kind::Run,
        Kind::Endpoint,
        Kind::Settings,
        Kind::List,
        Kind::Receipt,
        Kind::Channel,
        Kind::ChannelState,
    ];

    #[test]
    fn the_number_of_a_kind_is_its_place_on_disk() {
        for (at, kind) in KINDS.into_iter().enumerate() {
            assert_eq!(kind as usize, at + 1);
        }
    }
}
