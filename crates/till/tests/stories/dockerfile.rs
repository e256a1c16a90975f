//! Dockerfiles: as an app's own, and as the recipe of a base.

use std::process::Command;

use serde_json::{Value, json};

use crate::support::*;

/// Something of everything.
const RICH: &str = r#"# syntax=docker/dockerfile:1
ARG BASE=debian
FROM ${BASE} AS build
USER root
WORKDIR /src
COPY needs.txt .
RUN --mount=type=cache,target=/cache,sharing=locked \
    --mount=type=cache,target=/other,id=/cache,sharing=locked \
    cat needs.txt >> /cache/seen && cmp /cache/seen /other/seen && cp needs.txt needs.out
COPY src/ .
RUN --mount=type=bind,source=bound,target=/bound \
    --mount=type=tmpfs,target=/fast,size=1m \
    --mount=type=secret,id=token \
    --mount=type=secret,id=token,env=TOKEN \
    --mount=type=secret,id=missing <<E
set -e
test "$(cat /bound/a)" = bound
! touch /bound/b 2>/dev/null
echo x > /fast/x
test "$(cat /run/secrets/token)" = "$TOKEN"
test "$(stat -c %a:%u /run/secrets/token)" = 400:0
test ! -e /run/secrets/missing
cat needs.out main.txt > out.txt
E
RUN <<'E'
#!/usr/bin/perl
open(my $f, '>', '/src/perl.txt'); print $f "perl\n";
E

