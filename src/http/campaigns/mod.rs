//! `/v1/campaigns`: planned, applied by the plan's hash, told, watched.

mod parse;
pub(super) mod watch;

use actix_web::{HttpResponse, web};
use carillon_actors::campaign::{By, Command, Error};
use carillon_actors::model::Task;
use carillon_sdk::api::Scope;
use carillon_sdk::api::campaigns::{
    ApplyCampaign, CampaignCreated, CampaignList, CampaignPlan, CampaignView, CreateCampaign,
};

use super::caller::Caller;
use super::page::{self, Kind, PageQuery};
use super::{Code, Refused, State};
use parse::parse_campaign;

/// List campaigns
///
/// In order of creation, those that are over included.
#[utoipa::path(get, path = "/v1/campaigns", tag = "campaigns", params(PageQuery),
    responses((status = 200, description = "A page of campaigns", body = CampaignList)))]
pub(super) async fn list(state: web::Data<State>, caller: Caller) -> Result<HttpResponse, Refused> {
    let app = caller.with(Scope::Read)?;
    let query: PageQuery = caller.query()?;
    let limit = query.limit()?;
    let after = query.place(Kind::Campaigns)?.map(|place| place.parse().map(Task)).transpose();
    let after = after.map_err(|_| Refused::new(Code::CursorInvalid))?;
    // One more than asked for says whether there is a next page.
    let mut campaigns = state.engine.campaigns(app, after, limit + 1).await.map_err(refused)?;
    let more = campaigns.len() > limit;
    campaigns.truncate(limit);
    let last = campaigns.last().filter(|_| more);
    let next = last.map(|campaign| page::cursor(Kind::Campaigns, &campaign.campaign_id));
    Ok(HttpResponse::Ok().json(CampaignList { campaigns, next }))
}

/// Make a campaign
///
/// It is planned, and nothing is sent: the answer says what applying it would do.
#[utoipa::path(post, path = "/v1/campaigns", tag = "campaigns", request_body = CreateCampaign,
    responses((status = 201, description = "The campaign and its plan", body = CampaignCreated)))]
pub(super) async fn create(state: web::Data<State>, caller: Caller) -> Result<HttpResponse, Refused> {
    let app = caller.with(Scope::Push)?;
    let asked: CreateCampaign = caller.json()?;
    let template = asked.template.as_ref().map(|name| {
        let found = state.engine.templates(app).get(name).map(|kept| kept.template);
        found.ok_or_else(|| Refused::at(Code::TemplateUnknown, "/template", "no such template"))
    });
    let (limits, now) = (state.engine.limits(), state.engine.clock().now());
    let spec = parse_campaign(asked, template.transpose()?.as_ref(), limits, now)?;
    let by = by(&caller);
    let (campaign, planned) = state.engine.create_campaign(app, spec, by).await.map_err(refused)?;
    Ok(HttpResponse::Created().json(CampaignCreated { campaign, planned }))
}

/// Read a campaign
///
/// Its state, and how far it has come.
#[utoipa::path(get, path = "/v1/campaigns/{id}", tag = "campaigns",
    params(("id" = String, Path, description = "The campaign's id")),
    responses((status = 200, description = "The campaign", body = CampaignView)))]
pub(super) async fn read(
    state: web::Data<State>,
    id: web::Path<String>,
    caller: Caller,
) -> Result<HttpResponse, Refused> {
    let app = caller.with(Scope::Read)?;
    let campaign = state.engine.campaign(app, task(&id)?).await.map_err(refused)?;
    Ok(HttpResponse::Ok().json(campaign))
}

/// Plan a campaign
///
/// What applying it now would do; nothing is sent.
#[utoipa::path(post, path = "/v1/campaigns/{id}/plan", tag = "campaigns",
    params(("id" = String, Path, description = "The campaign's id")),
    responses((status = 200, description = "The plan", body = CampaignPlan)))]
pub(super) async fn plan(
    state: web::Data<State>,
    id: web::Path<String>,
    caller: Caller,
) -> Result<HttpResponse, Refused> {
    let app = caller.with(Scope::Push)?;
    let plan = state.engine.plan_campaign(app, task(&id)?).await.map_err(refused)?;
    Ok(HttpResponse::Ok().json(plan))
}

/// Apply a campaign
///
/// By the hash of a plan that was read. Content and targets are evaluated again: unless they are
/// those of that plan, to the last target, nothing is sent and the answer has the new plan. May be
/// repeated.
#[utoipa::path(post, path = "/v1/campaigns/{id}/apply", tag = "campaigns", request_body = ApplyCampaign,
    params(("id" = String, Path, description = "The campaign's id")),
    responses((status = 200, description = "It runs", body = CampaignView)))]
