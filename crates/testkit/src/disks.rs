//! A maker of disks that writes down what it was told.

use std::path::{Path, PathBuf};
use std::sync::Mutex;

use async_trait::async_trait;
use till_core::plan::Bytes;
use till_core::port::{DiskMaker, DiskOrder, ForeignDisk, MadeDisk};
use till_core::{Digest, Failure};

/// A maker of disks that writes down what it was told: the disk is the seed of its names.
#[derive(Debug, Default)]
pub struct Disks {
    orders: Mutex<Vec<DiskOrder>>,
}

impl Disks {
    /// What was ordered, in that order.
    pub fn orders(&self) -> Vec<DiskOrder> {
        self.orders.lock().unwrap().clone()
    }
}

fn failed(error: std::io::Error) -> Failure {
    Failure::house("cannot write", error)
}

#[async_trait]
impl DiskMaker for Disks {
    fn edition(&self) -> Digest {
        Digest::of(b"the fake")
    }

    async fn make(&self, order: &DiskOrder, _: &Path, into: &Path) -> Result<MadeDisk, Failure> {
        self.orders.lock().unwrap().push(order.clone());
        std::fs::write(into, order.seed.to_string()).map_err(failed)?;
        let size = order.size.unwrap_or(Bytes(1 << 30));
        Ok(MadeDisk { kernel: "6.1.0".to_owned(), size, systemd: false })
    }

    async fn read(&self, _: &ForeignDisk, _: &Path, _: &Path, into: &Path) -> Result<(), Failure> {
        std::fs::File::create(into).map_err(failed)?;
        Ok(())
    }

    async fn compress(&self, disk: &Path, into: &Path) -> Result<(), Failure> {
        let bytes = [b"compressed ".to_vec(), std::fs::read(disk).map_err(failed)?].concat();
        std::fs::write(into, bytes).map_err(failed)
    }
    async fn flatten(&self, chain: &[PathBuf], _: &str, into: &Path) -> Result<(), Failure> {
        let bytes: std::io::Result<Vec<_>> = chain.iter().map(std::fs::read).collect();
        std::fs::write(into, bytes.map_err(failed)?.concat()).map_err(failed)
    }
}
