//! The training of single people: whom the lists name, who of them is compliant, and what is kept of them.
//!
//! The rule stands in [`compliance`]; the other files hold the facts that it decides from, and the records that it leaves.

pub mod compliance;
pub mod person;
pub mod report;
pub mod roster;
pub mod selection;
pub mod status;
