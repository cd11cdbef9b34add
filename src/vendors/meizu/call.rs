//! Meizu over HTTP: a form, a hundred tokens at a time.

use std::sync::Arc;

use carillon_actors::channel::{
    Access, Class, Gateway, Invalid, Manners, Outcome, Parcel, Refused, Scope, Setup,
};
use futures_util::future::BoxFuture;
use reqwest::{Method, Url};

use super::answers::{self, Read};
use super::credential::Credential;
use super::mapping;
use crate::vendors::shown::each_well_formed;
use crate::vendors::{Call, Transport, given};

const HOST: &str = "https://server-api-push.meizu.com";
const PATH: &str = "/garcia/api/server/push/varnished/pushByPushId";

pub(in crate::vendors) struct Meizu(Arc<Inner>);

struct Inner {
    credential: Credential,
    host: String,
    receipts_url: Option<String>,
    transport: Transport,
}

impl Meizu {
    pub(in crate::vendors) fn open(setup: &Setup) -> Result<Self, Invalid> {
        Self::over(setup, Transport::new(setup)?)
    }

    fn over(setup: &Setup, transport: Transport) -> Result<Self, Invalid> {
        Ok(Self(Arc::new(Inner {
            credential: Credential::read(setup)?,
            host: given::host(setup, "send", HOST)?,
            receipts_url: setup.receipts_url.clone(),
            transport,
        })))
    }
}

impl Gateway for Meizu {
    fn manners(&self) -> Manners {
        // Not published; one client found about 500 a second.
        Manners { batch_max: 100, in_flight_max: 16, rate: (500, 20, 1_000) }
    }

    /// Every call is signed by itself.
    fn authorize(&self) -> BoxFuture<'static, Result<Access, Refused>> {
        Box::pin(std::future::ready(Ok(Access::none())))
    }

    fn send(&self, _: Access, parcel: Parcel) -> BoxFuture<'static, Vec<Outcome>> {
        let inner = Arc::clone(&self.0);
        Box::pin(async move {
            // A comma divides tokens: one that has it would speak for others.
            let send = async |to| inner.send(&Parcel { to, ..parcel.clone() }).await;
            each_well_formed(parcel.to.clone(), send).await
        })
    }
}

impl Inner {
    async fn send(&self, parcel: &Parcel) -> Vec<Outcome> {
        let all = |refused: Refused| vec![refused.into(); parcel.to.len()];
        let content = match mapping::content(parcel, self.receipts_url.as_deref()) {
            Ok(content) => content,
            Err(refused) => return all(refused),
        };
        let tokens: Vec<_> = parcel.to.iter().map(|address| address.token.as_str()).collect();
        let form = self.credential.form(&tokens.join(","), &content.json);
        let mut url = format!("{}{PATH}", self.host);
        // Sent elsewhere once; whoever sends on for ever is not followed.
        for _ in 0..2 {
            let call = Call {
                method: Method::POST,
                url: url.clone(),
                headers: vec![("content-type", "application/x-www-form-urlencoded;charset=UTF-8".to_owned())],
                body: form.clone().into(),
            };
            let answer = match self.transport.call(call).await {
                Ok(answer) => answer,
                Err(fault) => return all(fault.into()),
            };
            match answers::read(&answer, &parcel.to, &content.degraded) {
                Read::Outcomes(outcomes) => return outcomes,
                Read::Elsewhere(next) if self.is_trusted(&next) => url = next,
                Read::Elsewhere(_) => break,
            }
        }
        all(Refused::new(Class::Retry, Scope::Platform, "300").because("sent elsewhere, and not followed"))
    }

    /// What is signed goes to Meizu, or to the host that stands in for it.
    fn is_trusted(&self, url: &str) -> bool {
        let (Ok(url), Ok(ours)) = (Url::parse(url), Url::parse(&self.host)) else { return false };
        let host = url.host_str().unwrap_or_default();
        url.scheme() == ours.scheme() && (Some(host) == ours.host_str() || host.ends_with(".meizu.com"))
    }
}

#[cfg(test)]
#[path = "lab_tests.rs"]
mod lab_tests;

#[cfg(test)]
mod tests {
    use super::super::credential::tests::setup;
    use super::*;

    #[test]
    fn a_signed_call_is_sent_on_to_meizu_alone() {
        let meizu = Meizu::open(&setup()).unwrap();
        for (url, is_trusted) in [
            ("https://other.meizu.com/x", true),
            ("https://server-api-push.meizu.com/x", true),
            ("http://other.meizu.com/x", false),
            ("https://evilmeizu.com/x", false),
            ("https://169.254.169.254/x", false),
            ("nonsense", false),
        ] {
            assert_eq!(meizu.0.is_trusted(url), is_trusted, "{url}");
        }
    }
}
