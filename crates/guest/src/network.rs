//! IPv4 by DHCP (RFC 2131), through smoltcp's client on a raw socket.

use std::net::Ipv4Addr;
use std::os::fd::AsRawFd as _;
use std::time::{Duration, Instant};

use smoltcp::iface::{Config, Interface, SocketSet};
use smoltcp::phy::{Medium, RawSocket};
use smoltcp::socket::dhcpv4;
use smoltcp::wire::EthernetAddress;

use crate::{Result, failed, system};

/// How long one waits for an interface to appear and to be answered.
const PATIENCE: Duration = Duration::from_secs(30);

/// What an interface was given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Lease {
    pub(crate) resolvers: Vec<Ipv4Addr>,
    /// After so much of it, it is asked for again.
    pub(crate) half: Duration,
}

/// Turns on the loopback.
pub(crate) fn loopback() -> Result<()> {
    system::turn_on("lo")
}

/// The first interface that is a card.
pub(crate) fn card() -> Option<String> {
    let began = Instant::now();
    while began.elapsed() < PATIENCE {
        let entries = std::fs::read_dir("/sys/class/net").into_iter().flatten().flatten();
        let mut names: Vec<_> = entries
            .filter(|entry| entry.path().join("device").exists())
            .filter_map(|entry| entry.file_name().into_string().ok())
            .collect();
        names.sort();
        if let Some(name) = names.into_iter().next() {
            return Some(name);
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    None
}

/// Gets an address, and keeps it.
pub(crate) fn keep() {
    let Some(card) = card() else { return };
    loop {
        match configure(&card) {
            Ok(lease) => {
                if !lease.resolvers.is_empty() {
                    // A link would lead to what writes it in the image's own system.
                    let _ = std::fs::remove_file("/etc/resolv.conf");
                    let _ = std::fs::write("/etc/resolv.conf", resolv_conf(&lease.resolvers));
                }
                std::thread::sleep(lease.half);
            }
            Err(why) => eprintln!("till: {why}"),
        }
    }
}

/// Asks for an address and takes it.
pub(crate) fn configure(card: &str) -> Result<Lease> {
    system::turn_on(card)?;
    let hardware = std::fs::read_to_string(format!("/sys/class/net/{card}/address")).map_err(failed("read", card))?;
    let bytes: Vec<u8> = hardware.trim().split(':').filter_map(|part| u8::from_str_radix(part, 16).ok()).collect();
    let bytes: [u8; 6] = bytes.try_into().map_err(|_| format!("`{card}` has no hardware address"))?;
    let mut device = RawSocket::new(card, Medium::Ethernet).map_err(failed("listen at", card))?;
    let mut config = Config::new(EthernetAddress(bytes).into());
    // Of transactions; the hardware address keeps apart who shares a wire.
    config.random_seed = u64::from_be_bytes([0, 0, bytes[0], bytes[1], bytes[2], bytes[3], bytes[4], bytes[5]]);
    let mut interface = Interface::new(config, &mut device, now());
    let mut sockets = SocketSet::new(vec![]);
    let handle = sockets.add(dhcpv4::Socket::new());
    let began = Instant::now();
    while began.elapsed() < PATIENCE {
        interface.poll(now(), &mut device, &mut sockets);
        if let Some(dhcpv4::Event::Configured(given)) = sockets.get_mut::<dhcpv4::Socket>(handle).poll() {
            system::set_address(card, given.address.address(), given.address.netmask(), given.router)?;
            let seconds = given.packet.and_then(|packet| lease_seconds(packet.into_inner())).unwrap_or(3600);
            let resolvers = given.dns_servers.iter().copied().collect();
            return Ok(Lease { resolvers, half: Duration::from_secs((seconds / 2).max(30)) });
        }
        let pause = interface.poll_delay(now(), &sockets).map_or(Duration::from_millis(200), Duration::from);
        let pause = smoltcp::time::Duration::from(pause.min(Duration::from_millis(200)));
        let _ = smoltcp::phy::wait(device.as_raw_fd(), Some(pause));
    }
    Err(format!("nobody gave `{card}` an address within {} s", PATIENCE.as_secs()))
}

/// Of a DHCP packet: option 51 (RFC 2132, 9.2).
fn lease_seconds(packet: &[u8]) -> Option<u64> {
    let packet = smoltcp::wire::DhcpPacket::new_checked(packet).ok()?;
    let option = packet.options().find(|option| option.kind == 51)?;
    Some(u64::from(u32::from_be_bytes(option.data.try_into().ok()?)))
}

fn now() -> smoltcp::time::Instant {
    smoltcp::time::Instant::now()
}

/// The text of a resolv.conf.
pub(crate) fn resolv_conf(resolvers: &[Ipv4Addr]) -> String {
    resolvers.iter().map(|address| format!("nameserver {address}\n")).collect()
}
