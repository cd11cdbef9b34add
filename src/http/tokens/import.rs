//! Tokens that the app has from before: the whole file is looked at first, then taken in a few
//! thousand lines at a time, in commits they share.

use std::collections::HashMap;
use std::io;
use std::time::Duration;

use actix_web::{HttpResponse, web};
use carillon_actors::engine::Engine;
use carillon_actors::model::{App, Device};
use carillon_actors::store::{By, Error, NewToken, Store, TokenKept};
use carillon_sdk::Vendor;
use carillon_sdk::api::lists::LineError;
use carillon_sdk::api::tokens::TokensImported;
use carillon_sdk::api::{RegisterDevice, Scope};
use futures_util::{StreamExt, TryStreamExt, stream};
use serde::Deserialize;
use serde_json::json;

use super::super::spool::{Form, Spooled, Uploaded, blocking};
use super::super::tags::{note, to_the_end};
use super::super::{Code, Refused, State};
use super::lines::{Line, Numbered, of_csv, of_lines, of_ndjson};

/// Errors that are named.
const ERRORS_MAX: usize = 1_000;

/// Lines taken in between two looks at the file.
const PART: usize = 2_000;

/// Registrations and bindings that wait for their commits at a time.
const AT_ONCE: usize = 500;

/// A full intake empties in milliseconds; beyond these tries the store takes nothing.
const TRIES_MAX: u32 = 100;
const WAIT: Duration = Duration::from_millis(50);

#[derive(Debug, Default, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(in crate::http) struct ImportQuery {
    /// `skip` leaves out what cannot be read; without it that refuses the whole.
    on_error: Option<String>,
    /// Of lines that name none.
    channel: Option<Vendor>,
}

/// Import tokens
///
/// A file of tokens that the app has from before, a line each: `channel` and `token`, and where they
/// are known `device_id`, `platform`, `maker`, `user_id` and `registered_at`. In NDJSON, in
/// `text/csv` with a header, or, with `channel`, in `text/plain`, a token a line. A device that is not registered is, and waits for its app to claim it;
/// a line without an id is the device that has the token, or a new one. What is on record and was
/// registered later stays. Nothing is done when a line cannot be read, unless `on_error=skip`. A
/// server that stops in the middle may have done a part: send it again.
#[utoipa::path(post, path = "/v1/tokens/import", tag = "tokens", params(ImportQuery),
    request_body(content((String = "text/csv"), (String = "application/x-ndjson"), (String = "text/plain")),
        description = "The tokens"),
    responses((status = 200, description = "What was done", body = TokensImported)))]
pub(in crate::http) async fn import(
    state: web::Data<State>,
    uploaded: Uploaded,
) -> Result<HttpResponse, Refused> {
    let app = uploaded.caller.with(Scope::Device)?;
    let query: ImportQuery = uploaded.caller.query()?;
    let skip = match query.on_error.as_deref() {
        None | Some("refuse") => false,
        Some("skip") => true,
        Some(_) => return Err(Refused::because(Code::QueryInvalid, "on_error is refuse or skip")),
    };
    let Uploaded { caller, file } = uploaded;
    let channel = query.channel;
    if file.form == Form::Lines && channel.is_none() {
        let why = "text/csv or application/x-ndjson; text/plain only with a channel";
        return Err(Refused::because(Code::ContentTypeUnsupported, why));
    }
    let (good, bad, errors) = {
        let file = file.clone();
        blocking(move || check(&file, channel)).await?
    };
    if bad > 0 && !skip {
        let refused =
            Refused::because(Code::ListInvalid, format!("{bad} lines cannot be taken; nothing was done"));
        return Err(errors
            .into_iter()
            .fold(refused, |refused, error| refused.and_at(format!("/{}", error.line), error.detail)));
    }
    let audit = caller.audit_of("tokens.import", "", &json!({ "lines": good, "skipped": bad }));
    note(&state, app, audit, caller.nonce()).await?;
    let work = Work { engine: state.engine.clone(), app, by: super::by(&caller, By::Import)?, channel };
    // Whoever hangs up now leaves nothing half done.
    let done = to_the_end(async move { work.carry_out(file).await }).await?;
    Ok(HttpResponse::Ok().json(TokensImported { skipped: bad, errors, ..done }))
}

type Lines = Box<dyn FnMut() -> io::Result<Option<Numbered>> + Send>;

fn lines(file: &Spooled, channel: Option<Vendor>) -> Lines {
    match (file.form, channel) {
        (Form::Lines, Some(channel)) => Box::new(of_lines(file.reader(), channel)),
        (Form::Csv, _) => Box::new(of_csv(file.reader(), channel)),
        (Form::Ndjson | Form::Lines, _) => Box::new(of_ndjson(file.reader(), channel)),
    }
}

/// How many lines are good, how many are not, and the first of those.
fn check(file: &Spooled, channel: Option<Vendor>) -> io::Result<(u64, u64, Vec<LineError>)> {
    let mut next = lines(file, channel);
    let (mut good, mut bad, mut errors) = (0, 0, Vec::new());
    while let Some((line, read)) = next()? {
        match read {
            Ok(_) => good += 1,
            Err(detail) => {
                bad += 1;
                if errors.len() < ERRORS_MAX {
                    errors.push(LineError { line, detail });
                }
            }
        }
    }
    Ok((good, bad, errors))
}

