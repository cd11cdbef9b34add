//! What other gateways were found to do wrong, by the numbers of a list made before this was written.
//! Two are tested where the engine is: 5, that a crash loses what was not sent yet, by
//! `actors/src/store/tests/errands.rs`, and 9, that what waits grows without bound, by
//! `actors/src/channel/desk/tests.rs`. Their names begin with the number too.

use std::time::Duration;

use carillon::lab::{Condition, Quotas};
use carillon_actors::channel::{Access, Class, Outcome, Pause, Refused};
use carillon_sdk::Vendor;

use super::{Bench, Line, refusal, said};

async fn sent(line: &Line, access: &Access, tokens: &[String]) -> Vec<String> {
    line.send(access, &line.message(), tokens).await.iter().map(said).collect()
}

fn refused(outcome: &Outcome) -> &Refused {
    match outcome {
        Outcome::Refused(refused) => refused,
        Outcome::Accepted(_) => panic!("accepted"),
    }
}

#[tokio::test]
async fn fault_1_no_refusal_is_tried_again_by_the_adapter_itself() {
    let bench = Bench::start().await;
    for vendor in Vendor::ALL {
        let line = bench.line(vendor);
        let access = line.access().await;
        for name in ["dead-1", "bad-1", "quota-1", "flaky-9-1", "throttle-9-1"] {
            let before = bench.requests(vendor);
            let found = sent(&line, &access, &bench.tokens(vendor, &[name])).await;
            assert_ne!(found, ["accepted"], "{vendor} {name}");
            assert_eq!(bench.requests(vendor) - before, 1, "{vendor} {name}: {found:?}");
        }
    }
}

#[tokio::test]
async fn faults_2_and_10_a_partial_success_is_read_token_by_token_and_nothing_is_sent_twice() {
    let bench = Bench::start().await;
    for vendor in Vendor::ALL {
        let line = bench.line(vendor);
        let access = line.access().await;
        let names = ["ok-1", "dead-1", "ok-2", "dead-2", "ok-3"];
        let found = sent(&line, &access, &bench.tokens(vendor, &names)).await;
        for (name, found) in names.iter().zip(&found) {
            let is_dead = name.starts_with("dead");
            assert_eq!(bench.taken(vendor, name).len(), usize::from(!is_dead), "{vendor} {name}");
            // Xiaomi names the dead by receipt alone.
            let expected = if is_dead && vendor != Vendor::Xiaomi { "unbind device" } else { "accepted" };
            assert_eq!(found, expected, "{vendor} {name}");
        }
    }
}

#[tokio::test]
async fn fault_3_what_never_arrived_and_what_came_too_fast_are_told_and_not_lost() {
    let bench = Bench::start().await;
    let line = bench.line(Vendor::Apns);
    let access = line.access().await;
    let tokens = bench.tokens(Vendor::Apns, &["cut-1-a", "ok-b", "ok-c"]);
    let message = line.message();
    // The connection is cut under all three: who was answered before is accepted, the others may be.
    let cut: Vec<_> = line.send(&access, &message, &tokens).await.iter().map(said).collect();
    assert_eq!(cut[0], "retry connection ?");
    assert!(cut.iter().all(|said| said == "accepted" || said == "retry connection ?"), "{cut:?}");
    let again: Vec<_> = line.send(&access, &message, &tokens).await.iter().map(said).collect();
    assert_eq!(again, ["accepted"; 3]);
    assert!(tokens.iter().all(|name| bench.taken(Vendor::Apns, name).len() == 1), "each is shown once");
    assert_eq!(sent(&line, &access, &["throttle-1-d".to_owned()]).await, ["throttle device"]);
    bench.lab.world().set_condition(Vendor::Apns, Condition::Unreachable);
    let found = sent(&line, &access, &bench.tokens(Vendor::Apns, &["ok-d"])).await;
    assert!(found[0].starts_with("retry connection"), "{found:?}");
    bench.lab.world().set_condition(Vendor::Apns, Condition::Up);
    assert_eq!(sent(&line, &access, &bench.tokens(Vendor::Apns, &["ok-d"])).await, ["accepted"]);
}

#[tokio::test]
async fn fault_4_every_token_has_its_own_result_in_its_place() {
    let bench = Bench::start().await;
    for vendor in Vendor::ALL {
        let line = bench.line(vendor);
        let access = line.access().await;
        // More than one call takes of Meizu's; where a call has one token, each is a call.
        let count = if line.gateway.manners().batch_max == 1 { 20 } else { 120 };
        let names: Vec<String> = (0..count).map(|at| format!("ok-{at}")).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let outcomes = line.send(&access, &line.message(), &bench.tokens(vendor, &names)).await;
        assert_eq!(outcomes.len(), names.len(), "{vendor}");
        let is_accepted = |outcome: &Outcome| matches!(outcome, Outcome::Accepted(_));
        assert!(outcomes.iter().all(is_accepted), "{vendor}: {:?}", outcomes.iter().map(said).next());
        assert!(names.iter().all(|name| bench.taken(vendor, name).len() == 1), "{vendor}");
    }
}

#[tokio::test]
async fn fault_6_a_dead_token_is_no_success_and_says_since_when_it_is_dead() {
    let bench = Bench::start().await;
    let line = bench.line(Vendor::Apns);
    let access = line.access().await;
    let outcomes = line.send(&access, &line.message(), &["dead-ago600-a".to_owned()]).await;
    let refused = refused(&outcomes[0]);
    // Registered again within these ten minutes, it lives: the ledger compares.
    let ago = bench.clock.now().as_millis() - refused.dead_since.unwrap().as_millis();
    assert_eq!((refused.class, ago), (Class::Unbind, 600_000));
}

