"""Bytes to Arrow and back: Avro packets and their containers."""

from __future__ import annotations


def warm_up() -> None:
    """Compile every kernel of the codecs, or load it from the disk cache: seconds the first time, then a fraction of one."""
    # Imported here: who only wants a schema or a cutout should not wait for the compiler.
    from fink.codecs import avro, containers, encode

    avro.warm_up()
    containers.warm_up()
    encode.warm_up()
