//! What a channel must not forget, in the store: its access, sealed, so that a restart does not ask
//! a vendor that counts such requests for another; and what of the day's quota is taken.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use carillon_sdk::Vendor;
use futures_util::future::BoxFuture;
use serde::{Deserialize, Serialize};

use super::actor::Home;
use super::{Access, State, quota};
use crate::engine::Shared;
use crate::model::App;
use crate::store::{self, Change, Expect, Kind};

const PURPOSE: &str = "channel_access";

#[derive(Serialize, Deserialize)]
struct AccessRow {
    /// Of the setup it was got with.
    generation: String,
    /// Base64 of the sealed JSON of an [`Access`].
    sealed: String,
}

fn access_id(vendor: Vendor) -> String {
    format!("{vendor}/access")
}

fn quota_id(vendor: Vendor) -> String {
    format!("{vendor}/quota")
}

/// The access that was got with this generation of a setup, if any was.
pub(super) fn access(shared: &Shared, app: App, vendor: Vendor, generation: &str) -> Option<Access> {
    let stored = shared.store.object(app, Kind::ChannelState, &access_id(vendor))?;
    let row: AccessRow = serde_json::from_slice(&stored.bytes).ok()?;
    if row.generation != generation {
        return None;
    }
    let text = shared.store.unseal(app, PURPOSE, &STANDARD.decode(row.sealed).ok()?)?;
    serde_json::from_slice(&text).ok()
}

pub(super) async fn keep_access(
    shared: &Shared,
    app: App,
    vendor: Vendor,
    generation: &str,
    access: &Access,
) -> Result<(), store::Error> {
    // Plain data always serializes.
    let text = serde_json::to_vec(access).unwrap_or_default();
    let sealed = STANDARD.encode(shared.store.seal(app, PURPOSE, &text));
    let row = AccessRow { generation: generation.to_owned(), sealed };
    let bytes = serde_json::to_vec(&row).unwrap_or_default();
    put(shared, app, access_id(vendor), bytes).await
}

pub(super) fn quota(shared: &Shared, app: App, vendor: Vendor) -> Option<quota::Kept> {
    let stored = shared.store.object(app, Kind::ChannelState, &quota_id(vendor))?;
    serde_json::from_slice(&stored.bytes)
        .inspect_err(|error| tracing::error!(%error, "a quota's ledger cannot be read"))
        .ok()
}

async fn put(shared: &Shared, app: App, id: String, bytes: Vec<u8>) -> Result<(), store::Error> {
    let change = Change { kind: Kind::ChannelState, id, expect: Expect::Anything, value: Some(bytes.into()) };
    // Nothing is expected, so nothing is unexpected.
    shared.store.change(app, vec![change], None, None).await.map(|_| ())
}

/// A channel's home: the store, and the board.
pub(super) struct InStore {
    pub(super) shared: Arc<Shared>,
    pub(super) app: App,
    pub(super) vendor: Vendor,
    /// Of the setup.
    pub(super) generation: String,
}

impl Home for InStore {
    fn keep_access(&self, access: Access) -> BoxFuture<'static, Result<(), store::Error>> {
        let Self { shared, app, vendor, generation } = self;
        let (shared, app, vendor, generation) = (Arc::clone(shared), *app, *vendor, generation.clone());
        Box::pin(async move { keep_access(&shared, app, vendor, &generation, &access).await })
    }

    fn keep_quota(&self, ledger: Vec<u8>) -> BoxFuture<'static, Result<(), store::Error>> {
        let (shared, app, id) = (Arc::clone(&self.shared), self.app, quota_id(self.vendor));
        Box::pin(async move { put(&shared, app, id, ledger).await })
    }

    fn publish(&self, state: State) {
        self.shared.channel_board.publish((self.app, self.vendor), state);
    }
}
