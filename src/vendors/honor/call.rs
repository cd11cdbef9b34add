//! Honor over HTTP: up to a thousand tokens a call, each with the time in it.

use std::sync::Arc;

use carillon_actors::channel::{Access, Gateway, Invalid, Manners, Outcome, Parcel, Refused, Setup};
use carillon_actors::clock::Clock;
use futures_util::future::BoxFuture;
use reqwest::Method;

use super::credential::{Credential, Settings};
use super::{answers, mapping};
use crate::vendors::{Call, Transport, given, oauth, pushkit};

pub(in crate::vendors) struct Honor(Arc<Inner>);

struct Inner {
    credential: Credential,
    settings: Settings,
    clock: Clock,
    transport: Transport,
}

impl Honor {
    pub(in crate::vendors) fn open(clock: Clock, setup: &Setup) -> Result<Self, Invalid> {
        let (credential, settings) = (Credential::read(setup)?, Settings::read(setup)?);
        let transport = Transport::new(setup)?;
        Ok(Self(Arc::new(Inner { credential, settings, clock, transport })))
    }
}

impl Gateway for Honor {
    fn manners(&self) -> Manners {
        // Its rate is published nowhere: found by asking.
        Manners { batch_max: 1_000, in_flight_max: 32, rate: (2_000, 200, 10_000) }
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
            // By its clock at the moment of the call: one that is off is refused (10207).
            let now = given::theirs(inner.clock.now(), inner.credential.offset_ms);
            let call = Call {
                method: Method::POST,
                url: inner.credential.send_url.clone(),
                headers: vec![
                    ("content-type", "application/json; charset=utf-8".to_owned()),
                    ("timestamp", now.as_millis().to_string()),
                    ("authorization", format!("Bearer {}", access.token())),
                ],
                body: content.body(&pushkit::distinct(&parcel.to)).into(),
            };
            match inner.transport.call(call).await {
                Ok(answer) => answers::read(&answer, &parcel.to, &content.degraded),
                Err(fault) => pushkit::all(&parcel.to, fault.into()),
            }
        })
    }
}
