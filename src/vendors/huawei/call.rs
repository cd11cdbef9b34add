//! Huawei over HTTP: up to a thousand tokens a call.

use std::sync::Arc;

use carillon_actors::channel::{Access, Address, Gateway, Invalid, Manners, Outcome, Parcel, Refused, Setup};
use carillon_actors::clock::Clock;
use futures_util::future::BoxFuture;
use reqwest::Method;

use super::credential::{Credential, Settings};
use super::mapping::Content;
use super::{answers, mapping};
use crate::vendors::{Call, Transport, oauth, pushkit};

pub(in crate::vendors) struct Huawei(Arc<Inner>);

struct Inner {
    credential: Credential,
    settings: Settings,
    clock: Clock,
    transport: Transport,
}

impl Huawei {
    pub(in crate::vendors) fn open(clock: Clock, setup: &Setup) -> Result<Self, Invalid> {
        let (credential, settings) = (Credential::read(setup)?, Settings::read(setup)?);
        let transport = Transport::new(setup)?;
        Ok(Self(Arc::new(Inner { credential, settings, clock, transport })))
    }
}

impl Gateway for Huawei {
    fn manners(&self) -> Manners {
        // 6,000 devices a second are the least an app gets; the rest goes by its users.
        Manners { batch_max: 1_000, in_flight_max: 32, rate: (5_000, 500, 20_000) }
    }

    fn authorize(&self) -> BoxFuture<'static, Result<Access, Refused>> {
        let inner = Arc::clone(&self.0);
        Box::pin(async move {
            let now = inner.clock.now();
            oauth::access(&inner.transport.call(inner.credential.client.asking()).await?, now)
        })
    }

    fn send(&self, access: Access, parcel: Parcel) -> BoxFuture<'static, Vec<Outcome>> {
        let inner = Arc::clone(&self.0);
        Box::pin(async move {
            let content = match mapping::content(&parcel, &inner.settings) {
                Ok(content) => content,
                Err(refused) => return pushkit::all(&parcel.to, refused),
            };
            let outcomes = inner.post(&access, &content, &parcel.to).await;
            // Of none of them anything was sent: that one wish must not stop the channel.
            match content.lowered().filter(|_| answers::wants_a_right(&outcomes)) {
                Some(lowered) => inner.post(&access, &lowered, &parcel.to).await,
                None => outcomes,
            }
        })
    }
}

impl Inner {
    async fn post(&self, access: &Access, content: &Content, to: &[Address]) -> Vec<Outcome> {
        let call = Call {
            method: Method::POST,
            url: self.credential.send_url.clone(),
            headers: vec![
                ("content-type", "application/json; charset=utf-8".to_owned()),
                ("authorization", format!("Bearer {}", access.token())),
            ],
            body: content.body(&pushkit::distinct(to)).into(),
        };
        match self.transport.call(call).await {
            Ok(answer) => answers::read(&answer, to, &content.degraded),
            Err(fault) => pushkit::all(to, fault.into()),
        }
    }
}
