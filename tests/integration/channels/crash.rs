//! SIGKILL while vendors take messages.

use carillon_sdk::api::{PushRequest, Step};
use carillon_sdk::{MessageId, Vendor};
use futures_util::future::join_all;

use super::{Bench, to_name, verdicts};
use crate::harness::{App, eventually};

const OF_EACH: usize = 8;
const KILLS: usize = 2;

#[tokio::test]
async fn a_kill_amid_pushes_by_all_vendors_costs_no_target_its_verdict_and_repeats_nothing_that_has_a_key() {
    let mut bench = Bench::start(&Vendor::ALL).await;
    let mut phones = Vec::new();
    for vendor in Vendor::ALL {
        // Who was cut off may have taken it: counted, it would wait for the next day.
        let limits = bench.app.api.vendor_quota(vendor).await.unwrap().limits;
        let lifted = limits.into_iter().filter(|limit| limit.of == "device").map(|limit| (limit.name, None));
        bench.set_up(vendor, lifted.collect()).await;
        // Half of them are under way for a while: vendors have them, and have not said so.
        let name = |n: usize| format!("{}-{vendor}-{n}", if n.is_multiple_of(2) { "slow-200" } else { "ok" });
        phones.extend((0..OF_EACH).map(|n| (vendor, name(n))));
    }
    bench.phones(&phones).await;
    let all = phones.len();
    let mut ids: Vec<Option<MessageId>> = vec![None; all];
    for kill in 0..=KILLS {
        let pushing = tokio::spawn(push(bench.server.app(), phones.clone(), ids.clone()));
        if kill < KILLS {
            let enough = all * (kill + 1) / (KILLS + 2);
            eventually("vendors to take some", async || {
                (bench.lab.world().capture.taken_count() >= enough).then_some(())
            })
            .await;
            bench.server.kill();
        }
        ids = pushing.await.unwrap();
        if kill < KILLS {
            bench.server.start_again().await;
        }
    }
    bench.app = bench.server.app();
    for ((vendor, name), id) in phones.iter().zip(ids) {
        let id = id.unwrap();
        let target = bench.await_step(id, name, Step::HandedOver).await;
        assert_eq!(verdicts(&target), 1, "{target:?}");
        let taken = bench.taken(*vendor, name);
        let most = if taken[0].key.is_some() { 1 } else { 1 + KILLS };
        assert!((1..=most).contains(&taken.len()), "{name}: {taken:?}");
        let is_named = |content: &serde_json::Value| content.to_string().contains(&id.to_string());
        assert!(taken.iter().all(|taken| is_named(&taken.content)), "the app learns {id}: {taken:?}");
    }
    let keyed = phones.iter().filter(|(vendor, name)| bench.taken(*vendor, name)[0].key.is_some()).count();
    assert_eq!(keyed, 5 * OF_EACH, "APNs, HarmonyOS, Xiaomi, OPPO and vivo have a key for repeats");
    eventually("the counts to equal the verdicts", async || {
        let row = bench.app.totals().await;
        // Receipts may have confirmed some by now.
        (row.accepted == all as u64 && row.handed_over + row.arrived == all as u64).then_some(())
    })
    .await;
}

/// Pushes to all that have no answer yet; whoever was cut off has none.
async fn push(
    app: App,
    phones: Vec<(Vendor, String)>,
    ids: Vec<Option<MessageId>>,
) -> Vec<Option<MessageId>> {
    let pushes = phones.iter().zip(ids).map(|((_, name), id)| {
        let app = &app;
        async move {
            if id.is_some() {
                return id;
            }
            let (title, body) = (Some("Your parcel".to_owned()), Some("It is at the door".to_owned()));
            let request = PushRequest { to: to_name(name), title, body, ..PushRequest::default() };
            Some(app.api.push(&request, Some(name)).await.ok()?.message_id)
        }
    });
    join_all(pushes).await
}
