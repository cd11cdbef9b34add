//! What became of a round, as three witnesses have it: the vendors, the stories and the statistics.
//! Where they disagree, the run has failed.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use anyhow::{Result, bail, ensure};
use carillon_sdk::api::{Granularity, TargetView};
use carillon_sdk::client::AppServer;
use carillon_sdk::client::server::StatsQuery;
use carillon_sdk::{DeviceId, Timestamp, Vendor};

use super::crowd::Member;
use super::round::Sent;
use crate::clock::{Deadline, now_ns};
use crate::lab::{Lab, Taken};

/// The last verdict, and the last receipt, have come within this after the last push.
const OVER_WITHIN: Duration = Duration::from_secs(240);
const LOOK: Duration = Duration::from_millis(500);

/// They drop what comes twice under one key (docs/vendors.md): nobody may get a notification twice.
const WITH_KEY: [Vendor; 5] = [Vendor::Apns, Vendor::HarmonyOs, Vendor::Xiaomi, Vendor::Oppo, Vendor::Vivo];

/// They tell by receipt what arrived.
const WITH_RECEIPTS: [Vendor; 7] = [
    Vendor::Huawei,
    Vendor::HarmonyOs,
    Vendor::Honor,
    Vendor::Xiaomi,
    Vendor::Oppo,
    Vendor::Vivo,
    Vendor::Meizu,
];

/// Waits until every target of so many rounds has its verdict, and then for the receipts; tells when
/// the last verdict was seen.
pub(super) async fn await_all(app: &AppServer, lab: &Lab, rounds: usize, each: usize) -> Result<u64> {
    let deadline = Deadline::after(OVER_WITHIN);
    let (all, of_receipts) = (each * Vendor::ALL.len() * rounds, each * WITH_RECEIPTS.len() * rounds);
    let alive = |count: usize| (count - count.div_ceil(20)) as u64;
    let mut over_ns = None;
    loop {
        let Counts { accepted, ended, arrived } = counts(app).await?;
        ensure!(accepted == all as u64, "{accepted} accepted of {all}");
        if over_ns.is_none() && ended == accepted {
            over_ns = Some(now_ns());
        }
        ensure!(ended <= accepted, "{ended} verdicts of {accepted} targets");
        match over_ns {
            Some(over_ns) if arrived >= alive(of_receipts) => return Ok(over_ns),
            _ => {}
        }
        if deadline.passed() {
            let mut taken = BTreeMap::new();
            for vendor in Vendor::ALL {
                taken.insert(vendor, lab.taken(vendor).await?.len());
            }
            bail!("{ended} verdicts and {arrived} arrivals of {accepted}; taken: {taken:?}");
        }
        tokio::time::sleep(LOOK).await;
    }
}

struct Counts {
    accepted: u64,
    ended: u64,
    arrived: u64,
}

async fn counts(app: &AppServer) -> Result<Counts> {
    let day_ms = 24 * 3_600_000;
    let now_ms = now_ns() / 1_000_000;
    let query = StatsQuery {
        // A run may go over midnight.
        from: Some(Timestamp::from_millis(now_ms - 2 * day_ms)),
        to: Some(Timestamp::from_millis(now_ms + day_ms)),
        granularity: Granularity::Day,
        group_by: Vec::new(),
    };
    let mut counts = Counts { accepted: 0, ended: 0, arrived: 0 };
    for row in app.stats(&query).await?.rows {
        counts.accepted += row.accepted;
        counts.arrived += row.arrived;
        counts.ended += row.arrived + row.handed_over + row.expired + row.replaced + row.revoked + row.failed;
    }
    Ok(counts)
}

