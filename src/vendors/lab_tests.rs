//! All vendors over their own sockets: TLS, HTTP/2, cuts and silence as they are on the wire. What a
//! code means is tested with each vendor; here it is that every road carries.

use std::sync::Arc;

use carillon_actors::channel::{Access, Address, Class, Gateway, Gateways as _, Outcome, Refused, Scope};
use carillon_actors::clock::Clock;
use carillon_sdk::Vendor;
use serde_json::{Value, json};

use super::Protocols;
use super::content::tests::{NOW, parcel};
use crate::lab::{Condition, Lab, Options};

/// They drop what comes twice under one key (docs/vendors.md).
const WITH_KEY: [Vendor; 5] = [Vendor::Apns, Vendor::HarmonyOs, Vendor::Xiaomi, Vendor::Oppo, Vendor::Vivo];

struct Road {
    vendor: Vendor,
    gateway: Arc<dyn Gateway>,
    access: Access,
}

async fn start() -> (Lab, Clock) {
    let clock = Clock::manual(NOW);
    (Lab::start(clock.clone(), Options::default()).await.unwrap(), clock)
}

impl Road {
    async fn to(lab: &Lab, clock: &Clock, vendor: Vendor) -> Self {
        let gateway = Protocols::new(clock.clone()).open(vendor, &lab.setup(vendor)).unwrap();
        let access = gateway.authorize().await.unwrap();
        Self { vendor, gateway, access }
    }

    async fn send(&self, lab: &Lab, token: &str) -> Outcome {
        let token = match self.vendor {
            Vendor::WebPush => lab.subscription(token).to_string(),
            _ => token.to_owned(),
        };
        let parcel = parcel(&token, &Value::Null, |_| {});
        self.gateway.send(self.access.clone(), parcel).await.remove(0)
    }

    async fn class(&self, lab: &Lab, token: &str) -> Option<Class> {
        match self.send(lab, token).await {
            Outcome::Accepted(_) => None,
            Outcome::Refused(refused) => Some(refused.class),
        }
    }

    async fn refused(&self, lab: &Lab, token: &str) -> Refused {
        match self.send(lab, token).await {
            Outcome::Refused(refused) => refused,
            Outcome::Accepted(_) => panic!("{} took {token}", self.vendor),
        }
    }
}

#[tokio::test]
async fn each_fate_means_the_same_whoever_the_vendor_is() {
    let (lab, clock) = start().await;
    for vendor in Vendor::ALL {
        let road = Road::to(&lab, &clock, vendor).await;
        for (token, class) in [
            ("ok-1", None),
            ("slow-5-x", None),
            ("dead-1", Some(Class::Unbind)),
            ("bad-1", Some(Class::Perm)),
            ("config-1", Some(Class::Config)),
            ("throttle-1-x", Some(Class::Throttle)),
            ("quota-1", Some(Class::Throttle)),
            ("flaky-1-x", Some(Class::Retry)),
            ("flaky-1-x", None),
            ("html-1-x", Some(Class::Retry)),
            ("html-1-x", None),
        ] {
            assert_eq!(road.class(&lab, token).await, class, "{vendor} {token}");
        }
        let cut = road.refused(&lab, "cut-1-x").await;
        assert_eq!((cut.class, cut.is_ambiguous), (Class::Retry, true), "{vendor}: {cut:?}");
        assert_eq!(road.class(&lab, "cut-1-x").await, None, "{vendor}: another connection");
        let taken = lab.world().capture.taken(vendor);
        let of_cut = taken.iter().filter(|taken| taken.token.contains("cut-1-x")).count();
        // Where a key makes it safe, the repeat was dropped.
        let expected = if WITH_KEY.contains(&vendor) { 1 } else { 2 };
        assert_eq!(of_cut, expected, "{vendor}");
    }
}

#[tokio::test]
async fn a_vendor_that_is_down_or_away_is_no_fault_of_a_token_and_comes_back() {
    let (lab, clock) = start().await;
    for vendor in Vendor::ALL {
        let road = Road::to(&lab, &clock, vendor).await;
        lab.world().set_condition(vendor, Condition::Down);
        let down = road.class(&lab, "ok-1").await;
        assert!(matches!(down, Some(Class::Retry | Class::Throttle)), "{vendor}: {down:?}");
        lab.world().set_condition(vendor, Condition::Unreachable);
        assert_eq!(road.class(&lab, "ok-1").await, Some(Class::Retry), "{vendor}");
        lab.world().set_condition(vendor, Condition::Up);
        assert_eq!(road.class(&lab, "ok-1").await, None, "{vendor}");
    }
}

