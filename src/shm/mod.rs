//! Named and unnamed memory that several processes map at once.
//!
//! A [`Segment`] is one file of `/dev/shm` (or any file, see [`Place::File`]): control pages with a checked header and the
//! table of its users, then the data region. Nobody owns it: the last user to leave unlinks it. Who still lives is told by
//! the kernel (a byte lock that dies with its process), never by a time-out, so a stopped process is never robbed.
//!
//! The byte layout is written down in `docs/segment-layout.md`. Imports nothing else of this crate.

mod alone;
mod create;
mod error;
pub mod futex;
mod header;
mod mapping;
mod name;
mod open;
mod participants;
mod region;
mod registry;
mod segment;
mod shared_buffer;
mod sweep;
mod sys_unix;

pub use alone::{Alone, First};
pub use create::Create;
pub use error::{CreateError, OpenError};
pub use header::{Kind, LAYOUT_VERSION, PARAMS};
pub use mapping::PrivateView;
pub use name::{InvalidName, MAX_NAME_LEN, Name, Place, Ticket};
pub use open::Open;
pub use participants::{Dead, MAX_PARTICIPANTS, Participant, User};
pub use region::Region;
pub use segment::Segment;
pub use shared_buffer::{OutOfRange, SharedBuffer};
pub use sweep::{Health, Info, Removal, cleanup, folder, list, remove};
