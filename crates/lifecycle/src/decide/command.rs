//! What the launcher starts: a process of the image or a command of the user, directly or by a shell.

use std::ffi::{OsStr, OsString};

use crate::model::api::Api;
use crate::model::launch::{Metadata, Process};

/// What is started.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Start {
    /// Its type, where it is a process of the image.
    pub(crate) kind: Option<String>,
    pub(crate) program: OsString,
    pub(crate) args: Vec<OsString>,
    pub(crate) how: How,
    /// Empty: the app's.
    pub(crate) working_dir: String,
}

/// How.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum How {
    /// As it is.
    Direct,
    /// The program is a script for bash, without arguments.
    Script,
    /// Program and arguments are words in which bash finds variables.
    Words,
}

/// A process of the image, with what the user wrote behind it: it replaces the process's `args`, and is appended to them
/// where the buildpack is older than API 0.9.
pub(crate) fn of_process(process: &Process, user: Vec<OsString>, metadata: &Metadata) -> Start {
    let buildpack = metadata.buildpacks.iter().find(|buildpack| buildpack.id == process.buildpack_id);
    let is_old =
        buildpack.and_then(|buildpack| Api::supported(&buildpack.api).ok()).is_some_and(|api| api < Api::LISTS);
    let mut command = process.command.iter().map(OsString::from);
    let program = command.next().unwrap_or_default();
    let mut args: Vec<OsString> = command.collect();
    if is_old || user.is_empty() {
        args.extend(process.args.iter().map(OsString::from));
    }
    args.extend(user);
    let how = match (process.direct, args.is_empty()) {
        (true, _) => How::Direct,
        (false, true) => How::Script,
        (false, false) => How::Words,
    };
    Start { kind: Some(process.kind.clone()), program, args, how, working_dir: process.working_dir.clone() }
}

/// A command of the user: behind `--` as it is, else by a shell. `None`: there is none.
pub(crate) fn of_user(mut words: Vec<OsString>) -> Option<Start> {
    let direct = words.first().is_some_and(|word| word == "--");
    if direct {
        words.remove(0);
    }
    let mut words = words.into_iter();
    let program = words.next()?;
    let args: Vec<_> = words.collect();
    let how = match (direct, args.is_empty()) {
        (true, _) => How::Direct,
        (false, true) => How::Script,
        (false, false) => How::Words,
    };
    Some(Start { kind: None, program, args, how, working_dir: String::new() })
}

/// The script that bash runs: profiles are sourced, then the command takes its place. `$0` is the launcher, `$1` the
/// program, the rest its arguments.
pub(crate) fn script(profiles: &[OsString], start: &Start) -> OsString {
    let mut script = OsString::new();
    for profile in profiles {
        script.push("source ");
        script.push(quoted(profile));
        script.push("\n");
    }
    if !start.working_dir.is_empty() {
        script.push("cd ");
        script.push(quoted(OsStr::new(&start.working_dir)));
        script.push(" || exit 1\n");
    }
    match start.how {
        How::Direct | How::Script => script.push("exec bash -c \"$@\""),
        How::Words => {
            // Each word is looked through for variables once, and stays one word.
            let word = |at: usize| format!("\"$(eval echo \\\"${{{at}}}\\\")\"");
            let words: Vec<_> = (0..=start.args.len()).map(word).collect();
            script.push(format!("exec bash -c '{}' \"$@\"", words.join(" ")));
        }
    }
    script
}

/// As one word, whatever is in it.
fn quoted(text: &OsStr) -> OsString {
    use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
    let mut quoted = vec![b'\''];
    for byte in text.as_bytes() {
        match byte {
            b'\'' => quoted.extend(br"'\''"),
            byte => quoted.push(*byte),
        }
    }
    quoted.push(b'\'');
    OsString::from_vec(quoted)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::group::Member;

    fn words(text: &str) -> Vec<OsString> {
        text.split_whitespace().map(OsString::from).collect()
    }

    fn shown(start: &Start) -> String {
        let args: Vec<_> = start.args.iter().map(|word| word.to_string_lossy()).collect();
        format!("{:?} {} [{}]", start.how, start.program.display(), args.join(" "))
    }

    #[test]
    fn user_arguments_replace_or_are_appended() {
        for (api, command, args, direct, user, started) in [
            ("0.10", "run fixed", "a", true, "", "Direct run [fixed a]"),
            ("0.10", "run fixed", "a", true, "b c", "Direct run [fixed b c]"),
            ("0.8", "run", "a", true, "b", "Direct run [a b]"),
            ("0.8", "run", "", false, "", "Script run []"),
            ("0.8", "run", "a", false, "b", "Words run [a b]"),
        ] {
            let list = |text: &str| text.split_whitespace().map(str::to_owned).collect();
            let process = Process {
                kind: "web".to_owned(),
                command: list(command),
                args: list(args),
                direct,
                buildpack_id: "a".to_owned(),
                ..Process::default()
            };
            let member = Member { id: "a".to_owned(), api: api.to_owned(), ..Member::default() };
            let metadata = Metadata { buildpacks: vec![member], ..Metadata::default() };
            assert_eq!(shown(&of_process(&process, words(user), &metadata)), started, "{api} {command} {user}");
        }
    }

    #[test]
    fn commands_of_users_are_direct_behind_two_dashes() {
        for (user, started) in [
            ("-- ls -l", Some("Direct ls [-l]")),
            ("ls -l", Some("Words ls [-l]")),
            ("ls", Some("Script ls []")),
            ("--", None),
            ("", None),
        ] {
            assert_eq!(of_user(words(user)).as_ref().map(shown).as_deref(), started, "{user}");
        }
    }

    #[test]
    fn the_script_sources_profiles_and_gives_way() {
        let mut start = of_user(words("ls")).unwrap();
        assert_eq!(
            script(&["/a b".into(), "/it's".into()], &start),
            "source '/a b'\nsource '/it'\\''s'\nexec bash -c \"$@\""
        );
        start.working_dir = "/w".to_owned();
        assert_eq!(script(&[], &start), "cd '/w' || exit 1\nexec bash -c \"$@\"");
        let start = of_user(words("echo $HOME")).unwrap();
        assert_eq!(script(&[], &start), r#"exec bash -c '"$(eval echo \"${0}\")" "$(eval echo \"${1}\")"' "$@""#);
    }
}
