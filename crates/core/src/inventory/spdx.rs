//! The inventory as SPDX 2.3, in JSON. The same image and the same version of Tillage give the same document.

use serde_json::{Value, json};

use super::cyclonedx::said;
use super::{Distribution, Inventory, Package, Subject};

/// The document's media type.
pub const MEDIA_TYPE: &str = "application/spdx+json";

const IMAGE: &str = "SPDXRef-image";
const SYSTEM: &str = "SPDXRef-operating-system";

/// The document.
pub fn document(inventory: &Inventory, subject: &Subject) -> Value {
    let tool = format!("Tool: till-{}", subject.tool);
    let annotation = |comment: String| json!({ "annotationDate": subject.created, "annotationType": "OTHER", "annotator": tool, "comment": comment });
    let mut notes = vec![annotation(format!("distribution: {}", inventory.distribution.describe()))];
    notes.extend(inventory.incomplete.iter().map(|finding| annotation(format!("incomplete: {}", said(finding)))));
    let mut packages = vec![image(subject), system(&inventory.distribution)];
    let mut relationships =
        vec![relationship("SPDXRef-DOCUMENT", "DESCRIBES", IMAGE), relationship(IMAGE, "CONTAINS", SYSTEM)];
    for (number, found) in inventory.packages.iter().enumerate() {
        let id = format!("SPDXRef-package-{number}");
        relationships.push(relationship(IMAGE, "CONTAINS", &id));
        packages.push(package(id, found, &inventory.distribution));
    }
    json!({
        "spdxVersion": "SPDX-2.3",
        "dataLicense": "CC0-1.0",
        "SPDXID": "SPDXRef-DOCUMENT",
        "name": subject.name,
        "documentNamespace": format!("https://tillage.io/spdx/{}/{}", subject.tool, subject.digest.hex()),
        "creationInfo": { "created": subject.created, "creators": [tool] },
        "annotations": notes,
        "packages": packages,
        "relationships": relationships,
    })
}

fn relationship(from: &str, kind: &str, to: &str) -> Value {
    json!({ "spdxElementId": from, "relationshipType": kind, "relatedSpdxElement": to })
}

fn image(subject: &Subject) -> Value {
    json!({
        "SPDXID": IMAGE,
        "name": subject.name,
        "versionInfo": subject.digest,
        "primaryPackagePurpose": "CONTAINER",
        "checksums": [{ "algorithm": "SHA256", "checksumValue": subject.digest.hex() }],
        "downloadLocation": "NOASSERTION",
        "filesAnalyzed": false,
    })
}

fn system(distribution: &Distribution) -> Value {
    let (name, version) = match distribution {
        Distribution::Known { id, version_id, .. } => (id.as_str(), version_id.as_deref()),
        Distribution::Unknown { .. } => ("unknown", None),
    };
    json!({
        "SPDXID": SYSTEM,
        "name": name,
        "versionInfo": version.unwrap_or("unknown"),
        "comment": distribution.describe(),
        "primaryPackagePurpose": "OPERATING_SYSTEM",
        "downloadLocation": "NOASSERTION",
        "filesAnalyzed": false,
    })
}

fn package(id: String, package: &Package, distribution: &Distribution) -> Value {
    let mut origin = format!("/{} in layer {}", package.path, package.layer);
    if let Some(source) = &package.source {
        origin.push_str(&format!("; built from {} {}", source.name, source.version));
    }
    let mut value = json!({
        "SPDXID": id,
        "name": package.name,
        "versionInfo": package.version,
        "primaryPackagePurpose": "LIBRARY",
        "sourceInfo": origin,
        "externalRefs": [{
            "referenceCategory": "PACKAGE-MANAGER",
            "referenceType": "purl",
            "referenceLocator": package.purl(distribution),
        }],
        "downloadLocation": "NOASSERTION",
        "filesAnalyzed": false,
        "licenseConcluded": "NOASSERTION",
        // What packages say of their licence is seldom an SPDX expression: it is told as it is.
        "licenseDeclared": "NOASSERTION",
        "copyrightText": "NOASSERTION",
    });
    if let Some(licence) = &package.licence {
        value["licenseComments"] = json!(format!("declared as: {licence}"));
    }
    value
}
