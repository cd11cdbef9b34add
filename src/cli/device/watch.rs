//! `carillon device watch`: what becomes of a device's messages, as it happens: accepted, the road and
//! why, handed over or sent, arrived.
//!
//! An event says that something happened to a message at the device; the message's story says what, with
//! the steps that are no events. A refusal is none, so messages that have not ended are looked at again.

use std::collections::{HashMap, VecDeque};

use carillon_actors::clock::Clock;
use carillon_sdk::api::{EventView, MessageView, StepView};
use carillon_sdk::client::AppServer;
use carillon_sdk::client::server::EventsQuery;
use carillon_sdk::{DeviceId, MessageId, Timestamp};
use serde::Serialize;

use super::super::exit::Failure;
use super::super::message::said;
use super::super::out;
use super::super::server::{ServerArgs, failure};

/// Events on a page, and how long one call waits for one: less while messages are open.
const LIMIT: usize = 1_000;
const WAIT_S: u64 = 20;
const WAIT_OPEN_S: u64 = 2;

/// Messages without an end that are looked at again; the newest.
const OPEN_MAX: usize = 16;

/// Messages whose steps are remembered; of an older one they would be printed again.
const MESSAGES_MAX: usize = 10_000;

/// Pages of a message's targets that are looked through for the device.
const PAGES_MAX: usize = 100;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[arg(value_name = "DEVICE")]
    device: DeviceId,
    /// Begin with what happened since then, milliseconds since 1970; now when absent
    #[arg(long, value_name = "MS")]
    since: Option<u64>,
    /// End after so many lines
    #[arg(long, value_name = "N")]
    count: Option<usize>,
    #[command(flatten)]
    server: ServerArgs,
    /// One JSON object a line
    #[arg(long)]
    json: bool,
}

/// A step as `--json` prints it.
#[derive(Debug, Serialize)]
struct Line<'a> {
    message_id: MessageId,
    #[serde(flatten)]
    step: &'a StepView,
}

/// How many steps of each message were printed.
#[derive(Default)]
struct Printed {
    steps: HashMap<MessageId, usize>,
    order: VecDeque<MessageId>,
}

pub(super) async fn run(args: Args) -> Result<(), Failure> {
    let client = args.server.connect()?.client;
    // A device that nobody registered would be watched in silence.
    client.device(&args.device).await.map_err(failure)?;
    out::note(&format!("watching {}", args.device));
    let since = match args.since {
        Some(ms) => Timestamp::from_millis(ms),
        None => Clock::system().now(),
    };
    let mut query =
        EventsQuery { since: Some(since), limit: Some(LIMIT), wait_s: WAIT_S, ..EventsQuery::default() };
    let (mut printed, mut lines) = (Printed::default(), 0);
    let mut open: VecDeque<MessageId> = VecDeque::new();
    loop {
        query.wait_s = if open.is_empty() { WAIT_S } else { WAIT_OPEN_S };
        let page = client.events(&query).await.map_err(failure)?;
        if page.gap {
            out::note("there is a gap: events before these are no longer kept");
        }
        let happened = of_device(&page.events, &args.device);
        open.retain(|message| !happened.contains(message));
        let again: Vec<MessageId> = open.drain(..).chain(happened).collect();
        for message in again {
            let steps = steps(&client, message, &args.device).await?;
            if !steps.iter().any(|step| step.step.is_verdict()) {
                open.push_back(message);
                open.drain(..open.len().saturating_sub(OPEN_MAX));
            }
            for step in steps.iter().skip(printed.of(message)) {
                print(message, step, args.json)?;
                printed.count(message);
                lines += 1;
                if args.count.is_some_and(|count| lines >= count) {
                    return Ok(());
                }
            }
        }
        (query.cursor, query.since) = (Some(page.cursor), None);
    }
}

/// The messages that something happened to at the device, each once, in the order in which it began.
fn of_device(events: &[EventView], device: &DeviceId) -> Vec<MessageId> {
    let mut messages = Vec::new();
    for event in events.iter().filter(|event| event.device_id.as_ref() == Some(device)) {
        if let Some(id) = event.message_id
            && !messages.contains(&id)
        {
            messages.push(id);
        }
    }
    messages
}

async fn steps(client: &AppServer, message: MessageId, device: &DeviceId) -> Result<Vec<StepView>, Failure> {
    let mut cursor = None;
    for _ in 0..PAGES_MAX {
        let MessageView { targets, next, .. } =
            client.message(message, cursor.as_deref()).await.map_err(failure)?;
        if let Some(target) = targets.into_iter().find(|target| target.device_id.as_ref() == Some(device)) {
            return Ok(target.steps);
        }
        cursor = next;
        if cursor.is_none() {
            break;
        }
    }
    Ok(Vec::new())
}

fn print(message: MessageId, step: &StepView, json: bool) -> Result<(), Failure> {
    if json {
        return out::json(&Line { message_id: message, step });
    }
    out::line(&format!("{} {message} {}", out::time(step.at), said(step)))
}

impl Printed {
    fn of(&self, message: MessageId) -> usize {
        self.steps.get(&message).copied().unwrap_or(0)
    }

    fn count(&mut self, message: MessageId) {
        if !self.steps.contains_key(&message) {
            if self.order.len() == MESSAGES_MAX
                && let Some(oldest) = self.order.pop_front()
            {
                self.steps.remove(&oldest);
            }
            self.order.push_back(message);
        }
        *self.steps.entry(message).or_default() += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_step_is_printed_once_and_what_is_remembered_is_bounded() {
        let mut printed = Printed::default();
        let first = MessageId::fresh();
        printed.count(first);
        printed.count(first);
        assert_eq!((printed.of(first), printed.of(MessageId::fresh())), (2, 0));
        for _ in 0..MESSAGES_MAX {
            printed.count(MessageId::fresh());
        }
        assert_eq!((printed.of(first), printed.steps.len(), printed.order.len()), (0, 10_000, 10_000));
    }
}
