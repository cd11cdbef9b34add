use carillon_actors::clock::Clock;
use carillon_sdk::Timestamp;

use super::*;
use crate::lab::asking;

fn ask(world: &World, method: &str, path: &str, body: &Value) -> Result<Value, u16> {
    let headers = [("host", "127.0.0.1:4000"), ("content-type", "application/json")];
    let (path, query) = path.split_once('?').unwrap_or((path, ""));
    let asked = asking::post(path, &headers, body.to_string());
    let asked = Asked { method: method.to_owned(), query: query.to_owned(), ..asked };
    told(world, &asked).map_err(|No(status, _)| status)
}

#[test]
fn what_a_test_does_in_code_can_be_done_from_outside() {
    let world = asking::world();
    let vendor = Vendor::HarmonyOs;
    let did =
        ask(&world, "POST", "/conditions", &json!({"vendor": "harmonyos", "condition": "tokens_revoked"}));
    assert_eq!(did, Ok(json!({})));
    assert_eq!(world.condition(vendor), Condition::TokensRevoked);
    ask(&world, "POST", "/quotas", &json!({"vendor": "harmonyos", "rate": null, "day": 1})).unwrap();
    assert!(world.within_day(vendor, 1) && !world.within_day(vendor, 1));
    ask(&world, "POST", "/clock", &json!({"vendor": "harmonyos", "offset_ms": -60_000})).unwrap();
    assert_eq!(world.clock.now().since(world.now(vendor)).as_millis(), 60_000);
    let url = "http://127.0.0.1/r";
    ask(&world, "POST", "/receipts", &json!({"copies": 2, "vendor": "harmonyos", "url": url})).unwrap();
    assert_eq!(world.outbox.posting(), Posting { copies: 2, ..Posting::default() });
    assert_eq!(world.receipts_url(vendor).as_deref(), Some(url));
    let seen = ask(&world, "GET", "/captures?vendor=harmonyos", &Value::Null).unwrap();
    assert_eq!(seen, json!({"requests": [], "taken": [], "receipts": []}));
}

#[test]
fn what_is_no_order_changes_nothing_and_says_why() {
    let world = asking::world();
    for (method, path, body, status) in [
        ("POST", "/conditions", json!({"vendor": "nokia", "condition": "down"}), 400),
        ("POST", "/conditions", json!({"vendor": "vivo", "condition": "sleepy"}), 400),
        ("POST", "/clock", json!({"vendor": "vivo", "offset_ms": 1, "more": 1}), 400),
        ("POST", "/receipts", json!({"vendor": "vivo"}), 400),
        ("GET", "/captures", Value::Null, 400),
        ("GET", "/", Value::Null, 404),
    ] {
        assert_eq!(ask(&world, method, path, &body), Err(status), "{method} {path} {body}");
    }
    assert_eq!(world.condition(Vendor::Vivo), Condition::Up);
}

#[test]
fn a_page_in_a_browser_cannot_steer_it() {
    let world = World::new(Clock::manual(Timestamp::from_millis(0)), false);
    let body = json!({"vendor": "vivo", "condition": "down"}).to_string();
    for headers in [
        [("host", "rebound.example.com"), ("content-type", "application/json")],
        [("host", "127.0.0.1:80"), ("content-type", "text/plain")],
    ] {
        assert!(told(&world, &asking::post("/conditions", &headers, body.clone())).is_err());
    }
    assert_eq!(world.condition(Vendor::Vivo), Condition::Up);
}
