//! Names: one type, one name, in the whole workspace.

use xtask::names::{all, faults};
use xtask::source::workspace;

#[test]
fn every_type_name_is_defined_once_and_none_is_a_replaced_one() {
    let faults = faults(&all(&workspace()).expect("sources"));
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}
