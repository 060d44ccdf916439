//! The store on real files.

use std::fs;
use std::path::Path;
use std::time::Duration;

use conference::ParticipantRole;
use rusqlite::Connection;
use tempfile::tempdir;
use venue::SpaceName;

use super::*;
use crate::auth::{Access, KEYS_PER_SPACE_MAX, Keys};
use crate::tokens::{Claims, Tokens};

fn space(name: &str) -> SpaceName {
    name.parse().unwrap()
}

fn check_refused(data_dir: &Path, expected: &[&str]) {
    let error = Store::open(data_dir)
        .expect_err("must be refused")
        .to_string();
    for part in expected {
        assert!(error.contains(part), "no `{part}` in: {error}");
    }
}

#[test]
fn a_key_outlives_the_process_and_only_its_hash_is_on_disk() {
    let directory = tempdir().unwrap();
    let data_dir = directory.path().join("made/on/demand");
    Store::open(&data_dir)
        .unwrap()
        .add_key(&space("stage"), "the-very-secret-key")
        .unwrap();

    let store = Store::open(&data_dir).unwrap();
    let keys = Keys::new(&[], Some(store.keys())).unwrap();
    assert_eq!(
        keys.check("stage", Some("the-very-secret-key")),
        Access::Granted
    );
    assert_eq!(keys.check("stage", Some("another-key")), Access::Denied);
    let listed = store.list_keys().unwrap();
    assert_eq!(listed.len(), 1);
    assert!(listed[0].space == "stage" && listed[0].created > 1_700_000_000);
    for entry in fs::read_dir(&data_dir).unwrap() {
        let bytes = fs::read(entry.unwrap().path()).unwrap();
        assert!(!bytes.windows(15).any(|window| window == b"the-very-secret"));
    }
}

#[test]
fn removing_a_spaces_keys_opens_it_and_leaves_the_others() {
    let directory = tempdir().unwrap();
    let store = Store::open(directory.path()).unwrap();
    for (name, key) in [("a", "first-key"), ("a", "second-key"), ("b", "third-key")] {
        store.add_key(&space(name), key).unwrap();
    }
    let keys = Keys::new(&[], Some(store.keys())).unwrap();
    assert_eq!(store.remove_keys(&space("a")).unwrap(), 2);
    assert_eq!(store.remove_keys(&space("a")).unwrap(), 0);
    assert_eq!(keys.check("a", None), Access::Open { owner: None });
    assert_eq!(keys.check("b", None), Access::Denied);
}

#[tokio::test]
async fn what_another_process_adds_and_removes_is_noticed() {
    let directory = tempdir().unwrap();
    let server = Store::open(directory.path()).unwrap();
    let other = Store::open(directory.path()).unwrap();
    let mut changes = server.keys();
    let keys = Keys::new(&[], Some(server.keys())).unwrap();
    for (locked, expected) in [
        (true, Access::Granted),
        (false, Access::Open { owner: None }),
    ] {
        if locked {
            other.add_key(&space("a"), "the-key-of-a").unwrap();
        } else {
            other.remove_keys(&space("a")).unwrap();
        }
        tokio::time::timeout(Duration::from_secs(5), changes.changed())
            .await
            .unwrap()
            .unwrap();
        let bearer = locked.then_some("the-key-of-a");
        assert_eq!(keys.check("a", bearer), expected);
    }
}

#[test]
fn a_space_has_room_for_so_many_keys_and_no_more() {
    let directory = tempdir().unwrap();
    let store = Store::open(directory.path()).unwrap();
    for number in 0..KEYS_PER_SPACE_MAX {
        store
            .add_key(&space("a"), &format!("key-number-{number}"))
            .unwrap();
    }
    let error = store
        .add_key(&space("a"), "one-too-many")
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("space `a` has 16 keys") && error.contains("key remove"),
        "{error}"
    );
    store.add_key(&space("b"), "there-is-room").unwrap();
}

