//! Our message for a browser: JSON that the page's service worker reads, and the headers by which the
//! push service keeps it.

use base64::Engine as _;
use base64::engine::general_purpose::{URL_SAFE, URL_SAFE_NO_PAD};
use carillon_actors::channel::{Class, Parcel, Refused, Scope};
use carillon_sdk::Vendor;
use carillon_sdk::vendor::Level;
use carillon_sdk::wire::Lane;
use reqwest::Url;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::seal::{Keys, PLAIN_MAX};
use crate::receipts::{guard, parse_url};
use crate::vendors::{content, given};

/// Mozilla's keeps thirty days, Google's 28.
const KEPT_S_MAX: u64 = 2_419_200;
const TOPIC_MAX: usize = 32;

/// As the browser gave it to the page: `PushSubscription.toJSON()`.
#[derive(Deserialize)]
struct Given {
    endpoint: String,
    keys: GivenKeys,
}

#[derive(Deserialize)]
struct GivenKeys {
    p256dh: String,
    auth: String,
}

pub(super) struct Subscription {
    pub(super) endpoint: Url,
    pub(super) keys: Keys,
}

/// Where subscriptions may lead.
#[derive(Debug, Default)]
pub(super) struct Reach {
    /// Push services' names, each with those under it; all when empty.
    pub(super) hosts: Vec<String>,
    /// An owner who names a host in their place may also mean one at home.
    pub(super) is_free: bool,
}

impl Subscription {
    pub(super) fn read(token: &str, reach: &Reach) -> Result<Self, Refused> {
        let unfit = |why: &str| Refused::new(Class::Perm, Scope::Device, "bad_subscription").because(why);
        let given: Given =
            serde_json::from_str(token).map_err(|_| unfit("no endpoint with keys p256dh and auth"))?;
        let endpoint = parse_url(&given.endpoint).map_err(|refusal| unfit(&refusal.to_string()))?;
        let decode = |text: &str| URL_SAFE_NO_PAD.decode(text).or_else(|_| URL_SAFE.decode(text));
        let keys = match (decode(&given.keys.p256dh), decode(&given.keys.auth)) {
            (Ok(point), Ok(secret)) if point.len() == 65 && secret.len() == 16 => Keys { point, secret },
            _ => return Err(unfit("p256dh has 65 bytes and auth 16")),
        };
        let forbidden = |why: &str| Refused::new(Class::Perm, Scope::Device, "forbidden").because(why);
        if endpoint.scheme() != "https" && !reach.is_free {
            return Err(forbidden("an endpoint is https"));
        }
        let host = endpoint.host_str().unwrap_or_default();
        let is_under = |name: &String| {
            host == name || host.strip_suffix(name.as_str()).is_some_and(|rest| rest.ends_with('.'))
        };
        if !reach.hosts.is_empty() && !reach.hosts.iter().any(is_under) {
            return Err(forbidden("the host is not among allow_hosts"));
        }
        if let Some(address) = guard::literal(&endpoint).filter(|_| !reach.is_free) {
            guard::check(address, &[]).map_err(|refusal| forbidden(&refusal.to_string()))?;
        }
        Ok(Self { endpoint, keys })
    }
}

/// What all subscriptions of a parcel get, before it is sealed for each.
#[derive(Debug)]
pub(super) struct Content {
    pub(super) headers: Vec<(&'static str, String)>,
    pub(super) plain: Vec<u8>,
    pub(super) degraded: Vec<&'static str>,
}

pub(super) fn content(parcel: &Parcel) -> Result<Content, Refused> {
    let plain = plain(parcel).to_string().into_bytes();
    if plain.len() > PLAIN_MAX {
        return Err(given::unfit("payload_too_large", "a push service takes 3993 bytes of text"));
    }
    let message = &parcel.message;
    let urgency = match message.lane {
        _ if parcel.options.level == Some(Level::Passive) => "low",
        Lane::High => "high",
        Lane::Normal => "normal",
        Lane::Bulk => "low",
    };
    let mut headers = vec![
        ("ttl", content::left_s(parcel).min(KEPT_S_MAX).to_string()),
        ("urgency", urgency.to_owned()),
        ("content-encoding", "aes128gcm".to_owned()),
        ("content-type", "application/octet-stream".to_owned()),
    ];
    if let Some(key) = message.collapse_key.as_deref().filter(|key| !key.is_empty()) {
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
        let fits = key.len() <= TOPIC_MAX && key.bytes().all(is_plain);
        headers.push(("topic", if fits { key.to_owned() } else { content::digest(key, TOPIC_MAX) }));
    }
    let degraded = parcel.options.live_activity.iter().map(|_| "live_activity").collect();
    Ok(Content { headers, plain, degraded })
}

/// The names are those of the browser's `Notification` where it has one.
fn plain(parcel: &Parcel) -> Value {
    let (message, options) = (&*parcel.message, &*parcel.options);
    let transparent = content::transparent(options, Vendor::WebPush);
    let data = match transparent {
        Some(payload) => Some(payload.clone()),
        None => Some(content::data(message)).filter(|data| !data.is_empty()).map(Value::Object),
    };
    let is_silent = message.silent || transparent.is_some();
    let shown = |text: &Option<String>| text.as_ref().filter(|_| !is_silent).map(|text| json!(text));
    let look = message.look.as_ref();
    let fields = [
        (content::ID, Some(json!(message.id.to_string()))),
        ("title", shown(&message.title)),
        ("subtitle", shown(&options.subtitle)),
        ("body", shown(&message.body)),
        ("image", content::image(parcel, Vendor::WebPush).map(|url| json!(url))),
        ("icon", look.and_then(|look| look.icon_url.as_ref()).map(|url| json!(url))),
        ("uri", message.uri.as_ref().map(|uri| json!(uri))),
        ("tag", message.collapse_key.as_ref().map(|key| json!(key))),
        ("badge", options.badge.map(|badge| json!(badge))),
        ("silent", is_silent.then_some(Value::Bool(true))),
        ("data", data),
    ];
    let fields = fields.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?)));
    Value::Object(fields.collect::<Map<_, _>>())
}

