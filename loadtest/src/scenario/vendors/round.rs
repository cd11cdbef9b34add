//! One round: everybody is pushed to once, and it lasts until every target has its verdict.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use carillon_sdk::api::vendors::VendorOptions;
use carillon_sdk::api::{PushRequest, Target};
use carillon_sdk::client::AppServer;
use carillon_sdk::vendor::Category;
use carillon_sdk::wire::Lane;
use carillon_sdk::{Fallback, MessageId, Route, Vendor};
use hdrhistogram::Histogram;
use tokio::task::JoinSet;

use super::Down;
use super::crowd::{self, Member, members};
use super::verdicts;
use crate::clock::{now_ns, seconds_between};
use crate::lab::{Lab, Taken};
use crate::report::histogram;

/// Targets of one push of those that nobody waits for.
const TOGETHER: usize = 100;
/// Such pushes under way at once, sent as fast as they are answered.
const TOGETHER_SENDERS: usize = 4;
/// The urgent ones are due at this rate, whatever the answers take: there are senders enough for answers
/// that take more than a second.
const URGENT_PER_S: u64 = 400;
const URGENT_SENDERS: usize = 512;

pub(super) struct Round<'a> {
    app: &'a AppServer,
    lab: &'a Lab,
    name: &'static str,
    /// Rounds before it.
    before: usize,
    each: usize,
}

/// Every target has its verdict.
pub(super) struct Over<'a> {
    round: Round<'a>,
    began_ns: u64,
    over_ns: u64,
    together: Vec<Sent>,
    urgent: Vec<Sent>,
}

/// What keeps one vendor down.
pub(super) struct Outage<'a> {
    pub(super) lab: &'a Lab,
    pub(super) down: &'a Down,
}

/// A push that was accepted.
#[derive(Debug)]
pub(super) struct Sent {
    pub(super) message: MessageId,
    pub(super) to: Vec<Member>,
    /// When it was to be sent.
    due_ns: u64,
}

/// What came of it.
pub(super) struct Played {
    name: &'static str,
    each: usize,
    began_ns: u64,
    /// From the first push to the last verdict.
    pub(super) over_s: f64,
    urgent: Vec<Sent>,
    taken: HashMap<Vendor, Vec<Taken>>,
    /// Verdicts, by their name.
    pub(super) states: BTreeMap<String, u64>,
    /// Notifications that a vendor without a key for repeats took again.
    pub(super) repeats: u64,
}