/// Fails unless each notification was taken once, and of a dead token never. A vendor without a key
/// for repeats may have taken one again, when it did not say that it had: those are counted.
pub(super) fn taken_once(taken: &HashMap<Vendor, Vec<Taken>>, round: &str, each: usize) -> Result<u64> {
    let mut repeats = 0;
    for (vendor, taken) in taken {
        let mut times: HashMap<&str, u64> = HashMap::new();
        for taken in taken {
            *times.entry(taken.token.as_str()).or_default() += 1;
        }
        for member in (0..each).map(|at| Member { vendor: *vendor, at }) {
            let token = member.token(round);
            match (times.remove(token.as_str()).unwrap_or(0), member.is_dead()) {
                (0, true) | (1, false) => {}
                (0, false) => bail!("{vendor} never took {token}"),
                (times, false) if !WITH_KEY.contains(vendor) => repeats += times - 1,
                (times, _) => bail!("{vendor} took {token} {times} times"),
            }
        }
        ensure!(times.is_empty(), "{vendor} took what was sent to nobody: {times:?}");
    }
    Ok(repeats)
}

/// Fails unless every target's story has one verdict, the one that its token tells.
pub(super) async fn one_each(app: &AppServer, sent: &[Sent], round: &str) -> Result<BTreeMap<String, u64>> {
    let mut states = BTreeMap::new();
    for sent in sent {
        let mut expected: HashMap<DeviceId, Member> = HashMap::new();
        for member in &sent.to {
            expected.insert(member.device(round)?, *member);
        }
        let mut cursor = None::<String>;
        loop {
            let page = app.message(sent.message, cursor.as_deref()).await?;
            for target in page.targets {
                let Some(member) = target.device_id.as_ref().and_then(|device| expected.remove(device))
                else {
                    bail!("a target that was not named, or named twice: {target:?}");
                };
                judge(member, &target)?;
                *states.entry(target.state).or_default() += 1;
            }
            cursor = page.next;
            if cursor.is_none() {
                break;
            }
        }
        ensure!(expected.is_empty(), "targets without a story: {:?}", expected.keys());
    }
    Ok(states)
}

fn judge(member: Member, target: &TargetView) -> Result<()> {
    let verdicts = target.steps.iter().filter(|step| step.step.is_verdict());
    ensure!(verdicts.count() == 1, "not one verdict: {target:?}");
    let expected: &[&str] = match member {
        // Of a batch it names nobody; the dead come by receipt.
        Member { vendor: Vendor::Xiaomi, .. } if member.is_dead() => &["handed_over", "rejected"],
        _ if member.is_dead() => &["rejected"],
        Member { vendor, .. } if WITH_RECEIPTS.contains(&vendor) => &["delivered"],
        _ => &["handed_over"],
    };
    ensure!(expected.contains(&target.state.as_str()), "{member:?} was to be {expected:?}: {target:?}");
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::super::crowd::members;
    use super::*;

    #[test]
    fn of_twenty_devices_one_is_dead_one_flaky_and_no_urgent_one_is_either() {
        let all: Vec<Member> = members(20).collect();
        assert_eq!(all.iter().collect::<HashSet<_>>().len(), 200);
        assert_eq!(all.iter().filter(|member| member.is_dead()).count(), 10);
        assert_eq!(all.iter().filter(|member| member.token("r").starts_with("flaky-2-r-")).count(), 10);
        let urgent: Vec<_> = all.iter().filter(|member| member.is_urgent()).collect();
        assert_eq!(urgent.len(), 20);
        assert!(urgent.iter().all(|member| member.token("r").starts_with("ok-")));
    }

    #[test]
    fn a_notification_taken_twice_or_never_fails_the_run() {
        let at = Timestamp::from_millis(1);
        let taken = |tokens: &[&str]| {
            tokens.iter().map(|token| Taken { at, token: (*token).to_owned() }).collect::<Vec<_>>()
        };
        let once =
            |vendor, tokens: &[&str]| taken_once(&HashMap::from([(vendor, taken(tokens))]), "r", 2).ok();
        assert_eq!(once(Vendor::Apns, &["ok-r-0", "ok-r-1"]), Some(0));
        assert_eq!(once(Vendor::Apns, &["ok-r-0"]), None);
        assert_eq!(once(Vendor::Apns, &["ok-r-0", "ok-r-1", "ok-r-1"]), None);
        assert_eq!(once(Vendor::Fcm, &["ok-r-0", "ok-r-1", "ok-r-1"]), Some(1));
        assert_eq!(once(Vendor::Fcm, &["ok-r-0", "ok-r-1", "ok-r-2"]), None);
    }
}
