//! A run is in namespaces of its own, for processes and for mounts, so that nothing of it outlives it.
//!
//! However it ends – by Ctrl-C, by `kill`, by `kill -9` – the kernel ends whatever it started, steps and daemons among them,
//! and takes its mounts away. To tie each command to us instead would not reach what that command has started, and would be
//! measured with it.

use anyhow::{Context as _, Result, bail};

use crate::tools;

/// The word that says that we are inside already. It comes first.
pub(super) const INSIDE: &str = "--inside";

/// The first process in there takes up those whose parents have ended, and must take leave of them: a shell does, as long as
/// it waits for something. We do not.
const FIRST: &str = "\"$@\"; exit $?";

/// Does the same bench again, inside.
pub(super) fn enter(words: &[&str]) -> Result<()> {
    let mut command = tools::command("setpriv");
    command.args(["--pdeathsig", "KILL", "unshare", "--pid", "--fork", "--kill-child", "--mount", "--mount-proc"]);
    command.args(["sh", "-c", FIRST, "sh"]).arg(std::env::current_exe()?).args(["bench", INSIDE]).args(words);
    // What went wrong in there has been said there.
    let status = command.status().context("cannot start `setpriv`")?;
    if status.success() { Ok(()) } else { bail!("not everything could be measured ({status})") }
}
