//! Campaigns.

use reqwest::Method;

use super::{AppServer, Error, NOTHING, escaped, with_cursor};
use crate::api::campaigns::{
    ApplyCampaign, CampaignCreated, CampaignList, CampaignPlan, CampaignView, CreateCampaign,
};

impl AppServer {
    /// Planned; nothing is sent.
    pub async fn create_campaign(&self, campaign: &CreateCampaign) -> Result<CampaignCreated, Error> {
        self.call(Method::POST, "/v1/campaigns", Some(campaign)).await
    }

    /// A page of campaigns: the first one, or the one that `cursor` names.
    pub async fn campaigns(&self, cursor: Option<&str>) -> Result<CampaignList, Error> {
        self.get(&with_cursor("/v1/campaigns", cursor)).await
    }

    pub async fn campaign(&self, id: &str) -> Result<CampaignView, Error> {
        self.get(&path(id, "")).await
    }

    /// What applying it now would do.
    pub async fn plan_campaign(&self, id: &str) -> Result<CampaignPlan, Error> {
        self.call(Method::POST, &path(id, "/plan"), NOTHING).await
    }

    /// Sends it, if the plan of that hash still holds.
    pub async fn apply_campaign(&self, id: &str, plan: &str) -> Result<CampaignView, Error> {
        self.call(Method::POST, &path(id, "/apply"), Some(&ApplyCampaign { plan: plan.to_owned() })).await
    }

    pub async fn pause_campaign(&self, id: &str) -> Result<CampaignView, Error> {
        self.call(Method::POST, &path(id, "/pause"), NOTHING).await
    }

    pub async fn resume_campaign(&self, id: &str) -> Result<CampaignView, Error> {
        self.call(Method::POST, &path(id, "/resume"), NOTHING).await
    }

    pub async fn abort_campaign(&self, id: &str) -> Result<CampaignView, Error> {
        self.call(Method::POST, &path(id, "/abort"), NOTHING).await
    }
}

fn path(id: &str, verb: &str) -> String {
    format!("/v1/campaigns/{}{verb}", escaped(id))
}
