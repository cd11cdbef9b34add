//! A gateway and a simulator without a socket between them.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use carillon_actors::channel::{Access, Class, Gateway, Outcome, Setup};
use serde_json::Value;

use super::{Answer, Call, Fault, Transport, Way};
use crate::lab::{Asked, Reply, Simulator, World};
use crate::vendors::content::tests::{NOW, parcel};

#[derive(Clone)]
pub(in crate::vendors) struct Line {
    world: Arc<World>,
    simulator: Arc<dyn Simulator>,
    connection: u64,
    /// Shown by the client, DER.
    certificate: Option<Vec<u8>>,
    lines: Arc<AtomicU64>,
}

impl Line {
    pub(in crate::vendors) fn to(simulator: Arc<dyn Simulator>) -> Self {
        let clock = carillon_actors::clock::Clock::manual(NOW);
        let world = Arc::new(World::new(clock, false));
        Self { world, simulator, connection: 0, certificate: None, lines: Arc::default() }
    }

    pub(in crate::vendors) fn world(&self) -> &World {
        &self.world
    }

    /// What the simulator gives an app's owner.
    pub(in crate::vendors) fn setup(&self) -> Setup {
        let (credential, settings) = self.simulator.setup();
        Setup {
            credential,
            settings,
            hosts: std::collections::BTreeMap::new(),
            ca_pem: None,
            clock_offset_ms: 0,
            receipts_url: Some("https://push.example.com/r".to_owned()),
        }
    }

    pub(in crate::vendors) fn showing(self, certificate: Vec<u8>) -> Self {
        Self { certificate: Some(certificate), ..self }
    }

    /// As if a connection were opened.
    pub(in crate::vendors) fn open(&self) -> Transport {
        let connection = self.lines.fetch_add(1, Ordering::Relaxed) + 1;
        Transport(Way::Line(Self { connection, ..self.clone() }))
    }

    pub(super) async fn call(&self, call: Call) -> Result<Answer, Fault> {
        let url = reqwest::Url::parse(&call.url).unwrap();
        let path = percent_encoding::percent_decode_str(url.path()).decode_utf8().unwrap().into_owned();
        let headers = call.headers.into_iter().map(|(name, value)| (name.to_owned(), value));
        let asked = Asked {
            method: call.method.to_string(),
            path,
            query: url.query().unwrap_or_default().to_owned(),
            headers: headers.collect(),
            body: call.body,
            is_http2: true,
            connection: self.connection,
            certificate: self.certificate.clone(),
        };
        match self.simulator.answer(&self.world, asked).await {
            Reply::Answer { status, headers, body } | Reply::Goaway { status, headers, body } => {
                Ok(Answer { status, headers, body })
            }
            Reply::Silence => Err(Fault { code: "timeout", why: "no answer".to_owned(), was_written: true }),
            Reply::Cut | Reply::Half { .. } => {
                Err(Fault { code: "broken", why: "cut".to_owned(), was_written: true })
            }
        }
    }
}

/// What became of one notification to one token: its class (none when it was taken), the code, and
/// whether the vendor may have it all the same.
pub(in crate::vendors) async fn fate(
    gateway: &dyn Gateway,
    access: &Access,
    token: &str,
) -> (Option<Class>, String, bool) {
    let outcomes = gateway.send(access.clone(), parcel(token, &Value::Null, |_| {})).await;
    assert_eq!(outcomes.len(), 1);
    match &outcomes[0] {
        Outcome::Accepted(_) => (None, String::new(), false),
        Outcome::Refused(refused) => (Some(refused.class), refused.code.clone(), refused.is_ambiguous),
    }
}
