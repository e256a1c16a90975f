//! apt's words: how it is asked which packages a wish comes to (apt-get(8)), and what its answers say.

use std::collections::BTreeMap;

use super::Suite;
use crate::words::percent_decoded;

/// The questions, in their order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Questions {
    /// Gets the lists of packages.
    pub update: Vec<String>,
    /// Which would be installed.
    pub simulate: Vec<String>,
    /// Where each of them is.
    pub addresses: Vec<String>,
    /// Gets them.
    pub download: Vec<String>,
}

/// The questions about these packages. `options` say where apt keeps what (apt.conf(5)); packages are kept in `archives`.
pub fn questions(options: &[String], archives: &str, names: &[String], recommends: bool) -> Questions {
    let common = ["apt-get", "-q", "-o", "Dpkg::Use-Pty=0", "-o", "APT::Sandbox::User=root"].map(str::to_owned);
    let ask = |more: &[&str]| -> Vec<String> {
        common.iter().chain(options).cloned().chain(more.iter().map(|word| (*word).to_owned())).collect()
    };
    let install = |archives: &str, verb: &[&str]| {
        let recommends = if recommends { "--install-recommends" } else { "--no-install-recommends" };
        let mut words = ask(&["-o", &format!("Dir::Cache::archives={archives}"), "install", "--yes", recommends]);
        words.extend(verb.iter().map(|word| (*word).to_owned()));
        words.push("--".to_owned());
        words.extend(names.iter().cloned());
        words
    };
    Questions {
        // A mirror that cannot be reached is an error, not a reason to take what it said some other day.
        update: ask(&["-o", "APT::Update::Error-Mode=any", "update"]),
        simulate: install(archives, &["--simulate"]),
        // Of what is there already it would say nothing, so it is shown a place where nothing is.
        addresses: install("/nonexistent", &["--print-uris"]),
        download: install(archives, &["--download-only"]),
    }
}

/// apt's settings for keeping what it gets below a folder, which has `lists/partial`, `archives/partial` and `cache`.
pub fn kept_in(root: &str) -> Vec<String> {
    let settings = [
        format!("Dir::State::Lists={root}/lists"),
        format!("Dir::Cache={root}/cache"),
        // Images for containers turn these off to stay small; here they are of use, and in no image.
        "Dir::Cache::pkgcache=pkgcache.bin".to_owned(),
        "Dir::Cache::srcpkgcache=srcpkgcache.bin".to_owned(),
        "Acquire::GzipIndexes=false".to_owned(),
        "Acquire::Languages=none".to_owned(),
        "APT::Default-Release=".to_owned(),
    ];
    settings.into_iter().flat_map(|setting| ["-o".to_owned(), setting]).collect()
}

/// A package that would be installed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chosen {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// Its architecture.
    pub architecture: String,
    /// Does it come from an archive for security updates?
    pub security: bool,
}

impl Chosen {
    /// What apt calls the file that it downloads (`URItoFileName` and `QuoteString` in apt-pkg).
    pub fn file(&self) -> String {
        let quoted = self.version.replace('%', "%25").replace('_', "%5f").replace(':', "%3a");
        format!("{}_{quoted}_{}.deb", self.name, self.architecture)
    }
}

/// What would be installed: lines `Inst NAME [OLD] (VERSION ARCHIVE:RELEASE/SUITE, … [ARCHITECTURE])`.
pub fn chosen(simulation: &str) -> Vec<Chosen> {
    simulation.lines().filter_map(inst).collect()
}

fn inst(line: &str) -> Option<Chosen> {
    let rest = line.strip_prefix("Inst ")?;
    let (name, rest) = rest.split_once(' ')?;
    let (_, rest) = rest.split_once('(')?;
    let (inside, _) = rest.split_once(')')?;
    let (version, rest) = inside.split_once(' ')?;
    let (origins, architecture) = rest.rsplit_once('[')?;
    let (name, architecture) = (name.split(':').next().unwrap_or(name), architecture.trim_end_matches(']'));
    // They become the name of a file; and a base may be anyone's.
    let plain =
        |word: &str| !word.is_empty() && word.bytes().all(|b| b.is_ascii_alphanumeric() || b"+-.:~_%".contains(&b));
    if ![name, version, architecture].into_iter().all(plain) {
        return None;
    }
    Some(Chosen {
        name: name.to_owned(),
        version: version.to_owned(),
        architecture: architecture.to_owned(),
        security: origins.split(',').any(|origin| {
            let (label, suite) = origin.trim().split_once(':').unwrap_or((origin, ""));
            label.to_lowercase().ends_with("security") || suite.trim().ends_with("-security")
        }),
    })
}

/// Where mirrors have each file, from their root: lines `'ADDRESS' FILE SIZE HASH`.
pub fn places(addresses: &str) -> BTreeMap<String, String> {
    let place = |line: &str| {
        let (address, rest) = line.strip_prefix('\'')?.split_once('\'')?;
        let file = rest.split_whitespace().next()?;
        let (_, path) = address.split_once("/pool/")?;
        Some((file.to_owned(), format!("pool/{}", percent_decoded(path))))
    };
    addresses.lines().filter_map(place).collect()
}

