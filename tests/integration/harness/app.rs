//! An app server, in the tests' words.

use carillon_sdk::api::{
    DeviceRegistered, Lane, MessageView, Platform, PushAccepted, PushRequest, RegisterDevice, StatsRow,
    Target, TargetView,
};
use carillon_sdk::client::server::{Error, StatsQuery};
use carillon_sdk::client::{AppServer, Trust};
use carillon_sdk::sign::BindToken;
use carillon_sdk::{AppId, DeviceId, KeyId, MessageId, Timestamp, UserId, WorkspaceId};

use super::{Server, eventually};

/// A device as registration answered it.
pub(crate) type Registered = DeviceRegistered;

#[derive(Clone)]
pub(crate) struct App {
    pub(crate) api: AppServer,
    pub(crate) key_id: KeyId,
    pub(crate) secret: String,
    app_id: AppId,
    workspace_id: WorkspaceId,
}

impl App {
    pub(crate) fn new(server: &Server, key_id: &str, secret: &str) -> Self {
        let key_id = KeyId::parse(key_id).unwrap();
        let api = AppServer::new(&server.ready.http, key_id.clone(), secret, &Trust::Web).unwrap();
        Self {
            api,
            key_id,
            secret: secret.to_owned(),
            app_id: server.ready.app_id.parse().unwrap(),
            workspace_id: server.ready.workspace_id.parse().unwrap(),
        }
    }

    /// Registers an Android device, version 1.0.
    pub(crate) async fn register(&self, device: &str) -> Registered {
        let request = RegisterDevice {
            device_id: Some(device.parse().unwrap()),
            platform: Platform::Android,
            app_version: Some("1.0".to_owned()),
            ..RegisterDevice::default()
        };
        self.api.register_device(&request).await.unwrap()
    }

    pub(crate) async fn bind(&self, device: &DeviceId, user: &str) {
        self.api.bind(device, &user.parse().unwrap()).await.unwrap();
    }

    /// A push with this title and the default options; all targets must be accepted.
    pub(crate) async fn push(&self, to: Target, title: &str) -> MessageId {
        self.send(PushRequest { to, title: Some(title.to_owned()), ..PushRequest::default() }).await
    }

    pub(crate) async fn push_in(&self, lane: Lane, to: Target, title: &str) -> MessageId {
        self.send(PushRequest { to, title: Some(title.to_owned()), lane, ..PushRequest::default() }).await
    }

    pub(crate) async fn push_for(&self, ttl_s: u64, to: Target, title: &str) -> MessageId {
        self.send(PushRequest {
            to,
            title: Some(title.to_owned()),
            ttl_s: Some(ttl_s),
            ..PushRequest::default()
        })
        .await
    }

    pub(crate) async fn send(&self, push: PushRequest) -> MessageId {
        let answer = self.api.push(&push, None).await.unwrap();
        assert!(answer.targets.iter().all(|target| target.accepted), "{answer:?}");
        answer.message_id
    }

    pub(crate) async fn push_once(&self, key: &str, to: Target, title: &str) -> Result<PushAccepted, Error> {
        self.api
            .push(&PushRequest { to, title: Some(title.to_owned()), ..PushRequest::default() }, Some(key))
            .await
    }

    pub(crate) async fn message(&self, id: MessageId) -> MessageView {
        self.api.message(id, None).await.unwrap()
    }

    /// A message's story on one device, or of one user when no device had it.
    pub(crate) async fn target(&self, id: MessageId, name: &str) -> Option<TargetView> {
        let is_it = |target: &TargetView| {
            target.device_id.as_ref().map(DeviceId::as_str) == Some(name)
                || (target.device_id.is_none() && target.user_id.as_ref().map(UserId::as_str) == Some(name))
        };
        self.message(id).await.targets.into_iter().find(is_it)
    }

    /// Waits until a target's state is this; a verdict is applied shortly after its cause.
    pub(crate) async fn await_state(&self, id: MessageId, name: &str, state: &str) -> TargetView {
        eventually(&format!("{name} to be {state}"), async || {
            self.target(id, name).await.filter(|target| target.state == state)
        })
        .await
    }

    /// The sum of all statistics so far.
    pub(crate) async fn totals(&self) -> StatsRow {
        let hour = 3_600_000;
        let now = now().as_millis();
        let query = StatsQuery {
            from: Some(Timestamp::from_millis(now - hour)),
            to: Some(Timestamp::from_millis(now + hour)),
            ..StatsQuery::default()
        };
        let rows = self.api.stats(&query).await.unwrap().rows;
        rows.into_iter().fold(StatsRow::default(), |sum, row| StatsRow {
            accepted: sum.accepted + row.accepted,
            sent: sum.sent + row.sent,
            arrived: sum.arrived + row.arrived,
            handed_over: sum.handed_over + row.handed_over,
            shown: sum.shown + row.shown,
            opened: sum.opened + row.opened,
            dismissed: sum.dismissed + row.dismissed,
            expired: sum.expired + row.expired,
            replaced: sum.replaced + row.replaced,
            revoked: sum.revoked + row.revoked,
            failed: sum.failed + row.failed,
            ..sum
        })
    }

    /// A token with which a device binds a user by itself.
    pub(crate) fn bind_token(&self, device: &DeviceId, user: &str, expires_in_ms: u64) -> String {
        let token = BindToken {
            app_id: self.app_id.clone(),
            workspace_id: self.workspace_id.clone(),
            device_id: device.clone(),
            user_id: user.parse().unwrap(),
            expires_at: Timestamp::from_millis(now().as_millis() + expires_in_ms),
        };
        token.mint(&self.key_id, &self.secret)
    }

    /// The same app, named otherwise in what it signs.
    pub(crate) fn named(mut self, app_id: &str) -> Self {
        self.app_id = app_id.parse().unwrap();
        self
    }
}

pub(crate) fn to_device(device: &DeviceId) -> Target {
    Target { devices: vec![device.clone()], ..Target::default() }
}

pub(crate) fn to_devices(devices: &[&DeviceId]) -> Target {
    Target { devices: devices.iter().map(|&device| device.clone()).collect(), ..Target::default() }
}

pub(crate) fn to_user(user: &str) -> Target {
    Target { users: vec![user.parse().unwrap()], ..Target::default() }
}

pub(crate) fn to_all() -> Target {
    Target { all: true, ..Target::default() }
}

/// Wall time of the machine, which the server under test shares.
#[expect(clippy::disallowed_methods, reason = "a test is outside of the server and has no clock of its")]
pub(crate) fn now() -> Timestamp {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    Timestamp::from_millis(u64::try_from(since.as_millis()).unwrap())
}
