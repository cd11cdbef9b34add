//! What an app's owner and the server's operator configure: keys, apps, settings; and the audit log
//! of it.

mod apps;
mod commands;
mod keys;
mod settings;

use carillon_sdk::client::server::Error;

/// The code of a refusal.
async fn code<T: std::fmt::Debug>(answer: impl Future<Output = Result<T, Error>>) -> String {
    answer.await.unwrap_err().code().unwrap_or("no code").to_owned()
}
