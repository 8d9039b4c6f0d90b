"""Bytes to Arrow and back: Avro packets and their containers."""
