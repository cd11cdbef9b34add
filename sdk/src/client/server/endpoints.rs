//! Where receipts go.

use reqwest::Method;

use super::{AppServer, Error, NOTHING, escaped};
use crate::api::endpoints::{
    ChangeEndpoint, CreateEndpoint, EndpointList, EndpointSecret, EndpointTested, EndpointView, ReplayEvents,
    RotateSecret,
};

impl AppServer {
    pub async fn create_endpoint(&self, endpoint: &CreateEndpoint) -> Result<EndpointSecret, Error> {
        self.call(Method::POST, "/v1/endpoints", Some(endpoint)).await
    }

    pub async fn endpoints(&self) -> Result<EndpointList, Error> {
        self.get("/v1/endpoints").await
    }

    pub async fn endpoint(&self, id: &str) -> Result<EndpointView, Error> {
        self.get(&path(id)).await
    }

    pub async fn change_endpoint(&self, id: &str, change: &ChangeEndpoint) -> Result<EndpointView, Error> {
        self.call(Method::PATCH, &path(id), Some(change)).await
    }

    pub async fn delete_endpoint(&self, id: &str) -> Result<(), Error> {
        self.done(Method::DELETE, &path(id), NOTHING).await
    }

    pub async fn rotate_endpoint(&self, id: &str, rotate: &RotateSecret) -> Result<EndpointSecret, Error> {
        self.call(Method::POST, &format!("{}/rotate", path(id)), Some(rotate)).await
    }

    pub async fn replay_events(&self, id: &str, replay: &ReplayEvents) -> Result<EndpointView, Error> {
        self.call(Method::POST, &format!("{}/replay", path(id)), Some(replay)).await
    }

    pub async fn test_endpoint(&self, id: &str) -> Result<EndpointTested, Error> {
        self.call(Method::POST, &format!("{}/test", path(id)), NOTHING).await
    }
}

fn path(id: &str) -> String {
    format!("/v1/endpoints/{}", escaped(id))
}
