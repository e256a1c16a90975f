//! Promises of the store about crashes and damage.

use std::fs;
use std::io::Write as _;

use crate::common::Lab;
use till_core::{Blame as _, Digest, Fault};
use till_image::{ImageError, Store};

fn staged(lab: &Lab) -> usize {
    fs::read_dir(lab.dir.path().join("store/staging")).unwrap().count()
}

#[test]
fn a_blob_is_found_again() {
    let lab = Lab::new();
    let digest = lab.store.put(b"content").unwrap();
    assert_eq!(digest, Digest::of(b"content"));
    assert_eq!(lab.store.put(b"content").unwrap(), digest);
    let again = Store::open(&lab.dir.path().join("store")).unwrap();
    assert_eq!(again.get(&digest).unwrap(), b"content");
    assert_eq!(again.blobs().unwrap(), [(digest.clone(), 7)]);
    assert_eq!(again.remove(&digest).unwrap(), 7);
    assert_eq!(again.remove(&digest).unwrap(), 0);
    assert!(!again.has(&digest));
    assert_eq!(staged(&lab), 0);
}

#[test]
fn an_unfinished_writer_leaves_nothing() {
    let lab = Lab::new();
    let mut writer = lab.store.writer().unwrap();
    writer.write_all(b"half").unwrap();
    assert_eq!(staged(&lab), 1);
    drop(writer);
    assert_eq!(staged(&lab), 0);
    assert_eq!(lab.store.blobs().unwrap(), []);
}

#[test]
fn sweep_takes_what_the_dead_left_and_nothing_of_the_living() {
    let lab = Lab::new();
    let dead = lab.dir.path().join("store/staging/4711-0-dead");
    fs::write(&dead, b"half").unwrap();
    let mut writer = lab.store.writer().unwrap();
    writer.write_all(b"whole").unwrap();
    assert_eq!(lab.store.sweep().unwrap(), 1);
    assert!(!dead.exists());
    let (digest, size) = writer.finish().unwrap();
    assert_eq!((lab.store.get(&digest).unwrap(), size), (b"whole".to_vec(), 5));
    assert_eq!(staged(&lab), 0);
}

#[test]
fn writers_and_sweeps_at_once_lose_nothing() {
    let lab = Lab::new();
    std::thread::scope(|scope| {
        let writers: Vec<_> = (0..4)
            .map(|number| {
                let store = &lab.store;
                scope.spawn(move || {
                    for round in 0..20 {
                        store.put(format!("{number}-{round}").as_bytes()).unwrap();
                    }
                })
            })
            .collect();
        while !writers.iter().all(std::thread::ScopedJoinHandle::is_finished) {
            lab.store.sweep().unwrap();
        }
    });
    assert_eq!(lab.store.blobs().unwrap().len(), 80);
}

#[test]
fn a_damaged_blob_is_not_given_out() {
    let lab = Lab::new();
    let digest = lab.store.put(b"content").unwrap();
    fs::remove_file(lab.store.path(&digest)).unwrap();
    fs::write(lab.store.path(&digest), b"cOntent").unwrap();
    let error = lab.store.get(&digest).unwrap_err();
    assert!(matches!(error, ImageError::Damaged { .. }));
    assert_eq!(error.fault(), Fault::House);
    assert!(error.to_string().starts_with("the store is damaged"));
}
