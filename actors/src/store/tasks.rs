//! Tasks: what a multiple push, a broadcast or a campaign is found and counted by.
//!
//! A row each, read from the disk when somebody asks: an app may make many a second. In memory is
//! only when each began, 16 bytes a task, so that a page of them is found without a walk. A task is
//! kept for `task_keep`, and an app has `tasks_max` at most; beyond, its oldest go first and are
//! counted. Its statistics go with it, in every partition, by the first number that is still kept.

use std::collections::VecDeque;

use ahash::AHashMap;
use carillon_sdk::{Timestamp, Ttl};
use parking_lot::RwLock;
use serde::{Deserialize, Serialize};

use super::disk::Failed;
use super::keys;
use super::partition::Partition;
use super::rows::{decode, encode};
use super::stats::{self, Counts, Span};
use super::work::{Later, Reply, Work, Write};
use super::{Error, Nonce, Store};
use crate::model::{App, PushType, Task};
use crate::names;

/// Rows read at once while looking for a name, so that pushes go on in between.
const LOOK: usize = 500;

/// What is known of a task when it begins.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TaskInfo {
    pub name: Option<String>,
    pub push_type: PushType,
    /// The template's name.
    pub template: Option<String>,
    pub expires_at: Timestamp,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TaskView {
    pub task: Task,
    pub created_at: Timestamp,
    pub info: TaskInfo,
}

/// Which tasks of an app. All of them, by default.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TaskQuery {
    /// Created at or after.
    pub since: Timestamp,
    /// Older than this one: the last of the page before.
    pub before: Option<Task>,
    /// Whose name has this in it, upper and lower case alike.
    pub name: Option<String>,
    /// Passed over first, for pages by number.
    pub skip: usize,
}

#[derive(Serialize, Deserialize)]
struct TaskRow {
    created_at: Timestamp,
    info: TaskInfo,
}

/// When each task of an app began, oldest first.
#[derive(Default)]
pub(super) struct Tasks(RwLock<AHashMap<App, VecDeque<(Task, Timestamp)>>>);

impl Tasks {
    /// Takes in a row found at start; they come in order.
    pub(super) fn restore(&self, app: App, task: Task, value: &[u8]) -> Result<(), Failed> {
        let row: TaskRow = decode(value)?;
        self.0.write().entry(app).or_default().push_back((task, row.created_at));
        Ok(())
    }

    /// Takes in a new one; the oldest, when there are too many now.
    fn open(&self, app: App, task: Task, created_at: Timestamp, max: usize) -> Option<Task> {
        let mut apps = self.0.write();
        let tasks = apps.entry(app).or_default();
        tasks.push_back((task, created_at));
        if tasks.len() > max { tasks.pop_front().map(|(task, _)| task) } else { None }
    }

    /// Takes out those that began before `before`, `limit` at most.
    fn expire(&self, app: App, before: Timestamp, limit: usize) -> Vec<Task> {
        let mut apps = self.0.write();
        let Some(tasks) = apps.get_mut(&app) else { return Vec::new() };
        let over = tasks.iter().take(limit).take_while(|(_, created_at)| *created_at < before).count();
        tasks.drain(..over).map(|(task, _)| task).collect()
    }

    /// The first that is kept; a number beyond all when none is.
    fn first(&self, app: App) -> Task {
        let apps = self.0.read();
        apps.get(&app).and_then(VecDeque::front).map_or(Task(u64::MAX), |(task, _)| *task)
    }

    pub(super) fn keeps(&self, app: App, task: Task) -> bool {
        task >= self.first(app)
    }

    /// The newest that fit, newest first.
    fn page(&self, app: App, since: Timestamp, before: Option<Task>, skip: usize, limit: usize) -> Vec<Task> {
        let apps = self.0.read();
        let Some(tasks) = apps.get(&app) else { return Vec::new() };
        let to = before.map_or(tasks.len(), |before| tasks.partition_point(|(task, _)| *task < before));
        let recent = tasks.range(..to).rev().take_while(|(_, created_at)| *created_at >= since);
        recent.skip(skip).take(limit).map(|(task, _)| *task).collect()
    }
}

impl Partition {
    pub(super) fn open_task(&mut self, app: App, info: TaskInfo, reply: Reply<Task>, work: &mut Work) {
        let seq = self.shared.draw();
        self.drawn = seq;
        let task = Task(seq.0);
        work.batch.put(keys::task(app, task), encode(&TaskRow { created_at: work.now, info }));
        if let Some(oldest) = self.shared.tasks.open(app, task, work.now, self.shared.limits.tasks_max) {
            metrics::counter!(names::TASKS_DROPPED).increment(1);
            work.batch.delete(keys::task(app, oldest));
        }
        work.answer(reply, task);
    }

