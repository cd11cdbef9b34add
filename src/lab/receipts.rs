//! Posts what the simulators owe: late, several in one, twice, as the outbox was told. To this machine
//! alone: the address came with a message.

use std::net::IpAddr;
use std::time::Duration;

use carillon_sdk::client::{Trust, tls};
use futures_util::{StreamExt as _, stream};
use reqwest::{Client, Url};
use serde_json::{Map, Value};

use std::sync::Arc;

use super::{Letter, Posted, World, statuses};

/// In one post, as Huawei has it; the others say nothing on it.
const BATCH_MAX: usize = 100;
/// Posts at a time.
const POSTS_MAX: usize = 16;
/// A receiver has to answer in 200 ms; this is for one that does not.
const TIMEOUT: Duration = Duration::from_secs(10);

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("read the authorities for receipts")]
    Trust(#[from] tls::Error),
    #[error("make a client for receipts")]
    Client(#[from] reqwest::Error),
}

pub(super) struct Poster(Client);

impl Poster {
    /// `ca_pem` is believed in place of the web's authorities.
    pub(super) fn new(ca_pem: Option<String>) -> Result<Self, Error> {
        let tls = tls::config(&ca_pem.map_or(Trust::Web, Trust::Pem))?;
        let client = Client::builder()
            .tls_backend_preconfigured(tls)
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            // Whatever the machine's own table says.
            .resolve("localhost", ([127, 0, 0, 1], 0).into())
            .timeout(TIMEOUT);
        Ok(Self(client.build()?))
    }

    async fn post(&self, world: &World, mut letter: Letter) {
        statuses::sign_anew(world, &mut letter);
        let (status, why) = match self.status(&letter).await {
            Ok(status) => (status, None),
            Err(why) => (0, Some(why)),
        };
        world.capture.post(Posted {
            vendor: letter.vendor,
            at: world.now(letter.vendor),
            url: letter.url,
            body: letter.body,
            status,
            why,
        });
    }

    async fn status(&self, letter: &Letter) -> Result<u16, String> {
        let url = Url::parse(&letter.url).map_err(|error| error.to_string())?;
        if !is_here(&url) {
            return Err("the laboratory posts to this machine alone".to_owned());
        }
        let mut request = self.0.post(url).body(letter.body.clone());
        for (name, value) in &letter.headers {
            request = request.header(name, value);
        }
        let answer = request.send().await.map_err(|error| error.without_url().to_string())?;
        Ok(answer.status().as_u16())
    }
}

fn is_here(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']);
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// Until it is dropped.
pub(super) async fn post_all(world: Arc<World>, poster: Poster) {
    loop {
        world.outbox.wait().await;
        let posting = world.outbox.posting();
        if posting.delay_ms > 0 {
            tokio::time::sleep(Duration::from_millis(posting.delay_ms)).await;
        }
        let letters = batched(world.outbox.take(), posting.batch.clamp(1, BATCH_MAX));
        let copies = usize::try_from(posting.copies).unwrap_or(usize::MAX);
        let posts = letters.into_iter().flat_map(|letter| std::iter::repeat_n(letter, copies));
        let posts = stream::iter(posts).map(|letter| poster.post(&world, letter));
        posts.buffer_unordered(POSTS_MAX).for_each(async |()| {}).await;
    }
}

/// Letters to one address made one, in their order, with at most `max` receipts in each.
fn batched(letters: Vec<Letter>, max: usize) -> Vec<Letter> {
    if max == 1 {
        return letters;
    }
    let mut bundles: Vec<Bundle> = Vec::new();
    for letter in letters {
        let Some(content) = letter.content() else { continue };
        let bundle = Bundle { count: count(&content), content, letter };
        let like = bundles.iter_mut().rev().find(|open| open.is_like(&bundle));
        match like.filter(|open| open.count + bundle.count <= max) {
            // A vendor cannot say two things of one message in one post: then it makes two.
            Some(open) => match join(&open.content, &bundle.content) {
                Some(joined) => (open.content, open.count) = (joined, open.count + bundle.count),
                None => bundles.push(bundle),
            },
            None => bundles.push(bundle),
        }
    }
    bundles.into_iter().map(Bundle::sealed).collect()
}

struct Bundle {
    letter: Letter,
    content: Value,
    count: usize,
}

impl Bundle {
    fn is_like(&self, other: &Self) -> bool {
        let of = |bundle: &Self| (bundle.letter.vendor, bundle.letter.url.clone());
        of(self) == of(other)
    }

    fn sealed(self) -> Letter {
        let Letter { vendor, url, headers, field, .. } = self.letter;
        Letter { headers, ..Letter::new(vendor, &url, field, &self.content) }
    }
}

/// Receipts in it: of an array its items, of an object its statuses or the targets of its messages.
fn count(content: &Value) -> usize {
    let listed = content.as_array().or_else(|| content["statuses"].as_array());
    if let Some(listed) = listed {
        return listed.len();
    }
    let targets = |told: &Value| targets(told).len().max(1);
    content.as_object().map_or(1, |messages| messages.values().map(targets).sum())
}

fn targets(told: &Value) -> Vec<&str> {
    match &told["targets"] {
        Value::String(text) => text.split(',').collect(),
        Value::Array(all) => all.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    }
}

fn join(one: &Value, other: &Value) -> Option<Value> {
    if let (Value::Array(one), Value::Array(other)) = (one, other) {
        return Some(Value::Array([one.as_slice(), other].concat()));
    }
    if let (Some(one), Some(other)) = (one["statuses"].as_array(), other["statuses"].as_array()) {
        let statuses = [one.as_slice(), other].concat();
        return Some(Value::Object(Map::from_iter([("statuses".to_owned(), Value::Array(statuses))])));
    }
    let mut joined = one.as_object()?.clone();
    for (id, told) in other.as_object()? {
        let both = match joined.get(id) {
            None => told.clone(),
            Some(before) => of_one_message(before, told)?,
        };
        joined.insert(id.clone(), both);
    }
    Some(Value::Object(joined))
}

/// The same of more targets, if it is the same.
fn of_one_message(one: &Value, other: &Value) -> Option<Value> {
    let rest = |told: &Value| {
        let mut rest = told.as_object()?.clone();
        rest.remove("targets");
        Some(rest)
    };
    let mut both = rest(one).filter(|known| rest(other).is_some_and(|told| told == *known))?;
    let targets = [targets(one), targets(other)].concat();
    let is_list = one["targets"].is_array();
    both.insert("targets".to_owned(), if is_list { targets.into() } else { targets.join(",").into() });
    Some(Value::Object(both))
}

#[cfg(test)]
mod tests;
