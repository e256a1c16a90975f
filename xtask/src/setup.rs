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

const NEEDS: [Need; 29] = [
    need("runc", Sign::Tool("runc"), "runs instances"),
    need("mmdebstrap", Sign::Tool("mmdebstrap"), "makes base images"),
    need("passt", Sign::Tool("pasta"), "gives instances a network without touching the host's"),
    need("git", Sign::Tool("git"), "reads repositories"),
    need("qemu-system-x86", Sign::Tool("qemu-system-x86_64"), "runs machines"),
    need("qemu-system-common", Sign::File("/usr/lib/qemu/virtiofsd"), "lets machines see the trees of their steps"),
    need("qemu-utils", Sign::Tool("qemu-img"), "writes disks as qcow2"),
    need("e2fsprogs", Sign::Tool("mke2fs"), "makes the file system of disks"),
    need("dosfstools", Sign::Tool("mkfs.vfat"), "makes the EFI system partition of disks"),
    need("mtools", Sign::Tool("mcopy"), "fills it"),
    need("grub-common", Sign::Tool("grub-mkimage"), "makes the boot loader of disks"),
    need("grub-pc-bin", Sign::File("/usr/lib/grub/i386-pc/boot.img"), "the same, for a BIOS"),
    need("grub-efi-amd64-bin", Sign::File("/usr/lib/grub/x86_64-efi/moddep.lst"), "the same, for UEFI"),
    need("kmod", Sign::Tool("depmod"), "says which modules of a kernel need which"),
    need("ca-certificates", Sign::File("/etc/ssl/certs/ca-certificates.crt"), "whom package clients trust"),
    need("gcc", Sign::Tool("cc"), "compiles the C parts of zstd and SQLite"),
    need(
        "gcc-mingw-w64-x86-64-win32",
        Sign::Tool("x86_64-w64-mingw32-gcc"),
        "compiles what works inside Windows systems",
    ),
    need("xorriso", Sign::Tool("xorriso"), "writes the drives that Windows systems are handed"),
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
    need("ovmf", Sign::File("/usr/share/OVMF/OVMF_CODE_4M.fd"), "tests: do disks boot by UEFI?"),
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
    // Some packages of another release cannot stay beside those that were missing, and are missing now.
    let replaced = self::missing();
    if !replaced.is_empty() {
        install(&replaced)?;
    }
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
