//! Tables: what is written, and what it means or why it is refused.

mod expand;
mod paths;
mod refused;
mod values;

use proptest::prelude::*;

use super::*;

/// Text made of what Dockerfiles are made of, so that more than the first line is reached.
fn pieces() -> impl Strategy<Value = String> {
    let piece = prop::sample::select(vec![
        "FROM a AS b",
        "FROM ",
        "RUN ",
        "COPY ",
        "ADD ",
        "ENV ",
        "ARG ",
        "ONBUILD ",
        "HEALTHCHECK CMD ",
        "EXPOSE ",
        "SHELL ",
        "--mount=",
        "type=cache,",
        "target=/x",
        "--from=",
        "--chmod=",
        "--",
        "<<E",
        "<<-",
        "<<",
        "E",
        "\n",
        "\\\n",
        "\r\n",
        "# escape=`\n",
        "`\n",
        "#",
        "\\",
        "'",
        "\"",
        "$",
        "${",
        "}",
        "a",
        "=",
        ":-",
        "#*",
        "%%",
        "//",
        "/",
        "[",
        "]",
        "\"a\"",
        ",",
        " ",
        "\t",
        "\u{feff}",
        "é",
        "80-",
        "udp",
        "1h",
        "[^a-",
        "**",
        "*",
        "?",
        "!",
    ]);
    prop::collection::vec(piece, 0..60).prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_bytes_are_too_strange_to_be_read(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let _ = parse(&bytes);
    }

    #[test]
    fn no_text_is_too_strange_to_be_read(text in pieces()) {
        let _ = parse(text.as_bytes());
        let _ = parse(format!("FROM a\n{text}").as_bytes());
        let _ = parse_trigger(&text);
    }

    #[test]
    fn no_word_is_too_strange_to_be_expanded(text in pieces(), value in pieces()) {
        let lookup = |name: &str| (name != "b").then(|| value.clone());
        for escape in ['\\', '`'] {
            let _ = super::expand::word(&Word(text.clone()), escape, &lookup);
            let _ = super::expand::words(&Word(text.clone()), escape, &lookup);
        }
        let _ = super::expand::heredoc(&text, &lookup);
    }

    #[test]
    fn no_pattern_is_too_strange_to_be_matched(pattern in pieces(), path in pieces()) {
        let _ = glob::matches(&pattern, &path);
        let _ = glob::matches_deep(&pattern, &path);
        let ignore = ignore::Ignore::parse(&pattern);
        let _ = ignore.excludes(&path);
    }

    #[test]
    fn no_value_is_too_strange_to_be_read(text in pieces(), old in any::<u32>()) {
        let _ = (port(&text), signal(&text), duration(&text));
        let _ = mode(&text).map(|mode| mode.apply(old, true));
    }
}

