//! Several buildpacks: what each finds, what it leaves.

use super::*;

/// Says all that a script can see.
const NOSY: &str = r#"#!/bin/bash
set -e
echo "args $# user $(id -un) cwd $([ "$PWD" = "$1" ] && echo build) home $HOME stack $STACK version ${#SOURCE_VERSION}"
echo "app $(ls -A /app | wc -l) $(touch /app/x && rm /app/x && echo writable) config ${COLOUR-none} git ${GIT_DIR-none}"
[ "$1" != /app ] && [[ "$1" == /tmp/build_* ]] && [ -w "$1" ] && [ -w "$2" ] && [ -d "$3" ]
printf 'two\nlines' | cmp - "$3/LINES"
printf 'blue' | cmp - "$3/COLOUR"
cat <&0 | wc -c
[ -w "$(dirname "$0")/.." ]
"#;

#[test]
fn a_script_finds_what_the_buildpack_api_promises() {
    let app = pack(NOSY);
    write(app.path(), &[("till.toml", "[env]\nCOLOUR = \"blue\"\nLINES = \"two\\nlines\"\nGIT_DIR = \"x\"\n")]);
    let called = build(app.path(), "heroku-nosy").ok();
    let said = called.said().join("\n");
    for part in
        ["args 3 user app cwd build home /app stack heroku-24 version 64", "app 0 writable config none git none"]
    {
        assert!(said.contains(part), "no `{part}` in {said}");
    }
}

#[test]
fn each_is_compiled_with_what_those_before_it_export_and_the_last_one_releases() {
    let app = pack(
        "#!/bin/bash\nset -eu\necho 'set -- x; export A=1; set -eu' > \"$(dirname \"$0\")/../export\"\n\
                    echo first >> $1/order.txt; touch $1/later; mkdir -p $1/.profile.d; echo 'export B=profile; export P=$P-1' > $1/.profile.d/1.sh",
    );
    write(
        app.path(),
        &[
            (".buildpacks", "./pack # the first\ntill/any\r\n\n./last"),
            ("any.txt", ""),
            ("pack/bin/release", "#!/bin/sh\necho nonsense: [\n"),
            ("last/bin/detect", "#!/bin/sh\ntest -f $1/later\n"),
            (
                "last/bin/compile",
                "#!/bin/sh\necho last-$A >> $1/order.txt\necho 'export P=$P-2 A=runtime' > $1/.profile.d/2.sh\n",
            ),
            (
                "last/bin/release",
                "#!/bin/sh\ntest -z \"$A\" || exit 9\nprintf -- '---\\nconfig_vars:\\n  V: var\\ndefault_process_types:\\n  show: cat order.txt; echo $A $B $P $V\\n'\n",
            ),
            ("Procfile", ""),
        ],
    );
    build(app.path(), "heroku-chain").ok();
    let (code, said) = output("heroku-chain", "show");
    assert!(code == 0 && said.contains("first\nany\nlast-1\nruntime profile -1-2 var\n"), "{said}");
}

#[test]
fn the_last_one_that_releases_something_counts_and_an_export_that_ends_the_shell_is_named() {
    let app = pack("#!/bin/bash\ntrue\n");
    let compile = "#!/bin/sh\ntrue\n";
    write(
        app.path(),
        &[
            (".buildpacks", "./pack\n./last\n"),
            ("pack/bin/release", "#!/bin/sh\nprintf 'default_process_types:\\n  show: echo of the first\\n'\n"),
            ("last/bin/detect", "#!/bin/sh\necho Last\n"),
            ("last/bin/compile", compile),
        ],
    );
    build(app.path(), "heroku-releases").ok();
    assert!(output("heroku-releases", "show").1.contains("of the first"));
    write(app.path(), &[("pack/bin/compile", "#!/bin/bash\necho 'exit 3' > \"$(dirname \"$0\")/../export\"\n")]);
    build(app.path(), "heroku-releases")
        .failed(3, &["export, which sets variables for later buildpacks", "exit code 3"]);
}

