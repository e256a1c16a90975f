//! `till doctor`: each requirement of this machine, and the remedy for each that is not met.

use std::path::Path;
use std::process::ExitCode;

use serde_json::json;
use till_core::Failure;
use till_ground::container::Runtime;

use super::table;
use crate::config::Config;
use crate::screen::Screen;

struct Check {
    name: &'static str,
    /// What was found, or what is wrong.
    found: Result<String, String>,
    remedy: &'static str,
}

/// What work is done with, and how it is had where it is missing.
const TOOLS: [(&str, &str); 11] = [
    ("git", "apt-get install git"),
    ("mmdebstrap", "apt-get install mmdebstrap"),
    ("pasta", "apt-get install passt"),
    ("passt", "apt-get install passt; only machines need it"),
    ("qemu-system-x86_64", "apt-get install qemu-system-x86; only machines need it"),
    ("qemu-img", "apt-get install qemu-utils; only disks need it"),
    ("grub-mkimage", "apt-get install grub-common grub-pc-bin grub-efi-amd64-bin; only disks need it"),
    ("mkfs.vfat", "apt-get install dosfstools; only disks need it"),
    ("mcopy", "apt-get install mtools; only disks need it"),
    ("xorriso", "apt-get install xorriso; only systems that stay disks need it"),
    ("depmod", "apt-get install kmod; only disks need it"),
];

pub(super) async fn doctor(data: &Path, screen: &Screen) -> Result<ExitCode, Failure> {
    let config = Config::read(data)?;
    let mut checks =
        vec![root(), kernel_file("overlayfs", "/proc/filesystems", "overlay", "load it: modprobe overlay")];
    checks.push(kernel_file(
        "user namespaces",
        "/proc/sys/user/max_user_namespaces",
        "",
        "sysctl user.max_user_namespaces=10000",
    ));
    checks.push(tun());
    for (tool, remedy) in TOOLS {
        checks.push(found(tool, remedy));
    }
    checks.push(Check {
        name: "virtiofsd",
        found: till_ground::qemu::virtiofsd()
            .map(|path| path.display().to_string())
            .ok_or_else(|| "not found".to_owned()),
        remedy: "apt-get install qemu-system-common (Debian 12), or virtiofsd; only steps in machines need it",
    });
    checks.push(Check {
        name: "data directory",
        found: rustix::fs::statvfs(data)
            .map(|stat| format!("{}, {} GiB free", data.display(), (stat.f_bavail * stat.f_frsize) >> 30))
            .map_err(|error| error.to_string()),
        remedy: "choose another with --data DIR or TILL_DATA",
    });
    checks.push(Check {
        name: "OCI runtime",
        found: Runtime::probe(&config.runtimes, data, config.first_id, true)
            .await
            .map(|runtime| format!("{} runs an instance", runtime.name()))
            .map_err(|failure| failure.chain()),
        remedy: "apt-get install runc; which runtimes are tried is `runtimes` in DATA/config.toml",
    });
    let ok = checks.iter().all(|check| check.found.is_ok());
    let item = |check: &Check| {
        let (Ok(text) | Err(text)) = &check.found;
        json!({ "name": check.name, "ok": check.found.is_ok(), "found": text, "remedy": check.found.is_err().then_some(check.remedy) })
    };
    let row = |check: &Check| match &check.found {
        Ok(text) => vec!["✔".to_owned(), check.name.to_owned(), text.clone()],
        Err(text) => vec!["✘".to_owned(), check.name.to_owned(), format!("{text} — {}", check.remedy)],
    };
    let text = table(&checks.iter().map(row).collect::<Vec<_>>());
    screen.result(&json!({ "ok": ok, "items": checks.iter().map(item).collect::<Vec<_>>() }), &text);
    Ok(if ok { ExitCode::SUCCESS } else { ExitCode::from(till_core::Fault::House.exit_code()) })
}

fn root() -> Check {
    let root = rustix::process::geteuid().is_root();
    Check {
        name: "root",
        found: if root { Ok("yes".to_owned()) } else { Err("no".to_owned()) },
        remedy: "run till as root: it makes namespaces, mounts and cgroups",
    }
}

fn kernel_file(name: &'static str, path: &str, wanted: &str, remedy: &'static str) -> Check {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    let there = text.contains(wanted) && text.trim() != "0" && !text.is_empty();
    Check {
        name,
        found: if there {
            Ok("the kernel has them".to_owned())
        } else {
            Err("the kernel does not offer it".to_owned())
        },
        remedy,
    }
}

fn tun() -> Check {
    let there = Path::new("/dev/net/tun").exists();
    Check {
        name: "tun",
        found: if there { Ok("/dev/net/tun".to_owned()) } else { Err("there is no /dev/net/tun".to_owned()) },
        remedy: "load it: modprobe tun",
    }
}

fn found(tool: &'static str, remedy: &'static str) -> Check {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let there = std::env::split_paths(&path).map(|folder| folder.join(tool)).find(|path| path.is_file());
    Check {
        name: tool,
        found: there.map(|path| path.display().to_string()).ok_or_else(|| "not found".to_owned()),
        remedy,
    }
}
