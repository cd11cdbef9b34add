//! What the engine knows of a channel, as the API shows it.

use carillon_actors::channel::{AccessView, BreakerView, QuotaView, Refused, SetupView, State as Channel};
use carillon_actors::model::App;
use carillon_sdk::Vendor;
use carillon_sdk::api::vendors::{
    VendorAccess, VendorChannel, VendorError, VendorLimit, VendorRefusal, VendorSetup, VendorStatus,
    VendorStop, VendorView,
};
use serde::Serialize;

use super::super::State;

pub(super) fn view(state: &State, app: App, vendor: Vendor) -> VendorView {
    let setup = state.engine.channel_setups(app).get(vendor);
    let channel = state.engine.channel_state(app, vendor);
    VendorView {
        vendor,
        status: status(setup.as_ref(), channel.as_ref()),
        setup: setup.map(|setup| setup_view(state, setup)),
        channel: channel.map(channel_view),
    }
}

fn status(setup: Option<&SetupView>, channel: Option<&Channel>) -> VendorStatus {
    match (setup, channel) {
        (None, _) => VendorStatus::Absent,
        (Some(setup), _) if !setup.enabled => VendorStatus::Off,
        (Some(_), None) => VendorStatus::Idle,
        (Some(_), Some(channel)) => match (&channel.breaker, channel.access) {
            (BreakerView::Open { .. }, _) => VendorStatus::Stopped,
            (BreakerView::Closed, AccessView::Failed { .. }) => VendorStatus::NoAccess,
            (BreakerView::Closed, AccessView::None | AccessView::Held { .. }) => VendorStatus::Well,
        },
    }
}

fn setup_view(state: &State, setup: SetupView) -> VendorSetup {
    VendorSetup {
        receipts_url: setup.receipts_key.and_then(|key| state.engine.channel_receipts_url(&key)),
        settings: setup.settings,
        hosts: setup.hosts,
        ca_pem: setup.ca_pem,
        clock_offset_ms: setup.clock_offset_ms,
        enabled: setup.enabled,
        quotas: setup.quotas,
        created_at: setup.created_at,
        updated_at: setup.updated_at,
        credential_at: setup.credential_at,
        etag: setup.revision.to_string(),
    }
}

fn channel_view(channel: Channel) -> VendorChannel {
    let stopped = match channel.breaker {
        BreakerView::Closed => None,
        BreakerView::Open { code, text, since, probe_at } => Some(VendorStop { code, text, since, probe_at }),
    };
    VendorChannel {
        stopped,
        access: access(channel.access),
        credential_ends_at: channel.ends_at,
        rate_per_s: channel.rate_per_s,
        in_flight: channel.in_flight as u64,
        waiting: channel.waiting as u64,
        last_accepted_at: channel.last_accepted_at,
        last_error: channel
            .last_error
            .map(|error| VendorError { at: error.at, refused: refusal(&error.refused) }),
    }
}

pub(super) const fn access(view: AccessView) -> VendorAccess {
    match view {
        AccessView::None => VendorAccess::None,
        AccessView::Held { ends_at } => VendorAccess::Held { ends_at },
        AccessView::Failed { until } => VendorAccess::Failed { until },
    }
}

pub(super) fn refusal(refused: &Refused) -> VendorRefusal {
    VendorRefusal {
        class: refused.class.as_str().to_owned(),
        scope: refused.scope.as_str().to_owned(),
        code: refused.code.clone(),
        text: refused.text.clone(),
    }
}

pub(super) fn limit(quota: &QuotaView) -> VendorLimit {
    VendorLimit {
        name: quota.name.to_owned(),
        sort: word(quota.sort),
        of: word(quota.of),
        per_day: quota.per_day,
        used: quota.taken,
        remaining: quota.left,
        spent_by_vendor: quota.spent_by_vendor,
        renews_at: quota.renews_at,
        source: quota.source.to_owned(),
    }
}

/// A name as JSON has it.
fn word(of: impl Serialize) -> String {
    serde_json::to_value(of).ok().and_then(|value| value.as_str().map(str::to_owned)).unwrap_or_default()
}