    /// Those of these that there are, in their order.
    pub(super) fn tasks(&self, app: App, tasks: &[Task]) -> Result<Vec<TaskView>, Failed> {
        let mut views = Vec::with_capacity(tasks.len());
        for &task in tasks {
            if let Some(bytes) = self.rows.get(&keys::task(app, task))? {
                let row: TaskRow = decode(&bytes)?;
                views.push(TaskView { task, created_at: row.created_at, info: row.info });
            }
        }
        Ok(views)
    }

    /// Deletes the tasks here whose time is over, and what was counted here of any that is gone; true
    /// when there may be more.
    pub(super) fn drop_tasks(&mut self, now: Timestamp, max: usize, work: &mut Work) -> Result<bool, Failed> {
        let mut more = false;
        let oldest = now - self.shared.limits.task_keep;
        for app in self.apps_here() {
            let gone = self.shared.tasks.expire(app, oldest, max);
            more |= gone.len() == max;
            for task in gone {
                work.batch.delete(keys::task(app, task));
            }
        }
        // Of every app, also one that has no task any more: its last one's rows are left.
        for people in self.shared.tenants.all() {
            let (app, first) = (people.app, self.shared.tasks.first(people.app));
            if self.sweeping.tasks.get(&app) == Some(&first) {
                continue;
            }
            let range = stats::before_task(app, first);
            if self.drop_range(&range.start, &range.end, work)? {
                more = true;
            } else {
                self.sweeping.tasks.insert(app, first);
            }
        }
        Ok(more)
    }
}

impl Store {
    /// Begins a task: its number is on disk when this returns.
    pub async fn open_task(&self, app: App, info: TaskInfo, nonce: Option<Nonce>) -> Result<Task, Error> {
        let partition = self.0.shared.partition_of_app(app);
        self.write(partition, app, |reply| Write::Task { app, info, nonce, reply }).await
    }

    /// Tasks, newest first, at most `limit`.
    pub async fn tasks(&self, app: App, query: &TaskQuery, limit: usize) -> Result<Vec<TaskView>, Error> {
        let index = &self.0.shared.tasks;
        let Some(wanted) = query.name.as_ref().map(|name| name.to_lowercase()) else {
            return self.read_tasks(app, index.page(app, query.since, query.before, query.skip, limit)).await;
        };
        let (mut found, mut before, mut skip) = (Vec::new(), query.before, query.skip);
        while found.len() < limit {
            let some = index.page(app, query.since, before, 0, LOOK);
            let Some(&last) = some.last() else { break };
            before = Some(last);
            for view in self.read_tasks(app, some).await? {
                let name = view.info.name.as_deref().unwrap_or_default().to_lowercase();
                if !name.contains(&wanted) {
                    continue;
                }
                match skip.checked_sub(1) {
                    Some(rest) => skip = rest,
                    None => found.push(view),
                }
            }
        }
        found.truncate(limit);
        Ok(found)
    }

    pub async fn task(&self, app: App, task: Task) -> Result<Option<TaskView>, Error> {
        Ok(self.read_tasks(app, vec![task]).await?.pop())
    }

    async fn read_tasks(&self, app: App, tasks: Vec<Task>) -> Result<Vec<TaskView>, Error> {
        let partition = self.0.shared.partition_of_app(app);
        self.ask(partition, app, |reply| Later::Tasks { app, tasks, reply }).await
    }

    /// Everything counted of a task, the open minute included; nothing of one that is forgotten.
    pub async fn task_counts(&self, app: App, task: Task) -> Result<Counts, Error> {
        if !self.0.shared.tasks.keeps(app, task) {
            // The open minutes may hold what came late for it.
            return Ok(Counts::default());
        }
        let rows = self.rows_of(app, Span::Tasks { from: task, to: task }).await?.ok_or(Error::Full)?;
        let of_task = rows.iter().filter(|(key, _)| key.dims.task == Some(task));
        Ok(of_task.fold(Counts::default(), |mut sum, (_, counts)| {
            sum.merge(counts);
            sum
        }))
    }

    /// How long a task and its statistics are kept.
    #[must_use]
    pub fn task_keep(&self) -> Ttl {
        self.0.shared.limits.task_keep
    }
}
