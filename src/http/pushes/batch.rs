//! `POST /v1/pushes/batch`: one push to many, in each one's own words.

use std::collections::HashSet;

use actix_web::{HttpRequest, HttpResponse, web};
use carillon_actors::engine::Outcome;
use carillon_actors::limits::Limits;
use carillon_actors::model::{App, PushType};
use carillon_actors::order::{Content, Named, Order, Ordered, Recipient, Recipients};
use carillon_sdk::Ttl;
use carillon_sdk::api::batch::{BatchAccepted, BatchEntry, EntryAnswer, PushBatch};
use carillon_sdk::api::{Scope, TargetAnswer};

use super::super::caller::Caller;
use super::super::{Code, Refused, State};
use super::parse::{collapse_key, data_text, lane};
use super::vendor::options;
use super::{code_of, idempotency, none_accepted, words};

const NAME_BYTES_MAX: usize = 128;
const KEY_BYTES_MAX: usize = 128;

/// Push a batch
///
/// To each of many devices and users in its own words, under one task. All or nothing is checked
/// first: an entry that is malformed, or lacks a value, and nothing is sent. A 202 means that what
/// it lists as accepted is on disk.
#[utoipa::path(post, path = "/v1/pushes/batch", tag = "pushes", request_body = PushBatch,
    params(("Idempotency-Key" = Option<String>, Header, description = "1 to 256 visible characters, one for each batch meant")),
    responses((status = 202, description = "At least one entry was accepted", body = BatchAccepted)))]
pub(in super::super) async fn batch(
    state: web::Data<State>,
    request: HttpRequest,
    caller: Caller,
) -> Result<HttpResponse, Refused> {
    let app = caller.with(Scope::Push)?;
    state.push_api_open(app)?;
    let idempotency = idempotency(&request, app, caller.bytes())?;
    let order = order_of_batch(&state, app, caller.json()?)?;
    let targets = targets(&order);
    let ordered = state.engine.order(app, order, idempotency, caller.nonce()).await?;
    answer(&ordered, targets)
}

/// The order that a batch is.
pub(in super::super) fn order_of_batch(state: &State, app: App, asked: PushBatch) -> Result<Order, Refused> {
    let content = match &asked.template {
        None => own_content(&asked)?,
        Some(name) => {
            let given = [
                ("/title", asked.title.is_some()),
                ("/body", asked.body.is_some()),
                ("/uri", asked.uri.is_some()),
                ("/look", asked.look.is_some()),
                ("/silent", asked.silent),
            ];
            words::own_words(&given)?;
            let data = asked.data.as_ref().map(|data| data_text(data, "/data")).transpose()?;
            let content = words::content_of(state, app, name)?;
            let options = options(asked.vendor.as_ref(), content.options)?;
            Content { data: data.or(content.data), options, ..content }
        }
    };
    order(asked, content, state.engine.limits())
}

fn own_content(asked: &PushBatch) -> Result<Content, Refused> {
    Ok(Content {
        title: asked.title.clone(),
        body: asked.body.clone(),
        uri: asked.uri.clone(),
        data: asked.data.as_ref().map(|data| data_text(data, "/data")).transpose()?,
        look: asked.look.clone(),
        silent: asked.silent,
        options: options(asked.vendor.as_ref(), None)?,
    })
}

/// The order, once all of it is within its limits and every entry's words are.
fn order(asked: PushBatch, content: Content, limits: &Limits) -> Result<Order, Refused> {
    if asked.entries.is_empty() || asked.entries.len() > limits.targets_max {
        let detail = format!("{} entries; 1 to {} are taken", asked.entries.len(), limits.targets_max);
        return Err(Refused::at(Code::TargetsTooMany, "/entries", detail));
    }
    if asked.name.as_ref().is_some_and(|name| !fits(name, NAME_BYTES_MAX)) {
        let detail = format!("1 to {NAME_BYTES_MAX} bytes without control characters");
        return Err(Refused::at(Code::BodyInvalid, "/name", detail));
    }
    let recipients = recipients(asked.entries)?;
    words::variables_missing(&content, &asked.values, &recipients)?;
    for (at, recipient) in recipients.iter().enumerate() {
        check_words(&content, &asked.values, recipient, limits)
            .map_err(|(code, detail)| Refused::at(code, format!("/entries/{at}"), detail))?;
    }
    Ok(Order {
        name: asked.name,
        push_type: PushType::Multiple,
        template: asked.template,
        content,
        values: asked.values,
        to: Recipients::Each(recipients),
        ttl: ttl(asked.ttl_s, limits)?,
        lane: lane(asked.lane)?,
        collapse_key: asked.collapse_key.map(collapse_key).transpose()?,
        keys_keep: Ttl::ZERO,
    })
}

