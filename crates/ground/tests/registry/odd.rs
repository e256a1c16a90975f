//! A server that does as it is told: it answers wrongly, ends too soon or never.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// The first byte of TLS: who speaks that is not answered.
const TLS: u8 = 0x16;

/// One request.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    pub(crate) method: String,
    /// With the query.
    pub(crate) path: String,
    headers: HashMap<String, String>,
    /// As much of it as was read.
    pub(crate) body: Vec<u8>,
}

impl Request {
    /// A header, or nothing.
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", String::as_str)
    }

    /// `GET /path`.
    pub(crate) fn line(&self) -> String {
        format!("{} {}", self.method, self.path)
    }
}

/// What is done about it.
#[derive(Debug, Clone)]
pub(crate) struct Reply {
    status: u16,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
    /// So many bytes of the request's body are read; then the connection is closed.
    take: Option<usize>,
    end: End,
}

#[derive(Debug, Clone, Copy)]
enum End {
    Proper,
    /// After so many bytes of the body.
    Cut(usize),
    Never,
}

/// A reply of that status.
pub(crate) fn reply(status: u16) -> Reply {
    Reply { status, headers: Vec::new(), body: Vec::new(), take: None, end: End::Proper }
}

impl Reply {
    pub(crate) fn with(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    pub(crate) fn body(mut self, body: &[u8]) -> Self {
        self.body = body.to_vec();
        self
    }

    /// The connection breaks after so many bytes of the body.
    pub(crate) fn cut(mut self, after: usize) -> Self {
        self.end = End::Cut(after);
        self
    }

    /// The body is said to have no end, and has none.
    pub(crate) fn endless(mut self) -> Self {
        self.end = End::Never;
        self
    }

    /// The connection breaks when so many bytes of the request's body have been read.
    pub(crate) fn take(mut self, bytes: usize) -> Self {
        self.take = Some(bytes);
        self
    }
}

/// A server; it ends with its handle.
pub(crate) struct Odd {
    pub(crate) address: SocketAddr,
    seen: Arc<Mutex<Vec<Request>>>,
    task: tokio::task::JoinHandle<()>,
}

impl Drop for Odd {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Odd {
    /// Answers with what the script says of a request and of how often the same was asked before. `/v2/` is answered well,
    /// where the script says nothing of it.
    pub(crate) async fn new(script: impl Fn(&Request, usize) -> Option<Reply> + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (address, seen) = (listener.local_addr().unwrap(), Arc::<Mutex<Vec<Request>>>::default());
        let (script, notes) = (Arc::new(script), seen.clone());
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (script, notes) = (script.clone(), notes.clone());
                tokio::spawn(async move { serve(stream, &*script, &notes).await });
            }
        });
        Self { address, seen, task }
    }

    /// An image there.
    pub(crate) fn at(&self, rest: &str) -> till_core::model::Reference {
        crate::reference(&format!("{}/{rest}", self.address))
    }

    /// All requests but those for `/v2/`.
    pub(crate) fn seen(&self) -> Vec<Request> {
        self.seen.lock().unwrap().iter().filter(|request| request.path != "/v2/").cloned().collect()
    }

    /// Their lines.
    pub(crate) fn lines(&self) -> Vec<String> {
        self.seen().iter().map(Request::line).collect()
    }
}

async fn serve(
    mut stream: TcpStream,
    script: &(dyn Fn(&Request, usize) -> Option<Reply> + Send + Sync),
    seen: &Mutex<Vec<Request>>,
) -> Option<()> {
    let mut request = head(&mut stream).await?;
    let before = seen.lock().unwrap().iter().filter(|other| other.line() == request.line()).count();
    let default = if request.path == "/v2/" { reply(200) } else { reply(404) };
    let reply = script(&request, before).unwrap_or(default);
    let length: usize = request.header("content-length").parse().unwrap_or(0);
    let wanted = reply.take.unwrap_or(length).saturating_sub(request.body.len());
    let mut rest = vec![0; wanted];
    stream.read_exact(&mut rest).await.ok()?;
    request.body.extend(rest);
    let has_body = request.method != "HEAD";
    seen.lock().unwrap().push(request);
    if reply.take.is_some() {
        return None;
    }
    let mut text = format!("HTTP/1.1 {} X\r\nConnection: close\r\n", reply.status);
    reply.headers.iter().for_each(|(name, value)| text.push_str(&format!("{name}: {value}\r\n")));
    if !matches!(reply.end, End::Never) {
        text.push_str(&format!("Content-Length: {}\r\n", reply.body.len()));
    }
    text.push_str("\r\n");
    stream.write_all(text.as_bytes()).await.ok()?;
    match reply.end {
        _ if !has_body => {}
        End::Proper => stream.write_all(&reply.body).await.ok()?,
        End::Cut(after) => stream.write_all(&reply.body[..after]).await.ok()?,
        End::Never => loop {
            stream.write_all(&[b' '; 1 << 16]).await.ok()?;
        },
    }
    stream.shutdown().await.ok()
}

async fn head(stream: &mut TcpStream) -> Option<Request> {
    let mut bytes = Vec::new();
    let end = loop {
        if let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
            break end;
        }
        let mut buffer = [0; 4096];
        let count = stream.read(&mut buffer).await.ok().filter(|count| *count > 0)?;
        bytes.extend_from_slice(&buffer[..count]);
        if bytes[0] == TLS {
            return None;
        }
    };
    let text = String::from_utf8(bytes[..end].to_vec()).ok()?;
    let mut lines = text.split("\r\n");
    let mut words = lines.next()?.split(' ').map(str::to_owned);
    let header = |line: &str| line.split_once(": ").map(|(name, value)| (name.to_lowercase(), value.to_owned()));
    let headers = lines.filter_map(header).collect();
    Some(Request { method: words.next()?, path: words.next()?, headers, body: bytes[end + 4..].to_vec() })
}
