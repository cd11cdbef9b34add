//! RFC 6455's own examples, and what nobody should send.

mod frames;
mod opening;
