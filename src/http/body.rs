//! A request's body: read within its bounds, then parsed with the place of each error.

use std::time::Duration;

use actix_web::HttpRequest;
use actix_web::dev::Payload;
use actix_web::error::PayloadError;
use actix_web::http::header::{self, HeaderMap};
use actix_web::web::{Bytes, BytesMut};
use futures_util::StreamExt;
use serde::de::DeserializeOwned;
use serde_path_to_error::Segment;

use super::{Code, Refused};

/// The bytes as sent: they are what is signed. Refused by their announced length before any is read.
pub(super) async fn read(
    request: &HttpRequest,
    mut payload: Payload,
    most: usize,
    patience: Duration,
) -> Result<Bytes, Refused> {
    let too_large = || Refused::because(Code::BodyTooLarge, format!("at most {most} bytes are read"));
    let announced = request.headers().get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok());
    if announced.and_then(|text| text.parse::<u64>().ok()).is_some_and(|length| length > most as u64) {
        return Err(too_large());
    }
    let read = async {
        let mut body = BytesMut::new();
        while let Some(chunk) = payload.next().await {
            let chunk = chunk.map_err(|error| refusal(&error))?;
            if body.len() + chunk.len() > most {
                return Err(too_large());
            }
            body.extend_from_slice(&chunk);
        }
        Ok(body.freeze())
    };
    let late = |_| Refused::because(Code::BodyTimeout, format!("a body has {} ms", patience.as_millis()));
    tokio::time::timeout(patience, read).await.map_err(late)?
}

fn refusal(error: &PayloadError) -> Refused {
    match error {
        PayloadError::Overflow => Refused::new(Code::BodyTooLarge),
        other => Refused::because(Code::RequestMalformed, other.to_string()),
    }
}

/// `application/json`, in UTF-8 if it says so, and not compressed: what is signed is what is read.
pub(super) fn is_json(headers: &HeaderMap) -> bool {
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let plain = matches!(text(header::CONTENT_ENCODING), "" | "identity");
    let mut parts = text(header::CONTENT_TYPE).split(';').map(|part| part.trim().to_ascii_lowercase());
    let kind = parts.next().unwrap_or_default();
    plain
        && kind == "application/json"
        && parts.all(|part| matches!(part.as_str(), "" | "charset=utf-8" | "charset=\"utf-8\""))
}

/// The body as a `T`, or what is wrong with it and where.
pub(super) fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, Refused> {
    let mut reader = serde_json::Deserializer::from_slice(body);
    let value = serde_path_to_error::deserialize(&mut reader).map_err(|error| {
        let pointer = pointer(error.path());
        refusal_of_json(error.inner(), pointer)
    })?;
    reader.end().map_err(|error| refusal_of_json(&error, String::new()))?;
    Ok(value)
}

fn refusal_of_json(error: &serde_json::Error, pointer: String) -> Refused {
    match error.classify() {
        serde_json::error::Category::Data => Refused::at(Code::BodyInvalid, pointer, error.to_string()),
        _ => Refused::because(Code::BodyMalformed, error.to_string()),
    }
}

/// A JSON pointer, RFC 6901.
fn pointer(path: &serde_path_to_error::Path) -> String {
    let mut pointer = String::new();
    for segment in path {
        match segment {
            Segment::Seq { index } => pointer.push_str(&format!("/{index}")),
            Segment::Map { key } => {
                pointer.push_str(&format!("/{}", key.replace('~', "~0").replace('/', "~1")));
            }
            Segment::Enum { .. } | Segment::Unknown => {}
        }
    }
    pointer
}

#[cfg(test)]
mod tests {
    use actix_web::ResponseError;
    use actix_web::http::header::HeaderValue;
    use carillon_sdk::api::{Problem, PushRequest};

    use super::*;

    fn refused(text: &str) -> (Code, Vec<String>) {
        let refused = parse::<PushRequest>(text.as_bytes()).unwrap_err();
        let response = refused.error_response();
        let problem = response.extensions().get::<Problem>().cloned().unwrap();
        (refused.code(), problem.errors.into_iter().map(|at| at.pointer).collect())
    }

    #[test]
    fn an_error_says_where_it_is() {
        for (text, pointer) in [
            (r#"{"to":{"all":true},"title":7}"#, "/title"),
            (r#"{"to":{"devices":["a",""]}}"#, "/to/devices/1"),
            (r#"{"to":{"device":["a"]}}"#, "/to/device"),
            (r#"{"to":{"all":true},"tittle":"x"}"#, "/tittle"),
            (r#"{"title":"x"}"#, ""),
            (r#"{"to":{"all":true},"ttl_s":-1}"#, "/ttl_s"),
            (r"[]", ""),
        ] {
            assert_eq!(refused(text), (Code::BodyInvalid, vec![pointer.to_owned()]), "{text}");
        }
    }

    #[test]
    fn what_is_not_json_is_told_apart() {
        for text in ["", "{", "{\"to\":", "{\"to\":{\"all\":true}} x", "\u{0}", "{'a':1}"] {
            assert_eq!(refused(text).0, Code::BodyMalformed, "{text:?}");
        }
    }

    #[test]
    fn json_must_be_called_json_and_come_plain() {
        let is = |pairs: &[(header::HeaderName, &str)]| {
            let mut headers = HeaderMap::new();
            for (name, value) in pairs {
                headers.insert(name.clone(), HeaderValue::from_str(value).unwrap());
            }
            is_json(&headers)
        };
        assert!(is(&[(header::CONTENT_TYPE, "application/json")]));
        assert!(is(&[(header::CONTENT_TYPE, "Application/JSON; charset=UTF-8")]));
        assert!(!is(&[(header::CONTENT_TYPE, "application/json; charset=latin1")]));
        assert!(!is(&[(header::CONTENT_TYPE, "text/plain")]));
        assert!(!is(&[]));
        assert!(!is(&[(header::CONTENT_TYPE, "application/json"), (header::CONTENT_ENCODING, "gzip")]));
    }
}
