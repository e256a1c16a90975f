//! One command: who, where, with what. No shell, and nothing of the image but its users.

use std::os::unix::process::CommandExt as _;
use std::process::Stdio;

use rustix::process::{Gid, Uid};
use till_guest::Command;

use crate::{Result, failed};

/// Who runs a command.
#[derive(Debug, Clone, PartialEq, Eq)]
struct User {
    uid: u32,
    gid: u32,
    groups: Vec<u32>,
    home: String,
}

/// Who is meant: a name or a number in that passwd(5), perhaps with `:` and a group.
fn find(passwd: &str, group: &str, wanted: &str) -> Result<User> {
    let (name, given) = wanted.split_once(':').map_or((wanted, None), |(name, group)| (name, Some(group)));
    let lines = || passwd.lines().map(|line| line.split(':').collect::<Vec<_>>()).filter(|line| line.len() >= 6);
    let number = name.parse::<u32>().ok();
    let named = lines().find(|line| line[0] == name);
    let entry = named.or_else(|| lines().find(|line| number.is_some() && line[2].parse().ok() == number));
    let groups = || group.lines().map(|line| line.split(':').collect::<Vec<_>>()).filter(|line| line.len() >= 4);
    let gid_of = |group: &str| {
        let found = groups().find(|line| line[0] == group).and_then(|line| line[2].parse().ok());
        found.or_else(|| group.parse().ok()).ok_or_else(|| format!("the image has no group `{group}`"))
    };
    let gid = given.map(gid_of).transpose()?;
    let Some(entry) = entry else {
        let uid = number.ok_or_else(|| format!("the image has no user `{name}`"))?;
        return Ok(User { uid, gid: gid.unwrap_or(0), groups: Vec::new(), home: "/".to_owned() });
    };
    let parsed = |text: &str| text.parse::<u32>().map_err(failed("read", "/etc/passwd"));
    let is_member = |line: &Vec<&str>| line[3].split(',').any(|member| member == entry[0]);
    let more = groups().filter(is_member).filter_map(|line| line[2].parse().ok()).collect();
    Ok(User {
        uid: parsed(entry[2])?,
        gid: gid.map_or_else(|| parsed(entry[3]), Ok)?,
        groups: more,
        home: entry[5].to_owned(),
    })
}

fn user_of(command: &Command) -> Result<User> {
    let read = |name: &str| std::fs::read_to_string(name).unwrap_or_default();
    find(&read("/etc/passwd"), &read("/etc/group"), &command.user)
}

/// Gives a command's user its output, who may then open it again by `/dev/stdout`.
pub(crate) fn give(output: &impl std::os::fd::AsFd, command: &Command) -> Result<()> {
    let user = user_of(command)?;
    rustix::fs::fchown(output, Some(Uid::from_raw(user.uid)), Some(Gid::from_raw(user.gid)))
        .map_err(failed("give away", "the output"))
}

/// The command as a process that is about to be started.
pub(crate) fn prepared(command: &Command) -> Result<std::process::Command> {
    let user = user_of(command)?;
    let (program, arguments) = command.argv.split_first().ok_or("the command is empty")?;
    // The search is ours: what is found is found where the command will be.
    let path = command.env.get("PATH").map_or("/usr/local/bin:/usr/bin:/bin", String::as_str);
    let program = search("", program, path, &command.dir);
    let mut process = std::process::Command::new(program);
    process.args(arguments).arg0(&command.argv[0]).env_clear().envs(&command.env).stdin(Stdio::null());
    if !command.env.contains_key("HOME") {
        process.env("HOME", &user.home);
    }
    let dir = command.dir.clone();
    let become_user = move || {
        rustix::process::chdir(dir.as_str())?;
        let groups: Vec<_> = user.groups.iter().map(|group| Gid::from_raw(*group)).collect();
        rustix::thread::set_thread_groups(&groups)?;
        let (uid, gid) = (Uid::from_raw(user.uid), Gid::from_raw(user.gid));
        rustix::thread::set_thread_res_gid(gid, gid, gid)?;
        rustix::thread::set_thread_res_uid(uid, uid, uid)?;
        Ok(())
    };
    // SAFETY: we have the only thread that writes what this reads, and what it allocates is given back by exec; the C library
    // is static, so that no lock of a loader is taken.
    #[expect(unsafe_code, reason = "what runs between fork and exec is unsafe by its nature")]
    unsafe {
        process.pre_exec(become_user);
    }
    Ok(process)
}

