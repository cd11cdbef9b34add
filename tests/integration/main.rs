//! What Carillon promises, shown on the real binary from outside. One file an area; the names of
//! the tests are the specification.

#![expect(clippy::unwrap_used, reason = "in a test a surprise is a failure, and says where")]

mod harness;

mod adapters;
mod analysis;
mod audiences;
mod bad_frames;
mod bad_requests;
mod campaigns;
mod channels;
mod command_line;
mod contract;
mod crash;
mod devices;
mod events;
mod first_evening;
mod idempotency;
mod laboratory;
mod lifecycle;
mod manners;
mod mpaas;
mod operators;
mod owner;
mod promises;
mod pushes;
mod receipts;
mod revokes;
mod schedules;
mod scopes;
mod statistics;
mod supervision;
mod templates;
mod tenancy;
mod tidy;
mod tokens;
mod transports;
mod users;
mod vendor_receipts;
mod vendors;
