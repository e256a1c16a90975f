//! Compression of layers on all cores, with the same bytes on any number of them.

use std::collections::VecDeque;
use std::io::{self, BufReader, Read, Write};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use flate2::read::MultiGzDecoder;
use flate2::write::GzEncoder;
use serde::{Deserialize, Serialize};

use crate::store::BlobWriter;

/// Each has its own buffers: with more of them, packing would need more than 64 MiB.
const MAX_WORKERS: usize = 4;

/// The larger of the zstd levels that keep two cores ahead of the disk.
const ZSTD_LEVEL: i32 = 1;

/// As fast as deflate gets; gzip is for clients that know no zstd.
const GZIP_LEVEL: u32 = 1;

/// What is compressed on its own by gzip: large enough that the ratio does not suffer.
const GZIP_MEMBER: usize = 1 << 20;

/// How a layer's tar is stored.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Compression {
    /// Small and quick; not read by Docker before 23 and umoci 0.4.
    #[default]
    Zstd,
    /// Read by everyone.
    Gzip,
    /// As it is.
    None,
}

impl Compression {
    /// The image spec's name of a layer of this form.
    pub fn media_type(self) -> &'static str {
        match self {
            Self::Zstd => "application/vnd.oci.image.layer.v1.tar+zstd",
            Self::Gzip => "application/vnd.oci.image.layer.v1.tar+gzip",
            Self::None => "application/vnd.oci.image.layer.v1.tar",
        }
    }

    /// The form of that name; Docker's names too, and those of layers that once were not to be given to others.
    pub(crate) fn of_media_type(media_type: &str) -> Option<Self> {
        match media_type.replace(".nondistributable.", ".").as_str() {
            "application/vnd.oci.image.layer.v1.tar+zstd" | "application/vnd.docker.image.rootfs.diff.tar.zstd" => {
                Some(Self::Zstd)
            }
            "application/vnd.oci.image.layer.v1.tar+gzip" | "application/vnd.docker.image.rootfs.diff.tar.gzip" => {
                Some(Self::Gzip)
            }
            "application/vnd.oci.image.layer.v1.tar" | "application/vnd.docker.image.rootfs.diff.tar" => {
                Some(Self::None)
            }
            _ => None,
        }
    }
}

/// The form in which bytes are, and a reader that still gives all of them.
pub(crate) fn detect<R: Read>(mut from: R) -> io::Result<(Compression, impl Read)> {
    let mut head = Vec::with_capacity(4);
    from.by_ref().take(4).read_to_end(&mut head)?;
    let compression = match head.as_slice() {
        [0x1f, 0x8b, ..] => Compression::Gzip,
        // A frame, or one that may be skipped.
        [0x28, 0xb5, 0x2f, 0xfd] | [0x50..=0x5f, 0x2a, 0x4d, 0x18] => Compression::Zstd,
        _ => Compression::None,
    };
    Ok((compression, io::Cursor::new(head).chain(from)))
}

/// Decompresses by what the bytes are; what they are called says too little. Answers what they were.
pub(crate) fn decompress<'a>(from: impl Read + 'a) -> io::Result<(Compression, Box<dyn Read + 'a>)> {
    let (compression, from) = detect(from)?;
    let tar: Box<dyn Read + 'a> = match compression {
        Compression::Zstd => Box::new(zstd::Decoder::new(from)?),
        Compression::Gzip => Box::new(MultiGzDecoder::new(BufReader::with_capacity(1 << 16, from))),
        Compression::None => Box::new(from),
    };
    Ok((compression, tar))
}

/// Compresses what is written to it into a blob.
pub(crate) enum Compressor {
    Zstd(zstd::Encoder<'static, BlobWriter>),
    Gzip(Members),
    Plain(BlobWriter),
}

impl Compressor {
    pub(crate) fn new(compression: Compression, into: BlobWriter) -> io::Result<Self> {
        let workers = thread::available_parallelism().map_or(1, |n| n.get().min(MAX_WORKERS));
        Self::with_workers(compression, into, workers)
    }

    fn with_workers(compression: Compression, into: BlobWriter, workers: usize) -> io::Result<Self> {
        Ok(match compression {
            Compression::Zstd => {
                let mut encoder = zstd::Encoder::new(into, ZSTD_LEVEL)?;
                encoder.include_checksum(true)?;
                encoder.multithread(u32::try_from(workers).unwrap_or(1))?;
                Self::Zstd(encoder)
            }
            Compression::Gzip => Self::Gzip(Members::new(into, workers)),
            Compression::None => Self::Plain(into),
        })
    }