/// Lets it be in a cgroup from its beginning, by that group's `cgroup.procs`.
pub(crate) fn join(process: &mut std::process::Command, group: std::fs::File) {
    // SAFETY: one write between fork and exec; `0` is who writes (cgroups(7)).
    #[expect(unsafe_code, reason = "what runs between fork and exec is unsafe by its nature")]
    unsafe {
        process.pre_exec(move || rustix::io::write(&group, b"0").map(drop).map_err(std::io::Error::from));
    }
}

/// Lets it lead a session of its own, whose terminal is its standard input.
pub(crate) fn lead(process: &mut std::process::Command) {
    let lead = || {
        rustix::process::setsid()?;
        rustix::process::ioctl_tiocsctty(rustix::stdio::stdin())?;
        Ok(())
    };
    // SAFETY: two system calls between fork and exec.
    #[expect(unsafe_code, reason = "what runs between fork and exec is unsafe by its nature")]
    unsafe {
        process.pre_exec(lead);
    }
}

/// Becomes the command of a process type of this machine: for a system that keeps it running itself.
pub(crate) fn become_process(name: &str) -> Result<()> {
    let machine = crate::ready::machine()?;
    let command = machine.processes.get(name).ok_or_else(|| format!("this machine has no process `{name}`"))?;
    let error = prepared(command)?.exec();
    Err(failed("start", name)(error))
}

/// How a process ended: its exit code, or 128 and the signal's number.
pub(crate) fn code(status: rustix::process::WaitStatus) -> u8 {
    let signal = status.terminating_signal().map(|signal| 128 + signal);
    status.exit_status().or(signal).and_then(|code| u8::try_from(code).ok()).unwrap_or(u8::MAX)
}

/// Where a program is in an image, as execvp(3) finds it.
fn search(root: &str, program: &str, path: &str, dir: &str) -> String {
    let is_there = |path: &str| {
        use std::os::unix::fs::PermissionsExt as _;
        let meta = std::fs::metadata(format!("{root}{path}"));
        meta.is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0)
    };
    if program.contains('/') {
        return match program.starts_with('/') {
            true => program.to_owned(),
            false => format!("{}/{program}", dir.trim_end_matches('/')),
        };
    }
    let mut places = path.split(':').map(|folder| format!("{folder}/{program}"));
    places.find(|path| is_there(path)).unwrap_or_else(|| program.to_owned())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    const PASSWD: &str = "root:x:0:0:root:/root:/bin/sh\napp:x:1000:1000::/home/app:/bin/sh\n";
    const GROUP: &str = "root:x:0:\napp:x:1000:\nextra:x:44:app,other\n";

    #[test]
    fn users_are_found_by_name_and_by_number() {
        let user = |wanted: &str| find(PASSWD, GROUP, wanted).unwrap();
        let app = User { uid: 1000, gid: 1000, groups: vec![44], home: "/home/app".to_owned() };
        assert_eq!(user("app"), app);
        assert_eq!(user("1000"), app);
        assert_eq!(user("app:extra").gid, 44);
        assert_eq!(user("7:8"), User { uid: 7, gid: 8, groups: Vec::new(), home: "/".to_owned() });
        assert!(find(PASSWD, GROUP, "nobody").unwrap_err().contains("no user `nobody`"));
        assert!(find(PASSWD, GROUP, "app:none").unwrap_err().contains("no group `none`"));
    }

    #[test]
    fn a_program_is_looked_for_in_the_image() {
        let root = tempfile::tempdir().unwrap();
        let place = root.path().join("opt/bin");
        std::fs::create_dir_all(&place).unwrap();
        std::fs::write(place.join("tool"), b"").unwrap();
        std::fs::set_permissions(place.join("tool"), std::fs::Permissions::from_mode(0o755)).unwrap();
        let found = |program: &str| search(root.path().to_str().unwrap(), program, "/bin:/opt/bin", "/srv/");
        assert_eq!(found("tool"), "/opt/bin/tool");
        assert_eq!(found("none"), "none");
        assert_eq!(found("./run"), "/srv/./run");
        assert_eq!(found("/x"), "/x");
    }
}
