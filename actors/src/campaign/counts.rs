//! How far a campaign has come: what was let go, and what statistics say became of it.

use carillon_sdk::Ttl;
use carillon_sdk::api::campaigns::CampaignCounts;
use carillon_sdk::api::{Dimension, Granularity};

use super::office::Key;
use super::record::{Campaign, To};
use crate::engine::Shared;
use crate::store::Error;

const DAY: Ttl = Ttl::from_secs(24 * 3_600);

pub(super) async fn of(shared: &Shared, key: Key, campaign: &Campaign) -> Result<CampaignCounts, Error> {
    let Some(applied) = &campaign.applied else { return Ok(CampaignCounts::default()) };
    // Days of UTC, the first and the last included; reports of what was opened come later.
    let (from, to) = (applied.at - DAY, shared.clock.now() + DAY);
    let by_task = vec![Dimension::Task];
    let rows = shared.store.stats(key.0, from, to, Granularity::Day, by_task).await?;
    let task = key.1.to_string();
    let mut counts = CampaignCounts { targets: applied.targets, ..CampaignCounts::default() };
    for row in rows.iter().filter(|row| row.group.get("task") == Some(&task)) {
        counts.accepted += row.accepted;
        counts.delivered += row.arrived;
        counts.opened += row.opened;
        counts.expired += row.expired;
        counts.revoked += row.revoked;
        counts.replaced += row.replaced;
        counts.rejected += row.failed;
    }
    let verdicts = counts.delivered + counts.expired + counts.revoked + counts.replaced + counts.rejected;
    counts.pending = counts.accepted.saturating_sub(verdicts);
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
