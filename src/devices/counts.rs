//! What the doors count.

use std::time::Duration;

use carillon_actors::link::Protocol;
use metrics::{Unit, counter, describe_counter, describe_histogram, histogram};

const REFUSED: &str = "carillon_connections_refused_total";
const HANDSHAKE: &str = "carillon_connection_handshake_duration_seconds";

/// Why a socket never became a session. docs/operations.md has what each means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Why {
    AcceptFailed,
    Tls,
    /// An HTTP request that is no upgrade, or a WebSocket closed before its Hello.
    NoHello,
    /// The guest hung up.
    Ended,
    Timeout,
    Protocol,
    Credential,
    /// Its app is disabled.
    Disabled,
    Full,
    Rate,
    ShardFull,
    Draining,
}

impl Why {
    const ALL: [Self; 12] = [
        Self::AcceptFailed,
        Self::Tls,
        Self::NoHello,
        Self::Ended,
        Self::Timeout,
        Self::Protocol,
        Self::Credential,
        Self::Disabled,
        Self::Full,
        Self::Rate,
        Self::ShardFull,
        Self::Draining,
    ];

    const fn label(self) -> &'static str {
        match self {
            Self::AcceptFailed => "accept_failed",
            Self::Tls => "tls",
            Self::NoHello => "no_hello",
            Self::Ended => "ended",
            Self::Timeout => "timeout",
            Self::Protocol => "protocol",
            Self::Credential => "credential",
            Self::Disabled => "disabled",
            Self::Full => "full",
            Self::Rate => "rate",
            Self::ShardFull => "shard_full",
            Self::Draining => "draining",
        }
    }
}

/// Every series at 0, so that a rate has a beginning.
pub(super) fn describe() {
    describe_counter!(REFUSED, "Sockets that never became a session, by reason");
    describe_histogram!(HANDSHAKE, Unit::Seconds, "From accept to a verified Hello, by protocol");
    for why in Why::ALL {
        counter!(REFUSED, "reason" => why.label()).absolute(0);
    }
}

pub(super) fn refused(why: Why) {
    counter!(REFUSED, "reason" => why.label()).increment(1);
}

pub(super) fn let_in(protocol: Protocol, took: Duration) {
    let protocol = match protocol {
        Protocol::Tcp => "tcp",
        Protocol::Tls => "tls",
        Protocol::Ws => "ws",
        Protocol::Wss => "wss",
    };
    histogram!(HANDSHAKE, "protocol" => protocol).record(took);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_manual_explains_every_reason() {
        let manual = include_str!("../../docs/operations.md");
        for why in Why::ALL {
            assert!(manual.contains(&format!("| `{}` |", why.label())), "{why:?}");
        }
    }
}
