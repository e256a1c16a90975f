//! What makes a layer another one.

use super::*;
use crate::digest::Digest;
use crate::plan::Config;
use crate::plan::{Plan, private_stages, stage_keys};

fn plan(case: &Case) -> Plan {
    Plan { warnings: Vec::new(), ..case.draft().plan("dockerfile", "container") }
}

/// The keys of the layers of the image, the lowest first.
fn keys(case: &Case) -> Vec<Digest> {
    let plan = plan(case);
    let keys = stage_keys(&plan);
    plan.chain(&plan.top).into_iter().map(|number| keys[number].clone().unwrap()).collect()
}

const TEXT: &str = "FROM base AS one\nCOPY f /\nRUN one\nFROM base\nARG a=1\nENV e=1\nRUN first\nCOPY g /\nRUN second\n\
                    COPY --link h /\nCOPY --from=one /f /x\n";

#[test]
fn a_layer_is_another_one_when_what_goes_into_it_changes() {
    let files = ["f=1", "g=1", "h=1", "unused=1"];
    let keys = |text: &str, files: &[&str]| keys(&case(text).files(files));
    let before = keys(TEXT, &files);
    assert_eq!(before.len(), 5);
    // What is written instead, the files, and which layers of RUN, COPY, RUN, COPY --link, COPY --from are others.
    let table: [(&str, &str, &[&str], [bool; 5]); 13] = [
        ("", "", &files, [false; 5]),
        ("RUN first", "# a comment\n\nRUN first", &files, [false; 5]),
        ("FROM base AS one", "FROM base AS zero\nRUN x\nFROM base AS one", &files, [false; 5]),
        ("RUN first", "LABEL a=b\nCMD x\nRUN first", &files, [false; 5]),
        ("RUN first", "RUN first # other", &files, [true, true, true, false, true]),
        ("RUN second", "RUN other", &files, [false, false, true, false, true]),
        ("e=1", "e=2", &files, [true, true, true, false, true]),
        ("a=1", "a=2", &files, [true, true, true, false, true]),
        ("RUN second", "ENV x=y\nRUN second", &files, [false, false, true, false, true]),
        ("RUN one", "RUN other", &files, [false, false, false, false, true]),
        ("", "", &["f=1", "g=2", "h=1"], [false, true, true, false, true]),
        ("", "", &["f=2", "g=1", "h=1"], [false, false, false, false, true]),
        ("", "", &["f=1", "g=1", "h=2"], [false, false, false, true, true]),
    ];
    for (old, new, files, others) in table {
        let text = if old.is_empty() { TEXT.to_owned() } else { TEXT.replace(old, new) };
        let after = keys(&text, files);
        let found: Vec<_> = after.iter().zip(&before).map(|(after, before)| after != before).collect();
        assert_eq!(found, others, "{old} -> {new} {files:?}");
    }
}

#[test]
fn another_image_below_makes_all_others_but_what_is_linked() {
    let mut other = case(TEXT).files(&["f=1", "g=1", "h=1"]);
    let before = keys(&other);
    other.known.images.insert("base".to_owned(), KnownImage { digest: image("new"), config: Config::default() });
    let found: Vec<_> = keys(&other).iter().zip(&before).map(|(after, before)| after != before).collect();
    assert_eq!(found, [true, true, true, false, true]);
}

#[test]
fn what_a_cache_goes_into_is_one_apps_own() {
    let text = "FROM base AS one\nRUN --mount=type=cache,target=/c x\nFROM base\nRUN a\nCOPY --from=one /x /\nCOPY --link f /\nRUN b\n";
    let plan = plan(&case(text).files(&["f"]));
    let private = private_stages(&plan);
    let of = |name: &str| private[plan.stages.iter().position(|stage| stage.name.ends_with(name)).unwrap()];
    assert_eq!([of("RUN a"), of(" x"), of("f /"), of("RUN b")], [false, true, false, true]);
}
