//! `POST /v1/pushes`: the request for which the rest exists.

pub(super) mod batch;
mod order;
mod parse;
mod vendor;
mod words;

use actix_web::http::header;
use actix_web::{HttpRequest, HttpResponse, web};
use carillon_actors::engine::{Outcome, Push, Pushed, To};
use carillon_actors::model::{App, Device};
use carillon_actors::store::Idempotency;
use carillon_sdk::DeviceId;
use carillon_sdk::api::{PushAccepted, PushRequest, Scope, TargetAnswer};
use sha2::{Digest, Sha256};

use super::caller::Caller;
use super::{Code, Refused, State};
use parse::{Draft, Targets, parse_push};

pub(super) use batch::order_of_batch;
pub(super) use order::order_of;
pub(super) use parse::collapse_key;
pub(super) use parse::data_text;
pub(super) use vendor::options;
pub(super) use words::{own_words, variables_missing};

/// Longest Idempotency-Key, in bytes.
const IDEMPOTENCY_KEY_BYTES_MAX: usize = 256;

/// Push
///
/// To devices, to users, to an audience, or to everybody. A 202 means that what it lists as accepted is on disk. With
/// an `Idempotency-Key`, a retry gets the first answer and pushes nothing twice.
#[utoipa::path(post, path = "/v1/pushes", tag = "pushes", request_body = PushRequest,
    params(("Idempotency-Key" = Option<String>, Header, description = "1 to 256 visible characters, one for each push meant")),
    responses((status = 202, description = "At least one target was accepted", body = PushAccepted)))]
pub(super) async fn create(
    state: web::Data<State>,
    request: HttpRequest,
    caller: Caller,
) -> Result<HttpResponse, Refused> {
    let app = caller.with(Scope::Push)?;
    state.push_api_open(app)?;
    let idempotency = idempotency(&request, app, caller.bytes())?;
    let mut asked: PushRequest = caller.json()?;
    let from_template = asked.template.is_some();
    let options = words::of_template(&state, app, &mut asked)?;
    let draft = parse_push(asked, state.engine.limits(), state.engine.clock().now())?;
    let to = resolve(&state, app, &draft.targets);
    if let To::Devices(devices) = &to
        && devices.iter().all(|device| *device == Device::unknown(app))
        && idempotency.is_none()
    {
        return Err(none_accepted(rows(&draft.targets, &vec![Outcome::Gone; devices.len()]), false));
    }
    let nonce = caller.nonce();
    let Draft { targets, title, body, data, uri, look, ttl, lane, collapse_key, silent } = draft;
    let push = Push {
        app,
        to,
        title,
        body,
        data,
        uri,
        look,
        options,
        ttl,
        lane,
        collapse_key,
        silent,
        from_template,
        idempotency,
        nonce,
    };
    let pushed = state.engine.push(push).await?;
    answer(&targets, &pushed)
}

/// Every device keeps its place: one that nobody registered is answered `Gone` like one deleted
/// meanwhile, so a repeated answer fits the targets that are asked about again.
fn resolve(state: &State, app: App, targets: &Targets) -> To {
    let store = state.engine.store();
    match targets {
        Targets::Devices(ids) => {
            let device = |id: &DeviceId| store.device(app, id).unwrap_or(Device::unknown(app));
            To::Devices(ids.iter().map(device).collect())
        }
        Targets::Users(ids) => To::Users(ids.clone()),
        Targets::Audience(audience) => To::Audience(audience.clone()),
        Targets::All => To::All,
    }
}

fn answer(targets: &Targets, pushed: &Pushed) -> Result<HttpResponse, Refused> {
    let rows = rows(targets, &pushed.outcomes);
    if !rows.is_empty() && rows.iter().all(|row| !row.accepted) {
        return Err(none_accepted(rows, pushed.replayed));
    }
    let mut response = HttpResponse::Accepted();
    response.insert_header((header::LOCATION, format!("/v1/messages/{}", pushed.id)));
    if pushed.replayed {
        response.insert_header(("Idempotent-Replayed", "true"));
    }
    Ok(response.json(PushAccepted { message_id: pushed.id, accepted: pushed.accepted, targets: rows }))
}

fn rows(targets: &Targets, outcomes: &[Outcome]) -> Vec<TargetAnswer> {
    let row = |device_id, user_id, outcome: &Outcome| TargetAnswer {
        device_id,
        user_id,
        accepted: *outcome == Outcome::Accepted,
        code: code_of(*outcome).map(|code| code.as_str().to_owned()),
    };
    match targets {
        Targets::Devices(ids) => {
            ids.iter().zip(outcomes).map(|(id, outcome)| row(Some(id.clone()), None, outcome)).collect()
        }
        Targets::Users(ids) => {
            ids.iter().zip(outcomes).map(|(id, outcome)| row(None, Some(id.clone()), outcome)).collect()
        }
        Targets::Audience(_) | Targets::All => Vec::new(),
    }
}

