//! TLS without a socket: ciphertext in, plaintext out, and the other way round.
//!
//! It drives rustls's unbuffered connection rather than its buffered one, which keeps a read
//! buffer of 4 KiB for as long as it lives: a connection that is idle for days holds only keys.

use std::sync::Arc;

use rustls::ServerConfig;
use rustls::server::UnbufferedServerConnection;
use rustls::unbuffered::{ConnectionState, EncodeError, EncodeTlsData, EncryptError, WriteTraffic};

/// What one TLS record adds to its plaintext, rounded up: header, content type, tag and nonce.
const RECORD_OVERHEAD: usize = 64;

/// Plaintext sealed at once: one record.
pub(super) const SEAL_BYTES_MAX: usize = 16 * 1024;

/// Calls of rustls after an error that fetch the alert it wants sent.
const ALERT_STEPS_MAX: usize = 4;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    Handshake,
    Open,
    /// The peer said close_notify: nothing more will come.
    Ended,
}

pub(super) struct Machine {
    /// Boxed, since it is over a kilobyte and moves from arbiter to arbiter.
    session: Box<UnbufferedServerConnection>,
    /// Ciphertext the socket has not taken yet. No allocation when empty.
    sealed: Vec<u8>,
    stage: Stage,
}

impl Machine {
    pub(super) fn new(config: Arc<ServerConfig>) -> Result<Self, rustls::Error> {
        Ok(Self {
            session: Box::new(UnbufferedServerConnection::new(config)?),
            sealed: Vec::new(),
            stage: Stage::Handshake,
        })
    }

    pub(super) fn stage(&self) -> Stage {
        self.stage
    }

    /// Ciphertext to be sent.
    pub(super) fn sealed(&self) -> &[u8] {
        &self.sealed
    }

    /// The socket took the first `n` bytes of `sealed`.
    pub(super) fn sent(&mut self, n: usize) {
        if n >= self.sealed.len() {
            self.sealed = Vec::new();
        } else {
            self.sealed.drain(..n);
        }
    }

    /// Takes in what arrived, hands plaintext to `plain`, and says how many bytes from the front
    /// of `incoming` are done with; the rest belongs to a record that is not whole yet. After an
    /// error `sealed` may hold an alert for the peer, and nothing else can be done with it.
    pub(super) fn open(
        &mut self,
        incoming: &mut [u8],
        plain: &mut impl FnMut(&[u8]),
    ) -> Result<usize, rustls::Error> {
        let mut done = 0;
        loop {
            let status = self.session.process_tls_records(&mut incoming[done..]);
            let mut discard = status.discard;
            let stage = match status.state {
                Ok(ConnectionState::ReadTraffic(mut traffic)) => {
                    while let Some(record) = traffic.next_record() {
                        let record = record?;
                        discard += record.discard;
                        plain(record.payload);
                    }
                    None
                }
                Ok(ConnectionState::EncodeTlsData(data)) => {
                    encode(data, &mut self.sealed)?;
                    None
                }
                Ok(ConnectionState::TransmitTlsData(data)) => {
                    data.done();
                    None
                }
                Ok(ConnectionState::BlockedHandshake) => Some(Stage::Handshake),
                Ok(ConnectionState::WriteTraffic(_)) => Some(Stage::Open),
                Ok(ConnectionState::PeerClosed | ConnectionState::Closed) => Some(Stage::Ended),
                Ok(_) => return Err(rustls::Error::General("early data, which is not offered".to_owned())),
                Err(error) => {
                    self.fetch_alert();
                    return Err(error);
                }
            };
            done += discard;
            if let Some(stage) = stage {
                // The end is told once; afterwards rustls speaks of what may still be written.
                if self.stage != Stage::Ended {
                    self.stage = stage;
                }
                return Ok(done);
            }
        }
    }

    /// Seals up to `SEAL_BYTES_MAX` of `bytes` and says how many. `incoming` is what `open` left
    /// over: rustls may hold positions in it.
    pub(super) fn seal(&mut self, bytes: &[u8], incoming: &mut [u8]) -> Result<usize, rustls::Error> {
        let bytes = &bytes[..bytes.len().min(SEAL_BYTES_MAX)];
        self.write(incoming, |mut traffic, sealed| {
            append(sealed, bytes.len() + RECORD_OVERHEAD, |room| traffic.encrypt(bytes, room))
        })?;
        Ok(bytes.len())
    }

    /// Seals the close_notify that tells the peer that nothing was cut off.
    pub(super) fn seal_end(&mut self, incoming: &mut [u8]) -> Result<(), rustls::Error> {
        self.write(incoming, |mut traffic, sealed| {
            append(sealed, RECORD_OVERHEAD, |room| traffic.queue_close_notify(room))
        })
    }

    fn write(
        &mut self,
        incoming: &mut [u8],
        write: impl FnOnce(
            WriteTraffic<'_, rustls::server::ServerConnectionData>,
            &mut Vec<u8>,
        ) -> Result<(), EncryptError>,
    ) -> Result<(), rustls::Error> {
        loop {
            match self.session.process_tls_records(incoming).state? {
                ConnectionState::WriteTraffic(traffic) => {
                    return write(traffic, &mut self.sealed)
                        .map_err(|error| rustls::Error::General(error.to_string()));
                }
                ConnectionState::EncodeTlsData(data) => encode(data, &mut self.sealed)?,
                ConnectionState::TransmitTlsData(data) => data.done(),
                ConnectionState::PeerClosed => self.stage = Stage::Ended,
                _ => return Err(rustls::Error::HandshakeNotComplete),
            }
        }
    }

    fn fetch_alert(&mut self) {
        for _ in 0..ALERT_STEPS_MAX {
            match self.session.process_tls_records(&mut []).state {
                Ok(ConnectionState::EncodeTlsData(data)) => {
                    if encode(data, &mut self.sealed).is_err() {
                        return;
                    }
                }
                Ok(ConnectionState::TransmitTlsData(data)) => data.done(),
                _ => return,
            }
        }
    }
}

/// Appends a handshake record.
fn encode(
    mut data: EncodeTlsData<'_, rustls::server::ServerConnectionData>,
    sealed: &mut Vec<u8>,
) -> Result<(), rustls::Error> {
    let start = sealed.len();
    let mut room = 0;
    loop {
        sealed.resize(start + room, 0);
        match data.encode(&mut sealed[start..]) {
            Ok(written) => {
                sealed.truncate(start + written);
                return Ok(());
            }
            Err(EncodeError::InsufficientSize(size)) if size.required_size > room => {
                room = size.required_size;
            }
            Err(error) => return Err(rustls::Error::General(error.to_string())),
        }
    }
}

/// Appends what `write` puts into the room it is given, with more room when it asks.
fn append(
    sealed: &mut Vec<u8>,
    room: usize,
    mut write: impl FnMut(&mut [u8]) -> Result<usize, EncryptError>,
) -> Result<(), EncryptError> {
    let start = sealed.len();
    let mut room = room;
    loop {
        sealed.resize(start + room, 0);
        match write(&mut sealed[start..]) {
            Ok(written) => {
                sealed.truncate(start + written);
                return Ok(());
            }
            Err(EncryptError::InsufficientSize(size)) if size.required_size > room => {
                room = size.required_size;
            }
            Err(error) => {
                sealed.truncate(start);
                return Err(error);
            }
        }
    }
}
