//! What vendors let an app send in a day, as published: data, to be read beside the vendor's page and
//! changed here or, for one app, in its setup. Nothing else in the tree knows these numbers.
//!
//! Where a vendor counts by the app's users at it, which we cannot know, the published least stands
//! here: never more than the vendor lets, and an app that has more says so in its setup.

use carillon_sdk::Vendor;

use super::quota::{Limit, Of, Sort};

/// Hours of the vendor's day before UTC's: all that count days do it in China, which has had no
/// summer time since 1991.
pub(super) const fn day_offset_h(vendor: Vendor) -> u64 {
    match vendor {
        Vendor::Apns | Vendor::Fcm | Vendor::WebPush => 0,
        Vendor::Huawei
        | Vendor::HarmonyOs
        | Vendor::Honor
        | Vendor::Xiaomi
        | Vendor::Oppo
        | Vendor::Vivo
        | Vendor::Meizu => 8,
    }
}

/// All limits of a vendor's; none of Apple, Google and the browsers counts days.
pub(super) fn of(vendor: Vendor) -> impl Iterator<Item = &'static Limit> {
    TABLE.iter().filter(move |limit| limit.vendor == vendor)
}

const fn limit(
    vendor: Vendor,
    name: &'static str,
    sort: Sort,
    of: Of,
    per_day: u64,
    source: &'static str,
) -> Limit {
    Limit { vendor, name, sort, of, per_day, source }
}

const HUAWEI_TEST: &str = "target_user_type 1, developer.huawei.com https-send-api-0000001050986197";
const HUAWEI_MARKETING: &str = "two a device and day, five for news apps: developer.huawei.com, notice of \
                                message classification";
const HARMONY_TEST: &str = "testMessage, a project and day: developer.huawei.com push-scenariozed-api";
const HONOR_TEST: &str = "targetUserType 1: developer.honor.com, downlink-message";
const HONOR_MARKETING: &str = "two a device and day, five for news apps: developer.honor.com";
const XIAOMI: &str = "dev.mi.com pId=1656 (2026-02-04): by the users who let it notify, counted as 10,000 at \
                      least; public twice that, default once";
const OPPO: &str = "100,000 below 50,000 users, else twice the users; two a device, five for news: \
                    open.oppomobile.com";
const VIVO: &str = "dev.vivo.com.cn: by the users who let it notify, counted as 10,000 at least; system \
                    three times that, operation twice; two a device, five for news";
const MEIZU: &str = "public three a device and day, five for news, from 2025-05-07: open.flyme.cn";

const TABLE: &[Limit] = &[
    limit(Vendor::Huawei, "test", Sort::Test, Of::App, 500, HUAWEI_TEST),
    limit(Vendor::Huawei, "marketing_device", Sort::Marketing, Of::Device, 2, HUAWEI_MARKETING),
    limit(Vendor::HarmonyOs, "test", Sort::Test, Of::App, 1_000, HARMONY_TEST),
    limit(Vendor::HarmonyOs, "marketing_device", Sort::Marketing, Of::Device, 2, HUAWEI_MARKETING),
    limit(Vendor::Honor, "test", Sort::Test, Of::App, 1_000, HONOR_TEST),
    limit(Vendor::Honor, "marketing_device", Sort::Marketing, Of::Device, 2, HONOR_MARKETING),
    limit(Vendor::Xiaomi, "default", Sort::Default, Of::App, 10_000, XIAOMI),
    limit(Vendor::Xiaomi, "default_device", Sort::Default, Of::Device, 1, XIAOMI),
    limit(Vendor::Xiaomi, "marketing", Sort::Marketing, Of::App, 20_000, XIAOMI),
    limit(Vendor::Xiaomi, "marketing_device", Sort::Marketing, Of::Device, 5, XIAOMI),
    limit(Vendor::Oppo, "marketing", Sort::Marketing, Of::App, 100_000, OPPO),
    limit(Vendor::Oppo, "marketing_device", Sort::Marketing, Of::Device, 2, OPPO),
    limit(Vendor::Vivo, "service", Sort::Service, Of::App, 30_000, VIVO),
    limit(Vendor::Vivo, "marketing", Sort::Marketing, Of::App, 20_000, VIVO),
    limit(Vendor::Vivo, "marketing_device", Sort::Marketing, Of::Device, 2, VIVO),
    limit(Vendor::Meizu, "marketing_device", Sort::Marketing, Of::Device, 3, MEIZU),
];
