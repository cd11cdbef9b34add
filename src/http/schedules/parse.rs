//! A schedule's body into what the engine takes. Whether its time has passed, the engine says.

use carillon_actors::audience::Audience;
use carillon_actors::model::App;
use carillon_actors::schedule::calendar::{self, Cycle, Invalid, Strategy, Zone};
use carillon_actors::schedule::object::{Face, Missed};
use carillon_actors::schedule::{NewSchedule, Request};
use carillon_actors::store::Idempotency;
use carillon_sdk::api::Target;
use carillon_sdk::api::schedules::{self as api, CreateSchedule, Moment};
use carillon_sdk::{Timestamp, Ttl};

use super::super::keys::is_name;
use super::super::pushes::{order_of, order_of_batch};
use super::super::{Code, Refused, State};

pub(super) fn parse_schedule(
    state: &State,
    app: App,
    mut asked: CreateSchedule,
    repeatable: Option<Idempotency>,
) -> Result<NewSchedule, Refused> {
    if asked.name.as_deref().is_some_and(|name| !is_name(name)) {
        return Err(invalid("/name", "1 to 64 bytes without control characters"));
    }
    own_audience(&mut asked)?;
    let audience = asked.audience.take();
    if let Some(text) = &audience {
        audience_fits(text, &asked, state.engine.clock().now())?;
    }
    let order = match (asked.push.take(), asked.batch.take()) {
        (Some(push), None) => {
            order_of(state, app, push, asked.name.clone()).map_err(|refused| refused.within("/push"))?
        }
        (None, Some(batch)) => {
            order_of_batch(state, app, batch).map_err(|refused| refused.within("/batch"))?
        }
        _ => return Err(invalid("/push", "exactly one of push and batch")),
    };
    let late_max = late_max(&asked, state.engine.limits().ttl_max)?;
    Ok(NewSchedule {
        order,
        audience,
        strategy: strategy(&asked, &state.engine.settings(app).time_zone, state.engine.clock().wall())?,
        missed: match asked.missed.unwrap_or_default() {
            api::Missed::LateOnce => Missed::LateOnce,
            api::Missed::Skip => Missed::Skip,
        },
        late_max,
        face: Face::Api,
        delivery_type: None,
        request: repeatable.map(|Idempotency { key, body }| Request { key, body }),
    })
}

/// A push's own audience is the schedule's: it is read again at each firing.
fn own_audience(asked: &mut CreateSchedule) -> Result<(), Refused> {
    let Some(push) = &mut asked.push else { return Ok(()) };
    let Some(text) = push.to.audience.take() else { return Ok(()) };
    if asked.audience.is_some() || push.to != Target::default() {
        let detail = "exactly one of devices, users, audience and all";
        return Err(Refused::at(Code::TargetInvalid, "/push/to", detail));
    }
    push.to.all = true;
    asked.audience = Some(text);
    Ok(())
}

fn audience_fits(text: &str, asked: &CreateSchedule, now: Timestamp) -> Result<(), Refused> {
    if !asked.push.as_ref().is_some_and(|push| push.to.all) {
        return Err(invalid("/audience", "it is for a push to all"));
    }
    Audience::parse(text, now)
        .map(drop)
        .map_err(|error| Refused::at(Code::AudienceInvalid, "/audience", error.to_string()))
}

fn late_max(asked: &CreateSchedule, most: Ttl) -> Result<Option<Ttl>, Refused> {
    let Some(seconds) = asked.late_max_s else { return Ok(None) };
    if asked.missed == Some(api::Missed::Skip) {
        return Err(invalid("/late_max_s", "it is for late_once"));
    }
    let late_max = Ttl::from_secs(seconds);
    if seconds == 0 || late_max > most {
        return Err(invalid("/late_max_s", &format!("it is 1 to {} seconds", most.as_millis() / 1000)));
    }
    Ok(Some(late_max))
}

fn strategy(asked: &CreateSchedule, zone: &str, now: Timestamp) -> Result<Strategy, Refused> {
    match (&asked.at, asked.every) {
        (Some(at), None) => {
            let cyclic = [
                ("/on", !asked.on.is_empty()),
                ("/time", asked.time.is_some()),
                ("/zone", asked.zone.is_some()),
                ("/from", asked.from.is_some()),
                ("/to", asked.to.is_some()),
            ];
            match cyclic.iter().find(|(_, given)| *given) {
                Some((pointer, _)) => Err(invalid(pointer, "it is for every")),
                None => Ok(Strategy::Once(moment(at)?)),
            }
        }
        (None, Some(every)) => cycle(asked, every, zone, now).map(Strategy::Cyclic),
        _ => Err(invalid("/at", "exactly one of at and every")),
    }
}

