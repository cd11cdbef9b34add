//! What of a message every vendor's mapping asks for.

use carillon_actors::channel::{Options, Parcel};
use carillon_actors::model::Message;
use carillon_sdk::Vendor;
use serde_json::{Map, Value};

/// Under this name a vendor's message carries our message's id: an SDK that has it already by
/// another road shows it once.
pub(super) const ID: &str = "carillon_id";

/// The custom data; nothing where there is none.
pub(super) fn data(message: &Message) -> Map<String, Value> {
    let data = message.data.as_deref().and_then(|text| serde_json::from_str(text).ok());
    if let Some(Value::Object(data)) = data { data } else { Map::new() }
}

/// Data in place of a notification, for this vendor. mPaaS has names of its own for some.
pub(super) fn transparent(options: &Options, vendor: Vendor) -> Option<&Value> {
    let by_mpaas = match vendor {
        Vendor::Huawei => "hms",
        Vendor::Xiaomi => "mi",
        _ => vendor.as_str(),
    };
    [vendor.as_str(), by_mpaas].into_iter().find_map(|name| options.transparent_payload.get(name))
}

/// The image for this vendor, in mPaaS's names, else the one for all.
pub(super) fn image(parcel: &Parcel, vendor: Vendor) -> Option<&str> {
    let name = match vendor {
        Vendor::Huawei => "hmsUrl".to_owned(),
        Vendor::Xiaomi => "miuiUrl".to_owned(),
        Vendor::Apns => "iosUrl".to_owned(),
        _ => format!("{vendor}Url"),
    };
    let own = parcel.options.image_urls.get(&name).map(String::as_str).filter(|url| !url.is_empty());
    own.or_else(|| parcel.message.look.as_ref()?.image_url.as_deref())
}

/// The vendor's own word for the message's kind, given by the caller.
pub(super) fn word(options: &Options, vendor: Vendor) -> Option<&str> {
    options.third_channel_category.get(vendor.as_str()).map(String::as_str)
}

/// How many seconds the message has left: 0 when it is for devices that are online alone, else 1 at
/// least.
pub(super) fn left_s(parcel: &Parcel) -> u64 {
    let message = &parcel.message;
    if message.expires_at == message.accepted_at {
        return 0;
    }
    message.expires_at.since(parcel.now).as_millis().div_ceil(1_000).max(1)
}

/// A key of its own where the caller's does not fit: the same for the same.
pub(super) fn digest(key: &str, chars: usize) -> String {
    use base64::Engine as _;
    use sha2::{Digest as _, Sha256};
    let digest = Sha256::digest(key);
    let mut text = base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(digest);
    text.truncate(chars);
    text
}

#[cfg(test)]
pub(super) mod tests {
    use std::sync::Arc;

    use carillon_actors::channel::Address;
    use carillon_actors::model::{App, PushType};
    use carillon_sdk::wire::Lane;
    use carillon_sdk::{MessageId, Timestamp, Ttl};

    use super::*;

    pub(in crate::vendors) const NOW: Timestamp = Timestamp::from_millis(1_764_000_000_000);

    /// A notification with an hour to live, changed by `change`, to one token.
    pub(in crate::vendors) fn parcel(
        token: &str,
        options: &Value,
        change: impl FnOnce(&mut Message),
    ) -> Parcel {
        let mut message = Message {
            id: MessageId::from_bytes([7; 16]),
            app: App(1),
            push_type: PushType::Single,
            title: Some("Paid".to_owned()),
            body: Some("Order 7781".to_owned()),
            data: None,
            lane: Lane::Normal,
            silent: false,
            collapse_key: None,
            accepted_at: NOW,
            expires_at: NOW + Ttl::from_secs(3_600),
            uri: None,
            look: None,
            task: None,
            options: None,
            repeat_until: None,
            revokes: None,
            key: None,
        };
        change(&mut message);
        Parcel {
            message: Arc::new(message),
            options: Arc::new(Options::read(Some(&options.to_string()))),
            to: vec![Address { token: token.to_owned(), receipt: "r-1".to_owned() }],
            now: NOW,
        }
    }

    #[test]
    fn what_is_left_of_a_message_is_counted_from_the_call() {
        let parcel = parcel("t", &Value::Null, |_| {});
        assert_eq!(left_s(&parcel), 3_600);
        assert_eq!(left_s(&Parcel { now: NOW + Ttl::from_millis(3_599_500), ..parcel.clone() }), 1);
        assert_eq!(left_s(&Parcel { now: NOW + Ttl::from_secs(4_000), ..parcel }), 1);
        let online = tests::parcel("t", &Value::Null, |message| message.expires_at = message.accepted_at);
        assert_eq!(left_s(&online), 0);
    }

    #[test]
    fn an_image_is_the_vendors_own_before_the_one_for_all() {
        let options = serde_json::json!({"image_urls": {
            "defaultUrl": "https://d", "hmsUrl": "https://h", "harmonyosUrl": "https://n", "honorUrl": ""}});
        let of_all = Some("https://d".to_owned());
        let parcel = parcel("t", &options, |message| {
            message.look = Some(carillon_sdk::wire::Look { image_url: of_all, ..Default::default() });
        });
        let urls = [Vendor::Huawei, Vendor::HarmonyOs, Vendor::Honor, Vendor::Fcm];
        let urls = urls.map(|vendor| image(&parcel, vendor).unwrap());
        assert_eq!(urls, ["https://h", "https://n", "https://d", "https://d"]);
    }
}
