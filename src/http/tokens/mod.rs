//! `/v1/tokens`, and the tokens of a device: what phone makers' channels call it by. Whoever has a
//! token and the app's credential can reach the phone, so they are shown to keys that may write
//! devices, and to no others.

mod export;
mod import;
mod lines;

use actix_web::{HttpResponse, web};
use carillon_actors::store::{
    By, LedgerEntry, TOKEN_BYTES_MAX, TokenChange, TokenInfo, TokenKept, is_token, token_digest,
};
use carillon_sdk::api::Scope;
use carillon_sdk::api::tokens::{self, DeviceTokens, SetToken, TokenOutcome, TokenSet, TokenStep, TokenView};
use carillon_sdk::{Timestamp, Vendor};

use super::caller::Caller;
use super::{Code, Refused, State, devices};
pub(super) use export::{__path_export, export};
pub(super) use import::{__path_import, import};

/// Read a device's tokens
///
/// The tokens on record, the channel that carries for the device, and what was done to its tokens,
/// the newest 32 changes first to last.
#[utoipa::path(get, path = "/v1/devices/{id}/tokens", tag = "tokens",
    params(("id" = String, Path, description = "The device's id")),
    responses((status = 200, description = "Its tokens", body = DeviceTokens)))]
pub(super) async fn read(
    state: web::Data<State>,
    id: web::Path<String>,
    caller: Caller,
) -> Result<HttpResponse, Refused> {
    let device = devices::find(&state, caller.with(Scope::Device)?, &id)?;
    let store = state.engine.store();
    let failed = |error| Refused::by_store(&error, Code::Internal);
    let tokens = store.tokens_of(device).await.map_err(failed)?.into_iter().map(view).collect();
    let history = store.token_ledger(device).await.map_err(failed)?.into_iter().map(change).collect();
    Ok(HttpResponse::Ok().json(DeviceTokens { tokens, carrier: store.carrier(device), history }))
}

/// Set a device's token
///
/// Of one channel, in place of the one there is. A token that another device of the app has moves to
/// this one.
#[utoipa::path(put, path = "/v1/devices/{id}/tokens/{channel}", tag = "tokens", request_body = SetToken,
    params(("id" = String, Path, description = "The device's id"),
        ("channel" = Vendor, Path, description = "The channel")),
    responses((status = 200, description = "It is on record", body = TokenSet)))]
pub(super) async fn set(
    state: web::Data<State>,
    path: web::Path<(String, String)>,
    caller: Caller,
) -> Result<HttpResponse, Refused> {
    let app = caller.with(Scope::Device)?;
    let (id, channel) = path.into_inner();
    let device = devices::find(&state, app, &id)?;
    let vendor = vendor(&channel)?;
    let SetToken { token } = caller.json()?;
    if !is_token(&token) {
        return Err(Refused::at(Code::TokenInvalid, "/token", invalid(&token)));
    }
    let by = by(&caller, By::Key)?;
    let kept = state.engine.store().vendor_token(device, vendor, &token, by).await;
    let kept = kept.map_err(|error| Refused::by_store(&error, Code::Internal))?;
    let outcome = outcome(kept).ok_or(Refused::new(Code::DeviceUnknown))?;
    Ok(HttpResponse::Ok().json(TokenSet { outcome }))
}

/// Withdraw a device's token
#[utoipa::path(delete, path = "/v1/devices/{id}/tokens/{channel}", tag = "tokens",
    params(("id" = String, Path, description = "The device's id"),
        ("channel" = Vendor, Path, description = "The channel")),
    responses((status = 204, description = "None is on record")))]
pub(super) async fn withdraw(
    state: web::Data<State>,
    path: web::Path<(String, String)>,
    caller: Caller,
) -> Result<HttpResponse, Refused> {
    let app = caller.with(Scope::Device)?;
    let (id, channel) = path.into_inner();
    let device = devices::find(&state, app, &id)?;
    let vendor = vendor(&channel)?;
    let by = by(&caller, By::Key)?;
    let kept = state.engine.store().vendor_token(device, vendor, "", by).await;
    kept.map_err(|error| Refused::by_store(&error, Code::Internal))?;
    Ok(HttpResponse::NoContent().finish())
}

fn vendor(channel: &str) -> Result<Vendor, Refused> {
    channel.parse().map_err(|_| Refused::because(Code::ChannelUnknown, format!("{channel:?} is none")))
}

/// Says what a token must be, and not what this one was.
fn invalid(token: &str) -> String {
    format!("{} bytes; a token has 1 to {TOKEN_BYTES_MAX}, without control characters", token.len())
}

fn by(caller: &Caller, of: fn(carillon_sdk::KeyId) -> By) -> Result<By, Refused> {
    // A caller with a scope has a key.
    caller.key().map(|key| of(key.view.key_id.clone())).ok_or(Refused::new(Code::Internal))
}

const fn outcome(kept: TokenKept) -> Option<TokenOutcome> {
    Some(match kept {
        TokenKept::New => TokenOutcome::New,
        TokenKept::Replaced => TokenOutcome::Replaced,
        TokenKept::Same => TokenOutcome::Same,
        TokenKept::Moved => TokenOutcome::Moved,
        TokenKept::Stale => TokenOutcome::Stale,
        TokenKept::Withdrawn | TokenKept::Gone => return None,
    })
}

fn view(token: TokenInfo) -> TokenView {
    TokenView {
        channel: token.vendor,
        digest: token_digest(&token.token),
        token: token.token,
        registered_at: known(token.at),
        by: token.by.to_string(),
    }
}

/// An import that did not say when has the beginning of time.
fn known(at: Timestamp) -> Option<Timestamp> {
    (at > Timestamp::default()).then_some(at)
}

fn change(entry: LedgerEntry) -> tokens::TokenChange {
    let (change, other_device) = match entry.change {
        TokenChange::Registered => (TokenStep::Registered, None),
        TokenChange::Replaced => (TokenStep::Replaced, None),
        TokenChange::MovedFrom(other) => (TokenStep::MovedFrom, Some(other)),
        TokenChange::MovedTo(other) => (TokenStep::MovedTo, Some(other)),
        TokenChange::Withdrawn => (TokenStep::Withdrawn, None),
        TokenChange::Invalidated => (TokenStep::Invalidated, None),
    };
    tokens::TokenChange {
        at: entry.at,
        channel: entry.vendor,
        digest: entry.digest,
        change,
        other_device,
        by: entry.by.to_string(),
        reason: entry.why,
    }
}
