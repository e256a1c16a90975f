//! Which ports of an instance are reached from this machine's loopback, and where.

use std::net::Ipv4Addr;

use till_core::model::{Port, Protocol};
use till_core::port::RunRequest;
use till_core::{Failure, Fault};

use super::{egress, io};
use crate::hypervisor::Forward;

/// A port of an instance, and the one of the host's loopback that leads to it.
pub(super) struct Published {
    pub(super) port: Port,
    pub(super) host: u16,
}

impl Published {
    pub(super) fn forward(&self) -> Forward {
        Forward { host: self.host, inside: self.port.number, datagrams: self.port.protocol == Protocol::Udp }
    }
}

/// The first port of the process; of a machine, every port of what runs in it. The first is where it was asked for.
pub(super) fn published(request: &RunRequest) -> Result<Vec<Published>, Failure> {
    let of_process = request.launch.ports.iter().filter(|port| port.process == request.process);
    let services = &request.launch.services;
    let ports: Vec<_> = match &request.machine {
        None => of_process.take(1).collect(),
        Some(_) => request.launch.ports.iter().filter(|port| services.contains(&port.process)).collect(),
    };
    let mut published = Vec::new();
    for port in ports {
        let host = match request.publish.filter(|_| published.is_empty()) {
            Some(host) => free(host)?,
            None => egress::free_port().map_err(io("find a free port at", "127.0.0.1"))?,
        };
        published.push(Published { port: port.clone(), host });
    }
    Ok(published)
}

/// That port, if nobody has it.
fn free(port: u16) -> Result<u16, Failure> {
    match std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, port)) {
        Ok(_) => Ok(port),
        Err(error) => Err(Failure {
            fault: Fault::Caller,
            ..Failure::house(format!("cannot publish at port {port} of the loopback"), error)
        }
        .hint("give another port, or none for any that is free")),
    }
}
