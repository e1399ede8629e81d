//! The questions that a plugin asks. It may ask different ones about different requests, so there are several lists, and a
//! request has one key under each.

use std::sync::Arc;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering;

use arc_swap::ArcSwap;

use crate::decision::Attribute;
use crate::decision::AttributeRead;
use crate::decision::Ruling;

/// The most lists of one plugin. Each costs a hash for a request whose decision isn't known. If a plugin asks in more
/// ways than that, it is called about every request for which it asks in another way.
const MAX_PLANS: usize = 8;

/// The most lists that calls about refused requests may add, so that strangers can't take all places.
const MAX_PLANS_OF_REFUSALS: usize = 4;

/// One list of questions.
#[derive(Debug)]
pub(super) struct Plan {
    number: u64,
    questions: Box<[Attribute]>,
    is_worth_waiting_for: AtomicBool,
}

impl Plan {
    /// Tells it from the other plans of the plugin.
    pub(super) const fn number(&self) -> u64 {
        self.number
    }

    pub(super) fn questions(&self) -> &[Attribute] {
        &self.questions
    }

    /// Whether the last call that others waited for led to a decision that they could use. If it didn't, waiting would only
    /// delay their own calls.
    pub(super) fn is_worth_waiting_for(&self) -> bool {
        self.is_worth_waiting_for.load(Ordering::Relaxed)
    }

    pub(super) fn set_worth_waiting_for(&self, is_worth_it: bool) {
        self.is_worth_waiting_for.store(is_worth_it, Ordering::Relaxed);
    }

    fn is_of(&self, reads: &[AttributeRead]) -> bool {
        self.questions.iter().eq(reads.iter().map(|read| &read.attribute))
    }
}

/// The lists of one plugin, in the order in which they came up.
#[derive(Debug, Default)]
pub(super) struct Plans {
    all: ArcSwap<Vec<Arc<Plan>>>,
    adding: Mutex<()>,
}

impl Plans {
    pub(super) fn all(&self) -> arc_swap::Guard<Arc<Vec<Arc<Plan>>>> {
        self.all.load()
    }

    /// The plan of a call that read these attributes. `None` if it is a new one and there are too many.
    pub(super) fn of(&self, reads: &[AttributeRead], ruling: &Ruling) -> Option<Arc<Plan>> {
        let known = || self.all.load().iter().find(|plan| plan.is_of(reads)).cloned();
        if let Some(plan) = known() {
            return Some(plan);
        }
        let _adding = self.adding.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(plan) = known() {
            return Some(plan);
        }
        let mut plans = self.all.load().to_vec();
        let most = if ruling.is_grant() {
            MAX_PLANS
        } else {
            MAX_PLANS_OF_REFUSALS
        };
        if plans.len() >= most {
            return None;
        }
        let plan = Arc::new(Plan {
            number: plans.len() as u64,
            questions: reads.iter().map(|read| read.attribute.clone()).collect(),
            is_worth_waiting_for: AtomicBool::new(true),
        });
        plans.push(Arc::clone(&plan));
        self.all.store(Arc::new(plans));
        Some(plan)
    }
}
