//! What a campaign is told, carried out by its runner: decided on what is kept, durable before the
//! answer, with the audit entry in the same commit.

use std::sync::Arc;

use carillon_sdk::MessageId;
use carillon_sdk::api::campaigns::{CampaignPlan, CampaignState as State};

use super::desk::{By, Error, evaluate};
use super::frozen::Frozen;
use super::keep::{self, Kept};
use super::office::{Key, What};
use super::record::{Applied, Campaign, Command, Follows};
use crate::engine::{Refusal, Shared};

pub(super) async fn carry_out(shared: Arc<Shared>, key: Key, what: What, by: By) -> Result<Campaign, Error> {
    let kept = keep::read(&shared.store, key.0, key.1).ok_or(Error::Unknown)?;
    match what {
        What::Apply(plan) => apply(&shared, key, &kept, &plan, by).await,
        What::Tell(command) => tell(&shared, key, &kept, command, by).await,
        What::Fail(reason) => fail(&shared, key, &kept, reason, by).await,
    }
}

/// Evaluates again: what is applied is what was read, to the last target. They are frozen in the
/// same commit, so a kill right after it changes nothing.
async fn apply(shared: &Arc<Shared>, key: Key, kept: &Kept, asked: &str, by: By) -> Result<Campaign, Error> {
    let campaign = &kept.campaign;
    if let Some(applied) = &campaign.applied
        && applied.plan == asked
    {
        return Ok(campaign.clone());
    }
    if campaign.state != State::Planned {
        return Err(Error::State(campaign.state));
    }
    let (plan, devices) = evaluate(shared, key.0, &campaign.spec).await?;
    if plan.plan != asked {
        return Err(Error::PlanChanged(Box::new(plan)));
    }
    if is_broken(&plan) {
        return Err(Error::PlanBroken(Box::new(plan)));
    }
    if devices.is_some() && shared.store.log(key.0).len() >= shared.limits.broadcasts_max {
        return Err(Refusal::BroadcastsFull.into());
    }
    let now = shared.clock.now();
    let applied = Applied {
        at: now,
        expires_at: now + campaign.spec.ttl,
        targets: plan.targets,
        plan: plan.plan.clone(),
        message: MessageId::fresh(),
    };
    let frozen = devices.as_ref().map(Frozen::of);
    let with = Campaign { applied: Some(applied), frozen, ..campaign.in_state(State::Running, now) };
    let detail = serde_json::json!({ "plan": asked, "targets": plan.targets }).to_string();
    save(shared, key, kept, with, "apply", Some(detail), by).await
}

/// What would go wrong for some of the targets: nothing is sent to any.
const fn is_broken(plan: &CampaignPlan) -> bool {
    plan.missing_count > 0 || plan.late > 0 || plan.payload.too_long > 0
}

async fn tell(shared: &Shared, key: Key, kept: &Kept, command: Command, by: By) -> Result<Campaign, Error> {
    let campaign = &kept.campaign;
    match campaign.follows(command) {
        Follows::Nothing => Ok(campaign.clone()),
        Follows::Wrong => Err(Error::State(campaign.state)),
        Follows::State(state) => {
            let with = campaign.in_state(state, shared.clock.now());
            save(shared, key, kept, with, command.as_str(), None, by).await
        }
    }
}

async fn fail(shared: &Shared, key: Key, kept: &Kept, reason: &str, by: By) -> Result<Campaign, Error> {
    if !kept.campaign.is_live() {
        return Ok(kept.campaign.clone());
    }
    let failed = kept.campaign.in_state(State::Failed, shared.clock.now());
    let with = Campaign { reason: Some(reason.to_owned()), ..failed };
    let detail = serde_json::json!({ "reason": reason }).to_string();
    save(shared, key, kept, with, "fail", Some(detail), by).await
}

async fn save(
    shared: &Shared,
    key: Key,
    kept: &Kept,
    with: Campaign,
    what: &str,
    detail: Option<String>,
    by: By,
) -> Result<Campaign, Error> {
    let audit = by.audit(key.1, what, detail);
    if keep::replace(&shared.store, key, kept, &with, Some(audit), by.nonce).await? {
        return Ok(with);
    }
    // Only a runner that another one replaced finds it changed: the caller asks the other.
    Err(Refusal::Unknown.into())
}
