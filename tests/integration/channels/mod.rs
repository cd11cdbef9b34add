//! Messages that take vendors' roads, with the real binary, the laboratory and phones.

mod crash;
mod quotas;
mod roads;

use std::collections::BTreeMap;

use carillon::lab::{Lab, Taken};
use carillon_sdk::api::vendors::{VendorOptions, WriteVendor};
use carillon_sdk::api::{PushRequest, Step, Target, TargetView};
use carillon_sdk::client::server::TokenForm;
use carillon_sdk::{DeviceId, MessageId, Vendor};
use serde_json::json;

use crate::harness::{App, Server, eventually, to_device};
use crate::vendors::{lab, setup};

/// A server whose demo app has vendors, simulated.
struct Bench {
    server: Server,
    lab: Lab,
    app: App,
}

impl Bench {
    async fn start(vendors: &[Vendor]) -> Self {
        let (server, lab) = (Server::start().await, lab().await);
        let app = server.app();
        let bench = Self { server, lab, app };
        for &vendor in vendors {
            bench.set_up(vendor, BTreeMap::new()).await;
        }
        bench
    }

    async fn set_up(&self, vendor: Vendor, quotas: BTreeMap<String, Option<u64>>) {
        let setup = WriteVendor { quotas, ..setup(&self.lab, vendor) };
        self.app.api.put_vendor(vendor, &setup, None).await.unwrap();
    }

    /// Devices that nobody connects, each with its vendor's token; named as their tokens are.
    async fn phones(&self, phones: &[(Vendor, String)]) {
        let line = |(vendor, name): &(Vendor, String)| {
            let token = match vendor {
                Vendor::WebPush => self.lab.subscription(name),
                _ => json!(name),
            };
            json!({"device_id": name, "channel": vendor.as_str(), "token": token}).to_string()
        };
        let lines: Vec<String> = phones.iter().map(line).collect();
        let done =
            self.app.api.import_tokens(TokenForm::Ndjson, lines.join("\n").into(), false).await.unwrap();
        assert_eq!(done.new, phones.len() as u64, "{done:?}");
    }

    async fn push(&self, to: &str, title: &str, vendor: VendorOptions) -> MessageId {
        self.push_for(3_600, to, title, vendor).await
    }

    async fn push_for(&self, ttl_s: u64, to: &str, title: &str, vendor: VendorOptions) -> MessageId {
        let request = PushRequest {
            to: to_name(to),
            title: Some(title.to_owned()),
            body: Some("It is at the door".to_owned()),
            ttl_s: Some(ttl_s),
            vendor: Some(vendor),
            ..PushRequest::default()
        };
        self.app.send(request).await
    }

    /// What the vendor would have shown on a phone.
    fn taken(&self, vendor: Vendor, name: &str) -> Vec<Taken> {
        let taken = self.lab.world().capture.taken(vendor).into_iter();
        taken.filter(|taken| taken.token == name).collect()
    }

    /// Waits until a step is in the message's story.
    async fn await_step(&self, id: MessageId, name: &str, step: Step) -> TargetView {
        eventually(&format!("{name} to have {step:?}"), async || {
            let target = self.app.target(id, name).await?;
            target.steps.iter().any(|one| one.step == step).then_some(target)
        })
        .await
    }
}

fn to_name(name: &str) -> Target {
    to_device(&name.parse::<DeviceId>().unwrap())
}

/// The roads of a story, each as `channel: reason`.
fn roads(target: &TargetView) -> Vec<String> {
    let roads = target.steps.iter().filter(|step| matches!(step.step, Step::Routed | Step::Refused));
    let text = |text: &Option<String>| text.clone().unwrap_or_default();
    roads.map(|step| format!("{}: {}", text(&step.channel), text(&step.reason))).collect()
}

fn verdicts(target: &TargetView) -> usize {
    target.steps.iter().filter(|step| step.step.is_verdict()).count()
}
