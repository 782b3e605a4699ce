"""The topic of messages that are no heartbeats: original key and value bytes, origin in the headers.

(topic, partition, offset) identifies a dead letter: after a crash the same one may be written again,
and a reader counts it once.
"""

TOPIC = "dead-letter"
# Of a longer value the letter has the beginning only, and the reason has its length: no message may be
# too large for its own dead letter.
VALUE_BYTES_MAX = 1_048_576
HEADER_TOPIC = "topic"
HEADER_PARTITION = "partition"
HEADER_OFFSET = "offset"
HEADER_TIMESTAMP = "timestamp-ms"
HEADER_REASON = "reason"
