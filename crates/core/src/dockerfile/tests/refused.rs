//! What is refused, with its line and the reason.

use super::super::{Dockerfile, parse, parse_trigger};

/// Of instructions that stand at line 2.
const LINES: [(&str, &str); 92] = [
    ("RUNN x", "there is no instruction `RUNN` (did you mean RUN?)"),
    ("COYP a b", "there is no instruction `COYP` (did you mean COPY?)"),
    (
        "apt-get update",
        "there is no instruction `apt-get` (where this belongs to the line before, that one ends with a backslash)",
    ),
    ("// x", "there is no instruction `//` (comments begin with #)"),
    ("FROM", "FROM is `FROM IMAGE` or `FROM IMAGE AS NAME`"),
    ("FROM a b", "FROM is `FROM IMAGE` or `FROM IMAGE AS NAME`"),
    ("FROM a AS b c", "FROM is `FROM IMAGE` or `FROM IMAGE AS NAME`"),
    (
        "FROM a AS 1b",
        "`1b` is not a name for a stage (a letter, then letters, digits, `-`, `_` and `.`; variables are not put in)",
    ),
    (
        "FROM a AS $b",
        "`$b` is not a name for a stage (a letter, then letters, digits, `-`, `_` and `.`; variables are not put in)",
    ),
    ("FROM a AS Base", "the stage `base` is already at line 1 (give one of them another name)"),
    ("FROM --plattform=x a", "FROM has no flag --plattform (did you mean --platform?)"),
    ("FROM --platform a", "--platform has no value"),
    ("RUN", "RUN needs an argument"),
    ("RUN []", "RUN needs a command"),
    ("RUN [1]", "RUN was given a JSON array of something else than strings (put every element in double quotes)"),
    (
        "RUN --security=insecure x",
        "RUN --security would take the walls off the step; it is always `sandbox` (leave the flag out)",
    ),
    ("RUN --device=gpu x", "RUN --device is not supported: steps have no devices of this machine"),
    (
        "RUN --network=host x",
        "RUN --network=host would let the step reach what only this machine may reach (leave the flag out: a step reaches package indexes without it)",
    ),
    ("RUN --network=off x", "--network is `default` or `none`, not `off`"),
    ("RUN --network=none --network=none x", "--network is given twice"),
    ("RUN --mounts=type=cache x", "RUN has no flag --mounts (did you mean --mount?)"),
    (
        "RUN --mount=type=ssh x",
        "mounts of type `ssh` are not supported: no agent of yours is at the machine that builds (fetch with a token: `--mount=type=secret,id=NAME`)",
    ),
    ("RUN --mount=type=cach,target=/a x", "there is no mount of type `cach` (did you mean `cache`?)"),
    ("RUN --mount=type=volume,target=/a x", "there is no mount of type `volume` (types: bind, cache, tmpfs, secret)"),
    ("RUN --mount=type=cache x", "the mount has no target: `type=cache` (add `target=/a/path`)"),
    ("RUN --mount=type=cache,target=/ x", "a mount's target cannot be `/`"),
    ("RUN --mount=type=cache,target=/a,sharing=some x", "`sharing` is `shared`, `private` or `locked`, not `some`"),
    (
        "RUN --mount=type=bind,target=/a,sharing=locked x",
        "`sharing` is for mounts of caches: `type=bind,target=/a,sharing=locked`",
    ),
    (
        "RUN --mount=type=bind,target=/a,uid=1 x",
        "`mode`, `uid` or `gid` is for mounts of caches and secrets: `type=bind,target=/a,uid=1`",
    ),
    ("RUN --mount=type=cache,target=/a,uid=x x", "`uid` is a number, not `x`"),
    ("RUN --mount=type=cache,target=/a,mode=999 x", "`999` is not a mode: expected an octal number as `0755`"),
    ("RUN --mount=type=cache,target=/a,size=1 x", "`size` is for mounts of tmpfs: `type=cache,target=/a,size=1`"),
    ("RUN --mount=type=tmpfs,target=/a,size=big x", "`big` is not a size: expected for instance `512m`"),
    (
        "RUN --mount=type=cache,target=/a,required x",
        "`required` is for mounts of secrets: `type=cache,target=/a,required`",
    ),
    ("RUN --mount=type=secret x", "the secret has neither an id nor a target (add `id=NAME`)"),
    ("RUN --mount=type=secret,id=a,src=a x", "a secret's `source` and `id` are the same; give one"),
    ("RUN --mount=type=secret,id=a,from=b x", "`from` is for mounts of binds and caches: `type=secret,id=a,from=b`"),
    ("RUN --mount=type=cache,target=/a,ro=maybe x", "`ro` is `true` or `false`, not `maybe`"),
    ("RUN --mount=type=cache,targt=/a x", "a mount has no `targt` (did you mean `target`?)"),
    ("RUN --mount=target x", "the mount's `target` needs a value: `target=…`"),
    (
        "RUN --mount=from=$X,target=/a x",
        "variables are not put into a `from`: `$X` (give it a stage of its own, `FROM ${NAME} AS alias` with an ARG before the first FROM, and take that)",
    ),
    ("RUN --mount=type=cache,\\\"target=/a x", "a quote stays open in the mount `type=cache,\"target=/a`"),
    (
        "RUN <<EOF\nx",
        "the heredoc `EOF` is never ended (a line with nothing but `EOF` ends it; a name ends at a blank)",
    ),
    (
        "RUN cat <<A <<B\nA\nx",
        "the heredoc `B` is never ended (a line with nothing but `B` ends it; a name ends at a blank)",
    ),
    ("RUN <<a/b\n#!/bin/sh\na/b", "the heredoc `a/b` becomes a file, and this is no file's name"),
    ("COPY a", "COPY needs a source and a destination"),
    ("COPY", "COPY needs a source and a destination"),
    ("COPY [\"a\"]", "COPY needs a source and a destination"),
    ("COPY [1, 2]", "COPY was given a JSON array of something else than strings (put every element in double quotes)"),
    ("COPY --frm=a a b", "COPY has no flag --frm (did you mean --from?)"),
    (
        "COPY --from=${A} a b",
        "variables are not put into a `from`: `${A}` (give it a stage of its own, `FROM ${NAME} AS alias` with an ARG before the first FROM, and take that)",
    ),
    ("COPY --from a b", "--from has no value"),
    ("COPY --link=perhaps a b", "--link is `true` or `false`, not `perhaps`"),
    ("COPY --chmod=u+q a b", "`u+q` is not a mode: expected an octal number as `0755`, or changes as `u=rwX,go=rX`"),
    ("COPY --chmod=999 a b", "`999` is not a mode: expected an octal number as `0755`"),
    ("COPY --exclude=[ a b", "`[` is not a pattern: a `[` stays open"),
    (
        "COPY --checksum=x a b",
        "COPY has no flag --checksum (its flags: --from, --chown, --chmod, --link, --parents, --exclude)",
    ),
    ("COPY a <<EOF\nEOF", "COPY has a heredoc where its destination should be (the destination stands last)"),
    ("COPY <<../a /b\n../a", "the heredoc `../a` becomes a file, and this is no file's name"),
    ("COPY <<\"a b\" /c\na b", "`<<\"a` is no heredoc: the name of one that becomes a file has no blanks"),
    (
        "ADD --from=a a b",
        "ADD has no flag --from (its flags: --chown, --chmod, --link, --exclude, --checksum, --keep-git-dir, --unpack)",
    ),
    ("ENV", "ENV needs an argument"),
    ("ENV A", "ENV needs a value (`ENV A=…`)"),
    ("ENV A=1 B", "ENV has no `=` in `B` (put values with blanks in quotes)"),
    ("ENV =1", "ENV was given a value without a name: `=1`"),
    ("ENV --x A=1", "ENV has no flag --x (ENV has no flags; a lone `--` ends them)"),
    ("LABEL a", "LABEL needs a value (`LABEL a=…`)"),
    ("ARG", "ARG needs an argument"),
    ("ARG =1", "`` is not a name for an ARG (`ARG NAME` or `ARG NAME=value`)"),
    ("ARG $A=1", "`$A` is not a name for an ARG (variables are not put into names)"),
    ("ARG 'A B'=1", "`'A B'` is not a name for an ARG (`ARG NAME` or `ARG NAME=value`)"),
    ("WORKDIR", "WORKDIR needs an argument"),
    ("USER", "USER needs an argument"),
    ("EXPOSE", "EXPOSE needs an argument"),
    ("EXPOSE 80 http", "`http` is not a port: expected `80`, `53/udp` or `8000-8010`"),
    ("EXPOSE 8080:80", "`8080:80` is not a port: expected `80`, `53/udp` or `8000-8010`"),
    ("VOLUME []", "VOLUME needs a path"),
    ("VOLUME [\" \"]", "VOLUME needs a path"),
    ("CMD", "CMD needs an argument"),
    (
        "ENTRYPOINT [\"a\", 1]",
        "ENTRYPOINT was given a JSON array of something else than strings (put every element in double quotes)",
    ),
    ("SHELL /bin/sh -c", "SHELL is a JSON array (for instance `SHELL [\"/bin/bash\", \"-c\"]`)"),
    ("SHELL []", "SHELL is a JSON array (for instance `SHELL [\"/bin/bash\", \"-c\"]`)"),
    ("STOPSIGNAL SIGNOTHING", "`SIGNOTHING` is not a signal: expected a name as `SIGTERM`, or a number up to 64"),
    ("HEALTHCHECK", "HEALTHCHECK needs an argument (`HEALTHCHECK CMD …` or `HEALTHCHECK NONE`)"),
    ("HEALTHCHECK curl x", "HEALTHCHECK is followed by CMD or NONE, not `curl`"),
    ("HEALTHCHECK NONE x", "HEALTHCHECK NONE takes nothing more"),
    ("HEALTHCHECK CMD", "HEALTHCHECK CMD needs an argument"),
    ("HEALTHCHECK --interval=5 CMD x", "`5` is not a duration: expected for instance `30s`, `1m30s` or `500ms`"),
    ("HEALTHCHECK --interval=5ns CMD x", "--interval is less than a millisecond"),
    ("HEALTHCHECK --retries=-1 CMD x", "--retries is a number, not `-1`"),
    ("ONBUILD", "ONBUILD needs an argument"),
    ("ONBUILD RUN --network=x y", "--network is `default` or `none`, not `x`"),
];

