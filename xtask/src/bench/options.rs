//! What is measured: the words after `bench`.

use std::path::PathBuf;

use anyhow::{Context as _, Result, bail};

/// All cases, in the order of the table.
pub(super) const CASES: [&str; 13] = ["W1", "W2", "W3", "W4", "W4b", "W5", "W6", "W7", "W8", "M1", "M2", "M3", "M4"];

/// Enough for a median that one disturbance does not move.
const RUNS: u32 = 5;

/// Others whom we are measured with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Peer {
    Docker,
    Buildah,
    Podman,
    Umoci,
}

impl Peer {
    const ALL: [(&str, Self); 4] =
        [("docker", Self::Docker), ("buildah", Self::Buildah), ("podman", Self::Podman), ("umoci", Self::Umoci)];

    fn named(name: &str) -> Result<Self> {
        let found = Self::ALL.iter().find(|(other, _)| *other == name);
        let names = || Self::ALL.map(|(name, _)| name).join(", ");
        Ok(found.with_context(|| format!("there is no peer `{name}`; there are {}", names()))?.1)
    }
}

/// When docs/performance.md is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Page {
    /// A part of the cases would take the others out of it.
    WhenAllRan,
    Always,
}

/// The words, understood.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Options {
    pub(super) cases: Vec<&'static str>,
    pub(super) peers: Vec<Peer>,
    pub(super) runs: u32,
    pub(super) json: Option<PathBuf>,
    pub(super) page: Page,
}

impl Options {
    /// Understands the words, or says which it does not.
    pub(super) fn parse(words: &[&str]) -> Result<Self> {
        let mut options = Self {
            cases: Vec::new(),
            peers: Peer::ALL.map(|(_, peer)| peer).to_vec(),
            runs: RUNS,
            json: None,
            page: Page::WhenAllRan,
        };
        let mut words = words.iter();
        while let Some(word) = words.next() {
            let mut value = || words.next().with_context(|| format!("{word} needs a value"));
            match *word {
                "--peers" => options.peers = value()?.split(',').map(Peer::named).collect::<Result<_>>()?,
                "--runs" => options.runs = value()?.parse().context("--runs needs a number")?,
                "--json" => options.json = Some(value()?.into()),
                "--write" => options.page = Page::Always,
                name => options.cases.push(case(name)?),
            }
        }
        if options.runs == 0 {
            bail!("--runs 0 measures nothing");
        }
        if options.cases.is_empty() {
            options.cases = CASES.to_vec();
        }
        Ok(options)
    }

    pub(super) fn has(&self, peer: Peer) -> bool {
        self.peers.contains(&peer)
    }

    /// Whether the page of this run is worth keeping.
    pub(super) fn writes_page(&self) -> bool {
        self.page == Page::Always || CASES.iter().all(|case| self.cases.contains(case))
    }
}

fn case(name: &str) -> Result<&'static str> {
    let found = CASES.into_iter().find(|case| case.eq_ignore_ascii_case(name));
    found.with_context(|| format!("there is no case `{name}`; there are {}", CASES.join(", ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_words_everything_is_measured_and_written_down() {
        let options = Options::parse(&[]).unwrap();
        assert_eq!((options.cases.len(), options.peers.len(), options.runs), (CASES.len(), 4, RUNS));
        assert!(options.writes_page());
    }

    #[test]
    fn words_choose_cases_peers_and_runs() {
        let words = ["w1", "W4b", "--peers", "docker,umoci", "--runs", "3", "--json", "x.json"];
        let options = Options::parse(&words).unwrap();
        assert_eq!(options.cases, ["W1", "W4b"]);
        assert_eq!((options.peers.as_slice(), options.runs), ([Peer::Docker, Peer::Umoci].as_slice(), 3));
        assert_eq!(options.json, Some("x.json".into()));
        assert!(!options.writes_page());
        assert!(Options::parse(&["W1", "--write"]).unwrap().writes_page());
    }

    #[test]
    fn what_is_not_understood_is_named() {
        for (words, error) in [
            (&["W9"][..], "there is no case `W9`"),
            (&["--peers", "kaniko"], "there is no peer `kaniko`"),
            (&["--runs"], "--runs needs a value"),
            (&["--runs", "many"], "--runs needs a number"),
            (&["--runs", "0"], "--runs 0 measures nothing"),
        ] {
            let found = Options::parse(words).unwrap_err().to_string();
            assert!(found.starts_with(error), "{found}");
        }
    }
}
