//! Analysis: what became of an app's pushes, in numbers and rates, over a window or for a task. Both
//! faces of the API answer from here, so that they agree.
//!
//! Pure over the rows of statistics. What the numbers mean:
//!
//! - **accepted**: devices (or users nobody was bound to) that were promised a delivery. One that was
//!   refused at the door, for a full queue or an unknown id, was promised nothing and is not in it.
//! - **successful**: accepted and not rejected since. Rejected is what could not be delivered for a
//!   reason of its own: a device deleted meanwhile, a phone maker's channel that refuses. What waits,
//!   expired, was replaced or revoked was a successful push that did not arrive.
//! - **arrived**: the device acked it, or a vendor's receipt says that it arrived.
//! - **handed over**: a vendor's channel took it, and no more is known. mPaaS counts it as arrived.
//! - **opened**, **dismissed**: reported by the device, once each.
//! - **pending**: accepted and none of arrived, expired, replaced, revoked, rejected.
//!
//! Three pushes of which two were acked, one of those opened and the other dismissed: accepted 3,
//! successful 3, arrived 2, opened 1, dismissed 1.
//!
//! An event counts in the period in which it reached the server. In a window that cuts a push from
//! its arrival the rates are therefore off, and may pass 1; over a task's whole life they are exact.

use carillon_sdk::api::StatsRow;
use carillon_sdk::{Timestamp, Ttl};

use crate::model::{App, PushType, Task};
use crate::store::stats::{Asked, Counts};
use crate::store::{Error, Store, TaskQuery, TaskView};

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Figures {
    pub accepted: u64,
    pub successful: u64,
    pub sent: u64,
    pub arrived: u64,
    pub handed_over: u64,
    pub shown: u64,
    pub opened: u64,
    pub dismissed: u64,
    pub expired: u64,
    pub replaced: u64,
    pub revoked: u64,
    pub rejected: u64,
    pub pending: u64,
}

impl From<Counts> for Figures {
    fn from(counts: Counts) -> Self {
        Self {
            accepted: counts.accepted,
            // A window may hold the rejection without its acceptance.
            successful: counts.accepted.saturating_sub(counts.failed),
            sent: counts.sent,
            arrived: counts.arrived + counts.confirmed,
            handed_over: counts.handed_over.saturating_sub(counts.confirmed),
            shown: counts.shown,
            opened: counts.opened,
            dismissed: counts.dismissed,
            expired: counts.expired,
            replaced: counts.replaced,
            revoked: counts.revoked,
            rejected: counts.failed,
            pending: counts.pending(),
        }
    }
}

impl Figures {
    /// The sum of rows.
    #[must_use]
    pub fn sum<'a>(rows: impl IntoIterator<Item = &'a StatsRow>) -> Self {
        let mut sum = Counts::default();
        for row in rows {
            sum.merge(&Counts::from(row));
        }
        Self::from(sum)
    }

    /// As mPaaS counts: what a vendor took has arrived.
    #[must_use]
    pub const fn with_handed_over_arrived(self) -> Self {
        Self { arrived: self.arrived + self.handed_over, handed_over: 0, ..self }
    }

    /// Arrived of successful; 0 of nothing. To the ten-thousandth, like the others.
    #[must_use]
    pub fn arrival_rate(&self) -> f64 {
        rate(self.arrived, self.successful)
    }

    /// Opened of arrived.
    #[must_use]
    pub fn open_rate(&self) -> f64 {
        rate(self.opened, self.arrived)
    }

    /// Dismissed of arrived.
    #[must_use]
    pub fn dismiss_rate(&self) -> f64 {
        rate(self.dismissed, self.arrived)
    }
}

fn rate(part: u64, of: u64) -> f64 {
    if of == 0 {
        return 0.0;
    }
    (part as f64 / of as f64 * 10_000.0).round() / 10_000.0
}

/// A task and what became of it.
#[derive(Debug, Clone, PartialEq)]
pub struct TaskReport {
    pub view: TaskView,
    pub figures: Figures,
    /// When the last target was accepted or got its verdict; when the task began if there is none.
    pub changed_at: Timestamp,
    /// The same, once nothing is pending and nobody can be added any more.
    pub ended_at: Option<Timestamp>,
}

