//! Debian's docker-registry at a port of the loopback that the kernel chose, for as long as one measurement needs it.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};

use anyhow::{Context as _, Result};

use crate::tools;

/// An empty registry; it ends with its handle.
#[derive(Debug)]
pub(in crate::bench) struct Registry {
    host: String,
    folder: PathBuf,
    process: Child,
}

impl Registry {
    pub(in crate::bench) fn start(place: &Path) -> Result<Self> {
        let folder = place.join("registry");
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(&folder)?;
        let storage = format!("storage: {{filesystem: {{rootdirectory: {}/data}}}}", folder.display());
        let text = format!("version: 0.1\nlog: {{level: info}}\n{storage}\nhttp:\n  addr: 127.0.0.1:0\n");
        fs::write(folder.join("config.yml"), text)?;
        let mut command = tools::command("docker-registry");
        command.arg("serve").arg(folder.join("config.yml"));
        command.stdout(Stdio::null()).stderr(Stdio::piped());
        let mut process = command.spawn().context("cannot start docker-registry")?;
        let errors = process.stderr.take().context("docker-registry has no output")?;
        let mut lines = BufReader::new(errors).lines().map_while(Result::ok);
        let port = lines.find_map(|line| port(&line));
        // What it says later must go somewhere, or it stops.
        std::thread::spawn(move || lines.for_each(drop));
        let registry = Self { host: format!("127.0.0.1:{}", port.clone().unwrap_or_default()), folder, process };
        port.context("docker-registry names no port")?;
        Ok(registry)
    }

    pub(in crate::bench) fn at(&self, name: &str) -> String {
        format!("{}/{name}", self.host)
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
        let _ = fs::remove_dir_all(&self.folder);
    }
}

fn port(line: &str) -> Option<String> {
    let rest = line.split_once("listening on 127.0.0.1:")?.1;
    Some(rest.chars().take_while(char::is_ascii_digit).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_port_is_what_it_says() {
        assert_eq!(port("level=info msg=\"listening on 127.0.0.1:4711\" go=1").as_deref(), Some("4711"));
        assert_eq!(port("level=info"), None);
    }
}
