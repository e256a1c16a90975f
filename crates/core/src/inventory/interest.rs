//! Which files of an image say something about packages.

/// What a file is, to who looks for packages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Interest {
    /// Which distribution it is.
    OsRelease,
    /// dpkg's database, or a part of it.
    Dpkg,
    /// apk's database.
    Apk,
    /// rpm's database, as SQLite.
    RpmSqlite,
    /// rpm's database, as SUSE has it.
    RpmNdb,
    /// rpm's database, as it was until 2020.
    RpmBerkeley,
    /// What SQLite has not put into rpm's database yet.
    RpmLog,
    /// Metadata of an installed Python distribution.
    Python,
    /// An installed Node.js package.
    Node,
    /// A Java archive.
    Jar,
    /// What Maven wrote into a Java archive that lies there unpacked.
    Maven,
    /// A binary.
    Elf,
}

/// How ELF files begin.
const ELF: &[u8] = b"\x7fELF";

/// What Java archives are called.
const JARS: [&str; 6] = ["jar", "war", "ear", "hpi", "jpi", "kar"];

impl Interest {
    /// By its path, without `/` at either end.
    pub fn of(path: &str) -> Option<Self> {
        let (folder, name) = path.rsplit_once('/').unwrap_or(("", path));
        match (folder, name) {
            ("etc" | "usr/lib", "os-release") => return Some(Self::OsRelease),
            ("var/lib/dpkg", "status") => return Some(Self::Dpkg),
            ("var/lib/dpkg/status.d", name) if !name.ends_with(".md5sums") => return Some(Self::Dpkg),
            ("lib/apk/db" | "usr/lib/apk/db", "installed") => return Some(Self::Apk),
            ("var/lib/rpm" | "usr/lib/sysimage/rpm" | "usr/share/rpm", name) => match name {
                "rpmdb.sqlite" => return Some(Self::RpmSqlite),
                "rpmdb.sqlite-wal" => return Some(Self::RpmLog),
                "Packages.db" => return Some(Self::RpmNdb),
                "Packages" => return Some(Self::RpmBerkeley),
                _ => {}
            },
            _ => {}
        }
        match name {
            "METADATA" if folder.ends_with(".dist-info") => Some(Self::Python),
            "PKG-INFO" if folder.ends_with(".egg-info") || folder.ends_with("EGG-INFO") => Some(Self::Python),
            "pom.properties" if folder.contains("META-INF/maven/") => Some(Self::Maven),
            "package.json" if is_installed(folder) => Some(Self::Node),
            name if name.ends_with(".egg-info") => Some(Self::Python),
            name => {
                let (_, extension) = name.rsplit_once('.')?;
                JARS.iter().any(|jar| extension.eq_ignore_ascii_case(jar)).then_some(Self::Jar)
            }
        }
    }

    /// By how it begins, for those whose path says nothing.
    pub fn of_beginning(bytes: &[u8]) -> Option<Self> {
        bytes.starts_with(ELF).then_some(Self::Elf)
    }

    /// How many bytes are looked at; a file that is larger is a finding.
    pub fn limit(self) -> u64 {
        match self {
            Self::OsRelease => 64 << 10,
            Self::Python | Self::Node | Self::Maven => 4 << 20,
            Self::Dpkg | Self::Apk => 256 << 20,
            _ => 2 << 30,
        }
    }
}

/// Whether a folder is where npm and its like put a package: `node_modules/NAME`, `node_modules/@SCOPE/NAME`. What lies
/// deeper belongs to that package.
fn is_installed(folder: &str) -> bool {
    let Some((above, name)) = folder.rsplit_once('/') else {
        return false;
    };
    let ends = |path: &str| path == "node_modules" || path.ends_with("/node_modules");
    match above.rsplit_once('/') {
        Some((above, scope)) if scope.starts_with('@') => ends(above) && !name.is_empty(),
        _ => ends(above) && !name.starts_with(['@', '.']),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_tells_what_a_file_is() {
        use Interest::*;
        for (path, interest) in [
            ("etc/os-release", Some(OsRelease)),
            ("srv/etc/os-release", None),
            ("var/lib/dpkg/status", Some(Dpkg)),
            ("var/lib/dpkg/status-old", None),
            ("var/lib/dpkg/status.d/base", Some(Dpkg)),
            ("var/lib/dpkg/status.d/base.md5sums", None),
            ("usr/lib/apk/db/installed", Some(Apk)),
            ("usr/lib/sysimage/rpm/rpmdb.sqlite", Some(RpmSqlite)),
            ("usr/lib/sysimage/rpm/Packages.db", Some(RpmNdb)),
            ("var/lib/rpm/Packages", Some(RpmBerkeley)),
            ("app/lib/flask-3.0.0.dist-info/METADATA", Some(Python)),
            ("app/lib/flask/METADATA", None),
            ("usr/lib/python3/dist-packages/six-1.16.0.egg-info/PKG-INFO", Some(Python)),
            ("usr/lib/python3/dist-packages/six-1.16.0.egg-info", Some(Python)),
            ("package.json", None),
            ("app/package.json", None),
            ("app/node_modules/express/package.json", Some(Node)),
            ("node_modules/express/package.json", Some(Node)),
            ("app/node_modules/@babel/core/package.json", Some(Node)),
            ("app/node_modules/a/node_modules/b/package.json", Some(Node)),
            ("app/node_modules/.pnpm/b@1.0.0/node_modules/b/package.json", Some(Node)),
            ("app/node_modules/express/lib/package.json", None),
            ("app/node_modules/@babel/package.json", None),
            ("app/my_node_modules/b/package.json", None),
            ("opt/app.WAR", Some(Jar)),
            ("opt/jar", None),
            ("srv/ROOT/META-INF/maven/org.example/shop/pom.properties", Some(Maven)),
            ("srv/pom.properties", None),
            ("", None),
        ] {
            assert_eq!(Interest::of(path), interest, "{path}");
        }
        assert_eq!(Interest::of_beginning(b"\x7fELF\x02"), Some(Elf));
        assert_eq!(Interest::of_beginning(b"#!/bin/sh"), None);
    }
}
