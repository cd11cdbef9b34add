//! What vendors tell later of what they took.

use carillon_sdk::api::Step;
use carillon_sdk::{MessageId, Timestamp, Vendor};

use super::super::errands::ErrandOp;
use super::super::handed::Taken;
use super::super::history::{Channel, Whom};
use super::super::work::{Later, Write};
use super::super::{By, Dropped, Error, Store};
use crate::model::{App, Device};

impl Store {
    /// The device that has this token.
    #[must_use]
    pub fn holder_of(&self, app: App, vendor: Vendor, token: &str) -> Option<Device> {
        let ordinal = self.0.shared.tenants.get(app)?.holder(vendor, token)?;
        Some(Device { app, ordinal })
    }

    /// Which of the messages taken lately for the device the vendor calls so, for a receipt that names it
    /// in no other way; of none, it waits for one.
    pub fn named_or_wait(&self, device: Device, vendor: Vendor, vendor_id: &str) -> Option<MessageId> {
        self.0.shared.handed.lock().find_or_wait(device, vendor, vendor_id)
    }

    /// The same, and nothing waits.
    #[must_use]
    pub fn named(&self, device: Device, vendor: Vendor, vendor_id: &str) -> Option<MessageId> {
        self.0.shared.handed.lock().of(device, vendor, vendor_id)
    }

    /// It arrived: a vendor's receipt says so. False when the vendor never took it for the device, or
    /// this was known. Durable; but of what is not known to be taken yet the receipt waits in memory.
    pub async fn confirm(&self, device: Device, id: MessageId, vendor: Vendor) -> Result<bool, Error> {
        let handed = &self.0.shared.handed;
        let lately = handed.lock().confirm(device, id, vendor);
        let taken = match lately {
            Some(taken) => Some(taken),
            None => self.taken(device, id).await?,
        };
        let Some(taken) = taken else { return Ok(false) };
        if taken.vendor != vendor || taken.is_confirmed {
            return Ok(false);
        }
        if lately.is_none() {
            handed.lock().take_back(device, id, vendor);
        }
        let partition = self.0.shared.partition_of_device(device);
        let confirm = |reply| Write::Errands(ErrandOp::Confirm { device, id, taken, reply });
        let written = self.write(partition, device.app, confirm).await;
        if written.is_err() {
            handed.lock().take_back(device, id, vendor);
        }
        written.map(|()| true)
    }

    /// It will not reach the device, though the vendor took it: its story says so, and the verdict stays
    /// the vendor's. False when the vendor never took it for the device, or it has arrived. Durable.
    pub async fn refuse(
        &self,
        device: Device,
        id: MessageId,
        vendor: Vendor,
        code: String,
    ) -> Result<bool, Error> {
        let lately = self.0.shared.handed.lock().unconfirmed(device, id);
        let taken = match lately {
            Some(taken) => Some(taken),
            None => self.taken(device, id).await?,
        };
        let Some(taken) = taken.filter(|taken| taken.vendor == vendor && !taken.is_confirmed) else {
            return Ok(false);
        };
        let partition = self.0.shared.partition_of_device(device);
        let refuse = |reply| Write::Errands(ErrandOp::Refuse { device, id, taken, code, reply });
        self.write(partition, device.app, refuse).await.map(|()| true)
    }

    /// What history knows of it.
    async fn taken(&self, device: Device, id: MessageId) -> Result<Option<Taken>, Error> {
        let partition = self.0.shared.partition_of_device(device);
        self.ask(partition, device.app, |reply| Later::Settle { reply }).await?;
        let records = self.look_up(device.app, id).await?;
        let of_device = || {
            records.iter().filter(|record| match &record.whom {
                Whom::Device(ordinal) => *ordinal == device.ordinal,
                Whom::Group(devices) => devices.contains(device.ordinal),
                Whom::User(_) => false,
            })
        };
        let is_confirmed = of_device().any(|record| record.step == Step::Confirmed);
        let handed_over = of_device().find(|record| record.step == Step::HandedOver);
        Ok(handed_over.and_then(|record| match record.channel {
            Channel::Vendor(vendor) => {
                Some(Taken { vendor, push_type: record.push_type, task: record.task, is_confirmed })
            }
            Channel::Own => None,
        }))
    }

    /// A receipt says that a token is dead: this one, or the one the device has.
    pub async fn dead_by_receipt(
        &self,
        device: Device,
        vendor: Vendor,
        token: Option<String>,
        since: Option<Timestamp>,
    ) -> Result<bool, Error> {
        let token = match token {
            Some(token) => token,
            None => {
                let found = self.vendor_tokens(vendor, vec![device]).await?;
                let Some(info) = found.into_iter().next().flatten() else { return Ok(false) };
                info.token
            }
        };
        let why = Dropped { by: By::Receipt, why: Some("receipt".to_owned()) };
        self.drop_token(device, vendor, &token, since, why).await
    }
}
