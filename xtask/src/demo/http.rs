//! As much of HTTP/1.1 as one GET needs: the demo asks for a page without a client that would have to be installed.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};

/// How long one answer may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// The text of a page. Anything but a status of 200 is an error.
pub(super) fn get(url: &str) -> Result<String> {
    let (host, path) = parts(url)?;
    let mut stream = TcpStream::connect(host).context("nobody listens")?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    write!(stream, "GET {path} HTTP/1.1\r\nHost: {host}\r\nUser-Agent: xtask\r\nConnection: close\r\n\r\n")?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).context("the answer has no end")?;
    let answer = String::from_utf8_lossy(&answer);
    let (head, body) = answer.split_once("\r\n\r\n").context("the answer is not HTTP")?;
    let status = head.lines().next().unwrap_or_default();
    if status.split(' ').nth(1) != Some("200") {
        bail!("the answer is `{status}`");
    }
    Ok(body.to_owned())
}

/// `host:port` and the path of an `http` URL.
fn parts(url: &str) -> Result<(&str, &str)> {
    let rest = url.strip_prefix("http://").with_context(|| format!("`{url}` is not an http URL"))?;
    let end = rest.find('/').unwrap_or(rest.len());
    let (host, path) = rest.split_at(end);
    Ok((host, if path.is_empty() { "/" } else { path }))
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    #[test]
    fn urls_come_apart() {
        assert_eq!(parts("http://127.0.0.1:80").unwrap(), ("127.0.0.1:80", "/"));
        assert_eq!(parts("http://127.0.0.1:80/").unwrap(), ("127.0.0.1:80", "/"));
        assert_eq!(parts("http://h:1/a/b").unwrap(), ("h:1", "/a/b"));
        assert!(parts("https://h:1/").is_err());
    }

    #[test]
    fn a_page_is_its_body_and_other_statuses_are_errors() {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        let server = std::thread::spawn(move || {
            for answer in ["HTTP/1.1 200 OK\r\nX: y\r\n\r\nHello", "HTTP/1.1 404 Not Found\r\n\r\nHello"] {
                let (mut stream, _) = listener.accept().unwrap();
                let mut request = [0; 16];
                stream.read_exact(&mut request).unwrap();
                stream.write_all(answer.as_bytes()).unwrap();
                stream.shutdown(std::net::Shutdown::Write).unwrap();
                let _ = stream.read_to_end(&mut Vec::new());
            }
        });
        assert_eq!(get(&url).unwrap(), "Hello");
        assert_eq!(get(&url).unwrap_err().to_string(), "the answer is `HTTP/1.1 404 Not Found`");
        server.join().unwrap();
    }
}
