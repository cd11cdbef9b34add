//! Between HTTP and the simulators' words: a request read within bounds, a reply written, whole or by
//! half.

use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::{Bytes, BytesMut};
use hyper::body::{Body, Frame, Incoming, SizeHint};
use hyper::header::{HeaderName, HeaderValue};
use hyper::{Request, Response, StatusCode};

use super::Asked;

/// Of a request's body; no vendor takes as much.
const BODY_BYTES_MAX: usize = 1 << 20;

/// Why a request could not be read.
pub(super) enum Unread {
    TooLong,
    /// The caller went away in the middle.
    Broken,
}

/// The connection's part is left to the caller.
pub(super) async fn asked(request: Request<Incoming>) -> Result<Asked, Unread> {
    let (head, body) = request.into_parts();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let named =
        |(name, value): (&HeaderName, &HeaderValue)| (name.as_str().to_owned(), text(value.as_bytes()));
    let mut headers: Vec<_> = head.headers.iter().map(named).collect();
    // HTTP/2 has it in the address: simulators read one name.
    if let Some(authority) = head.uri.authority().filter(|_| !head.headers.contains_key("host")) {
        headers.push(("host".to_owned(), authority.to_string()));
    }
    let path = percent_encoding::percent_decode_str(head.uri.path()).decode_utf8_lossy().into_owned();
    Ok(Asked {
        method: head.method.as_str().to_owned(),
        path,
        query: head.uri.query().unwrap_or_default().to_owned(),
        headers,
        body: whole(body).await?,
        is_http2: head.version == hyper::Version::HTTP_2,
        connection: 0,
        certificate: None,
    })
}

async fn whole(mut body: Incoming) -> Result<Bytes, Unread> {
    let mut read = BytesMut::new();
    while let Some(frame) = poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await {
        let Ok(data) = frame.map_err(|_| Unread::Broken)?.into_data() else { continue };
        if read.len() + data.len() > BODY_BYTES_MAX {
            return Err(Unread::TooLong);
        }
        read.extend_from_slice(&data);
    }
    Ok(read.freeze())
}

/// The answer; `is_whole` false leaves half of the body out, though its length is said.
pub(super) fn response(
    status: u16,
    headers: &[(String, String)],
    body: Bytes,
    is_whole: bool,
) -> Response<Said> {
    let said = if is_whole { Said::whole(body) } else { Said::half(&body) };
    let mut response = Response::new(said);
    // A simulator says what HTTP has; 500 makes a slip of its own plain.
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    for (name, value) in headers {
        // What came with a hostile request may be in a reply's header: it is left out.
        if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::try_from(value)) {
            response.headers_mut().append(name, value);
        }
    }
    response
}

/// A body that may end too early.
pub(super) struct Said {
    rest: Bytes,
    /// Said of it, and not kept when it is more than the rest.
    promised: u64,
    /// Turns left in which what is written goes out, before the break.
    turns: u8,
}

/// The body broke off, as it was meant to.
#[derive(Debug, thiserror::Error)]
#[error("broken off")]
pub(super) struct BrokenOff;

impl Said {
    fn whole(body: Bytes) -> Self {
        Self { promised: body.len() as u64, rest: body, turns: 0 }
    }

    fn half(body: &Bytes) -> Self {
        // Of an empty body too something is missing.
        Self { promised: (body.len() as u64).max(1), rest: body.slice(..body.len() / 2), turns: 4 }
    }

    fn is_half(&self) -> bool {
        self.promised > self.rest.len() as u64
    }
}

impl Body for Said {
    type Data = Bytes;
    type Error = BrokenOff;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BrokenOff>>> {
        if !self.rest.is_empty() {
            let rest = std::mem::take(&mut self.rest);
            self.promised -= rest.len() as u64;
            return Poll::Ready(Some(Ok(Frame::data(rest))));
        }
        if !self.is_half() {
            return Poll::Ready(None);
        }
        if self.turns > 0 {
            self.turns -= 1;
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        Poll::Ready(Some(Err(BrokenOff)))
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty() && !self.is_half()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.promised)
    }
}
