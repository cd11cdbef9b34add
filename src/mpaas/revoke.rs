//! Taking back what was pushed: one message of one target by its msgKey, or a whole task.

use carillon_actors::model::Task;
use carillon_actors::order::{Named, message_of_key};
use carillon_actors::revoke::Revocation;
use carillon_actors::store::RevokeOutcome;
use carillon_sdk::{DeviceId, MessageId, UserId};

use super::actions::Call;
use super::answer::{Done, Refused};
use super::result::{Code, Failure};

/// The contract does not say whether TargetId is a device or a user: whichever has the message.
pub(super) async fn message(mut call: Call) -> Result<Done, Refused> {
    let missing = |name: &str| Code::InvalidParam.because(format!("{name} is missing"));
    let key = call.form.owned("MessageId").ok_or_else(|| missing("MessageId"))?;
    let target = call.form.owned("TargetId").ok_or_else(|| missing("TargetId"))?;
    let invalid =
        |error: carillon_sdk::ids::Invalid| Code::InvalidParam.because(format!("TargetId: {error}"));
    let device = Named::Device(DeviceId::parse(&target).map_err(invalid)?);
    let user = Named::User(UserId::parse(&target).map_err(invalid)?);
    let mut nonce = call.nonce.take();
    for named in [device, user] {
        let id: MessageId = message_of_key(call.app, &named, &key);
        let revocation = Revocation::Message { id, target: None };
        match call.state.engine.revoke(call.app, revocation, nonce.take()).await? {
            RevokeOutcome::Unknown => {}
            RevokeOutcome::TooOld => return Err(too_old().into()),
            RevokeOutcome::Done(revoked) if revoked.withdrawn + revoked.told == 0 => {
                let why = "nothing of it waits, and no device shows it";
                return Err(Code::InvalidParam.because(why).into());
            }
            RevokeOutcome::Done(_) => return Ok(Done::Text(id.to_string())),
        }
    }
    Err(Code::InvalidParam.because(format!("no message {key:?} of {target:?}")).into())
}

/// Done once it is written down, though nobody may have it yet: whoever comes later gets none.
pub(super) async fn task(mut call: Call) -> Result<Done, Refused> {
    let text = call.form.owned("TaskId").unwrap_or_default();
    let unknown = || Code::InvalidParam.because(format!("no task {text:?}"));
    let task = text.parse().map(Task).map_err(|_| unknown())?;
    let nonce = call.nonce.take();
    let audit = Some(call.audit("task.revoke", &text));
    match call.state.engine.revoke(call.app, Revocation::Task { task, audit }, nonce).await? {
        RevokeOutcome::Done(_) => Ok(Done::Text(text)),
        RevokeOutcome::TooOld => Err(too_old().into()),
        RevokeOutcome::Unknown => Err(unknown().into()),
    }
}

fn too_old() -> Failure {
    Code::InvalidParam.because("it was pushed longer ago than a revoke reaches")
}