/// A pattern without brackets and escapes, matched by going back wherever one can.
fn matches_slowly(pattern: &[u8], name: &[u8]) -> bool {
    match (pattern.split_first(), name.split_first()) {
        (None, _) => name.is_empty(),
        (Some((b'*', rest)), None) => matches_slowly(rest, name),
        (Some((b'*', rest)), Some((c, after))) => {
            matches_slowly(rest, name) || (*c != b'/' && matches_slowly(pattern, after))
        }
        (Some((p, rest)), Some((c, after))) => (p == c || (*p == b'?' && *c != b'/')) && matches_slowly(rest, after),
        (Some(_), None) => false,
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn going_back_would_find_no_more(pattern in "[ab/*?]{0,8}", name in "[ab/]{0,8}") {
        prop_assert_eq!(glob::matches(&pattern, &name).unwrap(), matches_slowly(pattern.as_bytes(), name.as_bytes()));
    }

    #[test]
    fn a_single_star_means_the_same_to_ignore_files(pattern in "[ab]([ab/*?]{0,4}[ab])?", name in "[ab](/?[ab]){0,4}") {
        prop_assume!(!pattern.contains("**") && !pattern.contains("//"));
        let names = name.match_indices('/').map(|(at, _)| &name[..at]).chain([name.as_str()]);
        let covered = names.into_iter().any(|name| matches_slowly(pattern.as_bytes(), name.as_bytes()));
        prop_assert_eq!(ignore::pattern_matches(&pattern, &name), covered);
    }
}

/// A pattern of an ignore file, matched the same way.
fn covers_slowly(pattern: &[u8], path: &[u8]) -> bool {
    if let Some(rest) = pattern.strip_prefix(b"**") {
        let rest = rest.strip_prefix(b"/").unwrap_or(rest);
        let slashes = path.iter().enumerate().filter(|(_, c)| **c == b'/').map(|(at, _)| at + 1);
        return [0].into_iter().chain(slashes).any(|at| covers_slowly(rest, &path[at..]));
    }
    match (pattern.split_first(), path.split_first()) {
        (None, _) => path.is_empty(),
        (Some((b'*', rest)), None) => covers_slowly(rest, path),
        (Some((b'*', rest)), Some((c, after))) => {
            covers_slowly(rest, path) || (*c != b'/' && covers_slowly(pattern, after))
        }
        (Some((p, rest)), Some((c, after))) => (p == c || (*p == b'?' && *c != b'/')) && covers_slowly(rest, after),
        (Some(_), None) => false,
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn ignore_files_find_what_going_back_finds(pattern in "[ab](/?([ab?]|\\*{1,2})){0,4}/?[ab]", path in "[ab](/?[ab]){0,6}") {
        let ends = path.match_indices('/').map(|(at, _)| &path[..at]).chain([path.as_str()]);
        let covered = ends.into_iter().any(|path| covers_slowly(pattern.as_bytes(), path.as_bytes()));
        prop_assert_eq!(ignore::pattern_matches(&pattern, &path), covered);
    }
}

/// Whatever the limit is on, it is reached in no time.
#[test]
fn what_is_too_much_is_refused_and_does_not_take_long() {
    let from = "FROM a\n";
    let deep = format!("${{a:-{}", "${a:-".repeat(40));
    let doubled = |name: &str| (name == "a").then(|| "x".repeat(100_000));
    let too_much = [
        ("a".repeat(MAX_TEXT + 1), "line 1: the text is longer than"),
        (format!("{from}RUN {}", "a".repeat(MAX_LINE)), "line 2: the line is longer than"),
        (format!("{from}{}", "RUN a\n".repeat(MAX_INSTRUCTIONS)), "line 4097: there are more than 4096 instructions"),
        (format!("{from}RUN {}", "<<a ".repeat(101)) + &"\na".repeat(101), "line 2: there are more than 100 heredocs"),
        (
            format!("{from}RUN {}<<\\\n{}E", "1".repeat(60_000), (" ".repeat(60_000) + "\\\n").repeat(10)),
            "line 2: the heredoc `",
        ),
        (format!("{from}EXPOSE {}0", "1-65535 \\\n".repeat(90_000)), "line 2: `0` is not a port"),
        (format!("{from}RUN --mount={}", "type=cache,\\\n".repeat(70_000)), "line 2: "),
        (format!("{from}ENV {}=", "a=b \\\n".repeat(100_000)), "line 2: ENV was given a value without a name"),
        (from.repeat(MAX_STAGES + 1), "line 257: there are more than 256 stages"),
    ];
    for (text, error) in too_much {
        let found = parse(text.as_bytes()).unwrap_err().to_string();
        assert!(found.starts_with(error), "{found}");
    }
    let expand = |text: &str| super::expand::word(&text.into(), '\\', &doubled).unwrap_err();
    assert!(expand(&deep).contains("goes deeper than 32"));
    assert!(expand("$a$a").contains("longer than"));
    assert!(expand("\"$a$a\"").contains("longer than"));
    assert!(expand(&"${a:+}".repeat(100)).contains("too long to be put in"));
    assert!(expand(&format!("${{a#{}}}", "x".repeat(100))).contains("too long to be put in"));
    let stars = "*a".repeat(1000);
    assert!(!glob::matches(&stars, &"a".repeat(999)).unwrap());
    assert!(!ignore::pattern_matches(&"**/a*".repeat(100), &"a/".repeat(99)));
}
