//! A campaign over a list: to each line a message of its own, in its own words, with an id derived
//! from campaign and line. The checkpoint is a place in the file, written after what was taken
//! from before it: a kill in between repeats a batch, and each of its messages is known again.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use carillon_sdk::api::campaigns::{CampaignPlan, CampaignState as State};
use carillon_sdk::wire::Lane;
use carillon_sdk::{MessageId, Timestamp};
use futures_util::future::join_all;

use super::desk;
use super::keep::Kept;
use super::office::Key;
use super::plan::{ListPlanner, Whom};
use super::record::{Applied, Campaign, Done, Share, Spec};
use super::step::{Next, Stepped, fail, replace, turn};
use crate::engine::Shared;
use crate::lists::{self, Line, Lines};
use crate::model::{App, Message, Owner, PushType, Task};
use crate::order::{Named, message_of_key};
use crate::push::namespace;
use crate::store::{Enqueued, Error, Store};

/// Lines of one batch, which meet in a few commits and have one checkpoint.
const BATCH_MAX: u64 = 1_000;

/// Lines read for one batch: more, when most of them are not for this time.
const READ_MAX: u64 = 50_000;

/// A busy store is asked again, so often and after so long.
const TRIES_MAX: u32 = 20;
const TRY_AGAIN: Duration = Duration::from_millis(50);

/// Lines to be sent now, and where the next batch begins.
struct Batch {
    lines: Vec<(u64, Line)>,
    line: u64,
    offset: u64,
    is_last: bool,
}

/// What applying a campaign over the list would do. It blocks.
pub(super) fn plan(
    store: &Store,
    app: App,
    spec: &Spec,
    id: &str,
    payload_bytes_max: usize,
    now: Timestamp,
) -> Result<CampaignPlan, desk::Error> {
    let kept = lists::get(store, app, id).ok_or(desk::Error::ListUnknown)?;
    let list = (kept.list.lines, kept.list.digest.as_str());
    let mut planner = ListPlanner::new(spec, list, payload_bytes_max, now);
    let unreadable = |error: io::Error| {
        tracing::error!(list = id, %error, "a list's file cannot be read");
        desk::Error::ListDamaged
    };
    let mut lines = lists::lines(store, app, id, 0).map_err(unreadable)?;
    let mut number = 0;
    while let Some(line) = lines.next_line().map_err(unreadable)? {
        number += 1;
        let whom = match &line.to {
            Named::Device(id) => {
                Whom::Device(store.device(app, id).and_then(|device| store.slice_of(device)))
            }
            Named::User(_) => Whom::User,
        };
        // Of its own digest: a campaign has no task before it is planned.
        let in_canary = spec.canary.is_some_and(|share| is_canary(share, &kept.list.digest, number));
        planner.add(&line, whom, in_canary);
    }
    Ok(planner.finish())
}

/// Sends the next batch.
pub(super) async fn release(
    shared: &Arc<Shared>,
    key: Key,
    kept: &Kept,
    id: &str,
    allowed: u64,
) -> Result<Stepped, Error> {
    let campaign = &kept.campaign;
    let (Some(applied), Some(list)) = (&campaign.applied, lists::get(&shared.store, key.0, id)) else {
        return fail(shared, key, kept, "its list is gone".to_owned()).await;
    };
    if allowed == 0 {
        return Ok(Next::Soon.into());
    }
    let chosen =
        Chosen { share: campaign.spec.canary, digest: list.list.digest, rest: campaign.canary_passed };
    let (reading, name, done) = (Arc::clone(shared), id.to_owned(), campaign.done.clone());
    let most = allowed.min(BATCH_MAX);
    let batch = actix_rt::task::spawn_blocking(move || {
        read(lists::lines(&reading.store, key.0, &name, done.offset)?, &done, &chosen, most)
    });
    let batch = match batch.await.map_err(|_| Error::Unavailable)? {
        Ok(batch) => batch,
        Err(error) => return fail(shared, key, kept, format!("its list cannot be read: {error}")).await,
    };
    let Some(messages) = messages(key, campaign, applied, &batch) else {
        return fail(shared, key, kept, "a placeholder has no value".to_owned()).await;
    };
    let outcomes = send(shared, key.0, messages).await?;
    let done = counted(&campaign.done, &batch, &outcomes);
    shared.counters.accepted(
        PushType::Multiple,
        u32::try_from(done.accepted - campaign.done.accepted).unwrap_or(u32::MAX),
    );
    let with = Campaign { done, ..campaign.clone() };
    if batch.is_last {
        let holds =
            campaign.spec.canary.is_some() && !campaign.canary_passed && with.done.released < applied.targets;
        let state = if holds { State::Holding } else { State::Settling };
        let kept = Kept { campaign: with, version: kept.version };
        return Ok(Stepped { released: outcomes.len() as u64, ..turn(shared, key, &kept, state).await? });
    }
    Ok(Stepped { released: outcomes.len() as u64, ..replace(shared, key, kept, &with).await? })
}

/// Which lines are for this time.
struct Chosen {
    share: Option<Share>,
    digest: String,
    /// The canary is out.
    rest: bool,
}

impl Chosen {
    fn has(&self, number: u64) -> bool {
        self.share.is_none_or(|share| is_canary(share, &self.digest, number) != self.rest)
    }
}

fn read(mut lines: Lines, done: &Done, chosen: &Chosen, most: u64) -> io::Result<Batch> {
    let mut batch = Batch { lines: Vec::new(), line: done.line, offset: done.offset, is_last: false };
    while (batch.lines.len() as u64) < most && batch.line - done.line < READ_MAX {
        let Some(line) = lines.next_line()? else {
            batch.is_last = true;
            break;
        };
        batch.line += 1;
        batch.offset = lines.offset;
        if chosen.has(batch.line) {
            batch.lines.push((batch.line, line));
        }
    }
    Ok(batch)
}

