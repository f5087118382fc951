//! Certificates by ACME: the thread that obtains them and its settings.

use std::sync::Arc;

use arc_swap::ArcSwap;
use portcullis_acme::{AcmeStatus, CertSinks};
use portcullis_edge::{ChallengeAnswers, TlsShared};
use portcullis_model::AcmeConfig;
use tokio::sync::watch;
use tracing::info;

use crate::error::RuntimeError;

/// Controls the thread that obtains certificates.
///
/// The thread is idle most of the time. Nothing waits for it: not the start of the gate, no
/// request, and not its end.
pub struct AcmeHandle {
    sinks: CertSinks,
    status: Arc<ArcSwap<AcmeStatus>>,
    settings: Option<watch::Sender<AcmeConfig>>,
}

impl AcmeHandle {
    pub fn new(keep: &TlsShared) -> Self {
        let sinks = CertSinks {
            issued: Arc::clone(&keep.issued),
            challenges: Arc::clone(&keep.challenges),
            answers: Arc::default(),
        };
        Self { sinks, status: Arc::default(), settings: None }
    }

    pub fn answers(&self) -> Arc<ChallengeAnswers> {
        Arc::clone(&self.sinks.answers)
    }

    pub fn status(&self) -> Arc<ArcSwap<AcmeStatus>> {
        Arc::clone(&self.status)
    }

    /// Starts the thread; visitors are served already.
    pub fn start(&mut self, config: &AcmeConfig) -> Result<(), RuntimeError> {
        let (settings, settings_changes) = watch::channel(config.clone());
        let (sinks, status) = (self.sinks.clone(), self.status());
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            // DNS lookups run there, one at a time.
            .max_blocking_threads(2)
            .build()
            .map_err(start_error)?;
        std::thread::Builder::new()
            .name("acme".into())
            .spawn(move || {
                runtime.block_on(portcullis_acme::run(settings_changes, sinks, status));
                // A DNS lookup in progress must not delay the end.
                runtime.shutdown_background();
            })
            .map_err(start_error)?;
        let hosts = config.hosts.join(", ");
        info!(directory = %config.directory, %hosts, "obtaining certificates by ACME");
        self.settings = Some(settings);
        Ok(())
    }

    /// Applies the settings of a reload.
    pub fn update(&self, config: &AcmeConfig) {
        if let Some(settings) = &self.settings {
            settings.send_if_modified(|running| {
                let other = running != config;
                running.clone_from(config);
                other
            });
        }
    }
}

fn start_error(source: std::io::Error) -> RuntimeError {
    RuntimeError::Thread { name: "acme".into(), source }
}
