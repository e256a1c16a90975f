//! A machine that runs: QEMU as a child of ours, with the ports over which its guest speaks to us.
//!
//! QEMU can start no other program, change no ids and no limits of its own (its `-sandbox`), is told every format, and has no name
//! of anything that a guest could have written.

use std::os::unix::net::UnixStream as StdStream;
use std::path::Path;
use std::process::Stdio;

use till_core::Failure;
use till_guest::{CONTROL, LOG, Word};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::UnixStream;
use tokio::process::{Child, ChildStdout, Command};

use super::accel::Accel;
use super::io;
use super::wire::Wire;
use crate::process;

const PROGRAM: &str = "qemu-system-x86_64";
/// No other program, no other ids, no other limits.
const SANDBOX: [&str; 2] = ["-sandbox", "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny"];
/// A word that is longer is no word.
const MAX_WORD: usize = 64 << 10;

/// What every machine of ours has.
pub(super) struct Shape {
    pub(super) accel: Accel,
    /// Of memory.
    pub(super) mebibytes: u64,
    pub(super) processors: usize,
}

/// A machine before it is started.
pub(super) struct Draft {
    command: Command,
    control: UnixStream,
    log: UnixStream,
    wire: Option<Child>,
    terminal: bool,
}

/// A machine that was started; it ends with its handle.
pub(super) struct Vm {
    child: Child,
    /// None where it is our own terminal.
    console: Option<Stream<ChildStdout>>,
    control: Stream<UnixStream>,
    log: Stream<UnixStream>,
    words: Vec<u8>,
    _wire: Option<Child>,
}

/// Something to read, until it ends.
struct Stream<R> {
    from: R,
    buffer: Vec<u8>,
    is_open: bool,
}

impl<R: tokio::io::AsyncRead + Unpin> Stream<R> {
    fn new(from: R) -> Self {
        Self { from, buffer: vec![0; 1 << 16], is_open: true }
    }

    /// What came; nothing at the end, and after that it waits for ever.
    async fn read(&mut self) -> Vec<u8> {
        if !self.is_open {
            return std::future::pending().await;
        }
        let count = self.from.read(&mut self.buffer).await.unwrap_or(0);
        self.is_open = count > 0;
        self.buffer[..count].to_vec()
    }
}

/// What a console says, where somebody else does not hear it.
async fn heard<R: tokio::io::AsyncRead + Unpin>(console: &mut Option<Stream<R>>) -> Vec<u8> {
    match console {
        Some(console) => console.read().await,
        None => std::future::pending().await,
    }
}

/// What happened to a machine.
#[derive(Debug)]
pub(super) enum Event {
    /// It said something.
    Word(Word),
    /// Its job wrote something.
    Log(Vec<u8>),
    /// Its kernel or its processes wrote something on the console.
    Console(Vec<u8>),
    /// It is off.
    Off,
}

impl Draft {
    pub(super) fn new(shape: &Shape) -> Result<Self, Failure> {
        let mut command = process::command(PROGRAM);
        command.args(["-nodefaults", "-no-user-config", "-display", "none", "-no-reboot"]);
        command.args(SANDBOX);
        command.args(shape.accel.arguments());
        // Shared, so that a helper can read what the guest puts into it.
        command.arg("-object").arg(format!("memory-backend-memfd,id=memory,size={}M,share=on", shape.mebibytes));
        command.args(["-M", "q35,memory-backend=memory", "-m", &format!("{}M", shape.mebibytes)]);
        // What somebody types is for the guest, the keys that end programs among it.
        command.args(["-smp", &shape.processors.to_string(), "-chardev", "stdio,id=console,signal=off"]);
        command.args(["-serial", "chardev:console"]);
        command.args(["-device", "virtio-rng-pci", "-device", "virtio-serial-pci"]);
        let (control, log) = (port(&mut command, CONTROL, "control")?, port(&mut command, LOG, "log")?);
        Ok(Self { command, control, log, wire: None, terminal: false })
    }

    /// A machine for a system that is none of ours: it may restart itself, has the hardware of a usual one, and its second serial
    /// port is what we hear of it.
    pub(super) fn of_system(shape: &Shape, machine: &str) -> Result<Self, Failure> {
        let mut command = process::command(PROGRAM);
        command.args(["-nodefaults", "-no-user-config", "-display", "none", "-rtc", "base=localtime"]);
        command.args(SANDBOX);
        command.args(shape.accel.arguments());
        command.args(["-M", machine, "-m", &format!("{}M", shape.mebibytes), "-smp", &shape.processors.to_string()]);
        // Without one, boot loaders wait for ever to write something on it.
        command.args(["-device", "VGA", "-device", "virtio-rng-pci"]);
        command.args(["-chardev", "stdio,id=console,signal=off", "-serial", "chardev:console"]);
        let (log, number) = pair(&mut command)?;
        command.arg("-chardev").arg(format!("socket,id=log,fd={number}")).args(["-serial", "chardev:log"]);
        // It has no words of ours: nobody is at the other end.
        let nobody = UnixStream::pair().map_err(io("make", "a socket"))?.0;
        Ok(Self { command, control: nobody, log, wire: None, terminal: false })
    }

