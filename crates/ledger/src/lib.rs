//! Facts, in SQL: the only room that knows any. SQLite in one file; statements keep to what PostgreSQL takes too.
//!
//! ```text
//! base.rs         versions of bases
//! preparation.rs  what was begun and how it ended
//! artifact.rs     what came of it
//! layer.rs        layers that may be taken again
//! instance.rs     what runs
//! referrer.rs     documents about images
//! ```

mod artifact;
mod base;
mod instance;
mod layer;
mod preparation;
mod referrer;

use std::path::Path;
use std::time::Duration;

use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous};
use till_core::{Blame, Fault};

pub use artifact::ArtifactFact;
pub use base::BaseFact;
pub use instance::InstanceFact;
pub use preparation::PreparationFact;
pub use referrer::ReferrerFact;

/// The ledger.
#[derive(Debug, Clone)]
pub struct Ledger {
    pool: SqlitePool,
}

/// What can go wrong with the ledger.
#[derive(Debug, thiserror::Error)]
pub enum LedgerError {
    /// The database.
    #[error("cannot {deed} in the ledger")]
    Database {
        /// What was attempted.
        deed: &'static str,
        /// Why.
        source: sqlx::Error,
    },
    /// A value that we did not write.
    #[error("the ledger holds something that is not ours: {0}")]
    Foreign(String),
    /// It was written by a newer version.
    #[error("the ledger has version {found}, this is version {known}")]
    Newer {
        /// In the file.
        found: i64,
        /// The newest that we know.
        known: i64,
    },
}

impl Blame for LedgerError {
    fn fault(&self) -> Fault {
        Fault::House
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Newer { .. } => Some("use the newer till that wrote it".to_owned()),
            _ => None,
        }
    }
}

impl LedgerError {
    /// Did another process have the file to itself? (SQLITE_BUSY, 5, in the low byte of the code)
    fn is_busy(&self) -> bool {
        let Self::Database { source: sqlx::Error::Database(error), .. } = self else {
            return false;
        };
        let code = error.code().and_then(|code| code.parse::<u32>().ok());
        code.is_some_and(|code| code & 0xff == 5)
    }
}

/// How often a file that others have to themselves is tried: for ten seconds.
const TRIES: u32 = 500;

fn database(deed: &'static str) -> impl FnOnce(sqlx::Error) -> LedgerError {
    move |source| LedgerError::Database { deed, source }
}

fn foreign(error: impl std::fmt::Display) -> LedgerError {
    LedgerError::Foreign(error.to_string())
}

/// Forward only; each is applied once, in order.
const MIGRATIONS: [&str; 3] = [
    include_str!("../migrations/sqlite/0001-first.sql"),
    include_str!("../migrations/sqlite/0002-external.sql"),
    include_str!("../migrations/sqlite/0003-referrer.sql"),
];

impl Ledger {
    /// Opens the ledger in a file, made when missing; applies the migrations that it lacks.
    pub async fn open(path: &Path) -> Result<Self, LedgerError> {
        let options = SqliteConnectOptions::new()
            .filename(path)
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Normal)
            .busy_timeout(Duration::from_secs(30));
        // Who turns a new file to WAL locks out others without letting them wait, so they come again.
        for _ in 0..TRIES {
            match Self::with(options.clone()).await {
                Err(error) if error.is_busy() => tokio::time::sleep(Duration::from_millis(20)).await,
                result => return result,
            }
        }
        Self::with(options).await
    }

    /// A ledger in memory, for tests.
    pub async fn in_memory() -> Result<Self, LedgerError> {
        Self::with(SqliteConnectOptions::new().in_memory(true)).await
    }

    async fn with(options: SqliteConnectOptions) -> Result<Self, LedgerError> {
        // One connection: SQLite has one writer anyway, and a read that turns into a write can then never be refused.
        let pool = SqlitePoolOptions::new().max_connections(1).idle_timeout(None).connect_with(options);
        let ledger = Self { pool: pool.await.map_err(database("open"))? };
        ledger.migrate().await?;
        Ok(ledger)
    }

    async fn version(&self) -> Result<i64, LedgerError> {
        sqlx::query_scalar("PRAGMA user_version").fetch_one(&self.pool).await.map_err(database("read the version"))
    }

    async fn migrate(&self) -> Result<(), LedgerError> {
        let known = MIGRATIONS.len() as i64;
        let found = self.version().await?;
        if found > known {
            return Err(LedgerError::Newer { found, known });
        }
        if found == known {
            return Ok(());
        }
        let mut transaction = self.pool.begin_with("BEGIN IMMEDIATE").await.map_err(database("begin"))?;
        // Another process may have been quicker.
        let found: i64 = sqlx::query_scalar("PRAGMA user_version")
            .fetch_one(&mut *transaction)
            .await
            .map_err(database("read the version"))?;
        for migration in MIGRATIONS.iter().skip(usize::try_from(found).unwrap_or(0)) {
            sqlx::raw_sql(*migration).execute(&mut *transaction).await.map_err(database("make tables"))?;
        }
        sqlx::raw_sql(sqlx::AssertSqlSafe(format!("PRAGMA user_version = {known}")))
            .execute(&mut *transaction)
            .await
            .map_err(database("set the version"))?;
        transaction.commit().await.map_err(database("commit"))
    }
}
