//! What the kernel offers and no library of ours does.

use std::fs::File;
use std::net::Ipv4Addr;
use std::os::fd::{AsRawFd, OwnedFd};

use rustix::mount::{MountFlags, mount};

use crate::{Result, failed};

/// Mounts what every Linux system has. What is there already stays.
pub(crate) fn mount_kernel(root: &str) -> Result<()> {
    let mounts = [
        ("proc", "proc", "proc", ""),
        ("sysfs", "sys", "sysfs", ""),
        ("devtmpfs", "dev", "devtmpfs", "mode=0755"),
        ("devpts", "dev/pts", "devpts", "gid=5,mode=620,ptmxmode=666"),
        ("tmpfs", "dev/shm", "tmpfs", "mode=1777"),
        ("tmpfs", "run", "tmpfs", "mode=0755"),
        ("cgroup2", "sys/fs/cgroup", "cgroup2", ""),
    ];
    for (source, place, kind, options) in mounts {
        let place = format!("{root}/{place}");
        let _ = std::fs::create_dir_all(&place);
        let options = std::ffi::CString::new(options).unwrap_or_default();
        match mount(source, place.as_str(), kind, MountFlags::NOSUID, options.as_c_str()) {
            Ok(()) | Err(rustix::io::Errno::BUSY) => {}
            // Not every kernel has it, and nothing of ours needs it.
            Err(_) if kind == "cgroup2" => {}
            Err(error) => return Err(failed("mount", place)(error)),
        }
    }
    for (name, target) in [("fd", "/proc/self/fd"), ("stdin", "fd/0"), ("stdout", "fd/1"), ("stderr", "fd/2")] {
        let _ = std::os::unix::fs::symlink(target, format!("{root}/dev/{name}"));
    }
    Ok(())
}

/// Everything is written down, and the machine is off.
pub(crate) fn power_off() -> ! {
    rustix::fs::sync();
    // What still has a file open for writing keeps it from that; the journal is enough then.
    let _ = rustix::mount::mount_remount("/", MountFlags::RDONLY, c"");
    let _ = rustix::system::reboot(rustix::system::RebootCommand::PowerOff);
    loop {
        std::thread::park();
    }
}

/// A word of the kernel's command line that begins with this; what follows.
pub(crate) fn command_line(name: &str) -> Option<String> {
    let line = std::fs::read_to_string("/proc/cmdline").unwrap_or_default();
    line.split_whitespace().find_map(|word| word.strip_prefix(name)).map(str::to_owned)
}

/// A socket to configure the network with.
fn socket() -> Result<OwnedFd> {
    use rustix::net::{AddressFamily, SocketType, socket};
    socket(AddressFamily::INET, SocketType::DGRAM, None).map_err(failed("open", "a socket"))
}

fn request(name: &str) -> libc::ifreq {
    // SAFETY: all zeros is a valid `ifreq`: numbers and arrays of them.
    #[expect(unsafe_code, reason = "a structure of the kernel")]
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    // The last byte stays 0.
    for (to, from) in request.ifr_name[..libc::IFNAMSIZ - 1].iter_mut().zip(name.bytes()) {
        *to = from.cast_signed();
    }
    request
}

fn ask<T>(fd: &impl AsRawFd, code: libc::c_ulong, what: *mut T) -> std::io::Result<()> {
    // SAFETY: every caller gives a pointer to the structure that this request takes, which lives until it returns.
    #[expect(unsafe_code, reason = "no library of ours offers these requests")]
    let done = unsafe { libc::ioctl(fd.as_raw_fd(), code, what) };
    if done < 0 { Err(std::io::Error::last_os_error()) } else { Ok(()) }
}

