//! What a system says at its second serial port while it works: what its steps write, and between that words of our program there.
//!
//! A word is a line, `#till NONCE WORD …`, after a line end. The job's steps run with all rights of the system and can find the
//! nonce: it keeps apart what is said by accident, and not by a source that lies about itself.

/// Something that a system said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Said {
    /// The act of that number began.
    Began(usize),
    /// It ended, with that code.
    Ended(usize, u32),
    /// It cannot be done, or was not.
    Failed(usize, String),
    /// The system will restart, and go on then.
    Restart(usize),
    /// Something that the user should know.
    Note(String),
    /// All is done; it switches itself off.
    Done,
    /// What a step wrote.
    Log(Vec<u8>),
}

/// A line that is longer is no word.
const LONGEST: usize = 4 << 10;

/// Parts words from the rest, as it comes.
#[derive(Debug)]
pub struct Listener {
    /// With the line end that is written before every word.
    prefix: Vec<u8>,
    /// What may be the begin of a word.
    held: Vec<u8>,
    /// Of that, so many bytes were passed on already: a line end is not kept waiting for what may follow.
    passed: usize,
}

impl Listener {
    /// For words with that nonce.
    pub fn new(nonce: &str) -> Self {
        Self { prefix: format!("\n#till {nonce} ").into_bytes(), held: Vec::new(), passed: 0 }
    }

    /// What these bytes come to, with those before.
    pub fn hear(&mut self, bytes: &[u8]) -> Vec<Said> {
        let (mut said, mut log) = (Vec::new(), Vec::new());
        for byte in bytes {
            self.take(*byte, &mut log, &mut said);
        }
        if self.held == b"\n" && self.passed == 0 {
            log.push(b'\n');
            self.passed = 1;
        }
        flush(&mut log, &mut said);
        said
    }

    fn take(&mut self, byte: u8, log: &mut Vec<u8>, said: &mut Vec<Said>) {
        let goes_on = match self.held.len() {
            0 => byte == b'\n',
            length if length < self.prefix.len() => self.prefix[length] == byte,
            length => length < LONGEST,
        };
        if goes_on && !(byte == b'\n' && self.held.len() >= self.prefix.len()) {
            self.held.push(byte);
            return;
        }
        if goes_on && let Some(word) = word(&self.held[self.prefix.len()..]) {
            self.held.clear();
            self.passed = 0;
            flush(log, said);
            said.push(word);
            return;
        }
        log.extend(self.held.drain(..).skip(self.passed));
        self.passed = 0;
        // It may be the begin of one itself.
        if byte == b'\n' { self.held.push(byte) } else { log.push(byte) }
    }
}

fn flush(log: &mut Vec<u8>, said: &mut Vec<Said>) {
    if !log.is_empty() {
        said.push(Said::Log(std::mem::take(log)));
    }
}

fn word(line: &[u8]) -> Option<Said> {
    let text = String::from_utf8_lossy(line);
    let text = text.trim_end();
    let (word, rest) = text.split_once(' ').unwrap_or((text, ""));
    let (number, more) = rest.split_once(' ').unwrap_or((rest, ""));
    let number = || number.parse().ok();
    Some(match word {
        "began" => Said::Began(number()?),
        "ended" => Said::Ended(number()?, more.parse().ok()?),
        "failed" => Said::Failed(number()?, more.to_owned()),
        "restart" => Said::Restart(number()?),
        "note" => Said::Note(rest.to_owned()),
        "done" => Said::Done,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(pieces: &[&[u8]]) -> Vec<Said> {
        let mut listener = Listener::new("n");
        pieces.iter().flat_map(|piece| listener.hear(piece)).collect()
    }

    #[test]
    fn words_are_parted_from_what_steps_write() {
        let said = b"\n#till n began 0\nhello\n\n#till n ended 0 0\n\n#till n began 1\nno line end\n#till n failed 1 cannot: error 2\n";
        let expected = [
            Said::Began(0),
            Said::Log(b"hello\n".to_vec()),
            Said::Ended(0, 0),
            Said::Began(1),
            Said::Log(b"no line end".to_vec()),
            Said::Failed(1, "cannot: error 2".to_owned()),
        ];
        assert_eq!(all(&[said]), expected);
        // Cut anywhere, the same words come, and the same is written but for a line end.
        let words =
            |said: &[Said]| said.iter().filter(|said| !matches!(said, Said::Log(_))).cloned().collect::<Vec<_>>();
        let written = |said: Vec<Said>| -> Vec<u8> {
            let logs = said.into_iter().filter_map(|said| if let Said::Log(bytes) = said { Some(bytes) } else { None });
            logs.flatten().filter(|byte| *byte != b'\n').collect()
        };
        for cut in 0..said.len() {
            let heard = all(&[&said[..cut], &said[cut..]]);
            assert_eq!(words(&heard), words(&expected), "{cut}");
            assert_eq!(written(heard), b"hellono line end", "{cut}");
        }
    }

    #[test]
    fn what_is_no_word_is_what_was_written() {
        for text in
            ["\n#till m done\n", "x #till n done\n", "\n#till n nonsense\n", "\n#till n ended x 0\n", "\n#\n", "\n\n\n"]
        {
            let heard = all(&[text.as_bytes()]);
            let logs: Vec<u8> = heard
                .into_iter()
                .flat_map(|said| if let Said::Log(bytes) = said { bytes } else { panic!("{text}") })
                .collect();
            assert_eq!(String::from_utf8(logs).unwrap(), text);
        }
        let long = format!("\n#till n note {}", "x".repeat(3 * LONGEST));
        let mut listener = Listener::new("n");
        let said = listener.hear(long.as_bytes());
        assert!(said.iter().all(|said| matches!(said, Said::Log(_))));
        assert!(listener.held.len() <= LONGEST);
    }
}
