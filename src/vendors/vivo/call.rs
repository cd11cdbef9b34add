//! vivo over HTTP: one device by `send`; more by a message saved once, then a list.

use std::collections::VecDeque;
use std::sync::Arc;

use carillon_actors::channel::{Access, Address, Gateway, Invalid, Manners, Outcome, Parcel, Refused, Setup};
use carillon_actors::clock::Clock;
use carillon_sdk::{MessageId, Timestamp, Ttl};
use futures_util::future::BoxFuture;
use parking_lot::Mutex;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::answers;
use super::credential::{self, Credential};
use super::mapping::{self, Content};
use crate::vendors::halves::{Told, by_halves};
use crate::vendors::shown::each_well_formed;
use crate::vendors::{Answer, Call, Transport};

#[derive(Clone)]
pub(in crate::vendors) struct Vivo(Arc<Inner>);

struct Inner {
    credential: Credential,
    clock: Clock,
    transport: Transport,
    /// Messages saved at vivo a short while ago, the newest last: saving has a quota too.
    saved: Mutex<VecDeque<(MessageId, String, Timestamp)>>,
}

const SAVED_MAX: usize = 256;
/// A saved message has the validity of the time it was saved; so long the difference does not matter.
const SAVED_FOR: Ttl = Ttl::from_secs(60);

impl Vivo {
    pub(in crate::vendors) fn open(clock: Clock, setup: &Setup) -> Result<Self, Invalid> {
        Self::over(clock, setup, Transport::new(setup)?)
    }

    fn over(clock: Clock, setup: &Setup, transport: Transport) -> Result<Self, Invalid> {
        let credential = Credential::read(setup)?;
        Ok(Self(Arc::new(Inner { credential, clock, transport, saved: Mutex::default() })))
    }
}

impl Gateway for Vivo {
    fn manners(&self) -> Manners {
        // 3,000 devices a second at least, and 5,000 at most.
        Manners { batch_max: 1_000, in_flight_max: 32, rate: (2_500, 250, 5_000) }
    }

    fn authorize(&self) -> BoxFuture<'static, Result<Access, Refused>> {
        let inner = Arc::clone(&self.0);
        Box::pin(async move {
            let now = inner.clock.now();
            let answer = inner.transport.call(inner.credential.asking(now)).await?;
            credential::access(&answer, now)
        })
    }

    fn send(&self, access: Access, parcel: Parcel) -> BoxFuture<'static, Vec<Outcome>> {
        let inner = Arc::clone(&self.0);
        Box::pin(async move {
            let content = match mapping::content(&parcel, &inner.credential) {
                Ok(content) => content,
                Err(refused) => return vec![refused.into(); parcel.to.len()],
            };
            let sending = Sending { inner: &inner, access, content, message: parcel.message.id };
            let sending = &sending;
            each_well_formed(parcel.to, move |to| by_halves(to, move |to| sending.post(to))).await
        })
    }
}

/// One message on its way.
struct Sending<'a> {
    inner: &'a Inner,
    access: Access,
    content: Content,
    message: MessageId,
}

