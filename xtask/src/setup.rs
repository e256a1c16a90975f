//! Installs what is missing of the machine's tools. Nothing is done where nothing is missing.

use std::path::Path;

use anyhow::{Result, bail};

use crate::tools;

/// A package of Debian 12, and how we see that what we need of it is there, wherever it came from.
#[derive(Debug)]
struct Need {
    package: &'static str,
    sign: Sign,
    why: &'static str,
}

/// By what a need is known to be met.
#[derive(Debug)]
enum Sign {
    Tool(&'static str),
    File(&'static str),
}

const fn need(package: &'static str, sign: Sign, why: &'static str) -> Need {
    Need { package, sign, why }
}

const NEEDS: [Need; 16] = [
    need("runc", Sign::Tool("runc"), "runs instances"),
    need("mmdebstrap", Sign::Tool("mmdebstrap"), "makes base images"),
    need("passt", Sign::Tool("pasta"), "gives instances a network without touching the host's"),
    need("git", Sign::Tool("git"), "reads repositories"),
    need("ca-certificates", Sign::File("/etc/ssl/certs/ca-certificates.crt"), "whom package clients trust"),
    need("gcc", Sign::Tool("cc"), "compiles the C parts of zstd and SQLite"),
    need("libc6-dev", Sign::File("/usr/include/stdio.h"), "the same"),
    need("skopeo", Sign::Tool("skopeo"), "tests: do others read our images?"),
    need("umoci", Sign::Tool("umoci"), "tests: do others read our images?"),
    need(
        "docker-registry",
        Sign::Tool("docker-registry"),
        "tests: do registries take our images? (its service is not used)",
    ),
    need("openssl", Sign::Tool("openssl"), "tests: certificates for a registry"),
    // Not by the client's name: there are machines where another one is first in the PATH, and no daemon.
    need("docker.io", Sign::File("/usr/sbin/dockerd"), "tests: is our image the same? (its service is not used)"),
    need("buildah", Sign::Tool("buildah"), "tests: is our image the same?"),
    need("zstd", Sign::Tool("zstd"), "the bench: what is a compressor's limit here?"),
    need("valgrind", Sign::Tool("valgrind"), "tests: how many instructions are executed?"),
    need("podman", Sign::Tool("podman"), "tests: do others run our images?"),
];

impl Need {
    fn is_met(&self) -> bool {
        match self.sign {
            Sign::Tool(tool) => tools::find(tool).is_some(),
            Sign::File(path) => Path::new(path).exists(),
        }
    }
}

/// Installs what is missing.
pub(crate) fn setup() -> Result<()> {
    tools::head("setup: tools of the machine");
    let missing = missing();
    if missing.is_empty() {
        let all: Vec<_> = NEEDS.iter().map(|need| need.package).collect();
        tools::say(&format!("  all there: {}", all.join(", ")));
        return Ok(());
    }
    for need in &missing {
        tools::say(&format!("  missing: {} ({})", need.package, need.why));
    }
    install(&missing)?;
    let still: Vec<_> = self::missing().iter().map(|need| need.package).collect();
    if !still.is_empty() {
        bail!("installed, but what we need of them is not to be found: {}", still.join(", "));
    }
    Ok(())
}

fn missing() -> Vec<&'static Need> {
    NEEDS.iter().filter(|need| !need.is_met()).collect()
}

fn install(missing: &[&Need]) -> Result<()> {
    let packages: Vec<_> = missing.iter().map(|need| need.package).collect();
    if tools::find("apt-get").is_none() {
        bail!("this machine has no apt-get: install by its own means what Debian calls {}", packages.join(", "));
    }
    if !tools::is_root() {
        bail!(
            "only root can install packages. Run as root: apt-get install --no-install-recommends {}",
            packages.join(" ")
        );
    }
    tools::run(apt(["update"]))?;
    let mut command = apt(["install", "--yes", "--no-install-recommends"]);
    command.args(packages);
    tools::run(command)
}

fn apt<const N: usize>(words: [&str; N]) -> std::process::Command {
    let mut command = tools::command("apt-get");
    command.args(words).args(["--quiet", "--option", "DPkg::Lock::Timeout=120"]);
    command.env("DEBIAN_FRONTEND", "noninteractive");
    command
}
