//! The fakes pass the suites, so that what is built upon them is built upon the ports.

use till_testkit::conformance::{Placed, source_tree};
use till_testkit::{MemorySource, Tree};

#[tokio::test]
async fn the_source_in_memory_is_a_source_tree() {
    source_tree(async |files: &Tree| Placed { source: Box::new(MemorySource::of(files.clone())), kept: Box::new(()) })
        .await;
}
