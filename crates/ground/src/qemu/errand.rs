//! A step of a preparation in a machine of its own: kernel, `guest`, and the instance's tree, which is this machine's and which the
//! guest sees as it is (virtiofs). Nothing is copied there and back; what a step writes is in the instance as if a container had
//! written it, and the checkpoints are the layers.

use std::path::Path;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use till_core::plan::Network;
use till_core::port::{Evidence, Exit, LogSink, Outcome};
use till_core::system::Said;
use till_core::{Failure, Fault};
use till_guest::{Command, JOB, Job, TREE, Word};

use super::machine::{Draft, Event, Shape, Tail, Vm};
use super::{Machines, io, share, wire};
use super::{attend, boot, chain};
use crate::hypervisor::{Attendance, Errand, Hypervisor, Life, Told};

/// What the guest's own kernel takes.
const KERNEL_BYTES: u64 = 256 << 20;
/// How long a kernel and our program may take until the step begins, by the processor.
const BOOT: Duration = Duration::from_secs(30);
/// How long a machine may take to be off when its step has ended, by the processor.
const OFF: Duration = Duration::from_secs(5);
/// How often is looked whether too much was written.
const DISK_INTERVAL: Duration = Duration::from_millis(200);
/// No console, and at a panic the machine is off.
pub(super) const COMMAND_LINE: &str = "console=ttyS0 quiet panic=-1 net.ifnames=0 random.trust_cpu=on";

#[async_trait]
impl Hypervisor for Machines {
    async fn run(
        &self,
        errand: &Errand<'_>,
        too_much: &mut (dyn FnMut() -> bool + Send),
        log: &mut dyn LogSink,
    ) -> Result<Exit, Failure> {
        let boot = match errand.kernel {
            Some(package) => boot::of_package(package, &self.data.join("kernels")).await?,
            None => boot::of_tree(errand.root, errand.folder).await?,
        };
        let accel = self.accel(Some(&boot), errand.folder, errand.adopt).await;
        let nonce = uuid::Uuid::new_v4().simple().to_string();
        let socket = errand.folder.join("tree");
        let share = share::share(errand.root, errand.ids, errand.is_shared, &socket)?;
        share.id().map_or(Ok(()), errand.adopt)?;
        let wire = match errand.step.network {
            Network::Egress => wire::connect(errand.folder, errand.forwarder, &[]).await?,
            Network::None => None,
        };
        let initrd = errand.folder.join("initrd");
        let text = serde_json::to_vec(&job(errand, &nonce, wire.is_some()));
        let text = text.map_err(|error| Failure::house("cannot write the job", error))?;
        self.write_initrd(&boot, vec![(JOB.to_owned(), text)], &initrd)?;
        let shape = Shape {
            accel,
            mebibytes: (errand.limits.memory.0 + KERNEL_BYTES).div_ceil(1 << 20),
            processors: processors(errand.limits.cpu),
        };
        let mut draft = Draft::new(&shape)?;
        draft.file("-kernel", &boot.vmlinuz).file("-initrd", &initrd).args(["-append", COMMAND_LINE]);
        draft.tree(TREE, &socket);
        if let Some(wire) = wire {
            draft.card(wire, "virtio-net-pci");
        }
        if errand.terminal {
            draft.terminal();
        }
        let said = errand.folder.join("qemu.log");
        let vm = draft.start(errand.adopt, &said)?;
        let time = Duration::from_secs(errand.limits.time.0);
        let watch = Watch { vm, nonce: &nonce, slowness: accel.slowness(), time, name: &errand.step.name, said: &said };
        let exit = watch.finish(too_much, log).await;
        drop(share);
        exit
    }

    async fn live(
        &self,
        life: &Life<'_>,
        told: &mut (dyn FnMut(Told) + Send),
        stop: std::pin::Pin<&mut (dyn Future<Output = ()> + Send)>,
        log: &mut dyn LogSink,
    ) -> Result<Evidence, Failure> {
        super::life::live(self, life, told, stop, log).await
    }

    async fn attend(
        &self,
        order: &Attendance<'_>,
        delta: Option<&Path>,
        told: &mut (dyn FnMut(Said) + Send),
    ) -> Result<Outcome, Failure> {
        let outcome = attend::attend(self, order, told).await?;
        if let (Outcome::Done, Some(into)) = (&outcome, delta) {
            chain::delta(order.chain, order.overlay, order.work, into).await?;
        }
        Ok(outcome)
    }

