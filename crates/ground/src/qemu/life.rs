//! A machine that runs from a disk: an overlay over it, so that the disk stays as it is; its console is its log, its power button is
//! how it is asked to end.

use std::path::Path;
use std::time::Duration;

use till_core::Failure;
use till_core::plan::Bytes;
use till_core::port::{Evidence, LogSink};
use till_guest::Word;

use super::attend::Setting;
use super::machine::{Button, Draft, Event, Shape, Tail, Vm};
use super::{MachineError, Machines, attend, boot, chain, errand, wire};
use crate::hypervisor::{Life, Told};

/// With less no kernel starts.
const LEAST: u64 = 256 << 20;
/// A service that ends before the machine is ready has this time to say why.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// Runs it until it is off.
pub(super) async fn live(
    machines: &Machines,
    life: &Life<'_>,
    told: &mut (dyn FnMut(Told) + Send),
    stop: std::pin::Pin<&mut (dyn Future<Output = ()> + Send)>,
    log: &mut dyn LogSink,
) -> Result<Evidence, Failure> {
    let said = life.folder.join("qemu.log");
    let (mut vm, mut button) = start(machines, life, &said).await?;
    // One that does not say when it is ready is asked from outside.
    let (mut ready, mut stopped, mut evidence) = (life.system.is_some(), false, None);
    let mut console = Tail::default();
    let patience = tokio::time::sleep(Duration::from_secs(u64::from(u32::MAX)));
    tokio::pin!(patience, stop);
    loop {
        let event = tokio::select! {
            event = vm.next() => event,
            () = &mut stop, if !stopped => {
                stopped = true;
                button.press().await.map_err(|error| Failure::house("cannot press the power button", error))?;
                continue;
            }
            () = &mut patience, if evidence.is_some() => {
                vm.kill();
                continue;
            }
        };
        match event {
            Event::Console(bytes) => {
                console.add(&bytes);
                log.write(&bytes);
            }
            Event::Word(Word::Ready) => {
                ready = true;
                told(Told::Ready);
            }
            // As a container ends with its process. One that is to run on is started again by its machine.
            Event::Word(Word::Exited { service, done, code })
                if evidence.is_none() && ((!ready && !done) || life.once == Some(&service)) =>
            {
                evidence = Some(Evidence::Code(code));
                patience.as_mut().reset(tokio::time::Instant::now() + LAST_WORDS);
            }
            Event::Word(Word::Failed { why }) => log.write(format!("till: {why}\n").as_bytes()),
            // What its services say.
            Event::Log(bytes) if life.system.is_some() => log.write(&bytes),
            Event::Word(_) | Event::Log(_) => {}
            Event::Off => break,
        }
    }
    match evidence {
        Some(evidence) => Ok(evidence),
        None if ready || stopped => Ok(Evidence::Code(0)),
        None => {
            let mut lines = console.lines();
            lines.extend(std::fs::read_to_string(&said).unwrap_or_default().lines().map(str::to_owned));
            Err(Failure::from(MachineError::Off).evidence(lines))
        }
    }
}

/// Starts it. What QEMU itself has to say goes to `said`.
async fn start(machines: &Machines, life: &Life<'_>, said: &Path) -> Result<(Vm, Button), Failure> {
    chain::overlay(life.disk, life.overlay, if life.system.is_some() { 0 } else { life.limits.disk.0 }).await?;
    if let Some(system) = life.system {
        let drive = attend::bare_drive(life.hostname, life.folder).await?;
        let setting = Setting {
            system,
            disk: life.disk,
            overlay: life.overlay,
            drive: &drive,
            memory: Bytes(life.memory),
            cpu: life.limits.cpu,
            network: true,
            forwards: life.forwards,
            forwarder: life.forwarder,
            folder: life.folder,
            adopt: life.adopt,
            said,
        };
        let (vm, button, _) = attend::start(machines, &setting).await?;
        return Ok((vm, button));
    }
    let boot = match life.kernel {
        Some(package) => Some(boot::of_package(package, &machines.data.join("kernels")).await?),
        None => None,
    };
    let accel = machines.accel(boot.as_ref(), life.folder, life.adopt).await;
    let wire = wire::connect(life.folder, life.forwarder, life.forwards).await?;
    let shape = Shape {
        accel,
        mebibytes: life.memory.max(LEAST).div_ceil(1 << 20),
        processors: errand::processors(life.limits.cpu),
    };
    let mut draft = Draft::new(&shape)?;
    let drive = chain::over(life.disk, life.overlay)?;
    draft.args(["-blockdev", &drive.to_string(), "-device", "virtio-blk-pci,drive=root,bootindex=0"]);
    if let Some(wire) = wire {
        draft.card(wire, "virtio-net-pci");
    }
    let button = draft.button()?;
    Ok((draft.start(life.adopt, said)?, button))
}
