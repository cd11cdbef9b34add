//! Devices: connect, take, ack most, bind another user now and then, drop the line now and then.

use std::sync::Arc;

use carillon_sdk::sign::BindToken;
use carillon_sdk::wire::{Ack, Bind, Frame, Push};
use carillon_sdk::{AppId, DeviceId, Ttl, UserId, WorkspaceId};
use tokio::sync::watch;

use super::dice::Dice;
use super::ledger::Ledger;
use super::{Stage, USERS};
use crate::harness::{App, Phone, Ready, now};

/// Who may be logged in on the phone, as far as the phone can know.
struct Users {
    known: Option<UserId>,
    /// Asked for, not yet answered.
    asked: Option<UserId>,
}

pub(crate) async fn live(
    mut phone: Phone,
    number: u32,
    mut dice: Dice,
    mut stage: watch::Receiver<Stage>,
    ledger: Arc<Ledger>,
) {
    loop {
        let current = stage.borrow_and_update().clone();
        let (ready, settling) = match current {
            Stage::Up(ready) => (ready, false),
            Stage::Settle(ready) => (ready, true),
            Stage::Over => return,
            Stage::Down => {
                if stage.changed().await.is_err() {
                    return;
                }
                continue;
            }
        };
        if phone.try_connect(&ready.devices_tcp).await {
            session(&mut phone, number, &mut dice, &mut stage, &ledger, &ready, settling).await;
        } else if !settling && stage.changed().await.is_err() {
            return;
        }
    }
}

/// One connection, until it breaks, the dice drop it, or the stage changes.
async fn session(
    phone: &mut Phone,
    number: u32,
    dice: &mut Dice,
    stage: &mut watch::Receiver<Stage>,
    ledger: &Ledger,
    ready: &Ready,
    settling: bool,
) {
    let mut users = Users { known: phone.welcome.user_id.clone(), asked: None };
    if settling {
        // Every user is logged in somewhere, so that every promise to a user can be kept.
        bind(phone, &mut users, number % USERS, ready).await;
    }
    loop {
        let frame = tokio::select! {
            frame = phone.next_or_closed() => frame,
            changed = stage.changed() => {
                if changed.is_err() || !matches!(*stage.borrow(), Stage::Up(_)) { return }
                continue;
            }
        };
        match frame {
            Some(Frame::Push(push)) => {
                take(phone, number, &push, &users, ledger, settling || dice.percent(80)).await;
                if !settling && dice.percent(3) {
                    let user = u32::try_from(dice.below(USERS.into())).expect("small");
                    bind(phone, &mut users, user, ready).await;
                }
                if !settling && dice.percent(2) {
                    return phone.disconnect();
                }
            }
            Some(Frame::Answer(answer)) => {
                if answer.error.is_none() {
                    users.known = answer.user_id;
                }
                users.asked = None;
            }
            Some(_) => {}
            None => return,
        }
    }
}

async fn bind(phone: &mut Phone, users: &mut Users, user: u32, ready: &Ready) {
    let app = App::new(ready);
    let user = UserId::parse(&format!("user-{user}")).expect("an id");
    let token = BindToken {
        app_id: AppId::parse(&ready.app_id).expect("an id"),
        workspace_id: WorkspaceId::parse(&ready.workspace_id).expect("an id"),
        device_id: DeviceId::parse(&phone.id).expect("an id"),
        user_id: user.clone(),
        expires_at: now() + Ttl::from_secs(60),
    };
    // One at a time: which of two answers came first would not be known.
    if users.asked.is_none() {
        users.asked = Some(user);
        phone.send(&Frame::Bind(Bind { request: 1, token: token.mint(&app.key(), &app.secret) })).await;
    }
}

async fn take(phone: &mut Phone, number: u32, push: &Push, users: &Users, ledger: &Ledger, ack: bool) {
    let title = push.title.clone().expect("every push of this test has one");
    let late = push.expires_at.as_millis() != 0 && now() > push.expires_at + Ttl::from_secs(1);
    assert!(!late, "{title} came more than a second after its expiry");
    if push.user_id.is_some() {
        let allowed = push.user_id == users.known || push.user_id == users.asked;
        assert!(allowed, "{title} for {:?} came while {:?} was logged in", push.user_id, users.known);
    }
    ledger.saw(number, &title, &push.message_id.to_string());
    if ack {
        ledger.acked(number, &push.message_id.to_string());
        phone.send(&Frame::Ack(Ack { seqs: vec![push.seq] })).await;
    }
}
