//! A push to many, in each one's own words.

use reqwest::Method;
use reqwest::header::{HeaderMap, HeaderValue};

use super::{AppServer, Error, IDEMPOTENCY_KEY, body, read};
use crate::api::batch::{BatchAccepted, PushBatch};

impl AppServer {
    /// Sends a batch. With an idempotency key it is tried again when it may not have arrived.
    pub async fn push_batch(
        &self,
        batch: &PushBatch,
        idempotency_key: Option<&str>,
    ) -> Result<BatchAccepted, Error> {
        let mut headers = HeaderMap::new();
        if let Some(key) = idempotency_key {
            let key = HeaderValue::from_str(key).map_err(|_| Error::IdempotencyKey)?;
            headers.insert(IDEMPOTENCY_KEY, key);
        }
        let path = "/v1/pushes/batch";
        let answer = self.send(Method::POST, path, headers, body(Some(batch))).await?;
        read(answer, &Method::POST, path)
    }
}
