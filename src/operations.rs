//! The operations listener.