#[tokio::test]
async fn a_credential_that_is_refused_is_a_matter_of_the_setup() {
    let (lab, clock) = start().await;
    for vendor in Vendor::ALL {
        lab.world().set_condition(vendor, Condition::CredentialRefused);
        let gateway = Protocols::new(clock.clone()).open(vendor, &lab.setup(vendor)).unwrap();
        let refused = match gateway.authorize().await {
            Err(refused) => refused,
            Ok(access) => Road { vendor, gateway, access }.refused(&lab, "ok-1").await,
        };
        // HarmonyOS cannot tell a wrong signature from an old one: the second in a row is the setup's.
        let expected = if vendor == Vendor::HarmonyOs { Class::Reauth } else { Class::Config };
        assert_eq!(refused.class, expected, "{vendor}: {refused:?}");
        let config = lab.setup(vendor).credential.to_string();
        assert!(!config.contains(&refused.text) || refused.text.is_empty(), "{vendor}");
    }
}

#[tokio::test]
async fn access_that_was_revoked_is_got_anew() {
    let (lab, clock) = start().await;
    // The others' access is in each call.
    for vendor in [
        Vendor::Apns,
        Vendor::Fcm,
        Vendor::Huawei,
        Vendor::HarmonyOs,
        Vendor::Honor,
        Vendor::Oppo,
        Vendor::Vivo,
    ] {
        let mut road = Road::to(&lab, &clock, vendor).await;
        assert_eq!(road.class(&lab, "ok-1").await, None, "{vendor}");
        lab.world().set_condition(vendor, Condition::TokensRevoked);
        assert_eq!(road.class(&lab, "ok-2").await, Some(Class::Reauth), "{vendor}");
        road.access = road.gateway.authorize().await.unwrap();
        assert_eq!(road.class(&lab, "ok-2").await, None, "{vendor}");
    }
}

/// Apple goes away in an orderly way: the call says so, and the next finds a new connection.
#[tokio::test]
async fn apple_going_away_costs_one_more_try() {
    let (lab, clock) = start().await;
    let road = Road::to(&lab, &clock, Vendor::Apns).await;
    let refused = road.refused(&lab, "goaway-x").await;
    assert_eq!((refused.class, refused.scope, &*refused.code), (Class::Retry, Scope::Connection, "Shutdown"));
    assert_eq!(road.class(&lab, "goaway-x").await, None);
    let many = (0..300).map(|number| format!("ok-{number}")).collect::<Vec<_>>();
    let sent = futures_util::future::join_all(many.iter().map(|token| road.class(&lab, token))).await;
    assert!(sent.iter().all(Option::is_none), "300 streams of one connection");
}

/// One push's wish must neither stop the channel nor cost the message.
#[tokio::test]
async fn a_wish_that_the_app_has_no_right_to_is_dropped_and_the_message_goes() {
    let (lab, clock) = start().await;
    let of_huawei = json!({"transparent_urgency": "HIGH", "transparent_payload": {"hms": {"k": 1}}});
    let of_oppo = json!({"third_channel_category": {"oppo": "ORDER"}, "notify_level": {"oppo": 16}});
    for (vendor, options, refused, lost) in [
        (Vendor::Huawei, of_huawei, "unranked-1", "transparent_urgency"),
        (Vendor::Oppo, of_oppo, "uncategorised-1", "category"),
    ] {
        let road = Road::to(&lab, &clock, vendor).await;
        let mut parcel = parcel("ok-1", &options, |_| {});
        parcel.to.push(Address { token: refused.to_owned(), receipt: "r-2".to_owned() });
        let outcomes = road.gateway.send(road.access.clone(), parcel).await;
        let degraded = outcomes.iter().map(|outcome| match outcome {
            Outcome::Accepted(accepted) => accepted.degraded.contains(&lost),
            Outcome::Refused(refused) => panic!("{vendor}: {refused:?}"),
        });
        // Huawei says it of the call, OPPO of each.
        assert_eq!(degraded.collect::<Vec<_>>(), [vendor == Vendor::Huawei, true], "{vendor}");
        let taken = lab.world().capture.taken(vendor);
        assert_eq!(taken.len(), 2, "{vendor}: each once");
    }
}

/// Apple says how many streams it takes on a connection: more wait, and none is lost.
#[tokio::test]
async fn more_streams_than_a_connection_takes_wait_for_one_another() {
    let clock = Clock::manual(NOW);
    let options = Options { streams_max: Some(2), ..Options::default() };
    let lab = Lab::start(clock.clone(), options).await.unwrap();
    for vendor in [Vendor::Apns, Vendor::Fcm] {
        let road = Road::to(&lab, &clock, vendor).await;
        assert_eq!(road.class(&lab, "ok-first").await, None);
        let many = (0..40).map(|number| format!("slow-5-{number}")).collect::<Vec<_>>();
        let sent = futures_util::future::join_all(many.iter().map(|token| road.class(&lab, token))).await;
        assert!(sent.iter().all(Option::is_none), "{vendor}: {sent:?}");
        let taken = lab.world().capture.taken(vendor);
        assert!(many.iter().all(|token| taken.iter().filter(|taken| taken.token == *token).count() == 1));
    }
}