FROM debian
ARG greeting=hello
ENV SAID="${greeting} there"
USER root
WORKDIR /srv/app
COPY --from=build --chown=app:app --chmod=0640 /src/out.txt /src/perl.txt made/
COPY --link --chmod=755 server.pl /srv/app/
COPY <<answer.sh <<"quoted" ./
echo "$SAID" \$1; cat made/*.txt; cat quoted; stat -c '%a %U:%G' made/out.txt server.pl made
answer.sh
$SAID
quoted
RUN --network=none printf '%s\n' "$greeting" > greeting
EXPOSE 8123
LABEL stage="last one"
STOPSIGNAL SIGTERM
ENV PORT=8123
ENTRYPOINT ["perl"]
CMD ["/srv/app/server.pl"]
"#;

const SECRET: &str = "hunter2-is-no-word-that-anyone-writes";

fn rich() -> tempfile::TempDir {
    base("debian");
    source(&[
        ("Dockerfile", RICH),
        (".dockerignore", "*.md\n"),
        ("notes.md", "left out"),
        ("needs.txt", "needed\n"),
        ("src/main.txt", "main\n"),
        ("bound/a", "bound"),
        ("server.pl", SERVER),
    ])
}

/// Builds with the secret; the JSON answer.
#[track_caller]
fn made(app: &tempfile::TempDir, name: &str, more: &[&str]) -> Value {
    let keys = source(&[("token", SECRET)]);
    let secret = format!("id=token,src={}", keys.path().join("token").display());
    built(app.path(), &[&["--name", name, "--secret", &secret], more].concat())
}

/// The lines whose layer was made and not taken.
fn anew(built: &Value) -> Vec<u64> {
    let steps = built["steps"].as_array().unwrap().iter();
    let mut lines: Vec<_> = steps
        .filter(|step| step["reused"] == false)
        .filter_map(|step| step["name"].as_str().unwrap().split_once(':')?.0.parse().ok())
        .collect();
    lines.sort_unstable();
    lines.dedup();
    lines
}

/// What an artifact says when it is run to its end.
fn said(name: &str) -> String {
    till(&["run", name]).ok().err
}

#[test]
fn a_dockerfile_of_several_stages_is_built_and_answers() {
    let app = rich();
    made(&app, "dockerfile-rich", &[]);
    let served = Served::new(&["dockerfile-rich"]);
    let answer = served.get("/x");
    let body = answer.split("\r\n\r\n").nth(1).unwrap();
    let wanted = "hello there /x\nneeded\nmain\nperl\n$SAID\n640 app:app\n755 root:root\n640 app:app\n";
    assert_eq!(body, wanted, "{answer}");
}

#[test]
fn only_what_depends_on_a_change_is_made_anew() {
    let app = rich();
    let name = "dockerfile-again";
    made(&app, name, &["--afresh"]);
    let again = made(&app, name, &[]);
    assert_eq!(again["reused"], true, "{again}");
    // A file that nobody copies makes another plan of the same layers.
    write(app.path(), &[("unrelated.txt", "x")]);
    let built = made(&app, name, &[]);
    assert_eq!(anew(&built), [0; 0], "{built}");
    // Never built before, whatever other runs of this story left in the shared data.
    let other = format!("other {}\n", unique(1));
    write(app.path(), &[("src/main.txt", &other)]);
    let built = made(&app, name, &[]);
    assert!(!anew(&built).contains(&7) && anew(&built).contains(&11), "{built}");
    assert!(Served::new(&[name]).get("/").contains(&other));
    // A change that comes to the same result stops there.
    let text = RICH.replace("cat needs.out main.txt > out.txt", "cat needs.out main.txt > out.txt # the same");
    write(app.path(), &[("Dockerfile", &text)]);
    let built = made(&app, name, &[]);
    assert!(anew(&built).iter().all(|line| *line < 30), "{built}");
    let built = made(&app, name, &["--build-arg", "greeting=bye"]);
    assert!(Served::new(&[name]).get("/").contains("bye there"), "{built}");
}

#[test]
fn what_lies_upon_a_linked_layer_sees_what_is_below_it() {
    base("debian");
    let text = "FROM debian\nUSER root\nRUN echo one > /below\nCOPY --link f /linked\nRUN cp /below /above\n\
                CMD [\"cat\", \"/above\"]\n";
    let app = source(&[("Dockerfile", text), ("f", "f")]);
    for word in ["one", "two"] {
        write(app.path(), &[("Dockerfile", &text.replace("one", word))]);
        built(app.path(), &["--name", "dockerfile-link"]);
        assert!(said("dockerfile-link").contains(word), "{word}");
    }
}

#[test]
fn layers_may_be_many_and_the_same_one_may_come_twice() {
    base("debian");
    let copies: String = (0..100).map(|number| format!("COPY said /of/{number}\n")).collect();
    let text = format!(
        "FROM debian\nUSER root\nRUN true\nRUN true \nRUN :\nCOPY said /twice\nCOPY said /twice\n{copies}\
         RUN test $(ls /of | wc -l) = 100 && cp /twice /said\nCMD [\"cat\", \"/said\"]\n"
    );
    let app = source(&[("Dockerfile", &text), ("said", "all there\n")]);
    built(app.path(), &["--name", "dockerfile-layers"]);
    assert!(said("dockerfile-layers").contains("all there"));
}

#[test]
fn copies_keep_what_files_are_to_each_other_and_follow_links_to_what_is_not_there() {
    base("debian");
    let text = r#"FROM debian AS build
USER root
RUN mkdir -p /some /linked && touch /some/inner /outer && echo x > /linked/a && ln /linked/a /linked/b
FROM debian
USER root
COPY --from=build /outer /some /new/
COPY --from=build /linked /linked
RUN ln -s /srv/releases/v2 /current && ln -s /opt/app /work
COPY said /current/
WORKDIR /work
RUN test -e /new/outer && test -e /new/inner && test /linked/a -ef /linked/b && test $(pwd -P) = /opt/app \
    && cp -P /current /kept && test -L /kept && test -L /work
CMD ["cat", "/srv/releases/v2/said"]
"#;
    let app = source(&[("Dockerfile", text), ("said", "followed\n")]);
    built(app.path(), &["--name", "dockerfile-links"]);
    assert!(said("dockerfile-links").contains("followed"));
}

#[test]
fn a_step_that_fails_says_its_line_and_its_log() {
    base("debian");
    let text = "FROM debian\nUSER root\nRUN echo fine\n\nRUN echo before && false\n";
    let app = source(&[("Dockerfile", text)]);
    let failed = till(&["build", app.path().to_str().unwrap(), "--name", "dockerfile-fails", "--json"]);
    let failed = failed.failed(3, &["5: RUN echo before && false", "before"]);
    let error = &failed.json()["error"];
    assert_eq!(error["fault"], "source");
    assert!(error["message"].as_str().unwrap().contains("5: RUN echo before && false"), "{error}");
    assert!(error["hint"].as_str().unwrap().contains(".log"), "{error}");
    for (line, code, words) in [
        ("COPY nothing /", 3, "Dockerfile:2: there is no `nothing` in the source"),
        ("RUN --mount=type=secret,id=key,required x", 6, "--secret id=key,src=FILE"),
        (
            "COPY --from=debian /nothing /",
            3,
            "`2: COPY --from=debian /nothing /` cannot be carried out: there is no `/nothing`",
        ),
        ("USER nobody-knows\nRUN true", 3, "`3: RUN true` cannot be carried out: the image has no user `nobody-knows`"),
        ("COPY --chown=nobody-knows . /x", 3, "`2: COPY --chown=nobody-knows . /x` cannot be carried out"),
        ("RUN [\"/nope\"]", 3, "step `2: RUN [\"/nope\"]` cannot be started"),
        ("USER root\nRUN touch /file\nWORKDIR /file/x\nRUN true", 3, "cannot be carried out: `/file/x` is not a place"),
        ("USER root\nRUN touch /file\nCOPY . /file/x", 3, "`4: COPY . /file/x` cannot be carried out"),
    ] {
        write(app.path(), &[("Dockerfile", &format!("FROM debian\n{line}\n"))]);
        let failed = till(&["build", app.path().to_str().unwrap(), "--name", "dockerfile-fails"]);
        let failed = failed.failed(code, &[words]);
        assert!(!failed.err.contains("recipe"), "{}", failed.err);
    }
}

#[test]
fn what_is_not_supported_is_said_before_anything_is_done() {
    base("debian");
    for (line, words) in [
        ("RUN --mount=type=ssh x", "Dockerfile:3: mounts of type `ssh` are not supported"),
        ("RUN --security=insecure x", "Dockerfile:3: RUN --security"),
        ("RUNN x", "Dockerfile:3: there is no instruction `RUNN`"),
        ("COPY --from=$x a b", "Dockerfile:3: variables are not put into a `from`"),
        ("RUN --mount=type=cache,target=/a,from=x y", "Dockerfile:3: "),
        ("ADD https://example.org/a.git /", "Dockerfile:3: ADD https://example.org/a.git"),
    ] {
        let app = source(&[("Dockerfile", &format!("FROM debian\nRUN sleep infinity\n{line}\n"))]);
        till(&["build", app.path().to_str().unwrap(), "--name", "dockerfile-refused"]).failed(3, &[words]);
    }
}

/// The files below that hold this text.
fn holding(folder: &std::path::Path, text: &str) -> String {
    let found = Command::new("grep").args(["-rlaF", "--devices=skip", text]).arg(folder).output().unwrap();
    String::from_utf8_lossy(&found.stdout).into_owned()
}

#[test]
fn a_secret_is_nowhere_when_the_build_is_done() {
    let app = rich();
    // One of its own: other builds may be under way with theirs.
    let secret = format!("{SECRET}-{}", std::process::id());
    let keys = source(&[("token", &secret)]);
    let given = format!("id=token,src={}", keys.path().join("token").display());
    built(app.path(), &["--name", "dockerfile-secret", "--secret", &given, "--afresh"]);
    let folder = tempfile::tempdir().unwrap();
    let layout = folder.path().join("layout");
    till(&["artifact", "export", "dockerfile-secret", &format!("oci:{}", layout.display())]).ok();
    let unpacked = folder.path().join("unpacked");
    let image = format!("{}:latest", layout.display());
    let unpacking = Command::new("umoci").args(["unpack", "--image", &image]).arg(&unpacked).output().unwrap();
    assert!(unpacking.status.success(), "{unpacking:?}");
    assert_eq!(holding(&unpacked, &secret), "");
    assert!(!unpacked.join("rootfs/run/secrets").exists());
    let plan = till(&["plan", app.path().to_str().unwrap(), "--secret", &given, "--json"]).ok().out;
    assert!(!plan.contains(&secret));
    // Not in logs, the ledger, staging, nor the trees of layers.
    assert_eq!(holding(&shared_data(), &secret), "");
}

#[test]
fn the_image_says_what_the_dockerfile_says() {
    let app = rich();
    made(&app, "dockerfile-config", &[]);
    let folder = tempfile::tempdir().unwrap();
    let layout = format!("oci:{}", folder.path().join("layout").display());
    till(&["artifact", "export", "dockerfile-config", &layout]).ok();
    let output = Command::new("skopeo").args(["inspect", "--config", &format!("{layout}:latest")]).output().unwrap();
    let config: Value = serde_json::from_slice(&output.stdout).unwrap();
    let image = &config["config"];
    let env: Vec<_> = image["Env"].as_array().unwrap().iter().map(|pair| pair.as_str().unwrap()).collect();
    assert!(env.contains(&"SAID=hello there") && env.contains(&"PORT=8123"), "{env:?}");
    assert!(env.iter().any(|pair| pair.starts_with("PATH=")) && !env.iter().any(|pair| pair.starts_with("greeting=")));
    for (key, wanted) in [
        ("User", json!("root")),
        ("WorkingDir", json!("/srv/app")),
        ("Entrypoint", json!(["perl"])),
        ("Cmd", json!(["/srv/app/server.pl"])),
        ("ExposedPorts", json!({"8123/tcp": {}})),
        ("StopSignal", json!("SIGTERM")),
        ("OnBuild", Value::Null),
        ("Volumes", Value::Null),
    ] {
        assert_eq!(image[key], wanted, "{key} of {image:#}");
    }
    assert_eq!(image["Labels"]["stage"], "last one");
    let history = config["history"].as_array().unwrap();
    let layers = history.iter().filter(|entry| entry["empty_layer"] != true).count();
    assert_eq!(layers, config["rootfs"]["diff_ids"].as_array().unwrap().len());
    let last: Vec<_> = history.iter().rev().take(3).map(|entry| entry["created_by"].as_str().unwrap()).collect();
    assert_eq!(last, ["CMD [\"/srv/app/server.pl\"]", "ENTRYPOINT [\"perl\"]", "ENV PORT=8123"]);
}

#[test]
fn a_base_may_be_made_by_a_dockerfile_and_apps_upon_it() {
    base("debian");
    let spec = "name = \"dockerfile-base\"\ndescription = \"d\"\nowner = \"o\"\n[recipe]\nkind = \"dockerfile\"\n\
                args = { WHO = \"the base\" }\n[contract]\nkind = \"dockerfile\"\n";
    let text = "FROM debian\nARG WHO\nUSER root\nRUN echo \"made for $WHO\" > /etc/who\nCOPY server.pl /srv/\n\
                WORKDIR /srv\nENV PORT=8181\nEXPOSE 8181\nONBUILD COPY answer.sh /srv/answer.sh\n\
                ONBUILD RUN echo triggered > /etc/triggered\nCMD [\"perl\", \"server.pl\"]\n";
    let folder = source(&[("base.toml", spec), ("Dockerfile", text), ("server.pl", SERVER)]);
    till(&["base", "build", folder.path().to_str().unwrap()]).ok();
    let answer = "cat /etc/who /etc/triggered\n";
    let app = source(&[("Dockerfile", "FROM dockerfile-base\nLABEL of=app\n"), ("answer.sh", answer)]);
    built(app.path(), &["--name", "dockerfile-app"]);
    let by_contract = built(app.path(), &["--name", "dockerfile-app-2", "--base", "dockerfile-base"]);
    assert!(by_contract["base"].as_str().unwrap().starts_with("dockerfile-base@"), "{by_contract}");
    for name in ["dockerfile-app", "dockerfile-app-2"] {
        let served = Served::new(&[name]);
        assert!(served.get("/").ends_with("made for the base\ntriggered\n"), "{}", served.get("/"));
    }
}

#[test]
fn target_file_and_arguments_are_chosen_in_till_toml_or_by_the_caller() {
    base("debian");
    let text = "FROM debian AS one\nARG v=default\nUSER root\nRUN echo \"one $v\" > /said\nCMD [\"cat\", \"/said\"]\n\
                FROM one\nRUN echo two >> /said\n";
    let choice = "[dockerfile]\nfile = \"build/app.Dockerfile\"\ntarget = \"one\"\nargs = { v = \"toml\" }\n";
    let app = source(&[("build/app.Dockerfile", text), ("till.toml", choice)]);
    let name = "dockerfile-choice";
    built(app.path(), &["--name", name]);
    let first = said(name);
    assert!(first.contains("one toml") && !first.contains("two"), "{first}");
    built(app.path(), &["--name", name, "--target", "1", "--build-arg", "v=caller"]);
    let second = said(name);
    assert!(second.contains("one caller") && second.contains("two"), "{second}");
    let told: Value = serde_json::from_str(&till(&["provenance", name]).ok().out).unwrap();
    assert_eq!(
        told["predicate"]["buildDefinition"]["externalParameters"]["dockerfile"],
        json!({ "file": "build/app.Dockerfile", "target": "1", "arguments": ["v"] })
    );
}
