//! How the simulators' tests ask: a world whose clock stands, requests, and what was answered.

use carillon_actors::clock::Clock;
use carillon_sdk::Timestamp;
use serde_json::Value;

use super::{Asked, Reply, World};

pub(super) fn world() -> World {
    World::new(Clock::manual(Timestamp::from_millis(1_764_000_000_000)), false)
}

pub(super) fn post(path: &str, headers: &[(&str, &str)], body: impl Into<bytes::Bytes>) -> Asked {
    let headers = headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    Asked {
        method: "POST".to_owned(),
        path: path.to_owned(),
        query: String::new(),
        headers: headers.collect(),
        body: body.into(),
        is_http2: false,
        connection: 1,
        certificate: None,
    }
}

/// Status and body; a body that is no JSON is null.
pub(super) fn read(reply: &Reply) -> (u16, Value) {
    let Reply::Answer { status, body, .. } = reply else { panic!("no answer: {reply:?}") };
    (*status, serde_json::from_slice(body).unwrap_or_default())
}

/// `body` with one field set, by its pointer.
pub(super) fn with(body: &Value, pointer: &str, value: impl Into<Value>) -> Value {
    let mut body = body.clone();
    let (parent, name) = pointer.rsplit_once('/').unwrap();
    body.pointer_mut(parent).unwrap()[name] = value.into();
    body
}
