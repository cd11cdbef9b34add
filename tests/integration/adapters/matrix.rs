//! Every vendor in every situation: what is said of each token, and that what can go on then goes on.
//!
//! A vendor that takes one token a call has no batch: its cell is several calls at a time.

use std::time::Duration;

use carillon::lab::Condition;
use carillon_actors::channel::Access;
use carillon_sdk::Vendor;
use futures_util::future::join_all;

use super::{Bench, Line, refusal, said};

const DAY_AND_HOUR: Duration = Duration::from_secs(25 * 3_600);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Situation {
    Accepted,
    DeadToken,
    Throttle,
    Quota,
    /// A day and an hour after access was got: no vendor's lives as long.
    ExpiredCredential,
    WrongCredential,
    BadMessage,
    /// Taken, and never answered.
    TimeoutAfterWrite,
    ServerError,
    PartialBatch,
    GarbageBody,
}

use Situation::*;

/// They drop what comes twice under one key (docs/vendors.md).
const WITH_KEY: [Vendor; 5] = [Vendor::Apns, Vendor::HarmonyOs, Vendor::Xiaomi, Vendor::Oppo, Vendor::Vivo];

const SITUATIONS: [Situation; 11] = [
    Accepted,
    DeadToken,
    Throttle,
    Quota,
    WrongCredential,
    BadMessage,
    TimeoutAfterWrite,
    ServerError,
    PartialBatch,
    GarbageBody,
    // The last, since it takes the clock along for all.
    ExpiredCredential,
];

/// In the order of the situations. A batch says three things: of `ok`, of `dead`, of `ok`.
const MATRIX: [(Vendor, [&str; 11]); 10] = [
    (
        Vendor::Apns,
        [
            "accepted",
            "unbind device",
            "throttle device",
            "throttle device",
            "config app",
            "perm message",
            "retry connection ?",
            "retry platform",
            "accepted, unbind device, accepted",
            // With Apple a status of 200 has no body: whoever said it, the id makes a repeat harmless.
            "retry platform ?",
            "reauth app",
        ],
    ),
    (
        Vendor::Fcm,
        [
            "accepted",
            "unbind device",
            "throttle app",
            "throttle app",
            "config app",
            "perm message",
            "retry connection ?",
            "retry platform",
            "accepted, unbind device, accepted",
            "retry platform ?",
            "reauth app",
        ],
    ),
    (
        Vendor::Huawei,
        [
            "accepted",
            "unbind device",
            "throttle app",
            // What is over a day's quota is held back as what is too fast: 503.
            "throttle app",
            "config app",
            "perm message",
            "retry connection ?",
            "retry platform",
            "accepted, unbind device, accepted",
            "retry platform ?",
            "reauth app",
        ],
    ),
    (
        Vendor::HarmonyOs,
        [
            "accepted",
            "unbind device",
            "throttle app",
            // What is published for a day is the tests' share: what is sent in earnest goes on.
            "throttle category day",
            // A signature of its own: to the vendor a wrong one is as good as an old one.
            "reauth app",
            "perm message",
            "retry connection ?",
            "retry platform",
            "accepted, unbind device, accepted",
            "retry platform ?",
            "reauth app",
        ],
    ),
    (
        Vendor::Honor,
        [
            "accepted",
            "unbind device",
            "throttle app",
            "throttle category day",
            "config app",
            "perm message",
            "retry connection ?",
            "retry platform",
            "accepted, unbind device, accepted",
            "retry platform ?",
            "reauth app",
        ],
    ),
    (
        Vendor::Xiaomi,
        [
            "accepted",
            "unbind device",
            "throttle app",
            "throttle category day",
            "config app",
            "perm message",
            "retry connection ?",
            "retry platform",
            // Of a batch nobody is named: the dead one comes by receipt.
            "accepted, accepted, accepted",
            "retry platform ?",
            // The key has no end.
            "accepted",
        ],
    ),
    (
        Vendor::Oppo,
        [
            "accepted",
            "unbind device",
            "throttle app",
            "throttle category day",
            "config app",
            "perm message",
            "retry connection ?",
            "retry platform",
            "accepted, unbind device, accepted",
            "retry platform ?",
            "reauth app",
        ],
    ),
    (
        Vendor::Vivo,
        [
            "accepted",
            "unbind device",
            "throttle app",
            "throttle category day",
            "config app",
            "perm message",
            "retry connection ?",
            "retry platform",
            "accepted, unbind device, accepted",
            "retry platform ?",
            "reauth app",
        ],
    ),
    (
        Vendor::Meizu,
        [
            "accepted",
            "unbind device",
            "throttle device",
            "throttle device day",
            "config app",
            "perm message",
            "retry connection ?",
            "retry platform",
            "accepted, unbind device, accepted",
            "retry platform ?",
            // Every call is signed by itself.
            "accepted",
        ],
    ),
    (
        Vendor::WebPush,
        [
            "accepted",
            "unbind device",
            // Of the one subscription: others at the same service go on.
            "throttle device",
            "throttle device",
            "config endpoint",
            "perm message",
            "retry endpoint ?",
            "retry endpoint",
            "accepted, unbind device, accepted",
            // Any status of 2xx has it taken.
            "accepted",
            // Signed anew for each origin twice a day.
            "accepted",
        ],
    ),
];

