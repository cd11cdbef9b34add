//! Tasks: what a multiple push, a broadcast or a campaign is found and counted by. A row each, read
//! from the disk when somebody asks: an app may make many a second.

use std::ops::ControlFlow;

use carillon_sdk::Timestamp;
use serde::{Deserialize, Serialize};

use super::disk::Failed;
use super::keys;
use super::partition::Partition;
use super::rows::{decode, encode};
use super::work::{Later, Reply, Work, Write};
use super::{Error, Nonce, Store};
use crate::model::{App, PushType, Task};

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

#[derive(Serialize, Deserialize)]
struct TaskRow {
    created_at: Timestamp,
    info: TaskInfo,
}

impl Partition {
    pub(super) fn open_task(&mut self, app: App, info: TaskInfo, reply: Reply<Task>, work: &mut Work) {
        let seq = self.shared.draw();
        self.drawn = seq;
        let task = Task(seq.0);
        work.batch.put(keys::task(app, task), encode(&TaskRow { created_at: work.now, info }));
        work.answer(reply, task);
    }

    /// From `from` on, in order of creation.
    pub(super) fn tasks(&self, app: App, from: Task, limit: usize) -> Result<Vec<TaskView>, Failed> {
        let (from, to) = (keys::task(app, from), keys::task(app, Task(u64::MAX)));
        let mut tasks = Vec::new();
        let mut failed = None;
        self.rows.range(&from, &to, &mut |key, value| {
            if tasks.len() == limit {
                return ControlFlow::Break(());
            }
            let task = Task(key.last_chunk::<8>().map_or(0, |task| u64::from_be_bytes(*task)));
            match decode::<TaskRow>(value) {
                Ok(row) => tasks.push(TaskView { task, created_at: row.created_at, info: row.info }),
                Err(error) => failed = Some(error),
            }
            ControlFlow::Continue(())
        })?;
        failed.map_or(Ok(tasks), Err)
    }
}

impl Store {
    /// Begins a task: its number is on disk when this returns.
    pub async fn open_task(&self, app: App, info: TaskInfo, nonce: Option<Nonce>) -> Result<Task, Error> {
        let partition = self.0.shared.partition_of_app(app);
        self.write(partition, app, |reply| Write::Task { app, info, nonce, reply }).await
    }

    /// Tasks from `from` on, in order of creation, at most `limit`.
    pub async fn tasks(&self, app: App, from: Task, limit: usize) -> Result<Vec<TaskView>, Error> {
        let partition = self.0.shared.partition_of_app(app);
        self.ask(partition, app, |reply| Later::Tasks { app, from, limit, reply }).await
    }

    pub async fn task(&self, app: App, task: Task) -> Result<Option<TaskView>, Error> {
        let found = self.tasks(app, task, 1).await?;
        Ok(found.into_iter().find(|view| view.task == task))
    }
}
