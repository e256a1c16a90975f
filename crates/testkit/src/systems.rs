//! Systems that stay disks, which do what they are told at once.

use std::path::Path;
use std::sync::Mutex;

use async_trait::async_trait;
use till_core::Failure;
use till_core::port::{End, Outcome, Sitting, Systems};
use till_core::system::{Act, Said};

/// Systems that write down what they were told. A step whose command is `fail` ends with 7, one whose command is `hang up` is
/// followed by silence.
#[derive(Debug, Default)]
pub struct Desks {
    sittings: Mutex<Vec<Sitting>>,
}

impl Desks {
    /// What was told, in that order.
    pub fn sittings(&self) -> Vec<Sitting> {
        self.sittings.lock().unwrap().clone()
    }
}

#[async_trait]
impl Systems for Desks {
    async fn attend(
        &self,
        sitting: &Sitting,
        delta: Option<&Path>,
        told: &mut (dyn FnMut(Said) + Send),
    ) -> Result<Outcome, Failure> {
        self.sittings.lock().unwrap().push(sitting.clone());
        for (number, act) in sitting.job.acts.iter().enumerate() {
            told(Said::Began(number));
            let words = if let Act::Run(step) = act { step.argv.join(" ") } else { String::new() };
            told(Said::Log(format!("{words}\n").into_bytes()));
            if words.ends_with("fail") {
                return Ok(Outcome::Act { number, end: End::Code(7) });
            }
            if words.ends_with("hang up") {
                return Err(Failure::house("the system said nothing", std::io::Error::other("silence")));
            }
            told(Said::Ended(number, 0));
        }
        told(Said::Done);
        if let Some(delta) = delta {
            let text =
                sitting.job.text("nonce", &std::collections::BTreeMap::new(), &std::collections::BTreeMap::new());
            std::fs::write(delta, text).map_err(|error| Failure::house("cannot write", error))?;
        }
        Ok(Outcome::Done)
    }
}
