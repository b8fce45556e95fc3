//! Worlds whose MQTT clients speak to the real stream front-end.
use super::world::{NewConnection, World};
use broker_core::Limits;
use broker_core::mqtt::{Connection, Shared};

/// A world with default limits.
pub fn world(seed: u64) -> World {
    world_with(seed, Limits::default())
}

/// A world with these limits.
pub fn world_with(seed: u64, limits: Limits) -> World {
    let shared = Shared::new(limits.clone(), None, seed);
    let new_connection: NewConnection =
        Box::new(move |now| Box::new(Connection::new(now, None, None, shared.clone())));
    World::with_limits(seed, limits, new_connection)
}
