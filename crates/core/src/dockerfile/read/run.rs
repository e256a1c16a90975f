//! `RUN`.

use super::super::heredoc;
use super::super::instruction::{Run, RunCommand, RunNetwork};
use super::{Bad, Request, mount};

const FLAGS: [&str; 4] = ["mount", "network", "security", "device"];

pub(super) fn read(mut request: Request<'_>) -> Result<Run, Bad> {
    let flags = request.flags(&FLAGS)?;
    let network = match flags.one("network")? {
        None => None,
        Some("default") => Some(RunNetwork::Default),
        Some("none") => Some(RunNetwork::None),
        Some("host") => {
            return Err(Bad::new("RUN --network=host would let the step reach what only this machine may reach")
                .hint("leave the flag out: a step reaches package indexes without it"));
        }
        Some(other) => return Err(Bad::new(format!("--network is `default` or `none`, not `{other}`"))),
    };
    if flags.one("security")?.is_some_and(|security| security != "sandbox") {
        return Err(Bad::new("RUN --security would take the walls off the step; it is always `sandbox`")
            .hint("leave the flag out"));
    }
    if !flags.all("device")?.is_empty() {
        return Err(Bad::new("RUN --device is not supported: steps have no devices of this machine"));
    }
    let mounts = flags.all("mount")?.into_iter().map(mount::read).collect::<Result<_, _>>()?;
    Ok(Run { command: command(&request)?, mounts, network })
}

fn command(request: &Request<'_>) -> Result<RunCommand, Bad> {
    let text = request.argument()?;
    if let Some(words) = request.json()? {
        return if words.is_empty() { Err(request.bad("needs a command")) } else { Ok(RunCommand::Exec(words)) };
    }
    match (request.heredocs.as_slice(), heredoc::opening(text)) {
        ([body], Some(opening)) if body.opening == opening => {
            let content = body.content();
            if content.starts_with("#!") {
                heredoc::file_name(&opening.name)?;
            }
            Ok(RunCommand::Script { name: opening.name, body: content, expand: opening.expand })
        }
        (bodies, _) => Ok(RunCommand::Shell(heredoc::rejoin(text, bodies))),
    }
}