    pub(super) fn args<'a>(&mut self, arguments: impl IntoIterator<Item = &'a str>) -> &mut Self {
        self.command.args(arguments);
        self
    }

    /// Our own terminal is its console.
    pub(super) fn terminal(&mut self) -> &mut Self {
        self.terminal = true;
        self
    }

    /// A network card of that model.
    pub(super) fn card(&mut self, wire: Wire, model: &str) -> &mut Self {
        let end = process::inherits(&mut self.command, wire.end);
        self.command.arg("-netdev").arg(format!("stream,id=net,server=off,addr.type=fd,addr.str={end}"));
        self.command.arg("-device").arg(format!("{model},netdev=net,romfile="));
        self.wire = Some(wire.child);
        self
    }

    /// What the machine's power button is pressed by: QEMU's own protocol.
    pub(super) fn button(&mut self) -> Result<Button, Failure> {
        let (ours, number) = pair(&mut self.command)?;
        self.command
            .arg("-chardev")
            .arg(format!("socket,id=qmp,fd={number}"))
            .args(["-mon", "chardev=qmp,mode=control"]);
        Ok(Button(ours))
    }

    /// What a helper shares.
    pub(super) fn tree(&mut self, tag: &str, socket: &Path) -> &mut Self {
        self.command.arg("-chardev").arg(format!("socket,id=tree,path={}", socket.display()));
        self.command.arg("-device").arg(format!("vhost-user-fs-pci,queue-size=1024,chardev=tree,tag={tag}"));
        self
    }

    pub(super) fn file(&mut self, option: &str, path: &Path) -> &mut Self {
        self.command.arg(option).arg(path);
        self
    }

    pub(super) fn start(
        mut self,
        adopt: &(dyn Fn(u32) -> Result<(), Failure> + Sync),
        said: &Path,
    ) -> Result<Vm, Failure> {
        let errors = std::fs::File::create(said).map_err(io("write", said))?;
        if self.terminal {
            self.command.stdin(Stdio::inherit()).stdout(Stdio::inherit());
        } else {
            self.command.stdout(Stdio::piped());
        }
        self.command.stderr(errors);
        process::dies_with_us(&mut self.command);
        let started = self.command.spawn();
        let mut child = started.map_err(|error| process::start_error(&self.command, error))?;
        for pid in [child.id(), self.wire.as_ref().and_then(Child::id)].into_iter().flatten() {
            adopt(pid)?;
        }
        let console = child.stdout.take();
        Ok(Vm {
            child,
            console: console.map(Stream::new),
            control: Stream::new(self.control),
            log: Stream::new(self.log),
            words: Vec::new(),
            _wire: self.wire,
        })
    }
}

/// A machine's power button.
pub(super) struct Button(UnixStream);

impl Button {
    /// ACPI tells the guest, which does with it what it wants.
    pub(super) async fn press(&mut self) -> std::io::Result<()> {
        self.0.write_all(b"{\"execute\":\"qmp_capabilities\"}{\"execute\":\"system_powerdown\"}").await
    }
}

/// A virtio port of that name; our end of it.
fn port(command: &mut Command, name: &str, id: &str) -> Result<UnixStream, Failure> {
    let (ours, number) = pair(command)?;
    command.arg("-chardev").arg(format!("socket,id={id},fd={number}"));
    command.arg("-device").arg(format!("virtserialport,chardev={id},name={name}"));
    Ok(ours)
}

/// Two ends of a socket: ours, and the number of the command's.
fn pair(command: &mut Command) -> Result<(UnixStream, i32), Failure> {
    let made = StdStream::pair().and_then(|(ours, theirs)| {
        ours.set_nonblocking(true)?;
        Ok((UnixStream::from_std(ours)?, theirs))
    });
    let (ours, theirs) = made.map_err(io("make", "a socket"))?;
    Ok((ours, process::inherits(command, theirs.into())))
}

impl Vm {
    /// The next that happens. When it is off, all that it had said was said before.
    pub(super) async fn next(&mut self) -> Event {
        loop {
            if let Some(word) = self.word() {
                return Event::Word(word);
            }
            tokio::select! {
                bytes = self.control.read() => self.words.extend(bytes),
                bytes = self.log.read() => if !bytes.is_empty() {
                    return Event::Log(bytes);
                },
                bytes = heard(&mut self.console) => if !bytes.is_empty() {
                    return Event::Console(bytes);
                },
                // Its ends of the ports are closed when it is: they come first.
                _ = self.child.wait(), if !(self.control.is_open || self.log.is_open || self.console.as_ref().is_some_and(|console| console.is_open)) => {
                    return Event::Off;
                }
            }
        }
    }

    /// A whole line that is a word. Whatever else came over that port is nothing.
    fn word(&mut self) -> Option<Word> {
        while let Some(end) = self.words.iter().position(|byte| *byte == b'\n') {
            let line: Vec<_> = self.words.drain(..=end).collect();
            if let Ok(word) = serde_json::from_slice(&line) {
                return Some(word);
            }
        }
        if self.words.len() > MAX_WORD {
            self.words.clear();
        }
        None
    }

    /// Ends it now.
    pub(super) fn kill(&mut self) {
        let _ = self.child.start_kill();
    }
}

/// The end of what was said on a console.
#[derive(Debug, Default)]
pub(super) struct Tail(Vec<u8>);

impl Tail {
    const MOST: usize = 16 << 10;

    pub(super) fn add(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(bytes);
        if self.0.len() > 2 * Self::MOST {
            self.0.drain(..self.0.len() - Self::MOST);
        }
    }

    /// Its last lines.
    pub(super) fn lines(&self) -> Vec<String> {
        let text = String::from_utf8_lossy(&self.0);
        let lines: Vec<_> =
            text.lines().map(str::trim_end).filter(|line| !line.is_empty()).map(str::to_owned).collect();
        lines[lines.len().saturating_sub(20)..].to_vec()
    }
}
