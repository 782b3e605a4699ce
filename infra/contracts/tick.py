"""The topic that tells the stream that the input stopped, so that its last windows close.

A tick has no key and no meaning but its timestamp: every heartbeat sent before it has been read.
The stream's own watch writes ticks while no heartbeat arrives; the stream's source reads them.
"""

TOPIC = "tick"
VALUE = b"tick"
