//! What vendors let an app send in a day.

use carillon::lab::Quotas;
use carillon_sdk::api::Step;
use carillon_sdk::api::vendors::VendorOptions;
use carillon_sdk::{MessageId, Vendor};

use super::Bench;
use crate::harness::eventually;

const PER_DAY: u32 = 5;
const MINUTE_S: u64 = 60;
const TWO_DAYS_S: u64 = 172_800;

/// Beyond the day's share a message that can wait is parked; one that cannot takes our own road.
#[tokio::test]
async fn no_vendor_ever_has_to_refuse_for_a_spent_day() {
    let bench = Bench::start(&[]).await;
    let limits = [(Vendor::Vivo, "marketing"), (Vendor::Oppo, "marketing"), (Vendor::Xiaomi, "default")];
    for (vendor, limit) in limits {
        bench.set_up(vendor, [(limit.to_owned(), Some(u64::from(PER_DAY)))].into()).await;
        bench.lab.world().set_quotas(vendor, Quotas { rate: None, day: Some(PER_DAY) });
    }
    let mut phones = Vec::new();
    for (vendor, _) in limits {
        phones.extend((0..12).map(|n| (vendor, format!("ok-{vendor}-{n}"))));
    }
    bench.phones(&phones).await;
    let mut pushed = Vec::new();
    for (n, (_, name)) in phones.iter().enumerate() {
        let ttl_s = if n.is_multiple_of(2) { TWO_DAYS_S } else { MINUTE_S };
        let id = bench.push_for(ttl_s, name, "News", VendorOptions::default()).await;
        pushed.push(Pushed { name, id, can_wait: ttl_s == TWO_DAYS_S });
    }
    for ((vendor, limit), pushed) in limits.iter().zip(pushed.chunks(12)) {
        let [taken, parked, own] = settled(&bench, pushed).await;
        assert_eq!((taken, parked + own), (PER_DAY as usize, 12 - PER_DAY as usize), "{vendor}");
        assert!(parked > 0 && own > 0, "{vendor}: {parked} parked, {own} by our own road");
        assert_eq!(bench.lab.world().capture.taken(*vendor).len(), taken, "{vendor}");
        let quota = bench.app.api.vendor_quota(*vendor).await.unwrap();
        let limit = quota.limits.iter().find(|one| one.name == *limit).unwrap();
        assert_eq!((limit.used, limit.remaining), (u64::from(PER_DAY), Some(0)), "{vendor}");
        assert!(!limit.spent_by_vendor, "{vendor} had to say so itself");
    }
}

struct Pushed<'a> {
    name: &'a str,
    id: MessageId,
    can_wait: bool,
}

/// How many were taken, are parked, and went by our own road, once the day's share is spent and every
/// message that cannot wait has its answer.
async fn settled(bench: &Bench, pushed: &[Pushed<'_>]) -> [usize; 3] {
    eventually("the day's share to be spent", async || {
        let [mut taken, mut parked, mut own] = [0; 3];
        for Pushed { name, id, can_wait } in pushed {
            let target = bench.app.target(*id, name).await?;
            let step = |wanted| target.steps.iter().find(|step| step.step == wanted);
            match step(Step::Refused) {
                Some(step) => {
                    assert_eq!(step.detail.as_deref(), Some("quota_spent"), "{target:?}");
                    own += 1;
                }
                None if step(Step::HandedOver).is_some() => taken += 1,
                None if *can_wait => parked += 1,
                None => return None,
            }
        }
        (taken == PER_DAY as usize).then_some([taken, parked, own])
    })
    .await
}
