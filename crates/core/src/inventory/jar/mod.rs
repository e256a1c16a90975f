//! Java archives: what Maven wrote into them, or their manifest, or their name; archives inside of archives, too.

mod manifest;
mod zip;

use super::content::Part;
use super::{Content, Ecosystem, Found, Record};
use zip::{Entry, Zip};

/// How deep archives lie in archives: a WAR in an EAR has JARs.
const MAX_DEPTH: u32 = 3;
/// What is unpacked of one file in all, and of one archive inside of it.
const MAX_UNPACKED: u64 = 512 << 20;
const MAX_INNER: u64 = 128 << 20;
/// Of a manifest or a `pom.properties`.
const MAX_TEXT: u64 = 1 << 20;
/// What is said of one file: more says nothing more.
const MAX_FINDINGS: usize = 100;
const MANIFEST: &str = "META-INF/MANIFEST.MF";
/// Archives inside of one file.
const MAX_ARCHIVES: u32 = 10_000;

/// Reads an archive, of which the path gives the name.
pub(super) fn read(path: &str, content: &dyn Content) -> Found {
    let mut reading =
        Reading { packages: Vec::new(), findings: Vec::new(), unpacked: MAX_UNPACKED, archives: MAX_ARCHIVES };
    reading.archive(path, None, content, 0);
    let mut found = Found::packages(reading.packages);
    found.findings.append(&mut reading.findings);
    found
}

/// Reads a `pom.properties` of an archive that lies there unpacked.
pub(super) fn read_pom(content: &dyn Content) -> Found {
    let named = content.text(MAX_TEXT).and_then(|text| manifest::of_pom(&text));
    match named {
        Some((name, version)) => Found::packages(Record::new(Ecosystem::Maven, &name, &version)),
        None => Found::unreadable("a pom.properties does not name group, artifact and version"),
    }
}

struct Reading {
    packages: Vec<Record>,
    findings: Vec<String>,
    /// How much may still be unpacked.
    unpacked: u64,
    /// How many archives may still be looked at.
    archives: u32,
}

impl Reading {
    /// `inside`: where the archive lies in the outermost one.
    fn archive(&mut self, name: &str, inside: Option<&str>, content: &dyn Content, depth: u32) {
        let Some(zip) = Zip::open(content, &is_wanted) else {
            return self.finding(inside, "is not a ZIP archive, or a damaged one");
        };
        // Archives that lie there as they are cost no unpacking, but may lie upon each other any number of times.
        let Some(left) = self.unpacked.checked_sub(zip.directory) else {
            return self.finding(inside, "has, or is one of, too many archives");
        };
        self.unpacked = left;
        let (mut poms, mut manifest) = (Vec::new(), None);
        for entry in &zip.entries {
            if entry.name == MANIFEST {
                manifest = self.text(content, entry);
            } else if is_pom(&entry.name) {
                poms.extend(self.text(content, entry).and_then(|text| manifest::of_pom(&text)));
            } else if is_archive(&entry.name) {
                let path = inside.map_or_else(|| entry.name.clone(), |inside| format!("{inside}!/{}", entry.name));
                self.inner(&path, content, entry, depth + 1);
            }
        }
        if poms.is_empty() {
            poms.extend(manifest::of_manifest(manifest.as_deref().unwrap_or_default(), name));
        }
        for (name, version) in poms {
            if let Some(mut record) = Record::new(Ecosystem::Maven, &name, &version) {
                record.inside = inside.map(str::to_owned);
                self.packages.push(record);
            }
        }
    }

    fn inner(&mut self, path: &str, content: &dyn Content, entry: &Entry, depth: u32) {
        if depth > MAX_DEPTH || self.archives == 0 || path.len() > 4096 {
            return self.finding(Some(path), "lies too deep in archives, or there are too many");
        }
        self.archives -= 1;
        match zip::place(content, entry) {
            // As it lies there: read in place.
            Some((at, size)) if entry.is_stored() => {
                self.archive(&entry.name, Some(path), &Part { of: content, at, size }, depth);
            }
            _ => match self.unpack(content, entry, MAX_INNER) {
                Some(bytes) => self.archive(&entry.name, Some(path), &bytes.as_slice(), depth),
                None => self.finding(Some(path), "is damaged, or too large to be unpacked"),
            },
        }
    }

    fn text(&mut self, content: &dyn Content, entry: &Entry) -> Option<String> {
        let bytes = self.unpack(content, entry, MAX_TEXT);
        if bytes.is_none() {
            self.finding(None, &format!("has a `{}` that is damaged or too large", printable(&entry.name)));
        }
        Some(String::from_utf8_lossy(&bytes?).into_owned())
    }

