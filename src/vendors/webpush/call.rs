//! Browsers over HTTP: a request a subscription, each to the service it names.

use std::sync::Arc;

use carillon_actors::channel::{
    Access, Class, Gateway, Invalid, Manners, Outcome, Parcel, Refused, Scope, Setup,
};
use carillon_actors::clock::Clock;
use futures_util::future::{BoxFuture, join_all};
use reqwest::{Method, Url};
use serde_json::Value;

use super::credential::Credential;
use super::mapping::{self, Content, Reach, Subscription};
use super::{answers, seal};
use crate::vendors::{Answer, Call, Transport, given};

pub(in crate::vendors) struct WebPush(Arc<Inner>);

struct Inner {
    credential: Credential,
    reach: Reach,
    /// Stands in for every service.
    host: Option<String>,
    clock: Clock,
    transport: Transport,
}

impl WebPush {
    pub(in crate::vendors) fn open(clock: Clock, setup: &Setup) -> Result<Self, Invalid> {
        // Endpoints are then not called themselves. An authority of the owner's own frees none of them:
        // it says whom to believe, and devices go on naming where to call.
        let is_free = stand_in(setup)?.is_some();
        let transport = if is_free { Transport::new(setup)? } else { Transport::guarded(setup)? };
        Self::over(clock, setup, transport, is_free)
    }

    fn over(clock: Clock, setup: &Setup, transport: Transport, is_free: bool) -> Result<Self, Invalid> {
        let credential = Credential::read(setup)?;
        let reach = Reach { hosts: allow_hosts(setup)?, is_free };
        Ok(Self(Arc::new(Inner { credential, reach, host: stand_in(setup)?, clock, transport })))
    }
}

fn stand_in(setup: &Setup) -> Result<Option<String>, Invalid> {
    Ok(Some(given::host(setup, "send", "")?).filter(|host| !host.is_empty()))
}

fn allow_hosts(setup: &Setup) -> Result<Vec<String>, Invalid> {
    let wrong = || Invalid::new("/settings/allow_hosts", "a list of host names");
    match &setup.settings["allow_hosts"] {
        Value::Null => Ok(Vec::new()),
        Value::Array(hosts) => {
            let host = |host: &Value| host.as_str().map(str::to_ascii_lowercase).ok_or_else(wrong);
            hosts.iter().map(host).collect()
        }
        _ => Err(wrong()),
    }
}

impl Gateway for WebPush {
    fn manners(&self) -> Manners {
        Manners { batch_max: 1, in_flight_max: 100, rate: (500, 20, 2_000) }
    }

    /// A token for each origin is made with the call.
    fn authorize(&self) -> BoxFuture<'static, Result<Access, Refused>> {
        Box::pin(std::future::ready(Ok(Access::none())))
    }

    fn send(&self, _: Access, parcel: Parcel) -> BoxFuture<'static, Vec<Outcome>> {
        let inner = Arc::clone(&self.0);
        Box::pin(async move {
            let content = match mapping::content(&parcel) {
                Ok(content) => content,
                Err(refused) => return vec![refused.into(); parcel.to.len()],
            };
            let one = async |token: &str| inner.one(token, &content).await.unwrap_or_else(Outcome::from);
            join_all(parcel.to.iter().map(|address| one(&address.token))).await
        })
    }
}

impl Inner {
    async fn one(&self, token: &str, content: &Content) -> Result<Outcome, Refused> {
        let subscription = Subscription::read(token, &self.reach)?;
        let body = seal::seal(&subscription.keys, &content.plain).map_err(|_| {
            Refused::new(Class::Perm, Scope::Device, "bad_subscription").because("p256dh is on no curve")
        })?;
        let url = self.url(&subscription.endpoint)?;
        let first = self.call(&url, content, &body).await?;
        let answer = match first {
            // Made anew once: the service may have lost its patience with the one it knows.
            (answer, shown) if matches!(answer.status, 401 | 403) => {
                self.credential.forget(&url.origin().ascii_serialization(), &shown);
                self.call(&url, content, &body).await?.0
            }
            (answer, _) => answer,
        };
        Ok(answers::read(&answer, content.degraded.clone()))
    }

