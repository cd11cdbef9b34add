//! Receipts as Huawei posts them, and Honor after it: `statuses` of up to a hundred tokens, to the
//! address that the app's owner gave in the console.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use carillon_sdk::Vendor;
use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Value, json};
use sha2::Sha256;

use super::{Letter, World};

/// In one post.
const STATUSES_MAX: usize = 100;

/// What the owner gave in the console for signing.
pub(super) const RECEIPTS_USER: &str = "lab";
pub(super) const RECEIPTS_SECRET: &str = "lab-receipts-secret";

const SIGNATURE: &str = "x-huawei-callback-id";

/// A signature ends after minutes: it is made anew for each post.
pub(super) fn sign_anew(world: &World, letter: &mut Letter) {
    for (name, value) in &mut letter.headers {
        if name == SIGNATURE {
            *value = signature(world, letter.vendor);
        }
    }
}

/// To the registered address; nowhere when there is none.
pub(super) fn post(world: &World, vendor: Vendor, statuses: &[Value]) {
    let Some(url) = world.receipts_url(vendor) else { return };
    for some in statuses.chunks(STATUSES_MAX) {
        let mut letter = Letter::json(vendor, &url, &json!({"statuses": some}));
        // Whether Honor signs is written nowhere.
        if vendor != Vendor::Honor {
            letter.headers.push((SIGNATURE.to_owned(), signature(world, vendor)));
        }
        world.outbox.put(letter);
    }
}

fn signature(world: &World, vendor: Vendor) -> String {
    let timestamp = world.now(vendor).as_millis().to_string();
    let nonce = uuid::Uuid::new_v4().to_string();
    let mut mac =
        Hmac::<Sha256>::new_from_slice(RECEIPTS_SECRET.as_bytes()).expect("HMAC takes a key of any length");
    for part in [&timestamp, &nonce, RECEIPTS_USER] {
        mac.update(part.as_bytes());
    }
    let value = STANDARD.encode(mac.finalize().into_bytes());
    format!("timestamp={timestamp}; nonce={nonce}; value={value}")
}