/// What a Release file says: `path` is apt's name of the list, which holds the suite's name in its archive.
pub fn suite(path: &str, text: &str) -> Option<Suite> {
    let field =
        |name: &str| text.lines().find_map(|line| Some(line.strip_prefix(name)?.strip_prefix(':')?.trim().to_owned()));
    let name = match path.split_once("_dists_") {
        Some((_, rest)) => rest.rsplit_once('_').map_or(rest, |(name, _)| name).replace('_', "/"),
        None => field("Codename").or_else(|| field("Suite"))?,
    };
    Some(Suite { name, date: field("Date")? })
}

/// The packages that an index of a mirror has, each by its sum: its place, and whether the index is one for security
/// updates. `name` is apt's name of the index, `lines` are its text.
pub fn indexed(name: &str, lines: impl Iterator<Item = String>, mut found: impl FnMut(&str, String, bool)) {
    let suite = name.split_once("_dists_").map_or("", |(_, rest)| rest);
    let security = suite.split('_').next().is_some_and(|suite| suite.ends_with("-security"));
    let mut place = None;
    let mut sum = None;
    for line in lines.chain([String::new()]) {
        if let Some(value) = line.strip_prefix("Filename: ") {
            place = Some(value.trim().trim_start_matches("./").to_owned());
        } else if let Some(value) = line.strip_prefix("SHA256: ") {
            sum = Some(value.trim().to_owned());
        } else if line.trim().is_empty()
            && let (Some(place), Some(sum)) = (place.take(), sum.take())
        {
            found(&sum, place, security);
        }
    }
}

/// Is it the network's doing, and not the recipe's, that apt failed?
pub fn blames_network(said: &str) -> bool {
    [
        "Failed to fetch",
        "Could not resolve",
        "Temporary failure resolving",
        "Could not connect",
        "Some index files failed",
        "Could not get lock",
    ]
    .iter()
    .any(|part| said.contains(part))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_would_be_installed_is_read() {
        let simulation = "Reading package lists...\n\
            Inst libssl3 (3.0.17-1~deb12u2 Debian-Security:12/oldstable-security [amd64])\n\
            Inst perl-base [5.36.0-7] (5.36.0-7+deb12u3 Debian:12.12/oldstable, Debian-Security:12/oldstable-security [amd64]) []\n\
            Inst libx:amd64 (1:2.3_4 Debian:12.12/oldstable [amd64])\n\
            Inst tool (0.1 local [all])\n\
            Inst ../../x (1 Debian:12/x [amd64])\n\
            Conf libssl3 (3.0.17-1~deb12u2 Debian-Security:12/oldstable-security [amd64])\n";
        let found: Vec<_> = chosen(simulation)
            .into_iter()
            .map(|chosen| (chosen.file(), chosen.name, chosen.version, chosen.security))
            .collect();
        let owned = |file: &str, name: &str, version: &str, security| {
            (file.to_owned(), name.to_owned(), version.to_owned(), security)
        };
        assert_eq!(
            found,
            [
                owned("libssl3_3.0.17-1~deb12u2_amd64.deb", "libssl3", "3.0.17-1~deb12u2", true),
                owned("perl-base_5.36.0-7+deb12u3_amd64.deb", "perl-base", "5.36.0-7+deb12u3", true),
                owned("libx_1%3a2.3%5f4_amd64.deb", "libx", "1:2.3_4", false),
                owned("tool_0.1_all.deb", "tool", "0.1", false),
            ]
        );
    }

    #[test]
    fn addresses_become_places_in_a_mirror() {
        let addresses = "Reading package lists...\n\
            'http://mirror.example/debian/pool/main/g/glibc/libc6_2.36-9%2bdeb12u14_amd64.deb' libc6_2.36-9+deb12u14_amd64.deb 27 MD5Sum:8d\n\
            'file:/x/y.deb' y_1_all.deb 5 SHA256:00\n";
        let expected = ("libc6_2.36-9+deb12u14_amd64.deb", "pool/main/g/glibc/libc6_2.36-9+deb12u14_amd64.deb");
        assert_eq!(places(addresses), BTreeMap::from([(expected.0.to_owned(), expected.1.to_owned())]));
    }

    #[test]
    fn an_index_says_where_packages_are() {
        let text =
            "Package: a\nFilename: pool/a.deb\nSHA256: 01\n\nPackage: b\nSHA256: 02\n\nSHA256: 03\nFilename: ./c.deb\n";
        for (name, security) in [("m_dists_x-security_main_binary-amd64_Packages", true), ("m_dists_x_Packages", false)]
        {
            let mut all = Vec::new();
            indexed(name, text.lines().map(str::to_owned), |sum, place, security| {
                all.push((sum.to_owned(), place, security));
            });
            let of = |sum: &str, place: &str| (sum.to_owned(), place.to_owned(), security);
            assert_eq!(all, [of("01", "pool/a.deb"), of("03", "c.deb")]);
        }
    }

    #[test]
    fn a_suite_is_what_its_archive_calls_it() {
        let text = "Origin: Debian\nSuite: oldstable-security\nCodename: bookworm-security\nDate: Tue, 24 Nov 2026 20:00:00 UTC\n";
        let date = "Tue, 24 Nov 2026 20:00:00 UTC".to_owned();
        for (path, name) in [
            ("mirror.example_debian-security_dists_bookworm-security_InRelease", "bookworm-security"),
            ("mirror.example_old_dists_bookworm_updates_InRelease", "bookworm/updates"),
            ("flat_InRelease", "bookworm-security"),
        ] {
            assert_eq!(suite(path, text), Some(Suite { name: name.to_owned(), date: date.clone() }));
        }
        assert_eq!(suite("flat_InRelease", "no release"), None);
    }
}
