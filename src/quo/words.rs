//! One reading of Quo's objects, for every generation of deliveries and both surfaces of the API.
//!
//! The same thing has other names and types from one to the next, and fields are missing or of
//! another type than documented: what can be read is read, the rest is noted and treated as missing
//! ([`Fields`]). Nothing here knows in which envelope an object came.

pub mod artifact;
pub mod call;
pub mod contact;
mod fields;
pub mod message;
pub mod parties;

pub use self::artifact::Availability;
pub use self::fields::{Fields, OBJECT, Oddities, each_entry, each_item};
