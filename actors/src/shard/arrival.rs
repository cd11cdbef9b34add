//! How children of a shard begin, and begin again.

use std::rc::Rc;

use actix::dev::{SendError, ToEnvelope};
use actix::{Addr, Context, Handler, Message};
use carillon_sdk::Ttl;
use carillon_sdk::wire::{Frame, Goodbye, GoodbyeReason, Hello, VERSION, Welcome};

use super::{ActiveUser, Child, Shard};
use crate::connection::Connection;
use crate::framed::{Link, Out};
use crate::link::Arrival;
use crate::live::Live;
use crate::model::{Device, Epoch, User};
use crate::session::Session;
use crate::store::Connected;
use crate::supervise::Life;
use crate::user::UserActor;

impl Shard {
    pub(super) fn arrive(&mut self, arrival: Arrival) {
        let Arrival { device, hello, framing, protocol, rest, attach } = arrival;
        let shared = &self.env.shared;
        let transport = match attach() {
            Ok(transport) => transport,
            Err(error) => {
                tracing::warn!(%error, "a device's socket could not be moved to its shard");
                return;
            }
        };
        let mut link = Link::new(transport, framing, &rest, shared.limits.backlog_bytes_max);
        let epoch = shared.store.next_epoch();
        let Some(connected) = shared.store.connect(device, epoch, self.env.shard) else {
            // Deleted between its Hello and now.
            let goodbye = Frame::Goodbye(Goodbye { reason: GoodbyeReason::Revoked, retry_after_ms: 0 });
            let _ = link.write(&[Out::Control(goodbye)], self.env.now().mono_ms);
            link.close();
            return;
        };
        if shared.store.is_disabled(device.app) {
            // Shut between its Hello and now: whoever shuts it looks for sessions after this one began.
            shared.store.disconnect(device, epoch);
            let retry_after_ms = shared.away_for().as_millis();
            let goodbye = Frame::Goodbye(Goodbye { reason: GoodbyeReason::Busy, retry_after_ms });
            let _ = link.write(&[Out::Control(goodbye)], self.env.now().mono_ms);
            link.close();
            return;
        }
        // A device has one shard, so whatever session this one fences is here.
        if let Some(previous) = self.live(device) {
            previous.end(GoodbyeReason::Replaced, Ttl::ZERO);
        }
        if !hello.holding.is_empty() {
            let seqs = hello.holding.iter().copied().map(crate::model::Seq).collect();
            // Refused, it costs repeats.
            let _ = shared.store.ack_held(device, connected.user, seqs);
        }
        let heartbeat_s = self.heartbeat_s(&hello);
        let session = Session::new(epoch, connected.user, heartbeat_s, connected.pending, self.env.now());
        let live = Live::new(Rc::clone(&self.env), device, protocol, link, session);
        self.env.registry.borrow_mut().insert(Rc::clone(&live));
        live.welcome(Frame::Welcome(self.welcome(device, &hello, heartbeat_s, epoch, &connected)));
        self.start_connection(&live);
    }

    fn heartbeat_s(&self, hello: &Hello) -> u32 {
        let limits = &self.env.shared.limits;
        match hello.heartbeat_s {
            0 => limits.heartbeat_default_s,
            wanted => wanted.clamp(limits.heartbeat_min_s, limits.heartbeat_max_s),
        }
    }

    fn welcome(
        &self,
        device: Device,
        hello: &Hello,
        heartbeat_s: u32,
        epoch: Epoch,
        connected: &Connected,
    ) -> Welcome {
        let shared = &self.env.shared;
        let info = shared.store.device_info(device);
        if let (Some(version), Some(info)) = (&hello.app_version, &info)
            && info.app_version.as_ref() != Some(version)
        {
            shared.store.note_app_version(device, version);
        }
        let resumed = hello.resume != 0 && Epoch(hello.resume) == connected.last_epoch;
        shared.counters.opened.increment(1);
        if hello.resume != 0 {
            if resumed { &shared.counters.resumed } else { &shared.counters.not_resumed }.increment(1);
        }
        Welcome {
            version: hello.version.min(VERSION),
            session: epoch.0,
            resumed,
            heartbeat_s,
            now: self.env.now().wall,
            user_id: connected.user.and_then(|user| shared.store.user_id(user)),
            device_id: info.map(|info| info.device_id),
        }
    }

    fn start_connection(&mut self, live: &Rc<Live>) {
        let life = self.connections.next_life();
        let address = Connection::start(Rc::clone(live), self.obituary(Child::Connection(live.device), life));
        live.begin(address, life);
    }

    /// A connection that panicked is made anew around its socket; one that ended is forgotten.
    pub(super) fn connection_died(&mut self, device: Device, life: Life, panicked: bool) {
        let Some(live) = self.live(device).filter(|live| live.life.get() == life) else {
            self.env
                .registry
                .borrow_mut()
                .ending()
                .retain(|live| live.device != device || live.life.get() != life);
            return;
        };
        let store = &self.env.shared.store;
        let epoch = store.next_epoch();
        let connected = panicked.then(|| store.connect(device, epoch, self.env.shard)).flatten();
        match connected {
            Some(connected) => {
                live.renew(epoch, connected.user, connected.pending);
                self.start_connection(&live);
            }
            None => live.hung_up(),
        }
    }

    /// Sends to a user's actor, made on demand; gives the message back when its mailbox is full.
    pub(super) fn with_user<M>(&mut self, user: User, message: M) -> Result<(), M>
    where
        M: Message<Result = ()> + Send + 'static,
        UserActor: Handler<M>,
        Context<UserActor>: ToEnvelope<UserActor, M>,
    {
        match self.user(user).try_send(message) {
            Ok(()) => Ok(()),
            Err(SendError::Full(message)) => Err(message),
            // It died, and its obituary is still on the way.
            Err(SendError::Closed(message)) => {
                self.users.remove(&user);
                self.user(user).try_send(message).map_err(SendError::into_inner)
            }
        }
    }

    fn user(&mut self, user: User) -> &Addr<UserActor> {
        let used_ms = self.env.now().mono_ms;
        if self.users.get_mut(&user).is_none() {
            let life = self.users.next_life();
            let obituary = self.obituary(Child::User(user), life);
            let address = UserActor::start(std::sync::Arc::clone(&self.env.shared), obituary);
            self.users.insert(user, ActiveUser { address, used_ms }, life);
        }
        let active = self.users.get_mut(&user).expect("inserted when it was missing");
        active.used_ms = used_ms;
        &active.address
    }
}
