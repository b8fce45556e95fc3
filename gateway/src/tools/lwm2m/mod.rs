//! `turnstone lwm2m …`: commands to devices, over MQTT.
