//! A bootstrapper whose systems have a file for each package.

use std::path::Path;
use std::sync::Mutex;

use async_trait::async_trait;
use till_core::plan::Bootstrap;
use till_core::port::{Bootstrapper, LogSink};
use till_core::{Failure, Fault};

use crate::archive;
use crate::tree::{Tree, tree};

/// A bootstrapper whose systems have a file `usr/share/doc/<name>` for each package. The package `absent` does not exist.
#[derive(Debug, Default)]
pub struct Packages {
    made: Mutex<Vec<Bootstrap>>,
}

impl Packages {
    /// What was made so far.
    pub fn made(&self) -> Vec<Bootstrap> {
        self.made.lock().unwrap().clone()
    }
}

#[async_trait]
impl Bootstrapper for Packages {
    async fn bootstrap(
        &self,
        system: &Bootstrap,
        epoch: u64,
        into: &Path,
        log: &mut dyn LogSink,
    ) -> Result<(), Failure> {
        self.made.lock().unwrap().push(system.clone());
        log.write(b"unpacking\n");
        if system.packages.iter().any(|name| name == "absent") {
            return Err(Failure::new(Fault::Base, "there is no package `absent`"));
        }
        let files = system.packages.iter().map(|name| (format!("usr/share/doc/{name}"), name.clone()));
        let files: Vec<_> = files.chain([("etc/suite".to_owned(), system.suite.clone())]).collect();
        let files: Tree = tree(&files.iter().map(|(path, text)| (path.as_str(), text.as_str())).collect::<Vec<_>>());
        let entries = files.iter().map(|(path, entry)| (path.as_str(), entry));
        archive::write(entries, epoch, std::fs::File::create(into).unwrap());
        Ok(())
    }
}
