//! Vendors' receipts at a real server: late, many in one, twice; and whatever else is posted to an
//! address that others may have learnt.

use carillon::lab::{Lab, Posting};
use carillon_sdk::api::events::EventType;
use carillon_sdk::api::tokens::TokenStep;
use carillon_sdk::api::{PushRequest, Step, Target};
use carillon_sdk::client::server::EventsQuery;
use carillon_sdk::{DeviceId, Vendor};
use serde_json::{Value, json};

use crate::harness::{Answer, App, Call, Server, call, eventually};
use crate::vendors;

/// Those that send receipts.
const TELLING: [Vendor; 7] = [
    Vendor::Huawei,
    Vendor::HarmonyOs,
    Vendor::Honor,
    Vendor::Xiaomi,
    Vendor::Oppo,
    Vendor::Vivo,
    Vendor::Meizu,
];

struct Bench {
    server: Server,
    app: App,
    lab: Lab,
}

impl Bench {
    async fn start() -> Self {
        let (server, lab) = (Server::start().await, vendors::lab().await);
        let app = server.app();
        Self { server, app, lab }
    }

    /// The address of the vendor's receipts. `signs`: as the laboratory does it.
    async fn set_up(&self, vendor: Vendor, signs: bool) -> String {
        let mut setup = vendors::setup(&self.lab, vendor);
        if let Some(Value::Object(credential)) = setup.credential.as_mut().filter(|_| !signs) {
            credential.retain(|name, _| !name.starts_with("receipts_"));
        }
        let view = self.app.api.put_vendor(vendor, &setup, None).await.unwrap();
        let url = view.setup.unwrap().receipts_url.unwrap();
        self.lab.world().set_receipts_url(vendor, url.clone());
        url.split_once("/v1/").map(|(_, path)| format!("/v1/{path}")).unwrap()
    }

    async fn device(&self, vendor: Vendor, name: &str, token: &str) -> DeviceId {
        let id = self.app.register(&format!("{vendor}-{name}")).await.device_id;
        self.app.api.set_token(&id, vendor, token).await.unwrap();
        id
    }

    async fn push(&self, devices: Vec<DeviceId>) -> carillon_sdk::MessageId {
        self.app
            .send(PushRequest {
                to: Target { devices, ..Target::default() },
                title: Some("Paid".to_owned()),
                body: Some("Order 7781".to_owned()),
                ..PushRequest::default()
            })
            .await
    }

    async fn post(&self, path: &str, content_type: &str, body: &str) -> Answer {
        let mut post = Call::new("POST", path, body);
        post.headers = vec![("Content-Type".to_owned(), content_type.to_owned())];
        call(self.server.http(), &post).await
    }

    /// The vendor drops a token: the ledger has it, and so has the feed.
    async fn await_dead(&self, device: &DeviceId, vendor: Vendor) {
        let what = format!("{device}'s token to go");
        let ledger = eventually(&what, async || {
            let tokens = self.app.api.device_tokens(device).await.unwrap();
            tokens.tokens.is_empty().then_some(tokens.history)
        });
        let last = &ledger.await[0];
        assert_eq!(
            (last.change, last.by.as_str(), last.channel),
            (TokenStep::Invalidated, "receipt", vendor)
        );
        let query = EventsQuery { limit: Some(1_000), ..EventsQuery::default() };
        eventually("the feed to have it", async || {
            let events = self.app.api.events(&query).await.unwrap().events;
            let is_it = |event: &carillon_sdk::api::EventView| {
                event.kind == EventType::TokenInvalidated && event.device_id.as_ref() == Some(device)
            };
            events.iter().any(is_it).then_some(())
        })
        .await;
    }

    async fn metrics(&self) -> String {
        call(self.server.operations(), &Call::new("GET", "/metrics", "")).await.text()
    }
}

fn form(field: &str, value: &Value) -> String {
    form_urlencoded::Serializer::new(String::new()).append_pair(field, &value.to_string()).finish()
}

