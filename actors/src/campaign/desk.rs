//! Where the edge brings campaigns: made, planned, applied, told, shown.

use std::sync::Arc;

use carillon_sdk::api::campaigns::{CampaignPlan, CampaignState, CampaignView};
use roaring::RoaringBitmap;
use tokio::sync::oneshot;

use super::keep::{self, Kept};
use super::office::{Do, Key, What};
use super::plan::{self, Found, SAMPLES_MAX};
use super::record::{Campaign, Command, Spec, To};
use super::view;
use super::{counts, list};
use crate::engine::{Engine, Refusal, Shared};
use crate::lists;
use crate::model::{App, Device, PushType, Task};
use crate::store::{self, Audit, Changed, Expect, Nonce, TaskInfo};

/// Why a campaign was not made, applied or told.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum Error {
    #[error("no such campaign")]
    Unknown,
    #[error("no such list")]
    ListUnknown,
    /// Its file cannot be read.
    #[error("the list is damaged")]
    ListDamaged,
    #[error("a campaign that is {} does not take this", .0.as_str())]
    State(CampaignState),
    /// The app has as many campaigns that are not over as it may.
    #[error("too many campaigns")]
    Full,
    /// Content or targets are not those of the plan that was named.
    #[error("the plan has changed")]
    PlanChanged(Box<CampaignPlan>),
    /// The plan says what would go wrong.
    #[error("the plan is broken")]
    PlanBroken(Box<CampaignPlan>),
    #[error("the store refuses")]
    Refused(#[from] Refusal),
}

impl From<store::Error> for Error {
    fn from(error: store::Error) -> Self {
        Self::Refused(error.into())
    }
}

/// Who does it, from where, and the nonce of the request.
#[derive(Debug, Clone)]
pub struct By {
    pub who: String,
    pub from: Option<String>,
    pub nonce: Option<Nonce>,
}

impl By {
    /// What it does by itself.
    pub(super) fn server() -> Self {
        Self { who: "server".to_owned(), from: None, nonce: None }
    }

    pub(super) fn audit(&self, task: Task, what: &str, detail: Option<String>) -> Audit {
        Audit {
            who: self.who.clone(),
            from: self.from.clone(),
            what: format!("campaign.{what}"),
            object: task.to_string(),
            detail,
        }
    }
}

impl Engine {
    /// Makes a campaign, planned. Nothing is sent.
    pub async fn create_campaign(
        &self,
        app: App,
        spec: Spec,
        by: By,
    ) -> Result<(CampaignView, CampaignPlan), Error> {
        let shared = self.shared();
        let (store, now) = (&shared.store, shared.clock.now());
        let plan = plan_of(shared, app, &spec).await?;
        make_room(shared, app).await?;
        let (push_type, hold) = match &spec.to {
            To::Audience { .. } => (PushType::Broadcast, None),
            To::List(id) => {
                let list = lists::get(store, app, id).ok_or(Error::ListUnknown)?;
                (PushType::Multiple, Some(lists::hold(&list)))
            }
        };
        let info =
            TaskInfo { name: spec.name.clone(), push_type, template: None, expires_at: now + spec.ttl };
        let task = store.open_task(app, info, by.nonce.clone()).await?;
        let campaign = Campaign::planned(spec, by.who.clone(), now);
        let change = keep::change(task, &campaign, Expect::Room(shared.limits.campaigns_max));
        let audit = by.audit(task, "create", None);
        let changes = std::iter::once(change).chain(hold).collect();
        match store.change(app, changes, Some(audit), None).await? {
            Changed::Done(_) => {}
            Changed::Unexpected(0) => return Err(Error::Full),
            // The list was deleted meanwhile, or another campaign was made for it: asked again, it says.
            Changed::Unexpected(_) => return Err(Refusal::Busy.into()),
        }
        Ok((view_of(shared, app, task, &campaign).await?, plan))
    }

    /// What applying it now would do.
    pub async fn plan_campaign(&self, app: App, task: Task) -> Result<CampaignPlan, Error> {
        let shared = self.shared();
        let kept = keep::read(&shared.store, app, task).ok_or(Error::Unknown)?;
        plan_of(shared, app, &kept.campaign.spec).await
    }

