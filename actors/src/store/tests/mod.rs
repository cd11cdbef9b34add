//! The contract of the port, run on every disk, and what each disk must bear.

mod books;
mod contract;
mod entries;
mod errands;
mod faults;
mod feed;
mod harness;
mod layout;
mod owner;
mod queues;
mod race;
mod restart;
mod revokes;
mod roads;
mod sled_guards;
mod tasks;
mod tokens;