struct Work {
    engine: Engine,
    app: App,
    by: By,
    channel: Option<Vendor>,
}

impl Work {
    async fn carry_out(&self, file: Spooled) -> Result<TokensImported, Refused> {
        let mut done = TokensImported::default();
        let mut next = lines(&file, self.channel);
        loop {
            let (rest, part) = blocking(move || {
                let mut part = Vec::with_capacity(PART);
                while part.len() < PART
                    && let Some((_, line)) = next()?
                {
                    part.extend(line);
                }
                Ok((next, part))
            })
            .await?;
            next = rest;
            if part.is_empty() {
                return Ok(done);
            }
            self.take(part, &mut done).await?;
        }
    }

    async fn take(&self, part: Vec<Line>, done: &mut TokensImported) -> Result<(), Refused> {
        let count = part.len() as u64;
        let part = last_of_each(part);
        done.stale += count - part.len() as u64;
        let devices: Vec<(Device, bool)> =
            stream::iter(&part).map(|line| self.device(line)).buffered(AT_ONCE).try_collect().await?;
        done.devices += devices.iter().filter(|(_, made)| *made).count() as u64;
        let tokens: Vec<_> =
            part.iter().zip(&devices).map(|(line, (device, _))| new(*device, line)).collect();
        let kept = patiently(|| self.store().keep_tokens(self.app, tokens.clone(), &self.by)).await?;
        for kept in &kept {
            match kept {
                TokenKept::New => done.new += 1,
                TokenKept::Replaced => done.replaced += 1,
                TokenKept::Same => done.same += 1,
                TokenKept::Moved => done.moved += 1,
                // Or its device was deleted just now.
                TokenKept::Stale | TokenKept::Withdrawn | TokenKept::Gone => done.stale += 1,
            }
        }
        let to_bind = part.iter().zip(devices).zip(kept).filter_map(|((line, (device, _)), kept)| {
            let is_its = !matches!(kept, TokenKept::Stale | TokenKept::Gone);
            line.user_id.clone().filter(|_| is_its).map(|user| (device, user))
        });
        let bound = stream::iter(to_bind.collect::<Vec<_>>()).map(|(device, user)| async move {
            // Whoever is logged in there knows better than a file.
            if self.store().device_info(device).is_none_or(|info| info.user.is_some()) {
                return Ok(0);
            }
            self.engine.bind(device, Some(user), None).await.map_err(Refused::from)?;
            Ok::<_, Refused>(1)
        });
        done.bound += bound.buffered(AT_ONCE).try_fold(0, |sum, one| async move { Ok(sum + one) }).await?;
        Ok(())
    }

    /// The device a line is about, and whether it was made.
    async fn device(&self, line: &Line) -> Result<(Device, bool), Refused> {
        let store = self.store();
        let known = match &line.device_id {
            Some(id) => store.device(self.app, id),
            None => store.token_holder(self.app, line.vendor, &line.token),
        };
        if let Some(known) = known.filter(|known| !store.is_unclaimed(*known) || line.maker.is_none()) {
            return Ok((known, false));
        }
        let device_id = match known {
            Some(known) => store.device_info(known).map(|info| info.device_id),
            None => line.device_id.clone(),
        };
        let body = RegisterDevice {
            device_id,
            platform: line.platform,
            maker: line.maker.clone(),
            ..RegisterDevice::default()
        };
        patiently(|| store.adopt(self.app, body.clone(), None)).await
    }

    fn store(&self) -> &Store {
        self.engine.store()
    }
}

/// Without a time a line is older than whatever is on record.
fn new(device: Device, line: &Line) -> NewToken {
    NewToken {
        device,
        vendor: line.vendor,
        token: line.token.clone(),
        registered_at: Some(line.registered_at.unwrap_or_default()),
    }
}

/// Of lines with one token the last: they would be taken in at once.
fn last_of_each(part: Vec<Line>) -> Vec<Line> {
    let mut last: HashMap<(Vendor, String), usize> = HashMap::with_capacity(part.len());
    for (at, line) in part.iter().enumerate() {
        last.insert((line.vendor, line.token.clone()), at);
    }
    let keep: std::collections::HashSet<usize> = last.into_values().collect();
    part.into_iter().enumerate().filter(|(at, _)| keep.contains(at)).map(|(_, line)| line).collect()
}

/// While the intake is full it waits, since a part may be done.
async fn patiently<T, F: Future<Output = Result<T, Error>>>(
    mut work: impl FnMut() -> F,
) -> Result<T, Refused> {
    let mut tries = 0;
    loop {
        match work().await {
            Err(Error::Full) if tries < TRIES_MAX => {
                tries += 1;
                tokio::time::sleep(WAIT).await;
            }
            Err(Error::Full | Error::Unknown) => return Err(Refused::new(Code::OutcomeUnknown)),
            other => return other.map_err(|error| Refused::by_store(&error, Code::Internal)),
        }
    }
}
