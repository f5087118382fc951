//! Reports and plots: pure renderings of an incident.
