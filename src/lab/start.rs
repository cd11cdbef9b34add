//! The laboratory as a whole: a listener a vendor, on loopback, until it is dropped.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use carillon_actors::channel::Setup;
use carillon_actors::clock::Clock;
use carillon_sdk::Vendor;
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use super::control::Surface;
use super::front::{self, Front};
use super::tls::{self, Identity};
use super::{Apns, Fcm, Harmony, Honor, Huawei, Meizu, Oppo, Simulator, Vivo, WebPush, World, Xiaomi};
use super::{control, receipts};

/// HTTP/2 streams at a time on one connection, as Apple allows them at first.
const STREAMS_MAX: u32 = 1_000;

#[derive(Debug, Clone, Default)]
pub struct Options {
    /// Lets through what the vendors' documents leave unsure.
    pub is_lenient: bool,
    /// The first of ten ports in the order of [`Vendor::ALL`]; none lets the system choose.
    pub base_port: Option<u16>,
    /// HTTP/2 streams at a time on one connection; none is 1,000.
    pub streams_max: Option<u32>,
    /// The port of the control surface (plain HTTP, loopback), 0 lets the system choose; none opens none.
    pub control_port: Option<u16>,
    /// Authorities that receipts posted over HTTPS believe, in PEM, in place of the web's.
    pub receipts_ca_pem: Option<String>,
}

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("listen on {0}")]
    Listen(SocketAddr, #[source] std::io::Error),
    #[error(transparent)]
    Tls(#[from] tls::Error),
    #[error("make the simulators' keys")]
    Keys(#[from] tokio::task::JoinError),
    #[error(transparent)]
    Poster(#[from] receipts::Error),
}

/// Stops when it is dropped.
pub struct Lab {
    world: Arc<World>,
    /// All ten.
    sites: BTreeMap<Vendor, Site>,
    browsers: Arc<WebPush>,
    ca_pem: String,
    control: Option<SocketAddr>,
    /// Aborts its tasks when it is dropped.
    _listening: JoinSet<()>,
}

struct Site {
    simulator: Arc<dyn Simulator>,
    address: SocketAddr,
}

impl Site {
    fn base_url(&self) -> String {
        format!("https://{}", self.address)
    }
}

impl Lab {
    /// Within a tokio runtime, on which it serves.
    pub async fn start(clock: Clock, options: Options) -> Result<Self, Error> {
        let world = Arc::new(World::new(clock, options.is_lenient));
        let identity = Identity::make()?;
        // Keys for RSA are a second's work.
        let browsers = Arc::new(WebPush::new());
        let made = Arc::clone(&browsers);
        let simulators = tokio::task::spawn_blocking(move || simulators(made)).await?;
        let (mut sites, mut listening) = (BTreeMap::new(), JoinSet::new());
        let connections = Arc::new(AtomicU64::new(1));
        for simulator in simulators {
            let vendor = simulator.vendor();
            // The vendors' numbers begin with 1.
            let port = options.base_port.map(|base| base.saturating_add(u16::from(vendor as u8) - 1));
            let listener = listener(port.unwrap_or(0)).await?;
            let address = local(&listener)?;
            // Apple speaks nothing else.
            let protocols: &[&str] = if vendor == Vendor::Apns { &["h2"] } else { &["h2", "http/1.1"] };
            let front = Front {
                world: Arc::clone(&world),
                simulator: Arc::clone(&simulator),
                tls: identity.server(protocols)?,
                streams_max: options.streams_max.unwrap_or(STREAMS_MAX),
                connections: Arc::clone(&connections),
            };
            listening.spawn(front::listen(Arc::new(front), listener));
            sites.insert(vendor, Site { simulator, address });
        }
        let poster = receipts::Poster::new(options.receipts_ca_pem)?;
        listening.spawn(receipts::post_all(Arc::clone(&world), poster));
        let mut control = None;
        if let Some(port) = options.control_port {
            let listener = listener(port).await?;
            control = Some(local(&listener)?);
            let surface = Surface {
                world: Arc::clone(&world),
                browsers: Arc::clone(&browsers),
                push_service: sites.get(&Vendor::WebPush).map(Site::base_url).unwrap_or_default(),
            };
            listening.spawn(control::listen(surface, listener));
        }
        Ok(Self { world, sites, browsers, control, ca_pem: identity.ca_pem, _listening: listening })
    }

    #[must_use]
    pub fn world(&self) -> &Arc<World> {
        &self.world
    }

    /// `https://127.0.0.1:port`, without a slash at its end.
    #[must_use]
    pub fn base_url(&self, vendor: Vendor) -> String {
        self.site(vendor).base_url()
    }

    fn site(&self, vendor: Vendor) -> &Site {
        self.sites.get(&vendor).expect("every vendor got its listener at the start")
    }

    /// What a browser would give the app, whose fate is told by `token`: the JSON that is a Web Push
    /// device's token.
    #[must_use]
    pub fn subscription(&self, token: &str) -> serde_json::Value {
        self.browsers.subscription(&self.base_url(Vendor::WebPush), token)
    }

    /// Where the control surface listens, when it was asked for.
    #[must_use]
    pub fn control_url(&self) -> Option<String> {
        self.control.map(|address| format!("http://{address}"))
    }

    /// The authority that all listeners stand on, in PEM.
    #[must_use]
    pub fn ca_pem(&self) -> &str {
        &self.ca_pem
    }

    /// What an app's owner would give, with every host of the vendor's at the listener.
    #[must_use]
    pub fn setup(&self, vendor: Vendor) -> Setup {
        let base = self.base_url(vendor);
        let (mut credential, settings) = self.site(vendor).simulator.setup();
        // Harmony's is no address but a name: the audience of what is signed.
        if vendor != Vendor::HarmonyOs
            && let Some(uri) = credential.get_mut("token_uri")
        {
            *uri = at(&base, uri.as_str().unwrap_or_default()).into();
        }
        let hosts = hosts(vendor).iter().map(|name| ((*name).to_owned(), base.clone()));
        Setup {
            credential,
            settings,
            hosts: hosts.collect(),
            ca_pem: Some(self.ca_pem.clone()),
            clock_offset_ms: 0,
            receipts_url: None,
        }
    }
}

/// `browsers` apart, since it makes subscriptions too.
fn simulators(browsers: Arc<WebPush>) -> [Arc<dyn Simulator>; 10] {
    [
        Arc::new(Apns::new()),
        Arc::new(Fcm::new()),
        Arc::new(Huawei::default()),
        Arc::new(Harmony::default()),
        Arc::new(Honor::default()),
        Arc::new(Xiaomi::default()),
        Arc::new(Oppo::default()),
        Arc::new(Vivo::default()),
        Arc::new(Meizu::default()),
        browsers,
    ]
}

/// The names under which an adapter looks for a vendor's hosts.
const fn hosts(vendor: Vendor) -> &'static [&'static str] {
    match vendor {
        Vendor::Fcm | Vendor::Huawei | Vendor::HarmonyOs | Vendor::Honor | Vendor::Vivo => &["send", "auth"],
        Vendor::Xiaomi => &["send", "feedback"],
        Vendor::Oppo => &["send", "auth", "send_intl", "auth_intl"],
        Vendor::Apns | Vendor::Meizu | Vendor::WebPush => &["send"],
    }
}

/// The path of `uri` at `base`.
fn at(base: &str, uri: &str) -> String {
    let path = reqwest::Url::parse(uri).map(|url| url.path().to_owned());
    format!("{base}{}", path.unwrap_or_default())
}

async fn listener(port: u16) -> Result<TcpListener, Error> {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    TcpListener::bind(address).await.map_err(|error| Error::Listen(address, error))
}

fn local(listener: &TcpListener) -> Result<SocketAddr, Error> {
    let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    listener.local_addr().map_err(|error| Error::Listen(any, error))
}

#[cfg(test)]
mod tests;
