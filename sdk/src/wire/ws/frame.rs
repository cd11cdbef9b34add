//! One WebSocket frame: its header read and written, its payload masked.

use bytes::{BufMut, Bytes, BytesMut};

use super::{Error, Opcode, Role};

/// Longest payload of a control frame.
const CONTROL_BYTES_MAX: u64 = 125;

/// Whether a header was there in full.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Length {
    /// The length or the mask has not come yet.
    Unknown,
    Known(u64),
}

/// A header read.
#[derive(Debug)]
pub(super) struct Head {
    pub(super) last: bool,
    pub(super) opcode: Opcode,
    pub(super) length: Length,
    pub(super) mask: Option<[u8; 4]>,
    /// Of the header itself.
    pub(super) bytes: usize,
}

impl Head {
    pub(super) const fn is_control(&self) -> bool {
        self.opcode as u8 >= 8
    }

    /// The header at the start of `bytes`, None with fewer than two bytes. Whatever of it has come
    /// is judged, so that a wrong one is refused at its first wrong byte.
    pub(super) fn parse(bytes: &[u8], role: Role) -> Result<Option<Self>, Error> {
        let &[first, second, ref rest @ ..] = bytes else { return Ok(None) };
        if first & 0x70 != 0 {
            return Err(Error::ReservedBits);
        }
        let last = first & 0x80 != 0;
        let opcode = opcode(first & 0x0f)?;
        let is_masked = second & 0x80 != 0;
        if is_masked != (role == Role::Server) {
            return Err(Error::Mask);
        }
        let (length, taken) = match second & 0x7f {
            126 => (rest.first_chunk().map(|two| u64::from(u16::from_be_bytes(*two))), 2),
            127 => (rest.first_chunk().map(|eight| u64::from_be_bytes(*eight)), 8),
            short => (Some(u64::from(short)), 0),
        };
        let mut head = Self { last, opcode, length: Length::Unknown, mask: None, bytes: 2 + taken };
        if head.is_control() && (!last || u64::from(second & 0x7f) > CONTROL_BYTES_MAX) {
            return Err(Error::Control);
        }
        let Some(length) = length else { return Ok(Some(head)) };
        if (taken == 2 && length < 126) || (taken == 8 && (length <= 0xffff || length >> 63 != 0)) {
            return Err(Error::Length);
        }
        if is_masked {
            let Some(mask) = rest[taken..].first_chunk() else { return Ok(Some(head)) };
            head.mask = Some(*mask);
            head.bytes += 4;
        }
        head.length = Length::Known(length);
        Ok(Some(head))
    }
}

fn opcode(number: u8) -> Result<Opcode, Error> {
    Ok(match number {
        0 => Opcode::Continuation,
        1 => Opcode::Text,
        2 => Opcode::Binary,
        8 => Opcode::Close,
        9 => Opcode::Ping,
        10 => Opcode::Pong,
        _ => return Err(Error::Opcode(number)),
    })
}

/// Puts a mask on, or takes it off.
pub(super) fn unmask(payload: &mut [u8], mask: [u8; 4]) {
    for four in payload.chunks_mut(4) {
        for (byte, mask) in four.iter_mut().zip(mask) {
            *byte ^= mask;
        }
    }
}

/// The code of a close frame, checked.
pub(super) fn close_code(payload: &[u8]) -> Result<Option<u16>, Error> {
    let Some((code, reason)) = payload.split_first_chunk() else {
        return if payload.is_empty() { Ok(None) } else { Err(Error::Close) };
    };
    let code = u16::from_be_bytes(*code);
    let may_be_sent = matches!(code, 1000..=1003 | 1007..=1014 | 3000..=4999);
    if !may_be_sent || std::str::from_utf8(reason).is_err() {
        return Err(Error::Close);
    }
    Ok(Some(code))
}

/// The payload of a close frame.
#[must_use]
pub fn close_payload(code: u16, reason: &str) -> Bytes {
    let most = CONTROL_BYTES_MAX as usize - 2;
    let mut payload = BytesMut::with_capacity(2 + reason.len().min(most));
    payload.put_u16(code);
    payload.put_slice(&reason.as_bytes()[..reason.floor_char_boundary(most)]);
    payload.freeze()
}

/// The header of a server's frame, to be written before a payload that many sockets share.
#[derive(Debug, Clone, Copy)]
pub struct Header {
    bytes: [u8; 10],
    len: u8,
}

impl Header {
    #[must_use]
    pub fn as_slice(&self) -> &[u8] {
        &self.bytes[..usize::from(self.len)]
    }
}

/// The header of an unmasked, whole message of `length` bytes.
#[must_use]
pub fn header(opcode: Opcode, length: usize) -> Header {
    let mut bytes = [0; 10];
    bytes[0] = 0x80 | opcode as u8;
    let len = match length {
        0..=125 => {
            bytes[1] = length as u8;
            2
        }
        126..=0xffff => {
            bytes[1] = 126;
            bytes[2..4].copy_from_slice(&(length as u16).to_be_bytes());
            4
        }
        _ => {
            bytes[1] = 127;
            bytes[2..].copy_from_slice(&(length as u64).to_be_bytes());
            10
        }
    };
    Header { bytes, len }
}

/// A server's whole message.
#[must_use]
pub fn frame(opcode: Opcode, payload: &[u8]) -> Bytes {
    let header = header(opcode, payload.len());
    let mut out = BytesMut::with_capacity(header.as_slice().len() + payload.len());
    out.put_slice(header.as_slice());
    out.put_slice(payload);
    out.freeze()
}

/// A client's whole message, under a mask that nobody can foretell.
#[must_use]
pub fn masked(opcode: Opcode, payload: &[u8], mask: [u8; 4]) -> Bytes {
    let mut header = header(opcode, payload.len());
    header.bytes[1] |= 0x80;
    let head = header.as_slice();
    let mut out = BytesMut::with_capacity(head.len() + mask.len() + payload.len());
    out.put_slice(head);
    out.put_slice(&mask);
    let start = out.len();
    out.put_slice(payload);
    unmask(&mut out[start..], mask);
    out.freeze()
}
