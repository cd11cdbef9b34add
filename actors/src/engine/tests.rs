//! A whole engine in one process: a real store on disks in memory, real sockets, a clock the test
//! moves. Devices speak frames.

mod campaigns;
mod channels;
mod chaos;
mod delivery;
mod receipts;
mod schedules;
mod supervision;
mod world;
