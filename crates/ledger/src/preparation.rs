//! What was begun, written down before it begins, and how it ended.

use sqlx::Row;
use till_core::PlanDigest;
use till_core::id::PreparationId;

use super::{Ledger, LedgerError, database, foreign};

/// A preparation that did not end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PreparationFact {
    /// Its id.
    pub id: PreparationId,
    /// `app` or `base`.
    pub kind: String,
    /// Of the app or base.
    pub name: String,
    /// When it began.
    pub began: i64,
}

impl Ledger {
    /// A preparation begins.
    pub async fn begin(
        &self,
        id: &PreparationId,
        kind: &str,
        name: &str,
        plan: &PlanDigest,
        now: i64,
    ) -> Result<(), LedgerError> {
        let query = sqlx::query("INSERT INTO preparation (id, kind, name, plan, began) VALUES ($1, $2, $3, $4, $5)");
        let query = query.bind(id.as_str()).bind(kind).bind(name).bind(plan.as_str()).bind(now);
        query.execute(&self.pool).await.map_err(database("begin a preparation"))?;
        Ok(())
    }

    /// A preparation ended; with what failure, if any.
    pub async fn end(&self, id: &PreparationId, failure: Option<&str>, now: i64) -> Result<(), LedgerError> {
        let query = sqlx::query("UPDATE preparation SET ended = $2, failure = $3 WHERE id = $1 AND ended IS NULL");
        query
            .bind(id.as_str())
            .bind(now)
            .bind(failure)
            .execute(&self.pool)
            .await
            .map_err(database("end a preparation"))?;
        Ok(())
    }

    /// When a preparation began.
    pub async fn began(&self, id: &PreparationId) -> Result<Option<i64>, LedgerError> {
        let query = sqlx::query_scalar("SELECT began FROM preparation WHERE id = $1").bind(id.as_str());
        query.fetch_optional(&self.pool).await.map_err(database("find a preparation"))
    }

    /// Preparations that began and did not end: they run now, or died.
    pub async fn unended(&self) -> Result<Vec<PreparationFact>, LedgerError> {
        let rows = sqlx::query("SELECT id, kind, name, began FROM preparation WHERE ended IS NULL ORDER BY id")
            .fetch_all(&self.pool)
            .await;
        let rows = rows.map_err(database("list preparations"))?;
        rows.iter()
            .map(|row| {
                let text = |column: &str| row.try_get::<String, _>(column).map_err(database("read a preparation"));
                Ok(PreparationFact {
                    id: text("id")?.parse().map_err(foreign)?,
                    kind: text("kind")?,
                    name: text("name")?,
                    began: row.try_get("began").map_err(database("read a preparation"))?,
                })
            })
            .collect()
    }
}
