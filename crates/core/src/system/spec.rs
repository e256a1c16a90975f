//! The `[system]` of what is said of an imported disk (docs/reference/systems.md).

use serde::{Deserialize, Serialize};

use crate::contract::ContractSpec;
use crate::model::app::Command;
use crate::model::launch::Span;
use crate::plan::Bytes;

/// Which system it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SystemKind {
    /// Windows 10, Server 2016, and later ones.
    Windows,
}

impl SystemKind {
    /// As images call it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Windows => "windows",
        }
    }
}

/// What in it reads what it is handed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum StartedBy {
    /// cloudbase-init, with its user-data plugin.
    #[default]
    CloudbaseInit,
    /// `SetupComplete.cmd`, as the guide has it: it calls `till\start.cmd` of the drive at each start of the system.
    SetupComplete,
}

/// The form of the user data.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum UserData {
    /// `rem cmd`: a batch file.
    #[default]
    Cmd,
    /// `#ps1_sysnative`: PowerShell of the system's own width.
    Powershell,
    /// MIME, with the batch file as a part.
    Multipart,
}

/// By what its disk starts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Firmware {
    /// BIOS.
    #[default]
    Bios,
    /// UEFI, without Secure Boot.
    Uefi,
}

impl Firmware {
    /// As it is written.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Bios => "bios",
            Self::Uefi => "uefi",
        }
    }
}

/// What its disk hangs on.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DiskBus {
    /// For systems that have the driver.
    #[default]
    Virtio,
    /// Every Windows since 8.1 has a driver.
    Nvme,
    /// Every Windows has a driver; with `pc` it is IDE.
    Sata,
}

impl DiskBus {
    /// As it is written.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Virtio => "virtio",
            Self::Nvme => "nvme",
            Self::Sata => "sata",
        }
    }
}

/// The type of its machine, as QEMU calls it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MachineType {
    /// PCI Express, and SATA.
    #[default]
    Q35,
    /// PCI and IDE: what clouds had for long.
    Pc,
}

impl MachineType {
    /// As it is written.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Q35 => "q35",
            Self::Pc => "pc",
        }
    }
}

/// Its network card.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Card {
    /// For systems that have the driver.
    #[default]
    Virtio,
    /// Intel's: every Windows has a driver.
    E1000e,
}

/// What is said of a disk that stays one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SystemSpec {
    /// Which system is on it.
    pub kind: SystemKind,
    /// What in it reads what it is handed.
    #[serde(default)]
    pub started_by: StartedBy,
    /// In which form.
    #[serde(default)]
    pub user_data: UserData,
    /// By what it starts.
    #[serde(default)]
    pub firmware: Firmware,
    /// The type of its machine.
    #[serde(default)]
    pub machine: MachineType,
    /// What it hangs on.
    #[serde(default)]
    pub disk_bus: DiskBus,
    /// Its network card.
    #[serde(default)]
    pub card: Card,
    /// The least memory with which it works.
    #[serde(default = "memory")]
    pub memory: Bytes,
    /// For how long it may say nothing after it was started.
    #[serde(default = "boot")]
    pub boot: Span,
    /// May a step have the system restarted?
    #[serde(default = "yes")]
    pub restarts: bool,
    /// Makes of it what several machines can be started from (sysprep), before it is switched off.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub generalize: Option<Command>,
}

fn memory() -> Bytes {
    Bytes(4 << 30)
}

fn boot() -> Span {
    Span(15 * 60)
}

fn yes() -> bool {
    true
}

/// What Windows calls who runs its services.
pub(super) const USER: &str = "SYSTEM";
/// What stands before what is written as one string. Without `/s` quotes are taken away by rules that nobody knows.
pub(super) const SHELL: [&str; 4] = ["cmd.exe", "/d", "/s", "/c"];
/// Where the source goes.
const PLACE: &str = r"C:\app";

impl SystemSpec {
    /// What a contract does not say is said as this system has it; what it cannot have, in one sentence.
    pub(crate) fn adapt(&self, contract: &mut ContractSpec) -> Result<(), String> {
        let ContractSpec::Command(spec) = contract else {
            return Err(
                "system: what is done in a system that stays a disk is said by the contract `command`".to_owned()
            );
        };
        spec.otherwise(USER, &SHELL, PLACE);
        if !spec.user.eq_ignore_ascii_case(USER) {
            return Err(format!("contract: services of this system run as {USER}, and not as `{}`", spec.user));
        }
        Ok(())
    }
}
