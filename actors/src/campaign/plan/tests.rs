use carillon_sdk::Ttl;

use super::super::Pace;
use super::super::record::{Share, To};
use super::*;
use crate::audience::Audience;

const NOW: Timestamp = Timestamp::from_millis(1_000_000);

fn spec(title: &str) -> Spec {
    Spec {
        name: None,
        content: Content { title: Some(title.to_owned()), ..Content::default() },
        template: None,
        values: Values::from([("shop".to_owned(), "Bell".to_owned())]),
        to: To::Audience { text: None, audience: Audience::Everybody },
        ttl: Ttl::from_secs(3_600),
        collapse_key: None,
        pace: Pace::default(),
        canary: None,
    }
}

fn found(devices: std::ops::Range<u32>) -> Found {
    let some = devices.clone().map(|n| DeviceId::parse(&format!("d{n}")).unwrap()).collect();
    let slices = vec![Slice {
        platform: Platform::Android,
        app_version: None,
        devices: u64::from(devices.end - devices.start),
    }];
    Found { devices: devices.collect(), slices, some }
}

fn plan(spec: &Spec, found: &Found) -> CampaignPlan {
    of_audience(spec, found, 4_096, NOW)
}

#[test]
fn a_plan_counts_the_targets_and_shows_what_some_would_read() {
    let plan = plan(&spec("Sale at #shop#"), &found(0..10));
    assert_eq!((plan.targets, plan.by_platform["android"], plan.by_app_version["unknown"]), (10, 10, 10));
    assert_eq!(plan.by_channel["own"], 10);
    assert_eq!(plan.samples.len(), SAMPLES_MAX);
    assert_eq!(plan.samples[0].title.as_deref(), Some("Sale at Bell"));
    assert_eq!((plan.missing_count, plan.late, plan.finishes_at), (0, 0, NOW));
    assert_eq!(plan.payload, CampaignPayload { bytes: 12, bytes_max: 4_096, too_long: 0 });
}

#[test]
fn a_placeholder_without_a_value_is_named_once_and_nothing_is_shown() {
    let plan = plan(&spec("#who# at #shop# #who#"), &found(0..10));
    let missing = CampaignMissing { variable: "who".to_owned(), ..CampaignMissing::default() };
    assert_eq!((plan.missing, plan.missing_count, plan.samples.len()), (vec![missing], 1, 0));
}

#[test]
fn a_payload_beyond_the_limit_breaks_it_for_every_target() {
    let plan = plan(&spec(&"x".repeat(5_000)), &found(0..10));
    assert_eq!(plan.payload, CampaignPayload { bytes: 5_000, bytes_max: 4_096, too_long: 10 });
}

#[test]
fn the_hash_stands_for_content_and_targets_and_nothing_else() {
    let hash = |title: &str, devices| plan(&spec(title), &found(devices)).plan;
    assert_eq!(hash("a", 0..10), hash("a", 0..10));
    assert_ne!(hash("a", 0..10), hash("b", 0..10));
    assert_ne!(hash("a", 0..10), hash("a", 1..11));
    assert_eq!(hash("a", 0..10).len(), 32);
}

#[test]
fn a_plan_says_when_the_pace_is_through_and_whom_it_does_not_reach_in_time() {
    let pace = Pace { per_second: Some(1), per_minute: None };
    let slow = Spec { pace, ttl: Ttl::from_secs(60), ..spec("a") };
    assert_eq!(plan(&slow, &found(0..50)).finishes_at, NOW + Ttl::from_secs(50));
    assert_eq!(plan(&slow, &found(0..50)).late, 0);
    assert_eq!(plan(&slow, &found(0..100)).late, 40);
}

#[test]
fn a_canary_is_at_least_one() {
    let canary = Spec { canary: Share::parse(0.05), ..spec("a") };
    assert_eq!([0..3, 0..100].map(|devices| plan(&canary, &found(devices)).canary), [1, 5]);
}
