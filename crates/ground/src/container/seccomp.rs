//! The system calls that an instance may make: the default profile of the container tools (seccomp.json, from
//! containers/common 0.50, Apache-2.0), resolved for the capabilities that our instances have.

use serde::Deserialize;
use serde_json::{Value, json};

const PROFILE: &str = include_str!("seccomp.json");

/// Allowed by that profile because the kernel asks for a capability anyway. An instance has a user namespace, in which a
/// hole in the kernel's asking would count; nothing that is built or served needs them.
const CLOSED: [&str; 22] = [
    "mount",
    "umount",
    "umount2",
    "pivot_root",
    "setns",
    "unshare",
    "fsopen",
    "fsconfig",
    "fsmount",
    "fspick",
    "open_tree",
    "move_mount",
    "mount_setattr",
    "keyctl",
    "add_key",
    "request_key",
    "reboot",
    "swapon",
    "swapoff",
    "userfaultfd",
    "syslog",
    "acct",
];

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Profile {
    default_action: String,
    default_errno_ret: u32,
    arch_map: Vec<Architecture>,
    syscalls: Vec<Rule>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Architecture {
    architecture: String,
    sub_architectures: Option<Vec<String>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Rule {
    names: Vec<String>,
    action: String,
    #[serde(default)]
    args: Option<Vec<Value>>,
    errno_ret: Option<u32>,
    #[serde(default)]
    includes: Condition,
    #[serde(default)]
    excludes: Condition,
}

#[derive(Default, Deserialize)]
struct Condition {
    #[serde(default)]
    caps: Vec<String>,
    #[serde(default)]
    arches: Vec<String>,
}

/// `linux.seccomp` of the runtime spec.
pub(super) fn profile(capabilities: &[&str]) -> Result<Value, serde_json::Error> {
    let profile: Profile = serde_json::from_str(PROFILE)?;
    let (native, architecture) = match std::env::consts::ARCH {
        "x86_64" => ("SCMP_ARCH_X86_64", "amd64"),
        "aarch64" => ("SCMP_ARCH_AARCH64", "arm64"),
        other => (other, other),
    };
    let architectures = profile
        .arch_map
        .iter()
        .filter(|entry| entry.architecture == native)
        .flat_map(|entry| std::iter::once(&entry.architecture).chain(entry.sub_architectures.iter().flatten()))
        .collect::<Vec<_>>();
    let has = |caps: &[String]| caps.iter().all(|cap| capabilities.contains(&cap.as_str()));
    let here = |arches: &[String]| arches.iter().any(|arch| arch == architecture);
    let applies = |rule: &&Rule| {
        has(&rule.includes.caps)
            && (rule.includes.arches.is_empty() || here(&rule.includes.arches))
            && (rule.excludes.caps.is_empty() || !has(&rule.excludes.caps))
            && !here(&rule.excludes.arches)
    };
    let written = |rule: &Rule| {
        let open = |name: &&String| !(rule.action == "SCMP_ACT_ALLOW" && CLOSED.contains(&name.as_str()));
        let names: Vec<_> = rule.names.iter().filter(open).collect();
        let mut value = json!({ "names": names, "action": rule.action });
        if let Some(arguments) = rule.args.as_ref().filter(|arguments| !arguments.is_empty()) {
            value["args"] = arguments.iter().map(argument).collect();
        }
        if let Some(number) = rule.errno_ret {
            value["errnoRet"] = number.into();
        }
        value
    };
    Ok(json!({
        "defaultAction": profile.default_action,
        "defaultErrnoRet": profile.default_errno_ret,
        "architectures": architectures,
        "syscalls": profile.syscalls.iter().filter(applies).map(written).filter(|rule| rule["names"] != json!([])).collect::<Vec<_>>(),
    }))
}

/// The runtime spec knows these four keys only.
fn argument(value: &Value) -> Value {
    json!({ "index": value["index"], "value": value["value"], "valueTwo": value["valueTwo"], "op": value["op"] })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allowed(profile: &Value, name: &str) -> bool {
        let rules = profile["syscalls"].as_array().unwrap();
        rules.iter().any(|rule| {
            rule["action"] == "SCMP_ACT_ALLOW" && rule["names"].as_array().unwrap().iter().any(|call| call == name)
        })
    }

    #[test]
    fn what_a_capability_opens_is_closed_without_it() {
        let profile = profile(&["CAP_CHOWN"]).unwrap();
        for open in ["read", "openat2", "clone3", "chown", "statx"] {
            assert!(allowed(&profile, open), "{open}");
        }
        for closed in ["mount", "bpf", "init_module", "kexec_load", "setns", "open_by_handle_at", "perf_event_open"] {
            assert!(!allowed(&profile, closed), "{closed}");
        }
    }
}
