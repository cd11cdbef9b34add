//! Trying a channel out: whether its vendor gives access, and takes a message for one token.

use std::sync::Arc;

use carillon_sdk::wire::Lane;
use carillon_sdk::{MessageId, Timestamp, Ttl, Vendor};

use super::actor::Mended;
use super::office::Tried;
use super::setup::{Error, Setups};
use super::{Access, AccessView, Address, Gateway, Options, Outcome, Parcel, Refused, State, Tested, keep};
use crate::engine::{Engine, Shared};
use crate::model::{App, Message, PushType};

/// How long a vendor may go on trying to show a message that was a trial.
const VALIDITY: Ttl = Ttl::from_secs(60);

impl Engine {
    /// How a channel fares; none when the app has no setup for the vendor, or it is turned off.
    #[must_use]
    pub fn channel_state(&self, app: App, vendor: Vendor) -> Option<State> {
        self.shared().channel_board.get((app, vendor))
    }

    /// Asks the vendor for access with the app's setup, turned off or not, and, with a token, sends
    /// it a message. It counts towards no quota of ours. When all of it goes well, a channel that had
    /// given up goes on.
    pub async fn test_channel(
        &self,
        app: App,
        vendor: Vendor,
        token: Option<String>,
    ) -> Result<Tested, Error> {
        let shared = self.shared();
        let (gateway, opened) = Setups::of(shared, app).gateway(vendor)?;
        let now = shared.clock.now();
        let held = keep::access(shared, app, vendor, &opened.generation);
        let access = match held.filter(|access| is_good(access, now)) {
            Some(access) => access,
            None => match gateway.authorize().await {
                Ok(access) => access,
                Err(refused) => return Ok(Tested { access: Err(refused), sent: None }),
            },
        };
        keep::keep_access(shared, app, vendor, &opened.generation, &access).await?;
        let tested = tried(gateway.as_ref(), access.clone(), app, token, shared).await;
        if !matches!(tested.sent, Some(Outcome::Refused(_))) {
            let mended = Mended { access, sent: tested.sent.is_some() };
            shared.channel_board.tell(Tried { key: (app, vendor), mended });
        }
        Ok(tested)
    }
}

/// What a vendor that gives access says of a message to this token.
pub(super) async fn tried(
    gateway: &dyn Gateway,
    access: Access,
    app: App,
    token: Option<String>,
    shared: &Shared,
) -> Tested {
    let view = Ok(AccessView::Held { ends_at: access.ends_at });
    let Some(token) = token else { return Tested { access: view, sent: None } };
    let outcomes = gateway.send(access, parcel(app, token, shared.clock.now())).await;
    let sent = outcomes.into_iter().next().unwrap_or_else(|| Refused::silent().into());
    Tested { access: view, sent: Some(sent) }
}

fn is_good(access: &Access, now: Timestamp) -> bool {
    access.renew_at.or(access.ends_at).is_none_or(|end| now < end)
}

fn parcel(app: App, token: String, now: Timestamp) -> Parcel {
    let id = MessageId::fresh();
    let message = Message {
        id,
        app,
        push_type: PushType::Single,
        title: Some("Carillon".to_owned()),
        body: Some("A trial of this channel.".to_owned()),
        data: None,
        lane: Lane::High,
        silent: false,
        collapse_key: None,
        accepted_at: now,
        expires_at: now + VALIDITY,
        uri: None,
        look: None,
        task: None,
        options: Some(r#"{"is_test":true}"#.to_owned()),
        repeat_until: None,
        revokes: None,
        key: None,
    };
    Parcel {
        options: Arc::new(Options::read(message.options.as_deref())),
        message: Arc::new(message),
        to: vec![Address { token, receipt: format!("trial-{id}") }],
        now,
    }
}
