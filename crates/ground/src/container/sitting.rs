//! A system that stays a disk, started for a job. Its folder, limits and sockets are those of every instance: what is left of a
//! dead one is found and swept away in the same way.

use std::path::{Path, PathBuf};

use async_trait::async_trait;
use till_core::plan::{Bytes, Limits};
use till_core::port::{Outcome, Sitting, Systems};
use till_core::system::Said;
use till_core::{Failure, Fault};

use super::errand::{Group, Sockets};
use super::seat::Folder;
use super::{Containers, egress, io};
use crate::hypervisor::Attendance;

#[async_trait]
impl Systems for Containers {
    async fn attend(
        &self,
        sitting: &Sitting,
        delta: Option<&Path>,
        told: &mut (dyn FnMut(Said) + Send),
    ) -> Result<Outcome, Failure> {
        let Some(hypervisor) = &self.hypervisor else {
            return Err(Failure::new(Fault::House, "a system cannot be started in a container"));
        };
        let folder = Gone(Folder::create(&self.house, &sitting.id)?);
        let name = sitting.id.as_str();
        let memory = Bytes(sitting.limits.memory.0.max(sitting.system.memory.0));
        let group = Group::make(name, &Limits { memory, ..sitting.limits.clone() })?;
        let sockets = Sockets::make(name)?;
        let work = folder.0.path.join("work");
        std::fs::create_dir_all(&work).map_err(io("make", &work))?;
        let machine = &self.house.config.machine;
        let lent: Vec<(Vec<String>, PathBuf)> = machine.named_files();
        let order = Attendance {
            chain: &sitting.chain,
            system: &sitting.system,
            job: &sitting.job,
            archives: &sitting.archives,
            variables: &machine.env,
            lent: &lent,
            hostname: &sitting.hostname,
            limits: &sitting.limits,
            console: &sitting.console,
            overlay: &folder.0.upper().join("disk"),
            work: &work,
            forwarder: egress::forwarder(),
            folder: &sockets.0,
            adopt: &|pid| group.put(pid),
        };
        hypervisor.attend(&order, delta, told).await
    }
}

/// A folder that goes when nobody needs it any more.
struct Gone(Folder);

impl Drop for Gone {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0.path);
    }
}
