//! Push Kit v3 over HTTP: up to a thousand tokens a call.

use std::sync::Arc;

use carillon_actors::channel::{Access, Address, Gateway, Invalid, Manners, Outcome, Parcel, Refused, Setup};
use carillon_actors::clock::Clock;
use futures_util::future::BoxFuture;
use reqwest::Method;

use super::credential::{Credential, Settings};
use super::mapping::Content;
use super::{answers, mapping};
use crate::vendors::{Call, Transport, pushkit};

pub(in crate::vendors) struct Harmony(Arc<Inner>);

struct Inner {
    credential: Credential,
    settings: Settings,
    clock: Clock,
    transport: Transport,
}

impl Harmony {
    pub(in crate::vendors) fn open(clock: Clock, setup: &Setup) -> Result<Self, Invalid> {
        let (credential, settings) = (Credential::read(setup)?, Settings::read(setup)?);
        let transport = Transport::new(setup)?;
        Ok(Self(Arc::new(Inner { credential, settings, clock, transport })))
    }
}

impl Gateway for Harmony {
    fn manners(&self) -> Manners {
        Manners { batch_max: 1_000, in_flight_max: 32, rate: (5_000, 500, 20_000) }
    }

    fn authorize(&self) -> BoxFuture<'static, Result<Access, Refused>> {
        let access = self.0.credential.access(self.0.clock.now());
        Box::pin(std::future::ready(access))
    }

    fn send(&self, access: Access, parcel: Parcel) -> BoxFuture<'static, Vec<Outcome>> {
        let inner = Arc::clone(&self.0);
        Box::pin(async move {
            let content = match mapping::content(&parcel, &inner.settings) {
                Ok(content) => content,
                Err(refused) => return pushkit::all(&parcel.to, refused),
            };
            let mut outcomes = Vec::with_capacity(parcel.to.len());
            for some in parcel.to.chunks(content.batch_max) {
                outcomes.extend(inner.send(&access, &content, some).await);
            }
            outcomes
        })
    }
}

impl Inner {
    async fn send(&self, access: &Access, content: &Content, to: &[Address]) -> Vec<Outcome> {
        let call = Call {
            method: Method::POST,
            url: self.credential.send_url.clone(),
            headers: vec![
                ("content-type", "application/json; charset=utf-8".to_owned()),
                ("authorization", format!("Bearer {}", access.token())),
                ("push-type", content.push_type.to_string()),
            ],
            body: content.body(&pushkit::distinct(to)).into(),
        };
        match self.transport.call(call).await {
            Ok(answer) => answers::read(&answer, to, &content.degraded),
            Err(fault) => pushkit::all(to, fault.into()),
        }
    }
}
