//! What the engine does, against fakes: nothing here starts a process.
//!
//! ```text
//! house.rs     an engine whose machine, packages and runner are fakes; its store and its layers are real
//! inventory.rs what is in images, how they came about
//! prepare.rs   source to artifact
//! code.rs      code of others: who may name what
//! compose.rs   several bases for one app
//! reuse.rs     what is taken instead of made
//! recreate.rs  recipe to base
//! collect.rs   what goes and what stays
//! running.rs   artifacts that run
//! exchange.rs  images to a registry and from it
//! ```
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod code;
mod collect;
mod compose;
mod disk;
mod exchange;
mod house;
mod inventory;
mod locks;
mod prepare;
mod recreate;
mod reuse;
mod running;
mod system;
