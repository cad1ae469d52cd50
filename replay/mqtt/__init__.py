"""MQTT: rows from a broker, and labelled rows to one."""
