//! Where a cartridge listens, and how that becomes addresses, variables and ports of ours.
//!
//! A gear has addresses of its own on the loopback, one for each `Private-IP-Name`, and a cartridge binds exactly its address.
//! What the outside is to reach has to listen everywhere: there is no front end that would lead to an address inside. So a
//! name of which an endpoint is reached from outside becomes `0.0.0.0`, unless another address wants the same number.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;

use super::manifest::{Flaw, Manifest};
use super::yaml::{Listed, Switches, Texts};
use crate::model::launch::{Port, Protocol, web};

/// An endpoint as it is written.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(super) struct File {
    #[serde(rename = "Private-IP-Name")]
    ip_name: Option<String>,
    #[serde(rename = "Private-Port-Name")]
    port_name: Option<String>,
    #[serde(rename = "Private-Port")]
    port: Option<String>,
    #[serde(rename = "Public-Port-Name")]
    public_name: Option<String>,
    #[serde(rename = "WebSocket-Port-Name")]
    websocket_name: Option<String>,
    #[serde(rename = "WebSocket-Port")]
    websocket: Option<String>,
    #[serde(rename = "Protocols")]
    protocols: Option<Texts>,
    #[serde(rename = "Options")]
    options: Option<Switches>,
    #[serde(rename = "Mappings")]
    mappings: Option<Listed<MappingFile>>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
struct MappingFile {
    #[serde(rename = "Frontend")]
    frontend: Option<String>,
    #[serde(rename = "Backend")]
    backend: Option<String>,
    #[serde(rename = "Options")]
    options: Option<Switches>,
}

/// A place where a cartridge listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Endpoint {
    pub(super) ip_name: String,
    pub(super) port_name: String,
    pub(super) number: u16,
    pub(super) public_name: Option<String>,
    /// A variable's name, and the number.
    pub(super) websocket: Option<(String, u16)>,
    pub(super) protocol: Protocol,
    pub(super) mappings: Vec<Mapping>,
}

/// A path of the outside, and the one that it is inside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Mapping {
    /// `/` for all.
    pub(super) frontend: String,
    pub(super) backend: String,
}

impl Endpoint {
    fn is_public(&self) -> bool {
        !self.mappings.is_empty() || self.public_name.is_some()
    }
}

/// Reads what stands under `Endpoints`.
pub(super) fn read(files: Vec<File>) -> Result<Vec<Endpoint>, Flaw> {
    let mut endpoints = Vec::new();
    for file in files {
        let keys =
            [("Private-IP-Name", &file.ip_name), ("Private-Port-Name", &file.port_name), ("Private-Port", &file.port)];
        let missing: Vec<_> = keys.iter().filter(|(_, value)| value.is_none()).map(|(key, _)| *key).collect();
        match missing.len() {
            0 => endpoints.push(one(&file)?),
            // Only what a front end needs to know.
            3 => {}
            _ => {
                let what = format!("an endpoint of its Endpoints has no {}", missing.join(", no "));
                let hint = "Private-IP-Name, Private-Port-Name and Private-Port go together".to_owned();
                return Err(Flaw { what, hint: Some(hint) });
            }
        }
    }
    Ok(endpoints)
}

