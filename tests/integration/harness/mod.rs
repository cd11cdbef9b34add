//! The verbs in which the tests are written: a server, an app server's calls, a phone.
//!
//! Everything is real: the server is the built binary in a process of its own, started as a
//! newcomer would; requests are signed and sent over HTTP; phones speak the wire protocol over TCP.
//! Every wait is for an event, with a generous deadline whose passing is the failure.

mod app;
mod phone;
mod server;

pub(crate) use app::{App, now};
pub(crate) use phone::Phone;
pub(crate) use server::{Ready, Server};

use std::time::Duration;

/// How long an event may take before the test fails: long enough for a loaded machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// Waits until `step` gives something, asking again as soon as it gave nothing. For what the server
/// does in its own time and tells nobody about.
pub(crate) async fn until<T, F>(what: &str, mut step: impl FnMut() -> F) -> T
where
    F: Future<Output = Option<T>>,
{
    let waited = tokio::time::timeout(PATIENCE, async {
        loop {
            if let Some(found) = step().await {
                return found;
            }
            // A pause between questions, so that asking does not slow down what is waited for.
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    });
    waited.await.unwrap_or_else(|_| panic!("waited in vain until {what}"))
}
