"""Room of the bytes: values to bytes and back, and nothing else.

Pure. Every parser in here raises `WireError` for anything malformed, and nothing but that.
`WIRE_FORMAT.md`, beside this file, says what is on the wire.
"""
