//! A broadcast's audience: a platform, and whether somebody is logged in, since when.

use carillon_actors::audience::{Audience, Fact};
use carillon_sdk::api::Platform;
use carillon_sdk::{Timestamp, Ttl};

use super::super::form::Form;
use super::super::result::{Code, Failure};

const DAY: Ttl = Ttl::from_secs(86_400);

/// Whether somebody is logged in, or nobody is: each with times of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Side {
    Bound,
    Unbound,
}

/// A time of binding or unbinding; nothing said is any time.
#[derive(Debug, Default, PartialEq, Eq)]
struct Window {
    since: Option<Timestamp>,
    until: Option<Timestamp>,
}

pub(super) fn audience(form: &Form, now: Timestamp) -> Result<Audience, Failure> {
    let platform = match form.int("DeliveryType").map_err(|_| Code::DeliveryTypeNotSupported)? {
        Some(1) => Platform::Android,
        Some(2) => Platform::Ios,
        Some(7) => Platform::HarmonyOs,
        Some(3) => return Err(Code::BroadcastOnlyByDevice.into()),
        other => return Err(Code::DeliveryTypeNotSupported.because(format!("{other:?} is none of 1, 2, 7"))),
    };
    let part = |side| Ok::<_, Failure>(side_of(side, &window(form, side, now)?));
    let who = match form.choice("PushStatus", &[0, 1, 2])? {
        0 => part(Side::Bound)?,
        1 => Audience::Any(vec![part(Side::Bound)?, part(Side::Unbound)?]),
        _ => part(Side::Unbound)?,
    };
    Ok(Audience::All(vec![Audience::Is(Fact::Platform(platform)), who]))
}

fn side_of(side: Side, window: &Window) -> Audience {
    let bound = Audience::Is(Fact::Bound);
    let (own, since, until) = match side {
        Side::Bound => (bound, window.since.map(Fact::BoundSince), window.until.map(Fact::BoundBefore)),
        Side::Unbound => (
            Audience::Not(Box::new(bound)),
            window.since.map(Fact::UnboundSince),
            window.until.map(Fact::UnboundBefore),
        ),
    };
    Audience::All(
        [Some(own), since.map(Audience::Is), until.map(Audience::Is)].into_iter().flatten().collect(),
    )
}

/// A window of its own, where TimeMode is 1 or one is named, else one of the preset periods. Neither
/// is any time: SDKs of before 2020-10-28 cannot name a period.
fn window(form: &Form, side: Side, now: Timestamp) -> Result<Window, Failure> {
    let [period, start, end] = match side {
        Side::Bound => ["BindPeriod", "BindStartTime", "BindEndTime"],
        Side::Unbound => ["UnBindPeriod", "UnBindStartTime", "UnBindEndTime"],
    };
    let own = form.choice("TimeMode", &[0, 1])? == 1;
    let at = |name: &str| -> Result<Option<Timestamp>, Failure> {
        let given = form.int(name)?.map(u64::try_from).transpose();
        let given = given.map_err(|_| Code::InvalidParam.because(format!("{name} is before 1970")))?;
        Ok(given.map(Timestamp::from_millis))
    };
    let window = Window { since: at(start)?, until: at(end)? };
    if own || window != Window::default() {
        if let (Some(since), Some(until)) = (window.since, window.until)
            && since >= until
        {
            return Err(Code::InvalidParam.because(format!("{start} is not before {end}")));
        }
        return Ok(window);
    }
    let days = match form.choice(period, &[4, 1, 2, 3])? {
        1 => 7,
        2 => 15,
        3 => 60,
        _ => return Ok(Window::default()),
    };
    Ok(Window { since: Some(now - Ttl::from_millis(DAY.as_millis() * days)), until: None })
}

#[cfg(test)]
mod tests {
    use super::super::super::sign::pairs;
    use super::*;

    fn of(text: &str) -> Result<String, Code> {
        let form = Form::new(pairs(text.as_bytes())).unwrap();
        let now = Timestamp::from_millis(100 * DAY.as_millis());
        audience(&form, now).map(|audience| format!("{audience:?}")).map_err(|failure| failure.code)
    }

    #[test]
    fn who_is_logged_in_or_not_and_since_when() {
        let day = |day: u64| format!("{:?}", Timestamp::from_millis(day * DAY.as_millis()));
        let bound = of("DeliveryType=1&BindPeriod=1").unwrap();
        assert!(bound.contains("Android") && bound.contains(&format!("BoundSince({})", day(93))), "{bound}");
        let unbound = of("DeliveryType=7&PushStatus=2&UnBindPeriod=3").unwrap();
        assert!(unbound.contains("HarmonyOs") && unbound.contains("Not(Is(Bound))"), "{unbound}");
        assert!(unbound.contains(&format!("UnboundSince({})", day(40))), "{unbound}");
        let all = of("DeliveryType=2&PushStatus=1").unwrap();
        assert!(all.contains("Any(") && !all.contains("Since"), "{all}");
        let own = of("DeliveryType=1&TimeMode=1&BindStartTime=5&BindEndTime=9&BindPeriod=1").unwrap();
        assert!(own.contains("BoundSince(") && own.contains("BoundBefore("), "{own}");
    }

    #[test]
    fn a_broadcast_is_for_the_devices_of_a_platform() {
        assert_eq!(of("DeliveryType=3"), Err(Code::BroadcastOnlyByDevice));
        assert_eq!(of("DeliveryType=4"), Err(Code::DeliveryTypeNotSupported));
        assert_eq!(of("DeliveryType=1&PushStatus=3"), Err(Code::InvalidParam));
        assert_eq!(of("DeliveryType=1&BindPeriod=5"), Err(Code::InvalidParam));
        assert_eq!(of("DeliveryType=1&BindStartTime=9&BindEndTime=9"), Err(Code::InvalidParam));
    }
}
