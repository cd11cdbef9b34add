//! Which of a device's channels carries for it.

use carillon_sdk::api::Platform;
use carillon_sdk::{Timestamp, Vendor};

/// The one channel that carries for a device, of those it has a token of:
///
/// | device | first | then | then |
/// |---|---|---|---|
/// | iOS | APNs | FCM | Web Push |
/// | HarmonyOS | HarmonyOS | | |
/// | web | Web Push | FCM | |
/// | any other, maker known | the maker's own | FCM | Web Push |
/// | any other, maker unknown | the newest of a maker's | FCM | Web Push |
///
/// and what is left over by the newest token. A maker's own service runs with the system's rights and
/// wakes the app where nothing else may, so it goes first. A phone that does not say who made it says
/// so by the maker's token that it got.
#[must_use]
pub fn carrier_of(platform: Platform, maker: Option<&str>, tokens: &[(Vendor, Timestamp)]) -> Option<Vendor> {
    let newest = |of: &dyn Fn(Vendor) -> bool| {
        let of = tokens.iter().filter(|(vendor, _)| of(*vendor));
        of.max_by_key(|(vendor, at)| (*at, *vendor)).map(|(vendor, _)| *vendor)
    };
    let makers = |vendor| !matches!(vendor, Vendor::Fcm | Vendor::WebPush);
    let (own, rest): (Option<Vendor>, &[Vendor]) = match (platform, maker) {
        (Platform::Ios, _) => (Some(Vendor::Apns), &[Vendor::Fcm, Vendor::WebPush]),
        (Platform::HarmonyOs, _) => (Some(Vendor::HarmonyOs), &[]),
        (Platform::Web, _) => (Some(Vendor::WebPush), &[Vendor::Fcm]),
        (Platform::Android | Platform::Other, Some(maker)) => {
            (channel_of(maker), &[Vendor::Fcm, Vendor::WebPush])
        }
        (Platform::Android | Platform::Other, None) => (newest(&makers), &[Vendor::Fcm, Vendor::WebPush]),
    };
    let has = |vendor: &Vendor| tokens.iter().any(|(of, _)| of == vendor);
    let fits = own.filter(has).or_else(|| rest.iter().copied().find(|vendor| has(vendor)));
    fits.or_else(|| newest(&|_| true))
}

/// Phones whose system has a maker's channel in it, by the maker's name and those of its brands, as
/// Android's `Build.MANUFACTURER` and `Build.BRAND` have them. In lower case.
const MAKERS: [(&str, Vendor); 14] = [
    ("apple", Vendor::Apns),
    ("huawei", Vendor::Huawei),
    ("honor", Vendor::Honor),
    ("hihonor", Vendor::Honor),
    ("xiaomi", Vendor::Xiaomi),
    ("redmi", Vendor::Xiaomi),
    ("poco", Vendor::Xiaomi),
    ("blackshark", Vendor::Xiaomi),
    ("oppo", Vendor::Oppo),
    ("realme", Vendor::Oppo),
    ("oneplus", Vendor::Oppo),
    ("vivo", Vendor::Vivo),
    ("iqoo", Vendor::Vivo),
    ("meizu", Vendor::Meizu),
];

/// The channel a maker has of its own.
fn channel_of(maker: &str) -> Option<Vendor> {
    MAKERS.iter().find(|(known, _)| known.eq_ignore_ascii_case(maker)).map(|(_, vendor)| *vendor)
}

#[cfg(test)]
mod tests {
    use super::*;
    use Vendor::{Apns, Fcm, HarmonyOs, Honor, Huawei, Oppo, Vivo, WebPush, Xiaomi};

    #[test]
    fn the_makers_own_goes_first_then_fcm_then_web_push_then_the_newest() {
        use Platform::{Android, HarmonyOs as Harmony, Ios, Other, Web};
        // Tokens in the order they were registered.
        type Case = (Platform, Option<&'static str>, &'static [Vendor], Option<Vendor>);
        let cases: [Case; 16] = [
            (Android, Some("Xiaomi"), &[], None),
            (Android, Some("Xiaomi"), &[Xiaomi, Fcm], Some(Xiaomi)),
            (Android, Some("REDMI"), &[Xiaomi, Fcm], Some(Xiaomi)),
            (Android, Some("OnePlus"), &[Fcm, Oppo], Some(Oppo)),
            (Android, Some("samsung"), &[Fcm, WebPush], Some(Fcm)),
            (Android, Some("samsung"), &[Fcm, Xiaomi], Some(Fcm)),
            (Android, Some("samsung"), &[Vivo, Xiaomi], Some(Xiaomi)),
            (Android, Some("HONOR"), &[Honor, Huawei], Some(Honor)),
            (Android, Some("HONOR"), &[Huawei], Some(Huawei)),
            (Android, None, &[Vivo, Xiaomi, Fcm], Some(Xiaomi)),
            (Android, None, &[Fcm, WebPush], Some(Fcm)),
            (Ios, Some("Apple"), &[Apns, Fcm], Some(Apns)),
            (Ios, None, &[Fcm, WebPush], Some(Fcm)),
            (Harmony, Some("HUAWEI"), &[HarmonyOs, Huawei], Some(HarmonyOs)),
            (Web, None, &[WebPush, Fcm], Some(WebPush)),
            (Other, Some("apple"), &[Apns, Fcm], Some(Apns)),
        ];
        for (platform, maker, vendors, expected) in cases {
            let tokens = vendors.iter().enumerate();
            let tokens: Vec<_> =
                tokens.map(|(at, vendor)| (*vendor, Timestamp::from_millis(at as u64))).collect();
            assert_eq!(carrier_of(platform, maker, &tokens), expected, "{platform:?} {maker:?} {vendors:?}");
        }
    }
}
