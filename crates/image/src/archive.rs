//! Tar headers: ustar, with PAX records only where ustar cannot say it.

/// What an entry is; the value is ustar's type flag.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    File = b'0' as isize,
    HardLink = b'1' as isize,
    Symlink = b'2' as isize,
    Directory = b'5' as isize,
    Fifo = b'6' as isize,
}

/// Extended attributes: names and values.
pub(crate) type Attributes = Vec<(Vec<u8>, Vec<u8>)>;

/// An entry's header.
#[derive(Debug, Clone)]
pub(crate) struct Header<'a> {
    /// Without `/` at either end.
    pub(crate) path: &'a [u8],
    pub(crate) kind: Kind,
    pub(crate) mode: u32,
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    pub(crate) size: u64,
    pub(crate) mtime: u64,
    /// Where a link leads.
    pub(crate) link: &'a [u8],
    pub(crate) attributes: &'a Attributes,
}

/// The unit of tar.
pub(crate) const BLOCK: usize = 512;

/// What an octal field of twelve bytes can hold: 8 GiB.
const MAX_OCTAL_12: u64 = 0o777_7777_7777;

/// What an octal field of eight bytes can hold.
const MAX_OCTAL_8: u32 = 0o777_7777;

/// How many bytes follow `size` bytes of content up to the next block.
pub(crate) fn padding(size: u64) -> u64 {
    size.wrapping_neg() % BLOCK as u64
}

/// Appends an entry's header, with its PAX records before it if it needs some.
pub(crate) fn write_header(header: &Header<'_>, into: &mut Vec<u8>) {
    let mut path = header.path.to_vec();
    if header.kind == Kind::Directory {
        path.push(b'/');
    }
    let split = split_path(&path);
    let records = records(header, &path, split.is_none());
    if !records.is_empty() {
        let mut name = b"PaxHeaders/".to_vec();
        name.extend(last_part(header.path).iter().map(|b| match b {
            b' '..=b'~' => *b,
            _ => b'_',
        }));
        name.truncate(100);
        let pax = Header {
            path: &name,
            mode: 0o644,
            uid: 0,
            gid: 0,
            size: records.len() as u64,
            link: b"",
            ..header.clone()
        };
        write_block(&pax, b'x', (b"", &name), into);
        into.extend_from_slice(&records);
        into.resize(into.len().next_multiple_of(BLOCK), 0);
    }
    let (prefix, name) = split.unwrap_or((b"", &path[..path.len().min(100)]));
    write_block(header, header.kind as u8, (prefix, name), into);
}

fn write_block(header: &Header<'_>, flag: u8, (prefix, name): (&[u8], &[u8]), into: &mut Vec<u8>) {
    let mut block = [0; BLOCK];
    block[..name.len()].copy_from_slice(name);
    octal(&mut block[100..108], u64::from(header.mode & 0o7777));
    octal(&mut block[108..116], u64::from(small_id(header.uid)));
    octal(&mut block[116..124], u64::from(small_id(header.gid)));
    octal(&mut block[124..136], if header.size > MAX_OCTAL_12 { 0 } else { header.size });
    octal(&mut block[136..148], header.mtime.min(MAX_OCTAL_12));
    block[148..156].fill(b' ');
    block[156] = flag;
    let link = &header.link[..header.link.len().min(100)];
    block[157..157 + link.len()].copy_from_slice(link);
    block[257..265].copy_from_slice(b"ustar\x0000");
    block[345..345 + prefix.len()].copy_from_slice(prefix);
    let sum: u64 = block.iter().map(|byte| u64::from(*byte)).sum();
    octal(&mut block[148..155], sum);
    into.extend_from_slice(&block);
}

/// Digits, and a NUL in the last byte.
fn octal(field: &mut [u8], mut value: u64) {
    let digits = field.len() - 1;
    for byte in field[..digits].iter_mut().rev() {
        *byte = b'0' + (value & 7) as u8;
        value >>= 3;
    }
    field[digits] = 0;
}

fn small_id(id: u32) -> u32 {
    if id > MAX_OCTAL_8 { 0 } else { id }
}

/// The prefix and the name of a path, where ustar can hold it.
fn split_path(path: &[u8]) -> Option<(&[u8], &[u8])> {
    if !path.is_ascii() {
        return None;
    }
    if path.len() <= 100 {
        return Some((b"", path));
    }
    // The shortest prefix that leaves no more than a hundred bytes, of which one at least is not a directory's `/`.
    let earliest = path.len() - 101;
    let slash = earliest + path.get(earliest..path.len() - 2)?.iter().position(|b| *b == b'/')?;
    (1..=155).contains(&slash).then(|| (&path[..slash], &path[slash + 1..]))
}

fn last_part(path: &[u8]) -> &[u8] {
    path.rsplit(|b| *b == b'/').next().unwrap_or(path)
}

/// The PAX records, sorted by their keys.
fn records(header: &Header<'_>, path: &[u8], long: bool) -> Vec<u8> {
    let mut into = Vec::new();
    for (name, value) in header.attributes {
        record(&mut into, &[b"SCHILY.xattr.", name.as_slice()].concat(), value);
    }
    if header.gid > MAX_OCTAL_8 {
        record(&mut into, b"gid", header.gid.to_string().as_bytes());
    }
    if header.link.len() > 100 || !header.link.is_ascii() {
        record(&mut into, b"linkpath", header.link);
    }
    if long {
        record(&mut into, b"path", path);
    }
    if header.size > MAX_OCTAL_12 {
        record(&mut into, b"size", header.size.to_string().as_bytes());
    }
    if header.uid > MAX_OCTAL_8 {
        record(&mut into, b"uid", header.uid.to_string().as_bytes());
    }
    into
}

/// `LENGTH KEY=VALUE\n`, where the length counts itself.
fn record(into: &mut Vec<u8>, key: &[u8], value: &[u8]) {
    let rest = key.len() + value.len() + 3;
    let mut length = rest;
    loop {
        let whole = rest + length.to_string().len();
        if whole == length {
            break;
        }
        length = whole;
    }
    into.extend_from_slice(format!("{length} ").as_bytes());
    into.extend_from_slice(key);
    into.push(b'=');
    into.extend_from_slice(value);
    into.push(b'\n');
}
