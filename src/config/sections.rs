//! Every section and its type, and how each is read. config/default.toml has the words.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;

use carillon_actors::limits::Limits;
use carillon_actors::receipts::Patience;
use carillon_actors::{engine, store};
use carillon_sdk::Ttl;

use super::layer::Raw;
use super::reader::Reader;
use super::value;

#[derive(Debug, Clone)]
pub struct Config {
    pub http: Http,
    pub mpaas: Mpaas,
    pub devices: Devices,
    pub engine: Engine,
    pub operations: Operations,
    pub store: Store,
    pub limits: Limits,
    pub rates: Rates,
    pub log: Log,
    pub drain: Drain,
    pub receipts: Receipts,
    pub vendors: Vendors,
}

/// Certificate chain and key, PEM files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsFiles {
    pub cert: PathBuf,
    pub key: PathBuf,
}

#[derive(Debug, Clone)]
pub struct Http {
    pub listen: SocketAddr,
    pub tls: Option<TlsFiles>,
    pub behind_proxy: bool,
    pub body_bytes_max: usize,
    pub batch_bytes_max: usize,
    pub body_timeout: Ttl,
    pub upload_bytes_max: u64,
    pub upload_timeout: Ttl,
    pub uploads_max: usize,
    pub watchers_max: usize,
    pub header_bytes_max: usize,
    /// Never 0: one a core was asked for by that.
    pub workers: usize,
    pub connections_max: usize,
}

/// The face that Alibaba's SDKs call.
#[derive(Debug, Clone)]
pub struct Mpaas {
    pub enabled: bool,
    pub body_bytes_max: usize,
    pub expired_seconds_max: Ttl,
    pub payload_bytes_max: usize,
    pub msg_key_keep: Ttl,
    pub task_name_required: bool,
    /// Empty: the app's own.
    pub time_zone: String,
    pub third_channel_honor: u16,
    pub third_channel_harmonyos: u16,
    pub third_channel_live_activity: u16,
}

#[derive(Debug, Clone)]
pub struct Devices {
    pub tcp: Option<SocketAddr>,
    pub tls: Option<SocketAddr>,
    pub ws: Option<SocketAddr>,
    pub wss: Option<SocketAddr>,
    pub tcp_public: Option<String>,
    pub tls_public: Option<String>,
    pub ws_public: Option<String>,
    pub wss_public: Option<String>,
    pub tls_files: Option<TlsFiles>,
    pub behind_proxy: bool,
}

#[derive(Debug, Clone)]
pub struct Engine {
    /// Never 0: one a core was asked for by that.
    pub shards: usize,
}

#[derive(Debug, Clone)]
pub struct Operations {
    pub listen: SocketAddr,
}

#[derive(Debug, Clone)]
pub struct Store {
    pub dir: PathBuf,
    pub partitions: usize,
    pub cache_bytes: u64,
    pub strict: bool,
    /// None: the data directory keeps it.
    pub master: Option<Secret>,
}

/// So many a second, and so many at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    pub per_s: u32,
    pub burst: u32,
}

#[derive(Debug, Clone)]
pub struct Rates {
    pub key: Rate,
    /// Registrations with the client key, by address.
    pub client: Rate,
    /// Failed authentications, by address.
    pub auth_failures: Rate,
    pub buckets_max: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    Text,
    Json,
}

#[derive(Debug, Clone)]
pub struct Log {
    pub level: String,
    pub format: LogFormat,
}

#[derive(Debug, Clone)]
pub struct Drain {
    pub window: Ttl,
}

/// How receipts go out.
#[derive(Debug, Clone)]
pub struct Receipts {
    /// Addresses that may be called though they are not public.
    pub allow: Vec<ipnet::IpNet>,
    /// Certificate authorities in place of the web's.
    pub ca_file: Option<PathBuf>,
    /// For one request, the name's look-up included.
    pub timeout: Ttl,
    pub patience: Patience,
    pub endpoints_max: usize,
}