/// What a vendor says of a token: that it has the message (`good`), or that it is dead.
fn told(vendor: Vendor, token: &str, good: bool, at_ms: u64) -> String {
    let status = |good_one: u64, dead: u64| if good { good_one } else { dead };
    let tails = match vendor {
        Vendor::Huawei => json!({"statuses": [{"token": token, "status": status(0, 5), "timestamp": at_ms}]}),
        Vendor::HarmonyOs => json!({"statuses": [
            {"token": token, "deliveryStatus": {"result": status(0, 5), "timestamp": at_ms}}]}),
        Vendor::Honor => {
            json!({"statuses": [{"token": token, "status": status(40_000_002, 40_000_004), "timestamp": at_ms}]})
        }
        Vendor::Xiaomi => {
            let data = json!({"slm1": {"type": status(1, 16), "targets": token, "timestamp": at_ms}});
            return form("data", &data);
        }
        Vendor::Oppo => json!([{"messageId": "m", "registrationIds": token, "eventTime": at_ms,
            "eventType": if good { "push_arrive" } else { "regid_invalid" }}]),
        Vendor::Vivo => {
            json!({"task": {"targets": token, "ackType": if good { "0" } else { "2183" }, "ackTime": at_ms}})
        }
        _ => return form("cb", &json!({"m-1": {"type": 1, "targets": [token]}})),
    };
    tails.to_string()
}

/// What the vendor wants to hear.
fn thanks(vendor: Vendor) -> &'static str {
    match vendor {
        Vendor::Huawei | Vendor::HarmonyOs | Vendor::Honor => r#"{"code":"0","message":"success"}"#,
        _ => r#"{"code":0}"#,
    }
}

#[tokio::test]
async fn receipts_that_come_late_many_in_one_and_twice_are_verdicts_and_statistics_once() {
    let bench = Bench::start().await;
    bench.lab.world().outbox.set_posting(Posting { delay_ms: 100, copies: 3, batch: 100 });
    let mut devices = Vec::new();
    for vendor in TELLING {
        bench.set_up(vendor, true).await;
        for name in ["1", "2"] {
            devices.push(bench.device(vendor, name, &format!("ok-{vendor}-{name}")).await);
        }
    }
    // Xiaomi says of a batch's dead tokens by receipt alone.
    let dead = bench.device(Vendor::Xiaomi, "dead", "dead-1").await;
    let all = devices.iter().chain([&dead]).cloned().collect();
    let id = bench.push(all).await;
    for device in &devices {
        let story = bench.app.await_state(id, device.as_str(), "delivered").await;
        let steps: Vec<_> = story.steps.iter().map(|step| step.step).collect();
        assert_eq!(steps, [Step::Accepted, Step::Routed, Step::HandedOver, Step::Confirmed], "{device}");
    }
    bench.app.await_state(id, dead.as_str(), "handed_over").await;
    bench.await_dead(&dead, Vendor::Xiaomi).await;
    let posted = |vendor| bench.lab.world().capture.posted(vendor);
    for vendor in TELLING {
        let what = format!("{vendor}'s copies");
        let posts = eventually(&what, async || Some(posted(vendor)).filter(|posts| posts.len() >= 3));
        assert!(posts.await.iter().all(|post| post.status == 200), "{vendor}: {:?}", posted(vendor));
    }
    let totals = bench.app.totals().await;
    assert_eq!((totals.accepted, totals.arrived, totals.handed_over), (15, 14, 1), "{totals:?}");
    let metrics = bench.metrics().await;
    for vendor in TELLING {
        let twice = format!("carillon_vendor_receipts_total{{vendor=\"{vendor}\",news=\"delivered\"}} 2\n");
        assert!(metrics.contains(&twice), "{vendor}");
    }
    let dead = r#"carillon_tokens_invalidated_total{channel="xiaomi",by="receipt"} 1"#;
    assert!(metrics.contains(dead), "{metrics}");
}

#[tokio::test]
async fn a_receipt_of_a_dead_token_drops_it_unless_it_was_registered_since() {
    let bench = Bench::start().await;
    let now = crate::harness::now().as_millis();
    for vendor in TELLING.into_iter().filter(|vendor| *vendor != Vendor::Meizu) {
        let path = bench.set_up(vendor, false).await;
        let (old, new) = (bench.device(vendor, "old", "t-1").await, bench.device(vendor, "new", "t-2").await);
        let of_old = told(vendor, "t-1", false, now + 3_600_000);
        let of_new = told(vendor, "t-2", false, now - 3_600_000);
        for body in [of_new, of_old] {
            assert_eq!(bench.post(&path, "", &body).await.status, 200, "{vendor}");
        }
        bench.await_dead(&old, vendor).await;
        assert_eq!(bench.app.api.device_tokens(&new).await.unwrap().tokens.len(), 1, "{vendor}");
    }
}