impl Sending<'_> {
    async fn post(&self, to: Vec<Address>) -> Told {
        if let [one] = to.as_slice() {
            return self.single(one, &to).await;
        }
        match self.list(&to).await {
            // vivo has forgotten what was saved: once more, from the beginning.
            Told::Whole(refused) if refused.code == answers::NO_TASK.to_string() => {
                self.inner.saved.lock().retain(|(message, ..)| *message != self.message);
                self.list(&to).await
            }
            told => told,
        }
    }

    async fn single(&self, one: &Address, to: &[Address]) -> Told {
        let mut body = self.content.fields.clone();
        body.insert("regId".to_owned(), json!(one.token));
        body.insert("requestId".to_owned(), json!(request_id(self.message, to)));
        if let Some(extra) = mapping::extra(&self.inner.credential, Some(&one.receipt)) {
            body.insert("extra".to_owned(), extra);
        }
        let call = self.inner.credential.call("send", &Value::Object(body), &self.access);
        self.told(self.inner.transport.call(call).await.map_err(Refused::from), to, None)
    }

    async fn list(&self, to: &[Address]) -> Told {
        let task = match self.task().await {
            Ok(task) => task,
            Err(refused) => return Told::Whole(refused),
        };
        let ids: Vec<&str> = to.iter().map(|address| address.token.as_str()).collect();
        let body = json!({
            "appId": self.inner.credential.app_id, "regIds": ids, "taskId": task,
            "requestId": request_id(self.message, to), "pushMode": self.content.fields["pushMode"],
        });
        let call = self.inner.credential.call("pushToList", &body, &self.access);
        self.told(self.repeated(call).await, to, Some(&task))
    }

    /// A list that may have been taken is asked once more at once, under the same request id: later it
    /// may go in other company, under another.
    async fn repeated(&self, call: Call) -> Result<Answer, Refused> {
        match self.inner.transport.call(call.clone()).await {
            Err(fault) if fault.was_written => Ok(self.inner.transport.call(call).await?),
            answer => Ok(answer?),
        }
    }

    /// The saved message, without receipts of any one device: they come by task and regId.
    async fn task(&self) -> Result<String, Refused> {
        let now = self.inner.clock.now();
        if let Some(task) = self.inner.known_task(self.message, now) {
            return Ok(task);
        }
        let mut body = self.content.fields.clone();
        body.insert("requestId".to_owned(), json!(request_id(self.message, &[])));
        if let Some(extra) = mapping::extra(&self.inner.credential, None) {
            body.insert("extra".to_owned(), extra);
        }
        let call = self.inner.credential.call("saveListPayload", &Value::Object(body), &self.access);
        // To save it again harms nobody: nothing was sent by it.
        let answer = self
            .inner
            .transport
            .call(call)
            .await
            .map_err(|fault| Refused { is_ambiguous: false, ..fault.into() })?;
        let task = answers::saved(&answer).map_err(|refused| Refused { is_ambiguous: false, ..refused })?;
        self.inner.keep_task(self.message, task.clone(), now);
        Ok(task)
    }

    fn told(&self, answer: Result<Answer, Refused>, to: &[Address], task: Option<&str>) -> Told {
        match answer {
            Ok(answer) => answers::read(&answer, to, task, &self.content.degraded),
            Err(refused) => Told::Whole(refused),
        }
    }
}

impl Inner {
    fn known_task(&self, message: MessageId, now: Timestamp) -> Option<String> {
        let saved = self.saved.lock();
        let known = saved.iter().find(|(known, _, at)| *known == message && now < *at + SAVED_FOR);
        known.map(|(_, task, _)| task.clone())
    }

    fn keep_task(&self, message: MessageId, task: String, now: Timestamp) {
        let mut saved = self.saved.lock();
        saved.retain(|(known, ..)| *known != message);
        if saved.len() == SAVED_MAX {
            saved.pop_front();
        }
        saved.push_back((message, task, now));
    }
}

/// The same for the same message to the same devices, in whatever order: 64 characters.
fn request_id(message: MessageId, to: &[Address]) -> String {
    let mut tokens: Vec<&str> = to.iter().map(|address| address.token.as_str()).collect();
    tokens.sort_unstable();
    let mut digest = Sha256::new();
    digest.update(message.as_bytes());
    for token in tokens {
        digest.update(token.as_bytes());
        digest.update([0]);
    }
    hex::encode(digest.finalize())
}

#[cfg(test)]
#[path = "lab_tests.rs"]
mod lab_tests;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_id_is_of_the_message_and_the_set_of_devices() {
        let to = |tokens: &[&str]| {
            let address = |token: &&str| Address { token: (*token).to_owned(), receipt: String::new() };
            tokens.iter().map(address).collect::<Vec<_>>()
        };
        let message = MessageId::from_bytes([7; 16]);
        let id = request_id(message, &to(&["a", "b"]));
        assert_eq!(id.len(), 64);
        assert_eq!(id, request_id(message, &to(&["b", "a"])));
        assert_ne!(id, request_id(message, &to(&["ab"])));
        assert_ne!(id, request_id(MessageId::from_bytes([8; 16]), &to(&["a", "b"])));
    }
}
