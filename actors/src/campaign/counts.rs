//! How far a campaign has come: what was let go, and what statistics say became of it.

use carillon_sdk::api::campaigns::CampaignCounts;

use super::office::Key;
use super::record::{Campaign, To};
use crate::engine::Shared;
use crate::store::Error;

pub(super) async fn of(shared: &Shared, key: Key, campaign: &Campaign) -> Result<CampaignCounts, Error> {
    let Some(applied) = &campaign.applied else { return Ok(CampaignCounts::default()) };
    let of_task = shared.store.task_counts(key.0, key.1).await?;
    let mut counts = CampaignCounts {
        targets: applied.targets,
        accepted: of_task.accepted,
        delivered: of_task.arrived + of_task.confirmed,
        handed_over: of_task.handed_over.saturating_sub(of_task.confirmed),
        opened: of_task.opened,
        expired: of_task.expired,
        revoked: of_task.revoked,
        replaced: of_task.replaced,
        rejected: of_task.failed,
        pending: of_task.pending(),
        ..CampaignCounts::default()
    };
    match &campaign.spec.to {
        To::Audience { .. } => {
            let entry = shared.store.entry(key.0, key.1);
            counts.released = entry.map_or(counts.accepted, |entry| entry.released);
        }
        To::List(_) => {
            counts.released = campaign.done.released;
            counts.refused = campaign.done.refused.values().sum();
        }
    }
    Ok(counts)
}

/// How many of those let go statistics must have counted as accepted when they are complete.
pub(super) fn expected(campaign: &Campaign, counts: &CampaignCounts) -> u64 {
    match &campaign.spec.to {
        To::Audience { .. } => counts.released,
        // A user's line may stand for several devices.
        To::List(_) => campaign.done.accepted,
    }
}
