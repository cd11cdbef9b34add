use carillon_actors::clock::Clock;
use carillon_sdk::Timestamp;

use super::*;
use crate::lab::asking;

/// Of a laboratory that has no listeners.
fn surface(world: &Arc<World>) -> Surface {
    let push_service = "https://127.0.0.1:4009".to_owned();
    Surface { world: Arc::clone(world), browsers: Arc::new(WebPush::new()), push_service }
}

fn ask(surface: &Surface, method: &str, path: &str, body: &Value) -> Result<Value, u16> {
    let headers = [("host", "127.0.0.1:4000"), ("content-type", "application/json")];
    let (path, query) = path.split_once('?').unwrap_or((path, ""));
    let asked = asking::post(path, &headers, body.to_string());
    let asked = Asked { method: method.to_owned(), query: query.to_owned(), ..asked };
    told(surface, &asked).map_err(|No(status, _)| status)
}

#[test]
fn what_a_test_does_in_code_can_be_done_from_outside() {
    let world = Arc::new(asking::world());
    let surface = surface(&world);
    let vendor = Vendor::HarmonyOs;
    let did =
        ask(&surface, "POST", "/conditions", &json!({"vendor": "harmonyos", "condition": "tokens_revoked"}));
    assert_eq!(did, Ok(json!({})));
    assert_eq!(world.condition(vendor), Condition::TokensRevoked);
    ask(&surface, "POST", "/quotas", &json!({"vendor": "harmonyos", "rate": null, "day": 1})).unwrap();
    assert!(world.within_day(vendor, 1) && !world.within_day(vendor, 1));
    ask(&surface, "POST", "/clock", &json!({"vendor": "harmonyos", "offset_ms": -60_000})).unwrap();
    assert_eq!(world.clock.now().since(world.now(vendor)).as_millis(), 60_000);
    let url = "http://127.0.0.1/r";
    ask(&surface, "POST", "/receipts", &json!({"copies": 2, "vendor": "harmonyos", "url": url})).unwrap();
    assert_eq!(world.outbox.posting(), Posting { copies: 2, ..Posting::default() });
    assert_eq!(world.receipts_url(vendor).as_deref(), Some(url));
    let seen = ask(&surface, "GET", "/captures?vendor=harmonyos", &Value::Null).unwrap();
    assert_eq!(seen, json!({"requests": [], "taken": [], "receipts": []}));
    let (at, content) = (world.clock.now(), Value::Null);
    let (token, key, vendor_id) = ("t".to_owned(), Some("k".to_owned()), "1".to_owned());
    world.capture.take(Taken { vendor, at, token, key, vendor_id, content });
    let taken = ask(&surface, "GET", "/taken?vendor=harmonyos", &Value::Null).unwrap();
    assert_eq!(taken, json!({"taken": [{"at": at, "token": "t", "key": "k"}]}));
    let made = ask(&surface, "GET", "/subscriptions?token=ok-1&token=dead-1", &Value::Null).unwrap();
    let made: Vec<_> = made["subscriptions"].as_array().unwrap().iter().map(|one| &one["endpoint"]).collect();
    let endpoint = |token| json!(format!("https://127.0.0.1:4009/wpush/v2/{token}"));
    assert_eq!(made, [&endpoint("ok-1"), &endpoint("dead-1")]);
}

#[test]
fn what_is_no_order_changes_nothing_and_says_why() {
    let world = Arc::new(asking::world());
    let surface = surface(&world);
    for (method, path, body, status) in [
        ("POST", "/conditions", json!({"vendor": "nokia", "condition": "down"}), 400),
        ("POST", "/conditions", json!({"vendor": "vivo", "condition": "sleepy"}), 400),
        ("POST", "/clock", json!({"vendor": "vivo", "offset_ms": 1, "more": 1}), 400),
        ("POST", "/receipts", json!({"vendor": "vivo"}), 400),
        ("GET", "/captures", Value::Null, 400),
        ("GET", "/", Value::Null, 404),
    ] {
        assert_eq!(ask(&surface, method, path, &body), Err(status), "{method} {path} {body}");
    }
    assert_eq!(world.condition(Vendor::Vivo), Condition::Up);
}

#[test]
fn a_page_in_a_browser_cannot_steer_it() {
    let world = Arc::new(World::new(Clock::manual(Timestamp::from_millis(0)), false));
    let surface = surface(&world);
    let body = json!({"vendor": "vivo", "condition": "down"}).to_string();
    for headers in [
        [("host", "rebound.example.com"), ("content-type", "application/json")],
        [("host", "127.0.0.1:80"), ("content-type", "text/plain")],
    ] {
        assert!(told(&surface, &asking::post("/conditions", &headers, body.clone())).is_err());
    }
    assert_eq!(world.condition(Vendor::Vivo), Condition::Up);
}
