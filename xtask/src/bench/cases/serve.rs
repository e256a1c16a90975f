//! W6: the same image, run by everybody, until its server answers.

use std::process::Command;

use anyhow::{Context as _, Result, bail};

use super::answer::{Port, answered, free_port};
use super::chroot::chroot;
use super::{Case, Contestant, Part};
use crate::bench::measure::costs;
use crate::bench::sample::Sample;
use crate::bench::stage::{Stage, write};
use crate::bench::wanted::Wanted;
use crate::tools;

/// Python's own server, so that nothing has to be installed. It serves an empty folder of the image.
const SERVER: &str = "import http.server, os\n\
    http.server.test(http.server.SimpleHTTPRequestHandler, port=int(os.environ['PORT']), bind='127.0.0.1')\n";

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
    let title = "the image run, to the first HTTP 200 of Python's http.server";
    let part = Part::whole(title, Wanted::Ratio(0.5), Some(chroot(stage, "w6")?));
    Ok(Case { idle: 1, parts: vec![part], contestants: all })
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
