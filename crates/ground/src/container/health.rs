//! Whether a port answers as its protocol says.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use till_core::model::{Port, Protocol};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// Asks whether a port answers as its protocol says; of a container, whose process has that number, nobody is asked before it
/// listens. The error is what was seen instead.
pub(super) async fn ask(port: &Port, host: u16, path: &str, inside: Option<u32>) -> Result<(), String> {
    if inside.is_some_and(|pid| !listens(pid, port)) {
        return Err(format!("nothing listens at port {}", port.number));
    }
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, host));
    let asked = async {
        match port.protocol {
            Protocol::Http => ask_http(address, path).await,
            Protocol::H2c => ask_h2c(address).await,
            _ => Ok(200),
        }
    };
    let answer = tokio::time::timeout(Duration::from_secs(10), asked).await;
    match answer.map_err(|_| "no answer within 10 s".to_owned())? {
        Ok(100..=499) => Ok(()),
        Ok(status) => Err(format!("HTTP status {status}")),
        Err(error) => Err(error.to_string()),
    }
}

/// The status of `GET path` in HTTP/1.1 (RFC 9112).
async fn ask_http(address: SocketAddr, path: &str) -> std::io::Result<u16> {
    let mut stream = tokio::net::TcpStream::connect(address).await?;
    let request = format!(
        "GET {path} HTTP/1.1\r\nHost: {address}\r\nUser-Agent: till-health\r\nAccept: */*\r\nConnection: close\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).await?;
    let mut answer = [0; 12];
    stream.read_exact(&mut answer).await?;
    let status = std::str::from_utf8(&answer[9..]).ok().and_then(|status| status.parse().ok());
    status.filter(|_| answer.starts_with(b"HTTP/1.")).ok_or_else(|| std::io::Error::other("the answer is not HTTP/1"))
}

/// Whether HTTP/2 is spoken: its preface and empty settings are answered by settings (RFC 9113, 3.4). 200 when so.
async fn ask_h2c(address: SocketAddr) -> std::io::Result<u16> {
    const SETTINGS: u8 = 4;
    let mut stream = tokio::net::TcpStream::connect(address).await?;
    stream.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await?;
    stream.write_all(&[0, 0, 0, SETTINGS, 0, 0, 0, 0, 0]).await?;
    let mut header = [0; 9];
    stream.read_exact(&mut header).await?;
    if header[3] == SETTINGS { Ok(200) } else { Err(std::io::Error::other("the answer is not HTTP/2")) }
}

/// Does anything in the network namespace of `pid` listen at that port? (proc(5): state 0A is LISTEN, 07 an open UDP port.)
fn listens(pid: u32, port: &Port) -> bool {
    let (names, state) = match port.protocol {
        Protocol::Udp => (["udp", "udp6"], "07"),
        _ => (["tcp", "tcp6"], "0A"),
    };
    let wanted = format!(":{:04X}", port.number);
    names.iter().any(|name| {
        let text = std::fs::read_to_string(format!("/proc/{pid}/net/{name}")).unwrap_or_default();
        text.lines().skip(1).any(|line| {
            let mut words = line.split_whitespace().skip(1);
            let (local, _, found) = (words.next(), words.next(), words.next());
            local.is_some_and(|local| local.ends_with(&wanted)) && found == Some(state)
        })
    })
}
