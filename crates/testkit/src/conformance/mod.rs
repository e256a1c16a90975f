//! One suite for each port: whoever fills the port passes it.

mod source_tree;

pub use source_tree::{Placed, source_tree, source_tree_leaves_out, source_tree_tells};
