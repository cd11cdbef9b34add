//! Taking back what was pushed: a message, from all or from one it was for; or a whole task.

use carillon_sdk::MessageId;

use crate::engine::{Engine, Refusal};
use crate::model::{App, Device, Owner, Task, User};
use crate::order::Named;
use crate::store::{Audit, Nonce, RevokeOutcome};

/// What is to be taken back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Revocation {
    Message {
        id: MessageId,
        /// One of those it was for, as the push named them; none: all.
        target: Option<Named>,
    },
    Task {
        task: Task,
        /// Written in the commit that revokes it.
        audit: Option<Audit>,
    },
}

impl Engine {
    /// Withdraws what waits, holds back what is in flight, and tells the devices that may show it:
    /// now when they are online, else when they connect, for as long as `revoke_keep`. Done to its
    /// end, though its caller may be gone; a task's also over a crash.
    pub async fn revoke(
        &self,
        app: App,
        revocation: Revocation,
        nonce: Option<Nonce>,
    ) -> Result<RevokeOutcome, Refusal> {
        let store = self.store().clone();
        let revoked = actix_rt::spawn(async move {
            match revocation {
                Revocation::Message { id, target } => {
                    if let Some(nonce) = nonce {
                        store.remember_nonce(app, nonce).await?;
                    }
                    // A name nobody has matches nothing.
                    let only = target.map(|target| match target {
                        Named::Device(id) => {
                            Owner::Device(store.device(app, &id).unwrap_or(Device::unknown(app)))
                        }
                        Named::User(id) => {
                            let nobody = User { app, ordinal: u32::MAX };
                            Owner::User(store.known_user(app, &id).unwrap_or(nobody))
                        }
                    });
                    store.revoke_message(app, id, only).await
                }
                Revocation::Task { task, audit } => store.revoke_task(app, task, audit, nonce).await,
            }
        });
        // It panicked, or the arbiter is ending.
        Ok(revoked.await.map_err(|_| Refusal::Unknown)??)
    }
}
