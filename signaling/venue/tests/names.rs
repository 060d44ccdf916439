//! Whatever text comes, it is a name as it stands or none.

use proptest::prelude::*;
use venue::{SpaceName, StreamName};

proptest! {
    #[test]
    fn a_name_is_accepted_unchanged_or_not_at_all(name in "\\PC{0,70}") {
        if let Ok(space) = name.parse::<SpaceName>() {
            prop_assert_eq!(space.as_str(), &name);
            prop_assert!(name.parse::<StreamName>().is_ok());
        }
    }
}
