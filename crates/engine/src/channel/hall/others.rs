//! What other nodes say, and who of those present is theirs.

use std::sync::Arc;

use super::{Closing, Ended, Hall, Inner, Room, Said, Topic};

impl Hall {
    /// Takes what another node said. What has no room here is not heard: presence is said again, and publications are its subscribers' there.
    pub fn hear_from(&self, node: &Arc<str>, topic: &Topic, said: Said) {
        match said {
            Said::Present(present) => loop {
                let Ok(room) = self.open(&mut self.rooms.lock(), topic) else { return };
                let mut inner = room.inner.lock();
                if !inner.gone {
                    // Beyond what may be present the node itself refuses its own.
                    let _ = inner.put(&present, Some(node), &self.limits);
                    return;
                }
            },
            Said::Publication { .. } if self.model.channel(topic.channel).history.is_none() && !self.holds(topic) => {}
            said => drop(self.hear(topic, said)),
        }
    }

    /// A node is gone, and with it those whom it had present.
    pub fn forget_node(&self, node: &str) {
        self.each_room(|_, inner| {
            let left = inner.presence.take_of(node);
            inner.tell_left(left);
        });
    }

    /// Something that another node said was lost: whoever follows what is kept nowhere else begins anew, and learns that it missed something.
    pub fn interrupt(&self) {
        let mut rooms = self.rooms.lock();
        let is_free = |topic: &Topic| {
            let channel = self.model.channel(topic.channel);
            channel.stream.is_none() && channel.publish.is_some()
        };
        for (_, room) in rooms.held.extract_if(|topic, _| is_free(topic)) {
            let mut inner = room.inner.lock();
            inner.gone = true;
            self.counting(&mut inner, |inner| inner.history.clear());
            inner.mailboxes.values().for_each(|mailbox| mailbox.end(Ended::Closed(Closing::Replaced)));
        }
    }

    /// Who is present by subscriptions of this node, to be said again.
    pub fn own_presence(&self) -> Vec<(Topic, Said)> {
        let mut own = Vec::new();
        self.each_room(|topic, inner| own.extend(inner.presence.own().map(|present| (topic.clone(), Said::Present(present.clone())))));
        own
    }

    /// Lets those go who were not refreshed, and the rooms in which nothing is left.
    pub fn sweep_all(&self) {
        self.each_room(|_, inner| inner.end_presence());
        self.sweep(&mut self.rooms.lock(), Inner::is_forgotten);
    }

    fn holds(&self, topic: &Topic) -> bool {
        self.rooms.lock().held.contains_key(topic)
    }

    fn each_room(&self, mut then: impl FnMut(&Topic, &mut Inner)) {
        let rooms: Vec<(Topic, Arc<Room>)> = self.rooms.lock().held.iter().map(|(topic, room)| (topic.clone(), room.clone())).collect();
        rooms.iter().for_each(|(topic, room)| then(topic, &mut room.inner.lock()));
    }
}