fn address(address: Ipv4Addr) -> libc::sockaddr {
    let inside = libc::sockaddr_in {
        sin_family: libc::AF_INET as libc::sa_family_t,
        sin_port: 0,
        sin_addr: libc::in_addr { s_addr: u32::from(address).to_be() },
        sin_zero: [0; 8],
    };
    // SAFETY: both are 16 bytes that begin with the family (ip(7)).
    #[expect(unsafe_code, reason = "a structure of the kernel with two names")]
    unsafe {
        std::mem::transmute::<libc::sockaddr_in, libc::sockaddr>(inside)
    }
}

/// Turns a network interface on.
pub(crate) fn turn_on(interface: &str) -> Result<()> {
    let socket = socket()?;
    let mut request = request(interface);
    ask(&socket, libc::SIOCGIFFLAGS, &raw mut request).map_err(failed("ask", interface))?;
    // SAFETY: the kernel has just written this member.
    #[expect(unsafe_code, reason = "a union of the kernel")]
    let flags = unsafe { request.ifr_ifru.ifru_flags };
    request.ifr_ifru.ifru_flags = flags | (libc::IFF_UP | libc::IFF_RUNNING) as libc::c_short;
    ask(&socket, libc::SIOCSIFFLAGS, &raw mut request).map_err(failed("turn on", interface))
}

/// Gives an interface its address, and the way out.
pub(crate) fn set_address(interface: &str, ip: Ipv4Addr, mask: Ipv4Addr, router: Option<Ipv4Addr>) -> Result<()> {
    let socket = socket()?;
    for (code, value) in [(libc::SIOCSIFADDR, ip), (libc::SIOCSIFNETMASK, mask)] {
        let mut request = request(interface);
        request.ifr_ifru.ifru_addr = address(value);
        ask(&socket, code, &raw mut request).map_err(failed("give an address to", interface))?;
    }
    let Some(router) = router else { return Ok(()) };
    // SAFETY: all zeros is a valid `rtentry`: numbers, addresses, null pointers.
    #[expect(unsafe_code, reason = "a structure of the kernel")]
    let mut route: libc::rtentry = unsafe { std::mem::zeroed() };
    let anywhere = Ipv4Addr::UNSPECIFIED;
    (route.rt_dst, route.rt_genmask, route.rt_gateway) = (address(anywhere), address(anywhere), address(router));
    route.rt_flags = libc::RTF_UP | libc::RTF_GATEWAY;
    match ask(&socket, libc::SIOCADDRT, &raw mut route) {
        Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => {
            Err(failed("make a way out by", interface)(error))
        }
        _ => Ok(()),
    }
}

/// `EXT4_IOC_RESIZE_FS` (linux/ext4.h): `_IOW('f', 16, __u64)`.
const RESIZE_FS: libc::c_ulong = 0x4008_6610;

/// Lets a mounted ext4 file system take so many blocks.
pub(crate) fn resize(mounted: &File, blocks: u64) -> std::io::Result<()> {
    let mut blocks = blocks;
    ask(mounted, RESIZE_FS, &raw mut blocks)
}

/// `BLKPG` (linux/blkpg.h).
const BLKPG: libc::c_ulong = 0x1269;
const RESIZE_PARTITION: libc::c_int = 3;

#[repr(C)]
struct Partition {
    start: libc::c_longlong,
    length: libc::c_longlong,
    number: libc::c_int,
    names: [u8; 128],
}

#[repr(C)]
struct Change {
    op: libc::c_int,
    flags: libc::c_int,
    size: libc::c_int,
    data: *mut Partition,
}

/// Tells the kernel how long a partition of a disk is now; in bytes.
pub(crate) fn resize_partition(disk: &File, number: i32, start: u64, length: u64) -> std::io::Result<()> {
    let long = |value: u64| i64::try_from(value).map_err(std::io::Error::other);
    let mut partition = Partition { start: long(start)?, length: long(length)?, number, names: [0; 128] };
    let size = size_of::<Partition>() as libc::c_int;
    let mut change = Change { op: RESIZE_PARTITION, flags: 0, size, data: &raw mut partition };
    ask(disk, BLKPG, &raw mut change)
}
