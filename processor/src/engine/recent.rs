//! What this process has lately done, so that a second notification costs nothing.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use crate::model::progress::{Progress, WorkId};

/// How many objects are remembered.
const REMEMBERED: usize = 4096;

/// A bounded memory of progress, oldest forgotten first, and locks on work under way.
#[derive(Debug, Default)]
pub(crate) struct Recent(Mutex<Memory>);

#[derive(Debug, Default)]
struct Memory {
    progress: HashMap<WorkId, Progress>,
    order: VecDeque<WorkId>,
    under_way: HashMap<WorkId, Arc<tokio::sync::Mutex<()>>>,
}

impl Recent {
    /// Returns how far `id` has come, as far as this process knows.
    pub(crate) fn get(&self, id: &WorkId) -> Option<Progress> {
        self.memory().progress.get(id).cloned()
    }

    /// Notes how far `id` has come.
    pub(crate) fn put(&self, id: &WorkId, progress: Progress) {
        let mut memory = self.memory();
        if memory.progress.insert(id.clone(), progress).is_none() {
            memory.order.push_back(id.clone());
        }
        if memory.order.len() > REMEMBERED
            && let Some(oldest) = memory.order.pop_front()
        {
            memory.progress.remove(&oldest);
        }
    }

    /// Returns the lock that whoever works on `id` holds.
    pub(crate) fn lock_of(&self, id: &WorkId) -> Arc<tokio::sync::Mutex<()>> {
        let mut memory = self.memory();
        if memory.under_way.len() >= REMEMBERED {
            memory.under_way.retain(|_, lock| Arc::strong_count(lock) > 1);
        }
        Arc::clone(memory.under_way.entry(id.clone()).or_default())
    }

    fn memory(&self) -> MutexGuard<'_, Memory> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_is_forgotten_first() {
        let recent = Recent::default();
        let id = |number: usize| WorkId {
            bucket: "b".to_owned(),
            key: number.to_string(),
            destination: "cloudwatch".to_owned(),
        };
        let done = Progress { done: true, ..Progress::default() };
        (0..=REMEMBERED).for_each(|number| recent.put(&id(number), done.clone()));
        assert_eq!(recent.get(&id(0)), None);
        assert_eq!(recent.get(&id(1)), Some(done.clone()));
        assert_eq!(recent.get(&id(REMEMBERED)), Some(done));
    }
}