    fn unpack(&mut self, content: &dyn Content, entry: &Entry, limit: u64) -> Option<Vec<u8>> {
        let bytes = zip::unpack(content, entry, limit.min(self.unpacked))?;
        self.unpacked -= bytes.len() as u64;
        Some(bytes)
    }

    fn finding(&mut self, inside: Option<&str>, what: &str) {
        if self.findings.len() == MAX_FINDINGS {
            return;
        }
        self.findings.push(match inside {
            Some(path) => format!("`{}` inside {what}", printable(path)),
            None => format!("the Java archive {what}"),
        });
    }
}

fn is_wanted(name: &str) -> bool {
    name == MANIFEST || is_pom(name) || is_archive(name)
}

fn is_pom(name: &str) -> bool {
    name.starts_with("META-INF/maven/") && name.ends_with("/pom.properties")
}

fn is_archive(name: &str) -> bool {
    name.rsplit_once('.').is_some_and(|(_, extension)| ["jar", "war", "rar", "ear"].contains(&extension))
}

fn printable(text: &str) -> String {
    text.chars().take(200).map(|c| if c.is_control() { '?' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::zip::tests::{Packing, zip};
    use super::*;

    fn seen(found: &Found) -> Vec<String> {
        let line = |package: &Record| {
            format!("{} {} {}", package.inside.as_deref().unwrap_or("-"), package.name, package.version)
        };
        found.packages.iter().map(line).collect()
    }

    fn pom(artifact: &str) -> Vec<u8> {
        format!("#Generated\n#Mon\nversion=1.2.3\r\ngroupId=org.example\nartifactId={artifact}\n").into_bytes()
    }

    fn library(artifact: &str) -> Vec<u8> {
        let path = format!("META-INF/maven/org.example/{artifact}/pom.properties");
        zip(&[
            ("META-INF/MANIFEST.MF", b"Manifest-Version: 1.0\n", Packing::Deflated),
            (&path, &pom(artifact), Packing::Deflated),
        ])
    }

    #[test]
    fn archives_in_archives_are_read() {
        let war = zip(&[
            ("WEB-INF/lib/a.jar", &library("a"), Packing::Deflated),
            ("WEB-INF/lib/b.jar", &library("b"), Packing::Stored),
            ("WEB-INF/lib/plain-2.1.jar", &zip(&[("x.class", b"", Packing::Stored)]), Packing::Deflated),
            ("META-INF/MANIFEST.MF", b"Implementation-Title: shop\nImplementation-Version: 9\n", Packing::Deflated),
        ]);
        let ear = zip(&[("shop.war", &war, Packing::Deflated)]);
        // A start script stands before the archives of some.
        let started = [b"#!/bin/sh\nexec java -jar $0\n".as_slice(), &ear].concat();
        let found = read("opt/shop-1.0.ear", &started.as_slice());
        assert_eq!(found.findings, [] as [String; 0]);
        assert_eq!(
            seen(&found),
            [
                "shop.war!/WEB-INF/lib/a.jar org.example:a 1.2.3",
                "shop.war!/WEB-INF/lib/b.jar org.example:b 1.2.3",
                "shop.war!/WEB-INF/lib/plain-2.1.jar plain:plain 2.1",
                "shop.war shop:shop 9",
                "- shop:shop 1.0",
            ]
        );
    }

    #[test]
    fn what_lies_too_deep_is_a_finding() {
        let mut archive = library("deep");
        for _ in 0..5 {
            archive = zip(&[("lib/inner.jar", &archive, Packing::Stored)]);
        }
        let found = read("outer.jar", &archive.as_slice());
        assert_eq!(found.packages, []);
        assert!(found.findings[0].contains("too deep"), "{:?}", found.findings);
    }

    #[test]
    fn an_unpacked_archive_is_named_by_its_pom() {
        assert_eq!(seen(&read_pom(&pom("shop").as_slice())), ["- org.example:shop 1.2.3"]);
        assert_eq!(read_pom(&b"".as_slice()).findings.len(), 1);
    }

    #[test]
    fn what_is_no_archive_is_a_finding() {
        assert_eq!(
            read("a.jar", &b"nothing".as_slice()).findings,
            ["the Java archive is not a ZIP archive, or a damaged one"]
        );
    }

    proptest! {
        #[test]
        fn damage_is_never_a_panic(changes in prop::collection::vec((0..900usize, any::<u8>()), 0..20), end in 0..900usize) {
            let mut bytes = zip(&[("a.jar", &library("a"), Packing::Stored), ("b.jar", &library("b"), Packing::Deflated)]);
            for (at, byte) in changes {
                if let Some(place) = bytes.get_mut(at) {
                    *place = byte;
                }
            }
            read("x.jar", &bytes.as_slice());
            read("x.jar", &&bytes[..end.min(bytes.len())]);
        }
    }
}