fn recipients(entries: Vec<BatchEntry>) -> Result<Vec<Recipient>, Refused> {
    let mut seen = HashSet::with_capacity(entries.len());
    let mut recipients = Vec::with_capacity(entries.len());
    for (at, entry) in entries.into_iter().enumerate() {
        let to = match (entry.device, entry.user) {
            (Some(device), None) => Named::Device(device),
            (None, Some(user)) => Named::User(user),
            _ => {
                let pointer = format!("/entries/{at}");
                return Err(Refused::at(Code::TargetInvalid, pointer, "a device or a user"));
            }
        };
        if entry.key.as_ref().is_some_and(|key| !fits(key, KEY_BYTES_MAX)) {
            let detail = format!("1 to {KEY_BYTES_MAX} bytes without control characters");
            return Err(Refused::at(Code::BodyInvalid, format!("/entries/{at}/key"), detail));
        }
        if !seen.insert((to.clone(), entry.key.clone())) {
            let detail = "named before, under the same key";
            return Err(Refused::at(Code::TargetDuplicate, format!("/entries/{at}"), detail));
        }
        let data = entry.data.as_ref().map(|data| data_text(data, &format!("/entries/{at}/data")));
        let data = data.transpose()?;
        recipients.push(Recipient { to, key: entry.key, values: entry.values, data });
    }
    Ok(recipients)
}

fn check_words(
    content: &Content,
    common: &carillon_actors::template::Values,
    recipient: &Recipient,
    limits: &Limits,
) -> Result<(), (Code, String)> {
    let rendered = content.render(&[&recipient.values, common]);
    let rendered = rendered.map_err(|missing| (Code::VariableMissing, missing.to_string()))?;
    let data = recipient.data.as_ref().or(rendered.data.as_ref());
    let parts = [rendered.title.as_ref(), rendered.body.as_ref(), rendered.uri.as_ref(), data];
    let empty = |part: Option<&String>| part.is_none_or(String::is_empty);
    if !rendered.silent && empty(parts[0]) && empty(parts[1]) && data.is_none() {
        return Err((Code::ContentMissing, "title, body or data, unless it is silent".to_owned()));
    }
    let bytes: usize = parts.into_iter().chain([rendered.options.as_ref()]).flatten().map(String::len).sum();
    if bytes > limits.payload_bytes_max {
        let detail = format!("{bytes} bytes with the values; at most {} are taken", limits.payload_bytes_max);
        return Err((Code::PayloadTooLarge, detail));
    }
    Ok(())
}

fn ttl(seconds: Option<u64>, limits: &Limits) -> Result<Ttl, Refused> {
    let ttl = seconds.map_or(limits.ttl_default, Ttl::from_secs);
    if ttl.is_zero() || ttl > limits.ttl_max {
        let most = limits.ttl_max.as_millis() / 1000;
        return Err(Refused::at(Code::TtlOutOfRange, "/ttl_s", format!("it is 1 to {most} seconds")));
    }
    Ok(ttl)
}

fn fits(text: &str, bytes_max: usize) -> bool {
    (1..=bytes_max).contains(&text.len()) && !text.chars().any(char::is_control)
}

/// Whom each entry names, for a refusal that lists them.
fn targets(order: &Order) -> Vec<TargetAnswer> {
    let Recipients::Each(recipients) = &order.to else { return Vec::new() };
    let row = |recipient: &Recipient| {
        let (device_id, user_id) = match recipient.to.clone() {
            Named::Device(id) => (Some(id), None),
            Named::User(id) => (None, Some(id)),
        };
        TargetAnswer { device_id, user_id, accepted: false, code: None }
    };
    recipients.iter().map(row).collect()
}

fn answer(ordered: &Ordered, targets: Vec<TargetAnswer>) -> Result<HttpResponse, Refused> {
    let code = |outcome| code_of(outcome).map(|code| code.as_str().to_owned());
    if ordered.accepted == 0 {
        let outcomes = ordered.messages.iter().map(|(_, outcome)| code(*outcome));
        let rows = targets.into_iter().zip(outcomes).map(|(row, code)| TargetAnswer { code, ..row });
        return Err(none_accepted(rows.collect(), ordered.replayed));
    }
    let entries = ordered.messages.iter().map(|(message_id, outcome)| EntryAnswer {
        message_id: *message_id,
        accepted: *outcome == Outcome::Accepted,
        code: code(*outcome),
    });
    let mut response = HttpResponse::Accepted();
    if ordered.replayed {
        response.insert_header(("Idempotent-Replayed", "true"));
    }
    Ok(response.json(BatchAccepted {
        task: ordered.task.map(|task| task.to_string()).unwrap_or_default(),
        accepted: ordered.accepted,
        entries: entries.collect(),
    }))
}
