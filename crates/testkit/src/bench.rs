//! A runner that only remembers what it was told.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Mutex;
use std::time::Duration;

use async_trait::async_trait;
use till_core::id::InstanceId;
use till_core::port::{Evidence, Observed, RunRequest, Runner, Started};
use till_core::{Failure, Fault};

/// A runner that only remembers what it was told. A process whose command is `never-ready` ends before it answers, one whose
/// command is `never-begins` leaves nothing at all.
#[derive(Debug, Default)]
pub struct Bench {
    known: Mutex<BTreeMap<InstanceId, (RunRequest, Observed)>>,
    asked: Mutex<Vec<RunRequest>>,
}

impl Bench {
    /// How many run.
    pub fn count(&self) -> usize {
        self.known.lock().unwrap().len()
    }

    /// All that was asked for, in that order.
    pub fn requests(&self) -> Vec<RunRequest> {
        self.asked.lock().unwrap().clone()
    }

    /// With what an instance was started.
    pub fn request(&self, id: &InstanceId) -> Option<RunRequest> {
        self.known.lock().unwrap().get(id).map(|(request, _)| request.clone())
    }

    /// From now on this is what is seen of an instance.
    pub fn observe(&self, id: &InstanceId, observed: Observed) {
        self.known.lock().unwrap().get_mut(id).unwrap().1 = observed;
    }
}

#[async_trait]
impl Runner for Bench {
    async fn start(&self, request: &RunRequest) -> Result<Started, Failure> {
        self.asked.lock().unwrap().push(request.clone());
        let mut known = self.known.lock().unwrap();
        // All services of a machine are no process of their own.
        let argv = request.launch.processes.get(&request.process).map(|process| process.argv.join(" "));
        let argv = argv.unwrap_or_default();
        if argv == "never-begins" {
            return Err(Failure::new(Fault::House, "it cannot be started"));
        }
        if argv == "never-ready" {
            known.insert(request.id.clone(), (request.clone(), Observed::Ended(Evidence::Code(1))));
            return Err(Failure::new(Fault::Source, "it did not answer"));
        }
        known.insert(request.id.clone(), (request.clone(), Observed::Running));
        let free = 40_000 + u16::try_from(known.len()).unwrap();
        let has_port = request.launch.ports.iter().any(|port| port.process == request.process);
        Ok(Started { port: has_port.then(|| request.publish.unwrap_or(free)), took: Duration::ZERO })
    }

    async fn inspect(&self, id: &InstanceId) -> Result<Observed, Failure> {
        let known = self.known.lock().unwrap();
        Ok(known.get(id).map_or(Observed::Gone, |(_, observed)| observed.clone()))
    }

    fn log(&self, id: &InstanceId) -> PathBuf {
        PathBuf::from(format!("/nowhere/{id}.log"))
    }

    async fn stop(&self, id: &InstanceId) -> Result<(), Failure> {
        self.known.lock().unwrap().remove(id);
        Ok(())
    }
}
