//! docker-registry of Debian at a port of this machine, for as long as a test needs it.

use std::cell::Cell;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

use crate::support::write;

/// `me` and `secret`, as htpasswd writes them.
const PASSWORDS: &str = "me:$2b$04$BVaaEeMGsfytMAyvXs8uY.O3/M4gMg1ubTRYh/XEsbh8P6qzmkMR6\n";

/// A registry at a port that the kernel chose; it ends with its handle.
pub struct Registry {
    pub host: String,
    pub folder: tempfile::TempDir,
    process: Child,
    /// Lines of its log that `requests` has told.
    told: Cell<usize>,
}

impl Drop for Registry {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Registry {
    /// With more of configuration, in which `HERE` is its folder.
    pub fn new(more: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let here = folder.path().display().to_string();
        write(folder.path(), &[("passwords", PASSWORDS)]);
        let storage = format!("storage: {{filesystem: {{rootdirectory: {here}/data}}}}");
        let text = format!(
            "version: 0.1\nlog: {{level: info}}\n{storage}\nhttp:\n  addr: 127.0.0.1:0\n{}",
            more.replace("HERE", &here)
        );
        write(folder.path(), &[("config.yml", &text)]);
        let mut command = Command::new("docker-registry");
        command.arg("serve").arg(folder.path().join("config.yml"));
        command.stdout(File::create(folder.path().join("requests")).unwrap()).stderr(Stdio::piped());
        let mut process = command.spawn().unwrap();
        let mut lines = BufReader::new(process.stderr.take().unwrap()).lines();
        let port = lines.find_map(|line| {
            let rest = line.unwrap().split_once("listening on 127.0.0.1:")?.1.to_owned();
            Some(rest.chars().take_while(char::is_ascii_digit).collect::<String>())
        });
        // What it says later must go somewhere, or it stops.
        std::thread::spawn(move || lines.map_while(Result::ok).for_each(drop));
        Self { host: format!("127.0.0.1:{}", port.unwrap()), folder, process, told: Cell::new(0) }
    }

    /// What it was asked since this was asked last, but what it speaks: `HEAD /v2/…`. It writes down before it answers.
    pub fn requests(&self) -> Vec<String> {
        let text = std::fs::read_to_string(self.folder.path().join("requests")).unwrap();
        let lines = text.lines().skip(self.told.get());
        let asked = lines.map(|line| line.split('"').nth(1).unwrap().trim_end_matches(" HTTP/1.1").to_owned());
        let asked = asked.collect::<Vec<_>>();
        self.told.set(self.told.get() + asked.len());
        asked.into_iter().filter(|line| line != "GET /v2/").collect()
    }

    pub fn at(&self, rest: &str) -> String {
        format!("{}/{rest}", self.host)
    }
}