/// Phone makers' channels.
#[derive(Debug, Clone)]
pub struct Vendors {
    /// Where vendors reach the API, without a slash at its end. None: they cannot.
    pub public_url: Option<String>,
}

/// Thirty-two bytes that do not print.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret([u8; 32]);

impl Secret {
    /// 64 hexadecimal digits. All the same byte over is no secret.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let bytes: [u8; 32] = hex::decode(text).ok()?.try_into().ok()?;
        bytes.iter().any(|byte| *byte != bytes[0]).then_some(Self(bytes))
    }

    #[must_use]
    pub const fn bytes(&self) -> [u8; 32] {
        self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

impl Config {
    /// What the engine is started with.
    #[must_use]
    pub fn engine(&self, master: [u8; 32]) -> engine::Config {
        engine::Config {
            store: store::Config {
                dir: self.store.dir.clone(),
                partitions: self.store.partitions,
                cache_bytes: self.store.cache_bytes,
                strict: self.store.strict,
                master,
            },
            limits: self.limits.clone(),
            shards: self.engine.shards,
        }
    }
}

const MINUTE: Ttl = Ttl::from_secs(60);
const HOUR: Ttl = Ttl::from_secs(3600);
const MANY: u64 = 1 << 32;

pub(super) fn read(r: &mut Reader<'_>) -> Config {
    Config {
        http: http(r),
        mpaas: mpaas(r),
        devices: devices(r),
        engine: Engine { shards: or_cores(r.number("engine.shards", 0..=1024)) },
        operations: Operations { listen: r.address("operations.listen") },
        store: store(r),
        limits: limits(r),
        rates: rates(r),
        log: log(r),
        drain: Drain { window: r.span("drain.window", Ttl::ZERO..=HOUR) },
        receipts: receipts(r),
        vendors: Vendors { public_url: public_url(r) },
    }
}

fn http(r: &mut Reader<'_>) -> Http {
    Http {
        listen: r.address("http.listen"),
        tls: tls_files(r, "http.tls_cert", "http.tls_key"),
        behind_proxy: r.boolean("http.behind_proxy"),
        body_bytes_max: fits(r.size("http.body_bytes_max", 1024..=16 << 20)),
        batch_bytes_max: fits(r.size("http.batch_bytes_max", 1024..=64 << 20)),
        body_timeout: r.span("http.body_timeout", Ttl::from_millis(100)..=MINUTE),
        upload_bytes_max: r.size("http.upload_bytes_max", 1024..=4 << 30),
        upload_timeout: r.span("http.upload_timeout", Ttl::from_secs(1)..=HOUR),
        uploads_max: r.number("http.uploads_max", 1..=64),
        watchers_max: r.number("http.watchers_max", 1..=65_536),
        header_bytes_max: fits(r.size("http.header_bytes_max", 1024..=64 << 10)),
        workers: or_cores(r.number("http.workers", 0..=1024)),
        connections_max: r.number("http.connections_max", 1..=1 << 20),
    }
}

fn mpaas(r: &mut Reader<'_>) -> Mpaas {
    Mpaas {
        enabled: r.boolean("mpaas.enabled"),
        body_bytes_max: fits(r.size("mpaas.body_bytes_max", 64 << 10..=16 << 20)),
        expired_seconds_max: r.span("mpaas.expired_seconds_max", MINUTE..=Ttl::from_secs(365 * 86_400)),
        payload_bytes_max: fits(r.size("mpaas.payload_bytes_max", 64..=64 << 10)),
        msg_key_keep: r.span("mpaas.msg_key_keep", HOUR..=Ttl::from_secs(365 * 86_400)),
        task_name_required: r.boolean("mpaas.task_name_required"),
        time_zone: r.text("mpaas.time_zone"),
        third_channel_honor: r.number("mpaas.third_channel_honor", 9..=999),
        third_channel_harmonyos: r.number("mpaas.third_channel_harmonyos", 9..=999),
        third_channel_live_activity: r.number("mpaas.third_channel_live_activity", 9..=999),
    }
}

fn devices(r: &mut Reader<'_>) -> Devices {
    Devices {
        tcp: r.optional_address("devices.tcp"),
        tls: r.optional_address("devices.tls"),
        ws: r.optional_address("devices.ws"),
        wss: r.optional_address("devices.wss"),
        tcp_public: r.optional_text("devices.tcp_public"),
        tls_public: r.optional_text("devices.tls_public"),
        ws_public: r.optional_text("devices.ws_public"),
        wss_public: r.optional_text("devices.wss_public"),
        tls_files: tls_files(r, "devices.tls_cert", "devices.tls_key"),
        behind_proxy: r.boolean("devices.behind_proxy"),
    }
}

fn store(r: &mut Reader<'_>) -> Store {
    let expected = "64 hexadecimal digits that are not all alike, or nothing";
    Store {
        dir: PathBuf::from(r.text("store.dir")),
        partitions: r.number("store.partitions", 1..=64),
        cache_bytes: r.size("store.cache", 1 << 20..=1 << 40),
        strict: r.boolean("store.strict"),
        master: r.read("store.master_secret", expected, None, |raw| match raw {
            Raw::Text(text) if text.is_empty() => Some(None),
            Raw::Text(text) => Secret::parse(text).map(Some),
            Raw::Int(_) | Raw::Bool(_) | Raw::Other(_) => None,
        }),
    }
}

fn limits(r: &mut Reader<'_>) -> Limits {
    Limits {
        ttl_default: r.span("limits.ttl_default", Ttl::from_secs(1)..=Ttl::from_secs(365 * 86_400)),
        ttl_max: r.span("limits.ttl_max", Ttl::from_secs(1)..=Ttl::from_secs(365 * 86_400)),
        payload_bytes_max: fits(r.size("limits.payload_bytes_max", 64..=64 << 10)),
        targets_max: r.number("limits.targets_max", 1..=100_000),
        pending_max: r.number("limits.pending_max", 1..=1_000_000),
        pending_bytes_max: r.size("limits.pending_bytes_max", 1 << 10..=1 << 40),
        broadcasts_max: r.number("limits.broadcasts_max", 1..=65_536),
        templates_max: r.number("limits.templates_max", 1..=10_000),
        campaigns_max: r.number("limits.campaigns_max", 1..=65_536),
        lists_max: r.number("limits.lists_max", 1..=65_536),
        list_lines_max: r.number("limits.list_lines_max", 1..=MANY),
        intake_app_max: r.number("limits.intake_app_max", 1..=1 << 24),
        commit_ops_max: r.number("limits.commit_ops_max", 1..=500),
        removal_wait_ms: r.span("limits.removal_wait_ms", Ttl::ZERO..=Ttl::from_secs(10)).as_millis(),
        idempotency_max: r.number("limits.idempotency_max", 1..=MANY),
        idempotency_keep: r.span("limits.idempotency_keep", HOUR..=Ttl::from_secs(365 * 86_400)),
        nonces_max: r.number("limits.nonces_max", 1..=MANY),
        in_flight_max: r.number("limits.in_flight_max", 1..=1024),
        backlog_bytes_max: fits(r.size("limits.backlog_bytes_max", 4 << 10..=64 << 20)),
        write_stall: r.span("limits.write_stall", Ttl::from_millis(10)..=HOUR),
        ack_timeout: r.span("limits.ack_timeout", Ttl::from_millis(10)..=HOUR),
        heartbeat_min_s: r.number("limits.heartbeat_min_s", 1..=86_400),
        heartbeat_max_s: r.number("limits.heartbeat_max_s", 1..=86_400),
        heartbeat_default_s: r.number("limits.heartbeat_default_s", 1..=86_400),
        connections_max: r.number("limits.connections_max", 1..=MANY),
        hello_rate_per_s: r.number("limits.hello_rate_per_s", 1..=u64::from(u32::MAX)),
        hello_burst: r.number("limits.hello_burst", 1..=u64::from(u32::MAX)),
        hello_timeout: r.span("limits.hello_timeout", Ttl::from_millis(10)..=HOUR),
        shard_mailbox_max: r.number("limits.shard_mailbox_max", 16..=1 << 24),
        revoke_keep: r.span("limits.revoke_keep", MINUTE..=Ttl::from_secs(30 * 86_400)),
        history_keep: r.span("limits.history_keep", HOUR..=Ttl::from_secs(3650 * 86_400)),
        schedules_max: r.number("limits.schedules_max", 1..=100_000),
        schedule_bytes_max: fits(r.size("limits.schedule_bytes_max", 16 << 10..=64 << 20)),
        schedule_ahead_max: r.span("limits.schedule_ahead_max", HOUR..=Ttl::from_secs(366 * 86_400)),
        schedule_skip_after: r.span("limits.schedule_skip_after", Ttl::from_secs(1)..=Ttl::from_secs(86_400)),
        schedule_keep: r.span("limits.schedule_keep", HOUR..=Ttl::from_secs(3650 * 86_400)),
        tasks_max: r.number("limits.tasks_max", 1..=1 << 24),
        task_keep: r.span("limits.task_keep", Ttl::from_secs(86_400)..=Ttl::from_secs(3650 * 86_400)),
        deaths_per_minute_max: r.number("limits.deaths_per_minute_max", 1..=u64::from(u32::MAX)),
    }
}

fn rates(r: &mut Reader<'_>) -> Rates {
    let mut rate = |per_s, burst| Rate {
        per_s: r.number(per_s, 1..=u64::from(u32::MAX)),
        burst: r.number(burst, 1..=u64::from(u32::MAX)),
    };
    Rates {
        key: rate("rates.key_per_s", "rates.key_burst"),
        client: rate("rates.client_per_s", "rates.client_burst"),
        auth_failures: rate("rates.auth_failures_per_s", "rates.auth_failures_burst"),
        buckets_max: r.number("rates.buckets_max", 64..=1 << 24),
    }
}

fn receipts(r: &mut Reader<'_>) -> Receipts {
    let expected = "address ranges, such as \"10.1.0.0/16, fd00::/8\", or nothing";
    let nets = |raw: &Raw| {
        let text = value::text(raw)?;
        let nets = text.split(',').map(str::trim).filter(|net| !net.is_empty());
        nets.map(|net| net.parse().ok()).collect::<Option<Vec<_>>>()
    };
    Receipts {
        allow: r.read("receipts.allow", expected, Vec::new(), nets),
        ca_file: r.optional_text("receipts.ca_file").map(PathBuf::from),
        timeout: r.span("receipts.timeout", Ttl::from_millis(10)..=MINUTE),
        patience: Patience {
            rest_first: r.span("receipts.retry_first", Ttl::from_millis(1)..=HOUR),
            rest_max: r.span("receipts.retry_max", Ttl::from_millis(1)..=Ttl::from_secs(86_400)),
            give_up: r.span("receipts.give_up", Ttl::from_millis(1)..=Ttl::from_secs(365 * 86_400)),
        },
        endpoints_max: r.number("receipts.endpoints_max", 1..=1_000),
    }
}

fn public_url(r: &mut Reader<'_>) -> Option<String> {
    let url = r.optional_text("vendors.public_url")?;
    let parsed = reqwest::Url::parse(&url);
    let is_base = parsed.is_ok_and(|url| {
        let is_bare = url.query().is_none() && url.fragment().is_none();
        matches!(url.scheme(), "http" | "https") && url.has_host() && is_bare
    });
    if !is_base {
        r.object("vendors.public_url", "is no http or https URL without query and fragment");
    }
    Some(url.trim_end_matches('/').to_owned())
}

fn log(r: &mut Reader<'_>) -> Log {
    let level = |raw: &Raw| {
        let text = value::text(raw)?;
        text.parse::<tracing_subscriber::filter::EnvFilter>().ok()?;
        Some(text)
    };
    let format = |raw: &Raw| match value::text(raw)?.as_str() {
        "text" => Some(LogFormat::Text),
        "json" => Some(LogFormat::Json),
        _ => None,
    };
    Log {
        level: r.read(
            "log.level",
            "levels such as \"info\" or \"info,carillon=debug\"",
            String::new(),
            level,
        ),
        format: r.read("log.format", "\"text\" or \"json\"", LogFormat::Text, format),
    }
}

fn tls_files(r: &mut Reader<'_>, cert: &'static str, key: &'static str) -> Option<TlsFiles> {
    match (r.optional_text(cert), r.optional_text(key)) {
        (Some(cert), Some(key)) => Some(TlsFiles { cert: cert.into(), key: key.into() }),
        (None, None) => None,
        (Some(_), None) => {
            r.object(key, format!("is empty; expected the key of {cert}"));
            None
        }
        (None, Some(_)) => {
            r.object(cert, format!("is empty; expected the certificate of {key}"));
            None
        }
    }
}

/// What one key cannot know of another.
pub(super) fn check(config: &Config, r: &mut Reader<'_>) {
    let limits = &config.limits;
    if limits.ttl_default > limits.ttl_max {
        r.object("limits.ttl_default", "is longer than limits.ttl_max");
    }
    if limits.heartbeat_min_s > limits.heartbeat_default_s {
        r.object("limits.heartbeat_default_s", "is shorter than limits.heartbeat_min_s");
    }
    if limits.heartbeat_default_s > limits.heartbeat_max_s {
        r.object("limits.heartbeat_default_s", "is longer than limits.heartbeat_max_s");
    }
    if config.http.body_bytes_max < limits.payload_bytes_max + 1024 {
        r.object("http.body_bytes_max", "leaves no KiB for the targets beside limits.payload_bytes_max");
    }
    let zone = &config.mpaas.time_zone;
    if !zone.is_empty() && carillon_actors::schedule::calendar::Zone::parse(zone).is_err() {
        r.object("mpaas.time_zone", format!("{zone:?} is no name of the IANA time zone database"));
    }
    let mpaas = &config.mpaas;
    if mpaas.third_channel_honor == mpaas.third_channel_harmonyos {
        r.object("mpaas.third_channel_harmonyos", "is the number of mpaas.third_channel_honor");
    }
    if [mpaas.third_channel_honor, mpaas.third_channel_harmonyos].contains(&mpaas.third_channel_live_activity)
    {
        r.object("mpaas.third_channel_live_activity", "is the number of another channel");
    }
    if limits.pending_bytes_max < limits.payload_bytes_max as u64 {
        r.object("limits.pending_bytes_max", "is less than one payload of limits.payload_bytes_max");
    }
    if limits.history_keep < limits.ttl_max {
        r.object("limits.history_keep", "is shorter than limits.ttl_max: a message would outlive its story");
    }
    if config.receipts.patience.rest_first > config.receipts.patience.rest_max {
        r.object("receipts.retry_first", "is longer than receipts.retry_max");
    }
    if config.store.dir.as_os_str().is_empty() {
        r.object("store.dir", "is empty; expected a directory");
    }
    let public = [
        ("devices.tcp_public", &config.devices.tcp_public, &["" as &str][..]),
        ("devices.tls_public", &config.devices.tls_public, &[""]),
        ("devices.ws_public", &config.devices.ws_public, &["ws://", "wss://"]),
        ("devices.wss_public", &config.devices.wss_public, &["wss://"]),
    ];
    for (key, given, schemes) in public {
        let Some(text) = given else { continue };
        let host = schemes.iter().find_map(|scheme| text.strip_prefix(scheme));
        let plain = schemes == [""];
        if host.is_none_or(|host| host.is_empty() || (plain && (host.contains('/') || !host.contains(':')))) {
            let shape = if plain { "host:port" } else { "a ws:// or wss:// URL" };
            r.object(key, format!("{text:?} will not do; expected {shape}"));
        }
    }
}

/// 0 asks for one a core.
fn or_cores(n: usize) -> usize {
    if n == 0 { std::thread::available_parallelism().map_or(1, usize::from) } else { n }
}

/// Bounded by the reader far below what a `usize` holds.
fn fits(n: u64) -> usize {
    usize::try_from(n).unwrap_or(usize::MAX)
}
