//! Campaigns in the store: an object each, found by its task.

use bytes::Bytes;
use carillon_sdk::api::campaigns::CampaignState;

use super::record::{Campaign, To};
use crate::model::{App, Task};
use crate::store::{Audit, Change, Changed, Error, Expect, Kind, Nonce, Store, Stored};

/// A campaign as it was read, and which version of it.
#[derive(Debug, Clone)]
pub(super) struct Kept {
    pub campaign: Campaign,
    pub version: u64,
}

/// With zeros before it, so that campaigns are listed in order of creation: 2^53 has 16 digits.
pub(super) fn object_id(task: Task) -> String {
    format!("{:016}", task.0)
}

pub(super) fn task_of(object_id: &str) -> Option<Task> {
    object_id.parse().ok().map(Task)
}

pub(super) fn read(store: &Store, app: App, task: Task) -> Option<Kept> {
    parse(task, &store.object(app, Kind::Campaign, &object_id(task))?)
}

/// At most `limit`, after `after`.
pub(super) fn list(store: &Store, app: App, after: Option<Task>, limit: usize) -> Vec<(Task, Kept)> {
    let after = after.map(object_id);
    let found = store.objects(app, Kind::Campaign, after.as_deref(), limit).into_iter();
    found
        .filter_map(|(id, stored)| task_of(&id).and_then(|task| Some((task, parse(task, &stored)?))))
        .collect()
}

/// Of all apps.
pub(super) fn all(store: &Store) -> Vec<(App, Task, Campaign)> {
    let found = store.objects_of_all(Kind::Campaign).into_iter();
    let parsed = |(app, id, stored): (App, String, Stored)| {
        let task = task_of(&id)?;
        Some((app, task, parse(task, &stored)?.campaign))
    };
    found.filter_map(parsed).collect()
}

/// How many are in each state, of all apps.
pub(crate) fn states(store: &Store) -> [(CampaignState, usize); 10] {
    let mut states = CampaignState::ALL.map(|state| (state, 0));
    for (_, _, campaign) in all(store) {
        if let Some((_, count)) = states.iter_mut().find(|(state, _)| *state == campaign.state) {
            *count += 1;
        }
    }
    states
}

/// Whether a campaign that is not over is for the list.
pub(crate) fn uses_list(store: &Store, app: App, list: &str) -> bool {
    let campaigns = self::list(store, app, None, usize::MAX);
    campaigns.iter().any(|(_, kept)| {
        !kept.campaign.state.is_terminal() && kept.campaign.spec.to == To::List(list.to_owned())
    })
}

fn parse(task: Task, stored: &Stored) -> Option<Kept> {
    match serde_json::from_slice(&stored.bytes) {
        Ok(campaign) => Some(Kept { campaign, version: stored.version }),
        Err(error) => {
            tracing::error!(%task, %error, "a campaign cannot be read");
            None
        }
    }
}

/// The change that makes or replaces it.
pub(super) fn change(task: Task, campaign: &Campaign, expect: Expect) -> Change {
    // Texts, numbers and maps with text keys always serialize.
    let value = Bytes::from(serde_json::to_vec(campaign).unwrap_or_default());
    Change { kind: Kind::Campaign, id: object_id(task), expect, value: Some(value) }
}

/// Replaces the version that was read. False when somebody else was faster: read again.
pub(super) async fn replace(
    store: &Store,
    (app, task): (App, Task),
    kept: &Kept,
    with: &Campaign,
    audit: Option<Audit>,
    nonce: Option<Nonce>,
) -> Result<bool, Error> {
    let change = change(task, with, Expect::Version(kept.version));
    Ok(matches!(store.change(app, vec![change], audit, nonce).await?, Changed::Done(_)))
}
