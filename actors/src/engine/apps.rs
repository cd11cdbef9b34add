//! Apps that their operator has shut: nothing is sent, nobody is connected, and nothing is lost.

use carillon_sdk::Ttl;
use carillon_sdk::wire::GoodbyeReason;

use super::{Engine, Refusal, Shared};
use crate::model::App;
use crate::shard::End;

/// A device of a disabled app stays away so long, and up to twice that.
const AWAY_AT_LEAST: Ttl = Ttl::from_secs(60);

/// Devices looked at between two turns of the arbiter, when an app is disabled.
const AWAY_PAGE: usize = 1_000;

impl Shared {
    /// Whether anything may be sent to the app's devices now.
    pub(crate) fn open(&self, app: App) -> Result<(), Refusal> {
        if self.store.is_disabled(app) { Err(Refusal::AppDisabled) } else { Ok(()) }
    }

    pub(crate) fn away_for(&self) -> Ttl {
        Ttl::from_millis(AWAY_AT_LEAST.as_millis() + self.jitter(AWAY_AT_LEAST).as_millis())
    }
}

impl Engine {
    /// Sends away every device of an app that was just disabled. They come back in a while, each at
    /// a moment of its own, and are let in once the app is enabled again.
    pub async fn send_away(&self, app: App) {
        let mut after = None;
        loop {
            let page = self.shared.store.devices(app, after, AWAY_PAGE);
            let Some(last) = page.last() else { return };
            after = Some(last.device.ordinal);
            for info in page.iter().filter(|info| info.online) {
                let shard = self.shared.router.of_device(info.device);
                let end = End {
                    device: info.device,
                    reason: GoodbyeReason::Busy,
                    retry_after: self.shared.away_for(),
                };
                // A shard that died has no session left to end.
                let _ = self.shared.router.ask(shard, end).await;
            }
        }
    }

    /// How long a device whose app is disabled is to stay away.
    #[must_use]
    pub fn away_for(&self) -> Ttl {
        self.shared.away_for()
    }
}
