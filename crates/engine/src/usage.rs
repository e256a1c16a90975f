//! What a base says itself of how it is used.

use till_core::contract::Contract as _;
use till_core::id::InstanceId;
use till_core::model::BaseRef;
use till_core::plan::Limits;
use till_core::port::{Evidence, LogSink, Opening, Program};
use till_core::{Failure, Fault};

use crate::lock::{self, Sharing};
use crate::world::said;
use crate::{Engine, new_bits};

/// The most that is kept of what it says, in bytes: a person is to read it.
const MAX: usize = 1 << 20;

/// What was said.
#[derive(Default)]
struct Said(Vec<u8>);

impl LogSink for Said {
    fn write(&mut self, bytes: &[u8]) {
        let left = MAX.saturating_sub(self.0.len());
        self.0.extend_from_slice(&bytes[..bytes.len().min(left)]);
    }
}

impl Engine {
    /// Runs what the base's contract knows to tell people how the base is used, and answers with what it printed.
    pub async fn usage(&self, wanted: &BaseRef) -> Result<String, Failure> {
        let locks = self.folder("locks")?;
        let _no_gc = lock::take(&locks, "gc", Sharing::Shared, || {}).await?;
        let base = self.base(wanted).await?;
        let none = || {
            Failure::new(Fault::Caller, format!("the base `{wanted}` says nothing itself of how it is used"))
                .hint(format!("`till base show {wanted}` says what it expects of source"))
        };
        let contract = base.about.contract().ok_or_else(none)?;
        let config = said(&base.image.config);
        let step = contract.usage(&config)?.ok_or_else(none)?;
        let mut instance = self
            .environment
            .open(Opening {
                id: InstanceId::from_bits(new_bits()),
                layers: base.image.layers.clone(),
                mounts: Vec::new(),
                kernel: None,
                limits: Limits::default(),
                epoch: crate::recreate::EPOCH,
            })
            .await?;
        let mut log = Said::default();
        let exit = instance.run(&step, &[], &mut log).await?;
        let text = String::from_utf8_lossy(&log.0).into_owned();
        // Scripts of this kind say what they have to say, and many end badly so that nobody takes them for a build.
        if matches!(exit.evidence, Evidence::Code(126 | 127))
            && let Some(path) = step.argv.last()
        {
            let program = Program { name: path, search: "", dir: "/", user: &step.user };
            let why = instance.unstartable(&program).await?.map(|found| format!(": {}", found.why)).unwrap_or_default();
            let what = format!("`{path}` of the base `{wanted}` cannot be started{why}");
            return Err(Failure::new(Fault::Base, what).hint(format!("its contract is `{}`", contract.name())));
        }
        Ok(text)
    }
}
