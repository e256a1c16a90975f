//! Layers that may be taken again, by the digest of everything that went into them.

use sqlx::Row;
use till_core::Digest;
use till_core::port::Layer;

use super::{Ledger, LedgerError, database, foreign};

impl Ledger {
    /// The layer of those inputs.
    pub async fn layer(&self, inputs: &Digest) -> Result<Option<Layer>, LedgerError> {
        let row =
            sqlx::query("SELECT * FROM layer WHERE inputs = $1").bind(inputs.as_str()).fetch_optional(&self.pool).await;
        let Some(row) = row.map_err(database("find a layer"))? else {
            return Ok(None);
        };
        let text = |column: &str| row.try_get::<String, _>(column).map_err(database("read a layer"));
        let size: i64 = row.try_get("size").map_err(database("read a layer"))?;
        Ok(Some(Layer {
            diff_id: text("diff_id")?.parse().map_err(foreign)?,
            blob: text("blob")?.parse().map_err(foreign)?,
            size: u64::try_from(size).map_err(foreign)?,
            media_type: text("media_type")?,
        }))
    }

    /// Records the layer of those inputs; the newest counts.
    pub async fn add_layer(&self, inputs: &Digest, layer: &Layer, now: i64) -> Result<(), LedgerError> {
        sqlx::query(
            "INSERT INTO layer (inputs, diff_id, blob, size, media_type, made) VALUES ($1, $2, $3, $4, $5, $6)
             ON CONFLICT (inputs) DO UPDATE SET diff_id = excluded.diff_id, blob = excluded.blob, size = excluded.size,
                 media_type = excluded.media_type, made = excluded.made",
        )
        .bind(inputs.as_str())
        .bind(layer.diff_id.as_str())
        .bind(layer.blob.as_str())
        .bind(i64::try_from(layer.size).map_err(foreign)?)
        .bind(&layer.media_type)
        .bind(now)
        .execute(&self.pool)
        .await
        .map_err(database("record a layer"))?;
        Ok(())
    }

    /// Forgets the layers whose blob is not among those that are kept. Answers how many.
    pub async fn forget_layers(&self, keep: &dyn Fn(&str) -> bool) -> Result<u64, LedgerError> {
        let rows = sqlx::query("SELECT inputs, blob FROM layer")
            .fetch_all(&self.pool)
            .await
            .map_err(database("list layers"))?;
        let mut count = 0;
        for row in rows {
            let (inputs, blob): (String, String) =
                (row.try_get(0).map_err(database("read a layer"))?, row.try_get(1).map_err(database("read a layer"))?);
            if !keep(&blob) {
                sqlx::query("DELETE FROM layer WHERE inputs = $1")
                    .bind(inputs)
                    .execute(&self.pool)
                    .await
                    .map_err(database("forget a layer"))?;
                count += 1;
            }
        }
        Ok(count)
    }
}
