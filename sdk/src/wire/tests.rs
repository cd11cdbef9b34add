//! The protocol, pinned byte by byte. docs/wire.md shows the same bytes.

mod pinned;
mod properties;
mod specification;
mod tolerance;