fn moment(at: &Moment) -> Result<Timestamp, Refused> {
    let wrong = || invalid("/at", "milliseconds since 1970, or RFC 3339 as 2026-12-01T09:00:00+08:00");
    let millis = match at {
        Moment::Millis(millis) => *millis,
        Moment::Text(text) => {
            let at: jiff::Timestamp = text.parse().map_err(|_| wrong())?;
            u64::try_from(at.as_millisecond()).map_err(|_| wrong())?
        }
    };
    Ok(Timestamp::from_millis(millis))
}

fn cycle(asked: &CreateSchedule, every: api::Every, zone: &str, now: Timestamp) -> Result<Cycle, Refused> {
    let at = |pointer: &'static str| move |error: Invalid| invalid(pointer, &error.to_string());
    let given = |field: &'static str, text: &Option<String>| {
        text.clone().ok_or_else(|| invalid(&format!("/{field}"), "every needs it"))
    };
    let on = asked.on.iter().copied();
    let every = match every {
        api::Every::Day if asked.on.is_empty() => calendar::Every::Day,
        api::Every::Day => return Err(invalid("/on", "it is for weeks and months")),
        api::Every::Week => calendar::Every::week(on).map_err(at("/on"))?,
        api::Every::Month => calendar::Every::month(on).map_err(at("/on"))?,
    };
    let zone = match asked.zone.as_deref() {
        None | Some("app") => Zone::parse(zone),
        Some(zone) => Zone::parse(zone),
    };
    let zone = zone.map_err(at("/zone"))?;
    let from = match &asked.from {
        Some(from) => calendar::date(from).map_err(at("/from"))?,
        None => zone.date(now),
    };
    Ok(Cycle {
        every,
        time: calendar::time(&given("time", &asked.time)?).map_err(at("/time"))?,
        from,
        to: calendar::date(&given("to", &asked.to)?).map_err(at("/to"))?,
        zone,
    })
}

fn invalid(pointer: &str, detail: &str) -> Refused {
    Refused::at(Code::ScheduleInvalid, pointer, detail)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1_796_083_200_000);

    fn parse(fields: Value) -> Result<Strategy, Code> {
        let mut body = fields;
        body["push"] = json!({"to": {"all": true}});
        let asked: CreateSchedule = serde_json::from_value(body).unwrap();
        strategy(&asked, "Asia/Shanghai", NOW).map_err(|refused| refused.code())
    }

    #[test]
    fn a_moment_is_milliseconds_or_rfc_3339() {
        let once = Strategy::Once(Timestamp::from_millis(1_796_086_800_000));
        for at in
            [json!(1_796_086_800_000_u64), json!("2026-12-01T01:00:00Z"), json!("2026-12-01T09:00:00+08:00")]
        {
            assert_eq!(parse(json!({ "at": at })), Ok(once.clone()), "{at}");
        }
        for at in ["", "tomorrow", "2026-12-01", "2026-12-01T09:00:00", "1796086800000"] {
            assert_eq!(parse(json!({ "at": at })), Err(Code::ScheduleInvalid), "{at}");
        }
    }

    #[test]
    fn a_cycle_has_the_apps_zone_and_begins_today_unless_it_says_otherwise() {
        let Ok(Strategy::Cyclic(cycle)) = parse(json!({"every": "day", "time": "09:00", "to": "2026-12-31"}))
        else {
            panic!("it is a cycle")
        };
        assert_eq!((cycle.zone.name(), cycle.from.to_string().as_str()), ("Asia/Shanghai", "2026-12-01"));
        let app = parse(json!({"every": "day", "time": "09:00", "to": "2026-12-31", "zone": "app"}));
        assert_eq!(app, Ok(Strategy::Cyclic(cycle)));
    }

    #[test]
    fn what_is_no_schedule_is_refused() {
        for body in [
            json!({}),
            json!({"at": 1, "every": "day"}),
            json!({"at": 1, "time": "09:00"}),
            json!({"at": 1, "zone": "UTC"}),
            json!({"every": "day", "to": "2026-12-31"}),
            json!({"every": "day", "time": "09:00"}),
            json!({"every": "day", "time": "9", "to": "2026-12-31"}),
            json!({"every": "day", "time": "09:00", "to": "2026-02-30"}),
            json!({"every": "day", "on": [1], "time": "09:00", "to": "2026-12-31"}),
            json!({"every": "week", "time": "09:00", "to": "2026-12-31"}),
            json!({"every": "week", "on": [8], "time": "09:00", "to": "2026-12-31"}),
            json!({"every": "month", "on": [0], "time": "09:00", "to": "2026-12-31"}),
            json!({"every": "day", "time": "09:00", "to": "2026-12-31", "zone": "Mars"}),
        ] {
            assert_eq!(parse(body.clone()), Err(Code::ScheduleInvalid), "{body}");
        }
    }
}
