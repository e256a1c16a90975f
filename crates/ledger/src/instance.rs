//! Artifacts that run, written down before they are started.

use sqlx::Row;
use till_core::ManifestDigest;
use till_core::id::InstanceId;

use super::{Ledger, LedgerError, database, foreign};

/// A running artifact.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InstanceFact {
    /// Its id.
    pub id: InstanceId,
    /// What runs.
    pub artifact: ManifestDigest,
    /// Which process type.
    pub process: String,
    /// Its port on the host's loopback.
    pub port: Option<u16>,
    /// When it was started.
    pub began: i64,
}

impl Ledger {
    /// An instance is about to be started, or its port is known now.
    pub async fn put_instance(&self, fact: &InstanceFact) -> Result<(), LedgerError> {
        let query = sqlx::query(
            "INSERT INTO instance (id, artifact, process, port, began) VALUES ($1, $2, $3, $4, $5)
             ON CONFLICT (id) DO UPDATE SET port = excluded.port",
        );
        let query = query
            .bind(fact.id.as_str())
            .bind(fact.artifact.as_str())
            .bind(&fact.process)
            .bind(fact.port.map(i64::from))
            .bind(fact.began);
        query.execute(&self.pool).await.map_err(database("record an instance"))?;
        Ok(())
    }

    /// All instances, the newest first.
    pub async fn instances(&self) -> Result<Vec<InstanceFact>, LedgerError> {
        let rows = sqlx::query("SELECT * FROM instance ORDER BY id DESC")
            .fetch_all(&self.pool)
            .await
            .map_err(database("list instances"))?;
        rows.iter()
            .map(|row| {
                let text = |column: &str| row.try_get::<String, _>(column).map_err(database("read an instance"));
                let port: Option<i64> = row.try_get("port").map_err(database("read an instance"))?;
                Ok(InstanceFact {
                    id: text("id")?.parse().map_err(foreign)?,
                    artifact: text("artifact")?.parse().map_err(foreign)?,
                    process: text("process")?,
                    port: port.map(u16::try_from).transpose().map_err(foreign)?,
                    began: row.try_get("began").map_err(database("read an instance"))?,
                })
            })
            .collect()
    }

    /// Forgets an instance.
    pub async fn remove_instance(&self, id: &InstanceId) -> Result<(), LedgerError> {
        let query = sqlx::query("DELETE FROM instance WHERE id = $1");
        query.bind(id.as_str()).execute(&self.pool).await.map_err(database("forget an instance"))?;
        Ok(())
    }
}
