//! Carillon's edge: configuration, the HTTP API, the operations listener. It decides nothing about
//! delivery; that is the engine's (`carillon_actors`).

pub mod data_dir;
pub mod devices;
