//! Versions of what an owner keeps: ETag and If-Match, RFC 9110, so that two people at work on one
//! object do not undo each other.

use actix_web::HttpRequest;
use actix_web::http::header::{ETAG, IF_MATCH};

use super::{Code, Refused};

/// The header of an answer that shows an object.
pub(super) fn etag(revision: u64) -> (actix_web::http::header::HeaderName, String) {
    (ETAG, format!("\"{revision}\""))
}

/// The revision that the caller means to change: none when it changes whichever is there. A text
/// that is no ETag of ours is one that nothing has.
pub(super) fn if_match(request: &HttpRequest) -> Result<Option<u64>, Refused> {
    let mut given = request.headers().get_all(IF_MATCH);
    let Some(header) = given.next() else { return Ok(None) };
    let text = header.to_str().unwrap_or_default().trim();
    if text == "*" && given.next().is_none() {
        return Ok(None);
    }
    let revision = text.strip_prefix('"').and_then(|text| text.strip_suffix('"'));
    match revision.and_then(|text| text.parse().ok()) {
        Some(revision) if given.next().is_none() => Ok(Some(revision)),
        _ => Err(Refused::because(Code::VersionMismatch, "If-Match is one ETag that an answer showed")),
    }
}