    /// Compresses what is left. The blob is not finished yet.
    pub(crate) fn finish(self) -> io::Result<BlobWriter> {
        match self {
            Self::Zstd(encoder) => encoder.finish(),
            Self::Gzip(members) => members.finish(),
            Self::Plain(blob) => Ok(blob),
        }
    }
}

impl Write for Compressor {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Zstd(encoder) => encoder.write(bytes),
            Self::Gzip(members) => members.write(bytes),
            Self::Plain(blob) => blob.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A gzip stream of several members, each made from [`GZIP_MEMBER`] bytes by whichever thread is free.
pub(crate) struct Members {
    into: BlobWriter,
    block: Vec<u8>,
    jobs: Option<SyncSender<Job>>,
    /// In the order of the content.
    made: VecDeque<Receiver<Member>>,
    spare: Vec<Vec<u8>>,
    workers: Vec<thread::JoinHandle<()>>,
}

struct Job {
    block: Vec<u8>,
    reply: SyncSender<Member>,
}

struct Member {
    block: Vec<u8>,
    bytes: io::Result<Vec<u8>>,
}

impl Members {
    fn new(into: BlobWriter, workers: usize) -> Self {
        let (jobs, queue) = sync_channel::<Job>(workers);
        let queue = Arc::new(Mutex::new(queue));
        let workers = (0..workers)
            .map(|_| {
                let queue = Arc::clone(&queue);
                thread::spawn(move || make_members(&queue))
            })
            .collect();
        Self {
            into,
            block: Vec::with_capacity(GZIP_MEMBER),
            jobs: Some(jobs),
            made: VecDeque::new(),
            spare: Vec::new(),
            workers,
        }
    }

    fn send(&mut self) -> io::Result<()> {
        if self.made.len() > self.workers.len() {
            self.receive()?;
        }
        let next = self.spare.pop().unwrap_or_else(|| Vec::with_capacity(GZIP_MEMBER));
        let block = std::mem::replace(&mut self.block, next);
        let (reply, member) = sync_channel(1);
        self.made.push_back(member);
        self.jobs
            .as_ref()
            .and_then(|jobs| jobs.send(Job { block, reply }).ok())
            .ok_or_else(|| io::Error::other("the compressing threads are gone"))
    }

    fn receive(&mut self) -> io::Result<()> {
        let Some(member) = self.made.pop_front() else {
            return Ok(());
        };
        let Member { mut block, bytes } =
            member.recv().map_err(|_| io::Error::other("a compressing thread is gone"))?;
        self.into.write_all(&bytes?)?;
        block.clear();
        self.spare.push(block);
        Ok(())
    }

    fn finish(mut self) -> io::Result<BlobWriter> {
        if !self.block.is_empty() {
            self.send()?;
        }
        while !self.made.is_empty() {
            self.receive()?;
        }
        drop(self.jobs.take());
        for worker in self.workers.drain(..) {
            worker.join().map_err(|_| io::Error::other("a compressing thread panicked"))?;
        }
        Ok(self.into)
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let taken = bytes.len().min(GZIP_MEMBER - self.block.len());
        self.block.extend_from_slice(&bytes[..taken]);
        if self.block.len() == GZIP_MEMBER {
            self.send()?;
        }
        Ok(taken)
    }
}

fn make_members(queue: &Mutex<Receiver<Job>>) {
    loop {
        let job = queue.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(Job { block, reply }) = job else {
            return;
        };
        let mut encoder =
            GzEncoder::new(Vec::with_capacity(block.len() / 2 + 1024), flate2::Compression::new(GZIP_LEVEL));
        let bytes = encoder.write_all(&block).and_then(|()| encoder.finish());
        // Nobody waits for it any more when the writing has failed.
        let _ = reply.send(Member { block, bytes });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Store;

    #[test]
    fn the_bytes_do_not_depend_on_the_number_of_threads() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path()).unwrap();
        let content: Vec<u8> = (0..9_000_000_u32).map(|n| (n.wrapping_mul(n) >> 13) as u8).collect();
        for compression in [Compression::Zstd, Compression::Gzip, Compression::None] {
            let blob = |workers, piece| {
                let into = store.writer().unwrap();
                let mut compressor = Compressor::with_workers(compression, into, workers).unwrap();
                for bytes in content.chunks(piece) {
                    compressor.write_all(bytes).unwrap();
                }
                compressor.finish().unwrap().finish().unwrap()
            };
            let one = blob(1, 100_000);
            assert_eq!(blob(2, 256 << 10), one);
            assert_eq!(blob(5, 3_000_001), one);
        }
    }
}