impl<'a> Round<'a> {
    pub(super) async fn prepare(
        app: &'a AppServer,
        lab: &'a Lab,
        (name, before): (&'static str, usize),
        each: usize,
    ) -> Result<Self> {
        crowd::import(app, lab, name, each).await?;
        Ok(Self { app, lab, name, before, each })
    }

    pub(super) async fn play(self, outage: Option<Outage<'_>>) -> Result<Over<'a>> {
        let began_ns = now_ns();
        let (together, urgent, outage) =
            tokio::join!(self.together(), self.urgent(began_ns), keep_down(outage));
        outage?;
        let (together, urgent) = (together?, urgent?);
        let over_ns = verdicts::await_all(self.app, self.lab, self.before + 1, self.each).await?;
        Ok(Over { round: self, began_ns, over_ns, together, urgent })
    }

    /// As fast as they are answered: a hundred devices of all vendors in each.
    async fn together(&self) -> Result<Vec<Sent>> {
        let others: Vec<Member> = members(self.each).filter(|member| !member.is_urgent()).collect();
        let groups: Arc<[Vec<Member>]> = others.chunks(TOGETHER).map(<[Member]>::to_vec).collect();
        let next = Arc::new(AtomicUsize::new(0));
        let mut senders = JoinSet::new();
        for _ in 0..TOGETHER_SENDERS {
            let (app, groups, next, name) =
                (self.app.clone(), Arc::clone(&groups), Arc::clone(&next), self.name);
            senders.spawn(async move {
                let mut sent = Vec::new();
                while let Some(to) = groups.get(next.fetch_add(1, Ordering::Relaxed)) {
                    sent.push(send(&app, name, to.clone(), Lane::Normal, now_ns()).await?);
                }
                Ok::<_, anyhow::Error>(sent)
            });
        }
        gather(senders).await
    }

    /// One by one, each due at its tick.
    async fn urgent(&self, began_ns: u64) -> Result<Vec<Sent>> {
        let urgent: Arc<[Member]> = members(self.each).filter(|member| member.is_urgent()).collect();
        let next = Arc::new(AtomicUsize::new(0));
        let mut senders = JoinSet::new();
        for _ in 0..URGENT_SENDERS {
            let (app, urgent, next, name) =
                (self.app.clone(), Arc::clone(&urgent), Arc::clone(&next), self.name);
            senders.spawn(async move {
                let mut sent = Vec::new();
                loop {
                    let at = next.fetch_add(1, Ordering::Relaxed);
                    let Some(member) = urgent.get(at) else { return Ok(sent) };
                    let due_ns = began_ns + at as u64 * 1_000_000_000 / URGENT_PER_S;
                    tokio::time::sleep(Duration::from_nanos(due_ns.saturating_sub(now_ns()))).await;
                    sent.push(send(&app, name, vec![*member], Lane::High, due_ns).await?);
                }
            });
        }
        gather(senders).await
    }
}

impl Over<'_> {
    /// Asks the vendors and the stories what came of it.
    pub(super) async fn judge(self) -> Result<Played> {
        let Self { round: Round { app, lab, name, each, .. }, began_ns, over_ns, together, urgent } = self;
        let mut taken = HashMap::new();
        for vendor in Vendor::ALL {
            let of_round = |taken: &Taken| taken.token.contains(&format!("-{name}-"));
            let all = lab.taken(vendor).await?;
            taken.insert(vendor, all.into_iter().filter(of_round).collect());
        }
        let repeats = verdicts::taken_once(&taken, name, each)?;
        let mut all = together;
        all.extend(urgent.iter().map(Sent::again));
        let states = verdicts::one_each(app, &all, name).await?;
        let over_s = seconds_between(began_ns, over_ns);
        Ok(Played { name, each, began_ns, over_s, urgent, taken, states, repeats })
    }
}

impl Sent {
    fn again(&self) -> Self {
        Self { message: self.message, to: self.to.clone(), due_ns: self.due_ns }
    }
}

impl Played {
    /// From the first push until the vendor had taken the last notification of those that were sent as
    /// fast as they were answered, in seconds.
    pub(super) fn last_taken_s(&self, vendor: Vendor) -> Result<f64> {
        let urgent: HashSet<String> = members(self.each)
            .filter(|member| member.vendor == vendor && member.is_urgent())
            .map(|member| member.token(self.name))
            .collect();
        let taken = self.taken.get(&vendor).context("every vendor has taken")?;
        let others = taken.iter().filter(|taken| !urgent.contains(&taken.token));
        let last = others.map(|taken| taken.at.as_millis()).max().context("it took some")?;
        Ok(seconds_between(self.began_ns, last * 1_000_000))
    }

    /// From when each was due until its vendor had it.
    pub(super) fn urgent_latencies(&self, of: &dyn Fn(Vendor) -> bool) -> Result<Histogram<u64>> {
        let mut at = HashMap::new();
        for (vendor, taken) in &self.taken {
            at.extend(taken.iter().map(|taken| ((*vendor, taken.token.as_str()), taken.at)));
        }
        let mut latencies = histogram();
        for sent in self.urgent.iter().filter(|sent| of(sent.to[0].vendor)) {
            let token = sent.to[0].token(self.name);
            let at =
                at.get(&(sent.to[0].vendor, token.as_str())).context("an urgent one that nobody took")?;
            latencies.saturating_record((at.as_millis() * 1_000_000).saturating_sub(sent.due_ns).max(1));
        }
        Ok(latencies)
    }
}

async fn keep_down(outage: Option<Outage<'_>>) -> Result<()> {
    let Some(Outage { lab, down }) = outage else { return Ok(()) };
    lab.set_condition(down.vendor, &down.how).await?;
    tokio::time::sleep(down.span).await;
    lab.set_condition(down.vendor, "up").await
}

async fn send(app: &AppServer, round: &str, to: Vec<Member>, lane: Lane, due_ns: u64) -> Result<Sent> {
    let devices = to.iter().map(|member| member.device(round)).collect::<Result<Vec<_>>>()?;
    let vendor = VendorOptions {
        route: Some(Route::VendorFirst),
        fallback: Some(Fallback::None),
        category: Some(Category::Express),
        ..VendorOptions::default()
    };
    let push = PushRequest {
        to: Target { devices, ..Target::default() },
        title: Some("Your parcel is here".to_owned()),
        body: Some("It was left with your neighbour, who is in until six.".to_owned()),
        ttl_s: Some(3_600),
        lane,
        vendor: Some(vendor),
        ..PushRequest::default()
    };
    let accepted = app.push(&push, None).await?;
    ensure!(accepted.accepted as usize == to.len(), "a push was accepted in part: {accepted:?}");
    Ok(Sent { message: accepted.message_id, to, due_ns })
}

async fn gather(mut senders: JoinSet<Result<Vec<Sent>>>) -> Result<Vec<Sent>> {
    let mut all = Vec::new();
    while let Some(sent) = senders.join_next().await {
        all.extend(sent??);
    }
    Ok(all)
}
