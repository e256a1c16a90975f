//! Tables: a Dockerfile, and the stages that it becomes.

mod copying;
mod keys;
mod mounts;
mod values;

use super::*;
use crate::digest::Digest;
use crate::dockerfile::ignore::Ignore;
use crate::model::source::{FileKind, SourceFile};
use crate::plan::Config;
use crate::plan::{Deed, Injection, Landing, Mounted, NamedFile, Place, Selection, Sight, Step, StepMount, TreeFiles};

/// A Dockerfile and all that is known beside it.
struct Case {
    text: String,
    target: Option<&'static str>,
    args: BTreeMap<String, String>,
    files: Vec<SourceFile>,
    links: BTreeMap<String, String>,
    ignore: &'static str,
    known: Known,
}

/// A Dockerfile with the image `base` known, which says nothing of itself.
fn case(text: &str) -> Case {
    let case = Case {
        text: text.to_owned(),
        target: None,
        args: BTreeMap::new(),
        files: Vec::new(),
        links: BTreeMap::new(),
        ignore: "",
        known: Known::default(),
    };
    case.image("base", Config::default())
}

impl Case {
    fn image(mut self, name: &str, config: Config) -> Self {
        self.known.images.insert(name.to_owned(), KnownImage { digest: image(name), config });
        self
    }

    fn remote(mut self, url: &str, name: &str, time: Option<u64>) -> Self {
        let known = KnownRemote { digest: Digest::of(url.as_bytes()), name: name.to_owned(), time };
        self.known.remotes.insert(url.to_owned(), known);
        self
    }

    fn arg(mut self, name: &str, value: &str) -> Self {
        self.args.insert(name.to_owned(), value.to_owned());
        self
    }

    fn target(self, target: &'static str) -> Self {
        Self { target: Some(target), ..self }
    }

    fn ignore(self, ignore: &'static str) -> Self {
        Self { ignore, ..self }
    }

    /// Files of the source; `a -> b` is a symlink, and `a=b` a file with that content.
    fn files(mut self, files: &[&str]) -> Self {
        for file in files {
            let (path, kind, content) = match (file.split_once(" -> "), file.split_once('=')) {
                (Some((path, to)), _) => {
                    self.links.insert(path.to_owned(), to.to_owned());
                    (path, FileKind::Symlink, to)
                }
                (None, Some((path, content))) => (path, FileKind::File, content),
                (None, None) => (*file, FileKind::File, ""),
            };
            self.files.push(SourceFile { path: path.to_owned(), kind, content: content.to_owned() });
        }
        self
    }

    fn outcome(&self) -> Result<Outcome, BadDockerfile> {
        let dockerfile = super::super::parse(self.text.as_bytes())?;
        let context = Context::new(&self.files, &self.links, &Ignore::parse(self.ignore));
        draft(&Ask {
            dockerfile: &dockerfile,
            target: self.target,
            args: &self.args,
            context: &context,
            epoch: 7,
            architecture: "amd64",
            known: &self.known,
        })
    }

    #[track_caller]
    fn draft(&self) -> Draft {
        match self.outcome() {
            Ok(Outcome::Draft(draft)) => *draft,
            other => panic!("{}\n{other:?}", self.text),
        }
    }

    #[track_caller]
    fn needs(&self) -> Vec<Need> {
        match self.outcome() {
            Ok(Outcome::Needs(needs)) => needs,
            other => panic!("{}\n{other:?}", self.text),
        }
    }

    /// `line 2: what (hint)`.
    #[track_caller]
    fn error(&self) -> String {
        match self.outcome() {
            Err(error) => match &error.hint {
                Some(hint) => format!("{error} ({hint})"),
                None => error.to_string(),
            },
            other => panic!("{}\n{other:?}", self.text),
        }
    }

    #[track_caller]
    fn config(&self) -> Config {
        self.draft().image.config
    }

    /// The last step.
    #[track_caller]
    fn step(&self) -> Step {
        let draft = self.draft();
        let deeds = draft.stages.iter().flat_map(|stage| &stage.deeds);
        let steps = deeds.filter_map(|deed| if let Deed::Run(step) = deed { Some(step.clone()) } else { None });
        steps.collect::<Vec<_>>().pop().unwrap()
    }
}

fn image(name: &str) -> ManifestDigest {
    ManifestDigest(Digest::of(name.as_bytes()))
}

