//! Campaigns.

use std::time::Duration;

use reqwest::header::AUTHORIZATION;
use reqwest::{Method, StatusCode};

use super::{Answer, AppServer, Error, NOTHING, escaped, refusal, with_cursor};
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

    /// What is pending is withdrawn, and devices that may show it are told.
    pub async fn revoke_campaign(&self, id: &str) -> Result<CampaignView, Error> {
        self.call(Method::POST, &path(id, "/revoke"), NOTHING).await
    }

    /// Watches a campaign: each of its views from now on, until it is over. `heard` is the id of the
    /// last one, when this goes on from an earlier watch.
    pub async fn watch_campaign(&self, id: &str, heard: Option<&str>) -> Result<CampaignWatch, Error> {
        let path = path(id, "/events");
        let url = self.url(&path)?;
        let authorization = self.sign(&Method::GET, &url, b"");
        let mut request = self.http.get(url).timeout(WATCH_TIMEOUT).header(AUTHORIZATION, authorization);
        if let Some(heard) = heard {
            request = request.header("Last-Event-ID", heard);
        }
        let response = request.send().await?;
        let over = response.status() == StatusCode::NO_CONTENT;
        if response.status().is_client_error() || response.status().is_server_error() {
            let (status, headers) = (response.status(), response.headers().clone());
            let answer = Answer { status, headers, body: response.bytes().await? };
            return Err(refusal(&answer, &Method::GET, &path));
        }
        Ok(CampaignWatch { response, text: String::new(), id: heard.map(str::to_owned), over })
    }
}

/// Longest time of one watch; whoever wants to watch on goes on from its last id.
const WATCH_TIMEOUT: Duration = Duration::from_secs(24 * 3_600);

/// A campaign as it goes on.
#[derive(Debug)]
pub struct CampaignWatch {
    response: reqwest::Response,
    text: String,
    id: Option<String>,
    over: bool,
}

impl CampaignWatch {
    /// The next view; none when the server has no more to say: the campaign is over, or the server
    /// is stopping.
    pub async fn next(&mut self) -> Result<Option<CampaignView>, Error> {
        while !self.over {
            while let Some(end) = self.text.find("\n\n") {
                let event: String = self.text.drain(..end + 2).collect();
                if let Some(view) = self.take(&event) {
                    return Ok(Some(view));
                }
            }
            match self.response.chunk().await? {
                Some(chunk) => self.text.push_str(&String::from_utf8_lossy(&chunk)),
                None => self.over = true,
            }
        }
        Ok(None)
    }

    /// Of the last view: where another watch goes on.
    #[must_use]
    pub fn id(&self) -> Option<&str> {
        self.id.as_deref()
    }

    fn take(&mut self, event: &str) -> Option<CampaignView> {
        let field = |name: &str| event.lines().find_map(|line| line.strip_prefix(name));
        let view = serde_json::from_str(field("data: ")?).ok()?;
        self.id = field("id: ").map(str::to_owned);
        Some(view)
    }
}

fn path(id: &str, verb: &str) -> String {
    format!("/v1/campaigns/{}{verb}", escaped(id))
}