pub(super) async fn apply(
    state: web::Data<State>,
    id: web::Path<String>,
    caller: Caller,
) -> Result<HttpResponse, Refused> {
    let app = caller.with(Scope::Push)?;
    let ApplyCampaign { plan } = caller.json()?;
    let by = by(&caller);
    let campaign = state.engine.apply_campaign(app, task(&id)?, plan, by).await.map_err(refused)?;
    Ok(HttpResponse::Ok().json(campaign))
}

/// Pause a campaign
///
/// Nothing more is let go until it is told to resume. May be repeated.
#[utoipa::path(post, path = "/v1/campaigns/{id}/pause", tag = "campaigns",
    params(("id" = String, Path, description = "The campaign's id")),
    responses((status = 200, description = "It is paused", body = CampaignView)))]
pub(super) async fn pause(
    state: web::Data<State>,
    id: web::Path<String>,
    caller: Caller,
) -> Result<HttpResponse, Refused> {
    tell(&state, &id, &caller, Command::Pause).await
}

/// Resume a campaign
///
/// One that is paused, or holds after its canary. May be repeated.
#[utoipa::path(post, path = "/v1/campaigns/{id}/resume", tag = "campaigns",
    params(("id" = String, Path, description = "The campaign's id")),
    responses((status = 200, description = "It runs", body = CampaignView)))]
pub(super) async fn resume(
    state: web::Data<State>,
    id: web::Path<String>,
    caller: Caller,
) -> Result<HttpResponse, Refused> {
    tell(&state, &id, &caller, Command::Resume).await
}

/// Abort a campaign
///
/// Nothing more is let go, for ever; what was let go stays. May be repeated.
#[utoipa::path(post, path = "/v1/campaigns/{id}/abort", tag = "campaigns",
    params(("id" = String, Path, description = "The campaign's id")),
    responses((status = 200, description = "It is over", body = CampaignView)))]
pub(super) async fn abort(
    state: web::Data<State>,
    id: web::Path<String>,
    caller: Caller,
) -> Result<HttpResponse, Refused> {
    tell(&state, &id, &caller, Command::Abort).await
}

/// Revoke a campaign
///
/// Nothing more is let go, what is pending is withdrawn, and devices that showed it are told to take
/// it back. May be repeated.
#[utoipa::path(post, path = "/v1/campaigns/{id}/revoke", tag = "campaigns",
    params(("id" = String, Path, description = "The campaign's id")),
    responses((status = 200, description = "It is being withdrawn, or was", body = CampaignView)))]
pub(super) async fn revoke(
    state: web::Data<State>,
    id: web::Path<String>,
    caller: Caller,
) -> Result<HttpResponse, Refused> {
    tell(&state, &id, &caller, Command::Revoke).await
}

async fn tell(state: &State, id: &str, caller: &Caller, command: Command) -> Result<HttpResponse, Refused> {
    let app = caller.with(Scope::Push)?;
    let by = by(caller);
    let campaign = state.engine.tell_campaign(app, task(id)?, command, by).await.map_err(refused)?;
    Ok(HttpResponse::Ok().json(campaign))
}

/// Anything else names no campaign.
fn task(id: &str) -> Result<Task, Refused> {
    let plain = id.bytes().all(|byte| byte.is_ascii_digit()) && !id.starts_with('0');
    id.parse().ok().filter(|_| plain).map(Task).ok_or(Refused::new(Code::CampaignUnknown))
}

fn by(caller: &Caller) -> By {
    let who = caller.key().map(|key| key.view.key_id.to_string()).unwrap_or_default();
    By { who, from: Some(caller.from().to_string()), nonce: caller.nonce() }
}

fn refused(error: Error) -> Refused {
    match error {
        Error::Unknown => Refused::new(Code::CampaignUnknown),
        Error::State(state) => Refused::because(Code::CampaignState, format!("it is {}", state.as_str())),
        Error::Full => Refused::new(Code::CampaignsFull),
        Error::ListUnknown => Refused::at(Code::ListUnknown, "/to/list", "no such list"),
        Error::ListDamaged => Refused::new(Code::Internal),
        Error::PlanChanged(plan) => Refused::because(Code::PlanChanged, "read the new plan").with_plan(*plan),
        Error::PlanBroken(plan) => {
            let detail = "placeholders without a value, payloads too long, or targets beyond the validity";
            Refused::because(Code::PlanBroken, detail).with_plan(*plan)
        }
        Error::Refused(refusal) => refusal.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_campaign_is_named_by_a_plain_number() {
        assert_eq!(task("17").unwrap(), Task(17));
        for wrong in ["", "0", "017", "+17", "-1", "1.0", "seventeen", "99999999999999999999999"] {
            assert_eq!(task(wrong).unwrap_err().code(), Code::CampaignUnknown, "{wrong}");
        }
    }
}
