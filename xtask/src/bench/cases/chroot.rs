//! W6's limit: the image's own server upon the image's own files, with nothing around it but a `chroot`.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context as _, Result};
use serde_json::Value;

use super::answer::{answered, free_port};
use crate::bench::machine::{self, Limit};
use crate::bench::sample::median;
use crate::bench::stage::Stage;
use crate::tools;

/// As often as other small things.
const TIMES: u32 = 9;

/// Of an image of till's. It is umoci that unpacks it: without umoci the limit is a lower one.
pub(super) fn chroot(stage: &Stage, name: &str) -> Result<Limit> {
    let Some(umoci) = &stage.umoci else { return machine::namespaces() };
    let target = format!("oci:{}:{name}", umoci.layout().display());
    stage.till.ask(&["artifact", "export", name, &target, "--compression", "gzip"])?;
    let bundle = umoci.unpack(name)?;
    let config = fs::read_to_string(bundle.join("config.json")).context("cannot read the bundle's configuration")?;
    let config: Value = serde_json::from_str(&config).context("the bundle's configuration is no JSON")?;
    // The first finds nothing in the kernel's memory.
    until_it_answers(&bundle, &config["process"])?;
    let times = (0..TIMES).map(|_| until_it_answers(&bundle, &config["process"]));
    let seconds = median(times.collect::<Result<Vec<_>>>()?.into_iter());
    Ok((seconds, "the same server in a plain `chroot`".to_owned()))
}

fn until_it_answers(bundle: &Path, process: &Value) -> Result<f64> {
    let port = free_port()?;
    let mut command = command(bundle, process);
    command.arg(&port.env).args(words(&process["args"]));
    command.stdout(Stdio::null()).stderr(Stdio::null());
    let began = Instant::now();
    let mut child = command.spawn().context("cannot start `chroot`")?;
    let answer = answered(&port);
    let seconds = began.elapsed().as_secs_f64();
    let _ = child.kill();
    child.wait()?;
    answer.map(|()| seconds)
}

/// `chroot … env --chdir=… NAME=VALUE…`, to which the rest of the words belongs.
fn command(bundle: &Path, process: &Value) -> Command {
    let mut command = tools::command("chroot");
    command.arg(bundle.join("rootfs")).args(["/usr/bin/env", "--ignore-environment"]);
    command.arg(format!("--chdir={}", process["cwd"].as_str().unwrap_or("/"))).args(words(&process["env"]));
    command
}

fn words(list: &Value) -> Vec<&str> {
    list.as_array().into_iter().flatten().filter_map(Value::as_str).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_run_is_what_the_image_says() {
        let process = serde_json::json!({ "cwd": "/app", "env": ["A=1", "B=2"], "args": ["python", "main.py"] });
        let command = command(Path::new("/bundle"), &process);
        let found: Vec<_> = command.get_args().filter_map(|word| word.to_str()).collect();
        assert_eq!(found, ["/bundle/rootfs", "/usr/bin/env", "--ignore-environment", "--chdir=/app", "A=1", "B=2"]);
        assert_eq!(words(&process["args"]), ["python", "main.py"]);
        assert!(words(&process["absent"]).is_empty());
    }
}
