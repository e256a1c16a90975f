//! What people see: steps as they go, results, failures. Progress goes to standard error, results to standard output.

use std::io::{IsTerminal, Write};
use std::sync::Mutex;
use std::time::Instant;

use serde_json::{Value, json};
use till_core::Failure;
use till_engine::{Event, Observer};

use crate::cli::Arguments;

/// Standard error, and how much of it.
#[derive(Debug)]
pub(crate) struct Screen {
    json: bool,
    quiet: bool,
    /// A terminal gets a condensed tree that is redrawn, everything else plain lines.
    terminal: bool,
    colour: bool,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    step: Option<(String, Instant)>,
    /// The line that is not complete yet.
    line: Vec<u8>,
    /// A status line is on the terminal, to be overwritten.
    drawn: bool,
}

const GREEN: &str = "32";
const RED: &str = "31";
const YELLOW: &str = "33";
const DIM: &str = "2";

impl Screen {
    pub(crate) fn new(arguments: &Arguments) -> Self {
        let terminal = std::io::stderr().is_terminal();
        Self {
            json: arguments.json,
            quiet: arguments.quiet,
            terminal,
            colour: terminal && std::env::var_os("NO_COLOR").is_none(),
            state: Mutex::new(State::default()),
        }
    }

    fn paint(&self, colour: &str, text: &str) -> String {
        if self.colour { format!("\x1b[{colour}m{text}\x1b[0m") } else { text.to_owned() }
    }

    /// A result: the object with --json, the text without.
    pub(crate) fn result(&self, value: &Value, text: &str) {
        self.clear();
        // A reader that went away is no failure of ours.
        let mut out = std::io::stdout().lock();
        let _ = if self.json { writeln!(out, "{value}") } else { writeln!(out, "{}", text.trim_end()) };
        let _ = out.flush();
    }

    /// A line of progress.
    pub(crate) fn say(&self, text: &str) {
        if !self.quiet {
            self.clear();
            eprintln!("{text}");
        }
    }

    /// Somebody wanted us to stop, and we did.
    pub(crate) fn interrupted(&self) {
        self.say("interrupted; nothing is left behind");
        if self.json {
            println!(
                "{}",
                json!({ "error": { "fault": "caller", "message": "interrupted", "hint": null, "step": null, "log": [] } })
            );
        }
    }

    /// What failed, whose doing it is, what to do next; the last useful lines where a step failed.
    pub(crate) fn failure(&self, failure: &Failure) {
        self.clear();
        if self.json {
            let step = self.state.lock().ok().and_then(|state| state.step.as_ref().map(|step| step.0.clone()));
            let error = json!({ "fault": failure.fault, "message": failure.chain(), "hint": failure.hint, "step": step, "log": failure.evidence });
            println!("{}", json!({ "error": error }));
        }
        let mut text = String::new();
        for line in &failure.evidence {
            text.push_str(&format!("  {} {line}\n", self.paint(DIM, "│")));
        }
        text.push_str(&format!("{} {}\n", self.paint(RED, "error:"), clean(&failure.chain())));
        text.push_str(&format!("  whose doing: {}\n", failure.fault.whose()));
        if let Some(hint) = &failure.hint {
            text.push_str(&format!("  what to try: {}\n", clean(hint)));
        }
        eprint!("{text}");
    }

    /// Takes the status line away.
    fn clear(&self) {
        if let Ok(mut state) = self.state.lock()
            && std::mem::take(&mut state.drawn)
        {
            eprint!("\r\x1b[2K");
        }
    }

    /// One line of a step's output: on a terminal the newest replaces the one before.
    fn output(&self, bytes: &[u8]) {
        let Ok(mut state) = self.state.lock() else {
            return;
        };
        for part in bytes.split_inclusive(|byte| *byte == b'\n') {
            let room = 4096_usize.saturating_sub(state.line.len());
            state.line.extend_from_slice(&part[..part.len().min(room)]);
            if part.ends_with(b"\n") {
                let line = till_engine::plain(state.line.trim_ascii_end());
                state.line.clear();
                self.output_line(&mut state, &line);
            }
        }
    }

    fn output_line(&self, state: &mut State, line: &str) {
        if !self.terminal {
            eprintln!("    {line}");
            return;
        }
        let Some((step, began)) = &state.step else {
            return;
        };
        let columns =
            rustix::termios::tcgetwinsize(std::io::stderr()).map_or(80, |size| usize::from(size.ws_col).max(20));
        let status = format!("  … {step} {:.0}s  {line}", began.elapsed().as_secs_f32());
        let status: String = status.chars().take(columns - 1).collect();
        eprint!("\r\x1b[2K{}", self.paint(DIM, &status));
        state.drawn = true;
    }
}

/// Text with words of strangers, such as names of files: nothing in it moves the terminal.
pub(crate) fn clean(text: &str) -> String {
    text.lines().map(|line| till_engine::plain(line.as_bytes())).collect::<Vec<_>>().join("\n")
}

impl Observer for Screen {
    fn event(&self, event: Event<'_>) {
        if let Ok(mut state) = self.state.lock() {
            match event {
                Event::Began(name) => {
                    state.step = Some((name.to_owned(), Instant::now()));
                    state.line.clear();
                }
                // What fails after this is not this step's doing.
                Event::Ended(_) => state.step = None,
                _ => {}
            }
        }
        if self.quiet {
            return;
        }
        match event {
            Event::Notice(text) => self.say(&format!("  {} {}", self.paint(YELLOW, "!"), clean(text))),
            Event::Waiting(text) => self.say(&format!("  {} waiting {text}", self.paint(YELLOW, "…"))),
            Event::Began(name) if !self.terminal => self.say(&format!("  → {name}")),
            Event::Began(_) => {}
            Event::Output(bytes) => self.output(bytes),
            Event::Ended(report) if report.reused => {
                self.say(&format!("  {} {:<16} taken from an earlier build", self.paint(GREEN, "✔"), report.name))
            }
            Event::Ended(report) => {
                let seconds = std::time::Duration::from_millis(report.milliseconds).as_secs_f32();
                self.say(&format!("  {} {:<16} {seconds:.1}s", self.paint(GREEN, "✔"), report.name));
            }
            Event::Failed(name) => self.say(&format!("  {} {name}", self.paint(RED, "✘"))),
        }
    }
}