fn one(file: &File) -> Result<Endpoint, Flaw> {
    let name = |key: &str, text: &Option<String>| {
        let text = text.clone().unwrap_or_default();
        let good = !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
        if good { Ok(text) } else { Err(Flaw::from(format!("its {key} `{text}` is no part of a variable's name"))) }
    };
    let number = |key: &str, text: &Option<String>| {
        let text = text.clone().unwrap_or_default();
        let number = text.trim().parse::<u16>().ok().filter(|number| *number > 0);
        number.ok_or_else(|| Flaw::from(format!("its {key} `{text}` is no port: 1 to 65535 are")))
    };
    let mappings = mappings(file.mappings.clone().unwrap_or_default().0);
    let protocols = file.protocols.clone().unwrap_or_default().0;
    let has = |wanted: &[&str]| protocols.iter().any(|protocol| wanted.contains(&protocol.to_lowercase().as_str()));
    let tunnels = |options: &Option<Switches>| {
        options.iter().any(|options| options.0.iter().any(|option| option == "ssl_to_gear"))
    };
    let ssl_to_gear = tunnels(&file.options)
        || file.mappings.iter().flat_map(|mappings| &mappings.0).any(|mapping| tunnels(&mapping.options));
    let protocol = if has(&["tls"]) || ssl_to_gear {
        Protocol::Tls
    } else if has(&["http", "https", "ws", "wss"]) || (protocols.is_empty() && !mappings.is_empty()) {
        // A front end ended TLS; inside it is plain.
        Protocol::Http
    } else if has(&["udp"]) {
        Protocol::Udp
    } else {
        Protocol::Tcp
    };
    let websocket = match &file.websocket {
        Some(_) => {
            Some((name("WebSocket-Port-Name", &file.websocket_name)?, number("WebSocket-Port", &file.websocket)?))
        }
        None => None,
    };
    Ok(Endpoint {
        ip_name: name("Private-IP-Name", &file.ip_name)?,
        port_name: name("Private-Port-Name", &file.port_name)?,
        number: number("Private-Port", &file.port)?,
        public_name: file.public_name.as_ref().map(|_| name("Public-Port-Name", &file.public_name)).transpose()?,
        websocket,
        protocol,
        mappings,
    })
}

/// The guide's own sample has what belongs to one mapping as several: what lacks its Frontend belongs to the one before.
fn mappings(files: Vec<MappingFile>) -> Vec<Mapping> {
    let mut joined: Vec<MappingFile> = Vec::new();
    for file in files {
        match joined.last_mut() {
            Some(last) if file.frontend.is_none() && (file.backend.is_none() || last.backend.is_none()) => {
                last.backend = last.backend.take().or(file.backend);
            }
            _ => joined.push(file),
        }
    }
    let path = |text: Option<String>| format!("/{}", text.unwrap_or_default().trim().trim_start_matches('/'));
    joined.into_iter().map(|file| Mapping { frontend: path(file.frontend), backend: path(file.backend) }).collect()
}

/// The network of a gear.
#[derive(Debug, Default)]
pub(super) struct Network {
    /// Variables.
    pub(super) env: BTreeMap<String, String>,
    /// What the outside can reach; the web framework's first.
    pub(super) ports: Vec<Port>,
    /// What the user should know.
    pub(super) warnings: Vec<String>,
}

/// Addresses and ports of the cartridges of a gear, of which the first is the web framework.
pub(super) fn network(carts: &[&Manifest]) -> Network {
    let mut network = Network::default();
    let mut free = 2..;
    for (index, cart) in carts.iter().enumerate() {
        let mut ips: BTreeMap<&str, String> = BTreeMap::new();
        for endpoint in &cart.endpoints {
            if !ips.contains_key(endpoint.ip_name.as_str()) {
                let ip = match reach(carts, index, &endpoint.ip_name) {
                    Reach::World => "0.0.0.0".to_owned(),
                    Reach::Forwarded => "127.0.0.1".to_owned(),
                    Reach::Gear => format!("127.0.0.{}", free.next().unwrap_or(2)),
                };
                ips.insert(&endpoint.ip_name, ip);
            }
            let prefix = format!("OPENSHIFT_{}_", cart.short_name);
            network.env.insert(format!("{prefix}{}", endpoint.ip_name), ips[endpoint.ip_name.as_str()].clone());
            network.env.insert(format!("{prefix}{}", endpoint.port_name), endpoint.number.to_string());
            // What leads there from outside has the same number: there is no proxy between.
            if let Some(name) = &endpoint.public_name {
                network.env.insert(format!("{prefix}{name}"), endpoint.number.to_string());
            }
            if let Some((name, number)) = &endpoint.websocket {
                network.env.insert(format!("{prefix}{name}"), number.to_string());
            }
        }
    }
    ports(carts, &mut network);
    network
}

