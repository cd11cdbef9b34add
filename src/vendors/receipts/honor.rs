//! Honor's receipts: Huawei's shape with numbers of its own. No public page of Honor's lists them;
//! 40000002 was seen, and the tails follow what a large sender published.

use carillon_actors::channel::{News, Receipt};
use carillon_sdk::Timestamp;

use super::{huawei, noted, of_each, refused};

pub(super) fn read(body: &[u8]) -> Option<Vec<Receipt>> {
    of_each(huawei::statuses(body)?, |one| huawei::of(one.as_object()?, one.as_object()?, "status", news))
}

fn news(status: u64, at: Option<Timestamp>) -> News {
    if status != 0 && !(40_000_000..40_000_100).contains(&status) {
        return noted(&status);
    }
    match status % 100 {
        // Data delivered, notification delivered. A bare 0 is Huawei's word for it.
        1 | 2 => News::Delivered,
        0 if status == 0 => News::Delivered,
        // The app is gone; the device does not know the token.
        3 | 4 => News::Dead { since: at },
        // The process was away and has the data now; held back until the screen is on.
        0 | 13 => noted(&status),
        _ => refused(&status),
    }
}
