//! Carillon's edge: configuration, the HTTP API, the operations listener, the sockets of devices. It
//! decides nothing about delivery; that is the engine's (`carillon_actors`).

pub mod config;
pub mod http;
pub mod operations;
pub mod devices;
pub mod data_dir;
pub mod settings;
pub mod log;
pub mod lifecycle;
pub mod serve;
pub mod dev;
pub mod cli;
