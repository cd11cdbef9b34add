use std::time::Duration;

use bytes::Bytes;
use carillon_sdk::Timestamp;
use carillon_sdk::client::{Trust, tls as client_tls};
use futures_util::future::BoxFuture;
use parking_lot::Mutex;
use serde_json::{Value, json};

use super::*;
use crate::lab::{Asked, Condition, Reply};

const FORM: &str = "application/x-www-form-urlencoded";
/// Waits that a failure ends; nothing that goes well takes as long.
const SOON: Duration = Duration::from_secs(20);

fn clock() -> Clock {
    Clock::manual(Timestamp::from_millis(1_764_000_000_000))
}

async fn lab() -> Lab {
    Lab::start(clock(), Options::default()).await.unwrap()
}

fn client(ca_pem: &str, identity: Option<&str>) -> reqwest::ClientBuilder {
    client_of(ca_pem, identity, &["h2", "http/1.1"])
}

fn client_of(ca_pem: &str, identity: Option<&str>, protocols: &[&str]) -> reqwest::ClientBuilder {
    let trust = Trust::Pem(ca_pem.to_owned());
    let tls = identity.map_or_else(|| client_tls::config(&trust), |pem| client_tls::config_as(&trust, pem));
    let mut tls = tls.unwrap();
    // reqwest offers nothing of its own with a configuration it is given.
    tls.alpn_protocols = protocols.iter().map(|name| name.as_bytes().to_vec()).collect();
    reqwest::Client::builder().tls_backend_preconfigured(tls).timeout(SOON).no_proxy()
}

/// Asks Huawei for a token; the version of HTTP and what it said.
async fn authorize(lab: &Lab, client: &reqwest::Client) -> reqwest::Result<(reqwest::Version, Value)> {
    let setup = lab.setup(Vendor::Huawei);
    let given = |name: &str| setup.credential[name].as_str().unwrap().to_owned();
    let body = form_urlencoded::Serializer::new(String::new())
        .append_pair("grant_type", "client_credentials")
        .append_pair("client_id", &given("client_id"))
        .append_pair("client_secret", &given("client_secret"))
        .finish();
    let url = format!("{}/oauth2/v3/token", setup.hosts["auth"]);
    let answer = client.post(url).header("content-type", FORM).body(body).send().await?;
    Ok((answer.version(), answer.json().await?))
}

async fn send(lab: &Lab, client: &reqwest::Client, token: &str) -> reqwest::Result<Value> {
    let access = authorize(lab, client).await?.1["access_token"].as_str().unwrap().to_owned();
    let message = json!({"validate_only": false, "message": {
        "token": [token],
        "android": {"notification": {"title": "Hello", "body": "World", "click_action": {"type": 3}}},
    }});
    let url = format!("{}/v1/100000001/messages:send", lab.base_url(Vendor::Huawei));
    client.post(url).bearer_auth(access).json(&message).send().await?.json().await
}

#[tokio::test]
async fn a_listener_speaks_both_versions_of_http() {
    let lab = lab().await;
    let newer = client(lab.ca_pem(), None).build().unwrap();
    let older = client_of(lab.ca_pem(), None, &["http/1.1"]).build().unwrap();
    for (client, version) in [(newer, reqwest::Version::HTTP_2), (older, reqwest::Version::HTTP_11)] {
        let (spoken, said) = authorize(&lab, &client).await.unwrap();
        assert_eq!(spoken, version);
        assert!(said["access_token"].is_string(), "{said}");
        let said = send(&lab, &client, "ok-1").await.unwrap();
        assert_eq!(said["code"], "80000000");
    }
    assert_eq!(lab.world().capture.taken(Vendor::Huawei).len(), 2);
    let heard = lab.world().capture.requests(Vendor::Huawei);
    let bearer = heard[2].headers.iter().find(|(name, _)| name == "authorization").unwrap();
    assert!(bearer.1.len() <= 12, "what opens a vendor is not kept: {}", bearer.1);
}

#[tokio::test]
async fn every_simulated_vendor_listens_and_its_setup_leads_there() {
    let lab = lab().await;
    for vendor in Vendor::ALL {
        let setup = lab.setup(vendor);
        let base = lab.base_url(vendor);
        assert!(setup.hosts.values().all(|host| *host == base), "{vendor}");
        let client = client(setup.ca_pem.as_deref().unwrap(), None).build().unwrap();
        let answer = client.post(format!("{base}/no/such/%00path?a=%ff")).body("{").send().await.unwrap();
        assert!(answer.status().as_u16() >= 200, "{vendor}");
    }
}

#[tokio::test]
async fn a_vendor_that_cannot_be_reached_cuts_what_is_open_and_takes_nothing_new() {
    let lab = lab().await;
    let client = client(lab.ca_pem(), None).build().unwrap();
    authorize(&lab, &client).await.unwrap();
    lab.world().set_condition(Vendor::Huawei, Condition::Unreachable);
    let error = authorize(&lab, &client).await.unwrap_err();
    assert!(!error.is_timeout(), "{error:?}");
    let heard = lab.world().capture.requests(Vendor::Huawei).len();
    lab.world().set_condition(Vendor::Huawei, Condition::Up);
    authorize(&lab, &client).await.unwrap();
    assert_eq!(lab.world().capture.requests(Vendor::Huawei).len(), heard + 1);
}

#[tokio::test]
async fn a_vendor_that_says_nothing_holds_the_connection_until_it_is_back() {
    let lab = lab().await;
    let client = client(lab.ca_pem(), None).build().unwrap();
    lab.world().set_condition(Vendor::Huawei, Condition::Silent);
    let asking = authorize(&lab, &client);
    let heard = async {
        while lab.world().capture.requests(Vendor::Huawei).is_empty() {
            tokio::task::yield_now().await;
        }
        lab.world().set_condition(Vendor::Huawei, Condition::Up);
    };
    let (said, ()) = tokio::join!(asking, heard);
    assert!(!said.unwrap_err().is_timeout());
    authorize(&lab, &client).await.unwrap();
}

