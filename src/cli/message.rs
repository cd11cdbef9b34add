//! `carillon message`: what became of a message, step by step; and taking it back.

use carillon_sdk::api::revokes::Revoked;
use carillon_sdk::api::{MessageView, StepView, TargetView};
use carillon_sdk::client::server::RevokeFrom;
use carillon_sdk::{DeviceId, MessageId, UserId};

use super::exit::{Code, Failure};
use super::out;
use super::server::{ServerArgs, failure};

#[derive(Debug, clap::Args)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub struct Args {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    read: Read,
}

#[derive(Debug, clap::Args)]
struct Read {
    /// As `push` printed it
    #[arg(value_name = "ID", required = true)]
    id: Option<MessageId>,
    #[command(flatten)]
    server: ServerArgs,
    /// One JSON object a page of targets
    #[arg(long)]
    json: bool,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Take it back: from all, or from one it was for
    Revoke {
        /// As `push` printed it
        #[arg(value_name = "ID")]
        id: MessageId,
        /// From this device alone, if the push named it
        #[arg(long, value_name = "DEVICE", conflicts_with = "user")]
        device: Option<DeviceId>,
        /// From this user's devices alone, if the push named the user
        #[arg(long, value_name = "USER")]
        user: Option<UserId>,
        #[command(flatten)]
        server: ServerArgs,
        /// One JSON object
        #[arg(long)]
        json: bool,
    },
}

pub async fn run(args: Args) -> Result<(), Failure> {
    match (args.command, args.read.id) {
        (Some(Command::Revoke { id, device, user, server, json }), _) => {
            let from = match (&device, &user) {
                (Some(device), _) => RevokeFrom::Device(device),
                (None, Some(user)) => RevokeFrom::User(user),
                (None, None) => RevokeFrom::Everybody,
            };
            let revoked = server.connect()?.client.revoke_message(id, from).await.map_err(failure)?;
            told(revoked, json)
        }
        (None, Some(id)) => read(id, &args.read.server, args.read.json).await,
        (None, None) => Err(Failure::new(Code::Usage, "an ID is needed")),
    }
}

/// What a revoke came to.
pub(super) fn told(revoked: Revoked, json: bool) -> Result<(), Failure> {
    if json {
        return out::json(&revoked);
    }
    let Revoked { withdrawn, told, complete } = revoked;
    out::line(&format!("{withdrawn} withdrawn, {told} told to withdraw it"))?;
    if !complete {
        out::line("it had more deliveries than are looked up: the devices beyond are not told")?;
    }
    Ok(())
}

async fn read(id: MessageId, server: &ServerArgs, json: bool) -> Result<(), Failure> {
    let server = server.connect()?;
    let mut cursor = None;
    let mut first = true;
    loop {
        let page = server.client.message(id, cursor.as_deref()).await.map_err(failure)?;
        if json {
            out::json(&page)?;
        } else {
            if first {
                head(&page)?;
            }
            for target in &page.targets {
                story(&page, target)?;
            }
        }
        first = false;
        cursor = page.next;
        if cursor.is_none() {
            return Ok(());
        }
    }
}

fn head(page: &MessageView) -> Result<(), Failure> {
    let counts: Vec<String> = page.counts.iter().map(|(state, count)| format!("{count} {state}")).collect();
    out::line(&out::bold(&format!("{}: {}", page.message_id, counts.join(", "))))
}

/// Times are milliseconds after acceptance: what one wants to know of a push.
fn story(page: &MessageView, target: &TargetView) -> Result<(), Failure> {
    let device = target.device_id.as_ref().map(DeviceId::as_str);
    let user = target.user_id.as_ref().map(UserId::as_str);
    let name = match (device, user) {
        (Some(device), Some(user)) => format!("{device} ({user})"),
        (Some(name), None) | (None, Some(name)) => name.to_owned(),
        (None, None) => "all".to_owned(),
    };
    out::line(&format!("  {name}: {}", text(&target.state)))?;
    for step in &target.steps {
        let after = step.at.since(page.accepted_at).as_millis();
        out::line(&format!("    {after:>8} ms  {}", said(step)))?;
    }
    Ok(())
}

/// A step in words, with its road, why, and the vendor's own word: what JSON has of it, so that a step
/// of a later server is said too.
pub(super) fn said(step: &StepView) -> String {
    let by = match step.channel.as_deref() {
        Some("own") => " by our socket".to_owned(),
        Some(channel) => format!(" by {channel}"),
        None => String::new(),
    };
    let why = step.reason.as_ref().map(|reason| format!(" ({})", text(reason))).unwrap_or_default();
    let detail = step.detail.as_ref().map(|detail| format!(" {detail}")).unwrap_or_default();
    format!("{:<11}{by}{why}{detail}", text(&step.step)).trim_end().to_owned()
}

/// A name as JSON has it.
fn text(value: &impl serde::Serialize) -> String {
    match serde_json::to_value(value) {
        Ok(serde_json::Value::String(text)) => text,
        Ok(other) => other.to_string(),
        Err(_) => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_is_said_with_its_road_and_why() {
        for (step, expected) in [
            (serde_json::json!({"step": "accepted", "at": 1}), "accepted"),
            (
                serde_json::json!({"step": "routed", "at": 1, "channel": "vivo", "reason": "vendor_first"}),
                "routed      by vivo (vendor_first)",
            ),
            (
                serde_json::json!({"step": "routed", "at": 1, "channel": "own", "reason": "fallback"}),
                "routed      by our socket (fallback)",
            ),
            (
                serde_json::json!({"step": "handed_over", "at": 1, "channel": "xiaomi", "detail": "slm1"}),
                "handed_over by xiaomi slm1",
            ),
        ] {
            assert_eq!(said(&serde_json::from_value(step).unwrap()), expected);
        }
    }
}