    /// Sends it, if the plan of that hash still holds to the last target. Repeated, it answers the
    /// same.
    pub async fn apply_campaign(
        &self,
        app: App,
        task: Task,
        plan: String,
        by: By,
    ) -> Result<CampaignView, Error> {
        self.ask_campaign((app, task), What::Apply(plan), by).await
    }

    /// Each command may be repeated.
    pub async fn tell_campaign(
        &self,
        app: App,
        task: Task,
        command: Command,
        by: By,
    ) -> Result<CampaignView, Error> {
        self.ask_campaign((app, task), What::Tell(command), by).await
    }

    async fn ask_campaign(&self, key: Key, what: What, by: By) -> Result<CampaignView, Error> {
        let shared = self.shared();
        let (reply, answer) = oneshot::channel();
        if let Err(refused) = shared.board.tell(Do { key, what, by, reply }) {
            refused.refuse();
        }
        // No answer: an actor died with it in hand.
        let campaign = answer.await.map_err(|_| Refusal::Unknown)??;
        view_of(shared, key.0, key.1, &campaign).await
    }

    pub async fn campaign(&self, app: App, task: Task) -> Result<CampaignView, Error> {
        let shared = self.shared();
        let kept = keep::read(&shared.store, app, task).ok_or(Error::Unknown)?;
        view_of(shared, app, task, &kept.campaign).await
    }

    /// In order of creation, at most `limit` after `after`.
    pub async fn campaigns(
        &self,
        app: App,
        after: Option<Task>,
        limit: usize,
    ) -> Result<Vec<CampaignView>, Error> {
        let shared = self.shared();
        let mut views = Vec::new();
        for (task, Kept { campaign, .. }) in keep::list(&shared.store, app, after, limit) {
            views.push(view_of(shared, app, task, &campaign).await?);
        }
        Ok(views)
    }
}

/// Campaigns an app may have: the oldest that are over make room for new ones.
async fn make_room(shared: &Shared, app: App) -> Result<(), Error> {
    let campaigns = keep::list(&shared.store, app, None, usize::MAX);
    if campaigns.len() < shared.limits.campaigns_max {
        return Ok(());
    }
    let over = campaigns.iter().find(|(_, kept)| kept.campaign.state.is_terminal()).ok_or(Error::Full)?;
    let change = store::Change {
        value: None,
        ..keep::change(over.0, &over.1.campaign, Expect::Version(over.1.version))
    };
    shared.store.change(app, vec![change], None, None).await?;
    Ok(())
}

pub(super) async fn plan_of(shared: &Arc<Shared>, app: App, spec: &Spec) -> Result<CampaignPlan, Error> {
    Ok(evaluate(shared, app, spec).await?.0)
}

/// The plan, and the devices of an audience. Off the arbiter: a large audience takes milliseconds, a
/// long list seconds.
pub(super) async fn evaluate(
    shared: &Arc<Shared>,
    app: App,
    spec: &Spec,
) -> Result<(CampaignPlan, Option<RoaringBitmap>), Error> {
    let (shared, spec) = (Arc::clone(shared), spec.clone());
    let planned = actix_rt::task::spawn_blocking(move || {
        let (most, now) = (shared.limits.payload_bytes_max, shared.clock.now());
        match &spec.to {
            To::Audience { audience, .. } => {
                let devices = shared.store.audience(app, audience);
                let slices = shared.store.slices(app, &devices);
                let info = |ordinal| shared.store.device_info(Device { app, ordinal });
                let some = devices.iter().filter_map(info).take(SAMPLES_MAX);
                let some = some.map(|info| info.device_id).collect();
                let found = Found { devices, slices, some };
                Ok((plan::of_audience(&spec, &found, most, now), Some(found.devices)))
            }
            To::List(id) => list::plan(&shared.store, app, &spec, id, most, now).map(|plan| (plan, None)),
        }
    });
    planned.await.map_err(|_| Refusal::Unavailable)?
}

async fn view_of(shared: &Shared, app: App, task: Task, campaign: &Campaign) -> Result<CampaignView, Error> {
    let counts = counts::of(shared, (app, task), campaign).await?;
    let rate = if campaign.is_live() { shared.board.rate((app, task)) } else { 0.0 };
    let mut view = view::view(task, campaign, counts, rate);
    view.finishes_at = view::finishes_at(campaign, &counts, rate, shared.clock.now());
    Ok(view)
}
