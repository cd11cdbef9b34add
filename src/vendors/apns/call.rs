//! Apple over HTTP/2: a stream a token, all at a time.

use std::sync::Arc;

use bytes::Bytes;
use carillon_actors::channel::{Access, Gateway, Invalid, Manners, Outcome, Parcel, Refused, Setup};
use carillon_actors::clock::Clock;
use carillon_sdk::Timestamp;
use futures_util::future::{BoxFuture, join_all};
use parking_lot::Mutex;
use reqwest::Method;

use super::answers;
use super::credential::{Credential, Tokens};
use super::mapping::{self, Content};
use crate::vendors::{Answer, Call, Fault, Transport};

pub(in crate::vendors) struct Apns(Arc<Inner>);

/// Makes what has no connection of another's.
type Connect = Box<dyn Fn() -> Result<Transport, Invalid> + Send + Sync>;

struct Inner {
    credential: Credential,
    tokens: Tokens,
    clock: Clock,
    connect: Connect,
    /// With its number: whoever finds it spent puts a new one in its place, once.
    transport: Mutex<(u64, Transport)>,
}

impl Apns {
    pub(in crate::vendors) fn open(clock: Clock, tokens: Tokens, setup: &Setup) -> Result<Self, Invalid> {
        let owned = setup.clone();
        let identity = Credential::read(setup)?.identity().map(str::to_owned);
        Self::over(clock, tokens, setup, Box::new(move || Transport::http2(&owned, identity.as_deref())))
    }

    fn over(clock: Clock, tokens: Tokens, setup: &Setup, connect: Connect) -> Result<Self, Invalid> {
        let credential = Credential::read(setup)?;
        let transport = Mutex::new((0, connect()?));
        Ok(Self(Arc::new(Inner { credential, tokens, clock, connect, transport })))
    }
}

impl Gateway for Apns {
    fn manners(&self) -> Manners {
        // Streams of one connection; Apple tells how many it takes, which is about a thousand.
        Manners { batch_max: 1, in_flight_max: 500, rate: (2_000, 50, 9_000) }
    }

    fn authorize(&self) -> BoxFuture<'static, Result<Access, Refused>> {
        let access = self.0.credential.access(&self.0.tokens, self.0.clock.now());
        Box::pin(std::future::ready(access))
    }

    fn send(&self, access: Access, parcel: Parcel) -> BoxFuture<'static, Vec<Outcome>> {
        let inner = Arc::clone(&self.0);
        Box::pin(async move {
            let credential = &inner.credential;
            match mapping::content(&parcel, &credential.bundle_id, credential.offset_ms) {
                Ok(content) => {
                    let content = Arc::new(content);
                    let one = |address: &carillon_actors::channel::Address| {
                        let id = mapping::id(&parcel.message, &address.token);
                        inner.one(&access, &content, address.token.clone(), id)
                    };
                    join_all(parcel.to.iter().map(one)).await
                }
                Err(refused) => vec![refused.into(); parcel.to.len()],
            }
        })
    }

    fn ends_at(&self) -> Option<Timestamp> {
        self.0.credential.ends_at()
    }
}

impl Inner {
    async fn one(&self, access: &Access, content: &Content, token: String, id: String) -> Outcome {
        let (number, transport) = self.transport.lock().clone();
        let outcome = self.call(&transport, access, content, &token, &id).await;
        let is_other_key =
            matches!(&outcome, Outcome::Refused(refused) if refused.code == answers::OTHER_KEY);
        if !is_other_key {
            return outcome;
        }
        // Apple binds a connection to the key of its first request.
        match self.renew(number) {
            Ok(transport) => self.call(&transport, access, content, &token, &id).await,
            Err(_) => outcome,
        }
    }

    fn renew(&self, number: u64) -> Result<Transport, Invalid> {
        let mut current = self.transport.lock();
        if current.0 == number {
            *current = (number + 1, (self.connect)()?);
        }
        Ok(current.1.clone())
    }

    async fn call(
        &self,
        transport: &Transport,
        access: &Access,
        content: &Content,
        token: &str,
        id: &str,
    ) -> Outcome {
        let mut headers = content.headers.clone();
        headers.push(("apns-id", id.to_owned()));
        if !access.token().is_empty() {
            headers.push(("authorization", format!("bearer {}", access.token())));
        }
        let token = percent_encoding::utf8_percent_encode(token, percent_encoding::NON_ALPHANUMERIC);
        let call = Call {
            method: Method::POST,
            url: format!("{}/3/device/{token}", self.credential.host),
            headers,
            body: Bytes::from(content.payload.clone()),
        };
        let answer: Result<Answer, Fault> = transport.call(call).await;
        match answer {
            Ok(answer) => answers::read(&answer, content.kind, content.degraded.clone()),
            Err(fault) => Refused::from(fault).into(),
        }
    }
}

#[cfg(test)]
#[path = "lab_tests.rs"]
mod tests;
