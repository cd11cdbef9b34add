//! What a campaign does next, by what is kept of it. Each step may be repeated: a kill anywhere
//! leaves a gap nowhere, and repeats what is known to be a repeat.

use std::sync::Arc;

use carillon_sdk::Ttl;
use carillon_sdk::api::campaigns::CampaignState as State;

use super::keep::{self, Kept};
use super::office::Key;
use super::record::{Campaign, To};
use super::{audience, counts, list};
use crate::engine::Shared;
use crate::names;
use crate::store;

/// How often a campaign that waits looks whether it still has to.
const LOOK: Ttl = Ttl::from_secs(1);
/// The same where a look asks every partition.
const LOOK_AT_COUNTS: Ttl = Ttl::from_secs(2);
/// How long a busy store is left alone, and one that failed.
const BUSY: Ttl = Ttl::from_millis(100);
const FAILED: Ttl = Ttl::from_secs(5);
/// Past its expiry, after which whatever has no verdict in the counts gets none: what was in flight
/// had its ack timeout, and the sweep its turn.
const GRACE: Ttl = Ttl::from_secs(120);

/// When to step again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Next {
    /// As soon as the pace lets.
    Soon,
    After(Ttl),
    /// Not until somebody tells it something.
    Rest,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stepped {
    /// Targets let go.
    pub released: u64,
    pub next: Next,
}

impl From<Next> for Stepped {
    fn from(next: Next) -> Self {
        Self { released: 0, next }
    }
}

/// One step, in which at most `allowed` targets are let go.
pub(super) async fn step(shared: Arc<Shared>, key: Key, allowed: u64) -> Stepped {
    let Some(kept) = keep::read(&shared.store, key.0, key.1) else { return Next::Rest.into() };
    match forward(&shared, key, &kept, allowed).await {
        Ok(stepped) => {
            if stepped.released > 0 {
                shared.board.released(key, stepped.released);
                metrics::counter!(names::CAMPAIGN_RELEASED).increment(stepped.released);
            }
            stepped
        }
        // Nothing happened, or it is harmless to repeat.
        Err(store::Error::Full) => Next::After(BUSY).into(),
        Err(error) => {
            tracing::warn!(app = key.0.0, task = %key.1, %error, "a campaign waits for the store");
            Next::After(FAILED).into()
        }
    }
}

async fn forward(shared: &Arc<Shared>, key: Key, kept: &Kept, allowed: u64) -> Result<Stepped, store::Error> {
    let campaign = &kept.campaign;
    let Some(applied) = campaign.applied.as_ref().filter(|_| campaign.is_live()) else {
        return Ok(Next::Rest.into());
    };
    let now = shared.clock.now();
    if campaign.state != State::Revoking && shared.store.is_revoked(key.0, key.1) {
        // As a task, by whoever did not know that it is a campaign's.
        return turn(shared, key, kept, State::Revoked).await;
    }
    match campaign.state {
        State::Running | State::Paused | State::Holding if now >= applied.expires_at => {
            turn(shared, key, kept, State::Settling).await
        }
        // Until its operator opens the app again.
        State::Running if shared.store.is_disabled(key.0) => Ok(Next::After(LOOK).into()),
        State::Running => match &campaign.spec.to {
            To::Audience { .. } => audience::release(shared, key, kept, allowed).await,
            To::List(id) => list::release(shared, key, kept, id, allowed).await,
        },
        State::Settling => settle(shared, key, kept).await,
        State::Revoking => {
            // Durable before anything is withdrawn, and made good after a kill: by the store.
            shared.store.revoke_task(key.0, key.1, None, None).await?;
            turn(shared, key, kept, State::Revoked).await
        }
        _ => Ok(Next::After(LOOK).into()),
    }
}

/// The campaign goes on in another state.
pub(super) async fn turn(
    shared: &Shared,
    key: Key,
    kept: &Kept,
    state: State,
) -> Result<Stepped, store::Error> {
    let with = kept.campaign.in_state(state, shared.clock.now());
    replace(shared, key, kept, &with).await
}

/// It cannot go on.
pub(super) async fn fail(
    shared: &Shared,
    key: Key,
    kept: &Kept,
    reason: String,
) -> Result<Stepped, store::Error> {
    tracing::error!(app = key.0.0, task = %key.1, reason, "a campaign failed");
    let failed = kept.campaign.in_state(State::Failed, shared.clock.now());
    replace(shared, key, kept, &Campaign { reason: Some(reason), ..failed }).await
}

/// Keeps it changed, and goes on. Who finds that somebody else changed it reads again.
pub(super) async fn replace(
    shared: &Shared,
    key: Key,
    kept: &Kept,
    with: &Campaign,
) -> Result<Stepped, store::Error> {
    keep::replace(&shared.store, key, kept, with, None, None).await?;
    Ok(Next::Soon.into())
}

/// Everything is let go: it is over when every verdict is in.
async fn settle(shared: &Shared, key: Key, kept: &Kept) -> Result<Stepped, store::Error> {
    let counts = counts::of(shared, key, &kept.campaign).await?;
    let over = counts.pending == 0 && counts.accepted >= counts::expected(&kept.campaign, &counts);
    let late = kept
        .campaign
        .applied
        .as_ref()
        .is_some_and(|applied| shared.clock.now() >= applied.expires_at + GRACE);
    if over || late {
        return turn(shared, key, kept, State::Finished).await;
    }
    Ok(Next::After(LOOK_AT_COUNTS).into())
}
