//! `carillon message ID`: what became of a message, step by step.

use carillon_sdk::api::{MessageView, TargetView};
use carillon_sdk::{DeviceId, MessageId, UserId};

use super::exit::Failure;
use super::out;
use super::server::{ServerArgs, failure};

#[derive(Debug, clap::Args)]
pub struct Args {
    /// As `push` printed it
    #[arg(value_name = "ID")]
    id: MessageId,
    #[command(flatten)]
    server: ServerArgs,
    /// One JSON object a page of targets
    #[arg(long)]
    json: bool,
}

pub async fn run(args: Args) -> Result<(), Failure> {
    let server = args.server.connect()?;
    let mut cursor = None;
    let mut first = true;
    loop {
        let page = server.client.message(args.id, cursor.as_deref()).await.map_err(failure)?;
        if args.json {
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
        let reason = step.reason.as_ref().map(|reason| format!(" ({})", text(reason))).unwrap_or_default();
        let after = step.at.since(page.accepted_at).as_millis();
        out::line(&format!("    {after:>8} ms  {}{reason}", text(&step.step)))?;
    }
    Ok(())
}

/// A name as JSON has it.
fn text(value: &impl serde::Serialize) -> String {
    match serde_json::to_value(value) {
        Ok(serde_json::Value::String(text)) => text,
        Ok(other) => other.to_string(),
        Err(_) => String::new(),
    }
}
