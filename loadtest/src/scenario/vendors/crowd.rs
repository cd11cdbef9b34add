//! Who is pushed to: devices of every vendor, whose tokens tell what becomes of them.

use anyhow::{Result, ensure};
use carillon_sdk::api::tokens::TokenLine;
use carillon_sdk::client::AppServer;
use carillon_sdk::client::server::TokenForm;
use carillon_sdk::{DeviceId, Vendor};

use crate::lab::Lab;

/// Of twenty devices one has a dead token, and one a token with which the vendor fails twice.
const KINDS: usize = 20;
const DEAD: usize = 7;
const FLAKY: usize = 13;
/// Each tenth is pushed to by itself, in the lane for which others wait.
const URGENT_EVERY: usize = 10;

/// A device of a vendor, by its number in a round.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Member {
    pub(super) vendor: Vendor,
    pub(super) at: usize,
}

impl Member {
    pub(super) const fn is_dead(self) -> bool {
        self.at % KINDS == DEAD
    }

    pub(super) const fn is_urgent(self) -> bool {
        self.at.is_multiple_of(URGENT_EVERY)
    }

    pub(super) fn device(self, round: &str) -> Result<DeviceId> {
        Ok(DeviceId::parse(&format!("{round}-{}-{}", self.vendor, self.at))?)
    }

    /// As the laboratory shows it.
    pub(super) fn token(self, round: &str) -> String {
        let fate = match self.at % KINDS {
            DEAD => "dead",
            FLAKY => "flaky-2",
            _ => "ok",
        };
        format!("{fate}-{round}-{}", self.at)
    }
}

/// All of them, vendor by vendor in turn, so that a hundred in a row are of all.
pub(super) fn members(each: usize) -> impl Iterator<Item = Member> {
    (0..each).flat_map(|at| Vendor::ALL.into_iter().map(move |vendor| Member { vendor, at }))
}

/// Registers all with their tokens, as one moves over from another server.
pub(super) async fn import(app: &AppServer, lab: &Lab, round: &str, each: usize) -> Result<()> {
    let names: Vec<String> =
        (0..each).map(|at| Member { vendor: Vendor::WebPush, at }.token(round)).collect();
    let subscriptions = lab.subscriptions(&names).await?;
    let mut lines = String::with_capacity(each * Vendor::ALL.len() * 100);
    for member in members(each) {
        let token = match member.vendor {
            Vendor::WebPush => subscriptions[member.at].clone(),
            _ => member.token(round),
        };
        let line = TokenLine {
            device_id: Some(member.device(round)?),
            channel: member.vendor,
            token,
            platform: None,
            maker: None,
            user_id: None,
            registered_at: None,
        };
        lines.push_str(&serde_json::to_string(&line)?);
        lines.push('\n');
    }
    let imported = app.import_tokens(TokenForm::Ndjson, lines.into(), false).await?;
    let all = (each * Vendor::ALL.len()) as u64;
    ensure!((imported.new, imported.devices) == (all, all), "{imported:?}");
    Ok(())
}