fn strings(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

/// Layers that an image has beyond its base, and what its history says of them: as many.
#[track_caller]
fn layers(draft: &Draft) -> usize {
    let mut here = &draft.top;
    let mut count = 0;
    while let Footing::Stage(number) = here {
        count += 1;
        here = &draft.stages[*number].on;
    }
    assert_eq!(draft.image.history.iter().filter(|record| record.layer).count(), count, "{draft:#?}");
    count
}

#[test]
fn a_from_is_a_stage_or_scratch_or_an_image() {
    let draft = case("FROM scratch\nCOPY a /\n").files(&["a"]).draft();
    assert_eq!(draft.stages[0].on, Footing::Nothing);
    assert!(draft.images.is_empty());
    let draft = case("FROM base AS One\nENV a=b\nRUN x\nFROM oNe\nRUN y\n").draft();
    assert_eq!((&draft.stages[0].on, &draft.stages[1].on), (&Footing::Image(image("base")), &Footing::Stage(0)));
    assert_eq!(draft.image.config.variable("a"), Some("b"));
    assert_eq!(layers(&draft), 2);
    assert_eq!(draft.images, BTreeMap::from([("base".to_owned(), image("base"))]));
    // An image itself, with nothing upon it.
    assert_eq!(case("FROM base\nCMD a\n").draft().top, Footing::Image(image("base")));
    let draft = case("ARG a=ba\nARG b=${a}se\nFROM ${b:-x}\n").draft();
    assert_eq!(draft.top, Footing::Image(image("base")));
    let other = case("ARG a=ba\nFROM ${a}se\n").arg("a", "other").image("otherse", Config::default()).draft();
    assert_eq!(other.top, Footing::Image(image("otherse")));
    assert_eq!(case("FROM $nothing\n").error(), "line 1: FROM $nothing: the name of the image is empty");
}

#[test]
fn what_is_not_known_is_asked_for_all_at_once_where_it_can_be() {
    assert_eq!(case("FROM nothing\n").needs(), [Need::Image("nothing".to_owned())]);
    let text = "FROM base\nCOPY --from=one /a /\nRUN --mount=from=two,target=/m x\nADD https://x.y/z /\n";
    let url = "https://x.y/z".to_owned();
    let all = [Need::Image("one".to_owned()), Need::Image("two".to_owned()), Need::Remote { url, checksum: None }];
    assert_eq!(case(text).needs(), all);
    // Those of stages that are not needed are not.
    assert!(case("FROM nothing AS a\nFROM base\n").outcome().is_ok());
}

#[test]
fn only_needed_stages_are_planned() {
    let text = "FROM base AS a\nRUN a\nFROM base AS b\nRUN b\nFROM base AS c\nRUN c\nCOPY --from=a /x /\n";
    let names = |case: Case| -> Vec<String> { case.draft().stages.into_iter().map(|stage| stage.name).collect() };
    assert_eq!(names(case(text)), ["6: RUN c", "2: RUN a", "7: COPY --from=a /x /"]);
    for target in ["b", "B", "1"] {
        assert_eq!(names(case(text).target(target)), ["4: RUN b"]);
    }
    assert_eq!(names(case(text).target("0")), ["2: RUN a"]);
    let error = case(text).target("d").error();
    assert!(error.starts_with("line 1: there is no stage `d` (it has: "), "{error}");
    case(text).target("3").error();
}

#[test]
fn triggers_of_a_base_run_and_vanish() {
    let base = Config { on_build: strings(&["ENV a=$b", "COPY . /app", "RUN make"]), ..Config::default() };
    let with = || case("FROM base\nENV b=x\nRUN last\n").files(&["f"]).image("base", base.clone());
    let draft = with().draft();
    assert!(draft.image.config.on_build.is_empty());
    assert_eq!(draft.image.config.variable("a"), Some(""));
    let names: Vec<_> = draft.stages.iter().map(|stage| stage.name.as_str()).collect();
    assert_eq!(names, ["1: COPY . /app", "1: RUN make", "3: RUN last"]);
    assert_eq!(layers(&draft), 3);
    // A stage FROM that stage does not run them again; its own become the image's.
    let text = "FROM base AS a\nONBUILD RUN mine\nFROM a AS b\nFROM b\n";
    let draft = case(text).files(&["f"]).image("base", base.clone()).target("a").draft();
    assert_eq!(draft.image.config.on_build, ["RUN mine"]);
    let draft = case(text).files(&["f"]).image("base", base.clone()).draft();
    assert!(draft.image.config.on_build.is_empty());
    assert_eq!(draft.stages.iter().filter(|stage| stage.name.ends_with("RUN mine")).count(), 1);
    let wrong = Config { on_build: strings(&["RUNN x"]), ..Config::default() };
    let error = case("\nFROM base\n").image("base", wrong).error();
    assert!(error.starts_with("line 2: the base's trigger `ONBUILD RUNN x`: "), "{error}");
    let missing = Config { on_build: strings(&["COPY needed /"]), ..Config::default() };
    assert_eq!(case("FROM base\n").image("base", missing).error(), "line 1: there is no `needed` in the source");
}

#[test]
fn history_says_as_many_layers_as_there_are() {
    let table = [
        ("RUN a", 1),
        ("WORKDIR /a\nRUN b", 1),
        ("WORKDIR /a\nWORKDIR b\nENV x=y", 1),
        ("WORKDIR /a\nCOPY --link f /\nWORKDIR /b", 3),
        ("WORKDIR /", 0),
        ("COPY f g /\nADD f g /\nCOPY <<a <<b /\na\nb\n", 3),
        ("ENV a=b\nLABEL a=b\nUSER x\nEXPOSE 80\nVOLUME /v\nCMD x\nARG z", 0),
    ];
    for (text, count) in table {
        let draft = case(&format!("FROM base AS a\nRUN first\nFROM a\n{text}\n")).files(&["f", "g"]).draft();
        assert_eq!(layers(&draft), count + 1, "{text}");
    }
}

#[test]
fn workdir_is_relative_to_the_one_before_and_made_with_the_next_layer() {
    let draft = case("FROM base\nWORKDIR /a\nARG c=d\nWORKDIR b/../$c\nRUN pwd\n").draft();
    assert_eq!((draft.image.config.dir.as_str(), draft.stages.len()), ("/a/d", 1));
    let dirs: Vec<_> = draft.stages[0].deeds.iter().map(place).collect();
    assert_eq!(dirs, [Some("/a"), Some("/a/d"), None]);
    let base = Config { dir: "/srv".to_owned(), ..Config::default() };
    assert_eq!(case("FROM base\nWORKDIR x\n").image("base", base).config().dir, "/srv/x");
    assert_eq!(case("FROM base\nWORKDIR ../../x\n").config().dir, "/x");
}

fn place(deed: &Deed) -> Option<&str> {
    match deed {
        Deed::Inject(Injection { place: Place::Dir(dir), .. }) => Some(dir),
        _ => None,
    }
}