impl TaskReport {
    fn new(view: TaskView, counts: Counts, now: Timestamp) -> Self {
        let figures = Figures::from(counts);
        let changed_at = Timestamp::from_millis(counts.changed_at).max(view.created_at);
        // A broadcast goes on finding devices that register, until it expires or is revoked.
        let is_live =
            view.info.push_type == PushType::Broadcast && now < view.info.expires_at && figures.revoked == 0;
        let ended_at = (figures.pending == 0 && !is_live).then_some(changed_at);
        Self { view, figures, changed_at, ended_at }
    }

    /// From its beginning to its end, or to now.
    #[must_use]
    pub fn duration(&self, now: Timestamp) -> Ttl {
        self.ended_at.unwrap_or(now).since(self.view.created_at)
    }
}

/// The figures of an app. None when the question takes more rows than are read at once.
pub async fn figures(store: &Store, app: App, asked: &Asked) -> Result<Option<Figures>, Error> {
    let rows = store.counts(app, asked).await?;
    Ok(rows.map(|rows| Figures::sum(&rows)))
}

/// A task's report; None when there is no such task, or no longer.
pub async fn task(store: &Store, app: App, task: Task, now: Timestamp) -> Result<Option<TaskReport>, Error> {
    let Some(view) = store.task(app, task).await? else { return Ok(None) };
    let counts = store.task_counts(app, task).await?;
    Ok(Some(TaskReport::new(view, counts, now)))
}

/// Reports of tasks, newest first, at most `limit`.
pub async fn tasks(
    store: &Store,
    app: App,
    query: &TaskQuery,
    limit: usize,
    now: Timestamp,
) -> Result<Vec<TaskReport>, Error> {
    let views = store.tasks(app, query, limit).await?;
    let counts = views.iter().map(|view| store.task_counts(app, view.task));
    let counts = futures_util::future::try_join_all(counts).await?;
    Ok(views.into_iter().zip(counts).map(|(view, counts)| TaskReport::new(view, counts, now)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::TaskInfo;

    #[test]
    fn a_push_that_waits_is_successful_and_one_that_was_rejected_is_not() {
        let counts =
            Counts { accepted: 5, arrived: 2, opened: 1, dismissed: 1, failed: 1, ..Counts::default() };
        let figures = Figures::from(counts);
        assert_eq!((figures.accepted, figures.successful, figures.pending), (5, 4, 2));
        assert_eq!((figures.arrival_rate(), figures.open_rate(), figures.dismiss_rate()), (0.5, 0.5, 0.5));
    }

    #[test]
    fn a_rate_of_nothing_is_nothing_and_a_third_has_four_places() {
        let none = Figures::default();
        assert_eq!((none.arrival_rate(), none.open_rate()), (0.0, 0.0));
        let third = Figures { successful: 3, arrived: 2, ..none };
        assert_eq!(third.arrival_rate(), 0.6667);
    }

    #[test]
    fn a_broadcast_ends_with_its_validity_and_a_multiple_push_with_its_last_verdict() {
        let (begun, expires, now) = (1_000, 9_000, 5_000);
        let view = |push_type| TaskView {
            task: Task(7),
            created_at: Timestamp::from_millis(begun),
            info: TaskInfo {
                name: None,
                push_type,
                template: None,
                expires_at: Timestamp::from_millis(expires),
            },
        };
        let done = Counts { accepted: 2, arrived: 2, changed_at: 3_000, ..Counts::default() };
        let ended = |push_type, counts, now| {
            TaskReport::new(view(push_type), counts, Timestamp::from_millis(now)).ended_at
        };
        let at = |ms| Some(Timestamp::from_millis(ms));
        assert_eq!(ended(PushType::Multiple, done, now), at(3_000));
        assert_eq!(ended(PushType::Multiple, Counts { arrived: 1, ..done }, now), None);
        assert_eq!(ended(PushType::Multiple, Counts::default(), now), at(begun), "nobody was accepted");
        assert_eq!(ended(PushType::Broadcast, done, now), None);
        assert_eq!(ended(PushType::Broadcast, done, expires), at(3_000));
        assert_eq!(ended(PushType::Broadcast, Counts { arrived: 1, revoked: 1, ..done }, now), at(3_000));
    }
}
