//! A broadcast's audience: a platform, and whether somebody is logged in, since when.

use carillon_actors::audience::{Audience, Fact};
use carillon_sdk::Timestamp;
use carillon_sdk::api::Platform;

use super::super::form::Form;
use super::super::result::{Code, Failure};

pub(super) fn audience(form: &Form, _now: Timestamp) -> Result<Audience, Failure> {
    let platform = match form.int("DeliveryType").map_err(|_| Code::DeliveryTypeNotSupported)? {
        Some(1) => Platform::Android,
        Some(2) => Platform::Ios,
        Some(7) => Platform::HarmonyOs,
        Some(3) => return Err(Code::BroadcastOnlyByDevice.into()),
        other => return Err(Code::DeliveryTypeNotSupported.because(format!("{other:?} is none of 1, 2, 7"))),
    };
    let bound = || Audience::Is(Fact::Bound);
    let mut all = vec![Audience::Is(Fact::Platform(platform))];
    match form.choice("PushStatus", &[0, 1, 2])? {
        0 => all.push(bound()),
        1 => {}
        _ => all.push(Audience::Not(Box::new(bound()))),
    }
    Ok(Audience::All(all))
}
