//! The running gate: control loop, recorder, certificates, supervisor.
