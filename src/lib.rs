//! Carillon's edge: configuration, the HTTP API, the operations listener, the sockets of devices. It
//! decides nothing about delivery; that is the engine's (`carillon_actors`).

pub mod cli;
pub mod config;
pub mod data_dir;
pub mod dev;
pub mod devices;
pub mod http;
pub mod lab;
pub mod lifecycle;
pub mod log;
mod mpaas;
pub mod operations;
pub mod receipts;
pub mod serve;
pub mod settings;
pub mod vendors;
