//! A machine's way out, and the ports that lead into it: passt, the sister of the pasta that containers have. In user space, and
//! without a way to the loopback of this machine.

use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use till_core::Failure;
use tokio::process::Child;

use super::{MachineError, io};
use crate::hypervisor::Forward;
use crate::process;

/// A network card's other end.
pub(super) struct Wire {
    /// passt, which ends with its handle.
    pub(super) child: Child,
    /// What is to be the machine's.
    pub(super) end: OwnedFd,
}

/// None when this machine has no way out itself, and nothing leads in: then there is nothing to connect to.
pub(super) async fn connect(
    folder: &Path,
    forwarder: Option<&str>,
    forwards: &[Forward],
) -> Result<Option<Wire>, Failure> {
    let (log, ready) = (folder.join("passt.log"), folder.join("passt.pid"));
    let said = std::fs::File::create(&log).map_err(io("write", &log))?;
    let (ours, theirs) = UnixStream::pair().map_err(io("make a socket in", folder))?;
    let mut command = process::command("passt");
    command.args(["--foreground", "--one-off", "--quiet", "--no-map-gw", "--runas", "0", "--pid"]).arg(&ready);
    for (option, datagrams) in [("--tcp-ports", false), ("--udp-ports", true)] {
        let ports = forwards.iter().filter(|forward| forward.datagrams == datagrams);
        let ports: Vec<_> = ports.map(|forward| format!("{}:{}", forward.host, forward.inside)).collect();
        let value = if ports.is_empty() { "none".to_owned() } else { format!("127.0.0.1/{}", ports.join(",")) };
        command.arg(option).arg(value);
    }
    if let Some(address) = forwarder {
        command.args(["--dns-forward", address]);
    }
    let number = process::inherits(&mut command, theirs.into());
    command.arg("--fd").arg(number.to_string()).stdout(Stdio::null()).stderr(said);
    process::dies_with_us(&mut command);
    let mut child = command.spawn().map_err(|error| process::start_error(&command, error))?;
    // It has the socket.
    drop(command);
    for _ in 0..2000 {
        if std::fs::read_to_string(&ready).is_ok_and(|pid| pid.ends_with('\n')) {
            return Ok(Some(Wire { child, end: ours.into() }));
        }
        if let Ok(Some(status)) = child.try_wait() {
            let said = std::fs::read_to_string(&log).unwrap_or_default();
            if forwards.is_empty() && said.contains("No external routable interface") {
                return Ok(None);
            }
            let said: Vec<_> = said.lines().filter(|line| !line.contains("to syslog")).collect();
            return Err(MachineError::Network(format!("passt ended ({status}): {}", said.join("; "))).into());
        }
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    Err(MachineError::Network("passt was not ready within 4 s".to_owned()).into())
}
