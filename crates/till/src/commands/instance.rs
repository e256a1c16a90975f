//! `till run`, `ps`, `logs`, `stop`.

use std::io::{Read, Write};
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use serde_json::{Value, json};
use till_core::Failure;
use till_core::port::{Evidence, Observed};
use till_engine::{Engine, Event, InstanceEntry, Observer, RunWish, Wanted};

use super::{table, time};
use crate::cli::{Logs, Run, Stop, variables};
use crate::screen::Screen;

/// How long nobody asks what is going on.
const PATIENCE: Duration = Duration::from_secs(3);

/// How often a log that is followed is looked at.
const INTERVAL: Duration = Duration::from_millis(100);

fn value(entry: &InstanceEntry) -> Value {
    json!({
        "instance": entry.fact.id,
        "url": entry.url(),
        "artifact": entry.fact.artifact,
        "process": entry.fact.process,
        "port": entry.fact.port,
        "state": state(&entry.observed),
        "began": time(entry.fact.began),
    })
}

fn state(observed: &Observed) -> String {
    match observed {
        Observed::Running => "running".to_owned(),
        Observed::Ended(Evidence::Code(code)) => format!("ended ({code})"),
        Observed::Ended(Evidence::OutOfMemory) => "ended (out of memory)".to_owned(),
        Observed::Ended(Evidence::OutOfPids) => "ended (too many processes)".to_owned(),
        Observed::Ended(_) => "ended (killed)".to_owned(),
        Observed::Gone => "gone".to_owned(),
    }
}

pub(super) async fn run(engine: &Engine, run: &Run, screen: &Screen) -> Result<ExitCode, Failure> {
    let wish = RunWish {
        id: till_engine::new_instance_id(),
        artifact: run.artifact.clone(),
        process: match &run.process {
            _ if run.all => Wanted::All,
            Some(name) => Wanted::Named(name.clone()),
            None => Wanted::Default,
        },
        publish: run.publish,
        env: variables(&run.env),
        environment: run.environment.map(|environment| environment.name().to_owned()),
        kernel: run.kernel.clone(),
    };
    let followed = async {
        let entry = tokio::select! {
            entry = engine.run(&wish, screen) => entry?,
            never = impatient(&wish, screen) => match never {},
        };
        let address = entry.url().unwrap_or_else(|| "no port".to_owned());
        screen.result(&value(&entry), &format!("{address}\n{}", entry.fact.id));
        if run.detach { Ok(None) } else { follow(engine, &wish).await.map(Some) }
    };
    let outcome = tokio::select! {
        outcome = followed => outcome,
        interrupted = crate::interruption() => interrupted.map(|()| Some(crate::INTERRUPTED)),
    };
    match outcome? {
        None => Ok(ExitCode::SUCCESS),
        Some(code) => {
            // It may have been interrupted before there was anything to stop.
            let _ = engine.stop(wish.id.as_str()).await;
            Ok(ExitCode::from(code))
        }
    }
}

/// Says what is waited for when it takes long.
async fn impatient(wish: &RunWish, screen: &Screen) -> std::convert::Infallible {
    tokio::time::sleep(PATIENCE).await;
    let id = &wish.id;
    screen.event(Event::Waiting(&format!("for its first answer; `till logs {id}` shows what it says")));
    std::future::pending().await
}

/// Shows the output of an instance until it ends; its exit code.
async fn follow(engine: &Engine, wish: &RunWish) -> Result<u8, Failure> {
    let mut follower = Follower::new(&engine.runner.log(&wish.id));
    loop {
        follower.copy(&mut std::io::stderr());
        let observed = engine.runner.inspect(&wish.id).await?;
        if observed == Observed::Running {
            tokio::time::sleep(INTERVAL).await;
            continue;
        }
        follower.copy(&mut std::io::stderr());
        return Ok(match observed {
            Observed::Ended(Evidence::Code(code)) => code,
            // Whatever the reason was, SIGKILL ended it.
            Observed::Ended(_) => 128 + 9,
            _ => u8::MAX,
        });
    }
}

pub(super) async fn list(engine: &Engine, screen: &Screen) -> Result<(), Failure> {
    let entries = engine.instances().await?;
    let row = |entry: &InstanceEntry| {
        let id = entry.fact.id.to_string();
        let artifact = entry.fact.artifact.short().to_owned();
        vec![
            id,
            entry.fact.process.clone(),
            state(&entry.observed),
            entry.url().unwrap_or_default(),
            artifact,
            time(entry.fact.began),
        ]
    };
    let text = if entries.is_empty() {
        "nothing runs".to_owned()
    } else {
        table(&entries.iter().map(row).collect::<Vec<_>>())
    };
    screen.result(&json!({ "items": entries.iter().map(value).collect::<Vec<_>>() }), &text);
    Ok(())
}

pub(super) async fn logs(engine: &Engine, wish: &Logs, screen: &Screen) -> Result<(), Failure> {
    let (fact, path) = engine.log(&wish.instance).await?;
    if !wish.follow {
        let mut bytes = std::fs::read(path.with_extension("1")).unwrap_or_default();
        bytes.extend(std::fs::read(&path).unwrap_or_default());
        let text = String::from_utf8_lossy(&bytes);
        screen.result(&json!({ "instance": fact.id, "log": text }), &text);
        return Ok(());
    }
    let mut follower = Follower::new(&path);
    loop {
        follower.copy(&mut std::io::stdout());
        if engine.runner.inspect(&fact.id).await? != Observed::Running {
            follower.copy(&mut std::io::stdout());
            return Ok(());
        }
        tokio::time::sleep(INTERVAL).await;
    }
}

/// Reads on where it stopped.
struct Follower {
    file: Option<std::fs::File>,
    path: std::path::PathBuf,
}

impl Follower {
    fn new(path: &Path) -> Self {
        Self { file: None, path: path.to_owned() }
    }

    fn copy(&mut self, out: &mut dyn Write) {
        use std::os::unix::fs::MetadataExt;
        let mut bytes = Vec::new();
        if let Some(file) = &mut self.file {
            let _ = file.take(1 << 20).read_to_end(&mut bytes);
        }
        // The log was begun anew: the old one has been read to its end.
        let inode = |meta: std::io::Result<std::fs::Metadata>| meta.ok().map(|meta| meta.ino());
        let ours = self.file.as_ref().and_then(|file| inode(file.metadata()));
        if bytes.is_empty() && inode(std::fs::metadata(&self.path)) != ours {
            self.file = std::fs::File::open(&self.path).ok();
            if let Some(file) = &mut self.file {
                let _ = file.take(1 << 20).read_to_end(&mut bytes);
            }
        }
        let _ = out.write_all(&bytes).and_then(|()| out.flush());
    }
}

pub(super) async fn stop(engine: &Engine, wish: &Stop, screen: &Screen) -> Result<(), Failure> {
    let mut wanted = wish.instances.clone();
    if wish.all {
        wanted = engine.ledger.instances().await?.into_iter().map(|fact| fact.id.to_string()).collect();
    }
    let mut stopped = Vec::new();
    for instance in &wanted {
        stopped.push(engine.stop(instance).await?.id.to_string());
    }
    let text = if stopped.is_empty() { "nothing runs".to_owned() } else { format!("stopped {}", stopped.join(", ")) };
    screen.result(&json!({ "items": stopped }), &text);
    Ok(())
}
