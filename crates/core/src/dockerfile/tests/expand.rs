//! Words and values.

use super::super::expand::{Expanded, heredoc, word, words};
use super::super::{Instruction, Word, parse};

fn value(name: &str) -> Option<String> {
    let value = match name {
        "v" => "value",
        "e" => "",
        "path" => "/usr/lib/libfoo.so.1",
        "list" => "80 81/udp",
        "abc" => "abcabc",
        "star" => "a*b?c",
        "umläut" => "ü",
        _ => return None,
    };
    Some(value.to_owned())
}

/// With the values above.
const EXPANDED: [(&str, &str); 84] = [
    ("plain", "plain"),
    ("$v", "value"),
    ("${v}", "value"),
    ("a${v}b", "avalueb"),
    ("$v/x", "value/x"),
    ("$vx", ""),
    ("$v-x", "value-x"),
    ("$", "$"),
    ("a$", "a$"),
    ("$ v", "$ v"),
    ("$(v)", "$(v)"),
    ("$1x", "x"),
    ("$$v", "v"),
    ("$umläut", "ü"),
    (r"\$v", "$v"),
    (r"\\$v", r"\value"),
    (r"\a", "a"),
    (r"a\ b", "a b"),
    (r"a\", "a"),
    ("'$v'", "$v"),
    (r"'\n'", r"\n"),
    ("\"$v\"", "value"),
    ("\"'$v'\"", "'value'"),
    ("'\"$v\"'", "\"$v\""),
    (r#""\$v""#, "$v"),
    (r#""\"""#, "\""),
    (r#""\\""#, r"\"),
    (r#""a\nb""#, r"a\nb"),
    (r#""a b"c'd e'"#, "a bcd e"),
    ("a b  c", "a b  c"),
    ("${u}", ""),
    ("${u:-d}", "d"),
    ("${u-d}", "d"),
    ("${e:-d}", "d"),
    ("${e-d}", ""),
    ("${v:-d}", "value"),
    ("${v-d}", "value"),
    ("${u:+d}", ""),
    ("${u+d}", ""),
    ("${e:+d}", ""),
    ("${e+d}", "d"),
    ("${v:+d}", "d"),
    ("${v?no}", "value"),
    ("${v:?no}", "value"),
    ("${e?no}", ""),
    ("${u:-}", ""),
    ("${u:-$v}", "value"),
    ("${u:-${v}}", "value"),
    ("${u:-${x:-${v}}}", "value"),
    ("${u:-\"a}b\"}", "a}b"),
    (r"${u:-a\}b}", "a}b"),
    ("${u:-'$v'}", "$v"),
    ("${v:+a b}", "a b"),
    ("${path#/usr}", "/lib/libfoo.so.1"),
    ("${path#*/}", "usr/lib/libfoo.so.1"),
    ("${path##*/}", "libfoo.so.1"),
    ("${path%.*}", "/usr/lib/libfoo.so"),
    ("${path%%.*}", "/usr/lib/libfoo"),
    ("${path%/*}", "/usr/lib"),
    ("${path#lib}", "/usr/lib/libfoo.so.1"),
    ("${path##*lib*o}", ".1"),
    ("${path#*lib*o}", "o.so.1"),
    ("${path%%lib*}", "/usr/"),
    ("${path%lib*}", "/usr/lib/"),
    ("${abc#?}", "bcabc"),
    ("${abc%?}", "abcab"),
    ("${abc##*}", ""),
    ("${abc#*}", "abcabc"),
    ("${abc#$v}", "abcabc"),
    ("${u#x}", ""),
    ("${v:#val}", "ue"),
    (r"${star#a\*}", "b?c"),
    (r"${star%b\?c}", "a*"),
    ("${abc/b/X}", "aXcabc"),
    ("${abc//b/X}", "aXcaXc"),
    ("${abc//b/}", "acac"),
    ("${abc/b*a/-}", "a-bc"),
    ("${abc//?/-}", "------"),
    ("${abc//*/-}", "-"),
    ("${abc/x/-}", "abcabc"),
    ("${abc//bc/$v}", "avalueavalue"),
    (r"${path//\//-}", "-usr-lib-libfoo.so.1"),
    ("${e//*/-}", "-"),
    ("${e/a/-}", ""),
];

#[test]
fn words_are_expanded_as_buildkit_does() {
    for (text, expected) in EXPANDED {
        let found = word(&text.into(), '\\', &value).map(|expanded| expanded.text);
        assert_eq!(found.as_deref(), Ok(expected), "{text}");
    }
}

#[test]
fn the_other_escape_character_escapes() {
    for (text, expected) in [("`$v", "$v"), (r"c:\$v", r"c:\value"), ("\"``\"", "`"), (r#""\$v""#, r"\value")] {
        assert_eq!(word(&text.into(), '`', &value).unwrap().text, expected, "{text}");
    }
}

#[test]
fn a_word_that_cannot_be_expanded_says_why() {
    let table = [
        ("${u?}", "u has no value"),
        ("${u:?it is needed}", "u: it is needed"),
        ("${e:?it is needed}", "e: it is needed"),
        ("${u?$v}", "u: value"),
        ("${", "there is no `}` to end a `${`"),
        ("${v", "there is no `}` to end a `${`"),
        ("${v:", "there is no `}` to end a `${`"),
        ("${v:-", "there is no `}` to end a `${`"),
        ("${v/a", "there is no `/` to end a `${`"),
        ("${v/a/b", "there is no `}` to end a `${`"),
        ("${}", "`${}` has no name"),
        ("${:-a}", "`${:` has no name"),
        ("${{v}}", "`${{` has no name"),
        ("${v^^}", "`${v^` is not known; `- + ? # % /` may follow a name"),
        ("${v:x}", "`${v:x` is not known; `- + ? # % /` may follow a name"),
        ("'a", "a single quote stays open"),
        ("\"a", "a double quote stays open"),
        (r"${v#\a}", r"`\a` means nothing in the pattern `\a`"),
    ];
    for (text, expected) in table {
        assert_eq!(word(&text.into(), '\\', &value), Err(expected.to_owned()), "{text}");
    }
}

#[test]
fn what_is_not_set_is_told_unless_something_stands_in() {
    for (text, expected) in
        [("$a ${b} $a", vec!["a", "b"]), ("${a:-x}${b+y}", vec![]), ("${a#x}", vec!["a"]), ("'$a'", vec![])]
    {
        let Expanded { unset, .. } = word(&text.into(), '\\', &value).unwrap();
        assert_eq!(unset, expected, "{text}");
    }
}

#[test]
fn words_split_after_expansion_where_nothing_is_quoted() {
    let table: [(&str, &[&str]); 7] = [
        ("$list", &["80", "81/udp"]),
        ("x$list", &["x80", "81/udp"]),
        ("\"$list\"", &["80 81/udp"]),
        ("a\\ b c", &["a b", "c"]),
        ("'a b'  c", &["a b", "c"]),
        ("$e", &[]),
        ("${u:-1 2}", &["1", "2"]),
    ];
    for (text, expected) in table {
        assert_eq!(words(&text.into(), '\\', &value).unwrap(), expected, "{text}");
    }
}

#[test]
fn in_a_heredoc_quotes_are_text() {
    let body = "a=\"$v\" '$v' \\$v ${u:-\"q\"}\n";
    assert_eq!(heredoc(body, &value).unwrap().text, "a=\"value\" 'value' $v \"q\"\n");
}

#[test]
fn a_mount_is_read_again_when_its_variables_are_known() {
    let text = "FROM a\nRUN --mount=type=cache,target=/$v,uid=$id,mode=0${m},sharing=${s:-locked} x";
    let dockerfile = parse(text.as_bytes()).unwrap();
    let Instruction::Run(run) = &dockerfile.stages[0].lines[0].instruction else { panic!("it is a RUN") };
    let mount = &run.mounts[0];
    assert_eq!((mount.uid, mount.mode, &mount.target), (None, None, &Some(Word("/$v".to_owned()))));
    let known = |name: &str| match name {
        "id" => Some("1000".to_owned()),
        "m" => Some("750".to_owned()),
        name => value(name),
    };
    let mount = mount.expanded('\\', &known).unwrap();
    assert_eq!((mount.uid, mount.mode, mount.target), (Some(1000), Some(0o750), Some(Word("/value".to_owned()))));
    assert_eq!(mount.sharing, super::super::Sharing::Locked);
    let error = run.mounts[0].expanded('\\', &value).unwrap_err();
    assert_eq!(error, "`uid` is a number, not ``");
}
