//! Lists: files of targets, each with words and data of its own, kept for campaigns.
//!
//! ```text
//!  edge ──lines──▶ written · synced · renamed ──▶ object ──▶ 201
//! ```
//!
//! The file is on disk before the object that names it, and goes after it; one without an object is
//! removed at start. It never changes, so its digest stands for its content.

mod file;
mod line;

use std::collections::HashSet;
use std::io;
use std::path::PathBuf;

use bytes::Bytes;
use carillon_sdk::Timestamp;
use serde::{Deserialize, Serialize};

pub use self::file::{Lines, Numbered, Report};
pub use self::line::{LINE_BYTES_MAX, Line};
use crate::engine::{Engine, Refusal};
use crate::model::App;
use crate::store::{self, Audit, Change, Changed, Expect, Kind, Nonce, Store, Stored};

/// A list as it is kept, but for its lines.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct List {
    pub name: Option<String>,
    pub created_at: Timestamp,
    /// The key that uploaded it.
    pub by: String,
    pub lines: u64,
    pub devices: u64,
    pub users: u64,
    pub bytes: u64,
    /// SHA-256 of its lines, in hex.
    pub digest: String,
    /// Lines that could not be read and were left out.
    pub skipped: u64,
}

/// A list, its id, and the number by which a change says what it replaces.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kept {
    pub id: String,
    pub list: List,
    pub version: u64,
}

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("no such list")]
    Unknown,
    /// A campaign that is not over is for it.
    #[error("a campaign uses the list")]
    InUse,
    #[error("too many lists")]
    Full,
    /// Nothing was kept.
    #[error("lines that cannot be read")]
    Invalid(Report),
    #[error("keep a list's file")]
    Io(#[from] io::Error),
    #[error("the store refuses")]
    Store(#[from] store::Error),
}

/// What is asked of an upload.
#[derive(Debug, Clone)]
pub struct Upload {
    pub name: Option<String>,
    pub by: String,
    /// Leave lines out that cannot be read, instead of refusing the whole.
    pub skip: bool,
    pub audit: Audit,
    pub nonce: Option<Nonce>,
}

impl Engine {
    /// Keeps a list of the lines that `next` gives until it has no more: on disk when this returns,
    /// with the report of what was left out.
    pub async fn keep_list(
        &self,
        app: App,
        upload: Upload,
        next: impl FnMut() -> io::Result<Option<Numbered>> + Send + 'static,
    ) -> Result<(Kept, Report), Error> {
        let (store, limits) = (self.store(), self.limits());
        if store.objects(app, Kind::List, None, usize::MAX).len() >= limits.lists_max {
            return Err(Error::Full);
        }
        let id = format!("l_{}", uuid::Uuid::new_v4().simple());
        let (path, skip, most) = (path(store, app, &id), upload.skip, limits.list_lines_max);
        let written = actix_rt::task::spawn_blocking({
            let path = path.clone();
            move || file::write(&path, next, skip, most)
        });
        let written = written.await.map_err(|_| io::Error::other("the writer panicked"))?;
        let (report, kept) = written?;
        if !kept {
            return Err(Error::Invalid(report));
        }
        let list = List {
            name: upload.name,
            created_at: self.clock().now(),
            by: upload.by,
            lines: report.lines,
            devices: report.devices,
            users: report.users,
            bytes: report.bytes,
            digest: report.digest.clone(),
            skipped: report.error_count,
        };
        let audit = Audit { object: id.clone(), ..upload.audit };
        let change = change(&id, Some(&list), Expect::Room(limits.lists_max));
        match store.change(app, vec![change], Some(audit), upload.nonce).await? {
            Changed::Done(version) => Ok((Kept { id, list, version }, report)),
            Changed::Unexpected(_) => {
                remove(path).await?;
                Err(Error::Full)
            }
        }
    }

    #[must_use]
    pub fn list(&self, app: App, id: &str) -> Option<Kept> {
        get(self.store(), app, id)
    }

    /// In order of their ids, at most `limit` after `after`.
    #[must_use]
    pub fn lists(&self, app: App, after: Option<&str>, limit: usize) -> Vec<Kept> {
        let found = self.store().objects(app, Kind::List, after, limit).into_iter();
        found.filter_map(|(id, stored)| parse(id, &stored)).collect()
    }

    /// Forgets it, unless a campaign that is not over is for it.
    pub async fn delete_list(
        &self,
        app: App,
        id: &str,
        audit: Audit,
        nonce: Option<Nonce>,
    ) -> Result<(), Error> {
        let store = self.store();
        let kept = get(store, app, id).ok_or(Error::Unknown)?;
        if crate::campaign::uses_list(store, app, id) {
            return Err(Error::InUse);
        }
        // A campaign made meanwhile has moved the version on.
        let change = change(id, None, Expect::Version(kept.version));
        match store.change(app, vec![change], Some(audit), nonce).await? {
            Changed::Done(_) => Ok(remove(path(store, app, id)).await?),
            Changed::Unexpected(_) => Err(Error::InUse),
        }
    }
}

impl From<Refusal> for Error {
    fn from(refusal: Refusal) -> Self {
        Self::Io(io::Error::other(refusal.to_string()))
    }
}

pub(crate) fn get(store: &Store, app: App, id: &str) -> Option<Kept> {
    parse(id.to_owned(), &store.object(app, Kind::List, id)?)
}

/// The change that keeps the list as it is, and moves its version on: whoever would delete it at
/// this moment finds that out.
pub(crate) fn hold(kept: &Kept) -> Change {
    change(&kept.id, Some(&kept.list), Expect::Version(kept.version))
}

/// Its lines from a byte on. It blocks.
pub(crate) fn lines(store: &Store, app: App, id: &str, offset: u64) -> io::Result<Lines> {
    Lines::open(&path(store, app, id), offset)
}

/// Removes the files that no object names: of uploads that a kill cut off. Called before anything
/// is uploaded.
pub(crate) fn tidy(store: &Store) -> io::Result<()> {
    let dir = store.dir().join("lists");
    let named: HashSet<PathBuf> =
        store.objects_of_all(Kind::List).iter().map(|(app, id, _)| path(store, *app, id)).collect();
    let entries = match std::fs::read_dir(&dir) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    for entry in entries {
        let path = entry?.path();
        if !named.contains(&path) {
            std::fs::remove_file(&path)?;
        }
    }
    Ok(())
}

/// An id is ours, so it holds no separator.
fn path(store: &Store, app: App, id: &str) -> PathBuf {
    store.dir().join("lists").join(format!("{}-{id}.jsonl", app.0))
}

async fn remove(path: PathBuf) -> io::Result<()> {
    let removed = actix_rt::task::spawn_blocking(move || std::fs::remove_file(path));
    match removed.await.map_err(|_| io::Error::other("the remover panicked"))? {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        removed => removed,
    }
}

fn parse(id: String, stored: &Stored) -> Option<Kept> {
    match serde_json::from_slice(&stored.bytes) {
        Ok(list) => Some(Kept { id, list, version: stored.version }),
        Err(error) => {
            tracing::error!(id, %error, "a list cannot be read");
            None
        }
    }
}

fn change(id: &str, list: Option<&List>, expect: Expect) -> Change {
    // Texts and numbers always serialize.
    let value = list.map(|list| Bytes::from(serde_json::to_vec(list).unwrap_or_default()));
    Change { kind: Kind::List, id: id.to_owned(), expect, value }
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        // Writing to a text cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}
