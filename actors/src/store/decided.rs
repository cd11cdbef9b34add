//! Verdicts that history has and the queues do not know of yet.
//!
//! A verdict is on disk before the removal it explains, so a crash between the two leaves a message
//! that is delivered and pending. It goes out again and is acked again; the second verdict is then
//! neither written nor counted, or the counts would be more than the verdicts.

use ahash::{AHashMap, AHashSet};
use carillon_sdk::MessageId;
use roaring::RoaringBitmap;

use super::history::{Record, Whom};
use crate::model::App;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Who {
    Device(u32),
    User(u32),
}

/// Filled from the newest history at a start, then cut down to what is still pending: as large as
/// what one crash interrupted, and it shrinks no further.
#[derive(Debug, Default)]
pub(super) struct Decided {
    singles: AHashSet<(App, MessageId, Who)>,
    /// Of `singles`, so that each pending place asks once.
    ids: AHashSet<MessageId>,
    groups: AHashMap<(App, MessageId), RoaringBitmap>,
}

impl Decided {
    /// Notes a record of history; what of it says something new, None when nothing does.
    #[must_use]
    pub(super) fn read(&mut self, record: Record) -> Option<Record> {
        if !record.step.is_verdict() {
            return Some(record);
        }
        if !matches!(record.whom, Whom::Group(_)) {
            self.ids.insert(record.id);
        }
        match &record.whom {
            Whom::Device(device) => {
                self.singles.insert((record.app, record.id, Who::Device(*device))).then_some(record)
            }
            Whom::User(user) => {
                self.singles.insert((record.app, record.id, Who::User(*user))).then_some(record)
            }
            Whom::Group(devices) => {
                let devices = devices.clone();
                let news = self.news(record);
                let known =
                    news.as_ref().map(|record| self.groups.entry((record.app, record.id)).or_default());
                if let Some(known) = known {
                    *known |= devices;
                }
                news
            }
        }
    }

    /// Forgets the verdicts of messages that are pending for nobody; those of broadcasts stay.
    pub(super) fn keep(&mut self, pending: &AHashSet<MessageId>) {
        self.singles.retain(|(_, id, _)| pending.contains(id));
        self.singles.shrink_to_fit();
        self.ids = AHashSet::new();
    }

    /// Whether a verdict of this message was read, until `keep`.
    pub(super) fn names(&self, id: MessageId) -> bool {
        self.ids.contains(&id)
    }

    /// Devices that have a verdict of a broadcast.
    pub(super) fn groups(&self) -> impl Iterator<Item = (App, MessageId, &RoaringBitmap)> {
        self.groups.iter().map(|((app, id), devices)| (*app, *id, devices))
    }

    pub(super) fn is_empty(&self) -> bool {
        self.singles.is_empty() && self.groups.is_empty()
    }

    /// What of a record about to be written says something new.
    #[must_use]
    pub(super) fn news(&self, mut record: Record) -> Option<Record> {
        if !record.step.is_verdict() {
            return Some(record);
        }
        match &mut record.whom {
            Whom::Device(device) => {
                let who = (record.app, record.id, Who::Device(*device));
                (!self.singles.contains(&who)).then_some(record)
            }
            Whom::User(user) => {
                let who = (record.app, record.id, Who::User(*user));
                (!self.singles.contains(&who)).then_some(record)
            }
            Whom::Group(devices) => {
                if let Some(known) = self.groups.get(&(record.app, record.id)) {
                    *devices -= known;
                }
                (!devices.is_empty()).then_some(record)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::PushType;
    use crate::store::history::Channel;
    use carillon_sdk::Timestamp;
    use carillon_sdk::api::Step;

    fn record(step: Step, whom: Whom) -> Record {
        Record {
            at: Timestamp::from_millis(1),
            app: App(1),
            id: MessageId::from_bytes([7; 16]),
            push_type: PushType::Single,
            task: None,
            step,
            whom,
            platform: None,
            app_version: None,
            channel: Channel::Own,
            reason: None,
            detail: None,
            message: None,
        }
    }

    #[test]
    fn a_verdict_that_history_has_is_not_written_again() {
        let mut decided = Decided::default();
        let verdict = record(Step::Delivered, Whom::Device(3));
        assert!(decided.read(verdict.clone()).is_some());
        assert!(decided.read(verdict.clone()).is_none(), "read twice");
        assert!(decided.news(verdict.clone()).is_none());
        assert!(decided.news(record(Step::Sent, Whom::Device(3))).is_some(), "no verdict");
        assert!(decided.news(record(Step::Delivered, Whom::Device(4))).is_some(), "another device");
        decided.keep(&AHashSet::new());
        assert!(decided.news(verdict).is_some(), "nothing is pending any more");
    }

    #[test]
    fn of_a_group_the_new_members_are_written() {
        let mut decided = Decided::default();
        let group = |members: &[u32]| record(Step::Delivered, Whom::Group(members.iter().copied().collect()));
        assert_eq!(decided.read(group(&[1, 2])), Some(group(&[1, 2])));
        assert_eq!(decided.news(group(&[2, 3])), Some(group(&[3])));
        assert_eq!(decided.news(group(&[1])), None);
    }
}
