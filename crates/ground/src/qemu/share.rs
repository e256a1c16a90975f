//! A tree of this machine, seen by a guest as it is: virtiofsd, from Debian's QEMU. It is root of a user namespace whose ids are
//! those of the tree, so that the guest's root can do there what an instance's root can, and nothing elsewhere.

use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use till_core::Failure;
use till_image::IdShift;
use tokio::process::Child;

use super::{MachineError, io};
use crate::process;

/// Where Debian 12 has it, and where others have it.
const PROGRAMS: [&str; 3] = ["/usr/lib/qemu/virtiofsd", "/usr/libexec/virtiofsd", "/usr/lib/virtiofsd"];

/// Where this machine has it.
pub fn virtiofsd() -> Option<PathBuf> {
    PROGRAMS.map(PathBuf::from).into_iter().find(|path| path.exists())
}

/// Shares the tree at `root`, as long as there is the handle; a machine connects to `socket`. Without others that write to it, what was read is remembered.
pub(super) fn share(root: &Path, ids: IdShift, is_shared: bool, socket: &Path) -> Result<Child, Failure> {
    let program = virtiofsd().ok_or(MachineError::NoShare)?;
    // It would make one itself with a lock in a directory that it may not write to.
    let listener = UnixListener::bind(socket).map_err(io("listen at", socket))?;
    let mut command = process::command(program);
    let cache = if is_shared { "auto" } else { "always" };
    let listener = process::inherits(&mut command, listener.into());
    command.arg("-f").arg(format!("--fd={listener}")).arg("--rlimit-nofile=0");
    command.arg("-o").arg(format!("source={},sandbox=chroot,xattr,log_level=err,cache={cache}", plain(root)?));
    command.stdout(Stdio::null()).stderr(Stdio::null());
    process::in_user_namespace(&mut command, ids);
    process::dies_with_us(&mut command);
    Ok(command.spawn().map_err(|error| process::start_error(&command, error))?)
}

/// A comma would begin another option.
fn plain(root: &Path) -> Result<String, Failure> {
    let text = root.to_string_lossy();
    match text.contains([',', '\\']) {
        false => Ok(text.into_owned()),
        true => Err(MachineError::Name(text.into_owned()).into()),
    }
}
