//! Builds `lifecycle`, which runs inside instances, and `guest`, which runs inside machines: other programs for the same
//! processor, static, and in `till` as bytes (`src/inside.rs`).
//!
//! By a cargo of their own, because they have another profile and other flags than `till`. In a directory of their own, because
//! this build holds the lock of the other.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The programs, with what cargo calls them.
const PROGRAMS: [(&str, &str); 2] = [("lifecycle", "till-lifecycle"), ("guest", "till-guest")];
/// The profile of the workspace's Cargo.toml that makes them small.
const PROFILE: &str = "lifecycle";

/// What the cargo that runs us says to its own compilers and to us, and the other must not take as said to it. What is not
/// here (the registry's settings, linkers, the jobserver) holds for both.
const NOT_FOR_IT: [&str; 14] = [
    "CARGO_BUILD_RUSTFLAGS",
    "CARGO_BUILD_TARGET",
    "CARGO_CFG_",
    "CARGO_ENCODED_RUSTFLAGS",
    "CARGO_FEATURE_",
    "CARGO_MANIFEST_",
    "CARGO_PKG_",
    "CARGO_PRIMARY_PACKAGE",
    "CARGO_TARGET_DIR",
    "CLIPPY_",
    "RUSTC_WORKSPACE_WRAPPER",
    "RUSTDOC",
    "RUSTFLAGS",
    "__CARGO",
];

/// The compiler of what works in Windows.
const MINGW: &str = "x86_64-w64-mingw32-gcc";

/// Builds what works in Windows. Where there is no compiler for it, it is empty, and `till` says so when somebody needs it.
fn windows(sources: &Path, into: &Path) {
    println!("cargo::rerun-if-changed={}", sources.display());
    // It may come later.
    println!("cargo::rerun-if-changed=/usr/bin/{MINGW}");
    println!("cargo::rustc-env=TILL_WINDOWS={}", into.display());
    let mut files: Vec<_> =
        std::fs::read_dir(sources).into_iter().flatten().flatten().map(|entry| entry.path()).collect();
    files.retain(|path| path.extension().is_some_and(|extension| extension == "c"));
    files.sort();
    let mut gcc = Command::new(MINGW);
    gcc.args([
        "-municode",
        "-std=c11",
        "-Os",
        "-s",
        "-static",
        "-Wall",
        "-Wextra",
        "-Werror",
        "-Wl,--no-insert-timestamp",
    ]);
    gcc.arg("-o").arg(into).args(files);
    match gcc.status() {
        Ok(status) => assert!(status.success(), "cannot build what works in Windows ({status})"),
        Err(_) => std::fs::write(into, b"").unwrap_or_else(|error| panic!("cannot write {}: {error}", into.display())),
    }
}

fn main() {
    let given = |name: &str| env::var_os(name).unwrap_or_else(|| panic!("cargo sets {name}"));
    let workspace = Path::new(&given("CARGO_MANIFEST_DIR")).join("../..");
    for (program, _) in PROGRAMS {
        for path in ["src", "Cargo.toml"] {
            println!("cargo::rerun-if-changed={}", workspace.join("crates").join(program).join(path).display());
        }
    }
    for path in ["Cargo.toml", "Cargo.lock"] {
        println!("cargo::rerun-if-changed={}", workspace.join(path).display());
    }
    println!("cargo::rerun-if-changed=build.rs");

    let target = given("TARGET");
    let directory = PathBuf::from(given("OUT_DIR")).join("programs");
    for (program, package) in PROGRAMS {
        let mut cargo = Command::new(given("CARGO"));
        cargo.current_dir(&workspace).args(["build", "--quiet", "--locked", "--package", package]);
        cargo.args(["--bin", program, "--profile", PROFILE]);
        cargo.arg("--target").arg(&target).arg("--target-dir").arg(&directory);
        for (name, _) in env::vars_os() {
            let is_ours = name.to_str().is_some_and(|name| NOT_FOR_IT.iter().any(|prefix| name.starts_with(prefix)));
            if is_ours {
                cargo.env_remove(name);
            }
        }
        // At a fixed address, too: a position-independent one carries a table of relocations, and is 60 KiB larger.
        cargo.env("RUSTFLAGS", "-C target-feature=+crt-static -C relocation-model=static");
        let status = cargo.status().unwrap_or_else(|error| panic!("cannot start cargo for {program}: {error}"));
        assert!(status.success(), "cannot build {program} ({status})");

        // `inside.rs` need not know the target.
        let built = directory.join(&target).join(PROFILE).join(program);
        println!("cargo::rustc-env=TILL_{}={}", program.to_uppercase(), built.display());
    }
    windows(&workspace.join("crates/guest/windows"), &PathBuf::from(given("OUT_DIR")).join("till.exe"));
}