#[test]
fn a_data_directory_that_cannot_be_used_is_named_with_the_flag() {
    let directory = tempdir().unwrap();
    let file = directory.path().join("file");
    fs::write(&file, "not a directory").unwrap();
    check_refused(&file, &["file", "--data-dir"]);
    check_refused(&file.join("below"), &["file/below", "--data-dir"]);
    fs::create_dir_all(directory.path().join("taken").join(FILE_NAME)).unwrap();
    check_refused(&directory.path().join("taken"), &["taken", "--data-dir"]);
}

#[test]
fn a_damaged_database_is_named_with_what_to_do() {
    let directory = tempdir().unwrap();
    let file = directory.path().join(FILE_NAME);
    fs::write(&file, vec![b'x'; 8192]).unwrap();
    check_refused(directory.path(), &["proscenium.db is damaged", "backup"]);

    let broken = tempdir().unwrap();
    let file = broken.path().join(FILE_NAME);
    drop(Store::open(broken.path()).unwrap());
    let mut bytes = fs::read(&file).unwrap();
    bytes[4096..].fill(0xff);
    fs::write(&file, bytes).unwrap();
    check_refused(broken.path(), &["proscenium.db is damaged", "backup"]);
}

#[test]
fn a_database_of_a_later_release_or_of_another_program_is_left_alone() {
    let later = tempdir().unwrap();
    drop(Store::open(later.path()).unwrap());
    let database = Connection::open(later.path().join(FILE_NAME)).unwrap();
    database
        .execute("INSERT INTO schema_version VALUES (99, 0)", [])
        .unwrap();
    drop(database);
    check_refused(
        later.path(),
        &["schema 99", "newer proscenium", "--data-dir"],
    );

    let foreign = tempdir().unwrap();
    let database = Connection::open(foreign.path().join(FILE_NAME)).unwrap();
    database
        .execute("CREATE TABLE recipe (title TEXT)", [])
        .unwrap();
    drop(database);
    check_refused(foreign.path(), &["another program"]);
}

#[test]
fn the_venues_secrets_are_made_once_and_outlive_the_process() {
    let directory = tempdir().unwrap();
    let store = Store::open(directory.path()).unwrap();
    let key = store.token_key().unwrap();
    let made = store.operator_secret().unwrap();
    assert!(made.is_new && made.secret.len() == 32 && key != [0; 32]);
    assert!(!format!("{made:?}").contains(&made.secret));
    // Another process finds them while the first one runs, and so does the next.
    let kept = OperatorSecret {
        is_new: false,
        ..made
    };
    let other = Store::open(directory.path()).unwrap();
    assert_eq!(other.operator_secret().unwrap(), kept);
    drop((store, other));
    let next = Store::open(directory.path()).unwrap();
    assert_eq!(next.token_key().unwrap(), key);
    assert_eq!(next.operator_secret().unwrap(), kept);
    let elsewhere = tempdir().unwrap();
    let elsewhere = Store::open(elsewhere.path()).unwrap();
    assert_ne!(elsewhere.token_key().unwrap(), key);
}

#[test]
fn renewed_secrets_end_the_old_ones_for_whoever_follows_them() {
    let directory = tempdir().unwrap();
    let store = Store::open(directory.path()).unwrap();
    let old = store.operator_secret().unwrap().secret;
    let tokens = Tokens::following(store.secrets().unwrap(), None);
    let chosen = Tokens::following(store.secrets().unwrap(), Some("chosen-by-hand"));
    let claims = |lifetime: u64| {
        let now = crate::clock::unix_seconds().unsigned_abs();
        let scope = "stage".parse().unwrap();
        Claims::new(
            scope,
            ParticipantRole::Viewer,
            Duration::from_secs(lifetime),
            now,
        )
    };
    let token = tokens.mint(&claims(60));
    assert!(tokens.verify("stage", &token).is_ok() && tokens.is_operator(Some(&old)));

    // Another process renews, as the command does.
    let other = Store::open(directory.path()).unwrap();
    let new = other.renew_secrets().unwrap().secret;
    assert_eq!(other.operator_secret().unwrap().secret, new);
    let deadline = std::time::Instant::now() + Duration::from_secs(20);
    while tokens.verify("stage", &token).is_ok() {
        assert!(std::time::Instant::now() < deadline, "not noticed");
        std::thread::sleep(Duration::from_millis(20));
    }
    assert!(tokens.is_operator(Some(&new)) && !tokens.is_operator(Some(&old)));
    assert!(tokens.verify("stage", &tokens.mint(&claims(60))).is_ok());
    assert!(chosen.is_operator(Some("chosen-by-hand")) && !chosen.is_operator(Some(&new)));
}

