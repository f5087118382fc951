//! Responses: their bodies, and the pages that the gate answers with.

pub(crate) mod body;
pub(crate) mod gate_response;
pub(crate) mod pages;
