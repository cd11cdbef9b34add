//! What a session makes of the frames its device sends.

use carillon_sdk::api::Step;
use carillon_sdk::wire::{ErrorCode, Frame, GoodbyeReason};

use super::{Bounds, Effect, Effects, Now, Session};
use crate::model::Seq;

/// `seqs` of one Ack.
const ACK_SEQS_MAX: usize = 1_024;

/// Frames of one connection that could not be obeyed; beyond, it ends.
const OFFENCES_MAX: u8 = 8;

/// Reports, binds and tokens a device may send at once, and how often one more is allowed.
const REQUESTS_BURST: u8 = 20;
const REQUEST_EVERY_MS: u64 = 200;

/// What is left of a device's requests: a token bucket.
#[derive(Debug)]
pub(super) struct Allowance {
    left: u8,
    filled_ms: u64,
}

impl Allowance {
    pub(super) const fn full(now_ms: u64) -> Self {
        Self { left: REQUESTS_BURST, filled_ms: now_ms }
    }

    fn take(&mut self, now_ms: u64) -> bool {
        let earned = now_ms.saturating_sub(self.filled_ms) / REQUEST_EVERY_MS;
        if earned > 0 {
            self.left = u8::try_from(earned.saturating_add(u64::from(self.left)))
                .map_or(REQUESTS_BURST, |left| left.min(REQUESTS_BURST));
            self.filled_ms += earned * REQUEST_EVERY_MS;
        }
        let allowed = self.left > 0;
        self.left = self.left.saturating_sub(1);
        allowed
    }
}

impl Session {
    /// A frame the device sent.
    pub(crate) fn frame(&mut self, frame: Frame, bounds: &Bounds, now: Now, fx: &mut Effects) {
        self.heard(now);
        if self.fenced && !matches!(frame, Frame::Ack(_)) {
            return;
        }
        match frame {
            Frame::Ack(ack) if ack.seqs.len() > ACK_SEQS_MAX => self.offence(ErrorCode::FrameMalformed, fx),
            Frame::Ack(ack) => self.acked(&ack.seqs, bounds, fx),
            Frame::Ping => fx.push(Effect::Pong),
            Frame::Pong => {}
            Frame::Report(report) if self.allowance.take(now.mono_ms) => fx.push(Effect::Report(report)),
            Frame::Report(_) => fx.push(Effect::Error(ErrorCode::TooMany)),
            Frame::Bind(bind) => {
                self.request(
                    bind.request,
                    Effect::Bind { request: bind.request, token: bind.token },
                    now,
                    fx,
                );
            }
            Frame::Unbind(unbind) => {
                self.request(unbind.request, Effect::Unbind { request: unbind.request }, now, fx);
            }
            Frame::VendorToken(vendor) => {
                let request = vendor.request;
                let effect = Effect::VendorToken { request, channel: vendor.channel, token: vendor.token };
                self.request(request, effect, now, fx);
            }
            Frame::Hello(_) => {
                fx.push(Effect::Error(ErrorCode::HelloTwice));
                fx.push(Effect::Close(GoodbyeReason::Protocol));
            }
            Frame::Welcome(_)
            | Frame::Push(_)
            | Frame::Revoke(_)
            | Frame::Answer(_)
            | Frame::Goodbye(_)
            | Frame::Error(_) => {
                self.offence(ErrorCode::UnexpectedFrame, fx);
            }
        }
    }

    /// A frame of a type this version does not know: skipped.
    pub(crate) const fn unknown(&mut self, now: Now) {
        self.heard(now);
    }

    /// A frame whose body could not be read; the stream goes on.
    pub(crate) fn malformed(&mut self, now: Now, fx: &mut Effects) {
        self.heard(now);
        self.offence(ErrorCode::FrameMalformed, fx);
    }

    /// A frame too long to be read; the stream cannot be followed any further.
    pub(crate) fn too_long(&self, fx: &mut Effects) {
        if !self.fenced {
            fx.push(Effect::Error(ErrorCode::FrameTooLong));
            fx.push(Effect::Close(GoodbyeReason::Protocol));
        }
    }

    const fn heard(&mut self, now: Now) {
        self.heard_ms = now.mono_ms;
        self.probed_ms = 0;
    }

    fn request(&mut self, request: u32, effect: Effect, now: Now, fx: &mut Effects) {
        if self.allowance.take(now.mono_ms) {
            fx.push(effect);
        } else {
            fx.push(Effect::Refuse { request, code: ErrorCode::TooMany });
        }
    }

    fn offence(&mut self, code: ErrorCode, fx: &mut Effects) {
        if self.fenced {
            return;
        }
        fx.push(Effect::Error(code));
        self.offences = self.offences.saturating_add(1);
        if self.offences > OFFENCES_MAX {
            fx.push(Effect::Close(GoodbyeReason::Protocol));
        }
    }

    fn acked(&mut self, seqs: &[u64], bounds: &Bounds, fx: &mut Effects) {
        let mut unknown = false;
        for seq in seqs {
            match self.window.ack(Seq(*seq)) {
                Some(due) if due.online_only => fx.push(Effect::Online(due, Step::Delivered)),
                Some(due) => fx.push(Effect::Acked(due)),
                None => unknown = true,
            }
        }
        if unknown && !self.fenced {
            fx.push(Effect::Error(ErrorCode::AckUnknown));
        }
        self.open_up(bounds, fx);
    }
}
