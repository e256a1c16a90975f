//! An environment whose instances are bare directories. Nothing is mounted or started: a step does nothing, and well. What is
//! left is packed by the call that a container makes. Files are written here, and none are looked for or removed: for that a
//! container uses `openat2`, which valgrind 3.19 does not know.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::Duration;

use async_trait::async_trait;
use till_core::contract::Collected;
use till_core::plan::{Injection, Place, Step, TreeFiles};
use till_core::port::{Capture, Environment, Evidence, Exit, Instance, Layer, Loan, LogSink, Opening};
use till_core::{DiffId, Failure, Fault};
use till_image::{Compression, Packing, Store};

use crate::ids;

pub(crate) struct Bare {
    pub(crate) store: Store,
    pub(crate) instances: PathBuf,
}

struct Directory {
    store: Store,
    root: PathBuf,
    epoch: u64,
}

#[async_trait]
impl Environment for Bare {
    fn name(&self) -> &'static str {
        "bare"
    }

    async fn gather(&self, _: &[Layer], _: &TreeFiles, _: &Path) -> Result<(), Failure> {
        Err(Failure::new(Fault::House, "a bare directory has no files of other trees"))
    }

    async fn open(&self, opening: Opening) -> Result<Box<dyn Instance>, Failure> {
        let root = self.instances.join(opening.id.as_str());
        std::fs::create_dir_all(&root).map_err(|error| Failure::house("cannot make an instance", error))?;
        Ok(Box::new(Directory { store: self.store.clone(), root, epoch: opening.epoch }))
    }

    async fn collect(&self, _: &BTreeSet<DiffId>) -> Result<u64, Failure> {
        Ok(0)
    }

    async fn sweep(&self) -> Result<usize, Failure> {
        Ok(0)
    }
}

#[async_trait]
impl Instance for Directory {
    async fn inject(&mut self, what: &Injection, content: &Path) -> Result<(), Failure> {
        let Place::Dir(path) = &what.place else {
            return Err(Failure::new(Fault::House, "into a bare directory come directories"));
        };
        let place = self.root.join(path.trim_start_matches('/'));
        let put = || {
            std::fs::create_dir_all(&place)?;
            for found in till_testkit::archive::read(content) {
                match found.entry {
                    Some(entry) => std::fs::write(place.join(found.path), entry.content)?,
                    None => std::fs::create_dir_all(place.join(found.path))?,
                }
            }
            Ok(())
        };
        put().map_err(|error: std::io::Error| Failure::house("cannot put files in", error))
    }

    async fn run(&mut self, _: &Step, _: &[Loan], _: &mut dyn LogSink) -> Result<Exit, Failure> {
        Ok(Exit { evidence: Evidence::Code(0), took: Duration::ZERO })
    }

    async fn trial(&mut self, step: &Step, log: &mut dyn LogSink) -> Result<Exit, Failure> {
        self.run(step, &[], log).await
    }

    async fn find(&mut self, patterns: &[String]) -> Result<Collected, Failure> {
        let found = patterns.iter().map(|pattern| (pattern.clone(), Vec::new())).collect();
        Ok(Collected { found, ..Collected::default() })
    }

    async fn read(&mut self, _: &[String]) -> Result<BTreeMap<String, String>, Failure> {
        Ok(BTreeMap::new())
    }

    async fn snapshot(self: Box<Self>, _: &Capture) -> Result<Layer, Failure> {
        let packing = Packing { ids: ids(), epoch: self.epoch, compression: Compression::default() };
        Ok(till_image::pack(&self.root, &packing, &self.store)?.layer)
    }
}