#[cfg(test)]
mod tests {
    use carillon_actors::model::Message;

    use super::*;
    use crate::vendors::content::tests::parcel;

    fn subscription(endpoint: &str) -> String {
        let point = URL_SAFE_NO_PAD.encode([4; 65]);
        json!({"endpoint": endpoint, "expirationTime": null,
            "keys": {"p256dh": point, "auth": "BTBZMqHH6r4Tts7J_aSIgg"}})
        .to_string()
    }

    fn verdict(endpoint: &str, reach: &Reach) -> String {
        Subscription::read(&subscription(endpoint), reach)
            .err()
            .map_or("ok".to_owned(), |refused| refused.code)
    }

    #[test]
    fn an_endpoint_leads_to_the_public_internet_by_https() {
        let reach = Reach::default();
        for (endpoint, expected) in [
            ("https://updates.push.services.mozilla.com/wpush/v2/x", "ok"),
            ("https://1.1.1.1/x", "ok"),
            ("http://updates.push.services.mozilla.com/x", "forbidden"),
            ("https://127.0.0.1/x", "forbidden"),
            ("https://169.254.169.254/latest", "forbidden"),
            ("https://[::ffff:10.0.0.1]/x", "forbidden"),
            ("https://2130706433/x", "forbidden"),
            ("https://user:pw@example.com/x", "bad_subscription"),
            ("ftp://example.com/x", "bad_subscription"),
            ("", "bad_subscription"),
        ] {
            assert_eq!(verdict(endpoint, &reach), expected, "{endpoint}");
        }
        let free = Reach { is_free: true, ..Reach::default() };
        assert_eq!(verdict("http://127.0.0.1:8080/x", &free), "ok");
    }

    #[test]
    fn an_owner_may_name_the_services_he_means() {
        let reach = Reach { hosts: vec!["googleapis.com".to_owned()], is_free: false };
        assert_eq!(verdict("https://fcm.googleapis.com/fcm/send/x", &reach), "ok");
        assert_eq!(verdict("https://googleapis.com/x", &reach), "ok");
        assert_eq!(verdict("https://evilgoogleapis.com/x", &reach), "forbidden");
    }

    #[test]
    fn what_is_no_subscription_is_refused_and_no_panic() {
        for token in
            ["", "{}", "[]", r#"{"endpoint":"https://example.com","keys":{"p256dh":"x","auth":"y"}}"#]
        {
            let refused = Subscription::read(token, &Reach::default()).err().unwrap();
            assert_eq!((refused.class, &*refused.code), (Class::Perm, "bad_subscription"), "{token}");
        }
    }

    fn mapped(options: &Value, change: impl FnOnce(&mut Message)) -> (Value, Vec<(&'static str, String)>) {
        let content = content(&parcel("t", options, change)).unwrap();
        (serde_json::from_slice(&content.plain).unwrap(), content.headers)
    }

    #[test]
    fn a_browser_gets_all_of_it() {
        let (plain, headers) = mapped(&json!({"subtitle": "Shop", "badge": 2}), |message| {
            message.data = Some(r#"{"oid":7781}"#.to_owned());
            message.uri = Some("https://example.com/o".to_owned());
            message.collapse_key = Some("order-7781".to_owned());
            message.lane = Lane::High;
        });
        let id = parcel("t", &Value::Null, |_| {}).message.id.to_string();
        assert_eq!(
            plain,
            json!({"carillon_id": id, "title": "Paid", "subtitle": "Shop", "body": "Order 7781",
                "uri": "https://example.com/o", "tag": "order-7781", "badge": 2, "data": {"oid": 7781}})
        );
        let headers: Vec<_> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let expected = [
            ("ttl", "3600"),
            ("urgency", "high"),
            ("content-encoding", "aes128gcm"),
            ("content-type", "application/octet-stream"),
            ("topic", "order-7781"),
        ];
        assert_eq!(headers, expected);
    }

    #[test]
    fn lane_time_and_topic_are_in_the_services_terms() {
        for (lane, urgency) in [(Lane::High, "high"), (Lane::Normal, "normal"), (Lane::Bulk, "low")] {
            let (_, headers) = mapped(&Value::Null, |message| message.lane = lane);
            assert_eq!(headers[1].1, urgency);
        }
        let (_, headers) = mapped(&Value::Null, |message| message.expires_at = message.accepted_at);
        assert_eq!(headers[0].1, "0", "now or never");
        let (_, headers) = mapped(&Value::Null, |message| message.collapse_key = Some("订单/1".to_owned()));
        assert_eq!(headers[4].1.len(), 32);
        let (plain, _) = mapped(&Value::Null, |message| message.silent = true);
        assert!(plain.get("title").is_none() && plain["silent"] == true);
    }

    #[test]
    fn what_does_not_fit_one_record_is_not_sent() {
        let long = parcel("t", &Value::Null, |message| message.body = Some("x".repeat(3_993)));
        assert_eq!(content(&long).unwrap_err().code, "payload_too_large");
    }
}
