//! Google over HTTP/2: a request a token, all at a time.

use std::sync::Arc;

use carillon_actors::channel::{Access, Gateway, Invalid, Manners, Outcome, Parcel, Refused, Setup};
use carillon_actors::clock::Clock;
use futures_util::future::{BoxFuture, join_all};
use reqwest::Method;

use super::credential::{self, Credential};
use super::{answers, mapping};
use crate::vendors::{Call, Transport};

pub(in crate::vendors) struct Fcm(Arc<Inner>);

struct Inner {
    credential: Credential,
    clock: Clock,
    transport: Transport,
}

impl Fcm {
    pub(in crate::vendors) fn open(clock: Clock, setup: &Setup) -> Result<Self, Invalid> {
        Self::over(clock, setup, Transport::new(setup)?)
    }

    fn over(clock: Clock, setup: &Setup, transport: Transport) -> Result<Self, Invalid> {
        Ok(Self(Arc::new(Inner { credential: Credential::read(setup)?, clock, transport })))
    }
}

impl Gateway for Fcm {
    fn manners(&self) -> Manners {
        // 600,000 a minute and project; a fifth of it left to others.
        Manners { batch_max: 1, in_flight_max: 100, rate: (1_000, 50, 8_000) }
    }

    fn authorize(&self) -> BoxFuture<'static, Result<Access, Refused>> {
        let inner = Arc::clone(&self.0);
        Box::pin(async move {
            let now = inner.clock.now();
            let answer = inner.transport.call(inner.credential.asking(now)?).await?;
            credential::access(&answer, now)
        })
    }

    fn send(&self, access: Access, parcel: Parcel) -> BoxFuture<'static, Vec<Outcome>> {
        let inner = Arc::clone(&self.0);
        Box::pin(async move {
            let content = match mapping::content(&parcel, inner.credential.package.as_deref()) {
                Ok(content) => content,
                Err(refused) => return vec![refused.into(); parcel.to.len()],
            };
            let one = async |token: &str| {
                let call = Call {
                    method: Method::POST,
                    url: inner.credential.send_url.clone(),
                    headers: vec![
                        ("content-type", "application/json; charset=utf-8".to_owned()),
                        ("authorization", format!("Bearer {}", access.token())),
                    ],
                    body: mapping::body(&content, token, parcel.options.is_test).into(),
                };
                match inner.transport.call(call).await {
                    Ok(answer) => answers::read(&answer, content.degraded.clone()),
                    Err(fault) => Refused::from(fault).into(),
                }
            };
            join_all(parcel.to.iter().map(|address| one(&address.token))).await
        })
    }
}

#[cfg(test)]
#[path = "lab_tests.rs"]
mod tests;
