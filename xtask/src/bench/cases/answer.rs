//! Asks a server that has just been started until it answers.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::time::{Duration, Instant};

use anyhow::{Result, bail};

/// How long a server may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// How long we wait before we ask again: less than what is told apart.
const PAUSE: Duration = Duration::from_millis(2);

/// A port that is free now.
pub(super) struct Port {
    pub(super) number: u16,
    /// As the server of W6 is told it.
    pub(super) env: String,
}

pub(super) fn free_port() -> Result<Port> {
    let number = TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port();
    Ok(Port { number, env: format!("PORT={number}") })
}

/// Waits for the first answer with a status of 200.
pub(super) fn answered(port: &Port) -> Result<()> {
    let began = Instant::now();
    while !asked(port.number).unwrap_or(false) {
        if began.elapsed() > PATIENCE {
            bail!("nobody answers at port {}", port.number);
        }
        std::thread::sleep(PAUSE);
    }
    Ok(())
}

fn asked(port: u16) -> Result<bool> {
    let mut stream = TcpStream::connect(("127.0.0.1", port))?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.write_all(b"GET / HTTP/1.0\r\n\r\n")?;
    let mut answer = [0; 12];
    stream.read_exact(&mut answer)?;
    Ok(&answer[9..] == b"200")
}
