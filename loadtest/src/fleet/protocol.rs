//! What the measuring process and its fleets say to each other: one JSON object a line, each
//! command answered by one `Told`.

use std::net::Ipv4Addr;

use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) enum Command {
    /// Connects one device for each credential, at most `opening_max` of them under way at once.
    Connect(Connect),
    /// Whether devices ack what arrives from now on.
    Ack(bool),
    /// Of every `n` devices one stops reading; 0 lets all read again.
    Stall(usize),
    /// Forgets counts and latencies.
    Reset,
    /// Counts alone; cheap enough to poll.
    Counts,
    /// Counts and latencies.
    Everything,
    /// Closes every connection at once, and connects all devices again when asked to.
    Cut { reconnect: bool },
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Connect {
    pub(crate) address: String,
    /// The authority of the server's certificate, in PEM: then over TLS.
    pub(crate) ca_pem: Option<String>,
    /// On loopback: the first address to come from; see `device::PER_SOURCE_MAX`.
    pub(crate) first_source: Option<Ipv4Addr>,
    pub(crate) credentials: Vec<String>,
    pub(crate) opening_max: usize,
    pub(crate) ack: bool,
}

/// What a fleet counted since its last `Reset`; times are nanoseconds since 1970, 0 for never.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Told {
    pub(crate) open: u64,
    pub(crate) welcomed: u64,
    pub(crate) first_hello_ns: u64,
    pub(crate) last_welcome_ns: u64,
    /// Connections ended by the server or the network.
    pub(crate) lost: u64,
    pub(crate) refused: u64,
    /// The last error of a connection, in words.
    pub(crate) trouble: Option<String>,
    pub(crate) singles: u64,
    pub(crate) broadcasts: u64,
    pub(crate) first_push_ns: u64,
    pub(crate) last_push_ns: u64,
    /// Value and count of each step of the histograms, in nanoseconds.
    pub(crate) connect_latency: Vec<(u64, u64)>,
    pub(crate) single_latency: Vec<(u64, u64)>,
    pub(crate) broadcast_latency: Vec<(u64, u64)>,
    pub(crate) cpu_s: f64,
}

impl Told {
    /// Joins what another fleet counted.
    pub(crate) fn join(&mut self, other: Self) {
        let earliest = |a: u64, b: u64| if a == 0 || (b != 0 && b < a) { b } else { a };
        self.open += other.open;
        self.welcomed += other.welcomed;
        self.first_hello_ns = earliest(self.first_hello_ns, other.first_hello_ns);
        self.last_welcome_ns = self.last_welcome_ns.max(other.last_welcome_ns);
        self.lost += other.lost;
        self.refused += other.refused;
        self.trouble = self.trouble.take().or(other.trouble);
        self.singles += other.singles;
        self.broadcasts += other.broadcasts;
        self.first_push_ns = earliest(self.first_push_ns, other.first_push_ns);
        self.last_push_ns = self.last_push_ns.max(other.last_push_ns);
        self.connect_latency.extend(other.connect_latency);
        self.single_latency.extend(other.single_latency);
        self.broadcast_latency.extend(other.broadcast_latency);
        self.cpu_s += other.cpu_s;
    }
}
