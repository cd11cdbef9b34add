//! What a vendor tells of a message after it took it: read by the edge, acted upon here.

use bytes::Bytes;
use carillon_sdk::wire::ReportKind;
use carillon_sdk::{MessageId, Timestamp, Vendor};
use futures_util::{StreamExt as _, future, stream};

use super::Setups;
use super::outcome::{CODE_BYTES_MAX, cut};
use crate::engine::Engine;
use crate::model::{App, Device};
use crate::store;

/// Receipts of one post acted upon at a time: they meet in a few commits.
const AT_ONCE: usize = 64;

/// What was POSTed to an app's address for a vendor's receipts.
#[derive(Clone)]
pub struct ReceiptPost {
    /// `X-HUAWEI-CALLBACK-ID`, where one came.
    pub signature: Option<String>,
    pub body: Bytes,
}

/// Of one message and one token; a vendor sends many in one request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Receipt {
    /// `Address::receipt`, as it was sent along. A vendor may have lost it.
    pub param: Option<String>,
    /// The vendor's own name for the message or the request.
    pub vendor_id: Option<String>,
    pub token: Option<String>,
    pub news: News,
    /// By the vendor's clock.
    pub at: Option<Timestamp>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum News {
    /// It reached the device.
    Delivered,
    /// Somebody opened it.
    Clicked,
    /// The token is dead, since then where the vendor says when.
    Dead { since: Option<Timestamp> },
    /// It will not reach the device, and the token is not to blame. Of the code, 64 bytes are kept.
    Refused { code: String },
    /// Something that changes nothing: it waits, it was shown late.
    Noted { code: String },
}

/// Why a post is not read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadPost {
    /// It is not signed as the setup says, or was signed too long ago.
    #[error("not signed by the vendor")]
    Forged,
    /// It is none of the vendor's words.
    #[error("not a receipt of this vendor")]
    Unreadable,
    /// The app has no setup for the vendor any more.
    #[error("the app has no setup for this vendor")]
    Unknown,
}

impl News {
    /// As metrics have it.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Delivered => "delivered",
            Self::Clicked => "clicked",
            Self::Dead { .. } => "dead",
            Self::Refused { .. } => "refused",
            Self::Noted { .. } => "noted",
        }
    }
}

impl Engine {
    /// Takes a post apart in the vendor's words; nothing follows from it yet.
    pub fn read_receipts(
        &self,
        app: App,
        vendor: Vendor,
        post: &ReceiptPost,
    ) -> Result<Vec<Receipt>, BadPost> {
        let opened = Setups::of(self.shared(), app).open(vendor).ok_or(BadPost::Unknown)?;
        let gateways = self.shared().gateways().ok_or(BadPost::Unknown)?;
        gateways.receipts(vendor, &opened.setup, post)
    }

    /// Acts upon receipts: an arrival is the verdict's one change, a dead token goes. A repeat changes
    /// nothing. Those the store could not take just now come back.
    pub async fn vendor_receipts(&self, app: App, vendor: Vendor, receipts: Vec<Receipt>) -> Vec<Receipt> {
        let acted = stream::iter(receipts).map(|receipt| async move {
            match self.vendor_receipt(app, vendor, &receipt).await {
                Ok(()) | Err(store::Error::DeviceUnknown) => None,
                Err(_) => Some(receipt),
            }
        });
        acted.buffer_unordered(AT_ONCE).filter_map(future::ready).collect().await
    }

    async fn vendor_receipt(&self, app: App, vendor: Vendor, receipt: &Receipt) -> Result<(), store::Error> {
        let store = self.store();
        let by_token = receipt.token.as_deref().and_then(|token| store.holder_of(app, vendor, token));
        let named = receipt.param.as_deref().and_then(|param| of_param(app, param));
        // The token knows the device better: of a batch some vendors give back one name for all.
        let Some(device) = by_token.or(named.map(|(_, device)| device)) else { return Ok(()) };
        let by_param = named.filter(|(_, of)| *of == device).map(|(id, _)| id);
        match &receipt.news {
            News::Dead { since } => {
                store.dead_by_receipt(device, vendor, receipt.token.clone(), *since).await?;
            }
            News::Delivered | News::Clicked => {
                let by_name = || store.named_or_wait(device, vendor, receipt.vendor_id.as_deref()?);
                let id = by_param.or_else(by_name).or(named.map(|(id, _)| id));
                let Some(id) = id else { return Ok(()) };
                store.confirm(device, id, vendor).await?;
                if receipt.news == News::Clicked {
                    store.report(device, id, ReportKind::Opened).await?;
                }
            }
            News::Refused { code } => {
                let by_name = || store.named(device, vendor, receipt.vendor_id.as_deref()?);
                let Some(id) = by_param.or_else(by_name).or(named.map(|(id, _)| id)) else { return Ok(()) };
                store.refuse(device, id, vendor, cut(code.clone(), CODE_BYTES_MAX)).await?;
            }
            // Metrics count them.
            News::Noted { code } => {
                tracing::debug!(app = app.0, %vendor, %code, "a vendor told of a message");
            }
        }
        Ok(())
    }
}

/// The message and device that an `Address::receipt` names: an id, a `-`, and the device's number.
fn of_param(app: App, param: &str) -> Option<(MessageId, Device)> {
    let (id, ordinal) = param.rsplit_once('-')?;
    let ordinal = ordinal.parse().ok().filter(|_| ordinal.bytes().all(|byte| byte.is_ascii_digit()))?;
    Some((MessageId::parse(id).ok()?, Device { app, ordinal }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_vendor_gives_back_names_message_and_device_or_nothing() {
        let id = MessageId::fresh();
        let hex: String = id.as_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
        let device = Device { app: App(3), ordinal: 17 };
        assert_eq!(of_param(App(3), &format!("{hex}-17")), Some((id, device)));
        for wrong in
            ["", "-", "17", "x-17", &format!("{hex}-"), &format!("{hex}-+1"), &format!("{hex}-99999999999")]
        {
            assert_eq!(of_param(App(3), wrong), None, "{wrong}");
        }
    }
}
