//! Numbers: what became of an app's pushes, over a window or of a task.

use carillon_actors::analysis::{self, Figures, TaskReport};
use carillon_actors::model::Task;
use carillon_actors::store::TaskQuery;
use carillon_actors::store::stats::{Asked, Filter};
use carillon_sdk::Timestamp;
use carillon_sdk::api::{Dimension, Granularity};
use jiff::ToSpan as _;
use serde_json::{Value, json};

use super::actions::Call;
use super::answer::{Done, Refused};
use super::result::{Code, Failure};
use super::schedules::{push_type, zone};
use super::templates::paging;

/// Days a question may span.
const DAYS_MAX: u64 = 90;
const DAY_MS: u64 = 86_400_000;

const PAGE_SIZE_DEFAULT: i64 = 20;
const PAGE_SIZE_MAX: i64 = 500;

const OWN: &str = "own";

/// The contract's words for a dimension's values, and ours.
const PLATFORMS: [(&str, &str); 3] = [("IOS", "ios"), ("ANDROID", "android"), ("HARMONYOS", "harmonyos")];
const CHANNELS: [(&str, &str); 9] = [
    ("ANDROID", OWN),
    ("IOS", "apns"),
    ("FCM", "fcm"),
    ("HMS", "huawei"),
    ("MIUI", "xiaomi"),
    ("OPPO", "oppo"),
    ("VIVO", "vivo"),
    ("HARMONYOS", "harmonyos"),
    ("HONOR", "honor"),
];
const TYPES: [(&str, &str); 4] =
    [("SIMPLE", "single"), ("TEMPLATE", "template"), ("MULTIPLE", "multiple"), ("BROADCAST", "broadcast")];

/// As numbers.
pub(super) async fn index(call: Call) -> Result<Done, Refused> {
    let figures = figures(&call).await?.with_handed_over_arrived();
    Ok(Done::Data(json!({
        "PushTotalNum": figures.accepted,
        "PushNum": figures.successful,
        "ArrivalNum": figures.arrived,
        "ArrivalRate": figures.arrival_rate(),
        "OpenNum": figures.opened,
        "OpenRate": figures.open_rate(),
        "IgnoreNum": figures.dismissed,
        "IgnoreRate": figures.dismiss_rate(),
    })))
}

/// The same as texts.
pub(super) async fn index_in_texts(call: Call) -> Result<Done, Refused> {
    let Done::Data(Value::Object(numbers)) = index(call).await? else { return Ok(Done::Nothing) };
    let texts = numbers.into_iter().map(|(name, number)| (name, Value::from(number.to_string())));
    Ok(Done::Data(Value::Object(texts.collect())))
}

async fn figures(call: &Call) -> Result<Figures, Refused> {
    let mut filter = Filter::default();
    for (name, dimension, words) in
        [("Platform", Dimension::Platform, &PLATFORMS[..]), ("Type", Dimension::PushType, &TYPES)]
    {
        if let Some(ours) = word(call, name, words)? {
            filter = filter.with(dimension, ours);
        }
    }
    let channel = word(call, "Channel", &CHANNELS)?;
    let (mut from, to) = days(call)?;
    if let Some(task) = task_of(call)? {
        filter = filter.with(Dimension::Task, task.to_string());
        // A task is counted by days of UTC: the one in which this zone's first day begins is in it.
        from = Timestamp::from_millis(from.as_millis() / DAY_MS * DAY_MS);
    }
    let asked = Asked { from, to, granularity: Granularity::Hour, filter, group_by: Vec::new() };
    let Some(channel) = channel else { return counted(call, asked).await };
    let narrowed = asked.filter.clone().with(Dimension::Channel, channel);
    let alone = counted(call, Asked { filter: narrowed, ..asked.clone() }).await?;
    if channel == OWN {
        return Ok(of_ours(alone, counted(call, asked).await?));
    }
    Ok(of_vendor(alone))
}

/// What a parameter says, in our word.
fn word(
    call: &Call,
    name: &str,
    words: &[(&'static str, &'static str)],
) -> Result<Option<&'static str>, Failure> {
    let Some(text) = call.form.text(name) else { return Ok(None) };
    let ours = words.iter().find(|(theirs, _)| text.eq_ignore_ascii_case(theirs));
    let (_, ours) = ours.ok_or_else(|| Code::InvalidParam.because(format!("{name} is {text:?}")))?;
    Ok(Some(ours))
}

async fn counted(call: &Call, asked: Asked) -> Result<Figures, Refused> {
    let figures = analysis::figures(call.state.engine.store(), call.app, &asked).await?;
    Ok(figures.ok_or_else(|| Code::InvalidParam.because("too much to count at once: ask for fewer days"))?)
}

/// A push is accepted before a road has carried it. So a vendor's are those that it took or refused.
fn of_vendor(alone: Figures) -> Figures {
    let taken = alone.arrived + alone.handed_over;
    Figures { accepted: taken + alone.rejected, successful: taken, ..alone }
}

/// Our own are all that no vendor took or refused.
fn of_ours(alone: Figures, all: Figures) -> Figures {
    let settled = |figures: &Figures| figures.arrived + figures.handed_over + figures.rejected;
    let by_vendors = settled(&all).saturating_sub(settled(&alone));
    let accepted = all.accepted.saturating_sub(by_vendors);
    Figures { accepted, successful: accepted.saturating_sub(alone.rejected), ..alone }
}