    fn url(&self, endpoint: &Url) -> Result<Url, Refused> {
        let Some(host) = &self.host else { return Ok(endpoint.clone()) };
        let query = endpoint.query().map(|query| format!("?{query}")).unwrap_or_default();
        let url = Url::parse(&format!("{host}{}{query}", endpoint.path()));
        url.map_err(|_| Refused::new(Class::Perm, Scope::Device, "bad_subscription"))
    }

    /// The answer, and what was shown.
    async fn call(&self, url: &Url, content: &Content, body: &[u8]) -> Result<(Answer, String), Refused> {
        let origin = url.origin().ascii_serialization();
        let shown = self.credential.authorization(&origin, self.clock.now()).map_err(|unsigned| {
            Refused::new(Class::Retry, Scope::App, "unsigned").because(unsigned.to_string())
        })?;
        let mut headers = content.headers.clone();
        headers.push(("authorization", shown.clone()));
        let call = Call { method: Method::POST, url: url.to_string(), headers, body: body.to_vec().into() };
        match self.transport.call(call).await {
            Ok(answer) => Ok((answer, shown)),
            // The name leads home, or to a cloud's keys: that will not change by trying.
            Err(fault) if fault.code == "forbidden" => {
                Err(Refused::new(Class::Perm, Scope::Device, fault.code).because(fault.why))
            }
            // One host's fault is no other's.
            Err(fault) => Err(Refused { scope: Scope::Endpoint, ..Refused::from(fault) }),
        }
    }
}

#[cfg(test)]
#[path = "lab_tests.rs"]
mod lab_tests;

#[cfg(test)]
mod tests {
    use carillon_sdk::Timestamp;
    use serde_json::json;

    use super::super::credential::tests::setup;
    use super::*;
    use crate::vendors::content::tests::parcel;

    /// `localhost` is in every machine's table: a name, and it leads home.
    #[tokio::test]
    async fn a_name_that_leads_home_is_not_called() {
        let clock = Clock::manual(Timestamp::from_millis(1_764_000_000_000));
        let webpush = WebPush::open(clock, &setup()).unwrap();
        let keys = json!({"auth": "BTBZMqHH6r4Tts7J_aSIgg", "p256dh": setup().credential["public_key"]});
        let token = json!({"endpoint": "https://localhost:1/x", "keys": keys}).to_string();
        let outcomes = webpush.send(Access::none(), parcel(&token, &Value::Null, |_| {})).await;
        let Outcome::Refused(refused) = &outcomes[0] else { panic!("{outcomes:?}") };
        assert_eq!((refused.class, &*refused.code), (Class::Perm, "forbidden"));
    }

    /// That an owner names an authority of his own lets no device call into his network.
    #[tokio::test]
    async fn an_authority_of_the_owners_own_opens_no_way_home() {
        let pair = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).unwrap();
        let ca = rcgen::CertificateParams::default().self_signed(&pair).unwrap();
        let clock = Clock::manual(Timestamp::from_millis(1_764_000_000_000));
        let webpush = WebPush::open(clock, &Setup { ca_pem: Some(ca.pem()), ..setup() }).unwrap();
        let keys = json!({"auth": "BTBZMqHH6r4Tts7J_aSIgg", "p256dh": setup().credential["public_key"]});
        for endpoint in ["https://127.0.0.1:1/x", "https://localhost:1/x", "http://example.com/x"] {
            let token = json!({"endpoint": endpoint, "keys": keys}).to_string();
            let outcomes = webpush.send(Access::none(), parcel(&token, &Value::Null, |_| {})).await;
            let Outcome::Refused(refused) = &outcomes[0] else { panic!("{outcomes:?}") };
            assert_eq!((refused.class, &*refused.code), (Class::Perm, "forbidden"), "{endpoint}");
        }
    }

    #[test]
    fn a_stand_in_keeps_the_path_of_every_endpoint() {
        let clock = Clock::manual(Timestamp::from_millis(1));
        let hosts = [("send".to_owned(), "https://127.0.0.1:9443/".to_owned())].into();
        let webpush = WebPush::open(clock, &Setup { hosts, ..setup() }).unwrap();
        let endpoint = Url::parse("https://push.example.com/wpush/v2/a?b=c").unwrap();
        assert_eq!(webpush.0.url(&endpoint).unwrap().as_str(), "https://127.0.0.1:9443/wpush/v2/a?b=c");
    }
}