#[tokio::test]
async fn a_cut_comes_after_the_vendor_took_the_message() {
    let lab = lab().await;
    let client = client(lab.ca_pem(), None).build().unwrap();
    let error = send(&lab, &client, "cut-1-x").await.unwrap_err();
    assert!(!error.is_timeout() && !error.is_connect(), "{error:?}");
    assert_eq!(lab.world().capture.taken(Vendor::Huawei).len(), 1);
}

#[tokio::test]
async fn a_laboratory_that_is_dropped_is_gone() {
    let lab = lab().await;
    let (ca, url) = (lab.ca_pem().to_owned(), lab.base_url(Vendor::Vivo));
    let client = client(&ca, None).build().unwrap();
    client.get(&url).send().await.unwrap();
    drop(lab);
    let address = url.trim_start_matches("https://").to_owned();
    tokio::time::timeout(SOON, async {
        while tokio::net::TcpStream::connect(&address).await.is_ok() {
            tokio::task::yield_now().await;
        }
    })
    .await
    .unwrap();
}

/// Answers by path, and keeps what it was asked.
#[derive(Default)]
struct Scripted(Mutex<Vec<Asked>>);

impl Simulator for Scripted {
    fn vendor(&self) -> Vendor {
        Vendor::Apns
    }

    fn answer<'a>(&'a self, _: &'a World, asked: Asked) -> BoxFuture<'a, Reply> {
        let (status, headers) = (200, Vec::new());
        let body = Bytes::from(json!({"connection": asked.connection}).to_string());
        let reply = match asked.path.as_str() {
            "/half" => Reply::Half { status, headers, body },
            "/goaway" => Reply::Goaway { status, headers, body },
            _ => Reply::Answer { status, headers, body },
        };
        self.0.lock().push(asked);
        Box::pin(std::future::ready(reply))
    }

    fn setup(&self) -> (Value, Value) {
        (Value::Null, Value::Null)
    }
}

/// A listener of HTTP/2 alone, its address and its authority.
async fn scripted(simulator: Arc<Scripted>) -> (JoinSet<()>, String, String) {
    let identity = Identity::make().unwrap();
    let listener = listener(0).await.unwrap();
    let url = format!("https://{}", local(&listener).unwrap());
    let front = Front {
        world: Arc::new(World::new(clock(), false)),
        simulator,
        tls: identity.server(&["h2"]).unwrap(),
        streams_max: 10,
        connections: Arc::default(),
    };
    let mut tasks = JoinSet::new();
    tasks.spawn(front::listen(Arc::new(front), listener));
    (tasks, url, identity.ca_pem)
}

#[tokio::test]
async fn after_goaway_the_next_request_takes_another_connection() {
    let (_listening, url, ca) = scripted(Arc::default()).await;
    let client = client(&ca, None).http2_prior_knowledge().build().unwrap();
    let ask = async |path: &str| {
        let answer = client.get(format!("{url}{path}")).send().await.unwrap();
        answer.json::<Value>().await.unwrap()["connection"].as_u64().unwrap()
    };
    let first = ask("/goaway").await;
    // The word that it is over may still be under way.
    let later = async { while ask("/").await == first {} };
    tokio::time::timeout(SOON, later).await.unwrap();
}

#[tokio::test]
async fn half_an_answer_has_a_head_and_no_end() {
    let (_listening, url, ca) = scripted(Arc::default()).await;
    let client = client(&ca, None).http2_prior_knowledge().build().unwrap();
    let answer = client.get(format!("{url}/half")).send().await.unwrap();
    assert_eq!(answer.status(), 200);
    assert!(answer.bytes().await.is_err());
}

#[tokio::test]
async fn a_body_beyond_the_bound_is_refused_unread() {
    let simulator = Arc::new(Scripted::default());
    let (_listening, url, ca) = scripted(Arc::clone(&simulator)).await;
    let client = client(&ca, None).http2_prior_knowledge().build().unwrap();
    let answer = client.post(&url).body(vec![b'x'; (1 << 20) + 1]).send().await.unwrap();
    assert_eq!(answer.status(), 413);
    let answer = client.post(&url).body(vec![b'x'; 1 << 20]).send().await.unwrap();
    assert_eq!(answer.status(), 200);
    assert_eq!(simulator.0.lock().len(), 1);
}

#[tokio::test]
async fn a_clients_certificate_of_any_issuer_reaches_the_simulator() {
    let simulator = Arc::new(Scripted::default());
    let (_listening, url, ca) = scripted(Arc::clone(&simulator)).await;
    let made = rcgen::generate_simple_self_signed(vec!["com.example.demo".to_owned()]).unwrap();
    let pem = format!("{}{}", made.cert.pem(), made.signing_key.serialize_pem());
    for identity in [Some(pem.as_str()), None] {
        let client = client(&ca, identity).http2_prior_knowledge().build().unwrap();
        client.get(format!("{url}/a%20b?c=%20")).send().await.unwrap();
    }
    let asked = simulator.0.lock().clone();
    assert_eq!(asked[0].certificate.as_deref(), Some(made.cert.der().as_ref()));
    assert_eq!(asked[1].certificate, None);
    assert_eq!((asked[0].path.as_str(), asked[0].query.as_str()), ("/a b", "c=%20"));
    assert_eq!(asked[0].header("host"), Some(url.trim_start_matches("https://")));
    assert!(asked[0].is_http2);
}
