//! Systems that stay disks: nobody but themselves reads or changes what is on them. Windows is one.
//!
//! What is to be done in one is handed in at its boot, as clouds do it, and it tells how far it is. So a stage of a plan becomes
//! one job, and all that the job says is decided here.
//!
//! ```text
//! spec.rs       what is said of such a system
//! upon.rs       a plan, for a base that is one
//! job.rs        a stage, as the text that the system is handed
//! user_data.rs  how it comes to read that: what its own cloud-init is given
//! line.rs       words as a command line of Windows
//! names.rs      what files may be called there
//! said.rs       what it says while it works
//! ```

mod job;
mod line;
mod names;
mod said;
mod spec;
mod upon;
mod user_data;

pub use job::{Act, Job};
pub use line::command_line;
pub(crate) use names::is_place;
pub use said::{Listener, Said};
pub use spec::{Card, DiskBus, Firmware, MachineType, StartedBy, SystemKind, SystemSpec, UserData};
pub use upon::{Service, SystemDraft, upon};
pub use user_data::{Drive, LABEL, about, drive};
