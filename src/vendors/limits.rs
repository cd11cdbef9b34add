//! What mPaaS lets through to a vendor: its table of lengths, for messages that came by its face.
//! A vendor may take more; an app server written for mPaaS counts on this, and on the push failing.

use carillon_actors::channel::{Parcel, Refused};
use carillon_sdk::Vendor;

use super::given;

/// Letters of title and body.
#[derive(Debug, Clone, Copy)]
struct Limit {
    title: usize,
    body: usize,
    /// A Han character and its like are two.
    wide_is_two: bool,
}

/// What is not here has none: iOS cuts by itself. A message of our own face is cut to what its vendor
/// takes.
const fn limit(vendor: Vendor) -> Option<Limit> {
    match vendor {
        Vendor::Huawei => Some(Limit { title: 40, body: 1_024, wide_is_two: false }),
        Vendor::Oppo => Some(Limit { title: 32, body: 200, wide_is_two: false }),
        Vendor::Vivo => Some(Limit { title: 40, body: 100, wide_is_two: true }),
        Vendor::Honor | Vendor::HarmonyOs => Some(Limit { title: 60, body: 4_096, wide_is_two: true }),
        // The vendor's own is lower than mPaaS's, or the only one.
        Vendor::Xiaomi => Some(Limit { title: 49, body: 127, wide_is_two: false }),
        Vendor::Meizu => Some(Limit { title: 32, body: 100, wide_is_two: false }),
        Vendor::Apns | Vendor::Fcm | Vendor::WebPush => None,
    }
}

/// Of a notification; data is measured by bytes elsewhere.
pub(super) fn check(parcel: &Parcel, vendor: Vendor) -> Result<(), Refused> {
    let Some(limit) = limit(vendor).filter(|_| parcel.options.contract_limits) else { return Ok(()) };
    let is_long = |text: Option<&str>, most| length(text.unwrap_or_default(), limit.wide_is_two) > most;
    if is_long(parcel.message.title.as_deref(), limit.title) {
        return Err(given::unfit("title_too_long", "the title is longer than mPaaS gives this vendor"));
    }
    if is_long(parcel.message.body.as_deref(), limit.body) {
        return Err(given::unfit("body_too_long", "the body is longer than mPaaS gives this vendor"));
    }
    Ok(())
}

/// Code points; with `wide_is_two`, what is not ASCII is two.
pub(super) fn length(text: &str, wide_is_two: bool) -> usize {
    text.chars().map(|letter| if wide_is_two && !letter.is_ascii() { 2 } else { 1 }).sum()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::vendors::content::tests::parcel;

    fn code(vendor: Vendor, title: &str, body: &str, by_mpaas: bool) -> Option<String> {
        let parcel = parcel("t", &json!({ "contract_limits": by_mpaas }), |message| {
            (message.title, message.body) = (Some(title.to_owned()), Some(body.to_owned()));
        });
        check(&parcel, vendor).err().map(|refused| refused.code)
    }

    #[test]
    fn each_vendor_has_its_lengths_and_one_letter_more_is_refused() {
        use Vendor::{HarmonyOs, Honor, Huawei, Meizu, Oppo, Vivo, Xiaomi};
        for (vendor, title, body) in [
            (Huawei, "汉".repeat(40), "汉".repeat(1_024)),
            (Huawei, "a".repeat(40), "a".repeat(1_024)),
            (Oppo, "汉".repeat(32), "a".repeat(200)),
            (Xiaomi, "汉".repeat(49), "a".repeat(127)),
            (Meizu, "汉".repeat(32), "a".repeat(100)),
            (Vivo, "汉".repeat(20), "汉".repeat(50)),
            (Vivo, "a".repeat(40), "a".repeat(100)),
            (Honor, "汉".repeat(30), "汉".repeat(2_048)),
            (Honor, "a".repeat(60), "a".repeat(4_096)),
            (HarmonyOs, "a".repeat(60), "a".repeat(4_096)),
        ] {
            assert_eq!(code(vendor, &title, &body, true), None, "{vendor}");
            let longer = |text: &str| format!("{text}a");
            assert_eq!(code(vendor, &longer(&title), &body, true).as_deref(), Some("title_too_long"));
            assert_eq!(code(vendor, &title, &longer(&body), true).as_deref(), Some("body_too_long"));
            assert_eq!(code(vendor, &longer(&title), &longer(&body), false), None, "{vendor}: its own word");
        }
        assert_eq!(code(Vendor::Apns, &"a".repeat(400), "b", true), None, "iOS cuts by itself");
    }
}
