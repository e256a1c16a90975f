//! W6: the same image, run by everybody, until its server answers.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};

use super::{Case, Contestant};
use crate::bench::machine;
use crate::bench::measure::costs;
use crate::bench::sample::Sample;
use crate::bench::stage::{Stage, write};
use crate::tools;

/// Python's own server, so that nothing has to be installed. It serves an empty folder of the image.
const SERVER: &str = "import http.server, os\n\
    http.server.test(http.server.SimpleHTTPRequestHandler, port=int(os.environ['PORT']), bind='127.0.0.1')\n";

/// How long a server may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// How long we wait before we ask again: less than what is told apart.
const PAUSE: Duration = Duration::from_millis(2);

pub(super) fn serve(stage: &Stage) -> Result<Case<'_>> {
    let files = stage.folder("w6")?;
    write(&files.join("main.py"), SERVER)?;
    write(&files.join("requirements.txt"), "")?;
    stage.till.ask(&["build", &files.display().to_string(), "--base", "python", "--name", "w6"])?;
    stage.hand_over("artifact", "w6")?;
    let mut all = vec![Contestant::ours(move |_| ours(stage))];
    if let Some(docker) = &stage.docker {
        all.push(Contestant::peer("docker", move |round| {
            let (name, port) = (format!("w6-{round}"), free_port()?);
            let sample = theirs(
                docker.client(&["run", "--detach", "--network=host", "--env", &port.env, "--name", &name, "w6"]),
                &docker.daemons(),
                &port,
            );
            tools::output(docker.client(&["rm", "--force", &name]))?;
            sample
        }));
    }
    if let Some(containers) = stage.podman() {
        all.push(Contestant::peer("podman", move |round| {
            let (name, port) = (format!("w6-{round}"), free_port()?);
            let script = "podman run --detach --network=host --env \"$1\" --name \"$2\" localhost/w6";
            let sample = theirs(containers.script(script, &[&port.env, &name]), &[], &port);
            tools::output(containers.script("podman rm --force --time 0 \"$1\"", &[&name]))?;
            sample
        }));
    }
    Ok(Case {
        title: "the image run, to the first HTTP 200 of Python's http.server",
        idle: 1,
        wanted: "≤ 0.5",
        limit: Some(machine::namespaces()?),
        contestants: all,
    })
}

/// A port that is free now.
struct Port {
    number: u16,
    env: String,
}

fn free_port() -> Result<Port> {
    let number = TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port();
    Ok(Port { number, env: format!("PORT={number}") })
}

fn ours(stage: &Stage) -> Result<Sample> {
    let port = free_port()?;
    let publish = port.number.to_string();
    let mut command = stage.till.command(&["run", "w6", "--detach", "--publish", &publish, "--json"]);
    let (output, sample) = costs(&[], || {
        let output = command.output().context("cannot start till")?;
        answered(&port)?;
        Ok(output)
    })?;
    let answer: serde_json::Value = serde_json::from_slice(&output.stdout).context("till gave no JSON")?;
    stage.till.ask(&["stop", answer["instance"].as_str().context("till names no instance")?])?;
    Ok(sample)
}

/// The client ends when the container has begun; the server answers a little later.
fn theirs(mut command: Command, daemons: &[u32], port: &Port) -> Result<Sample> {
    let ((), sample) = costs(daemons, || {
        let output = command.output().with_context(|| format!("cannot start {command:?}"))?;
        if !output.status.success() {
            bail!("{command:?} failed:\n{}", String::from_utf8_lossy(&output.stderr));
        }
        answered(port)
    })?;
    Ok(sample)
}

/// Waits for the first answer with a status of 200.
fn answered(port: &Port) -> Result<()> {
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