fn said(parsed: Result<Dockerfile, super::super::BadDockerfile>) -> String {
    match parsed {
        Ok(dockerfile) => panic!("it was read: {dockerfile:?}"),
        Err(bad) => match &bad.hint {
            Some(hint) => format!("{bad} ({hint})"),
            None => bad.to_string(),
        },
    }
}

#[test]
fn what_is_refused_is_refused_with_line_and_reason() {
    let mut wrong = Vec::new();
    for (line, reason) in LINES {
        let found = said(parse(format!("FROM a AS base\n{line}\n").as_bytes()));
        if found != format!("line 2: {reason}") {
            wrong.push(format!("{line}\n  {found}\n  line 2: {reason}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn what_is_wrong_with_the_whole_is_told_where_it_shows() {
    let table = [
        ("", "line 1: there is no FROM (a Dockerfile begins with `FROM IMAGE`, or with `FROM scratch`)"),
        (
            "# nothing\n\nARG A=1\n",
            "line 3: there is no FROM (a Dockerfile begins with `FROM IMAGE`, or with `FROM scratch`)",
        ),
        ("ARG A\nRUN x\nFROM a", "line 2: RUN stands before the first FROM (only ARG may)"),
        ("# escape=x\nFROM a", "line 1: the escape character `x` is neither `\\` nor a backtick"),
        ("# escape=`\n# escape=`\nFROM a", "line 2: there is a second `escape` directive"),
        (
            "FROM a\nRUN a \\\n  b \\\n\n# c\n  d\nNO",
            "line 7: there is no instruction `NO` (where this belongs to the line before, that one ends with a backslash)",
        ),
        (
            "FROM a\nRUN <<E\n1\n2\nE\nWRONGLY x",
            "line 6: there is no instruction `WRONGLY` (where this belongs to the line before, that one ends with a backslash)",
        ),
        ("FROM a\nONBUILD FROM b", "line 2: FROM cannot be a trigger of ONBUILD"),
        ("FROM a\nONBUILD maintainer b", "line 2: MAINTAINER cannot be a trigger of ONBUILD"),
        ("FROM a\nONBUILD ONBUILD RUN b", "line 2: ONBUILD cannot be a trigger of ONBUILD"),
        (
            "FROM a\n# escape=`\nRUN a `\nb",
            "line 4: there is no instruction `b` (where this belongs to the line before, that one ends with a backslash)",
        ),
    ];
    for (text, error) in table {
        assert_eq!(said(parse(text.as_bytes())), error, "{text}");
    }
    assert_eq!(said(parse(b"FROM a\nRUN \xff")), "line 2: this is not UTF-8");
}

#[test]
fn a_trigger_is_one_instruction() {
    for text in ["RUN make", "COPY --from=x a b", "RUN <<E\nmake\nE", "run a"] {
        let line = parse_trigger(text).unwrap();
        assert_eq!((line.number, line.original.as_str()), (1, text.lines().next().unwrap()), "{text}");
    }
    for text in ["", "FROM a", "ONBUILD RUN a", "MAINTAINER a", "RUN a\nRUN b", "RUNN"] {
        assert!(parse_trigger(text).is_err(), "{text}");
    }
}
