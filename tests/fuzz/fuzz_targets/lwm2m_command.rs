#![no_main]
libfuzzer_sys::fuzz_target!(|bytes: &[u8]| turnstone_tests::fuzz::lwm2m::command(bytes));
