//! Versions of bases: numbered from 1 per name, never changed, a removed number never given again while a later one lives.

use sqlx::Row;
use sqlx::sqlite::SqliteRow;
use till_core::model::name::Wanted;
use till_core::model::{BaseName, BaseRef, BaseVersion, ExternalBase};
use till_core::{ManifestDigest, PlanDigest};

use super::{Ledger, LedgerError, database, foreign};

/// A version of a base.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BaseFact {
    /// Name, number, image.
    pub version: BaseVersion,
    /// The plan by which it was made.
    pub plan: PlanDigest,
    /// Of a base that others made: what is known of it.
    pub external: Option<ExternalBase>,
    /// When.
    pub made: i64,
}

fn read(row: &SqliteRow) -> Result<BaseFact, LedgerError> {
    let text = |column: &str| row.try_get::<String, _>(column).map_err(database("read a base"));
    let external: Option<String> = row.try_get("external").map_err(database("read a base"))?;
    let number = |column: &str| row.try_get::<i64, _>(column).map_err(database("read a base"));
    Ok(BaseFact {
        version: BaseVersion {
            name: text("name")?.parse().map_err(foreign)?,
            version: u32::try_from(number("number")?).map_err(foreign)?,
            digest: text("digest")?.parse().map_err(foreign)?,
        },
        plan: text("plan")?.parse().map_err(foreign)?,
        external: external.as_deref().map(serde_json::from_str).transpose().map_err(foreign)?,
        made: number("made")?,
    })
}

impl Ledger {
    /// Records a base's new image. The newest keeps its number when it is made again; an older one becomes the newest, by
    /// another number.
    pub async fn add_base(
        &self,
        name: &BaseName,
        digest: &ManifestDigest,
        plan: &PlanDigest,
        made: i64,
    ) -> Result<BaseFact, LedgerError> {
        self.add(name, digest, plan, None, made).await
    }

    /// Records a base that others made. No plan made it: its own digest stands for one. The newest keeps its number when
    /// nothing of it is new.
    pub async fn add_external_base(
        &self,
        name: &BaseName,
        digest: &ManifestDigest,
        external: &ExternalBase,
        made: i64,
    ) -> Result<BaseFact, LedgerError> {
        let external = serde_json::to_string(external).map_err(foreign)?;
        self.add(name, digest, &PlanDigest(digest.0.clone()), Some(external), made).await
    }

    async fn add(
        &self,
        name: &BaseName,
        digest: &ManifestDigest,
        plan: &PlanDigest,
        external: Option<String>,
        made: i64,
    ) -> Result<BaseFact, LedgerError> {
        sqlx::query(
            "INSERT INTO base_version (name, number, digest, plan, made, external)
             SELECT $1, 1 + COALESCE(MAX(number), 0), $2, $3, $4, $5 FROM base_version WHERE name = $1
             HAVING NOT EXISTS (SELECT 1 FROM base_version AS newest WHERE newest.name = $1 AND newest.digest = $2
                 AND COALESCE(newest.external, '') = COALESCE($5, '')
                 AND newest.number = (SELECT MAX(number) FROM base_version WHERE name = $1))",
        )
        .bind(name.as_str())
        .bind(digest.as_str())
        .bind(plan.as_str())
        .bind(made)
        .bind(external)
        .execute(&self.pool)
        .await
        .map_err(database("record a base"))?;
        let wanted = BaseRef { name: name.clone(), version: Wanted::Digest(digest.clone()) };
        self.base(&wanted).await?.ok_or_else(|| foreign("a base that was just recorded is gone"))
    }

    /// The version that is meant.
    pub async fn base(&self, wanted: &BaseRef) -> Result<Option<BaseFact>, LedgerError> {
        let (number, digest) = match &wanted.version {
            Wanted::Newest => (None, None),
            Wanted::Number(number) => (Some(i64::from(*number)), None),
            Wanted::Digest(digest) => (None, Some(digest.as_str().to_owned())),
        };
        let row = sqlx::query(
            "SELECT * FROM base_version WHERE name = $1 AND ($2 IS NULL OR number = $2) AND ($3 IS NULL OR digest = $3)
             ORDER BY number DESC LIMIT 1",
        )
        .bind(wanted.name.as_str())
        .bind(number)
        .bind(digest)
        .fetch_optional(&self.pool)
        .await
        .map_err(database("find a base"))?;
        row.as_ref().map(read).transpose()
    }

    /// All versions of all bases, by name and number.
    pub async fn bases(&self) -> Result<Vec<BaseFact>, LedgerError> {
        let rows = sqlx::query("SELECT * FROM base_version ORDER BY name, number").fetch_all(&self.pool).await;
        rows.map_err(database("list bases"))?.iter().map(read).collect()
    }

    /// Forgets a version.
    pub async fn remove_base(&self, version: &BaseVersion) -> Result<(), LedgerError> {
        let query = sqlx::query("DELETE FROM base_version WHERE name = $1 AND number = $2");
        query
            .bind(version.name.as_str())
            .bind(i64::from(version.version))
            .execute(&self.pool)
            .await
            .map_err(database("forget a base"))?;
        Ok(())
    }
}
