//! What a push service checks of a request, and how it says no: as autopush does.

use serde_json::{Value, json};

use super::super::{Asked, Reply};

const BODY_BYTES_MAX: usize = 4_096;
const TOPIC_BYTES_MAX: usize = 32;
/// Autopush keeps nothing longer: 30 days.
const TTL_S_MAX: u64 = 2_592_000;

pub(super) struct Push {
    pub ttl_s: u64,
    urgency: String,
    topic: Option<String>,
    pub plain: Option<Vec<u8>>,
}

/// A status with Mozilla's own number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct No {
    pub status: u16,
    errno: u16,
    why: &'static str,
}

impl No {
    pub(super) fn new(status: u16, errno: u16, why: &'static str) -> Self {
        Self { status, errno, why }
    }

    pub(super) fn reply(self) -> Reply {
        let Self { status, errno, why } = self;
        Reply::json(status, &json!({"code": status, "errno": errno, "error": "refused", "message": why}))
    }
}

impl Push {
    pub(super) fn read(asked: &Asked) -> Result<Self, No> {
        if asked.method != "POST" {
            return Err(No::new(405, 999, "a message is posted"));
        }
        let ttl = asked.header("ttl").ok_or(No::new(400, 111, "no TTL"))?;
        let ttl_s: u64 = ttl.parse().map_err(|_| No::new(400, 112, "the TTL is no number of seconds"))?;
        let urgency = asked.header("urgency").unwrap_or("normal");
        if !["very-low", "low", "normal", "high"].contains(&urgency) {
            return Err(No::new(400, 101, "no such urgency"));
        }
        let topic = asked.header("topic");
        if topic.is_some_and(|topic| !is_topic(topic)) {
            return Err(No::new(400, 113, "the topic has another alphabet or more than 32 characters"));
        }
        if asked.body.len() > BODY_BYTES_MAX {
            return Err(No::new(413, 104, "more than 4096 bytes"));
        }
        if !asked.body.is_empty() && asked.header("content-encoding") != Some("aes128gcm") {
            return Err(No::new(400, 110, "a body must be encoded as aes128gcm"));
        }
        Ok(Self {
            ttl_s: ttl_s.min(TTL_S_MAX),
            urgency: urgency.to_owned(),
            topic: topic.map(str::to_owned),
            plain: None,
        })
    }

    /// In clear: as JSON where it is JSON, else as text.
    pub(super) fn content(&self) -> Value {
        let plain = self.plain.as_deref().map(|plain| {
            let text = || String::from_utf8_lossy(plain).into_owned().into();
            serde_json::from_slice(plain).unwrap_or_else(|_| text())
        });
        let plain: Value = plain.unwrap_or_default();
        let part = |name: &str| plain.get(name).cloned().unwrap_or_default();
        json!({
            "title": part("title"),
            "body": part("body"),
            "ttl_s": self.ttl_s,
            "urgency": self.urgency,
            "topic": self.topic,
            "plain": plain,
        })
    }
}

/// The name under which the client reached the service.
pub(super) fn host(asked: &Asked) -> Option<&str> {
    asked.header("host").or_else(|| asked.header(":authority"))
}

fn is_topic(topic: &str) -> bool {
    let is_letter = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    !topic.is_empty() && topic.len() <= TOPIC_BYTES_MAX && topic.bytes().all(is_letter)
}
