//! The calls to the posture's control: this file alone knows how it is driven.

use std::sync::Arc;

use portcullis_model::{Config, FeatureName, PlatformFacts, Record, Snapshot, Time, WallTime};
use portcullis_posture::{Action, Control, PlatformView, Resume, SavedBaseline};

/// The control with its inputs as methods; each returns the actions that follow.
#[derive(Debug)]
pub struct ControlCore(Control);

impl ControlCore {
    /// A control for this configuration that resumes an earlier run's numbers and baselines.
    pub fn new(
        config: Arc<Config>,
        started: WallTime,
        resume: &Resume,
        baselines: Vec<SavedBaseline>,
    ) -> Self {
        let mut control = Control::new(config, started, resume);
        control.restore(baselines);
        Self(control)
    }

    /// Takes the readable form of a feature value.
    pub fn feature_name(&mut self, name: &FeatureName) {
        self.0.sight(name);
    }

    /// Takes one request's record.
    pub fn record(&mut self, record: &Record) {
        self.0.observe(record);
    }

    /// Ticks; `total` is everything that all workers have counted since they began.
    pub fn tick(&mut self, now: Time, wall: WallTime, total: &Snapshot) -> Vec<Action> {
        let mut actions = Vec::new();
        self.0.tick(now, wall, total, &mut actions);
        actions
    }

    /// Uses a new configuration; the last action engages what stays engaged.
    pub fn reload(&mut self, config: Arc<Config>, now: Time, wall: WallTime) -> Vec<Action> {
        let mut actions = Vec::new();
        self.0.reload(config, now, wall, &mut actions);
        actions
    }

    /// Closes every tally: the last actions before the gate stops.
    pub fn stop(&mut self, wall: WallTime) -> Vec<Action> {
        let mut actions = Vec::new();
        self.0.finish(wall, &mut actions);
        actions
    }

    /// The platforms and their activities.
    pub fn platforms(&self) -> Vec<PlatformFacts> {
        self.0.platforms()
    }

    /// The state of each platform, for the admin listener.
    pub fn view(&self, now: Time) -> Vec<PlatformView> {
        self.0.view(now)
    }

    /// The baselines to save.
    pub fn baselines(&self) -> Vec<SavedBaseline> {
        self.0.baselines()
    }
}
