//! The verbs of the tests: a server that is the real binary, an app that signs its calls, phones
//! that speak the wire protocol.
//!
//! Nothing here sleeps to let things happen: every wait is for an event, and its deadline is only
//! how long a failing test takes to say so.

mod app;
mod http;
mod phone;
mod program;
mod server;

use std::time::Duration;

pub(crate) use app::{App, Registered, now, to_all, to_device, to_devices, to_user};
pub(crate) use http::{Answer, Call, call};
pub(crate) use phone::{Phone, Transport};
pub(crate) use program::{python, root, run};
pub(crate) use server::{Ready, Server};

/// Generous: two cores, a debug build, and other tests beside this one.
pub(crate) const DEADLINE: Duration = Duration::from_secs(30);

/// The future's value; fails the test in the caller's words when it takes too long.
pub(crate) async fn within<T>(what: &str, future: impl Future<Output = T>) -> T {
    match tokio::time::timeout(DEADLINE, future).await {
        Ok(value) => value,
        Err(_) => panic!("waited {DEADLINE:?} for {what}"),
    }
}

/// Asks again until there is an answer: for what the server does on its own time (acks are applied
/// some tens of milliseconds after they came) and tells nobody.
pub(crate) async fn eventually<T>(what: &str, mut ask: impl AsyncFnMut() -> Option<T>) -> T {
    within(what, async {
        loop {
            if let Some(answer) = ask().await {
                return answer;
            }
            // Between two questions, not instead of one: the API has no event to wait for.
            tokio::time::sleep(Duration::from_millis(15)).await;
        }
    })
    .await
}