#[test]
fn whatever_lies_in_the_build_directory_comes_to_lie_in_the_app() {
    let app = pack(
        "#!/bin/bash\nset -e\ncd $1\nmkdir -p .hidden/deep mod/cache; echo h > .hidden/deep/f; ln -s .hidden/deep link; ln -s /nowhere dangling\n\
         echo r > mod/cache/f; chmod 0444 mod/cache/f; chmod 0555 mod/cache mod\nmkdir -p /app/.heroku; ln -s $1/tool /app/.heroku/tool; echo t > tool\n\
         mkdir .heroku; mv tool .heroku/tool\necho 'job: cat link/f mod/cache/f .heroku/tool; stat -c %U . mod; test -w .' > Procfile\n",
    );
    build(app.path(), "heroku-moved").ok();
    let (code, said) = output("heroku-moved", "job");
    assert!(code == 0 && said.contains("h\nr\nt\napp\napp\n"), "{code} {said}");
    let listing = listing("heroku-moved").join("\n");
    assert!(listing.contains("app/dangling -> /nowhere") && !listing.contains("tmp/build_"), "{listing}");
}

#[test]
fn the_first_that_agrees_is_taken_where_nobody_says_which() {
    let app = source(&[("any.txt", ""), ("Procfile", "web: cat order.txt")]);
    let said = build(app.path(), "heroku-first").ok();
    assert!(said.said().contains(&"-----> Anything app detected"), "{}", said.err);
    assert!(output("heroku-first", "web").1.contains("any\n"));
    // Another source, in which nobody finds anything.
    std::fs::remove_file(app.path().join("any.txt")).unwrap();
    build(app.path(), "heroku-first").failed(
        3,
        &[
            "no buildpack matches this source",
            "never (exit code 1): out / wants a file: never.txt",
            "any (exit code 1): it said nothing",
            "step `detect` failed",
        ],
    );
}

#[test]
fn a_cache_is_kept_as_the_last_good_build_left_it() {
    let app = pack(
        "#!/bin/bash\necho \"found $(cat $2/f $2/.hidden/g 2>/dev/null)\"\nmkdir -p $2/.hidden\necho -n $(cat $1/what.txt) > $2/f\necho g > $2/.hidden/g; chmod 0555 $2/.hidden\n[ ! -f $1/fail ]\n",
    );
    let built = |text: &str| {
        write(app.path(), &[("what.txt", text)]);
        build(app.path(), "heroku-cache")
    };
    built("one").ok();
    write(app.path(), &[("fail", "")]);
    let failed = built("two").failed(3, &["failed to compile Mine app"]);
    assert!(failed.said().contains(&"found oneg"), "{}", failed.err);
    std::fs::remove_file(app.path().join("fail")).unwrap();
    assert!(built("three").ok().said().contains(&"found oneg"));
    assert!(built("four").ok().said().contains(&"found threeg"));
}

#[test]
fn a_failing_test_means_no_artifact() {
    let app = pack("#!/bin/sh\n");
    let test = "#!/bin/sh\necho \"tests $1 as $COLOUR of $(cat $2/COLOUR) with $PROFILE $DEV\"; touch /app/left; test ! -f $1/broken\n";
    write(
        app.path(),
        &[
            ("pack/bin/test", test),
            (
                "pack/bin/test-compile",
                "#!/bin/sh\nmkdir -p $1/.profile.d; echo export DEV=dev > $1/.profile.d/dev.sh\n",
            ),
            (".profile", "export PROFILE=profile\n"),
            ("till.toml", "[env]\nCOLOUR = \"blue\"\n"),
            ("app.json", "{\"environments\": {\"test\": {\"env\": {\"COLOUR\": \"red\"}}}}"),
        ],
    );
    let called = build(app.path(), "heroku-tested").ok();
    assert!(called.said().contains(&"tests /app as red of red with profile dev"), "{}", called.err);
    let listing = listing("heroku-tested").join("\n");
    assert!(!listing.contains("app/left") && !listing.contains("dev.sh"), "{listing}");
    write(app.path(), &[("broken", "")]);
    build(app.path(), "heroku-tested").failed(3, &["the test failed (exit code 1)"]);
    write(app.path(), &[("till.toml", "[heroku]\ntest = false\n")]);
    build(app.path(), "heroku-tested").ok();
    // A script of app.json is run in place of the buildpack's.
    let scripts = "{\"environments\": {\"test\": {\"scripts\": {\"test-setup\": \"echo setup\", \"test\": \"echo \\\"script in $PWD\\\"; exit 4\"}}}}";
    write(app.path(), &[("till.toml", ""), ("app.json", scripts)]);
    build(app.path(), "heroku-tested").failed(3, &["setup", "script in /app", "the test failed (exit code 4)"]);
}
