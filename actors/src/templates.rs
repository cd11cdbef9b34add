//! Templates: what an app says often, kept under a name, with `#name#` where each saying differs.
//!
//! Both faces and everything that sends later work through [`Templates`]. A template lies in the
//! store under its name; its id is for callers who would rather keep that. Whoever orders a push
//! takes [`Template::content`] at once, so a later change of the template changes nothing that was
//! ordered before.

mod preview;
mod rules;
mod values;

use bytes::Bytes;
use carillon_sdk::Timestamp;
use carillon_sdk::wire::Look;
use serde::{Deserialize, Serialize};

pub use self::preview::{Breach, Effect, Preview, Unit, preview};
pub use self::rules::is_name;
pub use self::values::{Lacking, lacking};
use crate::engine::Engine;
use crate::model::App;
use crate::order::Content;
use crate::store::{self, Audit, Change, Changed, Expect, Kind, Nonce, Stored};

/// A template as it is kept.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Template {
    /// 32 hexadecimal digits, never used again.
    pub id: String,
    pub name: String,
    /// From 1, one more with every change.
    pub version: u64,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
    /// The names of the placeholders, in the order in which they come first.
    pub variables: Vec<String>,
    #[serde(flatten)]
    pub text: Draft,
}

/// What its owner writes.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Draft {
    pub description: Option<String>,
    pub title: Option<String>,
    pub body: Option<String>,
    pub uri: Option<String>,
    /// A JSON object, as text; never rendered.
    pub data: Option<String>,
    pub look: Option<Look>,
    pub silent: bool,
    /// For phone makers' channels and other roads: a JSON object, as text.
    pub options: Option<String>,
    /// The variables its owner believes in, checked against the placeholders. None: not checked.
    #[serde(skip)]
    pub declared: Option<Vec<String>>,
}

/// A template, and the number by which a change says what it replaces.
#[derive(Debug, Clone, PartialEq)]
pub struct Kept {
    pub template: Template,
    pub revision: u64,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    #[error("a template of this name exists")]
    Exists,
    #[error("no such template")]
    Unknown,
    /// It is no longer the revision that the change named.
    #[error("the template was changed meanwhile")]
    Changed,
    #[error("the app has {0} templates, as many as it may")]
    Full(usize),
    #[error("{field}: {why}")]
    Invalid { field: &'static str, why: String },
    #[error(transparent)]
    Store(#[from] store::Error),
}

impl Template {
    /// What it says, as an order takes it.
    #[must_use]
    pub fn content(&self) -> Content {
        Content {
            title: self.text.title.clone(),
            body: self.text.body.clone(),
            uri: self.text.uri.clone(),
            data: self.text.data.clone(),
            look: self.text.look.clone(),
            silent: self.text.silent,
            options: self.text.options.clone(),
        }
    }
}

/// An app's templates.
pub struct Templates<'a> {
    engine: &'a Engine,
    app: App,
}

impl Engine {
    #[must_use]
    pub const fn templates(&self, app: App) -> Templates<'_> {
        Templates { engine: self, app }
    }
}

/// A change without a revision to hold on to is tried so often against others at work.
const TRIES_MAX: u32 = 5;

