//! The mark every measured push carries as its title: its kind and the moment it was due to be
//! sent. A device reads it without taking the frame apart, since both ends share two cores and
//! a reader's work would be counted against the sender.

use carillon_sdk::wire::{self, Frame};

/// What a push was sent for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Single,
    Broadcast,
}

/// Bytes of a tag: the kind and sixteen hexadecimal digits.
const TAG_BYTES: usize = 17;
/// MessagePack of the key `title` and of a text of 17 bytes.
const TITLE_KEY: &[u8] = b"\xa5title\xb1";
/// MessagePack of a push's beginning: an array of two, type 3. A map follows, and `seq` in it.
const PUSH: &[u8] = b"\x92\x03";
const SEQ_KEY: &[u8] = b"\xa3seq";

#[must_use]
pub(crate) fn title(kind: Kind, due_ns: u64) -> String {
    let letter = match kind {
        Kind::Single => 's',
        Kind::Broadcast => 'b',
    };
    format!("{letter}{due_ns:016x}")
}

/// A push as a device sees it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Seen {
    pub(crate) seq: u64,
    /// None for a push of someone else's making.
    pub(crate) tag: Option<(Kind, u64)>,
}

/// What a frame body holds, as far as a fleet cares.
#[derive(Debug, PartialEq)]
pub(crate) enum Read {
    Push(Seen),
    Other(Option<Frame>),
}

/// Reads a body: pushes by their bytes alone, everything else by the real decoder.
pub(crate) fn read(body: &[u8]) -> Result<Read, wire::Error> {
    if let Some(seq) = quick_seq(body) {
        return Ok(Read::Push(Seen { seq, tag: quick_tag(body) }));
    }
    Ok(match wire::decode_body(body)?.frame {
        Some(Frame::Push(push)) => {
            let tag = push.title.as_deref().and_then(|title| parse(title.as_bytes()));
            Read::Push(Seen { seq: push.seq, tag })
        }
        other => Read::Other(other),
    })
}

fn quick_seq(body: &[u8]) -> Option<u64> {
    let rest = body.strip_prefix(PUSH)?;
    // The map's own length is one byte (fixmap) for fewer than sixteen fields.
    let rest = rest.get(1..)?.strip_prefix(SEQ_KEY)?;
    let number = |bytes: &[u8]| bytes.iter().fold(0_u64, |sum, byte| sum << 8 | u64::from(*byte));
    match *rest.first()? {
        small @ 0..0x80 => Some(u64::from(small)),
        0xcc => rest.get(1..2).map(number),
        0xcd => rest.get(1..3).map(number),
        0xce => rest.get(1..5).map(number),
        0xcf => rest.get(1..9).map(number),
        _ => None,
    }
}

fn quick_tag(body: &[u8]) -> Option<(Kind, u64)> {
    let at = body.windows(TITLE_KEY.len()).position(|window| window == TITLE_KEY)? + TITLE_KEY.len();
    parse(body.get(at..at + TAG_BYTES)?)
}

fn parse(tag: &[u8]) -> Option<(Kind, u64)> {
    let (letter, digits) = tag.split_first()?;
    let kind = match letter {
        b's' => Kind::Single,
        b'b' => Kind::Broadcast,
        _ => return None,
    };
    let digits = std::str::from_utf8(digits).ok().filter(|digits| digits.len() + 1 == TAG_BYTES)?;
    Some((kind, u64::from_str_radix(digits, 16).ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use carillon_sdk::wire::{Lane, Push};
    use carillon_sdk::{MessageId, Timestamp};

    fn push(seq: u64, title: &str) -> Vec<u8> {
        let frame = Frame::Push(Push {
            seq,
            message_id: MessageId::fresh(),
            title: Some(title.to_owned()),
            body: Some("x".repeat(100)),
            data: None,
            lane: Lane::Normal,
            silent: false,
            uri: None,
            look: None,
            collapse_key: None,
            sent_at: Timestamp::from_millis(1),
            expires_at: Timestamp::from_millis(2),
            user_id: None,
        });
        wire::encode(&frame)[4..].to_vec()
    }

    #[test]
    fn the_quick_way_reads_what_the_decoder_reads() {
        for seq in [0, 127, 128, 255, 256, 65_535, 65_536, u64::from(u32::MAX), 1 << 40, u64::MAX] {
            let body = push(seq, &title(Kind::Broadcast, 0x0123_4567_89ab_cdef));
            assert_eq!(
                quick_seq(&body),
                Some(seq),
                "the encoder changed: the quick way no longer knows a push"
            );
            let Read::Push(seen) = read(&body).unwrap() else { panic!("a push") };
            assert_eq!(seen, Seen { seq, tag: Some((Kind::Broadcast, 0x0123_4567_89ab_cdef)) });
        }
    }

    #[test]
    fn a_push_of_someone_elses_making_has_no_tag() {
        let body = push(7, "hello");
        assert_eq!(read(&body).unwrap(), Read::Push(Seen { seq: 7, tag: None }));
    }
}