/// Chosen by a hash of list and line, so that it is not the first of the file.
fn is_canary(share: Share, digest: &str, number: u64) -> bool {
    // The digest is hexadecimal; a list without one would only make another choice.
    let seed = digest.get(..15).and_then(|hex| u64::from_str_radix(hex, 16).ok()).unwrap_or_default();
    share.has(super::audience::mix(Task(seed), number))
}

/// None when a placeholder has no value, which apply has checked.
fn messages(
    (app, task): Key,
    campaign: &Campaign,
    applied: &Applied,
    batch: &Batch,
) -> Option<Vec<(Arc<Message>, Named)>> {
    let spec = &campaign.spec;
    let message = |(number, line): &(u64, Line)| {
        let content = spec.content.render(&[&line.values, &spec.values]).ok()?;
        let message = Message {
            id: id_of(app, applied, *number, line),
            app,
            push_type: PushType::Multiple,
            title: content.title,
            body: content.body,
            data: line.data.clone().or(content.data),
            // A queue has no bulk lane.
            lane: Lane::Normal,
            silent: content.silent,
            collapse_key: spec.collapse_key.clone(),
            accepted_at: applied.at,
            expires_at: applied.expires_at,
            uri: content.uri,
            look: content.look,
            task: Some(task),
            options: content.options,
            repeat_until: None,
            revokes: None,
            key: line.key.clone(),
        };
        Some((Arc::new(message), line.to.clone()))
    };
    batch.lines.iter().map(message).collect()
}

/// The caller's key names the message, or else campaign and line do.
fn id_of(app: App, applied: &Applied, number: u64, line: &Line) -> MessageId {
    if let Some(key) = &line.key {
        return message_of_key(app, &line.to, key);
    }
    let mut name = applied.message.as_bytes().to_vec();
    name.extend_from_slice(&number.to_be_bytes());
    MessageId::derived(&namespace(app), &name)
}

/// One outcome a message, in their order. All at once, since they meet in the same commits; what
/// finds an intake full is given again.
async fn send(
    shared: &Shared,
    app: App,
    messages: Vec<(Arc<Message>, Named)>,
) -> Result<Vec<Enqueued>, Error> {
    let mut outcomes: Vec<Option<Enqueued>> = vec![None; messages.len()];
    for tries in 0.. {
        let left = messages.iter().zip(&outcomes).enumerate().filter(|(_, (_, outcome))| outcome.is_none());
        let sends = left.map(|(at, ((message, to), _))| async move {
            let owner = match to {
                Named::Device(id) => shared.store.device(app, id).map(Owner::Device),
                Named::User(id) => Some(Owner::User(shared.store.user(app, id))),
            };
            let Some(owner) = owner else { return (at, Ok(Some(Enqueued::Gone))) };
            let enqueued = shared.store.enqueue(Arc::clone(message), vec![owner], None).await;
            (at, enqueued.map(|enqueued| enqueued.first().copied()))
        });
        let mut full = false;
        for (at, sent) in join_all(sends).await {
            match sent {
                Ok(outcome) => outcomes[at] = Some(outcome.unwrap_or(Enqueued::Gone)),
                Err(Error::Full) => full = true,
                Err(error) => return Err(error),
            }
        }
        if !full {
            break;
        }
        if tries == TRIES_MAX {
            // The batch is repeated, which is harmless, and orders are heard before it.
            return Err(Error::Full);
        }
        tokio::time::sleep(TRY_AGAIN).await;
    }
    Ok(outcomes.into_iter().flatten().collect())
}

fn counted(before: &Done, batch: &Batch, outcomes: &[Enqueued]) -> Done {
    let mut refused: BTreeMap<String, u64> = before.refused.clone();
    let mut accepted = before.accepted;
    for outcome in outcomes {
        let code = match outcome {
            Enqueued::Stored(_) | Enqueued::Repeated => {
                accepted += 1;
                continue;
            }
            Enqueued::QueueFull => "queue_full",
            Enqueued::Gone => "device_unknown",
            Enqueued::Revoked => "revoked",
        };
        *refused.entry(code.to_owned()).or_default() += 1;
    }
    let released = before.released + outcomes.len() as u64;
    Done { line: batch.line, offset: batch.offset, released, accepted, refused }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_canary_of_lines_is_about_its_share_and_the_rest_is_the_rest() {
        let digest = "0123456789abcdef".repeat(4);
        let share = Share::parse(0.1);
        let of = |rest| {
            let chosen = Chosen { share, digest: digest.clone(), rest };
            (1..=10_000).filter(|&number| chosen.has(number)).collect::<Vec<u64>>()
        };
        let (canary, rest) = (of(false), of(true));
        assert!((900..1_100).contains(&canary.len()), "{}", canary.len());
        assert_eq!(canary.len() + rest.len(), 10_000);
        let early = canary.iter().filter(|&&number| number <= 5_000).count();
        assert!((400..600).contains(&early), "{early} in the first half");
    }

    #[test]
    fn outcomes_are_counted_by_their_code() {
        let batch = Batch { lines: Vec::new(), line: 9, offset: 99, is_last: false };
        let outcomes = [Enqueued::Repeated, Enqueued::Gone, Enqueued::QueueFull, Enqueued::Gone];
        let done = counted(&Done { released: 5, accepted: 5, ..Done::default() }, &batch, &outcomes);
        assert_eq!((done.line, done.offset, done.released, done.accepted), (9, 99, 9, 6));
        assert_eq!(
            done.refused,
            BTreeMap::from([("device_unknown".to_owned(), 2), ("queue_full".to_owned(), 1)])
        );
    }
}
