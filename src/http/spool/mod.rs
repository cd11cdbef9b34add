//! A body too long for memory: a list file of millions of lines. It is hashed while it is written to
//! a file of the data directory, its signature is verified when it is whole, and only then is it
//! looked at.
//!
//! ```text
//!  socket ─▶ 256 KiB ─▶ hash, write (a thread for blocking work) ─▶ signature ─▶ Uploaded ─▶ Items
//! ```
//!
//! The file has no name: whatever ends the process ends it too.

mod items;

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use actix_web::dev::Payload;
use actix_web::http::header;
use actix_web::web::{self, Bytes, BytesMut};
use actix_web::{FromRequest, HttpMessage, HttpRequest};
use futures_util::StreamExt;
use futures_util::future::LocalBoxFuture;
use sha2::{Digest, Sha256};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::caller::{self, Caller, Read};
use super::{Code, Refused, State};
pub(super) use items::{Items, Split};

/// Bytes that are hashed and written at a time.
const PART_BYTES: usize = 256 * 1024;

/// Where list files are put while they are read.
pub(super) struct Spool {
    dir: PathBuf,
    uploads: Arc<Semaphore>,
}

impl Spool {
    pub(super) fn new(dir: &Path, uploads_max: usize) -> Self {
        Self { dir: dir.to_owned(), uploads: Arc::new(Semaphore::new(uploads_max)) }
    }
}

/// A proven caller, and the file that was the body. In a handler's arguments it stands in place of
/// [`Caller`], whose body is empty here.
pub(super) struct Uploaded {
    pub(super) caller: Caller,
    pub(super) file: Spooled,
}

/// A body on disk. Clones are readers of one file.
#[derive(Clone)]
pub(super) struct Spooled {
    file: Arc<File>,
    pub(super) form: Form,
    pub(super) sha256: [u8; 32],
    _upload: Arc<OwnedSemaphorePermit>,
}

/// What the body says it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// `text/plain`: one a line.
    Lines,
    /// `text/csv`: commas and lines.
    Csv,
    /// `application/x-ndjson`: a JSON value a line.
    Ndjson,
}

impl Spooled {
    /// Reads from the beginning. It blocks: on a thread for that.
    pub(super) fn reader(&self) -> impl io::Read + Send + use<> {
        Reader { file: Arc::clone(&self.file), at: 0 }
    }
}

/// A file read by place, so that several readers do not move each other.
struct Reader {
    file: Arc<File>,
    at: u64,
}

impl io::Read for Reader {
    fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
        let read = self.file.read_at(to, self.at)?;
        self.at += read as u64;
        Ok(read)
    }
}

impl FromRequest for Uploaded {
    type Error = Refused;
    type Future = LocalBoxFuture<'static, Result<Self, Refused>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let request = request.clone();
        let payload = payload.take();
        Box::pin(async move {
            // Nothing is served without it: `configure` puts it there.
            let state = request.app_data::<web::Data<State>>().ok_or(Refused::new(Code::Internal))?;
            let mut spooled = None;
            let read = async {
                let file = spool(state, &request, payload).await?;
                let sha256 = file.sha256;
                spooled = Some(file);
                Ok(Read { bytes: Bytes::new(), sha256 })
            };
            let caller = caller::prove(state, &request, read).await?;
            let file = spooled.ok_or(Refused::new(Code::Internal))?;
            Ok(Self { caller, file })
        })
    }
}

async fn spool(state: &State, request: &HttpRequest, payload: Payload) -> Result<Spooled, Refused> {
    let form = form_of(request).ok_or_else(|| {
        let detail = "text/plain, text/csv or application/x-ndjson, in UTF-8 and not compressed";
        Refused::because(Code::ContentTypeUnsupported, detail)
    })?;
    let most = state.http.upload_bytes_max;
    let announced = request.headers().get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok());
    if announced.and_then(|text| text.parse::<u64>().ok()).is_some_and(|length| length > most) {
        return Err(too_large(most));
    }
    let upload = Arc::clone(&state.spool.uploads).try_acquire_owned();
    let upload = upload.map_err(|_| Refused::because(Code::Busy, "as many list files arrive as may"))?;
    let patience = Duration::from_millis(state.http.upload_timeout.as_millis());
    let each = Duration::from_millis(state.http.body_timeout.as_millis());
    let taken = take(state.spool.dir.clone(), payload, most, each);
    let taken = tokio::time::timeout(patience, taken).await;
    let part = taken.map_err(|_| late(patience))??;
    let Part { file, hash, .. } = part;
    let sha256 = hash.finalize().into();
    Ok(Spooled { file: Arc::new(file), form, sha256, _upload: Arc::new(upload) })
}

/// What is written so far.
struct Part {
    file: File,
    hash: Sha256,
    bytes: u64,
}

async fn take(dir: PathBuf, mut payload: Payload, most: u64, each: Duration) -> Result<Part, Refused> {
    let open = move || Ok(Part { file: tempfile::tempfile_in(dir)?, hash: Sha256::new(), bytes: 0 });
    let mut part: Part = blocking(open).await?;
    let mut held = BytesMut::with_capacity(PART_BYTES);
    loop {
        let chunk = tokio::time::timeout(each, payload.next()).await.map_err(|_| late(each))?;
        let more = chunk.is_some();
        if let Some(chunk) = chunk {
            let chunk = chunk.map_err(|error| Refused::because(Code::RequestMalformed, error.to_string()))?;
            if part.bytes + (held.len() + chunk.len()) as u64 > most {
                return Err(too_large(most));
            }
            held.extend_from_slice(&chunk);
        }
        if held.len() >= PART_BYTES || !more {
            let write = held.split().freeze();
            part = blocking(move || part.with(&write)).await?;
        }
        if !more {
            return Ok(part);
        }
    }
}

impl Part {
    fn with(mut self, bytes: &[u8]) -> io::Result<Self> {
        self.hash.update(bytes);
        self.file.write_all_at(bytes, self.bytes)?;
        self.bytes += bytes.len() as u64;
        Ok(self)
    }
}

/// Runs what waits for the disk on a thread that may wait.
pub(super) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> Result<T, Refused> {
    let done = web::block(work).await.map_err(|_| Refused::new(Code::Internal))?;
    done.map_err(|error| {
        tracing::error!(%error, "a list file could not be kept");
        match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Refused::new(Code::DiskFull),
            _ => Refused::new(Code::Internal),
        }
    })
}

fn too_large(most: u64) -> Refused {
    Refused::because(Code::BodyTooLarge, format!("at most {most} bytes are read"))
}

fn late(patience: Duration) -> Refused {
    Refused::because(Code::BodyTimeout, format!("it has {} ms", patience.as_millis()))
}

fn form_of(request: &HttpRequest) -> Option<Form> {
    let text = |name| request.headers().get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    if !matches!(text(header::CONTENT_ENCODING), "" | "identity") {
        return None;
    }
    let charset = request.encoding().ok().map(|encoding| encoding.name());
    match (request.content_type().to_ascii_lowercase().as_str(), charset) {
        ("text/plain", Some("UTF-8")) => Some(Form::Lines),
        ("text/csv", Some("UTF-8")) => Some(Form::Csv),
        ("application/x-ndjson" | "application/jsonl" | "application/ndjson", Some("UTF-8")) => {
            Some(Form::Ndjson)
        }
        _ => None,
    }
}