/// From the beginning of StartTime's day to the end of EndTime's, in the face's zone.
fn days(call: &Call) -> Result<(Timestamp, Timestamp), Failure> {
    let at = |name: &str| {
        let given = call.form.int(name)?.and_then(|ms| u64::try_from(ms).ok());
        given.ok_or_else(|| Code::InvalidParam.because(format!("{name}, in milliseconds since 1970")))
    };
    let (start, end) = (at("StartTime")?, at("EndTime")?);
    if end < start {
        return Err(Code::InvalidParam.because("EndTime is before StartTime"));
    }
    if end - start > DAYS_MAX * DAY_MS {
        return Err(Code::InvalidParam.because(format!("at most {DAYS_MAX} days")));
    }
    let zone = zone(call);
    let day = |ms, later| {
        day_in(&zone, ms, later).ok_or_else(|| Code::InvalidParam.because(format!("{ms} is no date")))
    };
    Ok((day(start, 0)?, day(end, 1)?))
}

/// The beginning of the day of a moment, or of one some days later.
fn day_in(zone: &str, ms: u64, later: i64) -> Option<Timestamp> {
    let at = jiff::Timestamp::from_millisecond(i64::try_from(ms).ok()?).ok()?;
    let date = at.in_tz(zone).ok()?.date().checked_add(later.days()).ok()?;
    let begin = date.in_tz(zone).ok()?.timestamp().as_millisecond();
    u64::try_from(begin).ok().map(Timestamp::from_millis)
}

fn task_of(call: &Call) -> Result<Option<Task>, Failure> {
    let parse = |text: &str| text.parse().map(Task);
    let task = call.form.text("TaskId").map(parse).transpose();
    task.map_err(|_| Code::InvalidParam.because("TaskId is no task's"))
}

/// Tasks, the newest first.
pub(super) async fn tasks(call: Call) -> Result<Done, Refused> {
    let (page, size) = paging(&call.form, "PageNumber", PAGE_SIZE_DEFAULT, PAGE_SIZE_MAX)?;
    let since = call.form.int("StartTime")?.and_then(|ms| u64::try_from(ms).ok());
    let since = since.ok_or_else(|| Code::InvalidParam.because("StartTime, in milliseconds since 1970"))?;
    let since = Timestamp::from_millis(since);
    let store = call.state.engine.store();
    let views = match task_of(&call)? {
        Some(task) => {
            store.task(call.app, task).await?.filter(|view| view.created_at >= since).into_iter().collect()
        }
        None => {
            let skip = (page - 1).saturating_mul(size);
            let query = TaskQuery { since, before: None, name: call.form.owned("TaskName"), skip };
            store.tasks(call.app, &query, size).await?
        }
    };
    let templates = call.state.engine.templates(call.app);
    let rows = views.iter().map(|view| {
        let template = view.info.template.clone().unwrap_or_default();
        json!({
            "TaskId": view.task.to_string(),
            "TaskName": view.info.name.clone().unwrap_or_default(),
            "TemplateId": templates.get(&template).map(|kept| kept.template.id).unwrap_or_default(),
            "TemplateName": template,
            "Type": push_type(view.info.push_type),
            "GmtCreate": view.created_at,
            "List": [],
        })
    });
    Ok(Done::Data(Value::Array(rows.collect())))
}

/// One task's numbers. `Duration` is in seconds.
pub(super) async fn task(call: Call) -> Result<Done, Refused> {
    let now = call.state.engine.clock().now();
    let unknown = || Code::InvalidParam.because("there is no such task");
    let task = task_of(&call)?.ok_or_else(unknown)?;
    let report: Option<TaskReport> = analysis::task(call.state.engine.store(), call.app, task, now).await?;
    let report = report.ok_or_else(unknown)?;
    Ok(Done::Data(json!({
        "TaskId": task.0,
        "PushNum": report.figures.accepted,
        "PushSuccessNum": report.figures.successful,
        "PushArrivalNum": report.figures.with_handed_over_arrived().arrived,
        "StartTime": report.view.created_at,
        "EndTime": report.ended_at.unwrap_or(report.changed_at),
        "Duration": (report.duration(now).as_millis() / 1_000).to_string(),
    })))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_one_channel_are_the_pushes_that_it_carried() {
        // Six were accepted: a vendor took three, of which one was confirmed, and refused one; one was
        // acked on our own road and one waits.
        let counted = |accepted, arrived, handed_over, rejected| Figures {
            accepted,
            successful: accepted - u64::min(accepted, rejected),
            arrived,
            handed_over,
            rejected,
            ..Figures::default()
        };
        let (all, own, vendor) = (counted(6, 2, 2, 1), counted(6, 1, 0, 0), counted(0, 1, 2, 1));
        let of = |figures: Figures| {
            let figures = figures.with_handed_over_arrived();
            (figures.accepted, figures.successful, figures.arrived)
        };
        assert_eq!(of(of_vendor(vendor)), (4, 3, 3));
        assert_eq!(of(of_ours(own, all)), (2, 2, 1));
        assert_eq!(of(all), (6, 5, 4));
    }

    #[test]
    fn a_day_is_the_zones_own() {
        let at = |zone, ms, later| day_in(zone, ms, later).map(Timestamp::as_millis);
        // 2026-03-29T12:00 in Berlin, the day the clocks went forward: 23 hours long.
        let noon = 1_774_778_400_000;
        assert_eq!(at("Europe/Berlin", noon, 0), Some(1_774_738_800_000));
        assert_eq!(at("Europe/Berlin", noon, 1), Some(1_774_738_800_000 + 23 * 3_600_000));
        assert_eq!(at("Asia/Shanghai", 0, 0), None, "before 1970 there");
        assert_eq!(at("Mars/Olympus", noon, 0), None);
    }
}
