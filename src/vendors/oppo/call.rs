//! OPPO over HTTP: a message a device, up to some hundred of them in a call, to the host of its realm.

use std::sync::Arc;

use carillon_actors::channel::{Access, Address, Gateway, Invalid, Manners, Outcome, Parcel, Refused, Setup};
use carillon_actors::clock::Clock;
use carillon_sdk::{Timestamp, Ttl};
use futures_util::future::{BoxFuture, join};
use serde_json::Value;
use tokio::sync::Mutex;

use super::answers;
use super::credential::{self, Credential, Realm, form};
use super::mapping::{self, Content};
use crate::vendors::Transport;
use crate::vendors::halves::{Told, by_halves};
use crate::vendors::shown::each_well_formed;

#[derive(Clone)]
pub(in crate::vendors) struct Oppo(Arc<Inner>);

struct Inner {
    credential: Credential,
    clock: Clock,
    transport: Transport,
    /// The token for devices outside China, or why there is none; got when the first is sent to.
    overseas: Mutex<Option<Result<Access, (Refused, Timestamp)>>>,
}

/// After OPPO gave no token overseas, it is not asked again for so long.
const REFUSED_FOR: Ttl = Ttl::from_secs(30);

impl Oppo {
    pub(in crate::vendors) fn open(clock: Clock, setup: &Setup) -> Result<Self, Invalid> {
        Self::over(clock, setup, Transport::new(setup)?)
    }

    fn over(clock: Clock, setup: &Setup, transport: Transport) -> Result<Self, Invalid> {
        let credential = Credential::read(setup)?;
        Ok(Self(Arc::new(Inner { credential, clock, transport, overseas: Mutex::default() })))
    }
}

impl Gateway for Oppo {
    fn manners(&self) -> Manners {
        // 5,000 devices a second at least, over all calls. OPPO takes a thousand messages in one, each
        // with all its texts: five hundred keep it below a megabyte.
        Manners { batch_max: 500, in_flight_max: 32, rate: (4_000, 500, 5_000) }
    }

    fn authorize(&self) -> BoxFuture<'static, Result<Access, Refused>> {
        let inner = Arc::clone(&self.0);
        Box::pin(async move { inner.authorize(Realm::China).await })
    }

    fn send(&self, access: Access, parcel: Parcel) -> BoxFuture<'static, Vec<Outcome>> {
        let inner = Arc::clone(&self.0);
        Box::pin(async move {
            let content = match mapping::content(&parcel, &inner.credential) {
                Ok(content) => content,
                Err(refused) => return vec![refused.into(); parcel.to.len()],
            };
            let (inner, content) = (&*inner, &content);
            each_well_formed(parcel.to, move |to| inner.send(access, content, to)).await
        })
    }
}

impl Inner {
    async fn authorize(&self, realm: Realm) -> Result<Access, Refused> {
        let now = self.clock.now();
        let answer = self.transport.call(self.credential.asking(realm, now)).await?;
        credential::access(&answer, now)
    }

    /// Both realms at once, each told in the place of its device.
    async fn send(&self, access: Access, content: &Content, to: Vec<Address>) -> Vec<Outcome> {
        let realms: Vec<Realm> = to.iter().map(|address| Realm::of(&address.token)).collect();
        let (china, overseas): (Vec<_>, Vec<_>) =
            to.into_iter().partition(|address| Realm::of(&address.token) == Realm::China);
        let china = async {
            if china.is_empty() {
                return Vec::new();
            }
            self.post_all(Realm::China, access.token(), content, china).await
        };
        let (china, overseas) = join(china, self.send_overseas(content, overseas)).await;
        let (mut china, mut overseas) = (china.into_iter(), overseas.into_iter());
        let next = |realm| match realm {
            Realm::China => china.next(),
            Realm::Overseas => overseas.next(),
        };
        let outcomes = realms.into_iter().map(next);
        outcomes.map(|outcome| outcome.unwrap_or_else(|| Refused::silent().into())).collect()
    }

    async fn send_overseas(&self, content: &Content, to: Vec<Address>) -> Vec<Outcome> {
        if to.is_empty() {
            return Vec::new();
        }
        let access = match self.overseas_access().await {
            Ok(access) => access,
            Err(refused) => return vec![refused.into(); to.len()],
        };
        let outcomes = self.post_all(Realm::Overseas, access.token(), content, to).await;
        let is_refused = |outcome: &Outcome| {
            matches!(outcome, Outcome::Refused(refused)
                if refused.class == carillon_actors::channel::Class::Reauth)
        };
        if outcomes.iter().any(is_refused) {
            // Whoever comes next gets another, but for the one that did so already.
            let mut kept = self.overseas.lock().await;
            if matches!(&*kept, Some(Ok(known)) if *known == access) {
                *kept = None;
            }
        }
        outcomes
    }

    /// One is got at a time; who comes meanwhile waits for it.
    async fn overseas_access(&self) -> Result<Access, Refused> {
        let mut kept = self.overseas.lock().await;
        let now = self.clock.now();
        match &*kept {
            Some(Ok(access)) if access.renew_at.is_none_or(|at| now < at) => return Ok(access.clone()),
            Some(Err((refused, until))) if now < *until => return Err(refused.clone()),
            _ => {}
        }
        let got = self.authorize(Realm::Overseas).await;
        *kept = Some(got.clone().map_err(|refused| (refused, now + REFUSED_FOR)));
        got
    }

    /// Who was refused for the category alone is asked once more without it.
    async fn post_all(&self, realm: Realm, token: &str, content: &Content, to: Vec<Address>) -> Vec<Outcome> {
        let mut outcomes = by_halves(to.clone(), |to| self.post(realm, token, content, to)).await;
        let places = answers::of_category(&outcomes);
        let Some(plain) = content.uncategorised().filter(|_| !places.is_empty()) else { return outcomes };
        let again = places.iter().filter_map(|&place| to.get(place).cloned()).collect();
        let told = by_halves(again, |to| self.post(realm, token, &plain, to)).await;
        for (place, outcome) in places.into_iter().zip(told) {
            outcomes[place] = outcome;
        }
        outcomes
    }

    async fn post(&self, realm: Realm, token: &str, content: &Content, to: Vec<Address>) -> Told {
        let messages = to
            .iter()
            .map(|address| mapping::message(content, &self.credential, &address.token, &address.receipt));
        let mut messages: Vec<Value> = messages.collect();
        let (what, name, messages) = match messages.len() {
            1 => ("unicast", "message", messages.remove(0)),
            _ => ("unicast_batch", "messages", Value::Array(messages)),
        };
        let url = self.credential.send_url(realm, what);
        let call = form(url, &[("auth_token", token), (name, &messages.to_string())]);
        match self.transport.call(call).await {
            Ok(answer) => answers::read(&answer, &to, &content.degraded),
            Err(fault) => Told::Whole(fault.into()),
        }
    }
}

#[cfg(test)]
#[path = "lab_tests.rs"]
mod lab_tests;
