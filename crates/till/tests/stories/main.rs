//! Whole stories: the real binary, as a user would call it. One test program, so that it is linked once.
//!
//! They need root, as `till` does, and share one data directory under cargo's target directory, where the bases are made
//! once. Each test has its own app name and its own temporary source.
#![expect(clippy::unwrap_used, reason = "a story that cannot go on has failed")]
#![expect(unreachable_pub, reason = "support is for all modules of this one program")]

/// The same stories for everything that makes containers: what is promised of an instance is promised of each.
macro_rules! on_each_runtime {
    ($($test:ident),* $(,)?) => {
        mod built_in {
            $(#[test] fn $test() { crate::support::with_runtime("built-in", super::$test); })*
        }
        mod runc {
            $(#[test] fn $test() { crate::support::with_runtime("runc", super::$test); })*
        }
    };
}

/// Those of them that hold in machines, too: behind `cargo xtask test --vm`.
macro_rules! in_machines {
    ($($test:ident),* $(,)?) => {
        mod vm_qemu {
            $(#[test] fn $test() { crate::support::with_environment("qemu", super::$test); })*
        }
    };
}

mod answers;
mod apps;
mod bad_input;
mod cartridge;
mod cnb;
mod compose;
mod crash;
mod detect;
mod disk;
mod dockerfile;
mod export;
mod heroku;
mod import;
mod inventory;
mod isolation;
mod limits;
mod local_registry;
mod locks;
mod machine;
mod registry;
mod reuse;
mod runs;
mod s2i;
mod support;
mod windows;