    async fn collect(&self) -> Result<u64, Failure> {
        let kept = self.data.join("kernels");
        crate::scratch::sweep(&kept);
        let mut count = 0;
        for entry in std::fs::read_dir(&kept).into_iter().flatten().flatten() {
            std::fs::remove_dir_all(entry.path()).map_err(io("remove", entry.path()))?;
            count += 1;
        }
        Ok(count)
    }
}

fn job(errand: &Errand<'_>, nonce: &str, network: bool) -> Job {
    let step = errand.step;
    Job {
        nonce: nonce.to_owned(),
        command: Command {
            argv: step.argv.clone(),
            env: errand.env.clone(),
            dir: step.dir.clone(),
            user: step.user.clone(),
            may_end: true,
        },
        network,
        terminal: errand.terminal,
        memory: errand.limits.memory.0,
        pids: errand.limits.pids,
    }
}

/// As many as there are, or as the limit can keep busy.
pub(super) fn processors(limit: Option<u32>) -> usize {
    let there = std::thread::available_parallelism().map_or(1, usize::from);
    limit.map_or(there, |limit| usize::try_from(limit.div_ceil(1000)).unwrap_or(there).clamp(1, there))
}

/// A machine that does a job.
struct Watch<'a> {
    vm: Vm,
    nonce: &'a str,
    slowness: u32,
    /// Of the step.
    time: Duration,
    name: &'a str,
    said: &'a Path,
}

impl Watch<'_> {
    async fn finish(
        mut self,
        too_much: &mut (dyn FnMut() -> bool + Send),
        log: &mut dyn LogSink,
    ) -> Result<Exit, Failure> {
        let began = Instant::now();
        let deadline = tokio::time::sleep(BOOT * self.slowness);
        tokio::pin!(deadline);
        let mut disk = tokio::time::interval(DISK_INTERVAL);
        let mut console = Tail::default();
        let (mut begun, mut evidence) = (None, None);
        loop {
            let event = tokio::select! {
                event = self.vm.next() => event,
                _ = disk.tick(), if evidence.is_none() => {
                    if too_much() {
                        evidence = Some(Evidence::OutOfDisk);
                        self.vm.kill();
                    }
                    continue;
                }
                () = &mut deadline => {
                    // What it had to say about its end it has said.
                    if begun.is_none() {
                        return Err(self.failed(Fault::House, "its machine did not start", &console));
                    }
                    evidence.get_or_insert(Evidence::OutOfTime);
                    self.vm.kill();
                    deadline.as_mut().reset(tokio::time::Instant::now() + OFF * self.slowness);
                    continue;
                }
            };
            match event {
                Event::Log(bytes) => log.write(&bytes),
                Event::Console(bytes) => console.add(&bytes),
                Event::Word(Word::Begun { nonce }) if nonce == self.nonce && begun.is_none() => {
                    begun = Some(Instant::now());
                    deadline.as_mut().reset(tokio::time::Instant::now() + self.time);
                }
                Event::Word(Word::Ended { nonce, code, oom, pids }) if nonce == self.nonce && evidence.is_none() => {
                    evidence = Some(judge(code, oom, pids));
                    deadline.as_mut().reset(tokio::time::Instant::now() + OFF * self.slowness);
                }
                Event::Word(Word::Failed { why }) if begun.is_none() => {
                    return Err(self.failed(Fault::House, &why, &console));
                }
                Event::Word(_) => {}
                Event::Off => break,
            }
        }
        let Some(evidence) = evidence else {
            let (fault, why) = match begun {
                None => (Fault::House, "its machine did not start"),
                Some(_) => (Fault::Source, "its machine was switched off or started anew before it ended"),
            };
            return Err(self.failed(fault, why, &console));
        };
        // Faster than we look.
        let evidence = if evidence != Evidence::Code(0) && too_much() { Evidence::OutOfDisk } else { evidence };
        Ok(Exit { evidence, took: begun.unwrap_or(began).elapsed() })
    }

    fn failed(&self, fault: Fault, why: &str, console: &Tail) -> Failure {
        let mut lines = console.lines();
        lines.extend(std::fs::read_to_string(self.said).unwrap_or_default().lines().map(str::to_owned));
        Failure::new(fault, format!("step `{}` cannot be carried out: {why}", self.name)).evidence(lines)
    }
}

fn judge(code: u8, oom: bool, pids: bool) -> Evidence {
    match code {
        0 => Evidence::Code(0),
        _ if oom => Evidence::OutOfMemory,
        _ if pids => Evidence::OutOfPids,
        code => Evidence::Code(code),
    }
}