/// Who reaches an address.
#[derive(PartialEq, Eq)]
enum Reach {
    /// Everybody.
    World,
    /// Who comes by the forwarding of `till run`, which leads to the loopback.
    Forwarded,
    /// Only the gear.
    Gear,
}

fn reach(carts: &[&Manifest], index: usize, ip_name: &str) -> Reach {
    let of = |index: usize, ip_name: &str| -> Vec<&Endpoint> {
        carts[index].endpoints.iter().filter(|endpoint| endpoint.ip_name == ip_name).collect()
    };
    let here = of(index, ip_name);
    let is_main = index == 0 && main(carts[0]).is_some_and(|endpoint| endpoint.ip_name == ip_name);
    if !is_main && !here.iter().any(|endpoint| endpoint.is_public()) {
        return Reach::Gear;
    }
    let numbers: BTreeSet<_> = here.iter().map(|endpoint| endpoint.number).collect();
    let others = carts.iter().enumerate().flat_map(|(other, cart)| {
        cart.endpoints.iter().filter(move |endpoint| other != index || endpoint.ip_name != ip_name)
    });
    let clashes = others.into_iter().any(|endpoint| numbers.contains(&endpoint.number));
    match (clashes, is_main) {
        (false, _) => Reach::World,
        (true, true) => Reach::Forwarded,
        (true, false) => Reach::Gear,
    }
}

/// The endpoint that the app is reached by: what is mapped to `/`, or else the first that is mapped, or public, or there.
fn main(cart: &Manifest) -> Option<&Endpoint> {
    let endpoints = &cart.endpoints;
    let root = endpoints.iter().find(|endpoint| endpoint.mappings.iter().any(|mapping| mapping.frontend == "/"));
    let mapped = || endpoints.iter().find(|endpoint| !endpoint.mappings.is_empty());
    let public = || endpoints.iter().find(|endpoint| endpoint.is_public());
    root.or_else(mapped).or_else(public).or(endpoints.first())
}

fn ports(carts: &[&Manifest], network: &mut Network) {
    let main = carts.first().and_then(|cart| main(cart));
    let all =
        carts.iter().enumerate().flat_map(|(index, cart)| cart.endpoints.iter().map(move |endpoint| (index, endpoint)));
    let (first, rest): (Vec<_>, Vec<_>) =
        all.partition(|(_, endpoint)| main.is_some_and(|main| std::ptr::eq(main, *endpoint)));
    for (index, endpoint) in first.iter().chain(&rest) {
        let cart = carts[*index];
        let is_main = main.is_some_and(|main| std::ptr::eq(main, *endpoint));
        let plain = format!("{}-{}", cart.short_name, endpoint.port_name).to_lowercase().replace('_', "-");
        let name = if is_main && endpoint.protocol == Protocol::Http { "http".to_owned() } else { plain };
        for mapping in &endpoint.mappings {
            if mapping.frontend != mapping.backend || !is_main {
                network.warnings.push(format!(
                    "{}: there is no front end that leads `{}` to `{}` of port {}: it is to be asked at that port itself",
                    cart.name, mapping.frontend, mapping.backend, endpoint.number
                ));
            }
        }
        match reach(carts, *index, &endpoint.ip_name) {
            Reach::Gear if !is_main => {
                if endpoint.is_public() {
                    network.warnings.push(format!(
                        "{}: port {} cannot be reached from outside, for another address of the gear has that number, too",
                        cart.name, endpoint.number
                    ));
                }
                continue;
            }
            Reach::Forwarded if is_main => network.warnings.push(format!(
                "{}: port {} listens on the loopback alone, for another address of the gear has that number, too: `till run` \
                 leads to it, other container engines do not",
                cart.name, endpoint.number
            )),
            _ => {}
        }
        if endpoint.is_public() || is_main {
            let port = Port { name, number: endpoint.number, protocol: endpoint.protocol, process: web() };
            if !network.ports.iter().any(|known| known.number == port.number) {
                network.ports.push(port);
            }
        }
    }
}
