//! A credential that is to replace another, tried out before it does; and what of a channel can be
//! said while it does not run.

use carillon_sdk::Vendor;
use serde_json::Value;

use super::quota::Ledger;
use super::setup::{Error, Setups};
use super::{QuotaView, Setup, Tested, keep, trial};
use crate::engine::Engine;
use crate::model::App;

impl Engine {
    /// Asks the vendor for access with this credential in place of the setup's and, with a token, sends
    /// it a message. Nothing is kept, and the setup is as it was.
    pub async fn prove_channel(
        &self,
        app: App,
        vendor: Vendor,
        credential: &Value,
        token: Option<String>,
    ) -> Result<Tested, Error> {
        let shared = self.shared();
        let opened = Setups::of(shared, app).open(vendor).ok_or(Error::Unknown)?;
        let setup = Setup { credential: credential.clone(), ..opened.setup };
        let gateway = shared.gateways().ok_or(Error::Closed)?.open(vendor, &setup)?;
        let access = match gateway.authorize().await {
            Ok(access) => access,
            Err(refused) => return Ok(Tested { access: Err(refused), sent: None }),
        };
        Ok(trial::tried(gateway.as_ref(), access, app, token, shared).await)
    }

    /// A channel's limits by the day, and what is left of them.
    #[must_use]
    pub fn channel_quotas(&self, app: App, vendor: Vendor) -> Vec<QuotaView> {
        if let Some(state) = self.channel_state(app, vendor) {
            return state.quotas;
        }
        let shared = self.shared();
        let own = Setups::of(shared, app).get(vendor).map(|setup| setup.quotas).unwrap_or_default();
        Ledger::new(vendor, own, keep::quota(shared, app, vendor)).view(shared.clock.now())
    }

    /// Where the vendor of a setup with this key sends its receipts; none when it cannot reach us.
    #[must_use]
    pub fn channel_receipts_url(&self, key: &str) -> Option<String> {
        let base = self.shared().channels_config()?.receipts_url.as_deref()?;
        Some(format!("{}/{key}", base.trim_end_matches('/')))
    }
}