#[tokio::test]
async fn a_click_is_an_opening_and_a_proof_of_arrival() {
    let bench = Bench::start().await;
    // It posts no word of its own before the test is over.
    bench.lab.world().outbox.set_posting(Posting { delay_ms: 600_000, copies: 1, batch: 1 });
    for (vendor, field) in [(Vendor::Xiaomi, "data"), (Vendor::Meizu, "cb")] {
        let path = bench.set_up(vendor, false).await;
        let device = bench.device(vendor, "1", "ok-1").await;
        let id = bench.push(vec![device.clone()]).await;
        bench.app.await_state(id, device.as_str(), "handed_over").await;
        // Taken for the device under this name, which is all that this receipt says of the message.
        let name = bench.lab.world().capture.taken(vendor).pop().unwrap().vendor_id;
        let key = if vendor == Vendor::Meizu { format!("{name}-2") } else { name };
        let clicked = form(field, &json!({key: {"type": 2, "targets": "ok-1"}}));
        assert_eq!(bench.post(&path, "", &clicked).await.status, 200);
        let story = bench.app.await_state(id, device.as_str(), "delivered").await;
        eventually("the click", async || {
            let story = bench.app.target(id, device.as_str()).await?;
            story.steps.iter().any(|step| step.step == Step::Opened).then_some(())
        })
        .await;
        assert!(story.steps.iter().any(|step| step.step == Step::Confirmed), "{vendor}");
    }
}

#[tokio::test]
async fn that_a_device_will_not_show_it_stands_in_its_story_with_the_vendors_code() {
    let bench = Bench::start().await;
    bench.lab.world().outbox.set_posting(Posting { delay_ms: 600_000, copies: 1, batch: 1 });
    let path = bench.set_up(Vendor::Xiaomi, false).await;
    let device = bench.device(Vendor::Xiaomi, "1", "ok-1").await;
    let id = bench.push(vec![device.clone()]).await;
    bench.app.await_state(id, device.as_str(), "handed_over").await;
    let name = bench.lab.world().capture.taken(Vendor::Xiaomi).pop().unwrap().vendor_id;
    let told = form("data", &json!({name: {"type": 64, "targets": "ok-1"}}));
    assert_eq!(bench.post(&path, "", &told).await.status, 200);
    let refused = eventually("the vendor's word", async || {
        let story = bench.app.target(id, device.as_str()).await?;
        assert_eq!(story.state, "handed_over");
        story.steps.into_iter().find(|step| step.step == Step::Refused)
    });
    let step = refused.await;
    let words = [step.channel, step.reason, step.detail].map(Option::unwrap_or_default);
    assert_eq!(words, ["xiaomi", "by_receipt", "64"]);
}

#[tokio::test]
async fn whatever_it_is_called_a_receipt_is_taken_and_whatever_it_is_the_server_stands() {
    let bench = Bench::start().await;
    let kinds = [
        "",
        "application/json",
        "application/json; charset=gbk",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "text/html",
        "image/png",
        "no/such/thing;;;",
    ];
    let deep = format!("{{\"statuses\":{}", "[".repeat(100_000));
    let deep_form = format!("data={}&cb={}", "%5B".repeat(10_000), "%7B%22a%22%3A".repeat(10_000));
    let bad = [
        "",
        "\u{0}",
        "null",
        "[]]",
        "{\"statuses\":7}",
        "data=7&cb=7",
        "data&cb",
        "{\"a\":{\"type\":[],\"ackType\":{}}}",
        deep.as_str(),
        deep_form.as_str(),
    ];
    for vendor in TELLING {
        let path = bench.set_up(vendor, false).await;
        let good = told(vendor, "nobody's", true, 1);
        for kind in kinds {
            let mut post = Call::new("POST", &path, &good).header("Accept", "text/xml");
            post.headers[0].1 = kind.to_owned();
            let answer = call(bench.server.http(), &post).await;
            assert_eq!((answer.status, answer.text().as_str()), (200, thanks(vendor)), "{vendor} {kind}");
        }
        for body in bad {
            for kind in ["application/json", "application/x-www-form-urlencoded"] {
                let start: String = body.chars().take(20).collect();
                let answer = bench.post(&path, kind, body).await;
                assert_eq!(answer.status, 400, "{vendor} {start}: {}", answer.text());
            }
        }
        let path = format!("{path}x");
        assert_eq!(bench.post(&path, "", &good).await.status, 404, "{vendor}");
    }
    let nobody = bench.post("/v1/vendor-receipts/", "", "{}").await;
    assert_eq!(nobody.status, 404);
    assert_eq!(bench.app.api.vendors().await.unwrap().vendors.len(), 10);
    assert!(bench.metrics().await.contains("carillon_actor_restarts_total{kind=\"shard\"} 0"));
}
