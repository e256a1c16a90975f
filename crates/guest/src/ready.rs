//! Waits until services answer, and says so: to the host that started us, and on the console.

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::time::Duration;

use till_guest::{MACHINE, Machine, Ready, Word};

use crate::{Result, failed, port};

/// How often is asked.
const PAUSE: Duration = Duration::from_millis(100);
/// How long an answer may take.
const ANSWER: Duration = Duration::from_secs(10);

/// What this disk is for.
pub(crate) fn machine() -> Result<Machine> {
    let text = std::fs::read_to_string(MACHINE).map_err(failed("read", MACHINE))?;
    serde_json::from_str(&text).map_err(failed("read", MACHINE))
}

/// Of a machine with systemd: one that is started with the services.
pub(crate) fn run() -> Result<()> {
    if let Some(ready) = machine()?.ready {
        wait(&ready);
    }
    port::say(&Word::Ready);
    eprintln!("till: ready");
    Ok(())
}

/// Asks until there is an answer.
pub(crate) fn wait(ready: &Ready) {
    while !answers(ready) {
        std::thread::sleep(PAUSE);
    }
}

fn answers(ready: &Ready) -> bool {
    if !listens(ready) {
        return false;
    }
    let Some(path) = &ready.path else { return true };
    matches!(ask(ready.port, path), Ok(100..=499))
}

/// Does anything listen at that port? (proc(5): state 0A is LISTEN, 07 an open UDP port.)
fn listens(ready: &Ready) -> bool {
    let (names, state) = if ready.datagrams { (["udp", "udp6"], "07") } else { (["tcp", "tcp6"], "0A") };
    let wanted = format!(":{:04X}", ready.port);
    names.iter().any(|name| {
        let text = std::fs::read_to_string(format!("/proc/net/{name}")).unwrap_or_default();
        text.lines().skip(1).any(|line| {
            let words: Vec<_> = line.split_whitespace().collect();
            words.get(1).is_some_and(|local| local.ends_with(&wanted)) && words.get(3) == Some(&state)
        })
    })
}

/// The status of `GET path` in HTTP/1.1 (RFC 9112).
fn ask(number: u16, path: &str) -> std::io::Result<u16> {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, number));
    let mut stream = TcpStream::connect_timeout(&address, ANSWER)?;
    stream.set_read_timeout(Some(ANSWER))?;
    let request = format!(
        "GET {path} HTTP/1.1\r\nHost: {address}\r\nUser-Agent: till-health\r\nAccept: */*\r\nConnection: close\r\n\r\n"
    );
    stream.write_all(request.as_bytes())?;
    let mut answer = [0; 12];
    stream.read_exact(&mut answer)?;
    let status = std::str::from_utf8(&answer[9..]).ok().and_then(|status| status.parse().ok());
    status.filter(|_| answer.starts_with(b"HTTP/1.")).ok_or_else(|| std::io::Error::other("the answer is not HTTP/1"))
}
