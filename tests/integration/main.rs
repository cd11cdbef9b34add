//! Carillon from outside: each file is an area, each test a sentence of its specification.

mod harness;

mod bad_frames;
mod bad_requests;
mod command_line;
mod crash;
mod devices;
mod lifecycle;
mod manners;
mod promises;
mod pushes;
mod statistics;
mod supervision;
mod tenancy;
mod tidy;
