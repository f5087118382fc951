//! An incident: a fold over the events of the ledger.
