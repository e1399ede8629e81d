use std::collections::HashMap;

use super::*;
use crate::session::Key;
use crate::session::SealedStore;

/// A store in memory, which answers as it is told to.
#[derive(Default)]
pub(crate) struct Memory {
    values: Mutex<HashMap<String, Vec<u8>>>,
    how: Mutex<How>,
}

#[derive(Clone, Copy, Default, Eq, PartialEq)]
pub(crate) enum How {
    #[default]
    Answers,
    Hangs,
    Refuses,
    IsGone,
}

impl Memory {
    pub(crate) fn set_how(&self, how: How) {
        *self.how.lock().unwrap() = how;
    }

    fn answer<T: Send + 'static>(
        &self,
        answer: impl FnOnce(&mut HashMap<String, Vec<u8>>) -> T,
    ) -> StoreFuture<'static, T> {
        let how = *self.how.lock().unwrap();
        let answer = answer(&mut self.values.lock().unwrap());
        Box::pin(async move {
            match how {
                How::Answers => Ok(answer),
                How::Hangs => std::future::pending().await,
                How::Refuses => Err(StoreError::Refused("it is full".to_owned())),
                How::IsGone => Err(StoreError::Lost("it is gone".to_owned())),
            }
        })
    }
}

impl SharedStore for Memory {
    fn get(&self, name: String) -> StoreFuture<'_, Option<Vec<u8>>> {
        self.answer(|values| values.get(&name).cloned())
    }

    fn set(&self, name: String, value: Vec<u8>, _: Duration) -> StoreFuture<'_, ()> {
        self.answer(|values| _ = values.insert(name, value))
    }

    fn add(&self, name: String, value: Vec<u8>, _: Duration) -> StoreFuture<'_, bool> {
        self.answer(|values| match values.contains_key(&name) {
            true => false,
            false => values.insert(name, value).is_none(),
        })
    }

    fn delete(&self, name: String) -> StoreFuture<'_, ()> {
        self.answer(|values| _ = values.remove(&name))
    }

    fn charge(&self, _: String, time: Duration) -> StoreFuture<'_, Duration> {
        self.answer(|_| time)
    }

    fn append(&self, _: String, _: Vec<u8>, _: Duration, _: usize) -> StoreFuture<'_, ()> {
        self.answer(|_| ())
    }

    fn read(&self, _: String, _: Option<LogPosition>, _: Duration) -> StoreFuture<'_, Vec<LogEntry>> {
        self.answer(|_| Vec::new())
    }

    fn ping(&self) -> StoreFuture<'_, ()> {
        self.answer(|_| ())
    }
}

const HOUR: Duration = Duration::from_secs(3600);

async fn asked(state: &SharedState, patience: &mut Patience) -> bool {
    let ask = state.ask(Operation::Get, patience, |store| store.get("n".to_owned()));
    ask.await.is_some()
}

#[tokio::test(start_paused = true)]
async fn a_store_that_is_lost_costs_one_wait_and_is_found_again() {
    for how in [How::Hangs, How::IsGone] {
        let store = Arc::new(Memory::default());
        let state = SharedState::new(Arc::clone(&store) as _, SharedOptions::default());
        assert!(asked(&state, &mut Patience::default()).await);
        store.set_how(how);
        let begun = tokio::time::Instant::now();
        for _ in 0..100 {
            assert!(!asked(&state, &mut Patience::default()).await);
        }
        assert!(begun.elapsed() <= SharedOptions::MAX_PATIENCE && state.is_lost());
        store.set_how(How::Answers);
        tokio::time::sleep(TRIED_AGAIN * 2).await;
        assert!(!state.is_lost() && asked(&state, &mut Patience::default()).await);
    }
}

#[tokio::test(start_paused = true)]
async fn a_store_that_refuses_is_asked_again() {
    let store = Arc::new(Memory::default());
    let state = SharedState::new(Arc::clone(&store) as _, SharedOptions::default());
    store.set_how(How::Refuses);
    assert!(!asked(&state, &mut Patience::default()).await && !state.is_lost());
    store.set_how(How::Answers);
    assert!(asked(&state, &mut Patience::default()).await);
}

#[tokio::test]
async fn a_store_knows_neither_names_nor_values_and_can_not_swap_them() {
    let keys = [Key::generate().unwrap(), Key::generate().unwrap()];
    let sealed = SealedStore::new(Memory::default(), &keys).unwrap();
    sealed.set("alice".into(), b"admin".to_vec(), HOUR).await.unwrap();
    assert!(!sealed.add("alice".into(), b"user".to_vec(), HOUR).await.unwrap());
    assert_eq!(
        sealed.get("alice".into()).await.unwrap().as_deref(),
        Some(&b"admin"[..])
    );
    sealed.set("bob".into(), b"user".to_vec(), HOUR).await.unwrap();
    let swap = |values: &mut HashMap<String, Vec<u8>>| {
        for (name, value) in &*values {
            assert!(!name.contains("alice") && !value.windows(5).any(|part| part == b"admin"));
        }
        let names = Vec::from_iter(values.keys().cloned());
        let [first, second] = &names[..] else {
            panic!("{names:?}")
        };
        let (one, other) = (values[first].clone(), values[second].clone());
        values.extend([(first.clone(), other), (second.clone(), one)]);
    };
    sealed.store().answer(swap).await.unwrap();
    for name in ["alice", "bob"] {
        assert_eq!(sealed.get(name.into()).await.unwrap(), None);
    }
    sealed.delete("alice".into()).await.unwrap();
    assert!(sealed.add("alice".into(), Vec::new(), HOUR).await.unwrap());
}
