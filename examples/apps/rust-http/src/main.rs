//! Answers with a page that counts its visits.

use std::sync::atomic::{AtomicU64, Ordering};

use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use tiny_http::{Header, Response, Server};

static VISITS: AtomicU64 = AtomicU64::new(0);

fn main() {
    let port = std::env::var("PORT").unwrap_or_else(|_| "8080".to_owned());
    let server = Server::http(format!("0.0.0.0:{port}")).expect("the port is free");
    // The first process of an instance is not ended by these unless it says so.
    let mut signals = Signals::new([SIGINT, SIGTERM]).expect("signals can be listened for");
    std::thread::spawn(move || {
        if signals.forever().next().is_some() {
            println!("told to end");
            std::process::exit(0);
        }
    });
    println!("listens at port {port}");
    for request in server.incoming_requests() {
        let (status, body) = answer(request.url());
        let html = Header::from_bytes("Content-Type", "text/html; charset=utf-8").expect("it is a header");
        let response = Response::from_string(body).with_status_code(status).with_header(html);
        if let Err(error) = request.respond(response) {
            eprintln!("the client went away: {error}");
        }
    }
}

fn answer(path: &str) -> (u16, String) {
    match path {
        "/" => {
            let visit = VISITS.fetch_add(1, Ordering::Relaxed) + 1;
            (200, format!("<!doctype html>\n<title>Rust</title>\n<h1>Hello from Rust</h1>\n<p>Visit {visit}.</p>\n"))
        }
        _ => (404, "<!doctype html>\n<title>Rust</title>\n<h1>There is nothing here</h1>\n".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::answer;

    #[test]
    fn only_the_root_is_there() {
        assert_eq!(answer("/").0, 200);
        assert_eq!(answer("/nowhere").0, 404);
    }
}
