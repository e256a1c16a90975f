//! A bootstrapper whose systems have a file for each package, and whose packages are real `.deb` files.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use async_trait::async_trait;
use till_core::packages::{Package, archive};
use till_core::plan::Bootstrap;
use till_core::port::{Answers, Bootstrapper, LogSink};
use till_core::{Failure, Fault};

use crate::archive as tars;
use crate::tree::{Tree, tree};

/// A bootstrapper whose systems have a file `usr/share/doc/<name>` for each package, with its version in it. The package
/// `absent` does not exist. All are of version 1 until something else is said.
#[derive(Debug, Default)]
pub struct Packages {
    made: Mutex<Vec<Bootstrap>>,
    versions: Mutex<BTreeMap<String, String>>,
    /// No mirror can be reached.
    cut_off: Mutex<bool>,
}

impl Packages {
    /// What was made so far.
    pub fn made(&self) -> Vec<Bootstrap> {
        self.made.lock().unwrap().clone()
    }

    /// From now on the mirror has another version of a package, for security.
    pub fn publish(&self, name: &str, version: &str) {
        self.versions.lock().unwrap().insert(name.to_owned(), version.to_owned());
    }

    /// From now on there is no mirror.
    pub fn cut_off(&self) {
        *self.cut_off.lock().unwrap() = true;
    }

    fn version(&self, name: &str) -> String {
        self.versions.lock().unwrap().get(name).cloned().unwrap_or("1".to_owned())
    }

    fn reach(&self) -> Result<(), Failure> {
        match *self.cut_off.lock().unwrap() {
            true => Err(Failure::new(Fault::House, "the mirror cannot be reached")),
            false => Ok(()),
        }
    }
}

#[async_trait]
impl Bootstrapper for Packages {
    async fn update(&self, system: &Bootstrap, keep: &Path, log: &mut dyn LogSink) -> Result<PathBuf, Failure> {
        self.reach()?;
        log.write(b"reading\n");
        let lists = keep.join("lists");
        std::fs::create_dir_all(&lists).unwrap();
        // Each that is published makes it another release.
        let published = self.versions.lock().unwrap().len();
        let release = format!("Codename: {}\nDate: Thu, 01 Jan 1970 00:00:0{published} UTC\n", system.suite);
        std::fs::write(lists.join(format!("mirror_dists_{}_InRelease", system.suite)), release).unwrap();
        Ok(lists)
    }

    async fn resolve(&self, system: &Bootstrap, keep: &Path, _: &mut dyn LogSink) -> Result<Answers, Failure> {
        self.reach()?;
        if system.packages.iter().any(|name| name == "absent") {
            return Err(Failure::new(Fault::Base, "there is no package `absent`"));
        }
        let archives = keep.join("archives");
        std::fs::create_dir_all(&archives).unwrap();
        let (mut simulation, mut addresses) = (String::new(), String::new());
        for name in &system.packages {
            let version = self.version(name);
            let file = format!("{name}_{version}_all.deb");
            let suite = if version == "1" { "Debian:12/stable" } else { "Debian-Security:12/stable-security" };
            std::fs::write(archives.join(&file), deb(name, &version)).unwrap();
            simulation += &format!("Inst {name} ({version} {suite} [all])\n");
            addresses += &format!("'http://mirror.example/pool/{file}' {file} 1 SHA256:0\n");
        }
        Ok(Answers { simulation, addresses, archives })
    }

    async fn fetch(&self, packages: &[Package], into: &Path, _: &mut dyn LogSink) -> Result<(), Failure> {
        self.reach()?;
        for package in packages {
            let bytes = deb(&package.name, &package.version);
            std::fs::write(into.join(archive::file(&package.digest)), bytes).unwrap();
        }
        Ok(())
    }

    async fn bootstrap(
        &self,
        system: &Bootstrap,
        archive: &Path,
        epoch: u64,
        into: &Path,
        log: &mut dyn LogSink,
    ) -> Result<(), Failure> {
        self.made.lock().unwrap().push(system.clone());
        log.write(b"unpacking\n");
        // What is there comes from the archive alone.
        let index = std::fs::read_to_string(archive.join("Packages")).unwrap();
        let field = |paragraph: &str, name: &str| {
            let found =
                paragraph.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": ")).map(str::to_owned);
            found.unwrap_or_default()
        };
        let paragraphs = index.split("\n\n").filter(|paragraph| !paragraph.trim().is_empty());
        let files = paragraphs.map(|paragraph| {
            assert!(archive.join(field(paragraph, "Filename")).is_file(), "{paragraph}");
            let (name, version) = (field(paragraph, "Package"), field(paragraph, "Version"));
            (format!("usr/share/doc/{name}"), version)
        });
        let files: Vec<_> = files.chain([("etc/suite".to_owned(), system.suite.clone())]).collect();
        let files: Tree = tree(&files.iter().map(|(path, text)| (path.as_str(), text.as_str())).collect::<Vec<_>>());
        let entries = files.iter().map(|(path, entry)| (path.as_str(), entry));
        tars::write(entries, epoch, std::fs::File::create(into).unwrap());
        Ok(())
    }
}

/// A package with nothing but a control file (deb(5)).
pub fn deb(name: &str, version: &str) -> Vec<u8> {
    let control = format!("Package: {name}\nVersion: {version}\nArchitecture: all\nDescription: of a test\n");
    let files = tree(&[("control", control.as_str())]);
    let mut tar = Vec::new();
    tars::write(files.iter().map(|(path, entry)| (path.as_str(), entry)), 0, &mut tar);
    let mut deb = b"!<arch>\n".to_vec();
    for (name, content) in [("debian-binary", b"2.0\n".to_vec()), ("control.tar", tar)] {
        let header = format!("{name:<16}{:<12}{:<6}{:<6}{:<8}{:<10}`\n", 0, 0, 0, "100644", content.len());
        deb.extend_from_slice(header.as_bytes());
        deb.extend_from_slice(&content);
        deb.resize(deb.len().next_multiple_of(2), b'\n');
    }
    deb
}
