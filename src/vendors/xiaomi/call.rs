//! Xiaomi over HTTP: one form for all regids of a call.

use std::sync::Arc;

use carillon_actors::channel::{Access, Address, Gateway, Invalid, Manners, Outcome, Parcel, Refused, Setup};
use futures_util::future::{BoxFuture, ready};
use reqwest::Method;

use super::answers;
use super::credential::Credential;
use super::mapping::{self, Content};
use crate::vendors::halves::{Told, by_halves};
use crate::vendors::shown::each_well_formed;
use crate::vendors::{Call, Transport};

#[derive(Clone)]
pub(in crate::vendors) struct Xiaomi(Arc<Inner>);

struct Inner {
    credential: Credential,
    transport: Transport,
}

impl Xiaomi {
    pub(in crate::vendors) fn open(setup: &Setup) -> Result<Self, Invalid> {
        Self::over(setup, Transport::new(setup)?)
    }

    fn over(setup: &Setup, transport: Transport) -> Result<Self, Invalid> {
        let credential = Credential::read(setup)?;
        Ok(Self(Arc::new(Inner { credential, transport })))
    }
}

impl Gateway for Xiaomi {
    fn manners(&self) -> Manners {
        // No rate is published: these are where others' clients settled.
        Manners { batch_max: 1_000, in_flight_max: 32, rate: (1_000, 100, 3_000) }
    }

    fn authorize(&self) -> BoxFuture<'static, Result<Access, Refused>> {
        Box::pin(ready(Ok(Access::none())))
    }

    fn send(&self, _access: Access, parcel: Parcel) -> BoxFuture<'static, Vec<Outcome>> {
        let inner = Arc::clone(&self.0);
        Box::pin(async move {
            let content = match mapping::content(&parcel, &inner.credential) {
                Ok(content) => content,
                Err(refused) => return vec![refused.into(); parcel.to.len()],
            };
            let (inner, content) = (&*inner, &content);
            let send = |to| by_halves(to, move |to| inner.post(content, to));
            each_well_formed(parcel.to, send).await
        })
    }
}

impl Inner {
    async fn post(&self, content: &Content, to: Vec<Address>) -> Told {
        let call = Call {
            method: Method::POST,
            url: self.credential.send_url.clone(),
            headers: vec![
                ("content-type", "application/x-www-form-urlencoded;charset=UTF-8".to_owned()),
                ("authorization", self.credential.key.clone()),
            ],
            body: form(content, &to).into(),
        };
        match self.transport.call(call).await {
            Ok(answer) => answers::read(&answer, to.len(), &content.degraded),
            Err(fault) => Told::Whole(fault.into()),
        }
    }
}

fn form(content: &Content, to: &[Address]) -> String {
    let regids: Vec<&str> = to.iter().map(|address| address.token.as_str()).collect();
    let mut form = form_urlencoded::Serializer::new(String::new());
    form.extend_pairs(content.fields.iter().map(|(name, value)| (*name, value.as_str())));
    form.append_pair("registration_id", &regids.join(",")).finish()
}

#[cfg(test)]
#[path = "lab_tests.rs"]
mod lab_tests;
