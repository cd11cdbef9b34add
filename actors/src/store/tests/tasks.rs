use carillon_sdk::{Timestamp, Ttl};

use super::super::stats::{Asked, Counts};
use super::super::{TaskInfo, TaskQuery};
use super::harness::{BOTH, Bench, HOUR, On, wait};
use crate::limits::Limits;
use crate::model::{App, Message, Owner, PushType, Task};

fn named(bench: &Bench, app: App, name: &str) -> Task {
    let info = TaskInfo {
        name: Some(name.to_owned()),
        push_type: PushType::Multiple,
        template: None,
        expires_at: bench.clock.now() + HOUR,
    };
    wait(bench.store().open_task(app, info, None)).unwrap()
}

fn found(bench: &Bench, app: App, query: &TaskQuery, limit: usize) -> Vec<Task> {
    let views = wait(bench.store().tasks(app, query, limit)).unwrap();
    views.into_iter().map(|view| view.task).collect()
}

/// One push of a task, to one device.
fn push(bench: &Bench, app: App, task: Task, owner: Owner) {
    bench.enqueue(Message { task: Some(task), ..bench.message(app) }, &[owner]).unwrap();
}

#[test]
fn tasks_are_listed_newest_first_in_pages_after_a_kill_too() {
    for on in BOTH {
        let mut bench = Bench::new(on);
        let (app, other) = (bench.app("shop"), bench.app("bank"));
        let mut tasks = Vec::new();
        for number in 0..5 {
            tasks.push(named(&bench, app, &format!("spring {number}")));
            named(&bench, other, "not ours");
            bench.advance(HOUR);
        }
        tasks.reverse();
        bench.kill_and_reopen();
        let all = TaskQuery::default();
        assert_eq!(found(&bench, app, &all, 10), tasks);
        assert_eq!(found(&bench, app, &all, 2), tasks[..2]);
        let rest = TaskQuery { before: Some(tasks[1]), ..all.clone() };
        assert_eq!(found(&bench, app, &rest, 2), tasks[2..4]);
        assert_eq!(found(&bench, app, &TaskQuery { skip: 4, ..all.clone() }, 2), tasks[4..]);
        let since = TaskQuery { since: bench.clock.now() - Ttl::from_secs(2 * 3600), ..all };
        assert_eq!(found(&bench, app, &since, 10), tasks[..2]);
        assert_eq!(wait(bench.store().task(other, tasks[0])).unwrap(), None, "another app's");
    }
}

#[test]
fn a_task_is_found_by_a_part_of_its_name() {
    let bench = Bench::new(On::Memory);
    let app = bench.app("shop");
    let spring = named(&bench, app, "Spring sale");
    let other: Vec<_> = (0..600).map(|number| named(&bench, app, &format!("autumn {number}"))).collect();
    let by = |name: &str, skip| TaskQuery { name: Some(name.to_owned()), skip, ..TaskQuery::default() };
    assert_eq!(found(&bench, app, &by("spring", 0), 3), [spring], "beyond the first stretch");
    assert_eq!(found(&bench, app, &by("AUTUMN 1", 1), 1).len(), 1);
    assert_eq!(found(&bench, app, &by("autumn", 0), 1000).len(), other.len());
    assert_eq!(found(&bench, app, &by("winter", 0), 3), []);
}

#[test]
fn beyond_the_bound_the_oldest_task_goes_with_its_statistics() {
    for on in BOTH {
        let mut bench = Bench::with(on, Limits { tasks_max: 2, ..Limits::default() });
        let app = bench.app("shop");
        let phones: Vec<_> = (0..8).map(|number| bench.device(app, &format!("phone {number}"))).collect();
        let mut tasks = Vec::new();
        for round in 0..3 {
            let task = named(&bench, app, &round.to_string());
            phones.iter().for_each(|phone| push(&bench, app, task, Owner::Device(*phone)));
            tasks.push(task);
            bench.advance(Ttl::from_secs(61));
            wait(bench.store().close_minutes(bench.clock.now())).unwrap();
        }
        let counted = |bench: &Bench| {
            let of = |task: &Task| wait(bench.store().task_counts(app, *task)).unwrap().accepted;
            tasks.iter().map(of).collect::<Vec<_>>()
        };
        bench.sweep();
        assert_eq!(found(&bench, app, &TaskQuery::default(), 10), [tasks[2], tasks[1]]);
        assert_eq!(counted(&bench), [0, 8, 8]);
        push(&bench, app, tasks[0], Owner::Device(phones[0]));
        bench.advance(Ttl::from_secs(61));
        wait(bench.store().close_minutes(bench.clock.now())).unwrap();
        bench.kill_and_reopen();
        assert_eq!(counted(&bench), [0, 8, 8], "what comes late for it is in the app's counts alone");
    }
}

#[test]
fn a_task_whose_time_is_over_is_forgotten_and_the_apps_counts_stay() {
    for on in BOTH {
        let bench = Bench::new(on);
        let app = bench.app("shop");
        let phone = bench.device(app, "phone");
        let old = named(&bench, app, "old");
        push(&bench, app, old, Owner::Device(phone));
        bench.advance(Ttl::from_secs(61));
        wait(bench.store().close_minutes(bench.clock.now())).unwrap();
        bench.advance(Ttl::from_secs(10 * 86_400));
        let young = named(&bench, app, "young");
        bench.advance(Ttl::from_secs(20 * 86_400 + 1));
        bench.sweep();
        assert_eq!(found(&bench, app, &TaskQuery::default(), 10), [young]);
        assert_eq!(wait(bench.store().task_counts(app, old)).unwrap(), Counts::default());
        let asked = Asked {
            to: bench.clock.now(),
            granularity: carillon_sdk::api::Granularity::Day,
            ..Asked::default()
        };
        let rows = wait(bench.store().counts(app, &asked)).unwrap().unwrap();
        assert_eq!(rows.iter().map(|row| row.accepted).sum::<u64>(), 1);
        assert!(rows[0].start > Timestamp::default());
    }
}

#[test]
fn the_statistics_of_an_apps_last_task_go_with_it_though_a_kill_comes_between() {
    for on in BOTH {
        let mut bench = Bench::new(on);
        let app = bench.app("shop");
        let phone = bench.device(app, "phone");
        let last = named(&bench, app, "last");
        push(&bench, app, last, Owner::Device(phone));
        bench.advance(Ttl::from_secs(61));
        wait(bench.store().close_minutes(bench.clock.now())).unwrap();
        let by_task = |bench: &Bench| {
            let asked = Asked {
                to: bench.clock.now(),
                granularity: carillon_sdk::api::Granularity::Day,
                group_by: vec![carillon_sdk::api::Dimension::Task],
                ..Asked::default()
            };
            wait(bench.store().counts(app, &asked)).unwrap().unwrap()
        };
        assert_eq!(by_task(&bench).len(), 1);
        // The verdict of what expires meanwhile belongs to a minute of its own.
        bench.advance(Ttl::from_secs(2 * 86_400));
        bench.sweep();
        bench.advance(Ttl::from_secs(61));
        wait(bench.store().close_minutes(bench.clock.now())).unwrap();
        bench.advance(Ttl::from_secs(28 * 86_400));
        bench.sweep();
        bench.kill_and_reopen();
        bench.sweep();
        assert_eq!(by_task(&bench), []);
    }
}
