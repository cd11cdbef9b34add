//! The control surface: what a test does in code, for people and other programs. Plain HTTP on
//! loopback, JSON in and out.
//!
//! | request | does |
//! |---|---|
//! | `GET /captures?vendor=` | what reached the vendor, what it took, which receipts were posted |
//! | `GET /taken?vendor=` | of what it took only when, for which token, under which key |
//! | `DELETE /captures` | forgets it |
//! | `GET /subscriptions?token=&token=` | what a browser gives an app, for each name of a fate |
//! | `POST /conditions` | `{"vendor", "condition"}` |
//! | `POST /quotas` | `{"vendor", "rate", "day"}`; null is no limit |
//! | `POST /clock` | `{"vendor", "offset_ms"}` |
//! | `POST /receipts` | `{"delay_ms", "copies", "batch"}`, and `{"vendor", "url"}` as in a console |

use std::borrow::Cow;
use std::convert::Infallible;
use std::sync::Arc;

use bytes::Bytes;
use carillon_sdk::Vendor;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use super::wire::{self, Said};
use super::{Asked, Condition, Posting, Quotas, Taken, WebPush, World};

const CONNECTIONS_MAX: usize = 64;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SetCondition {
    vendor: Vendor,
    condition: Condition,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SetQuotas {
    vendor: Vendor,
    rate: Option<u32>,
    day: Option<u32>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SetClock {
    vendor: Vendor,
    offset_ms: i64,
}

/// What is not named stays.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SetReceipts {
    delay_ms: Option<u64>,
    copies: Option<u32>,
    batch: Option<usize>,
    vendor: Option<Vendor>,
    url: Option<String>,
}

struct No(u16, String);

/// What it steers.
pub(super) struct Surface {
    pub(super) world: Arc<World>,
    /// Makes subscriptions.
    pub(super) browsers: Arc<WebPush>,
    /// Of the push service: `https://127.0.0.1:port`.
    pub(super) push_service: String,
}

/// Until it is dropped.
pub(super) async fn listen(surface: Surface, listener: TcpListener) {
    let surface = Arc::new(surface);
    let mut open = JoinSet::new();
    loop {
        while open.try_join_next().is_some() {}
        if open.len() >= CONNECTIONS_MAX {
            open.join_next().await;
        }
        let Ok((socket, _)) = listener.accept().await else {
            tokio::time::sleep(std::time::Duration::from_millis(100)).await;
            continue;
        };
        let surface = Arc::clone(&surface);
        open.spawn(async move {
            let service = service_fn(move |request| answer(Arc::clone(&surface), request));
            let connection = hyper::server::conn::http1::Builder::new();
            // A connection that broke has nobody to be told.
            let _ = connection.serve_connection(TokioIo::new(socket), service).await;
        });
    }
}

async fn answer(surface: Arc<Surface>, request: Request<Incoming>) -> Result<Response<Said>, Infallible> {
    let told = match wire::asked(request).await {
        Ok(asked) => told(&surface, &asked),
        Err(_) => Err(No(413, "a body of more than 1 MiB".to_owned())),
    };
    let (status, body) = match told {
        Ok(body) => (200, body),
        Err(No(status, why)) => (status, json!({ "error": why })),
    };
    let headers = [("content-type".to_owned(), "application/json".to_owned())];
    Ok(wire::response(status, &headers, Bytes::from(body.to_string()), true))
}

fn told(surface: &Surface, asked: &Asked) -> Result<Value, No> {
    let world = &surface.world;
    // A page in a browser may reach loopback by a name of its own, or post a form.
    if !asked.header("host").is_some_and(is_loopback) {
        return Err(No(403, "ask by a loopback address".to_owned()));
    }
    match (asked.method.as_str(), asked.path.as_str()) {
        ("GET", "/captures") => return captures(world, asked),
        ("GET", "/taken") => return taken(world, asked),
        ("GET", "/subscriptions") => return Ok(subscriptions(surface, asked)),
        ("DELETE", "/captures") => world.capture.clear(),
        ("POST", "/conditions") => {
            let SetCondition { vendor, condition } = body(asked)?;
            world.set_condition(vendor, condition);
        }
        ("POST", "/quotas") => {
            let SetQuotas { vendor, rate, day } = body(asked)?;
            world.set_quotas(vendor, Quotas { rate, day });
        }
        ("POST", "/clock") => {
            let SetClock { vendor, offset_ms } = body(asked)?;
            world.set_offset_ms(vendor, offset_ms);
        }
        ("POST", "/receipts") => receipts(world, body(asked)?)?,
        _ => return Err(No(404, "no such path".to_owned())),
    }
    Ok(json!({}))
}

/// The values of a name in the query.
fn asked_for<'a>(asked: &'a Asked, name: &'a str) -> impl Iterator<Item = Cow<'a, str>> {
    let query = form_urlencoded::parse(asked.query.as_bytes());
    query.filter(move |(known, _)| known == name).map(|(_, value)| value)
}

fn vendor(asked: &Asked) -> Result<Vendor, No> {
    let vendor = asked_for(asked, "vendor").next();
    vendor
        .and_then(|name| name.parse().ok())
        .ok_or_else(|| No(400, "?vendor= is one of the ten, as apns or harmonyos".to_owned()))
}

fn taken(world: &World, asked: &Asked) -> Result<Value, No> {
    let taken = world.capture.taken(vendor(asked)?);
    let short = |Taken { at, token, key, .. }| json!({ "at": at, "token": token, "key": key });
    Ok(json!({ "taken": taken.into_iter().map(short).collect::<Vec<_>>() }))
}

fn subscriptions(surface: &Surface, asked: &Asked) -> Value {
    let made =
        asked_for(asked, "token").map(|token| surface.browsers.subscription(&surface.push_service, &token));
    json!({ "subscriptions": made.collect::<Vec<_>>() })
}

fn captures(world: &World, asked: &Asked) -> Result<Value, No> {
    let (vendor, capture) = (vendor(asked)?, &world.capture);
    Ok(json!({
        "requests": capture.requests(vendor),
        "taken": capture.taken(vendor),
        "receipts": capture.posted(vendor),
    }))
}

fn receipts(world: &World, set: SetReceipts) -> Result<(), No> {
    match (set.vendor, set.url) {
        (Some(vendor), Some(url)) => world.set_receipts_url(vendor, url),
        (None, None) => {}
        _ => return Err(No(400, "vendor and url come together".to_owned())),
    }
    let before = world.outbox.posting();
    world.outbox.set_posting(Posting {
        delay_ms: set.delay_ms.unwrap_or(before.delay_ms),
        copies: set.copies.unwrap_or(before.copies),
        batch: set.batch.unwrap_or(before.batch),
    });
    Ok(())
}

fn is_loopback(host: &str) -> bool {
    let name = host.rsplit_once(':').map_or(host, |(name, _)| name).trim_matches(['[', ']']);
    name == "localhost" || name.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

fn body<T: DeserializeOwned>(asked: &Asked) -> Result<T, No> {
    if !asked.header("content-type").is_some_and(|kind| kind.starts_with("application/json")) {
        return Err(No(415, "content-type is application/json".to_owned()));
    }
    serde_json::from_slice(&asked.body).map_err(|error| No(400, error.to_string()))
}

#[cfg(test)]
mod tests;
