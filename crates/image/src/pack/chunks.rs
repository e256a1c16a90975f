//! Bytes on their way from the thread that reads to the one that hashes: few buffers, used again and again.

use std::io;
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};

/// A buffer's size: large enough that handing it over costs nothing.
const SIZE: usize = 256 << 10;

/// How many there are: one is filled, one is hashed, and a few wait on either side.
const COUNT: usize = 8;

/// A buffer with its first bytes filled.
pub(crate) struct Chunk {
    pub(crate) bytes: Vec<u8>,
    pub(crate) filled: usize,
}

/// The filling end.
pub(crate) struct Chunks {
    chunk: Chunk,
    sent: u64,
    full: SyncSender<Chunk>,
    empty: Receiver<Vec<u8>>,
}

/// The filling end, the reading end, and where the reader gives buffers back.
pub(crate) fn open() -> (Chunks, Receiver<Chunk>, Sender<Vec<u8>>) {
    let (full, filled) = sync_channel(COUNT);
    let (back, empty) = channel();
    for _ in 1..COUNT {
        // The other end is in hand.
        let _ = back.send(vec![0; SIZE]);
    }
    let chunks = Chunks { chunk: Chunk { bytes: vec![0; SIZE], filled: 0 }, sent: 0, full, empty };
    (chunks, filled, back)
}

impl Chunks {
    /// Room for at least one byte.
    pub(crate) fn room(&mut self) -> io::Result<&mut [u8]> {
        if self.chunk.filled == SIZE {
            self.send()?;
        }
        Ok(&mut self.chunk.bytes[self.chunk.filled..])
    }

    /// So many bytes of the room have been filled.
    pub(crate) fn filled(&mut self, count: usize) {
        self.chunk.filled += count;
    }

    /// Appends bytes.
    pub(crate) fn put(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            let room = self.room()?;
            let count = room.len().min(bytes.len());
            room[..count].copy_from_slice(&bytes[..count]);
            self.filled(count);
            bytes = &bytes[count..];
        }
        Ok(())
    }

    /// Appends zeros.
    pub(crate) fn zeros(&mut self, mut left: u64) -> io::Result<()> {
        while left > 0 {
            let room = self.room()?;
            let count = room.len().min(usize::try_from(left).unwrap_or(usize::MAX));
            room[..count].fill(0);
            self.filled(count);
            left -= count as u64;
        }
        Ok(())
    }

    /// Sends what is left. Answers how many bytes there were in all.
    pub(crate) fn finish(mut self) -> io::Result<u64> {
        if self.chunk.filled > 0 {
            self.send()?;
        }
        Ok(self.sent)
    }

    fn send(&mut self) -> io::Result<()> {
        let gone = || io::Error::from(io::ErrorKind::BrokenPipe);
        let next = Chunk { bytes: self.empty.recv().map_err(|_| gone())?, filled: 0 };
        let chunk = std::mem::replace(&mut self.chunk, next);
        self.sent += chunk.filled as u64;
        self.full.send(chunk).map_err(|_| gone())
    }
}