#[tokio::test]
async fn fault_7_success_is_what_the_vendor_says_and_access_ends_when_the_vendor_says() {
    let bench = Bench::start().await;
    let line = bench.line(Vendor::Honor);
    let access = line.access().await;
    assert_eq!(sent(&line, &access, &["ok-1".to_owned()]).await, ["accepted"], "the number 200 is success");
    let hours = |vendor| {
        let line = bench.line(vendor);
        async move { (line.access().await, line.clock.now()) }
    };
    for (vendor, hours_max) in [(Vendor::Vivo, 24), (Vendor::Oppo, 24), (Vendor::Honor, 1)] {
        let (access, now) = hours(vendor).await;
        let renewed_in = access.renew_at.unwrap().since(now).as_millis();
        assert!(renewed_in < hours_max * 3_600_000, "{vendor} renews in {renewed_in} ms");
    }
    for vendor in [Vendor::Vivo, Vendor::Oppo, Vendor::Honor, Vendor::Huawei, Vendor::Fcm] {
        bench.lab.world().set_condition(vendor, Condition::Down);
        let refused = bench.line(vendor).gateway.authorize().await.unwrap_err();
        let text = refusal(&refused);
        assert!(text.starts_with("retry") || text.starts_with("throttle"), "{vendor}: {text}");
    }
}

#[tokio::test]
async fn fault_8_a_second_provider_token_within_twenty_minutes_costs_no_message() {
    let bench = Bench::start().await;
    let line = bench.line(Vendor::Apns);
    let (first, second) = (line.access().await, line.access().await);
    assert_eq!(sent(&line, &first, &["ok-1".to_owned()]).await, ["accepted"]);
    assert_eq!(sent(&line, &second, &["ok-2".to_owned()]).await, ["retry app"]);
    assert_eq!(sent(&line, &first, &["ok-2".to_owned()]).await, ["accepted"]);
    let rest = first.not_again_before.unwrap().since(bench.clock.now());
    assert_eq!(rest.as_millis(), 20 * 60_000);
}

#[tokio::test]
async fn fault_11_a_wrong_project_and_an_unknown_reason_unbind_nobody() {
    let bench = Bench::start().await;
    let mut setup = bench.setup(Vendor::Fcm);
    setup.credential["project_id"] = "another-project".into();
    let line = bench.line_by(Vendor::Fcm, &setup);
    let access = line.access().await;
    assert_eq!(sent(&line, &access, &["ok-1".to_owned()]).await, ["config app"]);
    let line = bench.line(Vendor::Apns);
    let access = line.access().await;
    let outcomes = line.send(&access, &line.message(), &["say-ExpiredToken-a".to_owned()]).await;
    assert_eq!((refused(&outcomes[0]).class, &*refused(&outcomes[0]).code), (Class::Unbind, "ExpiredToken"));
}

#[tokio::test]
async fn fault_12_a_message_that_is_wrong_kills_no_token() {
    let bench = Bench::start().await;
    let line = bench.line(Vendor::Fcm);
    let access = line.access().await;
    let found = sent(&line, &access, &["bad-1".to_owned(), "malformed-1".to_owned()]).await;
    assert_eq!(found, ["perm message", "unbind device"], "both are INVALID_ARGUMENT");
}

#[tokio::test]
async fn fault_13_all_ten_are_spoken() {
    let bench = Bench::start().await;
    for vendor in Vendor::ALL {
        let line = bench.line(vendor);
        let access = line.access().await;
        assert_eq!(sent(&line, &access, &bench.tokens(vendor, &["ok-1"])).await, ["accepted"], "{vendor}");
    }
}

#[tokio::test]
async fn fault_14_a_spent_day_waits_for_the_next() {
    let bench = Bench::start().await;
    for vendor in
        [Vendor::HarmonyOs, Vendor::Honor, Vendor::Xiaomi, Vendor::Oppo, Vendor::Vivo, Vendor::Meizu]
    {
        let line = bench.line(vendor);
        let access = line.access().await;
        bench.lab.world().set_quotas(vendor, Quotas { rate: None, day: Some(1) });
        let one = |name: &str| vec![name.to_owned()];
        assert_eq!(sent(&line, &access, &one("ok-1")).await, ["accepted"], "{vendor}");
        let outcomes = line.send(&access, &line.message(), &one("ok-2")).await;
        let refused = refused(&outcomes[0]);
        assert_eq!((refused.class, refused.pause), (Class::Throttle, Some(Pause::NextDay)), "{vendor}");
        bench.lab.world().set_quotas(vendor, Quotas::default());
    }
    // The vendors' next day has begun.
    bench.clock.advance(Duration::from_secs(86_400));
    let line = bench.line(Vendor::Vivo);
    let access = line.access().await;
    assert_eq!(sent(&line, &access, &["ok-2".to_owned()]).await, ["accepted"]);
}

#[tokio::test]
async fn fault_15_no_host_and_no_authority_is_built_in() {
    let bench = Bench::start().await;
    for vendor in Vendor::ALL {
        let setup = bench.setup(vendor);
        assert!(setup.hosts.values().all(|url| url.starts_with("https://127.0.0.1:")), "{vendor}");
        // Without the laboratory's authority it is a stranger.
        let stranger = bench.line_by(vendor, &carillon_actors::channel::Setup { ca_pem: None, ..setup });
        let found = match stranger.gateway.authorize().await {
            Err(refused) => refusal(&refused),
            Ok(access) => sent(&stranger, &access, &bench.tokens(vendor, &["ok-1"])).await.concat(),
        };
        assert!(found.starts_with("retry") && !found.ends_with('?'), "{vendor}: {found}");
    }
}
