//! Documents about images: which manifest attaches which kind to which image.

use sqlx::Row;
use till_core::ManifestDigest;

use super::{Ledger, LedgerError, database, foreign};

/// A document that is attached to an image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReferrerFact {
    /// The image.
    pub subject: ManifestDigest,
    /// The document's media type.
    pub artifact_type: String,
    /// The manifest that attaches it.
    pub manifest: ManifestDigest,
    /// When.
    pub made: i64,
}

impl Ledger {
    /// Records a document; it takes the place of an older one of its kind.
    pub async fn add_referrer(&self, fact: &ReferrerFact) -> Result<(), LedgerError> {
        sqlx::query(
            "INSERT INTO referrer (subject, artifact_type, manifest, made) VALUES ($1, $2, $3, $4)
             ON CONFLICT (subject, artifact_type) DO UPDATE SET manifest = excluded.manifest, made = excluded.made",
        )
        .bind(fact.subject.as_str())
        .bind(&fact.artifact_type)
        .bind(fact.manifest.as_str())
        .bind(fact.made)
        .execute(&self.pool)
        .await
        .map_err(database("record a document"))?;
        Ok(())
    }

    /// The documents about an image, by their kind.
    pub async fn referrers(&self, subject: &ManifestDigest) -> Result<Vec<ReferrerFact>, LedgerError> {
        let rows = sqlx::query("SELECT * FROM referrer WHERE subject = $1 ORDER BY artifact_type")
            .bind(subject.as_str())
            .fetch_all(&self.pool)
            .await;
        let rows = rows.map_err(database("list documents"))?;
        rows.iter()
            .map(|row| {
                let text = |column: &str| row.try_get::<String, _>(column).map_err(database("read a document"));
                Ok(ReferrerFact {
                    subject: text("subject")?.parse().map_err(foreign)?,
                    artifact_type: text("artifact_type")?,
                    manifest: text("manifest")?.parse().map_err(foreign)?,
                    made: row.try_get("made").map_err(database("read a document"))?,
                })
            })
            .collect()
    }

    /// Forgets the documents about images that are not kept. Answers how many.
    pub async fn forget_referrers(&self, keep: &dyn Fn(&str) -> bool) -> Result<u64, LedgerError> {
        let subjects: Vec<String> = sqlx::query_scalar("SELECT DISTINCT subject FROM referrer")
            .fetch_all(&self.pool)
            .await
            .map_err(database("list documents"))?;
        let mut count = 0;
        for subject in subjects.iter().filter(|subject| !keep(subject)) {
            let query = sqlx::query("DELETE FROM referrer WHERE subject = $1").bind(subject);
            count += query.execute(&self.pool).await.map_err(database("forget a document"))?.rows_affected();
        }
        Ok(count)
    }
}
