//! The inventory as CycloneDX 1.6, in JSON. The same image and the same version of Tillage give the same document.

use serde_json::{Value, json};

use super::{Distribution, Finding, Inventory, Package, Subject};
use crate::digest::Digest;

/// The document's media type.
pub const MEDIA_TYPE: &str = "application/vnd.cyclonedx+json";

/// How our own properties are called.
const PROPERTY: &str = "io.tillage:";

/// The document.
pub fn document(inventory: &Inventory, subject: &Subject) -> Value {
    let mut components = vec![system(&inventory.distribution)];
    components.extend(inventory.packages.iter().map(|package| component(package, &inventory.distribution)));
    json!({
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": format!("urn:uuid:{}", uuid(&subject.digest)),
        "version": 1,
        "metadata": {
            "timestamp": subject.created,
            "tools": { "components": [{ "type": "application", "name": "till", "version": subject.tool }] },
            "component": image(subject),
            "properties": notes(inventory),
        },
        "components": components,
        "compositions": [{
            "aggregate": if inventory.incomplete.is_empty() { "unknown" } else { "incomplete" },
            "assemblies": [image_ref(subject)],
        }],
    })
}

/// A UUID of version 8 (RFC 9562): the first bits of the image's digest.
fn uuid(digest: &Digest) -> String {
    let hex = digest.hex();
    format!("{}-{}-8{}-a{}-{}", &hex[..8], &hex[8..12], &hex[13..16], &hex[17..20], &hex[20..32])
}

fn image_ref(subject: &Subject) -> String {
    format!("image:{}", subject.digest)
}

fn image(subject: &Subject) -> Value {
    json!({
        "type": "container",
        "bom-ref": image_ref(subject),
        "name": subject.name,
        "version": subject.digest,
        "hashes": [{ "alg": "SHA-256", "content": subject.digest.hex() }],
    })
}

fn property(name: &str, value: impl Into<String>) -> Value {
    json!({ "name": format!("{PROPERTY}{name}"), "value": value.into() })
}

/// What concerns the whole: the distribution, and what could not be read.
fn notes(inventory: &Inventory) -> Vec<Value> {
    let mut notes = vec![property("distribution", inventory.distribution.describe())];
    notes.extend(inventory.incomplete.iter().map(|finding| property("incomplete", said(finding))));
    notes
}

/// A finding as one line.
pub(super) fn said(finding: &Finding) -> String {
    if finding.path.is_empty() { finding.what.clone() } else { format!("{}: {}", finding.path, finding.what) }
}

fn system(distribution: &Distribution) -> Value {
    match distribution {
        Distribution::Known { id, version_id, pretty, .. } => {
            let mut system = json!({ "type": "operating-system", "bom-ref": "operating-system", "name": id });
            if let Some(version) = version_id {
                system["version"] = json!(version);
            }
            if let Some(pretty) = pretty {
                system["description"] = json!(pretty);
            }
            system
        }
        Distribution::Unknown { evidence } => json!({
            "type": "operating-system", "bom-ref": "operating-system", "name": "unknown", "description": evidence,
        }),
    }
}

fn component(package: &Package, distribution: &Distribution) -> Value {
    let purl = package.purl(distribution);
    let (group, name) = package.split_name();
    let mut properties = vec![property("layer", package.layer.to_string())];
    if let Some(source) = &package.source {
        properties.push(property("source", &source.name));
        properties.push(property("source-version", &source.version));
    }
    if let Some(arch) = &package.arch {
        properties.push(property("arch", arch));
    }
    let mut component = json!({
        "type": "library",
        "bom-ref": format!("{purl}#{}", package.path),
        "name": name,
        "version": package.version,
        "purl": purl,
        "evidence": { "occurrences": [{ "location": format!("/{}", package.path) }] },
        "properties": properties,
    });
    if let Some(group) = group {
        component["group"] = json!(group);
    }
    if let Some(licence) = &package.licence {
        component["licenses"] = json!([{ "license": { "name": licence } }]);
    }
    component
}
