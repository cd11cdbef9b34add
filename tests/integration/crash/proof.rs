//! What the books must show when all is over.

use std::collections::BTreeMap;

use carillon_sdk::MessageId;
use carillon_sdk::api::{MessageView, Step, TargetView};

use super::ledger::{Accepted, Ledger, To};
use crate::harness::{App, eventually};

/// By when what was acked has its verdict.
const DEADLINE: std::time::Duration = std::time::Duration::from_secs(20);

/// Every 202 was delivered to a device that acked it, or expired where it might; and the counts
/// are those of the verdicts.
pub(crate) async fn check(app: &App, ledger: &Ledger) {
    let mut verdicts = BTreeMap::<String, u64>::new();
    let mut stories = BTreeMap::new();
    for id in ledger.all_ids() {
        let story = settled(app, id).await;
        for (state, count) in &story.0.counts {
            *verdicts.entry(state.clone()).or_default() += count;
        }
        stories.insert(id, story);
    }
    for (title, accepted) in ledger.all_accepted() {
        let (view, targets) = &stories[&accepted.id];
        check_one(&title, &accepted, view, targets, ledger);
    }
    let count = |state: &str| verdicts.get(state).copied().unwrap_or(0);
    let wanted = (count("delivered"), count("expired"), 0, 0);
    eventually("the counts to equal the verdicts", async || {
        let row = app.totals().await;
        let counts = (row.arrived, row.expired, row.failed, row.replaced);
        if counts != wanted {
            eprintln!("counted {counts:?}, verdicts say {wanted:?}");
        }
        (counts == wanted).then_some(())
    })
    .await;
}

/// The story of a message of which nothing is pending any more, all its pages. Also of one that was
/// never answered: what a kill cut off between history and commit has no story.
async fn settled(app: &App, id: MessageId) -> (MessageView, Vec<TargetView>) {
    let mut last = None;
    let story = tokio::time::timeout(
        DEADLINE,
        eventually("verdicts", async || {
            let view = app.api.message(id, None).await.unwrap();
            last = Some(view.clone());
            let mut targets = view.targets.clone();
            let mut next = view.next.clone();
            while let Some(cursor) = next {
                let page = app.api.message(id, Some(&cursor)).await.unwrap();
                targets.extend(page.targets);
                next = page.next;
            }
            let ended = !targets.is_empty() && targets.iter().all(|target| target.state != "pending");
            ended.then_some((view, targets))
        }),
    )
    .await;
    story.unwrap_or_else(|_| panic!("pending though every device acked all it got: {last:?}"))
}

fn check_one(title: &str, accepted: &Accepted, view: &MessageView, targets: &[TargetView], ledger: &Ledger) {
    for target in targets {
        let verdicts = target.steps.iter().filter(|step| step.step.is_verdict()).count();
        assert_eq!(verdicts, 1, "{title}: {target:?}");
        match (target.state.as_str(), &target.device_id) {
            ("delivered", Some(device)) => {
                assert!(ledger.has_acked(device.as_str(), title), "{title}: {device} never acked it");
            }
            ("expired", _) => {
                assert!(accepted.may_expire, "{title} expired long before its time: {target:?}");
            }
            _ => panic!("{title} ended as {target:?}"),
        }
    }
    for to in &accepted.to {
        let found = match to {
            To::Device(device) => targets.iter().any(|target| is(target.device_id.as_ref(), device)),
            // The user's devices stand for the user, if there were any.
            To::User(_) => !targets.is_empty(),
            // Of everybody, by name or as a group, each has its verdict: the counts say how many.
            To::All => {
                targets.iter().all(was_accepted) && view.counts.values().sum::<u64>() == super::DEVICES as u64
            }
        };
        assert!(found, "{title} was accepted for {to:?}, and is nowhere: {view:?}");
    }
}

fn was_accepted(target: &TargetView) -> bool {
    target.steps.iter().any(|step| step.step == Step::Accepted)
}

fn is(id: Option<&impl ToString>, name: &str) -> bool {
    id.is_some_and(|id| id.to_string() == name)
}
