//! A network with a way out and none to the host: pasta, from Debian's `passt`, in user space. It neither needs nor makes
//! bridges, addresses or firewall rules on the host, and knows only the one instance.

use std::io;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::process::Child;

use super::mounts::Pinned;
use super::{ContainerError, mounts::MOUNTS};
use crate::hypervisor::Forward;
use crate::process;

/// Where the instance's name server is, when the host's is on its own loopback: pasta forwards from there.
const FORWARDER: &str = "169.254.1.53";

/// A running pasta; it ends with its handle.
#[derive(Debug)]
pub(super) struct Egress {
    _child: Child,
    _namespaces: [Pinned; 2],
}

impl Egress {
    /// Connects the network namespace of `pid` to the outside. None when this machine has no way out itself: then there is
    /// nothing to connect to, and who needs nothing of it goes on.
    pub(super) async fn open(
        name: &str,
        pid: u32,
        forwards: &[Forward],
        folder: &Path,
    ) -> Result<Option<Self>, ContainerError> {
        let failed = |said: String| ContainerError::Egress { step: name.to_owned(), said };
        // pasta gives up the right to look into other users' processes before it opens these: hence by name.
        let pin = |kind: &str| {
            Pinned::new(Path::new(&format!("/proc/{pid}/ns/{kind}")), Path::new(MOUNTS).join(format!("{name}.{kind}")))
        };
        let namespaces = [pin("user")?, pin("net")?];
        let ready = folder.join("pasta.pid");
        let _ = std::fs::remove_file(&ready);
        let mut command = process::command("pasta");
        command.args(["--foreground", "--config-net", "--no-map-gw", "--runas", "0", "--quiet"]);
        command.args(["--tcp-ns", "none", "--udp-ns", "none"]);
        for (option, datagrams) in [("--tcp-ports", false), ("--udp-ports", true)] {
            let ports: Vec<_> = forwards
                .iter()
                .filter(|forward| forward.datagrams == datagrams)
                .map(|forward| format!("{}:{}", forward.host, forward.inside))
                .collect();
            if ports.is_empty() {
                command.args([option, "none"]);
            } else {
                command.args([option, &format!("127.0.0.1/{}", ports.join(","))]);
            }
        }
        if let Some(address) = forwarder() {
            command.args(["--dns-forward", address]);
        }
        command.arg("--pid").arg(&ready).arg("--userns").arg(&namespaces[0].0).arg("--netns").arg(&namespaces[1].0);
        let log = folder.join("pasta.log");
        let said = std::fs::File::create(&log).map_err(super::io("write", &log))?;
        command.stdout(std::process::Stdio::null()).stderr(said);
        let mut child = command.spawn().map_err(|error| failed(error.to_string()))?;
        for _ in 0..2000 {
            if std::fs::read_to_string(&ready).is_ok_and(|pid| pid.ends_with('\n')) {
                return Ok(Some(Self { _child: child, _namespaces: namespaces }));
            }
            if let Ok(Some(status)) = child.try_wait() {
                let said = std::fs::read_to_string(&log).unwrap_or_default();
                if forwards.is_empty() && said.contains("No external routable interface") {
                    return Ok(None);
                }
                let said: Vec<_> = said.lines().filter(|line| !line.contains("to syslog")).collect();
                return Err(failed(format!("pasta ended ({status}): {}", said.join("; "))));
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        Err(failed("pasta was not ready within 4 s".to_owned()))
    }
}

/// Where an instance's name server is when the host's is on its own loopback.
pub(super) fn forwarder() -> Option<&'static str> {
    let text = std::fs::read_to_string("/etc/resolv.conf").unwrap_or_default();
    resolvers(&text).iter().any(IpAddr::is_loopback).then_some(FORWARDER)
}

fn resolvers(text: &str) -> Vec<IpAddr> {
    text.lines().filter_map(|line| line.trim().strip_prefix("nameserver")?.trim().parse().ok()).collect()
}

/// Writes the instance's resolv.conf: the host's, or one that names the forwarder.
pub(super) fn write_resolv_conf(folder: &Path) -> io::Result<PathBuf> {
    let path = folder.join("resolv.conf");
    let host = std::fs::read_to_string("/etc/resolv.conf").unwrap_or_default();
    if resolvers(&host).iter().any(IpAddr::is_loopback) {
        std::fs::write(&path, format!("nameserver {FORWARDER}\n"))?;
    } else {
        std::fs::write(&path, host)?;
    }
    Ok(path)
}

/// Writes the instance's hosts: itself, and nobody else.
pub(super) fn write_hosts(folder: &Path) -> io::Result<PathBuf> {
    let path = folder.join("hosts");
    std::fs::write(&path, "127.0.0.1\tlocalhost till\n::1\tlocalhost ip6-localhost ip6-loopback\n")?;
    Ok(path)
}

/// A free port of the host's loopback, at this moment.
pub(super) fn free_port() -> io::Result<u16> {
    Ok(std::net::TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port())
}
