//! A campaign as the API shows it.

use carillon_sdk::Timestamp;
use carillon_sdk::api::campaigns::{CampaignCounts, CampaignPace, CampaignTarget, CampaignView};

use super::record::{Campaign, Spec, To};
use crate::model::Task;

pub(super) fn view(task: Task, campaign: &Campaign, counts: CampaignCounts, rate_per_s: f64) -> CampaignView {
    let Campaign { spec, state, created_at, by, applied, ended_at, reason, done, .. } = campaign;
    CampaignView {
        campaign_id: task.to_string(),
        name: spec.name.clone(),
        state: *state,
        reason: reason.clone(),
        to: target(spec),
        template: spec.template.as_ref().map(|(name, _)| name.clone()),
        template_version: spec.template.as_ref().map(|(_, version)| *version),
        pace: pace(spec),
        canary: spec.canary.map(super::Share::as_f64),
        ttl_s: spec.ttl.as_millis() / 1_000,
        by: by.clone(),
        created_at: *created_at,
        plan: applied.as_ref().map(|applied| applied.plan.clone()),
        applied_at: applied.as_ref().map(|applied| applied.at),
        expires_at: applied.as_ref().map(|applied| applied.expires_at),
        ended_at: *ended_at,
        counts,
        rate_per_s,
        finishes_at: None,
        refusals: done.refused.clone(),
    }
}

fn target(spec: &Spec) -> CampaignTarget {
    match &spec.to {
        To::Audience { text, .. } => {
            CampaignTarget { all: text.is_none(), audience: text.clone(), ..CampaignTarget::default() }
        }
        To::List(id) => CampaignTarget { list: Some(id.clone()), ..CampaignTarget::default() },
    }
}

fn pace(spec: &Spec) -> Option<CampaignPace> {
    let pace = spec.pace;
    (pace != super::Pace::default())
        .then_some(CampaignPace { per_second: pace.per_second, per_minute: pace.per_minute })
}

/// When the rest is let go, if it goes on as it does.
pub(super) fn finishes_at(
    campaign: &Campaign,
    counts: &CampaignCounts,
    rate_per_s: f64,
    now: Timestamp,
) -> Option<Timestamp> {
    use carillon_sdk::api::campaigns::CampaignState::Running;
    if campaign.state != Running {
        return None;
    }
    let left = counts.targets.saturating_sub(counts.released);
    if campaign.spec.pace != super::Pace::default() {
        return Some(now + campaign.spec.pace.takes(left));
    }
    #[expect(clippy::cast_precision_loss, reason = "targets are far below 2^52")]
    let seconds = left as f64 / rate_per_s;
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "finite, and not negative")]
    seconds.is_finite().then(|| now + carillon_sdk::Ttl::from_millis((seconds * 1_000.0) as u64))
}
