//! The first process of a disk whose image has no systemd: loopback, address, services, power button.
//!
//! A service that ends is started again, each time after a longer pause. When the button is pressed they are asked to end,
//! and after a while killed; then the machine is off.

use std::collections::BTreeMap;
use std::io::Read as _;
use std::sync::Mutex;
use std::sync::mpsc::{Sender, channel};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, WaitOptions};
use till_guest::{Command, Machine, Word};

use crate::{Result, failed, network, port, ready, service, system};

/// How long services are given to end by themselves.
const GRACE: Duration = Duration::from_secs(10);
/// The pause before a service that ended is started again: the first, and the longest.
const PAUSES: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(30));
/// One that ran so long begins anew with the first pause.
const STEADY: Duration = Duration::from_secs(60);

/// Held while a process is started: the library waits itself for one that could not be.
static STARTING: Mutex<()> = Mutex::new(());

/// What happens.
enum Event {
    PowerButton,
    /// A process is no more.
    Ended(Pid, u8),
    /// It is time to start that service.
    Due(String),
}

/// A service and how it goes.
struct Service {
    command: Command,
    running: Option<Pid>,
    began: Instant,
    pause: Duration,
}

pub(crate) fn run() -> Result<()> {
    system::mount_kernel("")?;
    let machine = ready::machine()?;
    let _ = rustix::system::sethostname(machine.hostname.as_bytes());
    network::loopback()?;
    let _ = std::fs::create_dir_all("/tmp");
    let (events, happens) = channel();
    watch_button(&events);
    std::thread::spawn(network::keep);
    reap(&events);
    let chosen = machine.processes.iter().filter(|(name, _)| machine.services.contains(name));
    let mut services: BTreeMap<_, _> = chosen.map(|(name, command)| (name.clone(), Service::new(command))).collect();
    services.keys().for_each(|name| drop(events.send(Event::Due(name.clone()))));
    std::thread::spawn(move || tell_when_ready(&machine));
    for event in happens {
        match event {
            Event::PowerButton => break,
            Event::Due(name) => {
                if let Some(service) = services.get_mut(&name) {
                    service.start(&name);
                    if service.running.is_none() {
                        service.again(&name, &events);
                    }
                }
            }
            Event::Ended(pid, code) => {
                let ended = services.iter_mut().find(|(_, service)| service.running == Some(pid));
                if let Some((name, service)) = ended {
                    service.running = None;
                    let done = code == 0 && service.command.may_end;
                    let then = if done { "is done" } else { "is started again" };
                    eprintln!("till: `{name}` ended with code {code}; it {then}");
                    port::say(&Word::Exited { service: name.clone(), done, code });
                    if !done {
                        service.again(name, &events);
                    }
                }
            }
        }
    }
    eprintln!("till: the power button was pressed");
    end_all();
    system::power_off()
}

impl Service {
    fn new(command: &Command) -> Self {
        Self { command: command.clone(), running: None, began: Instant::now(), pause: PAUSES.0 }
    }

    fn start(&mut self, name: &str) {
        self.began = Instant::now();
        let _starting = STARTING.lock();
        match spawned(&self.command) {
            Ok(child) => self.running = Pid::from_raw(child.id().cast_signed()),
            Err(why) => eprintln!("till: cannot start `{name}`: {why}"),
        }
    }

    /// Starts it after a pause.
    fn again(&mut self, name: &str, events: &Sender<Event>) {
        if self.began.elapsed() > STEADY {
            self.pause = PAUSES.0;
        }
        let (pause, name, events) = (self.pause, name.to_owned(), events.clone());
        self.pause = (self.pause * 2).min(PAUSES.1);
        std::thread::spawn(move || {
            std::thread::sleep(pause);
            let _ = events.send(Event::Due(name));
        });
    }
}

/// Its output goes through a pipe of its own, and on to the console, which is root's.
fn spawned(command: &Command) -> Result<std::process::Child> {
    let (mut reader, writer) = std::io::pipe().map_err(failed("make", "a pipe"))?;
    service::give(&writer, command)?;
    let mut process = service::prepared(command)?;
    process.stdout(writer.try_clone().map_err(failed("copy", "a pipe"))?).stderr(writer);
    let child = process.spawn().map_err(|error| error.to_string())?;
    std::thread::spawn(move || std::io::copy(&mut reader, &mut std::io::stderr()));
    Ok(child)
}

/// Takes leave of every process that ends: as the first one we are the parent of orphans, too.
fn reap(events: &Sender<Event>) {
    let events = events.clone();
    std::thread::spawn(move || {
        loop {
            let options = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT;
            let _ = rustix::process::waitid(WaitId::All, options);
            let starting = STARTING.lock();
            let ended = rustix::process::wait(WaitOptions::NOHANG);
            drop(starting);
            match ended {
                Ok(Some((pid, status))) => {
                    let _ = events.send(Event::Ended(pid, service::code(status)));
                }
                // There is none at the moment.
                _ => std::thread::sleep(Duration::from_millis(50)),
            }
        }
    });
}

fn tell_when_ready(machine: &Machine) {
    if let Some(question) = &machine.ready {
        ready::wait(question);
    }
    port::say(&Word::Ready);
    eprintln!("till: ready");
}

/// An event of an input device (linux/input.h): 16 bytes of time, then type, code, value.
const EVENT: usize = 24;
const EV_KEY: u16 = 1;
const KEY_POWER: u16 = 116;

/// ACPI's power button is an input device; which one nobody says.
fn watch_button(events: &Sender<Event>) {
    for device in std::fs::read_dir("/dev/input").into_iter().flatten().flatten() {
        if !device.file_name().to_string_lossy().starts_with("event") {
            continue;
        }
        let Ok(mut file) = std::fs::File::open(device.path()) else { continue };
        let events = events.clone();
        std::thread::spawn(move || {
            let mut event = [0; EVENT];
            while file.read_exact(&mut event).is_ok() {
                let number = |at: usize| u16::from_ne_bytes([event[at], event[at + 1]]);
                if (number(16), number(18)) == (EV_KEY, KEY_POWER) && event[20] == 1 {
                    let _ = events.send(Event::PowerButton);
                }
            }
        });
    }
}

/// Asks every process to end, waits a little, kills the rest.
fn end_all() {
    signal_all(Signal::TERM);
    let began = Instant::now();
    while began.elapsed() < GRACE && others() {
        std::thread::sleep(Duration::from_millis(50));
    }
    signal_all(Signal::KILL);
}

/// Every process but the kernel's own, which have no program, and us.
pub(crate) fn processes() -> Vec<Pid> {
    let entries = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    entries
        .filter(|entry| std::fs::read_link(entry.path().join("exe")).is_ok())
        .filter_map(|entry| entry.file_name().to_string_lossy().parse().ok().and_then(Pid::from_raw))
        .filter(|pid| !pid.is_init())
        .collect()
}

fn others() -> bool {
    !processes().is_empty()
}

fn signal_all(signal: Signal) {
    for pid in processes() {
        let _ = rustix::process::kill_process(pid, signal);
    }
}
