//! `turnstone sim …`: devices that do not exist.