impl Templates<'_> {
    #[must_use]
    pub fn get(&self, name: &str) -> Option<Kept> {
        kept(&self.engine.store().object(self.app, Kind::Template, name)?)
    }

    #[must_use]
    pub fn by_id(&self, id: &str) -> Option<Kept> {
        self.all().into_iter().find(|kept| kept.template.id == id)
    }

    /// In order of names, after `after`, at most `limit`.
    #[must_use]
    pub fn list(&self, after: Option<&str>, limit: usize) -> Vec<Kept> {
        let page = self.engine.store().objects(self.app, Kind::Template, after, limit);
        page.iter().filter_map(|(_, stored)| kept(stored)).collect()
    }

    /// All of them, at most `templates_max`, the oldest first.
    #[must_use]
    pub fn all(&self) -> Vec<Kept> {
        let mut all = self.list(None, usize::MAX);
        all.sort_by(|one, other| {
            let key = |kept: &Kept| (kept.template.created_at, kept.template.id.clone());
            key(one).cmp(&key(other))
        });
        all
    }

    pub async fn create(
        &self,
        name: &str,
        draft: Draft,
        audit: Audit,
        nonce: Option<Nonce>,
    ) -> Result<Kept, Error> {
        rules::name(name)?;
        let variables = rules::check(&draft, self.engine.limits())?;
        let now = self.engine.clock().now();
        let id = uuid::Uuid::new_v4().simple().to_string();
        let name = name.to_owned();
        let template =
            Template { id, name, version: 1, created_at: now, updated_at: now, variables, text: draft };
        let most = self.engine.limits().templates_max;
        match self.put(&template, Expect::Room(most), audit, nonce).await? {
            Some(revision) => Ok(Kept { template, revision }),
            None if self.get(&template.name).is_some() => Err(Error::Exists),
            None => Err(Error::Full(most)),
        }
    }

    /// Puts other words under the same name. With `revision`, only over that one.
    pub async fn replace(
        &self,
        name: &str,
        draft: Draft,
        revision: Option<u64>,
        audit: Audit,
        nonce: Option<Nonce>,
    ) -> Result<Kept, Error> {
        let variables = rules::check(&draft, self.engine.limits())?;
        for _ in 0..TRIES_MAX {
            let before = self.found(name, revision)?;
            let template = Template {
                version: before.template.version + 1,
                updated_at: self.engine.clock().now(),
                variables: variables.clone(),
                text: draft.clone(),
                ..before.template
            };
            let expect = Expect::Version(before.revision);
            if let Some(revision) = self.put(&template, expect, audit.clone(), nonce.clone()).await? {
                return Ok(Kept { template, revision });
            }
        }
        Err(Error::Changed)
    }

    /// Forgets it. What was ordered in its words goes on.
    pub async fn delete(
        &self,
        name: &str,
        revision: Option<u64>,
        audit: Audit,
        nonce: Option<Nonce>,
    ) -> Result<Kept, Error> {
        for _ in 0..TRIES_MAX {
            let before = self.found(name, revision)?;
            let change = change(name, Expect::Version(before.revision), None);
            if self.done(change, audit.clone(), nonce.clone()).await?.is_some() {
                return Ok(before);
            }
        }
        Err(Error::Changed)
    }

    fn found(&self, name: &str, revision: Option<u64>) -> Result<Kept, Error> {
        let found = self.get(name).ok_or(Error::Unknown)?;
        match revision {
            Some(revision) if revision != found.revision => Err(Error::Changed),
            _ => Ok(found),
        }
    }

    async fn put(
        &self,
        template: &Template,
        expect: Expect,
        audit: Audit,
        nonce: Option<Nonce>,
    ) -> Result<Option<u64>, Error> {
        let value = serde_json::to_vec(template).expect("a template is plain data");
        self.done(change(&template.name, expect, Some(value.into())), audit, nonce).await
    }

    /// The revision it made; none when something else was found than expected.
    async fn done(&self, change: Change, audit: Audit, nonce: Option<Nonce>) -> Result<Option<u64>, Error> {
        match self.engine.store().change(self.app, vec![change], Some(audit), nonce).await? {
            Changed::Done(revision) => Ok(Some(revision)),
            Changed::Unexpected(_) => Ok(None),
        }
    }
}

fn change(name: &str, expect: Expect, value: Option<Bytes>) -> Change {
    Change { kind: Kind::Template, id: name.to_owned(), expect, value }
}

fn kept(stored: &Stored) -> Option<Kept> {
    match serde_json::from_slice(&stored.bytes) {
        Ok(template) => Some(Kept { template, revision: stored.version }),
        Err(error) => {
            tracing::error!(%error, "a template cannot be read");
            None
        }
    }
}

#[cfg(test)]
mod tests;
