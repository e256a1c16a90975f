//! Patterns and ignore files.

use super::super::glob::{matches, matches_deep};
use super::super::ignore::{Ignore, pattern_matches};

#[test]
fn patterns_match_as_in_go() {
    let table = [
        ("abc", "abc", true),
        ("*", "abc", true),
        ("*", "", true),
        ("*c", "abc", true),
        ("a*", "a", true),
        ("a*", "abc", true),
        ("a*", "ab/c", false),
        ("a*/b", "abc/b", true),
        ("a*/b", "a/c/b", false),
        ("a*b*c*d*e*/f", "axbxcxdxe/f", true),
        ("a*b*c*d*e*/f", "axbxcxdxexxx/f", true),
        ("a*b*c*d*e*/f", "axbxcxdxe/xxx/f", false),
        ("a*b*c*d*e*/f", "axbxcxdxexxx/fff", false),
        ("a*b?c*x", "abxbbxdbxebxczzx", true),
        ("a*b?c*x", "abxbbxdbxebxczzy", false),
        ("ab[c]", "abc", true),
        ("ab[b-d]", "abc", true),
        ("ab[e-g]", "abc", false),
        ("ab[^c]", "abc", false),
        ("ab[^b-d]", "abc", false),
        ("ab[^e-g]", "abc", true),
        (r"a\*b", "a*b", true),
        (r"a\*b", "ab", false),
        ("a?b", "aéb", true),
        ("a[^a]b", "aéb", true),
        ("a???b", "aéb", false),
        ("[a-ζ]*", "α", true),
        ("*[a-ζ]", "A", false),
        ("a?b", "a/b", false),
        ("a*b", "a/b", false),
        (r"[\]a]", "]", true),
        (r"[\-]", "-", true),
        (r"[x\-]", "x", true),
        (r"[x\-]", "z", false),
        (r"[\-x]", "a", false),
        ("**", "a/b", false),
        ("*x", "xxx", true),
        ("", "", true),
        ("", "a", false),
        ("a", "", false),
        (".*", ".git", true),
        ("*", ".git", true),
    ];
    for (pattern, name, expected) in table {
        assert_eq!(matches(pattern, name), Ok(expected), "{pattern} {name}");
    }
}

#[test]
fn patterns_that_go_refuses_are_refused() {
    for pattern in ["[]a]", "[-]", "[x-]", "[-x]", r"\", "[a-b-c]", "[", "[^", "[^bc", "a[", "a[b", "*[", "x*\\", "[\\"]
    {
        assert!(matches(pattern, "a").is_err(), "{pattern}");
        assert!(matches_deep(pattern, "a").is_err(), "{pattern}");
    }
}

#[test]
fn two_stars_go_through_directories_where_parents_are_kept() {
    let table = [
        ("**/*.c", "a.c", true),
        ("**/*.c", "x/y/a.c", true),
        ("src/**/a", "src/a", true),
        ("src/**/a", "src/x/y/a", true),
        ("src/**/a", "src/x/y/b", false),
        ("src/**", "src/x/y", true),
        ("src/**", "lib/x", false),
        ("**/x/**/y", "a/x/b/c/y", true),
        ("**/x/**/y", "a/b/c/y", false),
        ("a/*/c", "a/b/b/c", false),
        ("a**", "ab/c", false),
        ("**", "a/b/c", true),
    ];
    for (pattern, path, expected) in table {
        assert_eq!(matches_deep(pattern, path), Ok(expected), "{pattern} {path}");
    }
}

#[test]
fn ignore_files_exclude_what_buildkit_excludes() {
    let table = [
        ("", "a", false),
        ("a", "a", true),
        ("a", "a/b/c", true),
        ("a", "b/a", false),
        ("a", "ab", false),
        ("/a", "a", true),
        ("a/", "a/b", true),
        ("./a", "a", true),
        ("a/../b", "b", true),
        ("../a", "a", false),
        ("  a  ", "a", true),
        ("# a", "# a", false),
        (" # a", "# a", true),
        ("\u{feff}a", "a", true),
        ("a\r\nb\r\n", "b", true),
        ("*", "a", true),
        ("*", "a/b", true),
        ("*.md", "README.md", true),
        ("*.md", "docs/README.md", false),
        ("*/*.md", "docs/README.md", true),
        ("*/temp*", "a/temporary.txt", true),
        ("*/*/temp*", "a/temporary", false),
        ("temp?", "tempa", true),
        ("temp?", "temp/a", false),
        ("**/*.go", "a.go", true),
        ("**/*.go", "x/y/a.go", true),
        ("**/*.go", "x/y/a.gox", false),
        ("**/a", "a", true),
        ("**/a", "x/a/y", true),
        ("**/a", "xa", false),
        ("**a", "xa", true),
        ("**", "a/b", true),
        ("a/**", "a/b", true),
        ("a/**", "a", false),
        ("a**", "abc/d", true),
        ("a/**/b", "a/b", true),
        ("a/**/b", "a/x/y/b", true),
        ("a/**/b", "a/xb", false),
        ("a/**/b*", "a/x/bc/d", true),
        ("**/x/**/y*", "a/x/yz", true),
        ("[ab].c", "b.c", true),
        ("[^ab].c", "b.c", false),
        (r"a\*", "a*", true),
        (r"a\*", "ab", false),
        ("a.c", "abc", false),
        ("a+(b)|{c}$^", "a+(b)|{c}$^", true),
        ("*.md\n!README.md", "README.md", false),
        ("*.md\n!README.md", "a.md", true),
        ("!README.md\n*.md", "README.md", true),
        ("*.md\n!README*.md\nREADME-secret.md", "README-secret.md", true),
        ("a\n!a/b", "a/b", false),
        ("a\n!a/b", "a/b/c", false),
        ("a\n!a/b", "a/c", true),
        ("*\n! src ", "src/x", false),
        ("**\n!**/*.rs", "a/b.rs", false),
        ("**\n!**/*.rs", "a/b.c", true),
    ];
    for (text, path, expected) in table {
        let ignore = Ignore::parse(text);
        assert_eq!(ignore.bad(), [], "{text:?}");
        assert_eq!(ignore.excludes(path), expected, "{text:?} {path}");
    }
}

#[test]
fn lines_that_are_no_patterns_are_told() {
    let ignore = Ignore::parse("a\n[\n!\n\nb[\n");
    let lines: Vec<u32> = ignore.bad().iter().map(|(line, _)| *line).collect();
    assert_eq!(lines, [2, 3, 5]);
    assert!(ignore.excludes("a") && !ignore.has_exceptions() && !ignore.is_empty());
    assert!(Ignore::parse("a\n!b").has_exceptions());
    assert!(Ignore::parse("# nothing\n\n").is_empty());
    assert!(pattern_matches("*.o", "a.o") && !pattern_matches("[", "["));
}
