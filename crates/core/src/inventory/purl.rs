//! Package URLs: one name for a package of any kind, by which others look for what is known of it.

use super::{Distribution, Ecosystem, Record};

impl Record {
    /// Its package URL. Packages of a distribution are named with it; without one that is known, without.
    pub fn purl(&self, distribution: &Distribution) -> String {
        let (namespace, name) = self.split_name();
        let (epoch, version) = match (self.ecosystem, self.version.split_once(':')) {
            (Ecosystem::Rpm, Some((epoch, version))) => (Some(epoch), version),
            _ => (None, self.version.as_str()),
        };
        let mut purl = format!("pkg:{}/", self.ecosystem.as_str());
        let known = match distribution {
            Distribution::Known { id, version_id, codename, .. } if self.is_of_distribution() => {
                Some((id, version_id.as_ref().or(codename.as_ref())))
            }
            _ => None,
        };
        let namespace = known.map(|(id, _)| id.clone()).or(namespace);
        for part in namespace.iter().flat_map(|namespace| namespace.split('/')) {
            purl.push_str(&encoded(part));
            purl.push('/');
        }
        purl.push_str(&encoded(&name));
        purl.push('@');
        purl.push_str(&encoded(version));
        let distro = known.map(|(id, version)| version.map_or_else(|| id.clone(), |version| format!("{id}-{version}")));
        let upstream = self.source.as_ref().filter(|source| source.name != self.name || source.version != self.version);
        let upstream = upstream.map(|source| format!("{}@{}", source.name, source.version));
        // Sorted by their names, as the specification wants it.
        let qualifiers = [
            ("arch", self.arch.clone()),
            ("distro", distro),
            ("epoch", epoch.map(str::to_owned)),
            ("upstream", upstream),
        ];
        let mut separator = '?';
        for (key, value) in qualifiers {
            if let Some(value) = value {
                purl.push_str(&format!("{separator}{key}={}", encoded(&value)));
                separator = '&';
            }
        }
        purl
    }

    fn is_of_distribution(&self) -> bool {
        matches!(self.ecosystem, Ecosystem::Deb | Ecosystem::Apk | Ecosystem::Rpm)
    }

    /// The namespace and the name, as the type has them.
    pub(super) fn split_name(&self) -> (Option<String>, String) {
        let split = |separator| match self.name.rsplit_once(separator) {
            Some((namespace, name)) => (Some(namespace.to_owned()), name.to_owned()),
            None => (None, self.name.clone()),
        };
        match self.ecosystem {
            Ecosystem::Pypi => (None, self.name.to_lowercase().replace('_', "-")),
            Ecosystem::Npm => split('/'),
            Ecosystem::Maven => split(':'),
            Ecosystem::Golang => {
                let (namespace, name) = split('/');
                (namespace.map(|namespace| namespace.to_lowercase()), name.to_lowercase())
            }
            _ => (None, self.name.clone()),
        }
    }
}

/// With `%` and digits for all that has a meaning in a URL.
fn encoded(text: &str) -> String {
    let mut url = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'.' | b'-' | b'_' | b'~' | b':' => url.push(char::from(byte)),
            byte => url.push_str(&format!("%{byte:02X}")),
        }
    }
    url
}

#[cfg(test)]
mod tests {
    use super::super::SourcePackage;
    use super::*;

    fn debian() -> Distribution {
        Distribution::Known { id: "debian".into(), version_id: Some("12".into()), codename: None, pretty: None }
    }

    #[test]
    fn every_kind_has_its_form() {
        use Ecosystem::*;
        for (ecosystem, name, version, purl) in [
            (Deb, "g++", "1:2.3+b1~x", "pkg:deb/debian/g%2B%2B@1:2.3%2Bb1~x?distro=debian-12"),
            (Rpm, "openssl", "1:3.0.7-24.el9", "pkg:rpm/debian/openssl@3.0.7-24.el9?distro=debian-12&epoch=1"),
            (Pypi, "Jaraco_Text", "1.0", "pkg:pypi/jaraco-text@1.0"),
            (Npm, "@babel/core", "7.0.0", "pkg:npm/%40babel/core@7.0.0"),
            (Npm, "express", "4.18.2", "pkg:npm/express@4.18.2"),
            (Maven, "org.example:a", "1.2", "pkg:maven/org.example/a@1.2"),
            (Golang, "github.com/A/b", "v1.0.0", "pkg:golang/github.com/a/b@v1.0.0"),
            (Golang, "stdlib", "1.22.1", "pkg:golang/stdlib@1.22.1"),
            (Cargo, "serde", "1.0.200", "pkg:cargo/serde@1.0.200"),
        ] {
            assert_eq!(Record::new(ecosystem, name, version).unwrap().purl(&debian()), purl);
        }
    }

    #[test]
    fn processor_and_source_are_qualifiers() {
        let mut record = Record::new(Ecosystem::Deb, "libssl3", "3.0.11-1").unwrap();
        record.arch = Some("amd64".to_owned());
        record.source = Some(SourcePackage { name: "openssl".to_owned(), version: "3.0.11-1".to_owned() });
        let unknown = Distribution::Unknown { evidence: "nothing".to_owned() };
        assert_eq!(
            record.purl(&debian()),
            "pkg:deb/debian/libssl3@3.0.11-1?arch=amd64&distro=debian-12&upstream=openssl%403.0.11-1"
        );
        assert_eq!(record.purl(&unknown), "pkg:deb/libssl3@3.0.11-1?arch=amd64&upstream=openssl%403.0.11-1");
    }
}
