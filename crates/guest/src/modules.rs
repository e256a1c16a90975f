//! Kernel modules: a list that the host wrote, each after those that it needs.

use std::fs::File;

use till_guest::MODULES;

/// Loads what is on the list. A module whose hardware is not there, or that the kernel has already, is no reason to stop.
pub(crate) fn load() {
    for path in std::fs::read_to_string(MODULES).unwrap_or_default().lines() {
        let Ok(file) = File::open(path) else {
            eprintln!("till: there is no module `{path}`");
            continue;
        };
        match rustix::system::finit_module(&file, c"", 0) {
            // What belongs to another hypervisor says that its bus is not there, or that a module before it is not.
            Ok(()) | Err(rustix::io::Errno::EXIST | rustix::io::Errno::NODEV | rustix::io::Errno::NOENT) => {}
            Err(error) => eprintln!("till: cannot load `{path}`: {error}"),
        }
    }
}
