//! Merging a page from the two queues a device reads.

use std::collections::VecDeque;

use super::Page;
use super::work::QueuePage;
use crate::model::{Due, Seq};

/// Of four places in a page, three are high's and one is normal's, as long as both have any.
const HIGH_IN_ROW: usize = 3;

/// Merges by lane and place. A cursor will stand behind the last place of a lane, so nothing is
/// taken beyond a place that might yet be missing: the end of a queue's share that has more, and
/// whatever either partition had drawn when it was read (a place drawn earlier in one partition
/// can become readable later than one drawn in the other).
pub(super) fn merge(own: QueuePage, of_user: QueuePage, limit: usize) -> Page {
    let safe = own.safe.min(of_user.safe);
    let heads = (own.head, of_user.head);
    let (mut high, more_high) = lane([own.high, of_user.high], [own.more_high, of_user.more_high], safe);
    let (mut normal, more_normal) =
        lane([own.normal, of_user.normal], [own.more_normal, of_user.more_normal], safe);
    let mut due = Vec::with_capacity(limit.min(high.len() + normal.len()));
    let mut in_row = 0;
    while due.len() < limit {
        let next = if in_row < HIGH_IN_ROW || normal.is_empty() { high.pop_front() } else { None };
        match next {
            Some(next) => {
                in_row += 1;
                due.push(next);
            }
            None => {
                in_row = 0;
                match normal.pop_front() {
                    Some(next) => due.push(next),
                    None => break,
                }
            }
        }
    }
    let more = more_high || more_normal || !high.is_empty() || !normal.is_empty();
    Page { due, more, device_head: heads.0, user_head: heads.1 }
}

fn lane(shares: [Vec<Due>; 2], more: [bool; 2], safe: Seq) -> (VecDeque<Due>, bool) {
    let mut bound = safe;
    for (share, more) in shares.iter().zip(more) {
        if more {
            bound = bound.min(share.last().map_or(Seq(0), |last| last.seq));
        }
    }
    let mut merged: Vec<Due> = shares.into_iter().flatten().collect();
    merged.sort_by_key(|due| due.seq);
    let all = merged.len();
    merged.retain(|due| due.seq <= bound);
    let cut = merged.len() < all;
    (merged.into(), cut || more.contains(&true))
}