#[test]
fn nobody_is_an_operator_before_there_is_a_secret() {
    let directory = tempdir().unwrap();
    let store = Store::open(directory.path()).unwrap();
    let tokens = Tokens::following(store.secrets().unwrap(), None);
    for bearer in [None, Some(""), Some("operator")] {
        assert!(!tokens.is_operator(bearer), "{bearer:?}");
    }
    assert!(store.operator_secret().unwrap().is_new);
}

#[test]
fn a_database_of_the_first_release_gets_what_is_new_and_keeps_its_keys() {
    let directory = tempdir().unwrap();
    Store::open(directory.path())
        .unwrap()
        .add_key(&space("stage"), "the-old-key")
        .unwrap();
    let database = Connection::open(directory.path().join(FILE_NAME)).unwrap();
    let back = "DROP TABLE venue_secret; DELETE FROM schema_version WHERE version > 1";
    database.execute_batch(back).unwrap();
    drop(database);
    let store = Store::open(directory.path()).unwrap();
    assert!(store.operator_secret().unwrap().is_new);
    let keys = Keys::new(&[], Some(store.keys())).unwrap();
    assert_eq!(keys.check("stage", Some("the-old-key")), Access::Granted);
}

#[test]
fn secrets_that_are_none_are_called_damage() {
    let directory = tempdir().unwrap();
    let store = Store::open(directory.path()).unwrap();
    let database = Connection::open(directory.path().join(FILE_NAME)).unwrap();
    for (name, value) in [("token_key", vec![7; 31]), ("operator", vec![0xff; 32])] {
        let insert = "INSERT INTO venue_secret VALUES (?1, ?2, 0)";
        database.execute(insert, (name, value)).unwrap();
    }
    let errors = [
        store.token_key().unwrap_err().to_string(),
        store.operator_secret().unwrap_err().to_string(),
    ];
    for error in errors {
        assert!(error.contains("proscenium.db is damaged"), "{error}");
    }
}

#[cfg(unix)]
#[test]
fn others_on_the_machine_cannot_read_the_database() {
    use std::os::unix::fs::PermissionsExt as _;
    let directory = tempdir().unwrap();
    fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let store = Store::open(directory.path()).unwrap();
    store.token_key().unwrap();
    let modes = || -> Vec<u32> {
        let entries = fs::read_dir(directory.path()).unwrap();
        let mode = |entry: fs::DirEntry| entry.metadata().unwrap().permissions().mode() & 0o777;
        entries.map(|entry| mode(entry.unwrap())).collect()
    };
    assert!(modes().iter().all(|mode| *mode == 0o600), "{:?}", modes());
    drop(store);
    let file = directory.path().join(FILE_NAME);
    fs::set_permissions(&file, fs::Permissions::from_mode(0o664)).unwrap();
    drop(Store::open(directory.path()).unwrap());
    assert_eq!(
        fs::metadata(&file).unwrap().permissions().mode() & 0o777,
        0o660
    );
}

#[test]
fn only_one_server_has_a_data_directory() {
    let directory = tempdir().unwrap();
    let first = ServerLock::take(directory.path()).unwrap();
    let error = ServerLock::take(directory.path()).unwrap_err().to_string();
    assert!(
        error.contains(&format!("process {}", std::process::id())),
        "{error}"
    );
    assert!(error.contains("--data-dir"), "{error}");
    drop(first);
    ServerLock::take(directory.path()).unwrap();
}