#[tokio::test]
async fn every_vendor_in_every_situation_is_classed_as_its_documents_say() {
    let bench = Bench::start().await;
    assert_eq!(MATRIX.map(|(vendor, _)| vendor), Vendor::ALL);
    let mut lines = Vec::new();
    for vendor in Vendor::ALL {
        let line = bench.line(vendor);
        let access = line.access().await;
        lines.push((line, access));
    }
    let mut wrong = Vec::new();
    for (at, situation) in SITUATIONS.into_iter().enumerate() {
        if situation == ExpiredCredential {
            bench.clock.advance(DAY_AND_HOUR);
        }
        // Side by side: the vendors that say nothing are waited for together.
        let cells = lines.iter().map(|(line, access)| Cell { bench: &bench, line, access, situation });
        let found = join_all(cells.map(Cell::play)).await;
        for ((vendor, row), (found, amiss)) in MATRIX.iter().zip(found) {
            let cell = format!("{vendor} × {situation:?}");
            if found != row[at] {
                wrong.push(format!("{cell}: {found}, not {}", row[at]));
            }
            wrong.extend(amiss.into_iter().map(|amiss| format!("{cell}: {amiss}")));
        }
    }
    assert!(wrong.is_empty(), "of 110 cells these are wrong:\n{}", wrong.join("\n"));
}

struct Cell<'a> {
    bench: &'a Bench,
    line: &'a Line,
    /// Good until a day later.
    access: &'a Access,
    situation: Situation,
}

impl Situation {
    /// Tokens by the fates they meet.
    const fn names(self) -> &'static [&'static str] {
        match self {
            Accepted => &["ok-accepted"],
            DeadToken => &["dead-token"],
            Throttle => &["throttle-1-x"],
            Quota => &["quota-x"],
            ExpiredCredential => &["ok-expired"],
            WrongCredential => &["ok-wrong"],
            BadMessage => &["bad-x"],
            TimeoutAfterWrite => &["silent-1-x"],
            ServerError => &["down-1-x"],
            PartialBatch => &["ok-before", "dead-between", "ok-behind"],
            GarbageBody => &["garbage-1-x"],
        }
    }

    /// What ends, and goes well when it is tried again.
    const fn passes(self) -> bool {
        !matches!(self, Accepted | DeadToken | Quota | BadMessage | PartialBatch)
    }
}

impl Cell<'_> {
    /// What was said, and what was done besides that should not have been.
    async fn play(self) -> (String, Vec<String>) {
        let Self { bench, line, access, situation } = self;
        let (vendor, message) = (line.vendor, line.message());
        let tokens = bench.tokens(vendor, situation.names());
        let send = async |access: &Access, message| -> Vec<String> {
            line.send(access, message, &tokens).await.iter().map(said).collect()
        };
        let (found, again) = match situation {
            WrongCredential => {
                let world = bench.lab.world();
                world.set_condition(vendor, Condition::CredentialRefused);
                let found = match line.gateway.authorize().await {
                    Err(refused) => vec![refusal(&refused)],
                    Ok(access) => send(&access, &message).await,
                };
                world.set_condition(vendor, Condition::Up);
                // What was good before is so again. A new one would be too early for Apple.
                (found, access.clone())
            }
            ExpiredCredential => (send(access, &message).await, line.access().await),
            _ => (send(access, &message).await, access.clone()),
        };
        let mut amiss = Vec::new();
        let is_over = found.iter().all(|found| found == "accepted");
        if situation.passes() && !is_over {
            let then = send(&again, &message).await;
            if then != ["accepted"] {
                amiss.push(format!("then {}", then.join(", ")));
            }
        }
        amiss.extend(self.shown_wrongly());
        (found.join(", "), amiss)
    }

    /// Tokens that did not get it once, or that got it though they are dead.
    fn shown_wrongly(&self) -> Vec<String> {
        let Cell { bench, line, situation, .. } = self;
        let expected = |name: &str| match situation {
            Quota | BadMessage => 0,
            _ if name.starts_with("dead") => 0,
            // Without a key by which the vendor knows a repeat, it is shown twice.
            TimeoutAfterWrite if !WITH_KEY.contains(&line.vendor) => 2,
            _ => 1,
        };
        let shown = |name: &str| bench.taken(line.vendor, name).len();
        let wrong = situation.names().iter().filter(|name| shown(name) != expected(name));
        wrong.map(|name| format!("{name} was shown {} times, not {}", shown(name), expected(name))).collect()
    }
}
