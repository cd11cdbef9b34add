//! The ten adapters against the laboratory: what the engine would have them do, over real sockets.

mod faults;
mod matrix;

use std::sync::Arc;

use carillon::lab::{Lab, Options as LabOptions, Taken, WebPush};
use carillon::vendors::Protocols;
use carillon_actors::channel::{
    Access, Address, Gateway, Gateways as _, Options, Outcome, Parcel, Pause, Refused, Setup,
};
use carillon_actors::clock::Clock;
use carillon_actors::model::{App, Message, PushType};
use carillon_sdk::wire::Lane;
use carillon_sdk::{MessageId, Timestamp, Ttl, Vendor};
use futures_util::future::join_all;

/// Ten in the morning in Shanghai: no vendor is asleep.
const NOW: Timestamp = Timestamp::from_millis(1_763_949_600_000);

/// A laboratory, and a clock that all share.
struct Bench {
    clock: Clock,
    lab: Lab,
    protocols: Protocols,
    /// Makes the subscriptions that a browser would.
    browsers: WebPush,
}

/// One vendor, as the demo app of the laboratory speaks to it.
struct Line {
    vendor: Vendor,
    gateway: Arc<dyn Gateway>,
    clock: Clock,
}

impl Bench {
    async fn start() -> Self {
        carillon::cli::install_crypto();
        let clock = Clock::manual(NOW);
        let lab = Lab::start(clock.clone(), LabOptions::default()).await.unwrap();
        let protocols = Protocols::new(clock.clone());
        Self { clock, lab, protocols, browsers: WebPush::new() }
    }

    fn setup(&self, vendor: Vendor) -> Setup {
        self.lab.setup(vendor)
    }

    fn line(&self, vendor: Vendor) -> Line {
        self.line_by(vendor, &self.setup(vendor))
    }

    fn line_by(&self, vendor: Vendor, setup: &Setup) -> Line {
        let gateway = self.protocols.open(vendor, setup).unwrap_or_else(|why| panic!("{vendor}: {why}"));
        Line { vendor, gateway, clock: self.clock.clone() }
    }

    /// As a device would report it: a browser's is a subscription.
    fn token(&self, vendor: Vendor, name: &str) -> String {
        match vendor {
            Vendor::WebPush => {
                let origin = self.lab.base_url(vendor);
                self.browsers.subscription(&origin, name).to_string()
            }
            _ => name.to_owned(),
        }
    }

    fn tokens(&self, vendor: Vendor, names: &[&str]) -> Vec<String> {
        names.iter().map(|name| self.token(vendor, name)).collect()
    }

    /// What was shown for a token, by the name its fate was told by.
    fn taken(&self, vendor: Vendor, name: &str) -> Vec<Taken> {
        let taken = self.lab.world().capture.taken(vendor);
        taken.into_iter().filter(|taken| taken.token == name).collect()
    }

    /// Requests to send, without those for access.
    fn requests(&self, vendor: Vendor) -> usize {
        let requests = self.lab.world().capture.requests(vendor);
        requests
            .iter()
            .filter(|request| !request.path.contains("token") && !request.path.contains("auth"))
            .count()
    }
}

impl Line {
    async fn access(&self) -> Access {
        self.gateway.authorize().await.unwrap_or_else(|refused| panic!("{}: {refused:?}", self.vendor))
    }

    /// In as many calls as the vendor needs, all at a time.
    async fn send(&self, access: &Access, message: &Arc<Message>, tokens: &[String]) -> Vec<Outcome> {
        let to: Vec<_> = tokens.iter().enumerate().map(|(at, token)| address(at, token)).collect();
        let calls = to.chunks(self.gateway.manners().batch_max).map(|to| {
            let options = Arc::new(Options::read(message.options.as_deref()));
            let parcel =
                Parcel { message: Arc::clone(message), options, to: to.to_vec(), now: self.clock.now() };
            self.gateway.send(access.clone(), parcel)
        });
        join_all(calls).await.concat()
    }

    /// A message that lives an hour.
    fn message(&self) -> Arc<Message> {
        Arc::new(message(self.clock.now()))
    }
}

fn address(at: usize, token: &str) -> Address {
    Address { token: token.to_owned(), receipt: format!("r-{at}") }
}

fn message(now: Timestamp) -> Message {
    Message {
        id: MessageId::from_bytes(uuid::Uuid::new_v4().into_bytes()),
        app: App(1),
        push_type: PushType::Single,
        title: Some("Paid".to_owned()),
        body: Some("Order 7781 is paid".to_owned()),
        data: None,
        lane: Lane::Normal,
        silent: false,
        collapse_key: None,
        accepted_at: now,
        expires_at: now + Ttl::from_secs(3_600),
        uri: None,
        look: None,
        task: None,
        options: None,
        repeat_until: None,
        revokes: None,
        key: None,
    }
}

/// An outcome in a word or some: class and scope, `day` when it waits for the vendor's next, `?` when
/// the vendor may have taken it nevertheless.
fn said(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Accepted(_) => "accepted".to_owned(),
        Outcome::Refused(refused) => refusal(refused),
    }
}

fn refusal(refused: &Refused) -> String {
    let day = if refused.pause == Some(Pause::NextDay) { " day" } else { "" };
    let doubt = if refused.is_ambiguous { " ?" } else { "" };
    format!("{} {}{day}{doubt}", refused.class.as_str(), refused.scope.as_str())
}