const fn code_of(outcome: Outcome) -> Option<Code> {
    match outcome {
        Outcome::Accepted => None,
        Outcome::QueueFull => Some(Code::QueueFull),
        Outcome::Offline => Some(Code::Offline),
        Outcome::Gone => Some(Code::DeviceUnknown),
    }
}

/// One status for many reasons: the one that says most about whether to try again.
fn none_accepted(rows: Vec<TargetAnswer>, replayed: bool) -> Refused {
    let any = |code: Code| rows.iter().any(|row| row.code.as_deref() == Some(code.as_str()));
    let code = [Code::QueueFull, Code::Offline].into_iter().find(|code| any(*code));
    let code = code.unwrap_or(Code::DeviceUnknown);
    Refused::because(code, "no target was accepted; targets has the reason of each")
        .with_targets(rows, replayed)
}

/// The key as the store knows it. It belongs to the app: another app's same key is another key.
pub(super) fn idempotency(
    request: &HttpRequest,
    app: App,
    body: &[u8],
) -> Result<Option<Idempotency>, Refused> {
    let mut given = request.headers().get_all("idempotency-key");
    let Some(key) = given.next() else { return Ok(None) };
    let visible = key.as_bytes().iter().all(|byte| (0x20..0x7f).contains(byte));
    if given.next().is_some() || !visible || !(1..=IDEMPOTENCY_KEY_BYTES_MAX).contains(&key.len()) {
        let detail = format!("one header of 1 to {IDEMPOTENCY_KEY_BYTES_MAX} visible ASCII characters");
        return Err(Refused::because(Code::IdempotencyKeyInvalid, detail));
    }
    Ok(Some(digest_of(app, key.as_bytes(), body)))
}

fn digest_of(app: App, key: &[u8], body: &[u8]) -> Idempotency {
    let mut digest = Sha256::new();
    digest.update(app.0.to_be_bytes());
    digest.update(key);
    let mut short = [0; 16];
    short.copy_from_slice(&digest.finalize()[..16]);
    Idempotency { key: short, body: Sha256::digest(body).into() }
}

#[cfg(test)]
mod tests {
    use carillon_sdk::{MessageId, UserId};

    use super::*;

    fn pushed(outcomes: &[Outcome]) -> Pushed {
        let accepted = outcomes.iter().filter(|outcome| **outcome == Outcome::Accepted).count();
        let accepted = u32::try_from(accepted).unwrap();
        Pushed { id: MessageId::fresh(), accepted, outcomes: outcomes.to_vec(), replayed: false }
    }

    fn users(count: usize) -> Targets {
        Targets::Users((0..count).map(|n| UserId::parse(&format!("u{n}")).unwrap()).collect())
    }

    #[test]
    fn one_accepted_target_makes_a_202_and_the_others_say_why_not() {
        let outcomes = [Outcome::QueueFull, Outcome::Accepted, Outcome::Gone];
        let response = answer(&users(3), &pushed(&outcomes)).unwrap();
        assert_eq!(response.status(), 202);
        let codes: Vec<_> = rows(&users(3), &outcomes).into_iter().map(|row| row.code).collect();
        assert_eq!(codes, [Some("queue_full".to_owned()), None, Some("device_unknown".to_owned())]);
    }

    #[test]
    fn no_accepted_target_is_refused_for_the_reason_that_may_pass() {
        for (outcomes, code) in [
            (vec![Outcome::Gone, Outcome::Gone], Code::DeviceUnknown),
            (vec![Outcome::Gone, Outcome::Offline], Code::Offline),
            (vec![Outcome::Offline, Outcome::QueueFull], Code::QueueFull),
        ] {
            let refused = answer(&users(2), &pushed(&outcomes)).unwrap_err();
            assert_eq!(refused.code(), code);
        }
    }

    #[test]
    fn a_push_to_all_is_accepted_though_nobody_has_registered_yet() {
        assert_eq!(answer(&Targets::All, &pushed(&[])).unwrap().status(), 202);
    }

    #[test]
    fn an_idempotency_key_is_its_apps_own() {
        let digest = |app, key: &str| digest_of(App(app), key.as_bytes(), b"{}").key;
        assert_eq!(digest(1, "k"), digest(1, "k"));
        assert_ne!(digest(1, "k"), digest(2, "k"));
        assert_ne!(digest(1, "k"), digest(1, "l"));
    }
}
