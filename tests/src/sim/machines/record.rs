//! [`Recorder`]: has the machines of a world write down what they do, for a replay.

use antiphon_core::h1::trace::Observer;
use std::sync::{Arc, Mutex, PoisonError};

/// The traces of all machines of a world, in the order in which they were made. One that is off makes no observers.
#[derive(Debug, Default)]
pub(super) struct Recorder(Option<Vec<Arc<Mutex<String>>>>);

impl Recorder {
    pub(super) fn new(on: bool) -> Recorder {
        Recorder(on.then(Vec::new))
    }

    /// An observer for the next machine, if a trace is wanted.
    pub(super) fn observer(&mut self) -> Option<impl Observer + Send + use<>> {
        let text = Arc::new(Mutex::new(String::new()));
        self.0.as_mut()?.push(text.clone());
        Some(move |line: &str| {
            let mut text = text.lock().unwrap_or_else(PoisonError::into_inner);
            text.push_str(line);
            text.push('\n');
        })
    }

    /// The traces, one after another.
    pub(super) fn into_text(self) -> String {
        let traces = self.0.unwrap_or_default();
        let text = |t: &Arc<Mutex<String>>| t.lock().unwrap_or_else(PoisonError::into_inner).clone();
        traces.iter().map(text).collect()
    }
}
