//! Artifacts: what came of preparations.

use sqlx::Row;
use sqlx::sqlite::SqliteRow;
use till_core::id::PreparationId;
use till_core::model::{AppName, CommitId};
use till_core::{ManifestDigest, PlanDigest};

use super::{Ledger, LedgerError, database, foreign};

/// An artifact.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ArtifactFact {
    /// Its image.
    pub digest: ManifestDigest,
    /// The app.
    pub app: AppName,
    /// The plan.
    pub plan: PlanDigest,
    /// The base that prepared it; none for an app's own Dockerfile.
    pub base: Option<ManifestDigest>,
    /// The commit, where the source was one.
    pub commit: Option<CommitId>,
    /// When.
    pub made: i64,
    /// In which preparation.
    pub preparation: PreparationId,
}

fn read(row: &SqliteRow) -> Result<ArtifactFact, LedgerError> {
    let text = |column: &str| row.try_get::<String, _>(column).map_err(database("read an artifact"));
    let commit: Option<String> = row.try_get("revision").map_err(database("read an artifact"))?;
    Ok(ArtifactFact {
        digest: text("digest")?.parse().map_err(foreign)?,
        app: text("app")?.parse().map_err(foreign)?,
        plan: text("plan")?.parse().map_err(foreign)?,
        // The column may not be null: it is empty.
        base: Some(text("base")?)
            .filter(|base| !base.is_empty())
            .map(|base| base.parse().map_err(foreign))
            .transpose()?,
        commit: commit.map(|commit| commit.parse().map_err(foreign)).transpose()?,
        made: row.try_get("made").map_err(database("read an artifact"))?,
        preparation: text("preparation")?.parse().map_err(foreign)?,
    })
}

impl Ledger {
    /// Records an artifact. One of the same bytes is the same artifact, made anew.
    pub async fn add_artifact(&self, fact: &ArtifactFact) -> Result<(), LedgerError> {
        sqlx::query(
            "INSERT INTO artifact (digest, app, plan, base, revision, made, preparation, rank)
             SELECT $1, $2, $3, $4, $5, $6, $7, 1 + COALESCE(MAX(rank), 0) FROM artifact WHERE true
             ON CONFLICT (digest) DO UPDATE SET made = excluded.made, preparation = excluded.preparation,
                 rank = excluded.rank",
        )
        .bind(fact.digest.as_str())
        .bind(fact.app.as_str())
        .bind(fact.plan.as_str())
        .bind(fact.base.as_ref().map_or("", |base| base.as_str()))
        .bind(fact.commit.as_ref().map(CommitId::as_str))
        .bind(fact.made)
        .bind(fact.preparation.as_str())
        .execute(&self.pool)
        .await
        .map_err(database("record an artifact"))?;
        Ok(())
    }

    /// An artifact was asked for again: it is its app's newest now.
    pub async fn choose_artifact(&self, digest: &ManifestDigest) -> Result<(), LedgerError> {
        let query = sqlx::query(
            "UPDATE artifact SET rank = (SELECT 1 + MAX(rank) FROM artifact)
             WHERE digest = $1 AND rank < (SELECT MAX(rank) FROM artifact)",
        );
        query.bind(digest.as_str()).execute(&self.pool).await.map_err(database("choose an artifact"))?;
        Ok(())
    }

    /// The newest artifact of an app by that plan.
    pub async fn artifact_of(&self, app: &AppName, plan: &PlanDigest) -> Result<Option<ArtifactFact>, LedgerError> {
        let query = sqlx::query("SELECT * FROM artifact WHERE app = $1 AND plan = $2 ORDER BY rank DESC LIMIT 1");
        let row = query.bind(app.as_str()).bind(plan.as_str()).fetch_optional(&self.pool).await;
        row.map_err(database("find an artifact"))?.as_ref().map(read).transpose()
    }

    /// All artifacts, the newest first.
    pub async fn artifacts(&self) -> Result<Vec<ArtifactFact>, LedgerError> {
        let rows = sqlx::query("SELECT * FROM artifact ORDER BY rank DESC").fetch_all(&self.pool).await;
        rows.map_err(database("list artifacts"))?.iter().map(read).collect()
    }

    /// Forgets an artifact.
    pub async fn remove_artifact(&self, digest: &ManifestDigest) -> Result<(), LedgerError> {
        let query = sqlx::query("DELETE FROM artifact WHERE digest = $1");
        query.bind(digest.as_str()).execute(&self.pool).await.map_err(database("forget an artifact"))?;
        Ok(())
    }
}
