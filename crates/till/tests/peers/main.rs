//! Docker, buildah and podman beside us: do they make the same of a Dockerfile, and does each read what the other wrote?
//!
//! A program of its own, for it starts a daemon. That has its own data, listens at a socket in a folder of its own, and ends
//! with the last test that uses it. What is compared, and what may differ, says `docs/reference/dockerfile.md`.
//!
//! Tests whose names begin with `toolchains_` compile with Go, Rust, npm and a JDK. That takes minutes, so `cargo xtask test`
//! leaves them to `cargo xtask test --all`.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]
#![expect(unreachable_pub, reason = "support is for all modules of this one program")]

mod containers;
mod docker;
mod dockerfiles;
mod exchange;
mod image;
#[path = "../stories/local_registry.rs"]
#[expect(dead_code, reason = "the stories ask more of a registry")]
mod local_registry;
mod peers;
#[path = "../stories/support.rs"]
#[expect(dead_code, reason = "the stories need more of it")]
mod support;
