//! Test machinery of Turnstone: simulated network, scripted peers, benches.
